/* shape.c: extents, their checked products, and how they are written. */
#include "core/core.h"

#include <stdio.h>

bool plm__mul(int64_t a, int64_t b, int64_t *product)
{
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, product);
}

plm_shape plm_shape_from(int rank, const int64_t *dim)
{
    plm_shape s = { .rank = rank };
    for (int i = 0; dim && i < rank && i < PLM_MAX_RANK; i++) s.dim[i] = dim[i];
    return s;
}

int64_t plm_shape_count(plm_shape s)
{
    int64_t count = 1;
    if (s.rank < 0 || s.rank > PLM_MAX_RANK) return -1;
    for (int i = 0; i < s.rank; i++)
        if (!plm__mul(count, s.dim[i], &count)) return -1;
    return count;
}

bool plm_shape_equal(plm_shape a, plm_shape b)
{
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank && i < PLM_MAX_RANK; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

char *plm__shape_text(plm_shape s, char text[PLM__SHAPE_TEXT])
{
    int used = snprintf(text, PLM__SHAPE_TEXT, "[");
    for (int i = 0; i < s.rank && i < PLM_MAX_RANK; i++)
        used += snprintf(text + used, (size_t)(PLM__SHAPE_TEXT - used), "%s%lld", i ? "," : "", (long long)s.dim[i]);
    snprintf(text + used, (size_t)(PLM__SHAPE_TEXT - used), "]");
    return text;
}

/* Bytes of an element, channels padded to 16 on two axes, batches of 128: products of a checked shape do not overflow. */
#define ROOM ((int64_t)8 * 16 * 16 * 128)

bool plm__shape_check(plm_ctx *ctx, plm_shape s, const char *where)
{
    char    text[PLM__SHAPE_TEXT];
    int64_t bytes;
    if (s.rank < 0 || s.rank > PLM_MAX_RANK)
        return plm__fail(ctx, PLM_ERR_SHAPE, "%s: rank %d, expected 0 to %d", where, s.rank, PLM_MAX_RANK);
    for (int i = 0; i < s.rank; i++)
        if (s.dim[i] < 1)
            return plm__fail(ctx, PLM_ERR_SHAPE, "%s: extent %d of %s is %lld, expected at least 1", where, i,
                             plm__shape_text(s, text), (long long)s.dim[i]);
    if (!plm__mul(plm_shape_count(s), ROOM, &bytes))
        return plm__fail(ctx, PLM_ERR_SHAPE, "%s: %s has too many elements to count", where, plm__shape_text(s, text));
    return true;
}

plm_shape plm__shape_batched(int64_t n, plm_shape sample)
{
    plm_shape s = { .rank = sample.rank + 1, .dim = { n } };
    for (int i = 0; i < sample.rank && i + 1 < PLM_MAX_RANK; i++) s.dim[i + 1] = sample.dim[i];
    return s;
}

plm_shape plm__shape_sample(plm_shape batch)
{
    return plm_shape_from(batch.rank - 1, batch.dim + 1);
}

size_t plm_dtype_size(plm_dtype t)
{
    switch (t) {
    case PLM_F32:
        return 4;
    case PLM_I64:
        return 8;
    case PLM_U8:
        return 1;
    }
    return 0;
}

const char *plm_dtype_name(plm_dtype t)
{
    switch (t) {
    case PLM_F32:
        return "f32";
    case PLM_I64:
        return "i64";
    case PLM_U8:
        return "u8";
    }
    return "unknown";
}

plm_tensor plm_tensor_wrap(plm_dtype dtype, plm_shape shape, const void *data)
{
    /* A tensor is one struct for reading and for writing.  NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return (plm_tensor){ .dtype = dtype, .shape = shape, .data = (void *)(uintptr_t)data };
}

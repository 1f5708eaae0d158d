/* layout.c: where the elements of a tensor are, as plain data (the meaning is in core.h). */
#include "core/core.h"

#include <assert.h>

plm__layout plm__layout_any(plm_shape s)
{
    plm__layout l = { .rank = s.rank, .blocks = PLM__ANY };
    for (int a = 0; a < s.rank; a++) l.dim[a] = l.padded[a] = s.dim[a];
    return l;
}

plm__layout plm__layout_plain(plm_shape s)
{
    plm__layout l      = plm__layout_any(s);
    int64_t     stride = 1;
    l.blocks           = 0;
    for (int a = s.rank - 1; a >= 0; a--) {
        l.stride[a] = stride;
        stride *= s.dim[a];
    }
    return l;
}

plm__layout plm__layout_transposed(plm__layout l)
{
    const int     i = l.rank - 2, j = l.rank - 1;
    const int64_t dim = l.dim[i], stride = l.stride[i];
    l.dim[i] = l.padded[i] = l.dim[j];
    l.stride[i]            = l.stride[j];
    l.dim[j] = l.padded[j] = dim;
    l.stride[j]            = stride;
    return l;
}

/* Product of the inner blocks of an axis. */
static int64_t block_of(const plm__layout *l, int axis)
{
    int64_t product = 1;
    for (int b = 0; b < l->blocks; b++)
        if (l->axis[b] == axis) product *= l->block[b];
    return product;
}

bool plm__layout_same(const plm__layout *a, const plm__layout *b)
{
    if (a->rank != b->rank || a->blocks != b->blocks) return false;
    for (int i = 0; i < a->blocks; i++)
        if (a->block[i] != b->block[i] || a->axis[i] != b->axis[i]) return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i] || a->padded[i] != b->padded[i]) return false;
        const bool one = a->padded[i] == block_of(a, i); /* one outer block: its stride is never used */
        if (!one && a->blocks != PLM__ANY && a->stride[i] != b->stride[i]) return false;
    }
    return true;
}

bool plm__layout_is_plain(const plm__layout *l)
{
    const plm__layout plain = plm__layout_plain(plm__layout_shape(l));
    return plm__layout_same(l, &plain);
}

plm_shape plm__layout_shape(const plm__layout *l)
{
    return plm_shape_from(l->rank, l->dim);
}

plm__layout plm__layout_view(const plm__layout *l, plm_shape s)
{
    if (plm_shape_equal(plm__layout_shape(l), s)) return *l;
    assert(plm__layout_is_plain(l) && plm_shape_count(plm__layout_shape(l)) == plm_shape_count(s));
    return plm__layout_plain(s);
}

int64_t plm__layout_floats(const plm__layout *l)
{
    int64_t count = 1;
    for (int a = 0; a < l->rank; a++) count *= l->padded[a];
    return count;
}

bool plm__layout_padded(const plm__layout *l)
{
    for (int a = 0; a < l->rank; a++)
        if (l->padded[a] != l->dim[a]) return true;
    return false;
}

int64_t plm__layout_offset(const plm__layout *l, const int64_t *index)
{
    int64_t offset = 0, inner = 1, rest[PLM_MAX_RANK];
    for (int a = 0; a < l->rank; a++) {
        const int64_t block = block_of(l, a);
        offset += index[a] / block * l->stride[a];
        rest[a] = index[a] % block;
    }
    for (int b = l->blocks - 1; b >= 0; b--) { /* innermost first; an axis may be split more than once */
        const int a = l->axis[b];
        offset += rest[a] % l->block[b] * inner;
        rest[a] /= l->block[b];
        inner *= l->block[b];
    }
    return offset;
}

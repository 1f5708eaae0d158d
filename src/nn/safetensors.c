/* safetensors.c: reading files of named tensors.
 *
 * A file is not to be trusted: no number of it is used before it is checked against the file's size, so nothing is
 * allocated that the file could not fill, and no bytes are read that belong to another tensor. */
#include "nn/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "data goes to and from the file as it is in memory");

static const struct {
    const char *name;
    int         bytes;
} dtypes[] = { { "F32", 4 }, { "F64", 8 }, { "F16", 2 },  { "BF16", 2 },    { "I64", 8 },
               { "I32", 4 }, { "I16", 2 }, { "I8", 1 },   { "U64", 8 },     { "U32", 4 },
               { "U16", 2 }, { "U8", 1 },  { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 } };

static int dtype_bytes(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0) return dtypes[i].bytes;
    return 0;
}

static bool io_error(plm_ctx *ctx, const char *what, const char *path)
{
    return plm__fail(ctx, PLM_ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

static bool read_at(const plm__safetensors *f, int64_t offset, void *data, size_t bytes)
{
    char *to = data;
    while (bytes > 0) {
        const ssize_t got = pread(f->fd, to, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_error(f->ctx, "read", f->path);
        if (got == 0) return plm__fail(f->ctx, PLM_ERR_IO, "cannot read %s: it has become shorter", f->path);
        to += got;
        offset += got;
        bytes -= (size_t)got;
    }
    return true;
}

/* The header's JSON; the start and size of the data behind it. */
static bool read_header(plm__safetensors *f, int64_t file_bytes)
{
    unsigned char prefix[PLM__HEADER_PREFIX];
    uint64_t      length = 0;
    if (file_bytes < PLM__HEADER_PREFIX)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: not a safetensors file, it has only %" PRId64 " bytes", f->path,
                         file_bytes);
    if (!read_at(f, 0, prefix, PLM__HEADER_PREFIX)) return false;
    for (int i = PLM__HEADER_PREFIX - 1; i >= 0; i--) length = length << 8 | prefix[i];
    if (length > PLM__MAX_HEADER || (int64_t)length > file_bytes - PLM__HEADER_PREFIX)
        return plm__fail(f->ctx, PLM_ERR_FORMAT,
                         "%s: not a safetensors file, or cut off: a header of %" PRIu64 " bytes, in a file of %" PRId64
                         " and at most %d",
                         f->path, length, file_bytes, PLM__MAX_HEADER);
    f->start   = PLM__HEADER_PREFIX + (int64_t)length;
    f->bytes   = file_bytes - f->start;
    char *text = plm__new(f->ctx, (size_t)length + 1, "the header of a model file");
    bool  ok   = text && read_at(f, PLM__HEADER_PREFIX, text, (size_t)length);
    if (ok && !(f->header = plm__json_parse(text, (size_t)length)))
        ok = plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: not a safetensors file: its header is not JSON", f->path);
    plm__delete(f->ctx, text);
    if (ok && !cJSON_IsObject(f->header))
        ok = plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: its header is not a JSON object", f->path);
    return ok;
}

/* {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24]} */
static bool read_entry(const plm__safetensors *f, const cJSON *json, plm__entry *e)
{
    e->name           = json->string;
    e->dtype          = cJSON_GetStringValue(plm__json_member(json, "dtype"));
    const cJSON *dims = plm__json_member(json, "shape"), *range = plm__json_member(json, "data_offsets"), *dim;
    if (!e->dtype || !cJSON_IsArray(dims) || !cJSON_IsArray(range))
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: tensor %s lacks dtype, shape or data_offsets", f->path, e->name);
    int64_t bytes = dtype_bytes(e->dtype);
    if (bytes == 0)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: tensor %s is of the unknown dtype %s", f->path, e->name,
                         e->dtype);
    cJSON_ArrayForEach(dim, dims)
    {
        int64_t extent;
        if (!plm__json_integer(dim, &extent) || !plm__mul(bytes, extent, &bytes))
            return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: tensor %s has an impossible shape", f->path, e->name);
        if (e->shape.rank < PLM_MAX_RANK) e->shape.dim[e->shape.rank] = extent;
        e->shape.rank++;
    }
    const cJSON *begin = range->child, *end = begin ? begin->next : NULL;
    if (!end || end->next || !plm__json_integer(begin, &e->begin) || !plm__json_integer(end, &e->end) ||
        e->begin > e->end || e->end > f->bytes)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: tensor %s does not lie within the %" PRId64 " bytes of data",
                         f->path, e->name, f->bytes);
    if (e->end - e->begin == bytes) return true;
    return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: tensor %s needs %" PRId64 " bytes and has %" PRId64, f->path, e->name,
                     bytes, e->end - e->begin);
}

static bool read_entries(plm__safetensors *f)
{
    const cJSON *json, *text;
    size_t       count = 0;
    cJSON_ArrayForEach(json, f->header) count++;
    if (!(f->entry = plm__new(f->ctx, count * sizeof *f->entry, "the tensors of a model file"))) return false;
    cJSON_ArrayForEach(json, f->header)
    {
        if (strcmp(json->string, "__metadata__") != 0) {
            if (!read_entry(f, json, &f->entry[f->entries++])) return false;
            continue;
        }
        bool strings = !f->metadata && cJSON_IsObject(json);
        if (strings) cJSON_ArrayForEach(text, json) strings = strings && cJSON_IsString(text);
        if (!strings)
            return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: its __metadata__ is not one object of strings", f->path);
        f->metadata = json;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const plm__entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const plm__entry *)a)->name, ((const plm__entry *)b)->name);
}

/* Each byte of the data belongs to one tensor, as the format demands; no name occurs twice. */
static bool check_entries(plm__safetensors *f)
{
    int64_t at = 0;
    qsort(f->entry, (size_t)f->entries, sizeof *f->entry, by_place);
    for (int i = 0; i < f->entries; at = f->entry[i++].end)
        if (f->entry[i].begin != at)
            return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: the data of tensor %s %s", f->path, f->entry[i].name,
                             f->entry[i].begin < at ? "overlaps with another's" : "follows bytes that belong to none");
    if (at != f->bytes)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: its last %" PRId64 " bytes belong to no tensor", f->path,
                         f->bytes - at);
    qsort(f->entry, (size_t)f->entries, sizeof *f->entry, by_name);
    for (int i = 1; i < f->entries; i++)
        if (strcmp(f->entry[i - 1].name, f->entry[i].name) == 0)
            return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: tensor %s is there twice", f->path, f->entry[i].name);
    return true;
}

/* The checksum of a file that has one: the last eight bytes, over everything before them. */
static bool check_sum(plm__safetensors *f)
{
    enum { CHUNK = 1 << 18 };
    uint64_t    wanted = 0;
    plm__entry *e      = plm__safetensors_find(f, PLM__CHECKSUM);
    if (!e) return true;
    e->used = true;
    if (e->end - e->begin != (int64_t)sizeof wanted || e->end != f->bytes)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: its checksum does not stand at its end", f->path);
    struct {
        plm__crc64 sum;
        char       bytes[CHUNK];
    } *work = plm__new(f->ctx, sizeof *work, "the checksum of a file");
    bool ok = work && plm__safetensors_read(f, e, &wanted);
    if (ok) plm__crc64_begin(&work->sum);
    for (int64_t at = 0, end = f->start + e->begin; ok && at < end;) {
        const size_t n = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
        ok             = read_at(f, at, work->bytes, n);
        if (ok) plm__crc64_add(&work->sum, work->bytes, n);
        at += (int64_t)n;
    }
    if (ok && plm__crc64_value(&work->sum) != wanted)
        ok = plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is damaged: its checksum is wrong", f->path);
    plm__delete(f->ctx, work);
    return ok;
}

bool plm__safetensors_open(plm__safetensors *f, plm_ctx *ctx, const char *path)
{
    struct stat info;
    *f = (plm__safetensors){ .ctx = ctx, .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
    if (f->fd < 0 || fstat(f->fd, &info) != 0) return io_error(ctx, "open", path);
    if (!S_ISREG(info.st_mode)) return plm__fail(ctx, PLM_ERR_IO, "cannot open %s: it is not a file", path);
    return read_header(f, (int64_t)info.st_size) && read_entries(f) && check_entries(f) && check_sum(f);
}

void plm__safetensors_close(plm__safetensors *f)
{
    if (f->fd >= 0) close(f->fd);
    cJSON_Delete(f->header);
    plm__delete(f->ctx, f->entry);
    *f = (plm__safetensors){ .fd = -1 };
}

plm__entry *plm__safetensors_find(const plm__safetensors *f, const char *name)
{
    const plm__entry wanted = { .name = name };
    return bsearch(&wanted, f->entry, (size_t)f->entries, sizeof *f->entry, by_name);
}

const char *plm__safetensors_metadata(const plm__safetensors *f, const char *key)
{
    return cJSON_GetStringValue(plm__json_member(f->metadata, key));
}

bool plm__safetensors_read(const plm__safetensors *f, const plm__entry *e, void *data)
{
    return read_at(f, f->start + e->begin, data, (size_t)(e->end - e->begin));
}

/* bfloat16 is the upper half of a float. */
static float from_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float          x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 1 sign, 5 exponent (bias 15), 10 fraction; an exponent of 0 is a subnormal, one of 31 an infinity or a nan, which stay
 * what they are.  Source: IEEE 754-2008, 3.6. */
static float from_f16(uint16_t half)
{
    const int   exponent = half >> 10 & 31, fraction = half & 1023;
    const float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                       : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                                      : ldexpf((float)fraction, -24);
    return half & 0x8000 ? -size : size;
}

bool plm__safetensors_is_float(const plm__entry *e)
{
    return strcmp(e->dtype, "F32") == 0 || strcmp(e->dtype, "BF16") == 0 || strcmp(e->dtype, "F16") == 0;
}

bool plm__safetensors_read_f32(const plm__safetensors *f, const plm__entry *e, float *data)
{
    if (strcmp(e->dtype, "F32") == 0) return plm__safetensors_read(f, e, data);
    const bool    bf16  = strcmp(e->dtype, "BF16") == 0;
    const int64_t count = (e->end - e->begin) / (int64_t)sizeof(uint16_t);
    char         *from  = (char *)data + count * (int64_t)sizeof(uint16_t); /* they end where the floats will end */
    if (!plm__safetensors_read(f, e, from)) return false;
    for (int64_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, from + i * (int64_t)sizeof half, sizeof half);
        data[i] = bf16 ? from_bf16(half) : from_f16(half);
    }
    return true;
}

/* idx.c: the IDX files of MNIST and its kin, plain or gzipped.
 *
 * Two zero bytes, a type, the number of axes; their extents as big-endian 32-bit numbers; the elements, row-major.  The
 * header is believed only as far as the size of the file allows, so a lying one cannot make us allocate.
 * Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". */
#include "data/data.h"
#include "data/gzip.h"

#define UNSIGNED_BYTES 0x08
#define MAX_AXES 4

static bool read_header(plm__gzip *f, int rank, plm_shape *shape)
{
    uint8_t head[4 + 4 * MAX_AXES];
    if (!plm__gzip_read(f, head, 4)) return false;
    if (head[0] != 0 || head[1] != 0)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is not an IDX file: it begins with the bytes %02x %02x %02x %02x",
                         f->path, head[0], head[1], head[2], head[3]);
    if (head[2] != UNSIGNED_BYTES)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s has elements of IDX type 0x%02x, expected unsigned bytes (0x%02x)",
                         f->path, head[2], UNSIGNED_BYTES);
    if (head[3] != rank)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s has %d axes, expected %d", f->path, head[3], rank);
    if (!plm__gzip_read(f, head + 4, (int64_t)4 * rank)) return false;
    *shape = (plm_shape){ .rank = rank };
    for (int a = 0; a < rank; a++) {
        const uint8_t *b = head + 4 * (size_t)(a + 1);
        shape->dim[a]    = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | b[3];
    }
    return true;
}

/* The bytes the header promises, if the file can hold them. */
static bool plausible(plm__gzip *f, plm_shape shape, int64_t *bytes)
{
    char text[PLM__SHAPE_TEXT];
    plm__shape_text(shape, text);
    *bytes = plm_shape_count(shape);
    if (*bytes == 0) return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is empty: its header says %s", f->path, text);
    const int64_t header = 4 + 4 * shape.rank;
    if (*bytes < 0 || *bytes > plm__gzip_holds(f) - header)
        return plm__fail(f->ctx, PLM_ERR_FORMAT,
                         "%s is truncated or damaged: its header says %s, more than its %lld%s bytes can hold", f->path,
                         text, (long long)f->size, gzdirect(f->file) ? "" : " compressed");
    return true;
}

static bool read_all(plm__gzip *f, int rank, plm_shape *shape, uint8_t **data)
{
    int64_t bytes;
    if (!read_header(f, rank, shape) || !plausible(f, *shape, &bytes)) return false;
    *data = plm__new(f->ctx, (size_t)bytes, f->path);
    if (!*data) return false;
    if (plm__gzip_read(f, *data, bytes) && plm__gzip_end(f, false)) return true;
    plm__delete(f->ctx, *data);
    *data = NULL;
    return false;
}

bool plm__idx_read(plm_ctx *ctx, const char *path, int rank, plm_shape *shape, uint8_t **data)
{
    plm__gzip f;
    *data   = NULL;
    bool ok = plm__gzip_open(&f, ctx, path) && read_all(&f, rank, shape, data);
    plm__gzip_close(&f);
    return ok;
}

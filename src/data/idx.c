/* idx.c: the IDX files of MNIST and its kin, plain or gzipped.
 *
 * Two zero bytes, a type, the number of axes; their extents as big-endian 32-bit numbers; the elements, row-major.  The
 * header is believed only as far as the size of the file allows, so a lying one cannot make us allocate.
 * Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". */
#include "data/data.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define UNSIGNED_BYTES 0x08
#define DEFLATE_RATIO 1032 /* the most that a byte of deflate can become: zlib's technical details */
#define MAX_AXES 4

typedef struct {
    plm_ctx    *ctx;
    const char *path;
    gzFile      file;
    int64_t     size; /* of the file, compressed or not */
} idx_file;

/* Why zlib stopped short, as an error of this context. */
static bool broken(const idx_file *f, int64_t got, int64_t want)
{
    int         why;
    const char *message = gzerror(f->file, &why);
    if (why == Z_ERRNO) return plm__fail(f->ctx, PLM_ERR_IO, "%s: cannot read: %s", f->path, strerror(errno));
    if (why == Z_MEM_ERROR) return plm__fail(f->ctx, PLM_ERR_MEMORY, "%s: no memory to unpack it", f->path);
    if (why == Z_OK || why == Z_BUF_ERROR)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is truncated: it ends after %lld of %lld bytes", f->path,
                         (long long)got, (long long)want);
    const char *reason = strrchr(message, ':'); /* zlib puts the path before it */
    return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is damaged gzip data:%s", f->path, reason ? reason + 1 : message);
}

/* `before` bytes of the content have been read already. */
static bool read_bytes(const idx_file *f, uint8_t *to, int64_t bytes, int64_t before)
{
    for (int64_t done = 0; done < bytes;) {
        int64_t  left  = bytes - done;
        unsigned chunk = left < 1 << 24 ? (unsigned)left : 1u << 24; /* gzread counts in int */
        int      got   = gzread(f->file, to + done, chunk);
        if (got <= 0) return broken(f, before + done, before + bytes);
        done += got;
    }
    return true;
}

/* Reading on also makes zlib compare the checksum. */
static bool at_end(const idx_file *f, int64_t want)
{
    uint8_t more;
    int     why, got = gzread(f->file, &more, 1);
    if (got > 0)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s has more than the %lld bytes its header says", f->path,
                         (long long)want);
    gzerror(f->file, &why);
    if (got == 0 && why == Z_OK) return true;
    return why == Z_BUF_ERROR
               ? plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is truncated: the gzip checksum is missing", f->path)
               : broken(f, want, want);
}

static bool read_header(const idx_file *f, int rank, plm_shape *shape)
{
    uint8_t head[4 + 4 * MAX_AXES];
    if (!read_bytes(f, head, 4, 0)) return false;
    if (head[0] != 0 || head[1] != 0)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is not an IDX file: it begins with the bytes %02x %02x %02x %02x",
                         f->path, head[0], head[1], head[2], head[3]);
    if (head[2] != UNSIGNED_BYTES)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s has elements of IDX type 0x%02x, expected unsigned bytes (0x%02x)",
                         f->path, head[2], UNSIGNED_BYTES);
    if (head[3] != rank)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s has %d axes, expected %d", f->path, head[3], rank);
    if (!read_bytes(f, head + 4, 4 * rank, 4)) return false;
    *shape = (plm_shape){ .rank = rank };
    for (int a = 0; a < rank; a++) {
        const uint8_t *b = head + 4 + 4 * a;
        shape->dim[a]    = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | b[3];
    }
    return true;
}

/* The bytes the header promises, if the file can hold them. */
static bool plausible(const idx_file *f, plm_shape shape, int64_t *bytes)
{
    char text[PLM__SHAPE_TEXT];
    plm__shape_text(shape, text);
    *bytes = plm_shape_count(shape);
    if (*bytes == 0) return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is empty: its header says %s", f->path, text);
    bool    plain  = gzdirect(f->file);
    int64_t header = 4 + 4 * shape.rank, ratio = plain ? 1 : DEFLATE_RATIO, holds;
    if (!plm__mul(f->size, ratio, &holds)) holds = INT64_MAX;
    if (*bytes < 0 || *bytes > holds - header)
        return plm__fail(f->ctx, PLM_ERR_FORMAT,
                         "%s is truncated or damaged: its header says %s, more than its %lld%s bytes can hold", f->path,
                         text, (long long)f->size, plain ? "" : " compressed");
    return true;
}

static bool read_all(const idx_file *f, int rank, plm_shape *shape, uint8_t **data)
{
    int64_t bytes, header = 4 + 4 * rank;
    if (!read_header(f, rank, shape) || !plausible(f, *shape, &bytes)) return false;
    *data = plm__new(f->ctx, (size_t)bytes, f->path);
    if (!*data) return false;
    if (read_bytes(f, *data, bytes, header) && at_end(f, header + bytes)) return true;
    plm__delete(f->ctx, *data);
    *data = NULL;
    return false;
}

bool plm__idx_read(plm_ctx *ctx, const char *path, int rank, plm_shape *shape, uint8_t **data)
{
    *data = NULL;
    struct stat info;
    if (stat(path, &info) != 0) return plm__fail(ctx, PLM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return plm__fail(ctx, PLM_ERR_IO, "%s is not a regular file", path);
    idx_file f = { .ctx = ctx, .path = path, .size = info.st_size };
    errno      = ENOMEM; /* what zlib leaves alone when it is out of memory */
    f.file     = gzopen(path, "rb");
    if (!f.file)
        return plm__fail(ctx, errno == ENOMEM ? PLM_ERR_MEMORY : PLM_ERR_IO, "%s: cannot open: %s", path,
                         strerror(errno));
    bool ok = read_all(&f, rank, shape, data);
    gzclose(f.file);
    return ok;
}

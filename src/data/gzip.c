/* gzip.c: files that may be gzipped; what zlib says becomes a sentence. */
#include "data/gzip.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define DEFLATE_RATIO 1032 /* the most that a byte of deflate can become: zlib's technical details */
/* zlib (1.2.13) takes a file that was cut off for whole if its input ends just where memory for output does: twice this, or
 * ours if we ask for so much at once.  So we ask for less, and no usual size is a multiple of this. */
#define BUFFER 65521

/* Why zlib stopped short of `want` bytes of content.  Always false. */
static bool broken(const plm__gzip *f, int64_t want)
{
    int         why;
    const char *message = gzerror(f->file, &why);
    if (why == Z_ERRNO) return plm__fail(f->ctx, PLM_ERR_IO, "%s: cannot read: %s", f->path, strerror(errno));
    if (why == Z_MEM_ERROR) return plm__fail(f->ctx, PLM_ERR_MEMORY, "%s: no memory to unpack it", f->path);
    if (why == Z_OK || why == Z_BUF_ERROR)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is truncated: it ends after %lld of %lld bytes", f->path,
                         (long long)f->at, (long long)want);
    const char *reason = strrchr(message, ':'); /* zlib puts the path before it */
    return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is damaged gzip data:%s", f->path, reason ? reason + 1 : message);
}

bool plm__gzip_open(plm__gzip *f, plm_ctx *ctx, const char *path)
{
    struct stat info;
    *f = (plm__gzip){ .ctx = ctx, .path = path };
    if (stat(path, &info) != 0) return plm__fail(ctx, PLM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return plm__fail(ctx, PLM_ERR_IO, "%s is not a regular file", path);
    f->size = info.st_size;
    errno   = ENOMEM; /* what zlib leaves alone when it is out of memory */
    f->file = gzopen(path, "rb");
    if (!f->file)
        return plm__fail(ctx, errno == ENOMEM ? PLM_ERR_MEMORY : PLM_ERR_IO, "%s: cannot open: %s", path,
                         strerror(errno));
    gzbuffer(f->file, BUFFER);
    return true;
}

void plm__gzip_close(plm__gzip *f)
{
    if (f->file) gzclose(f->file);
    f->file = NULL;
}

int64_t plm__gzip_some(plm__gzip *f, void *to, int64_t bytes)
{
    const int64_t end = f->at + bytes;
    while (f->at < end) {
        const int64_t  left  = end - f->at;
        const unsigned chunk = left < BUFFER ? (unsigned)left : BUFFER;
        const int      got   = gzread(f->file, (uint8_t *)to + (bytes - left), chunk);
        int            why;
        gzerror(f->file, &why);
        if (got == 0 && why == Z_OK) break;
        if (got <= 0) {
            broken(f, end);
            return -1;
        }
        f->at += got;
    }
    return bytes - (end - f->at);
}

bool plm__gzip_read(plm__gzip *f, void *to, int64_t bytes)
{
    const int64_t want = f->at + bytes, got = plm__gzip_some(f, to, bytes);
    return got == bytes || (got >= 0 && broken(f, want));
}

bool plm__gzip_end(plm__gzip *f, bool more)
{
    uint8_t rest[4096];
    int     why, got;
    while ((got = gzread(f->file, rest, more ? sizeof rest : 1)) > 0)
        if (!more)
            return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s has more than the %lld bytes its header says", f->path,
                             (long long)f->at);
    gzerror(f->file, &why);
    if (got == 0 && why == Z_OK) return true;
    return why == Z_BUF_ERROR
               ? plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is truncated: the gzip checksum is missing", f->path)
               : broken(f, f->at);
}

int64_t plm__gzip_holds(const plm__gzip *f)
{
    int64_t holds;
    return plm__mul(f->size, gzdirect(f->file) ? 1 : DEFLATE_RATIO, &holds) ? holds : INT64_MAX;
}

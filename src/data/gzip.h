/* gzip.h (private to data): files that may be gzipped, read once from front to back. */
#ifndef PLM__GZIP_H
#define PLM__GZIP_H

#include "core/core.h"

#include <zlib.h>

typedef struct {
    plm_ctx    *ctx;
    const char *path; /* lent */
    gzFile      file;
    int64_t     size; /* of the file, compressed or not       */
    int64_t     at;   /* bytes of its content read so far     */
} plm__gzip;

bool plm__gzip_open(plm__gzip *f, plm_ctx *ctx, const char *path);
void plm__gzip_close(plm__gzip *f); /* also after a failed open */
/* Reads as much as there is, up to `bytes`; -1: failed. */
int64_t plm__gzip_some(plm__gzip *f, void *to, int64_t bytes);
/* Reads exactly that much; less is an error. */
bool plm__gzip_read(plm__gzip *f, void *to, int64_t bytes);
/* Reads on to the end, so that zlib compares the checksum.  Unless `more`, there must be nothing on the way. */
bool plm__gzip_end(plm__gzip *f, bool more);
/* An upper bound of what the content can be: a header that promises more lies. */
int64_t plm__gzip_holds(const plm__gzip *f);

#endif

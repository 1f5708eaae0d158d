/* fuzz_gzip.c: files that may be gzipped, read in parts of many sizes: what comes is what zlib's own function gives. */
#include "data/gzip.h"
#include "fuzz.h"

enum { MOST = 1 << 20 };

/* The content by gzread alone, up to MOST bytes; *whole: it ended there, and well (see BUFFER in src/data/gzip.c). */
static int64_t by_zlib(const char *path, uint8_t *to, bool *whole)
{
    gzFile file = gzopen(path, "rb");
    fuzz_require(file && gzbuffer(file, 65521) == 0);
    int64_t count = 0;
    int     got   = 1;
    while (count < MOST && (got = gzread(file, to + count, MOST - count < 8192 ? (unsigned)(MOST - count) : 8192)) > 0)
        count += got;
    int why;
    gzerror(file, &why);
    *whole = got == 0 && why == Z_OK;
    gzclose(file);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t want[MOST], got[MOST];
    const char    *path = fuzz_file("file", data, size);
    plm_ctx       *ctx  = fuzz_ctx_new(0);
    plm__gzip      f;
    bool           whole;
    const int64_t  count = by_zlib(path, want, &whole);
    int64_t        at = 0, part = 0;
    if (plm__gzip_open(&f, ctx, path)) {
        for (int64_t ask = 1; at < MOST && (part = plm__gzip_some(&f, got + at, ask)) == ask; at += part)
            ask = ask * 3 % 4099 < MOST - at - part ? ask * 3 % 4099 : MOST - at - part;
        if (part > 0 && at < MOST) at += part;
        /* Before an error, how much comes depends on how much is asked for at a time. */
        fuzz_require((at <= count || !whole) && memcmp(got, want, (size_t)(at < count ? at : count)) == 0);
        fuzz_require(at <= plm__gzip_holds(&f));
        if (whole) fuzz_require(at == count && f.at == count && plm__gzip_end(&f, false));
        else if (plm_ctx_status(ctx) == PLM_OK && count < MOST) fuzz_require(!plm__gzip_end(&f, true));
    }
    plm__gzip_close(&f);
    fuzz_ctx_free(ctx, 1 << PLM_ERR_FORMAT);
    return 0;
}

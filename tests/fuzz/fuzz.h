/* fuzz.h: what the fuzz targets share.
 *
 * A target is one function of bytes.  Linked with libFuzzer (cmake --preset fuzz, tools/fuzz) it gets inputs without end;
 * linked with replay.c it is a test that takes the seeds in seeds/TARGET, in every build.  A broken expectation aborts. */
#ifndef PLM_TESTS_FUZZ_H
#define PLM_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Must hold whatever the input is. */
#define fuzz_require(truth) ((truth) ? (void)0 : fuzz_broken(#truth, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/* A context of one thread, from whose allocator no single block of more than `most` bytes may be asked: what the input
 * says must not make us take more than it could fill. */
plm_ctx *fuzz_ctx_new(size_t most);
/* Everything has been given back.  An error there is must be a sentence, and one of the statuses that a bad input may have
 * (bits, 1 << PLM_ERR_FORMAT ...). */
void fuzz_ctx_free(plm_ctx *ctx, unsigned statuses);
void fuzz_check_error(const plm_ctx *ctx, unsigned statuses);

/* A file (or, without data, a folder) in this process's own folder, which goes when the process ends; NAME is one path
 * component or several whose folders were made before.  The path is lent until the process ends. */
const char *fuzz_file(const char *name, const void *data, size_t size);
const char *fuzz_folder(const char *name);

/* The input taken apart from the front; zeros when nothing is left. */
typedef struct {
    const uint8_t *at;
    size_t         left;
} fuzz_bytes;
static inline unsigned fuzz_byte(fuzz_bytes *b)
{
    if (b->left == 0) return 0;
    b->left--;
    return *b->at++;
}
static inline int fuzz_below(fuzz_bytes *b, int n) /* 0 .. n-1, n up to 256 */
{
    return (int)(fuzz_byte(b) % (unsigned)n);
}

#endif

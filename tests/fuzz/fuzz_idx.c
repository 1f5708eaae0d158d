/* fuzz_idx.c: IDX files, plain or gzipped. */
#include "data/data.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file("file", data, size);
    for (int rank = 1; rank <= 3; rank += 2) {
        plm_ctx   *ctx = fuzz_ctx_new(1032 * size); /* deflate's highest ratio */
        plm_shape  shape;
        uint8_t   *bytes;
        const bool ok = plm__idx_read(ctx, path, rank, &shape, &bytes);
        fuzz_require(ok == (plm_ctx_status(ctx) == PLM_OK) && ok == (bytes != NULL));
        if (ok) {
            unsigned sum = 0;
            fuzz_require(shape.rank == rank && plm_shape_count(shape) > 0);
            for (int64_t i = 0; i < plm_shape_count(shape); i++) sum += bytes[i]; /* all of it is there */
            fuzz_require(sum <= 255 * (uint64_t)plm_shape_count(shape));
        }
        plm__delete(ctx, bytes);
        fuzz_ctx_free(ctx, 1 << PLM_ERR_FORMAT);
    }
    return 0;
}

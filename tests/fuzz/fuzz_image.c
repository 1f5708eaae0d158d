/* fuzz_image.c: PNG and JPEG files, as a sample of a folder of images and by themselves. */
#include "fuzz.h"

#include <plummet/plummet.h>

#include <math.h>

enum { SIDE = 8, COUNT = 3 * SIDE * SIDE };
#define MAY_FAIL (1 << PLM_ERR_FORMAT)

static bool read_alone(const char *path, bool gray)
{
    float      x[COUNT];
    plm_ctx   *ctx = fuzz_ctx_new(4096);
    const bool ok  = plm_image_read(ctx, path, plm_shape_of(gray ? 1 : 3, SIDE, SIDE), x);
    for (int i = 0; ok && i < (gray ? COUNT / 3 : COUNT); i++) fuzz_require(x[i] >= 0 && x[i] <= 255);
    fuzz_ctx_free(ctx, MAY_FAIL);
    return ok;
}

static bool read_in_folder(const char *folder)
{
    plm_batch    batch;
    plm_ctx     *ctx    = fuzz_ctx_new(1 << 16);
    plm_dataset *d      = plm_dataset_from_images(ctx, folder, &(plm_images_desc){ .size = SIDE });
    plm_loader  *loader = plm_loader_new(d, &(plm_loader_desc){ .batch = 1, .augment = true });
    const bool   ok     = plm_loader_next(loader, &batch);
    fuzz_require(d && loader && ok == (plm_ctx_status(ctx) == PLM_OK));
    for (int i = 0; ok && i < COUNT; i++) fuzz_require(isfinite(((const float *)batch.x.data)[i]));
    plm_loader_free(loader);
    plm_dataset_free(d);
    fuzz_ctx_free(ctx, MAY_FAIL);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder("images");
    fuzz_folder("images/one");
    const char *path = fuzz_file("images/one/a.png", data, size);
    const bool  ok   = read_alone(path, size % 2);
    if (size % 4 == 0) fuzz_require(read_in_folder(folder) == ok); /* more would only be slower */
    return 0;
}

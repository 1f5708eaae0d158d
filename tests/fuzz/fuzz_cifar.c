/* fuzz_cifar.c: CIFAR's archives, tar in gzip, under both names. */
#include "data/data.h"
#include "fuzz.h"

static void check_samples(const plm_dataset *d, int64_t *sum)
{
    const plm__store *s = d->store;
    fuzz_require(s->count == d->count && d->count > 0 && s->x_size == 3072);
    for (int64_t i = 0; i < d->count; i++) {
        fuzz_require(s->labels[i] >= 0 && s->labels[i] < s->classes);
        *sum += ((const uint8_t *)s->x)[i * 3072 + 3071];
    }
    for (int k = 0; k < s->classes; k++) *sum += (int64_t)strlen(s->class_names[k]);
}

static void open_as(const plm__named *set, const char *folder, size_t size, bool test)
{
    plm_ctx     *ctx   = fuzz_ctx_new(1032 * size);
    plm_dataset *other = NULL, *d = set->open(ctx, set->recipe, folder, test, test ? &other : NULL);
    int64_t      sum = 0;
    fuzz_require((d != NULL) == (plm_ctx_status(ctx) == PLM_OK) && (other != NULL) == (d && test));
    if (d) check_samples(d, &sum);
    if (other) check_samples(other, &sum);
    fuzz_require(sum >= 0);
    plm_dataset_free(d);
    plm_dataset_free(other);
    fuzz_ctx_free(ctx, 1 << PLM_ERR_FORMAT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder("cifar");
    fuzz_file("cifar/cifar-10-binary.tar.gz", data, size);
    fuzz_file("cifar/cifar-100-binary.tar.gz", data, size);
    open_as(&plm__cifar10, folder, size, size % 2);
    open_as(&plm__cifar100, folder, size, size % 2);
    return 0;
}

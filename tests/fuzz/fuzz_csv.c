/* fuzz_csv.c: data sets from comma-separated files.  The input's first line is the label column's name, the rest the file. */
#include "data/data.h"
#include "fuzz.h"

#include <math.h>

static void check_samples(const plm_dataset *d)
{
    const plm__store *s = d->store;
    fuzz_require(d->count > 0 && s->x_size > 0 && s->classes > 0 && s->classes <= d->count);
    for (int64_t i = 0; i < d->count * s->x_size; i++) fuzz_require(isfinite(((const float *)s->x)[i]));
    for (int64_t i = 0; i < d->count; i++) fuzz_require(s->labels[i] >= 0 && s->labels[i] < s->classes);
    for (int k = 0; k < s->classes; k++) fuzz_require(s->class_names[k][0]);
    if (!s->normalized) return;
    for (int c = 0; c < s->normalization.channels; c++)
        fuzz_require(isfinite(s->normalization.mean[c]) && s->normalization.std[c] > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           label[64] = "";
    const uint8_t *newline   = memchr(data, '\n', size < sizeof label ? size : sizeof label - 1);
    const size_t   length    = newline ? (size_t)(newline - data) : 0;
    memcpy(label, data, length);
    const size_t used = newline ? length + 1 : 0;
    const char  *path = fuzz_file("file.csv", data + used, size - used);
    plm_ctx     *ctx  = fuzz_ctx_new(16 * size); /* a row of two bytes has a label of 24 */
    plm_dataset *d    = plm_dataset_from_csv(ctx, path, &(plm_csv_desc){ .label = label, .normalize = size % 2 });
    fuzz_require((d != NULL) == (plm_ctx_status(ctx) == PLM_OK));
    if (d) check_samples(d);
    plm_dataset_free(d);
    fuzz_ctx_free(ctx, 1 << PLM_ERR_FORMAT | 1 << PLM_ERR_ARGUMENT);
    return 0;
}

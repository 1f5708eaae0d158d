/* identity.c: is a data set still the one that it was?  For trainings that go on another day. */
#include <string.h>

#include "data/data.h"

/* Numbers of any type, as their bytes. */
#define ADD(sum, number) plm__crc64_add(sum, &(number), sizeof(number))

static void add_form(const plm__store *s, plm__crc64 *sum)
{
    ADD(sum, s->count);
    for (int i = 0; i < s->x_shape.rank; i++) ADD(sum, s->x_shape.dim[i]);
    ADD(sum, s->target_size);
    for (int i = 0; i < s->classes; i++) plm__crc64_add(sum, s->class_names[i], strlen(s->class_names[i]) + 1);
    if (!s->normalized) return;
    ADD(sum, s->normalization.scale);
    plm__crc64_add(sum, s->normalization.mean, (size_t)s->normalization.channels * sizeof(double));
    plm__crc64_add(sum, s->normalization.std, (size_t)s->normalization.channels * sizeof(double));
}

uint64_t plm__dataset_checksum(const plm_dataset *d)
{
    const plm__store *s     = d->store;
    const size_t      count = (size_t)s->count;
    plm__crc64        sum;
    plm__crc64_begin(&sum);
    add_form(s, &sum);
    ADD(&sum, d->count);
    if (d->index) plm__crc64_add(&sum, d->index, (size_t)d->count * sizeof *d->index);
    if (s->x) plm__crc64_add(&sum, s->x, count * (size_t)s->x_size * plm_dtype_size(s->x_dtype));
    if (s->labels) plm__crc64_add(&sum, s->labels, count * sizeof *s->labels);
    if (s->targets) plm__crc64_add(&sum, s->targets, count * (size_t)s->target_size * sizeof *s->targets);
    if (s->source_sum) s->source_sum(s->source, &sum);
    return plm__crc64_value(&sum);
}

/* loader.c: batches of a data set: gathered, normalised, shuffled.
 *
 * The order of an epoch is a function of (context seed, epoch) alone, so any epoch can be repeated on its own.  Everything
 * is allocated when the loader is made; the same buffer serves every batch. */
#include "data/data.h"

#include <string.h>

#define DEFAULT_BATCH 128
#define BYTE_VALUES 256

struct plm_loader {
    const plm_dataset *data;
    plm_ctx           *ctx;
    int64_t            batch; /* at most the samples there are */
    int64_t            epoch, position;
    plm__block        *order; /* int64_t [count]: a permutation of the data set; NULL: not shuffled      */
    plm__block        *x;     /* float [batch, x_size]                                                   */
    plm__block        *y;     /* int64_t [batch] or float [batch, target_size]                           */
    float             *table; /* [channels, 256]: what each byte becomes; NULL: samples are not bytes    */
    int                channels;
};

static double normalized(const plm__store *s, int channel, double x)
{
    const plm_normalization *n = &s->normalization;
    return s->normalized ? (x * n->scale - n->mean[channel]) / n->std[channel] : x;
}

static void gather_bytes(const plm_loader *l, const uint8_t *from, float *to)
{
    int64_t plane = l->data->store->x_size / l->channels;
    for (int c = 0; c < l->channels; c++) {
        const float *table = l->table + (size_t)c * BYTE_VALUES;
        for (int64_t i = 0; i < plane; i++) *to++ = table[*from++];
    }
}

static void gather_floats(const plm_loader *l, const float *from, float *to)
{
    const plm__store *s     = l->data->store;
    int64_t           plane = s->x_size / l->channels;
    if (!s->normalized) {
        memcpy(to, from, (size_t)s->x_size * sizeof *to);
        return;
    }
    for (int c = 0; c < l->channels; c++)
        for (int64_t i = 0; i < plane; i++) *to++ = (float)normalized(s, c, (double)*from++);
}

/* Sample `at` of the store becomes the i-th of the batch, by the user's function. */
static bool call_back(const plm_loader *l, int64_t at, int64_t i)
{
    const plm__store *s     = l->data->store;
    int64_t           label = -1;
    float            *x     = (float *)l->x->data + i * s->x_size;
    if (!s->callback.get(s->callback.user, l->ctx, at, x, &label))
        return plm__fail(l->ctx, PLM_ERR_STATE, "callback data set: get returned false for sample %lld", (long long)at);
    if (l->ctx->status != PLM_OK) return false;
    if (label < 0 || label >= s->classes)
        return plm__fail(l->ctx, PLM_ERR_ARGUMENT, "callback data set: label %lld of sample %lld is not in 0..%d",
                         (long long)label, (long long)at, s->classes - 1);
    ((int64_t *)l->y->data)[i] = label;
    return true;
}

static void gather(const plm_loader *l, int64_t at, int64_t i)
{
    const plm__store *s  = l->data->store;
    float            *to = (float *)l->x->data + i * s->x_size;
    if (l->table) gather_bytes(l, (const uint8_t *)s->x + at * s->x_size, to);
    else gather_floats(l, (const float *)s->x + at * s->x_size, to);
    if (s->labels) ((int64_t *)l->y->data)[i] = s->labels[at];
    else
        memcpy((float *)l->y->data + i * s->target_size, s->targets + at * s->target_size,
               (size_t)s->target_size * sizeof(float));
}

static bool fill(const plm_loader *l, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t place = l->position + i;
        int64_t at    = plm__dataset_at(l->data, l->order ? ((const int64_t *)l->order->data)[place] : place);
        if (!l->data->store->callback.get) gather(l, at, i);
        else if (!call_back(l, at, i)) return false;
    }
    return true;
}

static void shuffle(const plm_loader *l)
{
    plm__key key = plm__random_key(l->ctx->seed, PLM__RANDOM_SHUFFLE, NULL, (uint64_t)l->epoch);
    plm__random_permutation(key, l->order->data, l->data->count);
}

static bool fill_table(plm_loader *l)
{
    const plm__store *s = l->data->store;
    l->table            = plm__new(l->ctx, (size_t)l->channels * BYTE_VALUES * sizeof *l->table, "a loader");
    if (!l->table) return false;
    for (int c = 0; c < l->channels; c++)
        for (int v = 0; v < BYTE_VALUES; v++) l->table[c * BYTE_VALUES + v] = (float)normalized(s, c, v);
    return true;
}

/* A block for `rows` rows of `row` numbers of `size` bytes. */
static plm__block *buffer(plm_ctx *ctx, int64_t rows, int64_t row, size_t size)
{
    int64_t numbers, bytes;
    if (plm__mul(rows, row, &numbers) && plm__mul(numbers, (int64_t)size, &bytes))
        return plm__pool_get(ctx, (size_t)bytes);
    plm__fail(ctx, PLM_ERR_MEMORY, "plm_loader_new: no memory for %lld rows of %lld numbers", (long long)rows,
              (long long)row);
    return NULL;
}

static bool allocate(plm_loader *l, bool shuffled)
{
    const plm__store *s = l->data->store;
    l->x                = buffer(l->ctx, l->batch, s->x_size, sizeof(float));
    if (!l->x) return false;
    l->y = s->target_size ? buffer(l->ctx, l->batch, s->target_size, sizeof(float))
                          : buffer(l->ctx, l->batch, 1, sizeof(int64_t));
    if (!l->y) return false;
    l->channels = s->normalized ? s->normalization.channels : 1;
    if (s->x && s->x_dtype == PLM_U8 && !fill_table(l)) return false;
    if (shuffled) l->order = buffer(l->ctx, l->data->count, 1, sizeof(int64_t));
    return !shuffled || l->order;
}

plm_loader *plm_loader_new(plm_dataset *d, const plm_loader_desc *desc)
{
    if (!d || d->store->ctx->status != PLM_OK) return NULL;
    plm_ctx        *ctx   = d->store->ctx;
    plm_loader_desc given = desc ? *desc : (plm_loader_desc){ 0 };
    if (given.batch < 0) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_loader_new: batch is %lld, expected 0 or more", (long long)given.batch);
        return NULL;
    }
    plm_loader *l = plm__new(ctx, sizeof *l, "a loader");
    if (!l) return NULL;
    *l = (plm_loader){ .data = d, .ctx = ctx, .batch = given.batch ? given.batch : DEFAULT_BATCH };
    if (l->batch > d->count) l->batch = d->count;
    if (allocate(l, given.shuffle)) return l;
    plm_loader_free(l);
    return NULL;
}

void plm_loader_free(plm_loader *l)
{
    if (!l) return;
    plm__pool_drop(l->ctx, l->order);
    plm__pool_drop(l->ctx, l->x);
    plm__pool_drop(l->ctx, l->y);
    plm__delete(l->ctx, l->table);
    plm__delete(l->ctx, l);
}

bool plm_loader_next(plm_loader *l, plm_batch *batch)
{
    if (batch) *batch = (plm_batch){ 0 };
    if (!l || l->ctx->status != PLM_OK) return false;
    if (!batch) return plm__fail(l->ctx, PLM_ERR_ARGUMENT, "plm_loader_next: batch is NULL");
    const plm__store *s    = l->data->store;
    int64_t           left = l->data->count - l->position, count = left < l->batch ? left : l->batch;
    if (left == 0) {
        l->epoch++;
        l->position = 0;
        return false;
    }
    if (l->position == 0 && l->order) shuffle(l);
    if (!fill(l, count)) return false; /* the same batch comes again after plm_ctx_clear */
    l->position += count;
    batch->count = count;
    batch->x     = plm_tensor_wrap(PLM_F32, plm__shape_batched(count, s->x_shape), l->x->data);
    batch->y     = s->target_size ? plm_tensor_wrap(PLM_F32, plm_shape_of(count, s->target_size), l->y->data)
                                  : plm_tensor_wrap(PLM_I64, plm_shape_of(count), l->y->data);
    return true;
}

void plm_loader_seek(plm_loader *l, int64_t epoch)
{
    if (!l) return;
    if (epoch < 0) {
        plm__fail(l->ctx, PLM_ERR_ARGUMENT, "plm_loader_seek: epoch is %lld, expected 0 or more", (long long)epoch);
        return;
    }
    l->epoch    = epoch;
    l->position = 0;
}

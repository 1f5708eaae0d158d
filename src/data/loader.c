/* loader.c: batches of a data set, one after the other.
 *
 * What is in a batch depends on (context seed, epoch, position) alone, so it does not matter who fills it, or when: with
 * .prefetch, a thread has filled the next one by the time it is asked for; if another one is asked for, or there is none
 * yet, the caller fills it.  Everything is allocated when the loader is made; the same buffers serve every batch. */
#include "data/loader.h"

#include <string.h>

#define DEFAULT_BATCH 128
#define BYTE_VALUES 256

typedef struct {
    plm__block *x; /* float [batch, x_size]                             */
    plm__block *y; /* int64_t [batch] or float [batch, target_size]     */
} buffers;

struct plm_loader {
    plm__filler    filler;
    plm_ctx       *ctx;
    int64_t        batch; /* at most the samples there are */
    int64_t        epoch, position;
    plm__block    *order;    /* the filler's                                       */
    buffers        slot[2];  /* the second one is for prefetching                  */
    int            lent;     /* which one the caller has, or had last              */
    plm__prefetch *prefetch; /* NULL: batches are filled in the caller's thread    */
};

/* Sample `at` of the store becomes the i-th of the batch, by the user's function. */
static bool call_back(const plm_loader *l, int64_t at, int64_t i, float *x, int64_t *y)
{
    const plm__store *s     = l->filler.data->store;
    int64_t           label = -1;
    if (!s->callback.get(s->callback.user, l->ctx, at, x + i * s->x_size, &label))
        return plm__fail(l->ctx, PLM_ERR_STATE, "callback data set: get returned false for sample %lld", (long long)at);
    if (l->ctx->status != PLM_OK) return false;
    if (label < 0 || label >= s->classes)
        return plm__fail(l->ctx, PLM_ERR_ARGUMENT, "callback data set: label %lld of sample %lld is not in 0..%d",
                         (long long)label, (long long)at, s->classes - 1);
    y[i] = label;
    return true;
}

static bool call_back_all(plm_loader *l, plm__span span, const buffers *to)
{
    for (int64_t i = 0; i < span.count; i++)
        if (!call_back(l, plm__fill_at(&l->filler, span.epoch, span.position + i), i, to->x->data, to->y->data))
            return false;
    return true;
}

static plm__span span_at(const plm_loader *l, int64_t epoch, int64_t position)
{
    const int64_t left = l->filler.data->count - position;
    return (plm__span){ epoch, position, left < l->batch ? left : l->batch };
}

/* The batch at the loader's place into the slot that is lent next. */
static bool obtain(plm_loader *l, plm__span span)
{
    const buffers *to    = &l->slot[l->prefetch ? !l->lent : 0];
    plm__fault     fault = { PLM_OK, "" };
    if (l->filler.data->store->callback.get) return call_back_all(l, span, to);
    if (!l->prefetch || !plm__prefetch_wait(l->prefetch, span, &fault)) {
        fault.status = PLM_OK;
        plm__fill(&l->filler, span, to->x->data, to->y->data, &fault);
    }
    return fault.status == PLM_OK || plm__fail(l->ctx, fault.status, "%s", fault.message);
}

static int64_t after(int64_t epoch)
{
    return epoch < INT64_MAX ? epoch + 1 : epoch;
}

/* Lends the slot that was filled, and has the thread fill the other with what most likely comes next. */
static void go_on(plm_loader *l)
{
    if (!l->prefetch) return;
    const bool     ended = l->position == l->filler.data->count;
    const buffers *to    = &l->slot[l->lent];
    plm__prefetch_start(l->prefetch, ended ? span_at(l, after(l->epoch), 0) : span_at(l, l->epoch, l->position),
                        to->x->data, to->y->data);
    l->lent = !l->lent;
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

static bool allocate_slot(plm_loader *l, buffers *slot)
{
    const plm__store *s = l->filler.data->store;
    slot->x             = buffer(l->ctx, l->batch, s->x_size, sizeof(float));
    if (!slot->x) return false;
    slot->y = s->target_size ? buffer(l->ctx, l->batch, s->target_size, sizeof(float))
                             : buffer(l->ctx, l->batch, 1, sizeof(int64_t));
    return slot->y;
}

static bool allocate_filler(plm_loader *l, bool shuffled)
{
    plm__filler      *f = &l->filler;
    const plm__store *s = f->data->store;
    if (s->fetch) f->raw = plm__new(l->ctx, (size_t)s->x_size, "a loader");
    if (s->fetch && !f->raw) return false;
    if (!s->callback.get && s->x_dtype == PLM_U8) {
        f->table = plm__new(l->ctx, (size_t)f->channels * BYTE_VALUES * sizeof *f->table, "a loader");
        if (!f->table) return false;
        plm__fill_table(f);
    }
    if (!shuffled) return true;
    l->order = buffer(l->ctx, f->data->count, 1, sizeof(int64_t));
    if (l->order) f->order = l->order->data;
    return l->order;
}

static bool allocate(plm_loader *l, const plm_loader_desc *d)
{
    const bool prefetch = d->prefetch && !l->filler.data->store->callback.get;
    if (!allocate_filler(l, d->shuffle) || !allocate_slot(l, &l->slot[0])) return false;
    if (!prefetch) return true;
    l->prefetch = allocate_slot(l, &l->slot[1]) ? plm__prefetch_new(l->ctx, &l->filler) : NULL;
    return l->prefetch;
}

plm_loader *plm_loader_new(plm_dataset *d, const plm_loader_desc *desc)
{
    if (!d || d->store->ctx->status != PLM_OK) return NULL;
    const plm__store *s     = d->store;
    plm_ctx          *ctx   = s->ctx;
    plm_loader_desc   given = desc ? *desc : (plm_loader_desc){ 0 };
    if (given.batch < 0) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_loader_new: batch is %lld, expected 0 or more", (long long)given.batch);
        return NULL;
    }
    plm_loader *l = plm__new(ctx, sizeof *l, "a loader");
    if (!l) return NULL;
    *l = (plm_loader){ .ctx = ctx, .batch = given.batch ? given.batch : DEFAULT_BATCH };
    if (l->batch > d->count) l->batch = d->count;
    l->filler = (plm__filler){ .data        = d,
                               .seed        = ctx->seed,
                               .augment     = given.augment && plm_dataset_augments(d),
                               .channels    = s->normalized ? s->normalization.channels : 1,
                               .order_epoch = -1 };
    if (allocate(l, &given)) return l;
    plm_loader_free(l);
    return NULL;
}

void plm_loader_free(plm_loader *l)
{
    if (!l) return;
    plm__prefetch_free(l->ctx, l->prefetch);
    plm__pool_drop(l->ctx, l->order);
    for (int i = 0; i < 2; i++) {
        plm__pool_drop(l->ctx, l->slot[i].x);
        plm__pool_drop(l->ctx, l->slot[i].y);
    }
    plm__delete(l->ctx, l->filler.table);
    plm__delete(l->ctx, l->filler.raw);
    plm__delete(l->ctx, l);
}

bool plm_loader_next(plm_loader *l, plm_batch *batch)
{
    if (batch) *batch = (plm_batch){ 0 };
    if (!l || l->ctx->status != PLM_OK) return false;
    if (!batch) return plm__fail(l->ctx, PLM_ERR_ARGUMENT, "plm_loader_next: batch is NULL");
    const plm__store *s    = l->filler.data->store;
    const plm__span   span = span_at(l, l->epoch, l->position);
    if (span.count == 0) {
        l->epoch    = after(l->epoch);
        l->position = 0;
        return false;
    }
    if (!obtain(l, span)) return false; /* the same batch comes again after plm_ctx_clear */
    l->position += span.count;
    go_on(l);
    const buffers *from = &l->slot[l->lent];
    batch->count        = span.count;
    batch->x            = plm_tensor_wrap(PLM_F32, plm__shape_batched(span.count, s->x_shape), from->x->data);
    batch->y = s->target_size ? plm_tensor_wrap(PLM_F32, plm_shape_of(span.count, s->target_size), from->y->data)
                              : plm_tensor_wrap(PLM_I64, plm_shape_of(span.count), from->y->data);
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

void plm_loader_skip(plm_loader *l, int64_t batches)
{
    if (!l) return;
    if (batches < 0) {
        plm__fail(l->ctx, PLM_ERR_ARGUMENT, "plm_loader_skip: batches is %lld, expected 0 or more", (long long)batches);
        return;
    }
    const int64_t left = l->filler.data->count - l->position;
    l->position += batches <= left / l->batch ? batches * l->batch : left;
}

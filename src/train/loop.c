/* loop.c: the training loop.
 *
 * Loaders, tapes and evaluators are made before the first step and serve to the end, so that nothing is allocated once each
 * shape (a full batch, the short one, an evaluation) has come by.  An evaluation works on its own tape and loader, and the
 * order of an epoch is a function of the seed: whether anybody evaluates does not change a bit of the training. */
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "autograd/autograd.h"
#include "data/data.h"

#define DEFAULT_EPOCHS 10
#define DEFAULT_BATCH 128

typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net;
    plm_optimizer *opt;
    plm_train_desc desc; /* resolved */
    plm_loader    *loader;
    plm_tape      *tape;
    plm__evaluator test, val;
    int64_t        step, steps_per_epoch;
    int            epoch;
    bool           stopped; /* a callback said so */
} training;

/* Mean, smallest and largest of the numbers seen, with the mean a sum until `done`. */
static void range_add(plm_range *r, double x, int64_t seen)
{
    r->mean += x;
    r->min = seen == 0 || x < r->min ? x : r->min;
    r->max = seen == 0 || x > r->max ? x : r->max;
}

static plm_epoch empty_row(int epoch)
{
    const double    none    = (double)NAN;
    const plm_score nothing = { none, none, 0 };
    const plm_range nowhere = { none, none, none };
    return (plm_epoch){ .epoch   = epoch,
                        .train   = nothing,
                        .test    = nothing,
                        .val     = nothing,
                        .eta     = nowhere,
                        .update  = nowhere,
                        .seconds = none };
}

/* What is not finite is reported with its place in the training.  Always false. */
static bool say_where(const training *t)
{
    plm_ctx *ctx = t->ctx;
    if (ctx->status != PLM_ERR_NONFINITE) return false;
    const size_t used = strlen(ctx->message);
    snprintf(ctx->message + used, sizeof ctx->message - used, " (in epoch %d, step %lld)", t->epoch,
             (long long)t->step);
    return false;
}

static bool forward_backward(training *t, const plm_batch *batch, double *loss, double *acc)
{
    const plm_val out   = plm_graph_apply(t->net, plm_tape_input(t->tape, batch->x));
    const plm_val value = plm_loss_apply(t->desc.loss, out, batch->y);
    *loss               = (double)plm_val_item(value);
    *acc                = plm__score_accuracy(out, batch->y);
    return plm_backward(value);
}

/* One pass over the data: with steps, or (epoch 0) only finding out what a step would do. */
static bool run_epoch(training *t, plm_epoch *row)
{
    const bool train = t->epoch > 0;
    plm_score  sum   = { 0 };
    plm_range  eta = { 0 }, update = { 0 };
    int64_t    seen    = 0;
    double     seconds = 0, loss, acc, start = plm__seconds();
    plm_batch  batch;
    plm_loader_seek(t->loader, train ? t->epoch - 1 : 0);
    for (; plm_loader_next(t->loader, &batch); seen++) {
        t->step += train;
        if (train) plm_tape_set_step(t->tape, (uint64_t)t->step); /* whatever ran before */
        if (!forward_backward(t, &batch, &loss, &acc)) return say_where(t);
        if (!(train ? plm_optimizer_step(t->opt) : plm_optimizer_probe(t->opt))) return say_where(t);
        plm_tape_reset(t->tape);
        const plm_step_info *info = plm_optimizer_info(t->opt);
        plm__score_add(&sum, loss, acc, batch.count);
        range_add(&eta, info->eta, seen);
        range_add(&update, info->update_mean, seen);
        seconds += plm__seconds() - start;
        if (train && t->desc.on_step &&
            !t->desc.on_step(t->desc.user, &(plm_step){ .step            = t->step,
                                                        .steps_per_epoch = t->steps_per_epoch,
                                                        .epoch           = t->epoch,
                                                        .loss            = loss,
                                                        .acc             = acc,
                                                        .info            = info })) {
            t->stopped = true;
            return true;
        }
        start = plm__seconds();
    }
    if (t->ctx->status != PLM_OK) return false;
    eta.mean /= (double)seen;
    update.mean /= (double)seen;
    row->train = plm__score_mean(sum);
    row->eta   = eta;
    if (!train) return true;
    row->update  = update;
    row->seconds = seconds;
    return true;
}

/* All running statistics one after the other: out of the graph into `numbers`, or back. */
static bool copy_statistics(plm_graph *net, float *numbers, bool back)
{
    for (int i = 0; i < plm_graph_param_count(net); i++) {
        plm_param *p = plm_graph_param(net, i);
        if (plm_param_role(p) != PLM_ROLE_STATISTIC) continue;
        const int64_t n = plm_shape_count(plm_param_shape(p));
        if (!(back ? plm_param_write(p, numbers, n) : plm_param_read(p, numbers, n))) return false;
        numbers += n;
    }
    return true;
}

/* A pass in training mode moves batch norm's running statistics, which are put back. */
static bool run_epoch_zero(training *t, plm_epoch *row)
{
    int64_t count = 0;
    for (int i = 0; i < plm_graph_param_count(t->net); i++)
        if (plm_param_role(plm_graph_param(t->net, i)) == PLM_ROLE_STATISTIC)
            count += plm_shape_count(plm_param_shape(plm_graph_param(t->net, i)));
    float *before = plm__new(t->ctx, (size_t)(count + 1) * sizeof *before, "running statistics");
    bool   ok =
        before && copy_statistics(t->net, before, false) && run_epoch(t, row) && copy_statistics(t->net, before, true);
    plm__delete(t->ctx, before);
    return ok;
}

static bool evaluate(training *t, plm_epoch *row)
{
    return ((!t->test.loader || plm__evaluator_run(&t->test, &row->test)) &&
            (!t->val.loader || plm__evaluator_run(&t->val, &row->val))) ||
           say_where(t);
}

/* The row of one epoch, evaluated and shown to the caller. */
static bool finish_epoch(training *t, const plm_epoch *row, plm_epoch *last)
{
    if (last) *last = *row;
    if (t->desc.on_epoch && !t->desc.on_epoch(t->desc.user, row)) t->stopped = true;
    return t->ctx->status == PLM_OK; /* a callback may have failed the context */
}

static bool run(training *t, plm_epoch *last)
{
    plm_epoch row = empty_row(0);
    if (t->desc.epoch_zero && !run_epoch_zero(t, &row)) return false;
    if (!evaluate(t, &row) || !finish_epoch(t, &row, last)) return false;
    while (!t->stopped && t->epoch < t->desc.epochs) {
        row = empty_row(++t->epoch);
        if (!run_epoch(t, &row)) return false;
        if (t->stopped) break; /* in the middle of an epoch, which has no row */
        if (!evaluate(t, &row) || !finish_epoch(t, &row, last)) return false;
    }
    return t->ctx->status == PLM_OK;
}

static bool open_all(training *t, plm_dataset *data)
{
    const plm_train_desc *d = &t->desc;
    t->loader               = plm_loader_new(
                      data, &(plm_loader_desc){ .batch = d->batch, .shuffle = true, .augment = d->augment, .prefetch = true });
    t->tape = t->loader ? plm_tape_new(t->ctx, NULL) : NULL;
    return t->tape && (!d->test || plm__evaluator_open(&t->test, t->net, d->test, d->loss, d->test_batch)) &&
           (!d->val || plm__evaluator_open(&t->val, t->net, d->val, d->loss, d->test_batch));
}

static void close_all(training *t)
{
    plm__evaluator_close(&t->val);
    plm__evaluator_close(&t->test);
    plm_tape_free(t->tape);
    plm_loader_free(t->loader);
}

static plm_train_desc resolved(const plm_train_desc *given)
{
    plm_train_desc d = given ? *given : (plm_train_desc){ 0 };
    if (d.epochs == 0) d.epochs = DEFAULT_EPOCHS;
    if (d.batch == 0) d.batch = DEFAULT_BATCH;
    if (d.test_batch == 0) d.test_batch = d.batch;
    return d;
}

/* Does a batch norm see one value per channel and sample?  It has no variance in a batch of one sample. */
static bool norms_single_values(const plm_graph *net)
{
    for (int i = 0; i < plm_graph_node_count(net); i++) {
        plm_node_info node;
        if (!plm_graph_node_info(net, i, &node)) return false;
        for (int k = 0; k < node.param_count; k++)
            if (plm_param_role(node.params[k]) == PLM_ROLE_STATISTIC &&
                plm_shape_count(plm_param_shape(node.params[k])) == plm_shape_count(node.shape))
                return true;
    }
    return false;
}

/* Said before the first step, not at the end of a long epoch. */
static bool check_last_batch(const training *t, int64_t count)
{
    if (count % t->desc.batch != 1 || !norms_single_values(t->net)) return true;
    return plm__fail(
        t->ctx, PLM_ERR_ARGUMENT,
        "plm_train: the last batch of an epoch would have one sample (%lld samples, batch %lld), with which "
        "batch norm cannot train",
        (long long)count, (long long)t->desc.batch);
}

static bool check(plm_ctx *ctx, const plm_optimizer *opt, const plm_dataset *data, const plm_train_desc *d)
{
    if (!plm__train_check(ctx, data, d->loss, "plm_train")) return false;
    if (!opt) return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: opt is NULL");
    if (d->epochs < 0 || d->batch < 0 || d->test_batch < 0)
        return plm__fail(ctx, PLM_ERR_ARGUMENT,
                         "plm_train: epochs is %d, batch %lld, test_batch %lld, expected 0 or more", d->epochs,
                         (long long)d->batch, (long long)d->test_batch);
    return (!d->test || plm__train_check(ctx, d->test, d->loss, "plm_train: test")) &&
           (!d->val || plm__train_check(ctx, d->val, d->loss, "plm_train: val"));
}

bool plm_train(plm_graph *net, plm_optimizer *opt, plm_dataset *data, const plm_train_desc *desc, plm_epoch *last)
{
    if (last) *last = empty_row(0);
    if (!net) return false;
    training t = { .ctx = plm_graph_ctx(net), .net = net, .opt = opt, .desc = resolved(desc) };
    if (!check(t.ctx, opt, data, &t.desc)) return false;
    const int64_t count = plm_dataset_count(data);
    t.steps_per_epoch   = count / t.desc.batch + (count % t.desc.batch != 0);
    const bool ok       = check_last_batch(&t, count) && open_all(&t, data) && run(&t, last);
    close_all(&t);
    return ok;
}

/* loop.c: the training loop.
 *
 * Loaders, tapes and evaluators are made before the first step and serve to the end, so that nothing is allocated once each
 * shape (a full batch, the short one, an evaluation) has come by.  An evaluation works on its own tape and loader, and the
 * order of an epoch is a function of the seed: whether anybody evaluates does not change a bit of the training. */
#include "train/loop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "data/data.h"
#include "train/explain.h"

#define DEFAULT_EPOCHS 10
#define DEFAULT_BATCH 128

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

/* A checkpoint of where the training stands, unless it has one. */
static bool save(plm__training *t)
{
    if (t->saved) return true;
    t->saved = plm__run_save(t->desc.run, t->net, t->opt, &t->at, t->recipe);
    return t->saved;
}

static bool every(int64_t n, int64_t period)
{
    return period > 0 && n % period == 0;
}

/* At the end of an epoch its row comes first. */
static bool save_after_step(plm__training *t)
{
    t->saved = false;
    return t->at.batches == t->steps_per_epoch || !t->desc.run || !every(t->at.step, t->desc.save_steps) || save(t);
}

static bool save_after_epoch(plm__training *t)
{
    t->saved = false;
    const bool due =
        every(t->at.epoch, t->desc.save_epochs) || (t->at.step > 0 && every(t->at.step, t->desc.save_steps));
    return !t->desc.run || !due || save(t);
}

/* One batch: its numbers go into the sums of the epoch, or it is left out. */
static bool take_batch(plm__training *t, const plm_batch *batch, bool train)
{
    plm_checkpoint      *at    = &t->at;
    const double         start = plm__seconds();
    double               loss, acc;
    const plm__outcome   done = plm__train_step(t, batch, train, &loss, &acc);
    const plm_step_info *info = plm_optimizer_info(t->opt);
    if (done == PLM__FAILED) return false;
    at->batches++;
    at->step += train;
    at->skipped += train && done == PLM__LEFT_OUT;
    at->seconds += plm__seconds() - start - t->watching;
    if (done == PLM__LEFT_OUT) return true;
    plm__score_add(&at->train, loss, acc, batch->count);
    range_add(&at->eta, info->eta, at->steps);
    range_add(&at->update, info->update_mean, at->steps);
    at->steps++;
    const plm_step step = { .step            = at->step,
                            .steps_per_epoch = t->steps_per_epoch,
                            .epoch           = at->epoch + 1,
                            .loss            = loss,
                            .acc             = acc,
                            .info            = info };
    if (train && t->desc.on_step && !t->desc.on_step(t->desc.user, &step)) t->stopped = true;
    return t->ctx->status == PLM_OK;
}

/* What is left of a pass over the data: with steps, or (epoch 0) only finding out what a step would do. */
static bool run_epoch(plm__training *t, bool train, plm_epoch *row)
{
    plm_checkpoint *at = &t->at;
    plm_batch       batch;
    plm_loader_seek(t->loader, at->epoch);
    plm_loader_skip(t->loader, at->batches);
    double start = plm__seconds();
    while (plm_loader_next(t->loader, &batch)) {
        at->seconds += plm__seconds() - start; /* of waiting for the batch */
        if (!take_batch(t, &batch, train) || (train && !save_after_step(t))) return false;
        if (t->stopped) return true;
        start = plm__seconds();
    }
    if (t->ctx->status != PLM_OK) return false;
    if (at->steps == 0)
        return plm__fail(t->ctx, PLM_ERR_NONFINITE, "every step of epoch %d was left out: %s", row->epoch, t->why);
    row->train = plm__score_mean(at->train);
    row->eta   = at->eta;
    row->eta.mean /= (double)at->steps;
    if (!train) return true;
    row->update = at->update;
    row->update.mean /= (double)at->steps;
    row->seconds = at->seconds;
    return true;
}

/* A pass in training mode moves batch norm's running statistics, which are put back. */
static bool run_epoch_zero(plm__training *t, plm_epoch *row)
{
    float     *before = plm__new(t->ctx, plm__statistics_bytes(t->net), "running statistics");
    const bool ok     = before && (plm__statistics_copy(t->net, before), run_epoch(t, false, row));
    if (ok) plm__statistics_put_back(t->net, before);
    plm__delete(t->ctx, before);
    t->at = (plm_checkpoint){ 0 };
    return ok;
}

static bool evaluate(plm__training *t, plm_epoch *row)
{
    return ((!t->test.loader || plm__evaluator_run(&t->test, &row->test)) &&
            (!t->val.loader || plm__evaluator_run(&t->val, &row->val))) ||
           plm__say_where(t, false);
}

/* The row of one epoch, evaluated and shown to the caller. */
static bool finish_epoch(plm__training *t, plm_epoch *row, plm_epoch *last)
{
    row->skipped = t->at.skipped;
    if (last) *last = *row;
    if (t->desc.on_epoch && !t->desc.on_epoch(t->desc.user, row)) t->stopped = true;
    return t->ctx->status == PLM_OK; /* a callback may have failed the context */
}

static bool run_untrained(plm__training *t, plm_epoch *last)
{
    plm_epoch row = empty_row(0);
    return (!t->desc.epoch_zero || run_epoch_zero(t, &row)) && evaluate(t, &row) && finish_epoch(t, &row, last);
}

static bool run_one(plm__training *t, plm_epoch *last)
{
    plm_epoch row = empty_row(t->epoch = t->at.epoch + 1);
    if (!run_epoch(t, true, &row)) return false;
    if (t->stopped) return true; /* in the middle of an epoch, which has no row */
    if (!evaluate(t, &row) || !finish_epoch(t, &row, last)) return false;
    t->at = (plm_checkpoint){ .step = t->at.step, .epoch = row.epoch, .skipped = t->at.skipped };
    return save_after_epoch(t);
}

/* A run that was complete when it was resumed: what its last row has is found out again. */
static bool run_none(plm__training *t, plm_epoch *last)
{
    plm_epoch row = empty_row(t->epoch = t->at.epoch);
    row.skipped   = t->at.skipped;
    if (!evaluate(t, &row)) return false;
    if (last) *last = row;
    return true;
}

static bool run(plm__training *t, plm_epoch *last)
{
    const bool from_start = !t->resumed, complete = t->at.epoch == t->desc.epochs;
    if (from_start && !run_untrained(t, last)) return false;
    if (!from_start && complete && !run_none(t, last)) return false;
    while (!t->stopped && t->at.epoch < t->desc.epochs)
        if (!run_one(t, last)) return false;
    const bool keep = t->stopped || t->desc.save_epochs > 0 || t->desc.save_steps > 0;
    return t->ctx->status == PLM_OK && (!t->desc.run || !keep || save(t));
}

/* ------------------------------------------------------------------ going on */

static void add_samples(plm__text *text, const char *what, const plm_dataset *data)
{
    if (data)
        plm__text_add(text, "%s samples of %s: %" PRId64 ", checksum %016" PRIx64 "\n", what, plm_dataset_name(data),
                      plm_dataset_count(data), plm__dataset_checksum(data));
}

/* All that the bits of the training depend on, but for network and optimiser, which a checkpoint compares itself. */
static bool write_recipe(plm__training *t, const plm_dataset *data)
{
    static const char *const loss[] = { "mse", "xent", "square" };
    const plm_train_desc    *d      = &t->desc;
    plm__text                text   = { .ctx = t->ctx };
    plm__text_add(&text, "seed %" PRIu64 "\nbatch %" PRId64 "\nloss %s\n", t->ctx->seed, d->batch, loss[d->loss]);
    plm__text_add(&text, "augmented %s\n", d->augment && plm_dataset_augments(data) ? "yes" : "no");
    add_samples(&text, "training", data);
    add_samples(&text, "test", d->test);
    add_samples(&text, "validation", d->val);
    plm__schedule_recipe(d, &text);
    plm__text_add(&text, "%s", d->recipe ? d->recipe : "");
    t->recipe = text.at;
    return t->ctx->status == PLM_OK;
}

/* Nothing in the run's folder changes before it is certain that the training can go on. */
static bool take_up(plm__training *t, const plm_dataset *data)
{
    const plm_checkpoint *at = &t->at;
    plm__found            found;
    if (!t->desc.run) return true;
    if (!write_recipe(t, data)) return false;
    if (!t->desc.run->resumed) return true;
    if (!plm__run_find(t->desc.run, t->net, t->opt, &t->at, t->recipe, &found)) return false;
    t->resumed = t->saved = !found.from_start;
    if (at->epoch > t->desc.epochs || (at->epoch == t->desc.epochs && at->batches > 0))
        return plm__fail(t->ctx, PLM_ERR_ARGUMENT,
                         "plm_train: %d epochs are asked for, the run has %d and %" PRId64 " steps of the next",
                         t->desc.epochs, at->epoch, at->batches);
    if (at->batches > t->steps_per_epoch || at->step != at->epoch * t->steps_per_epoch + at->batches)
        return plm__fail(t->ctx, PLM_ERR_FORMAT,
                         "plm_train: the checkpoint is of step %" PRId64 " after %d epochs of %" PRId64
                         " steps and %" PRId64 " more",
                         at->step, at->epoch, t->steps_per_epoch, at->batches);
    return plm__run_take_up(t->desc.run, at, &found, t->desc.on_resume, t->desc.user);
}

/* ------------------------------------------------------------------ plm_train */

static bool open_all(plm__training *t, plm_dataset *data)
{
    const plm_train_desc *d = &t->desc;
    t->loader               = plm_loader_new(
                      data, &(plm_loader_desc){ .batch = d->batch, .shuffle = true, .augment = d->augment, .prefetch = true });
    t->tape       = t->loader ? plm_tape_new(t->ctx, NULL) : NULL;
    t->statistics = t->tape ? plm__new(t->ctx, plm__statistics_bytes(t->net), "running statistics") : NULL;
    return t->statistics && (!d->test || plm__evaluator_open(&t->test, t->net, d->test, d->loss, d->test_batch)) &&
           (!d->val || plm__evaluator_open(&t->val, t->net, d->val, d->loss, d->test_batch));
}

static void close_all(plm__training *t)
{
    plm__evaluator_close(&t->val);
    plm__evaluator_close(&t->test);
    plm_tape_free(t->tape);
    plm_loader_free(t->loader);
    plm__delete(t->ctx, t->statistics);
    plm__delete(t->ctx, t->recipe);
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
static bool check_last_batch(const plm__training *t, int64_t count)
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
    if (d->save_epochs < 0 || d->save_steps < 0 || ((d->save_epochs || d->save_steps) && !d->run))
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: save_epochs is %d, save_steps %lld, %s", d->save_epochs,
                         (long long)d->save_steps, d->run ? "expected 0 or more" : "but there is no run to save into");
    if (d->on_nonfinite != PLM_NONFINITE_STOP && d->on_nonfinite != PLM_NONFINITE_SKIP)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: there is no on_nonfinite %d", (int)d->on_nonfinite);
    if (d->run && d->run->ctx != ctx)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: the run belongs to another context than the graph");
    if (d->monitor && (d->monitor->o != opt || d->monitor->desc.loss != d->loss))
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: the monitor is of another %s",
                         d->monitor->o != opt ? "optimiser" : "loss");
    if (!plm__schedule_check(ctx, opt, d)) return false;
    return (!d->test || plm__train_check(ctx, d->test, d->loss, "plm_train: test")) &&
           (!d->val || plm__train_check(ctx, d->val, d->loss, "plm_train: val"));
}

bool plm_train(plm_graph *net, plm_optimizer *opt, plm_dataset *data, const plm_train_desc *desc, plm_epoch *last)
{
    if (last) *last = empty_row(0);
    if (!net) return false;
    plm__training t = { .ctx = plm_graph_ctx(net), .net = net, .opt = opt, .desc = resolved(desc) };
    if (!check(t.ctx, opt, data, &t.desc)) return false;
    const int64_t count = plm_dataset_count(data);
    t.steps_per_epoch   = count / t.desc.batch + (count % t.desc.batch != 0);
    const bool ok       = check_last_batch(&t, count) && open_all(&t, data) && take_up(&t, data) && run(&t, last);
    plm__schedule_end(&t);
    close_all(&t);
    return ok;
}

/* test_monitor.c: what a monitor says of a training's steps, against plm_explain_step, against double, and that nobody notices. */
#include "train/resume.h"

#include <math.h>

enum { BATCH = 30, D_0 = 64, WIDE = 32, CLASSES = 10, LAYERS = 3, ROOM = 4096 };

static plm_dataset *digits(plm_ctx *ctx)
{
    job j = { .ctx = ctx };
    return job_data(&j, false);
}

/* ------------------------------------------------------------------ the numbers */

typedef struct {
    plm_monitor    *monitor;
    int64_t         stop, rows, last;
    plm_monitor_row row;
    plm_layer_step  layer[16];
} watcher;

static bool watch(void *user, const plm_step *step)
{
    watcher               *w   = user;
    const plm_monitor_row *row = plm_monitor_last(w->monitor);
    if (row) {
        assert_int_equal(row->step, step->step);
        assert_true(row->layers <= 16);
        w->rows++;
        w->last = row->step;
        w->row  = *row;
        memcpy(w->layer, row->layer, (size_t)row->layers * sizeof *row->layer);
    }
    return step->step != w->stop;
}

/* Of the first step, plm_explain_step says the same, to the bit: with batch norm, dropout and convolutions. */
static void test_first_step(void **state)
{
    plm_ctx       *ctx   = *state;
    plm_dataset   *data  = digits(ctx);
    plm_graph     *net   = residual_net(ctx), *twin;
    plm_optimizer *o     = plm_adam_new(net, NULL), *other;
    watcher        w     = { .monitor = plm_monitor_new(o, &(plm_monitor_desc){ .loss = PLM_LOSS_XENT }), .stop = 1 };
    plm_train_desc train = {
        .batch = BATCH, .loss = PLM_LOSS_XENT, .monitor = w.monitor, .on_step = watch, .user = &w
    };
    assert_true(plm_train(net, o, data, &train, NULL));
    twin           = residual_net(ctx);
    other          = plm_adam_new(twin, NULL);
    plm_explain *e = plm_explain_new(twin, &(plm_explain_desc){ .loss = PLM_LOSS_XENT, .data = data, .batch = BATCH });
    plm_step_terms     t;
    plm_layer_step     layer[16];
    const plm_explain *facts = plm_monitor_facts(w.monitor);
    assert_true(plm_explain_step(e, other, false, &t, layer));
    assert_int_equal(w.rows, 1);
    assert_int_equal(w.row.layers, plm_explain_layers(e));
    assert_memory_equal(&w.row.terms, &t, sizeof t);
    assert_memory_equal(w.layer, layer, (size_t)w.row.layers * sizeof *layer);
    assert_close(plm_explain_layer(facts, 1)->op, plm_explain_layer(e, 1)->op, 0, 0);
    assert_true(isnan(w.row.majorisation) && isnan(w.row.df_theory)); /* not Adam's */
    plm_explain_free(e);
    plm_monitor_free(w.monitor);
    plm_optimizer_free(other);
    plm_optimizer_free(o);
    plm_graph_free(twin);
    plm_graph_free(net);
    plm_dataset_free(data);
}

/* y [rows] = W [rows, cols] x */
static void times(const float *w, int64_t rows, int64_t cols, const double *x, double *y)
{
    for (int64_t r = 0; r < rows; r++) {
        y[r] = 0;
        for (int64_t c = 0; c < cols; c++) y[r] += (double)w[r * cols + c] * x[c];
    }
}

/* digits_net in double; the loss mse of the batch, and the outputs. */
static double forward(const float *w, const plm_batch *b, double f[BATCH][CLASSES])
{
    const float   *x = b->x.data, *at[LAYERS] = { w, w + WIDE * D_0, w + WIDE * D_0 + WIDE * WIDE };
    const int64_t *y    = b->y.data;
    double         loss = 0;
    for (int64_t s = 0; s < b->count; s++) {
        double h[D_0], g[WIDE];
        for (int i = 0; i < D_0; i++) h[i] = (double)x[s * D_0 + i];
        times(at[0], WIDE, D_0, h, g);
        for (int i = 0; i < WIDE; i++) h[i] = sqrt(2) * fmax(g[i], 0);
        times(at[1], WIDE, WIDE, h, g);
        for (int i = 0; i < WIDE; i++) h[i] = sqrt(2) * fmax(g[i], 0);
        times(at[2], CLASSES, WIDE, h, f[s]);
        for (int i = 0; i < CLASSES; i++)
            loss += pow(f[s][i] - (i == y[s] ? sqrt(CLASSES) : 0), 2) / CLASSES / (double)b->count;
    }
    return loss;
}

typedef struct {
    float  before[ROOM], after[ROOM], grad[ROOM];
    double f[2][BATCH][CLASSES];
} numbers;

static void check_row(const plm_monitor_row *row, const numbers *n, const double loss[2], const plm_batch *b)
{
    static const int64_t rows[LAYERS] = { WIDE, WIDE, CLASSES }, cols[LAYERS] = { D_0, WIDE, WIDE };
    double               G = 0, df = 0, linear = 0;
    for (int64_t k = 0, at = 0; k < LAYERS; at += rows[k] * cols[k], k++) {
        double g = 0, w = 0, d = 0, along = 0;
        for (int64_t i = at; i < at + rows[k] * cols[k]; i++) {
            const double change = (double)n->after[i] - (double)n->before[i];
            g += pow((double)n->grad[i], 2);
            w += pow((double)n->before[i], 2);
            d += change * change;
            along += (double)n->grad[i] * change;
        }
        const double s = sqrt((double)rows[k] / (double)cols[k]);
        assert_close(row->layer[k].grad, sqrt(g), 0, 1e-6);
        assert_close(row->layer[k].contribution, s * sqrt(g) / LAYERS, 0, 1e-6);
        assert_close(row->layer[k].update, sqrt(d / w), 0, 1e-5);
        assert_close(row->layer[k].linear, along, 0, 1e-9);
        assert_close(row->layer[k].stable_rank, g / pow(row->layer[k].grad_op, 2), 0, 1e-6);
        G += s * sqrt(g) / LAYERS;
        linear += along;
    }
    for (int64_t s = 0; s < b->count; s++)
        for (int i = 0; i < CLASSES; i++) df += pow(n->f[1][s][i] - n->f[0][s][i], 2) / (double)b->count;
    const plm_step_terms *t   = &row->terms;
    const double          eta = log((1 + sqrt(1 + 4 * G)) / 2);
    assert_int_equal(t->samples, b->count);
    assert_close(t->loss, loss[0], 0, 1e-5);
    assert_close(t->loss_after - t->loss, loss[1] - loss[0], 1e-5, 1e-3);
    assert_close(t->G, G, 0, 1e-6);
    assert_close(t->eta, eta, 0, 1e-6);
    assert_close(t->linear, linear, 0, 1e-9);
    assert_close(t->df_rms, sqrt(df), 0, 1e-4);
    assert_close(row->majorisation, -eta * G + pow(exp(eta) - 1, 2), 0, 1e-5); /* mse: c = 1 */
    assert_close(row->df_theory, sqrt(CLASSES) * (exp(eta) - 1), 0, 1e-5);
    assert_true(t->loss_after - t->loss <= t->majorised + t->remainder + 1e-9);
    assert_true(t->df_rms <= t->df_within);
}

/* A loop of one's own, of AGD: each second step, against double. */
static void test_numbers(void **state)
{
    plm_ctx       *ctx    = *state;
    plm_dataset   *data   = digits(ctx);
    plm_graph     *net    = digits_net(ctx, false);
    plm_optimizer *o      = plm_agd_new(net, NULL);
    plm_monitor   *m      = plm_monitor_new(o, &(plm_monitor_desc){ .every = 2 });
    plm_loader    *loader = plm_loader_new(data, &(plm_loader_desc){ .batch = BATCH });
    plm_tape      *tape   = plm_tape_new(ctx, NULL);
    numbers       *n      = calloc(1, sizeof *n);
    plm_batch      batch;
    assert_ok(ctx);
    for (int step = 1; step <= 5 && plm_loader_next(loader, &batch); step++) {
        int64_t at = 0, count;
        float  *w  = all_params(net, &count);
        assert_true(count <= ROOM);
        memcpy(n->before, w, (size_t)count * sizeof *w);
        free(w);
        const plm_val out = plm_graph_apply(net, plm_tape_input(tape, batch.x));
        assert_true(plm_backward(plm_loss_apply(PLM_LOSS_MSE, out, batch.y)));
        for (int i = 0; i < plm_graph_param_count(net); i++) {
            const plm_param *p = plm_graph_param(net, i);
            count              = plm_shape_count(plm_param_shape(p));
            assert_true(plm_param_read_grad(p, n->grad + at, count));
            at += count;
        }
        assert_true(plm_monitor_before(m, step, out, &batch));
        assert_null(plm_monitor_last(m));
        assert_true(plm_optimizer_step(o));
        assert_true(plm_monitor_after(m)); /* the tape may be reset or not */
        plm_tape_reset(tape);
        w = all_params(net, &count);
        memcpy(n->after, w, (size_t)count * sizeof *w);
        free(w);
        const plm_monitor_row *row = plm_monitor_last(m);
        assert_int_equal(row != NULL, step % 2);
        if (!row) continue;
        assert_int_equal(row->step, step);
        assert_close(row->terms.rate, plm_optimizer_info(o)->eta, 0, 0);
        assert_close(row->layer[1].update, plm_optimizer_info(o)->update[1], 0, 1e-5);
        const double loss[2] = { forward(n->before, &batch, n->f[0]), forward(n->after, &batch, n->f[1]) };
        check_row(row, n, loss, &batch);
    }
    free(n);
    plm_tape_free(tape);
    plm_loader_free(loader);
    plm_monitor_free(m);
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_dataset_free(data);
}

/* ------------------------------------------------------------------ nobody notices */

/* Weights, running statistics and the last row of a training; the caller frees. */
static float *trained(const plm_optimizer_kind *kind, int64_t every, int64_t *count, watcher *w, plm_epoch *last)
{
    plm_ctx       *ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .seed = 4 });
    plm_dataset   *data = digits(ctx);
    plm_graph     *net  = residual_net(ctx);
    plm_optimizer *o    = plm_optimizer_new(net, kind, NULL);
    plm_monitor   *m    = every ? plm_monitor_new(o, &(plm_monitor_desc){ .every = every }) : NULL;
    *w                  = (watcher){ .monitor = m };
    /* The last batch of an epoch is shorter. */
    const plm_train_desc d  = { .epochs = 1, .batch = 32, .test = data, .monitor = m, .on_step = watch, .user = w };
    const bool           ok = plm_train(net, o, data, &d, last);
    assert_ok(ctx);
    assert_true(ok);
    float *all = all_params(net, count);
    plm_monitor_free(m);
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    return all;
}

static void test_same_bits(void **state)
{
    (void)state;
    for (const plm_optimizer_kind *const *kind = plm_optimizer_kinds(); *kind; kind++) {
        int64_t   count[2];
        watcher   w;
        plm_epoch last[2];
        float    *alone = trained(*kind, 0, &count[0], &w, &last[0]),
              *watched  = trained(*kind, 2, &count[1], &w, &last[1]);
        assert_int_equal(w.rows, 3); /* of 5: 1, 3, 5 */
        assert_int_equal(w.last, 5);
        assert_true(w.row.terms.G > 0 && w.row.terms.df_rms > 0 && w.layer[0].update > 0 &&
                    w.layer[0].stable_rank >= 1);
        assert_int_equal(isfinite(w.row.majorisation), strcmp((*kind)->name, "agd") == 0);
        assert_int_equal(count[0], count[1]);
        assert_memory_equal(alone, watched, (size_t)count[0] * sizeof *alone);
        last[1].seconds = last[0].seconds;
        assert_close(last[1].train.loss, last[0].train.loss, 0, 0);
        assert_close(last[1].test.loss, last[0].test.loss, 0, 0);
        free(alone);
        free(watched);
    }
}

static bool unmoved(void *user, const plm_step *step)
{
    const plm_monitor_row *row = plm_monitor_last(user);
    assert_non_null(row);
    assert_close(row->terms.df_max, 0, 0, 0);
    assert_close(row->terms.loss_after, row->terms.loss, 0, 0);
    return step->step < 3;
}

/* Before and after a step dropout draws the same: without a step nothing moves. */
static void test_same_masks(void **state)
{
    plm_dataset   *data = digits(*state);
    plm_graph     *net  = residual_net(*state);
    plm_optimizer *o    = plm_sgd_new(net, &(plm_sgd_desc){ .lr = 1e-30 });
    plm_monitor   *m    = plm_monitor_new(o, NULL);
    assert_true(
        plm_train(net, o, data, &(plm_train_desc){ .monitor = m, .batch = 20, .on_step = unmoved, .user = m }, NULL));
    plm_monitor_free(m);
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_dataset_free(data);
}

/* After the first epoch there is every batch size. */
typedef struct {
    plm_ctx      *ctx;
    plm_ctx_stats warm, end;
} account;

static bool look(void *user, const plm_step *step)
{
    account *m = user;
    if (step->step == 10) m->warm = plm_ctx_statistics(m->ctx);
    m->end = plm_ctx_statistics(m->ctx);
    return true;
}

static void test_steady(void **state)
{
    account        seen = { .ctx = *state };
    plm_dataset   *data = digits(seen.ctx);
    plm_graph     *net  = residual_net(seen.ctx);
    plm_optimizer *o    = plm_agd_new(net, NULL);
    plm_monitor   *m    = plm_monitor_new(o, NULL);
    assert_true(plm_train(net, o, data,
                          &(plm_train_desc){ .epochs = 3, .batch = 32, .monitor = m, .on_step = look, .user = &seen },
                          NULL));
    assert_int_equal(seen.end.allocations, seen.warm.allocations);
    assert_int_equal(seen.end.bytes, seen.warm.bytes);
    plm_monitor_free(m);
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_dataset_free(data);
}

/* ------------------------------------------------------------------ what can go wrong */

static void test_errors(void **state)
{
    plm_ctx       *ctx  = *state;
    plm_dataset   *data = digits(ctx);
    plm_graph     *net  = digits_net(ctx, false);
    plm_optimizer *o = plm_agd_new(net, NULL), *other = plm_sgd_new(net, NULL);
    plm_tape      *tape = plm_tape_new(ctx, NULL);
    static float   x[2 * D_0], numbers_of[2];
    int64_t        y[2] = { 3, 4 };
    plm_batch      b    = { .x     = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 1, 8, 8), x),
                            .y     = plm_tensor_wrap(PLM_I64, plm_shape_of(2), y),
                            .count = 2 };
    x[0] = x[D_0 + 5] = 1;
    assert_null(plm_monitor_new(NULL, NULL));
    assert_null(plm_monitor_new(o, &(plm_monitor_desc){ .every = -1 }));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_monitor_new: every is -1");
    assert_null(plm_monitor_new(o, &(plm_monitor_desc){ .loss = (plm_loss)9 }));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_monitor_new: there is no loss 9");
    plm_monitor *m = plm_monitor_new(o, NULL);
    assert_false(plm_train(net, other, data, &(plm_train_desc){ .monitor = m }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_train: the monitor is of another optimiser");
    assert_false(plm_train(net, o, data, &(plm_train_desc){ .monitor = m, .loss = PLM_LOSS_XENT }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_train: the monitor is of another loss");
    assert_false(plm_run_monitor(NULL, m));

    plm_val out = plm_graph_apply(net, plm_tape_input(tape, b.x));
    assert_true(plm_backward(plm_loss_apply(PLM_LOSS_MSE, out, b.y)));
    assert_false(plm_monitor_before(m, 0, out, &b));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_monitor_before: step is 0, the first is 1");
    assert_false(plm_monitor_before(m, 1, plm_none, &b));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_monitor_before: out is none");
    assert_false(plm_monitor_before(m, 1, out, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_monitor_before: batch is NULL");
    plm_batch wrong = b;
    wrong.count     = 1;
    assert_false(plm_monitor_before(m, 1, out, &wrong));
    assert_error(ctx, PLM_ERR_SHAPE, "plm_monitor_before: x and y are not 1 samples of the network's");
    wrong   = b;
    wrong.y = plm_tensor_wrap(PLM_F32, plm_shape_of(2), numbers_of);
    assert_false(plm_monitor_before(m, 1, out, &wrong));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_monitor_before: the targets are numbers, expected classes");

    /* A step that was not taken is no row, nor is one that nobody began. */
    out = plm_graph_apply(net, plm_tape_input(tape, b.x)); /* clearing an error has reset the tape */
    assert_true(plm_backward(plm_loss_apply(PLM_LOSS_MSE, out, b.y)));
    assert_true(plm_monitor_before(m, 1, out, &b));
    assert_true(plm_monitor_after(m));
    assert_null(plm_monitor_last(m));
    assert_true(plm_monitor_before(m, 1, out, &b));
    assert_true(plm_optimizer_step(o));
    assert_true(plm_monitor_after(m));
    assert_non_null(plm_monitor_last(m));
    assert_true(plm_monitor_after(m));
    assert_non_null(plm_monitor_last(m));
    assert_null(plm_monitor_last(NULL));
    assert_null(plm_monitor_facts(NULL));
    assert_false(plm_monitor_before(NULL, 1, out, &b) || plm_monitor_after(NULL));
    plm_monitor_free(NULL);
    plm_monitor_free(m);
    plm_tape_free(tape);
    plm_optimizer_free(other);
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_dataset_free(data);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    bool all = false; /* the pool tries again when it has given back what it can, so a training may survive one */
    for (int64_t k = 0; !all; k++) {
        test_allocator memory = { .fail_at = k };
        plm_ctx       *ctx    = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&memory) });
        plm_dataset   *data   = ctx ? digits(ctx) : NULL;
        plm_graph     *net    = data ? plm_graph_new(ctx) : NULL;
        if (net) {
            const plm_node h = plm_nn_flatten(plm_nn_input(net, plm_shape_of(1, 8, 8)));
            plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 10 }), "y");
        }
        plm_optimizer *o = plm_agd_new(net, NULL);
        plm_monitor   *m = plm_monitor_new(o, NULL);
        watcher        w = { .monitor = m, .stop = 1 };
        const bool     done =
            m && plm_train(net, o, data, &(plm_train_desc){ .monitor = m, .on_step = watch, .user = &w }, NULL);
        if (ctx && !done) assert_int_equal(plm_ctx_status(ctx), PLM_ERR_MEMORY);
        assert_int_equal(w.rows, done);
        plm_monitor_free(m);
        plm_optimizer_free(o);
        plm_graph_free(net);
        plm_dataset_free(data);
        plm_ctx_free(ctx);
        assert_int_equal(memory.outstanding, 0);
        all = memory.calls <= k;
        assert_true(k < 2000 && done >= all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_first_step),
        ctx_test(test_numbers),
        cmocka_unit_test(test_same_bits),
        ctx_test(test_same_masks),
        ctx_test(test_steady),
        ctx_test(test_errors),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_nonfinite.c: steps whose numbers are not finite: training stops where it was, or leaves them out. */
#include "train/resume.h"

#include <math.h>

static char dir[2][1024];

/* What get_sample makes of all samples or of samples 11 and 57: large numbers, a nan, numbers with which the loss overflows. */
static enum { LARGE_INPUT, NAN_INPUT, HUGE_INPUT, ALL_NAN } kind;

static bool get_sample(void *user, plm_ctx *ctx, int64_t index, float *x, int64_t *label)
{
    (void)user, (void)ctx;
    test_fill(x, 64, (uint64_t)index, 0, 1);
    const bool bad = index == 11 || index == 57;
    if (kind == ALL_NAN || (kind == NAN_INPUT && bad)) x[5] = NAN;
    if (kind == LARGE_INPUT || (kind == HUGE_INPUT && bad))
        for (int i = 0; i < 64; i++) x[i] *= kind == LARGE_INPUT ? 1e4f : 1e30f;
    *label = index % 10;
    return true;
}

/* A network on which a huge input has an infinite loss; batch norm has moved its statistics by then. */
static plm_graph *net_of(plm_ctx *ctx)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_flatten(plm_nn_input(net, plm_shape_of(1, 8, 8)));
    plm_node   n   = plm_nn_batch_norm(plm_nn_linear(h, &(plm_linear_desc){ .name = "first", .out = 16 }), NULL);
    n              = plm_nn_relu(n, NULL);
    h = plm_nn_concat((const plm_node[]){ n, plm_nn_linear(h, &(plm_linear_desc){ .name = "beside", .out = 4 }) }, 2,
                      NULL);
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "last", .out = 10 }), "logits");
    assert_ok(ctx);
    return net;
}

typedef struct {
    plm_ctx       *ctx;
    plm_dataset   *data;
    plm_graph     *net;
    plm_optimizer *opt;
    float         *before; /* parameters when the last step had been taken */
    int64_t        count, steps, last_step;
} watched;

static watched start(int64_t samples)
{
    watched w = { .ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }) };
    w.data    = plm_dataset_from_callback(
           w.ctx,
           &(plm_callback_desc){ .count = samples, .x_shape = plm_shape_of(1, 8, 8), .classes = 10, .get = get_sample });
    w.net    = net_of(w.ctx);
    w.opt    = plm_adam_new(w.net, NULL);
    w.before = all_params(w.net, &w.count);
    assert_ok(w.ctx);
    return w;
}

static void end(watched *w)
{
    free(w->before);
    plm_optimizer_free(w->opt);
    plm_graph_free(w->net);
    plm_dataset_free(w->data);
    plm_ctx_free(w->ctx);
}

static bool remember(void *user, const plm_step *step)
{
    watched *w = user;
    free(w->before);
    w->before    = all_params(w->net, &w->count);
    w->last_step = step->step;
    w->steps++;
    return true;
}

static void assert_as_before(const watched *w)
{
    int64_t n;
    float  *now = all_params(w->net, &n);
    assert_memory_equal(now, w->before, (size_t)n * sizeof *now);
    free(now);
}

/* It stops, names what, step and batch; all parameters, statistics too, are those of the last step that was taken. */
static void test_stops(void **state)
{
    (void)state;
    for (kind = NAN_INPUT; kind <= HUGE_INPUT; kind++) {
        watched w = start(150);
        char    where[64];
        assert_false(plm_train(w.net, w.opt, w.data,
                               &(plm_train_desc){ .epochs = 1, .batch = 10, .on_step = remember, .user = &w }, NULL));
        snprintf(where, sizeof where, " (in epoch 1, step %d, batch %d of 15)", (int)w.last_step + 1,
                 (int)w.last_step + 1);
        const char *const named = kind == NAN_INPUT ? "holds nan: sample " : "is not finite, nor is the loss";
        if (!strstr(plm_ctx_error(w.ctx), named)) print_error("%s\n", plm_ctx_error(w.ctx));
        assert_non_null(strstr(plm_ctx_error(w.ctx), named));
        assert_error(w.ctx, PLM_ERR_NONFINITE, where);
        assert_as_before(&w);
        assert_int_equal(plm_optimizer_info(w.opt)->step, w.steps);
        end(&w);
    }
}

/* 30 batches, of which two or (both in one) one are left out in each of two epochs. */
static void test_leaves_out(void **state)
{
    (void)state;
    for (kind = NAN_INPUT; kind <= HUGE_INPUT; kind++) {
        watched   w = start(150);
        plm_epoch last;
        assert_true(plm_train(
            w.net, w.opt, w.data,
            &(plm_train_desc){
                .epochs = 2, .batch = 10, .on_step = remember, .user = &w, .on_nonfinite = PLM_NONFINITE_SKIP },
            &last));
        assert_in_range(last.skipped, 2, 4);
        assert_int_equal(w.steps, 30 - last.skipped);
        assert_int_equal(plm_optimizer_info(w.opt)->step, w.steps);
        assert_in_range(last.train.count, 130, 140); /* of the last epoch */
        assert_true(isfinite(last.train.loss) && isfinite(last.eta.mean));
        for (int64_t i = 0; i < w.count; i++) assert_true(isfinite(w.before[i]));
        assert_int_equal(plm_ctx_status(w.ctx), PLM_OK);
        end(&w);
    }
}

/* A step that is left out has left no trace: a training by hand that never sees those batches ends with the same bits. */
static void test_no_trace(void **state)
{
    (void)state;
    kind      = HUGE_INPUT;
    watched w = start(150);
    assert_true(plm_train(w.net, w.opt, w.data,
                          &(plm_train_desc){ .epochs = 2, .batch = 10, .on_nonfinite = PLM_NONFINITE_SKIP }, NULL));
    watched     hand   = start(150);
    plm_loader *loader = plm_loader_new(hand.data, &(plm_loader_desc){ .batch = 10, .shuffle = true });
    plm_tape   *tape   = plm_tape_new(hand.ctx, NULL);
    plm_batch   batch;
    for (int epoch = 0; epoch < 2; epoch++)
        while (plm_loader_next(loader, &batch)) {
            const float *x    = batch.x.data;
            bool         huge = false;
            for (int i = 0; i < 640; i++) huge |= x[i] > 1;
            if (huge) continue;
            const plm_val out = plm_graph_apply(hand.net, plm_tape_input(tape, batch.x));
            assert_true(plm_backward(plm_mse_onehot(out, batch.y, NULL)) && plm_optimizer_step(hand.opt));
            plm_tape_reset(tape);
        }
    int64_t n;
    float  *a = all_params(w.net, &n), *b = all_params(hand.net, &n);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    free(a);
    free(b);
    plm_tape_free(tape);
    plm_loader_free(loader);
    end(&hand);
    end(&w);
}

static void test_nothing_left(void **state)
{
    (void)state;
    kind      = ALL_NAN;
    watched w = start(20);
    assert_false(
        plm_train(w.net, w.opt, w.data, &(plm_train_desc){ .batch = 10, .on_nonfinite = PLM_NONFINITE_SKIP }, NULL));
    assert_non_null(strstr(plm_ctx_error(w.ctx), "every step of epoch 1 was left out: "));
    assert_error(w.ctx, PLM_ERR_NONFINITE, "holds nan: sample 0, element 5 (in epoch 1, step 1, batch 1 of 2)");
    assert_as_before(&w);
    assert_false(plm_train(w.net, w.opt, w.data, &(plm_train_desc){ .on_nonfinite = (plm_nonfinite)7 }, NULL));
    assert_error(w.ctx, PLM_ERR_ARGUMENT, "plm_train: there is no on_nonfinite 7");
    assert_false(plm_train(w.net, w.opt, w.data, &(plm_train_desc){ .save_steps = 5 }, NULL));
    assert_error(w.ctx, PLM_ERR_ARGUMENT, "save_epochs is 0, save_steps 5, but there is no run to save into");
    plm_ctx *other = plm_ctx_new(NULL);
    plm_run *run   = plm_run_new(other, test_path("theirs"), "{}", false, false);
    assert_ok(other);
    assert_false(plm_train(w.net, w.opt, w.data, &(plm_train_desc){ .run = run, .save_epochs = -1 }, NULL));
    assert_error(w.ctx, PLM_ERR_ARGUMENT, "save_epochs is -1, save_steps 0, expected 0 or more");
    assert_false(plm_train(w.net, w.opt, w.data, &(plm_train_desc){ .run = run }, NULL));
    assert_error(w.ctx, PLM_ERR_ARGUMENT, "plm_train: the run belongs to another context than the graph");
    plm_run_free(run);
    plm_ctx_free(other);
    assert_as_before(&w);
    end(&w);
}

/* Steps so long that weights overflow, from gradients that are finite: too late to leave them out. */
static void test_weights_overflow(void **state)
{
    (void)state;
    kind               = LARGE_INPUT;
    watched        w   = start(20);
    plm_optimizer *sgd = plm_sgd_new(w.net, &(plm_sgd_desc){ .lr = 3e38 });
    assert_false(plm_train(w.net, sgd, w.data, &(plm_train_desc){ .on_nonfinite = PLM_NONFINITE_SKIP }, NULL));
    assert_error(w.ctx, PLM_ERR_NONFINITE, "infinite or nan (in epoch 1, step 1, batch 1 of 1)");
    plm_optimizer_free(sgd);
    end(&w);
}

/* The last good checkpoint stays; what stopped goes on with skip; left out steps are the same ones after a break. */
static void test_in_a_run(void **state)
{
    (void)state;
    kind = NAN_INPUT;
    snprintf(dir[0], sizeof dir[0], "%s", test_path("skips"));
    snprintf(dir[1], sizeof dir[1], "%s", test_path("stops"));
    recipe r = { .dir = dir[0], .opt = OPT_ADAM, .epochs = 3, .get = get_sample, .on_nonfinite = PLM_NONFINITE_SKIP };
    /* The evaluation must be finite: it has the same samples. */
    job j = { .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_NONFINITE, "(in epoch 0, step 0)");
    job_end(&j);

    r.without_test = true;
    j              = job_done(r);
    assert_in_range(j.last.skipped, 3, 6);
    r.dir          = dir[1];
    r.save_steps   = 1;
    r.on_nonfinite = PLM_NONFINITE_STOP;
    j              = (job){ .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_NONFINITE, "holds nan");
    job_end(&j);
    r.resume       = true;
    r.on_nonfinite = PLM_NONFINITE_SKIP;
    r.fail_at      = 13;
    job_done(r);
    r.fail_at = 0;
    j         = job_done(r);
    assert_in_range(j.last.skipped, 3, 6);
    assert_same_runs(dir[0], dir[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops),        cmocka_unit_test(test_leaves_out),       cmocka_unit_test(test_no_trace),
        cmocka_unit_test(test_nothing_left), cmocka_unit_test(test_weights_overflow), cmocka_unit_test(test_in_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

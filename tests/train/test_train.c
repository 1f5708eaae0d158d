/* test_train.c: the training loop. */
#include "train/check.h"

#include <math.h>

#define TRAINING 1500
#define BATCH 128
#define STEPS 12 /* an epoch; the last one has 92 samples */

/* What a run's callbacks see. */
typedef struct {
    plm_graph *net;
    plm_epoch  row[8];
    int        rows;
    int64_t    steps, stop_at; /* stop_at > 0: on_step says false there */
    int        stop_epoch;     /* > 0: on_epoch says false there */
    double     loss_sum, acc_sum;
    double     eta_sum, eta_min, eta_max;
    float     *untrained;
    int64_t    params;
} seen;

static bool on_step(void *user, const plm_step *step)
{
    seen *s = user;
    assert_int_equal(step->step, ++s->steps);
    assert_int_equal(step->epoch, (step->step - 1) / step->steps_per_epoch + 1);
    const int64_t place = (step->step - 1) % step->steps_per_epoch, n = place == STEPS - 1 ? 92 : BATCH;
    if (place == 0) s->loss_sum = s->acc_sum = s->eta_sum = 0;
    s->loss_sum += step->loss * (double)n;
    s->acc_sum += step->acc * (double)n;
    s->eta_sum += step->info->eta;
    s->eta_min = place == 0 || step->info->eta < s->eta_min ? step->info->eta : s->eta_min;
    s->eta_max = place == 0 || step->info->eta > s->eta_max ? step->info->eta : s->eta_max;
    return s->steps != s->stop_at;
}

static bool on_epoch(void *user, const plm_epoch *row)
{
    seen *s = user;
    assert_int_equal(row->epoch, s->rows);
    s->row[s->rows++] = *row;
    if (row->epoch == 0) s->untrained = all_params(s->net, &s->params);
    return row->epoch == 0 || row->epoch != s->stop_epoch;
}

typedef struct {
    uint64_t seed;
    bool     norm, evaluates, epoch_zero;
    int      epochs;
} recipe;

/* Trains in a fresh context; all parameters at the end, for the caller to free. */
static float *train_digits(recipe r, seen *s, int64_t *count)
{
    plm_ctx       *ctx  = plm_ctx_new(&(plm_ctx_desc){ .seed = r.seed, .threads = 2 });
    plm_dataset   *data = plm_dataset_named(ctx, "digits", NULL);
    plm_dataset   *test = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = true });
    plm_graph     *net  = digits_net(ctx, r.norm);
    plm_optimizer *agd  = plm_agd_new(net, NULL);
    plm_epoch      last;
    s->net                    = net;
    const plm_train_desc desc = { .epochs     = r.epochs,
                                  .test       = r.evaluates ? test : NULL,
                                  .test_batch = 50,
                                  .epoch_zero = r.epoch_zero,
                                  .on_step    = on_step,
                                  .on_epoch   = on_epoch,
                                  .user       = s };
    const bool           ok   = plm_train(net, agd, data, &desc, &last);
    assert_ok(ctx);
    assert_true(ok);
    assert_int_equal(last.epoch, s->row[s->rows - 1].epoch);
    float *all = all_params(net, count);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_dataset_free(test);
    plm_ctx_free(ctx);
    return all;
}

static void test_learns(void **state)
{
    (void)state;
    seen    s = { 0 };
    int64_t n;
    float  *all = train_digits((recipe){ .evaluates = true, .epochs = 6 }, &s, &n);
    assert_int_equal(s.rows, 7);
    assert_int_equal(s.steps, 6 * STEPS);
    assert_true(isnan(s.row[0].train.loss) && isnan(s.row[0].eta.mean) && isnan(s.row[0].seconds));
    assert_true(s.row[0].test.acc < 0.4); /* untrained */
    assert_true(s.row[6].train.loss < 0.5 * s.row[1].train.loss);
    assert_true(s.row[6].test.acc > 0.8);
    assert_int_equal(s.row[6].test.count, 297);
    assert_true(isnan(s.row[6].val.loss)); /* there is none */
    assert_true(s.row[6].seconds > 0);
    free(s.untrained);
    free(all);
}

/* Means over samples, the short last batch with its own weight. */
static void test_means(void **state)
{
    (void)state;
    seen    s = { 0 };
    int64_t n;
    float  *all = train_digits((recipe){ .epochs = 2 }, &s, &n);
    assert_int_equal(s.row[2].train.count, TRAINING);
    assert_close(s.row[2].train.loss, s.loss_sum / TRAINING, 0, 1e-12);
    assert_close(s.row[2].train.acc, s.acc_sum / TRAINING, 0, 1e-12);
    assert_close(s.row[2].eta.mean, s.eta_sum / STEPS, 0, 1e-12);
    assert_close(s.row[2].eta.min, s.eta_min, 0, 0);
    assert_close(s.row[2].eta.max, s.eta_max, 0, 0);
    assert_true(s.row[2].update.min > 0 && s.row[2].update.min <= s.row[2].update.mean);
    assert_true(s.row[2].update.mean <= s.row[2].update.max);
    free(s.untrained);
    free(all);
}

/* What the API's users write by hand. */
static float *train_by_hand(int epochs, int64_t *count)
{
    plm_ctx       *ctx    = plm_ctx_new(&(plm_ctx_desc){ .seed = 7, .threads = 2 });
    plm_dataset   *data   = plm_dataset_named(ctx, "digits", NULL);
    plm_loader    *loader = plm_loader_new(data, &(plm_loader_desc){ .batch = BATCH, .shuffle = true });
    plm_graph     *net    = digits_net(ctx, true);
    plm_optimizer *agd    = plm_agd_new(net, NULL);
    plm_tape      *tape   = plm_tape_new(ctx, NULL);
    plm_batch      batch;
    for (int epoch = 1; epoch <= epochs; epoch++)
        while (plm_loader_next(loader, &batch)) {
            plm_val out = plm_graph_apply(net, plm_tape_input(tape, batch.x));
            assert_true(plm_backward(plm_mse_onehot(out, batch.y, NULL)));
            assert_true(plm_optimizer_step(agd));
            plm_tape_reset(tape);
        }
    float *all = all_params(net, count);
    plm_tape_free(tape);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_loader_free(loader);
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    return all;
}

static void test_same_bits(void **state)
{
    (void)state;
    static const recipe recipes[] = {
        { .seed = 7, .norm = true, .epochs = 2 },
        { .seed = 7, .norm = true, .epochs = 2, .evaluates = true },
        { .seed = 7, .norm = true, .epochs = 2, .epoch_zero = true },
        { .seed = 7, .norm = true, .epochs = 2, .evaluates = true, .epoch_zero = true },
    };
    int64_t n;
    float  *hand = train_by_hand(2, &n);
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        seen    s = { 0 };
        int64_t m;
        float  *all = train_digits(recipes[i], &s, &m);
        assert_int_equal(m, n);
        assert_memory_equal(all, hand, (size_t)n * sizeof *all);
        free(s.untrained);
        free(all);
    }
    seen    s = { 0 };
    int64_t m;
    float  *other = train_digits((recipe){ .seed = 8, .norm = true, .epochs = 2 }, &s, &m);
    assert_int_equal(m, n);
    assert_memory_not_equal(other, hand, (size_t)n * sizeof *other);
    free(s.untrained);
    free(other);
    free(hand);
}

static void test_epoch_zero(void **state)
{
    (void)state;
    seen    with = { 0 }, without = { .stop_at = 1 };
    int64_t n, m;
    float  *a = train_digits((recipe){ .norm = true, .epoch_zero = true, .evaluates = true, .epochs = 1 }, &with, &n);
    float  *b = train_digits((recipe){ .norm = true, .epochs = 1 }, &without, &m);
    assert_int_equal(with.params, without.params);
    assert_memory_equal(with.untrained, without.untrained, (size_t)with.params * sizeof(float));
    assert_int_equal(with.row[0].train.count, TRAINING);
    assert_true(with.row[0].train.loss > 0 && with.row[0].train.acc < 0.4);
    assert_true(with.row[0].eta.min > 0 && with.row[0].eta.min <= with.row[0].eta.mean);
    assert_true(isnan(with.row[0].update.mean)); /* no step */
    assert_int_equal(with.row[0].test.count, 297);
    free(with.untrained);
    free(without.untrained);
    free(a);
    free(b);
}

static void test_callbacks_stop(void **state)
{
    (void)state;
    seen    in_epoch = { .stop_at = STEPS + 3 }, after_one = { .stop_epoch = 1 };
    int64_t n;
    free(train_digits((recipe){ .epochs = 4 }, &in_epoch, &n));
    assert_int_equal(in_epoch.steps, STEPS + 3);
    assert_int_equal(in_epoch.rows, 2); /* the third epoch is not whole */
    free(train_digits((recipe){ .epochs = 4 }, &after_one, &n));
    assert_int_equal(after_one.steps, STEPS);
    assert_int_equal(after_one.rows, 2);
    free(in_epoch.untrained);
    free(after_one.untrained);
}

typedef struct {
    plm_ctx      *ctx;
    plm_ctx_stats first; /* after the first epoch: a full batch, a short one, an evaluation */
    int           epochs, later;
} counts;

static void assert_as_first(const counts *c)
{
    const plm_ctx_stats now = plm_ctx_statistics(c->ctx);
    assert_int_equal(now.allocations, c->first.allocations);
    assert_int_equal(now.primitives, c->first.primitives);
    assert_int_equal(now.bytes, c->first.bytes);
}

static bool count_step(void *user, const plm_step *step)
{
    counts *c = user;
    if (step->epoch == 1) return true;
    assert_as_first(c);
    c->later++;
    return true;
}

static bool count_epoch(void *user, const plm_epoch *row)
{
    counts *c = user;
    if (row->epoch == 1) c->first = plm_ctx_statistics(c->ctx);
    if (row->epoch > 1) assert_as_first(c);
    c->epochs++;
    return true;
}

/* 200 samples: a full batch, a short one, an evaluation; a full batch again, and so on. */
static void test_steady(void **state)
{
    plm_ctx       *ctx  = *state;
    counts         c    = { .ctx = ctx };
    plm_dataset   *all  = plm_dataset_named(ctx, "digits", NULL), *data, *rest;
    plm_dataset   *test = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = true });
    plm_graph     *net  = digits_net(ctx, true);
    plm_optimizer *agd  = plm_agd_new(net, NULL);
    assert_true(plm_dataset_split(all, 200.5 / TRAINING, &(plm_split_desc){ .ordered = true }, &data, &rest));
    const plm_train_desc desc = {
        .epochs = 4, .test = test, .val = rest, .on_step = count_step, .on_epoch = count_epoch, .user = &c
    };
    assert_true(plm_train(net, agd, data, &desc, NULL));
    assert_int_equal(c.later, 6);
    assert_int_equal(c.epochs, 5);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_dataset_free(rest);
    plm_dataset_free(all);
    plm_dataset_free(test);
}

static void test_divergence(void **state)
{
    plm_ctx       *ctx  = *state;
    plm_dataset   *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph     *net  = digits_net(ctx, false);
    plm_optimizer *sgd  = plm_sgd_new(net, &(plm_sgd_desc){ .lr = 1e6 });
    assert_false(plm_train(net, sgd, data, &(plm_train_desc){ .epochs = 1 }, NULL));
    assert_error(ctx, PLM_ERR_NONFINITE, "(in epoch 1, step ");
    plm_optimizer_free(sgd);
    plm_graph_free(net);
    plm_dataset_free(data);
}

/* The weights of the last step are in nobody's gradient, but the evaluation sees them. */
static void test_divergence_in_last_step(void **state)
{
    plm_ctx       *ctx  = *state;
    plm_dataset   *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph     *net  = digits_net(ctx, false);
    plm_optimizer *sgd  = plm_sgd_new(net, &(plm_sgd_desc){ .lr = 1e30 });
    assert_false(plm_train(net, sgd, data, &(plm_train_desc){ .epochs = 1, .batch = TRAINING, .test = data }, NULL));
    assert_non_null(strstr(plm_ctx_error(ctx), "the loss on digits is "));
    assert_error(ctx, PLM_ERR_NONFINITE, " (in epoch 1, step 1)");
    plm_optimizer_free(sgd);
    plm_graph_free(net);
    plm_dataset_free(data);
}

static bool count_steps(void *user, const plm_step *step)
{
    *(int64_t *)user = step->step;
    return true;
}

static bool train_129(plm_graph *net, plm_dataset *data, int64_t batch)
{
    plm_optimizer       *agd   = plm_agd_new(net, NULL);
    int64_t              steps = 0;
    const plm_train_desc desc  = { .epochs = 1, .batch = batch, .on_step = count_steps, .user = &steps };
    const bool           ok    = plm_train(net, agd, data, &desc, NULL);
    assert_int_equal(steps, ok ? 2 : 0); /* refused before the first step */
    plm_optimizer_free(agd);
    return ok;
}

/* 129 samples leave one for the last batch of 128: too few for a batch norm of features, enough for one of images. */
static void test_one_sample_left(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *all = plm_dataset_named(ctx, "digits", NULL), *data, *rest;
    assert_true(plm_dataset_split(all, 129.5 / TRAINING, NULL, &data, &rest));
    plm_graph *net = digits_net(ctx, true);
    assert_false(train_129(net, data, 128));
    assert_error(
        ctx, PLM_ERR_ARGUMENT,
        "plm_train: the last batch of an epoch would have one sample (129 samples, batch 128), with which batch "
        "norm cannot train");
    assert_true(train_129(net, data, 127));
    plm_graph_free(net);
    net = digits_net(ctx, false);
    assert_true(train_129(net, data, 128));
    plm_graph_free(net);
    net        = plm_graph_new(ctx);
    plm_node h = plm_nn_input(net, plm_shape_of(1, 8, 8));
    h          = plm_nn_flatten(plm_nn_batch_norm(plm_nn_conv2d(h, &(plm_conv2d_desc){ .out = 2 }), NULL));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 10 }), "logits");
    assert_true(train_129(net, data, 128));
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_dataset_free(rest);
    plm_dataset_free(all);
}

static bool get_nan(void *user, plm_ctx *ctx, int64_t index, float *x, int64_t *label)
{
    (void)user, (void)ctx;
    for (int i = 0; i < 64; i++) x[i] = index == 11 && i == 5 ? NAN : (float)i / 64;
    *label = index % 10;
    return true;
}

static void test_nan_in_batch(void **state)
{
    plm_ctx     *ctx  = *state;
    plm_dataset *data = plm_dataset_from_callback(
        ctx, &(plm_callback_desc){ .count = 20, .x_shape = plm_shape_of(1, 8, 8), .classes = 10, .get = get_nan });
    plm_graph     *net = digits_net(ctx, false);
    plm_optimizer *agd = plm_agd_new(net, NULL);
    assert_false(plm_train(net, agd, data, NULL, NULL));
    assert_non_null(strstr(plm_ctx_error(ctx), "holds nan: sample "));
    assert_error(ctx, PLM_ERR_NONFINITE, " (in epoch 1, step 1, batch 1 of 1)");
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
}

static void test_bad_arguments(void **state)
{
    plm_ctx       *ctx   = *state;
    plm_ctx       *other = plm_ctx_new(NULL);
    plm_dataset   *data = plm_dataset_named(ctx, "digits", NULL), *foreign = plm_dataset_named(other, "digits", NULL);
    plm_graph     *net = digits_net(ctx, false);
    plm_optimizer *agd = plm_agd_new(net, NULL);
    assert_false(plm_train(NULL, agd, data, NULL, NULL));
    assert_false(plm_train(net, agd, NULL, NULL, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "data is NULL");
    assert_false(plm_train(net, NULL, data, NULL, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "opt is NULL");
    assert_false(plm_train(net, agd, foreign, NULL, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "another context");
    assert_false(plm_train(net, agd, data, &(plm_train_desc){ .test = foreign }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_train: test");
    assert_false(plm_train(net, agd, data, &(plm_train_desc){ .epochs = -1 }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "epochs is -1");
    assert_false(plm_train(net, agd, data, &(plm_train_desc){ .loss = (plm_loss)9 }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "no loss 9");
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_dataset_free(foreign);
    plm_ctx_free(other);
}

/* Everything from the data set to the last epoch, with an allocator that may fail. */
static bool small_training(plm_ctx *ctx)
{
    static float   x[20 * 4];
    static int64_t y[20];
    test_fill(x, 20 * 4, 1, -1, 1);
    for (int i = 0; i < 20; i++) y[i] = i % 3;
    const plm_arrays_desc arrays = { .x = plm_tensor_wrap(PLM_F32, plm_shape_of(20, 4), x),
                                     .y = plm_tensor_wrap(PLM_I64, plm_shape_of(20), y) };
    plm_dataset          *data   = plm_dataset_from_arrays(ctx, &arrays);
    plm_graph            *net    = plm_graph_new(ctx);
    plm_optimizer        *agd    = NULL;
    if (net) {
        plm_node h = plm_nn_linear(plm_nn_input(net, plm_shape_of(4)), &(plm_linear_desc){ .out = 8 });
        h          = plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL);
        plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 3 }), "logits");
        agd = plm_agd_new(net, NULL);
    }
    const plm_train_desc desc = { .epochs = 1, .batch = 16, .test = data, .epoch_zero = true };
    const bool           ok   = data && agd && plm_train(net, agd, data, &desc, NULL);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    return ok;
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    bool    ok = false;
    int64_t k  = 0;
    for (; !ok; k++) {
        test_allocator a   = { .fail_at = k };
        plm_ctx       *ctx = plm_ctx_new(&(plm_ctx_desc){ .allocator = test_allocator_make(&a), .threads = 2 });
        if (!ctx) continue;
        ok = small_training(ctx);
        /* The pool gives its unused blocks back and tries again, so a failure may pass unseen. */
        if (!ok) assert_int_equal(plm_ctx_status(ctx), PLM_ERR_MEMORY);
        else if (a.calls > k) ok = false;
        plm_ctx_free(ctx);
        assert_int_equal(a.outstanding, 0);
    }
    assert_true(k > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_epoch_zero),
        cmocka_unit_test(test_callbacks_stop),
        ctx_test(test_steady),
        ctx_test(test_divergence),
        ctx_test(test_divergence_in_last_step),
        ctx_test(test_one_sample_left),
        ctx_test(test_nan_in_batch),
        ctx_test(test_bad_arguments),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

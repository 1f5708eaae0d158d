/* test_steps.c: whole training steps: out of memory anywhere, nothing new after two steps, the same bits, errors midway. */
#include "nets.h"

#include <math.h>

enum { FULL = 16, SHORT = 5, ROOM = 64 * 16 * 16 * 3 };

typedef plm_graph *(*builder)(plm_ctx *ctx);

/* One training: a network, its optimiser, a tape to train and one to evaluate. */
typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net;
    plm_optimizer *optimizer;
    plm_tape      *tape, *eval;
} training;

static void training_end(training *t)
{
    plm_tape_free(t->tape);
    plm_tape_free(t->eval);
    plm_optimizer_free(t->optimizer);
    plm_graph_free(t->net);
    plm_ctx_free(t->ctx);
    memset(t, 0, sizeof *t);
}

static bool training_start(training *t, const plm_ctx_desc *desc, builder build)
{
    t->ctx       = plm_ctx_new(desc);
    t->net       = t->ctx ? build(t->ctx) : NULL;
    t->optimizer = t->ctx ? plm_agd_new(t->net, NULL) : NULL;
    t->tape      = plm_tape_new(t->ctx, NULL);
    t->eval      = plm_tape_new(t->ctx, &(plm_tape_desc){ .eval = true, .no_grad = true });
    return t->optimizer && t->tape && t->eval;
}

/* Owned here, since a failed assertion jumps. */
typedef struct {
    training one, two;
    float   *x, *a, *b;
    int64_t  labels[64], bad[64];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->x   = calloc(ROOM, sizeof(float));
    f->a   = calloc(ROOM, sizeof(float));
    f->b   = calloc(ROOM, sizeof(float));
    *state = f;
    if (!f->x || !f->a || !f->b) return -1;
    test_fill(f->x, ROOM, 3, -1, 1);
    for (int i = 0; i < 64; i++) f->labels[i] = f->bad[i] = i * 7 % 4;
    f->bad[2] = 99;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    training_end(&f->one);
    training_end(&f->two);
    free(f->x);
    free(f->a);
    free(f->b);
    free(f);
    return 0;
}

static const plm_ctx_desc usual = { .seed = 11, .threads = 2 };

static plm_graph *residual(plm_ctx *ctx)
{
    return net_preact(ctx, &(net_preact_desc){ .blocks = { 1, 1, 1 } });
}

static plm_graph *residual_tiny(plm_ctx *ctx)
{
    return net_preact(ctx, &(net_preact_desc){ .blocks = { 0, 1, 0 } });
}

/* 12 channels all the way: no multiple of any block. */
static plm_graph *twelve(plm_ctx *ctx)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   h = plm_nn_input(g, plm_shape_of(12, 9, 9));
    for (int i = 0; i < 3; i++) {
        h = plm_nn_conv2d(h, &(plm_conv2d_desc){ .out = 12, .pad = 1 });
        h = plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL);
    }
    h = plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 3, .stride = 2, .pad = 1 });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = 7 }), "y");
    return g;
}

/* Depthwise, pointwise, grouped, dilated; a mean over what is left of the image. */
static plm_graph *separable(plm_ctx *ctx)
{
    static const plm_conv2d_desc convs[] = { { .out = 12, .pad = 1, .groups = 12 },
                                             { .out = 32, .kernel = 1 },
                                             { .out = 32, .pad = 1, .groups = 32, .stride = 2 },
                                             { .out = 32, .pad = 1, .groups = 2 },
                                             { .out = 16, .pad = 2, .dilation = 2 } };
    plm_graph                   *g       = plm_graph_new(ctx);
    plm_node                     h       = plm_nn_input(g, plm_shape_of(12, 9, 9));
    for (int i = 0; i < 5; i++) h = plm_nn_relu(plm_nn_batch_norm(plm_nn_conv2d(h, &convs[i]), NULL), NULL);
    h = plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .kernel = 3, .stride = 1, .pad = 1, .exclude_pad = true });
    h = plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .global = true });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = 7 }), "y");
    return g;
}

/* Dense connections: three layers of 16 channels, each of which sees all before it; then half of them. */
static plm_graph *dense(plm_ctx *ctx)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   h = plm_nn_input(g, plm_shape_of(3, 9, 9));
    h            = plm_nn_conv2d(h, &(plm_conv2d_desc){ .out = 16, .pad = 1 });
    for (int i = 0; i < 3; i++) {
        plm_node grown = plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL);
        grown          = plm_nn_conv2d(grown, &(plm_conv2d_desc){ .out = 16, .pad = 1 });
        h              = plm_nn_concat((const plm_node[]){ h, grown }, 2, NULL);
    }
    h = plm_nn_slice(plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL), &(plm_slice_desc){ .start = 32 });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = 7 }), "y");
    return g;
}

static plm_graph *dense_tiny(plm_ctx *ctx)
{
    plm_graph     *g    = plm_graph_new(ctx);
    const plm_node x    = plm_nn_input(g, plm_shape_of(3, 4, 4));
    const plm_node h    = plm_nn_conv2d(x, &(plm_conv2d_desc){ .out = 5, .kernel = 1 });
    const plm_node part = plm_nn_slice(h, &(plm_slice_desc){ .start = 1, .stop = 3 });
    const plm_node all  = plm_nn_concat((const plm_node[]){ part, h, x }, 3, NULL);
    plm_graph_output(plm_nn_linear(plm_nn_flatten(all), &(plm_linear_desc){ .out = 4 }), "y");
    return g;
}

static plm_val output(const training *t, plm_tape *tape, const float *x, int64_t n)
{
    const plm_shape s     = plm_graph_input_shape(t->net);
    const plm_shape batch = plm_shape_of(n, s.dim[0], s.dim[1], s.dim[2]);
    return plm_graph_apply(t->net, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, batch, x)));
}

static bool step(training *t, const float *x, const int64_t *labels, int64_t n)
{
    const plm_val loss =
        plm_mse_onehot(output(t, t->tape, x, n), plm_tensor_wrap(PLM_I64, plm_shape_of(n), labels), NULL);
    const bool ok = plm_backward(loss) && plm_optimizer_step(t->optimizer);
    plm_tape_reset(t->tape);
    return ok;
}

static bool evaluate(training *t, const float *x, int64_t n)
{
    float      y[64 * 8];
    const bool ok = plm_val_read(output(t, t->eval, x, n), y, n * plm_graph_output_shape(t->net).dim[0]);
    plm_tape_reset(t->eval);
    return ok;
}

/* All weights, without the statistics; how many. */
static int64_t read_weights(const training *t, float *dst)
{
    int64_t at = 0;
    for (int i = 0; i < plm_graph_layer_count(t->net); i++) {
        const plm_param *w = plm_graph_layer(t->net, i)->weight;
        const int64_t    n = plm_shape_count(plm_param_shape(w));
        assert_true(plm_param_read(w, dst + at, n));
        at += n;
    }
    return at;
}

/* ------------------------------------------------------------------ out of memory */

/* One life, from context to step, whose k-th allocation fails; true if there were as many. */
static bool live(fixture *f, builder build, int64_t k, int *failures)
{
    test_allocator     counting = { .fail_at = k };
    const plm_ctx_desc desc     = { .threads = 1, .allocator = test_allocator_make(&counting) };
    const bool         ok       = training_start(&f->one, &desc, build) && step(&f->one, f->x, f->labels, SHORT) &&
                    evaluate(&f->one, f->x, SHORT);
    if (!ok && f->one.ctx) {
        *failures += 1;
        assert_int_equal(plm_ctx_status(f->one.ctx), PLM_ERR_MEMORY);
        assert_non_null(strstr(plm_ctx_error(f->one.ctx), "out of memory"));
    } else if (ok) assert_ok(f->one.ctx);                        /* the pool made room and tried again */
    if (!ok && f->one.optimizer && f->one.tape && f->one.eval) { /* after clearing, training goes on */
        plm_ctx_clear(f->one.ctx);
        assert_true(step(&f->one, f->x, f->labels, SHORT) && evaluate(&f->one, f->x, SHORT));
    }
    training_end(&f->one);
    assert_int_equal(counting.outstanding, 0);
    return counting.calls > k;
}

static void check_kth_allocation_fails(fixture *f, builder build)
{
    int     failures = 0;
    int64_t k        = 0;
    while (live(f, build, k, &failures)) k += k < 300 ? 1 : 7;
    assert_true(k > 50);
    assert_true(failures > 50);
}

static void test_kth_allocation_fails_residual(void **state)
{
    check_kth_allocation_fails(*state, residual_tiny);
}

static void test_kth_allocation_fails_dense(void **state)
{
    check_kth_allocation_fails(*state, dense_tiny);
}

/* ------------------------------------------------------------------ nothing new, and nothing slow */

static void check_flat(fixture *f, builder build)
{
    const plm_ctx_desc alone = { .threads = 1 };
    assert_true(training_start(&f->one, &alone, build));
    plm_ctx_stats settled = { 0 };
    for (int round = 0; round < 22; round++) {
        if (round == 2) settled = plm_ctx_statistics(f->one.ctx);
        assert_true(step(&f->one, f->x, f->labels, FULL));
        assert_true(step(&f->one, f->x, f->labels, SHORT));
        assert_true(evaluate(&f->one, f->x, FULL));
        assert_true(step(&f->one, f->x, f->labels, FULL));
    }
    const plm_ctx_stats after = plm_ctx_statistics(f->one.ctx);
    assert_int_equal(after.allocations, settled.allocations);
    assert_int_equal(after.primitives, settled.primitives);
    assert_int_equal(after.bytes, settled.bytes);
    assert_true(settled.primitives > 0);
    assert_int_equal(after.reference_kernels, 0);
}

static void test_nothing_new_after_two_rounds_residual(void **state)
{
    check_flat(*state, residual);
}

static void test_nothing_new_after_two_rounds_vgg(void **state)
{
    check_flat(*state, net_vgg);
}

static void test_nothing_new_after_two_rounds_dense(void **state)
{
    check_flat(*state, dense);
}

static void test_nothing_new_after_two_rounds_twelve_channels(void **state)
{
    check_flat(*state, twelve);
}

static void test_nothing_new_after_two_rounds_separable(void **state)
{
    check_flat(*state, separable);
}

/* ------------------------------------------------------------------ the same bits */

static void test_same_seed_same_bits(void **state)
{
    fixture *f = *state;
    assert_true(training_start(&f->one, &usual, residual) && training_start(&f->two, &usual, residual));
    for (int i = 0; i < 5; i++) {
        assert_true(step(&f->one, f->x + 1000 * i, f->labels, FULL));
        assert_true(evaluate(&f->two, f->x, i % 2 ? FULL : SHORT)); /* evaluating between is no influence */
        assert_true(step(&f->two, f->x + 1000 * i, f->labels, FULL));
        assert_true(evaluate(&f->two, f->x, FULL));
    }
    const int64_t n = read_weights(&f->one, f->a);
    assert_int_equal(read_weights(&f->two, f->b), n);
    assert_memory_equal(f->a, f->b, (size_t)n * sizeof(float));

    training_end(&f->two);
    const plm_ctx_desc other = { .seed = 12, .threads = 2 };
    assert_true(training_start(&f->two, &other, residual));
    read_weights(&f->two, f->b);
    assert_memory_not_equal(f->a, f->b, (size_t)n * sizeof(float));
}

static void test_an_error_midway(void **state)
{
    fixture *f = *state;
    assert_true(training_start(&f->one, &usual, residual) && training_start(&f->two, &usual, residual));
    f->x[ROOM - 1] = INFINITY;
    for (int i = 0; i < 4; i++) {
        assert_true(step(&f->one, f->x, f->labels, FULL));
        assert_true(step(&f->two, f->x, f->labels, FULL));
        const int64_t n = read_weights(&f->two, f->a);

        assert_false(step(&f->two, f->x, f->bad, FULL));
        assert_error(f->two.ctx, PLM_ERR_ARGUMENT, "label");
        assert_false(plm_optimizer_step(f->two.optimizer));
        assert_error(f->two.ctx, PLM_ERR_STATE, "has no gradient since the last step");
        assert_false(step(&f->two, f->x + ROOM - 16 * 16 * 3 * SHORT, f->labels, SHORT));
        assert_error(f->two.ctx, PLM_ERR_NONFINITE, "holds inf");
        assert_false(step(&f->two, f->x, f->labels, 0));
        assert_error(f->two.ctx, PLM_ERR_SHAPE, "input");

        assert_int_equal(read_weights(&f->two, f->b), n); /* as after the last step */
        assert_memory_equal(f->a, f->b, (size_t)n * sizeof(float));
    }
    const int64_t n = read_weights(&f->one, f->a);
    read_weights(&f->two, f->b);
    assert_memory_equal(f->a, f->b, (size_t)n * sizeof(float));
}

/* ------------------------------------------------------------------ a graph that goes before its values */

static void test_graph_freed_before_its_values(void **state)
{
    fixture *f = *state;
    assert_true(training_start(&f->one, &usual, residual));
    const plm_val out = output(&f->one, f->one.tape, f->x, SHORT), eval = output(&f->one, f->one.eval, f->x, SHORT);
    const plm_val sum = plm_sum(plm_square(out), NULL);
    plm_optimizer_free(f->one.optimizer);
    plm_graph_free(f->one.net);
    f->one.optimizer = NULL;
    f->one.net       = NULL;
    assert_false(plm_val_ok(out) || plm_val_ok(eval) || plm_val_ok(sum));
    assert_false(plm_backward(sum));
    assert_error(f->one.ctx, PLM_ERR_STATE,
                 "plm_backward: the value is stale, its tape was reset or freed after it was made");
    assert_false(plm_val_read(eval, f->a, 4 * SHORT));
    assert_error(f->one.ctx, PLM_ERR_STATE, "plm_val_read: the value is stale");
    plm_exp(out);
    assert_error(f->one.ctx, PLM_ERR_STATE, "exp: the value is stale");
}

/* No leaf of the tape tells that this graph is in use, but the sentences of its records name its nodes. */
static void test_graph_without_parameters_freed_before_its_values(void **state)
{
    fixture *f = *state;
    assert_true(training_start(&f->one, &usual, residual_tiny));
    plm_graph *g = plm_graph_new(f->one.ctx);
    plm_graph_output(plm_nn_tanh(plm_nn_input(g, plm_shape_of(3)), NULL), NULL);
    const plm_tensor x   = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), f->x);
    const plm_val    out = plm_graph_apply(g, plm_tape_input_with(f->one.tape, x, &(plm_input_desc){ .grad = true }));
    assert_true(plm_val_ok(out));
    plm_graph_free(g);
    assert_false(plm_val_ok(out));
    plm_sum(out, NULL);
    assert_error(f->one.ctx, PLM_ERR_STATE, "sum: the value is stale");
}

#define steps_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        steps_test(test_kth_allocation_fails_residual),
        steps_test(test_kth_allocation_fails_dense),
        steps_test(test_nothing_new_after_two_rounds_residual),
        steps_test(test_nothing_new_after_two_rounds_vgg),
        steps_test(test_nothing_new_after_two_rounds_dense),
        steps_test(test_nothing_new_after_two_rounds_twelve_channels),
        steps_test(test_nothing_new_after_two_rounds_separable),
        steps_test(test_same_seed_same_bits),
        steps_test(test_an_error_midway),
        steps_test(test_graph_freed_before_its_values),
        steps_test(test_graph_without_parameters_freed_before_its_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

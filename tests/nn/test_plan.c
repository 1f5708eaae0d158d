/* test_plan.c: what apply computes, whatever was fused, cached, frozen or applied before. */
#include "nn/fixture.h"

#include <math.h>

enum { BATCH = 6 };

/* [3,8,8] to [5]: both kinds of fusion, a pool, and a residual connection with two consumers. */
static plm_graph *network(plm_ctx *ctx, bool keep)
{
    plm_graph     *g = plm_graph_new(ctx);
    const plm_node x = plm_nn_input(g, plm_shape_of(3, 8, 8));
    const plm_node c = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "c1", .out = 12, .pad = 1 });
    const plm_node n = plm_nn_batch_norm(c, &(plm_batch_norm_desc){ .name = "n1", .affine = true });
    const plm_node r = plm_nn_max_pool2d(plm_nn_relu(n, NULL), &(plm_pool2d_desc){ .kernel = 2 });
    const plm_node d = plm_nn_conv2d(r, &(plm_conv2d_desc){ .name = "c2", .out = 12, .pad = 1, .bias = true });
    const plm_node l = plm_nn_linear(plm_nn_flatten(plm_nn_add(d, r)), &(plm_linear_desc){ .name = "l1", .out = 20 });
    const plm_node y = plm_nn_relu(l, &(plm_relu_desc){ .scale = PLM_SQRT2 });
    if (keep) {
        plm_node_keep(n);
        plm_node_keep(l);
    }
    plm_graph_output(plm_nn_linear(y, &(plm_linear_desc){ .name = "l2", .out = 5, .bias = true }), "y");
    plm_graph_init(g, PLM_INIT_PYTORCH);
    return g;
}

static plm_tensor images(const fixture *f, int64_t n)
{
    return plm_tensor_wrap(PLM_F32, plm_shape_of(n, 3, 8, 8), f->x);
}

/* A scalar in which every output counts differently. */
static plm_val loss_of(plm_val y)
{
    return plm_mean(plm_square(plm_add(y, plm_tanh(plm_scale(y, 3)))), NULL);
}

static int64_t count_of(const plm_param *p)
{
    return plm_shape_count(plm_param_shape(p));
}

/* All gradients of the graph's trainable parameters, one after the other. */
static int64_t read_grads(const plm_graph *g, float *dst)
{
    int64_t at = 0;
    for (int i = 0; i < plm_graph_param_count(g); i++) {
        plm_param *p = plm_graph_param(g, i);
        if (plm_param_role(p) == PLM_ROLE_STATISTIC) continue;
        assert_true(plm_param_read_grad(p, dst + at, count_of(p)));
        at += count_of(p);
    }
    return at;
}

static void to_double(const fixture *f, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) f->want[i] = (double)from[i];
}

/* ------------------------------------------------------------------ fusion and eager ops */

static void test_fused_and_unfused_agree(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    f->h       = network(f->ctx, true);
    for (int eval = 0; eval < 2; eval++) {
        plm_tape     *tape = plm_tape_new(f->ctx, &(plm_tape_desc){ .eval = eval });
        const plm_val y    = plm_graph_apply(f->g, plm_tape_input(tape, images(f, BATCH)));
        assert_true(plm_val_read(y, f->a, BATCH * 5));
        assert_true(plm_backward(loss_of(y)));
        const int64_t n = read_grads(f->g, f->a + BATCH * 5);
        plm_tape_reset(tape);
        const plm_val z = plm_graph_apply(f->h, plm_tape_input(tape, images(f, BATCH)));
        assert_true(plm_val_read(z, f->b, BATCH * 5));
        assert_true(plm_backward(loss_of(z)));
        assert_int_equal(read_grads(f->h, f->b + BATCH * 5), n);
        to_double(f, f->b, BATCH * 5 + n);
        assert_all_close(f->a, f->want, BATCH * 5, 1e-6);
        for (int64_t i = 0, at = BATCH * 5; i < plm_graph_param_count(f->g); i++) { /* each on its own scale */
            const plm_param *p = plm_graph_param(f->g, (int)i);
            if (plm_param_role(p) == PLM_ROLE_STATISTIC) continue;
            to_double(f, f->b + at, count_of(p));
            assert_all_close(f->a + at, f->want, count_of(p), 2e-5);
            at += count_of(p);
        }
        plm_tape_free(tape);
    }
}

static plm_val param(plm_tape *tape, const plm_graph *g, const char *name)
{
    return plm_tape_param(tape, plm_graph_param_named(g, name));
}

static void test_the_same_network_in_eager_ops(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    plm_val y  = plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, BATCH)));
    assert_true(plm_val_read(y, f->a, BATCH * 5));
    assert_true(plm_backward(loss_of(y)));
    const int64_t n = read_grads(f->g, f->a + BATCH * 5);

    plm_tape     *t = f->other;
    const plm_val x = plm_tape_input(t, images(f, BATCH));
    const plm_val c = plm_conv2d(x, param(t, f->g, "c1.weight"), plm_none, &(plm_conv2d_op_desc){ .pad = 1 });
    const plm_val b = plm_batch_norm(c, param(t, f->g, "n1.weight"), param(t, f->g, "n1.bias"), NULL, NULL, NULL);
    const plm_val r = plm_max_pool2d(plm_relu(b, NULL), &(plm_pool2d_op_desc){ .kernel = 2 });
    const plm_val d =
        plm_conv2d(r, param(t, f->g, "c2.weight"), param(t, f->g, "c2.bias"), &(plm_conv2d_op_desc){ .pad = 1 });
    const plm_val l = plm_linear(plm_flatten(plm_add(d, r)), param(t, f->g, "l1.weight"), plm_none);
    y               = plm_linear(plm_relu(l, &(plm_relu_op_desc){ .scale = PLM_SQRT2 }), param(t, f->g, "l2.weight"),
                                 param(t, f->g, "l2.bias"));
    assert_ok(f->ctx);
    assert_true(plm_val_read(y, f->b, BATCH * 5));
    assert_true(plm_backward(loss_of(y)));
    assert_int_equal(read_grads(f->g, f->b + BATCH * 5), n);
    to_double(f, f->b, BATCH * 5 + n);
    assert_all_close(f->a, f->want, BATCH * 5, 1e-6);
    to_double(f, f->b + BATCH * 5, n);
    assert_all_close(f->a + BATCH * 5, f->want, n, 2e-5);
}

/* Kernels that read weights in another layout than they live in get copies, which must follow every step. */
static void test_trained_weights_in_a_fresh_graph(void **state)
{
    fixture *f           = *state;
    f->g                 = network(f->ctx, false);
    f->h                 = network(f->ctx, false);
    plm_optimizer *sgd   = plm_sgd_new(f->g, &(plm_sgd_desc){ .lr = 0.01 });
    bool           steps = sgd != NULL;
    for (int i = 0; i < 3 && steps; i++) {
        steps = plm_backward(loss_of(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, BATCH))))) &&
                plm_optimizer_step(sgd);
        plm_tape_reset(f->tape);
    }
    plm_optimizer_free(sgd);
    assert_ok(f->ctx);
    assert_true(steps);
    for (int i = 0; i < plm_graph_param_count(f->g); i++) {
        plm_param *from = plm_graph_param(f->g, i);
        assert_true(plm_param_read(from, f->a, count_of(from)));
        assert_true(plm_param_write(plm_graph_param(f->h, i), f->a, count_of(from)));
    }
    int64_t n = 0;
    for (int fresh = 0; fresh < 2; fresh++) {
        plm_graph    *g = fresh ? f->h : f->g;
        const plm_val y = plm_graph_apply(g, plm_tape_input(f->tape, images(f, BATCH)));
        assert_true(plm_backward(loss_of(y)));
        n = read_grads(g, fresh ? f->b : f->a);
        plm_tape_reset(f->tape);
    }
    assert_memory_equal(f->a, f->b, (size_t)n * sizeof(float));
}

/* oneDNN fuses max(y, 0) only: a scaled one stays a record of its own. */
static void test_norm_with_a_scaled_relu(void **state)
{
    fixture       *f = *state;
    const plm_node x = plm_nn_input(f->g = plm_graph_new(f->ctx), plm_shape_of(3, 8, 8));
    plm_graph_output(plm_nn_relu(plm_nn_batch_norm(x, NULL), &(plm_relu_desc){ .scale = 3 }), NULL);
    const int64_t n = BATCH * 192;
    assert_true(plm_val_read(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, BATCH))), f->a, n));
    const plm_val norm =
        plm_batch_norm(plm_tape_input(f->other, images(f, BATCH)), plm_none, plm_none, NULL, NULL, NULL);
    assert_true(plm_val_read(plm_relu(norm, &(plm_relu_op_desc){ .scale = 3 }), f->b, n));
    to_double(f, f->b, n);
    assert_all_close(f->a, f->want, n, 1e-6);
}

/* ------------------------------------------------------------------ batches and modes */

static void test_batches_of_any_size(void **state)
{
    fixture  *f    = *state;
    plm_tape *eval = plm_tape_new(f->ctx, &(plm_tape_desc){ .eval = true });
    f->g           = network(f->ctx, false);
    for (int64_t n = 0; n < 40; n++) { /* one by one */
        const plm_tensor one = plm_tensor_wrap(PLM_F32, plm_shape_of(1, 3, 8, 8), f->x + n * 192);
        assert_true(plm_val_read(plm_graph_apply(f->g, plm_tape_input(eval, one)), f->a + n * 5, 5));
        plm_tape_reset(eval);
    }
    to_double(f, f->a, 40 * 5);
    static const int64_t sizes[] = { 1, 2, 7, 16, 33, 40, 7 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_true(plm_val_read(plm_graph_apply(f->g, plm_tape_input(eval, images(f, sizes[i]))), f->b, sizes[i] * 5));
        assert_all_close(f->b, f->want, sizes[i] * 5, 1e-5);
        plm_tape_reset(eval);
    }
    assert_ok(f->ctx);
}

static void read_statistics(const plm_graph *g, float *dst)
{
    assert_true(plm_param_read(plm_graph_param_named(g, "n1.running_mean"), dst, 12));
    assert_true(plm_param_read(plm_graph_param_named(g, "n1.running_var"), dst + 12, 12));
}

static void test_evaluation_and_training(void **state)
{
    fixture  *f       = *state;
    plm_tape *eval    = plm_tape_new(f->ctx, &(plm_tape_desc){ .eval = true });
    plm_tape *silent  = plm_tape_new(f->ctx, &(plm_tape_desc){ .eval = true, .no_grad = true });
    plm_tape *no_grad = plm_tape_new(f->ctx, &(plm_tape_desc){ .no_grad = true });
    float     before[24], after[24], y[4][BATCH * 5];
    f->g = network(f->ctx, false);
    read_statistics(f->g, before);
    assert_true(plm_val_read(plm_graph_apply(f->g, plm_tape_input(eval, images(f, BATCH))), y[0], BATCH * 5));
    assert_true(plm_val_read(plm_graph_apply(f->g, plm_tape_input(silent, images(f, BATCH))), y[1], BATCH * 5));
    to_double(f, y[0], BATCH * 5);
    assert_all_close(y[1], f->want, BATCH * 5, 1e-6);
    read_statistics(f->g, after);
    assert_memory_equal(before, after, sizeof before); /* evaluation changes nothing */

    assert_true(plm_val_read(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, BATCH))), y[2], BATCH * 5));
    read_statistics(f->g, after);
    for (int i = 0; i < 24; i++) assert_true(after[i] != before[i]);
    double difference = 0;
    for (int i = 0; i < BATCH * 5; i++) difference = fmax(difference, fabs((double)(y[2][i] - y[0][i])));
    assert_true(difference > 1e-3); /* the batch's moments are not 0 and 1 */

    /* Not recording is no other mode: same numbers, statistics move, no backward pass. */
    const plm_val out = plm_graph_apply(f->g, plm_tape_input(no_grad, images(f, BATCH)));
    assert_true(plm_val_read(out, y[3], BATCH * 5));
    to_double(f, y[2], BATCH * 5);
    assert_all_close(y[3], f->want, BATCH * 5, 1e-6);
    read_statistics(f->g, before);
    assert_memory_not_equal(before, after, sizeof before);
    assert_false(plm_backward(loss_of(out)));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_backward: the tape does not record (.no_grad)");
}

static void test_frozen_parameters(void **state)
{
    fixture *f    = *state;
    f->g          = network(f->ctx, false);
    plm_param *c1 = plm_graph_param_named(f->g, "c1.weight"), *c2 = plm_graph_param_named(f->g, "c2.weight");
    plm_param *l1 = plm_graph_param_named(f->g, "l1.weight");
    for (int i = 0; i < plm_graph_param_count(f->g); i++) plm_param_freeze(plm_graph_param(f->g, i), true);
    assert_true(plm_val_ok(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, BATCH))))); /* nothing to record */
    plm_tape_reset(f->tape);
    for (int i = 0; i < plm_graph_param_count(f->g); i++) plm_param_freeze(plm_graph_param(f->g, i), false);
    for (int round = 0; round < 3; round++) { /* free, frozen, free again */
        plm_param_freeze(c1, round == 1);
        plm_param_freeze(l1, round == 1);
        plm_optimizer *forget = round ? NULL : plm_sgd_new(f->g, &(plm_sgd_desc){ .lr = 1e-30 });
        assert_true(plm_backward(loss_of(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, BATCH))))));
        plm_tape_reset(f->tape);
        assert_true(plm_param_read_grad(c2, round ? f->b : f->a, count_of(c2)));
        if (round) assert_memory_equal(f->a, f->b, (size_t)count_of(c2) * sizeof(float));
        if (round != 1) assert_true(plm_param_read_grad(c1, f->b, count_of(c1)));
        else {
            assert_false(plm_param_read_grad(c1, f->b, count_of(c1)));
            assert_error(f->ctx, PLM_ERR_STATE, "plm_param_read_grad: c1.weight has no gradient");
        }
        if (forget) { /* marks the gradients as used */
            assert_true(plm_optimizer_probe(forget));
            plm_optimizer_free(forget);
        }
    }
}

static void test_applied_twice_on_one_tape(void **state)
{
    fixture *f              = *state;
    f->g                    = network(f->ctx, false);
    int64_t          n      = 0;
    const plm_tensor second = plm_tensor_wrap(PLM_F32, plm_shape_of(3, 3, 8, 8), f->x + 5000);
    for (int part = 0; part < 2; part++) {
        const plm_val x = plm_tape_input(f->tape, part ? second : images(f, BATCH));
        assert_true(plm_backward(loss_of(plm_graph_apply(f->g, x))));
        n = read_grads(f->g, f->a);
        for (int64_t i = 0; i < n; i++) f->want[i] += (double)f->a[i];
        plm_tape_reset(f->tape);
    }
    const plm_val a = plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, BATCH)));
    const plm_val b = plm_graph_apply(f->g, plm_tape_input(f->tape, second));
    assert_true(plm_backward(plm_add(loss_of(a), loss_of(b))));
    assert_int_equal(read_grads(f->g, f->b), n);
    assert_all_close(f->b, f->want, n, 1e-5);
}

/* More shapes than plans are kept, all on one tape: its records keep the kernels of plans that are gone. */
static void test_more_shapes_than_plans(void **state)
{
    enum { SHAPES = 12 };
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    int64_t n  = 0;
    for (int64_t s = 1; s <= SHAPES; s++) {
        assert_true(plm_backward(loss_of(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, s))))));
        n = read_grads(f->g, f->a);
        for (int64_t i = 0; i < n; i++) f->want[i] += (double)f->a[i];
        plm_tape_reset(f->tape);
    }
    plm_val sum = loss_of(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, 1))));
    for (int64_t s = 2; s <= SHAPES; s++)
        sum = plm_add(sum, loss_of(plm_graph_apply(f->g, plm_tape_input(f->tape, images(f, s)))));
    assert_true(plm_backward(sum));
    read_grads(f->g, f->b);
    assert_all_close(f->b, f->want, n, 1e-5);
}

#define plan_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        plan_test(test_fused_and_unfused_agree),
        plan_test(test_the_same_network_in_eager_ops),
        plan_test(test_trained_weights_in_a_fresh_graph),
        plan_test(test_norm_with_a_scaled_relu),
        plan_test(test_batches_of_any_size),
        plan_test(test_evaluation_and_training),
        plan_test(test_frozen_parameters),
        plan_test(test_applied_twice_on_one_tape),
        plan_test(test_more_shapes_than_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

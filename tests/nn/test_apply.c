/* test_apply.c: a graph among other values of a tape: gradients through it, kept nodes, graphs behind graphs. */
#include "nn/gradients.h"

#include <math.h>

static plm_val input(const fixture *f, plm_tape *tape, plm_shape shape)
{
    return plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, shape, f->x), &(plm_input_desc){ .grad = true });
}

/* ------------------------------------------------------------------ central differences */

static void conv_norm_pool(fixture *f, int64_t channels, int64_t out)
{
    f->g       = plm_graph_new(f->ctx);
    plm_node h = plm_nn_input(f->g, plm_shape_of(channels, 4, 4));
    h          = plm_nn_conv2d(h, &(plm_conv2d_desc){ .out = out, .pad = 1, .bias = true });
    h          = plm_nn_relu(plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .affine = true }), NULL);
    h          = plm_nn_flatten(plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 }));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 3, .bias = true }), "y");
    check_gradients(f, plm_shape_of(2, channels, 4, 4));
}

static void test_gradients_1_channel(void **state)
{
    conv_norm_pool(*state, 1, 1);
}

static void test_gradients_3_channels(void **state)
{
    conv_norm_pool(*state, 3, 12);
}

static void test_gradients_12_channels(void **state)
{
    conv_norm_pool(*state, 12, 3);
}

static void test_gradients_17_channels(void **state)
{
    conv_norm_pool(*state, 17, 5);
}

static void test_gradients_to_17_channels(void **state)
{
    conv_norm_pool(*state, 3, 17);
}

static void test_gradients_of_a_residual_block(void **state)
{
    fixture *f       = *state;
    f->g             = plm_graph_new(f->ctx);
    const plm_node x = plm_nn_input(f->g, plm_shape_of(5, 4, 4));
    const plm_node a = plm_nn_relu(plm_nn_batch_norm(x, NULL), NULL);
    const plm_node s = plm_nn_conv2d(a, &(plm_conv2d_desc){ .out = 6, .kernel = 1, .stride = 2 });
    plm_node       h = plm_nn_conv2d(a, &(plm_conv2d_desc){ .out = 6, .stride = 2, .pad = 1 });
    h                = plm_nn_conv2d(plm_nn_tanh(h, NULL), &(plm_conv2d_desc){ .out = 6, .pad = 1 });
    h                = plm_nn_add(plm_nn_add(h, s), h); /* h twice */
    h                = plm_nn_flatten(plm_nn_avg_pool2d(plm_nn_sigmoid(h, NULL), &(plm_pool2d_desc){ .kernel = 2 }));
    plm_graph_output(h, "y");
    check_gradients(f, plm_shape_of(3, 5, 4, 4));
}

/* Dense connections: x beside what became of it, then a part of both and some rows, twice. */
static void dense_block(fixture *f, int64_t channels, int64_t growth)
{
    f->g             = plm_graph_new(f->ctx);
    const plm_node x = plm_nn_input(f->g, plm_shape_of(channels, 3, 3));
    plm_node       h = plm_nn_conv2d(x, &(plm_conv2d_desc){ .out = growth, .pad = 1 });
    h                = plm_nn_concat((const plm_node[]){ x, h, x }, 3, NULL);
    h                = plm_nn_slice(plm_nn_tanh(h, NULL), &(plm_slice_desc){ .start = channels - 1, .stop = -1 });
    h                = plm_nn_slice(h, &(plm_slice_desc){ .axis = 1, .start = 1 });
    h                = plm_nn_concat((const plm_node[]){ h, h }, 2, &(plm_concat_desc){ .axis = -1 });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = 3 }), "y");
    check_gradients(f, plm_shape_of(2, channels, 3, 3));
}

static void test_gradients_of_dense_blocks(void **state)
{
    static const int64_t sizes[][2] = { { 16, 16 }, { 12, 4 }, { 3, 17 } };
    fixture             *f          = *state;
    for (int i = 0; i < 3; i++) {
        dense_block(f, sizes[i][0], sizes[i][1]);
        plm_graph_free(f->g);
        f->g = NULL;
    }
}

static void test_gradient_of_the_input_only_when_asked(void **state)
{
    fixture *f = *state;
    f->g       = net_vgg(f->ctx);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    const plm_val x = plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 8, 8), f->x));
    assert_true(plm_backward(plm_mean(plm_square(plm_graph_apply(f->g, x)), NULL)));
    assert_false(plm_val_grad(x, f->a, 2 * 192));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_val_grad: no gradient is kept for this value");
    const plm_val asked = input(f, f->tape, plm_shape_of(2, 3, 8, 8)); /* another plan for the same shape */
    assert_true(plm_backward(plm_mean(plm_square(plm_graph_apply(f->g, asked)), NULL)));
    assert_true(plm_val_grad(asked, f->a, 2 * 192));
}

/* ------------------------------------------------------------------ kept nodes */

static void test_values_of_kept_nodes(void **state)
{
    fixture *f       = *state;
    f->g             = plm_graph_new(f->ctx);
    const plm_node x = plm_nn_input(f->g, plm_shape_of(3, 8, 8));
    const plm_node c = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "c", .out = 12, .pad = 1 });
    const plm_node n = plm_nn_batch_norm(c, NULL), r = plm_nn_relu(n, NULL);
    const plm_node side = plm_nn_tanh(c, NULL); /* leads nowhere */
    plm_graph_output(plm_nn_flatten(r), "y");
    plm_node_keep(x);
    plm_node_keep(n);
    plm_node_keep(side);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    const plm_val in = input(f, f->tape, plm_shape_of(2, 3, 8, 8));
    plm_val       y  = plm_graph_apply(f->g, in);
    assert_ok(f->ctx);
    const plm_val w = plm_tape_param(f->other, plm_graph_param_named(f->g, "c.weight"));
    const plm_val want_c =
        plm_conv2d(input(f, f->other, plm_shape_of(2, 3, 8, 8)), w, plm_none, &(plm_conv2d_op_desc){ .pad = 1 });
    const plm_val want[] = { plm_batch_norm(want_c, plm_none, plm_none, NULL, NULL, NULL), plm_tanh(want_c) };
    const plm_val got[]  = { plm_node_value(n, f->tape), plm_node_value(side, f->tape) };
    for (int i = 0; i < 2; i++) {
        assert_true(plm_shape_equal(plm_val_shape(got[i]), plm_shape_of(2, 12, 8, 8)));
        assert_true(plm_val_read(got[i], f->a, 2 * 12 * 64) && plm_val_read(want[i], f->b, 2 * 12 * 64));
        for (int64_t k = 0; k < 2 * 12 * 64; k++) f->want[k] = (double)f->b[k];
        assert_all_close(f->a, f->want, 2 * 12 * 64, 1e-5);
    }
    assert_int_equal(plm_node_value(x, f->tape).id, in.id);
    assert_int_equal(plm_node_value((plm_node){ f->g, plm_graph_node_count(f->g) - 1 }, f->tape).id,
                     y.id);                                                        /* the output */
    y = plm_mean(plm_square(plm_add(y, plm_scale(plm_flatten(got[1]), 2))), NULL); /* a kept value goes on */
    assert_true(plm_backward(y));
    assert_true(plm_val_grad(in, f->a, 2 * 192));

    assert_false(plm_val_ok(plm_node_value(r, f->tape)));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_node_value: relu0 is not kept: call plm_node_keep while building");
    plm_node_value(n, f->tape); /* plm_ctx_clear has reset the tape */
    assert_error(f->ctx, PLM_ERR_STATE, "plm_node_value: batch_norm0: the graph was not applied last on this tape");
    plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 3, 8, 8)));
    plm_node_value(n, f->other);
    assert_error(f->ctx, PLM_ERR_STATE, "the graph was not applied last on this tape");
}

static void test_output_is_the_input(void **state)
{
    fixture *f = *state;
    f->g       = plm_graph_new(f->ctx);
    plm_graph_output(plm_nn_input(f->g, plm_shape_of(4)), NULL);
    const plm_val x = input(f, f->tape, plm_shape_of(2, 4)), y = plm_graph_apply(f->g, x);
    assert_int_equal(x.id, y.id);
    assert_true(plm_backward(plm_sum(y, NULL)));
    assert_true(plm_val_grad(x, f->a, 8));
    for (int i = 0; i < 8; i++) assert_close((double)f->a[i], 1, 0, 0);
}

/* ------------------------------------------------------------------ a graph behind a graph, and beside eager ops */

/* The first graph ends in a convolution, so that its output is in a convolution's layout; the second reads its input twice. */
static void test_graph_behind_a_graph(void **state)
{
    fixture *f = *state;
    f->g       = plm_graph_new(f->ctx);
    f->h       = plm_graph_new(f->ctx);
    plm_graph_output(
        plm_nn_conv2d(plm_nn_input(f->g, plm_shape_of(3, 6, 6)), &(plm_conv2d_desc){ .name = "c", .out = 20 }), NULL);
    const plm_node x = plm_nn_input(f->h, plm_shape_of(20, 4, 4));
    const plm_node y = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "d", .out = 20, .pad = 1 });
    plm_graph_output(plm_nn_flatten(plm_nn_add(plm_nn_tanh(x, NULL), plm_nn_add(y, x))), NULL);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD) && plm_graph_init(f->h, PLM_INIT_AGD));
    plm_param *c = plm_graph_param(f->g, 0), *d = plm_graph_param(f->h, 0);

    const plm_val in  = input(f, f->tape, plm_shape_of(2, 3, 6, 6));
    const plm_val out = plm_graph_apply(f->h, plm_graph_apply(f->g, in));
    assert_ok(f->ctx);
    assert_true(plm_val_read(out, f->a, 2 * 320));
    assert_true(plm_backward(plm_mean(plm_square(out), NULL)));
    assert_true(plm_param_read_grad(c, f->a + 640, count_of(c)) &&
                plm_param_read_grad(d, f->a + 640 + count_of(c), count_of(d)));
    const int64_t n = 640 + count_of(c) + count_of(d);

    const plm_val ein = input(f, f->other, plm_shape_of(2, 3, 6, 6));
    const plm_val e   = plm_conv2d(ein, plm_tape_param(f->other, c), plm_none, NULL);
    const plm_val z   = plm_conv2d(e, plm_tape_param(f->other, d), plm_none, &(plm_conv2d_op_desc){ .pad = 1 });
    const plm_val w   = plm_flatten(plm_add(plm_tanh(e), plm_add(z, e)));
    assert_true(plm_val_read(w, f->b, 2 * 320));
    assert_true(plm_backward(plm_mean(plm_square(w), NULL)));
    assert_true(plm_param_read_grad(c, f->b + 640, count_of(c)) &&
                plm_param_read_grad(d, f->b + 640 + count_of(c), count_of(d)));
    for (int64_t i = 0; i < n; i++) f->want[i] = (double)f->b[i];
    assert_all_close(f->a, f->want, 640, 1e-6);
    for (int64_t i = 640; i < n; i++) f->want[i - 640] = (double)f->b[i];
    assert_all_close(f->a + 640, f->want, n - 640, 1e-5);
}

/* A parameter is a leaf already when the first apply freezes the graph, which moves weights to their home layouts. */
static void test_parameter_in_use_before_the_first_apply(void **state)
{
    fixture *f = *state;
    f->g       = plm_graph_new(f->ctx);
    plm_node h = plm_nn_input(f->g, plm_shape_of(3, 6, 6));
    h          = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "c", .out = 20 });
    plm_graph_output(plm_nn_flatten(plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "d", .out = 17 })), NULL);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    plm_param *d = plm_graph_param_named(f->g, "d.weight");
    plm_tape_param(f->tape, d);
    assert_false(plm_val_ok(plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 3, 6, 6)))));
    assert_error(f->ctx, PLM_ERR_STATE, "d.weight is in use on a tape: reset the tape before the graph's first apply");

    /* Now in use by eager ops and by the graph: both count. */
    plm_val y = plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 3, 6, 6)));
    assert_ok(f->ctx);
    assert_true(plm_backward(plm_sum(plm_square(y), NULL)));
    assert_true(plm_param_read_grad(d, f->b, count_of(d)));
    for (int64_t i = 0; i < count_of(d); i++) f->want[i] = (double)f->b[i];
    assert_true(plm_param_read(d, f->b, count_of(d)));
    for (int64_t i = 0; i < count_of(d); i++) f->want[i] += 2 * (double)f->b[i];
    plm_tape_reset(f->tape);
    const plm_val penalty = plm_sum(plm_square(plm_tape_param(f->tape, d)), NULL);
    y                     = plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 3, 6, 6)));
    assert_true(plm_backward(plm_add(penalty, plm_sum(plm_square(y), NULL))));
    assert_true(plm_param_read_grad(d, f->a, count_of(d)));
    assert_all_close(f->a, f->want, count_of(d), 1e-5);
}

/* Kernels are chosen for what trains: the tape's earlier use and the graph's must agree. */
static void test_frozen_between_two_applies(void **state)
{
    fixture *f = *state;
    f->g       = plm_graph_new(f->ctx);
    plm_node x = plm_nn_input(f->g, plm_shape_of(4));
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .name = "l", .out = 3 }), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 4)));
    plm_param_freeze(plm_graph_param(f->g, 0), true);
    plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 4)));
    assert_error(f->ctx, PLM_ERR_STATE, "l.weight was frozen or unfrozen after this tape used it: reset the tape");
    const plm_val y = plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 4)));
    assert_true(plm_backward(plm_sum(y, NULL)));
}

/* A value may be a view of weights that are loaded anew. */
static void test_view_of_weights_that_are_loaded(void **state)
{
    fixture *f = *state;
    f->g       = plm_graph_new(f->ctx);
    plm_node x = plm_nn_input(f->g, plm_shape_of(4));
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .name = "l", .out = 3 }), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    assert_true(plm_graph_save(f->g, test_path("view.safetensors")));
    const plm_val view = plm_reshape(plm_tape_param(f->tape, plm_graph_param(f->g, 0)), plm_shape_of(12));
    assert_true(plm_graph_load(f->g, test_path("view.safetensors")));
    assert_true(plm_val_read(view, f->a, 12) && plm_param_read(plm_graph_param(f->g, 0), f->b, 12));
    assert_memory_equal(f->a, f->b, 12 * sizeof(float));
}

/* A ReLU fused into its kernel would turn nan into 0: weights are looked at once per version. */
static void test_weights_that_are_not_finite(void **state)
{
    fixture *f = *state;
    f->g       = net_fcn(f->ctx, 3, 8);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    plm_param *w = plm_graph_layer(f->g, 1)->weight;
    assert_true(plm_param_read(w, f->a, count_of(w)));
    f->a[5] = (float)NAN;
    assert_true(plm_param_write(w, f->a, count_of(w)));
    plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 1, 6, 6)));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "the weights of layers.0.weight are not finite: one is nan");
    f->a[5] = 1;
    assert_true(plm_param_write(w, f->a, count_of(w)));
    assert_true(plm_val_ok(plm_graph_apply(f->g, input(f, f->tape, plm_shape_of(2, 1, 6, 6)))));
}

#define apply_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        apply_test(test_gradients_1_channel),
        apply_test(test_gradients_3_channels),
        apply_test(test_gradients_12_channels),
        apply_test(test_gradients_17_channels),
        apply_test(test_gradients_to_17_channels),
        apply_test(test_gradients_of_a_residual_block),
        apply_test(test_gradients_of_dense_blocks),
        apply_test(test_gradient_of_the_input_only_when_asked),
        apply_test(test_values_of_kept_nodes),
        apply_test(test_output_is_the_input),
        apply_test(test_graph_behind_a_graph),
        apply_test(test_parameter_in_use_before_the_first_apply),
        apply_test(test_frozen_between_two_applies),
        apply_test(test_weights_that_are_not_finite),
        apply_test(test_view_of_weights_that_are_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_concat.c: modules of several inputs: concat and slice in a graph, and the layouts of dense networks. */
#include "nn/builders.h"

#include "nn/nn.h"

#define graph_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static plm_node conv(plm_node x, int64_t out)
{
    return plm_nn_conv2d(x, &(plm_conv2d_desc){ .out = out, .pad = 1 });
}

static plm_node join(plm_node a, plm_node b)
{
    return plm_nn_concat((const plm_node[]){ a, b }, 2, NULL);
}

static void test_what_a_node_says(void **state)
{
    fixture       *f    = *state;
    const plm_node a    = conv(f->x, 5);
    const plm_node all  = plm_nn_concat((const plm_node[]){ f->x, a, f->x, a, a, f->x, a, f->x }, PLM_MAX_INPUTS, NULL);
    const plm_node wide = plm_nn_concat((const plm_node[]){ a, a }, 2, &(plm_concat_desc){ .name = "w", .axis = -1 });
    const plm_node one  = plm_nn_concat(&a, 1, NULL);
    const plm_node part = plm_nn_slice(wide, &(plm_slice_desc){ .axis = 2, .start = -6 });
    assert_ok(f->ctx);
    plm_node_info info;
    assert_true(plm_graph_node_info(f->g, all.id, &info));
    assert_string_equal(info.name, "concat0");
    assert_string_equal(info.kind, "concat");
    assert_int_equal(info.input_count, 8);
    static const int from[] = { 0, 1, 0, 1, 1, 0, 1, 0 };
    for (int i = 0; i < 8; i++) assert_int_equal(info.inputs[i], from[i]);
    assert_int_equal(info.depth, 1);
    assert_int_equal(info.macs, 0);
    assert_true(plm_shape_equal(info.shape, plm_shape_of(32, 8, 8)));
    assert_true(plm_shape_equal(plm_node_shape(wide), plm_shape_of(5, 8, 16)));
    assert_true(plm_shape_equal(plm_node_shape(one), plm_shape_of(5, 8, 8)));
    assert_true(plm_shape_equal(plm_node_shape(part), plm_shape_of(5, 8, 6)));
    assert_true(plm_graph_node_info(f->g, a.id, &info));
    assert_int_equal(info.consumers, 4 + 2 + 1);
    assert_true(plm_graph_node_info(f->g, part.id, &info));
    assert_string_equal(info.name, "slice0");
    assert_int_equal(info.input_count, 1);
    assert_int_equal(info.macs, 0);
    const plm_slice_desc *d = f->g->node[part.id].m.desc; /* resolved: nothing counts from the end */
    assert_int_equal(d->start, 10);
    assert_int_equal(d->stop, 16);
    assert_int_equal(((const plm_concat_desc *)f->g->node[wide.id].m.desc)->axis, 2);
    assert_int_equal(plm_nn_concat(NULL, 2, NULL).id, -1); /* no graph, hence no context to tell */
    assert_int_equal(plm_nn_concat(&a, 0, NULL).id, -1);
    assert_ok(f->ctx);
}

/* y = [relu(conv x), x, rows of x twice ...], against the same by hand. */
static void test_values(void **state)
{
    fixture       *f = *state;
    const plm_node h = plm_nn_relu(conv(f->x, 6), NULL); /* fused into the convolution or not, it is what concat sees */
    const plm_node p = plm_nn_slice(f->x, &(plm_slice_desc){ .start = 1 });
    plm_graph_output(plm_nn_concat((const plm_node[]){ h, f->x, p, h }, 4, NULL), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    enum { N = 2, PIXELS = 64, OUT = 6 + 3 + 2 + 6 };
    static float x[N * 3 * PIXELS], y[N * OUT * PIXELS], c[N * 6 * PIXELS];
    test_fill(x, N * 3 * PIXELS, 4, -1, 1);
    const plm_val in = plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N, 3, 8, 8), x));
    assert_true(plm_val_read(plm_graph_apply(f->g, in), y, N * OUT * PIXELS));
    const plm_val w = plm_tape_param(f->tape, plm_graph_param(f->g, 0));
    assert_true(plm_val_read(plm_relu(plm_conv2d(in, w, plm_none, &(plm_conv2d_op_desc){ .pad = 1 }), NULL), c,
                             N * 6 * PIXELS));
    for (int o = 0; o < N * OUT * PIXELS; o++) {
        const int   n = o / PIXELS / OUT, k = o / PIXELS % OUT, pixel = o % PIXELS;
        const bool  grown = k < 6 || k >= 11;
        const float want  = grown ? c[(n * 6 + (k < 6 ? k : k - 11)) * PIXELS + pixel]
                                  : x[(n * 3 + (k < 9 ? k - 6 : k - 8)) * PIXELS + pixel];
        assert_close((double)y[o], (double)want, 1e-6, 1e-5);
    }
}

/* Whole blocks of 16 channels, each layer sees all before it: between the stem and the end nothing is reordered. */
static void test_dense_networks_stay_blocked(void **state)
{
    fixture *f = *state;
    plm_node h = conv(f->x, 16);
    for (int i = 0; i < 3; i++) h = join(h, conv(plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL), i == 1 ? 32 : 16));
    h = plm_nn_slice(h, &(plm_slice_desc){ .start = 16, .stop = 64 });
    h = plm_nn_avg_pool2d(plm_nn_relu(h, NULL), &(plm_pool2d_desc){ .kernel = 8 });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = 4 }), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    static float x[4 * 192];
    test_fill(x, 4 * 192, 1, -1, 1);
    const plm_val y =
        plm_graph_apply(f->g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(4, 3, 8, 8), x)));
    assert_true(plm_backward(plm_mean(plm_square(y), NULL)));
    const plm__list *l    = &f->g->last_plan->tape->list;
    int              seen = 0, begin = 0, end = 0;
    for (int i = 0; i < l->records; i++) {
        const char *name = l->record[i].op->name;
        if (strcmp(name, "conv2d") == 0 && !begin) begin = i + 1;
        if (strcmp(name, "avg_pool2d") == 0) end = i;
    }
    for (int i = begin; i < end; i++) {
        const plm_record *r = &l->record[i];
        assert_ptr_not_equal(r->op, &plm__op_reorder);
        assert_false(plm__layout_is_plain(&l->value[r->out].layout));
        seen += strcmp(r->op->name, "concat") == 0 || strcmp(r->op->name, "slice") == 0;
    }
    assert_int_equal(seen, 4);
    assert_int_equal(plm_ctx_statistics(f->ctx).reference_kernels, 0);
}

/* Nothing depends on a branch that is not needed, and only what the slice keeps gets a gradient. */
static void test_gradient_of_a_slice(void **state)
{
    fixture       *f   = *state;
    const plm_node h   = plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 20, .kernel = 1 });
    const plm_node all = join(h, conv(f->x, 4));
    join(all, f->x); /* not needed */
    plm_graph_output(plm_nn_flatten(plm_nn_slice(all, &(plm_slice_desc){ .start = 3, .stop = 7 })), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    static float x[2 * 192], g[60];
    test_fill(x, 2 * 192, 1, 0.5, 1);
    const plm_val y =
        plm_graph_apply(f->g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 8, 8), x)));
    assert_true(plm_backward(plm_sum(y, NULL)));
    assert_true(plm_param_read_grad(plm_graph_param_named(f->g, "c.weight"), g, 60));
    for (int k = 0; k < 20; k++)
        for (int i = 0; i < 3; i++) assert_true((g[3 * k + i] > 0) == (k >= 3 && k < 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = { graph_test(test_what_a_node_says), graph_test(test_values),
                                        graph_test(test_dense_networks_stay_blocked),
                                        graph_test(test_gradient_of_a_slice) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

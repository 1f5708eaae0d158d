/* test_graph.c: building a graph, its names, and what can be asked of it without running it. */
#include "nn/builders.h"

static plm_node conv(plm_node x, const char *name, int64_t out)
{
    return plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = name, .out = out, .pad = 1 });
}

static plm_node_info info_of(const plm_graph *g, int i)
{
    plm_node_info info = { 0 };
    assert_true(plm_graph_node_info(g, i, &info));
    return info;
}

static void test_names_come_from_kind_and_number(void **state)
{
    fixture *f = *state;
    plm_node h = plm_nn_relu(plm_nn_batch_norm(conv(f->x, NULL, 4), NULL), NULL);
    h          = plm_nn_add(h, plm_nn_relu(conv(h, "mine", 4), NULL));
    h = plm_nn_avg_pool2d(plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 }), &(plm_pool2d_desc){ .kernel = 2 });
    h = plm_nn_sigmoid(plm_nn_tanh(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = 2 }), NULL), NULL);
    assert_ok(f->ctx);
    static const char *const names[] = { "input0",  "conv2d0", "batch_norm0", "relu0",       "mine",
                                         "relu1",   "add0",    "max_pool2d0", "avg_pool2d0", "flatten0",
                                         "linear0", "tanh0",   "sigmoid0" };
    static const char *const kinds[] = { "input",      "conv2d",     "batch_norm", "relu",   "conv2d", "relu",   "add",
                                         "max_pool2d", "avg_pool2d", "flatten",    "linear", "tanh",   "sigmoid" };
    assert_int_equal(plm_graph_node_count(f->g), 13);
    for (int i = 0; i < 13; i++) {
        assert_string_equal(info_of(f->g, i).name, names[i]);
        assert_string_equal(info_of(f->g, i).kind, kinds[i]);
    }
    assert_int_equal(h.id, 12);
    assert_non_null(plm_graph_param_named(f->g, "mine.weight"));
    assert_non_null(plm_graph_param_named(f->g, "batch_norm0.running_var"));
    assert_null(plm_graph_param_named(f->g, "mine"));
    assert_ok(f->ctx);
}

/* d_in and d_out count all channels; macs and fans those that one output sees. */
static void test_groups(void **state)
{
    fixture       *f = *state;
    const plm_node h = plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .out = 6, .groups = 3, .dilation = 2, .bias = true });
    assert_ok(f->ctx);
    const plm_shape  y = plm_node_shape(h), w = plm_param_shape(plm_graph_param_named(f->g, "conv2d0.weight"));
    const plm_layer *l = plm_graph_layer(f->g, 0);
    assert_true(plm_shape_equal(y, plm_shape_of(6, 4, 4)));
    assert_true(plm_shape_equal(w, plm_shape_of(6, 1, 3, 3)));
    assert_int_equal(l->groups, 3);
    assert_int_equal(l->d_in, 3);
    assert_int_equal(l->d_out, 6);
    assert_int_equal(plm_layer_fan_in(l), 9);
    assert_int_equal(plm_layer_fan_out(l), 54);
    assert_int_equal(plm_graph_summary(f->g).macs, 6 * 16 * 9);
    assert_int_equal(plm_graph_summary(f->g).parameters, 6 * 9 + 6);
}

static void test_global_pools(void **state)
{
    fixture       *f = *state;
    const plm_node h = plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .out = 5, .kernel = 1 });
    assert_true(plm_shape_equal(plm_node_shape(plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .global = true })),
                                plm_shape_of(5, 1, 1)));
    assert_true(plm_shape_equal(plm_node_shape(plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .global = true })),
                                plm_shape_of(5, 1, 1)));
    const plm_pool2d_desc d = { .kernel = 3, .stride = 2, .pad = 1, .exclude_pad = true };
    assert_true(plm_shape_equal(plm_node_shape(plm_nn_avg_pool2d(h, &d)), plm_shape_of(5, 4, 4)));
    assert_ok(f->ctx);
}

static void test_scopes_nest(void **state)
{
    fixture *f = *state;
    plm_graph_scope(f->g, "layer%d", 1);
    plm_graph_scope(f->g, "%d", 0);
    conv(f->x, "conv1", 4);
    plm_graph_scope_end(f->g);
    plm_graph_scope(f->g, "%d.%s", 1, "deep"); /* one scope, whatever dots are in it */
    conv(f->x, "conv1", 4);
    plm_graph_scope_end(f->g);
    conv(f->x, "side", 4);
    plm_graph_scope_end(f->g);
    conv(f->x, "last", 4);
    assert_ok(f->ctx);
    static const char *const names[] = { "layer1.0.conv1", "layer1.1.deep.conv1", "layer1.side", "last" };
    for (int i = 0; i < 4; i++) {
        assert_string_equal(plm_graph_layer(f->g, i)->name, names[i]);
        assert_string_equal(info_of(f->g, i + 1).name, names[i]);
    }
    assert_string_equal(plm_param_name(plm_graph_param(f->g, 0)), "layer1.0.conv1.weight");
    plm_graph_scope_end(f->g);
    assert_error(f->ctx, PLM_ERR_STATE, "plm_graph_scope_end: no scope is open");
    for (int i = 0; i < 30; i++) plm_graph_scope(f->g, "ten.letters");
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_scope: names of nested scopes are longer than 256 characters");
    plm_graph_scope_end(NULL);
    plm_graph_scope(NULL, "nowhere");
}

static void test_names_are_unique(void **state)
{
    fixture *f = *state;
    conv(f->x, "same", 4);
    const plm_node second = plm_nn_relu(f->x, &(plm_relu_desc){ .name = "same" });
    assert_int_equal(second.id, -1);
    assert_ptr_equal(second.graph, f->g);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "relu at same: the name is taken by a conv2d");
    assert_int_equal(plm_graph_node_count(f->g), 2);
    plm_graph_scope(f->g, "elsewhere");
    assert_true(plm_nn_relu(f->x, &(plm_relu_desc){ .name = "same" }).id > 0);
    assert_ok(f->ctx);
}

/* The residual network of the golden files: [3,16,16], stages of 1, 2, 1 blocks. */
static void test_queries_of_a_residual_network(void **state)
{
    fixture *f = *state;
    plm_graph_free(f->other);
    plm_graph *g = f->other = net_preact(f->ctx, &(net_preact_desc){ .blocks = { 1, 2, 1 } });
    assert_ok(f->ctx);
    const plm_graph_info info = plm_graph_summary(g);
    /* stem, 4 blocks of two, shortcuts of layers 2 and 3, linear; the longest path leaves out the shortcuts */
    assert_int_equal(info.layers, 1 + 8 + 2 + 1);
    assert_int_equal(plm_graph_layer_count(g), 12);
    assert_int_equal(info.depth, 1 + 8 + 1);
    const int64_t parameters =
        3 * 8 * 9 + 2 * 8 * 8 * 9 + (8 + 3 * 16) * 16 * 9 + 8 * 16 + (16 + 32) * 32 * 9 + 16 * 32 + 32 * 4;
    assert_int_equal(info.parameters, parameters);
    const int64_t macs = 256 * (3 * 8 * 9 + 2 * 8 * 8 * 9) + 64 * ((8 + 3 * 16) * 16 * 9 + 8 * 16) +
                         16 * ((16 + 32) * 32 * 9 + 16 * 32) + 32 * 4;
    assert_int_equal(info.macs, macs);
    int64_t floats = 0, sum = 0;
    for (int i = 0; i < plm_graph_node_count(g); i++) {
        floats += plm_shape_count(info_of(g, i).shape);
        sum += info_of(g, i).macs;
    }
    assert_int_equal(info.activation_floats, floats);
    assert_int_equal(info.macs, sum);

    static const struct {
        const char *name;
        int64_t     d_in, d_out;
        int         kernel, depth;
    } layers[] = { { "conv1", 3, 8, 3, 1 },
                   { "layer1.0.conv1", 8, 8, 3, 2 },
                   { "layer1.0.conv2", 8, 8, 3, 3 },
                   { "layer2.0.shortcut.0", 8, 16, 1, 4 },
                   { "layer2.0.conv1", 8, 16, 3, 4 },
                   { "layer2.0.conv2", 16, 16, 3, 5 },
                   { "layer2.1.conv1", 16, 16, 3, 6 },
                   { "layer2.1.conv2", 16, 16, 3, 7 },
                   { "layer3.0.shortcut.0", 16, 32, 1, 8 },
                   { "layer3.0.conv1", 16, 32, 3, 8 },
                   { "layer3.0.conv2", 32, 32, 3, 9 },
                   { "linear", 32, 4, 1, 10 } };
    for (int i = 0; i < 12; i++) {
        const plm_layer *l = plm_graph_layer(g, i);
        assert_string_equal(l->name, layers[i].name);
        assert_string_equal(l->kind, i < 11 ? "conv2d" : "linear");
        assert_int_equal(l->d_in, layers[i].d_in);
        assert_int_equal(l->d_out, layers[i].d_out);
        assert_int_equal(l->kernel_h, layers[i].kernel);
        assert_int_equal(l->kernel_w, layers[i].kernel);
        assert_int_equal(l->groups, 1);
        assert_int_equal(l->index, i);
        assert_int_equal(l->depth, layers[i].depth);
        assert_int_equal(plm_layer_fan_in(l), layers[i].d_in * layers[i].kernel * layers[i].kernel);
        assert_int_equal(plm_layer_fan_out(l), layers[i].d_out * layers[i].kernel * layers[i].kernel);
        assert_null(l->bias);
        assert_int_equal(plm_param_role(l->weight), PLM_ROLE_WEIGHT);
    }
    assert_null(plm_graph_layer(g, 12));
    assert_null(plm_graph_layer(g, -1));
    assert_true(plm_shape_equal(plm_graph_input_shape(g), plm_shape_of(3, 16, 16)));
    assert_true(plm_shape_equal(plm_graph_output_shape(g), plm_shape_of(4)));
}

static void test_what_a_node_says(void **state)
{
    fixture       *f = *state;
    const plm_node c =
        plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 5, .kernel = 3, .stride = 2, .bias = true });
    const plm_node b    = plm_nn_batch_norm(c, &(plm_batch_norm_desc){ .name = "b", .affine = true });
    const plm_node s    = plm_nn_add(b, c);
    const plm_node deep = plm_nn_add(f->x, conv(f->x, "d", 3)); /* the longer path comes second */
    assert_ok(f->ctx);
    assert_true(plm_shape_equal(plm_node_shape(c), plm_shape_of(5, 3, 3)));
    const plm_node_info ci = info_of(f->g, c.id), bi = info_of(f->g, b.id), si = info_of(f->g, s.id);
    assert_int_equal(ci.input_count, 1);
    assert_int_equal(ci.inputs[0], f->x.id);
    assert_int_equal(ci.consumers, 2);
    assert_int_equal(ci.depth, 1);
    assert_int_equal(ci.param_count, 2);
    assert_int_equal(ci.macs, 5 * 3 * 3 * 3 * 9);
    assert_ptr_equal(ci.params[1], plm_graph_layer(f->g, 0)->bias);
    assert_int_equal(plm_param_role(ci.params[1]), PLM_ROLE_BIAS);
    static const plm_role roles[] = { PLM_ROLE_STATISTIC, PLM_ROLE_STATISTIC, PLM_ROLE_NORM_SCALE,
                                      PLM_ROLE_NORM_SHIFT };
    assert_int_equal(bi.param_count, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(plm_param_role(bi.params[i]), roles[i]);
    assert_int_equal(bi.depth, 1);
    assert_int_equal(info_of(f->g, deep.id).depth, 1);
    assert_int_equal(si.input_count, 2);
    assert_int_equal(si.inputs[0], b.id);
    assert_int_equal(si.inputs[1], c.id);
    assert_int_equal(plm_graph_param_count(f->g), 7);
    assert_int_equal(plm_graph_summary(f->g).parameters, 5 * 27 + 5 + 5 + 5 + 81); /* without the statistics */
    assert_null(plm_graph_param(f->g, 7));
    assert_null(plm_graph_param(f->g, -1));
    plm_node_info none;
    assert_false(plm_graph_node_info(f->g, 6, &none));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_node_info: node 6 of 6");
    assert_int_equal(plm_node_shape((plm_node){ NULL, -1 }).rank, 0);
}

/* Extents whose multiply-adds are beyond 64 bits: a number all the same, the largest. */
static void test_multiply_adds_beyond_counting(void **state)
{
    fixture *f = *state;
    plm_graph_free(f->other);
    f->other                   = plm_graph_new(f->ctx);
    const plm_node        x    = plm_nn_input(f->other, plm_shape_of(2, 1 << 21, 1 << 21));
    const plm_conv2d_desc wide = { .name = "a", .out = 4, .kernel = 1 << 10, .pad = 1 << 9 };
    const plm_node        y    = plm_nn_conv2d(x, &wide);
    assert_ok(f->ctx);
    assert_int_equal(info_of(f->other, y.id).macs, INT64_MAX);
    assert_int_equal(plm_graph_summary(f->other).macs, INT64_MAX);
}

static void test_fcn_of_the_zoo(void **state)
{
    fixture *f = *state;
    plm_graph_output(plm_zoo_fcn(f->x, 10, &(plm_fcn_desc){ .depth = 4, .width = 32 }), "logits");
    assert_ok(f->ctx);
    static const char *const names[] = { "initial", "layers.0", "layers.1", "final" };
    assert_int_equal(plm_graph_layer_count(f->g), 4);
    for (int i = 0; i < 4; i++) assert_string_equal(plm_graph_layer(f->g, i)->name, names[i]);
    assert_int_equal(plm_graph_summary(f->g).parameters, 192 * 32 + 2 * 32 * 32 + 32 * 10);
    assert_int_equal(plm_graph_summary(f->g).depth, 4);
    assert_int_equal(plm_graph_summary(f->other).layers, 0);
    plm_graph_output(plm_zoo_fcn(f->other_x, 10, NULL), NULL);
    assert_int_equal(plm_graph_summary(f->other).depth, 10);
    assert_int_equal(plm_graph_layer(f->other, 5)->d_out, 256);
}

/* Handles that no call made, and objects that a failed call did not make. */
static void test_nothing_to_ask(void **state)
{
    fixture *f = *state;
    plm_nn_relu((plm_node){ f->g, 57 }, NULL);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "relu at relu0: input 0 is no node of a graph");
    plm_graph_output((plm_node){ f->g, 57 }, NULL);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_output: the node is empty");
    plm_graph_scope(f->g, "a/b");
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "names do not contain");
    plm_nn_relu(f->x, &(plm_relu_desc){ .name = "gr\xf6sse" });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "the name is no UTF-8 text");
    assert_true(plm_nn_relu(f->x, &(plm_relu_desc){ .name = "gr\xc3\xb6sse" }).id >= 0);
    assert_int_equal(plm_node_shape((plm_node){ f->g, 57 }).rank, 0);
    plm_graph_set_classes(f->g, (const char *[]){ "a", NULL }, 2);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "name 1 of 2 is NULL");
    plm_graph_set_normalization(f->g, &(plm_normalization){ .channels = 1 });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "a std that is not positive");

    assert_null(plm_graph_ctx(NULL));
    assert_int_equal(plm_graph_node_count(NULL) + plm_graph_layer_count(NULL) + plm_graph_param_count(NULL), 0);
    assert_null(plm_graph_layer(NULL, 0));
    assert_null(plm_graph_param(NULL, 0));
    assert_null(plm_graph_param_named(f->g, NULL));
    assert_false(plm_graph_node_info(f->g, 0, NULL));
    assert_int_equal(plm_graph_summary(NULL).parameters, 0);
    assert_int_equal(plm_graph_input_shape(NULL).rank + plm_graph_output_shape(NULL).rank, 0);
    assert_int_equal(plm_graph_class_count(NULL), 0);
    assert_null(plm_graph_class(NULL, 0));
    assert_null(plm_param_name(NULL));
    assert_null(plm_tape_ctx(NULL));
    assert_null(plm_optimizer_name(NULL));
    assert_int_equal(plm_optimizer_info(NULL)->layers, 0);
    assert_int_equal(plm_ctx_threads(NULL), 0);
}

#define graph_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        graph_test(test_names_come_from_kind_and_number),
        graph_test(test_groups),
        graph_test(test_global_pools),
        graph_test(test_scopes_nest),
        graph_test(test_names_are_unique),
        graph_test(test_queries_of_a_residual_network),
        graph_test(test_what_a_node_says),
        graph_test(test_multiply_adds_beyond_counting),
        graph_test(test_fcn_of_the_zoo),
        graph_test(test_nothing_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_graph_errors.c: what building, an output and apply refuse, and in which words. */
#include "nn/builders.h"

#include <limits.h>

static void test_nodes_of_elsewhere(void **state)
{
    fixture *f = *state;
    assert_int_equal(plm_nn_add(f->x, f->other_x).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "add at add0: inputs 0 and 1 are of different graphs");
    assert_int_equal(plm_nn_concat((const plm_node[]){ f->x, f->x, f->other_x }, 3, NULL).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "concat at concat0: inputs 0 and 2 are of different graphs");
    const plm_node empty = { f->g, -1 };
    assert_int_equal(plm_nn_add(f->x, empty).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "add at add0: input 1 is an empty node");
    assert_int_equal(plm_nn_tanh(empty, NULL).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "tanh at tanh0: input 0 is an empty node");
    plm_graph_output(empty, "y");
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_output: the node is empty");
    assert_int_equal(plm_nn_relu((plm_node){ NULL, -1 }, NULL).id, -1); /* knows no context: nothing to say it to */
    plm_node_keep((plm_node){ NULL, -1 });
    assert_ok(f->ctx);
}

/* A desc that is refused, and the sentence. */
typedef plm_node (*maker)(fixture *f);
typedef struct {
    const char *name;
    maker       make;
    plm_status  status;
    const char *sentence;
} bad;

#define BAD(id, expression)        \
    static plm_node id(fixture *f) \
    {                              \
        return expression;         \
    }
BAD(linear_on_image, plm_nn_linear(f->x, &(plm_linear_desc){ .name = "fc", .out = 4 }))
BAD(linear_without_out, plm_nn_linear(plm_nn_flatten(f->x), &(plm_linear_desc){ .name = "fc" }))
BAD(linear_null, plm_nn_linear(plm_nn_flatten(f->x), NULL))
BAD(linear_huge, plm_nn_linear(plm_nn_flatten(f->x), &(plm_linear_desc){ .name = "fc", .out = INT64_MAX / 8 }))
BAD(conv_on_vector, plm_nn_conv2d(plm_nn_flatten(f->x), &(plm_conv2d_desc){ .name = "c", .out = 4 }))
BAD(conv_without_out, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .kernel = 3 }))
BAD(conv_negative_out, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = -2 }))
BAD(conv_kernel, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .kernel = -1 }))
BAD(conv_stride, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .stride = -2 }))
BAD(conv_pad, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .pad = -1 }))
BAD(conv_window, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .kernel = 11, .pad = 1 }))
BAD(conv_huge_pad, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .pad = INT_MAX }))
BAD(conv_dilation, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .dilation = -1 }))
BAD(conv_huge_dilation, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .dilation = 20000 }))
BAD(conv_idle_dilation,
    plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .kernel = 1, .dilation = INT_MAX }))
BAD(conv_dilated_window, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .pad = 1, .dilation = 5 }))
BAD(conv_groups, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 3, .groups = -3 }))
BAD(conv_groups_in, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .groups = 2 }))
BAD(conv_groups_out, plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .name = "c", .out = 4, .groups = 3 }))
BAD(norm_rank,
    plm_nn_batch_norm(plm_nn_input(f->other = (plm_graph_free(f->other), plm_graph_new(f->ctx)), plm_shape_of(3, 4)),
                      &(plm_batch_norm_desc){ .name = "bn" }))
BAD(norm_eps, plm_nn_batch_norm(f->x, &(plm_batch_norm_desc){ .name = "bn", .eps = -1 }))
BAD(norm_momentum, plm_nn_batch_norm(f->x, &(plm_batch_norm_desc){ .name = "bn", .momentum = 1.5 }))
BAD(pool_without_kernel, plm_nn_max_pool2d(f->x, NULL))
BAD(pool_on_vector, plm_nn_avg_pool2d(plm_nn_flatten(f->x), &(plm_pool2d_desc){ .name = "p", .kernel = 2 }))
BAD(pool_huge, plm_nn_max_pool2d(f->x, &(plm_pool2d_desc){ .name = "p", .kernel = 2, .stride = 40000 }))
BAD(pool_stride, plm_nn_max_pool2d(f->x, &(plm_pool2d_desc){ .name = "p", .kernel = 2, .stride = -1 }))
BAD(pool_pad, plm_nn_avg_pool2d(f->x, &(plm_pool2d_desc){ .name = "p", .kernel = 2, .pad = 2 }))
BAD(pool_window, plm_nn_max_pool2d(f->x, &(plm_pool2d_desc){ .name = "p", .kernel = 9 }))
BAD(pool_exclude_pad,
    plm_nn_max_pool2d(f->x, &(plm_pool2d_desc){ .name = "p", .kernel = 3, .pad = 1, .exclude_pad = true }))
BAD(pool_global_kernel, plm_nn_avg_pool2d(f->x, &(plm_pool2d_desc){ .name = "p", .kernel = 8, .global = true }))
BAD(pool_global_huge, plm_nn_avg_pool2d(plm_nn_input(f->other = (plm_graph_free(f->other), plm_graph_new(f->ctx)),
                                                     plm_shape_of(1, 1, 40000)),
                                        &(plm_pool2d_desc){ .name = "p", .global = true }))
BAD(relu_scale, plm_nn_relu(f->x, &(plm_relu_desc){ .name = "r", .scale = -1 }))
BAD(add_shapes, plm_nn_add(f->x, plm_nn_flatten(f->x)))
BAD(concat_shapes,
    plm_nn_concat((const plm_node[]){ f->x, f->x, plm_nn_flatten(f->x) }, 3, &(plm_concat_desc){ .name = "j" }))
BAD(concat_extent, plm_nn_concat((const plm_node[]){ f->x, plm_nn_max_pool2d(f->x, &(plm_pool2d_desc){ .kernel = 2 }) },
                                 2, &(plm_concat_desc){ .name = "j", .axis = -1 }))
BAD(concat_axis, plm_nn_concat(&f->x, 1, &(plm_concat_desc){ .name = "j", .axis = 3 }))
BAD(concat_many, plm_nn_concat((const plm_node[9]){ f->x, f->x, f->x, f->x, f->x, f->x, f->x, f->x, f->x }, 9, NULL))
BAD(concat_hole, plm_nn_concat((const plm_node[3]){ f->x, f->x }, 3, NULL))
BAD(slice_axis, plm_nn_slice(f->x, &(plm_slice_desc){ .name = "s", .axis = -4 }))
BAD(slice_range, plm_nn_slice(f->x, &(plm_slice_desc){ .name = "s", .axis = 1, .start = 4, .stop = -4 }))
BAD(slice_beyond, plm_nn_slice(f->x, &(plm_slice_desc){ .name = "s", .start = 3 }))
BAD(embedding_num, plm_nn_embedding(f->x, &(plm_embedding_desc){ .name = "e", .dim = 4 }))
BAD(embedding_null, plm_nn_embedding(f->x, NULL))
BAD(embedding_huge, plm_nn_embedding(f->x, &(plm_embedding_desc){ .name = "e", .num = INT64_MAX / 8, .dim = 4 }))
BAD(embedding_rank, plm_nn_embedding(plm_nn_input(f->other = (plm_graph_free(f->other), plm_graph_new(f->ctx)),
                                                  plm_shape_of(1, 1, 2, 1, 1)),
                                     &(plm_embedding_desc){ .name = "e", .num = 1, .dim = 4 }))
BAD(second_input, plm_nn_input(f->g, plm_shape_of(2)))
BAD(input_rank_0, plm_nn_input(f->g, plm_shape_from(0, NULL)))
BAD(input_rank_6, plm_nn_input(f->g, plm_shape_of(1, 1, 1, 1, 1, 1)))
BAD(input_extent, plm_nn_input(f->g, plm_shape_of(3, 0, 8)))
BAD(fcn_depth, plm_zoo_fcn(f->x, 10, &(plm_fcn_desc){ .depth = 1 }))
BAD(fcn_classes, plm_zoo_fcn(f->x, 0, NULL))

static const bad bads[] = {
    { "linear_on_image", linear_on_image, PLM_ERR_SHAPE,
      "linear at fc: its input is [3,8,8] without the batch axis, expected one axis: flatten it" },
    { "linear_without_out", linear_without_out, PLM_ERR_ARGUMENT,
      "linear at fc: out is 0, expected a positive number" },
    { "linear_null", linear_null, PLM_ERR_ARGUMENT, "linear at linear0: out is 0" },
    { "linear_huge", linear_huge, PLM_ERR_SHAPE,
      "fc.weight: [1152921504606846975,192] has too many elements to count" },
    { "conv_on_vector", conv_on_vector, PLM_ERR_SHAPE,
      "conv2d at c: its input is [192] without the batch axis, expected [channels,height,width]" },
    { "conv_without_out", conv_without_out, PLM_ERR_ARGUMENT, "conv2d at c: out is 0, expected a positive number" },
    { "conv_negative_out", conv_negative_out, PLM_ERR_ARGUMENT, "conv2d at c: out is -2" },
    { "conv_kernel", conv_kernel, PLM_ERR_ARGUMENT, "conv2d at c: kernel is -1, expected a positive number" },
    { "conv_stride", conv_stride, PLM_ERR_ARGUMENT, "conv2d at c: stride is -2, expected a positive number" },
    { "conv_pad", conv_pad, PLM_ERR_ARGUMENT, "conv2d at c: pad is -1, expected 0 or more" },
    { "conv_window", conv_window, PLM_ERR_SHAPE,
      "conv2d at c: a 11x11 window is larger than its input [3,8,8] padded by 1" },
    { "conv_huge_pad", conv_huge_pad, PLM_ERR_ARGUMENT,
      "pad 2147483647, dilation 1: stride, pad and what a window covers are at most 32768" },
    { "conv_dilation", conv_dilation, PLM_ERR_ARGUMENT, "conv2d at c: dilation is -1, expected a positive number" },
    { "conv_huge_dilation", conv_huge_dilation, PLM_ERR_ARGUMENT,
      "dilation 20000: stride, pad and what a window covers" },
    { "conv_idle_dilation", conv_idle_dilation, PLM_ERR_ARGUMENT,
      "dilation 2147483647: stride, pad and what a window" },
    { "conv_dilated_window", conv_dilated_window, PLM_ERR_SHAPE,
      "conv2d at c: a 11x11 window is larger than its input [3,8,8] padded by 1" },
    { "conv_groups", conv_groups, PLM_ERR_ARGUMENT, "conv2d at c: groups is -3, expected a positive number" },
    { "conv_groups_in", conv_groups_in, PLM_ERR_SHAPE,
      "conv2d at c: 3 input and 4 output channels do not divide into 2 groups (its input is [3,8,8])" },
    { "conv_groups_out", conv_groups_out, PLM_ERR_SHAPE, "3 input and 4 output channels do not divide into 3 groups" },
    { "norm_rank", norm_rank, PLM_ERR_SHAPE,
      "batch_norm at bn: its input is [3,4] without the batch axis, expected [channels] or [channels,height,width]" },
    { "norm_eps", norm_eps, PLM_ERR_ARGUMENT, "batch_norm at bn: eps is -1, expected a positive number" },
    { "norm_momentum", norm_momentum, PLM_ERR_ARGUMENT, "batch_norm at bn: momentum is 1.5, expected at most 1" },
    { "pool_without_kernel", pool_without_kernel, PLM_ERR_ARGUMENT,
      "max_pool2d at max_pool2d0: kernel 0, stride 0, pad 0: kernel is required" },
    { "pool_on_vector", pool_on_vector, PLM_ERR_SHAPE, "avg_pool2d at p: its input is [192] without the batch axis" },
    { "pool_huge", pool_huge, PLM_ERR_ARGUMENT,
      "max_pool2d at p: kernel 2, stride 40000, pad 0: each is at most 32768" },
    { "pool_stride", pool_stride, PLM_ERR_ARGUMENT, "max_pool2d at p: kernel 2, stride -1, pad 0" },
    { "pool_pad", pool_pad, PLM_ERR_ARGUMENT, "avg_pool2d at p: kernel 2, stride 2, pad 2" },
    { "pool_window", pool_window, PLM_ERR_SHAPE,
      "max_pool2d at p: a 9x9 window is larger than its input [3,8,8] padded by 0" },
    { "pool_exclude_pad", pool_exclude_pad, PLM_ERR_ARGUMENT,
      "max_pool2d at p: exclude_pad is for means: padding never is the maximum" },
    { "pool_global_kernel", pool_global_kernel, PLM_ERR_ARGUMENT,
      "avg_pool2d at p: kernel 8, stride 8, pad 0: a global pool's window is the image, all three stay 0" },
    { "pool_global_huge", pool_global_huge, PLM_ERR_ARGUMENT,
      "avg_pool2d at p: its input is [1,1,40000]: the side of a window is at most 32768" },
    { "relu_scale", relu_scale, PLM_ERR_ARGUMENT, "relu at r: scale is -1, expected a positive number" },
    { "add_shapes", add_shapes, PLM_ERR_SHAPE, "add at add0: its inputs are [3,8,8] and [192], expected one shape" },
    { "concat_shapes", concat_shapes, PLM_ERR_SHAPE,
      "concat at j: its input 2 is [192] and its input 0 [3,8,8] without the batch axis: they may differ along axis 0 "
      "only" },
    { "concat_extent", concat_extent, PLM_ERR_SHAPE,
      "concat at j: its input 1 is [3,4,4] and its input 0 [3,8,8] without the batch axis: they may differ along axis "
      "2" },
    { "concat_axis", concat_axis, PLM_ERR_ARGUMENT,
      "concat at j: there is no axis 3 in its input 0 [3,8,8] (without the batch axis)" },
    { "concat_many", concat_many, PLM_ERR_ARGUMENT, "concat at concat0: 9 inputs, expected 1 to 8" },
    { "concat_hole", concat_hole, PLM_ERR_ARGUMENT, "concat at concat0: input 2 is an empty node" },
    { "slice_axis", slice_axis, PLM_ERR_ARGUMENT,
      "slice at s: there is no axis -4 in its input [3,8,8] (without the batch axis)" },
    { "slice_range", slice_range, PLM_ERR_ARGUMENT,
      "slice at s: elements 4 to -4 along axis 1 of its input [3,8,8] (without the batch axis): start comes before "
      "stop" },
    { "slice_beyond", slice_beyond, PLM_ERR_ARGUMENT, "slice at s: elements 3 to 0 along axis 0 of its input [3,8,8]" },
    { "embedding_num", embedding_num, PLM_ERR_ARGUMENT, "embedding at e: num is 0, expected a positive number" },
    { "embedding_null", embedding_null, PLM_ERR_ARGUMENT, "embedding at embedding0: num is 0" },
    { "embedding_huge", embedding_huge, PLM_ERR_SHAPE, "has too many elements to count" },
    { "embedding_rank", embedding_rank, PLM_ERR_SHAPE,
      "embedding at e: its input is [1,1,2,1,1] without the batch axis: with that and the axis of features there are "
      "more "
      "than 6" },
    { "second_input", second_input, PLM_ERR_STATE, "input at input1: the graph has an input already" },
    { "input_rank_0", input_rank_0, PLM_ERR_SHAPE, "input: rank 0, expected 1 to 5 (without the batch axis)" },
    { "input_rank_6", input_rank_6, PLM_ERR_SHAPE, "input: rank 6, expected 1 to 5" },
    { "input_extent", input_extent, PLM_ERR_SHAPE, "input: extent 2 of [1,3,0,8] is 0" },
    { "fcn_depth", fcn_depth, PLM_ERR_ARGUMENT, "fcn: depth 1, width 256, 10 classes: depth is at least 2" },
    { "fcn_classes", fcn_classes, PLM_ERR_ARGUMENT, "fcn: depth 10, width 256, 0 classes" },
};

/* Each leaves the graph as it was, so that building goes on after plm_ctx_clear. */
static void test_bad_descs(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        const int params = plm_graph_param_count(f->g), layers = plm_graph_layer_count(f->g);
        assert_int_equal(bads[i].make(f).id, -1);
        assert_int_equal(plm_graph_param_count(f->g), params);
        assert_int_equal(plm_graph_layer_count(f->g), layers);
        assert_error(f->ctx, bads[i].status, bads[i].sentence);
    }
    plm_graph_output(plm_nn_linear(plm_nn_flatten(f->x), &(plm_linear_desc){ .name = "fc", .out = 4 }), NULL);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    static const float x[2 * 192] = { 1 };
    assert_true(plm_val_ok(
        plm_graph_apply(f->g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 8, 8), x)))));
    assert_ok(f->ctx);
}

static void test_growing_after_use(void **state)
{
    fixture       *f = *state;
    const plm_node y = plm_nn_linear(plm_nn_flatten(f->x), &(plm_linear_desc){ .name = "fc", .out = 4 });
    plm_graph_output(y, "logits");
    plm_graph_output(y, "again");
    assert_error(f->ctx, PLM_ERR_STATE, "plm_graph_output: the graph has an output already (logits)");
    plm_optimizer *o = plm_sgd_new(f->g, NULL);
    assert_non_null(o);
    plm_optimizer_free(o);
    assert_int_equal(plm_nn_relu(y, NULL).id, -1);
    assert_error(f->ctx, PLM_ERR_STATE,
                 "relu at relu0: the graph is in use (applied, or given to an optimiser) and cannot grow");
    plm_node_keep(y);
    assert_error(f->ctx, PLM_ERR_STATE, "plm_node_keep: fc: the graph is in use already");
    plm_graph_output(y, "late");
    assert_error(f->ctx, PLM_ERR_STATE, "the graph has an output already (logits)");
    assert_int_equal(plm_graph_node_count(f->g), 3);
}

static void test_what_apply_refuses(void **state)
{
    fixture           *f          = *state;
    static const float x[2 * 192] = { 1 };
    const plm_val      good       = plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 8, 8), x));
    const plm_node     y          = plm_nn_linear(plm_nn_flatten(f->x), &(plm_linear_desc){ .name = "fc", .out = 4 });
    float              out[8];

    plm_graph_apply(f->g, good);
    assert_error(f->ctx, PLM_ERR_STATE, "the graph has no output: call plm_graph_output");
    assert_null(plm_agd_new(f->g, NULL));
    assert_error(f->ctx, PLM_ERR_STATE, "the graph has no output: call plm_graph_output");
    assert_false(plm_graph_predict(f->g, x, 2, out));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_graph_predict: the graph has no output: call plm_graph_output");

    /* Clearing an error resets the tapes: the inputs enter anew. */
    plm_graph_output(y, NULL);
    plm_graph_apply(f->g, good);
    assert_error(f->ctx, PLM_ERR_STATE, "plm_graph_apply: the value is stale");
    const plm_val again = plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 8, 8), x));
    plm_graph_apply(f->g, again);
    assert_error(f->ctx, PLM_ERR_STATE, "the weights are neither initialised nor loaded: call plm_graph_init");

    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    plm_graph_apply(f->g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 8, 8, 3), x)));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_graph_apply: the input is [2,8,8,3], the graph expects [2,3,8,8]");
    plm_graph_apply(f->g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3, 8, 8), x)));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_graph_apply: the input is [3,8,8], the graph expects [3,3,8,8]");
    plm_graph_apply(f->g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_from(0, NULL), x)));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_graph_apply: the input is [], the graph expects [1,3,8,8]");
    plm_graph_apply(f->g, plm_none);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_apply: the input is empty");
    assert_false(plm_val_ok(plm_graph_apply(NULL, plm_none)));
    plm_graph_init(f->g, (plm_init)7);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_init: scheme 7 is neither PLM_INIT_AGD nor PLM_INIT_PYTORCH");
}

static void test_tape_of_another_context(void **state)
{
    fixture           *f          = *state;
    static const float x[2 * 192] = { 1 };
    plm_graph_output(plm_nn_flatten(f->x), NULL);
    plm_ctx      *ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = 1 });
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 8, 8), x));
    const plm_val y    = plm_graph_apply(f->g, v);
    const bool    ok   = plm_val_ok(y);
    plm_ctx_free(ctx);
    assert_false(ok);
    assert_error(f->ctx, PLM_ERR_ARGUMENT,
                 "plm_graph_apply: the input lives on a tape of another context than the graph");
}

#define graph_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        graph_test(test_nodes_of_elsewhere),      graph_test(test_bad_descs),
        graph_test(test_growing_after_use),       graph_test(test_what_apply_refuses),
        graph_test(test_tape_of_another_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

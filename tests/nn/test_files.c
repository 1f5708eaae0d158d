/* test_files.c: networks saved, opened and loaded: every module and every bit comes back. */
#include "nn/files.h"

#include <unistd.h>

static char path[1024], other[1024]; /* test_path lends its memory until its next call */

static int setup(void **state)
{
    strcpy(path, test_path("net.safetensors"));
    strcpy(other, test_path("other.safetensors"));
    unlink(path), unlink(other);
    return test_ctx_setup(state);
}
#define file_test(f) cmocka_unit_test_setup_teardown(f, setup, test_ctx_teardown)

static void assert_same_prediction(plm_graph *a, plm_graph *b)
{
    float y[2 * OUTPUT], z[2 * OUTPUT];
    predict(a, y);
    predict(b, z);
    assert_memory_equal(y, z, sizeof y);
    assert_memory_not_equal(y, y + OUTPUT, OUTPUT * sizeof *y); /* it depends on the input */
}

static void assert_same_description(const plm_graph *a, const plm_graph *b)
{
    plm_node_info n, m;
    assert_int_equal(plm_graph_node_count(a), plm_graph_node_count(b));
    for (int i = 0; i < plm_graph_node_count(a); i++) {
        assert_true(plm_graph_node_info(a, i, &n) && plm_graph_node_info(b, i, &m));
        assert_string_equal(n.name, m.name);
        assert_string_equal(n.kind, m.kind);
        assert_int_equal(n.input_count, m.input_count);
        for (int k = 0; k < n.input_count; k++) assert_int_equal(n.inputs[k], m.inputs[k]);
        assert_int_equal(n.depth, m.depth);
        assert_int_equal(n.macs, m.macs);
        assert_true(plm_shape_equal(n.shape, m.shape));
    }
    assert_int_equal(plm_graph_param_count(a), plm_graph_param_count(b));
    for (int i = 0; i < plm_graph_param_count(a); i++) {
        const plm_param *p = plm_graph_param(a, i), *q = plm_graph_param(b, i);
        assert_string_equal(plm_param_name(p), plm_param_name(q));
        assert_int_equal(plm_param_role(p), plm_param_role(q));
        assert_true(plm_shape_equal(plm_param_shape(p), plm_param_shape(q)));
    }
}

static void test_round_trip(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = filled_network(ctx, 1);
    plm_graph_set_classes(net, some_classes, 5);
    plm_graph_set_normalization(net, &some_normalization);
    assert_true(plm_graph_save(net, path));
    plm_graph *opened = plm_graph_open(ctx, path);
    assert_ok(ctx);
    assert_same_description(net, opened);
    assert_true(plm_graph_initialized(opened));
    assert_int_equal(plm_graph_class_count(opened), 5);
    for (int i = 0; i < 5; i++) assert_string_equal(plm_graph_class(opened, i), some_classes[i]);
    assert_memory_equal(plm_graph_normalization(opened), &some_normalization, sizeof some_normalization);
    assert_true(plm_graph_save(opened, other));
    assert_same_file(path, other);
    assert_same_prediction(net, opened);
    assert_true(plm_graph_save(opened, other)); /* now its weights lie as the kernels want them */
    assert_same_file(path, other);
    plm_graph_free(opened);
    plm_graph_free(net);
}

/* A kept node is readable after apply; one that is not kept is not. */
static void test_kept(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = filled_network(ctx, 1);
    assert_true(plm_graph_save(net, path));
    plm_graph *opened = plm_graph_open(ctx, path);
    assert_ok(ctx);
    int           kept = -1;
    plm_node_info info;
    for (int i = 0; i < plm_graph_node_count(opened); i++)
        if (plm_graph_node_info(opened, i, &info) && strcmp(info.kind, "tanh") == 0) kept = i;
    static float x[INPUT];
    plm_tape    *tape = plm_tape_new(ctx, &(plm_tape_desc){ .eval = true });
    plm_graph_apply(opened, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1, 3, 8, 8), x)));
    assert_true(plm_shape_equal(plm_val_shape(plm_node_value((plm_node){ opened, kept }, tape)), plm_shape_of(1, 7)));
    assert_ok(ctx);
    plm_node_value((plm_node){ opened, kept - 1 }, tape);
    assert_int_not_equal(plm_ctx_status(ctx), PLM_OK);
    plm_ctx_clear(ctx);
    plm_tape_free(tape);
    plm_graph_free(opened);
    plm_graph_free(net);
}

/* What other programs read: aligned data, names and shapes, nothing about classes where there are none. */
static void test_bytes(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = plm_graph_new(ctx);
    plm_node   x   = plm_nn_linear(plm_nn_input(net, plm_shape_of(3)), &(plm_linear_desc){ .name = "fc", .out = 2 });
    plm_graph_output(plm_nn_relu(x, &(plm_relu_desc){ .scale = PLM_SQRT2 }), NULL);
    const float w[] = { 1, 2, 3, 4, 5, 6 };
    assert_true(plm_param_write(plm_graph_param(net, 0), w, 6));
    assert_true(plm_graph_save(net, path));
    const char *want =
        "{\"__metadata__\":{\"format\":\"pt\",\"plummet.graph\":\"{\\\"version\\\":1,\\\"input\\\":[3],\\\"output\\\":{"
        "\\\"node\\\":2,\\\"name\\\":\\\"output\\\"},\\\"nodes\\\":[{\\\"kind\\\":\\\"input\\\",\\\"name\\\":"
        "\\\"input0\\\","
        "\\\"inputs\\\":[]},{\\\"kind\\\":\\\"linear\\\",\\\"name\\\":\\\"fc\\\",\\\"inputs\\\":[0],\\\"out\\\":2,"
        "\\\"bias\\\":false},{\\\"kind\\\":\\\"relu\\\",\\\"name\\\":\\\"relu0\\\",\\\"inputs\\\":[1],\\\"scale\\\":"
        "1.4142135623730951}],\\\"kept\\\":[]}\"},\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,"
        "24]}}";
    size_t               size;
    const unsigned char *bytes  = file_bytes(path, &size);
    const size_t         length = bytes[0] + 256u * bytes[1];
    assert_int_equal(length % 8, 0);
    assert_in_range(length, strlen(want), strlen(want) + 7);
    assert_memory_equal(bytes + 8, want, strlen(want));
    for (size_t i = strlen(want); i < length; i++) assert_int_equal(bytes[8 + i], ' ');
    assert_int_equal(size, 8 + length + sizeof w);
    assert_memory_equal(bytes + 8 + length, w, sizeof w);
    plm_graph_free(net);
}

/* Class names in an old encoding: the file is UTF-8 all the same. */
static void test_latin1(void **state)
{
    plm_ctx          *ctx     = *state;
    const char *const names[] = { "caf\xe9", "\xed\xa0\x80", "\xf0\x9f\x90\x88", "\xc0\xaf\xff" };
    plm_graph        *net     = filled_network(ctx, 1);
    plm_graph_set_classes(net, names, 4);
    assert_true(plm_graph_save(net, path));
    plm_graph *opened = plm_graph_open(ctx, path);
    assert_ok(ctx);
    assert_string_equal(plm_graph_class(opened, 0), "caf\xc3\xa9");
    assert_string_equal(plm_graph_class(opened, 1), "\xc3\xad\xc2\xa0\xc2\x80"); /* a surrogate is no character */
    assert_string_equal(plm_graph_class(opened, 2), names[2]);
    assert_string_equal(plm_graph_class(opened, 3), "\xc3\x80\xc2\xaf\xc3\xbf");
    plm_graph_free(opened);
    plm_graph_free(net);
}

/* As PyTorch writes it: another order, a counter of batches, no description. */
static void test_load_foreign(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = plm_graph_new(ctx);
    plm_node   x   = plm_nn_input(net, plm_shape_of(2));
    x              = plm_nn_linear(x, &(plm_linear_desc){ .name = "fc", .out = 3, .bias = true });
    plm_graph_output(plm_nn_batch_norm(x, &(plm_batch_norm_desc){ .name = "bn" }), NULL);
    float data[17] = { 0 };
    for (int i = 2; i < 17; i++) data[i] = (float)i;
    write_tensors(path,
                  "{\"__metadata__\":{\"format\":\"pt\"},"
                  "\"bn.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                  "\"fc.weight\":{\"data_offsets\":[20,44],\"dtype\":\"F32\",\"shape\":[3,2]},"
                  "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[8,20]},"
                  "\"bn.running_var\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[56,68]},"
                  "\"bn.running_mean\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[44,56]}}  ",
                  data, sizeof data);
    assert_false(plm_graph_initialized(net));
    assert_true(plm_graph_load(net, path));
    assert_ok(ctx);
    assert_true(plm_graph_initialized(net));
    const struct {
        const char *name;
        int         first, n;
    } want[] = {
        { "fc.bias", 2, 3 }, { "fc.weight", 5, 6 }, { "bn.running_mean", 11, 3 }, { "bn.running_var", 14, 3 }
    };
    for (int i = 0; i < 4; i++) {
        float got[6];
        assert_true(plm_param_read(plm_graph_param_named(net, want[i].name), got, want[i].n));
        assert_memory_equal(got, data + want[i].first, (size_t)want[i].n * sizeof *got);
    }
    assert_null(plm_graph_open(ctx, path));
    assert_error(ctx, PLM_ERR_FORMAT, "net.safetensors: it has no description of a network");
    plm_graph_free(net);
}

/* The network is in use: its weights lie in layouts of their own, and copies of them are stale. */
static void test_load_in_use(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = filled_network(ctx, 1), *wanted = filled_network(ctx, 2);
    float      y[2 * OUTPUT], before[2 * OUTPUT];
    predict(net, before);
    assert_true(plm_graph_save(wanted, path));
    assert_true(plm_graph_load(net, path));
    assert_same_prediction(net, wanted);
    predict(net, y);
    assert_memory_not_equal(y, before, sizeof y);
    plm_graph_free(wanted);
    plm_graph_free(net);
}

/* Whatever does not fit is named, and the weights stay. */
static void test_load_misfits(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = filled_network(ctx, 1);
    assert_true(plm_graph_save(net, other));
    write_tensors(path,
                  "{\"layer1.conv1.weight\":{\"dtype\":\"F32\",\"shape\":[6,3,9],\"data_offsets\":[0,648]},"
                  "\"hidden.bias\":{\"dtype\":\"F64\",\"shape\":[7],\"data_offsets\":[648,704]},"
                  "\"stranger\":{\"dtype\":\"BF16\",\"shape\":[2,1,1,1,1,1,1,1],\"data_offsets\":[704,708]},"
                  "\"final.weight\":{\"dtype\":\"F32\",\"shape\":[5,7],\"data_offsets\":[708,848]}}",
                  NULL, 848);
    assert_false(plm_graph_load(net, path));
    assert_non_null(strstr(plm_ctx_error(ctx), "; missing: layer1.conv1.bias, layer1.0.bn1.running_mean, "
                                               "layer1.0.bn1.running_var and 8 more"));
    assert_non_null(strstr(plm_ctx_error(ctx),
                           "; misshapen: layer1.conv1.weight is F32 [6,3,9], expected F32 [6,3,3,3], "
                           "hidden.bias is F64 [7], expected F32, BF16 or F16 [7]"));
    assert_error(ctx, PLM_ERR_FORMAT, "; extra: stranger");
    assert_true(plm_graph_save(net, path));
    assert_same_file(path, other);
    plm_graph_free(net);
}

static void test_refused_calls(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = plm_graph_new(ctx);
    assert_false(plm_graph_save(NULL, path) || plm_graph_load(NULL, path));
    assert_null(plm_graph_open(NULL, path));
    assert_false(plm_graph_save(net, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_graph_save: the path is NULL");
    assert_false(plm_graph_load(net, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_graph_load: the path is NULL");
    assert_null(plm_graph_open(ctx, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_graph_open: the path is NULL");
    const plm_node x = plm_nn_input(net, plm_shape_of(4));
    assert_false(plm_graph_save(net, path));
    assert_error(ctx, PLM_ERR_STATE, "no output");
    plm_graph_output(x, NULL);
    plm_graph_set_normalization(net, &(plm_normalization){ .channels = 3, .std = { 1, 1, 1 } });
    assert_false(plm_graph_save(net, path));
    assert_error(ctx, PLM_ERR_ARGUMENT, "the normalisation has 3 channels, the input 4");
    plm_graph_set_normalization(net, NULL);
    plm_graph_set_classes(net, some_classes, 5);
    assert_false(plm_graph_save(net, path));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_graph_save: 5 class names, the network has 4 outputs");
    assert_int_equal(access(path, F_OK), -1);
    assert_null(plm_graph_open(ctx, path));
    assert_error(ctx, PLM_ERR_IO, "net.safetensors: No such file");
    plm_graph_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        file_test(test_round_trip),   file_test(test_kept),          file_test(test_bytes),
        file_test(test_latin1),       file_test(test_load_foreign),  file_test(test_load_in_use),
        file_test(test_load_misfits), file_test(test_refused_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* files.h: what the tests of model files share: a network with every kind of module, and files as bytes. */
#ifndef PLM_TESTS_NN_FILES_H
#define PLM_TESTS_NN_FILES_H

#include "support.h"

enum { INPUT = 3 * 8 * 8, OUTPUT = 5 };

/* Every kind of module that takes any numbers, desc fields away from their defaults, named and unnamed ones in scopes, a kept node. */
static inline plm_graph *whole_network(plm_ctx *ctx)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   x = plm_nn_input(g, plm_shape_of(3, 8, 8));
    plm_graph_scope(g, "layer%d", 1);
    x               = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "conv1", .out = 6, .pad = 1, .bias = true });
    x               = plm_nn_relu(x, NULL);
    plm_node before = x;
    plm_graph_scope(g, "0");
    x                   = plm_nn_batch_norm(x, &(plm_batch_norm_desc){ .name = "bn1", .affine = true, .eps = 1e-3 });
    x                   = plm_nn_relu(x, &(plm_relu_desc){ .scale = PLM_SQRT2 });
    x                   = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "conv2", .out = 6, .kernel = 1 });
    x                   = plm_nn_batch_norm(x, &(plm_batch_norm_desc){ .momentum = 1.0 / 3 });
    x                   = plm_nn_add(x, before);
    const plm_node part = plm_nn_slice(before, &(plm_slice_desc){ .start = -4, .stop = -1 });
    x = plm_nn_concat((const plm_node[]){ x, part, before }, 3, &(plm_concat_desc){ .name = "join", .axis = -3 });
    x = plm_nn_slice(x, &(plm_slice_desc){ .name = "rows", .axis = 1 });
    plm_graph_scope_end(g);
    x = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "down", .out = 4, .kernel = 2, .stride = 2 });
    x = plm_nn_max_pool2d(x, &(plm_pool2d_desc){ .kernel = 3, .stride = 1, .pad = 1 });
    x = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "apart", .out = 8, .pad = 2, .dilation = 2, .groups = 2 });
    x = plm_nn_avg_pool2d(x, &(plm_pool2d_desc){ .kernel = 3, .stride = 1, .pad = 1, .exclude_pad = true });
    x = plm_nn_add(x, plm_nn_avg_pool2d(x, &(plm_pool2d_desc){ .kernel = 3, .stride = 1, .pad = 1 }));
    x = plm_nn_avg_pool2d(x, &(plm_pool2d_desc){ .global = true });
    x = plm_nn_flatten(x);
    plm_graph_scope_end(g);
    x = plm_nn_tanh(plm_nn_linear(x, &(plm_linear_desc){ .name = "hidden", .out = 7, .bias = true }), NULL);
    plm_node_keep(x);
    x = plm_nn_sigmoid(x, &(plm_module_desc){ .name = "gate \"\\\n" });
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .name = "final", .out = OUTPUT }), "logits");
    return g;
}

/* Numbers that differ with the seed; variances are positive. */
static inline void fill_network(plm_graph *g, uint64_t seed)
{
    static float w[4096];
    for (int i = 0; i < plm_graph_param_count(g); i++) {
        plm_param    *p = plm_graph_param(g, i);
        const int64_t n = plm_shape_count(plm_param_shape(p));
        assert_in_range(n, 1, 4096);
        test_fill(w, n, seed * 100 + (uint64_t)i, plm_param_role(p) == PLM_ROLE_STATISTIC ? 0.1 : -1, 1);
        if (!plm_param_write(p, w, n)) return;
    }
}

/* The whole file, lent until the next call. */
static inline unsigned char *file_bytes(const char *path, size_t *size)
{
    static unsigned char bytes[1 << 16];
    FILE                *file = fopen(path, "rb");
    assert_non_null(file);
    *size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_in_range(*size, 1, sizeof bytes - 1);
    return bytes;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A file made by hand: the header and `size` bytes of data (NULL: bytes of 0x3f, floats of 0.747). */
static inline void write_tensors(const char *path, const char *header, const void *data, size_t size)
{
    static unsigned char bytes[1 << 16];
    const size_t         length = strlen(header);
    assert_in_range(length + size, 0, sizeof bytes - 8);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + 8, header, length);
    if (data) memcpy(bytes + 8 + length, data, size);
    else memset(bytes + 8 + length, 0x3f, size);
    write_bytes(path, bytes, 8 + length + size);
}

static inline plm_graph *filled_network(plm_ctx *ctx, uint64_t seed)
{
    plm_graph *g = whole_network(ctx);
    fill_network(g, seed);
    assert_ok(ctx);
    return g;
}

static inline void assert_same_file(const char *a, const char *b)
{
    static unsigned char first[1 << 16];
    size_t               n, m;
    memcpy(first, file_bytes(a, &n), sizeof first);
    const unsigned char *second = file_bytes(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
}

static inline void predict(plm_graph *g, float y[2 * OUTPUT])
{
    static float x[2 * INPUT];
    test_fill(x, 2 * INPUT, 5, -1, 1);
    assert_true(plm_graph_predict(g, x, 2, y));
}

static const char *const some_classes[] = { "plain", "quoted \"\\\"", "\xc3\xa9t\xc3\xa9", "", "line\nend" };

static const plm_normalization some_normalization = {
    .scale = 1.0 / 255, .channels = 3, .mean = { 0.1, 1.0 / 3, -0.0 }, .std = { 1e-300, 0.2, 3 }
};

#endif

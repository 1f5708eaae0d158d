/* test_lipschitz.c: what the modules say of themselves holds for random samples, and is the number that it should be. */
#include "builders.h"

#include <math.h>

enum { BATCH = 64, SIZE = 3 * 6 * 5, MOST = 4 * SIZE };

static float x[BATCH * SIZE], y[BATCH * MOST];

typedef struct {
    const char *name;
    plm_node (*build)(plm_node x);
    double factor, at_zero; /* expected */
    double weight;          /* norm of the weight as a map; 0: no weight     */
    bool   tight;           /* a pair of samples below comes within 2 % of it */
} module_case;

static plm_node relu(plm_node h)
{
    return plm_nn_relu(h, &(plm_relu_desc){ .scale = 1.5 });
}

static plm_node leaky(plm_node h)
{
    return plm_nn_leaky_relu(h, &(plm_leaky_relu_desc){ .slope = -3 });
}

static plm_node tangent(plm_node h)
{
    return plm_nn_tanh(h, NULL);
}

static plm_node sigmoid(plm_node h)
{
    return plm_nn_sigmoid(h, NULL);
}

static plm_node gelu(plm_node h)
{
    return plm_nn_gelu(h, NULL);
}

static plm_node gelu_tanh(plm_node h)
{
    return plm_nn_gelu(h, &(plm_gelu_desc){ .tanh = true });
}

static plm_node clamp(plm_node h)
{
    return plm_nn_clamp(h, &(plm_clamp_desc){ .low = 0.5, .high = 1.5 });
}

static plm_node dropout(plm_node h)
{
    return plm_nn_dropout(h, &(plm_dropout_desc){ .p = 0.75 });
}

static plm_node flatten(plm_node h)
{
    return plm_nn_flatten(h);
}

static plm_node slice(plm_node h)
{
    return plm_nn_slice(h, &(plm_slice_desc){ .axis = 1, .stop = 1 });
}

static plm_node twice(plm_node h)
{
    return plm_nn_add(h, h);
}

static plm_node beside(plm_node h)
{
    return plm_nn_concat((const plm_node[]){ h, h, h }, 3, NULL);
}

static plm_node max_pool(plm_node h)
{
    return plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 });
}

static plm_node max_pool_overlapping(plm_node h)
{
    return plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 3, .stride = 2, .pad = 1 });
}

static plm_node max_pool_global(plm_node h)
{
    return plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .global = true });
}

static plm_node avg_pool(plm_node h)
{
    return plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 });
}

static plm_node avg_pool_overlapping(plm_node h)
{
    return plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .kernel = 3, .stride = 1 });
}

/* A window in the corner has 2 x 2 elements. */
static plm_node avg_pool_excluding(plm_node h)
{
    return plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .kernel = 3, .pad = 1, .exclude_pad = true });
}

static plm_node avg_pool_global(plm_node h)
{
    return plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .global = true });
}

static plm_node linear(plm_node h)
{
    return plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "w", .out = 7 });
}

static plm_node conv(plm_node h)
{
    return plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "w", .out = 4, .pad = 1, .stride = 2 });
}

static plm_node conv_grouped(plm_node h)
{
    return plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "w", .out = 6, .pad = 2, .dilation = 2, .groups = 3 });
}

static const module_case cases[] = {
    { "relu", relu, 1.5, 0, 0, true },
    { "leaky relu", leaky, 3, 0, 0, true },
    { "tanh", tangent, 1, 0, 0, true },
    { "sigmoid", sigmoid, 0.25, 0.5 * 9.486832980505138, 0, true },
    { "gelu", gelu, 1.12891, 0, 0, true },
    { "gelu with tanh", gelu_tanh, 1.129, 0, 0, true },
    { "clamp", clamp, 1, 0.5 * 9.486832980505138, 0, true },
    { "dropout", dropout, 4, 0, 0, true },
    { "flatten", flatten, 1, 0, 0, true },
    { "slice", slice, 1, 0, 0, true },
    { "add", twice, 1, 0, 0, true },
    { "concat", beside, 1, 0, 0, true },
    { "max pool", max_pool, 1, 0, 0, true },
    { "max pool, overlapping", max_pool_overlapping, 2, 0, 0, true },
    { "max pool, global", max_pool_global, 1, 0, 0, true },
    { "average pool", avg_pool, 0.5, 0, 0, true },
    { "average pool, overlapping", avg_pool_overlapping, 1, 0, 0, false },
    { "average pool without padding", avg_pool_excluding, 0.5, 0, 0, false },
    { "average pool, global", avg_pool_global, 0.18257418583505536, 0, 0, true },
    /* sqrt(7/90); 9 taps of sqrt(4/27) each; 9 taps of sqrt(6/27), the largest of three groups. */
    { "linear", linear, 1, 0, 0.2788866755113585, false },
    { "convolution", conv, 1, 0, 9 * 0.3849001794597505, false },
    { "grouped convolution", conv_grouped, 1, 0, 9 * 0.4714045207910317, false },
};

/* Pairs of samples 2k, 2k+1: random ones, multiples of each other, ones with a single element, constant ones that differ
 * little, and one that is 0. */
static void fill_samples(void)
{
    test_fill(x, BATCH * SIZE, 3, -2, 2);
    for (int s = 0; s < BATCH; s++)
        for (int i = 0; i < SIZE; i++) {
            float *at = &x[s * SIZE + i];
            if (s >= 16 && s < 32) *at *= 100;
            if (s >= 32 && s < 48) *at = i == 31 ? 4.0f * (float)(s - 40) : 0; /* row 0, column 1 of channel 1 */
            if (s >= 48 && s < 60) *at = i % 5 == 4 ? 0 : 1.4f + (float)(s - 50) * 0.01f; /* whole 2x2 windows */
            if (s == 60 || s == 61) *at = 0.001f * (float)(s - 60);
            if (s == 62) *at = i == 31 + 5 ? 5.0f : 0; /* row 1, column 1 */
            if (s == 63) *at = 0;
        }
}

static double norm(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (b ? (double)b[i] : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

static void check(fixture *f, const module_case *c)
{
    plm_graph_free(f->g);
    f->g = plm_graph_new(f->ctx);
    plm_graph_output(c->build(plm_nn_input(f->g, plm_shape_of(3, 6, 5))), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    const plm_val out =
        plm_graph_apply(f->g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, 3, 6, 5), x)));
    const int64_t n = plm_shape_count(plm_graph_output_shape(f->g));
    assert_true(n <= MOST);
    assert_true(plm_val_read(out, y, BATCH * n));
    plm_tape_reset(f->tape);

    plm_node_info node;
    assert_true(plm_graph_node_info(f->g, plm_graph_node_count(f->g) - 1, &node));
    assert_true(node.lipschitz.known);
    assert_close(node.lipschitz.factor, c->factor, 0, 1e-12);
    assert_close(node.lipschitz.at_zero, c->at_zero, 1e-12, 1e-6);
    assert_true(strlen(node.lipschitz.why) > 0);
    const double inputs = node.lipschitz.squares ? sqrt(node.input_count) : node.input_count;
    const double factor = node.lipschitz.factor * (c->weight > 0 ? c->weight : 1) * inputs;
    double       best   = 0;
    for (int s = 0; s < BATCH; s++) {
        const float *here = x + s * SIZE, *image = y + s * n;
        const double size = norm(here, NULL, SIZE);
        if (!(norm(image, NULL, n) <= node.lipschitz.at_zero + factor * size * (1 + 1e-5))) fail_msg("sample %d", s);
        if (s % 2 == 0) continue;
        const double apart = norm(here, here - SIZE, SIZE), after = norm(image, image - n, n);
        if (c->build == dropout) continue; /* two samples have two masks */
        if (!(after <= factor * apart * (1 + 1e-5))) fail_msg("samples %d and %d: %g > %g", s, s - 1, after, apart);
        best = fmax(best, after / apart);
    }
    if (c->build == dropout)
        for (int s = 0; s < BATCH - 1; s++)
            best = fmax(best, norm(y + s * n, NULL, n) / norm(x + s * SIZE, NULL, SIZE));
    if (c->tight) assert_true(best >= 0.98 * factor);
}

static void test_modules(void **state)
{
    fill_samples();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s\n", cases[i].name);
        check(*state, &cases[i]);
    }
}

/* Of a layer with a bias, ||f(0)|| is what the graph gives for zeros. */
static void test_biases(void **state)
{
    static const float zero[3 * 8 * 8];
    fixture           *f = *state;
    plm_node_info      node;
    plm_graph_output(plm_nn_conv2d(f->x, &(plm_conv2d_desc){ .out = 5, .stride = 2, .bias = true }), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    const int64_t n = plm_shape_count(plm_graph_output_shape(f->g));
    assert_true(plm_graph_predict(f->g, zero, 1, y));
    assert_true(plm_graph_node_info(f->g, 1, &node));
    assert_true(norm(y, NULL, n) > 0.1);
    assert_close(node.lipschitz.at_zero, norm(y, NULL, n), 0, 1e-6);
    assert_close(node.lipschitz.factor, 1, 0, 0);
}

static void test_unknown(void **state)
{
    fixture       *f    = *state;
    plm_graph     *g    = f->g;
    const plm_node norm = plm_nn_layer_norm(plm_nn_batch_norm(f->x, NULL), NULL);
    plm_graph_output(plm_nn_embedding(norm, &(plm_embedding_desc){ .num = 4, .dim = 2 }), "y");
    assert_ok(f->ctx);
    for (int i = 1; i <= 3; i++) {
        plm_node_info node;
        assert_true(plm_graph_node_info(g, i, &node));
        assert_false(node.lipschitz.known);
        assert_true(isnan(node.lipschitz.factor) && isnan(node.lipschitz.at_zero));
        assert_int_equal(strncmp(node.lipschitz.why, "unknown: ", 9), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_biases, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_init.c: the first weights: their distribution, what they depend on, and when they are drawn. */
#include "nets.h"

#include <math.h>

enum { ROOM = 1 << 16 };

/* Owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx       *ctx, *ctx2;
    plm_graph     *g, *h;
    plm_optimizer *o;
    float         *a, *b;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = 3, .threads = 2 }))) return -1;
    f->a   = calloc(ROOM, sizeof(float));
    f->b   = calloc(ROOM, sizeof(float));
    *state = f;
    return f->a && f->b ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_optimizer_free(f->o);
    plm_graph_free(f->g);
    plm_graph_free(f->h);
    plm_ctx_free(f->ctx);
    plm_ctx_free(f->ctx2);
    free(f->a);
    free(f->b);
    free(f);
    return 0;
}

/* Two convolutions that widen and narrow, an affine norm, two linear layers, with biases; `more`: another layer
 * comes first. */
static plm_graph *network(plm_ctx *ctx, bool more)
{
    plm_graph            *g    = plm_graph_new(ctx);
    const plm_node        x    = plm_nn_input(g, plm_shape_of(12, 4, 4));
    const plm_conv2d_desc up   = { .name = "up", .out = 20, .pad = 1, .bias = true },
                          down = { .name = "down", .out = 7, .pad = 1 };
    if (more) plm_nn_relu(plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "first", .out = 3 }), NULL);
    plm_node h = plm_nn_conv2d(plm_nn_conv2d(x, &up), &down);
    h          = plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "norm", .affine = true });
    h          = plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "narrow", .out = 30, .bias = true });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "wide", .out = 50 }), NULL);
    return g;
}

static int64_t read(const plm_graph *g, const char *name, float *dst)
{
    const plm_param *p = plm_graph_param_named(g, name);
    assert_non_null(p);
    const int64_t n = plm_shape_count(plm_param_shape(p));
    assert_true(plm_param_read(p, dst, n));
    return n;
}

static const char *const weights[] = { "up.weight", "down.weight", "narrow.weight", "wide.weight" };

static void assert_same_weights(fixture *f, const plm_graph *g, const plm_graph *h)
{
    for (int i = 0; i < 4; i++) {
        const int64_t n = read(g, weights[i], f->a);
        assert_int_equal(read(h, weights[i], f->b), n);
        assert_memory_equal(f->a, f->b, (size_t)n * sizeof(float));
    }
}

/* Rows of a wide matrix, columns of a tall one: orthogonal, each of length s. */
static void check_tap(const float *w, int64_t out, int64_t in, int64_t taps, double s)
{
    const bool    tall = out >= in;
    const int64_t k = tall ? in : out, m = tall ? out : in;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j <= i; j++) {
            double dot = 0;
            for (int64_t t = 0; t < m; t++)
                dot += (double)w[(tall ? t * in + i : i * in + t) * taps] *
                       (double)w[(tall ? t * in + j : j * in + t) * taps];
            assert_close(dot / (s * s), i == j, 1e-5, 0);
        }
}

static void test_agd_taps_are_semi_orthogonal(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    int64_t positive = 0, diagonal = 0;
    for (int i = 0; i < 4; i++) {
        const plm_layer *l    = plm_graph_layer(f->g, i);
        const int64_t    taps = l->kernel_h * l->kernel_w;
        read(f->g, weights[i], f->a);
        for (int64_t tap = 0; tap < taps; tap++) {
            check_tap(f->a + tap, l->d_out, l->d_in, taps, sqrt((double)l->d_out / (double)(l->d_in * taps)));
            for (int64_t d = 0; d < l->d_in && d < l->d_out; d++, diagonal++)
                positive += f->a[(d * l->d_in + d) * taps + tap] > 0;
        }
        if (taps > 1) { /* each tap a draw of its own */
            int64_t same = 0;
            for (int64_t e = 0; e < l->d_in * l->d_out; e++) same += f->a[e * taps] == f->a[e * taps + 1];
            assert_int_equal(same, 0);
        }
    }
    assert_close((double)positive / (double)diagonal, 0.5, 5 * 0.5 / sqrt((double)diagonal),
                 0); /* no sign is preferred */
    assert_true(plm_graph_initialized(f->g));
}

/* d_out/g x d_in/g for each tap and group; depthwise: numbers of size s. */
static void test_agd_groups_are_semi_orthogonal(void **state)
{
    static const struct {
        int64_t in, out;
        int     groups, kernel;
    } cases[]  = { { 12, 20, 2, 3 }, { 12, 6, 3, 2 }, { 12, 12, 12, 3 }, { 12, 24, 12, 1 } };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plm_graph_free(f->g);
        const plm_node x = plm_nn_input(f->g = plm_graph_new(f->ctx), plm_shape_of(cases[i].in, 4, 4));
        plm_graph_output(plm_nn_conv2d(x, &(plm_conv2d_desc){ .name   = "c",
                                                              .out    = cases[i].out,
                                                              .kernel = cases[i].kernel,
                                                              .groups = cases[i].groups }),
                         NULL);
        assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
        const int64_t out = cases[i].out / cases[i].groups, in = cases[i].in / cases[i].groups;
        const int64_t taps = cases[i].kernel * cases[i].kernel, n = read(f->g, "c.weight", f->a);
        int64_t       twice = 0;
        assert_int_equal(n, cases[i].groups * out * in * taps);
        for (int64_t at = 0; at < n; at += out * in * taps)
            for (int64_t tap = 0; tap < taps; tap++) {
                check_tap(f->a + at + tap, out, in, taps, sqrt((double)cases[i].out / (double)(cases[i].in * taps)));
                twice += at > 0 && out * in > 1 && f->a[at + tap] == f->a[tap];
            }
        assert_int_equal(twice, 0); /* each group a draw of its own */
    }
}

static void test_pytorch_bounds(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    for (int i = 0; i < 4; i++) {
        const double  bound   = 1 / sqrt((double)plm_layer_fan_in(plm_graph_layer(f->g, i)));
        const int64_t n       = read(f->g, weights[i], f->a);
        double        largest = 0, sum = 0, squares = 0;
        for (int64_t k = 0; k < n; k++) {
            largest = fmax(largest, fabs((double)f->a[k]));
            sum += (double)f->a[k];
            squares += pow((double)f->a[k], 2);
        }
        assert_true(largest <= bound * (1 + 1e-6) && largest > 0.98 * bound);
        assert_close(sum / (double)n, 0, 5 * bound / sqrt(3 * (double)n), 0);
        assert_close(squares / (double)n, bound * bound / 3, 0, 5 * 0.9 / sqrt((double)n));
    }
    static const struct {
        const char *name;
        double      fan_in;
    } biases[] = { { "up.bias", 12 * 9 }, { "narrow.bias", 7 * 16 } };
    for (int i = 0; i < 2; i++) {
        const int64_t n       = read(f->g, biases[i].name, f->a);
        double        largest = 0;
        for (int64_t k = 0; k < n; k++) largest = fmax(largest, fabs((double)f->a[k]));
        assert_true(largest <= 1 / sqrt(biases[i].fan_in) && largest > 0.5 / sqrt(biases[i].fan_in));
    }
}

static void test_norms_start_as_the_identity(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    static const struct {
        const char *name;
        float       value;
    } fixed[] = { { "norm.weight", 1 }, { "norm.bias", 0 }, { "norm.running_mean", 0 }, { "norm.running_var", 1 } };
    test_fill(f->b, 7, 1, 2, 3);
    for (int scheme = 0; scheme < 3; scheme++) { /* before the first init too */
        for (int i = 0; i < 4; i++) {
            assert_int_equal(read(f->g, fixed[i].name, f->a), 7);
            for (int k = 0; k < 7; k++) assert_true(f->a[k] == fixed[i].value);
            assert_true(plm_param_write(plm_graph_param_named(f->g, fixed[i].name), f->b, 7));
        }
        assert_true(plm_graph_init(f->g, scheme ? PLM_INIT_AGD : PLM_INIT_PYTORCH));
    }
}

static void test_order_and_layout_do_not_matter(void **state)
{
    fixture *f = *state;
    for (int scheme = PLM_INIT_AGD; scheme <= PLM_INIT_PYTORCH; scheme++) {
        f->g = network(f->ctx, false);
        f->h = network(f->ctx, true);
        assert_true(plm_graph_init(f->g, (plm_init)scheme) && plm_graph_init(f->h, (plm_init)scheme));
        assert_same_weights(f, f->g, f->h);
        /* A second time, after freezing has moved the weights to blocked layouts, and another scheme in between. */
        f->o = plm_sgd_new(f->g, NULL);
        assert_non_null(f->o);
        assert_same_weights(f, f->g, f->h);
        assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH) && plm_graph_init(f->g, PLM_INIT_AGD));
        assert_true(plm_graph_init(f->g, (plm_init)scheme));
        assert_same_weights(f, f->g, f->h);
        plm_optimizer_free(f->o);
        plm_graph_free(f->g);
        plm_graph_free(f->h);
        f->o = NULL;
        f->g = f->h = NULL;
    }
}

static void test_threads_do_not_matter_and_seeds_do(void **state)
{
    fixture *f = *state;
    for (int scheme = PLM_INIT_AGD; scheme <= PLM_INIT_PYTORCH; scheme++)
        for (uint64_t seed = 3; seed < 5; seed++) {
            f->ctx2 = plm_ctx_new(&(plm_ctx_desc){ .seed = seed, .threads = 1 });
            f->g    = network(f->ctx, false);
            f->h    = network(f->ctx2, false);
            assert_true(plm_graph_init(f->g, (plm_init)scheme) && plm_graph_init(f->h, (plm_init)scheme));
            if (seed == 3) assert_same_weights(f, f->g, f->h);
            for (int i = 0; seed != 3 && i < 4; i++) {
                const int64_t n    = read(f->g, weights[i], f->a);
                int64_t       same = 0;
                read(f->h, weights[i], f->b);
                for (int64_t k = 0; k < n; k++) same += f->a[k] == f->b[k];
                assert_true(same < n / 100);
            }
            plm_graph_free(f->g);
            plm_graph_free(f->h);
            plm_ctx_free(f->ctx2);
            f->g = f->h = NULL;
            f->ctx2     = NULL;
        }
}

/* ------------------------------------------------------------------ when an optimiser draws */

static void test_optimiser_draws_with_its_own_scheme(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    f->h       = network(f->ctx, false);
    assert_false(plm_graph_initialized(f->g));
    f->o = plm_sgd_new(f->g, NULL);
    assert_true(plm_graph_initialized(f->g));
    assert_true(plm_graph_init(f->h, PLM_INIT_PYTORCH));
    assert_same_weights(f, f->g, f->h);
    plm_optimizer_free(f->o); /* the next one finds them initialised */
    f->o = plm_adam_new(f->g, NULL);
    assert_non_null(f->o);
    assert_same_weights(f, f->g, f->h);
}

static void test_optimiser_keeps_what_was_written(void **state)
{
    fixture *f = *state;
    f->g       = net_vgg(f->ctx);
    f->h       = net_vgg(f->ctx);
    assert_true(plm_graph_init(f->h, PLM_INIT_AGD));
    plm_param    *kept = plm_graph_param_named(f->g, "features.4.weight");
    const int64_t n    = plm_shape_count(plm_param_shape(kept));
    test_fill(f->b, n, 5, -1, 1);
    assert_true(plm_param_write(kept, f->b, n));
    assert_false(plm_graph_initialized(f->g));
    f->o = plm_agd_new(f->g, NULL);
    assert_ok(f->ctx);
    assert_true(plm_param_read(kept, f->a, n));
    assert_memory_equal(f->a, f->b, (size_t)n * sizeof(float));
    for (int i = 0; i < plm_graph_layer_count(f->g); i++) { /* the others as plm_graph_init would */
        const char *name = plm_param_name(plm_graph_layer(f->g, i)->weight);
        if (strcmp(name, "features.4.weight") == 0) continue;
        const int64_t count = read(f->g, name, f->a);
        read(f->h, name, f->b);
        assert_memory_equal(f->a, f->b, (size_t)count * sizeof(float));
    }
    plm_optimizer_free(f->o);
    f->o = plm_agd_new(f->g, &(plm_agd_desc){ .reinit = true });
    read(f->h, "features.4.weight", f->b);
    assert_true(plm_param_read(kept, f->a, n));
    assert_memory_equal(f->a, f->b, (size_t)n * sizeof(float));
}

static void test_reinit_of_each_optimiser(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    f->h       = network(f->ctx, false);
    assert_true(plm_graph_init(f->h, PLM_INIT_PYTORCH));
    for (int adam = 0; adam < 2; adam++) {
        assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
        f->o = adam ? plm_adam_new(f->g, &(plm_adam_desc){ .reinit = true })
                    : plm_sgd_new(f->g, &(plm_sgd_desc){ .reinit = true });
        assert_same_weights(f, f->g, f->h);
        plm_optimizer_free(f->o);
        f->o = NULL;
    }
}

#define init_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        init_test(test_agd_groups_are_semi_orthogonal),
        init_test(test_agd_taps_are_semi_orthogonal),
        init_test(test_pytorch_bounds),
        init_test(test_norms_start_as_the_identity),
        init_test(test_order_and_layout_do_not_matter),
        init_test(test_threads_do_not_matter_and_seeds_do),
        init_test(test_optimiser_draws_with_its_own_scheme),
        init_test(test_optimiser_keeps_what_was_written),
        init_test(test_reinit_of_each_optimiser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

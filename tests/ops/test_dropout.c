/* test_dropout.c: which elements stay, by how much they grow, and that nothing but seed, step, place and name decides. */
#include "support.h"

#include <math.h>

enum { N = 40001 };

static float x[N], y[4][N], g[N];

static int fill_x(void **state)
{
    (void)state;
    test_fill(x, N, 1, 0.5, 1.5); /* never 0 */
    return 0;
}

static void draw(uint64_t seed, int threads, uint64_t step, double p, float *out)
{
    plm_ctx  *ctx  = plm_ctx_new(&(plm_ctx_desc){ .seed = seed, .threads = threads });
    plm_tape *tape = plm_tape_new(ctx, NULL);
    plm_tape_set_step(tape, step);
    const plm_val v  = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N), x));
    const bool    ok = plm_val_read(plm_dropout(v, &(plm_dropout_op_desc){ .p = p }), out, N);
    plm_ctx_free(ctx);
    assert_true(ok);
}

static int64_t kept(const float *out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < N; i++) count += out[i] != 0;
    return count;
}

static int64_t different(const float *a, const float *b)
{
    int64_t count = 0;
    for (int64_t i = 0; i < N; i++) count += (a[i] != 0) != (b[i] != 0);
    return count;
}

/* Within five standard deviations of the binomial distribution; what stays is x / (1 - p). */
static void test_fraction_and_size(void **state)
{
    (void)state;
    const double ps[] = { 0.1, 0.5, 0.9 };
    for (int k = 0; k < 3; k++) {
        draw(3, 2, 0, ps[k], y[0]);
        const double deviation = sqrt(N * ps[k] * (1 - ps[k]));
        assert_true(fabs((double)kept(y[0]) - N * (1 - ps[k])) < 5 * deviation);
        for (int64_t i = 0; i < N; i++)
            if (y[0][i] != 0) assert_close((double)y[0][i], (double)x[i] / (1 - ps[k]), 0, 1e-6);
    }
}

static void test_what_decides(void **state)
{
    (void)state;
    draw(3, 2, 5, 0.5, y[0]);
    draw(3, 1, 5, 0.5, y[1]);
    assert_memory_equal(y[0], y[1], sizeof y[0]); /* not the threads */
    draw(3, 2, 6, 0.5, y[1]);
    draw(4, 2, 5, 0.5, y[2]);
    const double deviation = sqrt(N * 0.25); /* independent masks differ in half of the places */
    assert_true(fabs((double)different(y[0], y[1]) - N / 2.0) < 5 * deviation);
    assert_true(fabs((double)different(y[0], y[2]) - N / 2.0) < 5 * deviation);
}

/* Two in one step differ; a reset goes to the next step, and a step can be gone back to. */
static void test_steps_of_a_tape(void **state)
{
    plm_ctx  *ctx  = *state;
    plm_tape *tape = plm_tape_new(ctx, NULL);
    for (int i = 0; i < 2; i++) {
        const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N), x));
        assert_true(plm_val_read(plm_dropout(v, NULL), y[2 * i], N));
        assert_true(plm_val_read(plm_dropout(v, NULL), y[2 * i + 1], N));
        plm_tape_reset(tape);
    }
    for (int i = 1; i < 4; i++) assert_true(different(y[0], y[i]) > N / 3);
    plm_tape_set_step(tape, 0);
    const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N), x));
    assert_true(plm_val_read(plm_dropout(v, NULL), y[1], N));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
}

/* A module that draws twice, side by side. */
static bool pair_resolve(plm_module *m, const plm_shape *in)
{
    m->shape = plm_shape_of(2 * in->dim[0]);
    return true;
}

static plm_val pair_apply(const plm_module *m, const plm_val *in)
{
    (void)m;
    return plm_concat((plm_val[]){ plm_dropout(in[0], NULL), plm_dropout(in[0], NULL) }, 2, 1);
}

/* Each dropout of a module has its own draws, and the same in each application within a step. */
static void test_two_in_a_module(void **state)
{
    static const plm_module_kind pair = {
        .name = "pair", .inputs = 1, .desc_bytes = sizeof(plm_module_desc), .resolve = pair_resolve, .apply = pair_apply
    };
    static float   both[2][2 * N];
    plm_ctx       *ctx   = *state;
    plm_graph     *net   = plm_graph_new(ctx);
    plm_tape      *tape  = plm_tape_new(ctx, NULL);
    const plm_node image = plm_nn_input(net, plm_shape_of(N));
    plm_graph_output(plm_nn_module(&image, 1, &pair, NULL), "y");
    assert_true(plm_graph_init(net, PLM_INIT_AGD));
    for (int i = 0; i < 2; i++) {
        const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1, N), x));
        assert_true(plm_val_read(plm_graph_apply(net, v), both[i], 2 * N));
    }
    assert_true(different(both[0], both[0] + N) > N / 3);
    assert_memory_equal(both[0], both[1], sizeof both[0]);
    plm_graph_free(net);
}

/* dx = dy / (1 - p) at the very places that stayed; y used twice, so dy is a sum. */
static void test_gradient(void **state)
{
    plm_ctx      *ctx  = *state;
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(7, 11), x), &(plm_input_desc){ .grad = true });
    const plm_val out = plm_dropout(v, &(plm_dropout_op_desc){ .p = 0.3 });
    assert_true(plm_val_read(out, y[0], 77));
    assert_true(plm_backward(plm_sum(plm_add(plm_square(out), out), NULL)) && plm_val_grad(v, g, 77));
    for (int i = 0; i < 77; i++)
        assert_close((double)g[i], y[0][i] != 0 ? (2 * (double)y[0][i] + 1) / 0.7 : 0, 0, 1e-6);
}

static void test_identity(void **state)
{
    plm_ctx *ctx = *state;
    for (int eval = 0; eval < 2; eval++) {
        plm_tape     *tape = plm_tape_new(ctx, &(plm_tape_desc){ .eval = eval });
        const plm_val v =
            plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N), x), &(plm_input_desc){ .grad = true });
        const plm_val out = plm_dropout(v, &(plm_dropout_op_desc){ .p = eval ? 0.9 : PLM_ZERO });
        assert_true(plm_val_read(out, y[0], N));
        assert_memory_equal(x, y[0], sizeof x);
        assert_true(plm_backward(plm_sum(plm_scale(out, 3), NULL)) && plm_val_grad(v, g, N));
        for (int i = 0; i < N; i++) assert_true(g[i] == 3);
        plm_tape_free(tape);
    }
}

static void test_errors(void **state)
{
    plm_ctx     *ctx = *state;
    const double p[] = { 1, -0.5, NAN };
    for (int i = 0; i < 3; i++) {
        plm_tape     *tape = plm_tape_new(ctx, &(plm_tape_desc){ .eval = i == 1 });
        const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3), x));
        assert_false(plm_val_ok(plm_dropout(v, &(plm_dropout_op_desc){ .p = p[i] })));
        assert_error(ctx, PLM_ERR_ARGUMENT, "expected a probability below 1");
        plm_tape_free(tape);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fraction_and_size),
        cmocka_unit_test(test_what_decides),
        ctx_test(test_steps_of_a_tape),
        ctx_test(test_two_in_a_module),
        ctx_test(test_gradient),
        ctx_test(test_identity),
        ctx_test(test_errors),
    };
    return cmocka_run_group_tests(tests, fill_x, NULL);
}

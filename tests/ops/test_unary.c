/* test_unary.c: functions of one number, and scale. */
#include "check.h"

typedef struct {
    plm_val (*op)(plm_val x);
    double (*value)(double x);
} operation;

static double square_value(double x)
{
    return x * x;
}

static double sigmoid_value(double x)
{
    return 1 / (1 + exp(-x));
}

static double scaled_value(double x)
{
    return -2.5 * x;
}

static plm_val scale_op(plm_val x)
{
    return plm_scale(x, -2.5);
}

static const operation op_exp = { plm_exp, exp }, op_log = { plm_log, log }, op_sqrt = { plm_sqrt, sqrt },
                       op_square = { plm_square, square_value }, op_abs = { plm_abs, fabs },
                       op_tanh = { plm_tanh, tanh }, op_sigmoid = { plm_sigmoid, sigmoid_value },
                       op_scale = { scale_op, scaled_value };

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return ((const operation *)user)->op(in[0]);
}

/* Two consumers: y f(x), with y = f(x) used by the product too. */
static plm_val apply_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    const plm_val y = apply(tape, in, n, user);
    return plm_add(y, plm_mul(y, in[0]));
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] = ((const operation *)c->user)->value(x[0][i]);
}

static void naive_twice(const op_case *c, const double *const *x, double *y)
{
    naive(c, x, y);
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] += y[i] * x[0][i];
}

#define ONE(o, label, s, from, to, away)                                                                              \
    {                                                                                                                 \
        .name = #o " " label, .f = apply, .user = &op_##o, .naive = naive, .n = 1, .in = { s }, .out = s, .lo = from, \
        .hi = to, .gap = away                                                                                         \
    }
#define TWO(o, label, s, from, to, away)                                                                              \
    {                                                                                                                 \
        .name = #o " " label, .f = apply_twice, .user = &op_##o, .naive = naive_twice, .n = 1, .in = { s }, .out = s, \
        .lo = from, .hi = to, .gap = away                                                                             \
    }
#define CASES(o, from, to, away)                                                                            \
    ONE(o, "scalar", ((plm_shape){ 0 }), from, to, away), ONE(o, "n = 1", plm_shape_of(1), from, to, away), \
        ONE(o, "[3,17]", plm_shape_of(3, 17), from, to, away),                                              \
        ONE(o, "[2,3,5,7]", plm_shape_of(2, 3, 5, 7), from, to, away),                                      \
        TWO(o, "two consumers", plm_shape_of(3, 12), from, to, away)

static void test_random_shapes(void **state)
{
    const struct {
        const operation *o;
        double           lo, hi, gap;
    } of[] = { { &op_exp, -2, 2, 0 },  { &op_log, 0.5, 3, 0 }, { &op_sqrt, 0.5, 3, 0 },   { &op_square, -2, 2, 0 },
               { &op_abs, -2, 2, .1 }, { &op_tanh, -2, 2, 0 }, { &op_sigmoid, -4, 4, 0 }, { &op_scale, -2, 2, 0 } };
    for (uint64_t trial = 0; trial < 8 * 24; trial++) {
        const plm_shape s = random_shape(trial, 0, 4);
        op_case         c = { .f     = apply,
                              .naive = naive,
                              .n     = 1,
                              .in    = { s },
                              .out   = s,
                              .user  = of[trial % 8].o,
                              .lo    = of[trial % 8].lo,
                              .hi    = of[trial % 8].hi,
                              .gap   = of[trial % 8].gap };
        check_op(*state, &c, trial, false);
    }
}

static void run(plm_ctx *ctx, plm_val (*op)(plm_val), const float *x, int64_t n, float *y, float *g)
{
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(n), x), &(plm_input_desc){ .grad = true });
    const plm_val out = op(v);
    assert_true(plm_val_read(out, y, n));
    assert_true(!g || (plm_backward(plm_sum(out, NULL)) && plm_val_grad(v, g, n)));
    plm_tape_free(tape);
}

static void test_edges(void **state)
{
    plm_ctx    *ctx    = *state;
    const float zero[] = { 0 }, far[] = { -200, 200, 0 }, signs[] = { 0, -0.0f, -3, 4 };
    float       y[4], g[4];
    run(ctx, plm_log, zero, 1, y, NULL);
    assert_true(isinf(y[0]) && y[0] < 0);
    run(ctx, plm_sqrt, zero, 1, y, g);
    assert_true(isinf(g[0]) && g[0] > 0);
    run(ctx, plm_sigmoid, far, 3, y, g);
    assert_close((double)y[0], 0, 0, 0);
    assert_close((double)y[1], 1, 0, 0);
    assert_close((double)g[0], 0, 0, 0);
    assert_close((double)g[2], 0.25, 0, 1e-6);
    run(ctx, plm_abs, signs, 4, y, g);
    const double slopes[] = { 0, 0, -1, 1 };
    for (int i = 0; i < 4; i++) assert_close((double)g[i], slopes[i], 0, 0);
}

/* More than one chunk and more than one thread. */
static void test_long(void **state)
{
    plm_ctx *ctx = *state;
    enum { N = 70001 };
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), *g = malloc(N * sizeof *g);
    test_fill(x, N, 5, -2, 2);
    run(ctx, plm_square, x, N, y, g);
    int wrong = 0;
    for (int i = 0; i < N; i++) wrong += y[i] != x[i] * x[i] || g[i] != 2 * x[i];
    free(x);
    free(y);
    free(g);
    assert_int_equal(wrong, 0);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[]  = { 1 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x));
    plm_scale(v, INFINITY);
    assert_error(ctx, PLM_ERR_ARGUMENT, "scale: the factor is inf");
    plm_scale(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x)), -1e39);
    assert_error(ctx, PLM_ERR_ARGUMENT, "scale: the factor is -1e+39, expected a number that f32 holds");
    plm_exp(v);
    assert_error(ctx, PLM_ERR_STATE, "exp: the value is stale");
    assert_false(plm_val_ok(plm_tanh(plm_none)));
    assert_ok(ctx);
}

int main(void)
{
    op_case cases[] = {
        CASES(exp, -2, 2, 0),  CASES(log, 0.5, 3, 0), CASES(sqrt, 0.5, 3, 0),   CASES(square, -2, 2, 0),
        CASES(abs, -2, 2, .1), CASES(tanh, -2, 2, 0), CASES(sigmoid, -4, 4, 0), CASES(scale, -2, 2, 0)
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_edges), ctx_test(test_long),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

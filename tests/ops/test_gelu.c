/* test_gelu.c: y = x Phi(x), and the formula with tanh. */
#include "check.h"

static const plm_gelu_op_desc with_tanh = { .tanh = true };

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return plm_gelu(in[0], user);
}

static double gelu(double x, bool tanh_form)
{
    const double pi = acos(-1);
    return tanh_form ? 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))) : 0.5 * x * erfc(-x / sqrt(2));
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] = gelu(x[0][i], c->user != NULL);
}

/* y = gelu(x) used twice, so its gradient is a sum. */
static plm_val apply_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    const plm_val y = apply(tape, in, n, user);
    return plm_add(plm_square(y), y);
}

static void naive_twice(const op_case *c, const double *const *x, double *y)
{
    naive(c, x, y);
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] += y[i] * y[i];
}

#define GELU(label, d, s)                                                                   \
    {                                                                                       \
        .name = label, .f = apply, .user = d, .naive = naive, .n = 1, .in = { s }, .out = s \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 40; trial++) {
        const plm_shape s = random_shape(trial, 0, 5);
        op_case         c = GELU("random", trial % 2 ? &with_tanh : NULL, s);
        check_op(*state, &c, trial, false);
    }
}

/* Far from 0 it is 0 or x, and nan stays nan. */
static void test_edges(void **state)
{
    plm_ctx    *ctx = *state;
    const float x[] = { 0, -40, 40, NAN, -3 };
    float       y[5];
    for (int form = 0; form < 2; form++) {
        plm_tape     *tape = plm_tape_new(ctx, NULL);
        const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(5), x));
        assert_true(plm_val_read(plm_gelu(v, form ? &with_tanh : NULL), y, 5));
        assert_true(y[0] == 0 && y[1] == 0 && y[2] == 40 && isnan(y[3]));
        assert_close((double)y[4], gelu(-3, form), 0, form ? 1e-4 : 1e-6); /* 1 + tanh cancels */
        plm_tape_free(tape);
    }
}

int main(void)
{
    op_case cases[] = {
        GELU("scalar", NULL, ((plm_shape){ 0 })),
        GELU("n = 1", NULL, plm_shape_of(1, 1)),
        GELU("[3,17]", NULL, plm_shape_of(3, 17)),
        GELU("tanh", &with_tanh, plm_shape_of(2, 12, 3, 3)),
        { .name  = "two consumers",
          .f     = apply_twice,
          .naive = naive_twice,
          .n     = 1,
          .in    = { plm_shape_of(5, 3) },
          .out   = plm_shape_of(5, 3) },
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_edges) };
    return run_cases(cases, others);
}

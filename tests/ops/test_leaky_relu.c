/* test_leaky_relu.c: y = x where x > 0, else slope x. */
#include "check.h"

static const plm_leaky_relu_op_desc fifth = { .slope = 0.2 }, minus = { .slope = -0.5 }, none = { .slope = PLM_ZERO };

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return plm_leaky_relu(in[0], user);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const plm_leaky_relu_op_desc *d     = c->user;
    const double                  slope = !d ? 0.01 : d->slope == PLM_ZERO ? 0 : d->slope;
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] = x[0][i] > 0 ? x[0][i] : slope * x[0][i];
}

/* y = f(x) used twice, so its gradient is a sum. */
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

#define LEAKY(label, d, s)                                                                               \
    {                                                                                                    \
        .name = label, .f = apply, .user = d, .naive = naive, .n = 1, .in = { s }, .out = s, .gap = 0.05 \
    }

static void test_random_shapes(void **state)
{
    const plm_leaky_relu_op_desc *const descs[] = { NULL, &fifth, &minus, &none };
    for (uint64_t trial = 0; trial < 40; trial++) {
        const plm_shape s = random_shape(trial, 0, 5);
        op_case         c = LEAKY("random", descs[trial % 4], s);
        check_op(*state, &c, trial, false);
    }
}

static void test_edges(void **state)
{
    plm_ctx      *ctx = *state;
    const float   x[] = { 0, NAN, 2 };
    float         y[3], g[3];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3), x), &(plm_input_desc){ .grad = true });
    const plm_val out = plm_leaky_relu(v, &fifth);
    assert_true(plm_val_read(out, y, 3));
    assert_true(y[0] == 0 && isnan(y[1]) && y[2] == 2);
    plm_tape_reset(tape);
    const plm_val zero =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x), &(plm_input_desc){ .grad = true });
    assert_true(plm_backward(plm_sum(plm_leaky_relu(zero, &fifth), NULL)) && plm_val_grad(zero, g, 1));
    assert_close((double)g[0], 0.2, 0, 1e-7);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[]  = { 1 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x));
    plm_leaky_relu(v, &(plm_leaky_relu_op_desc){ .slope = INFINITY });
    assert_error(ctx, PLM_ERR_ARGUMENT, "leaky_relu: desc.slope is inf, expected a number that f32 holds");
    const plm_val again = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x));
    plm_leaky_relu(again, &(plm_leaky_relu_op_desc){ .slope = 1e39 });
    assert_error(ctx, PLM_ERR_ARGUMENT, "leaky_relu: desc.slope is 1e+39");
}

int main(void)
{
    op_case cases[] = {
        LEAKY("scalar", NULL, ((plm_shape){ 0 })),
        LEAKY("n = 1", NULL, plm_shape_of(1, 1)),
        LEAKY("[3,17]", &fifth, plm_shape_of(3, 17)),
        LEAKY("negative slope", &minus, plm_shape_of(2, 12, 3, 3)),
        { .name  = "two consumers",
          .f     = apply_twice,
          .user  = &fifth,
          .naive = naive_twice,
          .n     = 1,
          .in    = { plm_shape_of(5, 3) },
          .out   = plm_shape_of(5, 3),
          .gap   = 0.05 },
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_edges),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

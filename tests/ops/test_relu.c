/* test_relu.c: y = scale max(x, 0), forward, in-place backward, and the loop that linear shares. */
#include "check.h"

#include "ops/ops.h"

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return plm_relu(in[0], user);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const plm_relu_op_desc *d     = c->user;
    const double            scale = d && d->scale != 0 ? d->scale : 1;
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] = scale * (x[0][i] > 0 ? x[0][i] : 0);
}

/* y = relu(x) used twice, so its gradient is a sum. */
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

static const plm_relu_op_desc root2 = { .scale = PLM_SQRT2 };

#define RELU(label, d, s)                                                                                \
    {                                                                                                    \
        .name = label, .f = apply, .user = d, .naive = naive, .n = 1, .in = { s }, .out = s, .gap = 0.05 \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 40; trial++) {
        const plm_shape s = random_shape(trial, 0, 5);
        op_case         c = RELU("random", trial % 2 ? &root2 : NULL, s);
        check_op(*state, &c, trial, false);
    }
}

static void test_edges(void **state)
{
    plm_ctx      *ctx = *state;
    const float   x[] = { 0, -0.0f, NAN, -1, INFINITY, 3 };
    float         y[6];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_relu(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(6), x)), &root2);
    assert_true(plm_val_read(v, y, 6));
    assert_true(y[0] == 0 && y[1] == 0 && isnan(y[2]) && y[3] == 0 && isinf(y[4]));
    assert_close((double)y[5], 3 * PLM_SQRT2, 0, 1e-6);
}

static void test_derivative_at_zero(void **state)
{
    plm_ctx      *ctx = *state;
    const float   x[] = { 0, 2 };
    float         g[2];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), &(plm_input_desc){ .grad = true });
    assert_true(plm_backward(plm_sum(plm_relu(v, NULL), NULL)) && plm_val_grad(v, g, 2));
    assert_close((double)g[0], 0, 0, 0);
    assert_close((double)g[1], 1, 0, 0);
}

/* dx may be dy. */
static void test_shared_loop(void **state)
{
    (void)state;
    const float y[]  = { 0, 2, 0, 5 };
    float       dy[] = { 1, 2, 3, 4 };
    plm__relu_backward(y, dy, dy, 4, 3);
    const double want[] = { 0, 6, 0, 12 };
    assert_all_close(dy, want, 4, 0);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[]  = { 1 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x));
    plm_relu(v, &(plm_relu_op_desc){ .scale = -1 });
    assert_error(ctx, PLM_ERR_ARGUMENT, "relu: desc.scale is -1, expected a positive number");
}

int main(void)
{
    op_case cases[] = {
        RELU("scalar", NULL, ((plm_shape){ 0 })),
        RELU("n = 1", NULL, plm_shape_of(1, 1)),
        RELU("[3,17]", NULL, plm_shape_of(3, 17)),
        RELU("scale sqrt 2", &root2, plm_shape_of(2, 12, 3, 3)),
        { .name  = "two consumers",
          .f     = apply_twice,
          .user  = &root2,
          .naive = naive_twice,
          .n     = 1,
          .in    = { plm_shape_of(5, 3) },
          .out   = plm_shape_of(5, 3),
          .gap   = 0.05 },
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_edges),
                                         ctx_test(test_derivative_at_zero), cmocka_unit_test(test_shared_loop),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

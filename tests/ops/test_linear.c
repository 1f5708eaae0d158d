/* test_linear.c: y = x w^T + b, plain and with a scaled ReLU in the same kernel. */
#include "roles.h"

#include "ops/ops.h"

/* desc: the scale of the ReLU, a double; NULL: none. */
static double relu_of(const void *desc)
{
    return desc ? *(const double *)desc : 0;
}

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape;
    const plm_val b = n > 2 ? in[2] : plm_none;
    return desc_of(user) ? plm__linear_relu(in[0], in[1], b, relu_of(desc_of(user))) : plm_linear(in[0], in[1], b);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const double relu = relu_of(c->user);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = c->n > 2 ? x[2][channel_of(c->out, o)] : 0;
    naive_linear(c->in[0], c->in[1], &(bilinear){ .x = x[0], .w = x[1], .y = y });
    for (int64_t o = 0; o < plm_shape_count(c->out) && relu > 0; o++) y[o] = y[o] > 0 ? relu * y[o] : 0;
}

static void gradient(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    const double relu = relu_of(c->user);
    double      *dz   = malloc((size_t)plm_shape_count(c->out) * sizeof *dz);
    naive(c, x, dz);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) {
        dz[o] = relu > 0 ? (dz[o] > 0 ? relu * dy[o] : 0) : dy[o];
        if (c->n > 2) dx[2][channel_of(c->out, o)] += dz[o];
    }
    naive_linear(c->in[0], c->in[1], &(bilinear){ .x = x[0], .w = x[1], .dy = dz, .dx = dx[0], .dw = dx[1] });
    free(dz);
}

/* The gradient of y is one buffer with that of another value (add hands it on): the fused ReLU must not write over it. */
static plm_val apply_shared_gradient(plm_tape *tape, const plm_val *in, int n, void *user)
{
    return plm_add(apply(tape, in, n, user), apply(tape, in, n, user));
}

static void naive_shared_gradient(const op_case *c, const double *const *x, double *y)
{
    naive(c, x, y);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] *= 2;
}

static plm_val apply_consumed_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    const plm_val y = apply(tape, in, n, user);
    return plm_add(plm_square(y), y);
}

static void naive_consumed_twice(const op_case *c, const double *const *x, double *y)
{
    naive(c, x, y);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] += y[o] * y[o];
}

static plm_val apply_weight_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    return apply(tape, (const plm_val[]){ apply(tape, in, n, user), in[1], in[2] }, n, user);
}

static void naive_weight_twice(const op_case *c, const double *const *x, double *y)
{
    double *h = malloc((size_t)plm_shape_count(c->out) * sizeof *h);
    naive(c, x, h);
    naive(c, (const double *const[]){ h, x[1], x[2] }, y);
    free(h);
}

/* x x^T: input and weight are one value, and one parameter. */
static plm_val apply_gram(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_linear(in[0], in[0], plm_none);
}

static void naive_gram(const op_case *c, const double *const *x, double *y)
{
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = 0;
    naive_linear(c->in[0], c->in[0], &(bilinear){ .x = x[0], .w = x[0], .y = y });
}

static const double relu1 = 1, root2 = PLM_SQRT2;

#define S plm_shape_of
#define LINEAR(label, relu, x, w, y)                                                                               \
    {                                                                                                              \
        .op       = { .name = label, .f = apply, .user = relu, .naive = naive, .n = 2, .in = { x, w }, .out = y }, \
        .gradient = gradient                                                                                       \
    }
#define LINEAR_BIAS(label, relu, x, w, b, y)                                                                             \
    {                                                                                                                    \
        .op       = { .name = label, .f = apply, .user = relu, .naive = naive, .n = 3, .in = { x, w, S(b) }, .out = y }, \
        .gradient = gradient                                                                                             \
    }
#define COMPOSED(label, function, loops, relu, x, w, b, y)                                                          \
    {                                                                                                               \
        .op = {.name = label, .f = function, .user = relu, .naive = loops, .n = 3, .in = { x, w, S(b) }, .out = y } \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        const int64_t n = PICK(seed, 0, 1, 2, 5), in = PICK(seed, 1, 1, 3, 12, 16, 17, 40),
                      out = PICK(seed, 2, 1, 2, 3, 12, 17, 32);
        formula f         = LINEAR_BIAS("random", seed % 2 ? &root2 : NULL, S(n, in), S(out, in), out, S(n, out));
        f.op.n            = seed % 3 ? 3 : 2;
        check_random(*state, &f, seed);
    }
}

static void test_home_layouts(void **state)
{
    trial        *t    = *state;
    const int64_t in[] = { 1, 12, 17, 64 }, out[] = { 1, 17, 32, 64 };
    for (int i = 0; i < 4; i++) {
        const formula f =
            LINEAR_BIAS("home", i % 2 ? &root2 : NULL, S(3, in[i]), S(out[i], in[i]), out[i], S(3, out[i]));
        plm__layout home;
        trial_prepare(t, &f, (uint64_t)i);
        assert_true(plm__linear_home(t->ctx, f.op.in[1], &home));
        assert_true(plm__param_set_home(t->p[1], &home));
        for (int x = 0; x < ROLES; x++)
            for (int b = 0; b < ROLES; b++) {
                check_roles(t, (const role[]){ (role)x, TRAINED, (role)b });
                check_roles(t, (const role[]){ (role)x, FROZEN, (role)b });
            }
    }
}

/* One kernel or two: the same function, and gradients of the same numbers. */
static void test_fused_is_unfused(void **state)
{
    plm_ctx        *ctx = *state;
    const plm_shape xs = S(5, 17), ws = S(12, 17), bs = S(12), ys = S(5, 12);
    float           x[5 * 17], w[12 * 17], b[12], y[2][60], grad[2][5 * 17 + 12 * 17 + 12];
    double          want[5 * 17 + 12 * 17 + 12];
    test_fill(x, 5 * 17, 1, -1, 1);
    test_fill(w, 12 * 17, 2, -1, 1);
    test_fill(b, 12, 3, -1, 1);
    for (int fused = 0; fused < 2; fused++) {
        plm_tape            *tape = plm_tape_new(ctx, NULL);
        const plm_input_desc with = { .grad = true };
        const plm_val        in[] = { plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, xs, x), &with),
                                      plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, ws, w), &with),
                                      plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, bs, b), &with) };
        const plm_val        v    = fused ? plm__linear_relu(in[0], in[1], in[2], 3)
                                          : plm_relu(plm_linear(in[0], in[1], in[2]), &(plm_relu_op_desc){ .scale = 3 });
        assert_true(plm_val_read(v, y[fused], plm_shape_count(ys)));
        assert_true(plm_backward(plm_sum(plm_square(v), NULL)));
        assert_true(plm_val_grad(in[0], grad[fused], 5 * 17));
        assert_true(plm_val_grad(in[1], grad[fused] + 5 * 17, 12 * 17));
        assert_true(plm_val_grad(in[2], grad[fused] + 5 * 17 + 12 * 17, 12));
        plm_tape_free(tape);
    }
    int zeros = 0;
    for (int i = 0; i < 60; i++) {
        want[i] = (double)y[0][i];
        zeros += y[0][i] == 0;
    }
    assert_in_range(zeros, 10, 50);
    assert_all_close(y[1], want, 60, 1e-6);
    for (int i = 0; i < 5 * 17 + 12 * 17 + 12; i++) want[i] = (double)grad[0][i];
    assert_all_close(grad[1], want, 5 * 17 + 12 * 17 + 12, 1e-6);
}

/* The derivative at 0 is 0, as plm_relu's. */
static void test_fused_at_zero(void **state)
{
    plm_ctx      *ctx = *state;
    const float   x[] = { 1, -1, 2 }, w[] = { 1, 1, 0 };
    float         g[3];
    const double  none[3] = { 0 };
    plm_tape     *tape    = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(1, 3), x), &(plm_input_desc){ .grad = true });
    const plm_val y = plm__linear_relu(v, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(1, 3), w)), plm_none, 1);
    assert_close((double)plm_val_item(y), 0, 0, 0);
    assert_true(plm_backward(y));
    assert_true(plm_val_grad(v, g, 3));
    assert_all_close(g, none, 3, 0);
}

static void test_errors(void **state)
{
    static const float x[64] = { 0 };
    const struct {
        plm_shape   x, w, b;
        const char *sentence;
    } bad[] = {
        { S(3), S(2, 3), S(2), "linear: x is [3] and w [2,3], expected [n,in] and [out,in]" },
        { S(2, 3, 1), S(2, 3), S(2), "linear: x is [2,3,1] and w [2,3], expected [n,in] and [out,in]" },
        { S(2, 3), S(3), S(2), "linear: x is [2,3] and w [3], expected [n,in] and [out,in]" },
        { S(2, 3), S(3, 2), S(3), "linear: input has 3 features, weight expects 2 (x [2,3], w [3,2])" },
        { S(2, 3), S(4, 3), S(3), "linear: bias is [3], expected [4] (w [4,3])" },
        { S(2, 3), S(4, 3), S(4, 1), "linear: bias is [4,1], expected [4] (w [4,3])" },
    };
    plm_ctx  *ctx  = *state;
    plm_tape *tape = plm_tape_new(ctx, NULL);
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        const plm_val y = plm_linear(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].x, x)),
                                     plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].w, x)),
                                     plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].b, x)));
        assert_false(plm_val_ok(y));
        assert_error(ctx, PLM_ERR_SHAPE, bad[i].sentence);
    }
    const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x));
    plm__linear_relu(v, v, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(3), x)), 1);
    assert_error(ctx, PLM_ERR_SHAPE, "linear_relu: bias is [3], expected [2] (w [2,3])");
    plm_linear(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x)), plm_none, plm_none);
    assert_error(ctx, PLM_ERR_ARGUMENT, "linear: operand 1 is empty");
}

/* A bias that a failed call left is not "no bias". */
static void test_failed_bias(void **state)
{
    static const float x[6] = { 0 };
    plm_ctx           *ctx  = *state;
    plm_tape          *tape = plm_tape_new(ctx, NULL);
    const plm_val      b    = plm_matmul(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(6), x)), plm_none);
    assert_false(plm_val_ok(plm_linear(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x)),
                                       plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x)), b)));
    assert_error(ctx, PLM_ERR_ARGUMENT, "matmul: operand 1 is empty"); /* the first cause */
    const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x));
    assert_false(plm_val_ok(plm_linear(v, v, b)));
    assert_error(ctx, PLM_ERR_ARGUMENT, "linear: operand 2 is empty");
}

int main(void)
{
    formula cases[] = {
        LINEAR("one number", NULL, S(1, 1), S(1, 1), S(1, 1)),
        LINEAR_BIAS("n = 1", NULL, S(1, 3), S(4, 3), 4, S(1, 4)),
        LINEAR_BIAS("1 to 17", NULL, S(3, 1), S(17, 1), 17, S(3, 17)),
        LINEAR_BIAS("17 to 1", NULL, S(3, 17), S(1, 17), 1, S(3, 1)),
        LINEAR("12 to 17, no bias", NULL, S(5, 12), S(17, 12), S(5, 17)),
        LINEAR_BIAS("17 to 12", NULL, S(5, 17), S(12, 17), 12, S(5, 12)),
        LINEAR_BIAS("64 to 64", NULL, S(4, 64), S(64, 64), 64, S(4, 64)),
        LINEAR("relu", &relu1, S(3, 5), S(4, 5), S(3, 4)),
        LINEAR_BIAS("relu with scale, n = 1", &root2, S(1, 5), S(3, 5), 3, S(1, 3)),
        LINEAR_BIAS("relu with scale, 12 to 17", &root2, S(5, 12), S(17, 12), 17, S(5, 17)),
        COMPOSED("two consumers", apply_consumed_twice, naive_consumed_twice, NULL, S(3, 5), S(4, 5), 4, S(3, 4)),
        COMPOSED("relu with two consumers", apply_consumed_twice, naive_consumed_twice, &root2, S(3, 5), S(4, 5), 4,
                 S(3, 4)),
        COMPOSED("relu whose gradient is shared", apply_shared_gradient, naive_shared_gradient, &root2, S(3, 5),
                 S(4, 5), 4, S(3, 4)),
        COMPOSED("the same weight twice", apply_weight_twice, naive_weight_twice, NULL, S(3, 5), S(5, 5), 5, S(3, 5)),
        COMPOSED("the same weight twice, relu", apply_weight_twice, naive_weight_twice, &root2, S(3, 5), S(5, 5), 5,
                 S(3, 5)),
        { .op = { .name  = "input and weight one value",
                  .f     = apply_gram,
                  .naive = naive_gram,
                  .n     = 1,
                  .in    = { S(5, 7) },
                  .out   = S(5, 5) } },
        { .op = { .name  = "input and weight one value, 17x17",
                  .f     = apply_gram,
                  .naive = naive_gram,
                  .n     = 1,
                  .in    = { S(17, 17) },
                  .out   = S(17, 17) } },
    };
    const struct CMUnitTest others[] = { trial_test(test_random_shapes),  trial_test(test_home_layouts),
                                         ctx_test(test_fused_is_unfused), ctx_test(test_fused_at_zero),
                                         ctx_test(test_errors),           ctx_test(test_failed_bias) };
    return run_formulas(cases, others);
}

/* test_reshape.c: reshape and flatten, which are views. */
#include "check.h"

#include "autograd/autograd.h"

/* The square makes the gradient depend on where an element went. */
static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return plm_square(user ? plm_reshape(in[0], *(const plm_shape *)user) : plm_flatten(in[0]));
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] = x[0][i] * x[0][i];
}

#define VIEW(label, s, asked, y)                                                                \
    {                                                                                           \
        .name = label, .f = apply, .user = asked, .naive = naive, .n = 1, .in = { s }, .out = y \
    }
#define SHAPE(...)  \
    &(plm_shape)    \
    {               \
        __VA_ARGS__ \
    }

static void test_is_a_view(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[6] = { 1, 2, 3, 4, 5, 6 };
    float         y[6];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val a    = plm_square(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x)));
    const plm_val b    = plm_reshape(a, plm_shape_of(3, 2));
    assert_ptr_equal(plm__value_data(plm__val_get(a, "")), plm__value_data(plm__val_get(b, "")));
    plm_release(a); /* the view keeps the memory */
    assert_true(plm_val_read(b, y, 6));
    assert_close((double)y[5], 36, 0, 0);
}

/* A value and its view in one sum: one buffer of gradients serves both, and must not be written twice. */
static void test_value_and_view(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[2] = { 3, -1 };
    float         g[2];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), &(plm_input_desc){ .grad = true });
    const plm_val y = plm_add(plm_reshape(v, plm_shape_of(2, 1)), plm_reshape(plm_square(v), plm_shape_of(-1, 1)));
    assert_true(plm_backward(plm_sum(plm_mul(y, y), NULL)) && plm_val_grad(v, g, 2));
    for (int i = 0; i < 2; i++) { /* (x + x^2)^2 */
        const double t = (double)x[i];
        assert_close((double)g[i], 2 * (t + t * t) * (1 + 2 * t), 0, 1e-6);
    }
}

static void test_errors(void **state)
{
    plm_ctx    *ctx  = *state;
    const float x[6] = { 0 };
    plm_tape   *tape = plm_tape_new(ctx, NULL);
    const struct {
        plm_shape   asked;
        const char *sentence;
    } bad[] = { { plm_shape_of(4, 2), "reshape: [2,3] to [4,2]: the 6 elements do not fit" },
                { plm_shape_of(-1, -1), "reshape: [2,3] to [-1,-1]: only one extent may be -1" },
                { plm_shape_of(-1, 4), "reshape: [2,3] to [-1,4]: the 6 elements do not fit" },
                { plm_shape_of(0, 6), "reshape: [2,3] to [0,6]: the 6 elements do not fit" },
                { plm_shape_of(-1, 0), "reshape: [2,3] to [-1,0]: the 6 elements do not fit" },
                { plm_shape_of(-2, -3), "reshape: [2,3] to [-2,-3]: the 6 elements do not fit" },
                { plm_shape_of(INT64_MAX, INT64_MAX, -1), "elements do not fit" },
                { { 0 }, "reshape: [2,3] to []: the 6 elements do not fit" },
                { { .rank = 7 }, "rank 7, expected 0 to 6" } };
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        plm_reshape(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x)), bad[i].asked);
        assert_error(ctx, PLM_ERR_SHAPE, bad[i].sentence);
    }
    plm_flatten(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, (plm_shape){ 0 }, x)));
    assert_error(ctx, PLM_ERR_SHAPE, "flatten: a scalar [] has no axis 0");
}

int main(void)
{
    op_case cases[] = {
        VIEW("reshape", plm_shape_of(2, 6), SHAPE(3, { 3, 2, 2 }), plm_shape_of(3, 2, 2)),
        VIEW("inferred", plm_shape_of(2, 17), SHAPE(2, { -1, 2 }), plm_shape_of(17, 2)),
        VIEW("to a scalar", plm_shape_of(1, 1), SHAPE(0), ((plm_shape){ 0 })),
        VIEW("of a scalar", ((plm_shape){ 0 }), SHAPE(2, { 1, -1 }), plm_shape_of(1, 1)),
        VIEW("flatten images", plm_shape_of(2, 3, 4, 5), NULL, plm_shape_of(2, 60)),
        VIEW("flatten one axis", plm_shape_of(5), NULL, plm_shape_of(5, 1)),
    };
    const struct CMUnitTest others[] = { ctx_test(test_is_a_view), ctx_test(test_value_and_view),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

/* test_padding.c: ops that run over padded memory: the padding of values and gradients is zero and stays so, and the numbers
 * are those of row-major memory. */
#include "support.h"

#include <math.h>

#include "autograd/autograd.h"

typedef struct {
    plm_ctx   *ctx;
    plm_param *p, *q; /* [2,c,3,2] */
    float     *values, *plain, *blocked;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->ctx     = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    f->values  = calloc(2 * 17 * 6, sizeof(float));
    f->plain   = calloc(2 * 17 * 6, sizeof(float));
    f->blocked = calloc(2 * 17 * 6, sizeof(float));
    *state     = f;
    return f->ctx ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_param_free(f->p);
    plm_param_free(f->q);
    plm_ctx_free(f->ctx);
    free(f->values);
    free(f->plain);
    free(f->blocked);
    free(f);
    return 0;
}

static plm_val root2_relu(plm_val x)
{
    return plm_relu(x, &(plm_relu_op_desc){ .scale = PLM_SQRT2 });
}

static plm_val third(plm_val x)
{
    return plm_scale(x, 1.0 / 3);
}

static plm_val root(plm_val x)
{
    return plm_sqrt(plm_square(x));
}

static plm_val exact_gelu(plm_val x)
{
    return plm_gelu(x, NULL);
}

static plm_val tanh_gelu(plm_val x)
{
    return plm_gelu(x, &(plm_gelu_op_desc){ .tanh = true });
}

static plm_val leaky(plm_val x)
{
    return plm_leaky_relu(x, NULL);
}

static plm_val clamp_around_zero(plm_val x)
{
    return plm_clamp(x, -1, 0.5);
}

static plm_val clamp_above_zero(plm_val x)
{
    return plm_clamp(x, 0.5, 1);
}

static plm_val (*const unary[])(plm_val)           = { root2_relu, third,      root,      plm_abs, plm_tanh,
                                                       plm_square, exact_gelu, tanh_gelu, leaky,   clamp_around_zero };
static plm_val (*const binary[])(plm_val, plm_val) = { plm_add, plm_sub, plm_mul };
/* These are not 0 at 0: they must come back to row-major memory first. */
static plm_val (*const unpadded[])(plm_val) = { plm_exp, plm_sigmoid, clamp_above_zero };

/* nChw16c */
static plm__layout blocked_by_16(plm_shape s)
{
    plm__layout l = plm__layout_plain(s);
    l.blocks      = 1;
    l.block[0]    = 16;
    l.axis[0]     = 1;
    l.padded[1]   = (s.dim[1] + 15) / 16 * 16;
    l.stride[3]   = 16;
    l.stride[2]   = 16 * s.dim[3];
    l.stride[1]   = 16 * s.dim[3] * s.dim[2];
    l.stride[0]   = l.padded[1] * s.dim[3] * s.dim[2];
    return l;
}

static int64_t nonzero_padding(const plm__layout *l, const float *x)
{
    int64_t     wrong = 0, count = 0;
    const float nothing = 0;
    for (int64_t i = 0; i < plm__layout_floats(l); i++)
        count += memcmp(&x[i], &nothing, sizeof nothing) != 0 && !(x[i] == 0);
    for (int64_t e = 0; e < plm_shape_count(plm__layout_shape(l)); e++) {
        const int64_t w = l->dim[3], h = l->dim[2], c = l->dim[1];
        const int64_t index[] = { e / w / h / c, e / w / h % c, e / w % h, e % w };
        wrong += !(x[plm__layout_offset(l, index)] == 0);
    }
    return count - wrong; /* all that is not zero, less the logical part of it */
}

enum {
    EXPRESSIONS = sizeof unary / sizeof *unary + sizeof binary / sizeof *binary + sizeof unpadded / sizeof *unpadded + 1
};

static plm_val expression(fixture *f, plm_tape *tape, int which)
{
    const int     unaries = (int)(sizeof unary / sizeof *unary), binaries = (int)(sizeof binary / sizeof *binary);
    const plm_val p = plm_tape_param(tape, f->p), q = plm_tape_param(tape, f->q);
    if (which < unaries) return plm_add(unary[which](p), q);
    if (which < unaries + binaries) return plm_mul(binary[which - unaries](p, q), p);
    if (which < EXPRESSIONS - 1) return plm_mul(unpadded[which - unaries - binaries](p), q);
    return plm_add(plm_div(p, plm_exp(q)), p);
}

static void gradients(fixture *f, int which, float *value, float *grad, int64_t n)
{
    plm_tape     *tape = plm_tape_new(f->ctx, NULL);
    const plm_val y    = expression(f, tape, which);
    assert_true(plm_val_read(y, value, n));
    assert_true(plm_backward(plm_sum(plm_square(y), NULL)));
    assert_true(plm_param_read_grad(f->p, grad, n));
    plm_tape_free(tape);
}

static void check_channels(fixture *f, int64_t c)
{
    const plm_shape   s      = plm_shape_of(2, c, 3, 2);
    const plm__layout layout = blocked_by_16(s), plain = plm__layout_plain(s);
    const int64_t     n = plm_shape_count(s);
    f->p                = plm_param_new(f->ctx, s, &(plm_param_desc){ .name = "p" });
    f->q                = plm_param_new(f->ctx, s, &(plm_param_desc){ .name = "q" });
    test_fill(f->values, n, (uint64_t)c, -2, 2);
    assert_true(plm_param_write(f->p, f->values, n));
    test_fill(f->values, n, (uint64_t)c + 1, -2, 2);
    assert_true(plm_param_write(f->q, f->values, n));
    float *value[2] = { malloc((size_t)n * sizeof(float)), malloc((size_t)n * sizeof(float)) };
    int    wrong    = 0;
    for (int which = 0; which < EXPRESSIONS; which++) {
        assert_true(plm__param_set_home(f->p, &plain) && plm__param_set_home(f->q, &plain));
        gradients(f, which, value[0], f->plain, n);
        assert_true(plm__param_set_home(f->p, &layout) && plm__param_set_home(f->q, &layout));
        gradients(f, which, value[1], f->blocked, n);
        wrong += memcmp(f->plain, f->blocked, (size_t)n * sizeof(float)) != 0;
        wrong += memcmp(value[0], value[1], (size_t)n * sizeof(float)) != 0;
        wrong += nonzero_padding(&layout, f->p->grad->data) != 0;
        wrong += nonzero_padding(&layout, f->q->grad->data) != 0;
    }
    free(value[0]);
    free(value[1]);
    assert_int_equal(wrong, 0);
}

static void test_1_channel(void **state)
{
    check_channels(*state, 1);
}

static void test_3_channels(void **state)
{
    check_channels(*state, 3);
}

static void test_12_channels(void **state)
{
    check_channels(*state, 12);
}

static void test_16_channels(void **state)
{
    check_channels(*state, 16);
}

static void test_17_channels(void **state)
{
    check_channels(*state, 17);
}

/* The op itself runs in the padded layout, without a reorder before it. */
static void test_layout_is_kept(void **state)
{
    fixture          *f      = *state;
    const plm_shape   s      = plm_shape_of(2, 3, 3, 2);
    const plm__layout layout = blocked_by_16(s);
    f->p                     = plm_param_new(f->ctx, s, &(plm_param_desc){ .name = "p" });
    assert_true(plm__param_set_home(f->p, &layout));
    plm_tape *tape = plm_tape_new(f->ctx, NULL);
    for (int i = 0; i < (int)(sizeof unary / sizeof *unary); i++) {
        const plm_val y = unary[i](plm_tape_param(tape, f->p));
        assert_true(plm__layout_same(&plm__val_get(y, "")->layout, &layout));
    }
    const plm_val y = plm_sigmoid(plm_tape_param(tape, f->p));
    assert_true(plm__layout_is_plain(&plm__val_get(y, "")->layout));
}

#define padding_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { padding_test(test_1_channel),   padding_test(test_3_channels),
                                        padding_test(test_12_channels), padding_test(test_16_channels),
                                        padding_test(test_17_channels), padding_test(test_layout_is_kept) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

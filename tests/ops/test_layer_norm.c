/* test_layer_norm.c: y = (x - mean) / sqrt(var + eps) scale + shift over the last axes. */
#include "check.h"

static const plm_layer_norm_op_desc two = { .axes = 2 }, three = { .axes = 3, .eps = 0.1 };

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape;
    return plm_layer_norm(in[0], n > 1 ? in[1] : plm_none, n > 1 ? in[2] : plm_none, user);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const plm_layer_norm_op_desc *d      = c->user;
    const int                     axes   = d && d->axes ? d->axes : 1;
    const double                  eps    = d && d->eps != 0 ? d->eps : 1e-5;
    int64_t                       length = 1;
    for (int a = c->out.rank - axes; a < c->out.rank; a++) length *= c->out.dim[a];
    for (int64_t start = 0; start < plm_shape_count(c->out); start += length) {
        double mean = 0, var = 0;
        for (int64_t i = start; i < start + length; i++) mean += x[0][i] / (double)length;
        for (int64_t i = start; i < start + length; i++) var += (x[0][i] - mean) * (x[0][i] - mean) / (double)length;
        for (int64_t i = start; i < start + length; i++) {
            const double u = (x[0][i] - mean) / sqrt(var + eps);
            y[i]           = c->n > 1 ? u * x[1][i - start] + x[2][i - start] : u;
        }
    }
}

#define S(...) plm_shape_of(__VA_ARGS__)
#define PLAIN(label, d, s)                                                                  \
    {                                                                                       \
        .name = label, .f = apply, .user = d, .naive = naive, .n = 1, .in = { s }, .out = s \
    }
#define AFFINE(label, d, s, own)                                                                      \
    {                                                                                                 \
        .name = label, .f = apply, .user = d, .naive = naive, .n = 3, .in = { s, own, own }, .out = s \
    }

/* Rows of one element are left out: they are all 0, and so is their gradient but for rounding over 1 / sqrt(eps). */
static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 60; trial++) {
        const plm_shape              s   = random_shape(trial, 1, 5);
        const plm_layer_norm_op_desc d   = { .axes = 1 + (int)(trial % (uint64_t)s.rank), .eps = 0.05 };
        const plm_shape              own = plm_shape_from(d.axes, s.dim + s.rank - d.axes);
        op_case                      a = AFFINE("random", &d, s, own), b = PLAIN("random", &d, s);
        if (plm_shape_count(own) < 2) continue;
        check_op(*state, trial % 2 ? &a : &b, trial, false);
    }
}

/* Long enough for several threads; the bits do not depend on how many. */
static void test_threads(void **state)
{
    (void)state;
    enum { ROWS = 300, LENGTH = 201 };
    static float         x[ROWS * LENGTH], scale[LENGTH], shift[LENGTH], y[2][ROWS * LENGTH], g[2][3][ROWS * LENGTH];
    const plm_input_desc grad = { .grad = true };
    test_fill(x, ROWS * LENGTH, 1, -2, 5);
    test_fill(scale, LENGTH, 2, -2, 2);
    test_fill(shift, LENGTH, 3, -2, 2);
    for (int t = 0; t < 2; t++) {
        plm_ctx      *ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = 1 + 2 * t });
        plm_tape     *tape = plm_tape_new(ctx, NULL);
        const plm_val v[]  = { plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(ROWS, LENGTH), x), &grad),
                               plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(LENGTH), scale), &grad),
                               plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(LENGTH), shift), &grad) };
        const plm_val out  = plm_layer_norm(v[0], v[1], v[2], NULL);
        const bool    ok   = plm_val_read(out, y[t], ROWS * LENGTH) && plm_backward(plm_sum(plm_square(out), NULL)) &&
                        plm_val_grad(v[0], g[t][0], ROWS * LENGTH) && plm_val_grad(v[1], g[t][1], LENGTH) &&
                        plm_val_grad(v[2], g[t][2], LENGTH);
        plm_ctx_free(ctx);
        assert_true(ok);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(g[0], g[1], sizeof g[0]);
}

static void test_errors(void **state)
{
    plm_ctx    *ctx  = *state;
    const float x[6] = { 0 };
    const struct {
        plm_layer_norm_op_desc d;
        plm_shape              scale;
        plm_status             status;
        const char            *sentence;
    } bad[] = {
        { { .axes = 3 }, S(3), PLM_ERR_ARGUMENT, "layer_norm: desc.axes is 3, x is [2,3]" },
        { { .axes = -1 }, S(3), PLM_ERR_ARGUMENT, "layer_norm: desc.axes is -1" },
        { { .eps = -1 }, S(3), PLM_ERR_ARGUMENT, "layer_norm: eps is -1, expected a positive number" },
        { { 0 }, S(2), PLM_ERR_SHAPE, "layer_norm: scale is [2], expected [3] (x [2,3])" },
        { { .axes = 2 }, S(6), PLM_ERR_SHAPE, "layer_norm: scale is [6], expected [2,3] (x [2,3])" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plm_tape     *tape  = plm_tape_new(ctx, NULL);
        const plm_val v     = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x));
        const plm_val scale = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].scale, x));
        assert_false(plm_val_ok(plm_layer_norm(v, scale, scale, &bad[i].d)));
        assert_error(ctx, bad[i].status, bad[i].sentence);
        plm_tape_free(tape);
    }
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x));
    assert_false(plm_val_ok(plm_layer_norm(v, v, plm_none, NULL)));
    assert_error(ctx, PLM_ERR_ARGUMENT, "layer_norm: operand 2 is empty");
}

int main(void)
{
    op_case cases[] = {
        PLAIN("n = 1", NULL, S(1, 4)),
        PLAIN("[3,17]", NULL, S(3, 17)),
        AFFINE("with scale and shift", NULL, S(5, 12), S(12)),
        AFFINE("last two axes", &two, S(3, 2, 5), S(2, 5)),
        AFFINE("images", &three, S(2, 3, 3, 2), S(3, 3, 2)),
        AFFINE("one row", &two, S(3, 4), S(3, 4)),
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), cmocka_unit_test(test_threads),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

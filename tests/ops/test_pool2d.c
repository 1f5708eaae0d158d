/* test_pool2d.c: the largest and the mean value of windows. */
#include "roles.h"

static plm_val apply_max(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return plm_max_pool2d(in[0], desc_of(user));
}

static plm_val apply_avg(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return plm_avg_pool2d(in[0], desc_of(user));
}

static void naive_of(bool max, const op_case *c, const double *const *x, double *y)
{
    const plm_pool2d_op_desc *d = c->user;
    naive_pool(max, c->in[0], c->out, d, x[0], y);
}

static void naive_max(const op_case *c, const double *const *x, double *y)
{
    naive_of(true, c, x, y);
}

static void naive_avg(const op_case *c, const double *const *x, double *y)
{
    naive_of(false, c, x, y);
}

/* Both kinds of one value, and the first one's square: x and y have two consumers each. */
static plm_val apply_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    const plm_val max = apply_max(tape, in, n, user), avg = apply_avg(tape, in, n, user);
    return plm_add(plm_add(plm_square(max), max), avg);
}

static void naive_twice(const op_case *c, const double *const *x, double *y)
{
    double *avg = malloc((size_t)plm_shape_count(c->out) * sizeof *avg);
    naive_max(c, x, y);
    naive_avg(c, x, avg);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] += y[o] * y[o] + avg[o];
    free(avg);
}

#define S plm_shape_of
#define D(...) (&(const plm_pool2d_op_desc){ __VA_ARGS__ })
#define POOL(label, function, loops, d, x, y)                                                                 \
    {                                                                                                         \
        .op     = { .name = label, .f = function, .user = d, .naive = loops, .n = 1, .in = { x }, .out = y }, \
        .spread = true                                                                                        \
    }
#define BOTH(label, d, x, y) \
    POOL("max: " label, apply_max, naive_max, d, x, y), POOL("mean: " label, apply_avg, naive_avg, d, x, y)

static void test_random_shapes(void **state)
{
    for (uint64_t seed = 0; seed < 80; seed++) {
        const int     kernel = (int)PICK(seed, 0, 1, 2, 3, 4, 5);
        const int     pad = (int)PICK(seed, 1, 0, 0, kernel / 2), stride = (int)PICK(seed, 2, 0, 1, 2, 3);
        const int64_t n = PICK(seed, 3, 1, 2, 3), c = PICK(seed, 4, 1, 3, 8, 12, 16, 17);
        int64_t       h = PICK(seed, 5, 1, 2, 3, 5, 8), w = PICK(seed, 6, 1, 2, 4, 7);
        if (h + 2 * pad < kernel) h = kernel - 2 * pad;
        if (w + 2 * pad < kernel) w = kernel - 2 * pad;
        const int64_t            step = stride ? stride : kernel;
        const bool               mean = seed / 2 % 2;
        const plm_pool2d_op_desc d    = {
               .kernel = kernel, .stride = stride, .pad = pad, .exclude_pad = mean && seed % 2
        };
        const plm_shape y   = S(n, c, (h + 2 * pad - kernel) / step + 1, (w + 2 * pad - kernel) / step + 1);
        const formula   f[] = { BOTH("random", &d, S(n, c, h, w), y) };
        check_random(*state, &f[mean], seed);
    }
}

static void test_random_global(void **state)
{
    for (uint64_t seed = 0; seed < 24; seed++) {
        const int64_t n = PICK(seed, 0, 1, 2, 3), c = PICK(seed, 1, 1, 3, 8, 12, 16, 17);
        const int64_t h = PICK(seed, 2, 1, 2, 5, 7), w = PICK(seed, 3, 1, 3, 4, 7, 9);
        const formula f[] = { BOTH("random, global", D(.global = true), S(n, c, h, w), S(n, c, 1, 1)) };
        check_random(*state, &f[seed % 2], seed);
    }
}

/* Padding is not 0 in a maximum: all inputs are negative, and so are all outputs. */
static void test_padding_never_wins(void **state)
{
    trial  *t = *state;
    formula f =
        POOL("negative", apply_max, naive_max, D(.kernel = 3, .stride = 1, .pad = 1), S(2, 12, 3, 4), S(2, 12, 3, 4));
    f.spread = false;
    f.op.lo  = -3;
    f.op.hi  = -1;
    trial_prepare(t, &f, 3);
    check_roles(t, (const role[]){ WANTED, LENT, LENT });
    for (int64_t o = 0; o < plm_shape_count(f.op.out); o++) assert_true(t->y[o] <= -1);
}

/* Of equal maxima one gets the gradient, the whole of it. */
static void test_ties(void **state)
{
    plm_ctx      *ctx = *state;
    const float   x[] = { 2, 2, 1, 2, 5, 5, 5, 5 }, up[] = { 3, 7 };
    float         g[8];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(1, 2, 2, 2), x), &(plm_input_desc){ .grad = true });
    const plm_val y = plm_max_pool2d(v, D(.kernel = 2));
    const plm_val w = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(1, 2, 1, 1), up));
    assert_true(plm_backward(plm_sum(plm_mul(y, w), NULL)));
    assert_true(plm_val_grad(v, g, 8));
    for (int window = 0; window < 2; window++) {
        int winners = 0;
        for (int i = 0; i < 4; i++) {
            const float got = g[4 * window + i];
            winners += got == up[window];
            assert_true(got == 0 || got == up[window]);
        }
        assert_int_equal(winners, 1);
    }
    assert_true(g[2] == 0); /* no maximum */
}

/* Values alone, in evaluation and without recording: the same numbers. */
static void test_modes(void **state)
{
    trial        *t   = *state;
    const formula f[] = { BOTH("modes", D(.kernel = 3, .stride = 2, .pad = 1), S(2, 17, 5, 4), S(2, 17, 3, 2)) };
    for (int mode = 0; mode < 8; mode++) {
        trial_prepare(t, &f[mode / 4], 5);
        plm_tape     *tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .eval = mode & 1, .no_grad = mode & 2 });
        const plm_val x    = operand(t, tape, 0, WANTED);
        assert_true(plm_val_read(f[mode / 4].op.f(tape, &x, 1, t), t->y, plm_shape_count(f[0].op.out)));
        assert_all_close(t->y, t->want_y, plm_shape_count(f[0].op.out), 5e-6);
        plm_tape_free(tape);
    }
}

static void test_errors(void **state)
{
    static const float x[40000] = { 0 };
    const struct {
        plm_shape                 x;
        const plm_pool2d_op_desc *desc;
        plm_status                status;
        const char               *sentence;
    } bad[] = {
        { S(2, 3), D(.kernel = 2), PLM_ERR_SHAPE, "x is [2,3], expected [n,c,h,w]" },
        { S(1, 2, 4, 4), NULL, PLM_ERR_ARGUMENT,
          "kernel 0, stride 0, pad 0: kernel is required, kernel and stride are positive, pad at most half the "
          "kernel" },
        { S(1, 2, 4, 4), D(.kernel = -2), PLM_ERR_ARGUMENT, "kernel -2, stride -2, pad 0: kernel is required" },
        { S(1, 2, 4, 4), D(.kernel = 2, .stride = -1), PLM_ERR_ARGUMENT, "kernel 2, stride -1, pad 0: " },
        { S(1, 2, 4, 4), D(.kernel = 2, .pad = -1), PLM_ERR_ARGUMENT, "kernel 2, stride 2, pad -1: " },
        { S(1, 2, 4, 4), D(.kernel = 3, .pad = 2), PLM_ERR_ARGUMENT, "kernel 3, stride 3, pad 2: " },
        { S(1, 2, 4, 4), D(.kernel = 40000), PLM_ERR_ARGUMENT,
          "kernel 40000, stride 40000, pad 0: each is at most 32768" },
        { S(1, 2, 4, 4), D(.kernel = 4, .global = true), PLM_ERR_ARGUMENT,
          "kernel 4, stride 4, pad 0: a global pool's window is the image, all three stay 0" },
        { S(1, 2, 4, 4), D(.stride = 1, .global = true), PLM_ERR_ARGUMENT, "kernel 0, stride 1, pad 0: a global pool" },
        { S(1, 2, 4, 4), D(.pad = 1, .global = true), PLM_ERR_ARGUMENT, "kernel 0, stride 0, pad 1: a global pool" },
        { S(1, 1, 1, 40000), D(.global = true), PLM_ERR_ARGUMENT,
          "x is [1,1,1,40000]: the side of a window is at most 32768" },
        { S(1, 2, 1, 8), D(.kernel = 4, .pad = 1), PLM_ERR_SHAPE,
          "a 4x4 window is larger than x [1,2,1,8] padded by 1" },
        { S(1, 2, 8, 1), D(.kernel = 4, .pad = 1), PLM_ERR_SHAPE,
          "a 4x4 window is larger than x [1,2,8,1] padded by 1" },
    };
    plm_ctx  *ctx  = *state;
    plm_tape *tape = plm_tape_new(ctx, NULL);
    for (int i = 0; i < 2 * (int)(sizeof bad / sizeof *bad); i++) {
        char          sentence[256];
        const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i / 2].x, x));
        const plm_val y = i % 2 ? plm_avg_pool2d(v, bad[i / 2].desc) : plm_max_pool2d(v, bad[i / 2].desc);
        snprintf(sentence, sizeof sentence, "%s: %s", i % 2 ? "avg_pool2d" : "max_pool2d", bad[i / 2].sentence);
        assert_false(plm_val_ok(y));
        assert_error(ctx, bad[i / 2].status, sentence);
    }
    const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(1, 2, 4, 4), x));
    assert_false(plm_val_ok(plm_max_pool2d(v, D(.kernel = 3, .pad = 1, .exclude_pad = true))));
    assert_error(ctx, PLM_ERR_ARGUMENT, "max_pool2d: exclude_pad is for means: padding never is the maximum");
}

int main(void)
{
    formula cases[] = {
        BOTH("one pixel", D(.kernel = 1), S(1, 1, 1, 1), S(1, 1, 1, 1)),
        BOTH("1x1 window", D(.kernel = 1), S(2, 3, 3, 4), S(2, 3, 3, 4)),
        BOTH("1x1 window, stride 2", D(.kernel = 1, .stride = 2), S(2, 17, 5, 4), S(2, 17, 3, 2)),
        BOTH("n = 1, odd, not square", D(.kernel = 2), S(1, 3, 5, 7), S(1, 3, 2, 3)),
        BOTH("1 channel", D(.kernel = 2), S(2, 1, 4, 6), S(2, 1, 2, 3)),
        BOTH("12 channels, overlapping windows", D(.kernel = 3, .stride = 2), S(2, 12, 7, 5), S(2, 12, 3, 2)),
        BOTH("17 channels, stride 1", D(.kernel = 2, .stride = 1), S(2, 17, 4, 3), S(2, 17, 3, 2)),
        BOTH("pad 1", D(.kernel = 3, .stride = 1, .pad = 1), S(2, 3, 4, 3), S(2, 3, 4, 3)),
        BOTH("pad 1, stride 2, 17 channels", D(.kernel = 3, .stride = 2, .pad = 1), S(2, 17, 5, 6), S(2, 17, 3, 3)),
        BOTH("even window, pad 1", D(.kernel = 2, .pad = 1), S(1, 12, 4, 5), S(1, 12, 3, 3)),
        BOTH("stride larger than the window", D(.kernel = 2, .stride = 3), S(1, 3, 8, 7), S(1, 3, 3, 2)),
        BOTH("window is the whole input", D(.kernel = 4), S(2, 12, 4, 4), S(2, 12, 1, 1)),
        BOTH("window is the whole padded input", D(.kernel = 5, .pad = 2), S(2, 17, 1, 1), S(2, 17, 1, 1)),
        BOTH("window is the whole padded input, not one pixel", D(.kernel = 4, .pad = 1), S(1, 3, 2, 2), S(1, 3, 1, 1)),
        POOL("mean without padding", apply_avg, naive_avg, D(.kernel = 3, .stride = 1, .pad = 1, .exclude_pad = true),
             S(2, 3, 4, 3), S(2, 3, 4, 3)),
        POOL("mean without padding, 12 channels", apply_avg, naive_avg,
             D(.kernel = 3, .stride = 2, .pad = 1, .exclude_pad = true), S(2, 12, 5, 6), S(2, 12, 3, 3)),
        POOL("mean without padding, 16 channels, one pixel", apply_avg, naive_avg,
             D(.kernel = 5, .pad = 2, .exclude_pad = true), S(1, 16, 1, 1), S(1, 16, 1, 1)),
        POOL("mean without padding, even window", apply_avg, naive_avg, D(.kernel = 2, .pad = 1, .exclude_pad = true),
             S(1, 17, 4, 5), S(1, 17, 3, 3)),
        POOL("mean, no padding to leave out", apply_avg, naive_avg, D(.kernel = 2, .exclude_pad = true), S(1, 3, 5, 4),
             S(1, 3, 2, 2)),
        BOTH("global, not square", D(.global = true), S(2, 3, 5, 4), S(2, 3, 1, 1)),
        BOTH("global, 12 channels", D(.global = true), S(1, 12, 3, 7), S(1, 12, 1, 1)),
        BOTH("global, 16 channels, n = 3", D(.global = true), S(3, 16, 4, 4), S(3, 16, 1, 1)),
        BOTH("global, 17 channels, one row", D(.global = true), S(2, 17, 1, 6), S(2, 17, 1, 1)),
        BOTH("global, one pixel", D(.global = true), S(2, 1, 1, 1), S(2, 1, 1, 1)),
        POOL("two consumers, global", apply_twice, naive_twice, D(.global = true), S(2, 3, 3, 4), S(2, 3, 1, 1)),
        POOL("two consumers", apply_twice, naive_twice, D(.kernel = 2, .stride = 1), S(2, 3, 4, 4), S(2, 3, 3, 3)),
        POOL("two consumers, 17 channels", apply_twice, naive_twice, D(.kernel = 3, .stride = 2, .pad = 1),
             S(2, 17, 4, 4), S(2, 17, 2, 2)),
    };
    const struct CMUnitTest others[] = { trial_test(test_random_shapes),
                                         trial_test(test_random_global),
                                         trial_test(test_padding_never_wins),
                                         ctx_test(test_ties),
                                         trial_test(test_modes),
                                         ctx_test(test_errors) };
    return run_formulas(cases, others);
}

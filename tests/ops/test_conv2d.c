/* test_conv2d.c: convolution through the public API: shapes, roles of its operands, layouts, errors. */
#include "conv.h"

#include <limits.h>

/* y and its square: two consumers of one value. */
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

/* One weight and one bias in two convolutions of the same shape, one after the other. */
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

/* One input in two convolutions, the weight in the second one scaled. */
static plm_val apply_input_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    const plm_val w = plm_scale(in[1], -0.5);
    return plm_mul(apply(tape, in, n, user), apply(tape, (const plm_val[]){ in[0], w, in[2] }, n, user));
}

static void naive_input_twice(const op_case *c, const double *const *x, double *y)
{
    naive(c, x, y);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) {
        const double b = x[2][channel_of(c->out, o)];
        y[o] *= -0.5 * (y[o] - b) + b;
    }
}

static const plm_conv2d_op_desc pad1 = { .pad = 1 }, pad2 = { .pad = 2 }, stride2 = { .stride = 2 },
                                stride2_pad1 = { .stride = 2, .pad = 1 }, stride3_pad2 = { .stride = 3, .pad = 2 },
                                dilated = { .dilation = 2 }, dilated_pad = { .dilation = 3, .pad = 3, .stride = 2 },
                                groups2 = { .groups = 2 }, groups3_pad1 = { .groups = 3, .pad = 1 },
                                groups5 = { .groups = 5, .pad = 1 }, depth3 = { .groups = 3, .pad = 1 },
                                depth12 = { .groups = 12, .pad = 1, .stride = 2 }, depth16 = { .groups = 16, .pad = 1 },
                                depth17         = { .groups = 17, .pad = 1 },
                                depth17_dilated = { .groups = 17, .pad = 2, .dilation = 2 },
                                everything      = { .groups = 2, .pad = 2, .dilation = 2, .stride = 2 };

static conv random_conv(uint64_t seed)
{
    conv                t     = { .d = { .stride   = (int)PICK(seed, 0, 0, 1, 2, 3),
                                         .pad      = (int)PICK(seed, 1, 0, 1, 2),
                                         .dilation = (int)PICK(seed, 9, 0, 0, 1, 2, 3),
                                         .groups   = (int)PICK(seed, 10, 0, 0, 1, 2, 3, 5, 16, 17) } };
    plm_conv2d_op_desc *d     = &t.d;
    const bool          alone = d->groups > 3; /* few channels in each of many groups */
    const int64_t       n = PICK(seed, 2, 1, 2, 3), groups = d->groups ? d->groups : 1;
    const int64_t       c = alone ? PICK(seed, 3, 1, 1, 2) : PICK(seed, 3, 1, 2, 3, 8, 12, 17);
    const int64_t       k = alone ? PICK(seed, 4, 1, 1, 2) : PICK(seed, 4, 1, 3, 5, 12, 16, 17);
    const int64_t       h = PICK(seed, 5, 1, 2, 3, 5, 7, 8), w = PICK(seed, 6, 1, 2, 4, 6, 9),
                  step  = d->stride ? d->stride : 1;
    const int64_t apart = d->dilation ? d->dilation : 1, tall = h + 2 * d->pad - 1, wide = w + 2 * d->pad - 1;
    int64_t       r = PICK(seed, 7, 1, 2, 3, 4) - 1, s = PICK(seed, 8, 1, 2, 3, 5) - 1; /* steps between taps */
    if (r * apart > tall) r = tall / apart;
    if (s * apart > wide) s = wide / apart;
    t.x = S(n, c * groups, h, w);
    t.w = S(k * groups, c, r + 1, s + 1);
    t.y = S(n, k * groups, (tall - r * apart) / step + 1, (wide - s * apart) / step + 1);
    return t;
}

static void test_random_shapes(void **state)
{
    for (uint64_t seed = 0; seed < 120; seed++) {
        const conv t = random_conv(seed);
        formula    f = CONV_BIAS("random", &t.d, t.x, t.w, t.w.dim[0], t.y);
        f.op.n       = seed % 3 ? 3 : 2;
        check_random(*state, &f, seed);
    }
}

/* Weights in their home layout: the gradient has it too, and reads back in row-major order. */
static void test_home_layouts(void **state)
{
    trial  *t       = *state;
    formula cases[] = { CONV_BIAS("first layer", &pad1, S(2, 3, 6, 5), S(16, 3, 3, 3), 16, S(2, 16, 6, 5)),
                        CONV_BIAS("16 to 32", &pad1, S(2, 16, 4, 4), S(32, 16, 3, 3), 32, S(2, 32, 4, 4)),
                        CONV_BIAS("17 to 12", &stride2, S(2, 17, 5, 5), S(12, 17, 1, 1), 12, S(2, 12, 3, 3)),
                        CONV_BIAS("1 to 1", NULL, S(1, 1, 4, 4), S(1, 1, 3, 3), 1, S(1, 1, 2, 2)),
                        CONV_BIAS("dilated", &dilated, S(2, 16, 6, 6), S(32, 16, 3, 3), 32, S(2, 32, 2, 2)),
                        CONV_BIAS("depthwise", &depth16, S(2, 16, 4, 4), S(16, 1, 3, 3), 16, S(2, 16, 4, 4)) };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        const plm_conv2d_op_desc *given = cases[i].op.user;
        plm_conv2d_op_desc        d     = given ? *given : (plm_conv2d_op_desc){ 0 };
        if (d.stride == 0) d.stride = 1;
        if (d.dilation == 0) d.dilation = 1;
        if (d.groups == 0) d.groups = 1;
        for (int first = 0; first < 2; first++) {
            plm__layout home;
            trial_prepare(t, &cases[i], (uint64_t)i);
            assert_true(
                plm__conv2d_home(t->ctx, plm__shape_sample(cases[i].op.in[0]), cases[i].op.in[1], &d, first, &home));
            assert_true(plm__param_set_home(t->p[1], &home));
            for (int x = 0; x < ROLES; x++)
                for (int b = 0; b < ROLES; b++) {
                    check_roles(t, (const role[]){ (role)x, TRAINED, (role)b });
                    check_roles(t, (const role[]){ (role)x, FROZEN, (role)b });
                }
        }
    }
}

/* Values, not gradients, in evaluation and without recording: the same numbers. */
static void test_modes(void **state)
{
    trial  *t = *state;
    formula f = CONV_BIAS("modes", &stride2_pad1, S(2, 17, 5, 4), S(12, 17, 3, 3), 12, S(2, 12, 3, 2));
    trial_prepare(t, &f, 5);
    for (int mode = 0; mode < 4; mode++) {
        plm_tape     *tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .eval = mode & 1, .no_grad = mode & 2 });
        const plm_val in[] = { operand(t, tape, 0, WANTED), operand(t, tape, 1, TRAINED),
                               operand(t, tape, 2, TRAINED) };
        assert_true(plm_val_read(apply(tape, in, 3, t), t->y, plm_shape_count(f.op.out)));
        assert_all_close(t->y, t->want_y, plm_shape_count(f.op.out), 5e-6);
        plm_tape_free(tape);
    }
}

/* A frozen weight has no gradient to read. */
static void test_frozen(void **state)
{
    trial  *t = *state;
    formula f = CONV_BIAS("frozen", NULL, S(1, 3, 4, 4), S(2, 3, 3, 3), 2, S(1, 2, 2, 2));
    trial_prepare(t, &f, 6);
    check_roles(t, (const role[]){ LENT, FROZEN, TRAINED });
    assert_false(plm_param_read_grad(t->p[1], t->got, plm_shape_count(f.op.in[1])));
    assert_error(t->ctx, PLM_ERR_STATE, "has no gradient");
}

/* A grouped weight that is the (blocked) result of another convolution. */
static plm_val apply_computed_weight(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    const plm_val w = plm_conv2d(in[1], in[2], plm_none, NULL);
    return plm_conv2d(in[0], w, plm_none, D(.groups = 2, .pad = 1));
}

static void naive_computed_weight(const op_case *c, const double *const *x, double *y)
{
    const plm_shape made = S(4, 16, 3, 3);
    double         *w    = calloc((size_t)plm_shape_count(made), sizeof *w);
    naive_conv2d(c->in[1], c->in[2], made, NULL, &(bilinear){ .x = x[1], .w = x[2], .y = w });
    memset(y, 0, (size_t)plm_shape_count(c->out) * sizeof *y);
    naive_conv2d(c->in[0], made, c->out, D(.groups = 2, .pad = 1), &(bilinear){ .x = x[0], .w = w, .y = y });
    free(w);
}

/* ------------------------------------------------------------------ failing allocations */

static const float some[512] = { 1, -2, 3, 0.5f, 1, 2 };

/* Grouped and dilated, the weight a parameter and then a value. */
static bool grouped_step(plm_tape *tape, plm_param *p)
{
    const plm_val x =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(2, 4, 4, 4), some), &(plm_input_desc){ .grad = true });
    const plm_val w = plm_tape_param(tape, p);
    const plm_val h = plm_conv2d(x, w, plm_none, D(.groups = 2, .pad = 2, .dilation = 2));
    const plm_val y = plm_conv2d(h, plm_scale(w, 0.5), plm_none, D(.groups = 2, .pad = 1));
    return plm_backward(plm_sum(plm_square(y), NULL));
}

static void test_kth_allocation_fails(void **state)
{
    (void)state;
    int64_t k = 0, failures = 0;
    for (bool reached = true; reached; k++) {
        test_allocator counting = { .fail_at = k };
        plm_ctx       *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&counting) });
        if (ctx) {
            plm_param *p    = plm_param_new(ctx, S(4, 2, 3, 3), &(plm_param_desc){ .name = "w" });
            plm_tape  *tape = plm_tape_new(ctx, NULL);
            if (!plm_param_write(p, some, 72) || !grouped_step(tape, p)) {
                failures++;
                assert_error(ctx, PLM_ERR_MEMORY, "out of memory");
            }
            reached          = counting.calls > k;
            counting.fail_at = -1;
            if (!p) p = plm_param_new(ctx, S(4, 2, 3, 3), &(plm_param_desc){ .name = "w" });
            if (!tape) tape = plm_tape_new(ctx, NULL);
            plm_tape_reset(tape);
            const bool again = plm_param_write(p, some, 72) && grouped_step(tape, p);
            assert_ok(ctx);
            assert_true(again);
            plm_tape_free(tape);
            plm_param_free(p);
            plm_ctx_free(ctx);
        }
        assert_int_equal(counting.outstanding, 0);
    }
    assert_true(k > 20 && failures > 10);
}

static void test_errors(void **state)
{
    static const float              x[512]    = { 0 };
    static const plm_conv2d_op_desc backwards = { .stride = -1 }, inwards = { .pad = -1 };
    const struct {
        plm_shape                 x, w, b;
        const plm_conv2d_op_desc *desc;
        plm_status                status;
        const char               *sentence;
    } bad[] = {
        { S(2, 3), S(4, 3, 1, 1), S(4), NULL, PLM_ERR_SHAPE,
          "conv2d: x is [2,3] and w [4,3,1,1], expected [n,c,h,w] and [k,c,r,s]" },
        { S(2, 3, 4, 4), S(4, 3), S(4), NULL, PLM_ERR_SHAPE,
          "conv2d: x is [2,3,4,4] and w [4,3], expected [n,c,h,w] and [k,c,r,s]" },
        { S(2, 3, 4, 4), S(4, 5, 3, 3), S(4), NULL, PLM_ERR_SHAPE,
          "conv2d: input has 3 channels, weight expects 5 (x [2,3,4,4], w [4,5,3,3])" },
        { S(2, 3, 4, 4), S(4, 3, 3, 3), S(3), NULL, PLM_ERR_SHAPE, "conv2d: bias is [3], expected [4] (w [4,3,3,3])" },
        { S(2, 3, 4, 4), S(4, 3, 3, 3), S(1, 4), NULL, PLM_ERR_SHAPE,
          "conv2d: bias is [1,4], expected [4] (w [4,3,3,3])" },
        { S(2, 3, 2, 9), S(4, 3, 5, 3), S(4), &pad1, PLM_ERR_SHAPE,
          "conv2d: a 5x3 window is larger than x [2,3,2,9] padded by 1" },
        { S(2, 3, 9, 2), S(4, 3, 3, 5), S(4), &pad1, PLM_ERR_SHAPE,
          "conv2d: a 3x5 window is larger than x [2,3,9,2] padded by 1" },
        { S(2, 3, 4, 4), S(4, 3, 3, 3), S(4), &backwards, PLM_ERR_ARGUMENT,
          "conv2d: stride -1, pad 0, dilation 1, groups 1: all are positive, pad may be 0" },
        { S(2, 3, 4, 4), S(4, 3, 3, 3), S(4), &inwards, PLM_ERR_ARGUMENT,
          "conv2d: stride 1, pad -1, dilation 1, groups 1: all are positive, pad may be 0" },
        { S(2, 3, 4, 4), S(4, 3, 3, 3), S(4), D(.dilation = -2), PLM_ERR_ARGUMENT,
          "conv2d: stride 1, pad 0, dilation -2, groups 1: all are positive, pad may be 0" },
        { S(2, 3, 4, 4), S(4, 3, 3, 3), S(4), D(.groups = -3), PLM_ERR_ARGUMENT,
          "conv2d: stride 1, pad 0, dilation 1, groups -3: all are positive, pad may be 0" },
        { S(2, 3, 4, 4), S(4, 3, 3, 3), S(4), D(.dilation = 20000), PLM_ERR_ARGUMENT,
          "conv2d: w [4,3,3,3], stride 1, pad 0, dilation 20000: stride, pad and what a window covers are at most "
          "32768" },
        { S(2, 3, 4, 4), S(4, 3, 1, 1), S(4), D(.dilation = INT_MAX), PLM_ERR_ARGUMENT, "dilation 2147483647: " },
        { S(2, 3, 5, 9), S(4, 3, 3, 3), S(4), D(.dilation = 4, .pad = 1), PLM_ERR_SHAPE,
          "conv2d: a 9x9 window is larger than x [2,3,5,9] padded by 1" },
        { S(2, 3, 4, 4), S(4, 1, 3, 3), S(4), D(.groups = 2), PLM_ERR_SHAPE,
          "conv2d: 3 input and 4 output channels do not divide into 2 groups (x [2,3,4,4], w [4,1,3,3])" },
        { S(2, 3, 4, 4), S(4, 1, 3, 3), S(4), D(.groups = 3), PLM_ERR_SHAPE,
          "conv2d: 3 input and 4 output channels do not divide into 3 groups" },
        { S(2, 6, 2, 2), S(4, 6, 1, 1), S(4), D(.groups = 2), PLM_ERR_SHAPE,
          "conv2d: input has 3 channels in each of 2 groups, weight expects 6 (x [2,6,2,2], w [4,6,1,1])" },
    };
    plm_ctx  *ctx  = *state;
    plm_tape *tape = plm_tape_new(ctx, NULL);
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        const plm_val y = plm_conv2d(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].x, x)),
                                     plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].w, x)),
                                     plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].b, x)), bad[i].desc);
        assert_false(plm_val_ok(y));
        assert_error(ctx, bad[i].status, bad[i].sentence);
    }
    const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(1, 1, 2, 2), x));
    plm_conv2d(v, plm_none, plm_none, NULL);
    assert_error(ctx, PLM_ERR_ARGUMENT, "conv2d: operand 1 is empty");
    plm_conv2d(plm_none, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(1, 1, 2, 2), x)), plm_none, NULL);
    assert_error(ctx, PLM_ERR_ARGUMENT, "conv2d: operand 0 is empty");
}

int main(void)
{
    formula cases[] = {
        CONV("n = 1, one pixel", NULL, S(1, 1, 1, 1), S(1, 1, 1, 1), S(1, 1, 1, 1)),
        CONV_BIAS("n = 1, 3 to 4 channels", NULL, S(1, 3, 4, 5), S(4, 3, 3, 2), 4, S(1, 4, 2, 4)),
        CONV_BIAS("odd and not square", &pad1, S(2, 1, 5, 3), S(3, 1, 3, 3), 3, S(2, 3, 5, 3)),
        CONV("3 to 12 channels, no bias", &pad1, S(2, 3, 5, 4), S(12, 3, 3, 3), S(2, 12, 5, 4)),
        CONV_BIAS("12 to 17 channels", &pad1, S(2, 12, 4, 3), S(17, 12, 3, 3), 17, S(2, 17, 4, 3)),
        CONV_BIAS("17 to 12 channels", &pad1, S(2, 17, 3, 5), S(12, 17, 3, 3), 12, S(2, 12, 3, 5)),
        CONV("17 to 1 channels", NULL, S(1, 17, 5, 5), S(1, 17, 3, 3), S(1, 1, 3, 3)),
        CONV_BIAS("1 to 17 channels", NULL, S(3, 1, 5, 5), S(17, 1, 3, 3), 17, S(3, 17, 3, 3)),
        CONV_BIAS("16 to 16 channels", &pad1, S(2, 16, 4, 4), S(16, 16, 3, 3), 16, S(2, 16, 4, 4)),
        CONV_BIAS("stride 2, last column unread", &stride2, S(2, 3, 6, 6), S(4, 3, 3, 3), 4, S(2, 4, 2, 2)),
        CONV_BIAS("stride 2, pad 1", &stride2_pad1, S(2, 12, 5, 6), S(17, 12, 3, 3), 17, S(2, 17, 3, 3)),
        CONV_BIAS("stride 3, pad 2", &stride3_pad2, S(1, 3, 7, 5), S(2, 3, 3, 3), 2, S(1, 2, 3, 3)),
        CONV("1x1 window", NULL, S(2, 3, 3, 4), S(5, 3, 1, 1), S(2, 5, 3, 4)),
        CONV_BIAS("1x1 window, stride 2, 17 channels", &stride2, S(2, 17, 5, 4), S(12, 17, 1, 1), 12, S(2, 12, 3, 2)),
        CONV_BIAS("1x1 window, pad 1", &pad1, S(1, 2, 2, 2), S(3, 2, 1, 1), 3, S(1, 3, 4, 4)),
        CONV_BIAS("window is the whole input", NULL, S(2, 3, 4, 5), S(4, 3, 4, 5), 4, S(2, 4, 1, 1)),
        CONV_BIAS("window is the whole padded input", &pad2, S(2, 3, 1, 2), S(4, 3, 5, 6), 4, S(2, 4, 1, 1)),
        CONV_BIAS("5x5 window over one pixel", &pad2, S(2, 12, 1, 1), S(3, 12, 5, 5), 3, S(2, 3, 1, 1)),
        CONV_BIAS("dilated by 2", &dilated, S(2, 3, 6, 7), S(5, 3, 3, 3), 5, S(2, 5, 2, 3)),
        CONV_BIAS("dilated by 3, pad 3, stride 2", &dilated_pad, S(1, 12, 5, 6), S(17, 12, 3, 2), 17, S(1, 17, 3, 5)),
        CONV("dilated 1x1", &dilated, S(2, 3, 3, 2), S(4, 3, 1, 1), S(2, 4, 3, 2)),
        CONV_BIAS("2 groups of 1 channel", &groups2, S(1, 2, 3, 4), S(4, 1, 2, 2), 4, S(1, 4, 2, 3)),
        CONV_BIAS("3 groups of 4 to 1", &groups3_pad1, S(2, 12, 3, 3), S(3, 4, 3, 3), 3, S(2, 3, 3, 3)),
        CONV("2 groups of 16 to 16", &groups2, S(1, 32, 4, 3), S(32, 16, 3, 3), S(1, 32, 2, 1)),
        CONV_BIAS("2 groups, 1x1 window", &groups2, S(2, 6, 2, 3), S(4, 3, 1, 1), 4, S(2, 4, 2, 3)),
        CONV_BIAS("5 groups of 2 to 3", &groups5, S(1, 10, 3, 4), S(15, 2, 3, 3), 15, S(1, 15, 3, 4)),
        CONV_BIAS("depthwise, 3 channels", &depth3, S(2, 3, 4, 5), S(3, 1, 3, 3), 3, S(2, 3, 4, 5)),
        CONV_BIAS("depthwise, 3 to 6 channels", &depth3, S(2, 3, 4, 3), S(6, 1, 3, 3), 6, S(2, 6, 4, 3)),
        CONV("depthwise, 12 channels, stride 2", &depth12, S(2, 12, 5, 4), S(12, 1, 3, 3), S(2, 12, 3, 2)),
        CONV_BIAS("depthwise, 16 channels", &depth16, S(2, 16, 4, 3), S(16, 1, 3, 3), 16, S(2, 16, 4, 3)),
        CONV_BIAS("depthwise, 17 channels", &depth17, S(1, 17, 3, 5), S(17, 1, 3, 3), 17, S(1, 17, 3, 5)),
        CONV("depthwise, 17 channels, dilated", &depth17_dilated, S(1, 17, 5, 4), S(17, 1, 3, 3), S(1, 17, 5, 4)),
        CONV_BIAS("groups, dilation, stride and pad", &everything, S(2, 6, 5, 6), S(4, 3, 3, 2), 4, S(2, 4, 3, 4)),
        { .op    = { .name  = "two consumers",
                     .f     = apply_consumed_twice,
                     .user  = &pad1,
                     .naive = naive_consumed_twice,
                     .n     = 3,
                     .in    = { S(1, 3, 3, 3), S(12, 3, 2, 2), S(12) },
                     .out   = S(1, 12, 4, 4),
                     .lo    = -0.5,
                     .hi    = 0.5 },
          .least = 1 },
        { .op  = { .name  = "a grouped weight that is computed",
                   .f     = apply_computed_weight,
                   .naive = naive_computed_weight,
                   .n     = 3,
                   .in    = { S(1, 32, 2, 2), S(4, 2, 3, 3), S(16, 2, 1, 1) },
                   .out   = S(1, 4, 2, 2),
                   .lo    = -0.5,
                   .hi    = 0.5 },
          .few = 40 },
        { .op = { .name  = "the same weight twice",
                  .f     = apply_weight_twice,
                  .user  = &pad1,
                  .naive = naive_weight_twice,
                  .n     = 3,
                  .in    = { S(2, 3, 4, 3), S(3, 3, 3, 3), S(3) },
                  .out   = S(2, 3, 4, 3),
                  .lo    = -0.5,
                  .hi    = 0.5 } },
        { .op = { .name  = "the same input twice",
                  .f     = apply_input_twice,
                  .user  = &stride2_pad1,
                  .naive = naive_input_twice,
                  .n     = 3,
                  .in    = { S(1, 12, 4, 3), S(5, 12, 3, 1), S(5) },
                  .out   = S(1, 5, 2, 3),
                  .lo    = -0.5,
                  .hi    = 0.5 } },
    };
    const struct CMUnitTest others[] = { trial_test(test_random_shapes), trial_test(test_home_layouts),
                                         trial_test(test_modes),         trial_test(test_frozen),
                                         ctx_test(test_errors),          cmocka_unit_test(test_kth_allocation_fails) };
    return run_formulas(cases, others);
}

/* test_batch_norm.c: normalisation in training and evaluation, running statistics, and a ReLU in the same kernel. */
#include "roles.h"

#include "ops/ops.h"

typedef struct {
    plm_batch_norm_op_desc desc;
    bool                   running, eval, relu;
} norm_user;

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape;
    const trial     *t     = user;
    const norm_user *u     = desc_of(user);
    const plm_val    scale = n > 1 ? in[1] : plm_none, shift = n > 1 ? in[2] : plm_none;
    plm_param       *mean = u->running ? t->mean : NULL, *variance = u->running ? t->variance : NULL;
    return u->relu ? plm__batch_norm_relu(in[0], scale, shift, mean, variance, &u->desc, 1)
                   : plm_batch_norm(in[0], scale, shift, mean, variance, &u->desc);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const norm_user *u = c->user;
    double           mean[64], variance[64];
    assert_true(c->in[0].dim[1] <= 64);
    naive_moments(c->in[0], x[0], mean, variance);
    for (int64_t k = 0; k < c->in[0].dim[1] && u->eval; k++) {
        mean[k]     = running_mean(k);
        variance[k] = running_variance(k);
    }
    naive_normalise(c->in[0], x[0], mean, variance, u->desc.eps > 0 ? u->desc.eps : 1e-5, c->n > 1 ? x[1] : NULL,
                    c->n > 1 ? x[2] : NULL, y);
    for (int64_t o = 0; o < plm_shape_count(c->out) && u->relu; o++) y[o] = y[o] > 0 ? y[o] : 0;
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

/* One scale and one shift in two normalisations, one after the other. */
static plm_val apply_weights_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    return apply(tape, (const plm_val[]){ plm_square(apply(tape, in, n, user)), in[1], in[2] }, n, user);
}

static void naive_weights_twice(const op_case *c, const double *const *x, double *y)
{
    double *h = malloc((size_t)plm_shape_count(c->out) * sizeof *h);
    naive(c, x, h);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) h[o] *= h[o];
    naive(c, (const double *const[]){ h, x[1], x[2] }, y);
    free(h);
}

/* Scale and shift are one value, and one parameter. */
static plm_val apply_scale_is_shift(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_batch_norm(in[0], in[1], in[1], NULL, NULL, NULL);
}

static void naive_scale_is_shift(const op_case *c, const double *const *x, double *y)
{
    double mean[64], variance[64];
    naive_moments(c->in[0], x[0], mean, variance);
    naive_normalise(c->in[0], x[0], mean, variance, 1e-5, x[1], x[1], y);
}

static const norm_user training = { .running = true }, alone = { .running = false }, eps1 = { .desc = { .eps = 1 } },
                       train_relu = { .relu = true, .running = true }, evaluation = { .running = true, .eval = true },
                       evaluation_relu = { .running = true, .eval = true, .relu = true };

#define S plm_shape_of
#define NORM_OF(label, function, loops, u, x)                                                                        \
    {                                                                                                                \
        .op = { .name = label, .f = function, .user = u, .naive = loops, .n = 1, .in = { x }, .out = x }, .least = 1 \
    }
#define AFFINE_OF(label, function, loops, u, x, c)                                                                      \
    {                                                                                                                   \
        .op   = { .name = label, .f = function, .user = u, .naive = loops, .n = 3, .in = { x, S(c), S(c) }, .out = x }, \
        .eval = (u)->eval, .least = 1                                                                                   \
    }
#define NORM(label, u, x) NORM_OF(label, apply, naive, u, x)
#define AFFINE(label, u, x, c) AFFINE_OF(label, apply, naive, u, x, c)

static void test_random_shapes(void **state)
{
    const norm_user *const users[] = { &training, &alone, &train_relu, &evaluation, &evaluation_relu, &eps1 };
    for (uint64_t seed = 0; seed < 48; seed++) {
        const int64_t n = PICK(seed, 0, 3, 4, 7), c = PICK(seed, 1, 1, 2, 3, 8, 12, 16, 17),
                      h = PICK(seed, 2, 1, 2, 3, 5), w = PICK(seed, 3, 1, 2, 4);
        const norm_user *u = users[seed % 6];
        formula          f = AFFINE("random", u, seed % 4 ? S(n, c, h, w) : S(n, c), c);
        if (seed % 5 == 0) f.op.n = 1;
        check_random(*state, &f, seed);
    }
}

/* running = (1 - momentum) running + momentum batch, the batch's variance times n/(n-1); recording or not. */
static void check_running(trial *t, const formula *f, double momentum, bool no_grad)
{
    const int64_t channels = f->op.in[0].dim[1], n = plm_shape_count(f->op.in[0]);
    const double  each = (double)(n / channels);
    double        mean[64], variance[64], batch_mean[64], batch_variance[64];
    float         got[64];
    trial_prepare(t, f, 1);
    for (int64_t c = 0; c < channels; c++) {
        mean[c]     = running_mean(c);
        variance[c] = running_variance(c);
    }
    for (uint64_t batch = 0; batch < 4; batch++) {
        fill_operand(t, 0, n, 100 + batch);
        plm_tape     *tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .no_grad = no_grad });
        const plm_val in[] = { operand(t, tape, 0, WANTED), operand(t, tape, 1, TRAINED), operand(t, tape, 2, FROZEN) };
        const plm_val y    = apply(tape, in, f->op.n, t);
        assert_ok(t->ctx);
        if (!no_grad) assert_true(plm_backward(plm_sum(plm_square(y), NULL))); /* moves nothing */
        plm_tape_free(tape);
        naive_moments(f->op.in[0], t->xd[0], batch_mean, batch_variance);
        for (int64_t c = 0; c < channels; c++) {
            mean[c]     = (1 - momentum) * mean[c] + momentum * batch_mean[c];
            variance[c] = (1 - momentum) * variance[c] + momentum * batch_variance[c] * each / (each - 1);
        }
        assert_true(plm_param_read(t->mean, got, channels));
        assert_all_close(got, mean, channels, 2e-6);
        assert_true(plm_param_read(t->variance, got, channels));
        assert_all_close(got, variance, channels, 2e-6);
    }
}

static void test_running_statistics(void **state)
{
    static const norm_user half = { .desc = { .momentum = 0.5 }, .running = true },
                           all  = { .desc = { .momentum = 1 }, .running = true };
    const formula cases[]       = {
              AFFINE("[n,c]", &training, S(3, 17), 17),        AFFINE("[n,c,h,w]", &training, S(2, 12, 3, 5), 12),
              AFFINE("momentum 0.5", &half, S(2, 3, 2, 2), 3), AFFINE("momentum 1", &all, S(2, 1), 1),
              AFFINE("one sample", &half, S(1, 17, 1, 2), 17), AFFINE("relu", &train_relu, S(4, 16, 2, 2), 16)
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        const double momentum = ((const norm_user *)cases[i].op.user)->desc.momentum;
        check_running(*state, &cases[i], momentum > 0 ? momentum : 0.1, false);
        check_running(*state, &cases[i], momentum > 0 ? momentum : 0.1, true);
    }
}

/* What training left is what evaluation takes, and leaves. */
static void test_evaluation_after_training(void **state)
{
    trial        *t = *state;
    const formula f = AFFINE("train", &training, S(4, 12, 3, 2), 12);
    const int64_t n = plm_shape_count(f.op.in[0]);
    float         kept[2][12], after[2][12];
    double        mean[12], variance[12];
    trial_prepare(t, &f, 2);
    check_roles(t, (const role[]){ WANTED, TRAINED, TRAINED });
    assert_true(plm_param_read(t->mean, kept[0], 12) && plm_param_read(t->variance, kept[1], 12));
    for (int c = 0; c < 12; c++) {
        mean[c]     = (double)kept[0][c];
        variance[c] = (double)kept[1][c];
    }
    naive_normalise(f.op.in[0], t->xd[0], mean, variance, 1e-5, t->xd[1], t->xd[2], t->want_y);
    for (int no_grad = 0; no_grad < 2; no_grad++) {
        plm_tape     *tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .eval = true, .no_grad = no_grad });
        const plm_val in[] = { operand(t, tape, 0, LENT), operand(t, tape, 1, TRAINED), operand(t, tape, 2, TRAINED) };
        assert_true(plm_val_read(apply(tape, in, 3, t), t->y, n));
        assert_all_close(t->y, t->want_y, n, 5e-6);
        plm_tape_free(tape);
    }
    assert_true(plm_param_read(t->mean, after[0], 12) && plm_param_read(t->variance, after[1], 12));
    assert_memory_equal(kept, after, sizeof kept);
}

/* One kernel or two: values, gradients and running statistics. */
static void check_fused(trial *t, const norm_user *user)
{
    const formula f = AFFINE("fused", user, S(3, 17, 3, 2), 17);
    const int64_t n = plm_shape_count(f.op.in[0]);
    float         grad[2][306 + 2 * 17], y[2][306], moments[2][2 * 17];
    double        want[306 + 2 * 17];
    for (int fused = 0; fused < 2; fused++) {
        trial_prepare(t, &f, 8);
        plm_tape     *tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .eval = user->eval });
        const plm_val in[] = { operand(t, tape, 0, WANTED), operand(t, tape, 1, TRAINED),
                               operand(t, tape, 2, TRAINED) };
        const plm_val v    = fused ? plm__batch_norm_relu(in[0], in[1], in[2], t->mean, t->variance, NULL, 1)
                                   : plm_relu(plm_batch_norm(in[0], in[1], in[2], t->mean, t->variance, NULL), NULL);
        assert_true(plm_val_read(v, y[fused], n));
        assert_true(plm_backward(plm_sum(plm_square(v), NULL)));
        assert_true(plm_val_grad(in[0], grad[fused], n));
        assert_true(plm_param_read_grad(t->p[1], grad[fused] + n, 17) &&
                    plm_param_read_grad(t->p[2], grad[fused] + n + 17, 17));
        assert_true(plm_param_read(t->mean, moments[fused], 17) &&
                    plm_param_read(t->variance, moments[fused] + 17, 17));
        plm_tape_free(tape);
    }
    int zeros = 0;
    for (int i = 0; i < n; i++) zeros += y[0][i] == 0;
    assert_in_range(zeros, 30, 280);
    for (int i = 0; i < n; i++) want[i] = (double)y[0][i];
    assert_all_close(y[1], want, n, 1e-6);
    for (int i = 0; i < n + 34; i++) want[i] = (double)grad[0][i];
    assert_all_close(grad[1], want, n + 34, 2e-6);
    for (int i = 0; i < 34; i++) want[i] = (double)moments[0][i];
    assert_all_close(moments[1], want, 34, 1e-6);
}

static void test_fused_is_unfused(void **state)
{
    check_fused(*state, &train_relu);
    check_fused(*state, &evaluation_relu);
}

/* A constant channel: no variance, eps alone keeps it finite. */
static void test_constant_channel(void **state)
{
    plm_ctx      *ctx    = *state;
    const float   x[]    = { 3, 1, 3, 2, 3, 6 }; /* [3,2] */
    const double  want[] = { 0, -2 / sqrt(14 / 3. + 1e-5), 0, -1 / sqrt(14 / 3. + 1e-5), 0, 3 / sqrt(14 / 3. + 1e-5) };
    float         y[6];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_batch_norm(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(3, 2), x)), plm_none, plm_none,
                                        NULL, NULL, NULL);
    assert_true(plm_val_read(v, y, 6));
    assert_all_close(y, want, 6, 1e-6);
}

/* In evaluation one value per channel is as good as many. */
static void test_one_value_in_evaluation(void **state)
{
    const formula flat  = AFFINE("[1,c]", &evaluation, S(1, 17), 17),
                  image = AFFINE("[1,c,1,1]", &evaluation, S(1, 3, 1, 1), 3);
    check_random(*state, &flat, 1);
    check_random(*state, &image, 2);
}

static const float zeros[64] = { 0 };

static plm_val input_of(plm_tape *tape, plm_shape s)
{
    return plm_tape_input(tape, plm_tensor_wrap(PLM_F32, s, zeros));
}

static void test_operand_errors(void **state)
{
    const struct {
        plm_shape   x, scale, shift;
        const char *sentence;
    } bad[] = {
        { S(4), S(4), S(4), "batch_norm: x is [4], expected [n,c] or [n,c,h,w]" },
        { S(2, 3, 4), S(3), S(3), "batch_norm: x is [2,3,4], expected [n,c] or [n,c,h,w]" },
        { S(2, 3), S(2), S(3), "batch_norm: scale is [2], expected [3] (x [2,3])" },
        { S(2, 3), S(3), S(1, 3), "batch_norm: shift is [1,3], expected [3] (x [2,3])" },
        { S(1, 3), S(3), S(3), "batch_norm: one value per channel (x [1,3]) has no variance to train with" },
        { S(1, 3, 1, 1), S(3), S(3), "batch_norm: one value per channel (x [1,3,1,1]) has no variance to train with" },
    };
    plm_ctx  *ctx  = *state;
    plm_tape *tape = plm_tape_new(ctx, NULL);
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        assert_false(plm_val_ok(plm_batch_norm(input_of(tape, bad[i].x), input_of(tape, bad[i].scale),
                                               input_of(tape, bad[i].shift), NULL, NULL, NULL)));
        assert_error(ctx, PLM_ERR_SHAPE, bad[i].sentence);
    }
    plm_batch_norm(input_of(tape, S(2, 3)), input_of(tape, S(3)), plm_none, NULL, NULL, NULL);
    assert_error(ctx, PLM_ERR_ARGUMENT, "batch_norm: operand 2 is empty");
    plm_batch_norm(input_of(tape, S(2, 3)), plm_none, input_of(tape, S(3)), NULL, NULL, NULL);
    assert_error(ctx, PLM_ERR_ARGUMENT, "batch_norm: operand 1 is empty");
}

static void test_desc_errors(void **state)
{
    const struct {
        plm_batch_norm_op_desc desc;
        const char            *sentence;
    } bad[] = {
        { { .eps = -1 }, "batch_norm: eps -1, momentum 0.1: eps is positive, momentum in (0, 1]" },
        { { .eps = 1e-60 }, "batch_norm: eps 1e-60, momentum 0.1: eps is positive, momentum in (0, 1]" },
        { { .eps = NAN }, "eps nan, momentum 0.1: eps is positive, momentum in (0, 1]" },
        { { .momentum = -0.5 }, "batch_norm: eps 1e-05, momentum -0.5: eps is positive, momentum in (0, 1]" },
        { { .momentum = 1.5 }, "batch_norm: eps 1e-05, momentum 1.5: eps is positive, momentum in (0, 1]" },
    };
    plm_ctx  *ctx  = *state;
    plm_tape *tape = plm_tape_new(ctx, NULL);
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        plm_batch_norm(input_of(tape, S(2, 3)), plm_none, plm_none, NULL, NULL, &bad[i].desc);
        assert_error(ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
}

static void test_statistics_errors(void **state)
{
    trial    *t    = *state;
    plm_tape *tape = plm_tape_new(t->ctx, NULL);
    t->mean        = statistic(t->ctx, "mean", 3, running_mean);
    t->variance    = statistic(t->ctx, "variance", 4, running_variance);
    plm_batch_norm(input_of(tape, S(2, 3)), plm_none, plm_none, t->mean, NULL, NULL);
    assert_error(t->ctx, PLM_ERR_ARGUMENT, "batch_norm: only one of running mean and running variance is given");
    plm_batch_norm(input_of(tape, S(2, 3)), plm_none, plm_none, NULL, t->mean, NULL);
    assert_error(t->ctx, PLM_ERR_ARGUMENT, "batch_norm: only one of running mean and running variance is given");
    plm_batch_norm(input_of(tape, S(2, 3)), plm_none, plm_none, t->variance, t->mean, NULL);
    assert_error(t->ctx, PLM_ERR_SHAPE, "batch_norm: running mean is [4], expected [3] (x [2,3])");
    plm_batch_norm(input_of(tape, S(2, 3)), plm_none, plm_none, t->mean, t->variance, NULL);
    assert_error(t->ctx, PLM_ERR_SHAPE, "batch_norm: running variance is [4], expected [3] (x [2,3])");
    tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .eval = true });
    plm_batch_norm(input_of(tape, S(2, 3)), plm_none, plm_none, NULL, NULL, NULL);
    assert_error(t->ctx, PLM_ERR_STATE, "batch_norm: evaluation needs running statistics");
}

int main(void)
{
    formula cases[] = {
        NORM("[n,c]", &training, S(4, 3)),
        NORM("[n,c], 1 channel", &alone, S(5, 1)),
        NORM("[n,c,h,w]", &alone, S(2, 3, 2, 3)),
        NORM("two values per channel", &eps1, S(2, 3)),
        NORM("n = 1", &training, S(1, 3, 3, 4)),
        NORM("relu, not affine", &train_relu, S(3, 3, 2, 3)),
        AFFINE("affine, [n,c]", &training, S(4, 3), 3),
        AFFINE("affine, [n,c], 17 channels", &training, S(5, 17), 17),
        AFFINE("affine, n = 1", &alone, S(1, 3, 4, 3), 3),
        AFFINE("affine, odd and not square", &training, S(3, 1, 5, 3), 1),
        AFFINE("affine, 12 channels", &training, S(2, 12, 3, 5), 12),
        AFFINE("affine, 16 channels", &training, S(2, 16, 3, 3), 16),
        AFFINE("affine, 17 channels", &training, S(3, 17, 3, 2), 17),
        AFFINE("affine, eps 1", &eps1, S(4, 3, 2, 2), 3),
        AFFINE("affine, relu", &train_relu, S(3, 3, 3, 2), 3),
        AFFINE("affine, relu, 17 channels", &train_relu, S(2, 17, 3, 3), 17),
        AFFINE("affine, relu, [n,c]", &train_relu, S(6, 12), 12),
        AFFINE("evaluation with gradients, [n,c]", &evaluation, S(3, 3), 3),
        AFFINE("evaluation with gradients, 17 channels", &evaluation, S(2, 17, 3, 2), 17),
        AFFINE("evaluation with gradients, n = 1", &evaluation, S(1, 12, 3, 3), 12),
        AFFINE("evaluation with gradients, relu", &evaluation_relu, S(2, 17, 2, 3), 17),
        { .op   = { .name  = "evaluation with gradients, not affine",
                    .f     = apply,
                    .user  = &evaluation,
                    .naive = naive,
                    .n     = 1,
                    .in    = { S(2, 3, 2, 2) },
                    .out   = S(2, 3, 2, 2) },
          .eval = true },
        AFFINE_OF("two consumers", apply_consumed_twice, naive_consumed_twice, &training, S(3, 3, 2, 3), 3),
        AFFINE_OF("two consumers, relu", apply_consumed_twice, naive_consumed_twice, &train_relu, S(3, 12, 2, 3), 12),
        AFFINE_OF("the same scale and shift twice", apply_weights_twice, naive_weights_twice, &alone, S(4, 3, 2, 3), 3),
        { .op = { .name  = "scale and shift one value",
                  .f     = apply_scale_is_shift,
                  .naive = naive_scale_is_shift,
                  .n     = 2,
                  .in    = { S(4, 3), S(3) },
                  .out   = S(4, 3) } },
    };
    const struct CMUnitTest others[] = { trial_test(test_random_shapes),
                                         trial_test(test_running_statistics),
                                         trial_test(test_evaluation_after_training),
                                         trial_test(test_fused_is_unfused),
                                         ctx_test(test_constant_channel),
                                         trial_test(test_one_value_in_evaluation),
                                         ctx_test(test_operand_errors),
                                         ctx_test(test_desc_errors),
                                         trial_test(test_statistics_errors) };
    return run_formulas(cases, others);
}

/* test_softmax.c: softmax and log_softmax along any axis. */
#include "check.h"

typedef struct {
    plm_val (*op)(plm_val x, int axis);
    int axis;
} attributes;

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const attributes *a = user;
    return a->op(in[0], a->axis);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const attributes *a    = c->user;
    const int         axis = a->axis < 0 ? a->axis + c->out.rank : a->axis;
    int64_t           step = 1;
    for (int i = axis + 1; i < c->out.rank; i++) step *= c->out.dim[i];
    const int64_t length = c->out.dim[axis];
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) {
        const int64_t first = i - i / step % length * step; /* of its line */
        double        sum   = 0;
        for (int64_t k = 0; k < length; k++) sum += exp(x[0][first + k * step]);
        y[i] = a->op == plm_softmax ? exp(x[0][i]) / sum : x[0][i] - log(sum);
    }
}

#define ALONG(a, label, s)                                                                                             \
    { .name  = "softmax " label,                                                                                       \
      .f     = apply,                                                                                                  \
      .user  = &(attributes){ plm_softmax, a },                                                                        \
      .naive = naive,                                                                                                  \
      .n     = 1,                                                                                                      \
      .in    = { s },                                                                                                  \
      .out   = s },                                                                                                      \
    {                                                                                                                  \
        .name = "log_softmax " label, .f = apply, .user = &(attributes){ plm_log_softmax, a }, .naive = naive, .n = 1, \
        .in = { s }, .out = s                                                                                          \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 60; trial++) {
        const plm_shape  s = random_shape(trial, 1, 5);
        const attributes a = { trial % 2 ? plm_softmax : plm_log_softmax,
                               (int)(trial / 2) % s.rank - (trial % 3 ? 0 : s.rank) };
        op_case c = { .f = apply, .user = &a, .naive = naive, .n = 1, .in = { s }, .out = s };
        check_op(*state, &c, trial, trial < 12);
    }
}

static void test_large_numbers(void **state)
{
    plm_ctx      *ctx = *state;
    const float   x[] = { 10000, 9999, -10000, -10000, 1e30f, 0 };
    const double  p[] = { 0.73105857863, 0.26894142137, 0.5, 0.5, 1, 0 };
    float         y[6], log_y[6];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3, 2), x));
    assert_true(plm_val_read(plm_softmax(v, 1), y, 6) && plm_val_read(plm_log_softmax(v, 1), log_y, 6));
    assert_all_close(y, p, 6, 1e-6);
    assert_close((double)log_y[1], -1.31326168752, 0, 1e-4);
    assert_close((double)log_y[2], -0.69314718056, 0, 1e-2); /* f32 at 10000: 1e-3 apart */
}

/* Long lines and many of them: more than one thread. */
static void test_long(void **state)
{
    plm_ctx *ctx = *state;
    enum { N = 300, C = 200 };
    float *x = malloc(N * C * sizeof *x), *y = malloc(N * C * sizeof *y);
    test_fill(x, N * C, 1, -3, 3);
    plm_tape     *tape  = plm_tape_new(ctx, NULL);
    const plm_val v     = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N, C), x));
    const bool    ok    = plm_val_read(plm_softmax(v, 0), y, N * C);
    int           wrong = 0;
    for (int j = 0; j < C; j++) {
        double sum = 0;
        for (int i = 0; i < N; i++) sum += (double)y[i * C + j];
        wrong += !(fabs(sum - 1) < 1e-5);
    }
    free(x);
    free(y);
    assert_true(ok);
    assert_int_equal(wrong, 0);
}

static void test_errors(void **state)
{
    plm_ctx    *ctx  = *state;
    const float x[6] = { 0 };
    plm_tape   *tape = plm_tape_new(ctx, NULL);
    plm_softmax(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x)), 2);
    assert_error(ctx, PLM_ERR_ARGUMENT, "softmax: there is no axis 2 in [2,3]");
    plm_log_softmax(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x)), -3);
    assert_error(ctx, PLM_ERR_ARGUMENT, "log_softmax: there is no axis -3 in [2,3]");
    plm_softmax(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, (plm_shape){ 0 }, x)), 0);
    assert_error(ctx, PLM_ERR_ARGUMENT, "softmax: there is no axis 0 in []");
}

int main(void)
{
    op_case cases[] = {
        ALONG(0, "one element", plm_shape_of(1)),      ALONG(-1, "rows of 10", plm_shape_of(3, 10)),
        ALONG(0, "columns", plm_shape_of(5, 3)),       ALONG(1, "17 channels", plm_shape_of(2, 17, 3, 2)),
        ALONG(-2, "rank 4", plm_shape_of(2, 3, 4, 5)), ALONG(1, "axis of extent 1", plm_shape_of(3, 1, 4)),
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_large_numbers),
                                         ctx_test(test_long), ctx_test(test_errors) };
    return run_cases(cases, others);
}

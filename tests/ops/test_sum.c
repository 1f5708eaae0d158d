/* test_sum.c: sums and means over axes. */
#include "check.h"

typedef struct {
    plm_val (*op)(plm_val x, const plm_reduce_desc *desc);
    int  axes[PLM_MAX_RANK], count; /* -1: a desc of NULL */
    bool keep;
} attributes;

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const attributes *a = user;
    return a->op(in[0],
                 a->count < 0 ? NULL : &(plm_reduce_desc){ .axes = a->axes, .count = a->count, .keep = a->keep });
}

static bool is_reduced(const attributes *a, int axis, int rank)
{
    for (int i = 0; i < a->count; i++)
        if ((a->axes[i] < 0 ? a->axes[i] + rank : a->axes[i]) == axis) return true;
    return a->count < 0;
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const attributes *a     = c->user;
    const plm_shape   s     = c->in[0];
    const int64_t     count = plm_shape_count(s), outputs = plm_shape_count(c->out);
    for (int64_t o = 0; o < outputs; o++) y[o] = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t place = 0, step = 1, rest = i;
        for (int axis = s.rank - 1; axis >= 0; axis--) {
            if (!is_reduced(a, axis, s.rank)) {
                place += rest % s.dim[axis] * step;
                step *= s.dim[axis];
            }
            rest /= s.dim[axis];
        }
        y[place] += a->op == plm_mean ? x[0][i] * (double)outputs / (double)count : x[0][i];
    }
}

#define OVER(label, s, y, kept, many, ...)                                                                 \
    { .name  = "sum " label,                                                                               \
      .f     = apply,                                                                                      \
      .user  = &(attributes){ plm_sum, { __VA_ARGS__ }, many, kept },                                      \
      .naive = naive,                                                                                      \
      .n     = 1,                                                                                          \
      .in    = { s },                                                                                      \
      .out   = y },                                                                                          \
    {                                                                                                      \
        .name = "mean " label, .f = apply, .user = &(attributes){ plm_mean, { __VA_ARGS__ }, many, kept }, \
        .naive = naive, .n = 1, .in = { s }, .out = y                                                      \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 80; trial++) {
        const plm__key  key = plm__random_key(5, PLM__RANDOM_CHECK, "axes", trial);
        const plm_shape s   = random_shape(trial, 0, 6);
        attributes      a   = { .op = trial % 2 ? plm_sum : plm_mean, .keep = plm__random_bits(key, 50) % 2 };
        plm_shape       y   = { 0 };
        for (int axis = s.rank - 1; axis >= 0; axis--) /* in falling order, some counted from the end */
            if (plm__random_bits(key, (uint64_t)axis) % 2) a.axes[a.count++] = axis - (axis % 2 ? s.rank : 0);
        for (int axis = 0; axis < s.rank; axis++)
            if (!is_reduced(&a, axis, s.rank)) y.dim[y.rank++] = s.dim[axis];
            else if (a.keep) y.dim[y.rank++] = 1;
        op_case c = { .f = apply, .user = &a, .naive = naive, .n = 1, .in = { s }, .out = y };
        check_op(*state, &c, trial, trial < 16 && plm_shape_count(s) < 100);
    }
}

/* Large sums: in double, the same bits for any number of threads. */
static void test_long(void **state)
{
    (void)state;
    enum { N = 300001 };
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++) x[i] = i % 2 ? 1 : 1e-4f;
    float got[3];
    bool  ok = true;
    for (int t = 0; t < 3; t++) {
        plm_ctx  *ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = t + 1 });
        plm_tape *tape = plm_tape_new(ctx, NULL);
        got[t] = plm_val_item(plm_sum(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N), x)), NULL));
        ok     = ok && plm_ctx_status(ctx) == PLM_OK;
        plm_ctx_free(ctx);
    }
    free(x);
    assert_true(ok);
    assert_close((double)got[0], 150000 + 150001e-4, 0, 1e-7);
    assert_true(got[0] == got[1] && got[0] == got[2]);
}

/* Rows and columns longer than one block, on several threads. */
static void test_wide(void **state)
{
    plm_ctx *ctx = *state;
    enum { N = 130, C = 333 };
    float *x = malloc(N * C * sizeof *x), rows[N], columns[C];
    test_fill(x, N * C, 3, -1, 2);
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N, C), x));
    const bool    ok   = plm_val_read(plm_sum(v, &(plm_reduce_desc){ .axes = (int[]){ 0 }, .count = 1 }), columns, C) &&
                    plm_val_read(plm_sum(v, &(plm_reduce_desc){ .axes = (int[]){ -1 }, .count = 1 }), rows, N);
    double want_rows[N] = { 0 }, want_columns[C] = { 0 };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < C; j++) {
            want_rows[i] += (double)x[i * C + j];
            want_columns[j] += (double)x[i * C + j];
        }
    free(x);
    assert_true(ok);
    assert_all_close(rows, want_rows, N, 1e-6);
    assert_all_close(columns, want_columns, C, 1e-6);
}

static void test_errors(void **state)
{
    plm_ctx    *ctx  = *state;
    const float x[6] = { 0 };
    plm_tape   *tape = plm_tape_new(ctx, NULL);
    const struct {
        int         axes[7], count;
        const char *sentence;
    } bad[] = { { { 2 }, 1, "sum: there is no axis 2 in [2,3]" },
                { { -3 }, 1, "sum: there is no axis -3 in [2,3]" },
                { { 1, -1 }, 2, "sum: axis 1 of [2,3] is named twice" },
                { { 0, 1, 0 }, 3, "sum: desc.count is 3, but [2,3] has 2 axes" },
                { { 0 }, -2, "sum: desc.count is -2, but [2,3] has 2 axes" },
                { { 0 }, -1, "sum: desc.count is -1, but [2,3] has 2 axes" } };
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x));
        assert_false(plm_val_ok(plm_sum(v, &(plm_reduce_desc){ .axes = bad[i].axes, .count = bad[i].count })));
        assert_error(ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
}

int main(void)
{
    op_case cases[] = {
        OVER("scalar", ((plm_shape){ 0 }), ((plm_shape){ 0 }), false, -1, 0),
        OVER("all", plm_shape_of(3, 17), ((plm_shape){ 0 }), false, -1, 0),
        OVER("rows", plm_shape_of(4, 12), plm_shape_of(4), false, 1, 1),
        OVER("columns", plm_shape_of(4, 17), plm_shape_of(17), false, 1, 0),
        OVER("all but channels", plm_shape_of(2, 3, 4, 5), plm_shape_of(3), false, 3, 0, 2, 3),
        OVER("images, kept", plm_shape_of(2, 3, 4, 5), plm_shape_of(2, 3, 1, 1), true, 2, -1, -2),
        OVER("the middle", plm_shape_of(3, 4, 5), plm_shape_of(3, 5), false, 1, 1),
        OVER("the ends", plm_shape_of(3, 4, 5), plm_shape_of(4), false, 2, 0, 2),
        OVER("extents of 1", plm_shape_of(1, 3, 1), plm_shape_of(3, 1), false, 1, 0),
        OVER("every second of six", plm_shape_of(2, 3, 2, 3, 2, 3), plm_shape_of(3, 3, 3), false, 3, 0, 2, 4),
        OVER("no axis", plm_shape_of(2, 3), plm_shape_of(2, 3), false, 0, 0),
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), cmocka_unit_test(test_long),
                                         ctx_test(test_wide), ctx_test(test_errors) };
    return run_cases(cases, others);
}

/* test_concat.c: values side by side along an axis, in row-major memory and in the layouts of convolutions. */
#include "roles.h"

#include "layouts.h"

#define S plm_shape_of

static int axis_of(const op_case *c)
{
    const int axis = *(const int *)c->user;
    return axis < 0 ? axis + c->out.rank : axis;
}

/* The square makes the gradient depend on where an element went. */
static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape;
    return plm_square(plm_concat(in, n, *(const int *)desc_of(user)));
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const int axis  = axis_of(c);
    int64_t   inner = 1;
    for (int a = axis + 1; a < c->out.rank; a++) inner *= c->out.dim[a];
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) {
        int64_t at = o / inner % c->out.dim[axis], outer = o / inner / c->out.dim[axis];
        int     i = 0;
        while (at >= c->in[i].dim[axis]) at -= c->in[i++].dim[axis];
        y[o] = pow(x[i][(outer * c->in[i].dim[axis] + at) * inner + o % inner], 2);
    }
}

static const int axes[] = { -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5 };

#define SIDE(label, along, count, y, ...) \
    {                                     \
        .op = {                           \
            .name  = label,               \
            .f     = apply,               \
            .user  = &axes[6 + (along)],  \
            .naive = naive,               \
            .n     = count,               \
            .in    = { __VA_ARGS__ },     \
            .out   = y                    \
        }                                 \
    }

static op_case images(int axis, const int64_t *extent, int n)
{
    op_case c       = { .f = apply, .user = &axes[6 + axis], .naive = naive, .n = n, .out = S(2, 16, 3, 4) };
    c.out.dim[axis] = 0;
    for (int i = 0; i < n; i++) {
        c.in[i]           = S(2, 16, 3, 4);
        c.in[i].dim[axis] = extent[i];
        c.out.dim[axis] += extent[i];
    }
    return c;
}

/* Parameters in the layouts of convolutions.  `kept` says whether blocks can stay whole: then nothing is reordered. */
static void check_layout(trial *t, int axis, const int64_t *extent, int n, int which, bool kept)
{
    const formula f     = { .op = images(axis, extent, n) };
    const role    all[] = { TRAINED, TRAINED, TRAINED };
    plm_val       in[MAX_OPERANDS];
    plm__layout   home[MAX_OPERANDS];
    trial_prepare(t, &f, (uint64_t)(which + 10 * axis));
    for (int i = 0; i < n; i++) {
        home[i] = layout_of(f.op.in[i], which);
        assert_true(plm__param_set_home(t->p[i], &home[i]));
    }
    check_roles(t, all);
    for (int i = 0; i < n; i++) assert_int_equal(nonzero_padding(&home[i], t->p[i]->grad->data), 0);

    plm_tape *tape = plm_tape_new(t->ctx, NULL);
    for (int i = 0; i < n; i++) in[i] = plm_tape_param(tape, t->p[i]);
    const plm__layout got  = plm__val_get(plm_concat(in, n, axis), "")->layout;
    const plm__layout want = kept ? layout_of(f.op.out, which) : plm__layout_plain(f.op.out);
    assert_true(plm__layout_same(&got, &want));
    assert_int_equal(tape->list.records, kept ? 1 : 1 + n);
    plm_tape_free(tape);
}

static void test_channels(void **state)
{
    static const struct {
        int64_t extent[MAX_OPERANDS];
        int     n;
        bool    kept[2]; /* in blocks of 16, of 8 */
    } cases[] = { { { 16, 32 }, 2, { true, true } },   { { 16, 16, 17 }, 3, { true, true } },
                  { { 32, 12 }, 2, { true, true } },   { { 12, 32 }, 2, { false, false } },
                  { { 8, 3 }, 2, { false, true } },    { { 16, 24, 16 }, 3, { false, true } },
                  { { 17, 17 }, 2, { false, false } }, { { 12 }, 1, { true, true } },
                  { { 1, 16 }, 2, { false, false } } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int which = 0; which < 2; which++)
            check_layout(*state, 1, cases[i].extent, cases[i].n, which, cases[i].kept[which]);
}

/* In nhwc channels are the innermost axis, and there is no block to cut. */
static void test_channels_last(void **state)
{
    check_layout(*state, 1, (const int64_t[]){ 12, 17, 3 }, 3, 2, true);
    check_layout(*state, 1, (const int64_t[]){ 5, 1 }, 2, 2, true);
}

static void test_other_axes(void **state)
{
    static const int along[] = { 0, 2, 3 };
    for (int which = 0; which < LAYOUTS; which++)
        for (int i = 0; i < 3; i++) check_layout(*state, along[i], (const int64_t[]){ 1, 5, 2 }, 3, which, true);
}

/* One operand is blocked, the other is not, or otherwise: both become row-major. */
static void test_mixed_layouts(void **state)
{
    trial        *t      = *state;
    const formula f      = { .op = images(1, (const int64_t[]){ 16, 16, 16 }, 3) };
    const int     kind[] = { 0, 1, 2, 0 };
    for (int shift = 0; shift < 2; shift++) {
        trial_prepare(t, &f, 3);
        for (int i = 0; i < 3; i++) {
            const plm__layout home = layout_of(f.op.in[i], kind[i + shift]);
            assert_true(plm__param_set_home(t->p[i], &home));
        }
        check_roles(t, (const role[]){ TRAINED, TRAINED, TRAINED });
        check_roles(t, (const role[]){ LENT, TRAINED, TRAINED });
        check_roles(t, (const role[]){ TRAINED, LENT, WANTED });
    }
}

/* Dense connections: what two convolutions made of one image, side by side, and once more.  Operands x, w, v. */

static plm_val dense(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    const plm_conv2d_op_desc d = { .pad = 1 };
    const plm_val            a = plm_conv2d(in[0], in[1], plm_none, &d), b = plm_conv2d(in[0], in[2], plm_none, &d);
    return plm_concat((const plm_val[]){ a, b, a }, 3, 1);
}

static plm_shape half_of(const op_case *c)
{
    return S(c->out.dim[0], c->in[1].dim[0], c->out.dim[2], c->out.dim[3]);
}

static void naive_dense(const op_case *c, const double *const *x, double *y)
{
    const plm_shape half  = half_of(c);
    const int64_t   count = plm_shape_count(half), each = count / half.dim[0];
    double         *part[2];
    for (int k = 0; k < 2; k++) {
        part[k] = calloc((size_t)count, sizeof(double));
        naive_conv2d(c->in[0], c->in[1 + k], half, &(plm_conv2d_op_desc){ .pad = 1 },
                     &(bilinear){ .x = x[0], .w = x[1 + k], .y = part[k] });
    }
    for (int64_t o = 0; o < 3 * count; o++) {
        const int64_t n = o / each / 3, which = o / each % 3;
        y[o] = part[which == 1][n * each + o % each];
    }
    free(part[0]);
    free(part[1]);
}

static void dense_gradient(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    const plm_shape half  = half_of(c);
    const int64_t   count = plm_shape_count(half), each = count / half.dim[0];
    for (int k = 0; k < 2; k++) {
        double *part = calloc((size_t)count, sizeof(double));
        for (int64_t o = 0; o < 3 * count; o++)
            if ((o / each % 3 == 1) == (k == 1)) part[o / each / 3 * each + o % each] += dy[o];
        naive_conv2d(c->in[0], c->in[1 + k], half, &(plm_conv2d_op_desc){ .pad = 1 },
                     &(bilinear){ .x = x[0], .w = x[1 + k], .dy = part, .dx = dx[0], .dw = dx[1 + k] });
        free(part);
    }
}

static void check_dense(trial *t, int64_t in, int64_t out, bool kept)
{
    const formula f = { .op       = { .name  = "dense",
                                      .f     = dense,
                                      .naive = naive_dense,
                                      .n     = 3,
                                      .in    = { S(2, in, 5, 4), S(out, in, 3, 3), S(out, in, 3, 3) },
                                      .out   = S(2, 3 * out, 5, 4) },
                        .gradient = dense_gradient };
    trial_prepare(t, &f, (uint64_t)out);
    check_roles(t, (const role[]){ WANTED, TRAINED, TRAINED });
    check_roles(t, (const role[]){ LENT, FROZEN, TRAINED });
    check_roles(t, (const role[]){ WANTED, LENT, FROZEN });
    if (!kept) return;
    plm_tape *tape = plm_tape_new(t->ctx, NULL);
    plm_val   v[3];
    for (int i = 0; i < 3; i++)
        v[i] =
            plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, f.op.in[i], t->x[i]), &(plm_input_desc){ .grad = true });
    const plm_val y = dense(tape, v, 3, t);
    assert_true(plm_val_ok(y));
    const plm_record *last = &tape->list.record[tape->list.records - 1];
    assert_int_equal(last->out, y.id);
    for (int i = 0; i < 3; i++) { /* straight from the convolutions, in their layout */
        const plm__layout *l = &tape->list.value[last->in[i]].layout;
        assert_false(plm__layout_is_plain(l));
        for (int k = 0; k < tape->list.records; k++)
            if (tape->list.record[k].out == last->in[i]) assert_string_equal(tape->list.record[k].op->name, "conv2d");
    }
    assert_false(plm__layout_is_plain(&plm__val_get(y, "")->layout));
    plm_tape_free(tape);
}

static void test_of_convolutions(void **state)
{
    check_dense(*state, 16, 16, true);
    check_dense(*state, 16, 32, true);
    check_dense(*state, 3, 12, false);
    check_dense(*state, 17, 17, false);
}

static void test_random_shapes(void **state)
{
    for (uint64_t i = 0; i < 60; i++) {
        const plm_shape s    = random_shape(i, 1, 6);
        const int       axis = (int)PICK(i, 1, 0, 1, 2, 3, 4, 5) % s.rank, n = (int)PICK(i, 2, 1, 2, 3);
        const int       from_end = (int)PICK(i, 3, 0, 1) ? axis - s.rank : axis;
        formula f = { .op = { .name = "random", .f = apply, .user = &from_end, .naive = naive, .n = n, .out = s } };
        f.op.out.dim[axis] = 0;
        for (int k = 0; k < n; k++) {
            f.op.in[k]           = s;
            f.op.in[k].dim[axis] = PICK(i, (uint64_t)(4 + k), 1, 2, 3, 7);
            f.op.out.dim[axis] += f.op.in[k].dim[axis];
        }
        check_random(*state, &f, i);
    }
}

/* Enough for several threads, and as many operands as there can be: bit for bit what went in. */
static void test_large(void **state)
{
    enum { N = PLM_MAX_INPUTS, ROWS = 40, EACH = 300 };
    trial  *t = *state;
    plm_val in[N];
    t->y           = calloc(N * ROWS * EACH, sizeof(float));
    t->got         = calloc(N * ROWS * EACH, sizeof(float));
    plm_tape *tape = plm_tape_new(t->ctx, NULL);
    test_fill(t->y, N * ROWS * EACH, 1, -1, 1);
    for (int i = 0; i < N; i++)
        in[i] = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(ROWS, EACH), t->y + i * ROWS * EACH));
    assert_true(plm_val_read(plm_concat(in, N, 1), t->got, N * ROWS * EACH));
    for (int64_t o = 0; o < N * ROWS * EACH; o++)
        assert_true(t->got[o] == t->y[(o / EACH % N * ROWS + o / EACH / N) * EACH + o % EACH]);
    assert_true(plm_val_read(plm_concat(in, N, 0), t->got, N * ROWS * EACH));
    assert_memory_equal(t->got, t->y, N * ROWS * EACH * sizeof(float));
}

static void test_same_value_twice(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[3] = { 1, -2, 3 };
    float         g[3];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v = plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(3), x), &(plm_input_desc){ .grad = true });
    const plm_val y = plm_concat((const plm_val[]){ v, plm_square(v), v }, 3, 0);
    assert_true(plm_backward(plm_sum(plm_square(y), NULL)) && plm_val_grad(v, g, 3)); /* 2 x^2 + x^4 */
    for (int i = 0; i < 3; i++) assert_close((double)g[i], 4 * (double)x[i] + 4 * pow((double)x[i], 3), 0, 1e-6);
}

static void test_errors(void **state)
{
    plm_ctx    *ctx   = *state;
    const float x[24] = { 0 };
    plm_tape   *tape  = plm_tape_new(ctx, NULL);
    const struct {
        plm_shape   a, b, c;
        int         n, axis;
        plm_status  status;
        const char *sentence;
    } bad[] = {
        { S(2, 3, 4), S(2, 3, 4), S(2, 3), 3, 1, PLM_ERR_SHAPE,
          "concat: operand 2 is [2,3] and operand 0 [2,3,4]: they may differ along axis 1 only" },
        { S(2, 3), S(2, 4), S(3, 3), 3, -1, PLM_ERR_SHAPE,
          "concat: operand 2 is [3,3] and operand 0 [2,3]: they may differ along axis 1 only" },
        { S(2, 3), S(2, 4), S(2, 3), 2, 0, PLM_ERR_SHAPE,
          "concat: operand 1 is [2,4] and operand 0 [2,3]: they may differ along axis 0 only" },
        { S(2, 3), S(2, 3), S(2, 3), 2, 2, PLM_ERR_ARGUMENT, "concat: there is no axis 2 in operand 0 [2,3]" },
        { S(2, 3), S(2, 3), S(2, 3), 1, -3, PLM_ERR_ARGUMENT, "concat: there is no axis -3 in operand 0 [2,3]" },
        { { 0 }, { 0 }, { 0 }, 2, 0, PLM_ERR_ARGUMENT, "concat: there is no axis 0 in operand 0 []" },
        { S(1), S(1), S(1), 9, 0, PLM_ERR_ARGUMENT, "concat: 9 inputs" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plm_val in[9];
        for (int k = 0; k < bad[i].n; k++) {
            const plm_shape s = k == 0 ? bad[i].a : k == 1 ? bad[i].b : bad[i].c;
            in[k]             = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, s, x));
        }
        assert_false(plm_val_ok(plm_concat(in, bad[i].n, bad[i].axis)));
        assert_error(ctx, bad[i].status, bad[i].sentence);
    }
    const plm_val one[] = { plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(1), x)), { tape, -1, 0 } };
    assert_false(plm_val_ok(plm_concat(one, 2, 0)));
    assert_error(ctx, PLM_ERR_ARGUMENT, "concat: operand 1 is empty");
    assert_false(plm_val_ok(plm_concat(one, 0, 0)) || plm_val_ok(plm_concat(NULL, -1, 0)));
}

int main(void)
{
    formula cases[] = {
        SIDE("one operand", 0, 1, S(3), S(3)),
        SIDE("vectors", 0, 2, S(8), S(3), S(5)),
        SIDE("rows", 0, 3, S(6, 5), S(1, 5), S(2, 5), S(3, 5)),
        SIDE("columns", -1, 2, S(3, 18), S(3, 17), S(3, 1)),
        SIDE("n = 1, 12 and 17 channels", 1, 2, S(1, 29, 1, 3), S(1, 12, 1, 3), S(1, 17, 1, 3)),
        SIDE("channels", -3, 2, S(2, 48, 2, 2), S(2, 16, 2, 2), S(2, 32, 2, 2)),
        SIDE("height", 2, 2, S(2, 3, 7, 3), S(2, 3, 5, 3), S(2, 3, 2, 3)),
        SIDE("six axes", 3, 2, S(2, 1, 2, 5, 1, 3), S(2, 1, 2, 2, 1, 3), S(2, 1, 2, 3, 1, 3)),
    };
    const struct CMUnitTest others[] = {
        trial_test(test_channels),      trial_test(test_channels_last),   trial_test(test_other_axes),
        trial_test(test_mixed_layouts), trial_test(test_of_convolutions), trial_test(test_random_shapes),
        trial_test(test_large),         ctx_test(test_same_value_twice),  ctx_test(test_errors)
    };
    return run_formulas(cases, others);
}

/* test_slice.c: a part of a value along an axis, in row-major memory and in the layouts of convolutions. */
#include "roles.h"

#include "layouts.h"

#define S plm_shape_of

typedef struct {
    int     axis;
    int64_t start, stop;
} range;

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const range *d = desc_of(user);
    return plm_square(plm_slice(in[0], d->axis, d->start, d->stop));
}

/* Two slices that overlap, and the value itself: the gradient is the sum. */
static plm_val apply_thrice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const range  *d = desc_of(user);
    const plm_val a = plm_slice(in[0], d->axis, d->start, d->stop),
                  b = plm_slice(in[0], d->axis, 0, d->stop - d->start);
    return plm_mul(plm_mul(a, b), plm_sum(in[0], NULL));
}

static int64_t place(const op_case *c, int64_t o, int64_t start)
{
    const range *d     = c->user;
    const int    axis  = d->axis < 0 ? d->axis + c->out.rank : d->axis;
    int64_t      inner = 1;
    for (int a = axis + 1; a < c->out.rank; a++) inner *= c->out.dim[a];
    const int64_t at = o / inner % c->out.dim[axis], outer = o / inner / c->out.dim[axis];
    return (outer * c->in[0].dim[axis] + start + at) * inner + o % inner;
}

static int64_t first_of(const op_case *c)
{
    const range *d = c->user;
    return d->start < 0 ? d->start + c->in[0].dim[d->axis < 0 ? d->axis + c->out.rank : d->axis] : d->start;
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = pow(x[0][place(c, o, first_of(c))], 2);
}

static void naive_thrice(const op_case *c, const double *const *x, double *y)
{
    double sum = 0;
    for (int64_t i = 0; i < plm_shape_count(c->in[0]); i++) sum += x[0][i];
    for (int64_t o = 0; o < plm_shape_count(c->out); o++)
        y[o] = x[0][place(c, o, first_of(c))] * x[0][place(c, o, 0)] * sum;
}

#define PART(label, x, along, from, to, y)              \
    {                                                   \
        .op = {                                         \
            .name  = label,                             \
            .f     = apply,                             \
            .user  = &(const range){ along, from, to }, \
            .naive = naive,                             \
            .n     = 1,                                 \
            .in    = { x },                             \
            .out   = y                                  \
        }                                               \
    }

/* A parameter in the layouts of convolutions; `kept`: no block of channels is cut, so nothing is reordered. */
static void check_layout(trial *t, int64_t channels, const range *d, int which, bool kept)
{
    formula f             = { .op = { .f = apply, .user = d, .naive = naive, .n = 1, .in = { S(2, channels, 3, 4) } } };
    f.op.out              = f.op.in[0];
    f.op.out.dim[d->axis] = d->stop - d->start;
    const plm__layout home = layout_of(f.op.in[0], which);
    trial_prepare(t, &f, (uint64_t)channels);
    assert_true(plm__param_set_home(t->p[0], &home));
    check_roles(t, (const role[]){ TRAINED, LENT, LENT });
    assert_int_equal(nonzero_padding(&home, t->p[0]->grad->data), 0);

    plm_tape         *tape = plm_tape_new(t->ctx, NULL);
    const plm_val     y    = plm_slice(plm_tape_param(tape, t->p[0]), d->axis, d->start, d->stop);
    const plm__layout want = kept ? layout_of(f.op.out, which) : plm__layout_plain(f.op.out);
    assert_true(plm__layout_same(&plm__val_get(y, "")->layout, &want));
    assert_int_equal(tape->list.records, kept ? 1 : 2);
    plm_tape_free(tape);
}

static void test_layouts(void **state)
{
    static const struct {
        int64_t channels;
        range   d;
        bool    kept[LAYOUTS];
    } cases[] = { { 48, { 1, 16, 32 }, { true, true, true } },  { 48, { 1, 0, 48 }, { true, true, true } },
                  { 32, { 1, 8, 24 }, { false, true, true } },  { 17, { 1, 16, 17 }, { true, true, true } },
                  { 28, { 1, 16, 28 }, { true, true, true } },  { 28, { 1, 16, 27 }, { false, false, true } },
                  { 12, { 1, 3, 12 }, { false, false, true } }, { 17, { 0, 1, 2 }, { true, true, true } },
                  { 12, { 2, 1, 2 }, { true, true, true } },    { 17, { 3, 1, 4 }, { true, true, true } },
                  { 3, { 3, 0, 3 }, { true, true, true } } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int which = 0; which < LAYOUTS; which++)
            check_layout(*state, cases[i].channels, &cases[i].d, which, cases[i].kept[which]);
}

/* The stride of an extent of 1 says nothing, so it may be anything: kernels leave it as they please. */
static void test_meaningless_strides(void **state)
{
    trial        *t = *state;
    const formula f = { .op = { .f     = apply,
                                .user  = &(const range){ 2, 0, 1 },
                                .naive = naive,
                                .n     = 1,
                                .in    = { S(2, 17, 1, 4) },
                                .out   = S(2, 17, 1, 4) } };
    for (int which = 0; which < LAYOUTS; which++) {
        plm__layout home = layout_of(f.op.in[0], which);
        home.stride[2]   = 3 * home.stride[3];
        trial_prepare(t, &f, (uint64_t)which);
        assert_true(plm__param_set_home(t->p[0], &home));
        check_roles(t, (const role[]){ TRAINED, LENT, LENT });
    }
}

/* Half of a convolution's channels. */
static plm_val of_convolution(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    const plm_conv2d_op_desc d = { .pad = 1 };
    return plm_slice(plm_conv2d(in[0], in[1], plm_none, &d), 1, plm_val_shape(in[1]).dim[0] / 2,
                     plm_val_shape(in[1]).dim[0]);
}

static void naive_of_convolution(const op_case *c, const double *const *x, double *y)
{
    const plm_shape full = S(c->out.dim[0], c->in[1].dim[0], c->out.dim[2], c->out.dim[3]);
    const int64_t   each = plm_shape_count(full) / full.dim[0], kept = plm_shape_count(c->out) / full.dim[0];
    double         *v = calloc((size_t)plm_shape_count(full), sizeof *v);
    naive_conv2d(c->in[0], c->in[1], full, &(plm_conv2d_op_desc){ .pad = 1 },
                 &(bilinear){ .x = x[0], .w = x[1], .y = v });
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = v[o / kept * each + each - kept + o % kept];
    free(v);
}

static void convolution_gradient(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    const plm_shape full = S(c->out.dim[0], c->in[1].dim[0], c->out.dim[2], c->out.dim[3]);
    const int64_t   each = plm_shape_count(full) / full.dim[0], kept = plm_shape_count(c->out) / full.dim[0];
    double         *v = calloc((size_t)plm_shape_count(full), sizeof *v);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) v[o / kept * each + each - kept + o % kept] = dy[o];
    naive_conv2d(c->in[0], c->in[1], full, &(plm_conv2d_op_desc){ .pad = 1 },
                 &(bilinear){ .x = x[0], .w = x[1], .dy = v, .dx = dx[0], .dw = dx[1] });
    free(v);
}

static void test_of_a_convolution(void **state)
{
    static const int64_t channels[] = { 12, 16, 17, 32, 64 };
    for (int i = 0; i < 5; i++) {
        const int64_t k = channels[i];
        const formula f = { .op       = { .f     = of_convolution,
                                          .naive = naive_of_convolution,
                                          .n     = 2,
                                          .in    = { S(2, 16, 5, 4), S(k, 16, 3, 3) },
                                          .out   = S(2, k - k / 2, 5, 4) },
                            .gradient = convolution_gradient };
        trial_prepare(*state, &f, (uint64_t)i);
        check_roles(*state, (const role[]){ WANTED, TRAINED, LENT });
        check_roles(*state, (const role[]){ LENT, TRAINED, LENT });
        check_roles(*state, (const role[]){ WANTED, FROZEN, LENT });
    }
}

static void test_random_shapes(void **state)
{
    for (uint64_t i = 0; i < 60; i++) {
        formula       f      = { .op = { .name = "random", .f = apply, .naive = naive, .n = 1 } };
        plm_shape     s      = random_shape(i, 1, 6);
        range         d      = { .axis = (int)PICK(i, 1, 0, 1, 2, 3, 4, 5) % s.rank };
        const int     axis   = d.axis;
        const int64_t extent = s.dim[axis];
        f.op.in[0]           = s;
        d.start              = PICK(i, 2, 0, 1, 2, 3, 4) % extent;
        d.stop               = d.start + 1 + PICK(i, 3, 0, 1, 2, 3, 4) % (extent - d.start);
        s.dim[axis]          = d.stop - d.start;
        f.op.out             = s;
        if (PICK(i, 4, 0, 1)) d.axis -= s.rank;
        if (PICK(i, 5, 0, 1)) d.start -= extent;
        if (PICK(i, 6, 0, 1) && d.stop < extent) d.stop -= extent;
        f.op.user = &d;
        check_random(*state, &f, i);
    }
}

/* Enough for several threads. */
static void test_large(void **state)
{
    enum { ROWS = 500, COLUMNS = 200, KEPT = 150 };
    trial *t = *state;
    t->y     = calloc(ROWS * COLUMNS, sizeof(float));
    t->got   = calloc(ROWS * COLUMNS, sizeof(float));
    test_fill(t->y, ROWS * COLUMNS, 1, -1, 1);
    plm_tape     *tape = plm_tape_new(t->ctx, NULL);
    const plm_val x =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(ROWS, COLUMNS), t->y), &(plm_input_desc){ .grad = true });
    const plm_val y = plm_slice(x, 1, -KEPT - 10, -10);
    assert_true(plm_val_read(y, t->got, ROWS * KEPT));
    for (int64_t o = 0; o < ROWS * KEPT; o++) assert_true(t->got[o] == t->y[o / KEPT * COLUMNS + 40 + o % KEPT]);
    assert_true(plm_backward(plm_sum(y, NULL)) && plm_val_grad(x, t->got, ROWS * COLUMNS));
    for (int64_t i = 0; i < ROWS * COLUMNS; i++)
        assert_true(t->got[i] == (i % COLUMNS >= 40 && i % COLUMNS < 190 ? 1 : 0));
}

static void test_errors(void **state)
{
    plm_ctx    *ctx   = *state;
    const float x[12] = { 0 };
    plm_tape   *tape  = plm_tape_new(ctx, NULL);
    static const struct {
        range       d;
        const char *sentence;
    } bad[] = {
        { { 2, 0, 1 }, "slice: there is no axis 2 in [3,4]" },
        { { -3, 0, 1 }, "slice: there is no axis -3 in [3,4]" },
        { { 0, 1, 1 }, "slice: elements 1 to 1 along axis 0 of [3,4]: start comes before stop, both within the axis" },
        { { -1, 3, -2 }, "slice: elements 3 to -2 along axis -1 of [3,4]: start comes before stop" },
        { { 1, 0, 5 }, "slice: elements 0 to 5 along axis 1 of [3,4]" },
        { { 1, -5, 2 }, "slice: elements -5 to 2 along axis 1 of [3,4]" },
        { { 1, 2, 0 }, "slice: elements 2 to 0 along axis 1 of [3,4]" },
        { { 1, INT64_MIN, INT64_MAX }, "along axis 1 of [3,4]" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(3, 4), x));
        assert_false(plm_val_ok(plm_slice(v, bad[i].d.axis, bad[i].d.start, bad[i].d.stop)));
        assert_error(ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
    plm_slice(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, (plm_shape){ 0 }, x)), 0, 0, 1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "slice: there is no axis 0 in []");
}

int main(void)
{
    formula cases[] = {
        PART("one of one", S(1), 0, 0, 1, S(1)),
        PART("of a vector", S(7), 0, 2, 5, S(3)),
        PART("rows from the end", S(5, 3), -2, -3, -1, S(2, 3)),
        PART("last column", S(3, 17), 1, -1, 17, S(3, 1)),
        PART("all", S(2, 3), 1, 0, 3, S(2, 3)),
        PART("n = 1, 12 of 17 channels", S(1, 17, 1, 3), 1, 5, 17, S(1, 12, 1, 3)),
        PART("32 channels", S(2, 32, 2, 3), -3, 16, 32, S(2, 16, 2, 3)),
        PART("six axes", S(2, 1, 2, 5, 1, 3), 3, 1, 3, S(2, 1, 2, 2, 1, 3)),
        { .op = { .name  = "three consumers",
                  .f     = apply_thrice,
                  .user  = &(const range){ 1, 1, 4 },
                  .naive = naive_thrice,
                  .n     = 1,
                  .in    = { S(2, 5) },
                  .out   = S(2, 3),
                  .lo    = 0.5,
                  .hi    = 1.5 } },
    };
    const struct CMUnitTest others[] = { trial_test(test_layouts),
                                         trial_test(test_meaningless_strides),
                                         trial_test(test_of_a_convolution),
                                         trial_test(test_random_shapes),
                                         trial_test(test_large),
                                         ctx_test(test_errors) };
    return run_formulas(cases, others);
}

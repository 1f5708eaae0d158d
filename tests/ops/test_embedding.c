/* test_embedding.c: rows of a table by their numbers, given as labels and as values. */
#include "roles.h"

#include "ops/ops.h"

#define S plm_shape_of

enum { MOST = 512 };

/* Numbers that repeat; row 1 of the table is never looked up, unless it is the last one of two. */
static int64_t number_at(int64_t i, int64_t num)
{
    const int64_t k = (i * i + 3 * i) % num;
    return num > 2 && k == 1 ? num - 1 : k;
}

/* c->user: the shape of the indices.  They live only during the call. */
static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const plm_shape *s     = desc_of(user);
    const int64_t    count = plm_shape_count(*s);
    int64_t          index[MOST];
    for (int64_t i = 0; i < count; i++) index[i] = number_at(i, plm_val_shape(in[0]).dim[0]);
    const plm_val y = plm_embedding(in[0], plm_tensor_wrap(PLM_I64, *s, index));
    memset(index, 0xff, sizeof index);
    return plm_square(y);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const int64_t num = c->in[0].dim[0], dim = c->in[0].dim[1];
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = pow(x[0][number_at(o / dim, num) * dim + o % dim], 2);
}

#define LOOK(label, w, indices, y)                                                                                  \
    {                                                                                                               \
        .op       = { .name = label, .f = apply, .user = &indices, .naive = naive, .n = 1, .in = { w }, .out = y }, \
        .gradient = gradient                                                                                        \
    }

static void gradient(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    const int64_t num = c->in[0].dim[0], dim = c->in[0].dim[1];
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) {
        const int64_t at = number_at(o / dim, num) * dim + o % dim;
        dx[0][at] += dy[o] * 2 * x[0][at];
    }
}

/* The table used twice, and by another op too. */
static plm_val apply_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    return plm_mul(plm_add(apply(tape, in, n, user), apply(tape, in, n, user)), plm_sum(in[0], NULL));
}

static void naive_twice(const op_case *c, const double *const *x, double *y)
{
    double sum = 0;
    for (int64_t i = 0; i < plm_shape_count(c->in[0]); i++) sum += x[0][i];
    naive(c, x, y);
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] *= 2 * sum;
}

static void gradient_twice(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    const int64_t n = plm_shape_count(c->in[0]), outs = plm_shape_count(c->out);
    double       *y = calloc((size_t)outs, sizeof *y), sum = 0, rest = 0;
    gradient(c, x, dy, dx);
    naive(c, x, y);
    for (int64_t i = 0; i < n; i++) sum += x[0][i];
    for (int64_t o = 0; o < outs; o++) rest += dy[o] * 2 * y[o];
    for (int64_t i = 0; i < n; i++) dx[0][i] = 2 * sum * dx[0][i] + rest;
    free(y);
}

static void test_random_shapes(void **state)
{
    for (uint64_t i = 0; i < 40; i++) {
        const plm_shape w = S(PICK(i, 1, 1, 2, 5, 17), PICK(i, 2, 1, 3, 12, 16, 65)), s = random_shape(i, 1, 4);
        formula         f = { .op = { .name = "random", .f = apply, .user = &s, .naive = naive, .n = 1, .in = { w } },
                              .gradient = gradient };
        f.op.out          = s;
        f.op.out.dim[f.op.out.rank++] = w.dim[1];
        check_random(*state, &f, i);
    }
}

/* A table that lies as a linear layer's weights do is read in its own order all the same. */
static void test_blocked_table(void **state)
{
    trial          *t = *state;
    const plm_shape s = S(7);
    const formula f = { .op = { .f = apply, .user = &s, .naive = naive, .n = 1, .in = { S(17, 12) }, .out = S(7, 12) },
                        .gradient = gradient };
    plm__layout   home;
    trial_prepare(t, &f, 1);
    assert_true(plm__enter(t->ctx, "a test"));
    const bool ok = plm__linear_home(t->ctx, S(17, 12), &home) && plm__param_set_home(t->p[0], &home);
    plm__leave(t->ctx);
    assert_true(ok && !plm__layout_is_plain(&home));
    check_roles(t, (const role[]){ TRAINED, LENT, LENT });
}

/* Values and labels are the same op: same bits; who asks for the gradient of the numbers gets zeros. */
static void test_numbers_as_values(void **state)
{
    enum { NUM = 9, DIM = 5, COUNT = 12 };
    plm_ctx *ctx = *state;
    float    w[NUM * DIM], x[COUNT], dx[COUNT], y[2][COUNT * DIM], dw[2][NUM * DIM];
    int64_t  index[COUNT];
    test_fill(w, NUM * DIM, 1, -1, 1);
    for (int i = 0; i < COUNT; i++) x[i] = (float)(index[i] = number_at(i, NUM));
    x[0] = -0.0f;
    for (int as = 0; as < 2; as++) {
        plm_tape     *tape = plm_tape_new(ctx, NULL);
        const plm_val wv =
            plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(NUM, DIM), w), &(plm_input_desc){ .grad = true });
        const plm_val xv =
            plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(4, 3), x), &(plm_input_desc){ .grad = true });
        const plm_val out =
            as ? plm__embedding_of(wv, xv) : plm_embedding(wv, plm_tensor_wrap(PLM_I64, S(4, 3), index));
        assert_true(plm_shape_equal(plm_val_shape(out), S(4, 3, DIM)));
        assert_true(plm_val_read(out, y[as], COUNT * DIM));
        memset(dx, 0xff, sizeof dx);
        assert_true(plm_backward(plm_sum(plm_square(out), NULL)) && plm_val_grad(wv, dw[as], NUM * DIM));
        if (as) assert_true(plm_val_grad(xv, dx, COUNT));
        plm_tape_free(tape);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
    for (int i = 0; i < COUNT; i++) assert_true(dx[i] == 0);
}

/* A gradient whose terms cancel but for rounding: the same bits for any number of threads, and as if summed in double. */
static void test_same_bits_for_any_threads(void **state)
{
    enum { NUM = 300, DIM = 70, COUNT = 4000 };
    (void)state;
    float   *w = calloc(NUM * DIM, sizeof *w), *v = calloc(COUNT * DIM, sizeof *v), *got[3];
    double  *want  = calloc(NUM * DIM, sizeof *want);
    int64_t *index = calloc(COUNT, sizeof *index);
    bool     ok    = true;
    test_fill(v, COUNT * DIM, 2, -1e4, 1e4);
    for (int64_t i = 0; i < COUNT; i++) {
        index[i] = i % 3 ? number_at(i, NUM) : 0;
        for (int64_t j = 0; j < DIM; j++) want[index[i] * DIM + j] += (double)v[i * DIM + j];
    }
    for (int k = 0; k < 3; k++) {
        plm_ctx      *ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = 1 + 2 * k });
        plm_tape     *tape = plm_tape_new(ctx, NULL);
        const plm_val wv =
            plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(NUM, DIM), w), &(plm_input_desc){ .grad = true });
        const plm_val y = plm_embedding(wv, plm_tensor_wrap(PLM_I64, S(COUNT), index));
        const plm_val t = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(COUNT, DIM), v));
        got[k]          = calloc(NUM * DIM, sizeof(float));
        ok              = ok && plm_backward(plm_sum(plm_mul(y, t), NULL)) && plm_val_grad(wv, got[k], NUM * DIM);
        plm_ctx_free(ctx);
    }
    int wrong = 0;
    for (int i = 0; i < NUM * DIM; i++)
        wrong += got[0][i] != (float)want[i] || got[1][i] != got[0][i] || got[2][i] != got[0][i];
    for (int k = 0; k < 3; k++) free(got[k]);
    free(w);
    free(v);
    free(want);
    free(index);
    assert_true(ok);
    assert_int_equal(wrong, 0);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx         = *state;
    const float   x[6]        = { 0 };
    const int64_t index[2][6] = { { 0, 1, 2, 0, 3, 0 }, { 0, 1, -1 } };
    plm_tape     *tape        = plm_tape_new(ctx, NULL);
    const struct {
        plm_shape   w;
        plm_tensor  indices;
        plm_status  status;
        const char *sentence;
    } bad[] = {
        { S(3, 2), plm_tensor_wrap(PLM_I64, S(2, 3), index[0]), PLM_ERR_ARGUMENT,
          "embedding: the index at [1,1] is 3, expected 0 to 2 (w [3,2])" },
        { S(3, 2), plm_tensor_wrap(PLM_I64, S(3), index[1]), PLM_ERR_ARGUMENT,
          "embedding: the index at [2] is -1, expected 0 to 2 (w [3,2])" },
        { S(3, 2), plm_tensor_wrap(PLM_F32, S(6), x), PLM_ERR_ARGUMENT,
          "embedding: the indices are f32 [6], expected i64" },
        { S(3, 2), plm_tensor_wrap(PLM_I64, S(6), NULL), PLM_ERR_ARGUMENT,
          "embedding: the indices are i64 [6] without memory (NULL)" },
        { S(3, 2), plm_tensor_wrap(PLM_I64, S(2, 0), index[0]), PLM_ERR_SHAPE,
          "embedding: the indices: extent 1 of [2,0] is 0" },
        { S(3, 2), plm_tensor_wrap(PLM_I64, S(1, 1, 1, 1, 1, 1), index[0]), PLM_ERR_SHAPE,
          "embedding: the indices [1,1,1,1,1,1] have 6 axes, at most 5: the output has one more" },
        { S(6), plm_tensor_wrap(PLM_I64, S(1), index[0]), PLM_ERR_SHAPE, "embedding: w is [6], expected [num,dim]" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const plm_val w = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].w, x));
        assert_false(plm_val_ok(plm_embedding(w, bad[i].indices)));
        assert_error(ctx, bad[i].status, bad[i].sentence);
    }
    static const struct {
        float       value;
        const char *sentence;
    } odd[] = { { 2.5f, "embedding: sample 1 holds 2.5 at element 2, expected a whole number from 0 to 2 (w [3,2])" },
                { 3, "embedding: sample 1 holds 3 at element 2" },
                { -1, "embedding: sample 1 holds -1 at element 2" },
                { NAN, "embedding: sample 1 holds nan at element 2" },
                { INFINITY, "embedding: sample 1 holds inf at element 2" } };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const float   given[6] = { 0, 1, 2, 2, 1, odd[i].value };
        const plm_val w        = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(3, 2), x));
        plm__embedding_of(w, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), given)));
        assert_error(ctx, PLM_ERR_ARGUMENT, odd[i].sentence);
    }
}

int main(void)
{
    static const plm_shape none, one = { 1, { 1 } }, some = { 1, { 7 } }, rows = { 2, { 3, 4 } },
                                 five = { 5, { 2, 1, 3, 1, 2 } };
    formula cases[]                   = {
                          LOOK("a scalar", S(3, 4), none, S(4)),
                          LOOK("one of one", S(1, 1), one, S(1, 1)),
                          LOOK("12 features", S(5, 12), some, S(7, 12)),
                          LOOK("17 features", S(3, 17), rows, S(3, 4, 17)),
                          LOOK("more than a run of columns", S(4, 130), one, S(1, 130)),
                          LOOK("rank 5", S(6, 2), five, S(2, 1, 3, 1, 2, 2)),
                          { .op       = { .name  = "three consumers",
                                          .f     = apply_twice,
                                          .user  = &rows,
                                          .naive = naive_twice,
                                          .n     = 1,
                                          .in    = { S(5, 3) },
                                          .out   = S(3, 4, 3),
                                          .lo    = 0.5,
                                          .hi    = 1.5 },
                            .gradient = gradient_twice },
    };
    const struct CMUnitTest others[] = { trial_test(test_random_shapes), trial_test(test_blocked_table),
                                         ctx_test(test_numbers_as_values),
                                         cmocka_unit_test(test_same_bits_for_any_threads), ctx_test(test_errors) };
    return run_formulas(cases, others);
}

/* test_matmul.c: y = a b, two-dimensional and batched. */
#include "roles.h"

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_matmul(in[0], in[1]);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = 0;
    naive_matmul(c->in[0], c->in[1], &(bilinear){ .x = x[0], .w = x[1], .y = y });
}

static void gradient(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    naive_matmul(c->in[0], c->in[1], &(bilinear){ .x = x[0], .w = x[1], .dy = dy, .dx = dx[0], .dw = dx[1] });
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

/* (a b) b */
static plm_val apply_weight_twice(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_matmul(plm_matmul(in[0], in[1]), in[1]);
}

static void naive_weight_twice(const op_case *c, const double *const *x, double *y)
{
    double *h = malloc((size_t)plm_shape_count(c->out) * sizeof *h);
    naive(c, x, h);
    naive(c, (const double *const[]){ h, x[1] }, y);
    free(h);
}

/* a a: both operands are one value, and one parameter. */
static plm_val apply_square(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_matmul(in[0], in[0]);
}

static void naive_square(const op_case *c, const double *const *x, double *y)
{
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = 0;
    naive_matmul(c->in[0], c->in[0], &(bilinear){ .x = x[0], .w = x[0], .y = y });
}

/* a a^T */
static plm_val apply_gram(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_matmul(in[0], plm_transpose(in[0], (int[]){ 1, 0 }));
}

static void naive_gram(const op_case *c, const double *const *x, double *y)
{
    const int64_t rows = c->in[0].dim[0], inner = c->in[0].dim[1];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < rows; j++) {
            y[i * rows + j] = 0;
            for (int64_t k = 0; k < inner; k++) y[i * rows + j] += x[0][i * inner + k] * x[0][j * inner + k];
        }
}

#define S plm_shape_of
#define MATMUL(label, a, b, y)                                                                                      \
    {                                                                                                               \
        .op = { .name = label, .f = apply, .naive = naive, .n = 2, .in = { a, b }, .out = y }, .gradient = gradient \
    }
#define OF_ONE(label, function, loops, a, y)                                                 \
    {                                                                                        \
        .op = {.name = label, .f = function, .naive = loops, .n = 1, .in = { a }, .out = y } \
    }
#define OF_TWO(label, function, loops, a, b, y)                                                 \
    {                                                                                           \
        .op = {.name = label, .f = function, .naive = loops, .n = 2, .in = { a, b }, .out = y } \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        const int64_t p = PICK(seed, 0, 1, 2, 5), m = PICK(seed, 1, 1, 2, 3, 12, 17),
                      k = PICK(seed, 2, 1, 2, 5, 16, 33), n = PICK(seed, 3, 1, 3, 4, 12, 17);
        formula flat    = MATMUL("random", S(m, k), S(k, n), S(m, n));
        formula batched = MATMUL("random, batched", S(p, m, k), S(p, k, n), S(p, m, n));
        check_random(*state, seed % 2 ? &flat : &batched, seed);
    }
}

static void test_errors(void **state)
{
    static const float x[64] = { 0 };
    const struct {
        plm_shape   a, b;
        const char *sentence;
    } bad[] = {
        { S(2, 3), S(2, 3), "matmul: a is [2,3] and b [2,3], expected [m,k] and [k,n], or [p,m,k] and [p,k,n]" },
        { S(3), S(3, 2), "matmul: a is [3] and b [3,2], expected" },
        { S(2, 3), S(3), "matmul: a is [2,3] and b [3], expected" },
        { S(2, 2, 3), S(3, 2), "matmul: a is [2,2,3] and b [3,2], expected" },
        { S(2, 2, 3), S(2, 2, 3), "matmul: a is [2,2,3] and b [2,2,3], expected" },
        { S(2, 2, 3), S(1, 3, 2), "matmul: a is [2,2,3] and b [1,3,2], expected" },
        { S(1, 2, 2, 3), S(1, 2, 3, 2), "matmul: a is [1,2,2,3] and b [1,2,3,2], expected" },
    };
    plm_ctx  *ctx  = *state;
    plm_tape *tape = plm_tape_new(ctx, NULL);
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        const plm_val y = plm_matmul(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].a, x)),
                                     plm_tape_input(tape, plm_tensor_wrap(PLM_F32, bad[i].b, x)));
        assert_false(plm_val_ok(y));
        assert_error(ctx, PLM_ERR_SHAPE, bad[i].sentence);
    }
    plm_matmul(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x)), plm_none);
    assert_error(ctx, PLM_ERR_ARGUMENT, "matmul: operand 1 is empty");
}

int main(void)
{
    formula cases[] = {
        MATMUL("one number", S(1, 1), S(1, 1), S(1, 1)),
        MATMUL("row by column", S(1, 7), S(7, 1), S(1, 1)),
        MATMUL("column by row", S(5, 1), S(1, 3), S(5, 3)),
        MATMUL("row by matrix", S(1, 5), S(5, 3), S(1, 3)),
        MATMUL("matrix by column", S(3, 5), S(5, 1), S(3, 1)),
        MATMUL("3x12 by 12x17", S(3, 12), S(12, 17), S(3, 17)),
        MATMUL("17x17", S(17, 17), S(17, 17), S(17, 17)),
        MATMUL("batch of 1", S(1, 3, 5), S(1, 5, 2), S(1, 3, 2)),
        MATMUL("batch of 3", S(3, 2, 5), S(3, 5, 4), S(3, 2, 4)),
        MATMUL("batch of rows by columns", S(4, 1, 3), S(4, 3, 1), S(4, 1, 1)),
        MATMUL("batch of columns by rows", S(4, 3, 1), S(4, 1, 2), S(4, 3, 2)),
        MATMUL("batch of numbers", S(6, 1, 1), S(6, 1, 1), S(6, 1, 1)),
        OF_TWO("two consumers", apply_consumed_twice, naive_consumed_twice, S(3, 5), S(5, 4), S(3, 4)),
        OF_TWO("the same weight twice", apply_weight_twice, naive_weight_twice, S(3, 5), S(5, 5), S(3, 5)),
        OF_ONE("both operands one value", apply_square, naive_square, S(5, 5), S(5, 5)),
        OF_ONE("both operands one value, batched", apply_square, naive_square, S(2, 3, 3), S(2, 3, 3)),
        OF_ONE("a value and its transpose", apply_gram, naive_gram, S(3, 7), S(3, 3)),
    };
    const struct CMUnitTest others[] = { trial_test(test_random_shapes), ctx_test(test_errors) };
    return run_formulas(cases, others);
}

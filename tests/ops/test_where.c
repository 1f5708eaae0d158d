/* test_where.c: y = a where cond != 0, else b, with broadcasting. */
#include "check.h"

/* The condition is x > 0, made of the first operand outside the tape: so the differences see that it does not matter. */
static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_where(plm_relu(in[0], NULL), in[1], in[2]);
}

/* Offset of element i of `out` in an operand of shape s. */
static int64_t operand_at(plm_shape out, plm_shape s, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int a = out.rank - 1, own = s.rank - 1; a >= 0; i /= out.dim[a], a--, own--)
        if (own >= 0) {
            if (s.dim[own] > 1) at += i % out.dim[a] * step;
            step *= s.dim[own];
        }
    return at;
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t i = 0; i < plm_shape_count(c->out); i++)
        y[i] = x[0][operand_at(c->out, c->in[0], i)] > 0 ? x[1][operand_at(c->out, c->in[1], i)]
                                                         : x[2][operand_at(c->out, c->in[2], i)];
}

#define S(...) plm_shape_of(__VA_ARGS__)
#define SCALAR ((plm_shape){ 0 })
#define WHERE(label, cond, a, b, y)                                                                    \
    {                                                                                                  \
        .name = label, .f = apply, .naive = naive, .n = 3, .in = { cond, a, b }, .out = y, .gap = 0.05 \
    }

/* Each axis of each operand is the whole or 1. */
static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 60; trial++) {
        const plm_shape out = random_shape(trial, 0, 5);
        op_case         c   = WHERE("random", out, out, out, out);
        for (int k = 0; k < 3; k++)
            for (int a = 0; a < out.rank; a++)
                if (trial >> (a + k) & 1 && k != a % 3) c.in[k].dim[a] = 1; /* some operand has the whole axis */
        check_op(*state, &c, trial, false);
    }
}

static void test_condition_has_no_gradient(void **state)
{
    plm_ctx             *ctx    = *state;
    const float          cond[] = { 1, 0, -2, NAN }, a[] = { 1, 2, 3, 4 }, b[] = { 5, 6, 7, 8 };
    const double         want[] = { 1, 6, 3, 4 }, to_a[] = { 1, 0, 1, 1 }, to_b[] = { 0, 1, 0, 0 }, none[4] = { 0 };
    float                y[4], g[3][4];
    const plm_input_desc grad = { .grad = true };
    plm_tape            *tape = plm_tape_new(ctx, NULL);
    const plm_val        v[]  = { plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(4), cond), &grad),
                                  plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(4), a), &grad),
                                  plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, S(4), b), &grad) };
    const plm_val        out  = plm_where(v[0], v[1], v[2]);
    assert_true(plm_val_read(out, y, 4) && plm_backward(plm_sum(out, NULL)));
    for (int i = 0; i < 3; i++) assert_true(plm_val_grad(v[i], g[i], 4));
    assert_all_close(y, want, 4, 0);
    assert_all_close(g[0], none, 4, 0);
    assert_all_close(g[1], to_a, 4, 0);
    assert_all_close(g[2], to_b, 4, 0);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[6] = { 0 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val a    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(2, 3), x));
    const plm_val b    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(3, 2), x));
    assert_false(plm_val_ok(plm_where(a, a, b)));
    assert_error(ctx, PLM_ERR_SHAPE, "where: cond [2,3], a [2,3] and b [3,2]: extents must be equal or 1");
    const plm_val c = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(4), x));
    const plm_val d = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, S(3), x));
    assert_false(plm_val_ok(plm_where(c, d, d)));
    assert_error(ctx, PLM_ERR_SHAPE, "where: cond [4], a [3] and b [3]");
}

int main(void)
{
    op_case cases[] = {
        WHERE("scalars", SCALAR, SCALAR, SCALAR, SCALAR),
        WHERE("one shape", S(2, 17, 3), S(2, 17, 3), S(2, 17, 3), S(2, 17, 3)),
        WHERE("number instead", S(3, 5), S(3, 5), SCALAR, S(3, 5)),
        WHERE("rows and columns", S(4, 1), S(1, 3), S(3), S(4, 3)),
        WHERE("one condition", SCALAR, S(2, 12), S(2, 12), S(2, 12)),
        WHERE("channels", S(12, 1, 1), S(2, 12, 3, 3), S(2, 1, 3, 3), S(2, 12, 3, 3)),
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_condition_has_no_gradient),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

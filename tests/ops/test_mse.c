/* test_mse.c: the mean square of a difference of two values. */
#include "check.h"

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_mse(in[0], in[1]);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const int64_t n = plm_shape_count(c->in[0]);
    *y              = 0;
    for (int64_t i = 0; i < n; i++) *y += (x[0][i] - x[1][i]) * (x[0][i] - x[1][i]) / (double)n;
}

#define MSE(label, s)                                                     \
    {                                                                     \
        .name = label, .f = apply, .naive = naive, .n = 2, .in = { s, s } \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 30; trial++) {
        const plm_shape s = random_shape(trial, 0, 4);
        op_case         c = MSE("random", s);
        check_op(*state, &c, trial, trial < 6 && plm_shape_count(s) < 100);
    }
}

/* Targets enter with plm_tape_input: no gradient of theirs is asked for. */
static void test_targets(void **state)
{
    plm_ctx      *ctx = *state;
    const float   f[] = { 1, 2, 3, 4 }, y[] = { 1, 0, 3, 8 };
    float         g[4];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val vf =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(4, 1), f), &(plm_input_desc){ .grad = true });
    const plm_val vy   = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(4, 1), y));
    const plm_val loss = plm_mse(vf, vy);
    assert_close((double)plm_val_item(loss), 5, 0, 1e-7);
    assert_true(plm_backward(loss) && plm_val_grad(vf, g, 4));
    const double want[] = { 0, 1, 0, -2 };
    assert_all_close(g, want, 4, 1e-6);
    assert_false(plm_val_grad(vy, g, 4));
    assert_error(ctx, PLM_ERR_STATE, "no gradient is kept");
}

static void test_errors(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[4] = { 0 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val f    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(4, 1), x));
    const plm_val y    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(4), x));
    assert_false(plm_val_ok(plm_mse(f, y))); /* broadcasting here would be a silent error */
    assert_error(ctx, PLM_ERR_SHAPE, "mse: outputs [4,1] and targets [4]: expected one shape");
}

int main(void)
{
    op_case                 cases[]  = { MSE("scalars", ((plm_shape){ 0 })), MSE("[1,1]", plm_shape_of(1, 1)),
                                         MSE("[3,17]", plm_shape_of(3, 17)), MSE("[2,3,5,7]", plm_shape_of(2, 3, 5, 7)) };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_targets),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

/* test_transpose.c: axes in another order. */
#include "check.h"

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return plm_square(plm_transpose(in[0], user));
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const int *perm = c->user;
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) {
        int64_t index[PLM_MAX_RANK] = { 0 }, rest = i, place = 0; /* index: of x */
        for (int a = c->out.rank - 1; a >= 0; a--) {
            index[perm[a]] = rest % c->out.dim[a];
            rest /= c->out.dim[a];
        }
        for (int a = 0; a < c->in[0].rank; a++) place = place * c->in[0].dim[a] + index[a];
        y[i] = x[0][place] * x[0][place];
    }
}

#define ORDER(label, s, y, ...)                                                                                        \
    {                                                                                                                  \
        .name = label, .f = apply, .user = (const int[]){ __VA_ARGS__ }, .naive = naive, .n = 1, .in = { s }, .out = y \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 60; trial++) {
        const plm_shape s = random_shape(trial, 1, 6);
        int64_t         order[PLM_MAX_RANK];
        int             perm[PLM_MAX_RANK];
        plm_shape       y = { .rank = s.rank };
        plm__random_permutation(plm__random_key(1, PLM__RANDOM_CHECK, "perm", trial), order, s.rank);
        for (int a = 0; a < s.rank; a++) {
            perm[a]  = (int)order[a];
            y.dim[a] = s.dim[perm[a]];
        }
        op_case c = { .f = apply, .user = perm, .naive = naive, .n = 1, .in = { s }, .out = y };
        check_op(*state, &c, trial, trial < 8 && plm_shape_count(s) < 100);
    }
}

static void test_errors(void **state)
{
    plm_ctx    *ctx        = *state;
    const float x[6]       = { 0 };
    plm_tape   *tape       = plm_tape_new(ctx, NULL);
    const int   bad[][2]   = { { 0, 0 }, { 0, 2 }, { -1, 0 } };
    const char *sentence[] = { "transpose: perm[1] is 0: not each axis of [2,3] once",
                               "transpose: perm[1] is 2: ", "transpose: perm[0] is -1: " };
    for (int i = 0; i < 3; i++) {
        plm_transpose(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x)), bad[i]);
        assert_error(ctx, PLM_ERR_ARGUMENT, sentence[i]);
    }
    plm_transpose(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x)), NULL);
    assert_error(ctx, PLM_ERR_ARGUMENT, "transpose: perm is NULL");
    plm_transpose((plm_val){ tape, -1, 0 }, bad[0]);
    assert_error(ctx, PLM_ERR_ARGUMENT, "transpose: operand 0 is empty");
}

int main(void)
{
    op_case cases[] = {
        ORDER("scalar", ((plm_shape){ 0 }), ((plm_shape){ 0 }), 0),
        ORDER("n = 1", plm_shape_of(1), plm_shape_of(1), 0),
        ORDER("matrix", plm_shape_of(3, 17), plm_shape_of(17, 3), 1, 0),
        ORDER("identity", plm_shape_of(3, 4, 5), plm_shape_of(3, 4, 5), 0, 1, 2),
        ORDER("rotation", plm_shape_of(3, 4, 5), plm_shape_of(4, 5, 3), 1, 2, 0),
        ORDER("nchw to nhwc", plm_shape_of(2, 12, 3, 5), plm_shape_of(2, 3, 5, 12), 0, 2, 3, 1),
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_errors) };
    return run_cases(cases, others);
}

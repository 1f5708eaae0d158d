/* test_clamp.c: y = min(max(x, low), high). */
#include "check.h"

typedef struct {
    double low, high;
} bounds;

static const bounds around = { -1, 0.75 }, above = { 0.5, 1.5 }, only_low = { -0.5, INFINITY },
                    free_of = { -INFINITY, INFINITY };

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const bounds *b = user;
    return plm_clamp(in[0], b->low, b->high);
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const bounds *b = c->user;
    for (int64_t i = 0; i < plm_shape_count(c->out); i++) y[i] = fmin(fmax(x[0][i], b->low), b->high);
}

#define CLAMP(label, b, s)                                                                   \
    {                                                                                        \
        .name = label, .f = apply, .user = &b, .naive = naive, .n = 1, .in = { s }, .out = s \
    }

static void test_random_shapes(void **state)
{
    const bounds *const of[] = { &around, &above, &only_low, &free_of };
    for (uint64_t trial = 0; trial < 40; trial++) {
        const plm_shape s = random_shape(trial, 0, 5);
        op_case         c = CLAMP("random", *of[trial % 4], s);
        check_op(*state, &c, trial, false);
    }
}

/* The bounds belong to the inside; nan stays nan. */
static void test_edges(void **state)
{
    plm_ctx      *ctx      = *state;
    const float   x[]      = { -1, 0.75f, -1.5f, 2, 0 };
    const double  want_y[] = { -1, 0.75, -1, 0.75, 0 }, want_g[] = { 1, 1, 0, 0, 1 };
    const float   bad = NAN;
    float         y[5], g[5];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(5), x), &(plm_input_desc){ .grad = true });
    const plm_val out = plm_clamp(v, -1, 0.75);
    assert_true(plm_val_read(out, y, 5) && plm_backward(plm_sum(out, NULL)) && plm_val_grad(v, g, 5));
    assert_all_close(y, want_y, 5, 0);
    assert_all_close(g, want_g, 5, 0);
    plm_tape_reset(tape);
    const plm_val n = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), &bad));
    assert_true(isnan(plm_val_item(plm_clamp(n, -1, 1))));
    assert_ok(ctx);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[]  = { 1 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x));
    plm_clamp(v, 2, 1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "clamp: low 2 and high 1, expected low <= high");
    const plm_val w = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1), x));
    plm_clamp(w, NAN, 1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "clamp: low nan and high 1");
}

int main(void)
{
    op_case cases[] = {
        CLAMP("scalar", around, ((plm_shape){ 0 })),         CLAMP("n = 1", around, plm_shape_of(1, 1)),
        CLAMP("[3,17]", above, plm_shape_of(3, 17)),         CLAMP("12 channels", around, plm_shape_of(2, 12, 3, 3)),
        CLAMP("one bound", only_low, plm_shape_of(2, 3, 5)), CLAMP("no bound", free_of, plm_shape_of(4)),
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_edges),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

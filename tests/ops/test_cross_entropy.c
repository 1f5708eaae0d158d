/* test_cross_entropy.c: log-softmax and loss as one op. */
#include "check.h"

enum { MOST = 64 };

static int64_t label_of(int64_t row, int64_t classes)
{
    return (row * 5 + 1) % classes;
}

/* The labels live only during the call. */
static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    const plm_shape s = plm_val_shape(in[0]);
    int64_t         labels[MOST];
    for (int64_t i = 0; i < s.dim[0]; i++) labels[i] = label_of(i, s.dim[1]);
    const plm_val loss = plm_cross_entropy(in[0], plm_tensor_wrap(PLM_I64, plm_shape_of(s.dim[0]), labels));
    memset(labels, 0xff, sizeof labels);
    return loss;
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const int64_t n = c->in[0].dim[0], classes = c->in[0].dim[1];
    *y = 0;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < classes; j++) sum += exp(x[0][i * classes + j]);
        *y -= log(exp(x[0][i * classes + label_of(i, classes)]) / sum) / (double)n;
    }
}

#define LOSS(label, s)                                                 \
    {                                                                  \
        .name = label, .f = apply, .naive = naive, .n = 1, .in = { s } \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 30; trial++) {
        plm_shape s = random_shape(trial, 2, 2);
        s.dim[1]++; /* with one class the loss is 0 and only rounding is left */
        op_case c = LOSS("random", s);
        check_op(*state, &c, trial, trial < 6);
    }
}

static void test_edges(void **state)
{
    plm_ctx      *ctx     = *state;
    const float   x[]     = { 5000, -5000, 3, 3 };
    const int64_t label[] = { 1, 0 };
    float         g[4];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val f =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 2), x), &(plm_input_desc){ .grad = true });
    const plm_val loss = plm_cross_entropy(f, plm_tensor_wrap(PLM_I64, plm_shape_of(2), label));
    assert_close((double)plm_val_item(loss), (10000 + log(2)) / 2, 0, 1e-7);
    assert_true(plm_backward(loss) && plm_val_grad(f, g, 4));
    const double want[] = { 0.5, -0.5, -0.25, 0.25 };
    assert_all_close(g, want, 4, 1e-6);
}

/* Chance level: equal outputs give log c, whatever the labels; and one class gives nothing to learn. */
static void test_chance(void **state)
{
    plm_ctx *ctx = *state;
    enum { N = 400, C = 100 };
    float   *x     = calloc(N * C, sizeof *x);
    int64_t *label = malloc(N * sizeof *label);
    for (int i = 0; i < N; i++) label[i] = i % C;
    plm_tape   *tape = plm_tape_new(ctx, NULL);
    const float many =
        plm_val_item(plm_cross_entropy(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(N, C), x)),
                                       plm_tensor_wrap(PLM_I64, plm_shape_of(N), label)));
    const float one =
        plm_val_item(plm_cross_entropy(plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1, 1), x)),
                                       plm_tensor_wrap(PLM_I64, plm_shape_of(1), label)));
    free(x);
    free(label);
    assert_ok(ctx);
    assert_close((double)many, log(C), 0, 1e-6);
    assert_close((double)one, 0, 0, 0);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx   = *state;
    const float   x[6]  = { 0 };
    const int64_t bad[] = { -1, 0 };
    plm_tape     *tape  = plm_tape_new(ctx, NULL);
    const plm_val f     = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x));
    assert_false(plm_val_ok(plm_cross_entropy(f, plm_tensor_wrap(PLM_I64, plm_shape_of(2), bad))));
    assert_error(ctx, PLM_ERR_ARGUMENT, "cross_entropy: the label of row 0 is -1, expected 0 to 2");
}

int main(void)
{
    op_case                 cases[]  = { LOSS("one row", plm_shape_of(1, 3)), LOSS("ten classes", plm_shape_of(5, 10)),
                                         LOSS("17 classes", plm_shape_of(3, 17)) };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_edges), ctx_test(test_chance),
                                         ctx_test(test_errors) };
    return run_cases(cases, others);
}

/* test_mse_onehot.c: plm_mse_onehot and plm_square_loss. */
#include "check.h"

enum { MOST = 64 };

typedef struct {
    plm_val (*op)(plm_val f, plm_tensor labels, const plm_onehot_desc *desc);
    double target;
} attributes;

static int64_t label_of(int64_t row, int64_t classes)
{
    return (row * 7 + 3) % classes;
}

/* The labels live only during the call. */
static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const attributes *a = user;
    const plm_shape   s = plm_val_shape(in[0]);
    int64_t           labels[MOST];
    for (int64_t i = 0; i < s.dim[0]; i++) labels[i] = label_of(i, s.dim[1]);
    const plm_val loss = a->op(in[0], plm_tensor_wrap(PLM_I64, plm_shape_of(s.dim[0]), labels),
                               a->target != 0 ? &(plm_onehot_desc){ a->target } : NULL);
    memset(labels, 0xff, sizeof labels);
    return loss;
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const attributes *a = c->user;
    const int64_t     n = c->in[0].dim[0], classes = c->in[0].dim[1];
    const double      target = a->target == PLM_ZERO ? 0 : a->target != 0 ? a->target : sqrt((double)classes);
    double            sum    = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < classes; j++)
            sum += pow(x[0][i * classes + j] - (j == label_of(i, classes) ? target : 0), 2);
    *y = a->op == plm_mse_onehot ? sum / (double)(n * classes) : sum / (2 * (double)classes) / (double)n;
}

#define LOSS(label, t, s)                                                                                              \
    { .name  = "mse_onehot " label,                                                                                    \
      .f     = apply,                                                                                                  \
      .user  = &(attributes){ plm_mse_onehot, t },                                                                     \
      .naive = naive,                                                                                                  \
      .n     = 1,                                                                                                      \
      .in    = { s } },                                                                                                   \
    {                                                                                                                  \
        .name = "square_loss " label, .f = apply, .user = &(attributes){ plm_square_loss, t }, .naive = naive, .n = 1, \
        .in = {                                                                                                        \
            s                                                                                                          \
        }                                                                                                              \
    }

static void test_random_shapes(void **state)
{
    for (uint64_t trial = 0; trial < 30; trial++) {
        const attributes a = { trial % 2 ? plm_mse_onehot : plm_square_loss, trial % 3 ? 0 : 1.5 };
        op_case          c = { .f = apply, .user = &a, .naive = naive, .n = 1, .in = { random_shape(trial, 2, 2) } };
        check_op(*state, &c, trial, trial < 6);
    }
}

static void test_errors(void **state)
{
    plm_ctx      *ctx    = *state;
    const float   x[6]   = { 0 };
    const int64_t good[] = { 0, 2 }, bad[] = { 0, 3 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const struct {
        plm_shape   f;
        plm_tensor  labels;
        double      target;
        plm_status  status;
        const char *sentence;
    } row[] = {
        { plm_shape_of(2, 3), plm_tensor_wrap(PLM_I64, plm_shape_of(2), bad), 0, PLM_ERR_ARGUMENT,
          "mse_onehot: the label of row 1 is 3, expected 0 to 2 (outputs [2,3])" },
        { plm_shape_of(2, 3), plm_tensor_wrap(PLM_I64, plm_shape_of(3), good), 0, PLM_ERR_SHAPE,
          "mse_onehot: the labels are [3], expected [2] for outputs [2,3]" },
        { plm_shape_of(2, 3), plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), 0, PLM_ERR_ARGUMENT,
          "mse_onehot: the labels are f32 [2], expected i64 [2]" },
        { plm_shape_of(2, 3), plm_tensor_wrap(PLM_I64, plm_shape_of(2), NULL), 0, PLM_ERR_ARGUMENT,
          "mse_onehot: the labels [2] have no memory (NULL)" },
        { plm_shape_of(6), plm_tensor_wrap(PLM_I64, plm_shape_of(2), good), 0, PLM_ERR_SHAPE,
          "mse_onehot: the outputs are [6], expected [batch,classes]" },
        { plm_shape_of(2, 3), plm_tensor_wrap(PLM_I64, plm_shape_of(2), good), INFINITY, PLM_ERR_ARGUMENT,
          "mse_onehot: desc.target is inf" },
    };
    for (int i = 0; i < (int)(sizeof row / sizeof *row); i++) {
        const plm_val f = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, row[i].f, x));
        assert_false(plm_val_ok(plm_mse_onehot(f, row[i].labels, &(plm_onehot_desc){ row[i].target })));
        assert_error(ctx, row[i].status, row[i].sentence);
    }
}

int main(void)
{
    op_case cases[] = {
        LOSS("one row, one class", 0, plm_shape_of(1, 1)), LOSS("ten classes", 0, plm_shape_of(5, 10)),
        LOSS("17 classes", 0, plm_shape_of(3, 17)),        LOSS("target 1", 1, plm_shape_of(4, 3)),
        LOSS("target 0", PLM_ZERO, plm_shape_of(2, 3)),
    };
    const struct CMUnitTest others[] = { checking_test(test_random_shapes), ctx_test(test_errors) };
    return run_cases(cases, others);
}

/* test_evaluate.c: losses by name, and evaluation. */
#include "train/check.h"

#include <math.h>

/* The scores of a network on the digits' test images, from predictions and the losses' formulas. */
typedef struct {
    double mse, xent, acc;
} reference;

static reference by_hand(plm_graph *net, plm_dataset *data)
{
    reference   r      = { 0 };
    plm_loader *loader = plm_loader_new(data, &(plm_loader_desc){ .batch = 297 });
    plm_batch   all;
    float       y[297 * 10];
    assert_true(plm_loader_next(loader, &all));
    assert_true(plm_graph_predict(net, all.x.data, all.count, y));
    for (int64_t i = 0; i < all.count; i++) {
        const int64_t label = ((const int64_t *)all.y.data)[i];
        double        sum   = 0;
        int64_t       best  = 0;
        for (int64_t k = 0; k < 10; k++) {
            const double f = (double)y[i * 10 + k], target = k == label ? sqrt(10.0) : 0;
            r.mse += (f - target) * (f - target) / 10 / 297;
            sum += exp(f);
            if (y[i * 10 + k] > y[i * 10 + best]) best = k;
        }
        r.xent += (log(sum) - (double)y[i * 10 + label]) / 297;
        r.acc += (best == label) / 297.0;
    }
    plm_loader_free(loader);
    return r;
}

static void test_scores(void **state)
{
    plm_ctx     *ctx  = *state;
    plm_dataset *data = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = true });
    plm_graph   *net  = digits_net(ctx, true);
    assert_true(plm_graph_init(net, PLM_INIT_AGD));
    const reference r         = by_hand(net, data);
    const int64_t   batches[] = { 0, 1, 100, 297, 1000 }; /* 0: 128 */
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        plm_score score;
        assert_true(plm_evaluate(net, data, PLM_LOSS_MSE, batches[i], &score));
        assert_int_equal(score.count, 297);
        assert_close(score.loss, r.mse, 0, 1e-5);
        assert_close(score.acc, r.acc, 1e-9, 0);
        assert_true(plm_evaluate(net, data, PLM_LOSS_SQUARE, batches[i], &score));
        assert_close(score.loss, r.mse / 2, 0, 1e-5);
        assert_true(plm_evaluate(net, data, PLM_LOSS_XENT, batches[i], &score));
        assert_close(score.loss, r.xent, 0, 1e-5);
    }
    plm_graph_free(net);
    plm_dataset_free(data);
}

/* y = 2 x0 - x1 is learnt; the other losses refuse numbers. */
static void test_regression(void **state)
{
    plm_ctx *ctx = *state;
    float    x[64 * 2], y[64];
    test_fill(x, 64 * 2, 3, -1, 1);
    for (int i = 0; i < 64; i++) y[i] = 2 * x[2 * i] - x[2 * i + 1];
    const plm_arrays_desc arrays = { .x = plm_tensor_wrap(PLM_F32, plm_shape_of(64, 2), x),
                                     .y = plm_tensor_wrap(PLM_F32, plm_shape_of(64), y) };
    plm_dataset          *data   = plm_dataset_from_arrays(ctx, &arrays);
    plm_graph            *net    = plm_graph_new(ctx);
    plm_graph_output(plm_nn_linear(plm_nn_input(net, plm_shape_of(2)), &(plm_linear_desc){ .out = 1 }), "y");
    plm_optimizer *sgd = plm_sgd_new(net, NULL);
    plm_epoch      last;
    plm_score      score;
    assert_true(plm_train(net, sgd, data, &(plm_train_desc){ .epochs = 60, .batch = 16, .test = data }, &last));
    assert_true(last.train.loss < 1e-3);
    assert_true(isnan(last.train.acc) && isnan(last.test.acc));
    assert_true(plm_evaluate(net, data, PLM_LOSS_MSE, 0, &score));
    assert_close(score.loss, last.test.loss, 0, 0);

    assert_false(plm_evaluate(net, data, PLM_LOSS_XENT, 0, &score));
    assert_error(ctx, PLM_ERR_ARGUMENT, "xent: the targets are numbers");
    assert_false(plm_train(net, sgd, data, &(plm_train_desc){ .loss = PLM_LOSS_SQUARE }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "square: the targets are numbers");
    plm_optimizer_free(sgd);
    plm_graph_free(net);
    plm_dataset_free(data);
}

static void test_not_finite(void **state)
{
    plm_ctx     *ctx  = *state;
    plm_dataset *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph   *net  = digits_net(ctx, false);
    assert_true(plm_graph_init(net, PLM_INIT_AGD));
    for (int i = 0; i < plm_graph_param_count(net); i++) {
        plm_param    *p = plm_graph_param(net, i);
        const int64_t n = plm_shape_count(plm_param_shape(p));
        float        *w = malloc((size_t)n * sizeof *w);
        assert_non_null(w);
        for (int64_t k = 0; k < n; k++) w[k] = 1e15f;
        assert_true(plm_param_write(p, w, n));
        free(w);
    }
    plm_score score;
    assert_false(plm_evaluate(net, data, PLM_LOSS_MSE, 0, &score));
    assert_error(ctx, PLM_ERR_NONFINITE, "the loss on digits is inf");
    assert_true(isnan(score.loss));
    assert_false(plm_evaluate(net, data, PLM_LOSS_XENT, 0, &score)); /* inf - inf */
    assert_error(ctx, PLM_ERR_NONFINITE, "the loss on digits is nan");
    plm_graph_free(net);
    plm_dataset_free(data);
}

static void test_bad_arguments(void **state)
{
    plm_ctx     *ctx  = *state;
    plm_dataset *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph   *net  = digits_net(ctx, false);
    plm_score    score;
    assert_true(plm_graph_init(net, PLM_INIT_AGD));
    assert_false(plm_evaluate(net, NULL, PLM_LOSS_MSE, 0, &score));
    assert_error(ctx, PLM_ERR_ARGUMENT, "data is NULL");
    assert_false(plm_evaluate(net, data, PLM_LOSS_MSE, 0, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "score is NULL");
    assert_false(plm_evaluate(net, data, PLM_LOSS_MSE, -1, &score));
    assert_error(ctx, PLM_ERR_ARGUMENT, "batch is -1");
    assert_false(plm_evaluate(net, data, (plm_loss)7, 0, &score));
    assert_error(ctx, PLM_ERR_ARGUMENT, "no loss 7");
    assert_false(plm_val_ok(plm_loss_apply(PLM_LOSS_MSE, plm_none, (plm_tensor){ 0 })));
    plm_graph_free(net);
    plm_dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_scores),
        ctx_test(test_regression),
        ctx_test(test_not_finite),
        ctx_test(test_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

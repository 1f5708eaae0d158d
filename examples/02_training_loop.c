/* 02_training_loop.c introduces training: data, loader, graph, optimiser, tape.  Real digits, no learning rate. */
#include <plummet/plummet.h>
#include <stdio.h>

static bool train(plm_ctx *ctx, plm_dataset *data, plm_dataset *test)
{
    plm_loader *loader = plm_loader_new(data, &(plm_loader_desc){ .batch = 100, .shuffle = true });
    plm_graph  *net    = plm_graph_new(ctx);
    plm_node    h      = plm_nn_flatten(plm_nn_input(net, plm_dataset_x_shape(data)));
    for (int i = 0; i < 3; i++)
        h = plm_nn_relu(plm_nn_linear(h, &(plm_linear_desc){ .out = 64 }), &(plm_relu_desc){ .scale = PLM_SQRT2 });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 10 }), "logits");

    plm_optimizer *agd   = plm_agd_new(net, NULL); /* nothing to tune */
    plm_tape      *tape  = plm_tape_new(ctx, NULL);
    plm_score      score = { 0 };
    plm_batch      batch;
    bool           ok = plm_ctx_status(ctx) == PLM_OK;
    for (int epoch = 1; ok && epoch <= 10; epoch++) {
        double sum = 0;
        while (ok && plm_loader_next(loader, &batch)) { /* false at the end of an epoch */
            const plm_val out  = plm_graph_apply(net, plm_tape_input(tape, batch.x));
            const plm_val loss = plm_mse_onehot(out, batch.y, NULL);
            sum += (double)plm_val_item(loss) * (double)batch.count;
            ok = plm_backward(loss) && plm_optimizer_step(agd);
            plm_tape_reset(tape); /* the values of this step are gone */
        }
        ok = ok && plm_ctx_status(ctx) == PLM_OK && plm_evaluate(net, test, PLM_LOSS_MSE, 0, &score);
        if (ok)
            printf("epoch %2d  loss %.3f  eta %.3f  test accuracy %.3f\n", epoch, sum / (double)plm_dataset_count(data),
                   plm_optimizer_info(agd)->eta, score.acc);
    }
    printf("%lld parameters, chance level 0.100\n", (long long)plm_graph_summary(net).parameters);
    plm_tape_free(tape); /* freeing always works, also after an error */
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_loader_free(loader);
    return ok && score.acc > 0.85;
}

int main(void)
{
    plm_ctx     *ctx  = plm_ctx_new(NULL);
    plm_dataset *data = plm_dataset_named(ctx, "digits", NULL);
    plm_dataset *test = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = true });
    const bool   ok   = data && test && train(ctx, data, test);
    if (!ok) fprintf(stderr, "%s\n", plm_ctx_error(ctx)); /* one sentence: the first cause */
    plm_dataset_free(data);
    plm_dataset_free(test);
    plm_ctx_free(ctx);
    return ok ? 0 : 1;
}

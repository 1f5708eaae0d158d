/* 04_save_and_predict.c introduces files: train and save here; open and predict elsewhere, from the file alone. */
#include <plummet/plummet.h>
#include <stdio.h>

static bool train_and_save(const char *path)
{
    plm_ctx       *ctx  = plm_ctx_new(NULL);
    plm_dataset   *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph     *net  = plm_graph_new(ctx);
    const plm_node x    = plm_nn_input(net, plm_shape_of(1, 8, 8));
    plm_graph_output(plm_zoo_fcn(x, 10, &(plm_fcn_desc){ .depth = 3, .width = 64 }), "logits");

    const char *names[] = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine" };
    if (data) plm_graph_set_normalization(net, plm_dataset_normalization(data)); /* travels with the file */
    plm_graph_set_classes(net, names, 10);
    plm_optimizer *agd = plm_agd_new(net, NULL);
    const bool     ok = plm_train(net, agd, data, &(plm_train_desc){ .epochs = 10 }, NULL) && plm_graph_save(net, path);
    if (!ok) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    return ok;
}

/* Knows nothing of the network but the file. */
static bool open_and_predict(const char *path)
{
    plm_ctx     *ctx  = plm_ctx_new(NULL);
    plm_graph   *net  = plm_graph_open(ctx, path);
    plm_dataset *test = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = true });
    plm_loader  *some = test ? plm_loader_new(test, &(plm_loader_desc){ .batch = 8 }) : NULL; /* normalised already */
    plm_batch    batch;
    float        logits[8][10];
    bool ok = net && some && plm_loader_next(some, &batch) && plm_graph_predict(net, batch.x.data, 8, logits[0]);
    for (int i = 0; ok && i < 8; i++) {
        int best = 0;
        for (int c = 1; c < 10; c++)
            if (logits[i][c] > logits[i][best]) best = c;
        printf("image %d: %-5s  (label %lld)\n", i, plm_graph_class(net, best),
               (long long)((int64_t *)batch.y.data)[i]);
    }
    plm_score score = { 0 };
    ok              = ok && plm_evaluate(net, test, PLM_LOSS_MSE, 0, &score);
    printf("test accuracy %.3f, chance level 0.100\n", score.acc);
    if (!ok) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_loader_free(some);
    plm_dataset_free(test);
    plm_graph_free(net);
    plm_ctx_free(ctx);
    return ok && score.acc > 0.85;
}

int main(void)
{
    return train_and_save("digits.safetensors") && open_and_predict("digits.safetensors") ? 0 : 1;
}

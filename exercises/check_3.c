/* check_3.c: exercise 3's prediction beside what AGD's first step does, in a convolutional network of many widths. */
#include "exercises.h"

#include <math.h>
#include <stdio.h>

static plm_graph *build(plm_ctx *ctx, plm_shape x)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_conv2d(plm_nn_input(net, x), &(plm_conv2d_desc){ .name = "conv", .out = 24, .pad = 1 });
    h = plm_nn_conv2d(plm_nn_relu(h, NULL), &(plm_conv2d_desc){ .name = "deeper", .out = 12, .kernel = 5 });
    h = plm_nn_flatten(plm_nn_relu(h, NULL));
    h = plm_nn_linear(h, &(plm_linear_desc){ .name = "wide", .out = 300 });
    plm_graph_output(plm_nn_linear(plm_nn_relu(h, NULL), &(plm_linear_desc){ .name = "final", .out = 10 }), "logits");
    return net;
}

static bool first_step(plm_graph *net, plm_optimizer *agd, plm_dataset *data)
{
    plm_loader *loader = plm_loader_new(data, &(plm_loader_desc){ .batch = 64 });
    plm_tape   *tape   = plm_tape_new(plm_graph_ctx(net), NULL);
    plm_batch   batch;
    const bool  ok = plm_loader_next(loader, &batch) &&
                    plm_backward(plm_mse_onehot(plm_graph_apply(net, plm_tape_input(tape, batch.x)), batch.y, NULL)) &&
                    plm_optimizer_step(agd);
    plm_tape_free(tape);
    plm_loader_free(loader);
    return ok;
}

int main(void)
{
    plm_ctx       *ctx  = plm_ctx_new(NULL);
    plm_dataset   *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph     *net  = build(ctx, plm_dataset_x_shape(data));
    plm_optimizer *agd  = plm_agd_new(net, NULL);
    bool           all  = first_step(net, agd, data);
    if (!all) fprintf(stderr, "%s\n", plm_ctx_error(ctx));

    const plm_step_info *info = plm_optimizer_info(agd);
    if (all) printf("%-8s %6s %6s %5s %12s %12s\n", "layer", "d_out", "d_in", "taps", "predicted", "taken");
    for (int k = 0; all && k < info->layers; k++) {
        const plm_layer *l         = plm_graph_layer(net, k);
        const double     predicted = exercise_first_step(l, info->layers, info->eta);
        printf("%-8s %6lld %6lld %5d %12.6f %12.6f\n", l->name, (long long)l->d_out, (long long)l->d_in,
               l->kernel_h * l->kernel_w, predicted, info->update[k]);
        all = fabs(predicted / info->update[k] - 1) < 1e-3 && all;
    }
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    return exercise_verdict(all);
}

/* check_4.c: exercise 4's step in networks of many shapes, as an optimiser of its own. */
#include "exercises.h"

#include <math.h>
#include <stdio.h>

static bool begin(plm_optimizer *o)
{
    const int L = plm_optimizer_weights(o);
    double    G = 0;
    for (int i = 0; plm_optimizer_param(o, i); i++) {
        const plm_param_view *v = plm_optimizer_param(o, i);
        G += sqrt((double)v->layer->d_out / (double)v->layer->d_in * v->square[0]) / L;
    }
    const double eta = log((1 + sqrt(1 + 4 * G)) / 2);
    for (int i = 0; plm_optimizer_param(o, i); i++) {
        plm_param_view *v    = plm_optimizer_param(o, i);
        const double    step = exercise_step(eta, L, (double)v->layer->d_out, (double)v->layer->d_in);
        v->coefficient[0]    = v->square[0] > 0 ? step / sqrt(v->square[0]) : 0;
    }
    plm_optimizer_report(o, eta, G);
    return true;
}

static void delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    (void)o;
    plm_view_scale(v, v->g, d);
}

static const plm_optimizer_kind normalised = {
    .name = "normalised", .init = PLM_INIT_AGD, .norms = true, .begin = begin, .delta = delta
};

typedef struct {
    int     depth;
    int64_t width;
    bool    wide_input; /* every pixel stands 64 times in the input */
} shape;

static plm_graph *build(plm_ctx *ctx, plm_shape x, shape n)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_flatten(plm_nn_input(net, x));
    for (int i = 0; n.wide_input && i < 2; i++) h = plm_nn_concat((plm_node[8]){ h, h, h, h, h, h, h, h }, 8, NULL);
    plm_graph_output(plm_zoo_fcn(h, 10, &(plm_fcn_desc){ .depth = n.depth, .width = n.width }), "logits");
    return net;
}

/* Accuracy on the test split after 20 epochs; a network that diverged has learnt nothing. */
static double train(shape n)
{
    plm_ctx       *ctx  = plm_ctx_new(NULL);
    plm_dataset   *test = NULL, *data = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .other = &test });
    plm_graph     *net  = build(ctx, plm_dataset_x_shape(data), n);
    plm_optimizer *o    = plm_optimizer_new(net, &normalised, NULL);
    plm_epoch      last = { 0 };
    const bool     ok   = plm_train(net, o, data, &(plm_train_desc){ .epochs = 20, .batch = 64, .test = test }, &last);
    if (!ok && plm_ctx_status(ctx) != PLM_ERR_NONFINITE) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_dataset_free(test);
    plm_ctx_free(ctx);
    return ok ? last.test.acc : 0;
}

int main(void)
{
    static const shape network[] = { { 2, 64, false },   { 2, 1024, false }, { 16, 64, false },
                                     { 32, 128, false }, { 2, 16, true },    { 8, 64, true } };
    bool               all       = true;
    printf("%5s %5s %6s %9s   (chance 0.100)\n", "depth", "width", "inputs", "accuracy");
    for (size_t i = 0; i < sizeof network / sizeof *network; i++) {
        const double accuracy = train(network[i]);
        printf("%5d %5lld %6d %9.3f\n", network[i].depth, (long long)network[i].width,
               network[i].wide_input ? 4096 : 64, accuracy);
        all = all && accuracy > 0.8;
    }
    return exercise_verdict(all);
}

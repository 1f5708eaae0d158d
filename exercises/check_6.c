/* check_6.c: four steps of exercise 6's optimiser beside the same in doubles, for a matrix and a 3x3 convolution. */
#include "exercises.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LAYERS = 2, STEPS = 4, BATCH = 8, PIXELS = 36 };

typedef struct {
    int64_t n;
    int     taps;
    double  scale;
    double *w, *m;
    float  *g, *now;
} expected;

static plm_graph *build(plm_ctx *ctx)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_conv2d(plm_nn_input(net, plm_shape_of(1, 6, 6)), &(plm_conv2d_desc){ .out = 5, .pad = 1 });
    h              = plm_nn_flatten(plm_nn_relu(h, NULL));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 3 }), "logits");
    return net;
}

static bool expected_new(expected *e, const plm_layer *l)
{
    e->n     = l->d_out * plm_layer_fan_in(l);
    e->taps  = l->kernel_h * l->kernel_w;
    e->scale = sqrt((double)l->d_out / (double)plm_layer_fan_in(l));
    e->w     = calloc((size_t)e->n, sizeof *e->w);
    e->m     = calloc((size_t)e->n, sizeof *e->m);
    e->g     = calloc((size_t)e->n, sizeof *e->g);
    e->now   = calloc((size_t)e->n, sizeof *e->now);
    if (!e->w || !e->m || !e->g || !e->now || !plm_param_read(l->weight, e->now, e->n)) return false;
    for (int64_t i = 0; i < e->n; i++) e->w[i] = (double)e->now[i];
    return true;
}

static double norm_of(const expected *e, int tap)
{
    double sum = 0;
    for (int64_t i = tap; i < e->n; i += e->taps) sum += e->m[i] * e->m[i];
    return sqrt(sum);
}

/* The step in doubles, from the gradients of the network. */
static void step(expected e[LAYERS])
{
    double G = 0;
    for (int k = 0; k < LAYERS; k++) {
        for (int64_t i = 0; i < e[k].n; i++) e[k].m[i] = 0.9 * e[k].m[i] + 0.1 * (double)e[k].g[i];
        for (int tap = 0; tap < e[k].taps; tap++) G += e[k].scale * norm_of(&e[k], tap) / LAYERS;
    }
    const double eta = log((1 + sqrt(1 + 4 * G)) / 2);
    for (int k = 0; k < LAYERS; k++)
        for (int tap = 0; tap < e[k].taps; tap++) {
            const double c = eta / LAYERS * e[k].scale / norm_of(&e[k], tap);
            for (int64_t i = tap; i < e[k].n; i += e[k].taps) e[k].w[i] -= c * e[k].m[i];
        }
}

static double worst_difference(const expected *e, plm_param *weight)
{
    double worst = 0;
    if (!plm_param_read(weight, e->now, e->n)) return (double)NAN;
    for (int64_t i = 0; i < e->n; i++) worst = fmax(worst, fabs(e->w[i] - (double)e->now[i]));
    return worst;
}

static bool run(plm_graph *net, plm_optimizer *o, plm_tape *tape, expected e[LAYERS])
{
    float   x[BATCH * PIXELS];
    int64_t y[BATCH];
    bool    all = true;
    for (int t = 0; t < STEPS; t++) {
        for (int i = 0; i < BATCH * PIXELS; i++) x[i] = sinf((float)(i * (i + t)));
        for (int i = 0; i < BATCH; i++) y[i] = (i + t) % 3;
        const plm_tensor in = plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, 1, 6, 6), x);
        const plm_val    f  = plm_graph_apply(net, plm_tape_input(tape, in));
        if (!plm_backward(plm_mse_onehot(f, plm_tensor_wrap(PLM_I64, plm_shape_of(BATCH), y), NULL))) return false;
        for (int k = 0; k < LAYERS; k++)
            if (!plm_param_read_grad(plm_graph_layer(net, k)->weight, e[k].g, e[k].n)) return false;
        step(e);
        if (!plm_optimizer_step(o)) return false;
        plm_tape_reset(tape);
        for (int k = 0; k < LAYERS; k++) {
            const double worst = worst_difference(&e[k], plm_graph_layer(net, k)->weight);
            printf("step %d  %-8s largest difference of a weight %.1e\n", t + 1, plm_graph_layer(net, k)->name, worst);
            all = all && worst < 1e-5;
        }
    }
    return all;
}

int main(void)
{
    plm_ctx       *ctx       = plm_ctx_new(NULL);
    plm_graph     *net       = build(ctx);
    plm_optimizer *o         = plm_optimizer_new(net, &exercise_momentum, NULL);
    plm_tape      *tape      = plm_tape_new(ctx, NULL);
    expected       e[LAYERS] = { 0 };
    bool           ok        = o && tape;
    for (int k = 0; ok && k < LAYERS; k++) ok = expected_new(&e[k], plm_graph_layer(net, k));
    ok = ok && run(net, o, tape, e);
    if (plm_ctx_status(ctx) != PLM_OK) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    for (int k = 0; k < LAYERS; k++) free(e[k].w), free(e[k].m), free(e[k].g), free(e[k].now);
    plm_tape_free(tape);
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_ctx_free(ctx);
    return exercise_verdict(ok);
}

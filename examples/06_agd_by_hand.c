/* 06_agd_by_hand.c introduces Automatic Gradient Descent (AGD): its step from the facts of plm_layer alone, beside plm_agd's.
 *
 *   s_k = sqrt(d_k / (d_{k-1} taps))          G = (1/L) sum_k s_k sum_taps ||g_tap||_F
 *   eta = log((1 + sqrt(1 + 4 G)) / 2)        w_tap -= (eta / L) s_k g_tap / ||g_tap||_F */
#include <math.h>
#include <plummet/plummet.h>
#include <stdio.h>
#include <stdlib.h>

static double tap_norm(const float *g, int64_t matrices, int taps, int tap)
{
    double sum = 0;
    for (int64_t i = 0; i < matrices; i++) sum += (double)g[i * taps + tap] * (double)g[i * taps + tap];
    return sqrt(sum);
}

int main(void)
{
    float   x[4 * 3 * 8 * 8];
    int64_t y[4] = { 0, 1, 2, 1 };
    for (int i = 0; i < 4 * 3 * 8 * 8; i++) x[i] = sinf((float)(i * i));

    plm_ctx   *ctx = plm_ctx_new(NULL);
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_relu(
            plm_nn_conv2d(plm_nn_input(net, plm_shape_of(3, 8, 8)), &(plm_conv2d_desc){ .out = 8, .pad = 1 }), NULL);
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = 3 }), "logits");
    plm_optimizer *agd  = plm_agd_new(net, NULL);
    plm_tape      *tape = plm_tape_new(ctx, NULL);
    const plm_val  out =
        plm_graph_apply(net, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(4, 3, 8, 8), x)));
    bool ok = plm_backward(plm_mse_onehot(out, plm_tensor_wrap(PLM_I64, plm_shape_of(4), y), NULL));

    const int L    = plm_graph_layer_count(net);
    float    *w[2] = { NULL }, *g[2] = { NULL };
    double    G = 0, worst = 0;
    for (int k = 0; ok && k < L; k++) { /* weights [d_out, d_in, taps] in row-major order, as everywhere in the API */
        const plm_layer *l    = plm_graph_layer(net, k);
        const int64_t    n    = l->d_out * plm_layer_fan_in(l);
        const int        taps = l->kernel_h * l->kernel_w;
        const double     s    = sqrt((double)l->d_out / (double)plm_layer_fan_in(l));
        w[k]                  = malloc((size_t)n * sizeof(float));
        g[k]                  = malloc((size_t)n * sizeof(float));
        ok = w[k] && g[k] && plm_param_read(l->weight, w[k], n) && plm_param_read_grad(l->weight, g[k], n);
        for (int tap = 0; ok && tap < taps; tap++) G += s * tap_norm(g[k], n / taps, taps, tap) / L;
        printf("%-8s d_out %3lld  d_in %3lld  %d taps  s = %.4f\n", l->name, (long long)l->d_out, (long long)l->d_in,
               taps, s);
    }
    const double eta     = log((1 + sqrt(1 + 4 * G)) / 2);
    ok                   = ok && plm_optimizer_step(agd);
    const double agd_eta = plm_optimizer_info(agd)->eta;
    printf("G    by hand %.6f   plm_agd %.6f\neta  by hand %.6f   plm_agd %.6f\n", G, plm_optimizer_info(agd)->G, eta,
           plm_optimizer_info(agd)->eta);

    for (int k = 0; k < L; k++) {
        const plm_layer *l    = plm_graph_layer(net, k);
        const int64_t    n    = l->d_out * plm_layer_fan_in(l);
        const int        taps = l->kernel_h * l->kernel_w;
        const double     s    = sqrt((double)l->d_out / (double)plm_layer_fan_in(l));
        float           *now  = ok ? malloc((size_t)n * sizeof(float)) : NULL;
        ok                    = now && plm_param_read(l->weight, now, n);
        for (int64_t i = 0; ok && i < n; i++) {
            const double norm = tap_norm(g[k], n / taps, taps, (int)(i % taps));
            const double hand = (double)w[k][i] - eta / L * s * (double)g[k][i] / norm;
            worst             = fmax(worst, fabs(hand - (double)now[i]));
        }
        free(now), free(w[k]), free(g[k]);
    }
    printf("largest difference of a weight after the step: %.1e\n", worst);
    if (plm_ctx_status(ctx) != PLM_OK) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_tape_free(tape);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_ctx_free(ctx);
    return ok && worst < 1e-6 && fabs(eta - agd_eta) < 1e-6 ? 0 : 1;
}

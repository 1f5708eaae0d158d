/* 10_weight_erasure.c introduces what training leaves of the weights that it began with.  A letter of zeros is written into the
 * hidden matrix of a network; several optimisers train it for as many steps each: is the letter still there?
 *
 *     ./example_10_weight_erasure [epochs [width [seed]]]        writes erasure-start.pgm, erasure-adam.pgm ...
 *
 * A gradient has few large singular values.  Steps along it, or along its signs, change the matrix much in few directions and most
 * of its elements little; the orthogonalised step U V^T changes it as much in every direction, and the first weights drown.
 * Sources: Jesus et al. 2021, arXiv 2012.02550 (the letter); Bernstein & Newhouse 2024, arXiv 2410.21265, and Bernstein's "Weight
 * erasure" in the docs of Modula, https://docs.modula.systems. */
#include <math.h>
#include <plummet/plummet.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const letter[8] = { "........", ".#####..", ".#....#.", ".#....#.",
                                       ".#####..", ".#......", ".#......", "........" };

static bool inside(int64_t i, int64_t n) /* is element i of an n x n matrix part of the letter? */
{
    return letter[i / n * 8 / n][i % n * 8 / n] == '#';
}

/* 1 - rms(w in the letter) / rms(w around it): 1 for zeros in a matrix of noise, 0 when nothing tells them apart */
static double left(const float *w, int64_t n)
{
    double square[2] = { 0 }, count[2] = { 0 };
    for (int64_t i = 0; i < n * n; i++) {
        square[inside(i, n)] += (double)w[i] * (double)w[i];
        count[inside(i, n)]++;
    }
    return 1 - sqrt(square[1] / count[1] / (square[0] / count[0]));
}

/* Gray is 0; black and white are 3 rms and more. */
static bool picture(plm_ctx *ctx, const char *name, const float *w, int64_t n)
{
    char path[64];
    snprintf(path, sizeof path, "erasure-%s.pgm", name);
    FILE        *file = fopen(path, "wb");
    const double rms  = plm_frobenius_norm(ctx, w, n, n) / (double)n;
    if (!file) return false;
    fprintf(file, "P5 %d %d 255\n", (int)n, (int)n);
    for (int64_t i = 0; i < n * n; i++) fputc((int)(127.5 + 127.5 * fmin(fmax((double)w[i] / (3 * rms), -1), 1)), file);
    return fclose(file) == 0;
}

enum { AGD, ADAM, ADAM_FAST, MUON, SPECTRAL, KINDS };
static const char *const names[KINDS] = { "agd", "adam", "adam-fast", "muon", "spectral-agd" };

static plm_optimizer *optimizer(plm_graph *net, int kind)
{
    if (kind == AGD) return plm_agd_new(net, NULL);
    if (kind == ADAM) return plm_adam_new(net, NULL); /* its usual rate of 1e-3 */
    if (kind == ADAM_FAST) return plm_adam_new(net, &(plm_adam_desc){ .lr = 1e-2 });
    return kind == MUON ? plm_muon_new(net, NULL) /* of 0.02 */ : plm_spectral_agd_new(net, NULL);
}

/* How much of the letter is left; nan on an error. */
static double train(plm_dataset *data, plm_ctx *ctx, int kind, int epochs, int64_t n, float *start, float *w)
{
    plm_graph     *net = plm_graph_new(ctx);
    const plm_node x   = plm_nn_input(net, plm_dataset_x_shape(data));
    plm_graph_output(plm_zoo_fcn(x, 10, &(plm_fcn_desc){ .depth = 3, .width = n }), "logits");
    plm_optimizer *opt    = plm_graph_init(net, PLM_INIT_AGD) ? optimizer(net, kind) : NULL;
    plm_param     *hidden = opt ? plm_graph_layer(net, 1)->weight : NULL;
    plm_epoch      last   = { 0 };
    bool           ok     = hidden && plm_param_read(hidden, start, n * n);
    for (int64_t i = 0; ok && i < n * n; i++) start[i] = inside(i, n) ? 0 : start[i];
    ok = ok && plm_param_write(hidden, start, n * n) && picture(ctx, "start", start, n) &&
         plm_train(net, opt, data, &(plm_train_desc){ .epochs = epochs, .batch = 100 }, &last) &&
         plm_param_read(hidden, w, n * n) && picture(ctx, names[kind], w, n);
    const double now = ok ? left(w, n) : NAN, norm = ok ? plm_frobenius_norm(ctx, start, n, n) : NAN;
    for (int64_t i = 0; ok && i < n * n; i++) w[i] -= start[i];
    if (ok)
        printf("%-12s  %.4f    %.2f      %4.1f        %.2f\n", names[kind], last.train.loss,
               plm_frobenius_norm(ctx, w, n, n) / norm, plm_stable_rank(ctx, w, n, n), now);
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return now;
}

int main(int argc, char **argv)
{
    const int     epochs = argc > 1 ? atoi(argv[1]) : 30;
    const int64_t n      = argc > 2 ? atoi(argv[2]) : 128;
    plm_ctx     *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0 });
    plm_dataset *data  = plm_dataset_named(ctx, "digits", NULL);
    float       *start = malloc((size_t)(n * n) * sizeof *start), *w = malloc((size_t)(n * n) * sizeof *w);
    double       now[KINDS] = { 0 };
    printf("3 layers of %d, %d epochs\n              loss    |dW|/|W|  rank of dW  letter left\n", (int)n, epochs);
    for (int kind = 0; data && start && w && kind < KINDS; kind++)
        now[kind] = train(data, ctx, kind, epochs, n, start, w);
    fprintf(stderr, "%s", plm_ctx_error(ctx));
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    free(start), free(w);
    return now[AGD] > 0.4 && now[ADAM] > 0.4 && now[MUON] < 0.25 && now[SPECTRAL] < 0.25 ? 0 : 1;
}

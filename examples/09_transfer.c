/* 09_transfer.c introduces transfer: does the learning rate that is best for one network suit another?  Gradient descent (SGD)
 * with a grid of rates, and Automatic Gradient Descent (AGD), which has none, over depth and over width:
 *
 *     ./example_09_transfer [epochs [seed]] && firefox transfer.svg
 *
 * All begin with AGD's weights, so that only the rule differs.  Sources: Bernstein et al. 2023, arXiv 2304.05187 (AGD over depth
 * and width); Yang et al. 2022, arXiv 2203.03466 (the best rate moves with the width). */
#include <math.h>
#include <plummet/plummet.h>
#include <stdio.h>
#include <stdlib.h>

enum { RATES = 5, AGD = RATES, NETS = 6 }; /* AGD stands behind the rates */
static const double rates[RATES] = { 0.01, 0.03, 0.1, 0.3, 1 };

typedef struct {
    int    depth, width, best; /* best: of SGD's rates */
    double loss[RATES + 1];    /* of the training data at the end; infinity: diverged */
} network;

static double final_loss(plm_ctx *ctx, plm_dataset *data, const network *n, int r, int epochs)
{
    plm_graph     *net = plm_graph_new(ctx);
    const plm_node x   = plm_nn_input(net, plm_dataset_x_shape(data));
    plm_graph_output(plm_zoo_fcn(x, 10, &(plm_fcn_desc){ .depth = n->depth, .width = n->width }), "logits");
    plm_graph_init(net, PLM_INIT_AGD);
    plm_optimizer *opt   = r == AGD ? plm_agd_new(net, NULL) : plm_sgd_new(net, &(plm_sgd_desc){ .lr = rates[r] });
    plm_score      score = { 0 };
    const bool     done  = plm_train(net, opt, data, &(plm_train_desc){ .epochs = epochs, .batch = 100 }, NULL) &&
                      plm_evaluate(net, data, PLM_LOSS_MSE, 0, &score);
    if (plm_ctx_status(ctx) == PLM_ERR_NONFINITE) plm_ctx_clear(ctx); /* diverged: a result, not a failure */
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return done ? score.loss : INFINITY;
}

static double height(double loss) /* in the picture: 0 for 1 and more, 200 for 0.03 */
{
    return 200 * log(fmin(loss, 1)) / log(0.03);
}

static void panel(FILE *svg, int left, const char *title, const network *nets)
{
    static const char *const colours[] = { "#1b6ca8", "#d1495b", "#2e8b57" };
    fprintf(svg, "<g transform='translate(%d 40)'><text y='-20'>%s</text>", left, title);
    fputs("<path d='M0 0v200h240' stroke='#000' fill='none'/><text x='-12' y='4'>1</text>", svg);
    for (int r = 0; r < RATES; r++) fprintf(svg, "<text x='%d' y='216'>%g</text>", 60 * r - 8, rates[r]);
    for (int i = 0; i < NETS / 2; i++) {
        const network *n = &nets[i];
        fprintf(svg, "\n<text x='6' y='%d' fill='%s'>%d x %d</text>", 162 + 14 * i, colours[i], n->depth, n->width);
        fprintf(svg, "<g stroke='%s' fill='none'><path d='M0 %.1fh240' stroke-dasharray='4'/>", colours[i],
                height(n->loss[AGD]));
        fprintf(svg, "<circle cx='%d' cy='%.1f' r='4'/><polyline points='", 60 * n->best, height(n->loss[n->best]));
        for (int r = 0; r < RATES; r++) fprintf(svg, "%d,%.1f ", 60 * r, height(n->loss[r]));
        fputs("'/></g>", svg);
    }
    fputs("</g>\n", svg);
}

static bool draw(const char *path, const network *nets)
{
    FILE *svg = fopen(path, "w");
    if (!svg) return false;
    fputs("<svg xmlns='http://www.w3.org/2000/svg' width='620' height='270' font-size='11' style='background:#fff'>\n",
          svg);
    panel(svg, 30, "training loss (to 0.03) over SGD's rate; dashed: AGD", nets);
    panel(svg, 350, "by width", nets + NETS / 2);
    fputs("</svg>\n", svg);
    return fclose(svg) == 0;
}

int main(int argc, char **argv)
{
    network      nets[NETS] = { { 2, 64, 0, { 0 } }, { 8, 64, 0, { 0 } }, { 32, 64, 0, { 0 } },
                                { 4, 16, 0, { 0 } }, { 4, 64, 0, { 0 } }, { 4, 512, 0, { 0 } } };
    const int    epochs     = argc > 1 ? atoi(argv[1]) : 10;
    plm_ctx     *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0 });
    plm_dataset *data = plm_dataset_named(ctx, "digits", NULL);
    bool         ok   = data;
    printf("training loss after %d epochs (inf: diverged, *: SGD's best)\nnetwork  ", epochs);
    for (int r = 0; r < RATES; r++) printf("  sgd %-5g", rates[r]);
    printf("  agd\n");
    for (network *n = nets; ok && n < nets + NETS; n++) {
        printf("%2d x %-4d ", n->depth, n->width);
        for (int r = 0; r <= AGD; r++) n->loss[r] = final_loss(ctx, data, n, r, epochs);
        for (int r = 0; r < RATES; r++) n->best = n->loss[r] < n->loss[n->best] ? r : n->best;
        for (int r = 0; r <= AGD; r++) printf("%8.4f%s", n->loss[r], r == AGD ? "\n" : r == n->best ? "*  " : "   ");
        ok = plm_ctx_status(ctx) == PLM_OK && n->loss[AGD] < 0.9;
    }
    ok = ok && draw("transfer.svg", nets);
    printf("best rate: %g at depth 2, %g at depth 32; %g at width 16, %g at width 512\n%s", rates[nets[0].best],
           rates[nets[2].best], rates[nets[3].best], rates[nets[5].best], plm_ctx_error(ctx));
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    return ok && nets[0].best > nets[2].best && nets[3].best > nets[5].best ? 0 : 1;
}

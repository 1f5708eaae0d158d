/* explain_text.c: what plummet explain found out, to be read in a terminal. */
#include "explain.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A number in so many columns, "-" for one that is not known. */
static const char *number(double x, char text[32])
{
    if (isnan(x)) snprintf(text, 32, "-");
    else snprintf(text, 32, "%.4g", x);
    return text;
}

static void column(FILE *to, int width, double x)
{
    char text[32];
    fprintf(to, " %*s", width, number(x, text));
}

static int name_width(const cli_case *c)
{
    int width = 5;
    for (int k = 0; k < plm_explain_layers(c->explain); k++) {
        const int length = (int)strlen(plm_explain_layer(c->explain, k)->layer->name);
        if (length > width) width = length;
    }
    return width;
}

static void print_layers(const cli_case *c, FILE *to)
{
    const int width = name_width(c);
    fprintf(to,
            "\nThe layers.  AGD's step of each matrix: W -= (eta/L) s_k g/||g||_F, s_k = sqrt(d_out / (d_in taps)).\n");
    fprintf(to, "%-*s %14s %8s %8s %9s %9s %9s %9s %9s %12s\n", width, "layer", "matrices", "d_in", "d_out", "s_k",
            "||W||_op", "as a map", "at s_k", "1/L", "||dW||/||W||");
    for (int k = 0; k < plm_explain_layers(c->explain); k++) {
        const plm_layer_facts *f = plm_explain_layer(c->explain, k);
        const plm_layer       *l = f->layer;
        char                   matrices[48];
        snprintf(matrices, sizeof matrices, "%dx%d%s", l->kernel_h, l->kernel_w, l->groups > 1 ? " grouped" : "");
        fprintf(to, "%-*s %14s %8lld %8lld", width, l->name, f->matrices == 1 ? "1" : matrices, (long long)l->d_in,
                (long long)l->d_out);
        column(to, 9, f->scale);
        column(to, 9, f->op);
        column(to, 9, f->map);
        column(to, 9, f->map_prescribed);
        column(to, 9, f->share);
        column(to, 8, f->per_eta);
        fprintf(to, " eta\n");
    }
}

static void print_bounds(const cli_case *c, FILE *to)
{
    plm_node_info node;
    int           width = 4;
    for (int i = 0; i < plm_graph_node_count(c->net) && plm_graph_node_info(c->net, i, &node); i++)
        if ((int)strlen(node.name) > width) width = (int)strlen(node.name);
    fprintf(to, "\nHow far each node can carry a sample x: ||h|| is at most so many times ||x||.\n");
    fprintf(to, "%-*s %-12s %9s %12s %12s  %s\n", width, "node", "kind", "factor", "prescribed", "as is", "why");
    for (int i = 0; i < plm_graph_node_count(c->net) && plm_graph_node_info(c->net, i, &node); i++) {
        const plm_node_bound *b = plm_explain_node(c->explain, i);
        fprintf(to, "%-*s %-12s", width, node.name, node.kind);
        column(to, 9, node.lipschitz.factor);
        column(to, 12, b->gain_prescribed);
        column(to, 12, b->gain);
        fprintf(to, "  %s\n", node.lipschitz.why);
    }
}

static void print_step(const cli_case *c, FILE *to)
{
    const int width = name_width(c);
    fprintf(to, "\nOne step on %lld samples, loss %s: the gradient of each layer, and what becomes of it.\n",
            (long long)c->step.samples, c->settings.theory ? "square" : c->settings.loss);
    fprintf(to, "%-*s %10s %10s %10s %8s %10s %8s %12s %10s\n", width, "layer", "||g||_F", "bound", "||g||_op",
            "st.rank", "in G", "share", "||dW||/||W||", "||dW||_op");
    for (int k = 0; k < plm_explain_layers(c->explain); k++) {
        const plm_layer_step *s = &c->layer[k];
        fprintf(to, "%-*s", width, plm_explain_layer(c->explain, k)->layer->name);
        column(to, 10, s->grad);
        column(to, 10, s->grad_bound);
        column(to, 10, s->grad_op);
        column(to, 8, s->stable_rank);
        column(to, 10, s->contribution);
        fprintf(to, " %7.1f%%", c->step.G > 0 ? 100 * s->contribution / c->step.G : 0);
        column(to, 12, s->update);
        column(to, 10, s->update_op);
        fprintf(to, "\n");
    }
}

static void print_lines(const cli_case *c, FILE *to)
{
    static const char *const title[][2] = { { "output", "The output bound" },
                                            { "step", "The step" },
                                            { "trust", "Deep relative trust" },
                                            { "majorisation", "Majorise, minimise" } };
    cli_line                 line[CLI_MAX_LINES];
    const int                count = cli_explain_lines(c, line);
    for (size_t t = 0; t < sizeof title / sizeof *title; t++) {
        fprintf(to, "\n%s\n", title[t][1]);
        for (int i = 0; i < count; i++) {
            if (strcmp(line[i].section, title[t][0]) != 0) continue;
            char text[32];
            fprintf(to, "  %-18s %10s   %s%s%s\n", line[i].key, number(line[i].value, text), line[i].formula,
                    *line[i].meaning ? ": " : "", line[i].meaning);
        }
    }
}

static void print_assumptions(const cli_case *c, FILE *to)
{
    cli_assumption a[CLI_MAX_ASSUMPTIONS];
    const int      count = cli_explain_assumptions(c, a);
    fprintf(to, "\nWhat the theory assumes\n");
    for (int i = 0; i < count; i++)
        fprintf(to, "  %-4s %s%s%s\n", a[i].holds ? "yes" : "NO", a[i].what, *a[i].note ? ": " : "", a[i].note);
}

static void print_rival(const char *name, const plm_step_terms *t, FILE *to)
{
    fprintf(to, "%-14s", name);
    column(to, 10, t->rate);
    column(to, 11, t->linear);
    column(to, 11, t->loss_after - t->loss);
    column(to, 10, t->trust);
    column(to, 10, t->df_rms);
    fprintf(to, "\n");
}

static void print_rivals(const cli_explained *x, FILE *to)
{
    const cli_case *c     = &x->base;
    const int       width = name_width(c);
    fprintf(to, "\nThe first steps of others, from the same weights with the same gradient\n");
    fprintf(to, "%-14s %10s %11s %11s %10s %10s\n", "", "rate", "<g, dW>", "loss change", "trust", "rms ||df||");
    print_rival("agd", &c->step, to);
    for (int i = 0; i < x->rivals; i++) print_rival(x->rival[i].name, &x->rival[i].step, to);
    fprintf(to, "||dW||/||W||\n%-*s %10s", width, "layer", "agd");
    for (int i = 0; i < x->rivals; i++) fprintf(to, " %10s", x->rival[i].name);
    for (int k = 0; k < plm_explain_layers(c->explain); k++) {
        assert(c->layer);
        fprintf(to, "\n%-*s", width, plm_explain_layer(c->explain, k)->layer->name);
        column(to, 10, c->layer[k].update);
        for (int i = 0; i < x->rivals; i++) column(to, 10, x->rival[i].layer[k].update);
    }
    fprintf(to, "\n");
}

static void print_case(const char *name, const cli_case *c, FILE *to)
{
    const plm_graph_info   info = plm_graph_summary(c->net);
    const int              L    = plm_explain_layers(c->explain);
    const plm_layer_facts *in = plm_explain_layer(c->explain, 0), *mid = plm_explain_layer(c->explain, L / 2),
                          *out = plm_explain_layer(c->explain, L - 1);
    char count[32];
    fprintf(to, "%-20s %4d %14s", name, plm_explain_weights(c->explain), cli_count_text(info.parameters, count));
    column(to, 9, in->scale);
    column(to, 9, mid->scale);
    column(to, 9, out->scale);
    column(to, 11, mid->per_eta);
    column(to, 9, c->layer ? c->step.G : (double)NAN);
    column(to, 9, c->layer ? c->step.eta : (double)NAN);
    column(to, 11, c->layer ? c->layer[L / 2].update : (double)NAN);
    column(to, 11, c->layer ? c->step.loss_after - c->step.loss : (double)NAN);
    fprintf(to, "\n");
}

static void print_what_ifs(const cli_explained *x, FILE *to)
{
    fprintf(to, "\nWhat if.  First, middle and last layer's s_k; the middle one's ||dW||/||W||\n");
    fprintf(to, "%-20s %4s %14s %9s %9s %9s %11s %9s %9s %11s %11s\n", "", "L", "parameters", "s_first", "s_mid",
            "s_last", "mid per eta", "G", "eta", "mid update", "loss change");
    print_case("as asked", &x->base, to);
    for (int i = 0; i < x->what_ifs; i++) print_case(x->what_if[i].change, &x->what_if[i], to);
}

bool cli_explain_text(plm_ctx *ctx, const cli_explained *x, FILE *to)
{
    const cli_settings  *s    = x->settings;
    const plm_graph_info info = plm_graph_summary(x->base.net);
    char                 count[32];
    (void)ctx;
    fprintf(to, "%s on %s: L = %d weight layers, %s parameters; seed %lld%s\n", s->weights ? s->weights : s->arch,
            s->dataset, plm_explain_weights(x->base.explain), cli_count_text(info.parameters, count),
            (long long)s->seed,
            s->theory ? "; as in theory: plain ReLUs, loss square, all samples, each with ||x|| = sqrt(d_0)" : "");
    print_layers(&x->base, to);
    print_bounds(&x->base, to);
    if (x->base.layer) print_step(&x->base, to);
    print_lines(&x->base, to);
    print_assumptions(&x->base, to);
    if (x->rivals > 0) print_rivals(x, to);
    if (x->what_ifs > 0) print_what_ifs(x, to);
    return true;
}

/* explain_lines.c: the derivation of AGD's step, line by line, with a network's numbers; and the theory's assumptions.
 *
 * docs/agd.md tells the same with the reasons.  A number that is not known, as no bound passes a batch norm, is nan. */
#include "explain.h"

#include <math.h>
#include <string.h>

/* Under the theory's assumptions every s_k ||g_k||_F is at most 2, hence G, hence eta <= log((1 + 3) / 2). */
#define MOST_G 2.0

typedef struct {
    const cli_case *c;
    cli_line       *line;
    int             count;
    const char     *section;
} writer;

static void add(writer *w, const char *key, const char *formula, double value, const char *meaning)
{
    if (w->count < CLI_MAX_LINES) w->line[w->count++] = (cli_line){ w->section, key, formula, meaning, value };
}

static double count_of(plm_shape s)
{
    return (double)plm_shape_count(s);
}

static void output_lines(writer *w)
{
    const plm_graph      *net = w->c->net;
    const plm_node_bound *out = plm_explain_output(w->c->explain);
    const double          d_0 = count_of(plm_graph_input_shape(net)), d_L = count_of(plm_graph_output_shape(net));
    w->section = "output";
    add(w, "input_size", "||x|| = sqrt(d_0)", sqrt(d_0), "the size that the theory gives every sample");
    add(w, "gain_prescribed", "product of the modules' factors, each weight at its prescribed norm",
        out->gain_prescribed, "||f(x)|| is at most so many times ||x||");
    add(w, "gain", "the same with the weights as they are", out->gain, "");
    add(w, "output_bound", "gain_prescribed sqrt(d_0)", out->gain_prescribed * sqrt(d_0),
        "so large an output can be for such a sample");
    add(w, "output_theory", "sqrt(d_L)", sqrt(d_L), "what that is for a chain of linear layers and plain ReLUs");
}

static void measured_output_lines(writer *w)
{
    const plm_step_terms *t = &w->c->step;
    add(w, "x_rms", "rms ||x||", t->x_rms, "root of the mean square over the samples");
    add(w, "x_max", "max ||x||", t->x_max, "");
    add(w, "f_rms", "rms ||f(x)||", t->f_rms, "");
    add(w, "f_max", "max ||f(x)||", t->f_max, "");
    add(w, "f_bound", "gain max ||x||", t->f_bound, "output bound: no ||f(x)|| of these samples is larger");
}

/* AGD's rate: of the step, or the largest that the theory allows. */
static double eta_of(const cli_case *c)
{
    return c->layer ? c->step.eta : plm_agd_eta(MOST_G, 0.5);
}

static void step_lines(writer *w)
{
    w->section = "step";
    if (w->c->layer) {
        add(w, "G", "(1/L) sum over layers of s_k sum over matrices of ||g||_F", w->c->step.G, "gradient summary");
        add(w, "eta", "log((1 + sqrt(1 + 4 G)) / 2)", w->c->step.eta, "automatic learning rate");
    }
    add(w, "G_most", "s_k ||g||_F <= sqrt(2 loss) <= 2", MOST_G, "the largest G under the theory's assumptions");
    add(w, "eta_most", "log 2", plm_agd_eta(MOST_G, 0.5),
        w->c->layer ? "and the largest eta"
                    : "and the largest eta, taken for eta below, as no step was taken (--step)");
}

static void trust_lines(writer *w)
{
    const plm_graph *net = w->c->net;
    const double     eta = eta_of(w->c), L = plm_explain_weights(w->c->explain);
    const double     d_0 = count_of(plm_graph_input_shape(net)), d_L = count_of(plm_graph_output_shape(net));
    w->section = "trust";
    add(w, "relative_step", "eta/L", eta / L, "||dW||_op / ||W||_op that each matrix may move");
    add(w, "trust_product", "(1 + eta/L)^L - 1", pow(1 + eta / L, L) - 1, "what a chain of L layers makes of that");
    add(w, "trust_exponential", "e^eta - 1", exp(eta) - 1, "bounds it for every L: depth drops out");
    add(w, "trust_bound", "the walk along this graph, times sqrt(d_0)",
        plm_explain_trust(w->c->explain, eta) * sqrt(d_0),
        "deep relative trust: no ||df|| is larger, at prescribed norms");
    add(w, "trust_theory", "sqrt(d_L) (e^eta - 1)", sqrt(d_L) * (exp(eta) - 1), "what that is at most in a chain");
    if (!w->c->layer) return;
    const plm_step_terms *t = &w->c->step;
    add(w, "trust", "product over layers of (1 + ||dW||/||W||) - 1", t->trust,
        "the step that was taken, layers as maps");
    add(w, "df_rms", "rms ||df||", t->df_rms, "the outputs before and after, subtracted");
    add(w, "df_max", "max ||df||", t->df_max, "");
    add(w, "df_bound", "the walk with the measured ||W||, ||dW||, max ||x||", t->df_bound,
        "no ||df|| of these samples is larger");
}

static void majorisation_lines(writer *w)
{
    const int64_t classes = plm_shape_count(plm_graph_output_shape(w->c->net));
    const double  c = plm_loss_curvature(w->c->settings.theory ? PLM_LOSS_SQUARE : cli_loss(&w->c->settings), classes);
    const double  eta = eta_of(w->c), bend = exp(eta) - 1;
    const double  G = w->c->layer ? w->c->step.G : MOST_G;
    w->section      = "majorisation";
    if (w->c->layer) add(w, "loss", "loss(W)", w->c->step.loss, "on these samples, before the step");
    add(w, "curvature", "c", c, "of the loss: square 1/2, mse 1, xent classes/4");
    add(w, "first_order", "-eta G", -eta * G, "the linear part of the change, of a step along -g/||g||_F");
    add(w, "second_order", "c (e^eta - 1)^2", c * bend * bend, "bounds what the loss bends (its Bregman divergence)");
    add(w, "majorisation", "-eta G + c (e^eta - 1)^2", -eta * G + c * bend * bend,
        "bounds the change, but for the remainder");
    add(w, "derivative", "-G + 2 c e^eta (e^eta - 1)", -G + 2 * c * exp(eta) * bend,
        "of that by eta: 0 at the minimum, which AGD's eta is for c = 1/2");
    add(w, "eta_exact", "log((1 + sqrt(1 + 2 G / c)) / 2)", plm_agd_eta(G, c), "the minimum for this loss");
    if (!w->c->layer) return;
    const plm_step_terms *t = &w->c->step;
    add(w, "linear", "<gradient, dW>", t->linear, "the linear part, measured; AGD: -eta G");
    add(w, "remainder", "mean <d loss / d f, df - (linear part of df)>", t->remainder,
        "what the theory leaves out: f is not linear in W");
    add(w, "bregman", "mean of loss(f + df) - loss(f) - <d loss / d f, df>", t->bregman,
        "what the loss bends, measured");
    add(w, "change", "loss(W + dW) - loss(W)", t->loss_after - t->loss, "what happened: the sum of these three");
    add(w, "majorised", "linear + c/d_L (the walk with rms ||x||)^2", t->majorised,
        "the bound with this network's own norms");
    add(w, "exceeds", "change > -eta G + c (e^eta - 1)^2", t->loss_after - t->loss > -eta * G + c * bend * bend,
        "1: the loss fell less than the majorisation says, by the remainder");
}

int cli_explain_lines(const cli_case *c, cli_line lines[CLI_MAX_LINES])
{
    writer w = { .c = c, .line = lines };
    output_lines(&w);
    if (c->layer) measured_output_lines(&w);
    step_lines(&w);
    trust_lines(&w);
    majorisation_lines(&w);
    return w.count;
}

/* ------------------------------------------------------------------ assumptions */

static cli_assumption *assume(cli_assumption *list, int *count, const char *what, bool holds)
{
    cli_assumption *a = &list[(*count)++];
    *a                = (cli_assumption){ .what = what, .holds = holds };
    return a;
}

static void about_modules(const cli_case *c, cli_assumption *list, int *count)
{
    plm_node_info   node;
    cli_assumption *known = assume(list, count, "every module has a Lipschitz bound", true);
    cli_assumption *small = assume(list, count, "no module but the weights enlarges its input", true);
    cli_assumption *chain = assume(list, count, "the network is a chain", true);
    for (int i = 0; i < plm_graph_node_count(c->net) && plm_graph_node_info(c->net, i, &node); i++) {
        if (!node.lipschitz.known && known->holds) {
            known->holds = false;
            snprintf(known->note, sizeof known->note, "%.80s (%.40s): %s", node.name, node.kind, node.lipschitz.why);
        }
        if (node.lipschitz.known && (node.lipschitz.factor > 1 || node.lipschitz.at_zero > 0) && small->holds) {
            small->holds = false;
            snprintf(small->note, sizeof small->note, "%.80s (%.40s): %.4g times: %s", node.name, node.kind,
                     node.lipschitz.factor, node.lipschitz.why);
        }
        if (node.input_count > 1 && chain->holds) {
            chain->holds = false;
            snprintf(chain->note, sizeof chain->note, "%.80s (%.40s) has %d inputs", node.name, node.kind,
                     node.input_count);
        }
    }
}

static void about_weights(const cli_case *c, cli_assumption *list, int *count)
{
    cli_assumption *norms = assume(list, count, "every ||W||_op is s_k", true);
    cli_assumption *taps  = assume(list, count, "a layer is one matrix", true);
    for (int k = 0; k < plm_explain_layers(c->explain); k++) {
        const plm_layer_facts *f   = plm_explain_layer(c->explain, k);
        const double           off = fmax(f->op / f->scale - 1, 1 - f->op_min / f->scale);
        if (off > 1e-4 && norms->holds) {
            norms->holds = false;
            snprintf(norms->note, sizeof norms->note, "%.80s: %.4g to %.4g, s_k is %.4g", f->layer->name, f->op_min,
                     f->op, f->scale);
        }
        if (f->taps > 1 && taps->holds) {
            taps->holds = false;
            snprintf(taps->note, sizeof taps->note, "%.80s has %d taps: as a map at most %.4g, not s_k = %.4g",
                     f->layer->name, f->taps, f->map_prescribed, f->scale);
        }
    }
}

int cli_explain_assumptions(const cli_case *c, cli_assumption list[CLI_MAX_ASSUMPTIONS])
{
    const cli_settings *s     = &c->settings;
    int                 count = 0;
    about_modules(c, list, &count);
    about_weights(c, list, &count);
    const bool square = s->theory || strcmp(s->loss, "square") == 0;
    snprintf(assume(list, &count, "the loss is square", square)->note, 64, "%s", square ? "" : s->loss);
    if (!c->layer) return count;
    const double    size = sqrt(count_of(plm_graph_input_shape(c->net)));
    cli_assumption *x    = assume(list, &count, "every sample has ||x|| = sqrt(d_0)",
                                  fabs(c->step.x_max / size - 1) < 1e-5 && fabs(c->step.x_rms / size - 1) < 1e-5);
    snprintf(x->note, sizeof x->note, "sqrt(d_0) is %.4g, rms ||x|| %.4g, largest %.4g", size, c->step.x_rms,
             c->step.x_max);
    snprintf(assume(list, &count, "the batch is all samples", s->theory)->note, 64, "%lld samples",
             (long long)c->step.samples);
    return count;
}

/* modular.c: SGD and Adam normalised in the modular norm.  Large, Liu, Huh, Bahng, Isola, Bernstein 2024, arXiv 2405.14813.
 *
 * Each layer has a mass, its share of the change of the output, and each module a sensitivity, how much it enlarges a change of
 * its input.  Both compose along the graph: a layer's update is scaled, in the layer's own norm, to
 *     lr (its mass / all mass) / (sensitivity of all that comes after it),
 * so that one lr means the same for every width and depth. */
#include <plummet/spectral.h>

#include <math.h>
#include <string.h>

#include "optim/dual.h"

enum { M, V }; /* slots: first and second moment */

/* What a module makes of a change of its input, as root mean squares.  Of ReLU and GELU half the mean square passes; layers are 1
 * with weights at their prescribed norm, and so are norms. */
static double sensitivity_of(const plm_node_info *n)
{
    if (strcmp(n->kind, "relu") == 0) return sqrt(0.5) * n->lipschitz.factor; /* its scale */
    if (strcmp(n->kind, "gelu") == 0) return sqrt(0.5);
    if (strcmp(n->kind, "sigmoid") == 0) return 0.25;
    return 1;
}

/* onward[i] = what a change of node i's value becomes at the output: along a path sensitivities multiply, paths add up. */
static bool compose(plm_optimizer *o, double *onward)
{
    const plm_graph *g = plm_optimizer_graph(o);
    memset(onward, 0, (size_t)plm_graph_node_count(g) * sizeof *onward);
    onward[g->output] = 1;
    for (int i = g->output; i >= 0; i--) { /* inputs stand before what they go into */
        plm_node_info n;
        if (!plm_graph_node_info(g, i, &n)) return false;
        for (int k = 0; k < n.input_count; k++) onward[n.inputs[k]] += onward[i] * sensitivity_of(&n);
    }
    return true;
}

static int node_of(const plm_graph *g, const plm_param *p)
{
    int i = 0;
    while (g->node[i].m.params == 0 || g->node[i].m.param[0] != p) i++;
    return i;
}

/* A table's norm is the largest root mean square of a row; each row is brought to 1. */
static bool normalise_rows(plm_optimizer *o, const plm_param_view *v)
{
    const plm_shape s     = plm_param_shape(v->param);
    float          *plain = plm_optimizer_scratch(o, (size_t)plm_shape_count(s) * sizeof *plain);
    if (!plain || !plm_view_to_plain(v, v->direction, plain)) return false;
    for (int64_t r = 0; r < s.dim[0]; r++) {
        float *row     = plain + r * s.dim[1];
        double squares = 0;
        for (int64_t c = 0; c < s.dim[1]; c++) squares += (double)row[c] * (double)row[c];
        const double factor = squares > 0 ? sqrt((double)s.dim[1] / squares) : 0;
        for (int64_t c = 0; c < s.dim[1]; c++) row[c] = (float)(factor * (double)row[c]);
    }
    return plm_view_from_plain(v, plain, v->direction);
}

/* direction is the raw update: coefficient = its norm in each matrix. */
static bool measure(plm_optimizer *o, plm_param_view *v)
{
    if (!v->layer->table) return plm__view_operator_norms(v, v->direction, v->coefficient);
    v->coefficient[0] = 1;
    return normalise_rows(o, v);
}

/* sqrt(d_out / d_in) / taps: a layer whose matrices have this operator norm, each, has the norm 1. */
static double scale_of(const plm_param_view *v)
{
    const plm_layer *l = v->layer;
    if (v->layer->table) return 1;
    return sqrt((double)l->d_out / (double)l->d_in) / ((double)l->kernel_h * l->kernel_w);
}

static bool begin(plm_optimizer *o)
{
    const plm_graph *g  = plm_optimizer_graph(o);
    const double     lr = plm_optimizer_rate(o), mass = plm_optimizer_weights(o); /* each layer's is 1 */
    double          *onward = plm_optimizer_scratch(o, (size_t)plm_graph_node_count(g) * sizeof *onward);
    plm_param_view  *v;
    if (!onward || !compose(o, onward)) return false;
    for (int i = 0; (v = plm_optimizer_param(o, i)); i++) {
        const double after = onward[node_of(g, v->param)];
        if (!(after > 0))
            return plm_ctx_fail(plm_optimizer_ctx(o), PLM_ERR_ARGUMENT,
                                "%s: %s does not change the output, which its step is measured by: freeze it",
                                plm_optimizer_name(o), plm_param_name(v->param));
        const double target = lr / mass / after;
        for (int m = 0; m < v->matrices; m++)
            v->coefficient[m] = v->coefficient[m] > 0 ? target * scale_of(v) / v->coefficient[m] : 0;
    }
    return true;
}

/* ------------------------------------------------------------------ SGD: update = m */

static bool prepare_sgd(plm_optimizer *o, plm_param_view *v)
{
    const plm_modular_sgd_desc *desc = plm_optimizer_desc(o);
    const float                 b    = (float)desc->momentum;
    for (int64_t i = 0; i < v->n; i++) v->direction[i] = b * v->slot[M][i] + (1 - b) * v->g[i];
    return measure(o, v);
}

static void delta_sgd(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const plm_modular_sgd_desc *desc = plm_optimizer_desc(o);
    const float                 b    = (float)desc->momentum;
    for (int64_t i = 0; i < v->n; i++) v->slot[M][i] = b * v->slot[M][i] + (1 - b) * v->g[i];
    plm_view_scale(v, v->direction, d);
}

static const plm_field sgd_fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(plm_modular_sgd_desc, lr), 0.5, PLM_BOUNDS_POSITIVE },
    { "momentum", PLM_FIELD_DOUBLE, offsetof(plm_modular_sgd_desc, momentum), 0.9, PLM_BOUNDS_FRACTION },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_modular_sgd_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__modular_sgd = { .name       = "modular-sgd",
                                              .summary    = "SGD normalised in the modular norm",
                                              .init       = PLM_INIT_AGD,
                                              .desc_bytes = sizeof(plm_modular_sgd_desc),
                                              .fields     = sgd_fields,
                                              .slots      = 1,
                                              .directions = true,
                                              .accepts    = plm__accepts_weights,
                                              .prepare    = prepare_sgd,
                                              .begin      = begin,
                                              .delta      = delta_sgd };

plm_optimizer *plm_modular_sgd_new(plm_graph *g, const plm_modular_sgd_desc *desc)
{
    return plm_optimizer_new(g, &plm__modular_sgd, desc);
}

/* ------------------------------------------------------------------ Adam: update = m / sqrt(v) */

static bool prepare_adam(plm_optimizer *o, plm_param_view *v)
{
    const plm_modular_adam_desc *desc = plm_optimizer_desc(o);
    const float                  b1 = (float)desc->beta1, b2 = (float)desc->beta2;
    for (int64_t i = 0; i < v->n; i++) {
        const float m   = b1 * v->slot[M][i] + (1 - b1) * v->g[i];
        const float s   = b2 * v->slot[V][i] + (1 - b2) * v->g[i] * v->g[i];
        v->direction[i] = s > 0 ? m / sqrtf(s) : 0; /* no gradient yet: no update */
    }
    return measure(o, v);
}

static void delta_adam(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const plm_modular_adam_desc *desc = plm_optimizer_desc(o);
    const float                  b1 = (float)desc->beta1, b2 = (float)desc->beta2;
    for (int64_t i = 0; i < v->n; i++) {
        v->slot[M][i] = b1 * v->slot[M][i] + (1 - b1) * v->g[i];
        v->slot[V][i] = b2 * v->slot[V][i] + (1 - b2) * v->g[i] * v->g[i];
    }
    plm_view_scale(v, v->direction, d);
}

static const plm_field adam_fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(plm_modular_adam_desc, lr), 0.5, PLM_BOUNDS_POSITIVE },
    { "beta1", PLM_FIELD_DOUBLE, offsetof(plm_modular_adam_desc, beta1), 0.9, PLM_BOUNDS_FRACTION },
    { "beta2", PLM_FIELD_DOUBLE, offsetof(plm_modular_adam_desc, beta2), 0.99, PLM_BOUNDS_FRACTION },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_modular_adam_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__modular_adam = { .name       = "modular-adam",
                                               .summary    = "Adam normalised in the modular norm",
                                               .init       = PLM_INIT_AGD,
                                               .desc_bytes = sizeof(plm_modular_adam_desc),
                                               .fields     = adam_fields,
                                               .slots      = 2,
                                               .directions = true,
                                               .accepts    = plm__accepts_weights,
                                               .prepare    = prepare_adam,
                                               .begin      = begin,
                                               .delta      = delta_adam };

plm_optimizer *plm_modular_adam_new(plm_graph *g, const plm_modular_adam_desc *desc)
{
    return plm_optimizer_new(g, &plm__modular_adam, desc);
}

/* agd.c: Automatic Gradient Descent.  Bernstein, Mingard, Huang, Azizan, Yue 2023, arXiv 2304.05187, algorithm 1.
 *
 * Weight layer k of L has s_k = sqrt(d_k / (d_{k-1} T_k)), one matrix per tap of its T_k-tap window, or, in a grouped
 * convolution, per tap and group (our choice: the paper has no groups).  The step is read off the architecture and the
 * gradient's size alone; there is nothing to tune. */
#include <math.h>

#include "optim/dual.h"

static bool weighs(const plm_param_view *v)
{
    return v->layer->weight == v->param;
}

/* ||g_k||_F of the layer with which parameter i moves, whose weight comes before it. */
static double layer_norm(plm_optimizer *o, int i)
{
    const plm_layer *l = plm_optimizer_param(o, i)->layer;
    while (plm_optimizer_param(o, i)->param != l->weight) i--;
    const plm_param_view *weight = plm_optimizer_param(o, i);
    double                sum    = 0;
    for (int tap = 0; tap < weight->matrices; tap++) sum += weight->square[tap];
    return sqrt(sum);
}

static bool accepts(plm_optimizer *o, const plm_param_view *v)
{
    const plm_role      role = plm_param_role(v->param);
    const plm_agd_desc *desc = plm_optimizer_desc(o);
    if (role == PLM_ROLE_WEIGHT && v->layer) return true;
    if (desc->heuristics && role != PLM_ROLE_WEIGHT) {
        if (v->layer && !plm_param_frozen(v->layer->weight)) return true;
        return plm_ctx_fail(plm_optimizer_ctx(o), PLM_ERR_ARGUMENT, "agd: %s has no layer to move with: %s",
                            plm_param_name(v->param), v->layer ? "its weight is frozen" : "no weight comes before it");
    }
    return plm_ctx_fail(
        plm_optimizer_ctx(o), PLM_ERR_ARGUMENT,
        "agd: %s is a %s, for which Automatic Gradient Descent has no rule: build the network without it, or freeze it",
        plm_param_name(v->param),
        role == PLM_ROLE_WEIGHT ? "weight of no layer"
        : role == PLM_ROLE_BIAS ? "bias"
                                : "norm's affine parameter");
}

static bool begin(plm_optimizer *o)
{
    const plm_agd_desc *desc = plm_optimizer_desc(o);
    const double        L    = plm_optimizer_weights(o);
    plm_param_view     *v;
    double              G = 0;
    for (int i = 0; (v = plm_optimizer_param(o, i)); i++)
        for (int tap = 0; weighs(v) && tap < v->matrices; tap++)
            G += plm__layer_scale(v->layer) * sqrt(v->square[tap]) / L; /* gradient summary */
    const double eta = log((1 + sqrt(1 + 4 * G)) / 2); /* automatic learning rate: e^eta (e^eta - 1) = G */
    for (int i = 0; (v = plm_optimizer_param(o, i)); i++)
        for (int tap = 0; tap < v->matrices; tap++) {
            const double norm = weighs(v) ? sqrt(v->square[tap]) : layer_norm(o, i);
            /* A tap without gradient is left alone: 0/0 has no direction. */
            v->coefficient[tap] = norm > 0 ? desc->gain * eta / L * plm__layer_scale(v->layer) / norm : 0;
        }
    plm_optimizer_report(o, eta, G);
    return true;
}

/* W_tap -= gain (eta / L) s_k g_tap / ||g_tap||_F. */
static void delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    (void)o;
    plm_view_scale(v, v->g, d);
}

static const plm_field fields[] = {
    { "gain", PLM_FIELD_DOUBLE, offsetof(plm_agd_desc, gain), 1, PLM_BOUNDS_POSITIVE },
    { "heuristics", PLM_FIELD_BOOL, offsetof(plm_agd_desc, heuristics), 0, PLM_BOUNDS_NONE },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_agd_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__agd = { .name       = "agd",
                                      .summary    = "Automatic Gradient Descent: no learning rate",
                                      .init       = PLM_INIT_AGD,
                                      .desc_bytes = sizeof(plm_agd_desc),
                                      .fields     = fields,
                                      .norms      = true,
                                      .accepts    = accepts,
                                      .begin      = begin,
                                      .delta      = delta };

plm_optimizer *plm_agd_new(plm_graph *g, const plm_agd_desc *desc)
{
    return plm_optimizer_new(g, &plm__agd, desc);
}

/* spectral_agd.c: Automatic Gradient Descent without its assumption that a gradient has stable rank 1.
 *
 * The majorisation of arXiv 2304.05187 bounds the loss after steps with ||dW_tap||_op = (eta/L) s_k.  Among these the one with the
 * least <g, dW> is -(eta/L) s_k U V^T, where it is -(eta/L) s_k ||g||_nuc: the nuclear norm is dual to the operator norm.  AGD
 * steps along g / ||g||_F instead, which is the same if g has rank 1. */
#include <plummet/spectral.h>

#include <math.h>

#include "optim/dual.h"

/* direction = U V^T, coefficient = ||g||_nuc of each matrix. */
static bool prepare(plm_optimizer *o, plm_param_view *v)
{
    (void)o;
    return plm__view_polar(v, v->g, false, false, v->coefficient);
}

static bool begin(plm_optimizer *o)
{
    const plm_spectral_agd_desc *desc = plm_optimizer_desc(o);
    const double                 L    = plm_optimizer_weights(o);
    plm_param_view              *v;
    double                       G = 0;
    for (int i = 0; (v = plm_optimizer_param(o, i)); i++)
        for (int tap = 0; tap < v->matrices; tap++) G += plm__layer_scale(v->layer) * v->coefficient[tap] / L;
    const double eta = log((1 + sqrt(1 + 4 * G)) / 2); /* e^eta (e^eta - 1) = G, as in AGD */
    for (int i = 0; (v = plm_optimizer_param(o, i)); i++)
        for (int tap = 0; tap < v->matrices; tap++)
            v->coefficient[tap] = desc->gain * eta / L * plm__layer_scale(v->layer);
    plm_optimizer_report(o, eta, G);
    return true;
}

/* W_tap -= gain (eta / L) s_k U V^T. */
static void delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    (void)o;
    plm_view_scale(v, v->direction, d);
}

static const plm_field fields[] = {
    { "gain", PLM_FIELD_DOUBLE, offsetof(plm_spectral_agd_desc, gain), 1, PLM_BOUNDS_POSITIVE },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_spectral_agd_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__spectral_agd = { .name       = "spectral-agd",
                                               .summary    = "AGD along the orthogonal factor of the gradient",
                                               .init       = PLM_INIT_AGD,
                                               .desc_bytes = sizeof(plm_spectral_agd_desc),
                                               .fields     = fields,
                                               .directions = true,
                                               .accepts    = plm__accepts_weights,
                                               .prepare    = prepare,
                                               .begin      = begin,
                                               .delta      = delta };

plm_optimizer *plm_spectral_agd_new(plm_graph *g, const plm_spectral_agd_desc *desc)
{
    return plm_optimizer_new(g, &plm__spectral_agd, desc);
}

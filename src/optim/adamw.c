/* adamw.c: Adam with decoupled weight decay, and the same looking one step ahead.
 *
 * AdamW: Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2, with PyTorch's defaults.  NAdamW: Nesterov's form of it as
 * in Choi et al. 2019, arXiv 1910.05446, table 1, which AlgoPerf (Dahl et al. 2023, arXiv 2306.07179) takes as its baseline;
 * torch.optim.NAdam follows Dozat's schedule of the momentum instead. */
#include <math.h>

#include "optim/optim.h"

enum { M, V }; /* slots: first and second moment */

/* m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  a = ahead ? b1 m + (1-b1) g : m;
 * w -= lr (a / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) + lr weight_decay w. */
static inline void take(const plm_optimizer *o, const plm_param_view *view, float *d, bool ahead)
{
    const plm_adamw_desc *desc = plm_optimizer_desc(o);
    const double          t = (double)view->step, lr = plm_optimizer_rate(o);
    const float          *g = view->g, *w = view->w;
    float                *m = view->slot[M], *v = view->slot[V];
    const float           b1 = (float)desc->beta1, b2 = (float)desc->beta2, eps = (float)desc->eps;
    const float           one_b1 = (float)(1 - desc->beta1), one_b2 = (float)(1 - desc->beta2);
    const float           rate  = (float)(lr / (1 - pow(desc->beta1, t)));
    const float           root  = (float)sqrt(1 - pow(desc->beta2, t));
    const float           clip  = (float)plm_optimizer_clip(o);
    const float           decay = (float)(lr * plm__decay(view, desc->weight_decay, desc->decay_weights_only));
    for (int64_t i = 0; i < view->n; i++) {
        const float gi = clip * g[i];
        m[i]           = b1 * m[i] + one_b1 * gi;
        v[i]           = b2 * v[i] + one_b2 * gi * gi;
        const float a  = ahead ? b1 * m[i] + one_b1 * gi : m[i];
        d[i]           = rate * a / (sqrtf(v[i]) / root + eps) + decay * w[i];
    }
}

static void delta_adamw(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    take(o, v, d, false);
}

static void delta_nadamw(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    take(o, v, d, true);
}

static const plm_field fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(plm_adamw_desc, lr), 1e-3, PLM_BOUNDS_POSITIVE },
    { "beta1", PLM_FIELD_DOUBLE, offsetof(plm_adamw_desc, beta1), 0.9, PLM_BOUNDS_FRACTION },
    { "beta2", PLM_FIELD_DOUBLE, offsetof(plm_adamw_desc, beta2), 0.999, PLM_BOUNDS_FRACTION },
    { "eps", PLM_FIELD_DOUBLE, offsetof(plm_adamw_desc, eps), 1e-8, PLM_BOUNDS_POSITIVE },
    { "weight_decay", PLM_FIELD_DOUBLE, offsetof(plm_adamw_desc, weight_decay), 0.01, PLM_BOUNDS_NOT_NEGATIVE },
    { "decay_weights_only", PLM_FIELD_BOOL, offsetof(plm_adamw_desc, decay_weights_only), 0, PLM_BOUNDS_NONE },
    { "clip_norm", PLM_FIELD_DOUBLE, offsetof(plm_adamw_desc, clip_norm), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_adamw_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__adamw = { .name       = "adamw",
                                        .summary    = "Adam, weight decay decoupled",
                                        .init       = PLM_INIT_PYTORCH,
                                        .desc_bytes = sizeof(plm_adamw_desc),
                                        .fields     = fields,
                                        .slots      = 2,
                                        .delta      = delta_adamw };

const plm_optimizer_kind plm__nadamw = { .name       = "nadamw",
                                         .summary    = "AdamW looking a step ahead",
                                         .init       = PLM_INIT_PYTORCH,
                                         .desc_bytes = sizeof(plm_adamw_desc),
                                         .fields     = fields,
                                         .slots      = 2,
                                         .delta      = delta_nadamw };

plm_optimizer *plm_adamw_new(plm_graph *g, const plm_adamw_desc *desc)
{
    return plm_optimizer_new(g, &plm__adamw, desc);
}

plm_optimizer *plm_nadamw_new(plm_graph *g, const plm_adamw_desc *desc)
{
    return plm_optimizer_new(g, &plm__nadamw, desc);
}

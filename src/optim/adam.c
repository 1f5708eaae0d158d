/* adam.c: Adam.  Kingma & Ba 2015, algorithm 1: eps outside the root, both moments corrected for their start at zero. */
#include <math.h>

#include "optim/optim.h"

enum { M, V }; /* slots: first and second moment */

/* m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  w -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps). */
static void delta(const plm_optimizer *o, const plm_param_view *view, float *d)
{
    const plm_adam_desc *desc = plm_optimizer_desc(o);
    const double         t    = (double)view->step;
    const float         *g = view->g, *w = view->w;
    float               *m = view->slot[M], *v = view->slot[V];
    const float          b1 = (float)desc->beta1, b2 = (float)desc->beta2, eps = (float)desc->eps;
    const float          one_b1 = (float)(1 - desc->beta1), one_b2 = (float)(1 - desc->beta2);
    const float          rate  = (float)(plm_optimizer_rate(o) / (1 - pow(desc->beta1, t)));
    const float          root  = (float)sqrt(1 - pow(desc->beta2, t));
    const float          decay = (float)plm__decay(view, desc->weight_decay, desc->decay_weights_only),
                clip           = (float)plm_optimizer_clip(o);
    for (int64_t i = 0; i < view->n; i++) {
        const float gi = clip * g[i] + decay * w[i];
        m[i]           = b1 * m[i] + one_b1 * gi;
        v[i]           = b2 * v[i] + one_b2 * gi * gi;
        d[i]           = rate * m[i] / (sqrtf(v[i]) / root + eps);
    }
}

static const plm_field fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(plm_adam_desc, lr), 1e-3, PLM_BOUNDS_POSITIVE },
    { "beta1", PLM_FIELD_DOUBLE, offsetof(plm_adam_desc, beta1), 0.9, PLM_BOUNDS_FRACTION },
    { "beta2", PLM_FIELD_DOUBLE, offsetof(plm_adam_desc, beta2), 0.999, PLM_BOUNDS_FRACTION },
    { "eps", PLM_FIELD_DOUBLE, offsetof(plm_adam_desc, eps), 1e-8, PLM_BOUNDS_POSITIVE },
    { "weight_decay", PLM_FIELD_DOUBLE, offsetof(plm_adam_desc, weight_decay), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "decay_weights_only", PLM_FIELD_BOOL, offsetof(plm_adam_desc, decay_weights_only), 0, PLM_BOUNDS_NONE },
    { "clip_norm", PLM_FIELD_DOUBLE, offsetof(plm_adam_desc, clip_norm), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_adam_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__adam = { .name       = "adam",
                                       .summary    = "Adam",
                                       .init       = PLM_INIT_PYTORCH,
                                       .desc_bytes = sizeof(plm_adam_desc),
                                       .fields     = fields,
                                       .slots      = 2,
                                       .delta      = delta };

plm_optimizer *plm_adam_new(plm_graph *g, const plm_adam_desc *desc)
{
    return plm_optimizer_new(g, &plm__adam, desc);
}

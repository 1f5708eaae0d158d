/* adam.c: Adam.  Kingma & Ba 2015, algorithm 1: eps outside the root, both moments corrected for their start at zero. */
#include <math.h>

#include "optim/optim.h"

enum { M, V }; /* slots: first and second moment */

static void begin(plm_optimizer *o)
{
    o->info.eta = o->desc.adam.lr;
}

/* m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  w -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps). */
static void delta(const plm_optimizer *o, const plm__entry *e, int64_t start, int64_t n, float *d)
{
    const plm_adam_desc *desc = &o->desc.adam;
    const double         t    = (double)o->info.step;
    const float *g = (const float *)e->param->grad->data + start, *w = (const float *)e->param->weights->data + start;
    float       *m = (float *)e->slot[M]->data + start, *v = (float *)e->slot[V]->data + start;
    const float  b1 = (float)desc->beta1, b2 = (float)desc->beta2, eps = (float)desc->eps;
    const float  one_b1 = (float)(1 - desc->beta1), one_b2 = (float)(1 - desc->beta2);
    const float  rate = (float)(desc->lr / (1 - pow(desc->beta1, t))), root = (float)sqrt(1 - pow(desc->beta2, t));
    const float  decay = (float)desc->weight_decay, clip = (float)o->clip;
    for (int64_t i = 0; i < n; i++) {
        const float gi = clip * g[i] + decay * w[i];
        m[i]           = b1 * m[i] + one_b1 * gi;
        v[i]           = b2 * v[i] + one_b2 * gi * gi;
        d[i]           = rate * m[i] / (sqrtf(v[i]) / root + eps);
    }
}

static const plm__optimizer_kind adam = { .name = "adam", .init = PLM_INIT_PYTORCH, .begin = begin, .delta = delta };

plm_optimizer *plm_adam_new(plm_graph *g, const plm_adam_desc *desc)
{
    plm_adam_desc d = desc ? *desc : (plm_adam_desc){ 0 };
    if (!g) return NULL;
    d.lr    = plm__or(d.lr, 1e-3);
    d.beta1 = plm__or(d.beta1, 0.9);
    d.beta2 = plm__or(d.beta2, 0.999);
    d.eps   = plm__or(d.eps, 1e-8);
    if (!((float)d.lr > 0 && isfinite((float)d.lr)) || !(d.beta1 >= 0 && d.beta1 < 1) ||
        !(d.beta2 >= 0 && d.beta2 < 1) || !((float)d.eps > 0 && isfinite((float)d.eps)) ||
        !(d.weight_decay >= 0 && isfinite((float)d.weight_decay)))
        plm__fail(g->ctx, PLM_ERR_ARGUMENT,
                  "adam: lr %g, betas %g and %g, eps %g, weight_decay %g: lr and eps are positive, betas in [0, 1), "
                  "decay not negative",
                  d.lr, d.beta1, d.beta2, d.eps, d.weight_decay);
    plm_optimizer *o = plm__optimizer_new(g, &adam, 2, d.reinit, d.clip_norm);
    if (o) o->desc.adam = d;
    return o;
}

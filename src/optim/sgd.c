/* sgd.c: stochastic gradient descent with momentum.  Sutskever, Martens, Dahl, Hinton 2013, in PyTorch's form. */
#include <math.h>

#include "optim/optim.h"

static void begin(plm_optimizer *o)
{
    o->info.eta = o->desc.sgd.lr;
}

/* g += weight_decay w;  m = momentum m + g;  w -= lr (nesterov ? g + momentum m : m). */
static void delta(const plm_optimizer *o, const plm__entry *e, int64_t start, int64_t n, float *d)
{
    const plm_sgd_desc *desc = &o->desc.sgd;
    const float *g = (const float *)e->param->grad->data + start, *w = (const float *)e->param->weights->data + start;
    const float  lr = (float)desc->lr, decay = (float)desc->weight_decay, momentum = (float)desc->momentum,
                clip = (float)o->clip;
    if (momentum == 0) {
        for (int64_t i = 0; i < n; i++) d[i] = lr * (clip * g[i] + decay * w[i]);
        return;
    }
    float      *m     = (float *)e->slot[0]->data + start;
    const float ahead = desc->nesterov ? momentum : 0;
    for (int64_t i = 0; i < n; i++) {
        const float gi = clip * g[i] + decay * w[i];
        m[i]           = momentum * m[i] + gi;
        d[i]           = lr * (desc->nesterov ? gi + ahead * m[i] : m[i]);
    }
}

static const plm__optimizer_kind sgd = { .name = "sgd", .init = PLM_INIT_PYTORCH, .begin = begin, .delta = delta };

plm_optimizer *plm_sgd_new(plm_graph *g, const plm_sgd_desc *desc)
{
    plm_sgd_desc d = desc ? *desc : (plm_sgd_desc){ 0 };
    if (!g) return NULL;
    if (d.lr == 0) d.lr = 0.1;
    if (!((float)d.lr > 0 && isfinite((float)d.lr)) || !(d.momentum >= 0 && d.momentum < 1) ||
        !(d.weight_decay >= 0 && isfinite((float)d.weight_decay)))
        plm__fail(g->ctx, PLM_ERR_ARGUMENT,
                  "sgd: lr %g, momentum %g, weight_decay %g: lr is positive, momentum in [0, 1), decay not negative",
                  d.lr, d.momentum, d.weight_decay);
    else if (d.nesterov && d.momentum == 0) plm__fail(g->ctx, PLM_ERR_ARGUMENT, "sgd: nesterov needs a momentum");
    plm_optimizer *o = plm__optimizer_new(g, &sgd, d.momentum > 0, d.reinit, d.clip_norm);
    if (o) o->desc.sgd = d;
    return o;
}

/* sgd.c: stochastic gradient descent with momentum.  Sutskever, Martens, Dahl, Hinton 2013, in PyTorch's form. */
#include "optim/optim.h"

/* g += weight_decay w;  m = momentum m + g;  w -= lr (nesterov ? g + momentum m : m). */
static void delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const plm_sgd_desc *desc = plm_optimizer_desc(o);
    const float         lr = (float)plm_optimizer_rate(o), clip = (float)plm_optimizer_clip(o);
    const float         decay = (float)plm__decay(v, desc->weight_decay, desc->decay_weights_only),
                momentum      = (float)desc->momentum;
    const float *g = v->g, *w = v->w;
    if (momentum == 0) {
        for (int64_t i = 0; i < v->n; i++) d[i] = lr * (clip * g[i] + decay * w[i]);
        return;
    }
    float      *m     = v->slot[0];
    const float ahead = desc->nesterov ? momentum : 0;
    for (int64_t i = 0; i < v->n; i++) {
        const float gi = clip * g[i] + decay * w[i];
        m[i]           = momentum * m[i] + gi;
        d[i]           = lr * (desc->nesterov ? gi + ahead * m[i] : m[i]);
    }
}

static bool check(plm_ctx *ctx, const void *desc)
{
    const plm_sgd_desc *d = desc;
    return !d->nesterov || d->momentum > 0 || plm_ctx_fail(ctx, PLM_ERR_ARGUMENT, "sgd: nesterov needs a momentum");
}

static int uses(const void *desc)
{
    return ((const plm_sgd_desc *)desc)->momentum > 0;
}

static const plm_field fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(plm_sgd_desc, lr), 0.1, PLM_BOUNDS_POSITIVE },
    { "momentum", PLM_FIELD_DOUBLE, offsetof(plm_sgd_desc, momentum), 0, PLM_BOUNDS_FRACTION },
    { "nesterov", PLM_FIELD_BOOL, offsetof(plm_sgd_desc, nesterov), 0, PLM_BOUNDS_NONE },
    { "weight_decay", PLM_FIELD_DOUBLE, offsetof(plm_sgd_desc, weight_decay), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "decay_weights_only", PLM_FIELD_BOOL, offsetof(plm_sgd_desc, decay_weights_only), 0, PLM_BOUNDS_NONE },
    { "clip_norm", PLM_FIELD_DOUBLE, offsetof(plm_sgd_desc, clip_norm), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_sgd_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__sgd = { .name       = "sgd",
                                      .summary    = "stochastic gradient descent",
                                      .init       = PLM_INIT_PYTORCH,
                                      .desc_bytes = sizeof(plm_sgd_desc),
                                      .fields     = fields,
                                      .slots      = 1,
                                      .check      = check,
                                      .uses       = uses,
                                      .delta      = delta };

plm_optimizer *plm_sgd_new(plm_graph *g, const plm_sgd_desc *desc)
{
    return plm_optimizer_new(g, &plm__sgd, desc);
}

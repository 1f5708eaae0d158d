/* muon.c: Muon, momentum orthogonalised by Newton-Schulz.  Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein 2024.
 *
 * Weights of layers step along the orthogonal factor of their momentum, every singular direction as far as every other; what is
 * no matrix of a map between features (biases, norms' scale and shift, embeddings) is left to AdamW. */
#include <plummet/spectral.h>

#include <math.h>

#include "optim/dual.h"

enum { M, V }; /* slots: momentum; of AdamW the second moment */

static bool is_matrix(const plm_param_view *v)
{
    return v->layer && v->layer->weight == v->param && !v->layer->table;
}

/* m = momentum m + (1 - momentum) g, of one weight. */
static float average(float momentum, float m, float g)
{
    return momentum * m + (1 - momentum) * g;
}

/* direction = NS5((1 - momentum) g + momentum m), with the m of this step: Nesterov's. */
static bool prepare(plm_optimizer *o, plm_param_view *v)
{
    const plm_muon_desc *desc = plm_optimizer_desc(o);
    const float          beta = (float)desc->momentum, clip = (float)plm_optimizer_clip(o);
    if (!is_matrix(v)) return true;
    float *x = plm_optimizer_scratch(o, (size_t)v->n * sizeof *x);
    if (!x) return false;
    for (int64_t i = 0; i < v->n; i++) {
        const float g = clip * v->g[i];
        x[i]          = average(beta, average(beta, v->slot[M][i], g), g);
    }
    return plm__view_polar(v, x, true, true, NULL);
}

/* A group's matrix has its taps side by side: more rows than columns make a longer step. */
static double scale_of(const plm_layer *l)
{
    const double columns = (double)l->d_in * l->kernel_h * l->kernel_w;
    return sqrt(fmax(1, (double)l->d_out / columns));
}

/* w -= lr (scale NS5(...) + weight_decay w). */
static void step_matrix(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const plm_muon_desc *desc = plm_optimizer_desc(o);
    const double         lr   = plm_optimizer_rate(o);
    const float          beta = (float)desc->momentum, clip = (float)plm_optimizer_clip(o);
    const float          rate = (float)(lr * scale_of(v->layer)), decay = (float)(lr * desc->weight_decay);
    float               *m = v->slot[M];
    for (int64_t i = 0; i < v->n; i++) {
        m[i] = average(beta, m[i], clip * v->g[i]);
        d[i] = rate * v->direction[i] + decay * v->w[i];
    }
}

/* AdamW with adam_lr, under the same schedule. */
static void step_adam(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const plm_muon_desc *desc = plm_optimizer_desc(o);
    const double         t = (double)v->step, lr = desc->adam_lr * plm_optimizer_rate(o) / desc->lr;
    const float          b1 = (float)desc->beta1, b2 = (float)desc->beta2, eps = (float)desc->eps;
    const float          rate = (float)(lr / (1 - pow(desc->beta1, t))), root = (float)sqrt(1 - pow(desc->beta2, t));
    const float          decay = (float)(lr * desc->weight_decay), clip = (float)plm_optimizer_clip(o);
    float               *m = v->slot[M], *s = v->slot[V];
    for (int64_t i = 0; i < v->n; i++) {
        const float g = clip * v->g[i];
        m[i]          = average(b1, m[i], g);
        s[i]          = average(b2, s[i], g * g);
        d[i]          = rate * m[i] / (sqrtf(s[i]) / root + eps) + decay * v->w[i];
    }
}

static void delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    if (is_matrix(v)) step_matrix(o, v, d);
    else step_adam(o, v, d);
}

static const plm_field fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, lr), 0.02, PLM_BOUNDS_POSITIVE },
    { "momentum", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, momentum), 0.95, PLM_BOUNDS_FRACTION },
    { "weight_decay", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, weight_decay), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "adam_lr", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, adam_lr), 3e-4, PLM_BOUNDS_POSITIVE },
    { "beta1", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, beta1), 0.9, PLM_BOUNDS_FRACTION },
    { "beta2", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, beta2), 0.95, PLM_BOUNDS_FRACTION },
    { "eps", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, eps), 1e-10, PLM_BOUNDS_POSITIVE },
    { "clip_norm", PLM_FIELD_DOUBLE, offsetof(plm_muon_desc, clip_norm), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "reinit", PLM_FIELD_BOOL, offsetof(plm_muon_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

const plm_optimizer_kind plm__muon = { .name    = "muon",
                                       .summary = "Muon: orthogonalised momentum; AdamW for biases, norms, embeddings",
                                       .init    = PLM_INIT_PYTORCH,
                                       .desc_bytes = sizeof(plm_muon_desc),
                                       .fields     = fields,
                                       .slots      = 2,
                                       .directions = true,
                                       .prepare    = prepare,
                                       .delta      = delta };

plm_optimizer *plm_muon_new(plm_graph *g, const plm_muon_desc *desc)
{
    return plm_optimizer_new(g, &plm__muon, desc);
}

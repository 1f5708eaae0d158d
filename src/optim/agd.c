/* agd.c: Automatic Gradient Descent.  Bernstein, Mingard, Huang, Azizan, Yue 2023, arXiv 2304.05187, algorithm 1.
 *
 * Weight layer k of L has s_k = sqrt(d_k / (d_{k-1} T_k)), one matrix per tap of its T_k-tap window, or, in a grouped
 * convolution, per tap and group (our choice: the paper has no groups).  The step is read off the architecture and the
 * gradient's size alone; there is nothing to tune. */
#include <math.h>

#include "optim/optim.h"

/* s_k = sqrt(d_k / (d_{k-1} T_k)): the norm to which layer k's matrices were drawn.  d are all channels: groups cancel. */
static double layer_scale(const plm_layer *l)
{
    return sqrt((double)l->d_out / ((double)l->d_in * l->kernel_h * l->kernel_w));
}

static bool accepts(plm_optimizer *o, const plm_param *p)
{
    if (p->role == PLM_ROLE_WEIGHT) return true;
    return plm__fail(
        o->ctx, PLM_ERR_ARGUMENT,
        "agd: %s is a %s, for which Automatic Gradient Descent has no rule: build the network without it, or freeze it",
        p->name, p->role == PLM_ROLE_BIAS ? "bias" : "norm's affine parameter");
}

static void begin(plm_optimizer *o)
{
    const double L = o->weights;
    double       G = 0;
    for (int i = 0; i < o->entries; i++) {
        const plm__entry *e = &o->entry[i];
        if (!plm__entry_trains(e)) continue;
        for (int tap = 0; tap < e->taps; tap++)
            G += layer_scale(e->layer) * sqrt(e->square[tap]) / L; /* gradient summary */
    }
    const double eta = log((1 + sqrt(1 + 4 * G)) / 2); /* automatic learning rate: e^eta (e^eta - 1) = G */
    for (int i = 0; i < o->entries; i++) {
        const plm__entry *e = &o->entry[i];
        if (!plm__entry_trains(e)) continue;
        for (int tap = 0; tap < e->taps; tap++) {
            const double norm = sqrt(e->square[tap]);
            /* A tap without gradient is left alone: 0/0 has no direction. */
            e->coefficient[tap] = norm > 0 ? o->desc.agd.gain * eta / L * layer_scale(e->layer) / norm : 0;
        }
    }
    o->info.G   = G;
    o->info.eta = eta;
}

/* W_tap -= gain (eta / L) s_k g_tap / ||g_tap||_F. */
static void delta(const plm_optimizer *o, const plm__entry *e, int64_t start, int64_t n, float *d)
{
    (void)o;
    const float    *g = (const float *)e->param->grad->data + start;
    const plm__taps t = plm__taps_of(e);
    for (int64_t i = 0, length; i < n; i += length) {
        const int64_t left = t.run - (start + i) % t.run; /* elements of the same tap from here on */
        const double  c    = e->coefficient[plm__tap_at(&t, start + i)];
        length             = left < n - i ? left : n - i;
        /* A tiny norm makes a coefficient beyond float, the product is not; all in double takes twice as long. */
        if (c < 1e30)
            for (int64_t k = i; k < i + length; k++) d[k] = (float)c * g[k];
        else
            for (int64_t k = i; k < i + length; k++) d[k] = (float)(c * (double)g[k]);
    }
}

static const plm__optimizer_kind agd = {
    .name = "agd", .init = PLM_INIT_AGD, .uses_norms = true, .accepts = accepts, .begin = begin, .delta = delta
};

plm_optimizer *plm_agd_new(plm_graph *g, const plm_agd_desc *desc)
{
    plm_agd_desc d = desc ? *desc : (plm_agd_desc){ 0 };
    if (d.gain == 0) d.gain = 1;
    if (g && !(d.gain > 0 && d.gain < 1e30)) {
        plm__fail(g->ctx, PLM_ERR_ARGUMENT, "agd: gain is %g, expected a positive number below 1e30", d.gain);
        return NULL;
    }
    plm_optimizer *o = plm__optimizer_new(g, &agd, 0, d.reinit, 0);
    if (o) o->desc.agd = d;
    return o;
}

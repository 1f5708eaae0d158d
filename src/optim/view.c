/* view.c: what can be asked of an optimiser, by whoever owns one and by its kind's own functions. */
#include <math.h>

#include "optim/optim.h"
#include "optim/state.h"

const plm_step_info *plm_optimizer_info(const plm_optimizer *o)
{
    static const plm_step_info none = { .eta = NAN, .G = NAN, .grad_norm = NAN };
    if (!o) return &none;
    return &o->info;
}

const char *plm_optimizer_name(const plm_optimizer *o)
{
    if (!o) return NULL;
    return o->kind->name;
}

size_t plm_optimizer_state_bytes(const plm_optimizer *o)
{
    if (!o) return 0;
    size_t bytes = (size_t)o->kind->numbers * sizeof(double);
    for (int i = 0; i < o->entries; i++) bytes += (size_t)o->slots * (size_t)o->entry[i].view.n * sizeof(float);
    return bytes;
}

const plm_optimizer_kind *plm_optimizer_kind_of(const plm_optimizer *o)
{
    if (!o) return NULL;
    return o->kind;
}

const void *plm_optimizer_desc(const plm_optimizer *o)
{
    if (!o) return NULL;
    return o->desc;
}

double plm_optimizer_rate(const plm_optimizer *o)
{
    if (!o) return NAN;
    return o->factor == 1 ? o->lr : o->lr * o->factor;
}

bool plm__optimizer_takes_factor(const plm_optimizer *o, double factor)
{
    return isnan(o->lr) ? factor == 1 : factor >= 0 && isfinite((float)(o->lr * factor));
}

bool plm_optimizer_set_factor(plm_optimizer *o, double factor)
{
    if (!o) return false;
    if (plm__optimizer_takes_factor(o, factor)) {
        o->factor = factor;
        return true;
    }
    if (isnan(o->lr)) return plm__fail(o->ctx, PLM_ERR_ARGUMENT, "%s has no learning rate to schedule", o->kind->name);
    return plm__fail(o->ctx, PLM_ERR_ARGUMENT, "%s: factor %g on the learning rate %g, expected a number of 0 or more",
                     o->kind->name, factor, o->lr);
}

const plm_optimizer_kind *const *plm_optimizer_kinds(void)
{
    static const plm_optimizer_kind *const kinds[] = { &plm__agd,   &plm__sgd,         &plm__adam,
                                                       &plm__adamw, &plm__nadamw,      &plm__spectral_agd,
                                                       &plm__muon,  &plm__modular_sgd, &plm__modular_adam,
                                                       NULL };
    return kinds;
}

plm_ctx *plm_optimizer_ctx(const plm_optimizer *o)
{
    if (!o) return NULL;
    return o->ctx;
}

plm_graph *plm_optimizer_graph(const plm_optimizer *o)
{
    if (!o) return NULL;
    return o->graph;
}

double plm_optimizer_clip(const plm_optimizer *o)
{
    if (!o) return 1;
    return o->clip;
}

int plm_optimizer_weights(const plm_optimizer *o)
{
    if (!o) return 0;
    return o->weights;
}

plm_param_view *plm_optimizer_param(plm_optimizer *o, int i)
{
    if (!o) return NULL;
    return i >= 0 && i < o->actives ? &o->active[i]->view : NULL;
}

double *plm_optimizer_numbers(plm_optimizer *o)
{
    if (!o) return NULL;
    return o->number;
}

void *plm_optimizer_scratch(plm_optimizer *o, size_t bytes)
{
    if (!o) return NULL;
    if (!o->scratch || o->scratch->bytes < bytes) {
        plm__pool_drop(o->ctx, o->scratch);
        o->scratch = plm__pool_get(o->ctx, bytes);
    }
    return o->scratch ? o->scratch->data : NULL;
}

void plm_optimizer_report(plm_optimizer *o, double eta, double G)
{
    if (!o) return;
    o->info.eta = eta;
    o->info.G   = G;
}

void plm_view_scale(const plm_param_view *v, const float *x, float *d)
{
    const plm__taps *t = v->map;
    for (int64_t i = 0, length; i < v->n; i += length) {
        const int64_t left = t->run - (v->start + i) % t->run; /* elements of the same matrix from here on */
        const double  c    = v->coefficient[plm__tap_at(t, v->start + i)];
        length             = left < v->n - i ? left : v->n - i;
        /* A tiny norm makes a coefficient beyond float, the product is not; all in double takes twice as long. */
        if (fabs(c) < 1e30)
            for (int64_t k = i; k < i + length; k++) d[k] = (float)c * x[k];
        else
            for (int64_t k = i; k < i + length; k++) d[k] = (float)(c * (double)x[k]);
    }
}

int plm_view_matrix(const plm_param_view *v, int64_t i, int64_t *run)
{
    const plm__taps *t    = v->map;
    const int64_t    left = t->run - (v->start + i) % t->run;
    if (run) *run = left < v->n - i ? left : v->n - i;
    return plm__tap_at(t, v->start + i);
}

bool plm_view_to_plain(const plm_param_view *v, const float *physical, float *plain)
{
    plm_param        *p      = v->param;
    const plm__layout layout = plm__layout_plain(p->shape);
    if (!plm__enter(p->ctx, "plm_view_to_plain")) return false;
    const bool ok = plm__reorder(p->ctx, &p->home, physical, &layout, plain);
    plm__leave(p->ctx);
    return ok;
}

bool plm_view_from_plain(const plm_param_view *v, const float *plain, float *physical)
{
    plm_param        *p      = v->param;
    const plm__layout layout = plm__layout_plain(p->shape);
    if (!plm__enter(p->ctx, "plm_view_from_plain")) return false;
    const bool ok = plm__reorder(p->ctx, &layout, plain, &p->home, physical);
    plm__leave(p->ctx);
    return ok;
}

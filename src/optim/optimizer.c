/* optimizer.c: what optimisers have in common.
 *
 * Every step needs the norms of all gradients before it changes a weight: AGD for its rule, the others to refuse what is not
 * finite.  For AGD they are taken by the `ready` hook of each parameter, in the backward pass, right after the last
 * contribution, while the gradient is in cache.  They carry the gradient's version; where it does not fit (micro-batches, a
 * second optimiser) the same function takes them again, so the bits are the same. */
#include "optim/optim.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void take_squares(plm__entry *e)
{
    const plm__taps t = plm__taps_of(e);
    plm__tap_squares(e->param->grad->data, e->n, &t, e->taps, e->optimizer->part, e->square);
    e->total = 0;
    for (int tap = 0; tap < e->taps; tap++) e->total += e->square[tap];
    e->square_version = e->param->grad_version;
}

static void gradient_ready(void *user, plm_param *p)
{
    (void)p;
    take_squares(user);
}

static const plm_layer *layer_of(const plm_graph *g, const plm_param *p)
{
    for (int i = 0; i < g->layers; i++)
        if (g->layer[i].weight == p) return &g->layer[i];
    return NULL;
}

/* Memory for the entries, their taps and their state. */
static bool make_entries(plm_optimizer *o, int slots)
{
    plm_graph *g    = o->graph;
    int        taps = 0, parts = 1;
    o->entry = plm__new(o->ctx, (size_t)(g->params + 1) * sizeof *o->entry, "optimiser");
    if (!o->entry) return false;
    for (int i = 0; i < g->params; i++) {
        plm_param *p = g->param[i];
        if (p->role == PLM_ROLE_STATISTIC) continue;
        plm__entry *e = &o->entry[o->entries++];
        e->optimizer  = o;
        e->param      = p;
        e->layer      = layer_of(g, p);
        e->n          = plm__layout_floats(&p->home);
        e->taps       = e->layer ? e->layer->groups * e->layer->kernel_h * e->layer->kernel_w : 1;
        taps += e->taps;
        if (e->taps * plm__parts(e->n) > parts) parts = e->taps * plm__parts(e->n);
        for (int s = 0; s < slots; s++) {
            if (!(e->slot[s] = plm__pool_get(o->ctx, (size_t)e->n * sizeof(float)))) return false;
            memset(e->slot[s]->data, 0, (size_t)e->n * sizeof(float));
        }
    }
    o->square       = plm__new(o->ctx, (size_t)(taps + 1) * sizeof(double), "optimiser");
    o->coefficient  = plm__new(o->ctx, (size_t)(taps + 1) * sizeof(double), "optimiser");
    o->part         = plm__new(o->ctx, (size_t)parts * sizeof(double), "optimiser");
    o->layer_update = plm__new(o->ctx, (size_t)(g->layers + 1) * sizeof(double), "optimiser");
    if (!o->square || !o->coefficient || !o->part || !o->layer_update) return false;
    for (int i = 0, at = 0; i < o->entries; at += o->entry[i++].taps) {
        o->entry[i].square      = o->square + at;
        o->entry[i].coefficient = o->coefficient + at;
    }
    return true;
}

/* Is every parameter that trains one that the kind can train? */
static bool check_params(plm_optimizer *o)
{
    o->weights = 0;
    for (int i = 0; i < o->entries; i++) {
        const plm__entry *e = &o->entry[i];
        if (!plm__entry_trains(e)) continue;
        if (o->kind->accepts && !o->kind->accepts(o, e->param)) return false;
        o->weights += e->layer != NULL;
    }
    return true;
}

plm_optimizer *plm__optimizer_new(plm_graph *g, const plm__optimizer_kind *kind, int slots, bool reinit,
                                  double clip_norm)
{
    if (!g || !plm__enter(g->ctx, kind->name)) return NULL;
    plm_optimizer *o = NULL;
    bool ok = clip_norm >= 0 || plm__fail(g->ctx, PLM_ERR_ARGUMENT, "%s: clip_norm is %g, expected 0 (none) or more",
                                          kind->name, clip_norm);
    ok      = ok && plm__graph_freeze(g) && plm__graph_draw(g, kind->init, reinit);
    if (ok && (o = plm__new(g->ctx, sizeof *o, "optimiser"))) {
        o->kind      = kind;
        o->graph     = g;
        o->ctx       = g->ctx;
        o->clip_norm = clip_norm;
        ok           = make_entries(o, slots) && check_params(o);
        o->info =
            (plm_step_info){ .eta = NAN, .G = NAN, .grad_norm = NAN, .update = o->layer_update, .layers = g->layers };
        for (int i = 0; ok && kind->uses_norms && i < o->entries; i++) {
            o->entry[i].param->ready      = gradient_ready;
            o->entry[i].param->ready_user = &o->entry[i];
        }
    }
    plm__leave(g->ctx);
    if (ok) return o;
    plm_optimizer_free(o);
    return NULL;
}

void plm_optimizer_free(plm_optimizer *o)
{
    if (!o) return;
    for (int i = 0; i < o->entries; i++) {
        plm__entry *e = &o->entry[i];
        if (e->param->ready_user == e) e->param->ready = NULL;
        for (int s = 0; s < PLM__MAX_SLOTS; s++) plm__pool_drop(o->ctx, e->slot[s]);
    }
    plm__delete(o->ctx, o->entry);
    plm__delete(o->ctx, o->square);
    plm__delete(o->ctx, o->coefficient);
    plm__delete(o->ctx, o->part);
    plm__delete(o->ctx, o->layer_update);
    plm__delete(o->ctx, o);
}

/* Norms of all gradients, finite; nothing has changed yet. */
static bool gather(plm_optimizer *o)
{
    double total = 0;
    if (!check_params(o)) return false;
    for (int i = 0; i < o->entries; i++) {
        plm__entry *e = &o->entry[i];
        plm_param  *p = e->param;
        if (!plm__entry_trains(e)) continue;
        if (p->grad_version == p->used_version)
            return plm__fail(o->ctx, PLM_ERR_STATE,
                             "%s: %s has no gradient since the last step: freeze it, or run plm_backward through it",
                             o->kind->name, p->name);
        if (e->square_version != p->grad_version) take_squares(e);
        if (!isfinite(e->total))
            return plm__fail(o->ctx, PLM_ERR_NONFINITE, "%s: the gradient of %s is not finite, no weight was changed",
                             o->kind->name, p->name);
        total += e->total;
    }
    o->info.grad_norm = sqrt(total);
    /* As torch.nn.utils.clip_grad_norm_: norm + 1e-6 below. */
    o->clip = o->clip_norm > 0 ? fmin(1, o->clip_norm / (o->info.grad_norm + 1e-6)) : 1;
    return true;
}

/* w -= delta in one pass over memory, block by block through the first-level cache. */
static bool update(const plm_optimizer *o, plm__entry *e)
{
    enum { BLOCK = 1024 };
    double    ww[PLM__PARTS] = { 0 }, dd[PLM__PARTS] = { 0 }, before = 0, change = 0;
    float    *w     = e->param->weights->data;
    const int parts = plm__parts(e->n);
#pragma omp parallel for if (parts > 1) schedule(static)
    for (int k = 0; k < parts; k++) {
        float         d[BLOCK];
        const int64_t end = plm__part_start(e->n, k + 1);
        for (int64_t i = plm__part_start(e->n, k); i < end; i += BLOCK) {
            const int64_t n = end - i < BLOCK ? end - i : BLOCK;
            o->kind->delta(o, e, i, n, d);
            plm__subtract(w + i, d, n, &ww[k], &dd[k]);
        }
    }
    for (int k = 0; k < parts; k++) {
        before += ww[k];
        change += dd[k];
    }
    e->update = before > 0 ? sqrt(change / before) : 0;
    e->param->version++;
    if (!isfinite(before) || !isfinite(change))
        return plm__fail(o->ctx, PLM_ERR_NONFINITE, "%s: step %lld made %s infinite or nan", o->kind->name,
                         (long long)o->info.step, e->param->name);
    /* No weight is larger than the root of the sum, so what a float can hold was not left. */
    if (sqrt(before) + sqrt(change) < FLT_MAX) e->param->finite_version = e->param->version;
    return true;
}

static void report(plm_optimizer *o)
{
    double sum = 0;
    for (int i = 0; i < o->entries; i++) {
        const plm__entry *e = &o->entry[i];
        if (!e->layer) continue;
        o->layer_update[e->layer->index] = e->update;
        if (plm__entry_trains(e)) sum += e->update;
    }
    o->info.update_mean = o->weights > 0 ? sum / o->weights : 0;
}

static bool step(plm_optimizer *o, bool change, const char *call)
{
    if (!o || !plm__enter(o->ctx, call)) return false;
    bool ok = gather(o);
    if (ok) {
        o->info.step += change;
        o->kind->begin(o);
        for (int i = 0; i < o->entries; i++) {
            plm__entry *e        = &o->entry[i];
            e->update            = 0;
            e->param->accumulate = 0;
            if (!plm__entry_trains(e)) continue;
            if (change && !update(o, e)) ok = false;
            e->param->used_version = e->param->grad_version;
        }
        report(o);
    }
    plm__leave(o->ctx);
    return ok;
}

bool plm_optimizer_step(plm_optimizer *o)
{
    return step(o, true, "plm_optimizer_step");
}

bool plm_optimizer_probe(plm_optimizer *o)
{
    return step(o, false, "plm_optimizer_probe");
}

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
    size_t bytes = 0;
    for (int i = 0; i < o->entries; i++)
        for (int s = 0; s < PLM__MAX_SLOTS; s++)
            if (o->entry[i].slot[s]) bytes += (size_t)o->entry[i].n * sizeof(float);
    return bytes;
}

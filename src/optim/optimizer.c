/* optimizer.c: what optimisers have in common: making one, and the step.
 *
 * Every step needs the norms of all gradients before it changes a weight: AGD for its rule, the others to refuse what is not
 * finite.  For kinds with .norms they are taken by the `ready` hook of each parameter, in the backward pass, right after the
 * last contribution, while the gradient is in cache.  They carry the gradient's version; where it does not fit
 * (micro-batches, a second optimiser) the same function takes them again, so the bits are the same. */
#include "optim/optim.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void gradient_ready(void *user, plm_param *p)
{
    (void)p;
    plm__entry_square(user);
}

/* Which parameters train?  Each must be one that the kind can train. */
static bool find_active(plm_optimizer *o)
{
    o->weights = o->actives = 0;
    for (int i = 0; i < o->entries; i++) {
        plm__entry *e = &o->entry[i];
        if (!plm__entry_trains(e)) continue;
        if (o->kind->accepts && !o->kind->accepts(o, &e->view)) return false;
        o->active[o->actives++] = e;
        o->weights += plm__entry_weighs(e);
    }
    return true;
}

static const plm_field *field_named(const plm_optimizer_kind *kind, const char *name, plm_field_type type)
{
    for (const plm_field *f = kind->fields; f && f->name; f++)
        if (f->type == type && strcmp(f->name, name) == 0) return f;
    return NULL;
}

static bool check_kind(plm_ctx *ctx, const plm_optimizer_kind *k)
{
    static const size_t size[] = { sizeof(int), sizeof(int64_t), sizeof(double), sizeof(bool) };
    if (!k || !k->name || !k->delta)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_optimizer_new: the kind has no %s",
                         !k         ? "struct: it is NULL"
                         : !k->name ? "name"
                                    : "delta");
    if (k->slots < 0 || k->slots > PLM_MAX_SLOTS || k->numbers < 0 || k->numbers > PLM_MAX_NUMBERS)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: %d slots, %d numbers: at most %d and %d", k->name, k->slots,
                         k->numbers, PLM_MAX_SLOTS, PLM_MAX_NUMBERS);
    for (const plm_field *f = k->fields; f && f->name; f++)
        if (f->type < PLM_FIELD_INT || f->type > PLM_FIELD_BOOL || f->offset + size[f->type] > k->desc_bytes)
            return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the field %s is not inside a desc of %zu bytes", k->name,
                             f->name, k->desc_bytes);
    return true;
}

/* The desc's copy, filled in and checked, and what the common part reads there. */
static bool resolve(plm_optimizer *o, const void *desc, bool *reinit)
{
    const plm_optimizer_kind *k = o->kind;
    if (!(o->desc = plm__new(o->ctx, k->desc_bytes + 1, "optimiser"))) return false;
    if (desc) memcpy(o->desc, desc, k->desc_bytes);
    if (!plm_fields_resolve(o->ctx, k->fields, o->desc, k->name)) return false;
    if (k->check && !k->check(o->ctx, o->desc)) return false;
    const plm_field *lr = field_named(k, "lr", PLM_FIELD_DOUBLE), *clip = field_named(k, "clip_norm", PLM_FIELD_DOUBLE);
    o->lr        = lr ? plm_field_get(lr, o->desc) : (double)NAN;
    o->clip_norm = clip ? plm_field_get(clip, o->desc) : 0;
    o->slots     = k->uses ? k->uses(o->desc) : k->slots;
    *reinit      = plm_field_get(field_named(k, "reinit", PLM_FIELD_BOOL), o->desc) != 0;
    return (o->slots >= 0 && o->slots <= k->slots) ||
           plm__fail(o->ctx, PLM_ERR_ARGUMENT, "%s: uses %d slots of %d", k->name, o->slots, k->slots);
}

static bool set_up(plm_optimizer *o, const void *desc)
{
    bool reinit;
    if (!resolve(o, desc, &reinit) || !plm__graph_freeze(o->graph) || !plm__entries_new(o) || !find_active(o) ||
        !plm__graph_draw(o->graph, o->kind->init, reinit))
        return false;
    o->info = (plm_step_info){ .eta       = (double)NAN,
                               .G         = (double)NAN,
                               .grad_norm = (double)NAN,
                               .update    = o->layer_update,
                               .layers    = o->graph->layers };
    for (int i = 0; o->kind->norms && i < o->entries; i++) {
        o->entry[i].view.param->ready      = gradient_ready;
        o->entry[i].view.param->ready_user = &o->entry[i];
    }
    return true;
}

plm_optimizer *plm_optimizer_new(plm_graph *g, const plm_optimizer_kind *kind, const void *desc)
{
    if (!g || !check_kind(g->ctx, kind) || !plm__enter(g->ctx, kind->name)) return NULL;
    plm_optimizer *o  = plm__new(g->ctx, sizeof *o, "optimiser");
    bool           ok = o != NULL;
    if (ok) {
        o->kind   = kind;
        o->graph  = g;
        o->ctx    = g->ctx;
        o->factor = 1;
        ok        = set_up(o, desc);
    }
    plm__leave(g->ctx);
    if (ok) return o;
    plm_optimizer_free(o);
    return NULL;
}

void plm_optimizer_free(plm_optimizer *o)
{
    if (!o) return;
    plm__entries_free(o);
    plm__pool_drop(o->ctx, o->scratch);
    plm__delete(o->ctx, o->desc);
    plm__delete(o->ctx, o);
}

/* Norms of all gradients, finite; nothing has changed yet. */
static bool gather(plm_optimizer *o)
{
    double total = 0;
    if (!find_active(o)) return false;
    for (int i = 0; i < o->actives; i++) {
        plm__entry *e = o->active[i];
        plm_param  *p = e->view.param;
        if (p->grad_version == p->used_version)
            return plm__fail(o->ctx, PLM_ERR_STATE,
                             "%s: %s has no gradient since the last step: freeze it, or run plm_backward through it",
                             o->kind->name, p->name);
        if (e->square_version != p->grad_version) plm__entry_square(e);
        if (!isfinite(e->total))
            return plm__fail(o->ctx, PLM_ERR_NONFINITE, "%s: the gradient of %s is not finite, no weight was changed",
                             o->kind->name, p->name);
        total += e->total;
        e->view.w = p->weights->data;
        e->view.g = p->grad->data;
    }
    o->info.grad_norm = sqrt(total);
    /* As torch.nn.utils.clip_grad_norm_: norm + 1e-6 below. */
    o->clip = o->clip_norm > 0 ? fmin(1, o->clip_norm / (o->info.grad_norm + 1e-6)) : 1;
    return true;
}

/* The kind's turn before anything changes: directions, coefficients. */
static bool plan(plm_optimizer *o)
{
    plm_optimizer_report(o, plm_optimizer_rate(o), (double)NAN);
    for (int i = 0; o->kind->prepare && i < o->actives; i++)
        if (!o->kind->prepare(o, &o->active[i]->view)) return false;
    return !o->kind->begin || o->kind->begin(o);
}

/* Elements i to i + n of a parameter. */
static plm_param_view block(const plm_param_view *whole, int64_t i, int64_t n)
{
    plm_param_view v = *whole;
    v.start          = i;
    v.n              = n;
    v.w += i;
    v.g += i;
    for (int s = 0; s < PLM_MAX_SLOTS; s++)
        if (v.slot[s]) v.slot[s] += i;
    if (v.direction) v.direction += i;
    return v;
}

/* w -= delta in one pass over memory, block by block through the first-level cache. */
static bool update(const plm_optimizer *o, plm__entry *e)
{
    enum { BLOCK = 1024 };
    double        ww[PLM__PARTS] = { 0 }, dd[PLM__PARTS] = { 0 }, before = 0, change = 0;
    plm_param    *p     = e->view.param;
    float        *w     = p->weights->data;
    const int64_t all   = e->view.n;
    const int     parts = plm__parts(all);
#pragma omp parallel for if (parts > 1) schedule(static)
    for (int k = 0; k < parts; k++) {
        float         d[BLOCK];
        const int64_t end = plm__part_start(all, k + 1);
        for (int64_t i = plm__part_start(all, k); i < end; i += BLOCK) {
            const plm_param_view v = block(&e->view, i, end - i < BLOCK ? end - i : BLOCK);
            o->kind->delta(o, &v, d);
            plm__subtract(w + i, d, v.n, &ww[k], &dd[k]);
        }
    }
    for (int k = 0; k < parts; k++) {
        before += ww[k];
        change += dd[k];
    }
    e->update = before > 0 ? sqrt(change / before) : 0;
    p->version++;
    if (!isfinite(before) || !isfinite(change))
        return plm__fail(o->ctx, PLM_ERR_NONFINITE, "%s: step %lld made %s infinite or nan", o->kind->name,
                         (long long)o->info.step, p->name);
    /* No weight is larger than the root of the sum, so what a float can hold was not left. */
    if (sqrt(before) + sqrt(change) < FLT_MAX) p->finite_version = p->version;
    return true;
}

static void report(plm_optimizer *o)
{
    double sum = 0;
    for (int i = 0; i < o->entries; i++) {
        const plm__entry *e = &o->entry[i];
        if (!plm__entry_weighs(e)) continue;
        o->layer_update[e->view.layer->index] = e->update;
        if (plm__entry_trains(e)) sum += e->update;
    }
    o->info.update_mean = o->weights > 0 ? sum / o->weights : 0;
}

/* A step of the whole and of each parameter that trains. */
static void count(plm_optimizer *o, int steps)
{
    o->info.step += steps;
    for (int i = 0; i < o->actives; i++) o->active[i]->view.step += steps;
}

/* The numbers of a step that is not taken are as before. */
static bool begin(plm_optimizer *o, bool change)
{
    double number[PLM_MAX_NUMBERS];
    memcpy(number, o->number, sizeof number);
    count(o, change);
    const bool ok = plan(o);
    if (ok && change) return true;
    memcpy(o->number, number, sizeof number);
    if (!ok) count(o, -change);
    return ok;
}

static bool step(plm_optimizer *o, bool change, const char *call)
{
    if (!o || !plm__enter(o->ctx, call)) return false;
    bool ok = gather(o) && begin(o, change);
    if (ok) {
        for (int i = 0; i < o->entries; i++) {
            o->entry[i].update                 = 0;
            o->entry[i].view.param->accumulate = 0;
        }
        for (int i = 0; i < o->actives; i++) {
            plm_param *p = o->active[i]->view.param;
            if (change && !update(o, o->active[i])) ok = false;
            p->used_version = p->grad_version;
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

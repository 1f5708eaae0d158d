/* tape.c: tapes, their leaves, and handles to their values.
 *
 * The headers of tapes belong to the context and are used again with a growing pass, so a handle to a tape that was reset or
 * freed is recognised, never followed. */
#include "autograd/autograd.h"

#include <math.h>
#include <string.h>

#include "autograd/list.h"

static void reset(plm_tape *tape)
{
    plm__list_clear(&tape->list);
    tape->done = false;
    tape->pass++;
    tape->list.step++;
    tape->list.draws = 0;
}

static void reset_all(plm_ctx *ctx, void *state)
{
    (void)ctx;
    for (plm_tape *t = state; t; t = t->next) reset(t);
}

static void free_all(plm_ctx *ctx, void *state)
{
    for (plm_tape *t = state, *next; t; t = next) {
        next = t->next;
        plm__list_free(&t->list);
        plm__delete(ctx, t);
    }
}

plm_tape *plm_tape_new(plm_ctx *ctx, const plm_tape_desc *desc)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    plm_tape *tape = ctx->floor[PLM__FLOOR_AUTOGRAD].state;
    while (tape && tape->in_use) tape = tape->next;
    if (!tape) {
        tape = plm__new(ctx, sizeof *tape, "tape");
        if (!tape) return NULL;
        tape->list.ctx                        = ctx;
        tape->next                            = ctx->floor[PLM__FLOOR_AUTOGRAD].state;
        ctx->floor[PLM__FLOOR_AUTOGRAD].state = tape;
        ctx->floor[PLM__FLOOR_AUTOGRAD].free  = free_all;
        ctx->floor[PLM__FLOOR_AUTOGRAD].reset = reset_all;
    }
    tape->in_use       = true;
    tape->list.step    = 0;
    tape->list.draws   = 0;
    tape->list.eval    = desc && desc->eval;
    tape->list.no_grad = desc && desc->no_grad;
    tape->list.keep    = desc && desc->keep;
    return tape;
}

void plm_tape_reset(plm_tape *tape)
{
    if (tape) reset(tape);
}

void plm_tape_set_step(plm_tape *tape, uint64_t step)
{
    if (tape) tape->list.step = step;
}

void plm_tape_free(plm_tape *tape)
{
    if (!tape) return;
    reset(tape);
    tape->in_use = false;
}

plm_ctx *plm_tape_ctx(const plm_tape *tape)
{
    if (!tape) return NULL;
    return tape->list.ctx;
}

/* Where a parameter is a leaf of a tape; -1: nowhere. */
static int32_t find_leaf(const plm_tape *tape, const plm_param *p)
{
    for (int32_t i = 0; i < tape->list.values; i++)
        if (tape->list.value[i].param == p) return i;
    return -1;
}

void plm__tapes_forget(plm_ctx *ctx, plm_param *const *params, int n)
{
    for (plm_tape *t = ctx->floor[PLM__FLOOR_AUTOGRAD].state; t; t = t->next)
        for (int i = 0; i < n; i++)
            if (find_leaf(t, params[i]) >= 0) reset(t);
}

void plm__tapes_forget_node(plm_ctx *ctx, const char *node)
{
    for (plm_tape *t = ctx->floor[PLM__FLOOR_AUTOGRAD].state; t; t = t->next)
        for (int i = 0; i < t->list.records; i++)
            if (t->list.record[i].node == node) reset(t); /* leaves no records: ends the loop */
}

bool plm__tapes_use(const plm_ctx *ctx, const plm_param *p)
{
    for (const plm_tape *t = ctx->floor[PLM__FLOOR_AUTOGRAD].state; t; t = t->next)
        if (find_leaf(t, p) >= 0) return true;
    return false;
}

plm_val plm__val_make(plm_tape *tape, int32_t id)
{
    return (plm_val){ .tape = tape, .id = id, .pass = tape->pass };
}

plm_val plm__val_none(plm_tape *tape)
{
    return (plm_val){ .tape = tape, .id = -1, .pass = tape ? tape->pass : 0 };
}

bool plm_val_ok(plm_val v)
{
    return v.tape && v.tape->in_use && v.id >= 0 && v.id < v.tape->list.values && v.pass == v.tape->pass;
}

plm__value *plm__val_get(plm_val v, const char *call)
{
    if (!v.tape) return NULL;
    plm_ctx *ctx = v.tape->list.ctx;
    if (v.id < 0) plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the value is empty", call);
    else if (!plm_val_ok(v))
        plm__fail(ctx, PLM_ERR_STATE, "%s: the value is stale, its tape was reset or freed after it was made", call);
    else if (v.tape->list.value[v.id].released || (!v.tape->list.dry && !plm__value_data(&v.tape->list.value[v.id])))
        plm__fail(ctx, PLM_ERR_STATE, "%s: the value was released", call);
    else return &v.tape->list.value[v.id];
    return NULL;
}

plm_val plm_tape_input(plm_tape *tape, plm_tensor x)
{
    return plm_tape_input_with(tape, x, NULL);
}

plm_val plm_tape_input_with(plm_tape *tape, plm_tensor x, const plm_input_desc *desc)
{
    const char *name = desc && desc->name ? desc->name : "input";
    if (!tape || tape->list.ctx->status != PLM_OK) return plm__val_none(tape);
    plm_ctx *ctx = tape->list.ctx;
    char     text[PLM__SHAPE_TEXT];
    if (!tape->in_use) plm__fail(ctx, PLM_ERR_STATE, "%s: the tape was freed", name);
    else if (tape->list.dry)
        plm__fail(ctx, PLM_ERR_STATE, "%s: a module takes numbers from its inputs and parameters, not from memory",
                  name);
    else if (x.dtype != PLM_F32)
        plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: %s %s, a tape takes f32", name, plm_dtype_name(x.dtype),
                  plm__shape_text(x.shape, text));
    else if (!x.data)
        plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: %s has no memory (NULL)", name, plm__shape_text(x.shape, text));
    else if (plm__shape_check(ctx, x.shape, name)) {
        const plm__layout plain = plm__layout_plain(x.shape);
        if (ctx->check_finite) {
            const int64_t at = plm__first_nonfinite(x.data, plm_shape_count(x.shape));
            if (at >= 0) {
                plm__fail(ctx, PLM_ERR_NONFINITE, "%s %s: element %lld is %g", name, plm__shape_text(x.shape, text),
                          (long long)at, (double)((const float *)x.data)[at]);
                return plm__val_none(tape);
            }
        }
        const int32_t id = plm__list_value(&tape->list, &plain, desc && desc->grad && !tape->list.no_grad);
        if (id < 0) return plm__val_none(tape);
        tape->list.value[id].lent  = x.data;
        tape->list.value[id].name  = name;
        tape->list.value[id].holds = 1;
        return plm__val_make(tape, id);
    }
    return plm__val_none(tape);
}

/* A parameter is one leaf per pass, however often it is used: so its last use can be seen. */
static int32_t param_leaf(plm_tape *tape, plm_param *p)
{
    if (p->leaf_tape == tape && p->leaf_pass == tape->pass) return p->leaf_id;
    if (tape->list.dry || p->leaf_tape != tape) { /* the mark may be another tape's, made since */
        const int32_t known = find_leaf(tape, p);
        if (known >= 0) return known;
    }
    const int32_t id = plm__list_value(&tape->list, &p->home, plm__param_trains(p) && !tape->list.no_grad);
    if (id < 0) return -1;
    tape->list.value[id].param   = p;
    tape->list.value[id].version = p->version;
    tape->list.value[id].holds   = 1;
    if (tape->list.dry) return id; /* a plan leaves no mark in the parameter */
    p->leaf_tape = tape;
    p->leaf_pass = tape->pass;
    p->leaf_id   = id;
    return id;
}

plm_val plm_tape_param(plm_tape *tape, plm_param *p)
{
    if (!tape || !p || tape->list.ctx->status != PLM_OK) return plm__val_none(tape);
    if (p->ctx != tape->list.ctx) {
        plm__fail(tape->list.ctx, PLM_ERR_ARGUMENT, "%s belongs to another context than the tape", p->name);
        return plm__val_none(tape);
    }
    if (!tape->in_use && !tape->list.dry) {
        plm__fail(tape->list.ctx, PLM_ERR_STATE, "%s: the tape was freed", p->name);
        return plm__val_none(tape);
    }
    return plm__val_make(tape, param_leaf(tape, p));
}

plm_shape plm_val_shape(plm_val v)
{
    if (!v.tape || !plm__enter(v.tape->list.ctx, "plm_val_shape")) return plm_shape_from(0, NULL);
    plm_shape s = plm_shape_from(0, NULL);
    if (plm__val_get(v, "plm_val_shape")) s = plm__layout_shape(&v.tape->list.value[v.id].layout);
    plm__leave(v.tape->list.ctx);
    return s;
}

static bool read_plain(plm_ctx *ctx, const plm__layout *layout, const float *data, float *dst, int64_t n,
                       const char *call)
{
    char              text[PLM__SHAPE_TEXT];
    const plm_shape   shape = plm__layout_shape(layout);
    const plm__layout plain = plm__layout_plain(shape);
    if (!data)
        return plm__fail(ctx, PLM_ERR_STATE, "%s: there are no numbers yet: a module's apply is planned, then run",
                         call);
    if (!dst || n != plm_shape_count(shape))
        return plm__fail(ctx, PLM_ERR_SHAPE, "%s: the value %s has %lld elements, not %lld", call,
                         plm__shape_text(shape, text), (long long)plm_shape_count(shape), (long long)(dst ? n : 0));
    if (!plm__layout_same(layout, &plain)) return plm__reorder(ctx, layout, data, &plain, dst);
    memcpy(dst, data, (size_t)n * sizeof(float)); /* losses are read in every step: no kernel for one number */
    return true;
}

bool plm_val_read(plm_val v, float *dst, int64_t n)
{
    if (!v.tape || !plm__enter(v.tape->list.ctx, "plm_val_read")) return false;
    plm__value *value = plm__val_get(v, "plm_val_read");
    const bool  ok =
        value && read_plain(v.tape->list.ctx, &value->layout, plm__value_data(value), dst, n, "plm_val_read");
    plm__leave(v.tape->list.ctx);
    return ok;
}

bool plm_val_grad(plm_val v, float *dst, int64_t n)
{
    if (!v.tape || !plm__enter(v.tape->list.ctx, "plm_val_grad")) return false;
    plm__value *value = plm__val_get(v, "plm_val_grad");
    bool        ok    = value != NULL;
    if (ok && !value->grad)
        ok = plm__fail(
            v.tape->list.ctx, PLM_ERR_STATE,
            "plm_val_grad: no gradient is kept for this value: make it an input with .grad, or the tape one with "
            ".keep, and run plm_backward");
    ok = ok && read_plain(v.tape->list.ctx, &value->layout, value->grad->data, dst, n, "plm_val_grad");
    plm__leave(v.tape->list.ctx);
    return ok;
}

float plm_val_item(plm_val v)
{
    float item = NAN;
    if (!v.tape || !plm__enter(v.tape->list.ctx, "plm_val_item")) return NAN;
    plm__value *value = plm__val_get(v, "plm_val_item");
    if (value) read_plain(v.tape->list.ctx, &value->layout, plm__value_data(value), &item, 1, "plm_val_item");
    plm__leave(v.tape->list.ctx);
    return item;
}

void plm_release(plm_val v)
{
    if (!plm_val_ok(v)) return;
    plm__value *value = &v.tape->list.value[v.id];
    if (value->param || value->released || v.tape->list.dry) return; /* once: the other holds are the backward pass's */
    value->released = true;
    plm__value_release(&v.tape->list, v.id);
}

/* A plan's parameter on this tape.  Its kernels were chosen for a parameter that trains, or for one that does not. */
static int32_t planned_leaf(plm_tape *tape, const plm__value *planned)
{
    const int32_t id = param_leaf(tape, planned->param);
    if (id < 0 || tape->list.value[id].wants_grad == planned->wants_grad) return id;
    plm__fail(tape->list.ctx, PLM_ERR_STATE, "%s was frozen or unfrozen after this tape used it: reset the tape",
              planned->param->name);
    return -1;
}

bool plm__tape_run_plan(plm_tape *tape, const plm__list *plan, int32_t input, const bool *handle, int32_t *base)
{
    plm__list *l = &tape->list;
    /* Values first, in the plan's order, so that ids differ by one offset; leaves stand for themselves. */
    *base = l->values;
    l->value[input].holds++; /* a reordered copy has no handle, and several records may read it */
    for (int i = 0; i < plan->values; i++) {
        const plm__value *v = &plan->value[i];
        if (plm__list_value(l, &v->layout, v->wants_grad) < 0) return false;
        plm__value *made = &l->value[*base + i];
        made->holds      = v->readers + handle[i];
    }
    for (int i = 0; i < plan->records; i++) {
        plm_record *r = plm__list_record(l, &plan->record[i]);
        if (!r) return false;
        for (int k = 0; k < PLM__MAX_KERNELS; k++)
            if (r->kernel[k]) plm__kernel_keep(r->kernel[k]);
        r->out += *base;
        for (int k = 0; k < r->n_in; k++) {
            const plm__value *planned = &plan->value[r->in[k]];
            if (r->in[k] == 0) r->in[k] = input;
            else if (planned->param) {
                if ((r->in[k] = planned_leaf(tape, planned)) < 0) return false;
            } else r->in[k] += *base;
        }
        int32_t in[PLM_MAX_INPUTS];
        int     n = r->n_in;
        memcpy(in, r->in, sizeof in);
        if (!plm__record_run(r)) return false;
        for (int k = 0; k < n; k++)
            if (in[k] >= *base && !l->value[in[k]].param) plm__value_release(l, in[k]);
    }
    plm__value_release(l, input);
    return true;
}

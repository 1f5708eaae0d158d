/* backward.c: reverse accumulation over the tape.
 *
 * The pass first counts, for every value that needs a gradient, the contributions it will get.  Then it walks the records
 * backwards: an op overwrites what it is handed, the tape makes that the gradient or adds it.  When the last contribution to
 * a parameter has come, its `ready` hook runs, while the gradient is still in cache. */
#include "autograd/autograd.h"

#include <math.h>
#include <string.h>

#include "autograd/list.h"

/* dst = a + b; dst may be a. */
static void add(float *dst, const float *a, const float *b, int64_t n)
{
#pragma omp parallel for if (n > 32768) schedule(static)
    for (int64_t i = 0; i < n; i++) dst[i] = a[i] + b[i];
}

/* Makes what a record wrote for input i the gradient of that value, or adds it to the one there is. */
static bool accumulate(plm_record *r, int i)
{
    plm_ctx      *ctx  = r->list->ctx;
    plm__value   *v    = plm__in(r, i);
    plm__block   *part = r->grad_in[i];
    const int64_t n    = plm__layout_floats(&v->layout);
    r->grad_in[i]      = NULL;
    if (!part) return plm_record_fail(r, PLM_ERR_STATE, "its backward wrote no gradient for input %d", i);
    if (v->param && part != v->param->grad) { /* parameters keep one buffer of their own */
        if (!v->param->grad) v->param->grad = plm__pool_get(ctx, (size_t)n * sizeof(float));
        plm__block *own = v->param->grad;
        if (own && v->grad) add(own->data, own->data, part->data, n);
        else if (own) memcpy(own->data, part->data, (size_t)n * sizeof(float));
        plm__pool_drop(ctx, part);
        if (!own) return false;
        if (!v->grad) plm__pool_keep(v->grad = own);
        return true;
    }
    if (!v->grad) {
        v->grad = part;
        return true;
    }
    if (v->grad->refs > 1) { /* somebody else reads it as his own gradient */
        plm__block *sum = plm__pool_get(ctx, (size_t)n * sizeof(float));
        if (sum) add(sum->data, v->grad->data, part->data, n);
        plm__pool_drop(ctx, v->grad);
        v->grad = sum;
    } else add(v->grad->data, v->grad->data, part->data, n);
    plm__pool_drop(ctx, part);
    return v->grad != NULL;
}

static void param_done(plm__value *v, bool more)
{
    plm_param *p  = v->param;
    p->accumulate = more ? p->ctx->clears + 1 : 0;
    p->grad_version++;
    if (!more && p->ready) p->ready(p->ready_user, p);
}

/* One record: its op, then the sums, then what nobody needs any more. */
static bool step_back(plm_record *r, bool more)
{
    plm__list  *l   = r->list;
    plm__value *out = plm__out(r);
    bool        ok  = r->op->backward(r) || plm_record_fail(r, PLM_ERR_STATE, "its backward returned false");
    for (int i = 0; i < r->n_in; i++)
        if (plm_record_wants(r, i)) {
            ok = ok && accumulate(r, i);
            if (--plm__in(r, i)->readers == 0 && plm__in(r, i)->param && ok) param_done(plm__in(r, i), more);
        }
    if (!l->keep) {
        plm__pool_drop(l->ctx, out->grad);
        out->grad = NULL;
    }
    for (int k = 0; k < 2; k++) {
        plm__pool_drop(l->ctx, r->aux[k]);
        r->aux[k] = NULL;
    }
    if (r->op->saves & PLM_SAVES_OUTPUT) plm__value_release(l, r->out);
    if (r->op->saves & PLM_SAVES_INPUTS)
        for (int i = 0; i < r->n_in; i++) plm__value_release(l, r->in[i]);
    r->keep = false;
    return ok;
}

/* Counts contributions; records that the loss does not depend on get none and are passed over. */
static void count_uses(plm__list *l, int32_t loss)
{
    for (int i = 0; i < l->values; i++) l->value[i].readers = 0;
    l->value[loss].readers = 1;
    for (int i = l->records - 1; i >= 0; i--) {
        const plm_record *r = &l->record[i];
        if (!r->keep || !plm__out(r)->readers) continue;
        for (int k = 0; k < r->n_in; k++)
            if (plm_record_wants(r, k)) plm__in(r, k)->readers++;
    }
}

/* The loss is not finite: the first culprit that can still be seen, inputs and parameters before what was made of them. */
static bool name_culprit(plm__list *l, float loss)
{
    char text[PLM__SHAPE_TEXT];
    for (int i = 0; i < l->values; i++) {
        const plm__value *v    = &l->value[i];
        const float      *data = plm__value_data(v);
        const int64_t     at =
            data && (v->lent || v->param) ? plm__first_nonfinite(data, plm__layout_floats(&v->layout)) : -1;
        if (at < 0) continue;
        plm__shape_text(plm__layout_shape(&v->layout), text);
        if (v->param)
            return plm__fail(l->ctx, PLM_ERR_NONFINITE, "plm_backward: the loss is %g: parameter %s %s holds %g",
                             (double)loss, v->param->name, text, (double)data[at]);
        return plm__fail(l->ctx, PLM_ERR_NONFINITE, "plm_backward: the loss is %g: %s %s holds %g at element %lld",
                         (double)loss, v->name ? v->name : "an input", text, (double)data[at], (long long)at);
    }
    for (int i = 0; i < l->records; i++) {
        plm_record  *r    = &l->record[i];
        const float *data = plm__value_data(plm__out(r));
        if (!data || plm__first_nonfinite(data, plm_record_size(r)) < 0) continue;
        plm__shape_text(plm_record_out_shape(r), text);
        return plm_record_fail(r, PLM_ERR_NONFINITE, "its output %s is not finite, nor is the loss (%g)", text,
                               (double)loss);
    }
    return plm__fail(l->ctx, PLM_ERR_NONFINITE, "plm_backward: the loss is %g", (double)loss);
}

/* After a failure half way: gradients are neither the old ones nor whole. */
static void forget_gradients(plm__list *l)
{
    for (int i = 0; i < l->values; i++) {
        plm_param *p = l->value[i].param;
        if (!p) continue;
        p->accumulate   = 0;
        p->used_version = p->grad_version;
    }
}

/* What makes a backward pass impossible. */
static bool check(plm_tape *tape, const plm__value *loss)
{
    plm__list *l = &tape->list;
    char       text[PLM__SHAPE_TEXT];
    if (l->dry)
        return plm__fail(l->ctx, PLM_ERR_STATE, "plm_backward: a module's apply is planned, it has no gradients");
    if (l->no_grad) return plm__fail(l->ctx, PLM_ERR_STATE, "plm_backward: the tape does not record (.no_grad)");
    if (tape->done)
        return plm__fail(l->ctx, PLM_ERR_STATE, "plm_backward: a second backward pass over one tape, reset it first");
    if (plm_shape_count(plm__layout_shape(&loss->layout)) != 1)
        return plm__fail(l->ctx, PLM_ERR_SHAPE, "plm_backward: the loss has shape %s, expected one element",
                         plm__shape_text(plm__layout_shape(&loss->layout), text));
    if (!loss->wants_grad)
        return plm__fail(l->ctx, PLM_ERR_STATE,
                         "plm_backward: the loss depends on no trainable parameter and no input with .grad");
    for (int i = 0; i < l->values; i++) {
        const plm__value *v = &l->value[i];
        if (v->param && v->version != v->param->version)
            return plm__fail(l->ctx, PLM_ERR_STATE,
                             "plm_backward: %s was changed after this tape used it: compute the loss anew",
                             v->param->name);
    }
    if (loss->param)
        return plm__fail(l->ctx, PLM_ERR_STATE, "plm_backward: the loss is the parameter %s itself", loss->param->name);
    const float value = *plm__value_data(loss);
    return isfinite(value) || name_culprit(l, value);
}

bool plm_backward(plm_val loss)
{
    return plm_backward_with(loss, NULL);
}

bool plm_backward_with(plm_val loss, const plm_backward_desc *desc)
{
    if (!loss.tape || !plm__enter(loss.tape->list.ctx, "plm_backward")) return false;
    plm__list  *l       = &loss.tape->list;
    const bool  more    = desc && desc->more;
    bool        started = false;
    plm__value *value   = plm__val_get(loss, "plm_backward");
    bool        ok      = value && check(loss.tape, value);
    if (ok) {
        loss.tape->done = started = true;
        count_uses(l, loss.id);
        for (int i = 0; i < l->values; i++) { /* micro-batches: a parameter goes on where the last pass ended */
            plm__value *v = &l->value[i];
            if (v->param && v->readers && v->param->accumulate == l->ctx->clears + 1 && v->param->grad)
                plm__pool_keep(v->grad = v->param->grad);
        }
        const size_t bytes = (size_t)plm__layout_floats(&value->layout) * sizeof(float); /* one element, and padding */
        value->grad        = plm__pool_get(l->ctx, bytes);
        ok                 = value->grad != NULL;
        if (ok) *(float *)memset(value->grad->data, 0, bytes) = 1;
    }
    for (int i = l->records - 1; i >= 0 && ok; i--) {
        plm_record *r = &l->record[i];
        if (!r->keep || !plm__out(r)->grad) continue;
        const double start = l->ctx->watch ? plm__seconds() : 0;
        ok                 = step_back(r, more);
        if (l->ctx->watch) l->ctx->watch(l->ctx->watch_user, r->op->name, r->node, true, plm__seconds() - start);
    }
    if (!ok && started) forget_gradients(l);
    plm__leave(l->ctx);
    return ok;
}

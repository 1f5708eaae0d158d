/* value.c: running a record, and what its op sees of it.
 *
 * Ops write, the tape adds: forward overwrites the output's block, backward the blocks that plm_record_grad_in hands out;
 * backward.c then makes each of them the gradient of its value or adds it to the one that is there. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "autograd/list.h"

const void *plm_record_attr(const plm_record *r)
{
    return r->attr;
}

int plm_record_inputs(const plm_record *r)
{
    return r->n_in;
}

plm_shape plm_record_in_shape(const plm_record *r, int i)
{
    return plm__layout_shape(&plm__in(r, i)->layout);
}

plm_shape plm_record_out_shape(const plm_record *r)
{
    return plm__layout_shape(&plm__out(r)->layout);
}

plm_ctx *plm_record_ctx(const plm_record *r)
{
    return r->list->ctx;
}

bool plm_record_eval(const plm_record *r)
{
    return r->list->eval;
}

bool plm_record_set_out(plm_record *r, plm_shape shape)
{
    if (!plm__shape_check(r->list->ctx, shape, r->op->name)) return false;
    plm__out(r)->layout = plm__layout_plain(shape);
    return true;
}

bool plm_record_set_aux(plm_record *r, int k, size_t bytes)
{
    if (k < 0 || k > 1) return plm_record_fail(r, PLM_ERR_ARGUMENT, "auxiliary buffer %d, expected 0 or 1", k);
    r->aux_bytes[k] = bytes;
    return true;
}

bool plm__record_may_read_memory(plm_record *r)
{
    return !r->list->dry ||
           plm_record_fail(r, PLM_ERR_STATE, "a module takes numbers from its inputs and parameters, not from memory");
}

const float *plm_record_in(const plm_record *r, int i)
{
    const plm__value *v = plm__in(r, i);
    return v->param && r->copied == i + 1 ? plm__param_weights(v->param, &r->weights) : plm__value_data(v);
}

float *plm_record_out(const plm_record *r)
{
    return (float *)plm__value_data(plm__out(r)); /* a view may be of lent memory, which nothing writes */
}

void *plm_record_aux(const plm_record *r, int k)
{
    return r->aux[k] ? r->aux[k]->data : NULL;
}

int64_t plm_record_size(const plm_record *r)
{
    return plm__layout_floats(&plm__out(r)->layout);
}

const float *plm_record_grad_out(const plm_record *r)
{
    return plm__out(r)->grad->data;
}

bool plm_record_wants(const plm_record *r, int i)
{
    return i < r->n_in && plm__in(r, i)->wants_grad;
}

/* A parameter's first contribution goes straight into its own gradient; but not if this record has two of them, as in
 * p * p: then neither may be overwritten before the sum. */
static plm__block *grad_block(plm_record *r, int i)
{
    plm__value  *v     = plm__in(r, i);
    const size_t bytes = (size_t)plm__layout_floats(&v->layout) * sizeof(float);
    int          uses  = 0;
    for (int k = 0; k < r->n_in; k++) uses += r->in[k] == r->in[i];
    if (!v->param || uses > 1) return plm__pool_get(r->list->ctx, bytes);
    if (!v->param->grad) v->param->grad = plm__pool_get(r->list->ctx, bytes);
    if (!v->param->grad || v->grad) return plm__pool_get(r->list->ctx, bytes);
    plm__pool_keep(v->param->grad);
    return v->param->grad;
}

float *plm_record_grad_in(plm_record *r, int i)
{
    if (!r->grad_in[i]) r->grad_in[i] = grad_block(r, i);
    return r->grad_in[i] ? r->grad_in[i]->data : NULL;
}

bool plm__record_pass_grad(plm_record *r, int i)
{
    r->grad_in[i] = plm__out(r)->grad;
    plm__pool_keep(r->grad_in[i]);
    return true;
}

float *plm__record_reuse_grad(plm_record *r, int i)
{
    if (plm__in(r, i)->param || plm__out(r)->grad->refs > 1 || r->list->keep) return plm_record_grad_in(r, i);
    plm__record_pass_grad(r, i);
    return r->grad_in[i]->data;
}

bool plm_record_fail(plm_record *r, plm_status status, const char *fmt, ...)
{
    char    what[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (r->node) return plm__fail(r->list->ctx, status, "%s at %s: %s", r->op->name, r->node, what);
    return plm__fail(r->list->ctx, status, "%s: %s", r->op->name, what);
}

#ifndef NDEBUG
/* Is every element of the padding zero?  Walks all padded indices: for debug builds. */
static bool padding_is_zero(const plm__layout *l, const float *x)
{
    plm__layout whole               = *l;
    int64_t     index[PLM_MAX_RANK] = { 0 };
    memcpy(whole.dim, l->padded, sizeof whole.dim);
    for (int64_t left = plm__layout_floats(l); left > 0; left--) {
        bool inside = true;
        for (int a = 0; a < l->rank; a++) inside = inside && index[a] < l->dim[a];
        if (!inside && x[plm__layout_offset(&whole, index)] != 0) return false;
        for (int a = l->rank - 1; a >= 0 && ++index[a] == l->padded[a]; a--) index[a] = 0;
    }
    return true;
}
#endif

static bool check_output(plm_record *r)
{
    const plm__value *out = plm__out(r);
    const float      *y   = plm__value_data(out);
#ifndef NDEBUG
    assert(!plm__layout_padded(&out->layout) || padding_is_zero(&out->layout, y));
#endif
    if (!r->list->ctx->check_finite || plm__first_nonfinite(y, plm__layout_floats(&out->layout)) < 0) return true;
    char text[PLM__SHAPE_TEXT];
    return plm_record_fail(r, PLM_ERR_NONFINITE, "its output %s is not finite",
                           plm__shape_text(plm_record_out_shape(r), text));
}

/* Output memory: a view (an op without forward) shares its input's. */
static bool take_output(plm_record *r)
{
    plm__value *out = plm__out(r), *in = plm__in(r, 0);
    if (r->op->forward) {
        out->data = plm__pool_get(r->list->ctx, (size_t)plm__layout_floats(&out->layout) * sizeof(float));
        return out->data != NULL;
    }
    if (plm_shape_count(plm_record_out_shape(r)) != plm_shape_count(plm_record_in_shape(r, 0)))
        return plm_record_fail(r, PLM_ERR_STATE,
                               "it has no forward, so it is a view, but changes the number of elements");
    out->data = in->data;
    if (out->data) plm__pool_keep(out->data);
    else out->lent = plm__value_data(in);
    return true;
}

bool plm__record_run(plm_record *r)
{
    plm__list    *l     = r->list;
    const plm_op *op    = r->op;
    const char   *node  = r->node;
    const double  start = l->ctx->watch ? plm__seconds() : 0;
    for (int i = 0; i < r->n_in; i++) plm__in(r, i)->holds += 1 + (r->keep && r->op->saves & PLM_SAVES_INPUTS);
    if (r->keep && r->op->saves & PLM_SAVES_OUTPUT) plm__out(r)->holds++;

    bool ok = take_output(r);
    for (int k = 0; k < 2 && ok; k++)
        if (r->aux_bytes[k]) ok = (r->aux[k] = plm__pool_get(l->ctx, r->aux_bytes[k])) != NULL;
    if (ok && r->op->forward && !r->op->forward(r))
        ok = plm_record_fail(r, PLM_ERR_STATE, "its forward returned false");
    ok = ok && check_output(r);

    for (int i = 0; i < r->n_in; i++) plm__value_release(l, r->in[i]);
    if (!r->keep && !l->keep) plm__list_pop(l);
    if (l->ctx->watch) l->ctx->watch(l->ctx->watch_user, op->name, node, false, plm__seconds() - start);
    return ok;
}

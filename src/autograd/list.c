/* list.c: values and the records that make them: what a tape and a plan have in common.
 *
 * Appending an op does the same for both: its shape rule, the layouts its inputs must come in (with reorder records where
 * they do not), its kernels.  A tape then runs the record at once; a plan keeps it to be copied onto tapes. */
#include "autograd/list.h"

#include <string.h>

static void clear_record(plm__list *l, plm_record *r)
{
    for (int i = 0; i < PLM__MAX_KERNELS; i++) plm__kernel_drop(l->ctx, r->kernel[i]);
    for (int i = 0; i < 2; i++) plm__pool_drop(l->ctx, r->aux[i]);
    for (int i = 0; i < r->n_in; i++) plm__pool_drop(l->ctx, r->grad_in[i]);
}

void plm__list_clear(plm__list *l)
{
    while (l->records > 0) clear_record(l, &l->record[--l->records]);
    while (l->values > 0) {
        plm__value *v = &l->value[--l->values];
        plm__pool_drop(l->ctx, v->data);
        plm__pool_drop(l->ctx, v->grad);
    }
}

void plm__list_free(plm__list *l)
{
    plm__list_clear(l);
    plm__delete(l->ctx, l->value);
    plm__delete(l->ctx, l->record);
    l->value          = NULL;
    l->record         = NULL;
    l->value_capacity = l->record_capacity = 0;
}

int32_t plm__list_value(plm__list *l, const plm__layout *layout, bool wants_grad)
{
    if (!plm__grow(l->ctx, &l->value, &l->value_capacity, l->values + 1, sizeof *l->value, "tape")) return -1;
    l->value[l->values] = (plm__value){ .layout = *layout, .wants_grad = wants_grad };
    return l->values++;
}

plm_record *plm__list_record(plm__list *l, const plm_record *r)
{
    if (!plm__grow(l->ctx, &l->record, &l->record_capacity, l->records + 1, sizeof *l->record, "tape")) return NULL;
    l->record[l->records]      = *r;
    l->record[l->records].list = l;
    return &l->record[l->records++];
}

void plm__list_pop(plm__list *l)
{
    clear_record(l, &l->record[--l->records]);
}

void plm__value_release(plm__list *l, int32_t id)
{
    plm__value *v = &l->value[id];
    if (--v->holds > 0 || l->keep) return;
    plm__pool_drop(l->ctx, v->data);
    v->data = NULL;
}

const float *plm__value_data(const plm__value *v)
{
    if (v->param) return v->param->weights ? v->param->weights->data : NULL;
    return v->data ? v->data->data : v->lent;
}

int32_t plm__list_reordered(plm__list *l, int32_t id, const plm__layout *layout)
{
    if (plm__layout_same(&l->value[id].layout, layout)) return id;
    for (int i = l->records - 1; i >= 0; i--) {
        const plm_record *r = &l->record[i];
        if (r->op != &plm__op_reorder || r->in[0] != id) continue;
        const plm__value *v = &l->value[r->out];
        if (plm__layout_same(&v->layout, layout) && (l->dry || v->data)) return r->out;
    }
    const plm__layout *attr = layout;
    return plm__list_apply(l, &plm__op_reorder, &attr, sizeof attr, &id, 1);
}

bool plm__record_reorder(plm_record *r, int i, const plm__layout *layout)
{
    return (r->in[i] = plm__list_reordered(r->list, r->in[i], layout)) >= 0;
}

bool plm__record_want(plm_record *r, int i, const plm__layout *layout)
{
    if (i > 0 && plm__in(r, i)->param && r->op->layout == PLM_LAYOUT_NEGOTIATED) {
        r->weights = *layout;
        r->copied  = i + 1;
        return true;
    }
    return plm__record_reorder(r, i, layout);
}

void plm__record_set_layout(plm_record *r, const plm__layout *out)
{
    plm__out(r)->layout = *out;
}

/* Inputs and output in the layouts that the op wishes for. */
static bool settle_layouts(plm_record *r)
{
    for (int i = 0; i < r->n_in; i++) {
        const plm_shape shape  = plm_record_in_shape(r, i);
        plm__layout     wanted = plm__layout_plain(shape);
        if (r->op->layout == PLM_LAYOUT_NEGOTIATED) continue;
        if (r->op->layout == PLM_LAYOUT_SAME && plm_shape_equal(shape, plm_record_in_shape(r, 0)))
            wanted = plm__in(r, 0)->layout;
        if (!plm__record_want(r, i, &wanted)) return false;
    }
    if (r->op->layout == PLM_LAYOUT_SAME) plm__record_set_layout(r, &plm__in(r, 0)->layout);
    return true;
}

static bool prepare(plm_record *r)
{
    char text[PLM__SHAPE_TEXT];
    if (!r->op->shape(r)) return plm_record_fail(r, PLM_ERR_STATE, "its shape rule returned false");
    if (plm__out(r)->layout.blocks == PLM__ANY)
        return plm_record_fail(r, PLM_ERR_STATE, "its shape rule set no output shape");
    if (!plm__shape_check(r->list->ctx, plm_record_out_shape(r), r->op->name)) return false;
    if (r->op->layout == PLM_LAYOUT_SAME && !plm_shape_equal(plm_record_out_shape(r), plm_record_in_shape(r, 0)))
        return plm_record_fail(r, PLM_ERR_STATE, "PLM_LAYOUT_SAME, but its output has another shape than input 0 %s",
                               plm__shape_text(plm_record_in_shape(r, 0), text));
    return settle_layouts(r) &&
           (!r->op->prepare || r->op->prepare(r) || plm_record_fail(r, PLM_ERR_STATE, "its prepare returned false"));
}

int32_t plm__list_apply(plm__list *l, const plm_op *op, const void *attr, size_t attr_bytes, const int32_t *in, int n)
{
    plm_record r = { .list = l, .op = op, .node = l->node, .n_in = n };
    if (attr) memcpy(r.attr, attr, attr_bytes);
    bool wants = false;
    for (int i = 0; i < n; i++) {
        r.in[i] = in[i];
        wants   = wants || l->value[in[i]].wants_grad;
    }
    wants = wants && op->backward && !l->no_grad;

    const plm__layout unknown = { .blocks = PLM__ANY };
    r.out                     = plm__list_value(l, &unknown, wants);
    r.keep                    = wants;
    plm_record *kept          = r.out >= 0 && prepare(&r) ? plm__list_record(l, &r) : NULL;
    if (!kept) {
        clear_record(l, &r);
        return -1;
    }
    if (!l->dry && !plm__record_run(kept)) return -1;
    return r.out;
}

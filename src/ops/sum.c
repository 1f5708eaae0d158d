/* sum.c: sums and means over axes: the transpose of broadcasting. */
#include "ops/ops.h"

typedef struct {
    int  axes[PLM_MAX_RANK];
    int  count; /* as given, even if it cannot be right */
    bool all;
    bool keep;
    bool mean;
} attributes;

/* x's shape with extents of 1 along the reduced axes; false after failing. */
static bool reduced(plm_record *r, plm_shape *small)
{
    char              text[PLM__SHAPE_TEXT];
    const attributes *d                   = plm_record_attr(r);
    const plm_shape   x                   = plm_record_in_shape(r, 0);
    bool              taken[PLM_MAX_RANK] = { false };
    *small                                = x;
    if (d->count < 0 || d->count > x.rank)
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "desc.count is %d, but %s has %d axes", d->count,
                               plm__shape_text(x, text), x.rank);
    for (int i = 0; i < (d->all ? x.rank : d->count); i++) {
        int axis = d->all ? i : d->axes[i];
        if (!plm__axis(&axis, x.rank))
            return plm_record_fail(r, PLM_ERR_ARGUMENT, "there is no axis %d in %s", d->axes[i],
                                   plm__shape_text(x, text));
        if (taken[axis])
            return plm_record_fail(r, PLM_ERR_ARGUMENT, "axis %d of %s is named twice", axis, plm__shape_text(x, text));
        taken[axis]      = true;
        small->dim[axis] = 1;
    }
    return true;
}

/* Is the axis in the list?  (It may be of extent 1, so shapes do not tell.) */
static bool listed(const attributes *d, int axis, int rank)
{
    for (int i = 0; i < d->count; i++)
        if (d->axes[i] == axis || d->axes[i] + rank == axis) return true;
    return d->all;
}

static bool shape(plm_record *r)
{
    const attributes *d = plm_record_attr(r);
    const plm_shape   x = plm_record_in_shape(r, 0);
    plm_shape         small, out = { 0 };
    if (!reduced(r, &small)) return false;
    if (d->keep) return plm_record_set_out(r, small);
    for (int a = 0; a < x.rank; a++)
        if (!listed(d, a, x.rank)) out.dim[out.rank++] = x.dim[a];
    return plm_record_set_out(r, out);
}

static double factor_of(const plm_record *r)
{
    const attributes *d     = plm_record_attr(r);
    const int64_t     terms = plm_shape_count(plm_record_in_shape(r, 0)) / plm_shape_count(plm_record_out_shape(r));
    return d->mean ? 1 / (double)terms : 1;
}

static bool forward(plm_record *r)
{
    plm_shape small;
    if (!reduced(r, &small)) return false;
    plm__reduce(plm_record_in(r, 0), plm_record_in_shape(r, 0), plm_record_out(r), small, factor_of(r));
    return true;
}

/* dx = factor dy, repeated along the reduced axes. */
static bool backward(plm_record *r)
{
    const float factor = (float)factor_of(r);
    float      *dx     = plm_record_grad_in(r, 0);
    plm_shape   small;
    if (!dx || !reduced(r, &small)) return false;
    const plm__operand in[] = { { small, plm_record_grad_out(r) }, { plm_shape_from(0, NULL), &factor } };
    plm__broadcast(plm__mul_range, plm_record_in_shape(r, 0), in, 2, dx);
    return true;
}

static const plm_op sum  = { .name = "sum", .shape = shape, .forward = forward, .backward = backward };
static const plm_op mean = { .name = "mean", .shape = shape, .forward = forward, .backward = backward };

static plm_val apply(const plm_op *op, plm_val x, const plm_reduce_desc *desc)
{
    attributes d = { .all = !desc || !desc->axes, .keep = desc && desc->keep, .mean = op == &mean };
    if (!d.all) d.count = desc->count;
    for (int i = 0; i < d.count && i < PLM_MAX_RANK; i++) d.axes[i] = desc->axes[i];
    return plm_apply(op, &d, sizeof d, &x, 1);
}

plm_val plm_sum(plm_val x, const plm_reduce_desc *desc)
{
    return apply(&sum, x, desc);
}

plm_val plm_mean(plm_val x, const plm_reduce_desc *desc)
{
    return apply(&mean, x, desc);
}

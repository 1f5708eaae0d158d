/* reorder.c: the same values in another memory layout.  The engine inserts it where an op needs a layout that its input does
 * not have; it is a record like any other, so backward needs no special case.  A row-major value may also come out under other
 * extents, as kernels of grouped convolutions see weights (plm__layout_view). */
#include "ops/ops.h"

static const plm__layout *target(const plm_record *r)
{
    return &plm__out(r)->layout;
}

/* The input's layout, under the target's extents. */
static plm__layout source(const plm_record *r)
{
    return plm__layout_view(&plm__in(r, 0)->layout, plm__layout_shape(target(r)));
}

/* attr: the address of the layout, read here and not kept. */
static bool reorder_shape(plm_record *r)
{
    plm__record_set_layout(r, *(const plm__layout *const *)plm_record_attr(r));
    return true;
}

static bool reorder_forward(plm_record *r)
{
    const plm__layout from = source(r);
    return plm__reorder(plm_record_ctx(r), &from, plm_record_in(r, 0), target(r), plm_record_out(r));
}

static bool reorder_backward(plm_record *r)
{
    const plm__layout from = source(r);
    float            *dx   = plm_record_grad_in(r, 0);
    return dx && plm__reorder(plm_record_ctx(r), target(r), plm_record_grad_out(r), &from, dx);
}

const plm_op plm__op_reorder = { .name     = "reorder",
                                 .shape    = reorder_shape,
                                 .forward  = reorder_forward,
                                 .backward = reorder_backward,
                                 .layout   = PLM_LAYOUT_NEGOTIATED };

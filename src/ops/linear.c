/* linear.c: y = x W^T + b, perhaps with y = scale max(y, 0) in the same kernel. */
#include "ops/weighted.h"

#include <string.h>

typedef struct {
    double relu; /* 0: none */
} linear_attr;

static bool linear_shape(plm_record *r)
{
    char            a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const plm_shape x = plm_record_in_shape(r, PLM__X), w = plm_record_in_shape(r, PLM__W);
    if (x.rank != 2 || w.rank != 2)
        return plm_record_fail(r, PLM_ERR_SHAPE, "x is %s and w %s, expected [n,in] and [out,in]",
                               plm__shape_text(x, a), plm__shape_text(w, b));
    if (x.dim[1] != w.dim[1])
        return plm_record_fail(r, PLM_ERR_SHAPE, "input has %lld features, weight expects %lld (x %s, w %s)",
                               (long long)x.dim[1], (long long)w.dim[1], plm__shape_text(x, a), plm__shape_text(w, b));
    if (r->n_in > PLM__B && !plm_shape_equal(plm_record_in_shape(r, PLM__B), plm_shape_of(w.dim[0])))
        return plm_record_fail(r, PLM_ERR_SHAPE, "bias is %s, expected [%lld] (w %s)",
                               plm__shape_text(plm_record_in_shape(r, PLM__B), a), (long long)w.dim[0],
                               plm__shape_text(w, b));
    return plm_record_set_out(r, plm_shape_of(x.dim[0], w.dim[0]));
}

static plm__problem forward_problem(plm_shape x, plm_shape w)
{
    plm__problem p;
    memset(&p, 0, sizeof p);
    p.primitive = PLM__LINEAR;
    p.pass      = PLM__FORWARD;
    p.src       = plm__layout_plain(x);
    p.weights   = plm__layout_any(w);
    p.dst       = plm__layout_plain(plm_shape_of(x.dim[0], w.dim[0]));
    return p;
}

static bool linear_prepare(plm_record *r)
{
    const linear_attr *attr = plm_record_attr(r);
    plm__problem       p    = forward_problem(plm_record_in_shape(r, PLM__X), plm_record_in_shape(r, PLM__W));
    p.bias                  = r->n_in > PLM__B;
    p.relu_scale            = (float)attr->relu;
    return plm__weighted_prepare(r, &p);
}

/* dx = dz W,  dW = dz^T x,  db = sum_n dz. */
static bool linear_backward(plm_record *r)
{
    return plm__weighted_backward(r, plm_record_grad_out(r));
}

/* As above with dz = relu dy where y > 0, written over dy unless somebody else reads that. */
static bool linear_relu_backward(plm_record *r)
{
    const linear_attr *attr = plm_record_attr(r);
    plm_ctx           *ctx  = plm_record_ctx(r);
    plm__block        *dy   = plm__out(r)->grad;
    plm__block        *dz =
        dy->refs == 1 && !r->list->keep ? dy : plm__pool_get(ctx, (size_t)plm_record_size(r) * sizeof(float));
    if (!dz) return false;
    plm__relu_backward(plm_record_out(r), dy->data, dz->data, plm_record_size(r), (float)attr->relu);
    const bool ok = plm__weighted_backward(r, dz->data);
    if (dz != dy) plm__pool_drop(ctx, dz);
    return ok;
}

static const plm_op linear = { .name     = "linear",
                               .shape    = linear_shape,
                               .prepare  = linear_prepare,
                               .forward  = plm__weighted_forward,
                               .backward = linear_backward,
                               .saves    = PLM_SAVES_INPUTS,
                               .layout   = PLM_LAYOUT_NEGOTIATED };

static const plm_op linear_relu = { .name     = "linear_relu",
                                    .shape    = linear_shape,
                                    .prepare  = linear_prepare,
                                    .forward  = plm__weighted_forward,
                                    .backward = linear_relu_backward,
                                    .saves    = PLM_SAVES_INPUTS | PLM_SAVES_OUTPUT,
                                    .layout   = PLM_LAYOUT_NEGOTIATED };

bool plm__linear_home(plm_ctx *ctx, plm_shape w, plm__layout *home)
{
    const plm__problem p = forward_problem(plm_shape_of(128, w.dim[1]), w);
    plm__kernel       *k = plm__kernel_get(ctx, &p);
    if (!k) return false;
    *home = *plm__kernel_weights(k);
    plm__kernel_drop(ctx, k);
    return true;
}

plm_val plm__linear_relu(plm_val x, plm_val w, plm_val b, double relu)
{
    const plm_val     in[] = { x, w, b };
    const linear_attr attr = { .relu = relu };
    return plm_apply(relu > 0 ? &linear_relu : &linear, &attr, sizeof attr, in, b.tape ? 3 : 2);
}

plm_val plm_linear(plm_val x, plm_val w, plm_val b)
{
    return plm__linear_relu(x, w, b, 0);
}

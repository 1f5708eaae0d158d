/* pool.c: the largest or the mean value of each window. */
#include <string.h>

#include "ops/ops.h"

enum { FORWARD, BACKWARD };

static bool check_window(plm_record *r, const plm_pool2d_op_desc *d)
{
    if (d->global && (d->kernel != 0 || d->stride != 0 || d->pad != 0))
        return plm_record_fail(r, PLM_ERR_ARGUMENT,
                               "kernel %d, stride %d, pad %d: a global pool's window is the image, all three stay 0",
                               d->kernel, d->stride, d->pad);
    if (!plm__window_fits(d->kernel, d->stride, d->pad))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "kernel %d, stride %d, pad %d: each is at most %d", d->kernel,
                               d->stride, d->pad, PLM__MAX_WINDOW);
    if (!d->global && (d->kernel < 1 || d->stride < 1 || d->pad < 0 || d->pad > d->kernel / 2))
        return plm_record_fail(
            r, PLM_ERR_ARGUMENT,
            "kernel %d, stride %d, pad %d: kernel is required, kernel and stride are positive, pad at "
            "most half the kernel",
            d->kernel, d->stride, d->pad);
    return true;
}

static bool pool_shape(plm_record *r)
{
    const plm_pool2d_op_desc *d = plm_record_attr(r);
    char                      a[PLM__SHAPE_TEXT];
    const plm_shape           x = plm_record_in_shape(r, 0);
    if (x.rank != 4) return plm_record_fail(r, PLM_ERR_SHAPE, "x is %s, expected [n,c,h,w]", plm__shape_text(x, a));
    if (!check_window(r, d)) return false;
    plm_shape y = x;
    for (int i = 2; i < 4; i++) {
        if (d->global && x.dim[i] > PLM__MAX_WINDOW)
            return plm_record_fail(r, PLM_ERR_ARGUMENT, "x is %s: the side of a window is at most %d",
                                   plm__shape_text(x, a), PLM__MAX_WINDOW);
        y.dim[i] = d->global ? 1 : plm__window_places(x.dim[i], d->kernel, d->stride, d->pad);
        if (y.dim[i] == 0)
            return plm_record_fail(r, PLM_ERR_SHAPE, "a %dx%d window is larger than x %s padded by %d", d->kernel,
                                   d->kernel, plm__shape_text(x, a), d->pad);
    }
    return plm_record_set_out(r, y);
}

static bool max_shape(plm_record *r)
{
    const plm_pool2d_op_desc *d = plm_record_attr(r);
    if (d->exclude_pad)
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "exclude_pad is for means: padding never is the maximum");
    return pool_shape(r);
}

static bool prepare(plm_record *r, plm__primitive primitive)
{
    const plm_pool2d_op_desc *d   = plm_record_attr(r);
    plm_ctx                  *ctx = plm_record_ctx(r);
    plm__problem              p;
    memset(&p, 0, sizeof p);
    p.primitive   = primitive;
    p.pass        = PLM__FORWARD;
    p.src         = plm__in(r, 0)->layout;
    p.dst         = plm__layout_any(plm_record_out_shape(r));
    p.kernel      = d->kernel;
    p.stride      = d->global ? 1 : d->stride;
    p.pad         = d->pad;
    p.exclude_pad = d->exclude_pad;
    if (!plm__negotiate(ctx, &p, (plm__needs){ .keep_src = true, .data = r->keep })) return false;
    if (!(r->kernel[FORWARD] = plm__kernel_get(ctx, &p))) return false;
    if (!plm__record_want(r, 0, plm__kernel_src(r->kernel[FORWARD]))) return false;
    plm__record_set_layout(r, plm__kernel_dst(r->kernel[FORWARD]));
    plm_record_set_aux(r, 0, plm__kernel_workspace(r->kernel[FORWARD]));
    p.pass = PLM__BACKWARD_DATA;
    return !r->keep || (r->kernel[BACKWARD] = plm__kernel_get(ctx, &p)) != NULL;
}

static bool max_prepare(plm_record *r)
{
    return prepare(r, PLM__MAX_POOL);
}

static bool avg_prepare(plm_record *r)
{
    return prepare(r, PLM__AVG_POOL);
}

static bool pool_forward(plm_record *r)
{
    const plm__args args = { .src = plm_record_in(r, 0), .dst = plm_record_out(r), .workspace = plm_record_aux(r, 0) };
    return plm__kernel_run(plm_record_ctx(r), r->kernel[FORWARD], &args);
}

/* max: dy goes to where the maximum was (the workspace knows); mean: dy / what it was divided by to every element of the window. */
static bool pool_backward(plm_record *r)
{
    const plm__args args = { .diff_dst  = plm_record_grad_out(r),
                             .diff_src  = plm_record_grad_in(r, 0),
                             .workspace = plm_record_aux(r, 0) };
    return args.diff_src && plm__kernel_run(plm_record_ctx(r), r->kernel[BACKWARD], &args);
}

static const plm_op max_pool2d = { .name     = "max_pool2d",
                                   .shape    = max_shape,
                                   .prepare  = max_prepare,
                                   .forward  = pool_forward,
                                   .backward = pool_backward,
                                   .layout   = PLM_LAYOUT_NEGOTIATED };

static const plm_op avg_pool2d = { .name     = "avg_pool2d",
                                   .shape    = pool_shape,
                                   .prepare  = avg_prepare,
                                   .forward  = pool_forward,
                                   .backward = pool_backward,
                                   .layout   = PLM_LAYOUT_NEGOTIATED };

static plm_val apply(const plm_op *op, plm_val x, const plm_pool2d_op_desc *desc)
{
    plm_pool2d_op_desc d = desc ? *desc : (plm_pool2d_op_desc){ 0 };
    if (d.stride == 0) d.stride = d.kernel;
    return plm_apply(op, &d, sizeof d, &x, 1);
}

plm_val plm_max_pool2d(plm_val x, const plm_pool2d_op_desc *desc)
{
    return apply(&max_pool2d, x, desc);
}

plm_val plm_avg_pool2d(plm_val x, const plm_pool2d_op_desc *desc)
{
    return apply(&avg_pool2d, x, desc);
}

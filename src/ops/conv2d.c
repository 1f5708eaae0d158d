/* conv2d.c: two-dimensional convolution (cross-correlation: the kernel is not flipped). */
#include <string.h>

#include "ops/weighted.h"

/* Stride, dilation, groups and the window's size, whatever x is. */
static bool check_window(plm_record *r, plm_shape w, const plm_conv2d_op_desc *d)
{
    char text[PLM__SHAPE_TEXT];
    if (d->stride < 1 || d->dilation < 1 || d->groups < 1 || d->pad < 0)
        return plm_record_fail(r, PLM_ERR_ARGUMENT,
                               "stride %d, pad %d, dilation %d, groups %d: all are positive, pad may be 0", d->stride,
                               d->pad, d->dilation, d->groups);
    const int64_t side = w.dim[2] > w.dim[3] ? w.dim[2] : w.dim[3];
    if (side > PLM__MAX_WINDOW || d->dilation > PLM__MAX_WINDOW ||
        !plm__window_fits(plm__window_extent(side, d->dilation), d->stride, d->pad))
        return plm_record_fail(
            r, PLM_ERR_ARGUMENT,
            "w %s, stride %d, pad %d, dilation %d: stride, pad and what a window covers are at most %d",
            plm__shape_text(w, text), d->stride, d->pad, d->dilation, PLM__MAX_WINDOW);
    return true;
}

/* w is [k,c/groups,r,s]. */
static bool check_channels(plm_record *r, plm_shape x, plm_shape w, int groups)
{
    char a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    if (x.dim[1] % groups != 0 || w.dim[0] % groups != 0)
        return plm_record_fail(
            r, PLM_ERR_SHAPE, "%lld input and %lld output channels do not divide into %d groups (x %s, w %s)",
            (long long)x.dim[1], (long long)w.dim[0], groups, plm__shape_text(x, a), plm__shape_text(w, b));
    if (x.dim[1] / groups == w.dim[1]) return true;
    if (groups == 1)
        return plm_record_fail(r, PLM_ERR_SHAPE, "input has %lld channels, weight expects %lld (x %s, w %s)",
                               (long long)x.dim[1], (long long)w.dim[1], plm__shape_text(x, a), plm__shape_text(w, b));
    return plm_record_fail(
        r, PLM_ERR_SHAPE, "input has %lld channels in each of %d groups, weight expects %lld (x %s, w %s)",
        (long long)(x.dim[1] / groups), groups, (long long)w.dim[1], plm__shape_text(x, a), plm__shape_text(w, b));
}

static bool conv2d_shape(plm_record *r)
{
    const plm_conv2d_op_desc *d = plm_record_attr(r);
    char                      a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const plm_shape           x = plm_record_in_shape(r, PLM__X), w = plm_record_in_shape(r, PLM__W);
    if (x.rank != 4 || w.rank != 4)
        return plm_record_fail(r, PLM_ERR_SHAPE, "x is %s and w %s, expected [n,c,h,w] and [k,c,r,s]",
                               plm__shape_text(x, a), plm__shape_text(w, b));
    if (!check_window(r, w, d) || !check_channels(r, x, w, d->groups)) return false;
    if (r->n_in > PLM__B && !plm_shape_equal(plm_record_in_shape(r, PLM__B), plm_shape_of(w.dim[0])))
        return plm_record_fail(r, PLM_ERR_SHAPE, "bias is %s, expected [%lld] (w %s)",
                               plm__shape_text(plm_record_in_shape(r, PLM__B), a), (long long)w.dim[0],
                               plm__shape_text(w, b));
    plm_shape y = plm_shape_of(x.dim[0], w.dim[0], 0, 0);
    for (int i = 2; i < 4; i++) {
        y.dim[i] = plm__window_places(x.dim[i], plm__window_extent(w.dim[i], d->dilation), d->stride, d->pad);
        if (y.dim[i] == 0)
            return plm_record_fail(r, PLM_ERR_SHAPE, "a %lldx%lld window is larger than x %s padded by %d",
                                   (long long)plm__window_extent(w.dim[2], d->dilation),
                                   (long long)plm__window_extent(w.dim[3], d->dilation), plm__shape_text(x, a), d->pad);
    }
    return plm_record_set_out(r, y);
}

/* Grouped weights as oneDNN sees them: [g,k/g,c/g,r,s].  Row-major, that is the memory of [k,c/g,r,s]. */
static plm_shape kernel_weights(plm_shape w, int groups)
{
    return groups == 1 ? w : plm_shape_of(groups, w.dim[0] / groups, w.dim[1], w.dim[2], w.dim[3]);
}

static plm__problem forward_problem(plm_shape x, plm_shape w, plm_shape y, const plm_conv2d_op_desc *d)
{
    plm__problem p;
    memset(&p, 0, sizeof p);
    p.primitive = PLM__CONV2D;
    p.pass      = PLM__FORWARD;
    p.src       = plm__layout_any(x);
    p.weights   = plm__layout_any(kernel_weights(w, d->groups));
    p.dst       = plm__layout_any(y);
    p.stride    = d->stride;
    p.pad       = d->pad;
    p.dilation  = d->dilation;
    return p;
}

static bool conv2d_prepare(plm_record *r)
{
    plm__problem p = forward_problem(plm_record_in_shape(r, PLM__X), plm_record_in_shape(r, PLM__W),
                                     plm_record_out_shape(r), plm_record_attr(r));
    p.bias         = r->n_in > PLM__B;
    return plm__weighted_prepare(r, &p);
}

/* dx[n,c,:,:]: dy scattered through w; dw[k,c,p,q] = sum_{n,i,j} dy[n,k,i,j] x[n, first(k) + c, i stride + p dilation - pad,
 * ...];  db = sum dy. */
static bool conv2d_backward(plm_record *r)
{
    return plm__weighted_backward(r, plm_record_grad_out(r));
}

static const plm_op conv2d = { .name     = "conv2d",
                               .shape    = conv2d_shape,
                               .prepare  = conv2d_prepare,
                               .forward  = plm__weighted_forward,
                               .backward = conv2d_backward,
                               .saves    = PLM_SAVES_INPUTS,
                               .layout   = PLM_LAYOUT_NEGOTIATED };

bool plm__conv2d_home(plm_ctx *ctx, plm_shape x, plm_shape w, const plm_conv2d_op_desc *d, bool first,
                      plm__layout *home)
{
    plm_shape y = plm_shape_of(128, w.dim[0], 0, 0);
    *home       = plm__layout_plain(w);
    if (d->groups > 1) return true;
    for (int i = 2; i < 4; i++)
        y.dim[i] = plm__window_places(x.dim[i - 1], plm__window_extent(w.dim[i], d->dilation), d->stride, d->pad);
    plm__problem p = forward_problem(plm__shape_batched(128, x), w, y, d);
    if (!plm__negotiate(ctx, &p, (plm__needs){ .data = !first, .weights = true })) return false;
    *home = p.weights;
    return true;
}

plm_val plm_conv2d(plm_val x, plm_val w, plm_val b, const plm_conv2d_op_desc *desc)
{
    const plm_val      in[] = { x, w, b };
    plm_conv2d_op_desc d    = desc ? *desc : (plm_conv2d_op_desc){ 0 };
    if (d.stride == 0) d.stride = 1;
    if (d.dilation == 0) d.dilation = 1;
    if (d.groups == 0) d.groups = 1;
    return plm_apply(&conv2d, &d, sizeof d, in, b.tape ? 3 : 2);
}

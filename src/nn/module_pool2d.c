/* module_pool2d.c: the largest or the mean value of each window. */
#include "nn/nn.h"

static bool check_window(plm_graph *g, const plm__node *n)
{
    const plm_pool2d_desc *d = &n->desc.pool2d;
    if (d->exclude_pad && n->kind == &plm__kind_max_pool2d)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "exclude_pad is for means: padding never is the maximum");
    if (d->global && (d->kernel != 0 || d->stride != 0 || d->pad != 0))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT,
                              "kernel %d, stride %d, pad %d: a global pool's window is the image, all three stay 0",
                              d->kernel, d->stride, d->pad);
    if (!plm__window_fits(d->kernel, d->stride, d->pad))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "kernel %d, stride %d, pad %d: each is at most %d", d->kernel,
                              d->stride, d->pad, PLM__MAX_WINDOW);
    if (!d->global && (d->kernel < 1 || d->stride < 1 || d->pad < 0 || d->pad > d->kernel / 2))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT,
                              "kernel %d, stride %d, pad %d: kernel is required, kernel and stride are positive, pad "
                              "at most half the kernel",
                              d->kernel, d->stride, d->pad);
    return true;
}

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_pool2d_desc *d = &n->desc.pool2d;
    char             text[PLM__SHAPE_TEXT];
    if (d->stride == 0) d->stride = d->kernel;
    if (x->rank != 3)
        return plm__node_fail(g, n, PLM_ERR_SHAPE,
                              "its input is %s without the batch axis, expected [channels,height,width]",
                              plm__shape_text(*x, text));
    if (!check_window(g, n)) return false;
    n->shape = *x;
    for (int i = 1; i < 3; i++) {
        if (d->global && x->dim[i] > PLM__MAX_WINDOW)
            return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "its input is %s: the side of a window is at most %d",
                                  plm__shape_text(*x, text), PLM__MAX_WINDOW);
        n->shape.dim[i] = d->global ? 1 : plm__window_places(x->dim[i], d->kernel, d->stride, d->pad);
        if (n->shape.dim[i] == 0)
            return plm__node_fail(g, n, PLM_ERR_SHAPE, "a %dx%d window is larger than its input %s padded by %d",
                                  d->kernel, d->kernel, plm__shape_text(*x, text), d->pad);
    }
    return true;
}

static plm_val apply(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    const plm_pool2d_desc   *d  = &n->desc.pool2d;
    const plm_pool2d_op_desc op = {
        .kernel = d->kernel, .stride = d->stride, .pad = d->pad, .exclude_pad = d->exclude_pad, .global = d->global
    };
    return n->kind == &plm__kind_max_pool2d ? plm_max_pool2d(in[0], &op) : plm_avg_pool2d(in[0], &op);
}

static const plm__field fields[] = { { "kernel", PLM__INT, offsetof(plm_pool2d_desc, kernel) },
                                     { "stride", PLM__INT, offsetof(plm_pool2d_desc, stride) },
                                     { "pad", PLM__INT, offsetof(plm_pool2d_desc, pad) },
                                     { "exclude_pad", PLM__BOOL, offsetof(plm_pool2d_desc, exclude_pad) },
                                     { "global", PLM__BOOL, offsetof(plm_pool2d_desc, global) },
                                     { 0 } };

enum { LATE = 3 }; /* "exclude_pad" and what follows it */

const plm__kind plm__kind_max_pool2d = { .name       = "max_pool2d",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_pool2d_desc),
                                         .fields     = fields,
                                         .late       = fields + LATE,
                                         .resolve    = resolve,
                                         .apply      = apply };
const plm__kind plm__kind_avg_pool2d = { .name       = "avg_pool2d",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_pool2d_desc),
                                         .fields     = fields,
                                         .late       = fields + LATE,
                                         .resolve    = resolve,
                                         .apply      = apply };

plm_node plm_nn_max_pool2d(plm_node x, const plm_pool2d_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_max_pool2d, &x, desc);
}

plm_node plm_nn_avg_pool2d(plm_node x, const plm_pool2d_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_avg_pool2d, &x, desc);
}

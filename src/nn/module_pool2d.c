/* module_pool2d.c: the largest or the mean value of each window. */
#include "nn/nn.h"

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_pool2d_desc *d = &n->desc.pool2d;
    char             text[PLM__SHAPE_TEXT];
    if (d->stride == 0) d->stride = d->kernel;
    if (x->rank != 3)
        return plm__node_fail(g, n, PLM_ERR_SHAPE,
                              "its input is %s without the batch axis, expected [channels,height,width]",
                              plm__shape_text(*x, text));
    if (!plm__window_fits(d->kernel, d->stride, d->pad))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "kernel %d, stride %d, pad %d: each is at most %d", d->kernel,
                              d->stride, d->pad, PLM__MAX_WINDOW);
    if (d->kernel < 1 || d->stride < 1 || d->pad < 0 || d->pad > d->kernel / 2)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT,
                              "kernel %d, stride %d, pad %d: kernel is required, kernel and stride are positive, pad "
                              "at most half the kernel",
                              d->kernel, d->stride, d->pad);
    if (x->dim[1] + 2 * (int64_t)d->pad < d->kernel || x->dim[2] + 2 * (int64_t)d->pad < d->kernel)
        return plm__node_fail(g, n, PLM_ERR_SHAPE, "a %dx%d window is larger than its input %s padded by %d", d->kernel,
                              d->kernel, plm__shape_text(*x, text), d->pad);
    n->shape = plm_shape_of(x->dim[0], (x->dim[1] + 2 * (int64_t)d->pad - d->kernel) / d->stride + 1,
                            (x->dim[2] + 2 * (int64_t)d->pad - d->kernel) / d->stride + 1);
    return true;
}

static plm_val apply(const plm__node *n, plm_val x, plm_val y, double relu)
{
    (void)y, (void)relu;
    const plm_pool2d_desc   *d  = &n->desc.pool2d;
    const plm_pool2d_op_desc op = { .kernel = d->kernel, .stride = d->stride, .pad = d->pad };
    return n->kind == &plm__kind_max_pool2d ? plm_max_pool2d(x, &op) : plm_avg_pool2d(x, &op);
}

static const plm__field fields[] = { { "kernel", PLM__INT, offsetof(plm_pool2d_desc, kernel) },
                                     { "stride", PLM__INT, offsetof(plm_pool2d_desc, stride) },
                                     { "pad", PLM__INT, offsetof(plm_pool2d_desc, pad) },
                                     { 0 } };

const plm__kind plm__kind_max_pool2d = { .name       = "max_pool2d",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_pool2d_desc),
                                         .fields     = fields,
                                         .resolve    = resolve,
                                         .apply      = apply };
const plm__kind plm__kind_avg_pool2d = { .name       = "avg_pool2d",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_pool2d_desc),
                                         .fields     = fields,
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

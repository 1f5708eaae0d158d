/* module_conv2d.c: two-dimensional convolution. */
#include "nn/nn.h"

static bool check_window(plm_graph *g, const plm__node *n)
{
    const plm_conv2d_desc *d = &n->desc.conv2d;
    if (d->kernel < 1 || d->stride < 1 || d->dilation < 1 || d->groups < 1 || d->pad < 0)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT,
                              "kernel %d, stride %d, pad %d, dilation %d, groups %d: all are positive, pad may be 0",
                              d->kernel, d->stride, d->pad, d->dilation, d->groups);
    if (d->dilation > PLM__MAX_WINDOW ||
        !plm__window_fits(plm__window_extent(d->kernel, d->dilation), d->stride, d->pad))
        return plm__node_fail(
            g, n, PLM_ERR_ARGUMENT,
            "kernel %d, stride %d, pad %d, dilation %d: stride, pad and what a window covers are at most %d", d->kernel,
            d->stride, d->pad, d->dilation, PLM__MAX_WINDOW);
    return true;
}

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_conv2d_desc *d = &n->desc.conv2d;
    char             text[PLM__SHAPE_TEXT];
    if (d->kernel == 0) d->kernel = 3;
    if (d->stride == 0) d->stride = 1;
    if (d->dilation == 0) d->dilation = 1;
    if (d->groups == 0) d->groups = 1;
    if (x->rank != 3)
        return plm__node_fail(g, n, PLM_ERR_SHAPE,
                              "its input is %s without the batch axis, expected [channels,height,width]",
                              plm__shape_text(*x, text));
    if (d->out < 1)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "desc.out is %lld, it is required and positive",
                              (long long)d->out);
    if (!check_window(g, n)) return false;
    if (x->dim[0] % d->groups != 0 || d->out % d->groups != 0)
        return plm__node_fail(g, n, PLM_ERR_SHAPE,
                              "%lld input and %lld output channels do not divide into %d groups (its input is %s)",
                              (long long)x->dim[0], (long long)d->out, d->groups, plm__shape_text(*x, text));
    const int64_t window = plm__window_extent(d->kernel, d->dilation);
    n->shape             = plm_shape_of(d->out, plm__window_places(x->dim[1], window, d->stride, d->pad),
                                        plm__window_places(x->dim[2], window, d->stride, d->pad));
    if (n->shape.dim[1] == 0 || n->shape.dim[2] == 0)
        return plm__node_fail(g, n, PLM_ERR_SHAPE, "a %lldx%lld window is larger than its input %s padded by %d",
                              (long long)window, (long long)window, plm__shape_text(*x, text), d->pad);
    n->groups         = d->groups;
    const plm_shape w = plm_shape_of(d->out, x->dim[0] / d->groups, d->kernel, d->kernel);
    if (!plm__node_param(g, n, "weight", w, PLM_ROLE_WEIGHT, 0)) return false;
    return !d->bias || plm__node_param(g, n, "bias", plm_shape_of(d->out), PLM_ROLE_BIAS, 0);
}

static plm_conv2d_op_desc op_desc(const plm__node *n)
{
    const plm_conv2d_desc *d = &n->desc.conv2d;
    return (plm_conv2d_op_desc){ .stride = d->stride, .pad = d->pad, .dilation = d->dilation, .groups = d->groups };
}

static plm_val apply(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    const plm_conv2d_op_desc d    = op_desc(n);
    const plm_val            bias = n->params > 1 ? plm_tape_param(in[0].tape, n->param[1]) : plm_none;
    return plm_conv2d(in[0], plm_tape_param(in[0].tape, n->param[0]), bias, &d);
}

static bool home(plm_graph *g, const plm__node *n, plm_shape x)
{
    const plm_conv2d_op_desc d     = op_desc(n);
    const bool               first = n->in[0] == g->input;
    plm__layout              layout;
    return plm__conv2d_home(g->ctx, x, n->param[0]->shape, &d, first, &layout) &&
           plm__param_set_home(n->param[0], &layout);
}

/* INT64_MAX: more than can be counted. */
static int64_t macs(const plm__node *n, plm_shape x)
{
    (void)x;
    const int64_t fan_in = plm_shape_count(n->param[0]->shape) / n->shape.dim[0];
    int64_t       product;
    return plm__mul(plm_shape_count(n->shape), fan_in, &product) ? product : INT64_MAX;
}

static plm_lipschitz lipschitz(const plm__node *n, plm_shape x)
{
    (void)x;
    return plm__lipschitz_of_layer(n, n->shape.dim[1] * n->shape.dim[2]);
}

static const plm__field fields[] = { { "out", PLM__INT64, offsetof(plm_conv2d_desc, out) },
                                     { "kernel", PLM__INT, offsetof(plm_conv2d_desc, kernel) },
                                     { "stride", PLM__INT, offsetof(plm_conv2d_desc, stride) },
                                     { "pad", PLM__INT, offsetof(plm_conv2d_desc, pad) },
                                     { "bias", PLM__BOOL, offsetof(plm_conv2d_desc, bias) },
                                     { "dilation", PLM__INT, offsetof(plm_conv2d_desc, dilation) },
                                     { "groups", PLM__INT, offsetof(plm_conv2d_desc, groups) },
                                     { 0 } };

enum { LATE = 5 }; /* "dilation" and what follows it */

const plm__kind plm__kind_conv2d = { .name         = "conv2d",
                                     .inputs       = 1,
                                     .desc_bytes   = sizeof(plm_conv2d_desc),
                                     .fields       = fields,
                                     .late         = fields + LATE,
                                     .resolve      = resolve,
                                     .apply        = apply,
                                     .home         = home,
                                     .macs         = macs,
                                     .lipschitz    = lipschitz,
                                     .weight_layer = true };

plm_node plm_nn_conv2d(plm_node x, const plm_conv2d_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_conv2d, &x, desc);
}

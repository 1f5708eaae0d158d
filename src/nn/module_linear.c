/* module_linear.c: y = x W^T + b. */
#include "nn/nn.h"

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    const plm_linear_desc *d = &n->desc.linear;
    char                   text[PLM__SHAPE_TEXT];
    if (x->rank != 1)
        return plm__node_fail(g, n, PLM_ERR_SHAPE,
                              "its input is %s without the batch axis, expected one axis: flatten it",
                              plm__shape_text(*x, text));
    if (d->out < 1)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "desc.out is %lld, it is required and positive",
                              (long long)d->out);
    n->shape = plm_shape_of(d->out);
    if (!plm__node_param(g, n, "weight", plm_shape_of(d->out, x->dim[0]), PLM_ROLE_WEIGHT, 0)) return false;
    return !d->bias || plm__node_param(g, n, "bias", plm_shape_of(d->out), PLM_ROLE_BIAS, 0);
}

static plm_val apply(const plm__node *n, const plm_val *in, double relu)
{
    const plm_val bias = n->params > 1 ? plm_tape_param(in[0].tape, n->param[1]) : plm_none;
    return plm__linear_relu(in[0], plm_tape_param(in[0].tape, n->param[0]), bias, relu);
}

static bool fuses(double relu)
{
    return relu > 0;
}

static bool home(plm_graph *g, const plm__node *n, plm_shape x)
{
    (void)x;
    plm__layout layout;
    return plm__linear_home(g->ctx, n->param[0]->shape, &layout) && plm__param_set_home(n->param[0], &layout);
}

static int64_t macs(const plm__node *n, plm_shape x)
{
    (void)x;
    return plm_shape_count(n->param[0]->shape);
}

static plm_lipschitz lipschitz(const plm__node *n, plm_shape x)
{
    (void)x;
    return plm__lipschitz_of_layer(n, 1);
}

static const plm__field fields[] = { { "out", PLM__INT64, offsetof(plm_linear_desc, out) },
                                     { "bias", PLM__BOOL, offsetof(plm_linear_desc, bias) },
                                     { 0 } };

const plm__kind plm__kind_linear = { .name         = "linear",
                                     .inputs       = 1,
                                     .desc_bytes   = sizeof(plm_linear_desc),
                                     .fields       = fields,
                                     .resolve      = resolve,
                                     .apply        = apply,
                                     .fuses        = fuses,
                                     .home         = home,
                                     .macs         = macs,
                                     .lipschitz    = lipschitz,
                                     .weight_layer = true };

plm_node plm_nn_linear(plm_node x, const plm_linear_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_linear, &x, desc);
}

/* module_layer_norm.c: normalisation of each sample over its last axes. */
#include <math.h>

#include "nn/nn.h"

enum { SCALE, SHIFT }; /* places in node->param */

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_layer_norm_desc *d = &n->desc.layer_norm;
    char                 text[PLM__SHAPE_TEXT];
    if (d->eps == 0) d->eps = 1e-5;
    if (d->axes == 0) d->axes = 1;
    if (d->axes < 1 || d->axes > x->rank)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT,
                              "desc.axes is %d, its input is %s without the batch axis: expected 1 to the number of "
                              "these axes",
                              d->axes, plm__shape_text(*x, text));
    if (!(d->eps > 0 && isfinite(d->eps)))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "eps is %g, expected a positive number", d->eps);
    n->shape             = *x;
    const plm_shape each = plm_shape_from(d->axes, x->dim + x->rank - d->axes);
    if (!d->affine) return true;
    return plm__node_param(g, n, "weight", each, PLM_ROLE_NORM_SCALE, 1) &&
           plm__node_param(g, n, "bias", each, PLM_ROLE_NORM_SHIFT, 0);
}

static plm_val apply(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    const plm_layer_norm_op_desc d      = { .axes = n->desc.layer_norm.axes, .eps = n->desc.layer_norm.eps };
    const bool                   affine = n->desc.layer_norm.affine;
    const plm_val                scale  = affine ? plm_tape_param(in[0].tape, n->param[SCALE]) : plm_none;
    const plm_val                shift  = affine ? plm_tape_param(in[0].tape, n->param[SHIFT]) : plm_none;
    return plm_layer_norm(in[0], scale, shift, &d);
}

static plm_lipschitz lipschitz(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return (plm_lipschitz){ .why = "unknown: it divides by the sample's own deviation, which can be small" };
}

static const plm__field fields[] = { { "axes", PLM__INT, offsetof(plm_layer_norm_desc, axes) },
                                     { "eps", PLM__DOUBLE, offsetof(plm_layer_norm_desc, eps) },
                                     { "affine", PLM__BOOL, offsetof(plm_layer_norm_desc, affine) },
                                     { 0 } };

const plm__kind plm__kind_layer_norm = { .name       = "layer_norm",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_layer_norm_desc),
                                         .fields     = fields,
                                         .resolve    = resolve,
                                         .apply      = apply,
                                         .lipschitz  = lipschitz };

plm_node plm_nn_layer_norm(plm_node x, const plm_layer_norm_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_layer_norm, &x, desc);
}

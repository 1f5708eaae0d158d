/* module_batch_norm.c: normalisation per channel over the batch, with running statistics. */
#include "nn/nn.h"

enum { MEAN, VARIANCE, SCALE, SHIFT }; /* places in node->param */

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_batch_norm_desc *d = &n->desc.batch_norm;
    char                 text[PLM__SHAPE_TEXT];
    if (d->eps == 0) d->eps = 1e-5;
    if (d->momentum == 0) d->momentum = 0.1;
    if (x->rank != 1 && x->rank != 3)
        return plm__node_fail(g, n, PLM_ERR_SHAPE,
                              "its input is %s without the batch axis, expected [channels] or [channels,height,width]",
                              plm__shape_text(*x, text));
    if (!((float)d->eps > 0) || !(d->momentum > 0 && d->momentum <= 1))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "eps %g, momentum %g: eps is positive, momentum in (0, 1]",
                              d->eps, d->momentum);
    n->shape             = *x;
    const plm_shape each = plm_shape_of(x->dim[0]);
    if (!plm__node_param(g, n, "running_mean", each, PLM_ROLE_STATISTIC, 0)) return false;
    if (!plm__node_param(g, n, "running_var", each, PLM_ROLE_STATISTIC, 1)) return false;
    if (!d->affine) return true;
    return plm__node_param(g, n, "weight", each, PLM_ROLE_NORM_SCALE, 1) &&
           plm__node_param(g, n, "bias", each, PLM_ROLE_NORM_SHIFT, 0);
}

static plm_val apply(const plm__node *n, const plm_val *in, double relu)
{
    const plm_batch_norm_op_desc d      = { .eps = n->desc.batch_norm.eps, .momentum = n->desc.batch_norm.momentum };
    const bool                   affine = n->desc.batch_norm.affine;
    const plm_val                scale  = affine ? plm_tape_param(in[0].tape, n->param[SCALE]) : plm_none;
    const plm_val                shift  = affine ? plm_tape_param(in[0].tape, n->param[SHIFT]) : plm_none;
    return plm__batch_norm_relu(in[0], scale, shift, n->param[MEAN], n->param[VARIANCE], &d, relu);
}

/* oneDNN fuses max(y, 0) only. */
static bool fuses(double relu)
{
    return relu == 1;
}

static plm_lipschitz lipschitz(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return (plm_lipschitz){ .why = "unknown: it divides by the batch's own deviation, which can be small" };
}

static const plm__field fields[] = { { "eps", PLM__DOUBLE, offsetof(plm_batch_norm_desc, eps) },
                                     { "momentum", PLM__DOUBLE, offsetof(plm_batch_norm_desc, momentum) },
                                     { "affine", PLM__BOOL, offsetof(plm_batch_norm_desc, affine) },
                                     { 0 } };

const plm__kind plm__kind_batch_norm = { .name       = "batch_norm",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_batch_norm_desc),
                                         .fields     = fields,
                                         .resolve    = resolve,
                                         .apply      = apply,
                                         .lipschitz  = lipschitz,
                                         .fuses      = fuses };

plm_node plm_nn_batch_norm(plm_node x, const plm_batch_norm_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_batch_norm, &x, desc);
}

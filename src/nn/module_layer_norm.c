/* module_layer_norm.c: normalisation of each sample over its last axes. */
#include "nn/nn.h"

enum { SCALE, SHIFT }; /* places in node->param */

static bool resolve(plm_module *m, const plm_shape *x)
{
    const plm_layer_norm_desc *d = m->desc;
    char                       text[PLM__SHAPE_TEXT];
    if (d->axes < 1 || d->axes > x->rank)
        return plm_module_fail(m, PLM_ERR_ARGUMENT,
                               "axes is %d, its input is %s without the batch axis: expected 1 to the number of "
                               "these axes",
                               d->axes, plm__shape_text(*x, text));
    m->shape             = *x;
    const plm_shape each = plm_shape_from(d->axes, x->dim + x->rank - d->axes);
    if (!d->affine) return true;
    return plm_module_param(m, "weight", each, PLM_ROLE_NORM_SCALE, 1) &&
           plm_module_param(m, "bias", each, PLM_ROLE_NORM_SHIFT, 0);
}

static plm_val apply(const plm_module *m, const plm_val *x)
{
    const plm_layer_norm_desc   *d     = m->desc;
    const plm_layer_norm_op_desc op    = { .axes = d->axes, .eps = d->eps };
    const plm_val                scale = d->affine ? plm_tape_param(x[0].tape, m->param[SCALE]) : plm_none;
    const plm_val                shift = d->affine ? plm_tape_param(x[0].tape, m->param[SHIFT]) : plm_none;
    return plm_layer_norm(x[0], scale, shift, &op);
}

static plm_lipschitz lipschitz(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return (plm_lipschitz){ .why = "unknown: it divides by the sample's own deviation, which can be small" };
}

static const plm_field fields[] = {
    { "axes", PLM_FIELD_INT, offsetof(plm_layer_norm_desc, axes), 1, PLM_BOUNDS_NONE },
    { "eps", PLM_FIELD_DOUBLE, offsetof(plm_layer_norm_desc, eps), 1e-5, PLM_BOUNDS_POSITIVE },
    { "affine", PLM_FIELD_BOOL, offsetof(plm_layer_norm_desc, affine), 0, PLM_BOUNDS_NONE },
    { 0 }
};

const plm_module_kind plm__kind_layer_norm = { .name       = "layer_norm",
                                               .inputs     = 1,
                                               .desc_bytes = sizeof(plm_layer_norm_desc),
                                               .fields     = fields,
                                               .resolve    = resolve,
                                               .apply      = apply,
                                               .lipschitz  = lipschitz };

plm_node plm_nn_layer_norm(plm_node x, const plm_layer_norm_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_layer_norm, desc);
}

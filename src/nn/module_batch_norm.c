/* module_batch_norm.c: normalisation per channel over the batch, with running statistics. */
#include "nn/nn.h"

enum { MEAN, VARIANCE, SCALE, SHIFT }; /* places in node->param */

static bool resolve(plm_module *m, const plm_shape *x)
{
    const plm_batch_norm_desc *d = m->desc;
    char                       text[PLM__SHAPE_TEXT];
    if (x->rank != 1 && x->rank != 3)
        return plm_module_fail(m, PLM_ERR_SHAPE,
                               "its input is %s without the batch axis, expected [channels] or [channels,height,width]",
                               plm__shape_text(*x, text));
    if (d->momentum > 1) return plm_module_fail(m, PLM_ERR_ARGUMENT, "momentum is %g, expected at most 1", d->momentum);
    m->shape             = *x;
    const plm_shape each = plm_shape_of(x->dim[0]);
    if (!plm_module_param(m, "running_mean", each, PLM_ROLE_STATISTIC, 0)) return false;
    if (!plm_module_param(m, "running_var", each, PLM_ROLE_STATISTIC, 1)) return false;
    if (!d->affine) return true;
    return plm_module_param(m, "weight", each, PLM_ROLE_NORM_SCALE, 1) &&
           plm_module_param(m, "bias", each, PLM_ROLE_NORM_SHIFT, 0);
}

static plm_val apply_relu(const plm_module *m, const plm_val *x, double relu)
{
    const plm_batch_norm_desc   *d     = m->desc;
    const plm_batch_norm_op_desc op    = { .eps = d->eps, .momentum = d->momentum };
    const plm_val                scale = d->affine ? plm_tape_param(x[0].tape, m->param[SCALE]) : plm_none;
    const plm_val                shift = d->affine ? plm_tape_param(x[0].tape, m->param[SHIFT]) : plm_none;
    return plm__batch_norm_relu(x[0], scale, shift, m->param[MEAN], m->param[VARIANCE], &op, relu);
}

static plm_val apply(const plm_module *m, const plm_val *x)
{
    return apply_relu(m, x, 0);
}

/* oneDNN fuses max(y, 0) only. */
static bool fuses(double relu)
{
    return relu == 1;
}

static plm_lipschitz lipschitz(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return (plm_lipschitz){ .why = "unknown: it divides by the batch's own deviation, which can be small" };
}

static const plm_field fields[] = {
    { "eps", PLM_FIELD_DOUBLE, offsetof(plm_batch_norm_desc, eps), 1e-5, PLM_BOUNDS_POSITIVE },
    { "momentum", PLM_FIELD_DOUBLE, offsetof(plm_batch_norm_desc, momentum), 0.1, PLM_BOUNDS_POSITIVE },
    { "affine", PLM_FIELD_BOOL, offsetof(plm_batch_norm_desc, affine), 0, PLM_BOUNDS_NONE },
    { 0 }
};

static const plm__module_engine engine = { .fuses = fuses, .apply_relu = apply_relu };

const plm_module_kind plm__kind_batch_norm = { .name       = "batch_norm",
                                               .inputs     = 1,
                                               .desc_bytes = sizeof(plm_batch_norm_desc),
                                               .fields     = fields,
                                               .resolve    = resolve,
                                               .apply      = apply,
                                               .lipschitz  = lipschitz,
                                               .engine     = &engine };

plm_node plm_nn_batch_norm(plm_node x, const plm_batch_norm_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_batch_norm, desc);
}

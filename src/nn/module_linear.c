/* module_linear.c: y = x W^T + b. */
#include "nn/nn.h"

static bool resolve(plm_module *m, const plm_shape *x)
{
    const plm_linear_desc *d = m->desc;
    char                   text[PLM__SHAPE_TEXT];
    if (x->rank != 1)
        return plm_module_fail(m, PLM_ERR_SHAPE,
                               "its input is %s without the batch axis, expected one axis: flatten it",
                               plm__shape_text(*x, text));
    m->shape = plm_shape_of(d->out);
    if (!plm_module_param(m, "weight", plm_shape_of(d->out, x->dim[0]), PLM_ROLE_WEIGHT, 0)) return false;
    return !d->bias || plm_module_param(m, "bias", plm_shape_of(d->out), PLM_ROLE_BIAS, 0);
}

static plm_val apply_relu(const plm_module *m, const plm_val *x, double relu)
{
    const plm_val bias = m->params > 1 ? plm_tape_param(x[0].tape, m->param[1]) : plm_none;
    return plm__linear_relu(x[0], plm_tape_param(x[0].tape, m->param[0]), bias, relu);
}

static plm_val apply(const plm_module *m, const plm_val *x)
{
    return apply_relu(m, x, 0);
}

static bool fuses(double relu)
{
    return relu > 0;
}

static bool home(const plm_module *m, const plm_shape *x, bool first)
{
    (void)x, (void)first;
    plm__layout layout;
    return plm__linear_home(m->graph->ctx, m->param[0]->shape, &layout) && plm__param_set_home(m->param[0], &layout);
}

static int64_t macs(const plm_module *m, const plm_shape *x)
{
    (void)x;
    return plm_shape_count(m->param[0]->shape);
}

static plm_lipschitz lipschitz(const plm_module *m, const plm_shape *x)
{
    (void)x;
    return plm__lipschitz_of_layer(m, 1);
}

static const plm_field fields[] = { { "out", PLM_FIELD_INT64, offsetof(plm_linear_desc, out), 0, PLM_BOUNDS_POSITIVE },
                                    { "bias", PLM_FIELD_BOOL, offsetof(plm_linear_desc, bias), 0, PLM_BOUNDS_NONE },
                                    { 0 } };

static const plm__module_engine engine = { .fuses = fuses, .apply_relu = apply_relu, .home = home };

const plm_module_kind plm__kind_linear = { .name       = "linear",
                                           .inputs     = 1,
                                           .desc_bytes = sizeof(plm_linear_desc),
                                           .fields     = fields,
                                           .resolve    = resolve,
                                           .apply      = apply,
                                           .macs       = macs,
                                           .lipschitz  = lipschitz,
                                           .engine     = &engine };

plm_node plm_nn_linear(plm_node x, const plm_linear_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_linear, desc);
}

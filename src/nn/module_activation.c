/* module_activation.c: activations with a desc of their own: gelu, leaky_relu, clamp. */
#include <math.h>

#include "nn/nn.h"

static bool resolve_same(plm_module *m, const plm_shape *x)
{
    m->shape = *x;
    return true;
}

static plm_val apply_gelu(const plm_module *m, const plm_val *x)
{
    const plm_gelu_desc *d = m->desc;
    return plm_gelu(x[0], &(plm_gelu_op_desc){ .tanh = d->tanh });
}

/* The slope is largest near sqrt(2): 1.128904..., of the formula with tanh 1.128993... */
static plm_lipschitz lipschitz_gelu(const plm_module *m, const plm_shape *x)
{
    (void)x;
    const plm_gelu_desc *d = m->desc;
    return plm__lipschitz(d->tanh ? 1.129 : 1.12891, "the largest slope, where x is about sqrt(2)");
}

static const plm_field gelu_fields[] = { { "tanh", PLM_FIELD_BOOL, offsetof(plm_gelu_desc, tanh), 0, PLM_BOUNDS_NONE },
                                         { 0 } };

const plm_module_kind plm__kind_gelu = { .name       = "gelu",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_gelu_desc),
                                         .fields     = gelu_fields,
                                         .resolve    = resolve_same,
                                         .apply      = apply_gelu,
                                         .lipschitz  = lipschitz_gelu };

plm_node plm_nn_gelu(plm_node x, const plm_gelu_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_gelu, desc);
}

static plm_val apply_leaky_relu(const plm_module *m, const plm_val *x)
{
    const plm_leaky_relu_desc *d     = m->desc;
    const double               slope = d->slope;
    return plm_leaky_relu(x[0], &(plm_leaky_relu_op_desc){ .slope = slope != 0 ? slope : PLM_ZERO });
}

static plm_lipschitz lipschitz_leaky_relu(const plm_module *m, const plm_shape *x)
{
    (void)x;
    const plm_leaky_relu_desc *d = m->desc;
    return plm__lipschitz(fmax(1, fabs(d->slope)), "the larger of its two slopes");
}

static const plm_field leaky_relu_fields[] = {
    { "slope", PLM_FIELD_DOUBLE, offsetof(plm_leaky_relu_desc, slope), 0.01, PLM_BOUNDS_NONE }, { 0 }
};

const plm_module_kind plm__kind_leaky_relu = { .name       = "leaky_relu",
                                               .inputs     = 1,
                                               .desc_bytes = sizeof(plm_leaky_relu_desc),
                                               .fields     = leaky_relu_fields,
                                               .resolve    = resolve_same,
                                               .apply      = apply_leaky_relu,
                                               .lipschitz  = lipschitz_leaky_relu };

plm_node plm_nn_leaky_relu(plm_node x, const plm_leaky_relu_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_leaky_relu, desc);
}

static bool resolve_clamp(plm_module *m, const plm_shape *x)
{
    const plm_clamp_desc *d = m->desc;
    m->shape                = *x;
    if (d->low < d->high) return true;
    return plm_module_fail(m, PLM_ERR_ARGUMENT, "low is %g and high %g, expected numbers, low < high", d->low, d->high);
}

static plm_val apply_clamp(const plm_module *m, const plm_val *x)
{
    const plm_clamp_desc *d = m->desc;
    return plm_clamp(x[0], d->low, d->high);
}

static plm_lipschitz lipschitz_clamp(const plm_module *m, const plm_shape *x)
{
    (void)x;
    const plm_clamp_desc *d = m->desc;
    plm_lipschitz         l = plm__lipschitz(1, "the slope is 0 or 1; f(0) is the number of the range nearest to 0");
    l.at_zero               = fabs(fmin(fmax(0, d->low), d->high)) * sqrt((double)plm_shape_count(m->shape));
    return l;
}

static const plm_field clamp_fields[] = {
    { "low", PLM_FIELD_DOUBLE, offsetof(plm_clamp_desc, low), 0, PLM_BOUNDS_NONE },
    { "high", PLM_FIELD_DOUBLE, offsetof(plm_clamp_desc, high), 0, PLM_BOUNDS_NONE },
    { 0 }
};

const plm_module_kind plm__kind_clamp = { .name       = "clamp",
                                          .inputs     = 1,
                                          .desc_bytes = sizeof(plm_clamp_desc),
                                          .fields     = clamp_fields,
                                          .resolve    = resolve_clamp,
                                          .apply      = apply_clamp,
                                          .lipschitz  = lipschitz_clamp };

plm_node plm_nn_clamp(plm_node x, const plm_clamp_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_clamp, desc);
}

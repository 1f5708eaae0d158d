/* elementwise.c: modules without parameters: activations, flatten and the residual add. */
#include <math.h>

#include "nn/nn.h"

static bool resolve_same(plm_module *m, const plm_shape *x)
{
    m->shape = *x;
    return true;
}

static plm_val apply_relu(const plm_module *m, const plm_val *x)
{
    const plm_relu_desc *d = m->desc;
    return plm_relu(x[0], &(plm_relu_op_desc){ .scale = d->scale });
}

static plm_lipschitz lipschitz_relu(const plm_module *m, const plm_shape *x)
{
    (void)x;
    const plm_relu_desc *d = m->desc;
    return plm__lipschitz(d->scale, "its scale: the slope is 0 or that");
}

static const plm_field relu_fields[] = {
    { "scale", PLM_FIELD_DOUBLE, offsetof(plm_relu_desc, scale), 1, PLM_BOUNDS_POSITIVE }, { 0 }
};

const plm_module_kind plm__kind_relu = { .name       = "relu",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_relu_desc),
                                         .fields     = relu_fields,
                                         .resolve    = resolve_same,
                                         .apply      = apply_relu,
                                         .lipschitz  = lipschitz_relu };

plm_node plm_nn_relu(plm_node x, const plm_relu_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_relu, desc);
}

static plm_val apply_tanh(const plm_module *m, const plm_val *x)
{
    (void)m;
    return plm_tanh(x[0]);
}

static plm_lipschitz lipschitz_tanh(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return plm__lipschitz(1, "the slope is at most 1");
}

const plm_module_kind plm__kind_tanh = { .name       = "tanh",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_module_desc),
                                         .resolve    = resolve_same,
                                         .apply      = apply_tanh,
                                         .lipschitz  = lipschitz_tanh };

plm_node plm_nn_tanh(plm_node x, const plm_module_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_tanh, desc);
}

static plm_val apply_sigmoid(const plm_module *m, const plm_val *x)
{
    (void)m;
    return plm_sigmoid(x[0]);
}

static plm_lipschitz lipschitz_sigmoid(const plm_module *m, const plm_shape *x)
{
    (void)x;
    plm_lipschitz l = plm__lipschitz(0.25, "the slope is at most 1/4; every element of f(0) is 1/2");
    l.at_zero       = 0.5 * sqrt((double)plm_shape_count(m->shape));
    return l;
}

const plm_module_kind plm__kind_sigmoid = { .name       = "sigmoid",
                                            .inputs     = 1,
                                            .desc_bytes = sizeof(plm_module_desc),
                                            .resolve    = resolve_same,
                                            .apply      = apply_sigmoid,
                                            .lipschitz  = lipschitz_sigmoid };

plm_node plm_nn_sigmoid(plm_node x, const plm_module_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_sigmoid, desc);
}

static bool resolve_flatten(plm_module *m, const plm_shape *x)
{
    m->shape = plm_shape_of(plm_shape_count(*x));
    return true;
}

static plm_val apply_flatten(const plm_module *m, const plm_val *x)
{
    (void)m;
    return plm_flatten(x[0]);
}

static plm_lipschitz lipschitz_flatten(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return plm__lipschitz(1, "the same elements in another shape");
}

const plm_module_kind plm__kind_flatten = {
    .name = "flatten", .inputs = 1, .resolve = resolve_flatten, .apply = apply_flatten, .lipschitz = lipschitz_flatten
};

plm_node plm_nn_flatten(plm_node x)
{
    return plm_nn_module(&x, 1, &plm__kind_flatten, NULL);
}

static bool resolve_add(plm_module *m, const plm_shape *x)
{
    char a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    m->shape = x[0];
    if (plm_shape_equal(x[0], x[1])) return true;
    return plm_module_fail(m, PLM_ERR_SHAPE, "its inputs are %s and %s, expected one shape", plm__shape_text(x[0], a),
                           plm__shape_text(x[1], b));
}

static plm_val apply_add(const plm_module *m, const plm_val *x)
{
    (void)m;
    return plm_add(x[0], x[1]);
}

static plm_lipschitz lipschitz_add(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return plm__lipschitz(1, "||a + b|| <= ||a|| + ||b||");
}

const plm_module_kind plm__kind_add = {
    .name = "add", .inputs = 2, .resolve = resolve_add, .apply = apply_add, .lipschitz = lipschitz_add
};

plm_node plm_nn_add(plm_node a, plm_node b)
{
    return plm_nn_module((const plm_node[]){ a, b }, 2, &plm__kind_add, NULL);
}

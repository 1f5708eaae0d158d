/* elementwise.c: modules without parameters: activations, flatten and the residual add. */
#include <math.h>

#include "nn/nn.h"

static bool resolve_relu(plm_graph *g, plm__node *n, const plm_shape *x)
{
    if (n->desc.relu.scale == 0) n->desc.relu.scale = 1;
    n->shape = *x;
    if (n->desc.relu.scale > 0) return true;
    return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "desc.scale is %g, expected a positive number", n->desc.relu.scale);
}

static plm_val apply_relu(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    return plm_relu(in[0], &(plm_relu_op_desc){ .scale = n->desc.relu.scale });
}

static plm_lipschitz lipschitz_relu(const plm__node *n, plm_shape x)
{
    (void)x;
    return plm__lipschitz(n->desc.relu.scale, "its scale: the slope is 0 or that");
}

static const plm__field relu_fields[] = { { "scale", PLM__DOUBLE, offsetof(plm_relu_desc, scale) }, { 0 } };

const plm__kind plm__kind_relu = { .name       = "relu",
                                   .inputs     = 1,
                                   .desc_bytes = sizeof(plm_relu_desc),
                                   .fields     = relu_fields,
                                   .resolve    = resolve_relu,
                                   .apply      = apply_relu,
                                   .lipschitz  = lipschitz_relu };

plm_node plm_nn_relu(plm_node x, const plm_relu_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_relu, &x, desc);
}

static bool resolve_same(plm_graph *g, plm__node *n, const plm_shape *x)
{
    (void)g;
    n->shape = *x;
    return true;
}

static plm_val apply_tanh(const plm__node *n, const plm_val *in, double relu)
{
    (void)n, (void)relu;
    return plm_tanh(in[0]);
}

static plm_lipschitz lipschitz_tanh(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return plm__lipschitz(1, "the slope is at most 1");
}

const plm__kind plm__kind_tanh = { .name       = "tanh",
                                   .inputs     = 1,
                                   .desc_bytes = sizeof(plm_module_desc),
                                   .resolve    = resolve_same,
                                   .apply      = apply_tanh,
                                   .lipschitz  = lipschitz_tanh };

plm_node plm_nn_tanh(plm_node x, const plm_module_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_tanh, &x, desc);
}

static plm_val apply_sigmoid(const plm__node *n, const plm_val *in, double relu)
{
    (void)n, (void)relu;
    return plm_sigmoid(in[0]);
}

static plm_lipschitz lipschitz_sigmoid(const plm__node *n, plm_shape x)
{
    (void)x;
    plm_lipschitz l = plm__lipschitz(0.25, "the slope is at most 1/4; every element of f(0) is 1/2");
    l.at_zero       = 0.5 * sqrt((double)plm_shape_count(n->shape));
    return l;
}

const plm__kind plm__kind_sigmoid = { .name       = "sigmoid",
                                      .inputs     = 1,
                                      .desc_bytes = sizeof(plm_module_desc),
                                      .resolve    = resolve_same,
                                      .apply      = apply_sigmoid,
                                      .lipschitz  = lipschitz_sigmoid };

plm_node plm_nn_sigmoid(plm_node x, const plm_module_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_sigmoid, &x, desc);
}

static bool resolve_flatten(plm_graph *g, plm__node *n, const plm_shape *x)
{
    (void)g;
    n->shape = plm_shape_of(plm_shape_count(*x));
    return true;
}

static plm_val apply_flatten(const plm__node *n, const plm_val *in, double relu)
{
    (void)n, (void)relu;
    return plm_flatten(in[0]);
}

static plm_lipschitz lipschitz_flatten(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return plm__lipschitz(1, "the same elements in another shape");
}

const plm__kind plm__kind_flatten = {
    .name = "flatten", .inputs = 1, .resolve = resolve_flatten, .apply = apply_flatten, .lipschitz = lipschitz_flatten
};

plm_node plm_nn_flatten(plm_node x)
{
    return plm__graph_add(x.graph, &plm__kind_flatten, &x, NULL);
}

static bool resolve_add(plm_graph *g, plm__node *n, const plm_shape *x)
{
    char a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    n->shape = x[0];
    if (plm_shape_equal(x[0], x[1])) return true;
    return plm__node_fail(g, n, PLM_ERR_SHAPE, "its inputs are %s and %s, expected one shape", plm__shape_text(x[0], a),
                          plm__shape_text(x[1], b));
}

static plm_val apply_add(const plm__node *n, const plm_val *in, double relu)
{
    (void)n, (void)relu;
    return plm_add(in[0], in[1]);
}

static plm_lipschitz lipschitz_add(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return plm__lipschitz(1, "||a + b|| <= ||a|| + ||b||");
}

const plm__kind plm__kind_add = {
    .name = "add", .inputs = 2, .resolve = resolve_add, .apply = apply_add, .lipschitz = lipschitz_add
};

plm_node plm_nn_add(plm_node a, plm_node b)
{
    return plm__graph_add(a.graph, &plm__kind_add, (const plm_node[]){ a, b }, NULL);
}

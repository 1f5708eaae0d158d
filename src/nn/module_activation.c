/* module_activation.c: activations with a desc of their own: gelu, leaky_relu, clamp. */
#include <math.h>

#include "nn/nn.h"

static bool resolve_gelu(plm_graph *g, plm__node *n, const plm_shape *x)
{
    (void)g;
    n->shape = *x;
    return true;
}

static plm_val apply_gelu(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    return plm_gelu(in[0], &(plm_gelu_op_desc){ .tanh = n->desc.gelu.tanh });
}

/* The slope is largest near sqrt(2): 1.128904..., of the formula with tanh 1.128993... */
static plm_lipschitz lipschitz_gelu(const plm__node *n, plm_shape x)
{
    (void)x;
    return plm__lipschitz(n->desc.gelu.tanh ? 1.129 : 1.12891, "the largest slope, where x is about sqrt(2)");
}

static const plm__field gelu_fields[] = { { "tanh", PLM__BOOL, offsetof(plm_gelu_desc, tanh) }, { 0 } };

const plm__kind plm__kind_gelu = { .name       = "gelu",
                                   .inputs     = 1,
                                   .desc_bytes = sizeof(plm_gelu_desc),
                                   .fields     = gelu_fields,
                                   .resolve    = resolve_gelu,
                                   .apply      = apply_gelu,
                                   .lipschitz  = lipschitz_gelu };

plm_node plm_nn_gelu(plm_node x, const plm_gelu_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_gelu, &x, desc);
}

static bool resolve_leaky_relu(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_leaky_relu_desc *d = &n->desc.leaky_relu;
    d->slope               = plm__or(d->slope, 0.01);
    n->shape               = *x;
    return isfinite(d->slope) ||
           plm__node_fail(g, n, PLM_ERR_ARGUMENT, "desc.slope is %g, expected a number", d->slope);
}

static plm_val apply_leaky_relu(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    const double slope = n->desc.leaky_relu.slope;
    return plm_leaky_relu(in[0], &(plm_leaky_relu_op_desc){ .slope = slope != 0 ? slope : PLM_ZERO });
}

static plm_lipschitz lipschitz_leaky_relu(const plm__node *n, plm_shape x)
{
    (void)x;
    return plm__lipschitz(fmax(1, fabs(n->desc.leaky_relu.slope)), "the larger of its two slopes");
}

static const plm__field leaky_relu_fields[] = { { "slope", PLM__DOUBLE, offsetof(plm_leaky_relu_desc, slope) }, { 0 } };

const plm__kind plm__kind_leaky_relu = { .name       = "leaky_relu",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(plm_leaky_relu_desc),
                                         .fields     = leaky_relu_fields,
                                         .resolve    = resolve_leaky_relu,
                                         .apply      = apply_leaky_relu,
                                         .lipschitz  = lipschitz_leaky_relu };

plm_node plm_nn_leaky_relu(plm_node x, const plm_leaky_relu_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_leaky_relu, &x, desc);
}

static bool resolve_clamp(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_clamp_desc *d = &n->desc.clamp;
    d->low            = plm__or(d->low, 0);
    d->high           = plm__or(d->high, 0);
    n->shape          = *x;
    if (d->low < d->high && isfinite(d->low) && isfinite(d->high)) return true;
    return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "desc.low %g and desc.high %g, expected numbers, low < high", d->low,
                          d->high);
}

static plm_val apply_clamp(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    return plm_clamp(in[0], n->desc.clamp.low, n->desc.clamp.high);
}

static plm_lipschitz lipschitz_clamp(const plm__node *n, plm_shape x)
{
    (void)x;
    plm_lipschitz l = plm__lipschitz(1, "the slope is 0 or 1; f(0) is the number of the range nearest to 0");
    l.at_zero = fabs(fmin(fmax(0, n->desc.clamp.low), n->desc.clamp.high)) * sqrt((double)plm_shape_count(n->shape));
    return l;
}

static const plm__field clamp_fields[] = { { "low", PLM__DOUBLE, offsetof(plm_clamp_desc, low) },
                                           { "high", PLM__DOUBLE, offsetof(plm_clamp_desc, high) },
                                           { 0 } };

const plm__kind plm__kind_clamp = { .name       = "clamp",
                                    .inputs     = 1,
                                    .desc_bytes = sizeof(plm_clamp_desc),
                                    .fields     = clamp_fields,
                                    .resolve    = resolve_clamp,
                                    .apply      = apply_clamp,
                                    .lipschitz  = lipschitz_clamp };

plm_node plm_nn_clamp(plm_node x, const plm_clamp_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_clamp, &x, desc);
}

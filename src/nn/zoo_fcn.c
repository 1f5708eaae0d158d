/* zoo_fcn.c: fully connected networks. */
#include "nn/nn.h"

#include <stdio.h>

plm_node plm_zoo_fcn(plm_node x, int64_t classes, const plm_fcn_desc *desc)
{
    plm_fcn_desc d = desc ? *desc : (plm_fcn_desc){ 0 };
    if (d.depth == 0) d.depth = 10;
    if (d.width == 0) d.width = 256;
    if (d.scale == 0) d.scale = PLM_SQRT2;
    if (!x.graph || x.id < 0) return x;
    if (d.depth < 2 || d.width < 1 || classes < 1) {
        plm__fail(x.graph->ctx, PLM_ERR_ARGUMENT,
                  "fcn: depth %d, width %lld, %lld classes: depth is at least 2, the others at least 1", d.depth,
                  (long long)d.width, (long long)classes);
        return (plm_node){ .graph = x.graph, .id = -1 };
    }
    plm_node h = plm_node_shape(x).rank > 1 ? plm_nn_flatten(x) : x;
    for (int i = 0; i < d.depth - 1; i++) {
        char name[32] = "initial";
        if (i > 0) snprintf(name, sizeof name, "layers.%d", i - 1);
        h = plm_nn_linear(h, &(plm_linear_desc){ .name = name, .out = d.width, .bias = d.bias });
        h = plm_nn_relu(h, &(plm_relu_desc){ .scale = d.scale });
    }
    return plm_nn_linear(h, &(plm_linear_desc){ .name = "final", .out = classes, .bias = d.bias });
}

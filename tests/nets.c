/* nets.c: small networks that several tests train. */
#include "nets.h"

#include "nn/zoo.h"

plm_graph *net_vgg(plm_ctx *ctx)
{
    static const int channels[] = { 8, 0, 16, 12, 0, 20, 0 }; /* 0: a pool */
    plm_graph       *g          = plm_graph_new(ctx);
    const plm_node   x          = plm_nn_input(g, plm_shape_of(3, 8, 8));
    plm_graph_output(plm__zoo_vgg(x, 7, channels, 7, &(plm_vgg_desc){ 0 }), "logits");
    return g;
}

plm_graph *net_preact(plm_ctx *ctx, const net_preact_desc *d)
{
    plm_graph     *g = plm_graph_new(ctx);
    const plm_node x = plm_nn_input(g, plm_shape_of(3, 16, 16));
    plm__resnet    r = { .stages = 3, .width = 8, .bottleneck = d->bottleneck };
    for (int s = 0; s < 3; s++) r.blocks[s] = d->blocks[s];
    plm_graph_output(plm__zoo_resnet(x, 4, &r), "logits");
    return g;
}

plm_graph *net_fcn(plm_ctx *ctx, int depth, int64_t width)
{
    plm_graph     *g = plm_graph_new(ctx);
    const plm_node x = plm_nn_input(g, plm_shape_of(1, 6, 6));
    plm_graph_output(plm_zoo_fcn(x, 5, &(plm_fcn_desc){ .depth = depth, .width = width }), "logits");
    return g;
}

/* nets.c: small networks that several tests train. */
#include "nets.h"

static plm_node conv(plm_node x, const char *name, int64_t out, int kernel, int stride)
{
    return plm_nn_conv2d(
        x, &(plm_conv2d_desc){ .name = name, .out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2 });
}

static plm_node norm_relu(plm_node x, const char *name)
{
    return plm_nn_relu(plm_nn_batch_norm(x, &(plm_batch_norm_desc){ .name = name }), NULL);
}

plm_graph *net_vgg(plm_ctx *ctx)
{
    static const int layers[] = { 8, 0, 16, 12, 0, 20, 0 }; /* 0: a pool */
    plm_graph       *g        = plm_graph_new(ctx);
    plm_node         h        = plm_nn_input(g, plm_shape_of(3, 8, 8));
    for (int i = 0, place = 0; i < 7; i++) { /* place: PyTorch counts convs, norms, ReLUs and pools */
        char name[32], norm[32];
        snprintf(name, sizeof name, "features.%d", place);
        snprintf(norm, sizeof norm, "features.%d", place + 1);
        h = layers[i] ? norm_relu(conv(h, name, layers[i], 3, 1), norm)
                      : plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 });
        place += layers[i] ? 3 : 1;
    }
    h = plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "classifier", .out = 7 });
    plm_graph_output(h, "logits");
    return g;
}

static plm_node block(plm_node x, const net_preact_desc *d, int64_t width, int stride)
{
    const int64_t  out  = d->bottleneck ? 4 * width : width;
    const plm_node a    = norm_relu(x, "bn1");
    const bool     same = plm_node_shape(x).dim[0] == out && stride == 1;
    const plm_node side = same ? x : conv(a, "shortcut.0", out, 1, stride);
    plm_node       h    = conv(a, "conv1", width, d->bottleneck ? 1 : 3, d->bottleneck ? 1 : stride);
    h                   = conv(norm_relu(h, "bn2"), "conv2", width, 3, d->bottleneck ? stride : 1);
    if (d->bottleneck) h = conv(norm_relu(h, "bn3"), "conv3", out, 1, 1);
    return plm_nn_add(h, side);
}

plm_graph *net_preact(plm_ctx *ctx, const net_preact_desc *d)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   h = conv(plm_nn_input(g, plm_shape_of(3, 16, 16)), "conv1", 8, 3, 1);
    for (int s = 0; s < 3; s++)
        for (int b = 0; b < d->blocks[s]; b++) {
            plm_graph_scope(g, "layer%d.%d", s + 1, b);
            h = block(h, d, 8 << s, s > 0 && b == 0 ? 2 : 1);
            plm_graph_scope_end(g);
        }
    h = plm_nn_flatten(plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .kernel = 4 }));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "linear", .out = 4 }), "logits");
    return g;
}

plm_graph *net_fcn(plm_ctx *ctx, int depth, int64_t width)
{
    plm_graph     *g = plm_graph_new(ctx);
    const plm_node x = plm_nn_input(g, plm_shape_of(1, 6, 6));
    plm_graph_output(plm_zoo_fcn(x, 5, &(plm_fcn_desc){ .depth = depth, .width = width }), "logits");
    return g;
}

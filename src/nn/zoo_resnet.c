/* zoo_resnet.c: residual networks: pre-activation for images of 32x32, post-activation for ImageNet.
 *
 * A block's shortcut is built before its branch, so that both their results are there when the last convolution of the
 * branch has run. */
#include "nn/zoo.h"

#define EXPANSION 4 /* of a bottleneck: its output's channels over its width */

static plm_node conv(plm_node x, const char *name, int64_t out, int kernel, int stride)
{
    return plm_nn_conv2d(
        x, &(plm_conv2d_desc){ .name = name, .out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2 });
}

static plm_node norm(plm_node x, const char *name, const plm__resnet *r)
{
    return plm_nn_batch_norm(x, &(plm_batch_norm_desc){ .name = name, .affine = r->desc.affine });
}

static plm_node norm_relu(plm_node x, const char *name, const plm__resnet *r)
{
    return plm_nn_relu(norm(x, name, r), NULL);
}

static bool keeps_shape(plm_node x, int64_t out, int stride)
{
    return stride == 1 && plm_node_shape(x).dim[0] == out;
}

/* He et al. 2016b, figure 1 (b): nothing but additions on the way from block to block. */
static plm_node preact_block(plm_node x, const plm__resnet *r, int64_t width, int64_t out, int stride)
{
    const plm_node a    = norm_relu(x, "bn1", r);
    const plm_node side = keeps_shape(x, out, stride) ? x : conv(a, "shortcut.0", out, 1, stride);
    plm_node       h;
    if (r->bottleneck) {
        h = conv(a, "conv1", width, 1, 1);
        h = conv(norm_relu(h, "bn2", r), "conv2", width, 3, stride);
        h = conv(norm_relu(h, "bn3", r), "conv3", out, 1, 1);
    } else {
        h = conv(a, "conv1", width, 3, stride);
        h = conv(norm_relu(h, "bn2", r), "conv2", out, 3, 1);
    }
    return plm_nn_add(h, side);
}

/* He et al. 2016a, figure 5, with the stride on the 3x3 convolution. */
static plm_node postact_block(plm_node x, const plm__resnet *r, int64_t width, int64_t out, int stride)
{
    plm_node side = x, h;
    if (!keeps_shape(x, out, stride)) side = norm(conv(x, "downsample.0", out, 1, stride), "downsample.1", r);
    if (r->bottleneck) {
        h = norm_relu(conv(x, "conv1", width, 1, 1), "bn1", r);
        h = norm_relu(conv(h, "conv2", width, 3, stride), "bn2", r);
        h = norm(conv(h, "conv3", out, 1, 1), "bn3", r);
    } else {
        h = norm_relu(conv(x, "conv1", width, 3, stride), "bn1", r);
        h = norm(conv(h, "conv2", out, 3, 1), "bn2", r);
    }
    return plm_nn_relu(plm_nn_add(h, side), NULL);
}

static plm_node stem(plm_node x, const plm__resnet *r)
{
    if (!r->desc.imagenet) return conv(x, "conv1", r->width, 3, 1);
    const plm_node h = norm_relu(conv(x, "conv1", r->width, 7, 2), "bn1", r);
    return plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .name = "maxpool", .kernel = 3, .stride = 2, .pad = 1 });
}

static plm_node stages(plm_node h, const plm__resnet *r)
{
    for (int s = 0; s < r->stages; s++)
        for (int b = 0; b < r->blocks[s]; b++) {
            const int64_t width = r->width << s, out = r->bottleneck ? EXPANSION * width : width;
            const int     stride = s > 0 && b == 0 ? 2 : 1;
            plm_graph_scope(h.graph, "layer%d.%d", s + 1, b);
            h = r->desc.imagenet ? postact_block(h, r, width, out, stride) : preact_block(h, r, width, out, stride);
            plm_graph_scope_end(h.graph);
        }
    return h;
}

/* ImageNet's whole image, CIFAR's 4x4 pixels. */
static plm_node average(plm_node h, const plm__resnet *r)
{
    return plm_nn_avg_pool2d(
        h, &(plm_pool2d_desc){ .name = "avgpool", .kernel = r->desc.imagenet ? 0 : 4, .global = r->desc.imagenet });
}

plm_node plm__zoo_resnet(plm_node x, int64_t classes, const plm__resnet *r)
{
    const plm_node h = plm_nn_flatten(average(stages(stem(x, r), r), r));
    return plm_nn_linear(
        h, &(plm_linear_desc){ .name = r->desc.imagenet ? "fc" : "linear", .out = classes, .bias = r->desc.bias });
}

plm_node plm_zoo_resnet(plm_node x, int64_t classes, const plm_resnet_desc *desc)
{
    static const struct {
        int         depth;
        plm__resnet net;
    } known[] = {
        { 18, { .stages = 4, .blocks = { 2, 2, 2, 2 }, .width = 64 } },
        { 34, { .stages = 4, .blocks = { 3, 4, 6, 3 }, .width = 64 } },
        { 50, { .stages = 4, .blocks = { 3, 4, 6, 3 }, .width = 64, .bottleneck = true } },
        { 101, { .stages = 4, .blocks = { 3, 4, 23, 3 }, .width = 64, .bottleneck = true } },
        { 152, { .stages = 4, .blocks = { 3, 8, 36, 3 }, .width = 64, .bottleneck = true } },
    };
    plm_resnet_desc d = desc ? *desc : (plm_resnet_desc){ 0 };
    if (d.depth == 0) d.depth = 18;
    if (!x.graph || x.id < 0) return x;
    for (size_t i = 0; i < sizeof known / sizeof *known && classes > 0; i++) {
        if (known[i].depth != d.depth) continue;
        plm__resnet r = known[i].net;
        r.desc        = d;
        return plm__zoo_resnet(x, classes, &r);
    }
    plm__fail(x.graph->ctx, PLM_ERR_ARGUMENT,
              "resnet: depth %d, %lld classes: depth is 18, 34, 50, 101 or 152, and there is at least 1 class", d.depth,
              (long long)classes);
    return (plm_node){ .graph = x.graph, .id = -1 };
}

/* zoo_vgg.c: VGG networks with batch norm, for images of 32x32. */
#include "nn/zoo.h"

#include <stdio.h>

#define GROUPS 5

/* "features.I": PyTorch counts convolutions, norms, ReLUs and pools. */
static const char *place(char name[32], int i)
{
    snprintf(name, 32, "features.%d", i);
    return name;
}

plm_node plm__zoo_vgg(plm_node x, int64_t classes, const int *channels, int count, const plm_vgg_desc *d)
{
    plm_node h = x;
    char     name[32];
    for (int i = 0, at = 0; i < count; i++) {
        if (channels[i] == 0) {
            h = plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .name = place(name, at++), .kernel = 2 });
            continue;
        }
        h = plm_nn_conv2d(
            h, &(plm_conv2d_desc){ .name = place(name, at++), .out = channels[i], .pad = 1, .bias = d->bias });
        h = plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = place(name, at++), .affine = d->affine });
        h = plm_nn_relu(h, &(plm_relu_desc){ .name = place(name, at++) });
    }
    h = plm_nn_flatten(h);
    return plm_nn_linear(h, &(plm_linear_desc){ .name = "classifier", .out = classes, .bias = d->bias });
}

plm_node plm_zoo_vgg(plm_node x, int64_t classes, const plm_vgg_desc *desc)
{
    static const struct {
        int depth, convs[GROUPS];
    } known[] = {
        { 11, { 1, 1, 2, 2, 2 } }, { 13, { 2, 2, 2, 2, 2 } }, { 16, { 2, 2, 3, 3, 3 } }, { 19, { 2, 2, 4, 4, 4 } }
    };
    static const int width[GROUPS] = { 64, 128, 256, 512, 512 };

    plm_vgg_desc d = desc ? *desc : (plm_vgg_desc){ 0 };
    if (d.depth == 0) d.depth = 16;
    if (!x.graph || x.id < 0) return x;
    size_t i = 0;
    while (i < sizeof known / sizeof *known && known[i].depth != d.depth) i++;
    if (i == sizeof known / sizeof *known || classes < 1) {
        plm__fail(x.graph->ctx, PLM_ERR_ARGUMENT,
                  "vgg: depth %d, %lld classes: depth is 11, 13, 16 or 19, and there is at least 1 class", d.depth,
                  (long long)classes);
        return (plm_node){ .graph = x.graph, .id = -1 };
    }
    int channels[24], count = 0;
    for (int g = 0; g < GROUPS; g++) {
        for (int k = 0; k < known[i].convs[g]; k++) channels[count++] = width[g];
        channels[count++] = 0;
    }
    return plm__zoo_vgg(x, classes, channels, count, &d);
}

/* extra.c: a user's own program: `plummet` with two architectures more. */
#include <plummet/cli.h>

static plm_node build_tanh(plm_node x, const plm_arch_desc *d)
{
    plm_node h = plm_nn_flatten(x);
    for (int i = 1; i < d->depth; i++) h = plm_nn_tanh(plm_nn_linear(h, &(plm_linear_desc){ .out = d->width }), NULL);
    return plm_nn_linear(h, &(plm_linear_desc){ .out = d->classes });
}

/* One residual block with a convolution as its shortcut, norms and a grouped convolution: much of a large network, in little. */
static plm_node build_block(plm_node x, const plm_arch_desc *d)
{
    const int64_t  width = d->width;
    const plm_node stem  = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "stem", .out = width, .pad = 1 });
    const plm_node a     = plm_nn_relu(plm_nn_batch_norm(stem, NULL), NULL);
    const plm_node side  = plm_nn_conv2d(a, &(plm_conv2d_desc){ .name = "shortcut", .out = 2 * width, .kernel = 1 });
    plm_node h = plm_nn_conv2d(a, &(plm_conv2d_desc){ .name = "grouped", .out = 2 * width, .pad = 1, .groups = 2 });
    h          = plm_nn_add(plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL), side);
    h          = plm_nn_flatten(plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .global = true }));
    return plm_nn_linear(h, &(plm_linear_desc){ .name = "last", .out = d->classes });
}

int main(int argc, char **argv)
{
    static const plm_arch archs[] = {
        { .name = "tanh-net", .summary = "linear layers and tanh", .build = build_tanh },
        { .name = "block", .summary = "one residual block: --width channels", .build = build_block },
        { 0 }
    };
    return plm_main(argc, argv, &(plm_cli_extra){ .archs = archs });
}

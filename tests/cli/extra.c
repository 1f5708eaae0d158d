/* extra.c: a user's own program: `plummet` with one architecture more. */
#include <plummet/cli.h>

static plm_node build_tanh(plm_node x, int64_t classes, int depth, int64_t width)
{
    plm_node h = plm_nn_flatten(x);
    for (int i = 1; i < depth; i++) h = plm_nn_tanh(plm_nn_linear(h, &(plm_linear_desc){ .out = width }), NULL);
    return plm_nn_linear(h, &(plm_linear_desc){ .out = classes });
}

int main(int argc, char **argv)
{
    static const plm_arch archs[] = { { "tanh-net", "linear layers and tanh", build_tanh }, { 0 } };
    return plm_main(argc, argv, &(plm_cli_extra){ .archs = archs });
}

/* fuzz_input.c: what `plummet predict` reads: rows of numbers (.csv, .f32) and grey images (.pgm).  The input's first byte
 * chooses. */
#include "cli.h"
#include "fuzz.h"

#include <math.h>

enum { CLASSES = 2 };

static plm_graph *network(plm_ctx *ctx)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   x   = plm_nn_flatten(plm_nn_input(net, plm_shape_of(1, 2, 3)));
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .out = CLASSES }), "y");
    fuzz_require(plm_ctx_status(ctx) == PLM_OK);
    return net;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "x.csv", "x.f32", "x.pgm" };
    fuzz_bytes               b       = { data, size };
    const int                choice  = fuzz_below(&b, 6);
    const char              *path    = fuzz_file(names[choice / 2], b.at, b.left);
    plm_ctx                 *ctx     = fuzz_ctx_new(1 << 16);
    plm_graph               *net     = network(ctx);
    cli_input                in;
    const bool               ok = cli_input_read(ctx, path, choice == 1 ? "y" : NULL, net, &in);
    fuzz_require(ok == (plm_ctx_status(ctx) == PLM_OK) && (in.x != NULL) == ok);
    for (int64_t i = 0; ok && i < in.count * in.size; i++) fuzz_require(isfinite(in.x[i]));
    cli_input_free(&in);
    plm_graph_free(net);
    fuzz_ctx_free(ctx, 1 << PLM_ERR_FORMAT | 1 << PLM_ERR_SHAPE);
    return 0;
}

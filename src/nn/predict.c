/* predict.c: inference on plain arrays. */
#include "nn/nn.h"

bool plm_graph_predict(plm_graph *g, const float *x, int64_t n, float *y)
{
    enum { CHUNK = 128 }; /* samples at a time: bounds the memory of activations */
    if (!g || !plm__enter(g->ctx, "plm_graph_predict")) return false;
    bool ok = true;
    if (n < 0 || (n > 0 && (!x || !y)))
        ok = plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_predict: %lld samples, x %s, y %s", (long long)n,
                       x ? "given" : "NULL", y ? "given" : "NULL");
    else if (g->output < 0)
        ok = plm__fail(g->ctx, PLM_ERR_STATE, "plm_graph_predict: the graph has no output: call plm_graph_output");
    const int64_t each = plm_shape_count(plm_graph_input_shape(g)), at = ok ? plm__first_nonfinite(x, n * each) : -1;
    if (at >= 0)
        ok = plm__fail(g->ctx, PLM_ERR_NONFINITE, "plm_graph_predict: sample %lld holds %g at element %lld",
                       (long long)(at / each), (double)x[at], (long long)(at % each));
    plm_tape     *tape = ok ? plm_tape_new(g->ctx, &(plm_tape_desc){ .eval = true, .no_grad = true }) : NULL;
    const int64_t to   = plm_shape_count(plm_graph_output_shape(g));
    for (int64_t i = 0; tape && ok && i < n; i += CHUNK) {
        const int64_t   count = n - i < CHUNK ? n - i : CHUNK;
        const plm_shape shape = plm__shape_batched(count, plm_graph_input_shape(g));
        const plm_val   in    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, shape, x + i * each));
        ok                    = plm_val_read(plm_graph_apply(g, in), y + i * to, count * to);
        plm_tape_reset(tape);
    }
    plm_tape_free(tape);
    plm__leave(g->ctx);
    return ok && tape;
}

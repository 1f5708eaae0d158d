/* evaluate.c: losses by name, and the score of a network on a data set.
 *
 * An evaluation has a tape and a loader of its own, in evaluation mode and without recording: training does not notice. */
#include "train/train.h"

#include <math.h>

#include "autograd/autograd.h"
#include "data/data.h"

double plm__score_accuracy(plm_val out, plm_tensor y)
{
    return y.dtype == PLM_I64 ? plm_accuracy(out, y) : (double)NAN;
}

bool plm__train_check(plm_ctx *ctx, const plm_dataset *data, plm_loss loss, const char *call)
{
    if (ctx->status != PLM_OK) return false;
    if (!data) return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: data is NULL", call);
    if (data->store->ctx != ctx)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the data set %s belongs to another context than the graph", call,
                         data->store->name);
    if (loss != PLM_LOSS_MSE && loss != PLM_LOSS_XENT && loss != PLM_LOSS_SQUARE)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: there is no loss %d", call, (int)loss);
    return true;
}

bool plm__evaluator_open(plm__evaluator *e, plm_graph *net, plm_dataset *data, plm_loss loss, int64_t batch)
{
    e->net    = net;
    e->data   = data;
    e->loss   = loss;
    e->loader = plm_loader_new(data, &(plm_loader_desc){ .batch = batch });
    e->tape   = e->loader ? plm_tape_new(plm_graph_ctx(net), &(plm_tape_desc){ .eval = true, .no_grad = true }) : NULL;
    return e->tape;
}

bool plm__evaluator_run(plm__evaluator *e, plm_score *score)
{
    plm_ctx  *ctx = plm_graph_ctx(e->net);
    plm_score sum = { 0 };
    plm_batch batch;
    plm_loader_seek(e->loader, 0);
    while (plm_loader_next(e->loader, &batch)) {
        const plm_val out  = plm_graph_apply(e->net, plm_tape_input(e->tape, batch.x));
        const plm_val loss = plm_loss_apply(e->loss, out, batch.y);
        plm__score_add(&sum, (double)plm_val_item(loss), plm__score_accuracy(out, batch.y), batch.count);
        plm_tape_reset(e->tape);
    }
    if (plm_ctx_status(ctx) != PLM_OK) return false;
    if (!isfinite(sum.loss))
        return plm__fail(ctx, PLM_ERR_NONFINITE, "the loss on %s is %s", plm_dataset_name(e->data),
                         isnan(sum.loss) ? "nan" : "inf");
    *score = plm__score_mean(sum);
    return true;
}

void plm__evaluator_close(plm__evaluator *e)
{
    plm_loader_free(e->loader);
    plm_tape_free(e->tape);
    *e = (plm__evaluator){ 0 };
}

plm_val plm_loss_apply(plm_loss loss, plm_val out, plm_tensor y)
{
    static const char *const name[] = { "mse", "xent", "square" };
    if (!out.tape) return plm_none;
    plm_ctx *ctx = plm_tape_ctx(out.tape);
    char     text[PLM__SHAPE_TEXT];
    switch (loss) {
    case PLM_LOSS_MSE:
        if (y.dtype != PLM_F32) return plm_mse_onehot(out, y, NULL);
        return plm_mse(out, plm_tape_input_with(out.tape, y, &(plm_input_desc){ .name = "targets" }));
    case PLM_LOSS_XENT:
        if (y.dtype != PLM_F32) return plm_cross_entropy(out, y);
        break;
    case PLM_LOSS_SQUARE:
        if (y.dtype != PLM_F32) return plm_square_loss(out, y, NULL);
        break;
    default:
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_loss_apply: there is no loss %d", (int)loss);
        return plm__val_none(out.tape);
    }
    plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the targets are numbers (f32 %s), only the loss mse does regression",
              name[loss], plm__shape_text(y.shape, text));
    return plm__val_none(out.tape);
}

bool plm_evaluate(plm_graph *net, plm_dataset *data, plm_loss loss, int64_t batch, plm_score *score)
{
    if (score) *score = (plm_score){ (double)NAN, (double)NAN, 0 };
    if (!net || !plm__train_check(plm_graph_ctx(net), data, loss, "plm_evaluate")) return false;
    if (!score) return plm__fail(plm_graph_ctx(net), PLM_ERR_ARGUMENT, "plm_evaluate: score is NULL");
    plm__evaluator e  = { 0 };
    const bool     ok = plm__evaluator_open(&e, net, data, loss, batch) && plm__evaluator_run(&e, score);
    plm__evaluator_close(&e);
    return ok;
}

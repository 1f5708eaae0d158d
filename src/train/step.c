/* step.c: one step of a training, and what becomes of it when a number is not finite.
 *
 * The forward pass has moved batch norm's statistics by the time a nan is found, so they are copied before each step; weights
 * and the optimiser's state change only when everything has been found finite. */
#include "train/loop.h"

#include <stdio.h>
#include <string.h>

#include "nn/nn.h"
#include "train/explain.h"

/* The statistics of parameter i of a graph; NULL: it is none. */
static plm_param *statistic(const plm_graph *net, int i)
{
    plm_param *p = net->param[i];
    return p->role == PLM_ROLE_STATISTIC ? p : NULL;
}

size_t plm__statistics_bytes(const plm_graph *net)
{
    size_t floats = 1;
    for (int i = 0; i < net->params; i++)
        if (statistic(net, i)) floats += (size_t)plm__layout_floats(&net->param[i]->home);
    return floats * sizeof(float);
}

void plm__statistics_copy(const plm_graph *net, float *numbers)
{
    for (int i = 0; i < net->params; i++) {
        const plm_param *p = statistic(net, i);
        if (!p) continue;
        const size_t n = (size_t)plm__layout_floats(&p->home);
        memcpy(numbers, p->weights->data, n * sizeof(float));
        numbers += n;
    }
}

void plm__statistics_put_back(plm_graph *net, const float *numbers)
{
    for (int i = 0; i < net->params; i++) {
        plm_param *p = statistic(net, i);
        if (!p) continue;
        const size_t n = (size_t)plm__layout_floats(&p->home);
        memcpy(p->weights->data, numbers, n * sizeof(float));
        p->version++;
        numbers += n;
    }
}

bool plm__say_where(const plm__training *t, bool in_step)
{
    plm_ctx *ctx = t->ctx;
    if (ctx->status != PLM_ERR_NONFINITE) return false;
    const size_t used      = strlen(ctx->message);
    const bool   step      = in_step && t->epoch > 0;
    char         batch[64] = "";
    if (in_step)
        snprintf(batch, sizeof batch, ", batch %lld of %lld", (long long)t->at.batches + 1,
                 (long long)t->steps_per_epoch);
    snprintf(ctx->message + used, sizeof ctx->message - used, " (in epoch %d, step %lld%s)", t->epoch,
             (long long)t->at.step + step, batch);
    return false;
}

/* The monitor's part, before the step or (out: NULL) after it, which is no time of the training. */
static bool watch(plm__training *t, const plm_val *out, const plm_batch *batch)
{
    plm_monitor *m = t->desc.monitor;
    if (!m) return true;
    const double start = plm__seconds();
    const bool   ok    = out ? plm_monitor_before(m, t->at.step + 1, *out, batch) : plm_monitor_after(m);
    t->watching += plm__seconds() - start;
    return ok;
}

static bool try_step(plm__training *t, const plm_batch *batch, bool change, double *loss, double *acc)
{
    if (change) plm_tape_set_step(t->tape, (uint64_t)t->at.step + 1); /* whatever ran before */
    const plm_val out   = plm_graph_apply(t->net, plm_tape_input(t->tape, batch->x));
    const plm_val value = plm_loss_apply(t->desc.loss, out, batch->y);
    *loss               = (double)plm_val_item(value);
    *acc                = plm__score_accuracy(out, batch->y);
    if (!plm_backward(value) || !plm__schedule_apply(t) || (change && !watch(t, &out, batch)) ||
        !(change ? plm_optimizer_step(t->opt) : plm_optimizer_probe(t->opt)))
        return false;
    plm_tape_reset(t->tape);
    return true;
}

plm__outcome plm__train_step(plm__training *t, const plm_batch *batch, bool change, double *loss, double *acc)
{
    const int64_t steps = plm_optimizer_info(t->opt)->step;
    plm__statistics_copy(t->net, t->statistics);
    t->watching = 0;
    if (try_step(t, batch, change, loss, acc) && (!change || watch(t, NULL, NULL))) return PLM__TAKEN;
    plm__say_where(t, true);
    if (t->ctx->status != PLM_ERR_NONFINITE || plm_optimizer_info(t->opt)->step != steps) return PLM__FAILED;
    plm__statistics_put_back(t->net, t->statistics);
    if (t->desc.on_nonfinite == PLM_NONFINITE_STOP) return PLM__FAILED;
    if (!*t->why) snprintf(t->why, sizeof t->why, "%.500s", t->ctx->message);
    plm_ctx_clear(t->ctx);
    return PLM__LEFT_OUT;
}

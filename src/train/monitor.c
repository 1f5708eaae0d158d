/* monitor.c: steps of a training, measured as plm_explain_step measures one.
 *
 * The training runs and steps itself.  The monitor copies what the step uses up, and afterwards runs the batch forward once more, on a
 * tape of its own with the training's random numbers; batch norm's statistics, which that moves, are put back. */
#include "train/explain.h"

#include <math.h>

#include "autograd/autograd.h"
#include "optim/optim.h"

plm_monitor *plm_monitor_new(plm_optimizer *o, const plm_monitor_desc *desc)
{
    plm_graph *net = o ? plm_optimizer_graph(o) : NULL;
    if (!net || net->ctx->status != PLM_OK) return NULL;
    const plm_monitor_desc d = desc ? *desc : (plm_monitor_desc){ 0 };
    if (d.every < 0 || (d.loss != PLM_LOSS_MSE && d.loss != PLM_LOSS_XENT && d.loss != PLM_LOSS_SQUARE)) {
        if (d.every < 0)
            plm__fail(net->ctx, PLM_ERR_ARGUMENT, "plm_monitor_new: every is %lld, expected 0 or more",
                      (long long)d.every);
        else plm__fail(net->ctx, PLM_ERR_ARGUMENT, "plm_monitor_new: there is no loss %d", (int)d.loss);
        return NULL;
    }
    plm_monitor *m = plm__new(net->ctx, sizeof *m, "monitor");
    if (!m) return NULL;
    m->ctx  = net->ctx;
    m->o    = o;
    m->desc = d;
    if (d.every == 0) m->desc.every = 1;
    m->e     = plm_explain_new(net, &(plm_explain_desc){ .loss = d.loss });
    m->layer = plm__new(m->ctx, (size_t)(net->layers + 1) * sizeof *m->layer, "monitor");
    m->row   = (plm_monitor_row){ .layer = m->layer, .layers = net->layers };
    if (m->e && m->layer && plm__explain_open(m->e)) return m;
    plm_monitor_free(m);
    return NULL;
}

void plm_monitor_free(plm_monitor *m)
{
    if (!m) return;
    plm_explain_free(m->e);
    plm__delete(m->ctx, m->layer);
    plm__delete(m->ctx, m);
}

static bool check(const plm_monitor *m, int64_t step, plm_val out, const plm_batch *batch)
{
    static const char call[] = "plm_monitor_before";
    const plm_graph  *net    = m->e->net;
    if (step < 1) return plm__fail(m->ctx, PLM_ERR_ARGUMENT, "%s: step is %lld, the first is 1", call, (long long)step);
    if (!out.tape || !batch)
        return plm__fail(m->ctx, PLM_ERR_ARGUMENT, "%s: %s", call, batch ? "out is none" : "batch is NULL");
    if (batch->y.dtype != PLM_I64)
        return plm__fail(m->ctx, PLM_ERR_ARGUMENT, "%s: the targets are numbers, expected classes", call);
    if (batch->count < 1 || plm_shape_count(batch->y.shape) != batch->count ||
        plm_shape_count(batch->x.shape) != batch->count * plm_shape_count(plm_graph_input_shape(net)))
        return plm__fail(m->ctx, PLM_ERR_SHAPE, "%s: x and y are not %lld samples of the network's", call,
                         (long long)batch->count);
    return true;
}

bool plm_monitor_before(plm_monitor *m, int64_t step, plm_val out, const plm_batch *batch)
{
    if (!m || m->ctx->status != PLM_OK) return false;
    m->waits = m->measured = false;
    if (!check(m, step, out, batch)) return false;
    if ((step - 1) % m->desc.every != 0) return true;
    m->e->step = out.tape->list.step;
    if (!plm__explain_room(m->e, batch->count) || !plm__explain_before(m->e) ||
        !plm__explain_take(m->e, batch, out, &m->sizes) || !plm__explain_gradients(m->e))
        return false;
    m->row.step = step;
    m->batch    = *batch;
    m->steps    = plm_optimizer_info(m->o)->step;
    m->waits    = true;
    return true;
}

/* Is its step the one that the theory is about? */
static bool steps_by_theory(const plm_optimizer *o)
{
    return o->kind == &plm__agd && ((const plm_agd_desc *)o->desc)->gain == 1;
}

bool plm_monitor_after(plm_monitor *m)
{
    if (!m || m->ctx->status != PLM_OK) return false;
    const bool stepped = m->waits && plm_optimizer_info(m->o)->step > m->steps;
    m->waits           = false;
    if (!stepped) return true;
    plm_step_terms *t = &m->row.terms;
    if (!plm__explain_again(m->e, &m->batch) || !plm__explain_after(m->e, m->o, &m->sizes, true, t, m->layer))
        return false;
    const double bend   = steps_by_theory(m->o) ? exp(t->eta) - 1 : (double)NAN;
    m->row.majorisation = -t->eta * t->G + t->curvature * bend * bend;
    m->row.df_theory    = sqrt((double)m->e->d_L) * bend;
    m->measured         = true;
    return true;
}

const plm_monitor_row *plm_monitor_last(const plm_monitor *m)
{
    return m && m->measured ? &m->row : NULL;
}

const plm_explain *plm_monitor_facts(const plm_monitor *m)
{
    return m ? m->e : NULL;
}

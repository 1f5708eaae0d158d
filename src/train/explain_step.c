/* explain_step.c: one step of an optimiser, taken, measured and put back.
 *
 * The optimiser is the real one and the change of the weights is read off the weights, so that what is explained is what
 * happens, whatever the optimiser. */
#include "train/explain.h"

#include <math.h>

enum { READ, WRITE_STATISTICS, WRITE_ALL };

/* All parameters one after the other: out of the graph into e->before, or back. */
static bool copy_params(plm_explain *e, int what)
{
    float *at = e->before;
    for (int i = 0; i < e->net->params; i++) {
        plm_param    *p  = e->net->param[i];
        const int64_t n  = plm_shape_count(plm_param_shape(p));
        bool          ok = true;
        if (what == READ) ok = plm_param_read(p, at, n);
        else if (what == WRITE_ALL || plm_param_role(p) == PLM_ROLE_STATISTIC) ok = plm_param_write(p, at, n);
        if (!ok) return false;
        at += n;
    }
    return true;
}

bool plm__explain_before(plm_explain *e)
{
    return plm__explain_measure(e) && copy_params(e, READ);
}

bool plm__explain_gradients(plm_explain *e)
{
    float *at = e->grad;
    for (int i = 0; i < e->net->params; i++) {
        const plm_param *p = e->net->param[i];
        const int64_t    n = plm_shape_count(plm_param_shape(p));
        if (plm__param_trains(p) && !plm_param_read_grad(p, at, n)) return false;
        at += n;
    }
    return true;
}

/* Where a parameter begins in e->before and e->grad. */
static int64_t start_of(const plm_explain *e, const plm_param *p)
{
    int64_t start = 0;
    for (int i = 0; e->net->param[i] != p; i++) start += plm_shape_count(plm_param_shape(e->net->param[i]));
    return start;
}

/* dw = W - W before, row-major, rounded to float as W itself is; *linear = <g, dW>, *size = ||dW||. */
static bool read_change(const plm_explain *e, const plm_param *p, float *dw, double *linear, double *size)
{
    const int64_t n = plm_shape_count(plm_param_shape(p)), start = start_of(e, p);
    *linear = *size = 0;
    if (!plm_param_read(p, dw, n)) return false;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)dw[i] - (double)e->before[start + i];
        *linear += (double)e->grad[start + i] * d;
        *size += d * d;
        dw[i] = (float)d;
    }
    *size = sqrt(*size);
    return true;
}

/* What the step did to layer k.  e->change[k], e->shift[k]: to its weight as a map and, by its bias, to its output. */
static bool measure_layer(plm_explain *e, int k, plm_layer_step *out)
{
    const plm_layer_facts *f = &e->layer[k];
    const plm__matrices    m = plm__matrices_of(f->layer);
    plm__norms             n;
    double                 size, linear;
    *out         = (plm_layer_step){ .grad_bound = (double)NAN };
    e->change[k] = e->shift[k] = 0;
    if (f->trains) {
        plm__matrices_gather(&m, e->grad + start_of(e, f->layer->weight), e->part[1]);
        if (!plm__explain_norms(e->ctx, &m, e->part[1], &n)) return false;
        out->grad         = n.frobenius_sum;
        out->grad_most    = n.frobenius_most;
        out->grad_op      = n.op;
        out->stable_rank  = n.stable_rank;
        out->contribution = f->share * f->scale * n.frobenius_sum;
        if (!read_change(e, f->layer->weight, e->part[0], &out->linear, &size)) return false;
        plm__matrices_gather(&m, e->part[0], e->part[1]);
        if (!plm__explain_norms(e->ctx, &m, e->part[1], &n)) return false;
        out->update     = f->frobenius > 0 ? size / f->frobenius : 0;
        out->update_op  = n.op;
        out->update_map = e->change[k] = n.map;
    }
    const plm_param *bias = f->layer->bias;
    if (!bias || plm_param_frozen(bias)) return true;
    if (!read_change(e, bias, e->part[0], &linear, &size)) return false;
    const plm_shape s = e->net->node[f->node].m.shape;
    e->shift[k]       = size * sqrt((double)plm_shape_count(s) / (double)f->layer->d_out); /* so many places */
    return true;
}

/* <gradient, step> over all parameters. */
static bool linear_change(plm_explain *e, double *sum)
{
    *sum = 0;
    for (int i = 0; i < e->net->params; i++) {
        double linear, size;
        if (!plm__param_trains(e->net->param[i])) continue;
        if (!read_change(e, e->net->param[i], e->part[0], &linear, &size)) return false;
        *sum += linear;
    }
    return true;
}

/* No ||g||_F of layer k's matrices is larger: a sample's gradient is at most ||d loss / d h_out|| ||h_in||, times what the module
 * itself adds to its weight as a map, and means obey Cauchy and Schwarz. */
static double gradient_bound(const plm_explain *e, int k, const plm_step_terms *t)
{
    const int             node = e->layer[k].node;
    const plm_node_bound *in   = &e->node[e->net->node[node].in[0]];
    plm_node_info         n;
    if (!plm_graph_node_info(e->net, node, &n)) return (double)NAN;
    return e->node[node].onward * n.lipschitz.factor * t->loss_slope * (in->offset + in->gain * t->x_rms);
}

static void fill_terms(const plm_explain *e, const plm__sizes *sizes, plm_step_terms *t)
{
    const plm__changes    c   = plm__explain_changes(e);
    const plm_node_bound *out = &e->node[e->net->output];
    t->samples                = e->samples;
    t->x_rms                  = sizes->x_rms;
    t->x_max                  = sizes->x_max;
    t->f_rms                  = sizes->f_rms;
    t->f_max                  = sizes->f_max;
    t->f_bound                = out->offset + out->gain * t->x_max;
    t->loss                   = c.loss[0];
    t->loss_after             = c.loss[1];
    t->loss_slope             = c.slope;
    t->remainder              = c.first_order - t->linear;
    t->bregman                = c.loss[1] - c.loss[0] - c.first_order;
    t->df_rms                 = c.df_rms;
    t->df_max                 = c.df_max;
    const plm__walked w       = plm__explain_walk(e, e->norm, e->change, e->shift);
    t->df_bound               = w.d_offset + w.d_gain * t->x_max;
    t->df_within              = w.d_offset + w.d_gain * t->x_rms;
    t->trust                  = 1;
    for (int k = 0; k < e->net->layers; k++)
        if (e->layer[k].map > 0) t->trust *= 1 + e->change[k] / e->layer[k].map;
    t->trust -= 1;
    t->curvature = plm_loss_curvature(e->desc.loss, e->d_L);
    t->majorised = t->linear + t->curvature / (double)e->d_L * t->df_within * t->df_within;
}

static bool measure(plm_explain *e, const plm__sizes *sizes, plm_step_terms *t, plm_layer_step *layers)
{
    plm_layer_step here;
    t->G = 0;
    for (int k = 0; k < e->net->layers; k++) {
        if (!measure_layer(e, k, layers ? &layers[k] : &here)) return false;
        t->G += layers ? layers[k].contribution : here.contribution;
    }
    t->eta = plm_agd_eta(t->G, 0.5);
    if (!linear_change(e, &t->linear)) return false;
    fill_terms(e, sizes, t);
    for (int k = 0; layers && k < e->net->layers; k++)
        if (e->layer[k].trains) layers[k].grad_bound = gradient_bound(e, k, t);
    return true;
}

bool plm__explain_after(plm_explain *e, const plm_optimizer *o, const plm__sizes *sizes, bool keep,
                        plm_step_terms *terms, plm_layer_step *layers)
{
    plm_step_terms t  = { .rate = plm_optimizer_info(o)->eta };
    const bool     ok = measure(e, sizes, &t, layers) && copy_params(e, keep ? WRITE_STATISTICS : WRITE_ALL);
    if (ok && terms) *terms = t;
    return ok;
}

bool plm_explain_step(plm_explain *e, plm_optimizer *o, bool keep, plm_step_terms *terms, plm_layer_step *layers)
{
    plm__sizes sizes, sizes_after;
    if (!e || e->ctx->status != PLM_OK) return false;
    if (!e->loader) return plm__fail(e->ctx, PLM_ERR_STATE, "plm_explain_step: the explanation has no data");
    if (!o) return plm__fail(e->ctx, PLM_ERR_ARGUMENT, "plm_explain_step: o is NULL");
    return plm__explain_before(e) && plm__explain_run(e, false, &sizes) && plm__explain_gradients(e) &&
           plm_optimizer_step(o) && plm__explain_run(e, true, &sizes_after) &&
           plm__explain_after(e, o, &sizes, keep, terms, layers);
}

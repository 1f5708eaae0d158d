/* explain.c: an explanation of AGD's step: facts of the layers, and what a step did. */
#include "train/explain.h"

#include <math.h>

#include "train/train.h"

double plm_agd_eta(double G, double curvature)
{
    return log((1 + sqrt(1 + 2 * G / curvature)) / 2);
}

double plm_loss_curvature(plm_loss loss, int64_t classes)
{
    if (loss == PLM_LOSS_XENT) return (double)classes / 4;
    return loss == PLM_LOSS_SQUARE ? 0.5 : 1;
}

/* ------------------------------------------------------------------ the weights as they are */

bool plm__explain_norms(plm_ctx *ctx, const plm__matrices *m, const float *a, plm__norms *n)
{
    const int64_t each    = m->rows * m->cols;
    int           nonzero = 0;
    *n                    = (plm__norms){ .op_min = INFINITY };
    for (int tap = 0; tap < m->taps; tap++) {
        double largest = 0;
        for (int group = 0; group < m->count / m->taps; group++) {
            const float *at = a + (group * m->taps + tap) * each;
            const double op = plm_operator_norm(ctx, at, m->rows, m->cols, NULL), squares = plm__squares(at, each);
            if (ctx->status != PLM_OK) return false;
            largest   = fmax(largest, op);
            n->op_min = fmin(n->op_min, op);
            n->op     = fmax(n->op, op);
            n->op_mean += op / m->count;
            n->frobenius += squares;
            n->frobenius_sum += sqrt(squares);
            n->frobenius_most = fmax(n->frobenius_most, sqrt(squares));
            if (!(op > 0)) continue;
            n->stable_rank += squares / (op * op);
            nonzero++;
        }
        n->map += largest;
    }
    n->frobenius = sqrt(n->frobenius);
    if (nonzero > 0) n->stable_rank /= nonzero;
    return true;
}

static int64_t size_of(const plm_layer *l)
{
    return plm_shape_count(plm_param_shape(l->weight));
}

static bool measure_layer(plm_explain *e, int k)
{
    const plm_layer    *l = &e->net->layer[k];
    plm_layer_facts    *f = &e->layer[k];
    const plm__matrices m = plm__matrices_of(l);
    plm__norms          n;
    if (!plm_param_read(l->weight, e->part[0], size_of(l))) return false;
    plm__matrices_gather(&m, e->part[0], e->part[1]);
    if (!plm__explain_norms(e->ctx, &m, e->part[1], &n)) return false;
    f->layer          = l;
    f->trains         = !plm_param_frozen(l->weight);
    f->taps           = m.taps;
    f->matrices       = m.count;
    f->scale          = sqrt((double)l->d_out / ((double)l->d_in * m.taps));
    f->share          = f->trains ? 1.0 / e->L : 0;
    f->op_min         = n.op_min;
    f->op_mean        = n.op_mean;
    f->op             = n.op;
    f->frobenius      = n.frobenius;
    f->map            = n.map;
    f->map_prescribed = m.taps * f->scale;
    f->per_eta        = f->share / sqrt((double)(m.rows < m.cols ? m.rows : m.cols));
    return true;
}

bool plm__explain_measure(plm_explain *e)
{
    uint64_t version = 0;
    int      L       = 0;
    for (int i = 0; i < e->net->params; i++) version += e->net->param[i]->version;
    for (int k = 0; k < e->net->layers; k++) L += !plm_param_frozen(e->net->layer[k].weight);
    if (version == e->version && L == e->L) return true;
    e->L = L;
    for (int k = 0; k < e->net->layers; k++)
        if (!measure_layer(e, k)) return false;
    plm__explain_bounds(e);
    e->version = version;
    return true;
}

/* ------------------------------------------------------------------ making one */

static bool make_tables(plm_explain *e)
{
    const plm_graph *g    = e->net;
    int64_t          part = 1;
    for (int k = 0; k < g->layers; k++)
        if (size_of(&g->layer[k]) > part) part = size_of(&g->layer[k]);
    e->layer    = plm__new(e->ctx, (size_t)(g->layers + 1) * sizeof *e->layer, "explain");
    e->node     = plm__new(e->ctx, (size_t)g->nodes * sizeof *e->node, "explain");
    e->layer_of = plm__new(e->ctx, (size_t)g->nodes * sizeof *e->layer_of, "explain");
    e->norm     = plm__new(e->ctx, (size_t)(g->layers + 1) * sizeof *e->norm, "explain");
    e->shift    = plm__new(e->ctx, (size_t)(g->layers + 1) * sizeof *e->shift, "explain");
    e->change   = plm__new(e->ctx, (size_t)(g->layers + 1) * sizeof *e->change, "explain");
    e->walk     = plm__new(e->ctx, (size_t)g->nodes * sizeof *e->walk, "explain");
    e->part[0]  = plm__new(e->ctx, (size_t)part * sizeof(float), "explain");
    e->part[1]  = plm__new(e->ctx, (size_t)part * sizeof(float), "explain");
    if (e->ctx->status != PLM_OK) return false;
    for (int i = 0, k = 0; i < g->nodes; i++) {
        e->layer_of[i] = plm__node_weight(&g->node[i]) ? k++ : -1;
        if (e->layer_of[i] >= 0) e->layer[e->layer_of[i]].node = i;
    }
    return true;
}

static int64_t all_params(const plm_graph *g)
{
    int64_t count = 0;
    for (int i = 0; i < g->params; i++) count += plm_shape_count(plm_param_shape(g->param[i]));
    return count;
}

bool plm__explain_open(plm_explain *e)
{
    const int64_t params = all_params(e->net);
    e->tape              = plm_tape_new(e->ctx, NULL);
    e->slope             = plm__new(e->ctx, (size_t)e->d_L * sizeof *e->slope, "explain");
    e->before            = plm__new(e->ctx, (size_t)(params + 1) * sizeof *e->before, "explain");
    e->grad              = plm__new(e->ctx, (size_t)(params + 1) * sizeof *e->grad, "explain");
    return e->ctx->status == PLM_OK;
}

bool plm__explain_room(plm_explain *e, int64_t samples)
{
    if (samples <= e->room) return true;
    void *const old[] = { e->f[0], e->f[1], e->label };
    for (int i = 0; i < 3; i++) plm__delete(e->ctx, old[i]);
    for (int i = 0; i < 2; i++) e->f[i] = plm__new(e->ctx, (size_t)(samples * e->d_L) * sizeof(float), "explain");
    e->label = plm__new(e->ctx, (size_t)samples * sizeof *e->label, "explain");
    e->room  = e->ctx->status == PLM_OK ? samples : 0;
    return e->room > 0;
}

static bool make_samples(plm_explain *e)
{
    plm_explain_desc *d = &e->desc;
    if (!plm__train_check(e->ctx, d->data, d->loss, "plm_explain_new")) return false;
    if (plm_dataset_classes(d->data) == 0)
        return plm__fail(e->ctx, PLM_ERR_ARGUMENT, "plm_explain_new: %s has numbers as targets, expected classes",
                         plm_dataset_name(d->data));
    if (plm_shape_count(plm_dataset_x_shape(d->data)) != e->d_0)
        return plm__fail(e->ctx, PLM_ERR_SHAPE, "plm_explain_new: %s has %lld numbers a sample, the network takes %lld",
                         plm_dataset_name(d->data), (long long)plm_shape_count(plm_dataset_x_shape(d->data)),
                         (long long)e->d_0);
    const int64_t count = plm_dataset_count(d->data);
    if (d->batch > count) d->batch = count;
    e->samples = d->full ? count : d->batch;
    /* The order of plm_train's first epoch; all samples need no order. */
    e->loader =
        plm_loader_new(d->data, &(plm_loader_desc){ .batch = d->batch, .shuffle = !d->full, .augment = d->augment });
    if (d->rescale) e->x = plm__new(e->ctx, (size_t)(d->batch * e->d_0) * sizeof(float), "explain");
    return e->loader && plm__explain_open(e) && plm__explain_room(e, e->samples);
}

plm_explain *plm_explain_new(plm_graph *net, const plm_explain_desc *desc)
{
    if (!net || net->ctx->status != PLM_OK) return NULL;
    const plm_explain_desc d = desc ? *desc : (plm_explain_desc){ 0 };
    if (net->output < 0 || !plm_graph_initialized(net)) {
        plm__fail(net->ctx, PLM_ERR_STATE,
                  "plm_explain_new: the network has no output, or no weights yet: call plm_graph_init or load them");
        return NULL;
    }
    if (d.batch < 0) {
        plm__fail(net->ctx, PLM_ERR_ARGUMENT, "plm_explain_new: batch is %lld, expected 0 or more", (long long)d.batch);
        return NULL;
    }
    plm_explain *e = plm__new(net->ctx, sizeof *e, "explain");
    if (!e) return NULL;
    e->ctx  = net->ctx;
    e->net  = net;
    e->desc = d;
    e->step = 1;
    if (d.batch == 0) e->desc.batch = 128;
    e->d_0 = plm_shape_count(plm_graph_input_shape(net));
    e->d_L = plm_shape_count(plm_graph_output_shape(net));
    if (make_tables(e) && (!d.data || make_samples(e)) && plm__explain_measure(e)) return e;
    plm_explain_free(e);
    return NULL;
}

void plm_explain_free(plm_explain *e)
{
    if (!e) return;
    void *const memory[] = { e->layer, e->node, e->layer_of, e->norm,  e->change, e->shift, e->walk,    e->x,
                             e->f[0],  e->f[1], e->label,    e->slope, e->before, e->grad,  e->part[0], e->part[1] };
    plm_tape_free(e->tape);
    plm_loader_free(e->loader);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) plm__delete(e->ctx, memory[i]);
    plm__delete(e->ctx, e);
}

int plm_explain_layers(const plm_explain *e)
{
    if (!e) return 0;
    return e->net->layers;
}

int plm_explain_weights(const plm_explain *e)
{
    if (!e) return 0;
    return e->L;
}

const plm_layer_facts *plm_explain_layer(const plm_explain *e, int i)
{
    if (!e) return NULL;
    return i >= 0 && i < e->net->layers ? &e->layer[i] : NULL;
}

const plm_node_bound *plm_explain_node(const plm_explain *e, int i)
{
    if (!e) return NULL;
    return i >= 0 && i < e->net->nodes ? &e->node[i] : NULL;
}

const plm_node_bound *plm_explain_output(const plm_explain *e)
{
    return e ? &e->node[e->net->output] : NULL;
}

/* entries.c: the parameters of a graph under an optimiser: their layers, their matrices, memory for their state. */
#include "optim/optim.h"

#include <string.h>

void plm__entry_square(plm__entry *e)
{
    const plm_param *p = e->view.param;
    plm__tap_squares(p->grad->data, e->view.n, &e->taps, e->view.matrices, e->optimizer->part, e->square);
    e->total = 0;
    for (int m = 0; m < e->view.matrices; m++) e->total += e->square[m];
    e->square_version = p->grad_version;
}

/* The layer of a weight or bias; of a norm's parameter the last one before it, along first inputs. */
static const plm_layer *layer_of(const plm_graph *g, int node)
{
    while (!plm__node_weight(&g->node[node])) {
        if (g->node[node].m.inputs == 0) return NULL;
        node = g->node[node].in[0];
    }
    for (int i = 0; i < g->layers; i++)
        if (g->layer[i].weight == g->node[node].m.param[0]) return &g->layer[i];
    return NULL;
}

static bool get_block(plm_optimizer *o, int64_t floats, plm__block **block)
{
    if (!(*block = plm__pool_get(o->ctx, (size_t)floats * sizeof(float)))) return false;
    memset((*block)->data, 0, (size_t)floats * sizeof(float));
    return true;
}

static bool make_entry(plm_optimizer *o, plm_param *p, int node)
{
    plm__entry *e    = &o->entry[o->entries++];
    e->optimizer     = o;
    e->view.param    = p;
    e->view.layer    = layer_of(o->graph, node);
    e->view.n        = plm__layout_floats(&p->home);
    e->view.matrices = 1;
    if (plm__entry_weighs(e))
        e->view.matrices = e->view.layer->groups * e->view.layer->kernel_h * e->view.layer->kernel_w;
    e->taps     = plm__taps_of(&e->view);
    e->view.map = &e->taps;
    for (int s = 0; s < o->slots; s++) {
        if (!get_block(o, e->view.n, &e->slot[s])) return false;
        e->view.slot[s] = e->slot[s]->data;
    }
    if (!o->kind->directions) return true;
    if (!get_block(o, e->view.n, &e->direction)) return false;
    e->view.direction = e->direction->data;
    return true;
}

static bool make_numbers(plm_optimizer *o)
{
    int matrices = 0, parts = 1;
    for (int i = 0; i < o->entries; i++) {
        const plm_param_view *v    = &o->entry[i].view;
        const int             need = v->matrices * plm__parts(v->n);
        matrices += v->matrices;
        if (need > parts) parts = need;
    }
    o->square       = plm__new(o->ctx, (size_t)(matrices + 1) * sizeof(double), "optimiser");
    o->coefficient  = plm__new(o->ctx, (size_t)(matrices + 1) * sizeof(double), "optimiser");
    o->part         = plm__new(o->ctx, (size_t)parts * sizeof(double), "optimiser");
    o->layer_update = plm__new(o->ctx, (size_t)(o->graph->layers + 1) * sizeof(double), "optimiser");
    if (!o->square || !o->coefficient || !o->part || !o->layer_update) return false;
    for (int i = 0, at = 0; i < o->entries; at += o->entry[i++].view.matrices) {
        plm__entry *e       = &o->entry[i];
        e->square           = o->square + at;
        e->view.square      = e->square;
        e->view.coefficient = o->coefficient + at;
    }
    return true;
}

bool plm__entries_new(plm_optimizer *o)
{
    const plm_graph *g = o->graph;
    o->entry           = plm__new(o->ctx, (size_t)(g->params + 1) * sizeof *o->entry, "optimiser");
    o->active          = plm__new(o->ctx, (size_t)(g->params + 1) * sizeof(plm__entry *), "optimiser");
    if (!o->entry || !o->active) return false;
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; k < g->node[i].m.params; k++) {
            plm_param *p = g->node[i].m.param[k];
            if (p->role != PLM_ROLE_STATISTIC && !make_entry(o, p, i)) return false;
        }
    return make_numbers(o);
}

void plm__entries_free(plm_optimizer *o)
{
    for (int i = 0; i < o->entries; i++) {
        plm__entry *e = &o->entry[i];
        if (e->view.param->ready_user == e) e->view.param->ready = NULL;
        for (int s = 0; s < PLM_MAX_SLOTS; s++) plm__pool_drop(o->ctx, e->slot[s]);
        plm__pool_drop(o->ctx, e->direction);
    }
    plm__delete(o->ctx, o->entry);
    plm__delete(o->ctx, o->active);
    plm__delete(o->ctx, o->square);
    plm__delete(o->ctx, o->coefficient);
    plm__delete(o->ctx, o->part);
    plm__delete(o->ctx, o->layer_update);
}

/* query.c: what can be asked of a graph without running it. */
#include <math.h>
#include <string.h>

#include "nn/nn.h"

plm_shape plm_node_shape(plm_node node)
{
    return node.graph && node.id >= 0 && node.id < node.graph->nodes ? node.graph->node[node.id].m.shape
                                                                     : plm_shape_from(0, NULL);
}

int plm_graph_node_count(const plm_graph *g)
{
    if (!g) return 0;
    return g->nodes;
}

static int64_t node_macs(const plm_graph *g, const plm__node *n)
{
    plm_shape x[PLM_MAX_INPUTS];
    return n->m.kind->macs ? n->m.kind->macs(&n->m, plm__node_inputs(g, n, x)) : 0;
}

plm_lipschitz plm__lipschitz_of_layer(const plm_module *m, int64_t places)
{
    plm_lipschitz l       = plm__lipschitz(1, "linear: what its weight can do, sum over taps of ||W||_op");
    double        squares = 0;
    if (m->params < 2) return l;
    const plm_param *bias = m->param[1];
    for (int64_t i = 0; i < plm_shape_count(bias->shape); i++) {
        const double b = (double)((const float *)bias->weights->data)[i];
        squares += b * b;
    }
    l.at_zero = sqrt(squares * (double)places);
    return l;
}

static plm_lipschitz node_lipschitz(const plm_graph *g, const plm__node *n)
{
    plm_shape x[PLM_MAX_INPUTS];
    if (n->m.kind->lipschitz) {
        const plm_lipschitz l = n->m.kind->lipschitz(&n->m, plm__node_inputs(g, n, x));
        if (l.known) return l;
        return (plm_lipschitz){ .factor = NAN, .at_zero = NAN, .why = l.why };
    }
    return (plm_lipschitz){ .factor = NAN, .at_zero = NAN, .why = "unknown: the module does not say" };
}

bool plm_graph_node_info(const plm_graph *g, int i, plm_node_info *info)
{
    if (!g || !info) return false;
    if (i < 0 || i >= g->nodes)
        return plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_node_info: node %d of %d", i, g->nodes);
    const plm__node *n = &g->node[i];
    *info              = (plm_node_info){ .name        = n->m.name,
                                          .kind        = n->m.kind->name,
                                          .input_count = n->m.inputs,
                                          .consumers   = n->consumers,
                                          .depth       = n->depth,
                                          .shape       = n->m.shape,
                                          .params      = n->m.param,
                                          .param_count = n->m.params,
                                          .macs        = node_macs(g, n),
                                          .lipschitz   = node_lipschitz(g, n) };
    memcpy(info->inputs, n->in, sizeof n->in);
    return true;
}

int plm_graph_layer_count(const plm_graph *g)
{
    if (!g) return 0;
    return g->layers;
}

const plm_layer *plm_graph_layer(const plm_graph *g, int i)
{
    if (!g) return NULL;
    return i >= 0 && i < g->layers ? &g->layer[i] : NULL;
}

int64_t plm_layer_fan_in(const plm_layer *l)
{
    if (!l) return 0;
    return l->d_in * l->kernel_h * l->kernel_w / l->groups;
}

int64_t plm_layer_fan_out(const plm_layer *l)
{
    if (!l) return 0;
    return l->d_out * l->kernel_h * l->kernel_w;
}

int plm_graph_param_count(const plm_graph *g)
{
    if (!g) return 0;
    return g->params;
}

plm_param *plm_graph_param(const plm_graph *g, int i)
{
    if (!g) return NULL;
    return i >= 0 && i < g->params ? g->param[i] : NULL;
}

plm_param *plm_graph_param_named(const plm_graph *g, const char *name)
{
    if (!g || !name) return NULL;
    for (int i = 0; i < g->params; i++)
        if (strcmp(g->param[i]->name, name) == 0) return g->param[i];
    return NULL;
}

/* Sums that stop at the largest number. */
static void add_to(int64_t *sum, int64_t more)
{
    if (__builtin_add_overflow(*sum, more, sum)) *sum = INT64_MAX;
}

plm_graph_info plm_graph_summary(const plm_graph *g)
{
    if (!g) return (plm_graph_info){ 0 };
    plm_graph_info info = { .layers = g->layers };
    for (int i = 0; i < g->nodes; i++) {
        const plm__node *n = &g->node[i];
        add_to(&info.macs, node_macs(g, n));
        add_to(&info.activation_floats, plm_shape_count(n->m.shape));
        if (n->depth > info.depth) info.depth = n->depth;
    }
    for (int i = 0; i < g->params; i++)
        if (g->param[i]->role != PLM_ROLE_STATISTIC) add_to(&info.parameters, plm_shape_count(g->param[i]->shape));
    return info;
}

plm_shape plm_graph_input_shape(const plm_graph *g)
{
    if (!g) return plm_shape_from(0, NULL);
    return g->input >= 0 ? g->node[g->input].m.shape : plm_shape_from(0, NULL);
}

plm_shape plm_graph_output_shape(const plm_graph *g)
{
    if (!g) return plm_shape_from(0, NULL);
    return g->output >= 0 ? g->node[g->output].m.shape : plm_shape_from(0, NULL);
}

/* graph.c: building a module graph.
 *
 * Nodes are added in an order in which each comes after its inputs, so the array is a topological order and every walk over
 * the graph is a loop. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const plm_module_kind *const plm__kinds[] = {
    &plm__kind_input,      &plm__kind_linear, &plm__kind_conv2d,  &plm__kind_batch_norm, &plm__kind_max_pool2d,
    &plm__kind_avg_pool2d, &plm__kind_relu,   &plm__kind_tanh,    &plm__kind_sigmoid,    &plm__kind_flatten,
    &plm__kind_add,        &plm__kind_concat, &plm__kind_slice,   &plm__kind_embedding,  &plm__kind_gelu,
    &plm__kind_leaky_relu, &plm__kind_clamp,  &plm__kind_dropout, &plm__kind_layer_norm, NULL
};

plm_graph *plm_graph_new(plm_ctx *ctx)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    plm_graph *g = plm__new(ctx, sizeof *g, "graph");
    if (!g) return NULL;
    g->ctx   = ctx;
    g->input = g->output = -1;
    return g;
}

static void free_classes(plm_graph *g)
{
    for (int i = 0; i < g->class_count; i++) plm__delete(g->ctx, g->classes[i]);
    plm__delete(g->ctx, g->classes);
    g->classes     = NULL;
    g->class_count = 0;
}

void plm_graph_free(plm_graph *g)
{
    if (!g) return;
    plm__graph_drop_plans(g);
    for (int i = 0; i < g->params; i++) plm_param_free(g->param[i]);
    for (int i = 0; i < g->nodes; i++) {
        const plm_module *m = &g->node[i].m;
        plm__tapes_forget_node(g->ctx, m->name);
        plm__delete(g->ctx, (char *)m->name);
        plm__delete(g->ctx, m->desc);
    }
    free_classes(g);
    plm__delete(g->ctx, g->node);
    plm__delete(g->ctx, g->param);
    plm__delete(g->ctx, g->layer);
    plm__delete(g->ctx, g->output_name);
    plm__delete(g->ctx, g);
}

plm_ctx *plm_graph_ctx(const plm_graph *g)
{
    if (!g) return NULL;
    return g->ctx;
}

void plm_graph_scope(plm_graph *g, const char *fmt, ...)
{
    if (!g || !fmt || g->ctx->status != PLM_OK) return;
    const size_t used = strlen(g->scope), room = sizeof g->scope - used;
    va_list      args;
    va_start(args, fmt);
    const int length = vsnprintf(g->scope + used, room, fmt, args);
    va_end(args);
    if (length > 0 && memchr(g->scope + used, '/', (size_t)length < room ? (size_t)length : room - 1)) {
        plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_scope: %s: names do not contain \"/\"", g->scope + used);
        g->scope[used] = '\0';
        return;
    }
    if (length >= 0 && (size_t)length + 1 < room) {
        g->scope[used + (size_t)length]     = '/'; /* ends a scope; written as "." in names */
        g->scope[used + (size_t)length + 1] = '\0';
        return;
    }
    g->scope[used] = '\0';
    plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_scope: names of nested scopes are longer than %zu characters",
              sizeof g->scope);
}

void plm_graph_scope_end(plm_graph *g)
{
    if (!g || g->ctx->status != PLM_OK) return;
    size_t used = strlen(g->scope);
    if (used == 0) {
        plm__fail(g->ctx, PLM_ERR_STATE, "plm_graph_scope_end: no scope is open");
        return;
    }
    for (used--; used > 0 && g->scope[used - 1] != '/';) used--;
    g->scope[used] = '\0';
}

static bool resolve_input(plm_module *m, const plm_shape *x)
{
    (void)x;
    if (m->graph->input >= 0) return plm_module_fail(m, PLM_ERR_STATE, "the graph has an input already");
    m->graph->input = m->graph->nodes;
    return true;
}

static plm_lipschitz lipschitz_input(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return plm__lipschitz(1, "the sample itself");
}

const plm_module_kind plm__kind_input = { .name = "input", .resolve = resolve_input, .lipschitz = lipschitz_input };

plm_node plm_nn_input(plm_graph *g, plm_shape shape)
{
    const plm_node none = { .graph = g, .id = -1 };
    if (!g || g->ctx->status != PLM_OK) return none;
    if (shape.rank < 1 || shape.rank >= PLM_MAX_RANK) {
        plm__fail(g->ctx, PLM_ERR_SHAPE, "input: rank %d, expected 1 to %d (without the batch axis)", shape.rank,
                  PLM_MAX_RANK - 1);
        return none;
    }
    if (!plm__shape_check(g->ctx, plm__shape_batched(1, shape), "input")) return none;
    const plm_node node = plm__graph_add(g, &plm__kind_input, NULL, 0, NULL);
    if (node.id >= 0) g->node[node.id].m.shape = shape;
    return node;
}

void plm_graph_output(plm_node node, const char *name)
{
    plm_graph *g = node.graph;
    if (!g || g->ctx->status != PLM_OK) return;
    if (node.id < 0 || node.id >= g->nodes) plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_output: the node is empty");
    else if (g->frozen || g->output >= 0)
        plm__fail(g->ctx, PLM_ERR_STATE, "plm_graph_output: the graph has an output already (%s)", g->output_name);
    else if ((g->output_name = plm__strdup(g->ctx, name ? name : "output"))) g->output = node.id;
}

void plm_node_keep(plm_node node)
{
    if (!node.graph || node.id < 0 || node.id >= node.graph->nodes || node.graph->ctx->status != PLM_OK) return;
    if (node.graph->frozen)
        plm__fail(node.graph->ctx, PLM_ERR_STATE, "plm_node_keep: %s: the graph is in use already",
                  node.graph->node[node.id].m.name);
    else node.graph->node[node.id].keep = true;
}

bool plm__graph_freeze(plm_graph *g)
{
    if (g->frozen) return true;
    if (g->output < 0) return plm__fail(g->ctx, PLM_ERR_STATE, "the graph has no output: call plm_graph_output");
    for (int i = 0; i < g->nodes; i++) {
        const plm__node          *n      = &g->node[i];
        const plm__module_engine *engine = n->m.kind->engine;
        plm_shape                 x[PLM_MAX_INPUTS];
        if (engine && engine->home && !engine->home(&n->m, plm__node_inputs(g, n, x), n->in[0] == g->input))
            return false;
    }
    g->frozen = true;
    return true;
}

void plm_graph_set_normalization(plm_graph *g, const plm_normalization *n)
{
    if (!g || g->ctx->status != PLM_OK) return;
    const plm_normalization none = { 0 };
    g->normalization             = n ? *n : none;
    if (g->normalization.scale == 0) g->normalization.scale = 1;
    bool good = g->normalization.channels >= 0 && g->normalization.channels <= PLM_MAX_CHANNELS &&
                isfinite(g->normalization.scale);
    for (int c = 0; good && c < g->normalization.channels; c++)
        good = isfinite(g->normalization.mean[c]) && g->normalization.std[c] > 0 && isfinite(g->normalization.std[c]);
    if (good) return;
    plm__fail(g->ctx, PLM_ERR_ARGUMENT,
              "plm_graph_set_normalization: %d channels (at most %d), or a number that is not finite or a std that is "
              "not positive",
              g->normalization.channels, PLM_MAX_CHANNELS);
    g->normalization = none;
}

const plm_normalization *plm_graph_normalization(const plm_graph *g)
{
    if (!g) return NULL;
    return &g->normalization;
}

void plm_graph_set_classes(plm_graph *g, const char *const *names, int count)
{
    if (!g || g->ctx->status != PLM_OK) return;
    free_classes(g);
    for (int i = 0; i < count; i++)
        if (!names || !names[i]) {
            plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_set_classes: name %d of %d is NULL", i, count);
            return;
        }
    if (count <= 0 || !(g->classes = plm__new(g->ctx, (size_t)count * sizeof *g->classes, "class names"))) return;
    for (g->class_count = 0; g->class_count < count; g->class_count++)
        if (!(g->classes[g->class_count] = plm__strdup(g->ctx, names[g->class_count]))) return;
}

const char *plm_graph_class(const plm_graph *g, int i)
{
    if (!g) return NULL;
    return i >= 0 && i < g->class_count ? g->classes[i] : NULL;
}

int plm_graph_class_count(const plm_graph *g)
{
    if (!g) return 0;
    return g->class_count;
}

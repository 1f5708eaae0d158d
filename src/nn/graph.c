/* graph.c: building a module graph.
 *
 * Nodes are added in an order in which each comes after its inputs, so the array is a topological order and every walk over
 * the graph is a loop. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NODES = 1 << 14 }; /* building compares each name with all before */

const plm__kind *const plm__kinds[] = {
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
        plm__tapes_forget_node(g->ctx, g->node[i].name);
        plm__delete(g->ctx, g->node[i].name);
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

/* "layer1.0.conv1" from the open scopes and the desc's name, or the kind and its number. */
static char *full_name(plm_graph *g, const plm__kind *kind, const char *name)
{
    char scope[sizeof g->scope];
    strcpy(scope, g->scope);
    for (char *c = scope; *c; c++)
        if (*c == '/') *c = '.';
    if (name) return plm__strdupf(g->ctx, "%s%s", scope, name);
    int number = 0;
    for (int i = 0; i < g->nodes; i++) number += g->node[i].kind == kind;
    return plm__strdupf(g->ctx, "%s%s%d", scope, kind->name, number);
}

bool plm__node_fail(plm_graph *g, const plm__node *n, plm_status status, const char *fmt, ...)
{
    char    what[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return plm__fail(g->ctx, status, "%s at %s: %s", n->kind->name, n->name, what);
}

plm_param *plm__node_param(plm_graph *g, plm__node *n, const char *suffix, plm_shape shape, plm_role role, float value)
{
    char name[512];
    if (snprintf(name, sizeof name, "%s.%s", n->name, suffix) >= (int)sizeof name) {
        plm__node_fail(g, n, PLM_ERR_ARGUMENT, "its name is longer than 500 characters");
        return NULL;
    }
    if (!plm__grow(g->ctx, &g->param, &g->param_capacity, g->params + 1, sizeof *g->param, "graph")) return NULL;
    plm_param *p = plm_param_new(g->ctx, shape, &(plm_param_desc){ .name = name, .role = role });
    if (!p) return NULL;
    const int64_t count = plm_shape_count(shape);
    for (int64_t i = 0; i < count; i++) ((float *)p->weights->data)[i] = value;
    g->param[g->params++] = n->param[n->params++] = p;
    return p;
}

static bool add_layer(plm_graph *g, const plm__node *n)
{
    if (!plm__grow(g->ctx, &g->layer, &g->layer_capacity, g->layers + 1, sizeof *g->layer, "graph")) return false;
    const plm_shape w     = n->param[0]->shape;
    const bool      table = n->kind->table;
    const plm_layer l     = { .name     = n->name,
                              .kind     = n->kind->name,
                              .d_in     = w.dim[table ? 0 : 1] * n->groups,
                              .d_out    = w.dim[table ? 1 : 0],
                              .kernel_h = w.rank == 4 ? (int)w.dim[2] : 1,
                              .kernel_w = w.rank == 4 ? (int)w.dim[3] : 1,
                              .groups   = n->groups,
                              .index    = g->layers,
                              .depth    = n->depth,
                              .weight   = n->param[0],
                              .bias     = n->params > 1 ? n->param[1] : NULL };
    g->layer[g->layers++] = l;
    return true;
}

/* What can be wrong with a new node before its kind looks at it. */
static bool check_new(plm_graph *g, const plm__node *n, const plm_node *in)
{
    if (g->frozen)
        return plm__node_fail(g, n, PLM_ERR_STATE,
                              "the graph is in use (applied, or given to an optimiser) and cannot grow");
    if (n->inputs > PLM_MAX_INPUTS)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "%d inputs, expected 1 to %d", n->inputs, PLM_MAX_INPUTS);
    for (int i = 0; in && i < n->inputs; i++) {
        if (!in[i].graph || in[i].id < 0) return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "input %d is an empty node", i);
        if (in[i].id >= in[i].graph->nodes)
            return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "input %d is no node of a graph", i);
        if (in[i].graph != g)
            return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "inputs 0 and %d are of different graphs", i);
    }
    if (g->nodes >= MAX_NODES) return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "a graph has at most %d nodes", MAX_NODES);
    for (int i = 0; i < g->nodes; i++)
        if (strcmp(g->node[i].name, n->name) == 0)
            return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "the name is taken by a %s", g->node[i].kind->name);
    return true;
}

plm_node plm__graph_add_several(plm_graph *g, const plm__kind *kind, const plm_node *in, int inputs, const void *desc)
{
    const plm_node none = { .graph = g, .id = -1 };
    if (!g || g->ctx->status != PLM_OK) return none;
    if (!plm__grow(g->ctx, &g->node, &g->node_capacity, g->nodes + 1, sizeof *g->node, "graph")) return none;

    plm__node  *n    = &g->node[g->nodes];
    const char *name = NULL;
    *n               = (plm__node){ .kind = kind, .inputs = inputs, .groups = 1 };
    if (desc && kind->desc_bytes) {
        memcpy(&name, desc, sizeof name); /* every desc begins with its name */
        memcpy(&n->desc, desc, kind->desc_bytes);
        memset(&n->desc, 0, sizeof name);
    }
    if (!(n->name = full_name(g, kind, name))) return none;

    plm_shape x[PLM_MAX_INPUTS] = { { 0 } };
    const int params_before     = g->params;
    bool      ok                = check_new(g, n, in);
    for (int i = 0; i < inputs && ok; i++) {
        n->in[i] = in[i].id;
        x[i]     = g->node[in[i].id].shape;
        if (g->node[in[i].id].depth > n->depth) n->depth = g->node[in[i].id].depth;
    }
    n->depth += kind->weight_layer;
    ok = ok && kind->resolve(g, n, x) && plm__shape_check(g->ctx, plm__shape_batched(1, n->shape), n->name);
    ok = ok && (!kind->weight_layer || add_layer(g, n));
    if (!ok) {
        while (g->params > params_before) plm_param_free(g->param[--g->params]);
        plm__delete(g->ctx, n->name);
        return none;
    }
    for (int i = 0; i < inputs; i++) g->node[in[i].id].consumers++;
    return (plm_node){ .graph = g, .id = g->nodes++ };
}

plm_node plm__graph_add(plm_graph *g, const plm__kind *kind, const plm_node *in, const void *desc)
{
    return plm__graph_add_several(g, kind, in, kind->inputs, desc);
}

static bool resolve_input(plm_graph *g, plm__node *n, const plm_shape *x)
{
    (void)x;
    if (g->input >= 0) return plm__node_fail(g, n, PLM_ERR_STATE, "the graph has an input already");
    g->input = g->nodes;
    return true;
}

static plm_lipschitz lipschitz_input(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return plm__lipschitz(1, "the sample itself");
}

const plm__kind plm__kind_input = { .name = "input", .resolve = resolve_input, .lipschitz = lipschitz_input };

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
    const plm_node node = plm__graph_add(g, &plm__kind_input, NULL, NULL);
    if (node.id >= 0) g->node[node.id].shape = shape;
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
                  node.graph->node[node.id].name);
    else node.graph->node[node.id].keep = true;
}

bool plm__graph_freeze(plm_graph *g)
{
    if (g->frozen) return true;
    if (g->output < 0) return plm__fail(g->ctx, PLM_ERR_STATE, "the graph has no output: call plm_graph_output");
    for (int i = 0; i < g->nodes; i++) {
        plm__node *n = &g->node[i];
        if (n->kind->home && !n->kind->home(g, n, g->node[n->in[0]].shape)) return false;
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

/* module.c: kinds of module, and adding one to a graph.
 *
 * A kind is anybody's: what it says of itself is checked before it is used, and what it makes of a module before the graph has
 * it.  A module that is refused leaves nothing behind. */
#include "nn/safetensors.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NODES = 1 << 14, MAX_NAME = 40 }; /* building compares each name with all before */

bool plm_module_fail(const plm_module *m, plm_status status, const char *fmt, ...)
{
    char    what[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return plm__fail(m->graph->ctx, status, "%s at %s: %s", m->kind->name, m->name, what);
}

/* ------------------------------------------------------------------ kinds */

/* Names stand in sentences and in files. */
static bool good_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const size_t      length    = strlen(name);
    return length > 0 && length <= MAX_NAME && strspn(name, letters) == length;
}

static bool check_fields(plm_ctx *ctx, const plm_module_kind *k)
{
    static const size_t      size[]  = { sizeof(int), sizeof(int64_t), sizeof(double), sizeof(bool) };
    static const char *const taken[] = { "kind", "name", "inputs" };
    int                      count   = 0;
    for (const plm_field *f = k->fields; f && f->name; f++, count++) {
        bool free_name = good_name(f->name);
        for (int i = 0; i < 3; i++) free_name = free_name && strcmp(f->name, taken[i]) != 0;
        if (!free_name)
            return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: a field cannot have the name \"%s\"", k->name, f->name);
        if (f->type < PLM_FIELD_INT || f->type > PLM_FIELD_BOOL || f->offset < sizeof(char *) ||
            f->offset + size[f->type] > k->desc_bytes)
            return plm__fail(ctx, PLM_ERR_ARGUMENT,
                             "%s: the field %s is not inside a desc of %zu bytes, behind its name", k->name, f->name,
                             k->desc_bytes);
    }
    return (k->late >= 0 && k->late <= count) ||
           plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: %d of its %d fields came later", k->name, k->late, count);
}

bool plm__module_kind_check(plm_ctx *ctx, const plm_module_kind *k)
{
    if (!k) return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_nn_module: the kind is NULL");
    for (const plm_module_kind *const *own = plm__kinds; *own; own++)
        if (k == *own) return true;
    if (!k->name || !k->resolve || !k->apply)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_nn_module: the kind has no %s",
                         !k->name      ? "name"
                         : !k->resolve ? "resolve"
                                       : "apply");
    if (!good_name(k->name))
        return plm__fail(ctx, PLM_ERR_ARGUMENT,
                         "plm_nn_module: a kind's name is 1 to %d letters, digits and _, not \"%s\"", MAX_NAME,
                         k->name);
    for (const plm_module_kind *const *own = plm__kinds; *own; own++)
        if (strcmp((*own)->name, k->name) == 0)
            return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_nn_module: the library has a kind %s already", k->name);
    if (k->inputs != PLM_SEVERAL && (k->inputs < 1 || k->inputs > PLM_MAX_INPUTS))
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: %d inputs, expected 1 to %d or PLM_SEVERAL", k->name, k->inputs,
                         PLM_MAX_INPUTS);
    if (k->engine) return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: .engine is the library's, expected NULL", k->name);
    if (k->desc_bytes > 0 && k->desc_bytes < sizeof(char *))
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: a desc of %zu bytes, expected none or one that begins with a name",
                         k->name, k->desc_bytes);
    return check_fields(ctx, k);
}

/* ------------------------------------------------------------------ parameters */

/* `resolve` has the module at the start of its node. */
static plm__node *node_of(plm_module *m)
{
    return (plm__node *)m;
}

/* The descriptions in files are anybody's, too: no parameter takes memory before the file is seen to hold its tensor. */
static bool is_in_file(const plm__safetensors *f, const char *name, plm_shape shape)
{
    char              text[PLM__SHAPE_TEXT];
    const plm__entry *e = plm__safetensors_find(f, name);
    if (e && plm_shape_equal(e->shape, shape) && e->end > e->begin) return true;
    return plm__fail(f->ctx, PLM_ERR_FORMAT, "its network needs a tensor %s %s, which is not in the file", name,
                     plm__shape_text(shape, text));
}

static bool check_weight(const plm_module *m, plm_shape shape)
{
    char text[PLM__SHAPE_TEXT];
    if (m->params > 0)
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "a weight is a module's first parameter, and the only weight");
    if (shape.rank != 2 && (shape.rank != 4 || m->table))
        return plm_module_fail(m, PLM_ERR_SHAPE, "its weight is %s, expected two axes%s", plm__shape_text(shape, text),
                               m->table ? "" : " or, with taps, four");
    if (m->groups < 1 || (m->table && m->groups > 1) || shape.dim[0] % m->groups != 0)
        return plm_module_fail(m, PLM_ERR_SHAPE, "its weight %s does not divide into %d groups",
                               plm__shape_text(shape, text), m->groups);
    return true;
}

plm_param *plm_module_param(plm_module *m, const char *suffix, plm_shape shape, plm_role role, float value)
{
    plm_graph *g = m->graph;
    char       name[512];
    if (g->ctx->status != PLM_OK) return NULL;
    if (!suffix || snprintf(name, sizeof name, "%s.%s", m->name, suffix) >= (int)sizeof name) {
        plm_module_fail(m, PLM_ERR_ARGUMENT,
                        suffix ? "its name is longer than 500 characters" : "plm_module_param: the suffix is NULL");
        return NULL;
    }
    if (m->params == PLM_MAX_MODULE_PARAMS) {
        plm_module_fail(m, PLM_ERR_ARGUMENT, "more than %d parameters", PLM_MAX_MODULE_PARAMS);
        return NULL;
    }
    if ((g->file && !is_in_file(g->file, name, shape)) || (role == PLM_ROLE_WEIGHT && !check_weight(m, shape)) ||
        !plm__grow(g->ctx, &g->param, &g->param_capacity, g->params + 1, sizeof *g->param, "graph"))
        return NULL;
    plm_param *p = plm_param_new(g->ctx, shape, &(plm_param_desc){ .name = name, .role = role });
    if (!p) return NULL;
    const int64_t count = plm_shape_count(shape);
    for (int64_t i = 0; i < count; i++) ((float *)p->weights->data)[i] = value;
    node_of(m)->value[m->params] = value;
    g->param[g->params++] = m->param[m->params++] = p;
    return p;
}

/* ------------------------------------------------------------------ adding a module */

/* "layer1.0.conv1" from the open scopes and the desc's name, or the kind and its number. */
static char *full_name(plm_graph *g, const plm_module_kind *kind, const char *name)
{
    char scope[sizeof g->scope];
    strcpy(scope, g->scope);
    for (char *c = scope; *c; c++)
        if (*c == '/') *c = '.';
    if (name) return plm__strdupf(g->ctx, "%s%s", scope, name);
    int number = 0;
    for (int i = 0; i < g->nodes; i++) number += g->node[i].m.kind == kind;
    return plm__strdupf(g->ctx, "%s%s%d", scope, kind->name, number);
}

/* What can be wrong with a new module before its kind looks at it. */
static bool check_new(const plm_graph *g, const plm_module *m, const plm_node *in)
{
    const int wanted = m->kind->inputs;
    if (g->frozen)
        return plm_module_fail(m, PLM_ERR_STATE,
                               "the graph is in use (applied, or given to an optimiser) and cannot grow");
    if (wanted == PLM_SEVERAL && (m->inputs < 1 || m->inputs > PLM_MAX_INPUTS))
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "%d inputs, expected 1 to %d", m->inputs, PLM_MAX_INPUTS);
    if (wanted != PLM_SEVERAL && m->inputs != wanted)
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "%d inputs, expected %d", m->inputs, wanted);
    for (int i = 0; i < m->inputs; i++) {
        if (!in[i].graph || in[i].id < 0) return plm_module_fail(m, PLM_ERR_ARGUMENT, "input %d is an empty node", i);
        if (in[i].id >= in[i].graph->nodes)
            return plm_module_fail(m, PLM_ERR_ARGUMENT, "input %d is no node of a graph", i);
        if (in[i].graph != g) return plm_module_fail(m, PLM_ERR_ARGUMENT, "inputs 0 and %d are of different graphs", i);
    }
    if (g->nodes >= MAX_NODES) return plm_module_fail(m, PLM_ERR_ARGUMENT, "a graph has at most %d nodes", MAX_NODES);
    if (!plm__text_is_utf8(m->name))
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "the name is no UTF-8 text, as names in files are");
    for (int i = 0; i < g->nodes; i++)
        if (strcmp(g->node[i].m.name, m->name) == 0)
            return plm_module_fail(m, PLM_ERR_ARGUMENT, "the name is taken by a %s", g->node[i].m.kind->name);
    return true;
}

/* The desc's copy, filled in and in bounds. */
static bool resolve(plm_module *m, const plm_shape *x)
{
    char who[600];
    snprintf(who, sizeof who, "%s at %s", m->kind->name, m->name);
    return plm_fields_resolve(m->graph->ctx, m->kind->fields, m->desc, who) && m->kind->resolve(m, x) &&
           plm__shape_check(m->graph->ctx, plm__shape_batched(1, m->shape), m->name);
}

static bool add_layer(plm_graph *g, const plm__node *n)
{
    const plm_module *m = &n->m;
    if (!plm__grow(g->ctx, &g->layer, &g->layer_capacity, g->layers + 1, sizeof *g->layer, "graph")) return false;
    const plm_shape w     = m->param[0]->shape;
    const plm_layer l     = { .name     = m->name,
                              .kind     = m->kind->name,
                              .d_in     = w.dim[m->table ? 0 : 1] * m->groups,
                              .d_out    = w.dim[m->table ? 1 : 0],
                              .kernel_h = w.rank == 4 ? (int)w.dim[2] : 1,
                              .kernel_w = w.rank == 4 ? (int)w.dim[3] : 1,
                              .groups   = m->groups,
                              .table    = m->table,
                              .index    = g->layers,
                              .depth    = n->depth,
                              .weight   = m->param[0],
                              .bias     = m->params > 1 && m->param[1]->role == PLM_ROLE_BIAS ? m->param[1] : NULL };
    g->layer[g->layers++] = l;
    return true;
}

/* Everything of a new node but its place in the graph. */
static bool make(plm_graph *g, plm__node *n, const plm_node *in, const void *desc)
{
    plm_module *m                 = &n->m;
    const char *name              = NULL;
    plm_shape   x[PLM_MAX_INPUTS] = { { 0 } };
    if (desc && m->kind->desc_bytes) memcpy(&name, desc, sizeof name); /* every desc begins with its name */
    if (!(m->name = full_name(g, m->kind, name)) || !check_new(g, m, in)) return false;
    if (m->kind->desc_bytes) {
        if (!(m->desc = plm__new(g->ctx, m->kind->desc_bytes, m->name))) return false;
        if (desc) memcpy(m->desc, desc, m->kind->desc_bytes);
        memset(m->desc, 0, sizeof name); /* the caller's pointer is not kept */
    }
    for (int i = 0; i < m->inputs; i++) {
        n->in[i] = in[i].id;
        x[i]     = g->node[in[i].id].m.shape;
        if (g->node[in[i].id].depth > n->depth) n->depth = g->node[in[i].id].depth;
    }
    g->adding     = true;
    const bool ok = resolve(m, x);
    g->adding     = false;
    if (!ok) return false;
    if (!plm__node_weight(n)) return true;
    n->depth++;
    return add_layer(g, n);
}

plm_node plm__graph_add(plm_graph *g, const plm_module_kind *kind, const plm_node *in, int inputs, const void *desc)
{
    const plm_node none = { .graph = g, .id = -1 };
    if (!g || g->ctx->status != PLM_OK) return none;
    if (g->adding) {
        plm__fail(g->ctx, PLM_ERR_STATE, "%s: a module's resolve cannot add modules", kind->name);
        return none;
    }
    if (!plm__grow(g->ctx, &g->node, &g->node_capacity, g->nodes + 1, sizeof *g->node, "graph")) return none;
    plm__node *n             = &g->node[g->nodes];
    const int  params_before = g->params;
    *n                       = (plm__node){ .m = { .graph = g, .kind = kind, .inputs = inputs, .groups = 1 } };
    if (!make(g, n, in, desc)) {
        while (g->params > params_before) plm_param_free(g->param[--g->params]);
        plm__delete(g->ctx, n->m.desc);
        plm__delete(g->ctx, (char *)n->m.name);
        return none;
    }
    for (int i = 0; i < inputs; i++) g->node[in[i].id].consumers++;
    return (plm_node){ .graph = g, .id = g->nodes++ };
}

plm_node plm_nn_module(const plm_node *x, int n, const plm_module_kind *kind, const void *desc)
{
    const plm_node none = { .graph = x && n > 0 ? x[0].graph : NULL,
                            .id    = -1 }; /* of no graph: there is no context to tell */
    if (!none.graph || none.graph->ctx->status != PLM_OK || !plm__module_kind_check(none.graph->ctx, kind)) return none;
    return plm__graph_add(none.graph, kind, x, n, desc);
}

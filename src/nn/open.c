/* open.c: a network from a file alone.
 *
 * The description is read as if an enemy had written it: every member is checked for type and range, nodes only refer
 * to earlier ones, and parameters are looked up in the file before memory is taken for them (module.c).  What remains is
 * checked by the functions that also build networks in code; a network that is returned is whole. */
#include "nn/safetensors.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool bad(plm_graph *g, const char *what)
{
    return plm__fail(g->ctx, PLM_ERR_FORMAT, "%s", what);
}

/* The node being read. */
static bool bad_node(plm_graph *g, const char *what)
{
    return plm__fail(g->ctx, PLM_ERR_FORMAT, "node %d of its network: %s", g->nodes, what);
}

/* A part of the description; NULL and no error: there is none. */
static cJSON *read_part(plm_graph *g, const plm__safetensors *f, const char *key)
{
    const char *text = plm__safetensors_metadata(f, key);
    cJSON      *json = text ? plm__json_parse(text, strlen(text)) : NULL;
    if (text && !json) plm__fail(g->ctx, PLM_ERR_FORMAT, "%s in its metadata is not JSON", key);
    return json;
}

/* A node that there is already; -1: something else. */
static int node_number(const plm_graph *g, const cJSON *item)
{
    int64_t number;
    return plm__json_integer(item, &number) && number < g->nodes ? (int)number : -1;
}

/* A whole number that a double holds exactly, negative only where a field has no bounds. */
static bool read_integer(const cJSON *item, const plm_field *field, int64_t *value)
{
    cJSON minus = { .type = cJSON_Number };
    if (plm__json_integer(item, value)) return true;
    if (field->bounds != PLM_BOUNDS_NONE || !cJSON_IsNumber(item)) return false;
    minus.valuedouble = -item->valuedouble;
    if (!plm__json_integer(&minus, value)) return false;
    *value = -*value;
    return true;
}

static bool read_field(const cJSON *item, const plm_field *field, void *desc)
{
    char   *at = (char *)desc + field->offset;
    int64_t integer;
    switch (field->type) {
    case PLM_FIELD_INT: /* sizes of windows and steps: twice one must be an int, too */
        if (!read_integer(item, field, &integer) || integer > INT_MAX / 4 || integer < -(INT_MAX / 4)) return false;
        *(int *)at = (int)integer;
        return true;
    case PLM_FIELD_INT64:
        return read_integer(item, field, (int64_t *)at);
    case PLM_FIELD_DOUBLE: /* a file has no defaults: its zero is a zero */
        if (!plm__json_number(item, (double *)at)) return false;
        if (*(double *)at == 0) *(double *)at = PLM_ZERO;
        return true;
    case PLM_FIELD_BOOL:
        *(bool *)at = cJSON_IsTrue(item);
        return cJSON_IsBool(item);
    }
    return false;
}

static bool read_fields(plm_graph *g, const plm_module_kind *kind, const cJSON *json, void *desc)
{
    char what[80];
    int  count = 0, i = 0;
    while (kind->fields && kind->fields[count].name) count++;
    for (const plm_field *f = kind->fields; i < count; f++, i++) {
        if (i >= count - kind->late && !cJSON_GetObjectItemCaseSensitive(json, f->name)) continue;
        if (read_field(plm__json_member(json, f->name), f, desc)) continue;
        snprintf(what, sizeof what, "its \"%s\" is missing or impossible", f->name);
        return bad_node(g, what);
    }
    return true;
}

/* Modules without a desc are named by scope, kind and number: the scope that makes them `name`. */
static bool set_scope(plm_graph *g, const plm_module_kind *kind, const char *name)
{
    char suffix[64];
    int  number = 0;
    for (int i = 0; i < g->nodes; i++) number += g->node[i].m.kind == kind;
    snprintf(suffix, sizeof suffix, "%s%d", kind->name, number);
    const size_t length = strlen(name), end = strlen(suffix);
    if (length < end || length - end >= sizeof g->scope || strcmp(name + length - end, suffix) != 0 ||
        memchr(name, '/', length))
        return bad_node(g, "its name is not one that its kind can have");
    memcpy(g->scope, name, length - end);
    g->scope[length - end] = '\0';
    return true;
}

static const plm_module_kind *find_kind(const plm_module_kind *const *kinds, const char *name)
{
    for (; kinds && *kinds; kinds++)
        if (strcmp((*kinds)->name, name) == 0) return *kinds;
    return NULL;
}

/* The desc in memory of its own; NULL after failing. */
static void *read_desc(plm_graph *g, const plm_module_kind *kind, const cJSON *json, const char *name)
{
    void *desc = plm__new(g->ctx, kind->desc_bytes + 1, "a model file");
    if (!desc) return NULL;
    if (kind->desc_bytes) memcpy(desc, &name, sizeof name); /* every desc begins with its name */
    if (read_fields(g, kind, json, desc) && (kind->desc_bytes || set_scope(g, kind, name))) return desc;
    plm__delete(g->ctx, desc);
    return NULL;
}

/* {"kind": "linear", "name": "initial", "inputs": [0], "out": 256, "bias": false} */
static bool read_node(plm_graph *g, const plm_open_desc *d, const cJSON *json, plm_shape input)
{
    const char  *kind_name          = cJSON_GetStringValue(plm__json_member(json, "kind"));
    const char  *name               = cJSON_GetStringValue(plm__json_member(json, "name"));
    const cJSON *inputs             = plm__json_member(json, "inputs"), *item;
    plm_node     in[PLM_MAX_INPUTS] = { { 0 } }, added;
    int          count              = 0;
    if (!kind_name) return bad_node(g, "its kind is missing");
    const plm_module_kind *kind = find_kind(plm__kinds, kind_name);
    if (!kind) kind = find_kind(d->kinds, kind_name);
    if (!kind)
        return plm__fail(g->ctx, PLM_ERR_FORMAT, "node %d of its network: its kind \"%.40s\" is not known here",
                         g->nodes, kind_name);
    if (!name || !cJSON_IsArray(inputs)) return bad_node(g, "its name or inputs are missing");
    const bool several = kind->inputs == PLM_SEVERAL;
    cJSON_ArrayForEach(item, inputs)
    {
        const int number = node_number(g, item);
        if (count == (several ? PLM_MAX_INPUTS : kind->inputs) || number < 0)
            return bad_node(g, "its inputs are too many or not earlier nodes");
        in[count++] = (plm_node){ g, number };
    }
    if (count < (several ? 1 : kind->inputs)) return bad_node(g, "its inputs are too few");
    void *desc = read_desc(g, kind, json, name);
    if (!desc) return false;
    added = kind == &plm__kind_input ? plm_nn_input(g, input) : plm__graph_add(g, kind, in, count, desc);
    plm__delete(g->ctx, desc);
    g->scope[0] = '\0';
    return added.id >= 0;
}

static bool read_input(plm_graph *g, const cJSON *json, plm_shape *shape)
{
    const cJSON *item;
    *shape = (plm_shape){ 0 };
    if (!cJSON_IsArray(json)) return bad(g, "its network has no \"input\" shape");
    cJSON_ArrayForEach(item, json)
    {
        if (shape->rank == PLM_MAX_RANK || !plm__json_integer(item, &shape->dim[shape->rank++]))
            return bad(g, "its network has an impossible \"input\" shape");
    }
    return true;
}

static bool read_graph(plm_graph *g, const plm_open_desc *d, const cJSON *json)
{
    const cJSON *nodes = plm__json_member(json, "nodes"), *kept = plm__json_member(json, "kept"), *item;
    const cJSON *output = plm__json_member(json, "output");
    const char  *name   = cJSON_GetStringValue(plm__json_member(output, "name"));
    plm_shape    input;
    int64_t      version;
    if (!plm__json_integer(plm__json_member(json, "version"), &version) || version != 1)
        return bad(g, "its network is not described in version 1, the only one known here");
    if (!cJSON_IsArray(nodes) || !cJSON_IsArray(kept) || !name)
        return bad(g, "its network lacks \"nodes\", \"kept\" or \"output\"");
    if (!read_input(g, plm__json_member(json, "input"), &input)) return false;
    cJSON_ArrayForEach(item, nodes)
    {
        if (!read_node(g, d, item, input)) return false;
    }
    const int last = node_number(g, plm__json_member(output, "node"));
    if (g->input < 0 || last < 0) return bad(g, "its network has no input or no output");
    plm_graph_output((plm_node){ g, last }, name);
    cJSON_ArrayForEach(item, kept)
    {
        const plm_node node = { g, node_number(g, item) };
        if (node.id < 0) return bad(g, "its network keeps a node that is not there");
        plm_node_keep(node);
    }
    return g->ctx->status == PLM_OK;
}

static bool read_numbers(const cJSON *json, double *x, int n)
{
    const cJSON *item;
    int          i = 0;
    if (!cJSON_IsArray(json)) return false;
    cJSON_ArrayForEach(item, json)
    {
        if (i == n || !plm__json_number(item, &x[i++])) return false;
    }
    return i == n;
}

static bool read_normalization(plm_graph *g, const cJSON *json)
{
    plm_normalization n = { 0 };
    int64_t           channels;
    if (!plm__json_number(plm__json_member(json, "scale"), &n.scale) ||
        !plm__json_integer(plm__json_member(json, "channels"), &channels) || channels > PLM_MAX_CHANNELS)
        return bad(g, "its normalisation has an impossible scale or number of channels");
    n.channels = (int)channels;
    if (!read_numbers(plm__json_member(json, "mean"), n.mean, n.channels) ||
        !read_numbers(plm__json_member(json, "std"), n.std, n.channels))
        return bad(g, "its normalisation does not have one mean and one std for each channel");
    if (channels > 1 && channels != plm_graph_input_shape(g).dim[0])
        return bad(g, "its normalisation has another number of channels than its network's input");
    plm_graph_set_normalization(g, &n);
    return g->ctx->status == PLM_OK;
}

static bool read_classes(plm_graph *g, const cJSON *json)
{
    const cJSON *item;
    int          count = 0;
    if (!cJSON_IsArray(json)) return bad(g, "its class names are not an array");
    cJSON_ArrayForEach(item, json)
    {
        if (!cJSON_IsString(item)) return bad(g, "its class names are not strings");
        count++;
    }
    if (count > plm_shape_count(plm_graph_output_shape(g)))
        return bad(g, "its class names are more than its network has outputs");
    const char **names = plm__new(g->ctx, (size_t)count * sizeof *names, "class names");
    if (!names) return false;
    count                                         = 0;
    cJSON_ArrayForEach(item, json) names[count++] = item->valuestring;
    plm_graph_set_classes(g, names, count);
    plm__delete(g->ctx, names);
    return g->ctx->status == PLM_OK;
}

static bool read_parts(plm_graph *g, const plm_open_desc *d, const plm__safetensors *f)
{
    cJSON *graph         = read_part(g, f, "plummet.graph");
    cJSON *normalization = read_part(g, f, "plummet.normalization");
    cJSON *classes       = read_part(g, f, "plummet.classes");
    bool   ok            = g->ctx->status == PLM_OK;
    if (ok && !graph)
        ok = bad(g,
                 "it has no description of a network (plummet.graph in its metadata), only tensors: build the network "
                 "in code and fill it with plm_graph_load");
    ok = ok && read_graph(g, d, graph);
    ok = ok && (!normalization || read_normalization(g, normalization));
    ok = ok && (!classes || read_classes(g, classes));
    cJSON_Delete(graph);
    cJSON_Delete(normalization);
    cJSON_Delete(classes);
    return ok;
}

/* Whoever refuses a part of the description, it is the file's fault, and the sentence begins with the file's name.  The
 * user's on_error hears that sentence. */
static bool describe(plm_graph *g, const plm_open_desc *d, plm__safetensors *f)
{
    plm_ctx           *ctx      = g->ctx;
    const plm_on_error on_error = ctx->on_error;
    ctx->on_error               = NULL;
    g->file                     = f;
    const bool ok               = read_parts(g, d, f);
    g->file                     = NULL;
    ctx->on_error               = on_error;
    if (ok) return true;
    char             message[sizeof ctx->message];
    const plm_status status = ctx->status == PLM_ERR_MEMORY ? PLM_ERR_MEMORY : PLM_ERR_FORMAT;
    memcpy(message, ctx->message, sizeof message);
    ctx->status = PLM_OK;
    return plm__fail(ctx, status, "%s: %s", f->path, message);
}

/* Nothing has chosen a layout yet: parameters are row-major, as the file's tensors are. */
static bool read_weights(plm_graph *g, const plm__safetensors *f)
{
    for (int i = 0; i < g->params; i++) {
        plm_param *p = g->param[i];
        if (!plm__safetensors_read_f32(f, plm__safetensors_find(f, p->name), p->weights->data)) return false;
        p->written = true;
        p->version++;
    }
    return true;
}

static bool check_kinds(plm_ctx *ctx, const plm_open_desc *d)
{
    for (const plm_module_kind *const *k = d->kinds; k && *k; k++)
        if (!plm__module_kind_check(ctx, *k)) return false;
    return true;
}

plm_graph *plm_graph_open_with(plm_ctx *ctx, const char *path, const plm_open_desc *desc)
{
    const plm_open_desc d = desc ? *desc : (plm_open_desc){ 0 };
    if (!plm__enter(ctx, "plm_graph_open")) return NULL;
    plm__safetensors file = { .ctx = ctx, .fd = -1 };
    bool             ok   = path || plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_graph_open: the path is NULL");
    ok                    = ok && check_kinds(ctx, &d) && plm__safetensors_open(&file, ctx, path);
    plm_graph *g          = ok ? plm_graph_new(ctx) : NULL;
    if (g && !(describe(g, &d, &file) && plm__safetensors_match(&file, g) && read_weights(g, &file))) {
        plm_graph_free(g);
        g = NULL;
    }
    plm__safetensors_close(&file);
    plm__leave(ctx);
    return g;
}

plm_graph *plm_graph_open(plm_ctx *ctx, const char *path)
{
    return plm_graph_open_with(ctx, path, NULL);
}

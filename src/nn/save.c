/* save.c: a network as a file.
 *
 * Weights stand under PyTorch's names in PyTorch's shapes, so that other programs read them; what makes a network of
 * them is JSON text in the metadata, which other programs pass over.  The bytes are a function of the network alone. */
#include "nn/safetensors.h"

#include <inttypes.h>
#include <string.h>

static void write_field(plm__text *t, const plm_module *m, const plm_field *f)
{
    const char *at = (const char *)m->desc + f->offset;
    plm__text_add(t, ",\"%s\":", f->name);
    switch (f->type) {
    case PLM_FIELD_INT:
        plm__text_add(t, "%d", *(const int *)at);
        break;
    case PLM_FIELD_INT64:
        plm__text_add(t, "%" PRId64, *(const int64_t *)at);
        break;
    case PLM_FIELD_DOUBLE:
        plm__text_number(t, *(const double *)at);
        break;
    case PLM_FIELD_BOOL:
        plm__text_add(t, *(const bool *)at ? "true" : "false");
        break;
    }
}

static void write_node(plm__text *t, const plm__node *n)
{
    const plm_module *m = &n->m;
    plm__text_add(t, "{\"kind\":\"%s\",\"name\":", m->kind->name);
    plm__text_string(t, m->name);
    plm__text_add(t, ",\"inputs\":[");
    for (int i = 0; i < m->inputs; i++) plm__text_add(t, "%s%d", i ? "," : "", n->in[i]);
    plm__text_add(t, "]");
    for (const plm_field *f = m->kind->fields; f && f->name; f++) write_field(t, m, f);
    plm__text_add(t, "}");
}

void plm__graph_describe(plm__text *t, const plm_graph *g)
{
    char        shape[PLM__SHAPE_TEXT];
    const char *comma = "";
    plm__text_add(t, "{\"version\":1,\"input\":%s,\"output\":{\"node\":%d,\"name\":",
                  plm__shape_text(plm_graph_input_shape(g), shape), g->output);
    plm__text_string(t, g->output_name);
    plm__text_add(t, "},\"nodes\":[");
    for (int i = 0; i < g->nodes; i++) {
        if (i) plm__text_add(t, ",");
        write_node(t, &g->node[i]);
    }
    plm__text_add(t, "],\"kept\":[");
    for (int i = 0; i < g->nodes; i++) {
        if (!g->node[i].keep) continue;
        plm__text_add(t, "%s%d", comma, i);
        comma = ",";
    }
    plm__text_add(t, "]}");
}

static void write_numbers(plm__text *t, const char *name, const double *x, int n)
{
    plm__text_add(t, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        if (i) plm__text_add(t, ",");
        plm__text_number(t, x[i]);
    }
    plm__text_add(t, "]");
}

static void write_normalization(plm__text *t, const plm_graph *g)
{
    const plm_normalization *n = &g->normalization;
    if (n->channels == 0 && (n->scale == 0 || n->scale == 1)) return; /* none */
    plm__text_add(t, "{\"scale\":");
    plm__text_number(t, n->scale);
    plm__text_add(t, ",\"channels\":%d", n->channels);
    write_numbers(t, "mean", n->mean, n->channels);
    write_numbers(t, "std", n->std, n->channels);
    plm__text_add(t, "}");
}

static void write_classes(plm__text *t, const plm_graph *g)
{
    for (int i = 0; i < g->class_count; i++) {
        plm__text_add(t, i ? "," : "[");
        plm__text_string(t, g->classes[i]);
    }
    if (g->class_count > 0) plm__text_add(t, "]");
}

/* A part of the description, as the string that metadata must be; none: nothing. */
static void add_part(plm__text *metadata, const char *key, void (*part)(plm__text *t, const plm_graph *g),
                     const plm_graph *g)
{
    plm__text text = { .ctx = g->ctx };
    part(&text, g);
    if (text.at) {
        plm__text_add(metadata, ",\"%s\":", key);
        plm__text_string(metadata, text.at);
    }
    plm__delete(g->ctx, text.at);
}

/* One tensor at a time, row-major. */
static bool write_tensors(plm__output *o, const plm__stored *stored, int n)
{
    int64_t most = 1;
    for (int i = 0; i < n; i++)
        if (plm_shape_count(plm__layout_shape(stored[i].home)) > most)
            most = plm_shape_count(plm__layout_shape(stored[i].home));
    float *rows = plm__new(o->ctx, (size_t)most * sizeof *rows, "weights on their way to a file");
    bool   ok   = rows != NULL;
    for (int i = 0; i < n && ok; i++) {
        const plm_shape   shape = plm__layout_shape(stored[i].home);
        const plm__layout plain = plm__layout_plain(shape);
        const bool        as_is = plm__layout_same(stored[i].home, &plain);
        ok                      = (as_is || plm__reorder(o->ctx, stored[i].home, stored[i].data, &plain, rows)) &&
             plm__output_write(o, as_is ? stored[i].data : rows, (size_t)plm_shape_count(shape) * sizeof *rows);
    }
    plm__delete(o->ctx, rows);
    return ok;
}

void plm__graph_stored(const plm_graph *g, plm__stored *stored)
{
    for (int i = 0; i < g->params; i++)
        stored[i] = (plm__stored){ g->param[i]->name, &g->param[i]->home, g->param[i]->weights->data };
}

static bool write_file(const plm_graph *g, const char *path, const char *metadata, const plm__stored *stored, int n,
                       bool checksum)
{
    plm__output *o  = plm__new(g->ctx, sizeof *o, "a model file");
    const bool   ok = o && plm__output_open(o, g->ctx, path, metadata, stored, n, checksum) &&
                    write_tensors(o, stored, n) && (!checksum || plm__output_checksum(o)) && plm__output_finish(o);
    if (o) plm__output_close(o);
    plm__delete(g->ctx, o);
    return ok;
}

static bool check(const plm_graph *g, const char *path, const char *call)
{
    if (!path) return plm__fail(g->ctx, PLM_ERR_ARGUMENT, "%s: the path is NULL", call);
    if (g->output < 0 || g->input < 0)
        return plm__fail(g->ctx, PLM_ERR_STATE, "%s: the graph has no %s: call %s", call,
                         g->output < 0 ? "output" : "input", g->output < 0 ? "plm_graph_output" : "plm_nn_input");
    if (g->normalization.channels > 1 && g->normalization.channels != plm_graph_input_shape(g).dim[0])
        return plm__fail(g->ctx, PLM_ERR_ARGUMENT, "%s: the normalisation has %d channels, the input %" PRId64, call,
                         g->normalization.channels, plm_graph_input_shape(g).dim[0]);
    const int64_t outputs = plm_shape_count(plm_graph_output_shape(g));
    if (g->class_count > outputs)
        return plm__fail(g->ctx, PLM_ERR_ARGUMENT, "%s: %d class names, the network has %" PRId64 " outputs", call,
                         g->class_count, outputs);
    return true;
}

bool plm__graph_save(const plm_graph *g, const char *path, const plm__beside *beside, const char *call)
{
    if (!check(g, path, call)) return false;
    const int    count    = g->params + (beside ? beside->count : 0);
    plm__text    metadata = { .ctx = g->ctx };
    plm__stored *stored   = plm__new(g->ctx, (size_t)(count + 1) * sizeof *stored, "the tensors of a model file");
    if (!stored) return false;
    plm__graph_stored(g, stored);
    if (beside && beside->count > 0) memcpy(stored + g->params, beside->stored, (size_t)beside->count * sizeof *stored);
    plm__text_add(&metadata, "{\"format\":\"pt\"");
    add_part(&metadata, "plummet.graph", plm__graph_describe, g);
    add_part(&metadata, "plummet.normalization", write_normalization, g);
    add_part(&metadata, "plummet.classes", write_classes, g);
    if (beside) {
        plm__text_add(&metadata, ",\"%s\":", beside->key);
        plm__text_string(&metadata, beside->text);
    }
    plm__text_add(&metadata, "}");
    const bool ok = g->ctx->status == PLM_OK && write_file(g, path, metadata.at, stored, count, beside != NULL);
    plm__delete(g->ctx, metadata.at);
    plm__delete(g->ctx, stored);
    return ok;
}

bool plm_graph_save(const plm_graph *g, const char *path)
{
    if (!g || !plm__enter(g->ctx, "plm_graph_save")) return false;
    const bool ok = plm__graph_save(g, path, NULL, "plm_graph_save");
    plm__leave(g->ctx);
    return ok;
}

/* save.c: a network as a file.
 *
 * Weights stand under PyTorch's names in PyTorch's shapes, so that other programs read them; what makes a network of
 * them is JSON text in the metadata, which other programs pass over.  The bytes are a function of the network alone. */
#include "nn/safetensors.h"

#include <inttypes.h>

static void write_field(plm__text *t, const plm__node *n, const plm__field *f)
{
    const char *at = (const char *)&n->desc + f->offset;
    plm__text_add(t, ",\"%s\":", f->name);
    switch (f->type) {
    case PLM__INT:
        plm__text_add(t, "%d", *(const int *)at);
        break;
    case PLM__INT64:
        plm__text_add(t, "%" PRId64, *(const int64_t *)at);
        break;
    case PLM__DOUBLE:
        plm__text_number(t, *(const double *)at);
        break;
    case PLM__BOOL:
        plm__text_add(t, *(const bool *)at ? "true" : "false");
        break;
    }
}

static void write_node(plm__text *t, const plm__node *n)
{
    plm__text_add(t, "{\"kind\":\"%s\",\"name\":", n->kind->name);
    plm__text_string(t, n->name);
    plm__text_add(t, ",\"inputs\":[");
    for (int i = 0; i < n->inputs; i++) plm__text_add(t, "%s%d", i ? "," : "", n->in[i]);
    plm__text_add(t, "]");
    for (const plm__field *f = n->kind->fields; f && f->name; f++) write_field(t, n, f);
    plm__text_add(t, "}");
}

static void write_graph(plm__text *t, const plm_graph *g)
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

/* One parameter at a time, row-major. */
static bool write_weights(plm__output *o, const plm_graph *g)
{
    int64_t most = 0;
    for (int i = 0; i < g->params; i++)
        if (plm_shape_count(g->param[i]->shape) > most) most = plm_shape_count(g->param[i]->shape);
    float *plain = plm__new(g->ctx, (size_t)most * sizeof *plain, "weights on their way to a file");
    bool   ok    = plain != NULL;
    for (int i = 0; i < g->params && ok; i++) {
        const int64_t count = plm_shape_count(g->param[i]->shape);
        ok = plm_param_read(g->param[i], plain, count) && plm__output_write(o, plain, (size_t)count * sizeof *plain);
    }
    plm__delete(g->ctx, plain);
    return ok;
}

static bool save(const plm_graph *g, const char *path)
{
    if (!path) return plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_save: the path is NULL");
    if (g->output < 0 || g->input < 0)
        return plm__fail(g->ctx, PLM_ERR_STATE, "plm_graph_save: the graph has no %s: call %s",
                         g->output < 0 ? "output" : "input", g->output < 0 ? "plm_graph_output" : "plm_nn_input");
    if (g->normalization.channels > 1 && g->normalization.channels != plm_graph_input_shape(g).dim[0])
        return plm__fail(g->ctx, PLM_ERR_ARGUMENT,
                         "plm_graph_save: the normalisation has %d channels, the input %" PRId64,
                         g->normalization.channels, plm_graph_input_shape(g).dim[0]);
    plm__text   metadata = { .ctx = g->ctx };
    plm__output output   = { .ctx = g->ctx, .fd = -1 };
    plm__text_add(&metadata, "{\"format\":\"pt\"");
    add_part(&metadata, "plummet.graph", write_graph, g);
    add_part(&metadata, "plummet.normalization", write_normalization, g);
    add_part(&metadata, "plummet.classes", write_classes, g);
    plm__text_add(&metadata, "}");
    const bool ok = g->ctx->status == PLM_OK &&
                    plm__output_open(&output, g->ctx, path, metadata.at, g->param, g->params) &&
                    write_weights(&output, g) && plm__output_finish(&output);
    plm__output_close(&output);
    plm__delete(g->ctx, metadata.at);
    return ok;
}

bool plm_graph_save(const plm_graph *g, const char *path)
{
    if (!g || !plm__enter(g->ctx, "plm_graph_save")) return false;
    const bool ok = save(g, path);
    plm__leave(g->ctx);
    return ok;
}

/* explain_json.c: what plummet explain found out, as JSON; docs/explain.md has every field. */
#include "explain.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

static void add_number(cJSON *into, const char *key, double x)
{
    if (isfinite(x)) cJSON_AddNumberToObject(into, key, x);
    else cJSON_AddNullToObject(into, key);
}

static void add_layer_step(cJSON *o, const plm_layer_step *s)
{
    add_number(o, "grad", s->grad);
    add_number(o, "grad_most", s->grad_most);
    add_number(o, "grad_op", s->grad_op);
    add_number(o, "stable_rank", s->stable_rank);
    add_number(o, "contribution", s->contribution);
    add_number(o, "grad_bound", s->grad_bound);
    add_number(o, "update", s->update);
    add_number(o, "update_op", s->update_op);
    add_number(o, "update_map", s->update_map);
    add_number(o, "linear", s->linear);
}

static cJSON *layer_json(const cli_case *c, int k)
{
    const plm_layer_facts *f = plm_explain_layer(c->explain, k);
    const plm_layer       *l = f->layer;
    cJSON                 *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", l->name);
    cJSON_AddStringToObject(o, "kind", l->kind);
    cJSON_AddNumberToObject(o, "node", f->node);
    cJSON_AddNumberToObject(o, "depth", l->depth);
    cJSON_AddBoolToObject(o, "trains", f->trains);
    cJSON_AddNumberToObject(o, "d_in", (double)l->d_in);
    cJSON_AddNumberToObject(o, "d_out", (double)l->d_out);
    cJSON_AddNumberToObject(o, "kernel_h", l->kernel_h);
    cJSON_AddNumberToObject(o, "kernel_w", l->kernel_w);
    cJSON_AddNumberToObject(o, "groups", l->groups);
    cJSON_AddNumberToObject(o, "taps", f->taps);
    cJSON_AddNumberToObject(o, "matrices", f->matrices);
    add_number(o, "s", f->scale);
    add_number(o, "share", f->share);
    add_number(o, "op_min", f->op_min);
    add_number(o, "op_mean", f->op_mean);
    add_number(o, "op", f->op);
    add_number(o, "frobenius", f->frobenius);
    add_number(o, "map", f->map);
    add_number(o, "map_prescribed", f->map_prescribed);
    add_number(o, "per_eta", f->per_eta);
    if (c->layer) add_layer_step(o, &c->layer[k]);
    return o;
}

static cJSON *node_json(const cli_case *c, int i)
{
    const plm_node_bound *b = plm_explain_node(c->explain, i);
    cJSON                *o = cJSON_CreateObject();
    plm_node_info         n;
    if (!plm_graph_node_info(c->net, i, &n)) return o;
    cJSON_AddStringToObject(o, "name", n.name);
    cJSON_AddStringToObject(o, "kind", n.kind);
    cJSON_AddItemToObject(o, "inputs", cJSON_CreateIntArray(n.inputs, n.input_count));
    cli_shape_json(o, "shape", n.shape);
    add_number(o, "lipschitz", n.lipschitz.factor);
    add_number(o, "at_zero", n.lipschitz.at_zero);
    cJSON_AddStringToObject(o, "why", n.lipschitz.why);
    add_number(o, "gain", b->gain);
    add_number(o, "offset", b->offset);
    add_number(o, "gain_prescribed", b->gain_prescribed);
    add_number(o, "onward", b->onward);
    return o;
}

static void add_lines(cJSON *into, const cli_case *c)
{
    cli_line  line[CLI_MAX_LINES];
    const int count = cli_explain_lines(c, line);
    cJSON    *lines = cJSON_AddObjectToObject(into, "lines");
    for (int i = 0; i < count; i++) {
        cJSON *o = cJSON_AddObjectToObject(lines, line[i].key);
        cJSON_AddStringToObject(o, "section", line[i].section);
        cJSON_AddStringToObject(o, "formula", line[i].formula);
        add_number(o, "value", line[i].value);
        cJSON_AddStringToObject(o, "meaning", line[i].meaning);
    }
}

static void add_assumptions(cJSON *into, const cli_case *c)
{
    cli_assumption a[CLI_MAX_ASSUMPTIONS];
    const int      count = cli_explain_assumptions(c, a);
    cJSON         *list  = cJSON_AddArrayToObject(into, "assumptions");
    for (int i = 0; i < count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "assumption", a[i].what);
        cJSON_AddBoolToObject(o, "holds", a[i].holds);
        cJSON_AddStringToObject(o, "note", a[i].note);
        cJSON_AddItemToArray(list, o);
    }
}

static void add_case(cJSON *o, const cli_case *c)
{
    const plm_graph_info info = plm_graph_summary(c->net);
    add_number(o, "G", c->layer ? c->step.G : (double)NAN);
    add_number(o, "eta", c->layer ? c->step.eta : (double)NAN);
    cJSON_AddNumberToObject(o, "L", plm_explain_weights(c->explain));
    cJSON_AddNumberToObject(o, "depth", info.depth);
    cJSON_AddNumberToObject(o, "parameters", (double)info.parameters);
    add_number(o, "samples", c->layer ? (double)c->step.samples : (double)NAN);
    cJSON *layers = cJSON_AddArrayToObject(o, "layers");
    for (int k = 0; k < plm_explain_layers(c->explain); k++) cJSON_AddItemToArray(layers, layer_json(c, k));
    cJSON *nodes = cJSON_AddArrayToObject(o, "nodes");
    for (int i = 0; i < plm_graph_node_count(c->net); i++) cJSON_AddItemToArray(nodes, node_json(c, i));
    add_lines(o, c);
    add_assumptions(o, c);
}

static cJSON *rival_json(const cli_explained *x, const cli_rival *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "optim", r->name);
    add_number(o, "rate", r->step.rate);
    add_number(o, "linear", r->step.linear);
    add_number(o, "remainder", r->step.remainder);
    add_number(o, "bregman", r->step.bregman);
    add_number(o, "change", r->step.loss_after - r->step.loss);
    add_number(o, "trust", r->step.trust);
    add_number(o, "df_rms", r->step.df_rms);
    add_number(o, "df_max", r->step.df_max);
    add_number(o, "df_bound", r->step.df_bound);
    cJSON *layers = cJSON_AddArrayToObject(o, "layers");
    for (int k = 0; k < plm_explain_layers(x->base.explain); k++) {
        cJSON *l = cJSON_CreateObject();
        cJSON_AddStringToObject(l, "name", plm_explain_layer(x->base.explain, k)->layer->name);
        add_layer_step(l, &r->layer[k]);
        cJSON_AddItemToArray(layers, l);
    }
    return o;
}

static cJSON *all_json(const cli_explained *x)
{
    const cli_settings *s = x->settings;
    cJSON              *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "arch", s->weights ? s->weights : s->arch);
    cJSON_AddStringToObject(o, "dataset", s->dataset);
    cJSON_AddStringToObject(o, "loss", s->theory ? "square" : s->loss);
    cJSON_AddNumberToObject(o, "seed", (double)s->seed);
    cJSON_AddBoolToObject(o, "theory", s->theory);
    add_case(o, &x->base);
    cJSON *vs = cJSON_AddArrayToObject(o, "vs");
    for (int i = 0; i < x->rivals; i++) cJSON_AddItemToArray(vs, rival_json(x, &x->rival[i]));
    cJSON *what_if = cJSON_AddArrayToObject(o, "what_if");
    for (int i = 0; i < x->what_ifs; i++) {
        cJSON *w = cJSON_CreateObject();
        cJSON_AddStringToObject(w, "change", x->what_if[i].change);
        cJSON_AddNumberToObject(w, "arch_depth", (double)x->what_if[i].settings.depth);
        cJSON_AddNumberToObject(w, "arch_width", (double)x->what_if[i].settings.width);
        add_case(w, &x->what_if[i]);
        cJSON_AddItemToArray(what_if, w);
    }
    return o;
}

char *cli_explain_json_text(plm_ctx *ctx, const cli_explained *x)
{
    cJSON *all  = all_json(x);
    char  *text = cJSON_Print(all);
    cJSON_Delete(all);
    if (!text) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "explain: out of memory");
    return text;
}

bool cli_explain_json(plm_ctx *ctx, const cli_explained *x, FILE *to)
{
    char *text = cli_explain_json_text(ctx, x);
    if (!text) return false;
    fprintf(to, "%s\n", text);
    free(text);
    return true;
}

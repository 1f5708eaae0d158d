/* inspect.c: plummet inspect: an architecture, without running it. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static int64_t trainable(const plm_node_info *node)
{
    int64_t count = 0;
    for (int i = 0; i < node->param_count; i++)
        if (plm_param_role(node->params[i]) != PLM_ROLE_STATISTIC)
            count += plm_shape_count(plm_param_shape(node->params[i]));
    return count;
}

/* "conv2d", "conv2d, 8 groups" */
static const char *kind_text(const plm_graph *net, const plm_node_info *node, char text[64])
{
    int groups = 1;
    for (int i = 0; i < plm_graph_layer_count(net); i++)
        if (node->param_count > 0 && plm_graph_layer(net, i)->weight == node->params[0])
            groups = plm_graph_layer(net, i)->groups;
    if (groups > 1) snprintf(text, 64, "%.40s, %d groups", node->kind, groups);
    else snprintf(text, 64, "%.60s", node->kind);
    return text;
}

static void print_inputs(const plm_graph *net, const plm_node_info *node)
{
    plm_node_info from;
    for (int k = 0; k < node->input_count && plm_graph_node_info(net, node->inputs[k], &from); k++)
        printf("%s%s", k ? ", " : "  ", from.name);
    printf("\n");
}

static void print_table(const plm_graph *net)
{
    plm_node_info node;
    char          shape[160], params[32], macs[32], kind[64];
    int           width = 4, kinds = 12;
    for (int i = 0; i < plm_graph_node_count(net) && plm_graph_node_info(net, i, &node); i++) {
        if ((int)strlen(node.name) > width) width = (int)strlen(node.name);
        if ((int)strlen(kind_text(net, &node, kind)) > kinds) kinds = (int)strlen(kind);
    }
    printf("%-*s  %-*s %-16s %14s %16s %6s  inputs\n", width, "node", kinds, "kind", "output", "parameters",
           "multiply-adds", "depth");
    for (int i = 0; i < plm_graph_node_count(net) && plm_graph_node_info(net, i, &node); i++) {
        printf("%-*s  %-*s %-16s %14s %16s %6d", width, node.name, kinds, kind_text(net, &node, kind),
               cli_shape_text(node.shape, shape), cli_count_text(trainable(&node), params),
               cli_count_text(node.macs, macs), node.depth);
        print_inputs(net, &node);
    }
    const plm_graph_info info = plm_graph_summary(net);
    printf("layers %d, depth %d, parameters %s", info.layers, info.depth, cli_count_text(info.parameters, params));
    printf(", multiply-adds per sample %s", cli_count_text(info.macs, macs));
    printf(", activations per sample %s\n", cli_count_text(info.activation_floats, macs));
}

static cJSON *node_json(const plm_node_info *node)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", node->name);
    cJSON_AddStringToObject(o, "kind", node->kind);
    cJSON_AddItemToObject(o, "inputs", cJSON_CreateIntArray(node->inputs, node->input_count));
    cli_shape_json(o, "shape", node->shape);
    cJSON_AddNumberToObject(o, "parameters", (double)trainable(node));
    cJSON_AddNumberToObject(o, "multiply_adds", (double)node->macs);
    cJSON_AddNumberToObject(o, "depth", node->depth);
    return o;
}

static cJSON *layer_json(const plm_layer *l)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", l->name);
    cJSON_AddStringToObject(o, "kind", l->kind);
    cJSON_AddNumberToObject(o, "d_in", (double)l->d_in);
    cJSON_AddNumberToObject(o, "d_out", (double)l->d_out);
    cJSON_AddNumberToObject(o, "kernel_h", l->kernel_h);
    cJSON_AddNumberToObject(o, "kernel_w", l->kernel_w);
    cJSON_AddNumberToObject(o, "groups", l->groups);
    cJSON_AddNumberToObject(o, "depth", l->depth);
    cJSON_AddStringToObject(o, "weight", plm_param_name(l->weight));
    return o;
}

static bool print_json(plm_ctx *ctx, const plm_graph *net)
{
    const plm_graph_info info = plm_graph_summary(net);
    cJSON               *all  = cJSON_CreateObject();
    plm_node_info        node;
    cli_shape_json(all, "input", plm_graph_input_shape(net));
    cli_shape_json(all, "output", plm_graph_output_shape(net));
    cJSON_AddNumberToObject(all, "layers", info.layers);
    cJSON_AddNumberToObject(all, "depth", info.depth);
    cJSON_AddNumberToObject(all, "parameters", (double)info.parameters);
    cJSON_AddNumberToObject(all, "multiply_adds", (double)info.macs);
    cJSON_AddNumberToObject(all, "activation_floats", (double)info.activation_floats);
    cJSON *nodes = cJSON_AddArrayToObject(all, "nodes");
    for (int i = 0; i < plm_graph_node_count(net) && plm_graph_node_info(net, i, &node); i++)
        cJSON_AddItemToArray(nodes, node_json(&node));
    cJSON *layers = cJSON_AddArrayToObject(all, "weight_layers");
    for (int i = 0; i < plm_graph_layer_count(net); i++)
        cJSON_AddItemToArray(layers, layer_json(plm_graph_layer(net, i)));
    char *text = cJSON_Print(all);
    cJSON_Delete(all);
    if (!text) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "inspect: out of memory");
    puts(text);
    free(text);
    return true;
}

static void print_quoted(const char *text)
{
    for (; *text; text++) printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void print_dot(const plm_graph *net)
{
    plm_node_info node;
    char          shape[160];
    printf("digraph plummet {\n    node [shape=box];\n");
    for (int i = 0; i < plm_graph_node_count(net) && plm_graph_node_info(net, i, &node); i++) {
        printf("    n%d [label=\"", i);
        print_quoted(node.name);
        printf("\\n%s %s\"];\n", node.kind, cli_shape_text(node.shape, shape));
        for (int k = 0; k < node.input_count; k++) printf("    n%d -> n%d;\n", node.inputs[k], i);
    }
    printf("}\n");
}

static plm_graph *open_net(plm_ctx *ctx, const cli_settings *s, const plm_arch *arch)
{
    cli_form form;
    if (s->weights) return cli_open(ctx, s);
    return cli_dataset_form(ctx, s, &form) ? cli_arch_build(ctx, arch, s, form.shape, form.classes) : NULL;
}

bool cli_inspect(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra)
{
    static const char *const of_arch[] = { "arch", "depth", "width", "bias", "affine", "dataset", "label" };
    const plm_arch          *arch      = NULL;
    for (size_t i = 0; s->weights && i < sizeof of_arch / sizeof *of_arch; i++)
        if (cli_given(s, of_arch[i]))
            return cli_usage_error("--%s does not go with --weights: the file says what the network is", of_arch[i]);
    if (!s->weights && (!cli_dataset_check(s, false) || !(arch = cli_arch_find(extra, s)))) return false;
    plm_graph *net = open_net(ctx, s, arch);
    if (!net) return false;
    bool ok = true;
    if (strcmp(s->format, "json") == 0) ok = print_json(ctx, net);
    else if (strcmp(s->format, "dot") == 0) print_dot(net);
    else print_table(net);
    plm_graph_free(net);
    return ok;
}

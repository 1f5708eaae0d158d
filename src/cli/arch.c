/* arch.c: architectures by name: the library's, then those of the user's program. */
#include "cli.h"

#include <string.h>

#define MAX_ARCHS 64

static plm_node build_fcn(plm_node x, int64_t classes, int depth, int64_t width)
{
    return plm_zoo_fcn(x, classes, &(plm_fcn_desc){ .depth = depth, .width = width });
}

static const plm_arch fcn = { "fcn", "fully connected: --depth layers, --width features between them", build_fcn };

/* All architectures into `list`; their number. */
static int list_archs(const plm_cli_extra *extra, const plm_arch *list[MAX_ARCHS])
{
    int count     = 0;
    list[count++] = &fcn;
    for (const plm_arch *a = extra ? extra->archs : NULL; a && a->name && count < MAX_ARCHS; a++) list[count++] = a;
    return count;
}

const plm_arch *cli_arch_find(const plm_cli_extra *extra, const cli_settings *s)
{
    const plm_arch *list[MAX_ARCHS];
    const char     *names[MAX_ARCHS];
    char            known[512] = "";
    const int       count      = list_archs(extra, list);
    for (int i = 0; i < count; i++) {
        names[i] = list[i]->name;
        if (strcmp(s->arch, names[i]) == 0) {
            if (list[i] != &fcn || s->depth >= 2) return list[i];
            cli_usage_error("--depth is \"1\", an fcn has at least 2 layers");
            return NULL;
        }
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = cli_nearest(s->arch, names, count);
    if (nearest) cli_usage_error("--arch is \"%s\", known are %s; did you mean %s?", s->arch, known, nearest);
    else cli_usage_error("--arch is \"%s\", known %s %s", s->arch, count == 1 ? "is" : "are", known);
    return NULL;
}

void cli_arch_print(const plm_cli_extra *extra)
{
    const plm_arch *list[MAX_ARCHS];
    const int       count = list_archs(extra, list);
    printf("Architectures:\n");
    for (int i = 0; i < count; i++) printf("  %-26s %s\n", list[i]->name, list[i]->summary ? list[i]->summary : "");
}

plm_graph *cli_arch_build(plm_ctx *ctx, const plm_arch *arch, const cli_settings *s, plm_shape x, int64_t classes)
{
    plm_graph *net = plm_graph_new(ctx);
    if (!net) return NULL;
    plm_graph_output(arch->build(plm_nn_input(net, x), classes, (int)s->depth, s->width), "logits");
    if (plm_ctx_status(ctx) == PLM_OK) return net;
    plm_graph_free(net);
    return NULL;
}

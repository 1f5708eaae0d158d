/* arch.c: architectures by name: the library's, then those of the user's program. */
#include "cli.h"

#include <string.h>

#define MAX_ARCHS 64

/* An architecture of the library.  `depth` is what its name says; 0: --depth and --width say how large it is. */
typedef struct {
    plm_arch arch;
    int      depth;
} own_arch;

static plm_node build_fcn(plm_node x, const plm_arch_desc *d)
{
    return plm_zoo_fcn(x, d->classes, &(plm_fcn_desc){ .depth = d->depth, .width = d->width, .bias = d->bias });
}

static plm_node build_vgg(plm_node x, const plm_arch_desc *d)
{
    return plm_zoo_vgg(x, d->classes, &(plm_vgg_desc){ .depth = d->depth, .bias = d->bias, .affine = d->affine });
}

/* Images as large as ImageNet's get the network that was made for them. */
static plm_node build_resnet(plm_node x, const plm_arch_desc *d)
{
    const plm_shape s        = plm_node_shape(x);
    const bool      imagenet = s.rank == 3 && s.dim[1] >= 224 && s.dim[2] >= 224;
    return plm_zoo_resnet(
        x, d->classes,
        &(plm_resnet_desc){ .depth = d->depth, .imagenet = imagenet, .bias = d->bias, .affine = d->affine });
}

#define FCN build_fcn, true, false
#define VGG build_vgg, true, true
#define RESNET build_resnet, true, true
static const own_arch own[] = {
    { { "fcn", "fully connected: --depth layers, --width features between them", FCN }, 0 },
    { { "vgg11", "for images of 32x32: 8 convolutions, 1 linear layer", VGG }, 11 },
    { { "vgg13", "10 convolutions", VGG }, 13 },
    { { "vgg16", "13 convolutions", VGG }, 16 },
    { { "vgg19", "16 convolutions", VGG }, 19 },
    { { "vgg", "the same as vgg16", VGG }, 16 },
    { { "resnet18", "residual, 18 layers deep, for images of 32x32; from 224x224 on as for ImageNet", RESNET }, 18 },
    { { "resnet34", "34 layers deep", RESNET }, 34 },
    { { "resnet50", "50 layers deep, in bottlenecks", RESNET }, 50 },
    { { "resnet101", "101 layers deep, in bottlenecks", RESNET }, 101 },
    { { "resnet152", "152 layers deep, in bottlenecks", RESNET }, 152 },
};
enum { OWN = sizeof own / sizeof *own };

/* All architectures into `list`; their number. */
static int list_archs(const plm_cli_extra *extra, const plm_arch *list[MAX_ARCHS])
{
    int count = 0;
    while (count < OWN) {
        list[count] = &own[count].arch;
        count++;
    }
    for (const plm_arch *a = extra ? extra->archs : NULL; a && a->name && count < MAX_ARCHS; a++) list[count++] = a;
    return count;
}

/* The depth that the name says, 0: none. */
static int depth_of(const char *name)
{
    for (int i = 0; i < OWN; i++)
        if (strcmp(own[i].arch.name, name) == 0) return own[i].depth;
    return 0;
}

bool cli_arch_has_size(const cli_settings *s)
{
    return depth_of(s->arch) == 0;
}

/* Do --depth and --width go with it? */
static bool check_size(const cli_settings *s)
{
    if (cli_arch_has_size(s))
        return strcmp(s->arch, "fcn") != 0 || s->depth >= 2 ||
               cli_usage_error("--depth is \"1\", an fcn has at least 2 layers");
    static const char *const sizes[] = { "depth", "width" };
    for (int i = 0; i < 2; i++)
        if (cli_given(s, sizes[i]))
            return cli_usage_error("--%s does not go with --arch %s, whose size is fixed; it is for --arch fcn",
                                   sizes[i], s->arch);
    return true;
}

/* Do --bias and --affine? */
static const plm_arch *check_extras(const plm_arch *arch, const cli_settings *s)
{
    if ((!s->bias || arch->bias) && (!s->affine || arch->affine)) return arch;
    cli_usage_error("--%s does not go with --arch %s, which has no %s", s->bias && !arch->bias ? "bias" : "affine",
                    s->arch, s->bias && !arch->bias ? "biases" : "affine norms");
    return NULL;
}

const plm_arch *cli_arch_find(const plm_cli_extra *extra, const cli_settings *s)
{
    const plm_arch *list[MAX_ARCHS];
    const char     *names[MAX_ARCHS];
    char            known[512] = "";
    const int       count      = list_archs(extra, list);
    for (int i = 0; i < count; i++) {
        names[i] = list[i]->name;
        if (strcmp(s->arch, names[i]) == 0) return check_size(s) ? check_extras(list[i], s) : NULL;
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = cli_nearest(s->arch, names, count);
    if (nearest) cli_usage_error("--arch is \"%s\", known are %s; did you mean %s?", s->arch, known, nearest);
    else cli_usage_error("--arch is \"%s\", known are %s", s->arch, known);
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
    const int  depth = cli_arch_has_size(s) ? (int)s->depth : depth_of(s->arch);
    plm_graph *net   = plm_graph_new(ctx);
    if (!net) return NULL;
    const plm_arch_desc desc  = { classes, depth, s->width, s->bias, s->affine };
    const plm_node      input = plm_nn_input(net, x);
    if (s->theory && arch->build == build_fcn)
        plm_graph_output(plm_zoo_fcn(input, classes, &(plm_fcn_desc){ .depth = depth, .width = s->width, .scale = 1 }),
                         "logits");
    else plm_graph_output(arch->build(input, &desc), "logits");
    if (plm_ctx_status(ctx) == PLM_OK) return net;
    plm_graph_free(net);
    return NULL;
}

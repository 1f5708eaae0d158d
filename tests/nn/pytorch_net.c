/* pytorch_net.c: one of the zoo's networks on samples from a file, for pytorch_safetensors.py to compare with.
 *   pytorch_net ARCH WEIGHTS SAMPLES OUTPUTS SAVED
 * WEIGHTS: a model file, or - for weights drawn here.  SAMPLES and OUTPUTS: raw f32 numbers.  SAVED: what plm_graph_save
 * makes of it. */
#include <plummet/plummet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 10 };

static plm_graph *build(plm_ctx *ctx, const char *arch)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   y   = { net, -1 };
    if (strcmp(arch, "fcn") == 0)
        y = plm_zoo_fcn(plm_nn_input(net, plm_shape_of(3, 8, 8)), CLASSES, &(plm_fcn_desc){ .depth = 4, .width = 50 });
    else if (strcmp(arch, "vgg11") == 0)
        y = plm_zoo_vgg(plm_nn_input(net, plm_shape_of(3, 32, 32)), CLASSES,
                        &(plm_vgg_desc){ .depth = 11, .bias = true, .affine = true });
    else if (strcmp(arch, "resnet18") == 0)
        y = plm_zoo_resnet(plm_nn_input(net, plm_shape_of(3, 64, 64)), CLASSES,
                           &(plm_resnet_desc){ .imagenet = true, .bias = true, .affine = true });
    else plm_ctx_fail(ctx, PLM_ERR_ARGUMENT, "there is no network %s", arch);
    plm_graph_output(y, "logits");
    return net;
}

static float *read_samples(plm_ctx *ctx, const char *path, int64_t each, int64_t *n)
{
    FILE  *file = fopen(path, "rb");
    float *x    = NULL;
    long   size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    const size_t count = size > 0 ? (size_t)size / sizeof *x : 0;
    *n                 = (int64_t)count / each;
    if (size > 0) rewind(file);
    if (count > 0) x = malloc(count * sizeof *x);
    if (!x || fread(x, sizeof *x, count, file) != count) plm_ctx_fail(ctx, PLM_ERR_IO, "cannot read %s", path);
    if (file) fclose(file);
    return x;
}

static bool write_outputs(plm_ctx *ctx, const char *path, const float *y, size_t count)
{
    FILE      *file = fopen(path, "wb");
    const bool ok   = file && fwrite(y, sizeof *y, count, file) == count;
    if (file && fclose(file) == 0 && ok) return true;
    return plm_ctx_fail(ctx, PLM_ERR_IO, "cannot write %s", path);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: pytorch_net ARCH WEIGHTS SAMPLES OUTPUTS SAVED\n");
        return 2;
    }
    plm_ctx   *ctx = plm_ctx_new(NULL);
    plm_graph *net = build(ctx, argv[1]);
    int64_t    n   = 0;
    float     *x = NULL, *y = NULL;
    bool       ok = strcmp(argv[2], "-") == 0 ? plm_graph_init(net, PLM_INIT_PYTORCH) : plm_graph_load(net, argv[2]);
    if (ok) x = read_samples(ctx, argv[3], plm_shape_count(plm_graph_input_shape(net)), &n);
    if (ok && n > 0) y = calloc((size_t)n * CLASSES, sizeof *y);
    ok = ok && y && plm_graph_predict(net, x, n, y) && write_outputs(ctx, argv[4], y, (size_t)n * CLASSES);
    ok = ok && plm_graph_save(net, argv[5]);
    if (!ok) fprintf(stderr, "pytorch_net: %s\n", plm_ctx_error(ctx));
    free(x);
    free(y);
    plm_graph_free(net);
    plm_ctx_free(ctx);
    return ok ? 0 : 1;
}

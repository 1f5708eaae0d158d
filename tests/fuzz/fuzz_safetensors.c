/* fuzz_safetensors.c: model files with their description of a network: each is refused with a sentence, or is a network
 * that can be run, saved, opened again and saved to the same bytes. */
#include "fuzz.h"

#include <plummet/plummet.h>

#include <sys/stat.h>

enum { MOST = 1 << 12, MAY_FAIL = 1 << PLM_ERR_FORMAT };

static uint8_t *slurp(const char *path, size_t *size)
{
    struct stat info;
    fuzz_require(stat(path, &info) == 0);
    FILE    *file  = fopen(path, "rb");
    uint8_t *bytes = malloc((size_t)info.st_size);
    fuzz_require(file && bytes && fread(bytes, 1, (size_t)info.st_size, file) == (size_t)info.st_size);
    fclose(file);
    *size = (size_t)info.st_size;
    return bytes;
}

/* One sample through it, if it is small.  A file may hold weights that are not finite, or layers that refuse what others
 * give them. */
static void run(plm_ctx *ctx, plm_graph *net)
{
    static float         x[MOST], y[MOST];
    const plm_graph_info info = plm_graph_summary(net);
    const int64_t in = plm_shape_count(plm_graph_input_shape(net)), out = plm_shape_count(plm_graph_output_shape(net));
    if (in > MOST || out > MOST || info.macs > 1 << 20 || info.activation_floats > 1 << 16) return;
    if (plm_graph_predict(net, x, 1, y)) return;
    fuzz_check_error(ctx, 1 << PLM_ERR_NONFINITE | 1 << PLM_ERR_ARGUMENT);
    plm_ctx_clear(ctx);
}

static void save_and_reopen(plm_ctx *ctx, plm_graph *net)
{
    const char *first = fuzz_file("first.safetensors", NULL, 0), *second = fuzz_file("second.safetensors", NULL, 0);
    size_t      sizes[2];
    fuzz_require(plm_graph_save(net, first));
    plm_graph *again = plm_graph_open(ctx, first);
    fuzz_require(again && plm_graph_save(again, second));
    plm_graph_free(again);
    uint8_t *a = slurp(first, &sizes[0]), *b = slurp(second, &sizes[1]);
    fuzz_require(sizes[0] == sizes[1] && memcmp(a, b, sizes[0]) == 0);
    free(a);
    free(b);
}

/* Into a network built in code, which some seeds fit. */
static void load(plm_ctx *ctx, const char *path)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_graph_output(
        plm_nn_linear(plm_nn_input(net, plm_shape_of(3)), &(plm_linear_desc){ .name = "fc", .out = 2, .bias = true }),
        "y");
    const bool ok = plm_graph_load(net, path);
    fuzz_require(ok == (plm_ctx_status(ctx) == PLM_OK));
    fuzz_check_error(ctx, MAY_FAIL);
    plm_ctx_clear(ctx);
    if (ok) run(ctx, net);
    plm_graph_free(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static plm_ctx *ctx; /* kept, for its kernels */
    if (!ctx) ctx = fuzz_ctx_new(1 << 20);
    const char *path = fuzz_file("net.safetensors", data, size);
    plm_graph  *net  = plm_graph_open(ctx, path);
    fuzz_require((net != NULL) == (plm_ctx_status(ctx) == PLM_OK));
    fuzz_check_error(ctx, MAY_FAIL);
    fuzz_require(net || strncmp(plm_ctx_error(ctx), path, strlen(path)) == 0);
    plm_ctx_clear(ctx);
    if (net) {
        run(ctx, net);
        save_and_reopen(ctx, net);
    }
    plm_graph_free(net);
    load(ctx, path);
    return 0;
}

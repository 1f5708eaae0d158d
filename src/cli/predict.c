/* predict.c: plummet predict: a saved network on raw samples from files. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* x' = (x * scale - mean[c]) / std[c], as training saw its samples. */
static void normalize(const plm_normalization *n, cli_input *in)
{
    if (!n || n->channels < 1) return;
    const int64_t plane = in->size / n->channels;
    const double  scale = n->scale != 0 ? n->scale : 1;
    for (int64_t i = 0; i < in->count * in->size; i++) {
        const int64_t c = i % in->size / plane;
        in->x[i]        = (float)(((double)in->x[i] * scale - n->mean[c]) / n->std[c]);
    }
}

/* One field of a csv line. */
static void print_field(const char *text)
{
    const bool quote = strpbrk(text, ",\"\n\r") != NULL;
    if (quote) putchar('"');
    for (; *text; text++) printf(*text == '"' ? "\"\"" : "%c", *text);
    if (quote) putchar('"');
}

static void print_class(const plm_graph *net, int64_t i)
{
    const char *name = plm_graph_class(net, (int)i);
    if (name) print_field(name);
    else printf("%lld", (long long)i);
}

static void print_header(const plm_graph *net, int64_t outputs)
{
    printf("input,sample,class");
    for (int64_t k = 0; k < outputs; k++) {
        putchar(',');
        print_class(net, k);
    }
    putchar('\n');
}

static void print_rows(const plm_graph *net, const char *path, const float *y, int64_t count, int64_t outputs)
{
    for (int64_t i = 0; i < count; i++, y += outputs) {
        int64_t best = 0;
        for (int64_t k = 1; k < outputs; k++)
            if (y[k] > y[best]) best = k;
        print_field(path);
        printf(",%lld,", (long long)i);
        print_class(net, best);
        for (int64_t k = 0; k < outputs; k++) printf(",%.6g", (double)y[k]);
        putchar('\n');
    }
}

static bool check_finite(plm_ctx *ctx, const char *path, const float *y, int64_t count, int64_t outputs)
{
    for (int64_t i = 0; i < count * outputs; i++)
        if (!isfinite(y[i]))
            return plm_ctx_fail(ctx, PLM_ERR_NONFINITE, "%s: output %lld of the network for sample %lld is not finite",
                                strcmp(path, "-") == 0 ? "standard input" : path, (long long)(i % outputs),
                                (long long)(i / outputs));
    return true;
}

/* The header comes before the first answers, so that nothing is printed for what cannot be read. */
static bool predict(plm_ctx *ctx, plm_graph *net, const char *path, const char *label, bool header)
{
    const int64_t outputs = plm_shape_count(plm_graph_output_shape(net));
    cli_input     in;
    if (!cli_input_read(ctx, path, label, net, &in)) return false;
    normalize(plm_graph_normalization(net), &in);
    float *y  = calloc((size_t)in.count, (size_t)outputs * sizeof *y);
    bool   ok = y != NULL;
    if (!y) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", path);
    ok = ok && plm_graph_predict(net, in.x, in.count, y);
    ok = ok && check_finite(ctx, path, y, in.count, outputs);
    if (ok && header) print_header(net, outputs);
    if (ok) print_rows(net, path, y, in.count, outputs);
    free(y);
    cli_input_free(&in);
    return ok;
}

bool cli_predict(plm_ctx *ctx, const cli_settings *s, const char *const *inputs, int count)
{
    if (!s->weights) return cli_usage_error("predict needs --weights FILE, a saved network");
    if (count == 0)
        return cli_usage_error("predict needs an INPUT: a .csv, .f32 or .pgm file, a .png or .jpg image, or -");
    for (int i = 0; i < count; i++)
        if (!cli_input_known(inputs[i])) return false;
    plm_graph *net = cli_open(ctx, s);
    if (!net) return false;
    bool ok = true;
    for (int i = 0; ok && i < count; i++) ok = predict(ctx, net, inputs[i], s->label, i == 0);
    plm_graph_free(net);
    return ok;
}

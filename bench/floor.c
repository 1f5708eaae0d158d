/* floor.c: how fast can a training step on oneDNN be?  All primitives that a step of a network needs, forward and backward, run in
 * their order with nothing around them: no loss, no additions, no optimiser, no library.
 *
 * The networks are Plummet's (no biases, no affine parameters) on images of 3x32x32 with 10 classes.  Prints a line of JSON:
 * the median time of a step, how many primitives it has, how many of them are slow reference code. */
#include "step.h"

#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { CLASSES = 10, CHANNELS = 3, SIDE = 32, WARM_UP = 5 };

typedef struct {
    const char *arch;
    int         depth, width, batch, threads, steps;
} options;

/* ------------------------------------------------------------------ networks */

static int fcn(step *s, const options *o)
{
    int h = step_input(s, o->batch, CHANNELS * SIDE * SIDE, 0, 0);
    for (int i = 0; i < o->depth - 1; i++) h = step_linear(s, h, o->width, sqrtf(2));
    return step_linear(s, h, CLASSES, 0);
}

static int vgg16(step *s, const options *o)
{
    static const int convs[] = { 2, 2, 3, 3, 3 }, width[] = { 64, 128, 256, 512, 512 };
    int              h = step_input(s, o->batch, CHANNELS, SIDE, SIDE);
    for (int g = 0; g < 5; g++) {
        for (int i = 0; i < convs[g]; i++) h = step_norm_relu(s, step_conv(s, h, width[g], 3, 1));
        h = step_max_pool(s, h, 2);
    }
    return step_linear(s, step_flatten(s, h), CLASSES, 0);
}

static int preact_block(step *s, int x, int width, int stride, bool same_shape)
{
    const int a    = step_norm_relu(s, x);
    const int side = same_shape ? x : step_conv(s, a, width, 1, stride);
    const int h    = step_norm_relu(s, step_conv(s, a, width, 3, stride));
    return step_add(s, step_conv(s, h, width, 3, 1), side);
}

static int resnet18(step *s, const options *o)
{
    int h = step_conv(s, step_input(s, o->batch, CHANNELS, SIDE, SIDE), 64, 3, 1);
    for (int stage = 0; stage < 4; stage++)
        for (int block = 0; block < 2; block++) {
            const bool smaller = stage > 0 && block == 0;
            h                  = preact_block(s, h, 64 << stage, smaller ? 2 : 1, !smaller);
        }
    return step_linear(s, step_flatten(s, step_mean_pool(s, h, 4)), CLASSES, 0);
}

static const struct {
    const char *name;
    int (*build)(step *s, const options *o);
} networks[] = { { "fcn", fcn }, { "vgg16", vgg16 }, { "resnet18", resnet18 } };
enum { NETWORKS = sizeof networks / sizeof *networks };

/* ------------------------------------------------------------------ measuring */

static int compare(const void *a, const void *b)
{
    const double l = *(const double *)a, r = *(const double *)b;
    return (l > r) - (l < r);
}

/* Milliseconds, -1: see step_error. */
static double median_ms(step *s, int steps, double *seconds)
{
    double last = 0;
    for (int i = 0; i < WARM_UP && last >= 0; i++) last = step_run(s);
    for (int i = 0; i < steps && last >= 0; i++) last = seconds[i] = step_run(s);
    if (last < 0) return -1;
    qsort(seconds, (size_t)steps, sizeof *seconds, compare);
    return 1e3 * (seconds[(steps - 1) / 2] + seconds[steps / 2]) / 2;
}

/* As `plummet bench` names it. */
static const char *isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "SSE41";
    case dnnl_cpu_isa_avx2:
        return "AVX2";
    case dnnl_cpu_isa_avx512_core:
        return "AVX512_CORE";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "AVX512_CORE_VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "AVX512_CORE_BF16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "AVX512_CORE_AMX";
    default:
        return "another";
    }
}

static void print_json(const options *o, const step *s, double ms)
{
    const dnnl_version_t *v = dnnl_version();
    struct rusage         usage;
    const double          mb = getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
    printf("{\"arch\":\"%s\",\"batch\":%d,\"threads\":%d,\"onednn\":\"%d.%d.%d\",\"isa\":\"%s\",\"floor_ms\":%.4f,"
           "\"primitives\":%d,\"reference_kernels\":%d,\"peak_rss_mb\":%.4f}\n",
           o->arch, o->batch, omp_get_max_threads(), v->major, v->minor, v->patch, isa(), ms, step_primitives(s),
           step_references(s), mb);
}

static int measure(const options *o)
{
    step   *s       = step_new();
    double *seconds = malloc((size_t)o->steps * sizeof *seconds);
    double  ms      = -1;
    if (s && seconds) {
        for (int i = 0; i < NETWORKS; i++)
            if (strcmp(networks[i].name, o->arch) == 0 && step_backward(s, networks[i].build(s, o)))
                ms = median_ms(s, o->steps, seconds);
    }
    if (ms >= 0) print_json(o, s, ms);
    else fprintf(stderr, "floor: %s\n", s && seconds ? step_error(s) : "out of memory");
    free(seconds);
    step_free(s);
    return ms >= 0 ? 0 : 1;
}

/* ------------------------------------------------------------------ the command line */

static const char usage[] = "usage: floor [options]\n"
                            "  --arch fcn|vgg16|resnet18   default: fcn\n"
                            "  --depth N --width N         of the fcn; default: 10, 256\n"
                            "  --batch-size N              default: 128\n"
                            "  --threads N                 default: 0, as many as OpenMP likes\n"
                            "  --steps N                   how many are timed, after 5 that are not; default: 20\n";

static int parse_int(const char *name, const char *text, int least)
{
    char      *end;
    const long n = strtol(text, &end, 10);
    if (*text && !*end && n >= least && n <= 1000000) return (int)n;
    fprintf(stderr, "floor: --%s is \"%s\", expected a whole number from %d to 1000000\n", name, text, least);
    exit(2);
}

int main(int argc, char **argv)
{
    options o = { .arch = "fcn", .depth = 10, .width = 256, .batch = 128, .steps = 20 };

    const struct option known[] = { { "arch", 1, NULL, 'a' },    { "depth", 1, NULL, 'd' },
                                    { "width", 1, NULL, 'w' },   { "batch-size", 1, NULL, 'b' },
                                    { "threads", 1, NULL, 't' }, { "steps", 1, NULL, 's' },
                                    { "help", 0, NULL, 'h' },    { NULL, 0, NULL, 0 } };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (c) {
        case 'a':
            o.arch = optarg;
            break;
        case 'd':
            o.depth = parse_int("depth", optarg, 2);
            break;
        case 'w':
            o.width = parse_int("width", optarg, 1);
            break;
        case 'b':
            o.batch = parse_int("batch-size", optarg, 1);
            break;
        case 't':
            o.threads = parse_int("threads", optarg, 0);
            break;
        case 's':
            o.steps = parse_int("steps", optarg, 1);
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    int i = 0;
    while (i < NETWORKS && strcmp(networks[i].name, o.arch) != 0) i++;
    if (i == NETWORKS || optind < argc) {
        fprintf(stderr, "floor: \"%s\" is not %s\n%s", optind < argc ? argv[optind] : o.arch,
                optind < argc ? "an option" : "a network that it knows", usage);
        return 2;
    }
    if (o.threads > 0) omp_set_num_threads(o.threads);
    return measure(&o);
}

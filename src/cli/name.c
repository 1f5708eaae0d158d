/* name.c: what a training is called: its settings as one word, fit for a folder.
 *
 * fcn-8x256-cifar10-adam-lr1e-3-epochs30-seed0: architecture, data set, optimiser; then every option that was given another
 * value than its default (of the optimiser's own, which have a default in each optimiser, every one that was given), in the
 * order of the table, the seed last.  Options that only look on are no part of it. */
#include "lab.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *text;
    int   length, capacity;
    bool  failed; /* out of memory */
} word;

static void put(word *w, const char *fmt, ...) PLM_PRINTF(2, 3);
static void put(word *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int n = w->failed ? -1 : vsnprintf(w->text + w->length, (size_t)(w->capacity - w->length), fmt, args);
    va_end(args);
    if (n < 0) return;
    if (w->length + n < w->capacity) {
        w->length += n;
        return;
    }
    const int capacity = 2 * (w->length + n + 1);
    char     *text     = realloc(w->text, (size_t)capacity);
    w->failed          = !text;
    if (!text) return;
    w->text     = text;
    w->capacity = capacity;
    va_start(args, fmt);
    w->length += vsnprintf(w->text + w->length, (size_t)(capacity - w->length), fmt, args);
    va_end(args);
}

char *cli_number_text(double x, char text[32])
{
    if (x == 0 || fabs(x) >= 0.1) {
        snprintf(text, 32, "%.9g", x);
        return text;
    }
    char  number[32];
    char *e;
    snprintf(number, sizeof number, "%.8e", x);
    const int exponent = (e = strchr(number, 'e')) ? (int)strtol(e + 1, NULL, 10) : 0;
    if (e) *e = '\0';
    char *end = number + strlen(number);
    while (end > number && end[-1] == '0') *--end = '\0';
    if (end > number && end[-1] == '.') *--end = '\0';
    snprintf(text, 32, "%.16se%d", number, exponent);
    return text;
}

/* Text of a user's may be a path: only its last part is kept, and of that what may stand in any file name.  If that is not
 * all, a hash of all makes up for it (FNV-1a). */
static void put_text(word *w, const char *text)
{
    const char *slash = strrchr(text, '/'), *last = slash ? slash + 1 : text;
    uint32_t    hash  = 2166136261u;
    bool        whole = !slash && *text != '.' && *text != '-';
    char        part[41];
    int         n = 0;
    for (; n < 40 && last[n]; n++) {
        const bool fits = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", last[n]);
        part[n]         = (char)(fits ? last[n] : '_');
        whole           = whole && fits;
    }
    part[n] = '\0';
    put(w, "%s", part);
    if (whole && !last[n]) return;
    for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
    put(w, "-%08x", hash);
}

/* What has its place at the front or at the end, or changes nothing in what is trained. */
static bool stands_elsewhere(const char *option)
{
    static const char *const names[] = {
        "arch",    "depth", "width",           "dataset",    "optim",     "seed",       "data", "out",
        "threads", "quiet", "test-batch-size", "epoch-zero", "log-steps", "save-every", "help", "monitor"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(option, names[i]) == 0) return true;
    return false;
}

static bool is_default(const cli_option *o, const void *value)
{
    const void *standard = (const char *)&cli_defaults + o->target;
    const char *text;
    if (cli_optimizer_owns(NULL, o->name)) return false;
    switch (o->kind) {
    case CLI_FLAG:
        return *(const bool *)value == *(const bool *)standard;
    case CLI_INTEGER:
        return *(const int64_t *)value == *(const int64_t *)standard;
    case CLI_REAL:
        return *(const double *)value == *(const double *)standard;
    case CLI_PAIR:
        return memcmp(value, standard, 2 * sizeof(double)) == 0;
    case CLI_TEXT:
        text = *(const char *const *)standard;
        return text && strcmp(*(const char *const *)value, text) == 0;
    }
    return false;
}

static void put_option(word *w, const cli_option *o, const cli_settings *s)
{
    const void *value = (const char *)s + o->target;
    char        a[32], b[32];
    if (is_default(o, value)) return;
    put(w, "-%s", o->name);
    switch (o->kind) {
    case CLI_FLAG:
        break;
    case CLI_INTEGER:
        put(w, "%lld", (long long)*(const int64_t *)value);
        break;
    case CLI_REAL:
        put(w, "%s", cli_number_text(*(const double *)value, a));
        break;
    case CLI_PAIR:
        put(w, "%s-%s", cli_number_text(((const double *)value)[0], a), cli_number_text(((const double *)value)[1], b));
        break;
    case CLI_TEXT:
        put(w, "-");
        put_text(w, *(const char *const *)value);
        break;
    }
}

char *cli_settings_name(const cli_settings *s, bool (*leave)(const char *option))
{
    word w = { malloc(128), 0, 128, false };
    if (!w.text) return NULL;
    put_text(&w, s->arch);
    if (cli_arch_has_size(s)) put(&w, "-%lldx%lld", (long long)s->depth, (long long)s->width);
    put(&w, "-");
    put_text(&w, s->dataset);
    if (!leave("optim")) {
        put(&w, "-");
        put_text(&w, s->optim);
    }
    for (int i = 0; cli_options[i].name; i++)
        if (s->given[i] && !stands_elsewhere(cli_options[i].name) && !leave(cli_options[i].name))
            put_option(&w, &cli_options[i], s);
    if (!leave("seed")) put(&w, "-seed%lld", (long long)s->seed);
    if (!w.failed) return w.text;
    free(w.text);
    return NULL;
}

bool cli_leave_seed(const char *option)
{
    return strcmp(option, "seed") == 0;
}

bool cli_leave_rate(const char *option)
{
    return strcmp(option, "lr") == 0 || cli_leave_seed(option);
}

bool cli_goes_with_rates(const char *option)
{
    static const char *const names[] = { "schedule", "warmup", "step-epochs", "step-factor", "bias", "affine" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(option, names[i]) == 0) return true;
    return false;
}

bool cli_leave_optimizer(const char *option)
{
    return strcmp(option, "optim") == 0 || strcmp(option, "epochs") == 0 || cli_optimizer_owns(NULL, option) ||
           cli_goes_with_rates(option) || cli_leave_rate(option);
}

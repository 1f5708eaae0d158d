/* parse.c: the command line, read by the table of options.
 *
 * Both --name value and --name=value; the last of several counts; "--" ends the options.  What is wrong is said in one
 * sentence, with the nearest right name. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMES CLI_MOST_OPTIONS

static _Thread_local bool usage_failed;

bool cli_usage_failed(void)
{
    return usage_failed;
}

void cli_usage_begin(void)
{
    usage_failed = false;
}

bool cli_usage_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fflush(stdout);
    fputs("plummet: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    usage_failed = true;
    return false;
}

/* Levenshtein's distance, of the first 63 letters. */
static int distance(const char *a, const char *b)
{
    int       row[64];
    const int n = (int)strnlen(b, 63);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 0; i < 63 && a[i]; i++) {
        int diagonal = row[0];
        row[0]       = i + 1;
        for (int j = 0; j < n; j++) {
            int best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j + 1] + 1 < best) best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

const char *cli_nearest(const char *word, const char *const *names, int count)
{
    const char *nearest = NULL;
    int         least   = 1 + (int)strlen(word) / 3; /* letters that may be wrong */
    for (int i = 0; i < count; i++) {
        const bool begins = strlen(word) >= 2 && strncmp(names[i], word, strlen(word)) == 0;
        const int  d      = begins ? 0 : distance(word, names[i]);
        if (d > least || (nearest && d == least)) continue;
        nearest = names[i];
        least   = d;
    }
    return nearest;
}

static const cli_option *find(const char *name, size_t length, unsigned bit)
{
    for (const cli_option *o = cli_options; o->name; o++)
        if ((o->commands & bit) && strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
    return NULL;
}

static bool unknown_option(const char *command, unsigned bit, const char *name, size_t length)
{
    const char *names[MAX_NAMES];
    char        word[64];
    int         count = 0;
    for (const cli_option *o = cli_options; o->name; o++)
        if (o->commands & bit) names[count++] = o->name;
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    const char *nearest = cli_nearest(word, names, count);
    if (nearest) return cli_usage_error("%s has no option --%s; did you mean --%s?", command, word, nearest);
    return cli_usage_error("%s has no option --%s; plummet %s --help lists them", command, word, command);
}

static bool out_of_range(const cli_option *o, const char *text)
{
    const char *number = o->kind == CLI_INTEGER ? "a whole number" : "a number";
    char        range[96];
    if (o->open_min) snprintf(range, sizeof range, "%s above %g, at most %g", number, o->min, o->max);
    else if (o->open_max) snprintf(range, sizeof range, "%s of at least %g and below %g", number, o->min, o->max);
    else snprintf(range, sizeof range, "%s from %g to %.16g", number, o->min, o->max);
    return cli_usage_error("--%s is \"%s\", expected %s%s", o->name, text,
                           o->kind == CLI_PAIR ? "two numbers A,B, each " : "", range);
}

/* A number in the option's range at *text, which moves behind it. */
static bool number(const cli_option *o, const char **text, double *x)
{
    char *end;
    *x = strtod(*text, &end);
    if (end == *text || !isfinite(*x)) return false; /* "nan" and "inf" are numbers to strtod */
    *text = end;
    return (o->open_min ? *x > o->min : *x >= o->min) && (o->open_max ? *x < o->max : *x <= o->max);
}

static bool set_integer(const cli_option *o, const char *text, int64_t *target)
{
    char *end;
    errno             = 0;
    const long long n = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)n < o->min || (double)n > o->max) return out_of_range(o, text);
    *target = n;
    return true;
}

static bool set_reals(const cli_option *o, const char *text, double *target, int count)
{
    const char *at = text;
    for (int i = 0; i < count; i++) {
        if (i > 0 && *at++ != ',') return out_of_range(o, text);
        if (!number(o, &at, &target[i])) return out_of_range(o, text);
    }
    return *at == '\0' || out_of_range(o, text);
}

/* "mse|xent|square" are the words allowed; "NAME" alone allows all. */
static bool set_text(const cli_option *o, const char *text, const char **target)
{
    char        words[64];
    const char *word[8];
    int         count = 0;
    if (!*text) return cli_usage_error("--%s is empty, expected %s", o->name, o->value);
    *target = text;
    if (!strchr(o->value, '|')) return true;
    snprintf(words, sizeof words, "%s", o->value);
    for (char *w = words; w && count < 8;) {
        char *bar = strchr(w, '|');
        if (bar) *bar++ = '\0';
        if (strcmp(w, text) == 0) return true;
        word[count++] = w;
        w             = bar;
    }
    const char *nearest = cli_nearest(text, word, count);
    return cli_usage_error("--%s is \"%s\", expected one of %s%s%s%s", o->name, text, o->value,
                           nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static bool set(const cli_option *o, const char *text, cli_settings *s)
{
    void *target = (char *)s + o->target;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)target = true;
        return true;
    case CLI_INTEGER:
        return set_integer(o, text, target);
    case CLI_REAL:
        return set_reals(o, text, target, 1);
    case CLI_PAIR:
        return set_reals(o, text, target, 2);
    case CLI_TEXT:
        return set_text(o, text, target);
    }
    return false;
}

bool cli_walk(const cli_words *words, unsigned bits, bool (*each)(void *user, const cli_option *o, const char *value),
              void *user, const char **inputs, int *count)
{
    const char *command = words->command;
    bool        options = true;
    *count              = 0;
    for (int i = 0; i < words->count; i++) {
        const char *word = words->word[i];
        if (options && strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        if (options && strcmp(word, "-h") == 0) word = "--help";
        if (!options || strncmp(word, "--", 2) != 0) {
            if (inputs && (!options || word[0] != '-' || strcmp(word, "-") == 0)) inputs[(*count)++] = word;
            else return cli_usage_error("%s does not know what to do with \"%s\"", command, word);
            continue;
        }
        word += 2;
        const size_t      length = strcspn(word, "=");
        const cli_option *o      = find(word, length, bits);
        if (!o) return unknown_option(command, bits, word, length);
        const char *value = word[length] == '=' ? word + length + 1 : NULL;
        if (o->kind == CLI_FLAG && value) return cli_usage_error("--%s takes no value, not \"%s\"", o->name, value);
        if (o->kind != CLI_FLAG && !value && ++i < words->count && strncmp(words->word[i], "--", 2) != 0)
            value = words->word[i];
        if (o->kind != CLI_FLAG && !value) return cli_usage_error("--%s needs a value: %s", o->name, o->value);
        if (!each(user, o, value)) return false;
    }
    return true;
}

bool cli_set(cli_settings *s, const cli_option *o, const char *value)
{
    if (!set(o, value, s)) return false;
    s->given[o - cli_options] = true;
    return true;
}

static bool set_one(void *user, const cli_option *o, const char *value)
{
    return cli_set(user, o, value);
}

bool cli_parse(const cli_words *words, unsigned bit, cli_settings *s, const char **inputs, int *count)
{
    *s = cli_defaults;
    return cli_walk(words, bit, set_one, s, inputs, count);
}

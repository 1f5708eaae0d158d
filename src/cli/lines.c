/* lines.c: runs that differ only in the seed are one line; its label is what it has other than the other lines. */
#include "lines.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TEXT 400

bool cli_key_is_setting(const char *key)
{
    static const char *const others[] = {
        "seed",    "data",   "threads",         "epoch_zero", "log_steps",    "samples",
        "classes", "layers", "test_batch_size", "parameters", "plummet",      "onednn",
        "isa",     "cpu",    "resumed",         "save_every", "on_nonfinite", "monitor"
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(key, others[i]) == 0) return false;
    return true;
}

char *cli_value_text(const cJSON *value, char *text, size_t size)
{
    size_t used = 0;
    *text       = '\0';
    if (cJSON_IsString(value)) snprintf(text, size, "%s", value->valuestring);
    else if (cJSON_IsNumber(value)) snprintf(text, size, "%.9g", value->valuedouble);
    else if (cJSON_IsBool(value)) snprintf(text, size, "%s", cJSON_IsTrue(value) ? "yes" : "no");
    else
        for (const cJSON *item = value ? value->child : NULL; item && used < size; item = item->next) {
            const char *name = cJSON_IsObject(value) && item->string ? item->string : "";
            const int   n    = snprintf(text + used, size - used, "%s%s%s", used ? ", " : "", name, *name ? " " : "");
            if (n > 0) used += (size_t)n;
            if (used >= size || cJSON_IsArray(item) || cJSON_IsObject(item)) continue;
            cli_value_text(item, text + used, size - used);
            used += strlen(text + used);
        }
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = ' ';
    return text;
}

/* Are these two runs of one line? */
static bool same_settings(const cJSON *a, const cJSON *b)
{
    for (int pass = 0; pass < 2; pass++) { /* every setting of the one is in the other */
        for (const cJSON *x = (pass ? b : a)->child; x; x = x->next) {
            const cJSON *y = cJSON_GetObjectItemCaseSensitive(pass ? a : b, x->string);
            if (cli_key_is_setting(x->string) && !(y && cJSON_Compare(x, y, true))) return false;
        }
    }
    return true;
}

static const cJSON *config_of(const cli_lines *lines, int i)
{
    return lines->line[i].run[0]->config;
}

/* Do two lines have different values of this setting?  Lines that have no such setting do not count. */
static bool varies(const cli_lines *lines, const char *key)
{
    const cJSON *first = NULL;
    for (int i = 0; i < lines->count; i++) {
        const cJSON *x = cJSON_GetObjectItemCaseSensitive(config_of(lines, i), key);
        if (x && first && !cJSON_Compare(x, first, true)) return true;
        if (x) first = x;
    }
    return false;
}

static void append(char text[MOST_TEXT], const char *more)
{
    const size_t used = strlen(text);
    if (!*more) return;
    snprintf(text + used, MOST_TEXT - used, "%s%s", used ? " " : "", more);
}

/* "adam lr 0.001": words speak for themselves, numbers have their names. */
static void label_of(const cli_lines *lines, int i, char text[MOST_TEXT])
{
    char value[100], key[64];
    *text = '\0';
    for (const cJSON *x = config_of(lines, i)->child; x; x = x->next) {
        if (!cli_key_is_setting(x->string) || !varies(lines, x->string)) continue;
        snprintf(key, sizeof key, "%s", x->string);
        for (char *c = key; *c; c++)
            if (*c == '_') *c = ' ';
        cli_value_text(x, value, sizeof value);
        if (!cJSON_IsString(x)) append(text, cJSON_IsFalse(x) ? "no" : cJSON_IsNull(x) ? "without" : "");
        if (!cJSON_IsString(x)) append(text, key);
        if (!cJSON_IsBool(x)) append(text, value);
    }
}

static char *copy(const char *text)
{
    char *to = malloc(strlen(text) + 1);
    return to ? strcpy(to, text) : NULL;
}

/* Does an earlier line already have this label?  Then the settings that differ are missing in one of the files. */
static bool is_taken(const cli_lines *lines, int i, const char *label)
{
    for (int k = 0; k < i; k++)
        if (strcmp(lines->line[k].label, label) == 0) return true;
    return false;
}

static bool label_all(cli_lines *lines)
{
    char text[MOST_TEXT], note[64];
    for (int i = 0; i < lines->count; i++) {
        cli_line *l = &lines->line[i];
        label_of(lines, i, text);
        const char *optim = lines->count == 1 ? cli_run_text(l->run[0], "optim") : NULL;
        if (!*text) append(text, optim ? optim : l->run[0]->name);
        snprintf(note, sizeof note, "(%d of %d diverged)", l->diverged, l->runs);
        if (l->diverged) append(text, note);
        if (is_taken(lines, i, text)) append(text, l->run[0]->name);
        l->label = copy(text);
        if (!l->label) return false;
    }
    return true;
}

/* What the lines share, as a title says it. */
static bool say_common(cli_lines *lines)
{
    static const struct {
        const char *key, *before, *after;
    } said[]               = { { "arch", "", "" },        { "depth", " ", "" },      { "width", "x", "" },
                               { "dataset", " on ", "" }, { "loss", ", loss ", "" }, { "batch_size", ", batch ", "" } };
    char   text[MOST_TEXT] = "", value[100];
    size_t used            = 0;
    for (size_t i = 0; i < sizeof said / sizeof *said && lines->count > 0; i++) {
        const cJSON *x = cJSON_GetObjectItemCaseSensitive(config_of(lines, 0), said[i].key);
        if (!x || varies(lines, said[i].key) || used >= sizeof text) continue;
        const char *before = said[i].before + (used == 0 ? strspn(said[i].before, " ,x") : 0);
        if (*before == 'x' && varies(lines, "depth")) before = " width ";
        const int n = snprintf(text + used, sizeof text - used, "%s%s", before, cli_value_text(x, value, sizeof value));
        if (n > 0) used += (size_t)n;
    }
    lines->common = copy(text);
    return lines->common;
}

/* The line of a run that has been put into none yet. */
static cli_line *line_of(cli_lines *lines, const cli_run *run)
{
    for (int i = 0; i < lines->count; i++)
        if (same_settings(config_of(lines, i), run->config)) return &lines->line[i];
    return &lines->line[lines->count];
}

/* Of a line's runs, those that are drawn stay. */
static void choose(cli_line *l)
{
    cli_run_state best = CLI_RUN_DIVERGED;
    int           kept = 0;
    for (int i = 0; i < l->runs; i++)
        if (l->run[i]->state < best) best = l->run[i]->state;
    for (int i = 0; i < l->runs; i++) {
        l->diverged += l->run[i]->state == CLI_RUN_DIVERGED;
        if (l->run[i]->state == best) l->run[kept++] = l->run[i];
    }
    l->count = kept;
}

static bool group(cli_lines *lines, const cli_runs *runs)
{
    lines->line  = calloc((size_t)runs->count + 1, sizeof *lines->line);
    lines->count = 0;
    if (!lines->line) return false;
    for (int i = 0; i < runs->count; i++) {
        cli_line *l = line_of(lines, &runs->run[i]);
        if (!l->run) {
            l->run = malloc((size_t)runs->count * sizeof *l->run);
            if (!l->run) return false;
            lines->count++;
        }
        l->run[l->runs++] = &runs->run[i];
    }
    for (int i = 0; i < lines->count; i++) choose(&lines->line[i]);
    return true;
}

bool cli_lines_new(plm_ctx *ctx, const cli_runs *runs, cli_lines *lines)
{
    *lines = (cli_lines){ .chance = runs->count ? cli_run_chance(&runs->run[0]) : (double)NAN };
    for (int i = 0; i < runs->count; i++)
        if (cli_run_chance(&runs->run[i]) != lines->chance) lines->chance = NAN;
    if (group(lines, runs) && label_all(lines) && say_common(lines)) return true;
    cli_lines_free(lines);
    return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the lines of a plot: out of memory");
}

void cli_lines_free(cli_lines *lines)
{
    for (int i = 0; i < lines->count; i++) {
        free(lines->line[i].label);
        free(lines->line[i].run);
    }
    free(lines->line);
    free(lines->common);
    *lines = (cli_lines){ 0 };
}

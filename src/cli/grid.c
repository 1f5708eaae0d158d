/* grid.c: lists of values become cells, each the settings of one training.
 *
 * A value of an option of `plummet train` may be a list "a,b,c" or a range "a:b".  A range of whole numbers doubles; one of
 * other numbers has one value in every decade, "a:b:n" has n.  An option that is given again adds its values.  All of it is
 * text until cli_set reads it, so an option that train learns is one that a grid has. */
#include "lab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CELLS 10000
#define MOST_VALUES 1000 /* of one option */

/* An option and its values. */
typedef struct {
    const cli_option *option;
    const char      **value; /* NULL in the place of one: a flag */
    int               count, capacity;
} axis;

typedef struct {
    plm_ctx  *ctx;
    cli_grid *grid;
    axis      axis[CLI_MOST_OPTIONS];
    int       axes;
} expansion;

static bool out_of_memory(plm_ctx *ctx)
{
    return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the grid: out of memory");
}

/* Room for one more of `size` bytes behind `count`. */
static bool grow(plm_ctx *ctx, void *array, int count, int *capacity, size_t size)
{
    if (count < *capacity) return true;
    const int more = *capacity ? 2 * *capacity : 16;
    void     *old, *new;
    memcpy(&old, array, sizeof old);
    new = realloc(old, (size_t)more * size);
    if (!new) return out_of_memory(ctx);
    memcpy(array, &new, sizeof new);
    *capacity = more;
    return true;
}

/* ------------------------------------------------------------------ lists and ranges */

/* A copy of `n` letters that lives as long as the grid. */
static const char *keep(expansion *e, const char *text, size_t n)
{
    cli_grid *g = e->grid;
    if (!grow(e->ctx, &g->text, g->texts, &g->text_capacity, sizeof *g->text)) return NULL;
    char *copy = malloc(n + 1);
    if (!copy) {
        out_of_memory(e->ctx);
        return NULL;
    }
    memcpy(copy, text, n);
    copy[n]             = '\0';
    g->text[g->texts++] = copy;
    return copy;
}

static bool add_value(expansion *e, axis *a, const char *text, size_t n)
{
    const char *value = text ? keep(e, text, n) : NULL;
    if ((text && !value) || !grow(e->ctx, &a->value, a->count, &a->capacity, sizeof *a->value)) return false;
    if (a->count == MOST_VALUES) return cli_usage_error("--%s has more than %d values", a->option->name, MOST_VALUES);
    a->value[a->count++] = value;
    return true;
}

static bool bad_range(const axis *a, const char *text, size_t n, const char *why)
{
    return cli_usage_error("--%s has the range \"%.*s\", %s", a->option->name, (int)n, text, why);
}

/* from, from*ratio, ... up to `to` (a hair more, for rounding). */
static bool add_powers(expansion *e, axis *a, double from, double to, double per_decade)
{
    const bool   whole = a->option->kind == CLI_INTEGER;
    const double ratio = whole ? 2 : pow(10, 1 / per_decade);
    for (int i = 0;; i++) {
        char         text[32], rounded[32];
        const double x = from * pow(ratio, i);
        if (x > to * (1 + 1e-6)) return true;
        snprintf(rounded, sizeof rounded, "%.3g", x); /* 1.58e-7, and 1e-4 whatever pow makes of it */
        if (whole) snprintf(text, sizeof text, "%.0f", x);
        else cli_number_text(i == 0 ? x : strtod(rounded, NULL), text);
        if (!add_value(e, a, text, strlen(text))) return false;
    }
}

/* "a:b" or "a:b:n", n letters long. */
static bool add_range(expansion *e, axis *a, const char *text, size_t n)
{
    char *end;
    if (a->option->kind != CLI_INTEGER && a->option->kind != CLI_REAL)
        return bad_range(a, text, n, "only numbers have ranges");
    const double from       = strtod(text, &end);
    bool         read       = end > text && *end == ':';
    const char  *second     = end + 1;
    const double to         = read ? strtod(second, &end) : 0;
    double       per_decade = 1;
    read                    = read && end > second;
    if (read && *end == ':') {
        const char *third = end + 1;
        per_decade        = strtod(third, &end);
        read              = end > third && per_decade >= 1 && per_decade <= 100 && per_decade == floor(per_decade);
        if (read && a->option->kind == CLI_INTEGER) return bad_range(a, text, n, "whole numbers double from a to b");
    }
    if (!read || end != text + n || !isfinite(from) || !isfinite(to))
        return bad_range(a, text, n, "expected a:b, or a:b:n with n values in a decade");
    if (from <= 0) return bad_range(a, text, n, "which must begin above 0");
    if (to < from) return bad_range(a, text, n, "which is empty: it ends before it begins");
    if (a->option->kind == CLI_INTEGER && (from != floor(from) || from > 0x1p53))
        return bad_range(a, text, n, "expected whole numbers");
    return add_powers(e, a, from, to, per_decade);
}

/* A pair has a comma of its own, and a column's name may have any letter: neither is a list. */
static bool is_list(const cli_option *o)
{
    return o->kind != CLI_PAIR && strcmp(o->name, "label") != 0;
}

static bool add_list(expansion *e, axis *a, const char *text)
{
    if (!text || !is_list(a->option)) return add_value(e, a, text, text ? strlen(text) : 0);
    for (const char *at = text;; at++) {
        const size_t n     = strcspn(at, ",");
        const bool   range = a->option->kind != CLI_TEXT && memchr(at, ':', n);
        if (n == 0) return cli_usage_error("--%s is \"%s\", a list with an empty place", a->option->name, text);
        if (!(range ? add_range(e, a, at, n) : add_value(e, a, at, n))) return false;
        at += n;
        if (!*at) return true;
    }
}

static axis *axis_of(expansion *e, const cli_option *o)
{
    for (int i = 0; i < e->axes; i++)
        if (e->axis[i].option == o) return &e->axis[i];
    e->axis[e->axes] = (axis){ .option = o };
    return &e->axis[e->axes++];
}

/* --seeds N: the seeds 0 to N-1, as if they had been listed. */
static bool add_seeds(expansion *e, const cli_request *r)
{
    const cli_option *o = cli_options;
    if (!cli_given(&r->own, "seeds")) return true;
    while (strcmp(o->name, "seed") != 0) o++;
    axis *a = axis_of(e, o);
    if (a->count) return cli_usage_error("--seeds counts from seed 0 on and does not go with --seed, which lists them");
    for (int64_t seed = 0; seed < r->own.seeds; seed++) {
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)seed);
        if (!add_value(e, a, text, strlen(text))) return false;
    }
    return true;
}

static bool is_seed(const axis *a)
{
    return strcmp(a->option->name, "seed") == 0;
}

/* The seed first: it changes slowest, so that a first comparison is whole as soon as may be.  The others by the table. */
static int by_speed(const void *left, const void *right)
{
    const axis *a = left, *b = right;
    if (is_seed(a) != is_seed(b)) return is_seed(a) ? -1 : 1;
    return (a->option > b->option) - (a->option < b->option);
}

static bool read_axes(expansion *e, const cli_request *r)
{
    for (int i = 0; i < r->count; i++)
        if (!add_list(e, axis_of(e, r->given[i].option), r->given[i].value)) return false;
    if (!add_seeds(e, r)) return false;
    qsort(e->axis, (size_t)e->axes, sizeof *e->axis, by_speed);
    return true;
}

/* ------------------------------------------------------------------ cells */

/* A hash table with open addressing.  Where the cell of this name and seed stands in it, or would stand. */
static int *place_of(const cli_grid *g, const char *name, int64_t seed)
{
    uint64_t hash = (uint64_t)seed ^ 14695981039346656037u; /* FNV-1a */
    for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    for (hash ^= hash >> 32;; hash++) {
        int *place = &g->place[hash % (uint64_t)g->places];
        if (*place == 0) return place;
        const cli_cell *c = &g->cell[*place - 1];
        if (c->settings.seed == seed && strcmp(c->group, name) == 0) return place;
    }
}

/* Room for one more cell. */
static bool grow_places(plm_ctx *ctx, cli_grid *g)
{
    if (2 * (g->count + 1) <= g->places) return true;
    const int places = g->places ? 2 * g->places : 64;
    int      *place  = calloc((size_t)places, sizeof *place);
    if (!place) return out_of_memory(ctx);
    free(g->place);
    g->place  = place;
    g->places = places;
    for (int i = 0; i < g->count; i++) *place_of(g, g->cell[i].group, g->cell[i].settings.seed) = i + 1;
    return true;
}

static bool add_cell(expansion *e, const cli_settings *s, const char *out)
{
    cli_grid *g    = e->grid;
    char     *name = cli_settings_name(s, cli_leave_seed);
    if (!name) return out_of_memory(e->ctx);
    int *place = grow_places(e->ctx, g) ? place_of(g, name, s->seed) : NULL;
    if (!place || *place) {
        free(name);
        return place != NULL; /* there already, or no memory */
    }
    const size_t size = strlen(out) + strlen(name) + 64;
    char        *dir  = malloc(size);
    if (g->count == MOST_CELLS || !dir || !grow(e->ctx, &g->cell, g->count, &g->capacity, sizeof *g->cell)) {
        free(dir);
        free(name);
        if (g->count == MOST_CELLS) return cli_usage_error("the grid has more than %d runs", MOST_CELLS);
        return out_of_memory(e->ctx);
    }
    snprintf(dir, size, "%s/runs/%s-seed%lld", out, name, (long long)s->seed);
    cli_cell *c       = &g->cell[g->count++];
    *place            = g->count;
    *c                = (cli_cell){ .settings = *s, .group = name, .dir = dir };
    c->settings.out   = dir;
    c->settings.quiet = true;
    return true;
}

/* Does the option say anything with these settings, of optimiser and architecture? */
static bool belongs(const cli_settings *s, const char *option)
{
    if (strcmp(option, "depth") == 0 || strcmp(option, "width") == 0) return cli_arch_has_size(s);
    if (cli_goes_with_rates(option)) return cli_optimizer_owns(s->optim, "lr");
    return !cli_optimizer_owns(NULL, option) || cli_optimizer_owns(s->optim, option);
}

/* The settings at one place of the grid; false: an axis that does not belong here is not at its first value, so this is a
 * cell that has come by already.  *ok: the values could be read.  used[i]: axis i belongs here. */
static bool settle(const expansion *e, const int *at, const cli_settings *own, cli_settings *s, bool *used, bool *ok)
{
    *s  = cli_defaults;
    *ok = true;
    for (int pass = 0; pass < 2; pass++) /* what decides what belongs comes first */
        for (int i = 0; *ok && i < e->axes; i++) {
            const cli_option *o       = e->axis[i].option;
            const bool        decides = strcmp(o->name, "arch") == 0 || strcmp(o->name, "optim") == 0;
            if (decides == (pass == 1)) continue;
            used[i] = decides || belongs(s, o->name);
            if (used[i]) *ok = cli_set(s, o, e->axis[i].value[at[i]]);
            else if (at[i] > 0) return false;
        }
    s->data    = own->data;
    s->threads = own->threads;
    return *ok;
}

/* The next place, the last axis fastest; false: that was the last. */
static bool advance(const expansion *e, int *at)
{
    for (int i = e->axes - 1; i >= 0; i--) {
        if (++at[i] < e->axis[i].count) return true;
        at[i] = 0;
    }
    return false;
}

/* Every value is read, also one that no cell uses: a word that is wrong is never passed over. */
static bool check_values(const expansion *e)
{
    cli_settings s = cli_defaults;
    for (int i = 0; i < e->axes; i++)
        for (int k = 0; k < e->axis[i].count; k++)
            if (!cli_set(&s, e->axis[i].option, e->axis[i].value[k])) return false;
    return true;
}

static bool add_cells(expansion *e, const cli_request *r, const char *out, bool strict, const plm_cli_extra *extra)
{
    int          at[CLI_MOST_OPTIONS]   = { 0 };
    bool         used[CLI_MOST_OPTIONS] = { false }, ever[CLI_MOST_OPTIONS] = { false }, ok;
    cli_settings s;
    double       places = 1;
    for (int i = 0; i < e->axes; i++) places *= e->axis[i].count;
    if (places > 100.0 * MOST_CELLS) return cli_usage_error("the grid has more than %d runs", MOST_CELLS);
    do {
        const bool cell = settle(e, at, &r->own, &s, used, &ok);
        if (!ok) return false;
        if (!cell) continue;
        s.out = out; /* --log-steps asks for one */
        if (!cli_train_check(&s, extra) || !add_cell(e, &s, out)) return false;
        for (int i = 0; i < e->axes; i++) ever[i] |= used[i];
    } while (advance(e, at));
    for (int i = 0; strict && i < e->axes; i++) {
        if (ever[i]) continue;
        return cli_set(&s, e->axis[i].option, e->axis[i].value[0]) && cli_train_check(&s, extra) &&
               cli_usage_error("--%s does not go with any run of the grid", e->axis[i].option->name);
    }
    return true;
}

bool cli_grid_add(plm_ctx *ctx, cli_grid *g, const cli_request *r, const char *out, bool strict,
                  const plm_cli_extra *extra)
{
    expansion  e  = { .ctx = ctx, .grid = g };
    const bool ok = read_axes(&e, r) && check_values(&e) && add_cells(&e, r, out, strict, extra);
    for (int i = 0; i < e.axes; i++) free(e.axis[i].value);
    return ok;
}

bool cli_grid_add_rate(plm_ctx *ctx, cli_grid *g, int cell, double lr, const char *out)
{
    expansion    e = { .ctx = ctx, .grid = g };
    cli_settings s = g->cell[cell].settings;
    char         text[32];
    s.lr = strtod(cli_number_text(lr, text), NULL); /* what dividing by ten has left over */
    return add_cell(&e, &s, out);
}

void cli_grid_free(cli_grid *g)
{
    for (int i = 0; i < g->count; i++) {
        free(g->cell[i].group);
        free(g->cell[i].dir);
        free(g->cell[i].asked);
        cli_run_free(&g->cell[i].result);
    }
    for (int i = 0; i < g->texts; i++) free(g->text[i]);
    free(g->cell);
    free(g->text);
    free(g->place);
    *g = (cli_grid){ 0 };
}

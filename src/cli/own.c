/* own.c: what a user's program brings beside architectures: options of its optimisers, and kinds of module in saved networks.
 *
 * A field of a user's optimiser that no option of the library's optimisers is called like becomes a row of the table of options, for
 * this thread: then the command line, grids, resuming and config.json know it like any other. */
#include "cli.h"

#include <math.h>
#include <string.h>

enum { MAX_NAME = 40, MAX_HELP = 160 };

static _Thread_local const plm_module_kind *const *modules;
static _Thread_local struct {
    char name[MAX_NAME + 1], help[MAX_HELP];
} texts[CLI_MOST_OWN];
static _Thread_local int count; /* rows of the user's own */

bool cli_option_is_own(const cli_option *o)
{
    return o->target >= offsetof(cli_settings, own) &&
           o->target < offsetof(cli_settings, own) + sizeof cli_defaults.own;
}

static cli_option *end_of_options(void)
{
    cli_option *o = cli_options;
    while (o->name) o++;
    return o;
}

static cli_option *find(const char *name)
{
    for (cli_option *o = cli_options; o->name; o++)
        if (strcmp(o->name, name) == 0) return o;
    return NULL;
}

/* "--min-rate" of min_rate; false: no name for an option, or config.json says something else by it. */
static bool option_name(const char *field, char name[MAX_NAME + 1])
{
    static const char *const facts[] = { "augment", "samples", "classes", "layers", "parameters",
                                         "plummet", "onednn",  "isa",     "cpu" };
    const size_t             length  = strlen(field);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (strcmp(field, facts[i]) == 0) return false;
    if (length == 0 || length > MAX_NAME || strspn(field, "abcdefghijklmnopqrstuvwxyz0123456789_") != length)
        return false;
    strcpy(name, field);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
    return name[0] != '-';
}

/* The range is the field's bounds, of numbers that a float or the integer holds. */
static cli_option row_of(const plm_field *f)
{
    const bool   none = f->bounds == PLM_BOUNDS_NONE, positive = f->bounds == PLM_BOUNDS_POSITIVE;
    const bool   fraction = f->bounds == PLM_BOUNDS_FRACTION;
    const double most     = f->type == PLM_FIELD_INT ? 0x1p31 - 1 : 0x1p53;
    cli_option   o        = { .commands = CLI_TRAIN | CLI_BENCH };
    switch (f->type) {
    case PLM_FIELD_BOOL:
        o.kind = CLI_FLAG;
        return o;
    case PLM_FIELD_DOUBLE:
        o.kind     = CLI_REAL;
        o.value    = "X";
        o.min      = none ? -1e30 : 0;
        o.max      = fraction ? 1 : 1e30;
        o.open_min = positive;
        o.open_max = fraction;
        return o;
    case PLM_FIELD_INT:
    case PLM_FIELD_INT64:
        o.kind  = CLI_INTEGER;
        o.value = "N";
        o.min   = none ? -most : positive;
        o.max   = fraction ? 0 : most;
    }
    return o;
}

/* "of sam (0.05), asam (2)" */
static void add_help(char help[MAX_HELP], const plm_optimizer_kind *kind, const plm_field *f)
{
    const size_t used = strlen(help);
    char         standard[32];
    snprintf(standard, sizeof standard, f->type == PLM_FIELD_BOOL ? "" : " (%g)", f->otherwise);
    snprintf(help + used, MAX_HELP - used, "%s%s%s", used ? ", " : "of ", kind->name, standard);
}

static void add_field(const plm_optimizer_kind *kind, const plm_field *f)
{
    char name[MAX_NAME + 1];
    if (cli_optimizer_shares(f->name) || !option_name(f->name, name)) return;
    cli_option *o = find(name), made = row_of(f);
    if (o && (!cli_option_is_own(o) || o->kind != made.kind)) return; /* taken: the field stays at its default */
    if (!o) {
        o = end_of_options();
        if (count == CLI_MOST_OWN || o - cli_options == CLI_MOST_OPTIONS) return;
        made.name   = strcpy(texts[count].name, name);
        made.help   = strcpy(texts[count].help, "");
        made.target = offsetof(cli_settings, own) + (size_t)count++ * sizeof(cli_own_value);
        *o          = made;
    }
    add_help(texts[(o->target - offsetof(cli_settings, own)) / sizeof(cli_own_value)].help, kind, f);
    /* Of several kinds: what one of them takes; each still says what is out of its own bounds. */
    if (made.min < o->min || (made.min <= o->min && !made.open_min)) o->open_min = made.open_min;
    if (made.max > o->max || (made.max >= o->max && !made.open_max)) o->open_max = made.open_max;
    o->min = fmin(o->min, made.min);
    o->max = fmax(o->max, made.max);
}

void cli_own_use(const plm_cli_extra *extra)
{
    for (cli_option *o = cli_options; o->name; o++)
        if (cli_option_is_own(o)) *o = (cli_option){ 0 };
    count   = 0;
    modules = extra ? extra->modules : NULL;
    for (int k = 0; extra && extra->optimizers && extra->optimizers[k]; k++)
        for (const plm_field *f = extra->optimizers[k]->fields; f && f->name; f++) add_field(extra->optimizers[k], f);
}

plm_graph *cli_open(plm_ctx *ctx, const cli_settings *s)
{
    return plm_graph_open_with(ctx, s->weights, &(plm_open_desc){ .kinds = modules });
}

/* optimizer.c: optimisers by name, the library's and then those of the user's program, and which options are theirs.
 *
 * Everything is read off the kinds' tables of fields: a field weight_decay is the option --weight-decay, beta1 and beta2 are
 * --betas.  A kind with such a table needs no line here; of a user's kind, own.c makes options of what has no such name. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KINDS 64

static _Thread_local const plm_optimizer_kind *const *extra_kinds;

void cli_optimizers_use(const plm_cli_extra *extra)
{
    extra_kinds = extra ? extra->optimizers : NULL;
}

/* All kinds into `list`; their number. */
static int list_kinds(const plm_optimizer_kind *list[MAX_KINDS])
{
    const plm_optimizer_kind *const *from[] = { plm_optimizer_kinds(), extra_kinds };
    int                              count  = 0;
    for (int i = 0; i < 2; i++)
        for (int k = 0; from[i] && from[i][k] && count < MAX_KINDS; k++) list[count++] = from[i][k];
    return count;
}

static const plm_optimizer_kind *find(const char *name)
{
    const plm_optimizer_kind *list[MAX_KINDS];
    const int                 count = list_kinds(list);
    for (int i = 0; i < count; i++)
        if (strcmp(list[i]->name, name) == 0) return list[i];
    return NULL;
}

bool cli_optimizer_shares(const char *field)
{
    for (const plm_optimizer_kind *const *k = plm_optimizer_kinds(); *k; k++)
        for (const plm_field *f = (*k)->fields; f && f->name; f++)
            if (strcmp(f->name, field) == 0) return true;
    return false;
}

/* The option that a field's value comes from: one of the library's optimisers, or of the user's own; NULL: none. */
static const cli_option *option_of(const plm_field *f)
{
    const bool beta = strcmp(f->name, "beta1") == 0 || strcmp(f->name, "beta2") == 0;
    char       name[64];
    snprintf(name, sizeof name, "%s", beta ? "betas" : f->name);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
    for (const cli_option *o = cli_options; o->name; o++)
        if (strcmp(o->name, name) == 0 && o->kind != CLI_TEXT)
            return cli_option_is_own(o) || cli_optimizer_shares(f->name) ? o : NULL;
    return NULL;
}

static bool owns(const plm_optimizer_kind *kind, const char *option)
{
    if (cli_schedule_owns(option)) return kind && owns(kind, "lr");
    for (const plm_field *f = kind ? kind->fields : NULL; f && f->name; f++) {
        const cli_option *o = option_of(f);
        if (o && strcmp(o->name, option) == 0) return true;
    }
    return false;
}

bool cli_optimizer_owns(const char *optim, const char *option)
{
    const plm_optimizer_kind *list[MAX_KINDS];
    if (optim) return owns(find(optim), option);
    const int count = list_kinds(list);
    for (int i = 0; i < count; i++)
        if (owns(list[i], option)) return true;
    return false;
}

bool cli_optimizer_known(const char *option, const char *name)
{
    const plm_optimizer_kind *list[MAX_KINDS];
    const char               *names[MAX_KINDS];
    char                      known[512] = "";
    const int                 count      = list_kinds(list);
    for (int i = 0; i < count; i++) {
        names[i] = list[i]->name;
        if (strcmp(name, names[i]) == 0) return true;
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = cli_nearest(name, names, count);
    return cli_usage_error("%s is \"%s\", known are %s%s%s%s", option, name, known, nearest ? "; did you mean " : "",
                           nearest ? nearest : "", nearest ? "?" : "");
}

/* "--lr, --betas, --eps" */
static void own_options(const plm_optimizer_kind *kind, char text[512])
{
    text[0] = '\0';
    for (const cli_option *o = cli_options; o->name; o++) {
        const size_t used = strlen(text);
        if (owns(kind, o->name) && !cli_schedule_owns(o->name))
            snprintf(text + used, 512 - used, "%s--%s", used ? ", " : "", o->name);
    }
}

/* What the command line says of a field, else its default. */
static double value_of(const plm_field *f, const cli_settings *s)
{
    const cli_option *o = option_of(f);
    if (!o || !cli_given(s, o->name)) return f->otherwise;
    const char *at = (const char *)s + o->target;
    switch (o->kind) {
    case CLI_FLAG:
        return *(const bool *)at;
    case CLI_INTEGER:
        return (double)*(const int64_t *)at;
    default: /* the second of a pair is that of beta2 */
        return ((const double *)at)[o->kind == CLI_PAIR && f->name[strlen(f->name) - 1] == '2'];
    }
}

/* The kind's desc as the command line has it; lr > 0: instead of the default rate.  To be given to free; NULL: no memory. */
static void *desc_of(const plm_optimizer_kind *kind, const cli_settings *s, double lr)
{
    void *desc = calloc(1, kind->desc_bytes + 1);
    for (const plm_field *f = kind->fields; desc && f && f->name; f++) {
        const bool rate = strcmp(f->name, "lr") == 0 && lr > 0 && !cli_given(s, "lr");
        plm_field_set(f, desc, rate ? lr : value_of(f, s));
    }
    return desc;
}

/* Do the settings agree with each other?  The kind is asked in a context of its own, whose sentence is shown. */
static bool check_desc(const plm_optimizer_kind *kind, const cli_settings *s)
{
    plm_ctx *ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = 1 });
    void    *desc = desc_of(kind, s, 0);
    bool     ok   = true;
    if (ctx && desc)
        ok = plm_fields_resolve(ctx, kind->fields, desc, kind->name) && (!kind->check || kind->check(ctx, desc));
    if (!ok) cli_usage_error("%s", plm_ctx_error(ctx));
    free(desc);
    plm_ctx_free(ctx);
    return ok; /* without memory the training will say so */
}

bool cli_optimizer_check(const cli_settings *s)
{
    if (!cli_optimizer_known("--optim", s->optim)) return false;
    const plm_optimizer_kind *kind = find(s->optim);
    for (const cli_option *o = cli_options; o->name; o++) {
        char own[512], why[128] = "";
        if (!cli_given(s, o->name) || owns(kind, o->name) || !cli_optimizer_owns(NULL, o->name)) continue;
        if (!owns(kind, "lr")) snprintf(why, sizeof why, ": %.60s has no learning rate", s->optim);
        own_options(kind, own);
        return cli_usage_error("--%s does not go with --optim %s%s%s%s", o->name, s->optim, why,
                               *own ? "; its options are " : "", own);
    }
    return check_desc(kind, s);
}

double cli_optimizer_rate(const cli_settings *s)
{
    const plm_optimizer_kind *kind = find(s->optim);
    for (const plm_field *f = kind ? kind->fields : NULL; f && f->name; f++)
        if (strcmp(f->name, "lr") == 0) return value_of(f, s);
    return 0;
}

plm_optimizer *cli_optimizer_new(plm_graph *net, const cli_settings *s, double lr)
{
    const plm_optimizer_kind *kind = find(s->optim);
    void                     *desc = desc_of(kind, s, lr);
    plm_optimizer            *o    = desc ? plm_optimizer_new(net, kind, desc) : NULL;
    if (!desc) plm_ctx_fail(plm_graph_ctx(net), PLM_ERR_MEMORY, "%s: out of memory", kind->name);
    free(desc);
    return o;
}

void cli_optimizer_describe(const cli_settings *s, cJSON *into)
{
    const plm_optimizer_kind *kind = find(s->optim);
    cJSON_AddStringToObject(into, "optim", s->optim);
    for (const plm_field *f = kind->fields; f && f->name; f++) {
        const double x = value_of(f, s);
        if (strcmp(f->name, "reinit") == 0) continue;
        if (!option_of(f) && !cli_optimizer_shares(f->name)) continue; /* the name is another setting's */
        if (strcmp(f->name, "beta1") == 0)
            cJSON_AddItemToArray(cJSON_AddArrayToObject(into, "betas"), cJSON_CreateNumber(x));
        else if (strcmp(f->name, "beta2") == 0 && cJSON_GetObjectItem(into, "betas"))
            cJSON_AddItemToArray(cJSON_GetObjectItem(into, "betas"), cJSON_CreateNumber(x));
        else if (strcmp(f->name, "clip_norm") == 0 && x == 0) cJSON_AddNullToObject(into, f->name);
        else if (f->type == PLM_FIELD_BOOL) cJSON_AddBoolToObject(into, f->name, x != 0);
        else cJSON_AddNumberToObject(into, f->name, x);
    }
    if (owns(kind, "lr")) cli_schedule_describe(s, into);
}

void cli_optimizer_print(void)
{
    const plm_optimizer_kind *list[MAX_KINDS];
    const int                 count = list_kinds(list);
    printf("Optimisers:\n");
    for (int i = 0; i < count; i++) {
        char own[512];
        own_options(list[i], own);
        printf("  %-26s %s%s%s\n", list[i]->name, list[i]->summary ? list[i]->summary : "", *own ? ": " : "", own);
    }
}

plm_loss cli_loss(const cli_settings *s)
{
    if (strcmp(s->loss, "xent") == 0) return PLM_LOSS_XENT;
    return strcmp(s->loss, "square") == 0 ? PLM_LOSS_SQUARE : PLM_LOSS_MSE;
}

/* optimizer.c: optimisers and losses by name, and which options are theirs. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <string.h>

typedef struct {
    const char *name;
    const char *options[8]; /* end with NULL */
    const char *lacks;      /* said of an option that it does not have */
} kind;

static const kind kinds[] = {
    { "agd", { "gain" }, "agd has no learning rate and nothing to tune but --gain" },
    { "sgd", { "lr", "momentum", "nesterov", "weight-decay", "clip-norm" }, "it is not an option of sgd" },
    { "adam", { "lr", "betas", "eps", "weight-decay", "clip-norm" }, "it is not an option of adam" },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool has(const kind *k, const char *option)
{
    for (int i = 0; k->options[i]; i++)
        if (strcmp(k->options[i], option) == 0) return true;
    return false;
}

bool cli_optimizer_owns(const char *optim, const char *option)
{
    for (int i = 0; i < KINDS; i++)
        if ((!optim || strcmp(kinds[i].name, optim) == 0) && has(&kinds[i], option)) return true;
    return false;
}

static const kind *find(const cli_settings *s)
{
    int i = 0;
    while (strcmp(kinds[i].name, s->optim) != 0) i++; /* the table of options knows the same names */
    return &kinds[i];
}

bool cli_optimizer_known(const char *option, const char *name)
{
    const char *names[KINDS];
    for (int i = 0; i < KINDS; i++) {
        names[i] = kinds[i].name;
        if (strcmp(name, names[i]) == 0) return true;
    }
    const char *nearest = cli_nearest(name, names, KINDS);
    return cli_usage_error("%s: there is no optimiser \"%s\"%s%s%s", option, name, nearest ? "; did you mean " : "",
                           nearest ? nearest : "", nearest ? "?" : "");
}

bool cli_optimizer_check(const cli_settings *s)
{
    const kind *chosen = find(s);
    for (int i = 0; i < KINDS; i++)
        for (int j = 0; kinds[i].options[j]; j++) {
            const char *option = kinds[i].options[j];
            if (cli_given(s, option) && !has(chosen, option))
                return cli_usage_error("--%s does not go with --optim %s: %s", option, s->optim, chosen->lacks);
        }
    return !s->nesterov || s->momentum > 0 || cli_usage_error("--nesterov needs --momentum above 0");
}

static double rate(const cli_settings *s, double otherwise)
{
    if (cli_given(s, "lr")) return s->lr;
    if (otherwise > 0) return otherwise;
    return strcmp(s->optim, "sgd") == 0 ? 0.1 : 1e-3;
}

double cli_optimizer_rate(const cli_settings *s)
{
    return rate(s, 0);
}

/* In a desc zero means the default. */
static double said(double x)
{
    return x == 0 ? PLM_ZERO : x;
}

plm_optimizer *cli_optimizer_new(plm_graph *net, const cli_settings *s, double lr)
{
    if (strcmp(s->optim, "agd") == 0) return plm_agd_new(net, &(plm_agd_desc){ .gain = s->gain });
    if (strcmp(s->optim, "sgd") == 0)
        return plm_sgd_new(net, &(plm_sgd_desc){ .lr           = rate(s, lr),
                                                 .momentum     = s->momentum,
                                                 .weight_decay = s->weight_decay,
                                                 .nesterov     = s->nesterov,
                                                 .clip_norm    = s->clip_norm });
    return plm_adam_new(net, &(plm_adam_desc){ .lr           = rate(s, lr),
                                               .beta1        = said(s->betas[0]),
                                               .beta2        = said(s->betas[1]),
                                               .eps          = s->eps,
                                               .weight_decay = s->weight_decay,
                                               .clip_norm    = s->clip_norm });
}

void cli_optimizer_describe(const cli_settings *s, cJSON *into)
{
    const kind *k = find(s);
    cJSON_AddStringToObject(into, "optim", s->optim);
    if (has(k, "gain")) cJSON_AddNumberToObject(into, "gain", s->gain);
    if (has(k, "lr")) cJSON_AddNumberToObject(into, "lr", rate(s, 0));
    if (has(k, "momentum")) cJSON_AddNumberToObject(into, "momentum", s->momentum);
    if (has(k, "nesterov")) cJSON_AddBoolToObject(into, "nesterov", s->nesterov);
    if (has(k, "betas")) cJSON_AddItemToObject(into, "betas", cJSON_CreateDoubleArray(s->betas, 2));
    if (has(k, "eps")) cJSON_AddNumberToObject(into, "eps", s->eps);
    if (has(k, "weight-decay")) cJSON_AddNumberToObject(into, "weight_decay", s->weight_decay);
    if (has(k, "clip-norm")) {
        if (s->clip_norm > 0) cJSON_AddNumberToObject(into, "clip_norm", s->clip_norm);
        else cJSON_AddNullToObject(into, "clip_norm");
    }
}

plm_loss cli_loss(const cli_settings *s)
{
    if (strcmp(s->loss, "xent") == 0) return PLM_LOSS_XENT;
    return strcmp(s->loss, "square") == 0 ? PLM_LOSS_SQUARE : PLM_LOSS_MSE;
}

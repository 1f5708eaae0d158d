/* config.c: config.json: every setting as it was used, and on what machine with which versions. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(x) #x
#define DOTTED(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *cli_version(void)
{
    return DOTTED(PLM_VERSION_MAJOR, PLM_VERSION_MINOR, PLM_VERSION_PATCH);
}

char *cli_shape_text(plm_shape s, char text[160])
{
    size_t used = (size_t)snprintf(text, 160, "[");
    for (int i = 0; i < s.rank && i < PLM_MAX_RANK; i++)
        used += (size_t)snprintf(text + used, 160 - used, "%s%lld", i ? "," : "", (long long)s.dim[i]);
    snprintf(text + used, 160 - used, "]");
    return text;
}

void cli_shape_json(cJSON *into, const char *key, plm_shape s)
{
    cJSON *list = cJSON_AddArrayToObject(into, key);
    for (int i = 0; i < s.rank; i++) cJSON_AddItemToArray(list, cJSON_CreateNumber((double)s.dim[i]));
}

char *cli_count_text(int64_t n, char text[32])
{
    char      digits[24];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    char     *to     = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

/* The model's name as Linux tells it. */
static void cpu_name(char name[160])
{
    char  line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    strcpy(name, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(name, 160, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (file) fclose(file);
}

static void add_text(cJSON *into, const char *key, const char *text)
{
    if (text) cJSON_AddStringToObject(into, key, text);
    else cJSON_AddNullToObject(into, key);
}

static void add_settings(cJSON *into, const cli_settings *s)
{
    cJSON_AddStringToObject(into, "arch", s->arch);
    if (cli_arch_has_size(s)) {
        cJSON_AddNumberToObject(into, "depth", (double)s->depth);
        cJSON_AddNumberToObject(into, "width", (double)s->width);
    }
    cJSON_AddBoolToObject(into, "bias", s->bias);
    cJSON_AddBoolToObject(into, "affine", s->affine);
    cJSON_AddStringToObject(into, "dataset", s->dataset);
    if (cli_images_dir(s)) cJSON_AddNumberToObject(into, "size", s->size ? (double)s->size : 224); /* the library's */
    add_text(into, "label", s->label);
    add_text(into, "data", s->data);
    cJSON_AddNumberToObject(into, "val", (double)s->val);
    cJSON_AddStringToObject(into, "loss", s->loss);
    cli_optimizer_describe(s, into);
    cJSON_AddNumberToObject(into, "batch_size", (double)s->batch);
    cJSON_AddNumberToObject(into, "test_batch_size", (double)(s->test_batch ? s->test_batch : s->batch));
    cJSON_AddNumberToObject(into, "epochs", (double)s->epochs);
    cJSON_AddNumberToObject(into, "seed", (double)s->seed);
    cJSON_AddBoolToObject(into, "epoch_zero", s->epoch_zero);
    cJSON_AddBoolToObject(into, "log_steps", s->log_steps);
    cJSON_AddNumberToObject(into, "monitor", (double)s->monitor);
    add_text(into, "save_every", s->save_every);
    cJSON_AddStringToObject(into, "on_nonfinite", s->on_nonfinite);
}

/* Numbers of which cJSON, which prints 15 digits where these come close enough, would lose the last bits become text of 17. */
static bool keep_digits(cJSON *o)
{
    char text[32];
    for (cJSON *child = o->child; child; child = child->next)
        if (!keep_digits(child)) return false;
    if (!cJSON_IsNumber(o)) return true;
    snprintf(text, sizeof text, "%.15g", o->valuedouble);
    if (strtod(text, NULL) == o->valuedouble) return true;
    const size_t size = (size_t)snprintf(text, sizeof text, "%.17g", o->valuedouble) + 1;
    o->valuestring    = cJSON_malloc(size);
    if (!o->valuestring) return false;
    memcpy(o->valuestring, text, size);
    o->type = cJSON_Raw;
    return true;
}

/* "lr is 0.1, not 0.01"; false. */
static bool differ(const cJSON *setting, const cJSON *found, char *differs, size_t size)
{
    char *want = cJSON_PrintUnformatted(setting), *have = found ? cJSON_PrintUnformatted(found) : NULL;
    snprintf(differs, size, "%s is %s, not %s", setting->string, have ? have : "not said", want ? want : "this");
    cJSON_free(want);
    cJSON_free(have);
    return false;
}

/* Was the option given that is called like this key, but for its dashes? */
static bool given(const cli_settings *s, const char *key)
{
    char option[64];
    snprintf(option, sizeof option, "%s", key);
    for (char *c = option; *c; c++)
        if (*c == '_') *c = '-';
    return cli_given(s, option);
}

bool cli_config_agrees(const cli_settings *s, const cJSON *config, char *differs, size_t size)
{
    cJSON *settings = cJSON_CreateObject();
    bool   same     = settings;
    snprintf(differs, size, "out of memory");
    if (settings) add_settings(settings, s);
    for (const cJSON *o = settings ? settings->child : NULL; same && o; o = o->next) {
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(config, o->string);
        if (strcmp(o->string, "data") == 0 || strcmp(o->string, "save_every") == 0)
            continue;                                 /* nothing of the result */
        if (!found && !given(s, o->string)) continue; /* made when there was no such setting */
        if (!found || !cJSON_Compare(o, found, true)) same = differ(o, found, differs, size);
    }
    cJSON_Delete(settings);
    return same;
}

char *cli_facts(const cli_settings *s)
{
    static const char *const others[] = { "data",    "epochs",     "epoch_zero",  "log_steps",
                                          "monitor", "save_every", "on_nonfinite" };
    char                    *text     = NULL;
    size_t                   size;
    FILE                    *lines    = open_memstream(&text, &size);
    cJSON                   *settings = cJSON_CreateObject();
    bool                     ok       = lines && settings;
    if (ok) add_settings(settings, s);
    ok = ok && keep_digits(settings);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) cJSON_DeleteItemFromObject(settings, others[i]);
    for (const cJSON *o = ok ? settings->child : NULL; ok && o; o = o->next) {
        char *value = cJSON_PrintUnformatted(o);
        ok          = value && fprintf(lines, "%s %s\n", o->string, value) > 0;
        cJSON_free(value);
    }
    cJSON_Delete(settings);
    if (lines && fclose(lines) != 0) ok = false;
    if (ok) return text;
    free(text);
    return NULL;
}

static void add_facts(cJSON *into, plm_ctx *ctx, const cli_data *data, const plm_graph *net)
{
    const plm_graph_info info    = plm_graph_summary(net);
    cJSON               *samples = cJSON_AddObjectToObject(into, "samples");
    char                 cpu[160];
    cpu_name(cpu);
    cJSON_AddNumberToObject(samples, "train", (double)plm_dataset_count(data->train));
    cJSON_AddNumberToObject(samples, "test", (double)plm_dataset_count(data->test));
    cJSON_AddNumberToObject(samples, "val", (double)plm_dataset_count(data->val));
    cJSON_AddNumberToObject(into, "classes", plm_dataset_classes(data->train));
    cJSON_AddNumberToObject(into, "layers", info.layers);
    cJSON_AddNumberToObject(into, "parameters", (double)info.parameters);
    cJSON_AddNumberToObject(into, "threads", plm_ctx_threads(ctx));
    cJSON_AddStringToObject(into, "plummet", cli_version());
    cJSON_AddStringToObject(into, "onednn", plm_engine_version());
    cJSON_AddStringToObject(into, "isa", plm_engine_isa());
    cJSON_AddStringToObject(into, "cpu", cpu);
}

char *cli_config(plm_ctx *ctx, const cli_settings *s, const cli_data *data, const plm_graph *net)
{
    cJSON *config = cJSON_CreateObject();
    if (config) {
        add_settings(config, s);
        cJSON_AddBoolToObject(config, "augment", !s->no_augment && plm_dataset_augments(data->train));
        add_facts(config, ctx, data, net);
    }
    char *text = config && keep_digits(config) ? cJSON_Print(config) : NULL;
    cJSON_Delete(config);
    if (!text) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "config.json: out of memory");
    return text;
}

/* resume.c: train --resume: the settings of a run from its config.json.
 *
 * A key of config.json is an option's name with underscores.  What it says goes the same way as a word of the command line,
 * so every option that train has, or will have, comes back. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20 }; /* bytes of a config.json */

static const char *const anew[] = { "resume", "epochs", "save-every", "on-nonfinite", "data", "threads", "quiet" };

static bool is_anew(const char *option)
{
    for (size_t i = 0; i < sizeof anew / sizeof *anew; i++)
        if (strcmp(anew[i], option) == 0) return true;
    return false;
}

static bool check_given(const cli_settings *s)
{
    for (int i = 0; cli_options[i].name; i++)
        if (s->given[i] && !is_anew(cli_options[i].name))
            return cli_usage_error(
                "--%s does not go with --resume, whose settings are those of the run; only --epochs, "
                "--save-every, --on-nonfinite, --data, --threads and --quiet may be given anew",
                cli_options[i].name);
    return true;
}

PLM_PRINTF(2, 3)
static bool fail(char why[CLI_SENTENCE], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, CLI_SENTENCE, fmt, args);
    va_end(args);
    return false;
}

bool cli_run_name(const char *run, char name[PATH_MAX])
{
    static const char partial[] = ".partial";
    const size_t      end       = sizeof partial - 1;
    size_t            length    = strlen(run);
    while (length > 1 && run[length - 1] == '/') length--;
    if (length > end && memcmp(run + length - end, partial, end) == 0) length -= end;
    if (length >= PATH_MAX) return false;
    memcpy(name, run, length);
    name[length] = '\0';
    return true;
}

/* config.json of RUN or of RUN.partial as an object.  NULL after a sentence. */
static cJSON *read_config(const char *run, char why[CLI_SENTENCE])
{
    static const char *const tails[] = { "", ".partial" };
    char                     path[PATH_MAX + 64];
    FILE                    *file = NULL;
    for (int i = 0; !file && i < 2; i++) {
        snprintf(path, sizeof path, "%s%s/config.json", run, tails[i]);
        file = fopen(path, "r");
        if (!file && errno != ENOENT && errno != ENOTDIR) {
            fail(why, "cannot open %.900s: %s", path, strerror(errno));
            return NULL;
        }
    }
    if (!file) {
        fail(why, "there is no run to resume: neither %.400s nor %.400s.partial has a config.json", run, run);
        return NULL;
    }
    char        *text   = malloc(MOST);
    const size_t length = text ? fread(text, 1, MOST, file) : 0;
    fclose(file);
    cJSON *config = text && length < MOST ? cJSON_ParseWithLength(text, length) : NULL;
    free(text);
    if (cJSON_IsObject(config)) return config;
    fail(why, "%.900s does not hold the settings of a run", path);
    cJSON_Delete(config);
    return NULL;
}

/* The key's value as it would stand on a command line; NULL: not there, or (flags) false. */
static const char *as_word(const cJSON *value, char text[128])
{
    if (cJSON_IsString(value)) return value->valuestring;
    if (cJSON_IsTrue(value)) return "";
    if (cJSON_IsNumber(value)) snprintf(text, 128, "%.17g", value->valuedouble);
    else if (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 2)
        snprintf(text, 128, "%.17g,%.17g", cJSON_GetArrayItem(value, 0)->valuedouble,
                 cJSON_GetArrayItem(value, 1)->valuedouble);
    else return NULL;
    return text;
}

static bool take(cli_settings *s, const cJSON *config)
{
    for (const cli_option *o = cli_options; o->name; o++) {
        char key[64], text[128];
        if (!(o->commands & CLI_TRAIN)) continue;
        snprintf(key, sizeof key, "%s", o->name);
        for (char *c = key; *c; c++)
            if (*c == '-') *c = '_';
        const char *word = as_word(cJSON_GetObjectItemCaseSensitive(config, key), text);
        if (word && !cli_set(s, o, word)) return false;
    }
    s->no_augment = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(config, "augment"));
    return true;
}

static bool set_again(void *user, const cli_option *o, const char *value)
{
    return cli_set(user, o, value);
}

/* How many 0 stands for is the library's to say. */
static int threads_of(const cli_settings *s)
{
    plm_ctx  *ctx     = plm_ctx_new(&(plm_ctx_desc){ .threads = (int)s->threads });
    const int threads = plm_ctx_threads(ctx);
    plm_ctx_free(ctx);
    return threads;
}

/* The same bits come from the same machine only. */
static void compare_machines(const cli_settings *s, const cJSON *config)
{
    const int    now     = threads_of(s);
    const char  *onednn  = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "onednn"));
    const char  *isa     = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "isa"));
    const cJSON *threads = cJSON_GetObjectItemCaseSensitive(config, "threads");
    if ((onednn && strcmp(onednn, plm_engine_version()) != 0) || (isa && strcmp(isa, plm_engine_isa()) != 0) ||
        (cJSON_IsNumber(threads) && threads->valuedouble != now))
        fprintf(stderr,
                "plummet: the run was made with oneDNN %s, %s and %d threads and goes on with %s, %s and %d: it will "
                "differ in the last digits\n",
                onednn ? onednn : "?", isa ? isa : "?", cJSON_IsNumber(threads) ? threads->valueint : 0,
                plm_engine_version(), plm_engine_isa(), now);
}

bool cli_resume(const cli_words *words, cli_settings *s, cJSON **config, char why[CLI_SENTENCE])
{
    char run[PATH_MAX];
    int  count;
    *config = NULL;
    if (!check_given(s)) return false;
    if (!cli_run_name(s->resume, run)) return fail(why, "the run folder's name is too long: %.100s...", s->resume);
    if (!(*config = read_config(run, why))) return false;
    *s = cli_defaults;
    if (!take(s, *config)) return false;
    s->epochs_before = s->epochs;
    if (!cli_walk(words, CLI_TRAIN | CLI_ALONE, set_again, s, NULL, &count)) return false;
    const cJSON *kept = cJSON_AddStringToObject(*config, ":run", run); /* no setting is called so */
    if (!kept) return fail(why, "out of memory");
    s->out = kept->valuestring;
    compare_machines(s, *config);
    return true;
}

bool cli_save_every(const cli_settings *s, int *epochs, int64_t *steps)
{
    char *end = NULL;
    *epochs   = 0;
    *steps    = 0;
    if (!s->save_every) return true;
    errno                    = 0;
    const long long n        = strtoll(s->save_every, &end, 10);
    const bool      s_at_end = strcmp(end, "s") == 0;
    if (errno || n < 1 || n > INT_MAX || (*end && !s_at_end))
        return cli_usage_error("--save-every is \"%s\", expected a number of epochs (2) or of steps (500s)",
                               s->save_every);
    if (s_at_end) *steps = n;
    else *epochs = (int)n;
    return true;
}

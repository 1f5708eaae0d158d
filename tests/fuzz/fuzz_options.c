/* fuzz_options.c: the command line.  The input's lines are the words after "plummet"; without a command's name in front all
 * commands get them.  What is accepted is in its option's range. */
#include "fuzz.h"
#include "lab.h"

#include <math.h>

enum { MOST_WORDS = 64 };

/* Numbers are finite and in range, words are not empty. */
static void check_settings(const cli_settings *s)
{
    for (const cli_option *o = cli_options; o->name; o++) {
        const char *at = (const char *)s + o->target;
        if (!s->given[o - cli_options]) continue;
        for (int i = 0; i < (o->kind == CLI_PAIR ? 2 : 1); i++) {
            if (o->kind == CLI_TEXT) fuzz_require(**(const char *const *)at);
            if (o->kind == CLI_FLAG) fuzz_require(*(const bool *)at);
            if (o->kind == CLI_FLAG || o->kind == CLI_TEXT) continue;
            const double x = o->kind == CLI_INTEGER ? (double)*(const int64_t *)at : ((const double *)at)[i];
            fuzz_require(isfinite(x) && x >= o->min && x <= o->max);
            fuzz_require(!(o->open_min && x == o->min) && !(o->open_max && x == o->max));
        }
    }
}

/* A false answer goes with a sentence, a wrong use printed or an error of the context, and only then. */
static void check_answer(const plm_ctx *ctx, bool ok)
{
    fuzz_require(ok == (!cli_usage_failed() && plm_ctx_status(ctx) == PLM_OK));
    fuzz_check_error(ctx, 1 << PLM_ERR_ARGUMENT);
}

static void parse(const cli_words *words, unsigned bit)
{
    plm_ctx     *ctx = fuzz_ctx_new(1 << 16);
    cli_settings s;
    const char  *inputs[MOST_WORDS];
    int          count = 0;
    cli_usage_begin();
    bool ok = cli_parse(words, bit, &s, bit == CLI_PREDICT ? inputs : NULL, &count);
    check_answer(ctx, ok);
    fuzz_require(count >= 0 && count <= words->count);
    for (int i = 0; i < count; i++) fuzz_require(strlen(inputs[i]) < 1 << 16);
    if (ok) check_settings(&s);
    if (ok && bit == CLI_TRAIN) check_answer(ctx, cli_train_check(&s, NULL));
    else if (ok && bit != CLI_PREDICT) check_answer(ctx, cli_dataset_check(&s, false) && cli_arch_find(NULL, &s));
    fuzz_ctx_free(ctx, 1 << PLM_ERR_ARGUMENT);
}

/* Lists and ranges of values, and all trainings that they make. */
static void parse_grid(const cli_words *words)
{
    plm_ctx    *ctx  = fuzz_ctx_new(1 << 16);
    cli_grid    grid = { 0 };
    cli_request request;
    int         count;
    cli_usage_begin();
    bool ok = cli_request_parse(words, CLI_COMPARE, &request, NULL, &count);
    check_answer(ctx, ok);
    if (ok) check_settings(&request.own);
    if (ok) check_answer(ctx, cli_grid_add(ctx, &grid, &request, "out", true, NULL));
    for (int i = 0; i < grid.count; i++) check_settings(&grid.cell[i].settings);
    cli_grid_free(&grid);
    fuzz_ctx_free(ctx, 1 << PLM_ERR_ARGUMENT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        unsigned    bit;
    } commands[] = { { "train", CLI_TRAIN },     { "inspect", CLI_INSPECT }, { "evaluate", CLI_EVALUATE },
                     { "predict", CLI_PREDICT }, { "bench", CLI_BENCH },     { "explain", CLI_EXPLAIN },
                     { "compare", CLI_COMPARE } };
    enum { COMMANDS = sizeof commands / sizeof *commands };
    char       *text = calloc(1, size + 1);
    const char *word[MOST_WORDS];
    int         count = 0, named = -1;
    fuzz_require(text);
    if (size) memcpy(text, data, size);
    for (char *at = text; at && count < MOST_WORDS;) {
        char *end     = strchr(at, '\n');
        word[count++] = at;
        at            = end ? end + 1 : NULL;
        if (end) *end = '\0';
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(word[0], commands[i].name) == 0) named = i;
    for (int i = 0; i < COMMANDS; i++) {
        const int       first = named >= 0; /* the command's name */
        const cli_words words = { commands[i].name, count - first, word + first };
        if (named >= 0 && named != i) continue;
        if (commands[i].bit == CLI_COMPARE) parse_grid(&words);
        else parse(&words, commands[i].bit);
    }
    free(text);
    return 0;
}

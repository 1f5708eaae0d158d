/* tables.c: plummet reproduce tables: the paper's table of optimisers, with the memory of each as it is here. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

/* An optimiser as a command line makes it, and what the paper's table 1 says of its memory: times that of the weights, which
 * count once. */
typedef struct {
    const char *label;
    const char *words[6];
    const char *memory;
} entry;

static const entry entries[] = {
    { "agd", { "--optim", "agd" }, "1" },
    { "sgd", { "--optim", "sgd" }, NULL },
    { "sgd with momentum", { "--optim", "sgd", "--momentum", "0.9" }, "2" },
    { "adam", { "--optim", "adam" }, "3" },
    { .label = NULL },
};

/* A network of its own for each, built for images like those of CIFAR-10. */
static bool print_entry(plm_ctx *ctx, const entry *e, const plm_cli_extra *extra)
{
    cli_words    words = { "reproduce", 0, e->words };
    cli_settings s;
    cli_form     form;
    char         weights[32], state[32];
    int          count;
    while (e->words[words.count]) words.count++;
    if (!cli_parse(&words, CLI_TRAIN, &s, NULL, &count)) return false;
    s.depth              = 8;
    s.dataset            = "cifar10";
    const plm_arch *arch = cli_arch_find(extra, &s);
    if (!arch || !cli_dataset_form(ctx, &s, &form)) return false;
    plm_graph     *net = cli_arch_build(ctx, arch, &s, form.shape, form.classes);
    plm_optimizer *opt = net ? cli_optimizer_new(net, &s, 0) : NULL;
    if (opt) {
        const int64_t parameters = plm_graph_summary(net).parameters, bytes = parameters * (int64_t)sizeof(float);
        const int64_t own = (int64_t)plm_optimizer_state_bytes(opt);
        printf("%-20s %14s %14s %8.2f %8s\n", e->label, cli_count_text(bytes, weights), cli_count_text(own, state),
               (double)(bytes + own) / (double)bytes, e->memory ? e->memory : "-");
    }
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return opt;
}

bool cli_tables(plm_ctx *ctx, const cli_request *r, const plm_cli_extra *extra)
{
    if (r->count > 0)
        return cli_usage_error("--%s does not go with reproduce tables, which trains nothing",
                               r->given[0].option->name);
    printf(
        "Memory of an optimiser, on a fully connected network of 8x256 for 32x32x3 images: bytes of weights and of "
        "the\n"
        "state that was allocated for them, and both together as a multiple of the weights (paper: arXiv 2304.05187,\n"
        "table 1).\n\n%-20s %14s %14s %8s %8s\n",
        "", "weights", "state", "here", "paper");
    for (const entry *e = entries; e->label; e++)
        if (!print_entry(ctx, e, extra)) return false;
    return true;
}

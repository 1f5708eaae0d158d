/* tables.c: plummet reproduce tables: the paper's table of optimisers, with the memory of each as it is here. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

/* Times the memory of the weights, which count once: the paper's table 1. */
static const struct {
    const char *optim;
    bool        momentum;
    const char *memory;
} paper[] = { { "agd", false, "1" }, { "sgd", true, "2" }, { "adam", false, "3" } };

static const char *paper_memory(const char *optim, bool momentum)
{
    for (size_t i = 0; i < sizeof paper / sizeof *paper; i++)
        if (strcmp(paper[i].optim, optim) == 0 && paper[i].momentum == momentum) return paper[i].memory;
    return "-";
}

/* A network of its own for each, built for images like those of CIFAR-10. */
static bool print_row(plm_ctx *ctx, const char *optim, bool momentum, const plm_cli_extra *extra)
{
    const char *const word[] = { "--dataset", "cifar10", "--depth", "8", "--optim", optim, "--momentum", "0.9" };
    const cli_words   words  = { "reproduce", momentum ? 8 : 6, word };
    cli_settings      s;
    cli_form          form;
    char              label[64], weights[32], state[32];
    int               count;
    if (!cli_parse(&words, CLI_TRAIN, &s, NULL, &count)) return false;
    const plm_arch *arch = cli_arch_find(extra, &s);
    if (!arch || !cli_dataset_form(ctx, &s, &form)) return false;
    plm_graph     *net = cli_arch_build(ctx, arch, &s, form.shape, form.classes);
    plm_optimizer *opt = net ? cli_optimizer_new(net, &s, 0) : NULL;
    if (opt) {
        const int64_t bytes = plm_graph_summary(net).parameters * (int64_t)sizeof(float);
        const int64_t own   = (int64_t)plm_optimizer_state_bytes(opt);
        snprintf(label, sizeof label, "%.40s%s", optim, momentum ? " with momentum" : "");
        printf("%-24s %14s %14s %8.2f %8s\n", label, cli_count_text(bytes, weights), cli_count_text(own, state),
               (double)(bytes + own) / (double)bytes, paper_memory(optim, momentum));
    }
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return opt;
}

static bool print_kind(plm_ctx *ctx, const plm_optimizer_kind *kind, const plm_cli_extra *extra)
{
    return print_row(ctx, kind->name, false, extra) &&
           (!cli_optimizer_owns(kind->name, "momentum") || print_row(ctx, kind->name, true, extra));
}

bool cli_tables(plm_ctx *ctx, const cli_request *r, const plm_cli_extra *extra)
{
    const plm_optimizer_kind *const *from[] = { plm_optimizer_kinds(), extra ? extra->optimizers : NULL };
    if (r->count > 0)
        return cli_usage_error("--%s does not go with reproduce tables, which trains nothing",
                               r->given[0].option->name);
    printf("Memory of an optimiser, on a fully connected network of 8x256 for 32x32x3 images: bytes of weights and of "
           "the\n"
           "state that was allocated for them (in whole blocks of oneDNN's layout), and both together as a multiple of "
           "the\n"
           "weights (paper: arXiv 2304.05187, table 1).\n\n%-24s %14s %14s %8s %8s\n",
           "", "weights", "state", "here", "paper");
    for (int i = 0; i < 2; i++)
        for (int k = 0; from[i] && from[i][k]; k++)
            if (!print_kind(ctx, from[i][k], extra)) return false;
    return true;
}

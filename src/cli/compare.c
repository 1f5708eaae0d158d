/* compare.c: plummet compare: a grid of trainings and what they say beside each other. */
#include "lab.h"

#include <string.h>

#define LEAST_RATE 1e-12
#define MOST_RATE 1e6

/* Beside each best rate that is the lowest or highest tried, the next decade, for every seed.  *added: how many runs. */
static bool extend(plm_ctx *ctx, cli_grid *g, const cli_groups *groups, const char *out, int *added)
{
    const int before = g->count;
    for (int i = 0; i < groups->count; i++) {
        const cli_group *group = &groups->group[i];
        const unsigned   edges = cli_group_edges(group);
        for (int k = 0; edges && k < before; k++) {
            if (strcmp(g->cell[k].group, group->name) != 0) continue;
            const double low = group->least / 10, high = group->most * 10;
            if (edges & CLI_EDGE_LOW && low >= LEAST_RATE && !cli_grid_add_rate(ctx, g, k, low, out)) return false;
            if (edges & CLI_EDGE_HIGH && high <= MOST_RATE && !cli_grid_add_rate(ctx, g, k, high, out)) return false;
        }
    }
    *added = g->count - before;
    return true;
}

bool cli_lab_run(plm_ctx *ctx, cli_grid *g, const cli_settings *own, const char *criterion, const plm_cli_extra *extra,
                 cli_groups *groups)
{
    for (int added = 1; added > 0;) {
        added = 0;
        if (!cli_grid_run(ctx, g, own->quiet, extra) || !cli_groups_new(ctx, g, criterion, groups)) return false;
        if (own->extend && !(extend(ctx, g, groups, own->out, &added) && cli_grid_check(ctx, g, extra))) {
            cli_groups_free(groups);
            return false;
        }
        if (added > 0) cli_groups_free(groups);
    }
    return true;
}

const char *cli_lab_criterion(const cli_grid *g, const cli_settings *own)
{
    bool val = g->count > 0;
    for (int i = 0; i < g->count; i++) val = val && g->cell[i].settings.val > 0;
    if (!own->select) return val ? "val_acc" : "train_loss";
    if (!val && strcmp(own->select, "val_acc") == 0) {
        cli_usage_error("--select val_acc needs --val, samples to validate on");
        return NULL;
    }
    return own->select;
}

bool cli_compare(plm_ctx *ctx, const cli_request *r, const plm_cli_extra *extra)
{
    const cli_settings *own    = &r->own;
    cli_grid            g      = { 0 };
    cli_groups          groups = { 0 };
    if (!own->out) return cli_usage_error("compare needs --out, the folder for its runs and summary.csv");
    bool        ok        = cli_grid_add(ctx, &g, r, own->out, true, extra);
    const char *criterion = ok ? cli_lab_criterion(&g, own) : NULL;
    ok                    = criterion && cli_grid_check(ctx, &g, extra);
    if (ok && own->dry_run) ok = cli_grid_estimate(ctx, &g, extra);
    else if (ok) {
        ok = cli_lab_run(ctx, &g, own, criterion, extra, &groups) && cli_summary_write(ctx, &g, &groups, own->out);
        if (ok) cli_summary_print(&g, &groups);
        if (ok) printf("\nevery number is in %s/summary.csv, the runs are in %s/runs\n", own->out, own->out);
        ok = ok && cli_grid_plot(ctx, &g, &groups, own->out) &&
             cli_grid_report(ctx, &g, &groups, r, own->out, NULL, NULL);
    }
    cli_groups_free(&groups);
    cli_grid_free(&g);
    return ok;
}

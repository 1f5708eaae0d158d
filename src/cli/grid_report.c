/* grid_report.c: the report of a grid, OUT/report.html: every run in its tables, the best ones in its charts. */
#include "lab.h"

#include "report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Copies that own nothing of the runs that are there; of the best rates only, if so. */
static bool pick(plm_ctx *ctx, const cli_grid *g, const cli_groups *groups, bool best, cli_runs *runs)
{
    runs->run = calloc((size_t)g->count + 1, sizeof *runs->run);
    if (!runs->run) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the report: out of memory");
    for (int i = 0; i < groups->count; i++)
        for (int k = 0; k < g->count; k++) {
            if (!g->cell[k].done || strcmp(g->cell[k].group, groups->group[i].name) != 0) continue;
            if (!best || groups->group[i].chosen) runs->run[runs->count++] = g->cell[k].result;
        }
    return true;
}

/* The folder of a grid and a file in it. */
static bool name_in(plm_ctx *ctx, char path[PATH_MAX], const char *out, const char *name)
{
    return snprintf(path, PATH_MAX, "%s/%s", out, name) < PATH_MAX ||
           plm_ctx_fail(ctx, PLM_ERR_IO, "the name of the folder is too long: %.100s...", out);
}

bool cli_grid_report(plm_ctx *ctx, const cli_grid *g, const cli_groups *groups, const cli_request *r, const char *out,
                     const char *title, const char *const *notes)
{
    char     summary[PATH_MAX], paper[PATH_MAX];
    cli_runs runs = { 0 }, best = { 0 };
    if (!name_in(ctx, summary, out, "summary.csv") || !name_in(ctx, paper, out, "paper.csv")) return false;
    const cli_report_table tables[] = { { "Test accuracy in %: the paper's and here", paper }, { NULL, NULL } };
    char                  *command  = cli_request_text(r); /* NULL: the page goes without */
    cli_report_desc        desc     = {
                   .dir = out, .command = command, .title = title, .summary = summary, .tables = tables, .notes = notes
    };
    bool ok = pick(ctx, g, groups, false, &runs) && pick(ctx, g, groups, true, &best);
    if (ok && best.count < runs.count) desc.drawn = &best;
    ok = ok && cli_report(ctx, &runs, &desc);
    if (ok) printf("the report is %s/report.html\n", out);
    free(command);
    free(runs.run);
    free(best.run);
    return ok;
}

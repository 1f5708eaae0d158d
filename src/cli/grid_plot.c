/* grid_plot.c: the pictures of a grid: the best runs epoch by epoch, and the accuracy over the learning rate. */
#include "lab.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

/* The runs of the chosen groups: copies that own nothing. */
static bool chosen_runs(plm_ctx *ctx, const cli_grid *g, const cli_groups *groups, cli_runs *runs)
{
    runs->run = calloc((size_t)g->count + 1, sizeof *runs->run);
    if (!runs->run) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the plots: out of memory");
    for (int i = 0; i < groups->count; i++)
        for (int k = 0; groups->group[i].chosen && k < g->count; k++)
            if (g->cell[k].done && strcmp(g->cell[k].group, groups->group[i].name) == 0)
                runs->run[runs->count++] = g->cell[k].result;
    return true;
}

bool cli_grid_plot(plm_ctx *ctx, const cli_grid *g, const cli_groups *groups, const char *out)
{
    char          dir[PATH_MAX];
    cli_runs      runs  = { 0 };
    bool          drawn = true, swept;
    cli_plot_desc desc  = { .dir = dir, .quiet = true };
    if (snprintf(dir, sizeof dir, "%s/plots", out) >= (int)sizeof dir)
        return plm_ctx_fail(ctx, PLM_ERR_IO, "the name of the folder is too long: %.100s...", out);
    bool ok  = chosen_runs(ctx, g, groups, &runs);
    bool any = false;
    for (int i = 0; i < runs.count; i++) any = any || (runs.run[i].state == CLI_RUN_WHOLE && runs.run[i].rows > 1);
    if (ok && any) ok = cli_plot_runs(ctx, &runs, &desc, &drawn);
    ok = ok && cli_sweep_plot(ctx, groups, dir, &swept);
    if (ok && any) {
        if (drawn) printf("plots of the best runs are in %s\n", dir);
        else printf(CLI_PLOT_NO_GNUPLOT "\n", dir);
    }
    free(runs.run);
    return ok;
}

/* grid_check.c: can every cell run, and which have run already?
 *
 * Each data set is opened and each network built once, before anything runs: a file that is missing or an image too small is
 * said now and not after hours.  What they say, sizes and parameters, stays with the cells. */
#include "lab.h"

#include <string.h>
#include <sys/stat.h>

/* A context of its own, as the run will have; what fails there fails `ctx`, with the run's name. */
static plm_ctx *own_context(plm_ctx *ctx, const cli_cell *c)
{
    plm_ctx *own =
        plm_ctx_new(&(plm_ctx_desc){ .seed = (uint64_t)c->settings.seed, .threads = (int)c->settings.threads });
    if (!own) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", c->group);
    return own;
}

static bool ask(plm_ctx *own, cli_cell *c, const plm_cli_extra *extra)
{
    const cli_settings *s    = &c->settings;
    const plm_arch     *arch = cli_arch_find(extra, s);
    cli_data            data;
    if (!arch || !cli_dataset_open(own, s, &data)) return false;
    c->samples     = plm_dataset_count(data.train);
    c->tests       = plm_dataset_count(data.test) + plm_dataset_count(data.val);
    c->shape       = plm_dataset_x_shape(data.train);
    c->classes     = plm_dataset_classes(data.train);
    c->data_bytes  = (size_t)plm_ctx_statistics(own).bytes;
    plm_graph *net = cli_arch_build(own, arch, s, c->shape, c->classes);
    if (net) c->info = plm_graph_summary(net);
    plm_graph_free(net);
    cli_dataset_close(&data);
    return net && plm_ctx_status(own) == PLM_OK;
}

/* What the answers above do not depend on. */
static bool leave_what_is_not_asked(const char *option)
{
    if (strcmp(option, "bias") == 0 || strcmp(option, "affine") == 0) return false; /* they are parameters */
    return cli_leave_optimizer(option) || strcmp(option, "batch-size") == 0 || strcmp(option, "loss") == 0;
}

static bool ask_all(plm_ctx *ctx, cli_grid *g, const plm_cli_extra *extra)
{
    bool ok = true;
    for (int i = 0; ok && i < g->count; i++) {
        cli_cell *c = &g->cell[i];
        if (c->asked) continue;
        char *name = cli_settings_name(&c->settings, leave_what_is_not_asked);
        ok         = name || plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the grid: out of memory");
        for (int k = 0; ok && k < i && c->samples == 0; k++) {
            const cli_cell *other = &g->cell[k];
            if (strcmp(other->asked, name) != 0) continue;
            c->samples    = other->samples;
            c->tests      = other->tests;
            c->shape      = other->shape;
            c->classes    = other->classes;
            c->data_bytes = other->data_bytes;
            c->info       = other->info;
        }
        c->asked = name;
        if (!ok || c->samples > 0) continue;
        plm_ctx *own = own_context(ctx, c);
        ok           = own && ask(own, c, extra);
        if (own && !ok && !cli_usage_failed())
            plm_ctx_fail(ctx, plm_ctx_status(own), "%s: %s", c->group, plm_ctx_error(own));
        plm_ctx_free(own);
    }
    return ok;
}

bool cli_cell_read(plm_ctx *ctx, cli_cell *c)
{
    struct stat info;
    char        differs[256];
    if (lstat(c->dir, &info) != 0) return true; /* to be made; whatever else may be wrong is said then */
    if (!cli_run_read(ctx, c->dir, false, &c->result)) return false;
    c->done = true;
    return cli_config_agrees(&c->settings, c->result.config, differs, sizeof differs) ||
           plm_ctx_fail(ctx, PLM_ERR_STATE, "%s is a run with other settings (%s): choose another --out or remove it",
                        c->dir, differs);
}

bool cli_grid_check(plm_ctx *ctx, cli_grid *g, const plm_cli_extra *extra)
{
    for (int i = 0; i < g->count; i++)
        if (!g->cell[i].done && !cli_cell_read(ctx, &g->cell[i])) return false;
    return ask_all(ctx, g, extra);
}

/* grid_estimate.c: what a grid will need, before it runs: --dry-run.
 *
 * Of each network that has runs to do a few steps are measured, on random images, with its batch and its optimiser; runs that
 * differ in seed, rate and epochs share them.  Evaluation costs a forward pass a batch. */
#include "lab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 3

typedef struct {
    char  *what; /* the settings that it depends on */
    double step_ms, forward_ms, bytes;
} estimate;

static bool leave_what_costs_the_same(const char *option)
{
    return cli_leave_rate(option) || strcmp(option, "epochs") == 0;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool measure(plm_ctx *own, const cli_cell *c, const plm_cli_extra *extra, estimate *e)
{
    const cli_settings  *s    = &c->settings;
    const plm_arch      *arch = cli_arch_find(extra, s);
    const plm_bench_desc desc = { .batch = smaller(s->batch, c->samples), .steps = STEPS, .loss = cli_loss(s) };
    plm_bench_result     r;
    plm_graph           *net = arch ? cli_arch_build(own, arch, s, c->shape, c->classes) : NULL;
    plm_optimizer       *opt = net ? cli_optimizer_new(net, s, 1e-9) : NULL;
    const bool           ok  = opt && plm_bench(net, opt, &desc, &r);
    if (ok) {
        e->step_ms    = r.step_ms;
        e->forward_ms = r.forward_ms;
        e->bytes      = (double)plm_ctx_statistics(own).peak_bytes + (double)c->data_bytes;
    }
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return ok;
}

/* e[i] for cell i, from an earlier cell where that costs the same. */
static bool find_out(plm_ctx *ctx, const cli_grid *g, int i, const plm_cli_extra *extra, estimate *e)
{
    const cli_cell *c = &g->cell[i];
    e[i].what         = cli_settings_name(&c->settings, leave_what_costs_the_same);
    if (!e[i].what) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the grid: out of memory");
    for (int k = 0; k < i; k++) {
        if (!e[k].what || strcmp(e[k].what, e[i].what) != 0) continue;
        e[i].step_ms    = e[k].step_ms;
        e[i].forward_ms = e[k].forward_ms;
        e[i].bytes      = e[k].bytes;
        return true;
    }
    plm_ctx *own = plm_ctx_new(&(plm_ctx_desc){ .threads = (int)c->settings.threads });
    bool     ok  = own && measure(own, c, extra, &e[i]);
    if (!own) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", c->group);
    else if (!ok) plm_ctx_fail(ctx, plm_ctx_status(own), "%s: %s", c->group, plm_ctx_error(own));
    plm_ctx_free(own);
    return ok;
}

static double seconds_of(const cli_cell *c, const estimate *e)
{
    const cli_settings *s     = &c->settings;
    const double        batch = (double)s->batch, test = (double)(s->test_batch ? s->test_batch : s->batch);
    const double        steps  = ceil((double)c->samples / batch) * (double)(s->epochs + s->epoch_zero);
    const double        passes = (double)c->tests / test * (double)(s->epochs + 1);
    return (steps * e->step_ms + passes * e->forward_ms * test / batch) / 1e3;
}

static void print_cell(const cli_cell *c, const estimate *e)
{
    const char  *name    = strrchr(c->dir, '/') + 1;
    const double seconds = seconds_of(c, e);
    const int    digits  = seconds < 1 ? 4 : seconds < 100 ? 1 : 0;
    if (c->done) printf("%12s %9s  %s\n", c->result.state == CLI_RUN_DIVERGED ? "diverged" : "done", "", name);
    else printf("%10.*f s %6.0f MB  %s\n", digits, seconds, e->bytes / 0x1p20, name);
    fflush(stdout);
}

bool cli_grid_estimate(plm_ctx *ctx, const cli_grid *g, const plm_cli_extra *extra)
{
    estimate *e   = calloc((size_t)g->count + 1, sizeof *e);
    bool      ok  = e || plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the grid: out of memory");
    double    sum = 0, most = 0;
    int       left = 0;
    for (int i = 0; ok && i < g->count; i++) {
        const cli_cell *c = &g->cell[i];
        if (!c->done) {
            ok = find_out(ctx, g, i, extra, e);
            if (!ok) break;
            left++;
            sum += seconds_of(c, &e[i]);
            most = fmax(most, e[i].bytes);
        }
        print_cell(c, &e[i]);
    }
    if (ok && left)
        printf("%d of %d runs to do: about %.0f s (%.1f hours), at most %.0f MB\n", left, g->count, sum, sum / 3600,
               most / 0x1p20);
    else if (ok) printf("all %d runs are done\n", g->count);
    for (int i = 0; e && i < g->count; i++) free(e[i].what);
    free(e);
    return ok;
}

/* monitor.c: monitor.csv of a run, step by step: its layers' numbers as mean, smallest and largest; its network's as they are. */
#include "runs.h"

#include "table.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NETWORK "(network)" /* the row that ends a step's */
#define MOST_ROWS 10000000  /* an int holds their number */

enum { STEP, LAYER, RANK, CONTRIBUTION, UPDATE, G, ETA, CHANGE, MAJORISATION, DF, DF_THEORY, CELLS };
static const char *const names[CELLS] = { "step", "layer",  "stable_rank",  "contribution", "update",   "G",
                                          "eta",  "change", "majorisation", "df_rms",       "df_theory" };

typedef struct {
    double sum, least, most;
    int    count;
} spread;

/* Of the step whose rows are being read. */
typedef struct {
    double step;
    bool   begun;
    spread of[3]; /* rank, contribution, update: those that a layer has */
} group;

static void widen(spread *s, double x)
{
    if (isnan(x)) return;
    s->sum += x;
    if (s->count == 0 || x < s->least) s->least = x;
    if (s->count == 0 || x > s->most) s->most = x;
    s->count++;
}

static void put_spread(double *row, int column, const spread *s, double factor)
{
    row[column]     = s->count ? factor * s->sum / s->count : NAN;
    row[column + 1] = s->count ? factor * s->least : NAN;
    row[column + 2] = s->count ? factor * s->most : NAN;
}

/* fmin and fmax would pass over a nan. */
static void put_bounded(double *row, int column, double x, double bound)
{
    row[column]     = x;
    row[column + 1] = isnan(bound) ? NAN : fmin(x, bound);
    row[column + 2] = isnan(bound) ? NAN : fmax(x, bound);
}

static void put_row(double *row, const group *g, const double cell[CELLS])
{
    row[CLI_MONITOR_STEP] = g->step;
    put_spread(row, CLI_MONITOR_RANK, &g->of[0], 1);
    put_spread(row, CLI_MONITOR_SHARE, &g->of[1], cell[G] > 0 ? 1 / cell[G] : NAN);
    put_spread(row, CLI_MONITOR_UPDATE, &g->of[2], 1);
    row[CLI_MONITOR_ETA] = cell[ETA];
    put_bounded(row, CLI_MONITOR_CHANGE, cell[CHANGE], cell[MAJORISATION]);
    put_bounded(row, CLI_MONITOR_DF, cell[DF], cell[DF_THEORY]);
}

static bool read_row(plm_ctx *ctx, const cli_table *t, const int at[CELLS], int64_t r, group *g, cli_run *run)
{
    double cell[CELLS] = { 0 };
    for (int i = 0; i < CELLS; i++)
        if (i != LAYER && !cli_table_number(ctx, t, r, at[i], &cell[i])) return false;
    const double x = cell[STEP], before = run->monitored ? run->monitor[run->monitored - 1][CLI_MONITOR_STEP] : 0;
    if (!(x > before && x <= 1e15 && x == floor(x)) || (g->begun && x != g->step))
        return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s, line %lld: %s is %g, expected a whole number above %g", t->path,
                            (long long)r + 2, names[STEP], x, before);
    g->step  = x;
    g->begun = true;
    if (strcmp(cli_table_cell(t, r, at[LAYER]), NETWORK) == 0) {
        put_row(run->monitor[run->monitored++], g, cell);
        *g = (group){ 0 };
        return true;
    }
    widen(&g->of[0], cell[RANK]);
    widen(&g->of[1], cell[CONTRIBUTION]);
    widen(&g->of[2], cell[UPDATE]);
    return true;
}

static bool read_table(plm_ctx *ctx, const cli_table *t, cli_run *run)
{
    int   at[CELLS];
    group g = { 0 };
    if (t->cut_off && run->state == CLI_RUN_WHOLE)
        return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s: its last line is cut off", t->path);
    if (t->rows > MOST_ROWS) return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has more than %d rows", t->path, MOST_ROWS);
    for (int i = 0; i < CELLS; i++)
        if ((at[i] = cli_table_column(t, names[i])) < 0)
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has no column %s", t->path, names[i]);
    run->monitor = calloc((size_t)t->rows + 1, sizeof *run->monitor);
    if (!run->monitor) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", t->path);
    for (int64_t r = 0; r < t->rows; r++)
        if (!read_row(ctx, t, at, r, &g, run)) return false;
    return true;
}

static bool read_monitor(plm_ctx *ctx, cli_run *run)
{
    char      path[PATH_MAX];
    cli_table t;
    const int n = snprintf(path, sizeof path, "%s/" CLI_RUN_MONITOR, run->dir);
    if (n < 0 || n >= PATH_MAX)
        return plm_ctx_fail(ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", run->dir);
    if (access(path, F_OK) != 0) return true;
    if (!cli_table_read(ctx, path, &t)) return false;
    const bool ok = read_table(ctx, &t, run);
    cli_table_free(&t);
    return ok;
}

bool cli_runs_read_monitors(plm_ctx *ctx, cli_runs *runs)
{
    for (int i = 0; i < runs->count; i++)
        if (!read_monitor(ctx, &runs->run[i])) return false;
    return true;
}

/* groups.c: what the runs of a grid say together: spreads over seeds, the best rate of several, equal epochs and seconds. */
#include "lab.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const cli_measure_names[CLI_MEASURES] = {
    [CLI_FINAL_TRAIN_LOSS]       = "final_train_loss",
    [CLI_FINAL_TRAIN_ACC]        = "final_train_acc",
    [CLI_FINAL_TEST_ACC]         = "final_test_acc",
    [CLI_FINAL_VAL_ACC]          = "final_val_acc",
    [CLI_BEST_TRAIN_ACC]         = "best_train_acc",
    [CLI_BEST_TEST_ACC]          = "best_test_acc",
    [CLI_LOWEST_LOSS_TRAIN_ACC]  = "lowest_loss_train_acc",
    [CLI_LOWEST_LOSS_TEST_ACC]   = "lowest_loss_test_acc",
    [CLI_EQUAL_EPOCHS_TEST_ACC]  = "equal_epochs_test_acc",
    [CLI_EQUAL_SECONDS_TEST_ACC] = "equal_seconds_test_acc",
    [CLI_RUN_SECONDS]            = "seconds",
};

static bool of_group(const cli_cell *c, const cli_group *g)
{
    return c->done && strcmp(c->group, g->name) == 0;
}

static bool whole(const cli_cell *c)
{
    return c->done && c->result.state == CLI_RUN_WHOLE && c->result.rows > 0;
}

/* The last row up to this epoch and this many seconds of training. */
static const double *row_at(const cli_run *r, double epoch, double seconds)
{
    const double *found = NULL;
    double        spent = 0;
    for (int i = 0; i < r->rows; i++) {
        if (!isnan(r->row[i][CLI_SECONDS])) spent += r->row[i][CLI_SECONDS];
        if (r->row[i][CLI_EPOCH] <= epoch && spent <= seconds * (1 + 1e-12)) found = r->row[i];
    }
    return found;
}

static double cell_of(const double *row, cli_metric metric)
{
    return row ? row[metric] : (double)NAN;
}

static double measure(const cli_run *r, cli_measure m, const cli_group *g)
{
    const double *last = r->row[r->rows - 1];
    switch (m) {
    case CLI_FINAL_TRAIN_LOSS:
        return last[CLI_TRAIN_LOSS];
    case CLI_FINAL_TRAIN_ACC:
        return last[CLI_TRAIN_ACC];
    case CLI_FINAL_TEST_ACC:
        return last[CLI_TEST_ACC];
    case CLI_FINAL_VAL_ACC:
        return last[CLI_VAL_ACC];
    case CLI_BEST_TRAIN_ACC:
        return cli_run_highest(r, CLI_TRAIN_ACC);
    case CLI_BEST_TEST_ACC:
        return cli_run_highest(r, CLI_TEST_ACC);
    case CLI_LOWEST_LOSS_TRAIN_ACC:
        return cell_of(cli_run_lowest_loss(r), CLI_TRAIN_ACC);
    case CLI_LOWEST_LOSS_TEST_ACC:
        return cell_of(cli_run_lowest_loss(r), CLI_TEST_ACC);
    case CLI_EQUAL_EPOCHS_TEST_ACC:
        return cell_of(row_at(r, g->equal_epochs, INFINITY), CLI_TEST_ACC);
    case CLI_EQUAL_SECONDS_TEST_ACC:
        return cell_of(row_at(r, INFINITY, g->equal_seconds), CLI_TEST_ACC);
    case CLI_RUN_SECONDS:
        return cli_run_seconds(r);
    case CLI_MEASURES:
        break;
    }
    return (double)NAN;
}

/* Over the group's runs that did not diverge; a number that a run does not have is left out. */
static cli_spread spread(const cli_grid *grid, const cli_group *g, cli_measure m)
{
    cli_spread s   = { 0, NAN, NAN, NAN, NAN };
    double     sum = 0, squares = 0;
    for (int i = 0; i < grid->count; i++) {
        const cli_cell *c = &grid->cell[i];
        const double    x = of_group(c, g) && whole(c) ? measure(&c->result, m, g) : (double)NAN;
        if (isnan(x)) continue;
        s.min = s.n == 0 || x < s.min ? x : s.min;
        s.max = s.n == 0 || x > s.max ? x : s.max;
        sum += x;
        s.n++;
    }
    if (s.n == 0) return s;
    s.mean = sum / s.n;
    for (int i = 0; i < grid->count; i++) {
        const cli_cell *c = &grid->cell[i];
        const double    x = of_group(c, g) && whole(c) ? measure(&c->result, m, g) : (double)NAN;
        if (!isnan(x)) squares += (x - s.mean) * (x - s.mean);
    }
    if (s.n > 1) s.sd = sqrt(squares / (s.n - 1));
    return s;
}

static cli_group *find(const cli_groups *groups, const char *name)
{
    for (int i = 0; i < groups->count; i++) {
        assert(groups->group[i].name); /* gather has given it one */
        if (strcmp(groups->group[i].name, name) == 0) return &groups->group[i];
    }
    return NULL;
}

/* Which runs there are, and what they have in common. */
static bool gather(plm_ctx *ctx, const cli_grid *grid, cli_groups *groups)
{
    groups->group = calloc((size_t)grid->count + 1, sizeof *groups->group);
    bool ok       = groups->group;
    for (int i = 0; ok && i < grid->count; i++) {
        const cli_cell *c = &grid->cell[i];
        cli_group      *g = find(groups, c->group);
        if (!g) {
            g  = &groups->group[groups->count++];
            *g = (cli_group){ .cell     = i,
                              .name     = c->group,
                              .set      = cli_settings_name(&c->settings, cli_leave_rate),
                              .problem  = cli_settings_name(&c->settings, cli_leave_optimizer),
                              .has_rate = cli_given(&c->settings, "lr") };
            ok = g->set && g->problem;
        }
        g->runs++;
        g->done += c->done;
        g->diverged += c->done && c->result.state == CLI_RUN_DIVERGED;
    }
    return ok || plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the results of the grid: out of memory");
}

/* Larger is better; -inf: not to be chosen. */
static double merit(const cli_group *g, const char *criterion)
{
    const bool       loss = strcmp(criterion, "train_loss") == 0;
    const cli_spread s    = g->measure[loss                                ? CLI_FINAL_TRAIN_LOSS
                                       : strcmp(criterion, "val_acc") == 0 ? CLI_FINAL_VAL_ACC
                                                                           : CLI_FINAL_TEST_ACC];
    if (s.n == 0 || g->diverged > 0) return -INFINITY;
    return loss ? -s.mean : s.mean;
}

/* The best of each set, the first of equals.  Where nothing can be chosen the first stands for the set. */
static void choose(cli_groups *groups, const cli_grid *grid)
{
    for (int i = 0; i < groups->count; i++) {
        cli_group *g = &groups->group[i], *best = NULL;
        g->lr    = grid->cell[g->cell].settings.lr;
        g->least = g->most = g->lr;
        for (int k = 0; k < groups->count; k++) {
            cli_group   *other = &groups->group[k];
            const double lr    = grid->cell[other->cell].settings.lr;
            if (strcmp(other->set, g->set) != 0) continue;
            g->rates++;
            if (lr < g->least) g->least = lr;
            if (lr > g->most) g->most = lr;
            if (!best || merit(other, groups->criterion) > merit(best, groups->criterion)) best = other;
        }
        g->chosen = best == g;
    }
}

/* The epochs, and the seconds of training, that all runs of the chosen groups of a problem have reached. */
static void find_equals(const cli_groups *groups, const cli_grid *grid, cli_group *g)
{
    g->equal_epochs  = INFINITY;
    g->equal_seconds = INFINITY;
    for (int i = 0; i < grid->count; i++) {
        const cli_cell *c = &grid->cell[i];
        if (!whole(c)) continue;
        const cli_group *of = find(groups, c->group);
        if (!of->chosen || strcmp(of->problem, g->problem) != 0) continue;
        g->equal_epochs  = fmin(g->equal_epochs, c->result.row[c->result.rows - 1][CLI_EPOCH]);
        g->equal_seconds = fmin(g->equal_seconds, cli_run_seconds(&c->result));
    }
}

bool cli_groups_new(plm_ctx *ctx, const cli_grid *grid, const char *criterion, cli_groups *groups)
{
    *groups = (cli_groups){ .criterion = criterion };
    if (!gather(ctx, grid, groups)) {
        cli_groups_free(groups);
        return false;
    }
    for (int i = 0; i < groups->count; i++)
        for (int m = 0; m < CLI_MEASURES; m++)
            groups->group[i].measure[m] = spread(grid, &groups->group[i], (cli_measure)m);
    choose(groups, grid);
    for (int i = 0; i < groups->count; i++) {
        cli_group *g = &groups->group[i];
        find_equals(groups, grid, g);
        g->measure[CLI_EQUAL_EPOCHS_TEST_ACC]  = spread(grid, g, CLI_EQUAL_EPOCHS_TEST_ACC);
        g->measure[CLI_EQUAL_SECONDS_TEST_ACC] = spread(grid, g, CLI_EQUAL_SECONDS_TEST_ACC);
    }
    return true;
}

void cli_groups_free(cli_groups *groups)
{
    for (int i = 0; i < groups->count; i++) {
        free(groups->group[i].set);
        free(groups->group[i].problem);
    }
    free(groups->group);
    *groups = (cli_groups){ 0 };
}

unsigned cli_group_edges(const cli_group *g)
{
    if (!g->chosen || !g->has_rate || g->done == 0) return 0;
    if (g->diverged > 0) return CLI_EDGE_LOW; /* all rates did: the right one is below */
    return (g->lr <= g->least ? CLI_EDGE_LOW : 0u) | (g->lr >= g->most ? CLI_EDGE_HIGH : 0u);
}

/* grid_run.c: the runs of a grid, one after the other, and how long it will all take.
 *
 * The work of a run is counted in multiply-adds: samples seen times the network's own.  What the runs so far have needed for
 * theirs says what is left. */
#include "lab.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

#define BETWEEN_UPDATES 0.2 /* seconds */

typedef struct {
    cli_grid *grid;
    bool      quiet, terminal, shown;
    int       cell, number, all; /* the run in progress: its cell; the how manieth of how many */
    double    done, left;        /* work: of the runs that are over; of this and all others */
    double    seconds;           /* that the former took */
    double    began, updated;
} progress;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A test sample costs a third: no backward pass.  Every step also passes over the weights. */
static double work_of(const cli_cell *c)
{
    const double epochs = (double)c->settings.epochs, samples = (double)c->samples;
    const double steps = ceil(samples / (double)c->settings.batch);
    return epochs * ((samples + (double)c->tests / 3) * (double)c->info.macs + steps * (double)c->info.parameters) + 1;
}

static void print_time(double seconds)
{
    const long s = lround(seconds);
    if (s >= 3600) printf("%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else printf("%ld:%02ld", s / 60, s % 60);
}

static void clear_line(progress *p)
{
    if (p->shown) fputs("\r\033[K", stdout);
    p->shown = false;
}

static void on_step(void *user, const plm_step *step)
{
    progress    *p    = user;
    const double time = now();
    if (p->quiet || !p->terminal || time - p->updated < BETWEEN_UPDATES) return;
    const cli_cell *c    = &p->grid->cell[p->cell];
    const double    part = (double)step->step / (double)(step->steps_per_epoch * c->settings.epochs);
    const double    done = p->done + part * work_of(c), spent = p->seconds + time - p->began;
    p->updated = time;
    clear_line(p);
    printf("run %d/%d, epoch %d/%lld, loss %.4f, ", p->number, p->all, step->epoch, (long long)c->settings.epochs,
           step->loss);
    print_time(spent / done * (p->left - part * work_of(c)));
    printf(" left   %s", c->group);
    fflush(stdout);
    p->shown = true;
}

static void print_run(progress *p, double seconds)
{
    const cli_cell *c    = &p->grid->cell[p->cell];
    const cli_run  *r    = &c->result;
    const double   *last = r->rows ? r->row[r->rows - 1] : NULL;
    if (p->quiet) return;
    clear_line(p);
    printf("[%d/%d] %-44s ", p->number, p->all, r->name);
    if (r->state == CLI_RUN_DIVERGED) printf("diverged: %s", r->diverged ? r->diverged : "its loss is not finite");
    else if (last)
        printf("loss %.4f  train %.4f  test %.4f", last[CLI_TRAIN_LOSS], last[CLI_TRAIN_ACC], last[CLI_TEST_ACC]);
    printf("  %.1f s", seconds);
    if (p->number < p->all) {
        printf("  ");
        print_time(p->seconds / p->done * p->left);
        printf(" left");
    }
    putchar('\n');
    fflush(stdout);
}

static bool run_cell(plm_ctx *ctx, progress *p, const plm_cli_extra *extra)
{
    cli_cell       *c     = &p->grid->cell[p->cell];
    const cli_watch watch = { on_step, p };
    plm_ctx        *own =
        plm_ctx_new(&(plm_ctx_desc){ .seed = (uint64_t)c->settings.seed, .threads = (int)c->settings.threads });
    if (!own) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", c->dir);
    p->began      = now();
    const bool ok = cli_train_run(own, &c->settings, extra, &watch);
    if (!ok && !cli_usage_failed()) plm_ctx_fail(ctx, plm_ctx_status(own), "%s: %s", c->dir, plm_ctx_error(own));
    plm_ctx_free(own);
    const double seconds = now() - p->began;
    p->seconds += seconds;
    p->done += work_of(c);
    p->left -= work_of(c);
    if (!ok || !cli_cell_read(ctx, c)) {
        clear_line(p);
        return false;
    }
    print_run(p, seconds);
    return true;
}

bool cli_grid_run(plm_ctx *ctx, cli_grid *g, bool quiet, const plm_cli_extra *extra)
{
    progress p    = { .grid = g, .quiet = quiet, .terminal = isatty(STDOUT_FILENO) };
    int      over = 0;
    for (int i = 0; i < g->count; i++) {
        if (g->cell[i].done) over++;
        else p.left += work_of(&g->cell[i]);
    }
    p.all = g->count - over;
    if (!quiet && over) printf("%d of %d runs are there already\n", over, g->count);
    if (!quiet) fflush(stdout);
    for (p.cell = 0; p.cell < g->count; p.cell++) {
        if (g->cell[p.cell].done) continue;
        p.number++;
        if (!plm_run_complete(ctx, g->cell[p.cell].dir)) return false;
        if (!cli_cell_read(ctx, &g->cell[p.cell])) return false; /* another process may have made it */
        if (g->cell[p.cell].done) p.left -= work_of(&g->cell[p.cell]);
        else if (!run_cell(ctx, &p, extra)) return false;
    }
    return true;
}

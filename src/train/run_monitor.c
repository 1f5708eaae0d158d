/* run_monitor.c: monitor.csv of a run folder: of each measured step a row for every weight layer, then one for the network. */
#include "train/run.h"

#include <math.h>

#include "train/explain.h"

/* A name as a cell.  A line break would end the row. */
static void put_name(FILE *file, const char *name)
{
    fputs(",\"", file);
    for (; *name; name++) {
        if (*name == '"') fputc('"', file);
        fputc((unsigned char)*name < ' ' ? ' ' : *name, file);
    }
    fputc('"', file);
}

/* NULL: as many empty cells. */
static void put_cells(FILE *file, const double *cell, int count)
{
    for (int i = 0; i < count; i++) plm__run_put(file, cell ? cell[i] : (double)NAN);
}

enum { OF_LAYER = 5, OF_NETWORK = 11 }; /* cells */

static void put_row(FILE *file, const plm_step *step, const char *name, const double *layer, const double *network)
{
    fprintf(file, "%lld,%d", (long long)step->step, step->epoch);
    put_name(file, name);
    put_cells(file, layer, OF_LAYER);
    put_cells(file, network, OF_NETWORK);
    fputc('\n', file);
}

static void put_rows(FILE *file, const plm_step *step, const plm_monitor *m, const plm_monitor_row *row)
{
    const plm_step_terms *t = &row->terms;
    for (int k = 0; k < row->layers; k++) {
        const plm_layer_facts *f              = plm_explain_layer(plm_monitor_facts(m), k);
        const plm_layer_step  *l              = &row->layer[k];
        const double           rank           = l->grad > 0 ? l->stable_rank : (double)NAN;
        const double           cell[OF_LAYER] = { l->grad, l->grad_op, rank, l->contribution, l->update };
        put_row(file, step, f->layer->name, f->trains ? cell : NULL, NULL);
    }
    const double cell[OF_NETWORK] = {
        t->G,         t->eta,    t->rate,   t->loss,       t->loss_after - t->loss, t->linear, row->majorisation,
        t->majorised, t->df_rms, t->df_max, row->df_theory
    };
    put_row(file, step, PLM__MONITOR_NETWORK, NULL, cell);
}

bool plm_run_monitor(plm_run *run, const plm_monitor *m)
{
    if (!run || run->ctx->status != PLM_OK) return false;
    if (!m || !run->metrics.file || run->monitor_rows)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_monitor: %s",
                         !m                  ? "m is NULL"
                         : run->metrics.file ? "the run has a monitor already"
                                             : "the run has ended");
    run->monitor_every = m->desc.every;
    run->monitor_rows  = m->row.layers + 1;
    if (run->waits) return true;
    if (run->resumed) return plm__lines_open(run->ctx, &run->monitor, run->partial, PLM__MONITOR_FILE);
    if (!plm__lines_create(run->ctx, &run->monitor, run->partial, PLM__MONITOR_FILE)) return false;
    fprintf(run->monitor.file, PLM__MONITOR "\n");
    return plm__lines_flush(run->ctx, &run->monitor);
}

bool plm_run_monitored(plm_run *run, const plm_monitor *m, const plm_step *step)
{
    if (!plm__run_ready(run)) return false;
    if (!step || !run->monitor.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_monitored: %s",
                         step ? "the run has no monitor, or has ended" : "step is NULL");
    const plm_monitor_row *row = plm_monitor_last(m);
    if (!row || row->step != step->step) return true;
    FILE          *file   = run->monitor.file;
    const locale_t before = uselocale(run->c);
    put_rows(file, step, m, row);
    uselocale(before);
    return !ferror(file) || plm__io_error(run->ctx, "write", run->monitor.path);
}

bool plm__run_cut_monitor(plm_run *run, const plm_checkpoint *at)
{
    int64_t rows, last;
    if (!run->monitor.file) return true;
    if (!plm__lines_cut(run->ctx, &run->monitor, PLM__MONITOR, at->step, true, &rows, &last)) return false;
    const int64_t steps = (at->step + run->monitor_every - 1) / run->monitor_every, want = steps * run->monitor_rows;
    /* Those left out have no rows. */
    const bool whole = rows % run->monitor_rows == 0 && rows <= want && rows >= want - at->skipped * run->monitor_rows;
    return whole || plm__fail(run->ctx, PLM_ERR_FORMAT,
                              "%s has %lld rows up to step %lld, where the checkpoint is, expected %lld",
                              run->monitor.path, (long long)rows, (long long)at->step, (long long)want);
}

/* run.c: run folders.
 *
 * A run is written into DIR.partial, which becomes DIR when everything is on the disk: a folder called DIR is a whole run.
 * Every write, flush, fsync, close and rename is checked, since a full disk may show at any of them. */
#include "train/run.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char partial[] = ".partial";

size_t plm__run_name(const char *dir, bool either)
{
    const size_t end    = sizeof partial - 1;
    size_t       length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/') length--;
    return either && length > end && memcmp(dir + length - end, partial, end) == 0 ? length - end : length;
}

/* A name is needed that another folder can have beside it. */
static bool name_run(plm_run *run, const char *dir, bool either, const char *call)
{
    const size_t length = plm__run_name(dir, either);
    if (length >= PATH_MAX) return plm__fail(run->ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", dir);
    memcpy(run->dir, dir, length);
    const char *slash = strrchr(run->dir, '/'), *name = slash ? slash + 1 : run->dir;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return plm__fail(run->ctx, PLM_ERR_ARGUMENT, "%s: \"%s\" is no name for a run folder", call, dir);
    return plm__join(run->ctx, run->partial, run->dir, partial);
}

plm_run *plm__run_make(plm_ctx *ctx, const char *dir, bool with_val, bool either, const char *call)
{
    plm_run *run = plm__new(ctx, sizeof *run, "a run folder");
    if (!run) return NULL;
    run->ctx      = ctx;
    run->with_val = with_val;
    run->c        = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!run->c) plm__fail(ctx, PLM_ERR_MEMORY, "a run folder: out of memory");
    if (run->c && name_run(run, dir, either, call)) return run;
    plm_run_free(run);
    return NULL;
}

bool plm__run_configure(plm_run *run, const char *config)
{
    plm_ctx   *ctx  = run->ctx;
    plm__lines file = { 0 };
    char       path[PATH_MAX];
    if (!plm__join(ctx, path, run->partial, "config.json") ||
        !plm__lines_create(ctx, &file, run->partial, "config.json.new"))
        return false;
    fprintf(file.file, "%s\n", config);
    if (plm__lines_close(ctx, &file) && (rename(file.path, path) == 0 || plm__io_error(ctx, "replace", path)))
        return true;
    unlink(file.path);
    return false;
}

bool plm__run_ready(plm_run *run)
{
    return run && run->ctx->status == PLM_OK && (!run->waits || plm__run_go_on(run));
}

bool plm__run_lock(plm_run *run)
{
    if (flock(fileno(run->metrics.file), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return true; /* not every file system has locks */
    return plm__fail(run->ctx, PLM_ERR_STATE, "another run is writing into %s", run->partial);
}

bool plm__run_sync(plm_run *run)
{
    plm_ctx *ctx = run->ctx;
    return plm__lines_sync(ctx, &run->monitor) && plm__lines_sync(ctx, &run->steps) &&
           plm__lines_sync(ctx, &run->metrics);
}

/* Why no more can be written into the run. */
static const char *ended(const plm_run *run)
{
    return run->finished ? "the run is finished" : "the run has failed";
}

void plm__run_put(FILE *file, double x)
{
    if (isnan(x)) fputc(',', file);
    else fprintf(file, ",%.9g", x);
}

bool plm_run_epoch(plm_run *run, const plm_epoch *epoch)
{
    if (!plm__run_ready(run)) return false;
    if (!epoch || !run->metrics.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_epoch: %s", epoch ? ended(run) : "epoch is NULL");
    const double   row[]  = { epoch->train.loss, epoch->train.acc,  epoch->test.loss, epoch->test.acc,
                              epoch->eta.mean,   epoch->eta.min,    epoch->eta.max,   epoch->update.mean,
                              epoch->update.min, epoch->update.max, epoch->seconds,   epoch->val.loss,
                              epoch->val.acc };
    const size_t   cells  = sizeof row / sizeof *row - (run->with_val ? 0 : 2);
    const locale_t before = uselocale(run->c);
    fprintf(run->metrics.file, "%d", epoch->epoch);
    for (size_t i = 0; i < cells; i++) plm__run_put(run->metrics.file, row[i]);
    fputc('\n', run->metrics.file);
    uselocale(before);
    return plm__lines_flush(run->ctx, &run->metrics);
}

bool plm_run_step(plm_run *run, const plm_step *step)
{
    if (!plm__run_ready(run)) return false;
    if (!step || !run->steps.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_step: %s",
                         step ? "the run was made without steps, or has ended" : "step is NULL");
    const double   row[]  = { step->loss, step->acc, step->info->eta, step->info->G, step->info->update_mean };
    const locale_t before = uselocale(run->c);
    fprintf(run->steps.file, "%lld,%d", (long long)step->step, step->epoch);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) plm__run_put(run->steps.file, row[i]);
    fputc('\n', run->steps.file);
    uselocale(before);
    return !ferror(run->steps.file) || plm__io_error(run->ctx, "write", run->steps.path);
}

/* Gives the folder its name, and then closes the files: until it has its name, metrics.csv keeps others away. */
static bool finish(plm_run *run)
{
    plm_ctx *ctx   = run->ctx;
    bool     named = plm__sync_folder(ctx, run->partial);
    if (named && rename(run->partial, run->dir) != 0)
        named = plm__io_error(ctx, "rename the finished run to", run->dir);
    run->finished      = named && plm__sync_parent(ctx, run->dir);
    const bool monitor = plm__lines_close(ctx, &run->monitor), steps = plm__lines_close(ctx, &run->steps);
    return plm__lines_close(ctx, &run->metrics) && monitor && steps && run->finished;
}

bool plm_run_finish(plm_run *run, plm_graph *net)
{
    if (!plm__run_ready(run)) return false;
    char path[PATH_MAX];
    if (!net || !run->metrics.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_finish: %s", net ? ended(run) : "net is NULL");
    return plm__join(run->ctx, path, run->partial, PLM__MODEL) && plm__run_sync(run) && plm_graph_save(net, path) &&
           finish(run);
}

bool plm_run_diverged(plm_run *run, const char *why)
{
    if (!plm__run_ready(run)) return false;
    plm__lines note = { 0 };
    if (!why || !run->metrics.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_diverged: %s", why ? ended(run) : "why is NULL");
    if (!plm__run_sync(run) || !plm__lines_create(run->ctx, &note, run->partial, PLM__DIVERGED)) return false;
    fprintf(note.file, "%s\n", why);
    return plm__lines_close(run->ctx, &note) && finish(run);
}

/* A model is the last that a run gets.  One that went on after it was finished may have an older model, but has checkpoints;
 * from those it goes on in any case. */
static bool is_whole(plm_run *run)
{
    char model[PATH_MAX], metrics[PATH_MAX];
    return plm__join(run->ctx, model, run->partial, PLM__MODEL) &&
           plm__join(run->ctx, metrics, run->partial, "metrics.csv") && access(run->dir, F_OK) != 0 &&
           access(model, F_OK) == 0 && access(metrics, F_OK) == 0 && !plm_run_has_checkpoint(run->dir);
}

bool plm__run_complete(plm_ctx *ctx, const char *dir, const char *call)
{
    plm_run *run = plm__run_make(ctx, dir, false, true, call);
    if (run && is_whole(run) && plm__lines_open(ctx, &run->metrics, run->partial, "metrics.csv") && plm__run_lock(run))
        finish(run);
    plm_run_free(run);
    return ctx->status == PLM_OK;
}

bool plm_run_complete(plm_ctx *ctx, const char *dir)
{
    if (!ctx || ctx->status != PLM_OK) return false;
    if (!dir) return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_run_complete: dir is NULL");
    return plm__run_complete(ctx, dir, "plm_run_complete");
}

void plm_run_free(plm_run *run)
{
    if (!run) return;
    if (run->metrics.file) fclose(run->metrics.file);
    if (run->steps.file) fclose(run->steps.file);
    if (run->monitor.file) fclose(run->monitor.file);
    if (run->c) freelocale(run->c);
    plm__delete(run->ctx, run->config);
    plm__delete(run->ctx, run);
}

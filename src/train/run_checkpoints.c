/* run_checkpoints.c: the checkpoints in a run folder.
 *
 * The newest two are kept, so that one that a disk has damaged is not the end.  A checkpoint is written when the rows that
 * belong to it are on the disk, and an older one removed when the new one is there under its name. */
#include "train/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT = 2 };

#define END ".safetensors"

bool plm__checkpoint_name(const char *name, int64_t *step)
{
    char *end;
    if (strncmp(name, PLM__CHECKPOINT, strlen(PLM__CHECKPOINT)) != 0) return false;
    name += strlen(PLM__CHECKPOINT);
    if (*name < '0' || *name > '9') return false;
    *step = strtoll(name, &end, 10);
    return strcmp(end, END) == 0;
}

/* Steps of which the folder has checkpoints. */
typedef struct {
    plm_ctx *ctx;
    int64_t *step;
    int      count, capacity;
} steps;

static bool note(void *user, const char *name)
{
    steps  *f = user;
    int64_t step;
    if (!plm__checkpoint_name(name, &step)) return true;
    if (!plm__grow(f->ctx, &f->step, &f->capacity, f->count + 1, sizeof *f->step, "a list of checkpoints"))
        return false;
    f->step[f->count++] = step;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const int64_t l = *(const int64_t *)a, r = *(const int64_t *)b;
    return (l < r) - (l > r);
}

static bool list(plm_run *run, steps *f)
{
    *f = (steps){ .ctx = run->ctx };
    if (!plm__each_entry(run->ctx, run->partial, note, f)) return false;
    if (f->count > 0) qsort(f->step, (size_t)f->count, sizeof *f->step, newest_first);
    return true;
}

static bool path_of(const plm_run *run, int64_t step, char path[PATH_MAX])
{
    char name[64];
    snprintf(name, sizeof name, PLM__CHECKPOINT "%" PRId64 END, step);
    return plm__join(run->ctx, path, run->partial, name);
}

static bool remove_old(plm_run *run)
{
    steps f;
    char  path[PATH_MAX];
    bool  ok = list(run, &f);
    for (int i = KEPT; ok && i < f.count; i++)
        ok = path_of(run, f.step[i], path) && (unlink(path) == 0 || plm__io_error(run->ctx, "remove", path));
    plm__delete(run->ctx, f.step);
    return ok;
}

bool plm__run_save(plm_run *run, const plm_graph *net, const plm_optimizer *opt, const plm_checkpoint *at,
                   const char *recipe)
{
    char path[PATH_MAX];
    if (run->ctx->status != PLM_OK) return false;
    if (!run->metrics.file) return plm__fail(run->ctx, PLM_ERR_STATE, "plm_train: the run has ended");
    return plm__run_sync(run) && path_of(run, at->step, path) && plm_checkpoint_save(path, net, opt, at, recipe) &&
           plm__sync_folder(run->ctx, run->partial) && remove_old(run);
}

/* ------------------------------------------------------------------ going on */

/* Loads it; or tells why not, without an error of the context when an older one may do. */
static bool try(plm_run *run, int64_t step, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at, const char *recipe,
                plm_status *status, char why[sizeof run->ctx->message])
{
    plm_ctx           *ctx      = run->ctx;
    const plm_on_error on_error = ctx->on_error;
    char               path[PATH_MAX];
    if (!path_of(run, step, path)) return false;
    ctx->on_error = NULL;
    const bool ok = plm__checkpoint_load(path, net, opt, at, recipe, step);
    ctx->on_error = on_error;
    if (ok) return true;
    *status = ctx->status;
    memcpy(why, ctx->message, sizeof ctx->message);
    ctx->status     = PLM_OK;
    ctx->message[0] = '\0';
    return false;
}

static bool set_aside(plm_run *run, int64_t step)
{
    char from[PATH_MAX], to[PATH_MAX];
    return path_of(run, step, from) && plm__join(run->ctx, to, from, ".damaged") &&
           (rename(from, to) == 0 || plm__io_error(run->ctx, "rename", from));
}

/* The rows up to the checkpoint, and all of them. */
static bool cut_rows(plm_run *run, bool from_start, const plm_checkpoint *at)
{
    plm_ctx   *ctx = run->ctx;
    int64_t    rows, last;
    const bool ok = plm__lines_cut(ctx, &run->metrics, run->with_val ? PLM__METRICS PLM__METRICS_VAL : PLM__METRICS,
                                   from_start ? -1 : at->epoch, false, &rows, &last);
    if (!ok) return false;
    if (!from_start && rows != at->epoch + 1)
        return plm__fail(ctx, PLM_ERR_FORMAT,
                         "%s has %" PRId64 " rows up to epoch %d, where the checkpoint is, expected %d",
                         run->metrics.path, rows, at->epoch, at->epoch + 1);
    if (!plm__run_cut_monitor(run, at)) return false;
    if (!run->steps.file) return true;
    if (!plm__lines_cut(ctx, &run->steps, PLM__STEPS, at->step, false, &rows, &last)) return false;
    return rows == at->step - at->skipped ||
           plm__fail(ctx, PLM_ERR_FORMAT,
                     "%s has %" PRId64 " rows up to step %" PRId64 ", where the checkpoint is, expected %" PRId64,
                     run->steps.path, rows, at->step, at->step - at->skipped);
}

bool plm__run_find(plm_run *run, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at, const char *recipe,
                   plm__found *found)
{
    plm_ctx   *ctx    = run->ctx;
    plm_status status = PLM_OK;
    char       next[sizeof ctx->message];
    steps      f;
    int        i  = 0;
    bool       ok = list(run, &f);
    *at           = (plm_checkpoint){ 0 };
    *found        = (plm__found){ .from_start = f.count == 0 };
    while (ok && i < f.count &&
           !try(run, f.step[i], net, opt, at, recipe, &status, i == 0 ? found->passed_over : next)) {
        ok = status != PLM_ERR_MEMORY && status != PLM_ERR_ENGINE;
        if (!ok) plm__fail(ctx, status, "%s", i == 0 ? found->passed_over : next);
        i++;
    }
    if (ok && i > 0 && i == f.count)
        ok = plm__fail(ctx, status, "%s%s", found->passed_over, i > 1 ? "; the one before cannot be used either" : "");
    plm__delete(ctx, f.step);
    return ok;
}

static bool set_aside_after(plm_run *run, const plm_checkpoint *at)
{
    steps f;
    bool  ok = list(run, &f);
    for (int i = 0; ok && i < f.count && f.step[i] > at->step; i++) ok = set_aside(run, f.step[i]);
    plm__delete(run->ctx, f.step);
    return ok;
}

bool plm__run_take_up(plm_run *run, const plm_checkpoint *at, const plm__found *found,
                      void (*told)(void *user, const plm_resumed *from), void *user)
{
    const bool from_start = found->from_start;
    char       path[PATH_MAX];
    if (!plm__run_ready(run) || !set_aside_after(run, at) || !path_of(run, at->step, path) ||
        !cut_rows(run, from_start, at))
        return false;
    if (told)
        told(user, &(plm_resumed){ .at          = at,
                                   .path        = from_start ? NULL : path,
                                   .passed_over = *found->passed_over ? found->passed_over : NULL });
    return run->ctx->status == PLM_OK;
}

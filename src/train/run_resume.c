/* run_resume.c: the folder of a run that goes on. */
#include "train/run.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool has_checkpoint(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) return false;
    bool    found = false;
    int64_t step;
    for (struct dirent *entry; !found && (entry = readdir(dir));) found = plm__checkpoint_name(entry->d_name, &step);
    closedir(dir);
    return found;
}

bool plm_run_has_checkpoint(const char *dir)
{
    char         path[PATH_MAX];
    const size_t length = dir ? plm__run_name(dir, true) : 0;
    return length > 0 && length < PATH_MAX &&
           snprintf(path, sizeof path, "%.*s.partial", (int)length, dir) < PATH_MAX && has_checkpoint(path);
}

/* Where is it?  A finished run keeps its name until it goes on. */
static bool find(plm_run *run)
{
    const bool whole = is_folder(run->dir), partial = is_folder(run->partial);
    if (whole && partial)
        return plm__fail(run->ctx, PLM_ERR_STATE, "there are both %s and %s: remove the one that shall not go on",
                         run->dir, run->partial);
    if (!whole && !partial)
        return plm__fail(run->ctx, PLM_ERR_IO, "there is no run to resume: neither %s nor %s is a folder", run->dir,
                         run->partial);
    if (whole && !has_checkpoint(run->dir))
        return plm__fail(run->ctx, PLM_ERR_STATE, "the run %s is finished and has no checkpoint to go on from",
                         run->dir);
    if (whole) strcpy(run->partial, run->dir);
    return true;
}

/* A finished run becomes an unfinished one again. */
static bool rename_back(plm_run *run)
{
    char partial[PATH_MAX];
    if (strcmp(run->partial, run->dir) != 0) return true;
    if (!plm__join(run->ctx, partial, run->dir, ".partial")) return false;
    if (rename(run->dir, partial) != 0) return plm__io_error(run->ctx, "rename the finished run", run->dir);
    strcpy(run->partial, partial);
    return plm__sync_parent(run->ctx, run->partial) &&
           plm__join(run->ctx, run->metrics.path, run->partial, "metrics.csv");
}

/* Removes what a process that died was about to write, and what said that the run had ended in nan. */
static bool remove_stale(void *user, const char *name)
{
    static const char *const whole[] = { PLM__MODEL, PLM__CHECKPOINT, "config.json" };
    plm_run                 *run     = user;
    char                     path[PATH_MAX];
    bool                     half = false;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) half |= strncmp(name, whole[i], strlen(whole[i])) == 0;
    half = half && (strstr(name, ".partial-") || strcmp(name, "config.json.new") == 0);
    return (!half && strcmp(name, PLM__DIVERGED) != 0) ||
           (plm__join(run->ctx, path, run->partial, name) &&
            (unlink(path) == 0 || plm__io_error(run->ctx, "remove", path)));
}

bool plm__run_go_on(plm_run *run)
{
    plm_ctx *ctx = run->ctx;
    if (!rename_back(run) || !plm__each_entry(ctx, run->partial, remove_stale, run) ||
        (run->config && !plm__run_configure(run, run->config)) ||
        (run->with_steps && !run->steps.file && !plm__lines_open(ctx, &run->steps, run->partial, "steps.csv")) ||
        (run->monitor_rows && !plm__lines_open(ctx, &run->monitor, run->partial, PLM__MONITOR_FILE)))
        return false;
    run->waits = false;
    return true;
}

static bool keep(plm_run *run, const char *config)
{
    if (!config) return true;
    run->config = plm__new(run->ctx, strlen(config) + 1, "a run folder");
    return run->config && strcpy(run->config, config);
}

plm_run *plm_run_resume(plm_ctx *ctx, const char *dir, const char *config, bool with_val, bool with_steps)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!dir) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_run_resume: dir is NULL");
        return NULL;
    }
    static const char call[] = "plm_run_resume";
    plm_run          *run    = plm__run_complete(ctx, dir, call) ? plm__run_make(ctx, dir, with_val, true, call) : NULL;
    if (!run) return NULL;
    run->resumed = run->waits = true;
    run->with_steps           = with_steps;
    if (find(run) && plm__lines_open(ctx, &run->metrics, run->partial, "metrics.csv") && plm__run_lock(run) &&
        keep(run, config))
        return run;
    plm_run_free(run);
    return NULL;
}

/* run_new.c: the folder of a run that begins. */
#include "train/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool make_parents(plm_ctx *ctx, const char *dir)
{
    char path[PATH_MAX];
    strcpy(path, dir);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash          = '\0';
        const bool made = mkdir(path, 0777) == 0;
        if (!made && errno != EEXIST) return plm__io_error(ctx, "create the folder", path);
        if (made && !plm__sync_parent(ctx, path)) return false;
        *slash = '/';
    }
    return true;
}

/* 1: holds something; 0: empty; -1: error. */
static int holds_entries(plm_ctx *ctx, const char *dir)
{
    DIR *folder = opendir(dir);
    if (!folder) {
        plm__io_error(ctx, "open the folder", dir);
        return -1;
    }
    int found = 0;
    for (struct dirent *entry; !found && (entry = readdir(folder));)
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return found;
}

static bool check_free(plm_ctx *ctx, const char *dir)
{
    struct stat info;
    if (lstat(dir, &info) != 0) return errno == ENOENT || plm__io_error(ctx, "create the run folder", dir);
    if (!S_ISDIR(info.st_mode)) return plm__fail(ctx, PLM_ERR_IO, "the run folder %s exists and is not a folder", dir);
    const int holds = holds_entries(ctx, dir);
    if (holds > 0)
        return plm__fail(ctx, PLM_ERR_IO, "the run folder %s exists and is not empty: choose another name or remove it",
                         dir);
    return holds == 0;
}

static bool check_abandoned(plm_ctx *ctx, const char *partial)
{
    char path[PATH_MAX];
    if (!plm__join(ctx, path, partial, "metrics.csv")) return false;
    const int fd = open(path, O_RDWR);
    if (fd < 0) return true; /* none there; what cannot be opened cannot be removed either, and that is said then */
    const bool free_to_take = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    close(fd);
    return free_to_take || plm__fail(ctx, PLM_ERR_STATE, "another run is writing into %s", partial);
}

/* What an unfinished run has left, and nothing else. */
typedef struct {
    plm_ctx    *ctx;
    const char *partial;
} left_over;

static bool is_checkpoint(const char *name)
{
    static const char damaged[] = ".damaged";
    char              plain[NAME_MAX + 1];
    int64_t           step;
    snprintf(plain, sizeof plain, "%s", name);
    char *end = strrchr(plain, '.');
    if (end && strcmp(end, damaged) == 0) *end = '\0';
    return plm__checkpoint_name(plain, &step);
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = { "config.json", "metrics.csv", "steps.csv",    PLM__MONITOR_FILE,
                                        PLM__MODEL,    PLM__DIVERGED, PLM__CHECKPOINT };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) /* what was half written has a longer name */
        if (strncmp(name, ours[i], strlen(ours[i])) == 0) return true;
    return false;
}

/* Refuses what is worth more than a place for a new run. */
static bool check_entry(void *user, const char *name)
{
    const left_over *l = user;
    if (is_checkpoint(name))
        return plm__fail(
            l->ctx, PLM_ERR_STATE,
            "%s has checkpoints of an unfinished run: resume it, or choose another name or remove the folder",
            l->partial);
    if (strcmp(name, PLM__MODEL) == 0)
        return plm__fail(l->ctx, PLM_ERR_STATE,
                         "%s has the model of a whole run: resume it, or choose another name or remove the folder",
                         l->partial);
    return is_ours(name) ||
           plm__fail(l->ctx, PLM_ERR_IO,
                     "%s has %s in it, which is no part of a run: choose another name or remove the folder", l->partial,
                     name);
}

static bool remove_entry(void *user, const char *name)
{
    const left_over *l = user;
    char             path[PATH_MAX];
    return plm__join(l->ctx, path, l->partial, name) && (unlink(path) == 0 || plm__io_error(l->ctx, "remove", path));
}

static bool remove_partial(plm_ctx *ctx, const char *partial)
{
    left_over   l = { ctx, partial };
    struct stat info;
    if (stat(partial, &info) != 0 && errno == ENOENT) return true;
    if (!plm__each_entry(ctx, partial, check_entry, &l) || !plm__each_entry(ctx, partial, remove_entry, &l))
        return false;
    return rmdir(partial) == 0 || plm__io_error(ctx, "replace the unfinished run", partial);
}

static bool create(plm_run *run, const char *config, bool with_steps)
{
    plm_ctx *ctx = run->ctx;
    if (!make_parents(ctx, run->dir) || !check_free(ctx, run->dir)) return false;
    if (!check_abandoned(ctx, run->partial) || !remove_partial(ctx, run->partial)) return false;
    if (mkdir(run->partial, 0777) != 0) return plm__io_error(ctx, "create the folder", run->partial);
    if (!plm__sync_parent(ctx, run->partial)) return false;
    if (!plm__run_configure(run, config) || !plm__lines_create(ctx, &run->metrics, run->partial, "metrics.csv"))
        return false;
    fprintf(run->metrics.file, PLM__METRICS "%s\n", run->with_val ? PLM__METRICS_VAL : "");
    if (!plm__run_lock(run) || !plm__lines_flush(ctx, &run->metrics)) return false;
    if (!with_steps) return true;
    if (!plm__lines_create(ctx, &run->steps, run->partial, "steps.csv")) return false;
    fprintf(run->steps.file, PLM__STEPS "\n");
    return plm__lines_flush(ctx, &run->steps);
}

plm_run *plm_run_new(plm_ctx *ctx, const char *dir, const char *config, bool with_val, bool with_steps)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!dir || !config) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_run_new: %s is NULL", dir ? "config" : "dir");
        return NULL;
    }
    plm_run *run = plm__run_make(ctx, dir, with_val, false, "plm_run_new");
    if (run && create(run, config, with_steps)) return run;
    plm_run_free(run);
    return NULL;
}

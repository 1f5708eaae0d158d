/* run.c: run folders.
 *
 * A run is written into DIR.partial, which becomes DIR when everything is on the disk: a folder called DIR is a whole run.
 * Every write, flush, fsync, close and rename is checked, since a full disk may show at any of them. */
#include "train/train.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define METRICS \
    "epoch,train_loss,train_acc,test_loss,test_acc,eta_mean,eta_min,eta_max,update_mean,update_min,update_max,seconds"
#define STEPS "step,epoch,loss,acc,eta,G,update_mean"
#define MODEL "model.safetensors"
#define DIVERGED "diverged.txt"

typedef struct {
    FILE *file; /* NULL: not open */
    char  path[PATH_MAX];
} output;

struct plm_run {
    plm_ctx *ctx;
    char     dir[PATH_MAX], partial[PATH_MAX];
    output   metrics, steps;
    bool     with_val, finished;
    locale_t c; /* numbers have a point, whatever the program's language */
};

static bool io_error(plm_ctx *ctx, const char *what, const char *path)
{
    return plm__fail(ctx, PLM_ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

/* "FOLDER/NAME", or FOLDER.partial; a path too long to write down cannot be opened either. */
static bool join(plm_ctx *ctx, char path[PATH_MAX], const char *folder, const char *name)
{
    const int length = snprintf(path, PATH_MAX, "%s%s%s", folder, *name == '.' ? "" : "/", name);
    if (length > 0 && length < PATH_MAX) return true;
    return plm__fail(ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", folder);
}

static bool open_output(plm_ctx *ctx, output *o, const char *folder, const char *name)
{
    if (!join(ctx, o->path, folder, name)) return false;
    o->file = fopen(o->path, "we"); /* e: a program started meanwhile does not inherit the lock */
    return o->file || io_error(ctx, "create", o->path);
}

static bool flush(plm_ctx *ctx, output *o)
{
    return (!ferror(o->file) && fflush(o->file) == 0) || io_error(ctx, "write", o->path);
}

static bool close_output(plm_ctx *ctx, output *o)
{
    if (!o->file) return true;
    bool ok = flush(ctx, o);
    if (ok && fsync(fileno(o->file)) != 0) ok = io_error(ctx, "write", o->path);
    if (fclose(o->file) != 0 && ok) ok = io_error(ctx, "close", o->path);
    o->file = NULL;
    return ok;
}

/* The entries of a folder must be on the disk as well. */
static bool sync_folder(plm_ctx *ctx, const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return io_error(ctx, "open", path);
    const bool ok = fsync(fd) == 0 || errno == EINVAL; /* EINVAL: a file system that knows no such thing */
    if (!ok) io_error(ctx, "write", path);
    close(fd);
    return ok;
}

static void parent_of(const char *path, char parent[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (!slash) strcpy(parent, ".");
    else snprintf(parent, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool make_parents(plm_ctx *ctx, const char *dir)
{
    char path[PATH_MAX];
    strcpy(path, dir);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) return io_error(ctx, "create the folder", path);
        *slash = '/';
    }
    return true;
}

/* 1: holds something; 0: empty; -1: error. */
static int holds_entries(plm_ctx *ctx, const char *dir)
{
    DIR *folder = opendir(dir);
    if (!folder) {
        io_error(ctx, "open the folder", dir);
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
    if (lstat(dir, &info) != 0) return errno == ENOENT || io_error(ctx, "create the run folder", dir);
    if (!S_ISDIR(info.st_mode)) return plm__fail(ctx, PLM_ERR_IO, "the run folder %s exists and is not a folder", dir);
    const int holds = holds_entries(ctx, dir);
    if (holds > 0)
        return plm__fail(ctx, PLM_ERR_IO, "the run folder %s exists and is not empty: choose another name or remove it",
                         dir);
    return holds == 0;
}

/* A run in progress holds a lock on its metrics.csv, which goes when the file is closed or the process ends. */
static bool lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; /* not every file system has locks */
}

static bool check_abandoned(plm_ctx *ctx, const char *partial)
{
    char path[PATH_MAX];
    if (!join(ctx, path, partial, "metrics.csv")) return false;
    const int fd = open(path, O_RDWR);
    if (fd < 0) return true; /* none there; what cannot be opened cannot be removed either, and that is said then */
    const bool free_to_take = lock(fd);
    close(fd);
    return free_to_take || plm__fail(ctx, PLM_ERR_STATE, "another run is writing into %s", partial);
}

/* Removes what a run that did not finish has left, and nothing else. */
static bool remove_partial(plm_ctx *ctx, const char *partial)
{
    static const char *const ours[] = { "config.json", "metrics.csv", "steps.csv", DIVERGED };
    DIR                     *folder = opendir(partial);
    if (!folder) return errno == ENOENT || io_error(ctx, "open the folder", partial);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        bool remove_it = strncmp(entry->d_name, MODEL, strlen(MODEL)) == 0; /* also one half written */
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) remove_it |= strcmp(entry->d_name, ours[i]) == 0;
        char path[PATH_MAX];
        if (!remove_it) continue;
        ok = join(ctx, path, partial, entry->d_name);
        if (ok && unlink(path) != 0) ok = io_error(ctx, "remove", path);
    }
    closedir(folder);
    if (!ok || rmdir(partial) == 0) return ok;
    return io_error(ctx, "replace the unfinished run", partial);
}

/* Copies `dir` without trailing slashes.  A name is needed that another folder can have beside it. */
static bool name_run(plm_run *run, const char *dir)
{
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/') length--;
    if (length >= PATH_MAX) return plm__fail(run->ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", dir);
    memcpy(run->dir, dir, length);
    const char *slash = strrchr(run->dir, '/'), *name = slash ? slash + 1 : run->dir;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return plm__fail(run->ctx, PLM_ERR_ARGUMENT, "plm_run_new: \"%s\" is no name for a run folder", dir);
    return join(run->ctx, run->partial, run->dir, ".partial");
}

static bool create(plm_run *run, const char *config, bool with_steps)
{
    plm_ctx *ctx         = run->ctx;
    output   config_file = { 0 };
    if (!make_parents(ctx, run->dir) || !check_free(ctx, run->dir)) return false;
    if (!check_abandoned(ctx, run->partial) || !remove_partial(ctx, run->partial)) return false;
    if (mkdir(run->partial, 0777) != 0) return io_error(ctx, "create the folder", run->partial);
    if (!open_output(ctx, &config_file, run->partial, "config.json")) return false;
    fprintf(config_file.file, "%s\n", config);
    if (!close_output(ctx, &config_file) || !open_output(ctx, &run->metrics, run->partial, "metrics.csv")) return false;
    fprintf(run->metrics.file, METRICS "%s\n", run->with_val ? ",val_loss,val_acc" : "");
    if (!lock(fileno(run->metrics.file)))
        return plm__fail(ctx, PLM_ERR_STATE, "another run is writing into %s", run->partial);
    if (!flush(ctx, &run->metrics)) return false;
    if (!with_steps) return true;
    if (!open_output(ctx, &run->steps, run->partial, "steps.csv")) return false;
    fprintf(run->steps.file, STEPS "\n");
    return flush(ctx, &run->steps);
}

plm_run *plm_run_new(plm_ctx *ctx, const char *dir, const char *config, bool with_val, bool with_steps)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!dir || !config) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_run_new: %s is NULL", dir ? "config" : "dir");
        return NULL;
    }
    plm_run *run = plm__new(ctx, sizeof *run, "a run folder");
    if (!run) return NULL;
    run->ctx      = ctx;
    run->with_val = with_val;
    run->c        = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!run->c) plm__fail(ctx, PLM_ERR_MEMORY, "a run folder: out of memory");
    if (run->c && name_run(run, dir) && create(run, config, with_steps)) return run;
    plm_run_free(run);
    return NULL;
}

/* Why no more can be written into the run. */
static const char *ended(const plm_run *run)
{
    return run->finished ? "the run is finished" : "the run has failed";
}

/* ",x": nine digits give every float back; what does not exist is empty. */
static void put(FILE *file, double x)
{
    if (isnan(x)) fputc(',', file);
    else fprintf(file, ",%.9g", x);
}

bool plm_run_epoch(plm_run *run, const plm_epoch *epoch)
{
    if (!run || run->ctx->status != PLM_OK) return false;
    if (!epoch || !run->metrics.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_epoch: %s", epoch ? ended(run) : "epoch is NULL");
    const double   row[]  = { epoch->train.loss, epoch->train.acc,  epoch->test.loss, epoch->test.acc,
                              epoch->eta.mean,   epoch->eta.min,    epoch->eta.max,   epoch->update.mean,
                              epoch->update.min, epoch->update.max, epoch->seconds,   epoch->val.loss,
                              epoch->val.acc };
    const size_t   cells  = sizeof row / sizeof *row - (run->with_val ? 0 : 2);
    const locale_t before = uselocale(run->c);
    fprintf(run->metrics.file, "%d", epoch->epoch);
    for (size_t i = 0; i < cells; i++) put(run->metrics.file, row[i]);
    fputc('\n', run->metrics.file);
    uselocale(before);
    return flush(run->ctx, &run->metrics);
}

bool plm_run_step(plm_run *run, const plm_step *step)
{
    if (!run || run->ctx->status != PLM_OK) return false;
    if (!step || !run->steps.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_step: %s",
                         step ? "the run was made without steps, or has ended" : "step is NULL");
    const double   row[]  = { step->loss, step->acc, step->info->eta, step->info->G, step->info->update_mean };
    const locale_t before = uselocale(run->c);
    fprintf(run->steps.file, "%lld,%d", (long long)step->step, step->epoch);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) put(run->steps.file, row[i]);
    fputc('\n', run->steps.file);
    uselocale(before);
    return !ferror(run->steps.file) || io_error(run->ctx, "write", run->steps.path);
}

/* Closes the files and gives the folder its name. */
static bool finish(plm_run *run)
{
    plm_ctx *ctx = run->ctx;
    char     parent[PATH_MAX];
    if (!close_output(ctx, &run->steps) || !close_output(ctx, &run->metrics)) return false;
    if (!sync_folder(ctx, run->partial)) return false;
    if (rename(run->partial, run->dir) != 0) return io_error(ctx, "rename the finished run to", run->dir);
    parent_of(run->dir, parent);
    run->finished = sync_folder(ctx, parent);
    return run->finished;
}

bool plm_run_finish(plm_run *run, plm_graph *net)
{
    if (!run || run->ctx->status != PLM_OK) return false;
    char path[PATH_MAX];
    if (!net || !run->metrics.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_finish: %s", net ? ended(run) : "net is NULL");
    return join(run->ctx, path, run->partial, MODEL) && plm_graph_save(net, path) && finish(run);
}

bool plm_run_diverged(plm_run *run, const char *why)
{
    if (!run || run->ctx->status != PLM_OK) return false;
    output note = { 0 };
    if (!why || !run->metrics.file)
        return plm__fail(run->ctx, PLM_ERR_STATE, "plm_run_diverged: %s", why ? ended(run) : "why is NULL");
    if (!open_output(run->ctx, &note, run->partial, DIVERGED)) return false;
    fprintf(note.file, "%s\n", why);
    return close_output(run->ctx, &note) && finish(run);
}

void plm_run_free(plm_run *run)
{
    if (!run) return;
    if (run->metrics.file) fclose(run->metrics.file);
    if (run->steps.file) fclose(run->steps.file);
    if (run->c) freelocale(run->c);
    plm__delete(run->ctx, run);
}

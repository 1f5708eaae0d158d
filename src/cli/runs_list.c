/* runs_list.c: several run folders, given one by one or as the folder that holds them. */
#include "runs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Names of folders, in memory of their own. */
typedef struct {
    char **name;
    int    count, room;
} names;

static void names_free(names *n)
{
    for (int i = 0; i < n->count; i++) free(n->name[i]);
    free(n->name);
    *n = (names){ 0 };
}

static bool names_add(plm_ctx *ctx, names *n, const char *name)
{
    if (n->count == n->room) {
        const int room   = n->room ? 2 * n->room : 16;
        char    **larger = realloc(n->name, (size_t)room * sizeof *larger);
        if (!larger) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", name);
        n->name = larger;
        n->room = room;
    }
    char *copy = malloc(strlen(name) + 1);
    if (!copy) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", name);
    n->name[n->count++] = strcpy(copy, name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool holds_config(const char *dir)
{
    char        path[PATH_MAX];
    struct stat info;
    const int   n = snprintf(path, sizeof path, "%s/%s", dir, CLI_RUN_CONFIG);
    return n > 0 && n < (int)sizeof path && stat(path, &info) == 0;
}

/* DIR.partial beside a whole DIR is what a run left that was begun again elsewhere: the whole one counts. */
static bool is_double(const char *path)
{
    char         whole[PATH_MAX];
    const size_t length = strlen(path), end = strlen(CLI_RUN_PARTIAL_END);
    if (length <= end || strcmp(path + length - end, CLI_RUN_PARTIAL_END) != 0) return false;
    snprintf(whole, sizeof whole, "%.*s", (int)(length - end), path);
    return holds_config(whole);
}

/* The run folders directly in `dir`, by name. */
static bool find_in(plm_ctx *ctx, const char *dir, names *found)
{
    DIR *folder = opendir(dir);
    if (!folder) {
        if (errno == ENOENT || errno == ENOTDIR) return true;
        return plm_ctx_fail(ctx, PLM_ERR_IO, "cannot open the folder %s: %s", dir, strerror(errno));
    }
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        char      path[PATH_MAX];
        const int n = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (*entry->d_name == '.' || n < 0 || n >= (int)sizeof path || !holds_config(path) || is_double(path)) continue;
        ok = names_add(ctx, found, path);
    }
    closedir(folder);
    if (ok && found->count > 1) qsort(found->name, (size_t)found->count, sizeof *found->name, by_name);
    return ok;
}

/* The run folders that `dir` stands for: itself, those in it, or those in its "runs". */
static bool find(plm_ctx *ctx, const char *dir, names *found)
{
    char      path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s/runs", dir);
    if (n < 0 || n >= (int)sizeof path)
        return plm_ctx_fail(ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", dir);
    struct stat info;
    if (stat(dir, &info) != 0 || !S_ISDIR(info.st_mode) || holds_config(dir)) return names_add(ctx, found, dir);
    if (!find_in(ctx, dir, found) || (found->count == 0 && !find_in(ctx, path, found))) return false;
    if (found->count > 0) return true;
    return plm_ctx_fail(ctx, PLM_ERR_IO, "%s holds no run: neither %s nor folders with one", dir, CLI_RUN_CONFIG);
}

static bool read_all(plm_ctx *ctx, const names *dirs, bool steps, cli_runs *runs)
{
    if (dirs->count == 0) return true;
    cli_run *larger = realloc(runs->run, (size_t)(runs->count + dirs->count) * sizeof *larger);
    if (!larger) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", dirs->name[0]);
    runs->run = larger;
    for (int i = 0; i < dirs->count; i++) {
        if (!cli_run_read(ctx, dirs->name[i], steps, &runs->run[runs->count])) return false;
        runs->count++;
    }
    return true;
}

bool cli_runs_read(plm_ctx *ctx, const char *const *dirs, int count, bool steps, cli_runs *runs)
{
    bool ok = true;
    *runs   = (cli_runs){ 0 };
    for (int i = 0; ok && i < count; i++) {
        names found = { 0 };
        ok          = find(ctx, dirs[i], &found) && read_all(ctx, &found, steps, runs);
        names_free(&found);
    }
    if (!ok) cli_runs_free(runs);
    return ok;
}

void cli_runs_free(cli_runs *runs)
{
    for (int i = 0; i < runs->count; i++) cli_run_free(&runs->run[i]);
    free(runs->run);
    *runs = (cli_runs){ 0 };
}

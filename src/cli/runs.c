/* runs.c: a run folder becomes a plain struct: config.json, metrics.csv, steps.csv, and whether the run is whole. */
#include "runs.h"

#include "table.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REQUIRED CLI_VAL_LOSS /* the columns before it must be there */
#define MOST_ROWS 10000000    /* an int holds their number */

static const char *const metrics_names[CLI_METRICS] = {
    "epoch",   "train_loss",  "train_acc",  "test_loss",  "test_acc", "eta_mean", "eta_min",
    "eta_max", "update_mean", "update_min", "update_max", "seconds",  "val_loss", "val_acc",
};
static const char *const steps_names[CLI_STEP_COLUMNS] = {
    "step", "epoch", "loss", "acc", "eta", "G", "update_mean",
};

const char *cli_run_state_name(cli_run_state state)
{
    static const char *const names[] = { "whole", "partial", "diverged" };
    return names[state];
}

static bool out_of_memory(plm_ctx *ctx, const char *what)
{
    return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", what);
}

static bool join(plm_ctx *ctx, char path[PATH_MAX], const char *dir, const char *name)
{
    const int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return (n > 0 && n < PATH_MAX) ||
           plm_ctx_fail(ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", dir);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_there(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
    const size_t n = strlen(end);
    return length > n && memcmp(text + length - n, end, n) == 0;
}

/* run->dir and run->name. */
static bool name_run(plm_ctx *ctx, const char *dir, cli_run *run)
{
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/') length--;
    run->dir  = malloc(length + sizeof CLI_RUN_PARTIAL_END);
    run->name = malloc(length + 1);
    if (!run->dir || !run->name) return out_of_memory(ctx, dir);
    snprintf(run->dir, length + 1, "%s", dir);
    if (!is_there(run->dir)) {
        strcpy(run->dir + length, CLI_RUN_PARTIAL_END);
        if (!is_folder(run->dir)) run->dir[length] = '\0';
    }
    if (!is_folder(run->dir))
        return plm_ctx_fail(ctx, PLM_ERR_IO, "%s is no run folder: %s", run->dir,
                            is_there(run->dir) ? "it is a file" : "there is no such folder");
    if (ends_with(run->dir, strlen(run->dir), CLI_RUN_PARTIAL_END)) run->state = CLI_RUN_PARTIAL;
    if (ends_with(dir, length, CLI_RUN_PARTIAL_END)) length -= strlen(CLI_RUN_PARTIAL_END);
    size_t start = length;
    while (start > 0 && dir[start - 1] != '/') start--;
    snprintf(run->name, length - start + 1, "%s", dir + start);
    return true;
}

static bool read_config(plm_ctx *ctx, cli_run *run)
{
    char        path[PATH_MAX];
    const char *end  = NULL;
    char       *text = join(ctx, path, run->dir, CLI_RUN_CONFIG) ? cli_text_read(ctx, path, NULL) : NULL;
    if (!text) return false;
    run->config = cJSON_ParseWithOpts(text, &end, true);
    int line    = 1;
    for (const char *at = text; end && at < end && *at; at++) line += *at == '\n';
    free(text);
    if (!run->config) return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s is not JSON (line %d)", path, line);
    if (cJSON_IsObject(run->config)) return true;
    return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s is not a JSON object", path);
}

/* What diverged.txt says, its first line; without that file nothing. */
static bool read_diverged(plm_ctx *ctx, cli_run *run)
{
    char path[PATH_MAX];
    if (!join(ctx, path, run->dir, CLI_RUN_DIVERGED_FILE)) return false;
    if (!is_there(path)) return true;
    run->diverged = cli_text_read(ctx, path, NULL);
    if (!run->diverged) return false;
    run->diverged[strcspn(run->diverged, "\r\n")] = '\0';
    run->state                                    = CLI_RUN_DIVERGED;
    return true;
}

/* The named columns, [rows, columns], to be given to free; *all: none is missing.  NULL: the error. */
static double *read_columns(plm_ctx *ctx, const cli_table *t, const char *const *names, int columns, int required,
                            bool *all)
{
    int at[CLI_METRICS];
    *all = true;
    for (int i = 0; i < columns; i++) {
        at[i] = cli_table_column(t, names[i]);
        if (at[i] >= 0) continue;
        *all = false;
        if (i >= required) continue;
        plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has no column %s", t->path, names[i]);
        return NULL;
    }
    double *cell = malloc(((size_t)t->rows + 1) * (size_t)columns * sizeof *cell);
    if (!cell) out_of_memory(ctx, t->path);
    for (int64_t r = 0; cell && r < t->rows; r++)
        for (int i = 0; cell && i < columns; i++) {
            double *x = cell + r * columns + i;
            *x        = NAN;
            if (at[i] < 0 || cli_table_number(ctx, t, r, at[i], x)) continue;
            free(cell);
            cell = NULL;
        }
    return cell;
}

/* The first column counts: whole numbers from `from` on that increase. */
static bool check_count(plm_ctx *ctx, const cli_table *t, const double *cell, int columns, const char *name,
                        double from)
{
    double before = from - 1;
    for (int64_t r = 0; r < t->rows; r++) {
        const double x = cell[r * columns];
        if (!(x > before && x <= 1e15 && x == floor(x)))
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s, line %lld: %s is %g, expected a whole number above %g",
                                t->path, (long long)r + 2, name, x, before);
        before = x;
    }
    return true;
}

/* FILE of the run as [rows, columns]; `optional`: no such file is no rows. */
static bool read_csv(plm_ctx *ctx, const cli_run *run, const char *file, const char *const *names, int columns,
                     int required, bool optional, double **cells, int64_t *rows, bool *all)
{
    char      path[PATH_MAX];
    cli_table t = { 0 };
    if (!join(ctx, path, run->dir, file)) return false;
    if (optional && !is_there(path)) return true;
    if (!cli_table_read(ctx, path, &t)) return false;
    bool ok = true;
    if (t.cut_off && run->state == CLI_RUN_WHOLE)
        ok = plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s: its last line is cut off", path);
    if (t.rows > MOST_ROWS) ok = plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has more than %d rows", path, MOST_ROWS);
    *cells = ok ? read_columns(ctx, &t, names, columns, required, all) : NULL;
    *rows  = t.rows;
    ok     = *cells && check_count(ctx, &t, *cells, columns, names[0], columns == CLI_METRICS ? 0 : 1);
    cli_table_free(&t);
    return ok;
}

static bool read_run(plm_ctx *ctx, const char *dir, bool steps, cli_run *run)
{
    int64_t rows = 0;
    bool    all  = false;
    double *cell = NULL;
    if (!name_run(ctx, dir, run) || !read_config(ctx, run) || !read_diverged(ctx, run)) return false;
    const bool ok =
        read_csv(ctx, run, CLI_RUN_METRICS, metrics_names, CLI_METRICS, REQUIRED, false, &cell, &rows, &run->has_val);
    run->row  = (double(*)[CLI_METRICS])cell;
    run->rows = (int)rows;
    if (!ok) return false;
    for (int r = 0; r < run->rows; r++)
        if (run->row[r][CLI_EPOCH] > 0 && !isfinite(run->row[r][CLI_TRAIN_LOSS])) run->state = CLI_RUN_DIVERGED;
    if (!steps) return true;
    cell                  = NULL;
    const bool steps_read = read_csv(ctx, run, CLI_RUN_STEPS, steps_names, CLI_STEP_COLUMNS, CLI_STEP_COLUMNS, true,
                                     &cell, &run->steps, &all);
    run->step             = (double(*)[CLI_STEP_COLUMNS])cell;
    return steps_read;
}

bool cli_run_read(plm_ctx *ctx, const char *dir, bool steps, cli_run *run)
{
    *run = (cli_run){ 0 };
    if (read_run(ctx, dir, steps, run)) return true;
    cli_run_free(run);
    return false;
}

void cli_run_free(cli_run *run)
{
    free(run->dir);
    free(run->name);
    free(run->diverged);
    free(run->row);
    free(run->step);
    free(run->monitor);
    cJSON_Delete(run->config);
    *run = (cli_run){ 0 };
}

const char *cli_run_text(const cli_run *run, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run->config, key));
}

double cli_run_number(const cli_run *run, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(run->config, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

double cli_run_chance(const cli_run *run)
{
    const double classes = cli_run_number(run, "classes");
    return classes >= 1 ? 1 / classes : NAN;
}

const double *cli_run_lowest_loss(const cli_run *run)
{
    const double *lowest = NULL;
    for (int r = 0; r < run->rows; r++) {
        const double *row = run->row[r];
        if (row[CLI_EPOCH] < 1 || !isfinite(row[CLI_TRAIN_LOSS])) continue;
        if (!lowest || row[CLI_TRAIN_LOSS] < lowest[CLI_TRAIN_LOSS]) lowest = row;
    }
    return lowest;
}

double cli_run_highest(const cli_run *run, cli_metric metric)
{
    double highest = NAN;
    for (int r = 0; r < run->rows; r++) {
        const double x = run->row[r][metric];
        if (run->row[r][CLI_EPOCH] >= 1 && !isnan(x) && !(x <= highest)) highest = x;
    }
    return highest;
}

double cli_run_seconds(const cli_run *run)
{
    double sum = 0;
    for (int r = 0; r < run->rows; r++)
        if (!isnan(run->row[r][CLI_SECONDS])) sum += run->row[r][CLI_SECONDS];
    return sum;
}

/* runs.h (private): run folders, read: what `plot`, `compare` and the report know of a training run. */
#ifndef CLI_RUNS_H
#define CLI_RUNS_H

#include <plummet/core.h>

struct cJSON;

/* A run that did not finish stays in DIR.partial; one whose numbers ceased to be finite holds the file DIVERGED, a sentence
 * that says where. */
#define CLI_RUN_CONFIG "config.json"
#define CLI_RUN_METRICS "metrics.csv"
#define CLI_RUN_STEPS "steps.csv"
#define CLI_RUN_MONITOR "monitor.csv"
#define CLI_RUN_DIVERGED_FILE "diverged.txt"
#define CLI_RUN_PARTIAL_END ".partial"

typedef enum { CLI_RUN_WHOLE = 0, CLI_RUN_PARTIAL, CLI_RUN_DIVERGED } cli_run_state;
const char *cli_run_state_name(cli_run_state state); /* "whole", "partial", "diverged" */

/* The columns of metrics.csv (docs: the run folder); val_loss and val_acc are nan without validation. */
typedef enum {
    CLI_EPOCH = 0,
    CLI_TRAIN_LOSS,
    CLI_TRAIN_ACC,
    CLI_TEST_LOSS,
    CLI_TEST_ACC,
    CLI_ETA_MEAN,
    CLI_ETA_MIN,
    CLI_ETA_MAX,
    CLI_UPDATE_MEAN,
    CLI_UPDATE_MIN,
    CLI_UPDATE_MAX,
    CLI_SECONDS,
    CLI_VAL_LOSS,
    CLI_VAL_ACC,
    CLI_METRICS
} cli_metric;
/* The columns of steps.csv. */
typedef enum {
    CLI_STEP = 0,
    CLI_STEP_EPOCH,
    CLI_STEP_LOSS,
    CLI_STEP_ACC,
    CLI_STEP_ETA,
    CLI_STEP_G,
    CLI_STEP_UPDATE,
    CLI_STEP_COLUMNS
} cli_step_column;

/* A measured step of monitor.csv: over its layers the mean, smallest and largest of a number, or what is one number of the
 * network.  "To" is the bound of what stands before it, as a band: the smaller of the two, the larger; nan where it has none. */
typedef enum {
    CLI_MONITOR_STEP = 0,
    CLI_MONITOR_RANK,
    CLI_MONITOR_RANK_MIN,
    CLI_MONITOR_RANK_MAX,
    CLI_MONITOR_SHARE, /* of G */
    CLI_MONITOR_SHARE_MIN,
    CLI_MONITOR_SHARE_MAX,
    CLI_MONITOR_UPDATE,
    CLI_MONITOR_UPDATE_MIN,
    CLI_MONITOR_UPDATE_MAX,
    CLI_MONITOR_ETA,
    CLI_MONITOR_CHANGE, /* of the loss */
    CLI_MONITOR_CHANGE_MIN,
    CLI_MONITOR_CHANGE_MAX,
    CLI_MONITOR_DF, /* rms ||df|| */
    CLI_MONITOR_DF_MIN,
    CLI_MONITOR_DF_MAX,
    CLI_MONITOR_COLUMNS
} cli_monitor_column;

/* Zeroed: none. */
typedef struct {
    char         *dir;  /* where it was found, perhaps with .partial                                         */
    char         *name; /* the folder's last part, without .partial                                          */
    cli_run_state state;
    char         *diverged;     /* the sentence of a diverged run, else NULL                                         */
    struct cJSON *config;       /* an object                                                                         */
    int           rows;         /* epochs strictly increase; epoch 0 is the untrained network                        */
    double (*row)[CLI_METRICS]; /* nan: an empty cell, or a column that is not there                             */
    bool    has_val;
    int64_t steps; /* 0 unless asked for                                                                */
    double (*step)[CLI_STEP_COLUMNS];
    int monitored; /* 0 until cli_runs_read_monitors; steps strictly increase                                         */
    double (*monitor)[CLI_MONITOR_COLUMNS];
} cli_run;

/* Reads the run folder `dir`, or dir.partial where there is no `dir`.  steps: steps.csv too (no such file: no steps).
 * Columns may stand in any order and there may be others; of epoch, the losses, accuracies, eta_*, update_* and seconds none
 * may be missing.  A last line that was cut off is left out of a partial or diverged run, and an error in a whole one.
 * A run is diverged if it says so or has an epoch whose train_loss is not finite.
 * PLM_ERR_IO, PLM_ERR_FORMAT: file, line, what is wrong; *run is zeroed then. */
bool cli_run_read(plm_ctx *ctx, const char *dir, bool steps, cli_run *run);
void cli_run_free(cli_run *run);

/* Values of config.json; NULL, nan: not there, or of another kind. */
const char *cli_run_text(const cli_run *run, const char *key);
double      cli_run_number(const cli_run *run, const char *key);
/* 1 / classes, nan for regression. */
double cli_run_chance(const cli_run *run);

/* The row of the lowest training loss of the epochs from 1 on (the first of several), NULL: there is none. */
const double *cli_run_lowest_loss(const cli_run *run);
/* The highest value of a column over epochs from 1 on, nan: there is none. */
double cli_run_highest(const cli_run *run, cli_metric metric);
/* The sum of the seconds column. */
double cli_run_seconds(const cli_run *run);

/* Several runs in order.  Zeroed: none. */
typedef struct {
    cli_run *run;
    int      count;
} cli_runs;
/* Each of `dirs` is a run folder, or a folder of such (directly in it, or in its "runs"), which are then taken in order of
 * their names; a run that is there whole and as .partial counts once, whole.  PLM_ERR_IO: a folder without any. */
bool cli_runs_read(plm_ctx *ctx, const char *const *dirs, int count, bool steps, cli_runs *runs);
void cli_runs_free(cli_runs *runs);
/* Their monitor.csv, where there is one; the last step of a run that is not whole only if all its rows are there.  Errors as of
 * cli_run_read; what was read stays the runs'. */
bool cli_runs_read_monitors(plm_ctx *ctx, cli_runs *runs);

#endif

/* lab.h (private): grids of trainings, which compare and reproduce share. */
#ifndef CLI_LAB_H
#define CLI_LAB_H

#include "cli.h"
#include "runs.h"

/* ------------------------------------------------------------------ the command line of a grid */

/* What the words behind such a command say: its own options, and those of `plummet train`, whose values may be lists. */
typedef struct {
    cli_words    words;
    cli_settings own;
    int          count;
    struct {
        const cli_option *option;
        const char       *value; /* NULL: a flag */
    } given[CLI_MOST_OPTIONS];
} cli_request;
/* Like cli_parse, for a command (a bit) that runs trainings. */
bool cli_request_parse(const cli_words *words, unsigned bit, cli_request *r, const char **inputs, int *count);

/* The command line again, for a shell: "plummet compare --optim agd,sgd --out grid"; to be given to free; NULL: no memory. */
char *cli_request_text(const cli_request *r);

/* ------------------------------------------------------------------ cells */

/* One training of a grid. */
typedef struct {
    cli_settings settings; /* .out is dir */
    char        *group;    /* what it is without the seed: "fcn-8x256-cifar10-adam-lr1e-3" */
    char        *dir;      /* OUT/runs/GROUP-seed0 */
    bool         done;     /* its folder was read into `result`, whole or diverged */
    cli_run      result;
    /* What its data set and its network say, once they have been asked (cli_grid_check). */
    char          *asked;          /* the settings that the answers depend on; NULL: not yet asked */
    int64_t        samples, tests; /* training samples; test and validation samples                */
    plm_shape      shape;          /* of a sample */
    int64_t        classes;
    size_t         data_bytes;
    plm_graph_info info;
} cli_cell;

/* Cells in the order in which they are run.  Zeroed: none. */
typedef struct {
    cli_cell *cell;
    int       count, capacity;
    char    **text; /* what the settings point to */
    int       texts, text_capacity;
    int      *place; /* the cells' numbers + 1 by name and seed, 0: none; at least twice as many as cells */
    int       places;
} cli_grid;

/* Appends the cells of a request: the product of its lists, the seed slowest, without what does not go with an optimiser or
 * architecture and without cells that are there already.  Every cell is checked.  `out`: the folder for runs/.
 * strict: an option that belongs to no cell is refused. */
bool cli_grid_add(plm_ctx *ctx, cli_grid *g, const cli_request *r, const char *out, bool strict,
                  const plm_cli_extra *extra);
/* The same cell with another rate, behind all others; nothing if it is there already. */
bool cli_grid_add_rate(plm_ctx *ctx, cli_grid *g, int cell, double lr, const char *out);
void cli_grid_free(cli_grid *g);

/* What a cell's settings are called, stable and fit for a file name; equal names are equal settings.  `leave` says which
 * options are left out.  To be given to free; NULL: out of memory. */
char *cli_settings_name(const cli_settings *s, bool (*leave)(const char *option));
bool  cli_leave_seed(const char *option);      /* the name of a group: its runs differ in their seeds       */
bool  cli_leave_rate(const char *option);      /* and their learning rates: one of these is the tuned one   */
bool  cli_leave_optimizer(const char *option); /* and in all that belongs to the optimiser: what is compared */
/* Is it part of the recipes of optimisers that have a rate, of which those without are not told: schedules, and what agd
 * cannot train? */
bool cli_goes_with_rates(const char *option);
/* "1e-3", "0.1", "256": short, nine digits at most. */
char *cli_number_text(double x, char text[32]);

/* ------------------------------------------------------------------ running */

/* Opens every data set and builds every network once, so that what cannot run is refused before anything has run, and reads
 * the folders that are there: a run that is done must have the cell's settings. */
bool cli_grid_check(plm_ctx *ctx, cli_grid *g, const plm_cli_extra *extra);
/* The cell's folder, if there is one; then the cell is done. */
bool cli_cell_read(plm_ctx *ctx, cli_cell *c);
/* Runs what is not done, in order, and shows a line for each. */
bool cli_grid_run(plm_ctx *ctx, cli_grid *g, bool quiet, const plm_cli_extra *extra);
/* Lists the runs with seconds and memory, from a few measured steps of each network that is not done. */
bool cli_grid_estimate(plm_ctx *ctx, const cli_grid *g, const plm_cli_extra *extra);

/* ------------------------------------------------------------------ results */

/* Over the seeds of a group. */
typedef struct {
    int    n;
    double mean, sd, min, max; /* sd: of the sample, nan with n = 1; all nan with n = 0 */
} cli_spread;

/* What is known of a run when it is over, accuracies in 0..1.  "Final": after the last epoch; "best": the highest of any
 * epoch; "lowest loss": of the epoch with the lowest training loss; "equal": at the number of epochs (or the seconds of
 * training) that every optimiser of the comparison has reached. */
typedef enum {
    CLI_FINAL_TRAIN_LOSS,
    CLI_FINAL_TRAIN_ACC,
    CLI_FINAL_TEST_ACC,
    CLI_FINAL_VAL_ACC,
    CLI_BEST_TRAIN_ACC,
    CLI_BEST_TEST_ACC,
    CLI_LOWEST_LOSS_TRAIN_ACC,
    CLI_LOWEST_LOSS_TEST_ACC,
    CLI_EQUAL_EPOCHS_TEST_ACC,
    CLI_EQUAL_SECONDS_TEST_ACC,
    CLI_RUN_SECONDS,
    CLI_MEASURES
} cli_measure;
extern const char *const cli_measure_names[CLI_MEASURES]; /* "final_train_loss", ... */

/* The runs that differ in their seeds only. */
typedef struct {
    int         cell;    /* the first of them */
    const char *name;    /* lent by it */
    char       *set;     /* without the rate as well */
    char       *problem; /* without the optimiser and what is its */
    int         runs, done, diverged;
    bool        has_rate;        /* --lr was given */
    bool        chosen;          /* the best of its set by the criterion; of a set of one: that one */
    int         rates;           /* in its set */
    double      lr, least, most; /* its rate; the lowest and highest of the set */
    double      equal_epochs, equal_seconds;
    cli_spread  measure[CLI_MEASURES]; /* over the runs that did not diverge */
} cli_group;

typedef struct {
    cli_group  *group;
    int         count;
    const char *criterion; /* "val_acc", "train_loss", "test_acc" */
} cli_groups;

/* Groups of a grid's cells, in their order, with the best rates by `criterion`. */
bool cli_groups_new(plm_ctx *ctx, const cli_grid *g, const char *criterion, cli_groups *groups);
void cli_groups_free(cli_groups *groups);
/* Is the best rate of a set the lowest or the highest that was tried?  0: it is inside, or this is not the best. */
enum { CLI_EDGE_LOW = 1, CLI_EDGE_HIGH = 2 };
unsigned cli_group_edges(const cli_group *g);

/* OUT/summary.csv, a row for each group: written beside, renamed. */
bool cli_summary_write(plm_ctx *ctx, const cli_grid *g, const cli_groups *groups, const char *out);
/* The table on standard output: each problem, and in it each optimiser with its best rate. */
void cli_summary_print(const cli_grid *g, const cli_groups *groups);
/* "sgd-lr0.1-momentum0.9": the name of the settings without that of the problem and the seed.  Returns label. */
const char *cli_settings_label(const cli_settings *s, char label[128]);

/* OUT/plots: the chosen groups epoch by epoch; and rates.svg, accuracy over the rate, where there are three or more. */
bool cli_grid_plot(plm_ctx *ctx, const cli_grid *g, const cli_groups *groups, const char *out);
/* The latter alone, into `dir`.  *drawn: false where there are fewer rates, or no gnuplot. */
bool cli_sweep_plot(plm_ctx *ctx, const cli_groups *groups, const char *dir, bool *drawn);

/* OUT/report.html, from the runs, summary.csv and, where it is there, paper.csv.  r: what it was made by; title, notes: as in
 * cli_report_desc. */
bool cli_grid_report(plm_ctx *ctx, const cli_grid *g, const cli_groups *groups, const cli_request *r, const char *out,
                     const char *title, const char *const *notes);

/* ------------------------------------------------------------------ commands */

/* What rates are chosen by: --select, else val_acc where every run has --val, else train_loss.  NULL: a wrong use. */
const char *cli_lab_criterion(const cli_grid *g, const cli_settings *own);
/* Runs a grid that has been checked, with --extend as often as there is more to run, and groups the results. */
bool cli_lab_run(plm_ctx *ctx, cli_grid *g, const cli_settings *own, const char *criterion, const plm_cli_extra *extra,
                 cli_groups *groups);
bool cli_compare(plm_ctx *ctx, const cli_request *r, const plm_cli_extra *extra);
/* inputs: what to reproduce. */
bool cli_reproduce(plm_ctx *ctx, const cli_request *r, const char *const *inputs, int count,
                   const plm_cli_extra *extra);
bool cli_tables(plm_ctx *ctx, const cli_request *r, const plm_cli_extra *extra);

#endif

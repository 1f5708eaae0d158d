/* lines.h (private): runs become the lines of a plot: grouped, labelled, averaged over seeds. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "runs.h"

#include <stdio.h>

/* The runs that differ in nothing but the seed (and in what does not change the result's meaning: machine, versions,
 * threads, where data lies, what is logged). */
typedef struct {
    char           *label; /* what this line has other than the others: "adam lr 0.001" */
    const cli_run **run;   /* [count] those that are drawn: the whole ones; else partial; else diverged */
    int             count, runs, diverged;
} cli_line;

/* Lines in the order of their first runs, which must outlive them.  Zeroed: none. */
typedef struct {
    cli_line *line;
    int       count;
    char     *common; /* what all lines share: "fcn 8x256 on cifar10, loss mse, batch 128" */
    double    chance; /* nan: not the same for all, or none */
} cli_lines;
bool cli_lines_new(plm_ctx *ctx, const cli_runs *runs, cli_lines *lines);
void cli_lines_free(cli_lines *lines);

/* Is a key of config.json a setting (and not a seed, a fact of machine, data or network)? */
bool cli_key_is_setting(const char *key);
/* A value of config.json as text: "0.001", "adam", "0.9, 0.999", "no"; "" for NULL and null.  Returns text. */
char *cli_value_text(const struct cJSON *value, char *text, size_t size);

/* What is drawn of a line: a mean with a band. */
typedef struct {
    const char *name;            /* of the file: "loss" */
    const char *title;           /* "Objective" */
    const char *y_axis;          /* "training loss (mean over the epoch)" */
    int         mean, low, high; /* columns: cli_metric, or cli_monitor_column */
    bool        log_y;
    bool        chance;  /* a line at chance level */
    bool        monitor; /* over the measured steps, not over the epochs */
} cli_curve;
/* Loss, train_acc, test_acc, eta, update; then of monitors. */
enum { CLI_CURVES = 5, CLI_MONITOR_CURVES = 6 };
extern const cli_curve cli_curves[CLI_CURVES + CLI_MONITOR_CURVES];

typedef struct {
    double epoch; /* or step */
    double mean, low, high;
} cli_point;
/* The epochs or steps in which every run of the line has a finite mean: mean over the runs, lowest low, highest high (of the
 * mean where there is none).  Into point[room]; their number.  The room that suffices: rows of the line's first run. */
int cli_line_points(const cli_line *line, const cli_curve *curve, cli_point *point, int room);
int cli_line_room(const cli_line *line);
/* Where a point stands: at its step; or at epoch + 1, so that the untrained network has a place on a log axis. */
double cli_point_x(const cli_curve *curve, const cli_point *p);

/* Colours with a contrast of at least 3 to white that the colour-blind tell apart (after Okabe & Ito 2008), then the same
 * with other dashes. */
enum { CLI_COLOURS = 5, CLI_DASHES = 4 };
extern const char *const cli_colours[CLI_COLOURS]; /* "#0072B2" */

#endif

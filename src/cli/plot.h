/* plot.h (private): plots of runs by gnuplot, each with its data and its script beside it. */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include "lines.h"

typedef struct {
    const char *dir;     /* the folder for the files, made if need be; required     */
    const char *formats; /* NULL: "svg,png"                                          */
    const char *what;    /* NULL: "loss,acc,eta,update,rank,share,layers,bound"      */
    const char *title;   /* NULL: what the runs have in common                       */
    bool        quiet;   /* otherwise each file that was drawn is named on stdout    */
} cli_plot_desc;

/* Are the lists well-formed?  Otherwise a usage error. */
bool cli_plot_check(const cli_plot_desc *desc);
/* For each of `what` that the runs have numbers for: NAME.csv (epoch + 1 or step, and for each line mean, low, high), NAME.gp (the
 * script: `gnuplot NAME.gp` in the folder draws again) and NAME.svg, NAME.png.  Files of the same names are replaced.
 * Without gnuplot nothing is drawn, data and scripts stay: *drawn is false then, and CLI_PLOT_NO_GNUPLOT says it.
 * PLM_ERR_IO: a file cannot be written, or gnuplot failed: its first line.  PLM_ERR_ARGUMENT: no run has a number to draw. */
bool cli_plot_runs(plm_ctx *ctx, const cli_runs *runs, const cli_plot_desc *desc, bool *drawn);
#define CLI_PLOT_NO_GNUPLOT \
    "gnuplot is not installed (Debian: gnuplot-nox), so nothing was drawn; data and scripts are in %s"

/* Runs gnuplot on a script in `dir`.  *found: is there a gnuplot?  Without one the call succeeds. */
bool cli_gnuplot_run(plm_ctx *ctx, const char *dir, const char *script, bool *found);

/* The script, for lines with these curves in NAME.csv (one curve a panel, at most 2). */
typedef struct {
    const char             *name;
    const cli_curve *const *curve;
    int                     curves;
    const char             *formats, *title;
    double                  floor[2];          /* on a log axis smaller values are drawn here; 0: the axis is linear */
    double                  bottom[2], top[2]; /* of what is drawn on a log axis */
    double                  least[2], most[2]; /* of epoch + 1 or step */
    bool                    dots;              /* few points: each is marked */
} cli_plot_look;
void cli_plot_script(FILE *file, const cli_lines *lines, const cli_plot_look *look);

#endif

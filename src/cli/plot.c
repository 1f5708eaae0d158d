/* plot.c: plummet plot: what runs did, epoch by epoch or step by step, as pictures with their data and scripts beside them. */
#include "plot.h"

#include "cli.h"
#include "out.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FEW 30 /* points that are marked one by one */

typedef struct {
    const char *name;
    int         first, panels; /* curves of the table */
} figure;
static const figure figures[] = { { "loss", 0, 1 }, { "acc", 1, 2 },   { "eta", 3, 1 },    { "update", 4, 1 },
                                  { "rank", 5, 1 }, { "share", 6, 1 }, { "layers", 7, 2 }, { "bound", 9, 2 } };
enum { FIGURES = sizeof figures / sizeof *figures };

/* The points of all lines of a figure's panels: [panel, line]. */
typedef struct {
    cli_point *point;
    int        count, at; /* at: the next one to be written */
} track;

static void free_tracks(track *t, int count)
{
    for (int i = 0; t && i < count; i++) free(t[i].point);
    free(t);
}

/* NULL: out of memory. */
static track *tracks_of(const cli_lines *lines, const cli_curve *const *curve, int panels)
{
    track *t  = calloc((size_t)(panels * lines->count) + 1, sizeof *t);
    bool   ok = t;
    for (int i = 0; ok && i < panels * lines->count; i++) {
        const cli_line *line = &lines->line[i % lines->count];
        const int       room = cli_line_room(line);
        t[i].point           = malloc(((size_t)room + 1) * sizeof *t[i].point);
        ok                   = t[i].point;
        if (ok) t[i].count = cli_line_points(line, curve[i / lines->count], t[i].point, room);
    }
    if (ok) return t;
    free_tracks(t, panels * lines->count);
    return NULL;
}

/* "label min" as a cell. */
static void put_name(FILE *file, const char *panel, const char *label, const char *end)
{
    fprintf(file, ",\"%s%s", panel, *panel ? ": " : "");
    for (; *label; label++) {
        if (*label == '"') fputc('"', file);
        fputc(*label, file);
    }
    fprintf(file, "%s\"", end);
}

/* A row for every epoch or step of any line; what a line has not is empty. */
static void put_rows(FILE *file, const cli_curve *curve, track *t, int count)
{
    for (;;) {
        double epoch = INFINITY;
        for (int i = 0; i < count; i++)
            if (t[i].at < t[i].count && t[i].point[t[i].at].epoch < epoch) epoch = t[i].point[t[i].at].epoch;
        if (isinf(epoch)) return;
        fprintf(file, "%.15g", cli_point_x(curve, &(cli_point){ .epoch = epoch }));
        for (int i = 0; i < count; i++) {
            const cli_point *p = t[i].at < t[i].count ? &t[i].point[t[i].at] : NULL;
            if (!p || p->epoch > epoch) {
                fputs(",,,", file);
                continue;
            }
            fprintf(file, ",%.9g,%.9g,%.9g", p->mean, p->low, p->high);
            t[i].at++;
        }
        fputc('\n', file);
    }
}

static bool write_data(plm_ctx *ctx, const char *dir, const figure *f, const cli_curve *const *curve, int panels,
                       const cli_lines *lines, track *t)
{
    cli_out out;
    char    name[64];
    snprintf(name, sizeof name, "%s.csv", f->name);
    if (!cli_out_open(ctx, &out, dir, name)) return false;
    fputs(curve[0]->monitor ? "step" : "epoch + 1", out.file);
    for (int i = 0; i < panels * lines->count; i++)
        for (int k = 0; k < 3; k++) {
            static const char *const ends[] = { "", " lowest", " highest" };
            put_name(out.file, panels > 1 ? curve[i / lines->count]->name : "", lines->line[i % lines->count].label,
                     ends[k]);
        }
    fputc('\n', out.file);
    put_rows(out.file, curve[0], t, panels * lines->count);
    return cli_out_close(&out, true);
}

#define MOST \
    1e9 /* a log axis shows so many times its smallest number, so that what died out does not press the rest together */

/* Axes that hold every point of a panel. */
static void fit(cli_plot_look *look, int panel, const cli_lines *lines, const track *t)
{
    double smallest = INFINITY, lowest = INFINITY; /* of the positive means; of these and their bands */
    look->least[panel] = INFINITY;
    look->most[panel]  = 0;
    for (int i = 0; i < lines->count; i++)
        for (int k = 0; k < t[i].count; k++) {
            const cli_point *p = &t[i].point[k];
            if (p->mean > 0 && p->mean < smallest) smallest = p->mean;
            if (p->low > 0 && p->low < lowest) lowest = p->low;
            if (isfinite(p->high) && p->high > look->top[panel]) look->top[panel] = p->high;
            const double x = cli_point_x(look->curve[panel], p);
            if (x < look->least[panel]) look->least[panel] = x;
            if (x > look->most[panel]) look->most[panel] = x;
            look->dots = look->dots && t[i].count <= FEW;
        }
    if (!look->curve[panel]->log_y || isinf(smallest)) return;
    look->floor[panel]  = fmax(smallest / 10, look->top[panel] / MOST);
    look->bottom[panel] = fmax(fmin(lowest, smallest), look->floor[panel]);
}

static bool write_script(plm_ctx *ctx, const char *dir, const cli_lines *lines, const cli_plot_look *look)
{
    cli_out out;
    char    name[64];
    snprintf(name, sizeof name, "%s.gp", look->name);
    if (!cli_out_open(ctx, &out, dir, name)) return false;
    cli_plot_script(out.file, lines, look);
    return cli_out_close(&out, true);
}

static bool has_points(const cli_lines *lines, const cli_curve *curve)
{
    cli_point p;
    for (int i = 0; i < lines->count; i++)
        if (cli_line_points(&lines->line[i], curve, &p, cli_line_room(&lines->line[i]) > 0) > 0) return true;
    return false;
}

/* One figure: data, script, pictures; *panels: 0 if there is nothing to draw. */
static bool draw(plm_ctx *ctx, const figure *f, const cli_lines *lines, const cli_plot_desc *desc, int *panels,
                 bool *drawn)
{
    const cli_curve *curve[2];
    char             script[64];
    *panels = 0;
    for (int p = 0; p < f->panels; p++)
        if (has_points(lines, &cli_curves[f->first + p])) curve[(*panels)++] = &cli_curves[f->first + p];
    if (*panels == 0) return true;
    const char   *formats = desc->formats ? desc->formats : "svg,png";
    cli_plot_look look    = { .name    = f->name,
                              .curve   = curve,
                              .curves  = *panels,
                              .formats = formats,
                              .title   = desc->title ? desc->title : lines->common,
                              .dots    = true };
    track        *t       = tracks_of(lines, curve, *panels);
    if (!t) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "plot: out of memory");
    for (int p = 0; p < *panels; p++) fit(&look, p, lines, t + (ptrdiff_t)p * lines->count);
    const bool ok =
        write_data(ctx, desc->dir, f, curve, *panels, lines, t) && write_script(ctx, desc->dir, lines, &look);
    free_tracks(t, *panels * lines->count);
    snprintf(script, sizeof script, "%s.gp", f->name);
    if (!ok || (*drawn && !cli_gnuplot_run(ctx, desc->dir, script, drawn))) return false;
    if (!desc->quiet && *drawn)
        for (const char *at = formats; *at; at += strcspn(at, ","), at += *at == ',')
            printf("%s/%s.%.*s\n", desc->dir, f->name, (int)strcspn(at, ","), at);
    return true;
}

/* Is `word` in the list "a,b"? */
static bool is_in(const char *list, const char *word)
{
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == strlen(word) && strncmp(at, word, strlen(word)) == 0) return true;
    return false;
}

static bool check_list(const char *option, const char *list, const char *const *words, int count)
{
    char given[64], all[64] = "";
    for (int i = 0; i < count; i++) {
        const size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", used ? "," : "", words[i]);
    }
    const char *at = list;
    do {
        bool         known  = false;
        const size_t length = strcspn(at, ",");
        for (int i = 0; i < count; i++)
            known = known || (strlen(words[i]) == length && strncmp(at, words[i], length) == 0);
        if (!known) {
            snprintf(given, sizeof given, "%.*s", (int)(length < 60 ? length : 60), at);
            return cli_usage_error("--%s has \"%s\" in it, expected some of %s", option, given, all);
        }
        at += length + (at[length] == ',');
    } while (*at || at[-1] == ',');
    return true;
}

bool cli_plot_check(const cli_plot_desc *desc)
{
    static const char *const formats[] = { "svg", "png" };
    const char              *names[FIGURES];
    for (int i = 0; i < FIGURES; i++) names[i] = figures[i].name;
    return (!desc->formats || check_list("format", desc->formats, formats, 2)) &&
           (!desc->what || check_list("what", desc->what, names, FIGURES));
}

bool cli_plot_runs(plm_ctx *ctx, const cli_runs *runs, const cli_plot_desc *desc, bool *drawn)
{
    cli_lines lines;
    int       panels, all = 0;
    *drawn = true;
    if (!cli_out_folder(ctx, desc->dir) || !cli_lines_new(ctx, runs, &lines)) return false;
    bool ok = true;
    for (int i = 0; ok && i < FIGURES; i++) {
        if (desc->what && !is_in(desc->what, figures[i].name)) continue;
        ok = draw(ctx, &figures[i], &lines, desc, &panels, drawn);
        all += panels;
    }
    cli_lines_free(&lines);
    if (ok && all == 0) return plm_ctx_fail(ctx, PLM_ERR_ARGUMENT, "plot: no run has a number to draw yet");
    return ok;
}

/* The page, with the summary of a grid where the runs are one grid. */
static bool report(plm_ctx *ctx, const cli_runs *runs, const char *dir, const char *grid)
{
    char      summary[PATH_MAX];
    const int n = snprintf(summary, sizeof summary, "%s/summary.csv", grid ? grid : ".");
    if (n < 0 || n >= (int)sizeof summary) grid = NULL;
    if (!cli_report(ctx, runs, &(cli_report_desc){ .dir = dir, .summary = grid ? summary : NULL })) return false;
    printf("%s/report.html\n", dir);
    return true;
}

/* RUN/plots; RUN.plots of a run that is not finished, whose folder gets another name or is begun anew. */
static bool default_dir(const char *run, char dir[PATH_MAX])
{
    char        name[PATH_MAX];
    struct stat info;
    if (!cli_run_name(run, name)) return false;
    const bool partial = run[strlen(name)] == '.' || stat(name, &info) != 0;
    return snprintf(dir, PATH_MAX, "%s%splots", name, partial ? "." : "/") < PATH_MAX;
}

bool cli_plot(plm_ctx *ctx, const cli_settings *s, const char *const *inputs, int count)
{
    char          beside[PATH_MAX] = "plots";
    cli_runs      runs             = { 0 };
    bool          drawn            = false;
    cli_plot_desc desc             = { .dir = s->out, .formats = s->formats, .what = s->what };
    if (count == 0) return cli_usage_error("plot needs run folders: plummet plot RUN...");
    if (!cli_plot_check(&desc)) return false;
    if (!desc.dir) {
        if (count == 1 && !default_dir(inputs[0], beside))
            return plm_ctx_fail(ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", inputs[0]);
        desc.dir = beside;
    }
    const bool ok = cli_runs_read(ctx, inputs, count, false, &runs) && cli_runs_read_monitors(ctx, &runs) &&
                    (!s->report || report(ctx, &runs, desc.dir, count == 1 ? inputs[0] : NULL)) &&
                    cli_plot_runs(ctx, &runs, &desc, &drawn);
    cli_runs_free(&runs);
    return ok && (drawn || plm_ctx_fail(ctx, PLM_ERR_IO, CLI_PLOT_NO_GNUPLOT, desc.dir));
}

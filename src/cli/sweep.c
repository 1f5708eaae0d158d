/* sweep.c: final accuracy over the learning rate: where each optimiser works, with those that have no rate as level lines. */
#include "lab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "plot.h"

#define LEAST_RATES 3 /* that make a curve */

/* The groups that stand for a line: the first of a set of several rates, or one without a rate in a problem that has such. */
typedef struct {
    const cli_groups *groups;
    int              *line; /* [count] */
    int               count;
    double           *rate; /* [rates], ascending */
    int               rates;
} sweep;

static int ascending(const void *a, const void *b)
{
    const double l = *(const double *)a, r = *(const double *)b;
    return (l > r) - (l < r);
}

static bool is_swept(const cli_group *g)
{
    return g->has_rate && g->rates >= LEAST_RATES;
}

static bool stands_for_a_line(const cli_groups *groups, int i)
{
    const cli_group *g     = &groups->group[i];
    bool             first = true, compared = false;
    for (int k = 0; k < groups->count; k++) {
        const cli_group *other = &groups->group[k];
        first                  = first && (k >= i || strcmp(other->set, g->set) != 0);
        compared               = compared || (is_swept(other) && strcmp(other->problem, g->problem) == 0);
    }
    return first && (is_swept(g) || (!g->has_rate && compared));
}

static bool collect(plm_ctx *ctx, sweep *s)
{
    const cli_groups *groups = s->groups;
    s->line                  = calloc((size_t)groups->count + 1, sizeof *s->line);
    s->rate                  = calloc((size_t)groups->count + 1, sizeof *s->rate);
    if (!s->line || !s->rate) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "the plot of the rates: out of memory");
    for (int i = 0; i < groups->count; i++) {
        if (stands_for_a_line(groups, i)) s->line[s->count++] = i;
        bool there = !is_swept(&groups->group[i]);
        for (int k = 0; k < s->rates; k++) there = there || s->rate[k] == groups->group[i].lr;
        if (!there) s->rate[s->rates++] = groups->group[i].lr;
    }
    qsort(s->rate, (size_t)s->rates, sizeof *s->rate, ascending);
    return true;
}

/* The group of a line at a rate; NULL: none. */
static const cli_group *at_rate(const sweep *s, int line, double rate)
{
    const cli_group *of = &s->groups->group[s->line[line]];
    if (!is_swept(of)) return of;
    for (int i = 0; i < s->groups->count; i++)
        if (strcmp(s->groups->group[i].set, of->set) == 0 && s->groups->group[i].lr == rate)
            return &s->groups->group[i];
    return NULL;
}

static bool write_data(plm_ctx *ctx, const sweep *s, const char *dir)
{
    cli_out out;
    if (!cli_out_open(ctx, &out, dir, "rates.csv")) return false;
    fprintf(out.file, "rate");
    for (int i = 0; i < s->count; i++) {
        const char *name = s->groups->group[s->line[i]].set;
        fprintf(out.file, ",%s,%s low,%s high", name, name, name);
    }
    fputc('\n', out.file);
    for (int k = 0; k < s->rates; k++) {
        fprintf(out.file, "%.9g", s->rate[k]);
        for (int i = 0; i < s->count; i++) {
            const cli_group *g = at_rate(s, i, s->rate[k]);
            const cli_spread x = g ? g->measure[CLI_FINAL_TEST_ACC] : (cli_spread){ .n = 0 };
            if (x.n == 0) fprintf(out.file, ",,,"); /* diverged, or not run */
            else fprintf(out.file, ",%.9g,%.9g,%.9g", x.mean, x.min, x.max);
        }
        fputc('\n', out.file);
    }
    return cli_out_close(&out, true);
}

static bool write_script(plm_ctx *ctx, const sweep *s, const char *dir)
{
    static const char *const sizes[] = { "svg size 900,520 dynamic background rgb 'white' font 'sans-serif,14'",
                                         "pngcairo size 1800,1040 fontscale 1.6 linewidth 1.6 background rgb 'white'" };
    cli_out                  out;
    if (!cli_out_open(ctx, &out, dir, "rates.gp")) return false;
    fprintf(out.file, "# `gnuplot rates.gp` in this folder draws rates.csv again; change here what you like.\n"
                      "# Bars: over the seeds, lowest to highest.\n"
                      "set datafile separator ','\nset border 3 linecolor rgb '#444444'\nset tics nomirror out\n"
                      "set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#cccccc'\n"
                      "set logscale x\nset autoscale xfix\nset offsets graph 0.02, graph 0.02, 0, 0\nset format x "
                      "'10^{%%L}'\nset yrange [0:1]\nset xlabel 'learning rate'\n"
                      "set ylabel 'test accuracy after the last epoch'\nset key outside right top noenhanced\n");
    for (int f = 0; f < 2; f++) {
        fprintf(out.file, "set terminal %s\nset output 'rates.%s'\nplot \\\n", sizes[f], f ? "png" : "svg");
        for (int i = 0; i < s->count; i++) {
            const cli_group *g      = &s->groups->group[s->line[i]];
            const char      *colour = cli_colours[i % CLI_COLOURS];
            if (is_swept(g))
                fprintf(out.file,
                        "    'rates.csv' skip 1 using 1:%d:%d:%d with yerrorbars pointtype 7 pointsize 0.5 "
                        "linecolor rgb '%s' notitle, \\\n",
                        2 + 3 * i, 3 + 3 * i, 4 + 3 * i, colour);
            fprintf(out.file,
                    "    'rates.csv' skip 1 using 1:%d with lines linewidth 2 linecolor rgb '%s' dashtype %d title "
                    "'%s'%s\n",
                    2 + 3 * i, colour, 1 + i / CLI_COLOURS % CLI_DASHES, g->set, i + 1 < s->count ? ", \\" : "");
        }
    }
    fprintf(out.file, "unset output\n");
    return cli_out_close(&out, true);
}

bool cli_sweep_plot(plm_ctx *ctx, const cli_groups *groups, const char *dir, bool *drawn)
{
    sweep s  = { .groups = groups };
    bool  ok = collect(ctx, &s);
    *drawn   = false;
    if (ok && s.rates >= LEAST_RATES)
        ok = cli_out_folder(ctx, dir) && write_data(ctx, &s, dir) && write_script(ctx, &s, dir) &&
             cli_gnuplot_run(ctx, dir, "rates.gp", drawn);
    free(s.line);
    free(s.rate);
    return ok;
}

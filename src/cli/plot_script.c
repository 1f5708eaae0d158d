/* plot_script.c: a gnuplot script for lines with bands, written so that a user can adapt it.
 *
 * Texts are in single quotes, where gnuplot interprets nothing but a doubled quote. */
#include "plot.h"

#include <math.h>
#include <string.h>

#define PANEL_WIDTH 620 /* pixels */
#define HEIGHT 480

static void put_text(FILE *file, const char *text)
{
    fputc('\'', file);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', file);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
    }
    fputc('\'', file);
}

static int longest_label(const cli_lines *lines)
{
    size_t longest = 0;
    for (int i = 0; i < lines->count; i++)
        if (strlen(lines->line[i].label) > longest) longest = strlen(lines->line[i].label);
    return (int)(longest < 100 ? longest : 100);
}

/* Height grows with the legend. */
static int height_of(const cli_lines *lines)
{
    const int legend = 80 + 20 * lines->count;
    return legend > HEIGHT ? legend : HEIGHT;
}

static void put_sizes(FILE *file, const cli_lines *lines, const cli_plot_look *look)
{
    const int plots = PANEL_WIDTH * look->curves, width = plots + 70 + 8 * longest_label(lines);
    const int height = height_of(lines);
    fprintf(file,
            "    if (format eq 'svg') {\n"
            "        set terminal svg size %d,%d dynamic background rgb 'white' font 'sans-serif,14'\n"
            "    } else {\n"
            "        set terminal pngcairo size %d,%d fontscale 1.6 linewidth 1.6 background rgb 'white'\n"
            "    }\n",
            width, height, 2 * width, 2 * height);
    fprintf(file, "    set output '%s.'.format\n", look->name);
    fprintf(file, "    set key at screen %.3f,0.9 left top Left reverse samplen 2.5 noenhanced\n",
            (double)(plots + 12) / width);
    fprintf(file, "    set multiplot layout 1,%d margins %.3f,%.3f,%.3f,%.3f spacing %.3f title ", look->curves,
            75.0 / width, (double)plots / width, 80.0 / height, 1 - 80.0 / height, 80.0 / width);
    put_text(file, look->title);
    fprintf(file, " noenhanced\n");
}

static void put_band(FILE *file, const cli_plot_look *look, int column, const char *colour)
{
    fprintf(file,
            "        '%s.csv' skip 1 using 1:(up($%d)):(up($%d)) with filledcurves fillcolor rgb '%s' "
            "fillstyle transparent solid 0.18 noborder notitle, \\\n",
            look->name, column + 1, column + 2, colour);
}

static void put_line(FILE *file, const cli_plot_look *look, int column, int i, const cli_line *line, bool last)
{
    static const char *const dashes[CLI_DASHES] = { "1", "'-'", "'.'", "'-..'" };
    fprintf(file, "        '%s.csv' skip 1 using 1:(up($%d)) with %s linewidth 2 linecolor rgb '%s' dashtype %s",
            look->name, column, look->dots ? "linespoints pointtype 7 pointsize 0.4" : "lines",
            cli_colours[i % CLI_COLOURS], dashes[i / CLI_COLOURS % CLI_DASHES]);
    fputs(" title ", file);
    put_text(file, line->label);
    fputs(last ? "\n" : ", \\\n", file);
}

/* An axis as high as what is drawn, with enough numbers on it: 1 to 9 or 1, 2, 5 of each decade where there are few decades,
 * its ends where it lies between two of these. */
static void put_log_y(FILE *file, double bottom, double top)
{
    const double low = bottom / 1.1, high = top * 1.1;
    fprintf(file, "\n    set logscale y; set yrange [%.3g:%.3g]\n    set ytics ", low, high);
    if (high / low > 1000) {
        fprintf(file, "autofreq\n");
        return;
    }
    char before = '(';
    for (int k = (int)floor(log10(low)); k <= log10(high); k++)
        for (int n = 1; n <= 9; n++) {
            const double x = n * pow(10, k);
            if (x < low || x > high || (n != 1 && n != 2 && n != 5 && high / low >= 10)) continue;
            fprintf(file, "%c%.3g", before, x);
            before = ',';
        }
    if (before == '(') { /* so short an axis may have no round number */
        fprintf(file, "(%.3g", bottom);
        if (top > bottom) fprintf(file, ",%.3g", top);
    }
    fprintf(file, ")\n");
}

/* 1, 2, 5, 10 ...: few decades would leave an axis with two numbers. */
static void put_epochs(FILE *file, double most)
{
    if (most > 1000) {
        fprintf(file, "    set xtics autofreq\n");
        return;
    }
    fprintf(file, "    set xtics (1");
    for (int decade = 1; decade <= 100; decade *= 10)
        fprintf(file, ", %d, %d, %d", 2 * decade, 5 * decade, 10 * decade);
    fprintf(file, ")\n");
}

static void put_panel(FILE *file, const cli_lines *lines, const cli_plot_look *look, int panel)
{
    const cli_curve *curve = look->curve[panel];
    fprintf(file, "\n    set title ");
    put_text(file, curve->title);
    fprintf(file, "\n    set ylabel ");
    put_text(file, curve->y_axis);
    if (look->floor[panel] > 0) {
        put_log_y(file, look->bottom[panel], look->top[panel]);
        fprintf(file, "    up(y) = y > %.3g ? y : %.3g\n", look->floor[panel], look->floor[panel]);
    } else
        fprintf(file, "\n    unset logscale y; set yrange [%s]; set ytics autofreq\n    up(y) = y\n",
                curve->chance ? "0:1" : "*:*");
    if (look->least[panel] < look->most[panel])
        fprintf(file, "    set xrange [%.9g:%.9g]\n", look->least[panel], look->most[panel]);
    else fprintf(file, "    set xrange [%.9g:%.9g]\n", look->least[panel] / 2, look->most[panel] * 2);
    put_epochs(file, look->most[panel]);
    fprintf(file, panel == look->curves - 1 ? "    set key on\n" : "    set key off\n");
    fprintf(file, "    plot \\\n");
    if (curve->chance && isfinite(lines->chance))
        fprintf(file,
                "        %.9g with lines linewidth 1.5 linecolor rgb '#777777' dashtype 3 title 'chance %.4g', \\\n",
                lines->chance, lines->chance);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < lines->count; i++) {
            const int column = 2 + 3 * (panel * lines->count + i);
            if (pass == 0) put_band(file, look, column, cli_colours[i % CLI_COLOURS]);
            else put_line(file, look, column, i, &lines->line[i], i == lines->count - 1);
        }
}

void cli_plot_script(FILE *file, const cli_lines *lines, const cli_plot_look *look)
{
    fprintf(file, "# `gnuplot %s.gp` in this folder draws %s.csv again; change here what you like.\n", look->name,
            look->name);
    const bool monitor = look->curve[0]->monitor;
    fprintf(file, "# Bands: over the %s and seeds where there are several, lowest to highest%s.\n",
            monitor ? "layers" : "steps", monitor ? ", or up to a bound" : "");
    fprintf(file,
            "set datafile separator ','\n"
            "set encoding utf8\n"
            "set border 3 linecolor rgb '#444444'\n"
            "set tics nomirror out\n"
            "set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#cccccc'\n"
            "set samples 2\n"
            "set logscale x\n"
            "set xlabel '%s' noenhanced\n"
            "set ylabel noenhanced\n"
            "set title noenhanced\n"
            "set format y '%%g'\n\n"
            "do for [format in '",
            monitor ? "step" : "epoch + 1 (1 is the untrained network)");
    for (const char *c = look->formats; *c; c++) fputc(*c == ',' ? ' ' : *c, file);
    fprintf(file, "'] {\n");
    put_sizes(file, lines, look);
    for (int p = 0; p < look->curves; p++) put_panel(file, lines, look, p);
    fprintf(file, "    unset multiplot\n    unset output\n}\n");
}

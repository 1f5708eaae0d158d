/* chart.c: curves with bands as SVG inside a page.
 *
 * The page's style gives the colours, so one picture serves light and dark; gnuplot is not needed for it. */
#include "chart.h"

#include "html.h"

#include <math.h>
#include <stdlib.h>

#define WIDTH 440.0
#define HEIGHT 300.0
#define LEFT 76.0
#define RIGHT 430.0
#define TOP 10.0
#define BOTTOM 252.0
#define FEW 40 /* points of a line that are marked one by one */

/* From values to places. */
typedef struct {
    double low, high;
    bool   log;
    double from, to; /* pixels */
} axis;

static double place(const axis *a, double x)
{
    if (x < a->low) x = a->low; /* on a log axis also 0 and below */
    if (x > a->high) x = a->high;
    const double part = a->log
                            ? (log(x) - log(a->low)) / (log(a->high) - log(a->low)) /* no quotient: it could overflow */
                            : (x / 2 - a->low / 2) / (a->high / 2 - a->low / 2);
    return a->from + part * (a->to - a->from);
}

/* The i-th tick from the lowest on; false: past the highest. */
static bool tick(const axis *a, int i, double *x)
{
    if (!a->log || a->high < 2 * a->low) { /* so short a log axis may have no round number */
        *x = a->low + i * (a->high / 5 - a->low / 5);
        return i <= 5;
    }
    const double decades = log10(a->high) - log10(a->low);
    const int    first   = (int)floor(log10(a->low));
    if (decades > 2.5) { /* powers of ten, at most nine */
        *x = pow(10, first + i * ceil(decades / 8));
    } else {
        static const double steps[] = { 1, 2, 5 };
        const int           power   = first + i / 3;
        *x                          = steps[i % 3] * pow(10, power);
    }
    return *x <= a->high * (1 + 1e-9);
}

typedef struct {
    cli_point *point;
    int        count;
} track;

static void widen(axis *a, double x)
{
    if (a->log && !(x > 0)) return;
    if (x < a->low) a->low = x;
    if (x > a->high) a->high = x;
}

/* Axes that hold every point; false: there is none. */
static bool fit(const cli_lines *lines, const cli_curve *curve, const track *t, axis *x, axis *y)
{
    *x = (axis){ INFINITY, -INFINITY, true, LEFT, RIGHT };
    *y = (axis){ INFINITY, -INFINITY, curve->log_y, BOTTOM, TOP };
    for (int i = 0; i < lines->count; i++)
        for (int k = 0; k < t[i].count; k++) {
            const cli_point *p = &t[i].point[k];
            widen(x, p->epoch + 1);
            widen(y, p->mean);
            widen(y, p->low);
            widen(y, p->high);
        }
    if (!isfinite(x->low)) return false;
    if (curve->chance) *y = (axis){ 0, 1, false, BOTTOM, TOP };
    if (y->log && !isfinite(y->low)) *y = (axis){ 0, 1, false, BOTTOM, TOP }; /* nothing above zero */
    if (x->high <= x->low) x->high = 2 * x->low;
    if (y->high <= y->low) *y = (axis){ y->low - fabs(y->low) / 2, y->low + fabs(y->low) / 2, y->log, BOTTOM, TOP };
    if (y->high <= y->low) y->high = y->low + 1;
    if (y->log) {
        y->low /= 1.1;
        y->high *= 1.1;
    }
    return true;
}

static void put_axes(FILE *file, const axis *x, const axis *y, const char *title)
{
    double v;
    for (int i = 0; tick(y, i, &v); i++) {
        if (v < y->low) continue;
        const double at = place(y, v);
        fprintf(
            file,
            "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
            LEFT, at, RIGHT, LEFT - 6, at + 4.5, v);
    }
    for (int i = 0; tick(x, i, &v); i++) {
        if (v < x->low * (1 - 1e-9)) continue;
        const double at = place(x, v);
        fprintf(file,
                "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"middle\">%.3g</text>\n",
                at, BOTTOM, TOP, at, BOTTOM + 18, v);
    }
    fprintf(file, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", LEFT, TOP, BOTTOM, RIGHT);
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">epoch + 1 (1 is the untrained network)</text>\n",
            (LEFT + RIGHT) / 2, HEIGHT - 8);
    fprintf(file, "<text transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\">", (TOP + BOTTOM) / 2);
    cli_html_text(file, title);
    fputs("</text>\n", file);
}

static void put_line(FILE *file, const axis *x, const axis *y, const track *t, int i, const char *label)
{
    fprintf(file, "<g data-line=\"%d\" class=\"k%d d%d\"><title>", i, i % CLI_COLOURS, i / CLI_COLOURS % CLI_DASHES);
    cli_html_text(file, label);
    fputs("</title>", file);
    bool band = false;
    for (int k = 0; k < t->count; k++) band = band || t->point[k].low < t->point[k].high;
    if (band) {
        fputs("<path class=\"band\" d=\"", file);
        for (int k = 0; k < 2 * t->count; k++) {
            const cli_point *p = &t->point[k < t->count ? k : 2 * t->count - 1 - k];
            fprintf(file, "%c%.1f %.1f", k ? 'L' : 'M', place(x, p->epoch + 1),
                    place(y, k < t->count ? p->high : p->low));
        }
        fputs("Z\"/>", file);
    }
    fputs("<path class=\"curve\" d=\"", file);
    for (int k = 0; k < t->count; k++)
        fprintf(file, "%c%.1f %.1f", k ? 'L' : 'M', place(x, t->point[k].epoch + 1), place(y, t->point[k].mean));
    fputs("\"/>", file);
    for (int k = 0; t->count <= FEW && k < t->count; k++) {
        const cli_point *p = &t->point[k];
        fprintf(file, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"><title>", place(x, p->epoch + 1),
                place(y, p->mean));
        cli_html_text(file, label);
        fprintf(file, ", epoch %.0f: %.4g", p->epoch, p->mean);
        if (p->low < p->high) fprintf(file, " (%.4g to %.4g)", p->low, p->high);
        fputs("</title></circle>", file);
    }
    fputs("</g>\n", file);
}

static void put_figure(FILE *file, const cli_lines *lines, const cli_curve *curve, const track *t, const axis *x,
                       const axis *y)
{
    fputs("<figure><figcaption>", file);
    cli_html_text(file, curve->title);
    fprintf(file, "</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    cli_html_text(file, curve->title);
    fputs(" over epochs; the tables below have the numbers\">\n", file);
    put_axes(file, x, y, curve->y_axis);
    if (curve->chance && isfinite(lines->chance))
        fprintf(file, "<path class=\"chance\" d=\"M%.1f %.1fH%.1f\"><title>chance %.4g</title></path>\n", LEFT,
                place(y, lines->chance), RIGHT, lines->chance);
    for (int i = 0; i < lines->count; i++)
        if (t[i].count > 0) put_line(file, x, y, &t[i], i, lines->line[i].label);
    fputs("</svg></figure>\n", file);
}

bool cli_chart(FILE *file, const cli_lines *lines, const cli_curve *curve)
{
    axis   x, y;
    track *t  = calloc((size_t)lines->count + 1, sizeof *t);
    bool   ok = t;
    for (int i = 0; ok && i < lines->count; i++) {
        const int room = cli_line_room(&lines->line[i]);
        t[i].point     = malloc(((size_t)room + 1) * sizeof *t[i].point);
        ok             = t[i].point;
        if (ok) t[i].count = cli_line_points(&lines->line[i], curve, t[i].point, room);
    }
    if (ok && fit(lines, curve, t, &x, &y)) put_figure(file, lines, curve, t, &x, &y);
    for (int i = 0; t && i < lines->count; i++) free(t[i].point);
    free(t);
    return ok;
}

void cli_chart_legend(FILE *file, const cli_lines *lines)
{
    fputs("<ul class=\"legend\">\n", file);
    for (int i = 0; i < lines->count; i++) {
        fprintf(file,
                "<li><button type=\"button\" aria-pressed=\"true\" data-line=\"%d\"><svg viewBox=\"0 0 32 8\" "
                "class=\"k%d d%d\" "
                "aria-hidden=\"true\"><path class=\"curve\" d=\"M0 4H32\"/></svg>",
                i, i % CLI_COLOURS, i / CLI_COLOURS % CLI_DASHES);
        cli_html_text(file, lines->line[i].label);
        fputs("</button></li>\n", file);
    }
    fputs("</ul>\n", file);
}

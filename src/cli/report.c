/* report.c: the page that says what runs did: notes, tables, charts, settings. */
#include "report.h"

#include "chart.h"
#include "cli.h"
#include "html.h"
#include "out.h"
#include "report_table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const char cli_report_page[]; /* report.html */

#define MOST_TABLES 16

typedef struct {
    const cli_report_desc *desc;
    const cli_runs        *runs;
    cli_lines              lines, drawn;                /* of all runs; of those in the charts */
    cli_table              summary, table[MOST_TABLES]; /* zeroed: not there */
    bool                   failed;                      /* out of memory, while writing */
} page;

static const char *title_of(const page *p)
{
    if (p->desc->title) return p->desc->title;
    return *p->lines.common ? p->lines.common : "Training runs";
}

static void put_title(const page *p, FILE *file)
{
    cli_html_text(file, title_of(p));
}

/* How many runs there are, and in what state. */
static void put_counts(const page *p, FILE *file)
{
    int of[3] = { 0 };
    for (int i = 0; i < p->runs->count; i++) of[p->runs->run[i].state]++;
    fprintf(file, "<p>%d runs: %d whole, %d partial, %d diverged", p->runs->count, of[CLI_RUN_WHOLE],
            of[CLI_RUN_PARTIAL], of[CLI_RUN_DIVERGED]);
    if (isfinite(p->lines.chance)) fprintf(file, "; chance level %.4g", p->lines.chance);
    const double parameters = p->runs->count ? cli_run_number(&p->runs->run[0], "parameters") : (double)NAN;
    bool         same       = isfinite(parameters);
    for (int i = 0; i < p->runs->count; i++)
        same = same && cli_run_number(&p->runs->run[i], "parameters") == parameters;
    char count[32];
    if (same) fprintf(file, "; %s parameters", cli_count_text((int64_t)parameters, count));
    fputs("</p>\n", file);
}

static void put_head(const page *p, FILE *file)
{
    fputs("<h1>", file);
    put_title(p, file);
    fputs("</h1>\n", file);
    put_counts(p, file);
    if (p->desc->command) {
        fputs("<p class=\"quiet\">Made by <code>", file);
        cli_html_text(file, p->desc->command);
        fputs("</code></p>\n", file);
    }
    for (const char *const *note = p->desc->notes; note && *note; note++) {
        fputs("<p>", file);
        cli_html_text(file, *note);
        fputs("</p>\n", file);
    }
}

static void put_tables(const page *p, FILE *file)
{
    for (int i = 0; p->desc->tables && i < MOST_TABLES && p->desc->tables[i].title; i++) {
        char id[32];
        if (!p->table[i].cell) continue;
        snprintf(id, sizeof id, "table%d", i);
        fputs("<h2>", file);
        cli_html_text(file, p->desc->tables[i].title);
        fputs("</h2>\n", file);
        cli_page_csv(file, id, p->desc->tables[i].title, &p->table[i]);
    }
}

static void put_charts(page *p, FILE *file)
{
    fputs("<h2>Epoch by epoch</h2>\n<p class=\"quiet\">Runs that differ only in the seed are one line, the mean; its "
          "band "
          "goes from the lowest to the highest, for learning rate and update over the steps too.  ",
          file);
    if (p->desc->drawn) fputs("Of several learning rates the best one is drawn.  ", file);
    fputs("A button hides its line.</p>\n", file);
    cli_chart_legend(file, &p->drawn);
    fputs("<div class=\"charts\">\n", file);
    for (int i = 0; i < CLI_CURVES && !p->failed; i++) p->failed = !cli_chart(file, &p->drawn, &cli_curves[i]);
    fputs("</div>\n", file);
}

/* By what the best rates were chosen, and which of them are at the edge of what was tried. */
static void put_choice(const page *p, FILE *file)
{
    const cli_table *t         = &p->summary;
    const int        criterion = cli_table_column(t, "criterion"), edge = cli_table_column(t, "edge");
    const int        group = cli_table_column(t, "group"), chosen = cli_table_column(t, "chosen");
    if (criterion < 0 || chosen < 0) return;
    const char *by = "";
    for (int64_t r = 0; r < t->rows; r++)
        if (*cli_table_cell(t, r, criterion)) by = cli_table_cell(t, r, criterion);
    if (!*by) return;
    fputs("<p>Where several learning rates were tried, the best one is the one with the best <code>", file);
    cli_html_text(file, by);
    fputs("</code> in the last epoch", file);
    if (strcmp(by, "test_acc") == 0) fputs(": chosen on the test samples, so its test accuracy flatters", file);
    fputs(".</p>\n", file);
    for (int64_t r = 0; r < t->rows && edge >= 0 && group >= 0; r++) {
        if (strcmp(cli_table_cell(t, r, chosen), "yes") != 0 || !*cli_table_cell(t, r, edge)) continue;
        fputs("<p>The best rate of ", file);
        cli_html_text(file, cli_table_cell(t, r, group));
        fputs(" is the ", file);
        cli_html_text(file, cli_table_cell(t, r, edge));
        fputs(" that was tried: the true best may lie beyond.</p>\n", file);
    }
}

static void put_results(const page *p, FILE *file)
{
    if (!p->summary.cell) return;
    fputs("<h2>Results</h2>\n", file);
    put_choice(p, file);
    cli_page_summary(file, &p->summary);
    fputs("<details><summary>Every column of summary.csv</summary>\n", file);
    cli_page_csv(file, "summary", "summary.csv", &p->summary);
    fputs("</details>\n", file);
}

static void put_body(page *p, FILE *file)
{
    put_head(p, file);
    put_tables(p, file);
    put_results(p, file);
    put_charts(p, file);
    fputs("<h2>Runs</h2>\n", file);
    cli_page_runs(file, p->runs);
    for (int i = 0; i < p->runs->count; i++) {
        if (!p->runs->run[i].diverged) continue;
        fputs("<p>", file);
        cli_html_text(file, p->runs->run[i].name);
        fputs(" diverged: ", file);
        cli_html_text(file, p->runs->run[i].diverged);
        fputs("</p>\n", file);
    }
    fputs("<h2>Settings and versions</h2>\n", file);
    cli_page_settings(file, p->runs);
}

static void fill(void *user, const char *name, FILE *file)
{
    page *p = user;
    if (strcmp(name, "title") == 0) put_title(p, file);
    else put_body(p, file);
}

/* A file that is not there is no error. */
static bool read_if_there(plm_ctx *ctx, const char *path, cli_table *t)
{
    return !path || (access(path, F_OK) != 0 && errno == ENOENT) || cli_table_read(ctx, path, t);
}

static bool write_page(plm_ctx *ctx, page *p)
{
    cli_out                 out;
    const cli_report_table *more = p->desc->tables;
    if (!read_if_there(ctx, p->desc->summary, &p->summary)) return false;
    for (int i = 0; more && i < MOST_TABLES && more[i].title; i++)
        if (!read_if_there(ctx, more[i].path, &p->table[i])) return false;
    if (!cli_out_folder(ctx, p->desc->dir) || !cli_out_open(ctx, &out, p->desc->dir, "report.html")) return false;
    cli_html_page(out.file, cli_report_page, fill, p);
    const bool ok = cli_out_close(&out, !p->failed);
    if (p->failed) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "report.html: out of memory");
    return ok;
}

bool cli_report(plm_ctx *ctx, const cli_runs *runs, const cli_report_desc *desc)
{
    page *p = calloc(1, sizeof *p);
    if (!p) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "report.html: out of memory");
    p->desc = desc;
    p->runs = runs;
    bool ok = cli_lines_new(ctx, runs, &p->lines) && cli_lines_new(ctx, desc->drawn ? desc->drawn : runs, &p->drawn) &&
              write_page(ctx, p);
    cli_lines_free(&p->lines);
    cli_lines_free(&p->drawn);
    cli_table_free(&p->summary);
    for (int i = 0; i < MOST_TABLES; i++) cli_table_free(&p->table[i]);
    free(p);
    return ok;
}

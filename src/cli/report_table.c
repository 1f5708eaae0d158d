/* report_table.c: the tables of a page: a csv as it stands, the summary's first columns, runs, settings. */
#include "report_table.h"

#include "html.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void begin(FILE *file, const char *id, const char *caption)
{
    fprintf(file, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"%s-caption\">\n", id);
    fprintf(file, "<table id=\"%s\"><caption id=\"%s-caption\">", id, id);
    cli_html_text(file, caption);
    fputs("</caption>\n<thead><tr>\n", file);
}

static void head(FILE *file, const char *title)
{
    fputs("<th scope=\"col\"><button type=\"button\">", file);
    cli_html_text(file, title);
    fputs("</button></th>\n", file);
}

static void body(FILE *file)
{
    fputs("</tr></thead>\n<tbody>\n", file);
}

static void end(FILE *file)
{
    fputs("</tbody></table></div>\n", file);
}

static bool is_number(const char *text)
{
    return *text && strspn(text, "+-.0123456789eE") == strlen(text);
}

static void text_cell(FILE *file, const char *text)
{
    fputs(is_number(text) ? "<td class=\"n\">" : "<td>", file);
    cli_html_text(file, text);
    fputs("</td>", file);
}

/* `shown` in place of the number itself; nan is empty. */
static void number_cell(FILE *file, double x, const char *shown)
{
    if (isnan(x)) fputs("<td class=\"n\" data-v=\"\"></td>", file);
    else fprintf(file, "<td class=\"n\" data-v=\"%.9g\">%s</td>", x, shown);
}

void cli_page_csv(FILE *file, const char *id, const char *caption, const cli_table *t)
{
    begin(file, id, caption);
    for (int c = 0; c < t->columns; c++) head(file, cli_table_cell(t, -1, c));
    body(file);
    for (int64_t r = 0; r < t->rows; r++) {
        fputs("<tr>", file);
        for (int c = 0; c < t->columns; c++) text_cell(file, cli_table_cell(t, r, c));
        fputs("</tr>\n", file);
    }
    end(file);
}

/* ------------------------------------------------------------------ summary.csv */

typedef struct {
    const char *column, *title;
    bool        spread; /* column_mean, column_sd, column_min, column_max */
} shown;

static const shown results[] = {
    { "group", "Runs", false },
    { "status", "Status", false },
    { "n", "Seeds", false },
    { "chosen", "Best rate", false },
    { "final_test_acc", "Test accuracy, last epoch", true },
    { "best_test_acc", "Best epoch", true },
    { "lowest_loss_test_acc", "At lowest training loss", true },
    { "chance", "Chance", false },
    { "parameters", "Parameters", false },
    { "final_train_acc", "Training accuracy, last epoch", true },
    { "final_train_loss", "Training loss, last epoch", true },
    { "equal_epochs_test_acc", "Test accuracy at equal epochs", true },
    { "equal_seconds_test_acc", "Test accuracy at equal seconds", true },
    { "seconds", "Seconds of training", true },
};
enum { RESULTS = sizeof results / sizeof *results };

static const char *named_cell(const cli_table *t, int64_t row, const char *column, const char *part)
{
    char name[80];
    snprintf(name, sizeof name, "%s%s", column, part);
    const int c = cli_table_column(t, name);
    return c < 0 ? NULL : cli_table_cell(t, row, c);
}

/* Four digits behind the point, as long as it is a number. */
static void put_short(FILE *file, const char *before, const char *cell, const char *after)
{
    char        *stop;
    const double x = cell && *cell ? strtod(cell, &stop) : (double)NAN;
    if (isnan(x)) return;
    fprintf(file, fabs(x) >= 100 ? "%s%.0f%s" : "%s%.4f%s", before, x, after);
}

static void spread_cell(FILE *file, const cli_table *t, int64_t row, const shown *s)
{
    const char *mean = named_cell(t, row, s->column, "_mean"), *sd = named_cell(t, row, s->column, "_sd");
    fputs("<td class=\"n\" data-v=\"", file);
    cli_html_text(file, mean ? mean : "");
    fputs("\">", file);
    put_short(file, "", mean, "");
    if (sd && *sd) {
        put_short(file, " ± ", sd, "");
        put_short(file, " (", named_cell(t, row, s->column, "_min"), "");
        put_short(file, " to ", named_cell(t, row, s->column, "_max"), ")");
    }
    fputs("</td>", file);
}

/* Is there such a column, and does it say anything? */
static bool is_said(const cli_table *t, const shown *s)
{
    for (int64_t r = 0; r < t->rows; r++) {
        const char *cell = named_cell(t, r, s->column, s->spread ? "_mean" : "");
        if (cell && *cell) return true;
    }
    return false;
}

void cli_page_summary(FILE *file, const cli_table *t)
{
    begin(file, "results", "Over seeds: mean ± standard deviation (lowest to highest); accuracies are from 0 to 1");
    for (int i = 0; i < RESULTS; i++)
        if (is_said(t, &results[i])) head(file, results[i].title);
    body(file);
    for (int64_t r = 0; r < t->rows; r++) {
        fputs("<tr>", file);
        for (int i = 0; i < RESULTS; i++) {
            if (!is_said(t, &results[i])) continue;
            if (results[i].spread) spread_cell(file, t, r, &results[i]);
            else text_cell(file, named_cell(t, r, results[i].column, ""));
        }
        fputs("</tr>\n", file);
    }
    end(file);
}

/* ------------------------------------------------------------------ runs and their settings */

/* Keys of config.json that are not like settings: named by columns of their own, or where the data lies. */
static bool has_column(const char *key)
{
    return strcmp(key, "seed") == 0 || strcmp(key, "classes") == 0 || strcmp(key, "parameters") == 0;
}

static bool same_in_all(const cli_runs *runs, const char *key)
{
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(runs->run[0].config, key);
    for (int i = 1; i < runs->count; i++) {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(runs->run[i].config, key);
        if (!first != !other || (first && !cJSON_Compare(first, other, true))) return false;
    }
    return true;
}

/* Is this key of run i in no run before it? */
static bool is_new(const cli_runs *runs, int i, const char *key)
{
    for (int k = 0; k < i; k++)
        if (cJSON_GetObjectItemCaseSensitive(runs->run[k].config, key)) return false;
    return true;
}

/* Every key in which runs differ: as a head (row -1) or as the cells of a run. */
static void differing(FILE *file, const cli_runs *runs, int row)
{
    char text[400];
    for (int i = 0; i < runs->count; i++)
        for (const cJSON *x = runs->run[i].config->child; x; x = x->next) {
            if (has_column(x->string) || same_in_all(runs, x->string) || !is_new(runs, i, x->string)) continue;
            if (row < 0) head(file, x->string);
            else
                text_cell(file, cli_value_text(cJSON_GetObjectItemCaseSensitive(runs->run[row].config, x->string), text,
                                               sizeof text));
        }
}

static void accuracy_cell(FILE *file, double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.4f", x);
    number_cell(file, x, text);
}

static void run_row(FILE *file, const cli_runs *runs, int i)
{
    const cli_run *run    = &runs->run[i];
    const double  *last   = run->rows > 0 ? run->row[run->rows - 1] : NULL;
    const double  *lowest = cli_run_lowest_loss(run);
    const double   none   = (double)NAN;
    char           text[64];
    fputs("<tr>", file);
    text_cell(file, run->name);
    text_cell(file, cli_run_state_name(run->state));
    snprintf(text, sizeof text, "%.0f", cli_run_number(run, "seed"));
    number_cell(file, cli_run_number(run, "seed"), text);
    snprintf(text, sizeof text, "%.0f", last ? last[CLI_EPOCH] : 0);
    number_cell(file, last ? last[CLI_EPOCH] : 0, text);
    accuracy_cell(file, last ? last[CLI_TEST_ACC] : none);
    accuracy_cell(file, cli_run_highest(run, CLI_TEST_ACC));
    accuracy_cell(file, lowest ? lowest[CLI_TEST_ACC] : none);
    accuracy_cell(file, cli_run_chance(run));
    snprintf(text, sizeof text, "%.0f", cli_run_number(run, "parameters"));
    number_cell(file, cli_run_number(run, "parameters"), text);
    accuracy_cell(file, last ? last[CLI_TRAIN_ACC] : none);
    accuracy_cell(file, last ? last[CLI_TRAIN_LOSS] : none);
    snprintf(text, sizeof text, "%.1f", cli_run_seconds(run));
    number_cell(file, cli_run_seconds(run), text);
    differing(file, runs, i);
    fputs("</tr>\n", file);
}

void cli_page_runs(FILE *file, const cli_runs *runs)
{
    static const char *const columns[] = { "Run",
                                           "State",
                                           "Seed",
                                           "Epochs",
                                           "Test accuracy, last epoch",
                                           "Best epoch",
                                           "At lowest training loss",
                                           "Chance",
                                           "Parameters",
                                           "Training accuracy, last epoch",
                                           "Training loss, last epoch",
                                           "Seconds of training" };
    begin(file, "runs", "Each run, with the settings in which it differs from another");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) head(file, columns[i]);
    differing(file, runs, -1);
    body(file);
    for (int i = 0; i < runs->count; i++) run_row(file, runs, i);
    end(file);
}

void cli_page_settings(FILE *file, const cli_runs *runs)
{
    char text[400];
    begin(file, "settings", "The same in every run");
    head(file, "Setting");
    head(file, "Value");
    body(file);
    for (const cJSON *x = runs->count ? runs->run[0].config->child : NULL; x; x = x->next) {
        if (!same_in_all(runs, x->string)) continue;
        fputs("<tr>", file);
        text_cell(file, x->string);
        text_cell(file, cli_value_text(x, text, sizeof text));
        fputs("</tr>\n", file);
    }
    end(file);
}

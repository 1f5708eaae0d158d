/* report.h (private): the page that says what runs did: report.html, one file that needs nothing else. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "runs.h"

/* A csv with a header line that becomes a table of the page, as it stands. */
typedef struct {
    const char *title;
    const char *path; /* a file that is not there is passed over */
} cli_report_table;

typedef struct {
    const char             *dir;     /* the folder for report.html, made if need be; required */
    const char             *title;   /* NULL: what the runs have in common                    */
    const char             *command; /* how to get these runs again; NULL: not said           */
    const cli_runs         *drawn;   /* what the charts show; NULL: all */
    const char             *summary; /* summary.csv of cli_summary_write; NULL or not there: no results over seeds */
    const cli_report_table *tables;  /* more of them, on top; ends with a title of NULL; NULL: none */
    const char *const      *notes;   /* paragraphs of plain text under the title; ends with NULL; NULL: none */
} cli_report_desc;

/* Writes DIR/report.html: notes, tables, charts, the summary (chosen columns, and all), each run with what it has of its own,
 * and every setting and version.  Beside accuracies stand chance level and number of parameters.
 * PLM_ERR_IO, PLM_ERR_FORMAT, PLM_ERR_MEMORY: then there is no page, or the one before. */
bool cli_report(plm_ctx *ctx, const cli_runs *runs, const cli_report_desc *desc);

#endif

/* report_table.h (private): the tables of a page. */
#ifndef CLI_REPORT_TABLE_H
#define CLI_REPORT_TABLE_H

#include "lines.h"
#include "table.h"

#include <stdio.h>

/* Each can be sorted by every column; the attribute data-v of a cell is what counts then, and has a number as the file that
 * it comes from has it. */

/* Every cell as it stands in the csv. */
void cli_page_csv(FILE *file, const char *id, const char *caption, const cli_table *t);
/* Of a summary.csv the columns that one looks at first; mean, sd, least and most are one cell, sorted by the mean. */
void cli_page_summary(FILE *file, const cli_table *t);
/* A row for each run, with the settings and facts in which they differ. */
void cli_page_runs(FILE *file, const cli_runs *runs);
/* The settings, versions and facts that all runs share. */
void cli_page_settings(FILE *file, const cli_runs *runs);

#endif

/* table.h (private): a comma-separated file with a header line, as cells of text (RFC 4180; a row is one line). */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <plummet/core.h>

/* A regular file of text, at most 256 MiB and without zero bytes, with a zero behind it; *size may be NULL.  To be given to
 * free; NULL: the error names the file. */
char *cli_text_read(plm_ctx *ctx, const char *path, size_t *size);

/* Zeroed: none. */
typedef struct {
    char   *path, *text; /* its own */
    char  **cell;        /* [1 + rows, columns], in text; the header first */
    int     columns;
    int64_t rows;    /* without the header; row r stands in line r + 2 */
    bool    cut_off; /* the last line had no end, so it is no row: whoever wrote it was stopped there */
} cli_table;

/* PLM_ERR_FORMAT: a line with more or fewer cells than the header, a quote not closed, no header, a column twice.
 * A last line without an end is left out of the rows (cut_off). */
bool cli_table_read(plm_ctx *ctx, const char *path, cli_table *t);
/* The same of `text`, which it takes over, also when it fails; `path` is for sentences. */
bool cli_table_parse(plm_ctx *ctx, const char *path, char *text, cli_table *t);
void cli_table_free(cli_table *t);

int         cli_table_column(const cli_table *t, const char *name);      /* -1: there is none */
const char *cli_table_cell(const cli_table *t, int64_t row, int column); /* row -1: the header */
/* An empty cell is nan; "inf", "-inf" and "nan" are numbers.  PLM_ERR_FORMAT: file, line, column and what stands there. */
bool cli_table_number(plm_ctx *ctx, const cli_table *t, int64_t row, int column, double *x);

#endif

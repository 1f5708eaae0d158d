/* csv.h (private to data): the text of a comma-separated file, cut into fields. */
#ifndef PLM__CSV_H
#define PLM__CSV_H

#include "core/core.h"

typedef struct {
    plm_ctx    *ctx;
    const char *path;
    char       *text; /* the whole file and a NUL; fields are cut in place    */
    int64_t     size;
    char       *at;        /* where the next field begins                     */
    int64_t     line;      /* where the current row begins: for errors        */
    int64_t     next_line; /* where the next field begins                     */
    bool        row_ended; /* the field read last was the last of its row     */
} plm__csv;

bool plm__csv_open(plm__csv *c, plm_ctx *ctx, const char *path);
void plm__csv_close(plm__csv *c);
/* Goes to the next row; false: only blank lines are left. */
bool plm__csv_row(plm__csv *c);
/* The next field, lent until close; NULL after an error.  Not to be called once row_ended. */
char *plm__csv_field(plm__csv *c);

#endif

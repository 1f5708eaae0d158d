/* out.h (private): a text file that is there whole or not at all. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <limits.h>
#include <locale.h>
#include <stdio.h>

#include <plummet/core.h>

/* Written as NAME.partial, renamed when all of it is on the disk.  Numbers have a point from open to close, whatever the
 * program's language. */
typedef struct {
    FILE    *file; /* write here; NULL: not open */
    plm_ctx *ctx;
    char     path[PATH_MAX], partial[PATH_MAX];
    locale_t c, before;
} cli_out;

bool cli_out_open(plm_ctx *ctx, cli_out *o, const char *dir, const char *name);
/* keep: false throws away what was written.  False: PLM_ERR_IO, and then there is no such file, or the one before. */
bool cli_out_close(cli_out *o, bool keep);
/* A folder, with those above it; one that is there is as good. */
bool cli_out_folder(plm_ctx *ctx, const char *dir);

#endif

/* files.h (private to train): files and folders of a run, with every failure said. */
#ifndef PLM__FILES_H
#define PLM__FILES_H

#include <limits.h>
#include <stdio.h>

#include "core/core.h"

/* Fails with "cannot WHAT PATH: the system's reason". */
bool plm__io_error(plm_ctx *ctx, const char *what, const char *path);
/* "FOLDER/NAME", or FOLDER.partial; a path too long to write down cannot be opened either. */
bool plm__join(plm_ctx *ctx, char path[PATH_MAX], const char *folder, const char *name);
/* The entries of a folder must be on the disk as well. */
bool plm__sync_folder(plm_ctx *ctx, const char *path);
bool plm__sync_parent(plm_ctx *ctx, const char *path); /* of the folder that it is in */
/* Calls `each` with every entry's name but . and .., until it returns false; false also when the folder cannot be read. */
bool plm__each_entry(plm_ctx *ctx, const char *folder, bool (*each)(void *user, const char *name), void *user);

/* Text written line by line. */
typedef struct {
    FILE *file; /* NULL: not open */
    char  path[PATH_MAX];
} plm__lines;

bool plm__lines_create(plm_ctx *ctx, plm__lines *l, const char *folder, const char *name);
/* Opens what is there, or an empty file, to write behind it. */
bool plm__lines_open(plm_ctx *ctx, plm__lines *l, const char *folder, const char *name);
bool plm__lines_flush(plm_ctx *ctx, plm__lines *l); /* others can read it */
bool plm__lines_sync(plm_ctx *ctx, plm__lines *l);  /* it is on the disk  */
bool plm__lines_close(plm_ctx *ctx, plm__lines *l); /* synced; not open: nothing */
/* Leaves of an open file the first line, which must be `header` (what is left of one that was cut off, or none, is written
 * anew), and those after it that are whole and begin with a number up to `last`, each larger than the one before (or, with
 * `several`, the same); whatever follows is cut off.  *rows: how many those are; *number: the last one's, -1: none. */
bool plm__lines_cut(plm_ctx *ctx, plm__lines *l, const char *header, int64_t last, bool several, int64_t *rows,
                    int64_t *number);

#endif

/* tar.h (private to data): the files in a tar archive, one after the other. */
#ifndef PLM__TAR_H
#define PLM__TAR_H

#include "data/gzip.h"

typedef struct {
    plm__gzip *file;      /* lent: where the archive comes from                   */
    char       name[104]; /* of the current file, without the folders before it   */
    int64_t    size;      /* its bytes                                            */
    int64_t    left;      /* of those, not read yet                               */
    int        padding;   /* zeros after it, up to a whole block                  */
} plm__tar;

/* Goes to the next file, over whatever is left of this one; *found is false at the end of the archive. */
bool plm__tar_next(plm__tar *t, bool *found);
/* Reads that much of the current file; the caller does not ask for more than is left. */
bool plm__tar_read(plm__tar *t, void *to, int64_t bytes);

#endif

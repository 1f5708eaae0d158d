/* list.h (private to autograd): the parts of list.c and value.c that tapes and backward passes use. */
#ifndef PLM__LIST_H
#define PLM__LIST_H

#include "autograd/autograd.h"

plm_record *plm__list_record(plm__list        *l,
                             const plm_record *r);        /* appends a copy; NULL on error, r keeps its kernels */
void        plm__list_pop(plm__list *l);                  /* drops the last record */
void        plm__value_release(plm__list *l, int32_t id); /* one hold less; memory goes with the last one */

/* Runs the last record of a tape: output and auxiliary memory, the op, its checks.  A record that no backward pass needs is
 * dropped again. */
bool plm__record_run(plm_record *r);

#endif

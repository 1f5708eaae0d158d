/* state.h (private): what an optimiser carries from one step to the next, for checkpoints: its slots, numbers, steps and factor. */
#ifndef PLM__STATE_H
#define PLM__STATE_H

#include <plummet/optim.h>

#include "autograd/autograd.h"

/* Slot number `slot` of a parameter, in the parameter's home layout. */
typedef struct {
    const plm_param *param;
    int              slot;
    plm__block      *data;
} plm__slot;

int       plm__optimizer_slots(const plm_optimizer *o); /* of all parameters together */
plm__slot plm__optimizer_slot(const plm_optimizer *o, int i);
/* The kind's numbers, as many. */
int           plm__optimizer_numbers(const plm_optimizer *o);
const double *plm__optimizer_number(const plm_optimizer *o);
/* The factor on the learning rate, and whether it may be this one. */
double plm__optimizer_factor(const plm_optimizer *o);
bool   plm__optimizer_takes_factor(const plm_optimizer *o, double factor);
/* The steps that each parameter has taken, as many. */
int     plm__optimizer_params(const plm_optimizer *o);
int64_t plm__optimizer_param_step(const plm_optimizer *o, int i);
/* The slots have been filled with those of an optimiser that has taken so many steps; these are its numbers. */
void plm__optimizer_go_on(plm_optimizer *o, int64_t step, double factor, const double *number,
                          const int64_t *param_step);

#endif

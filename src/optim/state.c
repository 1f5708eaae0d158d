/* state.c: what an optimiser carries from one step to the next.
 *
 * Everything else that it knows (norms, coefficients, directions, rates) is made anew in each step, so slots, the kind's numbers
 * (plm_optimizer_numbers), the steps taken, by the whole and by each parameter, and the factor on the learning rate are all that
 * a checkpoint has to keep. */
#include "optim/state.h"

#include "optim/optim.h"

int plm__optimizer_slots(const plm_optimizer *o)
{
    int count = 0;
    for (int i = 0; i < o->entries; i++)
        for (int s = 0; s < PLM_MAX_SLOTS; s++) count += o->entry[i].slot[s] != NULL;
    return count;
}

plm__slot plm__optimizer_slot(const plm_optimizer *o, int i)
{
    for (int k = 0; k < o->entries; k++)
        for (int s = 0; s < PLM_MAX_SLOTS; s++)
            if (o->entry[k].slot[s] && i-- == 0) return (plm__slot){ o->entry[k].view.param, s, o->entry[k].slot[s] };
    return (plm__slot){ 0 };
}

int plm__optimizer_numbers(const plm_optimizer *o)
{
    return o->kind->numbers;
}

const double *plm__optimizer_number(const plm_optimizer *o)
{
    return o->number;
}

int plm__optimizer_params(const plm_optimizer *o)
{
    return o->entries;
}

int64_t plm__optimizer_param_step(const plm_optimizer *o, int i)
{
    return o->entry[i].view.step;
}

double plm__optimizer_factor(const plm_optimizer *o)
{
    return o->factor;
}

void plm__optimizer_go_on(plm_optimizer *o, int64_t step, double factor, const double *number,
                          const int64_t *param_step)
{
    o->info.step = step;
    o->factor    = factor;
    for (int i = 0; i < o->entries; i++) o->entry[i].view.step = param_step[i];
    for (int i = 0; i < o->kind->numbers; i++) o->number[i] = number[i];
}

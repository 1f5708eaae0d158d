/* train.h (private): what the training loop and evaluation share. */
#ifndef PLM__TRAIN_H
#define PLM__TRAIN_H

#include "core/core.h"

#include <plummet/train.h>

/* Adds a batch to sums over samples; regression (acc is nan) stays nan. */
static inline void plm__score_add(plm_score *sum, double loss, double acc, int64_t count)
{
    sum->loss += loss * (double)count;
    sum->acc += acc * (double)count;
    sum->count += count;
}

static inline plm_score plm__score_mean(plm_score sum)
{
    return (plm_score){ sum.loss / (double)sum.count, sum.acc / (double)sum.count, sum.count };
}

/* The accuracy of `out`, nan for regression targets. */
double plm__score_accuracy(plm_val out, plm_tensor y);

/* Everything that an evaluation needs, so that a second one allocates nothing.  Zeroed: none. */
typedef struct {
    plm_graph         *net;
    const plm_dataset *data;
    plm_loader        *loader;
    plm_tape          *tape;
    plm_loss           loss;
} plm__evaluator;
bool plm__evaluator_open(plm__evaluator *e, plm_graph *net, plm_dataset *data, plm_loss loss, int64_t batch);
bool plm__evaluator_run(plm__evaluator *e, plm_score *score);
void plm__evaluator_close(plm__evaluator *e);

/* The data set is there and belongs to `ctx`; otherwise the error "CALL: ...". */
bool plm__train_check(plm_ctx *ctx, const plm_dataset *data, plm_loss loss, const char *call);

/* plm_checkpoint_load of a file that must be of this step; -1: any. */
bool plm__checkpoint_load(const char *path, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at, const char *recipe,
                          int64_t step);

#endif

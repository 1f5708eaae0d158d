/* loop.h (private to train): a training in progress. */
#ifndef PLM__LOOP_H
#define PLM__LOOP_H

#include "nn/json.h"
#include "train/run.h"

typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net;
    plm_optimizer *opt;
    plm_train_desc desc; /* resolved */
    plm_loader    *loader;
    plm_tape      *tape;
    plm__evaluator test, val;
    int64_t        steps_per_epoch;
    int            epoch;      /* being run; 0: the untrained network                                 */
    plm_checkpoint at;         /* where it stands; in the pass of epoch 0 only the sums count         */
    char          *recipe;     /* for checkpoints; NULL: there is no run                              */
    float         *statistics; /* batch norm's, before the step                                       */
    char           why[512];   /* the first step that was left out in this call                       */
    double         watching;   /* seconds of this step that were the monitor's                         */
    bool           resumed;    /* from a checkpoint                                                   */
    bool           saved;      /* there is a checkpoint of where it stands                            */
    bool           stopped;    /* a callback said so                                                  */
} plm__training;

/* ------------------------------------------------------------------ step.c */

/* What is not finite is reported with its place in the training: epoch, step and, within a step, its batch.  Always false. */
bool plm__say_where(const plm__training *t, bool in_step);

typedef enum { PLM__TAKEN, PLM__LEFT_OUT, PLM__FAILED } plm__outcome;
/* The next step, on its batch; or (change = false) what it would be. */
plm__outcome plm__train_step(plm__training *t, const plm_batch *batch, bool change, double *loss, double *acc);

/* All running statistics one after the other, as they are in memory: out of the graph, or back. */
size_t plm__statistics_bytes(const plm_graph *net); /* at least 1 */
void   plm__statistics_copy(const plm_graph *net, float *numbers);
void   plm__statistics_put_back(plm_graph *net, const float *numbers);

/* ------------------------------------------------------------------ schedule.c */

bool plm__schedule_check(plm_ctx *ctx, const plm_optimizer *opt, const plm_train_desc *d); /* d: resolved */
bool plm__schedule_apply(const plm__training *t);                                          /* for the next step */
void plm__schedule_end(const plm__training *t);
void plm__schedule_recipe(const plm_train_desc *d, plm__text *text);

#endif

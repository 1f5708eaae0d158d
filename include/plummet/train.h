/* train.h: the training loop and run folders. */
#ifndef PLUMMET_TRAIN_H
#define PLUMMET_TRAIN_H

#include <plummet/data.h>
#include <plummet/optim.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { PLM_LOSS_MSE = 0, PLM_LOSS_XENT, PLM_LOSS_SQUARE } plm_loss;
/* mse: plm_mse_onehot, or plm_mse for regression targets; xent: plm_cross_entropy; square: plm_square_loss. */
PLM_API plm_val plm_loss_apply(plm_loss loss, plm_val out, plm_tensor y);

/* Means over samples, accumulated in double; accuracy is 0..1, nan for regression. */
typedef struct {
    double  loss, acc;
    int64_t count;
} plm_score;
/* Evaluation mode, batches of `batch` (0 means 128). */
PLM_API bool plm_evaluate(plm_graph *net, plm_dataset *data, plm_loss loss, int64_t batch,
                          plm_score *score) PLM_MUST_CHECK;

typedef struct {
    double mean, min, max;
} plm_range;

/* One row of metrics.csv; what does not exist is nan. */
typedef struct {
    int       epoch; /* 0: the untrained network */
    plm_score train, test, val;
    plm_range eta, update; /* over the epoch's steps */
    double    seconds;     /* training only */
    int64_t   skipped;     /* steps left out so far, over all epochs: see plm_nonfinite */
} plm_epoch;

/* One training step. */
typedef struct {
    int64_t              step; /* 1, 2, ... over all epochs */
    int64_t              steps_per_epoch;
    int                  epoch; /* 1, 2, ... */
    double               loss, acc;
    const plm_step_info *info;
} plm_step;

/* ------------------------------------------------------------------ checkpoints */

/* Where a training stands between two steps.  With the weights, batch norm's statistics and the optimiser's state it is all
 * that training needs to go on as if it had never stopped: orders and random numbers are functions of the seed, the epoch
 * and the step. */
typedef struct {
    int64_t step;    /* batches trained on, over all epochs; those left out (non-finite) count as well */
    int     epoch;   /* epochs that are finished                                                       */
    int64_t batches; /* of the epoch after that                                                        */
    int64_t skipped; /* steps left out, over all epochs                                                */
    /* What the row of that epoch is made of so far: sums over its samples and (eta.mean, update.mean) its steps. */
    int64_t   steps; /* without those left out */
    plm_score train;
    plm_range eta, update;
    double    seconds;
} plm_checkpoint;

/* One file with all of it: the network as plm_graph_save writes it, so that plm_graph_open and other programs read it too, and
 * beside it the optimiser's slots ("plummet.slot0.NAME"), its settings and `at` (in __metadata__), under a CRC-64 of the whole.  Written
 * beside, on the disk before it is renamed: the file is the old one or the new one, never half.
 *   recipe: what else the training depends on, one fact a line ("batch 128\nlr 0.1"); NULL: nothing.
 *   PLM_ERR_IO; PLM_ERR_ARGUMENT: a parameter's name begins with "plummet.", a number of `at` is infinite. */
PLM_API bool plm_checkpoint_save(const char *path, const plm_graph *net, const plm_optimizer *opt,
                                 const plm_checkpoint *at, const char *recipe) PLM_MUST_CHECK;
/* Puts network and optimiser, built as when it was saved, and *at where they were.  After a failure nothing has changed.
 *   PLM_ERR_IO; PLM_ERR_FORMAT: damaged, no checkpoint, or of another network;
 *   PLM_ERR_STATE: of another optimiser, with other settings (one of its rate: plm_optimizer_set_factor, afterwards), or of
 *   another recipe; what differs is named. */
PLM_API bool plm_checkpoint_load(const char *path, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at,
                                 const char *recipe) PLM_MUST_CHECK;

/* ------------------------------------------------------------------ the loop */

/* A run folder: see below. */
typedef struct plm_run plm_run;
/* What steps did, measured: see explain.h. */
typedef struct plm_monitor plm_monitor;

/* A run folder that has been resumed goes on from here. */
typedef struct {
    const plm_checkpoint *at;          /* zeros: from the beginning, no checkpoint had been saved yet            */
    const char           *path;        /* of the checkpoint; NULL: from the beginning                            */
    const char           *passed_over; /* NULL, or one sentence: why the newest checkpoint could not be used; it is
                                          called NAME.damaged now                                                */
} plm_resumed;

/* What becomes of a step whose loss or gradient is not finite.  Stop: training fails; the error names the layer, the step and
 * its batch.  Skip: the step is left out and counted, as if its batch did not exist.  Either way weights, batch norm's statistics
 * and the optimiser's state are as before the step.  Always an error: an epoch of which every step is left out; finite
 * gradients that make a weight infinite, since then it is too late. */
typedef enum { PLM_NONFINITE_STOP = 0, PLM_NONFINITE_SKIP } plm_nonfinite;

/* ------------------------------------------------------------------ schedules */

typedef enum {
    PLM_SCHEDULE_CONSTANT = 0,
    PLM_SCHEDULE_STEP,   /* times step_factor every step_epochs epochs, counted from the start */
    PLM_SCHEDULE_LINEAR, /* in a straight line from 1 after the warm-up to 0 at the end        */
    PLM_SCHEDULE_COSINE  /* (1 + cos(pi u)) / 2, u from 0 to 1 likewise                        */
} plm_schedule_shape;

/* A factor on the learning rate, for each step.  During a warm-up of W steps it is 1/W, 2/W, ... 1.
 *   Sources: Goyal et al. 2017, arXiv 1706.02677, section 2.2; Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5. */
typedef struct {
    plm_schedule_shape shape;
    double             warmup;      /* epochs; parts of one as well */
    double             step_epochs; /* 0 means 30  */
    double             step_factor; /* 0 means 0.1 */
} plm_schedule;
/* Of step 0, 1, ..., in a training of so many steps; a pure function. */
PLM_API double plm_schedule_factor(const plm_schedule *s, int64_t step, int64_t steps_per_epoch, int epochs);

typedef struct {
    int          epochs;     /* 0 means 10                                          */
    int64_t      batch;      /* 0 means 128                                         */
    int64_t      test_batch; /* 0: as batch                                         */
    plm_loss     loss;
    plm_dataset *test, *val; /* NULL: none                                          */
    plm_schedule schedule;   /* for optimisers with a learning rate (not agd); the factor is 1 again afterwards */
    bool         augment;    /* the training samples, as plm_loader_desc.augment; the train columns are means over the
                                samples as trained on, augmented                    */
    bool         epoch_zero; /* row 0 also has the train columns and eta, from one pass without a step; batch norm's
                                running statistics are as before afterwards         */
    /* Called after each step and each epoch (epoch 0 first).  False stops training: plm_train returns true.  NULL: none. */
    bool (*on_step)(void *user, const plm_step *step);
    bool (*on_epoch)(void *user, const plm_epoch *epoch);
    void *user;

    /* Of this optimiser and loss: measures steps, whose rows on_step finds by plm_monitor_last.  No bit of the training
     * depends on it.  The targets are classes.  NULL: none. */
    plm_monitor *monitor;

    plm_nonfinite on_nonfinite;
    /* Checkpoints go into this run folder: after every so many epochs and steps (0: not so), at the end if either is set, and
     * when a callback stops training.  A run of plm_run_resume goes on from its newest one.  NULL: none.  `recipe`: what
     * else the training depends on, as in plm_checkpoint_save; seed, batch, loss, augmentation and the samples are in it
     * anyway. */
    plm_run    *run;
    int         save_epochs;
    int64_t     save_steps;
    const char *recipe;
    void (*on_resume)(void *user, const plm_resumed *from); /* before the first step; NULL: none */
} plm_train_desc;

/* Trains `net` with `opt` on `data`; every sample once an epoch, shuffled, the short last batch too.  `last` (may be NULL)
 * gets the last epoch's row. */
PLM_API bool plm_train(plm_graph *net, plm_optimizer *opt, plm_dataset *data, const plm_train_desc *desc,
                       plm_epoch *last) PLM_MUST_CHECK;

/* ------------------------------------------------------------------ benchmark */

/* The time of one op of one node in a step, with what the engine does around it; means over the steps, so that they add
 * up.  Backward includes the norms that Automatic Gradient Descent takes there. */
typedef struct {
    const char *op;   /* "conv2d", "batch_norm", "reorder" ...; lent until the graph is freed */
    const char *node; /* the module's name, lent as well; NULL: the loss                       */
    double      forward_ms, backward_ms;
} plm_op_time;

typedef struct {
    int64_t  batch; /* 0 means 128          */
    int      steps; /* 0 means 20; measured */
    plm_loss loss;
    /* Not NULL: as many steps again are run and watched op by op; then called for each, in the order of the forward pass. */
    void (*on_op)(void *user, const plm_op_time *time);
    void *user;
} plm_bench_desc;

/* Milliseconds, medians over the steps.  step = forward (input, graph, loss) + backward + optimizer, as training runs them. */
typedef struct {
    double step_ms, forward_ms, backward_ms, optimizer_ms;
    double primitive_ms; /* all oneDNN primitives of one step, in order, on buffers of their own, and nothing else */
    double images_per_s;
    double peak_rss_mb; /* the process's largest memory up to the last measured step, MiB */
} plm_bench_result;

/* Trains on one batch of random images over and over and takes the time. */
PLM_API bool plm_bench(plm_graph *net, plm_optimizer *opt, const plm_bench_desc *desc,
                       plm_bench_result *result) PLM_MUST_CHECK;

/* ------------------------------------------------------------------ run folders */

/* A folder with config.json, metrics.csv and model.safetensors (and steps.csv, monitor.csv).  It is built as DIR.partial and
 * renamed to DIR by plm_run_finish, so a folder of that name is a whole run (or one that diverged, and says so).
 *
 * `config` is JSON text (an object).  An existing DIR that is not an empty folder is an error; a left-over DIR.partial is
 * replaced, unless it has checkpoints, a whole model or what is no part of a run. */
PLM_API plm_run *plm_run_new(plm_ctx *ctx, const char *dir, const char *config, bool with_val, bool with_steps);
/* Opens DIR.partial (`dir` is either name), so that plm_train takes it up at its newest checkpoint; a finished DIR becomes
 * DIR.partial again, to be given more epochs.  metrics.csv, steps.csv and monitor.csv keep the rows up to the checkpoint.  All
 * that happens when the run goes on: one that plm_train refuses is as it was, or as plm_run_complete leaves it.  The last three
 * arguments as when it was new; config: NULL keeps the file.  Errors: no such run, both of them there, in use, finished without
 * a checkpoint. */
PLM_API plm_run *plm_run_resume(plm_ctx *ctx, const char *dir, const char *config, bool with_val, bool with_steps);
/* A run whose process ended between saving the model and renaming the folder is whole: DIR.partial (`dir` is either name) is
 * renamed to DIR.  Any other is left alone, and that is no error; so is one with checkpoints, which plm_run_resume finishes.
 * Errors: in use; PLM_ERR_IO. */
PLM_API bool plm_run_complete(plm_ctx *ctx, const char *dir) PLM_MUST_CHECK;
PLM_API bool plm_run_has_checkpoint(const char *dir);                            /* DIR.partial, by either name */
PLM_API bool plm_run_epoch(plm_run *run, const plm_epoch *epoch) PLM_MUST_CHECK; /* one row, flushed */
PLM_API bool plm_run_step(plm_run *run, const plm_step *step) PLM_MUST_CHECK;
/* Gives a new or resumed run a monitor.csv (docs/explain.md), before plm_train. */
PLM_API bool plm_run_monitor(plm_run *run, const plm_monitor *m) PLM_MUST_CHECK;
/* The rows of this step, one for each weight layer and one for the network; a step that was not measured has none. */
PLM_API bool plm_run_monitored(plm_run *run, const plm_monitor *m, const plm_step *step) PLM_MUST_CHECK;
PLM_API bool plm_run_finish(plm_run *run, plm_graph *net) PLM_MUST_CHECK; /* saves, closes, renames */
/* Ends a run whose numbers are no longer finite: `why`, one sentence, goes into diverged.txt, no model is saved, and the
 * folder is renamed as a whole run is.  The context must work again: plm_ctx_clear. */
PLM_API bool plm_run_diverged(plm_run *run, const char *why) PLM_MUST_CHECK;
PLM_API void plm_run_free(plm_run *run); /* an unfinished run stays as DIR.partial */

#ifdef __cplusplus
}
#endif
#endif

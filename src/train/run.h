/* run.h (private to train): what the parts of a run folder share. */
#ifndef PLM__RUN_H
#define PLM__RUN_H

#include <locale.h>

#include "train/files.h"
#include "train/train.h"

#define PLM__METRICS \
    "epoch,train_loss,train_acc,test_loss,test_acc,eta_mean,eta_min,eta_max,update_mean,update_min,update_max,seconds"
#define PLM__METRICS_VAL ",val_loss,val_acc"
#define PLM__STEPS "step,epoch,loss,acc,eta,G,update_mean"
#define PLM__MONITOR_FILE "monitor.csv"
#define PLM__MONITOR                                                                                            \
    "step,epoch,layer,grad,grad_op,stable_rank,contribution,update,G,eta,rate,loss,change,linear,majorisation," \
    "majorised,df_rms,df_max,df_theory"
#define PLM__MONITOR_NETWORK "(network)"
#define PLM__MODEL "model.safetensors"
#define PLM__DIVERGED "diverged.txt"
#define PLM__CHECKPOINT "checkpoint-" /* STEP.safetensors */

struct plm_run {
    plm_ctx   *ctx;
    char       dir[PATH_MAX], partial[PATH_MAX];
    plm__lines metrics, steps, monitor;
    int64_t    monitor_every; /* with a monitor: the steps between those that are measured */
    int        monitor_rows;  /* of each of them */
    bool       with_val, with_steps, finished;
    bool       resumed; /* goes on from its newest checkpoint */
    bool       waits;   /* has been resumed and is as it was: `partial` is its folder, whatever its name */
    char      *config;  /* which it gets when it goes on; NULL: keeps its own */
    locale_t   c;       /* numbers have a point, whatever the program's language */
};

/* ------------------------------------------------------------------ run.c */

/* How many characters of `dir` are a run's name: slashes at its end are not, nor, with `either`, is ".partial". */
size_t plm__run_name(const char *dir, bool either);
/* The object alone, with its names. */
plm_run *plm__run_make(plm_ctx *ctx, const char *dir, bool with_val, bool either, const char *call);
/* config.json, written beside and renamed. */
bool plm__run_configure(plm_run *run, const char *config);
/* May it be written into?  A run that waits goes on before the first time. */
bool plm__run_ready(plm_run *run);
/* Takes the lock that a run in progress holds on its metrics.csv, which goes when the file is closed or the process ends. */
bool plm__run_lock(plm_run *run);

bool plm__run_sync(plm_run *run); /* all rows so far are on the disk */
/* As plm_run_complete, for `call`. */
bool plm__run_complete(plm_ctx *ctx, const char *dir, const char *call);

/* ",x": nine digits give every float back; what does not exist is empty. */
void plm__run_put(FILE *file, double x);

/* ------------------------------------------------------------------ run_monitor.c */

bool plm__run_cut_monitor(plm_run *run, const plm_checkpoint *at); /* its rows up to the checkpoint, and all of them */

/* ------------------------------------------------------------------ run_checkpoints.c */

/* Is it the name of a checkpoint?  *step: which. */
bool plm__checkpoint_name(const char *name, int64_t *step);
/* Everything that has been written is put on the disk, then a checkpoint; the last two are kept. */
bool plm__run_save(plm_run *run, const plm_graph *net, const plm_optimizer *opt, const plm_checkpoint *at,
                   const char *recipe);
/* Which checkpoint a resumed run goes on from. */
typedef struct {
    bool from_start;                                 /* there is none                                                */
    char passed_over[sizeof((plm_ctx *)0)->message]; /* "", or why the newest could not be used */
} plm__found;
/* The newest checkpoint that can be used goes into network, optimiser and *at, without any *at is zero.  The folder stays. */
bool plm__run_find(plm_run *run, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at, const char *recipe,
                   plm__found *found);
/* The run goes on there: rows after it are cut off, and checkpoints that could not be used called NAME.damaged. */
bool plm__run_take_up(plm_run *run, const plm_checkpoint *at, const plm__found *found,
                      void (*told)(void *user, const plm_resumed *from), void *user);

/* ------------------------------------------------------------------ run_resume.c */

bool plm__run_go_on(plm_run *run); /* the first change to a run that waits */

#endif

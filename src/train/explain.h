/* explain.h (private): the parts of an explanation. */
#ifndef PLM__EXPLAIN_H
#define PLM__EXPLAIN_H

#include <plummet/explain.h>

#include "optim/spectral.h"

struct plm_explain {
    plm_ctx            *ctx;
    plm_graph          *net;
    plm_explain_desc    desc;          /* resolved */
    int                 L;             /* weight tensors that train */
    int64_t             d_0, d_L;      /* numbers of a sample and of an output */
    uint64_t            version;       /* sum of the weights' versions that the facts are of */
    plm_layer_facts    *layer;         /* [layers] */
    plm_node_bound     *node;          /* [nodes] */
    int                *layer_of;      /* [nodes]: which layer a node is, -1: none */
    double             *norm, *change; /* [layers]: of each weight as a map, for a walk      */
    double             *shift;         /* [layers]: ||change of its output|| by its bias     */
    struct plm__walked *walk;          /* [nodes]: scratch */

    /* Samples: none of it without data or a monitor. */
    int64_t     samples, room; /* room: for how many there is memory */
    uint64_t    step;          /* of the training: what random ops draw for, before and after */
    plm_loader *loader;
    plm_tape   *tape;
    float      *x;             /* one loader's batch, rescaled */
    float      *f[2];          /* [samples, d_L]: outputs before and after the step */
    int64_t    *label;         /* [samples] */
    double     *slope;         /* [d_L]: scratch */
    float      *before, *grad; /* all parameters one after the other */
    float      *part[2];       /* the matrices of a layer: two scratch tensors */
};

/* Of matrices one after the other: smallest, mean and largest ||.||_op; the sum over taps of the largest; ||.||_F of all, the
 * sum and the largest of the matrices' own; stable rank, mean over those that are not zero. */
typedef struct {
    double op_min, op_mean, op, map, frobenius, frobenius_sum, frobenius_most, stable_rank;
} plm__norms;
bool plm__explain_norms(plm_ctx *ctx, const plm__matrices *m, const float *a, plm__norms *n);
/* The facts of the weights as they are now. */
bool plm__explain_measure(plm_explain *e);

/* ------------------------------------------------------------------ explain_bound.c */

/* Bounds of a walk at one node, with ||x|| = size: ||h|| <= offset + gain size, ||dh|| <= d_offset + d_gain size. */
typedef struct plm__walked {
    double offset, gain, d_offset, d_gain;
} plm__walked;
/* Along the graph with each layer's weight of norm `norm` as a map, changed by `change`, its output by `shift` (NULL: not);
 * into e->walk.  What is at the output. */
plm__walked plm__explain_walk(const plm_explain *e, const double *norm, const double *change, const double *shift);
void        plm__explain_bounds(plm_explain *e); /* fills e->node; leaves the norms as measured in e->norm */

/* ------------------------------------------------------------------ explain.c: memory for a step */

bool plm__explain_open(plm_explain *e);                  /* all of it but that for samples */
bool plm__explain_room(plm_explain *e, int64_t samples); /* grows to so many */

/* ------------------------------------------------------------------ explain_batch.c */

typedef struct {
    double x_rms, x_max, f_rms, f_max;
} plm__sizes;
/* Runs all samples forward into e->f[after]; not after: backward too, and their sizes. */
bool plm__explain_run(plm_explain *e, bool after, plm__sizes *sizes);
/* The same of a batch that a training runs itself: what it has put out before the step, and (again) once more after it. */
bool plm__explain_take(plm_explain *e, const plm_batch *batch, plm_val out, plm__sizes *sizes);
bool plm__explain_again(plm_explain *e, const plm_batch *batch);
/* From e->f in double: loss before and after, rms slope, mean <d loss / d f, df>, rms and largest ||df||. */
typedef struct {
    double loss[2], slope, first_order, df_rms, df_max;
} plm__changes;
plm__changes plm__explain_changes(const plm_explain *e);

/* ------------------------------------------------------------------ explain_step.c: the parts of a step, in order */

bool plm__explain_before(plm_explain *e);    /* all parameters and the facts of the weights */
bool plm__explain_gradients(plm_explain *e); /* which the step uses up */
/* What the step of `o` did, with the outputs before and after in e->f.  Then statistics are as in plm__explain_before, and
 * weights too unless `keep`. */
bool plm__explain_after(plm_explain *e, const plm_optimizer *o, const plm__sizes *sizes, bool keep,
                        plm_step_terms *terms, plm_layer_step *layers);

/* ------------------------------------------------------------------ monitor.c */

struct plm_monitor {
    plm_ctx         *ctx;
    plm_optimizer   *o;
    plm_monitor_desc desc; /* resolved */
    plm_explain     *e;
    plm_layer_step  *layer; /* [layers], behind row.layer */
    plm_monitor_row  row;
    bool             measured; /* the row is of the last step */
    /* Between before and after. */
    bool       waits;
    int64_t    steps; /* that the optimiser had taken */
    plm_batch  batch;
    plm__sizes sizes;
};

#endif

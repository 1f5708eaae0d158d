/* explain.h: how Automatic Gradient Descent's (AGD) step follows from the architecture, in numbers: what the weights are, what
 * one step on real samples does, and what the theory says of both.  docs/agd.md derives what is computed here.
 *
 * Notation.  Layer k of L has matrices of d_out/groups x d_in/groups, one per tap and group, and the scale s_k = sqrt(d_out /
 * (d_in taps)).  f(x) is the network's output, d_0 and d_L are how many numbers x and f(x) have.  ||.||_2 is over one
 * sample's numbers.  "rms" is the root of the mean square over the samples. */
#ifndef PLUMMET_EXPLAIN_H
#define PLUMMET_EXPLAIN_H

#include <plummet/spectral.h>
#include <plummet/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ formulas */

/* eta = log((1 + sqrt(1 + 2 G / c)) / 2): the root of e^eta (e^eta - 1) = G / (2 c), where -eta G + c (e^eta - 1)^2 is least.
 * AGD uses c = 1/2 for every loss.  G = 0: 0. */
PLM_API double plm_agd_eta(double G, double curvature);

/* c such that a change df of the outputs, of ||df||_2 <= sqrt(d_L) (e^eta - 1) in every sample, bends the loss by at most
 * c (e^eta - 1)^2 (its Bregman divergence): square 1/2; mse 1; xent classes/4, since log-sum-exp has a Hessian of at most
 * 1/2.  For square and mse the bend is exactly c/d_L mean ||df||^2. */
PLM_API double plm_loss_curvature(plm_loss loss, int64_t classes);

/* ------------------------------------------------------------------ an explanation */

typedef struct plm_explain plm_explain;

typedef struct {
    plm_loss loss;
    plm_dataset
           *data;    /* with classes; lent until the explanation is freed.  NULL: only what needs no samples          */
    int64_t batch;   /* 0 means 128                                                                                   */
    bool    full;    /* all samples are one batch, computed `batch` at a time; false: the first batch of plm_train    */
    bool    augment; /* as plm_train_desc.augment                                                                     */
    bool    rescale; /* each sample is multiplied so that ||x||_2 = sqrt(d_0), as the theory has it; 0 stays 0        */
} plm_explain_desc;

/* Of a network whose weights are initialised or loaded; it must outlive the explanation.  NULL on error. */
PLM_API plm_explain *plm_explain_new(plm_graph *net, const plm_explain_desc *desc);
PLM_API void         plm_explain_free(plm_explain *e);

/* A weight layer, as it is: op... are over its matrices. */
typedef struct {
    const plm_layer *layer;
    int              node; /* its number in the graph                                                            */
    bool             trains;
    int              taps, matrices;
    double           scale;     /* s_k, to whose ||.||_op each matrix is drawn                                 */
    double           share;     /* 1/L, what of the step is its; 0: frozen                                     */
    double op_min, op_mean, op; /* ||W||_op of its matrices, smallest, mean, largest                           */
    double frobenius;           /* ||W||_F of all of it                                                        */
    double map, map_prescribed; /* of the layer as a map: sum over taps of the largest ||W||_op; taps s_k      */
    double
        per_eta; /* 1 / (L sqrt(min(d_in, d_out) / groups)): ||dW||_F / ||W||_F of AGD's first step is eta times this */
} plm_layer_facts;
PLM_API int                    plm_explain_layers(const plm_explain *e);
PLM_API int                    plm_explain_weights(const plm_explain *e);      /* weight tensors that train */
PLM_API const plm_layer_facts *plm_explain_layer(const plm_explain *e, int i); /* NULL: no such */

/* A node's value h of a sample x: ||h||_2 <= offset + gain ||x||_2, and a change of it changes the output at most `onward`
 * times as much.  Follows from plm_lipschitz along the graph; nan behind (of `onward`: before) a node without such a fact. */
typedef struct {
    double offset, gain;    /* with the weights as they are              */
    double gain_prescribed; /* with every matrix at ||W||_op = s_k       */
    double onward;          /* with the weights as they are              */
} plm_node_bound;
PLM_API const plm_node_bound *plm_explain_node(const plm_explain *e, int i); /* NULL: no such */

PLM_API const plm_node_bound *plm_explain_output(const plm_explain *e); /* of the node that is the output */

/* The same with ||dW||_op of every matrix eta/L times its norm: ||df||_2 <= trust(eta) ||x||_2, with weights as prescribed.  For a
 * chain of layers and plain ReLUs sqrt(d_L/d_0) ((1 + eta/L)^L - 1) <= sqrt(d_L/d_0) (e^eta - 1); nan as above. */
PLM_API double plm_explain_trust(const plm_explain *e, double eta);

/* ------------------------------------------------------------------ a step */

/* What a step did to one layer. */
typedef struct {
    double grad;         /* sum over its matrices of ||g||_F                                             */
    double grad_most;    /* largest ||g||_F of a matrix                                                  */
    double grad_op;      /* largest ||g||_op of a matrix                                                 */
    double stable_rank;  /* ||g||_F^2 / ||g||_op^2, mean over the matrices that have a gradient          */
    double contribution; /* s_k grad / L: its part of G                                                  */
    double grad_bound;   /* no ||g||_F of a matrix is larger: bounded-gradient lemma, first form; or nan */
    double update;       /* ||dW||_F / ||W||_F                                                           */
    double update_op;    /* largest ||dW||_op of a matrix                                                */
    double update_map;   /* sum over taps of the largest ||dW||_op                                       */
    double linear;       /* <g, dW>                                                                      */
} plm_layer_step;

/* What it did to the network.  loss_after - loss = linear + remainder + bregman, all three measured. */
typedef struct {
    int64_t samples;
    double  x_rms, x_max;        /* ||x||_2                                                                       */
    double  f_rms, f_max;        /* ||f(x)||_2 before                                                             */
    double  f_bound;             /* no ||f(x)||_2 is larger (output bound); or nan                                */
    double  loss, loss_after;    /* on these samples, from f in double                                            */
    double  loss_slope;          /* rms of ||d loss / d f||_2 of a sample; square: sqrt(2 loss / d_L)             */
    double  G;                   /* (1/L) sum s_k ||g||_F, whatever the optimiser                                 */
    double  eta;                 /* plm_agd_eta(G, 1/2)                                                           */
    double  rate;                /* what the optimiser used: plm_step_info.eta                                    */
    double  linear;              /* <gradient, step>; AGD: -eta G                                                 */
    double  remainder;           /* mean <d loss / d f, df - (the part of df that is linear in the step)>         */
    double  bregman;             /* what the loss bends over df: c/d_L mean ||df||^2 for square and mse           */
    double  df_rms, df_max;      /* ||df||_2                                                                      */
    double  df_bound, df_within; /* no ||df||_2 is larger; no rms: from the measured ||W||_op, ||dW||_op; or nan  */
    double  trust;     /* prod over layers of (1 + ||dW|| / ||W|| as maps) - 1; AGD as drawn: below e^eta - 1 */
    double  curvature; /* plm_loss_curvature                                                            */
    double  majorised; /* linear + c/d_L df_within^2: bounds loss_after - loss but for the remainder    */
} plm_step_terms;

/* Runs the samples forward and backward, lets `o` (of this graph) step, and runs them forward again.  Then weights are put back
 * as they were, unless `keep`; batch norm's running statistics always are.  The optimiser's own state moves on.  `layers`
 * [plm_explain_layers] may be NULL.  The facts above are then those before the step.  After an error the weights may be those
 * after it.
 * PLM_ERR_STATE: the explanation has no data. */
PLM_API bool plm_explain_step(plm_explain *e, plm_optimizer *o, bool keep, plm_step_terms *terms,
                              plm_layer_step *layers) PLM_MUST_CHECK;

/* ------------------------------------------------------------------ during a training */

/* plm_explain_step's numbers of steps that a training takes itself, on the training's own batches: of plm_train
 * (plm_train_desc.monitor), or of a loop of your own:
 *     plm_backward(loss);
 *     plm_monitor_before(m, step, out, &batch);    out = f(x), still on the tape
 *     plm_optimizer_step(o);
 *     plm_monitor_after(m);                        the batch's memory must be as it was
 *     if (plm_monitor_last(m)) ...
 * Training does not notice: weights, running statistics and random numbers are the same bits without it.  A measured step runs
 * the batch forward once more and takes three operator norms of each matrix.  Works with every optimiser; targets are classes. */
typedef struct {
    plm_loss loss;  /* that is trained                                                     */
    int64_t  every; /* 0 means 1; the steps 1, 1 + every, 1 + 2 every ... are measured     */
} plm_monitor_desc;

/* One measured step.  The last two numbers are about AGD's step (of gain 1), and nan for any other. */
typedef struct {
    int64_t               step;
    plm_step_terms        terms;
    const plm_layer_step *layer; /* [layers]; zeros where frozen                                                    */
    int                   layers;
    double                majorisation; /* -eta G + c (e^eta - 1)^2: bounds loss_after - loss but for the remainder */
    double                df_theory;    /* sqrt(d_L) (e^eta - 1): bounds ||df|| under the theory's assumptions      */
} plm_monitor_row;

/* The optimiser and its graph must outlive the monitor.  NULL on error. */
PLM_API plm_monitor *plm_monitor_new(plm_optimizer *o, const plm_monitor_desc *desc);
PLM_API void         plm_monitor_free(plm_monitor *m);
/* When the gradients of step 1, 2, ... are there.  A step that is not to be measured costs nothing.
 *   PLM_ERR_ARGUMENT: the targets are numbers; PLM_ERR_SHAPE: x, y or out are not `count` samples of the network's. */
PLM_API bool plm_monitor_before(plm_monitor *m, int64_t step, plm_val out, const plm_batch *batch) PLM_MUST_CHECK;
/* When the optimiser has stepped; if it has not, nothing is measured. */
PLM_API bool plm_monitor_after(plm_monitor *m) PLM_MUST_CHECK;
/* The row of the last step, lent until the next; NULL: it was not measured. */
PLM_API const plm_monitor_row *plm_monitor_last(const plm_monitor *m);
/* The layers and bounds as they were before the step that was measured last, for plm_explain_layer and the like. */
PLM_API const plm_explain *plm_monitor_facts(const plm_monitor *m);

#ifdef __cplusplus
}
#endif
#endif

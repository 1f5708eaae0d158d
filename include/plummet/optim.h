/* optim.h: optimisers that walk the module graph. */
#ifndef PLUMMET_OPTIM_H
#define PLUMMET_OPTIM_H

#include <plummet/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct plm_optimizer plm_optimizer;

/* Automatic Gradient Descent (AGD): no learning rate, no schedule.  With s_k = sqrt(d_k / (d_{k-1} taps)):
 *   G = (1/L) sum_k s_k sum_taps ||g_tap||_F,   eta = log((1 + sqrt(1 + 4 G)) / 2),
 *   w_tap -= gain (eta / L) s_k g_tap / ||g_tap||_F.
 * L counts weight tensors that are not frozen.  A tap whose gradient is exactly zero is left alone.  Trainable biases and
 * affine norm parameters are refused by name.  Source: Bernstein et al. 2023, arXiv 2304.05187, algorithm 1. */
typedef struct {
    double gain;   /* 0 means 1 */
    bool   reinit; /* draw the weights anew (PLM_INIT_AGD) even if they were initialised or loaded */
} plm_agd_desc;

/* Stochastic gradient descent: g += weight_decay w;  m = momentum m + g;  w -= lr (nesterov ? g + momentum m : m).
 * The first m is g.  Source: Sutskever et al. 2013 in PyTorch's form. */
typedef struct {
    double lr; /* 0 means 0.1 */
    double momentum;
    double weight_decay;
    bool   nesterov;
    double clip_norm; /* 0: none; else the gradient of all parameters together is scaled down to this norm */
    bool   reinit;    /* PLM_INIT_PYTORCH */
} plm_sgd_desc;

/* Adam: m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  w -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps).
 * weight_decay is coupled (added to g), as in the paper.  Source: Kingma & Ba 2015, algorithm 1. */
typedef struct {
    double lr;    /* 0 means 1e-3 */
    double beta1; /* 0 means 0.9   (PLM_ZERO: 0) */
    double beta2; /* 0 means 0.999 (PLM_ZERO: 0) */
    double eps;   /* 0 means 1e-8  */
    double weight_decay;
    double clip_norm;
    bool   reinit;
} plm_adam_desc;

/* The graph's weights are initialised with the optimiser's own scheme if nothing has initialised or loaded them.  The
 * graph must outlive the optimiser.  NULL on error. */
PLM_API plm_optimizer *plm_agd_new(plm_graph *g, const plm_agd_desc *desc);
PLM_API plm_optimizer *plm_sgd_new(plm_graph *g, const plm_sgd_desc *desc);
PLM_API plm_optimizer *plm_adam_new(plm_graph *g, const plm_adam_desc *desc);
PLM_API void           plm_optimizer_free(plm_optimizer *o);

/* One step with the gradients of the backward passes since the last one.  A non-finite gradient is an error naming the
 * layer, and changes no weight; so is a trainable parameter without a gradient. */
PLM_API bool plm_optimizer_step(plm_optimizer *o) PLM_MUST_CHECK;
/* What a step would report, without one: weights and state stay; the gradients count as used. */
PLM_API bool plm_optimizer_probe(plm_optimizer *o) PLM_MUST_CHECK;

/* What the last step (or probe) did. */
typedef struct {
    int64_t       step;        /* steps taken                                                                */
    double        eta;         /* AGD's automatic learning rate, or the rate in use                          */
    double        G;           /* AGD's gradient summary; nan for others                                     */
    double        grad_norm;   /* of all parameters together; before clipping                                */
    double        update_mean; /* of update[], 0 after a probe                                               */
    const double *update;      /* ||dW||_F / ||W||_F of each weight tensor, W before the step, [layers]      */
    int           layers;
} plm_step_info;
PLM_API const plm_step_info *plm_optimizer_info(const plm_optimizer *o);

PLM_API const char *plm_optimizer_name(const plm_optimizer *o); /* "agd", "sgd", "adam" */
PLM_API size_t      plm_optimizer_state_bytes(const plm_optimizer *o);

#ifdef __cplusplus
}
#endif
#endif

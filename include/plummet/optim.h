/* optim.h: optimisers that walk the module graph. */
#ifndef PLUMMET_OPTIM_H
#define PLUMMET_OPTIM_H

#include <plummet/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct plm_optimizer      plm_optimizer;
typedef struct plm_optimizer_kind plm_optimizer_kind;

/* Automatic Gradient Descent (AGD): no learning rate, no schedule.  With s_k = sqrt(d_k / (d_{k-1} taps)):
 *   G = (1/L) sum_k s_k sum_taps ||g_tap||_F,   eta = log((1 + sqrt(1 + 4 G)) / 2),
 *   w_tap -= gain (eta / L) s_k g_tap / ||g_tap||_F.
 * L counts weight tensors that are not frozen.  A tap whose gradient is exactly zero is left alone.  Trainable biases and
 * affine norm parameters are refused by name.  Source: Bernstein et al. 2023, arXiv 2304.05187, algorithm 1.
 *   .heuristics trains those as well, by a rule that is ours and follows from no theory: they move with the layer whose bias they
 * are, or, of norms, with the last layer before,  b -= gain (eta / L) s_k g_b / ||g_k||_F  with all of layer k's weight gradient
 * in the norm; G, eta and L are those of the weights alone.  Biases and shifts start at 0, scales at 1. */
typedef struct {
    double gain; /* 0 means 1 */
    bool   heuristics;
    bool   reinit; /* draw the weights anew (PLM_INIT_AGD) even if they were initialised or loaded */
} plm_agd_desc;

/* Weight decay acts on all that is trained, as in torch.optim; decay_weights_only: not on biases and norms' scale and shift,
 * as many recipes have it. */

/* Stochastic gradient descent: g += weight_decay w;  m = momentum m + g;  w -= lr (nesterov ? g + momentum m : m).
 * The first m is g.  Source: Sutskever et al. 2013 in PyTorch's form. */
typedef struct {
    double lr; /* 0 means 0.1 */
    double momentum;
    double weight_decay;
    bool   nesterov;
    bool   decay_weights_only;
    double clip_norm; /* 0: none; else the gradient of all parameters together is scaled down to this norm */
    bool   reinit;    /* PLM_INIT_PYTORCH */
} plm_sgd_desc;

/* Adam: m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  w -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps).
 * t counts the steps of each parameter, as in torch.optim.  weight_decay is coupled (added to g), as in the paper.
 *   Source: Kingma & Ba 2015, algorithm 1. */
typedef struct {
    double lr;    /* 0 means 1e-3 */
    double beta1; /* 0 means 0.9   (PLM_ZERO: 0) */
    double beta2; /* 0 means 0.999 (PLM_ZERO: 0) */
    double eps;   /* 0 means 1e-8  */
    double weight_decay;
    bool   decay_weights_only;
    double clip_norm;
    bool   reinit;
} plm_adam_desc;

/* Adam with decoupled weight decay: w -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) + lr weight_decay w, with Adam's m
 * and v of the gradient alone.  Source: Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2; defaults as in PyTorch.
 * plm_nadamw_new: b1 m + (1-b1) g in the place of m, Nesterov's form: Choi et al. 2019, arXiv 1910.05446, table 1.  With its
 * defaults it is the baseline without tuning, as in AlgoPerf (arXiv 2306.07179). */
typedef struct {
    double lr;           /* 0 means 1e-3 */
    double beta1;        /* 0 means 0.9   (PLM_ZERO: 0) */
    double beta2;        /* 0 means 0.999 (PLM_ZERO: 0) */
    double eps;          /* 0 means 1e-8  */
    double weight_decay; /* 0 means 0.01  (PLM_ZERO: none) */
    bool   decay_weights_only;
    double clip_norm;
    bool   reinit;
} plm_adamw_desc;

/* The graph's weights are initialised with the optimiser's own scheme if nothing has initialised or loaded them.  The
 * graph must outlive the optimiser.  NULL on error. */
PLM_API plm_optimizer *plm_agd_new(plm_graph *g, const plm_agd_desc *desc);
PLM_API plm_optimizer *plm_sgd_new(plm_graph *g, const plm_sgd_desc *desc);
PLM_API plm_optimizer *plm_adam_new(plm_graph *g, const plm_adam_desc *desc);
PLM_API plm_optimizer *plm_adamw_new(plm_graph *g, const plm_adamw_desc *desc);
PLM_API plm_optimizer *plm_nadamw_new(plm_graph *g, const plm_adamw_desc *desc);
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

PLM_API const char *plm_optimizer_name(const plm_optimizer *o); /* "agd", "sgd", "adam" ... */
PLM_API size_t      plm_optimizer_state_bytes(const plm_optimizer *o);
/* What it is and with what settings: the desc as resolved, to be read by kind->fields. */
PLM_API const plm_optimizer_kind *plm_optimizer_kind_of(const plm_optimizer *o);
PLM_API const void               *plm_optimizer_desc(const plm_optimizer *o);

/* The learning rate of the next step: the desc's lr times a factor, which is 1 unless a schedule sets it; nan for a kind
 * without one (AGD).  The factor is 0 or more. */
PLM_API double plm_optimizer_rate(const plm_optimizer *o);
PLM_API bool   plm_optimizer_set_factor(plm_optimizer *o, double factor);

/* ------------------------------------------------------------------ kinds: an optimiser of your own */

#define PLM_MAX_SLOTS 4
#define PLM_MAX_NUMBERS 8

/* One parameter, or a block of it, as an optimiser sees it: physical memory, in whatever layout the kernels chose.  Padding is
 * zero everywhere and must stay so: what a rule makes of zeros is zero. */
typedef struct {
    plm_param       *param;
    const plm_layer *layer;    /* whose weight or bias it is; of a norm's scale and shift the last one before it, NULL
                                           for none */
    int64_t          start, n; /* where the block begins, its floats                              */
    const float     *w, *g;    /* weights and gradient, [n]                                       */
    float           *slot[PLM_MAX_SLOTS]; /* state, [n] each, 0 before the first step; written in delta only */
    int64_t          step;                /* steps of this parameter, with this one: fewer after it was frozen */
    float           *direction;           /* of kinds with .directions: what prepare wrote, [n]; else NULL   */
    int              matrices;            /* of a layer's weight groups * kernel_h * kernel_w, else 1        */
    const double    *square;              /* ||g_matrix||_F^2, group by group, tap by tap, [matrices]        */
    double          *coefficient;         /* [matrices], from prepare and begin to delta: what the kind likes */
    const void      *map;                 /* the library's: which matrix an element belongs to               */
} plm_param_view;

/* What an optimiser is.  The common part checks that gradients are there and finite before anything changes, then calls
 * prepare for each parameter that trains, begin once, and delta block by block in one pass over memory.  A probe does the
 * same without delta.  The built-in kinds are such structs; the struct must outlive its optimisers.  Functions that return
 * bool return false after plm_ctx_fail. */
struct plm_optimizer_kind {
    const char      *name;       /* required: "lion"                                                             */
    const char      *summary;    /* one line for help texts; may be NULL                                         */
    plm_init         init;       /* how weights are drawn that nothing has written yet                           */
    size_t           desc_bytes; /* of the desc, which is copied; NULL or 0 bytes of it are all defaults         */
    const plm_field *fields;  /* of the desc.  Three names mean the same for every kind: `lr` (double) is the learning
                                    rate, which schedules act on; `clip_norm` (double): the gradient of all parameters together
                                    is scaled down to this norm, see plm_optimizer_clip; `reinit` (bool): weights are
                                    drawn anew even if they were initialised or loaded */
    int              slots;   /* floats of state per weight                                                      */
    int              numbers; /* doubles of state for the whole, see plm_optimizer_numbers                       */
    bool             norms;   /* the rule uses square[]: taken in the backward pass then, while it is in cache   */
    bool             directions; /* there is a `direction` per weight                                               */
    /* Beyond what the fields' bounds say.  NULL: nothing. */
    bool (*check)(plm_ctx *ctx, const void *desc);
    /* With this desc, how many of the slots are used?  NULL: all. */
    int (*uses)(const void *desc);
    /* May this parameter be trained?  NULL: all may.  w and g may be NULL here. */
    bool (*accepts)(plm_optimizer *o, const plm_param_view *v);
    /* May write direction and coefficient of a whole parameter.  NULL: nothing to do. */
    bool (*prepare)(plm_optimizer *o, plm_param_view *v);
    /* All parameters at once, after prepare: coefficients, numbers, a report.  NULL: nothing to do. */
    bool (*begin)(plm_optimizer *o);
    /* d[i] = what is taken from weight i of the block; writes slots.  Called from several threads, on different blocks. */
    void (*delta)(const plm_optimizer *o, const plm_param_view *v, float *d);
};

/* A desc of kind->desc_bytes, NULL for all defaults.  For the graph see plm_agd_new. */
PLM_API plm_optimizer *plm_optimizer_new(plm_graph *g, const plm_optimizer_kind *kind, const void *desc);
/* The library's own: ends with NULL. */
PLM_API const plm_optimizer_kind *const *plm_optimizer_kinds(void);

/* For kinds' functions. */
PLM_API plm_ctx   *plm_optimizer_ctx(const plm_optimizer *o);
PLM_API plm_graph *plm_optimizer_graph(const plm_optimizer *o);
PLM_API double     plm_optimizer_clip(const plm_optimizer *o);    /* gradients count times this; 1 without clip_norm */
PLM_API int        plm_optimizer_weights(const plm_optimizer *o); /* L: weight tensors that train */
/* Parameter i = 0, 1, ... of those that train, as a whole; NULL after the last. */
PLM_API plm_param_view *plm_optimizer_param(plm_optimizer *o, int i);
/* State of the whole, [kind->numbers], 0 before the first step; begin may write it, and a probe's changes are undone. */
PLM_API double *plm_optimizer_numbers(plm_optimizer *o);
/* Memory for the rest of prepare or begin, undefined contents, 64-byte aligned; another call takes it back.  NULL after failing. */
PLM_API void *plm_optimizer_scratch(plm_optimizer *o, size_t bytes);
/* What info.eta and info.G say of this step; without a call, eta is the rate and G nan. */
PLM_API void plm_optimizer_report(plm_optimizer *o, double eta, double G);

/* d[i] = coefficient[the matrix of i] * x[i] over a block: x is v->g or v->direction or the like. */
PLM_API void plm_view_scale(const plm_param_view *v, const float *x, float *d);
/* Which matrix (group * taps + tap) element i of the block belongs to, and how many elements from i on do, at most v->n - i. */
PLM_API int plm_view_matrix(const plm_param_view *v, int64_t i, int64_t *run);
/* A whole parameter's physical memory (v->g, v->w, a slot, ...) to row-major [shape of the parameter], and back. */
PLM_API bool plm_view_to_plain(const plm_param_view *v, const float *physical, float *plain);
PLM_API bool plm_view_from_plain(const plm_param_view *v, const float *plain, float *physical);

#ifdef __cplusplus
}
#endif
#endif

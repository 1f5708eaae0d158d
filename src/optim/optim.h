/* optim.h (private): what every optimiser is made of.
 *
 * An optimiser is a kind (some functions, as long as the algorithm box in its paper) over entries (parameters).  The common
 * part takes gradient norms while gradients are in cache, refuses what is not finite before any weight changes, and runs the
 * update as one pass over memory. */
#ifndef PLM__OPTIM_H
#define PLM__OPTIM_H

#include <plummet/optim.h>

#include "nn/nn.h"

/* Which matrix the element at a physical offset of a weight belongs to, constant over `run` elements.  The taps of group 1
 * come after those of group 0, and so on. */
typedef struct {
    int64_t run, group, stride_h, stride_w; /* group: floats of one */
    int     kernel_h, kernel_w;
} plm__taps;

/* One parameter under an optimiser, in its home layout; padding is zero everywhere and stays so. */
typedef struct {
    plm_param_view view; /* of the whole; w and g are set at each step */
    plm_optimizer *optimizer;
    plm__taps      taps;
    double        *square;         /* behind view.square */
    double         total;          /* their sum */
    uint64_t       square_version; /* of the gradient they were taken from */
    plm__block    *slot[PLM_MAX_SLOTS], *direction;
    double         update; /* ||dW||_F / ||W||_F of the last step */
} plm__entry;

struct plm_optimizer {
    const plm_optimizer_kind *kind;
    plm_graph                *graph;
    plm_ctx                  *ctx;
    void                     *desc; /* resolved */
    plm__entry               *entry;
    int                       entries;
    plm__entry              **active; /* those that train in this step */
    int                       actives;
    int                       slots;                /* in use */
    double                   *square, *coefficient; /* memory behind the entries' */
    double                   *part;                 /* scratch of sums: plm__parts for each matrix of an entry */
    double                   *layer_update;         /* behind info.update */
    double                    number[PLM_MAX_NUMBERS];
    plm__block               *scratch;
    double                    lr, factor;      /* lr: nan for a kind without */
    double                    clip_norm, clip; /* clip: factor of the gradient in this step */
    int                       weights;         /* L: weight tensors being trained */
    plm_step_info             info;
};

static inline bool plm__entry_trains(const plm__entry *e)
{
    return plm__param_trains(e->view.param);
}

/* Is it a layer's weight? */
static inline bool plm__entry_weighs(const plm__entry *e)
{
    return e->view.layer && e->view.layer->weight == e->view.param;
}

/* The decay of this parameter. */
static inline double plm__decay(const plm_param_view *v, double decay, bool weights_only)
{
    return weights_only && plm_param_role(v->param) != PLM_ROLE_WEIGHT ? 0 : decay;
}

/* ------------------------------------------------------------------ entries.c */

/* The parameters of the graph and memory for them, their matrices and their state. */
bool plm__entries_new(plm_optimizer *o);
void plm__entries_free(plm_optimizer *o);
/* ||g||_F^2 of each matrix of a parameter. */
void plm__entry_square(plm__entry *e);

/* ------------------------------------------------------------------ sums.c */

#define PLM__PARTS 64 /* sums are added up over at most so many parts, whose bounds do not depend on the thread count */

plm__taps plm__taps_of(const plm_param_view *v); /* of a whole parameter */
int       plm__tap_at(const plm__taps *t, int64_t offset);

/* square[tap] = sum of g^2 over the tap, in double, in a fixed order.  part: taps * plm__parts(n) doubles. */
void plm__tap_squares(const float *g, int64_t n, const plm__taps *t, int taps, double *part, double *square);

/* w -= d for a block; adds the squares of w (before) and d. */
void plm__subtract(float *w, const float *d, int64_t n, double *ww, double *dd);

/* n elements are cut into plm__parts(n) parts, of which part k begins at plm__part_start(n, k). */
int     plm__parts(int64_t n);
int64_t plm__part_start(int64_t n, int k);

/* ------------------------------------------------------------------ the library's own kinds */

extern const plm_optimizer_kind plm__agd, plm__sgd, plm__adam, plm__adamw, plm__nadamw;
extern const plm_optimizer_kind plm__spectral_agd, plm__muon, plm__modular_sgd, plm__modular_adam;

#endif

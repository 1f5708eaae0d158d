/* optim.h (private): what every optimiser is made of.
 *
 * An optimiser is a kind (three functions, as long as the algorithm box in its paper) over entries (parameters).  The
 * common part takes gradient norms while gradients are in cache, refuses what is not finite before any weight changes, and
 * runs the update as one pass over memory. */
#ifndef PLM__OPTIM_H
#define PLM__OPTIM_H

#include <plummet/optim.h>

#include "nn/nn.h"

#define PLM__MAX_SLOTS 2

/* One parameter under an optimiser, in its home layout; padding is zero everywhere and stays so. */
typedef struct {
    plm_optimizer   *optimizer;
    plm_param       *param;
    const plm_layer *layer;          /* NULL: not a layer's weight */
    int64_t          n;              /* floats, padding included */
    int              taps;           /* kernel_h kernel_w of a layer, else 1; of a grouped one so many in each group */
    double          *square;         /* ||g_tap||_F^2, [taps] */
    double           total;          /* their sum */
    uint64_t         square_version; /* of the gradient they were taken from */
    double          *coefficient;    /* [taps]: for the kind, between begin and delta */
    plm__block      *slot[PLM__MAX_SLOTS];
    double           update; /* ||dW||_F / ||W||_F of the last step */
} plm__entry;

typedef struct {
    const char *name;
    plm_init    init;
    int         slots;      /* floats of state per weight; the kind may use fewer */
    bool        uses_norms; /* its rule does: they are then taken in the backward pass, else (as a check) in the step */
    /* May this parameter be trained?  NULL: all may. */
    bool (*accepts)(plm_optimizer *o, const plm_param *p);
    /* Norms are known, nothing has changed: computes rate and coefficients. */
    void (*begin)(plm_optimizer *o);
    /* d[i] = what is taken from weight start + i, for n weights; may write slots. */
    void (*delta)(const plm_optimizer *o, const plm__entry *e, int64_t start, int64_t n, float *d);
} plm__optimizer_kind;

struct plm_optimizer {
    const plm__optimizer_kind *kind;
    plm_graph                 *graph;
    plm_ctx                   *ctx;
    plm__entry                *entry;
    int                        entries;
    double                    *square, *coefficient; /* memory behind the entries' */
    double                    *part;                 /* scratch of sums: plm__parts for each tap of an entry */
    double                    *layer_update;         /* behind info.update */
    double                     clip_norm, clip;      /* clip: factor of the gradient in this step */
    int                        weights;              /* L: weight tensors being trained */
    plm_step_info              info;
    union {
        plm_agd_desc  agd;
        plm_sgd_desc  sgd;
        plm_adam_desc adam;
    } desc;
};

/* Common part of plm_X_new: checks, initialises, allocates.  `slots`: floats of state per weight. */
plm_optimizer *plm__optimizer_new(plm_graph *g, const plm__optimizer_kind *kind, int slots, bool reinit,
                                  double clip_norm);

static inline bool plm__entry_trains(const plm__entry *e)
{
    return plm__param_trains(e->param);
}

/* ------------------------------------------------------------------ sums.c */

#define PLM__PARTS 64 /* sums are added up over at most so many parts, whose bounds do not depend on the thread count */

/* Which tap the element at a physical offset of a weight belongs to, constant over `run` elements.  The taps of group 1 come
 * after those of group 0, and so on. */
typedef struct {
    int64_t run, group, stride_h, stride_w; /* group: floats of one */
    int     kernel_h, kernel_w;
} plm__taps;
plm__taps plm__taps_of(const plm__entry *e);
int       plm__tap_at(const plm__taps *t, int64_t offset);

/* square[tap] = sum of g^2 over the tap, in double, in a fixed order.  part: taps * plm__parts(n) doubles. */
void plm__tap_squares(const float *g, int64_t n, const plm__taps *t, int taps, double *part, double *square);

/* w -= d for a block; adds the squares of w (before) and d. */
void plm__subtract(float *w, const float *d, int64_t n, double *ww, double *dd);

/* n elements are cut into plm__parts(n) parts, of which part k begins at plm__part_start(n, k). */
int     plm__parts(int64_t n);
int64_t plm__part_start(int64_t n, int k);

#endif

/* reference.h: the formulas of include/plummet/ops.h as loops in double, and their derivatives, for random graphs of ops.
 *
 * Each value keeps what the library computed, so that an op's error is its own and a kink is on the same side in both.
 * An op's `walk` goes once over its terms: forward it adds up y and m, the size of what was added (against which single
 * precision rounds); backward it says each derivative, from which come the gradient and a bound of its error. */
#ifndef PLM_TESTS_FUZZ_REFERENCE_H
#define PLM_TESTS_FUZZ_REFERENCE_H

#include "fuzz.h"

#include <plummet/plummet.h>

#include <math.h>

enum { REF_OPERANDS = 3, REF_ATTRIBUTES = 8, REF_MOST = 1024 }; /* elements of a value */

typedef struct ref_op  ref_op;
typedef struct ref_val ref_val;
struct ref_val {
    const ref_op *op; /* NULL: a leaf */
    ref_val      *x[REF_OPERANDS];
    int           operands;
    plm_shape     shape;
    int64_t       count;
    double       *y;     /* as the library has it                        */
    double       *g, *e; /* gradient; how far the library's may be off   */
    int64_t       a[REF_ATTRIBUTES];
    double        p[2];
    int64_t      *labels;
    plm_val       val;
    plm_param    *param; /* of some leaves       */
    float        *data;  /* of other leaves      */
    bool          dead;  /* values too large or not finite: no op takes it */
};

typedef struct ref_graph ref_graph;
struct ref_op {
    const char *name;
    /* Chooses attributes and makes further operands.  x[0] is there. */
    void (*pick)(ref_graph *g, ref_val *y, fuzz_bytes *b);
    /* y->shape; false: the library must refuse. */
    bool (*infer)(ref_val *y);
    void (*walk)(ref_val *y, double *to, double *m); /* forward: both not NULL */
    plm_val (*run)(const ref_val *y, const plm_val *x);
};

/* A leaf of that shape for an op that needs one; fuzz_ops.c. */
ref_val *ref_leaf(ref_graph *g, plm_shape shape, fuzz_bytes *b);

/* How far single precision may be off, relative to the size of what was added: some hundred roundings. */
#define REF_ROUNDING 1e-5

/* dy[o]/dx[i] = d, computed by numbers of size m. */
static inline void ref_term(const ref_val *y, ref_val *x, int64_t o, int64_t i, double d, double m)
{
    x->g[i] += d * y->g[o];
    x->e[i] += fabs(d) * y->e[o] + REF_ROUNDING * m * (fabs(y->g[o]) + y->e[o]);
}

/* y[o] += d x[i] */
static inline void ref_linear(ref_val *y, ref_val *x, int64_t o, int64_t i, double d, double *to, double *m)
{
    if (!to) ref_term(y, x, o, i, d, fabs(d));
    else {
        to[o] += d * x->y[i];
        m[o] += fabs(d * x->y[i]);
    }
}

/* y[o] += x0[i] x1[k] */
static inline void ref_product(ref_val *y, int64_t o, int64_t i, int64_t k, double *to, double *m)
{
    ref_val *x = y->x[0], *w = y->x[1];
    if (to) {
        to[o] += x->y[i] * w->y[k];
        m[o] += fabs(x->y[i] * w->y[k]);
    } else {
        ref_term(y, x, o, i, w->y[k], fabs(w->y[k]));
        ref_term(y, w, o, k, x->y[i], fabs(x->y[i]));
    }
}

/* Element o of a row-major value as places along its axes, and back. */
static inline void ref_places(plm_shape s, int64_t o, int64_t at[PLM_MAX_RANK])
{
    for (int a = s.rank - 1; a >= 0; o /= s.dim[a--]) at[a] = o % s.dim[a];
}
static inline int64_t ref_element(plm_shape s, const int64_t at[PLM_MAX_RANK])
{
    int64_t i = 0;
    for (int a = 0; a < s.rank; a++) i = i * s.dim[a] + at[a];
    return i;
}

/* Groups of ops; each array ends with NULL. */
extern const ref_op *const ref_each_ops[], *const ref_shape_ops[], *const ref_weight_ops[], *const ref_norm_ops[];

#endif

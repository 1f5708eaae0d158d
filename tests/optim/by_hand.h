/* by_hand.h: a layer's matrices in double, and their singular value decompositions by LAPACK, for optimisers' steps by hand. */
#ifndef PLM_TESTS_OPTIM_BY_HAND_H
#define PLM_TESTS_OPTIM_BY_HAND_H

#include "small.h"

#include <lapacke.h>

enum { HAND_SIDE = 768 }; /* no matrix is larger than this squared */

/* Where element (r, c) of matrix m of a layer stands in its row-major tensor.  flat: a group's taps are one matrix. */
static inline int64_t hand_at(const plm_layer *l, bool flat, int64_t m, int64_t r, int64_t c)
{
    const int64_t taps = l->kernel_h * l->kernel_w, rows = l->d_out / l->groups, cols = l->d_in / l->groups;
    if (strcmp(l->kind, "embedding") == 0) return c * l->d_out + r;
    if (flat) return (m * rows + r) * cols * taps + c;
    return ((m / taps * rows + r) * cols + c) * taps + m % taps;
}

typedef struct {
    int64_t matrices, rows, cols, k; /* k = min(rows, cols) */
} hand_extents;

static inline hand_extents hand_extents_of(const plm_layer *l, bool flat)
{
    const int64_t taps = l->kernel_h * l->kernel_w;
    hand_extents  e    = { .matrices = flat ? l->groups : l->groups * taps,
                           .rows     = l->d_out / l->groups,
                           .cols     = l->d_in / l->groups * (flat ? taps : 1) };
    e.k                = e.rows < e.cols ? e.rows : e.cols;
    return e;
}

/* What plm_polar says it makes of s_i: 1, unless s_i is small. */
static inline double hand_polar(const double *s, int64_t k, int64_t i)
{
    double fourth = 0, l = 1e-4 / pow((double)k, 0.25);
    for (int64_t j = 0; j < k; j++) fourth += pow(s[j], 4);
    double x = fourth > 0 ? s[i] / (1.0001 * pow(fourth, 0.25)) : 0;
    for (; k > 1 && 1 - l > 1e-7;) {
        const double alpha = sqrt(3 / (1 + l + l * l));
        x                  = alpha * x * (3 - alpha * alpha * x * x) / 2;
        l                  = alpha * l * (3 - alpha * alpha * l * l) / 2;
    }
    if (k > 1 && s[i] > 1e-4 * s[0]) assert_close(x, 1, 1e-6, 0);
    return k > 1 ? x : s[0] > 0;
}

/* U f(S) V^T of matrix m of `x`, a layer's tensor, into `out` at the same places; f sees s_i and all of s.  Returns s_1;
 * *nuclear (may be NULL) gets the sum. */
static inline double hand_spectral(const plm_layer *l, bool flat, int64_t m, const double *x, double *out,
                                   double (*f)(const double *s, int64_t k, int64_t i), double *nuclear)
{
    const hand_extents e = hand_extents_of(l, flat);
    assert_true(e.rows <= HAND_SIDE && e.cols <= HAND_SIDE);
    static double a[HAND_SIDE * HAND_SIDE], u[HAND_SIDE * HAND_SIDE], vt[HAND_SIDE * HAND_SIDE], s[HAND_SIDE],
        work[HAND_SIDE];
    for (int64_t r = 0; r < e.rows; r++)
        for (int64_t c = 0; c < e.cols; c++) a[r * e.cols + c] = x[hand_at(l, flat, m, r, c)];
    assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'S', 'S', (int)e.rows, (int)e.cols, a, (int)e.cols, s, u,
                                    (int)e.k, vt, (int)e.cols, work),
                     0);
    for (int64_t r = 0; r < e.rows; r++)
        for (int64_t c = 0; c < e.cols; c++) {
            double sum = 0;
            for (int64_t i = 0; i < e.k; i++) sum += u[r * e.k + i] * f(s, e.k, i) * vt[i * e.cols + c];
            out[hand_at(l, flat, m, r, c)] = sum;
        }
    for (int64_t i = 0; nuclear && i < e.k; i++) *nuclear = (i ? *nuclear : 0) + s[i];
    return s[0];
}

/* The layer of parameter i of s->g; NULL for none. */
static inline const plm_layer *hand_layer(const small *s, int i)
{
    for (int k = 0; k < plm_graph_layer_count(s->g); k++)
        if (plm_graph_layer(s->g, k)->weight == s->param[i]) return plm_graph_layer(s->g, k);
    return NULL;
}

#endif

/* spectral.h (private): singular values without the checks of the public functions, and the matrices of a layer. */
#ifndef PLM__SPECTRAL_H
#define PLM__SPECTRAL_H

#include <plummet/spectral.h>

#include "nn/nn.h"

/* ------------------------------------------------------------------ spectral.c: for finite matrices; nan or false on error */

double plm__operator_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *kept);
bool   plm__singular_values(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *s);
double plm__nuclear_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols);
double plm__stable_rank(double frobenius, double op);

/* Neither NULL nor empty nor nan nor infinite; else "CALL: ...". */
bool plm__matrix_check(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, const char *call);

/* ------------------------------------------------------------------ polar.c */

/* As plm_polar, for finite matrices; nuclear [count], may be NULL: sum of a u for each, which is ||a||_nuc as far as u is the
 * polar factor. */
bool plm__polar(plm_ctx *ctx, const float *a, int64_t count, int64_t rows, int64_t cols, bool quick, float *u,
                double *nuclear);

/* ------------------------------------------------------------------ matrices.c */

/* Where the matrices of a layer lie in its row-major tensor: element (r, c) of matrix i at
 * i / taps * group + i % taps + r * row + c * col. */
typedef struct {
    int     count, taps; /* count = groups taps */
    int64_t rows, cols;  /* of each: d_out/groups x d_in/groups */
    int64_t row, col, group;
} plm__matrices;
plm__matrices plm__matrices_of(const plm_layer *l);

/* Row-major tensor to matrices one after the other, each row-major; and back. */
void plm__matrices_gather(const plm__matrices *m, const float *tensor, float *dst);
void plm__matrices_scatter(const plm__matrices *m, const float *src, float *tensor);

/* ------------------------------------------------------------------ dot.c: sums in double, in lanes of fixed width */

double plm__squares(const float *x, int64_t n);
double plm__dot_floats(const float *x, const float *y, int64_t n);
double plm__dot(const double *x, const double *y, int64_t n);
double plm__dot_mixed(const float *x, const double *y, int64_t n);
void   plm__add_mixed(double *y, const float *x, double factor, int64_t n); /* y += factor x */

#endif

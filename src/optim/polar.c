/* polar.c: U V^T of matrices by products of matrices alone.
 *
 * An odd polynomial of a matrix x, x (a + b x^T x + c (x^T x)^2), acts on each singular value and leaves the singular vectors.
 * Steps of such polynomials push singular values to 1.  The smaller Gram matrix, x x^T or x^T x, is what is multiplied. */
#include "optim/spectral.h"

#include "dnnl/dnnl.h"

#include <math.h>

/* p(s) = a s + b s^3 + c s^5 */
typedef struct {
    double a, b, c;
} odd;

enum { MAX_STEPS = 24 };

#define LEAST 1e-4 /* of s_1: smaller singular values are not brought to 1 */
#define NEAR 1e-7  /* of 1: floats are as near                             */

/* What takes [l, 1] to 1: each step the cubic whose least value on what is left of it is largest.  That has its top, 1, at
 * 1/alpha, and the same value at both ends (Chen & Chow 2014). */
static int accurate_steps(double l, odd step[MAX_STEPS])
{
    int n = 0;
    for (; 1 - l > NEAR && n < MAX_STEPS; n++) {
        const double alpha = sqrt(3 / (1 + l + l * l));
        step[n]            = (odd){ 1.5 * alpha, -0.5 * alpha * alpha * alpha, 0 };
        l                  = step[n].a * l + step[n].b * l * l * l;
    }
    return n;
}

/* Jordan et al. 2024. */
static int quick_steps(odd step[MAX_STEPS])
{
    for (int n = 0; n < 5; n++) step[n] = (odd){ 3.4445, -4.7750, 2.0315 };
    return 5;
}

/* Three products of `count` matrices [rows,cols] and their memory; k = min(rows, cols). */
typedef struct {
    int64_t      count, rows, cols, k;
    plm__kernel *gram, *square, *apply;
    plm__block  *g, *gg, *y; /* [count,k,k] twice, [count,rows,cols] */
} workshop;

static bool open_workshop(plm_ctx *ctx, workshop *w, bool fifth)
{
    const bool        wide = w->rows <= w->cols;
    const plm__layout x = plm__layout_plain(plm_shape_of(w->count, w->rows, w->cols)), xt = plm__layout_transposed(x);
    const plm__layout g    = plm__layout_plain(plm_shape_of(w->count, w->k, w->k));
    const size_t      size = (size_t)(w->count * w->k) * sizeof(float);
    return (w->gram = wide ? plm__matmul_get(ctx, x, xt, g) : plm__matmul_get(ctx, xt, x, g)) &&
           (w->apply = wide ? plm__matmul_get(ctx, g, x, x) : plm__matmul_get(ctx, x, g, x)) &&
           (!fifth || (w->square = plm__matmul_get(ctx, g, g, g))) &&
           (w->g = plm__pool_get(ctx, size * (size_t)w->k)) &&
           (!fifth || (w->gg = plm__pool_get(ctx, size * (size_t)w->k))) &&
           (w->y = plm__pool_get(ctx, (size_t)(w->count * w->rows * w->cols) * sizeof(float)));
}

static void close_workshop(plm_ctx *ctx, workshop *w)
{
    plm__kernel_drop(ctx, w->gram);
    plm__kernel_drop(ctx, w->square);
    plm__kernel_drop(ctx, w->apply);
    plm__pool_drop(ctx, w->g);
    plm__pool_drop(ctx, w->gg);
    plm__pool_drop(ctx, w->y);
}

/* x = a x + b y */
static void combine(float *x, double a, const float *y, double b, int64_t n)
{
    const float fa = (float)a, fb = (float)b;
#pragma omp parallel for if (n > 32768) schedule(static)
    for (int64_t i = 0; i < n; i++) x[i] = fa * x[i] + fb * y[i];
}

/* x <- p(x): x (a + g) with g = b G + c G^2, G the Gram matrix. */
static bool apply_odd(plm_ctx *ctx, const workshop *w, const odd *p, float *x)
{
    const bool wide = w->rows <= w->cols;
    float     *g = w->g->data, *y = w->y->data;
    if (!plm__kernel_run(ctx, w->gram, &(plm__args){ .src = x, .weights = x, .dst = g })) return false;
    if (p->c != 0) {
        float *gg = w->gg->data;
        if (!plm__kernel_run(ctx, w->square, &(plm__args){ .src = g, .weights = g, .dst = gg })) return false;
        combine(g, p->b, gg, p->c, w->count * w->k * w->k);
    }
    const plm__args args = { .src = wide ? g : x, .weights = wide ? x : g, .dst = y };
    if (!plm__kernel_run(ctx, w->apply, &args)) return false;
    combine(x, p->a, y, p->c != 0 ? 1 : p->b, w->count * w->rows * w->cols);
    return true;
}

/* u = a / ||a||_F for each matrix; 0 for a zero matrix. */
static void normalise(const float *a, int64_t count, int64_t each, double more, float *u)
{
    for (int64_t m = 0; m < count; m++) {
        const double size = sqrt(plm__squares(a + m * each, each)) + more;
        for (int64_t i = m * each; i < (m + 1) * each; i++) u[i] = size > 0 ? (float)((double)a[i] / size) : 0;
    }
}

/* Brings s_1 of each x near 1 but not above it, where the polynomial falls: divides by the root of ||G||_F, which is
 * (sum of s_i^4)^(1/4), at least s_1 and at most k^(1/4) s_1. */
static bool tighten(plm_ctx *ctx, const workshop *w, float *x)
{
    const int64_t each = w->rows * w->cols;
    const float  *g    = w->g->data;
    if (!plm__kernel_run(ctx, w->gram, &(plm__args){ .src = x, .weights = x, .dst = w->g->data })) return false;
    for (int64_t m = 0; m < w->count; m++) {
        const double size = 1.0001 * pow(plm__squares(g + m * w->k * w->k, w->k * w->k), 0.25); /* rounding: 1e-6 */
        for (int64_t i = m * each; size > 0 && i < (m + 1) * each; i++) x[i] = (float)((double)x[i] / size);
    }
    return true;
}

bool plm__polar(plm_ctx *ctx, const float *a, int64_t count, int64_t rows, int64_t cols, bool quick, float *u,
                double *nuclear)
{
    const int64_t each = rows * cols;
    workshop      w    = { .count = count, .rows = rows, .cols = cols, .k = rows < cols ? rows : cols };
    odd           step[MAX_STEPS];
    const int     steps = quick ? quick_steps(step) : accurate_steps(LEAST / pow((double)w.k, 0.25), step);
    bool          ok    = true;
    normalise(a, count, each, quick && w.k > 1 ? 1e-7 : 0, u);
    if (w.k > 1) {
        ok = open_workshop(ctx, &w, quick) && (quick || tighten(ctx, &w, u));
        for (int i = 0; ok && i < steps; i++) ok = apply_odd(ctx, &w, &step[i], u);
        close_workshop(ctx, &w);
    }
    for (int64_t m = 0; ok && nuclear && m < count; m++) nuclear[m] = plm__dot_floats(a + m * each, u + m * each, each);
    return ok;
}

bool plm_polar(plm_ctx *ctx, const float *a, int64_t count, int64_t rows, int64_t cols, const plm_polar_desc *desc,
               float *u)
{
    if (!plm__enter(ctx, "plm_polar")) return false;
    bool ok = plm__shape_check(ctx, plm_shape_of(count, rows, cols), "plm_polar") &&
              plm__matrix_check(ctx, a, count * rows, cols, "plm_polar");
    if (ok && !u) ok = plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_polar: u is NULL");
    ok = ok && plm__polar(ctx, a, count, rows, cols, desc && desc->quick, u, NULL);
    plm__leave(ctx);
    return ok;
}

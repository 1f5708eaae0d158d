/* spectral.c: singular values, all of them or the largest.
 *
 * The largest comes from power iteration on the smaller Gram matrix G (a a^T or a^T a, never formed), with all iterates kept
 * and orthonormal: G restricted to their span is the tridiagonal T of Lanczos, whose largest eigenvalue is the best guess of
 * s_1^2.  Sums run in an order that depends on the extents alone, so threads and vectors do not change the bits. */
#include "optim/spectral.h"

#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <string.h>

enum { BLOCK = 256, PARALLEL = 1 << 16 }; /* floats: columns at a time; a matrix that is worth threads */
enum { FEWEST = 8 };                      /* iterations: so that a start far from the top vector is found out */

#define TOLERANCE 1e-6 /* as the public header promises */

/* What the iteration holds; n = min(rows, cols).  All in one block of the pool. */
typedef struct {
    const float *a;
    int64_t      rows, cols, n;
    plm__block  *block;
    int          capacity;
    double      *longer;           /* [max(rows, cols)]                         */
    double      *alpha, *beta;     /* [capacity] diagonal of T, and beside it   */
    double      *vector, *scratch; /* [capacity] an eigenvector of T, [3 capacity] */
    double      *basis;            /* [capacity, n] orthonormal rows            */
} lanczos;

/* y = a x */
static void times(const lanczos *l, const double *x, double *y)
{
#pragma omp parallel for if (l->rows * l->cols > PARALLEL) schedule(static)
    for (int64_t i = 0; i < l->rows; i++) y[i] = plm__dot_mixed(l->a + i * l->cols, x, l->cols);
}

/* y = a^T x */
static void times_transposed(const lanczos *l, const double *x, double *y)
{
#pragma omp parallel for if (l->rows * l->cols > PARALLEL) schedule(static)
    for (int64_t start = 0; start < l->cols; start += BLOCK) {
        const int64_t n = l->cols - start < BLOCK ? l->cols - start : BLOCK;
        memset(y + start, 0, (size_t)n * sizeof *y);
        for (int64_t i = 0; i < l->rows; i++) plm__add_mixed(y + start, l->a + i * l->cols + start, x[i], n);
    }
}

/* y = G x */
static void gram(const lanczos *l, const double *x, double *y)
{
    if (l->rows < l->cols) {
        times_transposed(l, x, l->longer);
        times(l, l->longer, y);
    } else {
        times(l, x, l->longer);
        times_transposed(l, l->longer, y);
    }
}

/* Room for the iterates 0 ... k. */
static bool grow(plm_ctx *ctx, lanczos *l, int k)
{
    if (k < l->capacity) return true;
    const lanczos old    = *l;
    const int64_t room   = 2 * (int64_t)l->capacity + 8 < l->n ? 2 * (int64_t)l->capacity + 8 : l->n + 1;
    const int64_t longer = l->rows < l->cols ? l->cols : l->rows;
    if (!(l->block = plm__pool_get(ctx, (size_t)(longer + room * (6 + l->n)) * sizeof(double)))) {
        l->block = old.block;
        return false;
    }
    l->capacity = (int)room;
    l->longer   = l->block->data;
    l->alpha    = l->longer + longer;
    l->beta     = l->alpha + room;
    l->vector   = l->beta + room;
    l->scratch  = l->vector + room;
    l->basis    = l->scratch + 3 * room;
    if (old.block) {
        memcpy(l->alpha, old.alpha, (size_t)old.capacity * sizeof(double));
        memcpy(l->beta, old.beta, (size_t)old.capacity * sizeof(double));
        memcpy(l->basis, old.basis, (size_t)(old.capacity * l->n) * sizeof(double));
    }
    plm__pool_drop(ctx, old.block);
    return true;
}

/* A random unit vector, the same for every matrix, with the caller's vector in front where there is one.  It is never that
 * vector alone: a matrix may have changed so that its s_1 is orthogonal to what it was. */
static void start(const lanczos *l, const double *kept)
{
    const plm__key key  = plm__random_key(0, PLM__RANDOM_SPECTRAL, NULL, 0);
    double        *q    = l->basis;
    const double   size = kept ? sqrt(plm__dot(kept, kept, l->n)) : 0;
    for (int64_t i = 0; i < l->n; i++) q[i] = plm__random_normal(key, (uint64_t)i);
    if (kept && size > 0 && isfinite(size)) {
        const double weight = 1e-2 / sqrt(plm__dot(q, q, l->n));
        for (int64_t i = 0; i < l->n; i++) q[i] = kept[i] / size + weight * q[i];
    }
    const double norm = sqrt(plm__dot(q, q, l->n));
    for (int64_t i = 0; i < l->n; i++) q[i] /= norm;
}

/* The largest eigenvalue of T, k x k, and its eigenvector. */
static bool top_of_tridiagonal(plm_ctx *ctx, const lanczos *l, int k, double *value)
{
    double    *diagonal = l->scratch, *beside = diagonal + k, *values = beside + k;
    lapack_int found, support[2];
    memcpy(diagonal, l->alpha, (size_t)k * sizeof *diagonal);
    memcpy(beside, l->beta, (size_t)k * sizeof *beside);
    if (k == 1) {
        *value       = l->alpha[0];
        l->vector[0] = 1;
        return true;
    }
    const lapack_int info = LAPACKE_dstevr(LAPACK_COL_MAJOR, 'V', 'I', k, diagonal, beside, 0, 0, k, k, 0, &found,
                                           values, l->vector, k, support);
    *value                = values[0];
    return (info == 0 && found == 1) || plm__fail(ctx, PLM_ERR_ENGINE, "operator norm: LAPACK's dstevr failed");
}

/* z minus its part in the span of the first k iterates; twice is enough (Parlett 1998, section 6.9). */
static void orthogonalise(const lanczos *l, int k, double *z)
{
    for (int twice = 0; twice < 2; twice++)
        for (int j = 0; j < k; j++) {
            const double *q = l->basis + j * l->n, along = plm__dot(q, z, l->n);
            for (int64_t i = 0; i < l->n; i++) z[i] -= along * q[i];
        }
}

/* s_1^2, and the eigenvector of G in `kept`. */
static bool iterate(plm_ctx *ctx, lanczos *l, double *kept, double *square)
{
    if (!grow(ctx, l, 0)) return false;
    start(l, kept);
    for (int k = 1;; k++) {
        if (!grow(ctx, l, k)) return false;
        const double *q = l->basis + (k - 1) * l->n;
        double       *z = l->basis + k * l->n;
        gram(l, q, z);
        l->alpha[k - 1] = plm__dot(q, z, l->n);
        orthogonalise(l, k, z);
        const double beta = l->beta[k - 1] = sqrt(plm__dot(z, z, l->n));
        if (!top_of_tridiagonal(ctx, l, k, square)) return false;
        /* || G x - s^2 x || of the best x; s^2 differs from s_1^2 by twice what s does from s_1 */
        const double residual = beta * fabs(l->vector[k - 1]);
        if (k == l->n || beta == 0 || (k >= FEWEST && residual <= TOLERANCE * *square / sqrt((double)l->n))) {
            if (kept) memset(kept, 0, (size_t)l->n * sizeof *kept);
            for (int j = 0; kept && j < k; j++)
                for (int64_t i = 0; i < l->n; i++) kept[i] += l->vector[j] * l->basis[j * l->n + i];
            return true;
        }
        for (int64_t i = 0; i < l->n; i++) z[i] /= beta;
    }
}

bool plm__matrix_check(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, const char *call)
{
    char            text[PLM__SHAPE_TEXT];
    const plm_shape shape = plm_shape_of(rows, cols);
    if (!a) return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the matrix is NULL", call);
    if (!plm__shape_check(ctx, shape, call)) return false;
    const int64_t at = plm__first_nonfinite(a, rows * cols);
    return at < 0 ||
           plm__fail(ctx, PLM_ERR_NONFINITE, "%s: element [%lld,%lld] of the matrix %s is %g", call,
                     (long long)(at / cols), (long long)(at % cols), plm__shape_text(shape, text), (double)a[at]);
}

double plm__operator_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *kept)
{
    lanczos    l      = { .a = a, .rows = rows, .cols = cols, .n = rows < cols ? rows : cols };
    double     square = NAN;
    const bool ok     = iterate(ctx, &l, kept, &square);
    plm__pool_drop(ctx, l.block);
    return ok ? sqrt(fmax(square, 0)) : NAN;
}

bool plm__singular_values(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *s)
{
    double *copy = plm__new(ctx, (size_t)(rows * cols) * sizeof *copy, "singular values");
    if (!copy) return false;
    for (int64_t i = 0; i < rows * cols; i++) copy[i] = (double)a[i];
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* the same bits for any thread count: OpenBLAS follows OpenMP's */
    /* Read column by column it is the transpose, with the same singular values. */
    const lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)cols, (lapack_int)rows, copy,
                                           (lapack_int)cols, s, NULL, 1, NULL, 1);
    omp_set_num_threads(threads);
    plm__delete(ctx, copy);
    return info == 0 || plm__fail(ctx, PLM_ERR_ENGINE, "singular values: LAPACK's dgesdd failed");
}

double plm__nuclear_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols)
{
    const int64_t n   = rows < cols ? rows : cols;
    double       *s   = plm__new(ctx, (size_t)n * sizeof *s, "nuclear norm");
    double        sum = s && plm__singular_values(ctx, a, rows, cols, s) ? 0 : NAN;
    for (int64_t i = n - 1; s && i >= 0; i--) sum += s[i]; /* small ones first */
    plm__delete(ctx, s);
    return sum;
}

double plm__stable_rank(double frobenius, double op)
{
    return op > 0 ? frobenius / op * (frobenius / op) : 0;
}

double plm_operator_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *kept)
{
    if (!plm__enter(ctx, "plm_operator_norm")) return NAN;
    const double norm =
        plm__matrix_check(ctx, a, rows, cols, "plm_operator_norm") ? plm__operator_norm(ctx, a, rows, cols, kept) : NAN;
    plm__leave(ctx);
    return norm;
}

bool plm_singular_values(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *s)
{
    if (!plm__enter(ctx, "plm_singular_values")) return false;
    bool ok = plm__matrix_check(ctx, a, rows, cols, "plm_singular_values");
    if (ok && !s) ok = plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_singular_values: s is NULL");
    ok = ok && plm__singular_values(ctx, a, rows, cols, s);
    plm__leave(ctx);
    return ok;
}

double plm_nuclear_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols)
{
    if (!plm__enter(ctx, "plm_nuclear_norm")) return NAN;
    const double norm =
        plm__matrix_check(ctx, a, rows, cols, "plm_nuclear_norm") ? plm__nuclear_norm(ctx, a, rows, cols) : NAN;
    plm__leave(ctx);
    return norm;
}

double plm_frobenius_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols)
{
    if (!plm__enter(ctx, "plm_frobenius_norm")) return NAN;
    const double norm =
        plm__matrix_check(ctx, a, rows, cols, "plm_frobenius_norm") ? sqrt(plm__squares(a, rows * cols)) : NAN;
    plm__leave(ctx);
    return norm;
}

double plm_stable_rank(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols)
{
    if (!plm__enter(ctx, "plm_stable_rank")) return NAN;
    const double op =
        plm__matrix_check(ctx, a, rows, cols, "plm_stable_rank") ? plm__operator_norm(ctx, a, rows, cols, NULL) : NAN;
    const double rank = isfinite(op) ? plm__stable_rank(sqrt(plm__squares(a, rows * cols)), op) : NAN;
    plm__leave(ctx);
    return rank;
}

/* dot.c: inner products in double, at the speed of memory, with the same bits for any width of vectors.
 *
 * The public names stand apart from their variants, because gcc exports the name that chooses among those, whatever its
 * visibility. */
#include "optim/spectral.h"

#include "optim/lanes.h"

/* The sum of term(i) for i below n. */
#define RETURN_SUM(n, term)                                     \
    double  lane[LANES] = { 0 };                                \
    int64_t i           = 0;                                    \
    for (; i + LANES <= (n); i += LANES)                        \
        for (int k = 0; k < LANES; k++) lane[k] += term(i + k); \
    for (int k = 0; i + k < (n); k++) lane[k] += term(i + k);   \
    return lane_sum(lane)

VECTOR static double dot(const double *x, const double *y, int64_t n)
{
#define TERM(i) (x[i] * y[i])
    RETURN_SUM(n, TERM);
#undef TERM
}

VECTOR static double dot_mixed(const float *x, const double *y, int64_t n)
{
#define TERM(i) ((double)x[i] * y[i])
    RETURN_SUM(n, TERM);
#undef TERM
}

VECTOR static double dot_floats(const float *x, const float *y, int64_t n)
{
#define TERM(i) ((double)x[i] * (double)y[i])
    RETURN_SUM(n, TERM);
#undef TERM
}

VECTOR static double squares(const float *x, int64_t n)
{
#define TERM(i) ((double)x[i] * (double)x[i])
    RETURN_SUM(n, TERM);
#undef TERM
}

VECTOR static void add_mixed(double *restrict y, const float *restrict x, double factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += factor * (double)x[i];
}

double plm__dot(const double *x, const double *y, int64_t n)
{
    return dot(x, y, n);
}

double plm__dot_mixed(const float *x, const double *y, int64_t n)
{
    return dot_mixed(x, y, n);
}

double plm__dot_floats(const float *x, const float *y, int64_t n)
{
    return dot_floats(x, y, n);
}

double plm__squares(const float *x, int64_t n)
{
    return squares(x, n);
}

void plm__add_mixed(double *y, const float *x, double factor, int64_t n)
{
    add_mixed(y, x, factor, n);
}

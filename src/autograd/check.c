/* check.c: looking for numbers that should not be there. */
#include "autograd/autograd.h"

#include <math.h>
#include <string.h>

/* Is one of n floats nan or infinite: an exponent of all ones?  In integers, which the compiler makes vectors of. */
static bool any_nonfinite(const float *x, int64_t n)
{
    const uint32_t exponent = 0x7f800000u;
    uint32_t       found    = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    return found != 0;
}

int64_t plm__first_nonfinite(const float *x, int64_t n)
{
    enum { CHUNK = 8192 };
    bool found = false;
#pragma omp parallel for if (n > 2 * CHUNK) reduction(|| : found) schedule(static)
    for (int64_t start = 0; start < n; start += CHUNK)
        found = found || any_nonfinite(x + start, n - start < CHUNK ? n - start : CHUNK);
    if (!found) return -1;
    int64_t i = 0;
    while (isfinite(x[i])) i++;
    return i;
}

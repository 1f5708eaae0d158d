/* check.c: looking for numbers that should not be there. */
#include "autograd/autograd.h"

#include <math.h>

int64_t plm__first_nonfinite(const float *x, int64_t n)
{
    enum { CHUNK = 1024 };
    for (int64_t start = 0; start < n; start += CHUNK) {
        const int64_t end = start + CHUNK < n ? start + CHUNK : n;
        float         sum = 0; /* x - x is 0, or nan for nan and infinity: one test per chunk */
        for (int64_t i = start; i < end; i++) sum += x[i] - x[i];
        if (sum == 0) continue;
        for (int64_t i = start; i < end; i++)
            if (!isfinite(x[i])) return i;
    }
    return -1;
}

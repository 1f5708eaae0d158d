/* each.c: loops over memory, and sums that do not depend on the number of threads. */
#include "ops/ops.h"

enum { CHUNK = 4096 }; /* floats: a few operands of this size fit the first-level cache */

void plm__each(plm__range *f, const float *const *in, int n_in, float *dst, int64_t n)
{
#pragma omp parallel for if (n > PLM__SERIAL) schedule(static)
    for (int64_t start = 0; start < n; start += CHUNK) {
        const float *at[PLM__MAX_OPERANDS] = { NULL };
        for (int k = 0; k < n_in; k++) at[k] = in[k] + start;
        f(at, dst + start, n - start < CHUNK ? n - start : CHUNK);
    }
}

double plm__sum_parts(plm__part *part, const void *arg, int64_t n)
{
    double        sum[PLM__MAX_PARTS];
    const int64_t even = (n + PLM__MAX_PARTS - 1) / PLM__MAX_PARTS, size = even > PLM__SERIAL ? even : PLM__SERIAL;
    const int64_t parts = (n + size - 1) / size;
#pragma omp parallel for if (parts > 1) schedule(static)
    for (int64_t k = 0; k < parts; k++) sum[k] = part(arg, k * size, (k + 1) * size < n ? (k + 1) * size : n);
    double total = 0;
    for (int64_t k = 0; k < parts; k++) total += sum[k];
    return total;
}

double plm__sum_floats(const float *x, int64_t n)
{
    enum { LANES = 8 }; /* independent sums, so that the additions overlap */
    double  lane[LANES] = { 0 }, total = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += (double)x[i + k];
    for (; i < n; i++) total += (double)x[i];
    for (int k = 0; k < LANES; k++) total += lane[k];
    return total;
}

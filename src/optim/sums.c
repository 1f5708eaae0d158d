/* sums.c: sums of squares in double, in a fixed order, at the speed of memory.
 *
 * Within a part, lanes are added up side by side (lanes.h); parts have bounds that depend on the length alone, so that threads do
 * not matter either. */
#include "optim/optim.h"

#include "optim/lanes.h"
#include "optim/spectral.h"

#include <omp.h>

VECTOR static void subtract(float *w, const float *d, int64_t n, double *ww, double *dd)
{
    double  before[LANES] = { 0 }, change[LANES] = { 0 };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            before[k] += (double)w[i + k] * (double)w[i + k];
            change[k] += (double)d[i + k] * (double)d[i + k];
            w[i + k] -= d[i + k];
        }
    for (int k = 0; i + k < n; k++) {
        before[k] += (double)w[i + k] * (double)w[i + k];
        change[k] += (double)d[i + k] * (double)d[i + k];
        w[i + k] -= d[i + k];
    }
    *ww += lane_sum(before);
    *dd += lane_sum(change);
}

/* Apart from its variants, because the name that chooses among them is exported by gcc, whatever its visibility. */
void plm__subtract(float *w, const float *d, int64_t n, double *ww, double *dd)
{
    subtract(w, d, n, ww, dd);
}

static int64_t part_size(int64_t n)
{
    enum { SMALLEST = 8192 }; /* floats: below, a thread costs more than it brings */
    const int64_t even = (n + PLM__PARTS - 1) / PLM__PARTS;
    return even > SMALLEST ? even : SMALLEST;
}

int plm__parts(int64_t n)
{
    return (int)((n + part_size(n) - 1) / part_size(n));
}

int64_t plm__part_start(int64_t n, int k)
{
    return k * part_size(n) < n ? k * part_size(n) : n;
}

plm__taps plm__taps_of(const plm_param_view *v)
{
    const plm__layout *l = &v->param->home;
    plm__taps          t = { .run = v->n, .group = v->n, .stride_h = 1, .stride_w = 1, .kernel_h = 1, .kernel_w = 1 };
    if (v->matrices == 1) return t;
    t.kernel_h = v->layer->kernel_h;
    t.kernel_w = v->layer->kernel_w;
    t.group    = v->n / v->layer->groups;
    t.run      = t.group;
    if (t.kernel_h > 1) t.stride_h = l->stride[2];
    if (t.kernel_w > 1) t.stride_w = l->stride[3];
    if (t.kernel_h > 1 && t.stride_h < t.run) t.run = t.stride_h;
    if (t.kernel_w > 1 && t.stride_w < t.run) t.run = t.stride_w;
    return t;
}

/* Blocks never split the window's axes, and weights are dense: so the place of an outer index is a quotient of the offset.
 * Grouped weights are row-major, so a group is one stretch of memory. */
int plm__tap_at(const plm__taps *t, int64_t offset)
{
    const int h = (int)(offset / t->stride_h % t->kernel_h), w = (int)(offset / t->stride_w % t->kernel_w);
    return (int)(offset / t->group) * t->kernel_h * t->kernel_w + h * t->kernel_w + w;
}

/* Part k of the sums, one per tap. */
static void part_squares(const float *g, int64_t n, const plm__taps *t, int taps, int k, double *sum)
{
    const int64_t end = plm__part_start(n, k + 1);
    for (int tap = 0; tap < taps; tap++) sum[tap] = 0;
    for (int64_t i = plm__part_start(n, k), length; i < end; i += length) {
        length = t->run - i % t->run < end - i ? t->run - i % t->run : end - i;
        /* where taps are innermost, each element is a run of its own */
        sum[plm__tap_at(t, i)] += length == 1 ? (double)g[i] * (double)g[i] : plm__squares(g + i, length);
    }
}

/* Each thread takes a contiguous share from its end to its beginning: a kernel has just written it in the other direction,
 * so the end is what the cache still holds. */
void plm__tap_squares(const float *g, int64_t n, const plm__taps *t, int taps, double *part, double *square)
{
    const int parts = plm__parts(n);
#pragma omp parallel if (parts > 1)
    {
        const int threads = omp_get_num_threads(), thread = omp_get_thread_num();
        const int first = parts * thread / threads, end = parts * (thread + 1) / threads;
        for (int k = end - 1; k >= first; k--) part_squares(g, n, t, taps, k, part + (int64_t)k * taps);
    }
    for (int tap = 0; tap < taps; tap++) {
        square[tap] = 0;
        for (int k = 0; k < parts; k++) square[tap] += part[k * taps + tap];
    }
}

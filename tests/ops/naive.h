/* naive.h: the formulas of include/plummet/ops.h as loops in double, for the ops that run on oneDNN's kernels. */
#ifndef PLM_TESTS_OPS_NAIVE_H
#define PLM_TESTS_OPS_NAIVE_H

#include "support.h"

#include <math.h>

/* y is a sum of products x w, and each of them is a term (o, i, k): y[o] += x[i] w[k].  The same terms give both gradients. */
typedef struct {
    const double *x, *w, *dy;
    double       *y;       /* NULL: not wanted       */
    double       *dx, *dw; /* both or neither NULL   */
} bilinear;

static inline void term(bilinear *s, int64_t o, int64_t i, int64_t k)
{
    if (s->y) s->y[o] += s->x[i] * s->w[k];
    if (!s->dx) return;
    s->dx[i] += s->dy[o] * s->w[k];
    s->dw[k] += s->dy[o] * s->x[i];
}

/* a [p,m,k] b [p,k,n], or without p. */
static inline void naive_matmul(plm_shape a, plm_shape b, bilinear *s)
{
    const int64_t p = a.rank == 3 ? a.dim[0] : 1, m = a.dim[a.rank - 2], inner = a.dim[a.rank - 1];
    const int64_t n = b.dim[b.rank - 1];
    for (int64_t q = 0; q < p; q++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                for (int64_t k = 0; k < inner; k++)
                    term(s, (q * m + i) * n + j, (q * m + i) * inner + k, (q * inner + k) * n + j);
}

/* x [n,in], w [out,in]. */
static inline void naive_linear(plm_shape x, plm_shape w, bilinear *s)
{
    for (int64_t n = 0; n < x.dim[0]; n++)
        for (int64_t o = 0; o < w.dim[0]; o++)
            for (int64_t i = 0; i < x.dim[1]; i++) term(s, n * w.dim[0] + o, n * x.dim[1] + i, o * x.dim[1] + i);
}

/* x [n,c,h,w], w [k,c/groups,r,s], y [n,k,h',w']; desc as the op takes it. */
static inline void naive_conv2d(plm_shape x, plm_shape w, plm_shape y, const plm_conv2d_op_desc *desc, bilinear *s)
{
    const plm_conv2d_op_desc d      = desc ? *desc : (plm_conv2d_op_desc){ 0 };
    const int64_t            stride = d.stride ? d.stride : 1, dilation = d.dilation ? d.dilation : 1;
    const int64_t            share = w.dim[1], outs = y.dim[1] / (d.groups ? d.groups : 1); /* channels of one group */
    const int64_t            channels = x.dim[1], height = x.dim[2], width = x.dim[3];
    for (int64_t o = 0; o < plm_shape_count(y); o++) {
        const int64_t j = o % y.dim[3], i = o / y.dim[3] % y.dim[2], k = o / y.dim[3] / y.dim[2] % y.dim[1];
        const int64_t n = o / y.dim[3] / y.dim[2] / y.dim[1];
        for (int64_t c = 0; c < share; c++)
            for (int64_t p = 0; p < w.dim[2]; p++)
                for (int64_t q = 0; q < w.dim[3]; q++) {
                    const int64_t row = i * stride + p * dilation - d.pad, column = j * stride + q * dilation - d.pad;
                    if (row < 0 || row >= height || column < 0 || column >= width) continue;
                    term(s, o, ((n * channels + k / outs * share + c) * height + row) * width + column,
                         ((k * share + c) * w.dim[2] + p) * w.dim[3] + q);
                }
    }
}

/* Elements per channel and sample: channel (axis 1) of element e is e / inner % channels. */
static inline int64_t inner_of(plm_shape s)
{
    int64_t n = 1;
    for (int a = 2; a < s.rank; a++) n *= s.dim[a];
    return n;
}

static inline int64_t channel_of(plm_shape s, int64_t e)
{
    return e / inner_of(s) % s.dim[1];
}

/* Mean and population variance per channel. */
static inline void naive_moments(plm_shape s, const double *x, double *mean, double *variance)
{
    const int64_t count = plm_shape_count(s), channels = s.dim[1], inner = inner_of(s);
    const double  each = (double)(count / channels);
    for (int64_t c = 0; c < channels; c++) mean[c] = variance[c] = 0;
    for (int64_t e = 0; e < count; e++) mean[e / inner % channels] += x[e] / each;
    for (int64_t e = 0; e < count; e++) {
        const double off = x[e] - mean[e / inner % channels];
        variance[e / inner % channels] += off * off / each;
    }
}

/* scale and shift may be NULL. */
static inline void naive_normalise(plm_shape s, const double *x, const double *mean, const double *variance, double eps,
                                   const double *scale, const double *shift, double *y)
{
    const int64_t count = plm_shape_count(s), inner = inner_of(s);
    for (int64_t e = 0; e < count; e++) {
        const int64_t c = e / inner % s.dim[1];
        y[e]            = (x[e] - mean[c]) / sqrt(variance[c] + eps);
        if (scale) y[e] = y[e] * scale[c] + shift[c];
    }
}

/* The largest (max) or the mean value of every window of x [n,c,h,w]; padding never wins, and counts as zeros in the mean or
 * not at all; desc as the op takes it. */
static inline void naive_pool(bool max, plm_shape x, plm_shape y, const plm_pool2d_op_desc *d, const double *from,
                              double *to)
{
    const int64_t count = plm_shape_count(y), stride = d->stride ? d->stride : d->kernel, pad = d->pad;
    const int64_t tall = d->global ? x.dim[2] : d->kernel, wide = d->global ? x.dim[3] : d->kernel;
    for (int64_t o = 0; o < count; o++) {
        const int64_t j = o % y.dim[3], i = o / y.dim[3] % y.dim[2], plane = o / y.dim[3] / y.dim[2];
        double        largest = -INFINITY, sum = 0, inside = 0;
        for (int64_t p = 0; p < tall; p++)
            for (int64_t q = 0; q < wide; q++) {
                const int64_t row = i * stride + p - pad, column = j * stride + q - pad;
                if (row < 0 || row >= x.dim[2] || column < 0 || column >= x.dim[3]) continue;
                const double value = from[(plane * x.dim[2] + row) * x.dim[3] + column];
                largest            = value > largest ? value : largest;
                sum += value;
                inside++;
            }
        to[o] = max ? largest : sum / (d->exclude_pad ? inside : (double)(tall * wide));
    }
}

#endif

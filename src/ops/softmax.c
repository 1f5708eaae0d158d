/* softmax.c: softmax and its logarithm along one axis.
 *
 * The maximum is taken out first, so no power overflows, and sums are in double.  A line is the elements along the axis. */
#include "ops/ops.h"

#include <math.h>

static bool shape(plm_record *r)
{
    char            text[PLM__SHAPE_TEXT];
    const plm_shape x    = plm_record_in_shape(r, 0);
    int             axis = *(const int *)plm_record_attr(r);
    if (!plm__axis(&axis, x.rank))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "there is no axis %d in %s", axis < 0 ? axis - x.rank : axis,
                               plm__shape_text(x, text));
    return plm_record_set_out(r, x);
}

typedef struct {
    int64_t count, length, step; /* lines, elements of each, floats from one to the next */
} lines;

static lines lines_of(const plm_record *r)
{
    const plm_shape x    = plm_record_out_shape(r);
    int             axis = *(const int *)plm_record_attr(r);
    plm__axis(&axis, x.rank);
    lines l = { .count = 1, .length = x.dim[axis], .step = 1 };
    for (int a = axis + 1; a < x.rank; a++) l.step *= x.dim[a];
    l.count = plm_shape_count(x) / l.length;
    return l;
}

static int64_t line_start(const lines *l, int64_t line)
{
    return line / l->step * l->length * l->step + line % l->step;
}

static float line_maximum(const float *x, const lines *l)
{
    float largest = x[0];
    for (int64_t i = 1; i < l->length; i++) largest = x[i * l->step] > largest ? x[i * l->step] : largest;
    return largest;
}

static bool softmax_forward(plm_record *r)
{
    const lines  l   = lines_of(r);
    const float *in  = plm_record_in(r, 0);
    float       *out = plm_record_out(r);
#pragma omp parallel for if (l.count * l.length > PLM__SERIAL) schedule(static)
    for (int64_t line = 0; line < l.count; line++) {
        const float *x       = in + line_start(&l, line);
        float       *y       = out + line_start(&l, line);
        const float  largest = line_maximum(x, &l);
        double       sum     = 0;
        for (int64_t i = 0; i < l.length * l.step; i += l.step) sum += (double)(y[i] = expf(x[i] - largest));
        for (int64_t i = 0; i < l.length * l.step; i += l.step) y[i] = (float)((double)y[i] / sum);
    }
    return true;
}

/* dx = y (dy - sum dy y), the sum along the axis. */
static bool softmax_backward(plm_record *r)
{
    const lines  l   = lines_of(r);
    const float *out = plm_record_out(r), *grad = plm_record_grad_out(r);
    float       *to = plm__record_reuse_grad(r, 0);
    if (!to) return false;
#pragma omp parallel for if (l.count * l.length > PLM__SERIAL) schedule(static)
    for (int64_t line = 0; line < l.count; line++) {
        const float *y = out + line_start(&l, line), *dy = grad + line_start(&l, line);
        float       *dx  = to + line_start(&l, line);
        double       sum = 0;
        for (int64_t i = 0; i < l.length * l.step; i += l.step) sum += (double)dy[i] * (double)y[i];
        for (int64_t i = 0; i < l.length * l.step; i += l.step) dx[i] = (float)((double)y[i] * ((double)dy[i] - sum));
    }
    return true;
}

static bool log_softmax_forward(plm_record *r)
{
    const lines  l   = lines_of(r);
    const float *in  = plm_record_in(r, 0);
    float       *out = plm_record_out(r);
#pragma omp parallel for if (l.count * l.length > PLM__SERIAL) schedule(static)
    for (int64_t line = 0; line < l.count; line++) {
        const float *x       = in + line_start(&l, line);
        float       *y       = out + line_start(&l, line);
        const float  largest = line_maximum(x, &l);
        double       sum     = 0;
        for (int64_t i = 0; i < l.length * l.step; i += l.step) sum += (double)expf(x[i] - largest);
        const double shift = (double)largest + log(sum);
        for (int64_t i = 0; i < l.length * l.step; i += l.step) y[i] = (float)((double)x[i] - shift);
    }
    return true;
}

/* dx = dy - e^y sum dy, the sum along the axis. */
static bool log_softmax_backward(plm_record *r)
{
    const lines  l   = lines_of(r);
    const float *out = plm_record_out(r), *grad = plm_record_grad_out(r);
    float       *to = plm__record_reuse_grad(r, 0);
    if (!to) return false;
#pragma omp parallel for if (l.count * l.length > PLM__SERIAL) schedule(static)
    for (int64_t line = 0; line < l.count; line++) {
        const float *y = out + line_start(&l, line), *dy = grad + line_start(&l, line);
        float       *dx  = to + line_start(&l, line);
        double       sum = 0;
        for (int64_t i = 0; i < l.length * l.step; i += l.step) sum += (double)dy[i];
        for (int64_t i = 0; i < l.length * l.step; i += l.step)
            dx[i] = (float)((double)dy[i] - (double)expf(y[i]) * sum);
    }
    return true;
}

static const plm_op softmax = { .name     = "softmax",
                                .shape    = shape,
                                .forward  = softmax_forward,
                                .backward = softmax_backward,
                                .saves    = PLM_SAVES_OUTPUT };

static const plm_op log_softmax = { .name     = "log_softmax",
                                    .shape    = shape,
                                    .forward  = log_softmax_forward,
                                    .backward = log_softmax_backward,
                                    .saves    = PLM_SAVES_OUTPUT };

plm_val plm_softmax(plm_val x, int axis)
{
    return plm_apply(&softmax, &axis, sizeof axis, &x, 1);
}

plm_val plm_log_softmax(plm_val x, int axis)
{
    return plm_apply(&log_softmax, &axis, sizeof axis, &x, 1);
}

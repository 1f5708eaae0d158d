/* unary.c: functions of one number, element by element.
 *
 * Each is a range for its value and one for its slope times dy; the slope is computed from the output where it can be, so
 * that the input's memory is free early, and written over dy where nobody else reads it. */
#include "ops/ops.h"

#include <math.h>

static bool shape(plm_record *r)
{
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static bool forward(plm_record *r, plm__range *value)
{
    plm__each(value, (const float *const[]){ plm_record_in(r, 0) }, 1, plm_record_out(r), plm_record_size(r));
    return true;
}

/* in: what the op saves (x or y), dy. */
static bool backward(plm_record *r, plm__range *slope)
{
    const float *saved = r->op->saves & PLM_SAVES_OUTPUT ? plm_record_out(r) : plm_record_in(r, 0);
    const float *dy    = plm_record_grad_out(r);
    float       *dx    = plm__record_reuse_grad(r, 0);
    if (dx) plm__each(slope, (const float *const[]){ saved, dy }, 2, dx, plm_record_size(r));
    return dx != NULL;
}

static void exp_range(const float *const *in, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = expf(in[0][i]);
}

static bool exp_forward(plm_record *r)
{
    return forward(r, exp_range);
}

/* dx = y dy, which is also the product of two operands. */
static bool exp_backward(plm_record *r)
{
    return backward(r, plm__mul_range);
}

static void log_range(const float *const *in, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = logf(in[0][i]);
}

static bool log_forward(plm_record *r)
{
    return forward(r, log_range);
}

static void log_slope(const float *const *in, float *dx, int64_t n)
{
    const float *x = in[0], *dy = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = dy[i] / x[i];
}

static bool log_backward(plm_record *r)
{
    return backward(r, log_slope);
}

static void sqrt_range(const float *const *in, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = sqrtf(in[0][i]);
}

static bool sqrt_forward(plm_record *r)
{
    return forward(r, sqrt_range);
}

/* Over padding dy and y are 0, and 0/0 must not become nan there: dy = 0 gives 0. */
static void sqrt_slope(const float *const *in, float *dx, int64_t n)
{
    const float *y = in[0], *dy = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = dy[i] == 0 ? 0 : dy[i] / (2 * y[i]);
}

static bool sqrt_backward(plm_record *r)
{
    return backward(r, sqrt_slope);
}

static void square_range(const float *const *in, float *y, int64_t n)
{
    const float *x = in[0];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * x[i];
}

static bool square_forward(plm_record *r)
{
    return forward(r, square_range);
}

static void square_slope(const float *const *in, float *dx, int64_t n)
{
    const float *x = in[0], *dy = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = 2 * x[i] * dy[i];
}

static bool square_backward(plm_record *r)
{
    return backward(r, square_slope);
}

static void abs_range(const float *const *in, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = fabsf(in[0][i]);
}

static bool abs_forward(plm_record *r)
{
    return forward(r, abs_range);
}

static void abs_slope(const float *const *in, float *dx, int64_t n)
{
    const float *x = in[0], *dy = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = x[i] > 0 ? dy[i] : x[i] < 0 ? -dy[i] : 0;
}

static bool abs_backward(plm_record *r)
{
    return backward(r, abs_slope);
}

static void tanh_range(const float *const *in, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = tanhf(in[0][i]);
}

static bool tanh_forward(plm_record *r)
{
    return forward(r, tanh_range);
}

static void tanh_slope(const float *const *in, float *dx, int64_t n)
{
    const float *y = in[0], *dy = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = (1 - y[i] * y[i]) * dy[i];
}

static bool tanh_backward(plm_record *r)
{
    return backward(r, tanh_slope);
}

/* e^-x overflows to infinity for very negative x, and 1 / infinity is the right 0. */
static void sigmoid_range(const float *const *in, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = 1 / (1 + expf(-in[0][i]));
}

static bool sigmoid_forward(plm_record *r)
{
    return forward(r, sigmoid_range);
}

static void sigmoid_slope(const float *const *in, float *dx, int64_t n)
{
    const float *y = in[0], *dy = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] * (1 - y[i]) * dy[i];
}

static bool sigmoid_backward(plm_record *r)
{
    return backward(r, sigmoid_slope);
}

/* exp, log and sigmoid are not 0 at 0, so they do not run over padding. */
#define UNARY(f) .name = #f, .shape = shape, .forward = f##_forward, .backward = f##_backward
static const plm_op exp_op     = { UNARY(exp), .saves = PLM_SAVES_OUTPUT };
static const plm_op log_op     = { UNARY(log), .saves = PLM_SAVES_INPUTS };
static const plm_op sqrt_op    = { UNARY(sqrt), .saves = PLM_SAVES_OUTPUT, .layout = PLM_LAYOUT_SAME };
static const plm_op square_op  = { UNARY(square), .saves = PLM_SAVES_INPUTS, .layout = PLM_LAYOUT_SAME };
static const plm_op abs_op     = { UNARY(abs), .saves = PLM_SAVES_INPUTS, .layout = PLM_LAYOUT_SAME };
static const plm_op tanh_op    = { UNARY(tanh), .saves = PLM_SAVES_OUTPUT, .layout = PLM_LAYOUT_SAME };
static const plm_op sigmoid_op = { UNARY(sigmoid), .saves = PLM_SAVES_OUTPUT };

plm_val plm_exp(plm_val x)
{
    return plm_apply(&exp_op, NULL, 0, &x, 1);
}

plm_val plm_log(plm_val x)
{
    return plm_apply(&log_op, NULL, 0, &x, 1);
}

plm_val plm_sqrt(plm_val x)
{
    return plm_apply(&sqrt_op, NULL, 0, &x, 1);
}

plm_val plm_square(plm_val x)
{
    return plm_apply(&square_op, NULL, 0, &x, 1);
}

plm_val plm_abs(plm_val x)
{
    return plm_apply(&abs_op, NULL, 0, &x, 1);
}

plm_val plm_tanh(plm_val x)
{
    return plm_apply(&tanh_op, NULL, 0, &x, 1);
}

plm_val plm_sigmoid(plm_val x)
{
    return plm_apply(&sigmoid_op, NULL, 0, &x, 1);
}

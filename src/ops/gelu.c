/* gelu.c: y = x Phi(x), Phi the distribution function of the normal distribution, or a formula with tanh that is close. */
#include "ops/ops.h"

#include <math.h>

#define INV_SQRT2 0.70710678118654752440f
#define INV_SQRT_2PI 0.39894228040143267794f
#define SQRT_2_OVER_PI 0.79788456080286535588f
#define CUBIC 0.044715f

static bool shape(plm_record *r)
{
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static void exact_range(const float *const *in, float *y, int64_t n)
{
    const float *x = in[0];
    for (int64_t i = 0; i < n; i++) y[i] = 0.5f * x[i] * erfcf(-x[i] * INV_SQRT2); /* erfc: exact for negative x too */
}

/* Phi(x) + x phi(x), phi the density. */
static void exact_slope(const float *const *in, float *dx, int64_t n)
{
    const float *x = in[0], *dy = in[1];
    for (int64_t i = 0; i < n; i++)
        dx[i] = dy[i] * (0.5f * erfcf(-x[i] * INV_SQRT2) + x[i] * INV_SQRT_2PI * expf(-0.5f * x[i] * x[i]));
}

static void tanh_range(const float *const *in, float *y, int64_t n)
{
    const float *x = in[0];
    for (int64_t i = 0; i < n; i++)
        y[i] = 0.5f * x[i] * (1 + tanhf(SQRT_2_OVER_PI * (x[i] + CUBIC * x[i] * x[i] * x[i])));
}

static void tanh_slope(const float *const *in, float *dx, int64_t n)
{
    const float *x = in[0], *dy = in[1];
    for (int64_t i = 0; i < n; i++) {
        const float t      = tanhf(SQRT_2_OVER_PI * (x[i] + CUBIC * x[i] * x[i] * x[i]));
        const float inside = SQRT_2_OVER_PI * (1 + 3 * CUBIC * x[i] * x[i]);
        dx[i]              = dy[i] * 0.5f * (1 + t + x[i] * (1 - t * t) * inside);
    }
}

static bool forward(plm_record *r)
{
    const bool         with_tanh = *(const bool *)plm_record_attr(r);
    const float *const in[]      = { plm_record_in(r, 0) };
    plm__each(with_tanh ? tanh_range : exact_range, in, 1, plm_record_out(r), plm_record_size(r));
    return true;
}

static bool backward(plm_record *r)
{
    const bool         with_tanh = *(const bool *)plm_record_attr(r);
    const float *const in[]      = { plm_record_in(r, 0), plm_record_grad_out(r) };
    float             *dx        = plm__record_reuse_grad(r, 0);
    if (dx) plm__each(with_tanh ? tanh_slope : exact_slope, in, 2, dx, plm_record_size(r));
    return dx != NULL;
}

static const plm_op gelu = { .name     = "gelu",
                             .shape    = shape,
                             .forward  = forward,
                             .backward = backward,
                             .saves    = PLM_SAVES_INPUTS,
                             .layout   = PLM_LAYOUT_SAME };

plm_val plm_gelu(plm_val x, const plm_gelu_op_desc *desc)
{
    const bool with_tanh = desc && desc->tanh;
    return plm_apply(&gelu, &with_tanh, sizeof with_tanh, &x, 1);
}

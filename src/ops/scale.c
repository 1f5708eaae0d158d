/* scale.c: y = factor x. */
#include "ops/ops.h"

#include <math.h>

static bool shape(plm_record *r)
{
    const double factor = *(const double *)plm_record_attr(r);
    if (!isfinite((float)factor)) /* and factor 0 must be 0 over padding */
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "the factor is %g, expected a number that f32 holds", factor);
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static void multiply(const float *x, float *y, int64_t n, float factor)
{
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) y[i] = factor * x[i];
}

static bool forward(plm_record *r)
{
    multiply(plm_record_in(r, 0), plm_record_out(r), plm_record_size(r), (float)*(const double *)plm_record_attr(r));
    return true;
}

/* dx = factor dy. */
static bool backward(plm_record *r)
{
    const float *dy = plm_record_grad_out(r);
    float       *dx = plm__record_reuse_grad(r, 0);
    if (dx) multiply(dy, dx, plm_record_size(r), (float)*(const double *)plm_record_attr(r));
    return dx != NULL;
}

static const plm_op scale_op = {
    .name = "scale", .shape = shape, .forward = forward, .backward = backward, .layout = PLM_LAYOUT_SAME
};

plm_val plm_scale(plm_val x, double factor)
{
    return plm_apply(&scale_op, &factor, sizeof factor, &x, 1);
}

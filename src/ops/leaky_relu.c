/* leaky_relu.c: y = x where x > 0, else slope x. */
#include "ops/ops.h"

#include <math.h>

static bool shape(plm_record *r)
{
    const double slope = *(const double *)plm_record_attr(r);
    if (!isfinite((float)slope))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "desc.slope is %g, expected a number that f32 holds", slope);
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

/* to = from where x > 0, else slope from: both passes. */
static void choose(const float *x, const float *from, float *to, int64_t n, float slope)
{
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const float less = slope * from[i]; /* computed on either side, so that there is no branch in the loop */
        to[i]            = x[i] > 0 ? from[i] : less;
    }
}

static bool forward(plm_record *r)
{
    const float *x = plm_record_in(r, 0);
    choose(x, x, plm_record_out(r), plm_record_size(r), (float)*(const double *)plm_record_attr(r));
    return true;
}

/* dx = dy where x > 0, else slope dy.  Needs x: the sign of y would not do for a negative slope. */
static bool backward(plm_record *r)
{
    const float *dy = plm_record_grad_out(r);
    float       *dx = plm__record_reuse_grad(r, 0);
    if (!dx) return false;
    choose(plm_record_in(r, 0), dy, dx, plm_record_size(r), (float)*(const double *)plm_record_attr(r));
    return true;
}

static const plm_op leaky_relu = { .name     = "leaky_relu",
                                   .shape    = shape,
                                   .forward  = forward,
                                   .backward = backward,
                                   .saves    = PLM_SAVES_INPUTS,
                                   .layout   = PLM_LAYOUT_SAME };

plm_val plm_leaky_relu(plm_val x, const plm_leaky_relu_op_desc *desc)
{
    const double slope = plm__or(desc ? desc->slope : 0, 0.01);
    return plm_apply(&leaky_relu, &slope, sizeof slope, &x, 1);
}

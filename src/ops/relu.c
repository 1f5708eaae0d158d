/* relu.c: y = scale max(x, 0), element by element. */
#include "ops/ops.h"

#include <math.h>

static bool shape(plm_record *r)
{
    const double scale = *(const double *)plm_record_attr(r);
    if (!(scale > 0 && isfinite(scale))) /* the backward pass reads the sign of x from y */
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "desc.scale is %g, expected a positive number", scale);
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static bool forward(plm_record *r)
{
    const float   scale = (float)*(const double *)plm_record_attr(r);
    const float  *x     = plm_record_in(r, 0);
    float        *y     = plm_record_out(r);
    const int64_t n     = plm_record_size(r);
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const float v = scale * x[i];
        y[i]          = x[i] <= 0 ? 0 : v; /* nan <= 0 is false: nan stays nan */
    }
    return true;
}

void plm__relu_backward(const float *y, const float *dy, float *dx, int64_t n, float scale)
{
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const float g = scale * dy[i]; /* computed on either side, so that there is no branch in the loop */
        dx[i]         = y[i] > 0 ? g : 0;
    }
}

/* dx = scale dy where y > 0, else 0.  Needs y, not x, so x's memory may be used again. */
static bool backward(plm_record *r)
{
    const float *dy = plm_record_grad_out(r);
    float       *dx = plm__record_reuse_grad(r, 0);
    if (!dx) return false;
    plm__relu_backward(plm_record_out(r), dy, dx, plm_record_size(r), (float)*(const double *)plm_record_attr(r));
    return true;
}

static const plm_op relu = { .name     = "relu",
                             .shape    = shape,
                             .forward  = forward,
                             .backward = backward,
                             .saves    = PLM_SAVES_OUTPUT,
                             .layout   = PLM_LAYOUT_SAME };

plm_val plm_relu(plm_val x, const plm_relu_op_desc *desc)
{
    const double scale = desc && desc->scale != 0 ? desc->scale : 1;
    return plm_apply(&relu, &scale, sizeof scale, &x, 1);
}

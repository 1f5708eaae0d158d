/* clamp.c: y = x, but no less than `low` and no more than `high`. */
#include "ops/ops.h"

typedef struct {
    double low, high;
} bounds;

static bool shape(plm_record *r)
{
    const bounds *b = plm_record_attr(r);
    if (!(b->low <= b->high))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "low %g and high %g, expected low <= high", b->low, b->high);
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static bool forward(plm_record *r)
{
    const bounds *b = plm_record_attr(r);
    const float  *x = plm_record_in(r, 0), low = (float)b->low, high = (float)b->high;
    float        *y = plm_record_out(r);
    const int64_t n = plm_record_size(r);
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) y[i] = x[i] < low ? low : x[i] > high ? high : x[i]; /* nan stays nan */
    return true;
}

/* dx = dy where low <= x <= high, else 0: as in PyTorch, the bounds themselves belong to the inside. */
static bool backward(plm_record *r)
{
    const bounds *b = plm_record_attr(r);
    const float  *x = plm_record_in(r, 0), *dy = plm_record_grad_out(r), low = (float)b->low, high = (float)b->high;
    float        *dx = plm__record_reuse_grad(r, 0);
    const int64_t n  = plm_record_size(r);
    if (!dx) return false;
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) dx[i] = x[i] >= low && x[i] <= high ? dy[i] : 0;
    return true;
}

#define CLAMP .name = "clamp", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
static const plm_op clamp_through_zero = { CLAMP, .layout = PLM_LAYOUT_SAME };
static const plm_op clamp_elsewhere    = { CLAMP }; /* 0 would become a bound: not over padding */

plm_val plm_clamp(plm_val x, double low, double high)
{
    const bounds b    = { low, high };
    const bool   zero = low <= 0 && high >= 0;
    return plm_apply(zero ? &clamp_through_zero : &clamp_elsewhere, &b, sizeof b, &x, 1);
}

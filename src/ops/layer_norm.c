/* layer_norm.c: normalisation of each sample over its last axes, seen as rows of `length` floats.
 *
 * With u = (x - mean) / sqrt(var + eps) and g = scale dy, means over the row,
 *   dx = (g - mean(g) - u mean(g u)) / sqrt(var + eps),   dscale = sum over rows of dy u,   dshift = sum over rows of dy. */
#include "ops/ops.h"

#include <math.h>

enum { X, SCALE, SHIFT }; /* inputs */

typedef struct {
    int    axes;
    double eps;
} norm_attr;

/* The axes that are normalised, as a shape of their own. */
static plm_shape inner_shape(const plm_record *r)
{
    const plm_shape  x    = plm_record_in_shape(r, X);
    const norm_attr *attr = plm_record_attr(r);
    return plm_shape_from(attr->axes, x.dim + x.rank - attr->axes);
}

static bool shape(plm_record *r)
{
    const norm_attr *attr = plm_record_attr(r);
    char             a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT], c[PLM__SHAPE_TEXT];
    const plm_shape  x = plm_record_in_shape(r, X);
    if (attr->axes < 1 || attr->axes > x.rank)
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "desc.axes is %d, x is %s: expected 1 to the number of its axes",
                               attr->axes, plm__shape_text(x, a));
    if (!(attr->eps > 0 && isfinite(attr->eps)))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "eps is %g, expected a positive number", attr->eps);
    for (int i = SCALE; i < plm_record_inputs(r); i++)
        if (!plm_shape_equal(plm_record_in_shape(r, i), inner_shape(r)))
            return plm_record_fail(r, PLM_ERR_SHAPE, "%s is %s, expected %s (x %s)", i == SCALE ? "scale" : "shift",
                                   plm__shape_text(plm_record_in_shape(r, i), a), plm__shape_text(inner_shape(r), b),
                                   plm__shape_text(x, c));
    const int64_t rows = plm_shape_count(x) / plm_shape_count(inner_shape(r));
    return plm_record_set_aux(r, 0, (size_t)rows * 2 * sizeof(double)) && plm_record_set_out(r, x);
}

typedef struct {
    double mean, inverse; /* 1 / sqrt(var + eps) */
} moments;

static moments row_moments(const float *x, int64_t length, double eps)
{
    const double mean = plm__sum_floats(x, length) / (double)length;
    double       sum  = 0;
    for (int64_t i = 0; i < length; i++) sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return (moments){ mean, 1 / sqrt(sum / (double)length + eps) };
}

static bool forward(plm_record *r)
{
    const norm_attr *attr   = plm_record_attr(r);
    const int64_t    length = plm_shape_count(inner_shape(r)), rows = plm_record_size(r) / length;
    const float     *x = plm_record_in(r, X), *scale = NULL, *shift = NULL;
    float           *y = plm_record_out(r);
    moments         *m = plm_record_aux(r, 0);
    if (plm_record_inputs(r) > SHIFT) {
        scale = plm_record_in(r, SCALE);
        shift = plm_record_in(r, SHIFT);
    }
#pragma omp parallel for if (rows * length > PLM__SERIAL) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float *from = x + row * length;
        float       *to   = y + row * length;
        m[row]            = row_moments(from, length, attr->eps);
        for (int64_t i = 0; i < length; i++) {
            const double u = ((double)from[i] - m[row].mean) * m[row].inverse;
            to[i]          = (float)(scale ? u * (double)scale[i] + (double)shift[i] : u);
        }
    }
    return true;
}

static void backward_data(plm_record *r, float *dx)
{
    const int64_t  length = plm_shape_count(inner_shape(r)), rows = plm_record_size(r) / length;
    const float   *x = plm_record_in(r, X), *dy = plm_record_grad_out(r);
    const float   *scale = plm_record_inputs(r) > SCALE ? plm_record_in(r, SCALE) : NULL;
    const moments *m     = plm_record_aux(r, 0);
#pragma omp parallel for if (rows * length > PLM__SERIAL) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float  *at = x + row * length, *up = dy + row * length;
        float        *to   = dx + row * length;
        const moments own  = m[row];
        double        mean = 0, along = 0; /* of g, of g u */
        for (int64_t i = 0; i < length; i++) {
            const double g = (double)up[i] * (scale ? (double)scale[i] : 1);
            mean += g / (double)length;
            along += g * ((double)at[i] - own.mean) * own.inverse / (double)length;
        }
        for (int64_t i = 0; i < length; i++) {
            const double g = (double)up[i] * (scale ? (double)scale[i] : 1);
            const double u = ((double)at[i] - own.mean) * own.inverse;
            to[i]          = (float)((g - mean - u * along) * own.inverse);
        }
    }
}

/* Threads share the columns, not the rows: each sum is one thread's, in the order of the rows. */
static void backward_affine(plm_record *r, float *dscale, float *dshift)
{
    enum { STRIPE = 64 };
    const int64_t  length = plm_shape_count(inner_shape(r)), rows = plm_record_size(r) / length;
    const float   *x = plm_record_in(r, X), *dy = plm_record_grad_out(r);
    const moments *m = plm_record_aux(r, 0);
#pragma omp parallel for if (rows * length > PLM__SERIAL) schedule(static)
    for (int64_t first = 0; first < length; first += STRIPE) {
        const int64_t n             = length - first < STRIPE ? length - first : STRIPE;
        double        along[STRIPE] = { 0 }, sum[STRIPE] = { 0 };
        for (int64_t row = 0; row < rows; row++)
            for (int64_t i = 0; i < n; i++) {
                const int64_t at = row * length + first + i;
                along[i] += (double)dy[at] * ((double)x[at] - m[row].mean) * m[row].inverse;
                sum[i] += (double)dy[at];
            }
        for (int64_t i = 0; i < n; i++) {
            if (dscale) dscale[first + i] = (float)along[i];
            if (dshift) dshift[first + i] = (float)sum[i];
        }
    }
}

static bool backward(plm_record *r)
{
    float *d[3] = { NULL };
    for (int i = X; i < plm_record_inputs(r); i++)
        if (plm_record_wants(r, i) && !(d[i] = plm_record_grad_in(r, i))) return false;
    if (d[X]) backward_data(r, d[X]);
    if (d[SCALE] || d[SHIFT]) backward_affine(r, d[SCALE], d[SHIFT]);
    return true;
}

static const plm_op layer_norm = {
    .name = "layer_norm", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
};

plm_val plm_layer_norm(plm_val x, plm_val scale, plm_val shift, const plm_layer_norm_op_desc *desc)
{
    const plm_val   in[] = { x, scale, shift };
    const norm_attr attr = { .axes = desc && desc->axes != 0 ? desc->axes : 1,
                             .eps  = desc && desc->eps != 0 ? desc->eps : 1e-5 };
    return plm_apply(&layer_norm, &attr, sizeof attr, in, scale.tape || shift.tape ? 3 : 1);
}

/* mse.c: mean over all elements of (f - y)^2, y another value. */
#include "ops/ops.h"

static bool shape(plm_record *r)
{
    char            a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const plm_shape f = plm_record_in_shape(r, 0), y = plm_record_in_shape(r, 1);
    if (!plm_shape_equal(f, y))
        return plm_record_fail(r, PLM_ERR_SHAPE, "outputs %s and targets %s: expected one shape", plm__shape_text(f, a),
                               plm__shape_text(y, b));
    return plm_record_set_out(r, plm_shape_from(0, NULL));
}

typedef struct {
    const float *f, *y;
} pair;

static double squares(const void *arg, int64_t start, int64_t end)
{
    const pair *p   = arg;
    double      sum = 0;
    for (int64_t i = start; i < end; i++) {
        const double difference = (double)p->f[i] - (double)p->y[i];
        sum += difference * difference;
    }
    return sum;
}

static bool forward(plm_record *r)
{
    const pair    p    = { plm_record_in(r, 0), plm_record_in(r, 1) };
    const int64_t n    = plm_shape_count(plm_record_in_shape(r, 0));
    *plm_record_out(r) = (float)(plm__sum_parts(squares, &p, n) / (double)n);
    return true;
}

/* df = 2/n (f - y) dy, and the opposite for y. */
static bool backward(plm_record *r)
{
    const float  *f = plm_record_in(r, 0), *y = plm_record_in(r, 1);
    const int64_t n = plm_shape_count(plm_record_in_shape(r, 0));
    for (int k = 0; k < 2; k++) {
        if (!plm_record_wants(r, k)) continue;
        const double factor = (k == 0 ? 2 : -2) / (double)n * (double)*plm_record_grad_out(r);
        float       *dx     = plm_record_grad_in(r, k);
        if (!dx) return false;
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
        for (int64_t i = 0; i < n; i++) dx[i] = (float)(factor * ((double)f[i] - (double)y[i]));
    }
    return true;
}

static const plm_op mse = {
    .name = "mse", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
};

plm_val plm_mse(plm_val f, plm_val y)
{
    return plm_apply(&mse, NULL, 0, (plm_val[]){ f, y }, 2);
}

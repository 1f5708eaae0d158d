/* mse_onehot.c: squared distance to target * onehot(label), which is never written out.
 *
 *   plm_mse_onehot   1/(n c)  sum (f - y)^2
 *   plm_square_loss  1/(2 n c) sum (f - y)^2
 *
 * The labels are lent for the call only, so forward keeps a copy in auxiliary buffer 0. */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

typedef struct {
    plm_tensor labels;
    double     target; /* 0: sqrt(classes)   */
    double     weight; /* of the mean square */
} attributes;

static bool shape(plm_record *r)
{
    const attributes *d = plm_record_attr(r);
    const plm_shape   f = plm_record_in_shape(r, 0);
    if (!plm__record_may_read_memory(r) || !plm__labels_check(plm_record_ctx(r), r->op->name, f, d->labels))
        return false;
    if (!isfinite(d->target))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "desc.target is %g, expected a finite number", d->target);
    return plm_record_set_aux(r, 0, (size_t)f.dim[0] * sizeof(int64_t)) &&
           plm_record_set_out(r, plm_shape_from(0, NULL));
}

static double target_of(const plm_record *r)
{
    const attributes *d = plm_record_attr(r);
    return plm__or(d->target, sqrt((double)plm_record_in_shape(r, 0).dim[1]));
}

typedef struct {
    const float   *f;
    const int64_t *label;
    int64_t        classes;
    double         target;
} rows;

static double squares(const void *arg, int64_t start, int64_t end)
{
    const rows *a   = arg;
    double      sum = 0;
    for (int64_t i = start; i < end; i++) {
        const int64_t row        = i / a->classes;
        const double  difference = (double)a->f[i] - (a->label[row] == i - row * a->classes ? a->target : 0);
        sum += difference * difference;
    }
    return sum;
}

static bool forward(plm_record *r)
{
    const attributes *d = plm_record_attr(r);
    const plm_shape   f = plm_record_in_shape(r, 0);
    memcpy(plm_record_aux(r, 0), d->labels.data, (size_t)f.dim[0] * sizeof(int64_t));
    const rows    a    = { plm_record_in(r, 0), plm_record_aux(r, 0), f.dim[1], target_of(r) };
    const int64_t n    = f.dim[0] * f.dim[1];
    *plm_record_out(r) = (float)(d->weight * plm__sum_parts(squares, &a, n) / (double)n);
    return true;
}

/* df = 2 weight / (n c) (f - y) dy. */
static bool backward(plm_record *r)
{
    const attributes *d     = plm_record_attr(r);
    const plm_shape   shape = plm_record_in_shape(r, 0);
    const int64_t    *label = plm_record_aux(r, 0);
    const float      *f     = plm_record_in(r, 0);
    const int64_t     n = shape.dim[0], c = shape.dim[1];
    const double      target = target_of(r);
    const double      factor = 2 * d->weight / (double)(n * c) * (double)*plm_record_grad_out(r);
    float            *df     = plm_record_grad_in(r, 0);
    if (!df) return false;
#pragma omp parallel for if (n * c > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < c; j++)
            df[i * c + j] = (float)(factor * ((double)f[i * c + j] - (j == label[i] ? target : 0)));
    return true;
}

static const plm_op mse_onehot = {
    .name = "mse_onehot", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
};
static const plm_op square_loss = {
    .name = "square_loss", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
};

static plm_val apply(const plm_op *op, plm_val f, plm_tensor labels, const plm_onehot_desc *desc, double weight)
{
    const attributes d = { .labels = labels, .target = desc ? desc->target : 0, .weight = weight };
    return plm_apply(op, &d, sizeof d, &f, 1);
}

plm_val plm_mse_onehot(plm_val f, plm_tensor labels, const plm_onehot_desc *desc)
{
    return apply(&mse_onehot, f, labels, desc, 1);
}

plm_val plm_square_loss(plm_val f, plm_tensor labels, const plm_onehot_desc *desc)
{
    return apply(&square_loss, f, labels, desc, 0.5);
}

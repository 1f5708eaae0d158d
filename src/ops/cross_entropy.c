/* cross_entropy.c: mean over the batch of -log softmax(f)[label], log-softmax and loss as one op.
 *
 * Forward keeps the labels, which are lent for the call only, in auxiliary buffer 0 and each row's logarithm of its sum of
 * powers in buffer 1: with these the backward pass needs no second look for maximum and sum. */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static bool shape(plm_record *r)
{
    const plm_shape f = plm_record_in_shape(r, 0);
    return plm__record_may_read_memory(r) &&
           plm__labels_check(plm_record_ctx(r), r->op->name, f, *(const plm_tensor *)plm_record_attr(r)) &&
           plm_record_set_aux(r, 0, (size_t)f.dim[0] * sizeof(int64_t)) &&
           plm_record_set_aux(r, 1, (size_t)f.dim[0] * sizeof(double)) &&
           plm_record_set_out(r, plm_shape_from(0, NULL));
}

/* log sum_j e^(f_j), the maximum taken out first. */
static double log_sum_exp(const float *f, int64_t c)
{
    float  largest = f[0];
    double sum     = 0;
    for (int64_t j = 1; j < c; j++) largest = f[j] > largest ? f[j] : largest;
    for (int64_t j = 0; j < c; j++) sum += (double)expf(f[j] - largest);
    return (double)largest + log(sum);
}

static bool forward(plm_record *r)
{
    const plm_tensor *given = plm_record_attr(r);
    const plm_shape   shape = plm_record_in_shape(r, 0);
    const float      *f     = plm_record_in(r, 0);
    const int64_t     n = shape.dim[0], c = shape.dim[1];
    int64_t          *label = plm_record_aux(r, 0);
    double           *lse = plm_record_aux(r, 1), sum = 0;
    memcpy(label, given->data, (size_t)n * sizeof *label);
#pragma omp parallel for if (n * c > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) lse[i] = log_sum_exp(f + i * c, c);
    for (int64_t i = 0; i < n; i++) sum += lse[i] - (double)f[i * c + label[i]];
    *plm_record_out(r) = (float)(sum / (double)n);
    return true;
}

/* df = (softmax(f) - onehot(label)) dy / n. */
static bool backward(plm_record *r)
{
    const plm_shape shape = plm_record_in_shape(r, 0);
    const float    *f     = plm_record_in(r, 0);
    const int64_t  *label = plm_record_aux(r, 0);
    const double   *lse   = plm_record_aux(r, 1);
    const int64_t   n = shape.dim[0], c = shape.dim[1];
    const float     factor = (float)((double)*plm_record_grad_out(r) / (double)n);
    float          *df     = plm_record_grad_in(r, 0);
    if (!df) return false;
#pragma omp parallel for if (n * c > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < c; j++) {
            const float p = expf((float)((double)f[i * c + j] - lse[i]));
            df[i * c + j] = factor * (j == label[i] ? p - 1 : p);
        }
    return true;
}

static const plm_op cross_entropy = {
    .name = "cross_entropy", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
};

plm_val plm_cross_entropy(plm_val f, plm_tensor labels)
{
    return plm_apply(&cross_entropy, &labels, sizeof labels, &f, 1);
}

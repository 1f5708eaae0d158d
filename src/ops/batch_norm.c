/* batch_norm.c: normalisation per channel, perhaps with max(y, 0) in the same kernel.
 *
 * Training takes mean and population variance of the batch and moves the running statistics; evaluation uses those.  With
 * u = (x - mean) / sqrt(var + eps) the gradient in training is
 *   dx = scale / sqrt(var + eps) (dy - mean(dy) - u mean(dy u)),   dscale = sum dy u,   dshift = sum dy;
 * in evaluation the two means are absent. */
#include <string.h>

#include "ops/ops.h"

enum { X, SCALE, SHIFT };    /* inputs */
enum { FORWARD, BACKWARD };  /* kernels */
enum { MOMENTS, WORKSPACE }; /* auxiliary buffers: mean[c] and variance[c]; what the fused ReLU remembers */

typedef struct {
    plm_param *mean, *variance; /* running; both or neither */
    double     eps, momentum;
    bool       relu;
} norm_attr;

static bool norm_shape(plm_record *r)
{
    const norm_attr *attr = plm_record_attr(r);
    char             a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const plm_shape  x = plm_record_in_shape(r, X);
    if (x.rank != 2 && x.rank != 4)
        return plm_record_fail(r, PLM_ERR_SHAPE, "x is %s, expected [n,c] or [n,c,h,w]", plm__shape_text(x, a));
    const plm_shape each = plm_shape_of(x.dim[1]);
    for (int i = SCALE; i < r->n_in; i++)
        if (!plm_shape_equal(plm_record_in_shape(r, i), each))
            return plm_record_fail(r, PLM_ERR_SHAPE, "%s is %s, expected [%lld] (x %s)", i == SCALE ? "scale" : "shift",
                                   plm__shape_text(plm_record_in_shape(r, i), a), (long long)x.dim[1],
                                   plm__shape_text(x, b));
    if (!((float)attr->eps > 0) || !(attr->momentum > 0 && attr->momentum <= 1))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "eps %g, momentum %g: eps is positive, momentum in (0, 1]",
                               attr->eps, attr->momentum);
    for (int i = 0; i < 2; i++) {
        const plm_param *p = i == 0 ? attr->mean : attr->variance;
        if (p && (p->role != PLM_ROLE_STATISTIC || p->ctx != plm_record_ctx(r)))
            return plm_record_fail(r, PLM_ERR_ARGUMENT, "%s is no parameter of role PLM_ROLE_STATISTIC of this context",
                                   p->name);
    }
    if (!attr->mean != !attr->variance)
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "only one of running mean and running variance is given");
    const plm_param *const running[] = { attr->mean, attr->variance };
    for (int i = 0; i < 2; i++)
        if (running[i] && !plm_shape_equal(running[i]->shape, each))
            return plm_record_fail(r, PLM_ERR_SHAPE, "running %s is %s, expected [%lld] (x %s)",
                                   i ? "variance" : "mean", plm__shape_text(running[i]->shape, a), (long long)x.dim[1],
                                   plm__shape_text(x, b));
    if (plm_record_eval(r) && !attr->mean)
        return plm_record_fail(r, PLM_ERR_STATE, "evaluation needs running statistics");
    if (!plm_record_eval(r) && plm_shape_count(x) == x.dim[1])
        return plm_record_fail(r, PLM_ERR_SHAPE, "one value per channel (x %s) has no variance to train with",
                               plm__shape_text(x, a));
    return plm_record_set_aux(r, MOMENTS, 2 * (size_t)x.dim[1] * sizeof(float)) && plm_record_set_out(r, x);
}

static bool norm_prepare(plm_record *r)
{
    const norm_attr *attr = plm_record_attr(r);
    plm_ctx         *ctx  = plm_record_ctx(r);
    plm__problem     p;
    memset(&p, 0, sizeof p);
    p.primitive    = PLM__BATCH_NORM;
    p.pass         = r->keep ? PLM__FORWARD : plm_record_eval(r) ? PLM__INFERENCE : PLM__FORWARD;
    p.src          = plm__in(r, X)->layout;
    p.dst          = plm__layout_any(plm_record_out_shape(r));
    p.affine       = r->n_in > SCALE;
    p.relu         = attr->relu;
    p.eps          = (float)attr->eps;
    p.global_stats = plm_record_eval(r);
    if (!plm__negotiate(ctx, &p, (plm__needs){ .keep_src = true, .data = r->keep })) return false;
    if (!(r->kernel[FORWARD] = plm__kernel_get(ctx, &p))) return false;
    if (!plm__record_want(r, X, plm__kernel_src(r->kernel[FORWARD]))) return false;
    plm__record_set_layout(r, plm__kernel_dst(r->kernel[FORWARD]));
    plm_record_set_aux(r, WORKSPACE, plm__kernel_workspace(r->kernel[FORWARD]));
    p.pass = PLM__BACKWARD;
    return !r->keep || (r->kernel[BACKWARD] = plm__kernel_get(ctx, &p)) != NULL;
}

/* running = (1 - momentum) running + momentum batch; `correction` is n/(n-1) for the variance. */
static void move_running(plm_param *p, const float *batch, double momentum, double correction)
{
    float *running = p->weights->data;
    for (int64_t c = 0; c < p->shape.dim[0]; c++)
        running[c] = (float)((1 - momentum) * (double)running[c] + momentum * correction * (double)batch[c]);
    p->version++;
}

static bool norm_forward(plm_record *r)
{
    const norm_attr *attr     = plm_record_attr(r);
    const int64_t    channels = plm_record_in_shape(r, X).dim[1];
    const double     each     = (double)plm_shape_count(plm_record_in_shape(r, X)) / (double)channels;
    float           *mean = plm_record_aux(r, MOMENTS), *variance = mean + channels;
    if (plm_record_eval(r)) {
        memcpy(mean, attr->mean->weights->data, (size_t)channels * sizeof *mean);
        memcpy(variance, attr->variance->weights->data, (size_t)channels * sizeof *variance);
    }
    const plm__args args = { .src       = plm_record_in(r, X),
                             .scale     = r->n_in > SCALE ? plm_record_in(r, SCALE) : NULL,
                             .shift     = r->n_in > SHIFT ? plm_record_in(r, SHIFT) : NULL,
                             .dst       = plm_record_out(r),
                             .mean      = mean,
                             .variance  = variance,
                             .workspace = plm_record_aux(r, WORKSPACE) };
    if (!plm__kernel_run(plm_record_ctx(r), r->kernel[FORWARD], &args)) return false;
    if (plm_record_eval(r) || !attr->mean) return true;
    move_running(attr->mean, mean, attr->momentum, 1);
    move_running(attr->variance, variance, attr->momentum, each / (each - 1));
    return true;
}

static bool norm_backward(plm_record *r)
{
    plm_ctx      *ctx         = plm_record_ctx(r);
    const int64_t channels    = plm_record_in_shape(r, X).dim[1];
    const size_t  bytes       = (size_t)channels * sizeof(float);
    float        *mean        = plm_record_aux(r, MOMENTS);
    plm__block   *unwanted[3] = { NULL }; /* the kernel writes all three gradients */
    float        *d[3]        = { NULL };
    bool          ok          = true;
    for (int i = X; i < r->n_in && ok; i++) {
        if (plm_record_wants(r, i)) d[i] = plm_record_grad_in(r, i);
        else if ((unwanted[i] = plm__pool_get(ctx, i == X ? (size_t)plm_record_size(r) * sizeof(float) : bytes)))
            d[i] = unwanted[i]->data;
        ok = d[i] != NULL;
    }
    const plm__args args = { .src        = plm_record_in(r, X),
                             .scale      = r->n_in > SCALE ? plm_record_in(r, SCALE) : NULL,
                             .shift      = r->n_in > SHIFT ? plm_record_in(r, SHIFT) : NULL,
                             .diff_dst   = plm_record_grad_out(r),
                             .diff_src   = d[X],
                             .diff_scale = d[SCALE],
                             .diff_shift = d[SHIFT],
                             .mean       = mean,
                             .variance   = mean + channels,
                             .workspace  = plm_record_aux(r, WORKSPACE) };
    ok                   = ok && plm__kernel_run(ctx, r->kernel[BACKWARD], &args);
    for (int i = 0; i < 3; i++) plm__pool_drop(ctx, unwanted[i]);
    return ok;
}

static const plm_op batch_norm = { .name     = "batch_norm",
                                   .shape    = norm_shape,
                                   .prepare  = norm_prepare,
                                   .forward  = norm_forward,
                                   .backward = norm_backward,
                                   .saves    = PLM_SAVES_INPUTS,
                                   .layout   = PLM_LAYOUT_NEGOTIATED };

plm_val plm__batch_norm_relu(plm_val x, plm_val scale, plm_val shift, plm_param *running_mean, plm_param *running_var,
                             const plm_batch_norm_op_desc *desc, double relu_scale)
{
    const plm_val in[] = { x, scale, shift };
    norm_attr     attr = { .mean     = running_mean,
                           .variance = running_var,
                           .eps      = desc && desc->eps != 0 ? desc->eps : 1e-5,
                           .momentum = desc && desc->momentum != 0 ? desc->momentum : 0.1,
                           .relu     = relu_scale > 0 };
    return plm_apply(&batch_norm, &attr, sizeof attr, in, scale.tape || shift.tape ? 3 : 1);
}

plm_val plm_batch_norm(plm_val x, plm_val scale, plm_val shift, plm_param *running_mean, plm_param *running_var,
                       const plm_batch_norm_op_desc *desc)
{
    return plm__batch_norm_relu(x, scale, shift, running_mean, running_var, desc, 0);
}

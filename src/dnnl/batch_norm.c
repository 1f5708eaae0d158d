/* batch_norm.c: y = scale (x - mean) / sqrt(variance + eps) + shift per channel, perhaps with max(y, 0) after it.
 * The variance is the population's.  [n,c] is seen as [n,c,1,1] with channels last, which is the same memory: the fast
 * kernels do not take two axes. */
#include "dnnl/engine.h"

static unsigned flags_of(const plm__problem *p)
{
    unsigned flags = dnnl_normalization_flags_none;
    if (p->affine) flags |= (unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift;
    if (p->relu) flags |= (unsigned)dnnl_fuse_norm_relu;
    if (p->global_stats) flags |= (unsigned)dnnl_use_global_stats;
    return flags;
}

static dnnl_status_t forward(const plm__request *r, const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    dnnl_prop_kind_t prop = r->p->pass == PLM__INFERENCE ? dnnl_forward_inference : dnnl_forward_training;
    return dnnl_batch_normalization_forward_primitive_desc_create(pd, r->engine, prop, r->src, r->dst, r->p->eps,
                                                                  flags_of(r->p), attr);
}

static dnnl_status_t describe(const plm__request *r, dnnl_primitive_desc_t *pd)
{
    if (r->p->pass != PLM__BACKWARD) return forward(r, r->attr, pd);

    dnnl_primitive_desc_t hint   = NULL;
    dnnl_status_t         status = forward(r, NULL, &hint);
    if (status != dnnl_success) return status;
    status = dnnl_batch_normalization_backward_primitive_desc_create(
        pd, r->engine, r->p->affine ? dnnl_backward : dnnl_backward_data, r->src, r->dst, r->src, r->p->eps,
        flags_of(r->p), hint, r->attr);
    dnnl_primitive_desc_destroy(hint);
    return status;
}

static plm__layout view(const plm__layout *l)
{
    if (l->rank != 2 || l->blocks != 0) return *l;
    plm__layout image = *l;
    image.rank        = 4;
    for (int a = 2; a < 4; a++) {
        image.dim[a] = image.padded[a] = 1;
        image.stride[a]                = l->dim[1];
    }
    return image;
}

static const plm__argument forward_arguments[]  = { PLM__ARGUMENT(SRC, src),
                                                    PLM__ARGUMENT(SCALE, scale),
                                                    PLM__ARGUMENT(SHIFT, shift),
                                                    PLM__ARGUMENT(DST, dst),
                                                    PLM__ARGUMENT(MEAN, mean),
                                                    PLM__ARGUMENT(VARIANCE, variance),
                                                    { 0 } };
static const plm__argument backward_arguments[] = {
    PLM__ARGUMENT(SRC, src),
    PLM__ARGUMENT(MEAN, mean),
    PLM__ARGUMENT(VARIANCE, variance),
    PLM__ARGUMENT(SCALE, scale),
#if DNNL_VERSION_MAJOR < 3
    PLM__ARGUMENT(SHIFT, shift), /* demanded there, though nothing depends on it */
#endif
    PLM__ARGUMENT(DIFF_DST, diff_dst),
    PLM__ARGUMENT(DIFF_SRC, diff_src),
    PLM__ARGUMENT(DIFF_SCALE, diff_scale),
    PLM__ARGUMENT(DIFF_SHIFT, diff_shift),
    { 0 }
};

const plm__family plm__family_batch_norm = {
    .name      = "batch norm",
    .describe  = describe,
    .arguments = { [PLM__FORWARD]   = forward_arguments,
                   [PLM__INFERENCE] = forward_arguments,
                   [PLM__BACKWARD]  = backward_arguments },
    .view      = view,
};

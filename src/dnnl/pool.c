/* pool.c: the largest or the mean value of a square window, or of the whole image.  x [n,c,h,w], y [n,c,h',w'].  Training keeps where each largest value was (the workspace) for the backward pass. */
#include "dnnl/engine.h"

static dnnl_alg_kind_t algorithm(const plm__problem *p)
{
    if (p->primitive == PLM__MAX_POOL) return dnnl_pooling_max;
    return p->exclude_pad ? dnnl_pooling_avg_exclude_padding : dnnl_pooling_avg_include_padding;
}

/* The window's extent along axis 2 or 3. */
static dnnl_dim_t side(const plm__problem *p, int axis)
{
    return p->kernel > 0 ? p->kernel : p->src.dim[axis];
}

static dnnl_status_t forward(const plm__request *r, const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    const dnnl_dims_t stride = { r->p->stride, r->p->stride }, kernel = { side(r->p, 2), side(r->p, 3) };
    const dnnl_dims_t dense = { 0, 0 }, pad = { r->p->pad, r->p->pad };
    dnnl_prop_kind_t  prop = r->p->pass == PLM__INFERENCE ? dnnl_forward_inference : dnnl_forward_training;
    return dnnl_pooling_forward_primitive_desc_create(pd, r->engine, prop, algorithm(r->p), r->src, r->dst, stride,
                                                      kernel, dense, pad, pad, attr);
}

static dnnl_status_t describe(const plm__request *r, dnnl_primitive_desc_t *pd)
{
    if (r->p->pass != PLM__BACKWARD_DATA) return forward(r, r->attr, pd);

    const dnnl_dims_t     stride = { r->p->stride, r->p->stride }, kernel = { side(r->p, 2), side(r->p, 3) };
    const dnnl_dims_t     dense = { 0, 0 }, pad = { r->p->pad, r->p->pad };
    dnnl_primitive_desc_t hint   = NULL;
    dnnl_status_t         status = forward(r, NULL, &hint);
    if (status != dnnl_success) return status;
    status = dnnl_pooling_backward_primitive_desc_create(pd, r->engine, algorithm(r->p), r->src, r->dst, stride, kernel,
                                                         dense, pad, pad, hint, r->attr);
    dnnl_primitive_desc_destroy(hint);
    return status;
}

static const plm__argument forward_arguments[]  = { PLM__ARGUMENT(SRC, src), PLM__ARGUMENT(DST, dst), { 0 } };
static const plm__argument backward_arguments[] = { PLM__ARGUMENT(DIFF_DST, diff_dst),
                                                    PLM__ARGUMENT(DIFF_SRC, diff_src),
                                                    { 0 } };

const plm__family plm__family_max_pool = {
    .name      = "max pool",
    .describe  = describe,
    .arguments = { [PLM__FORWARD]       = forward_arguments,
                   [PLM__INFERENCE]     = forward_arguments,
                   [PLM__BACKWARD_DATA] = backward_arguments },
};

const plm__family plm__family_avg_pool = {
    .name      = "average pool",
    .describe  = describe,
    .arguments = { [PLM__FORWARD] = forward_arguments, [PLM__BACKWARD_DATA] = backward_arguments },
};

/* conv2d.c: two-dimensional convolution, the direct algorithm or Winograd's.  x [n,c,h,w], w [k,c,r,s] or, in g groups,
 * [g,k/g,c/g,r,s]; b [k], y [n,k,h',w']. */
#include "dnnl/engine.h"

static dnnl_alg_kind_t algorithm(const plm__problem *p)
{
    return p->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
}

/* oneDNN counts the elements that are passed over between two taps: none in a dense window. */
static dnnl_dim_t between_taps(const plm__problem *p)
{
    return p->dilation > 0 ? p->dilation - 1 : 0;
}

static dnnl_status_t forward(const plm__request *r, const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    const dnnl_dims_t stride = { r->p->stride, r->p->stride }, pad = { r->p->pad, r->p->pad };
    const dnnl_dims_t between = { between_taps(r->p), between_taps(r->p) };
    return dnnl_convolution_forward_primitive_desc_create(pd, r->engine, dnnl_forward_training, algorithm(r->p), r->src,
                                                          r->weights, r->bias, r->dst, stride, between, pad, pad, attr);
}

static dnnl_status_t describe(const plm__request *r, dnnl_primitive_desc_t *pd)
{
    if (r->p->pass == PLM__FORWARD) return forward(r, r->attr, pd);

    const dnnl_dims_t     stride = { r->p->stride, r->p->stride }, pad = { r->p->pad, r->p->pad };
    const dnnl_dims_t     between = { between_taps(r->p), between_taps(r->p) };
    dnnl_primitive_desc_t hint    = NULL;
    dnnl_status_t         status  = forward(r, NULL, &hint);
    if (status != dnnl_success) return status;
    if (r->p->pass == PLM__BACKWARD_DATA)
        status = dnnl_convolution_backward_data_primitive_desc_create(
            pd, r->engine, algorithm(r->p), r->src, r->weights, r->dst, stride, between, pad, pad, hint, r->attr);
    else
        status = dnnl_convolution_backward_weights_primitive_desc_create(pd, r->engine, algorithm(r->p), r->src,
                                                                         r->weights, r->bias, r->dst, stride, between,
                                                                         pad, pad, hint, r->attr);
    dnnl_primitive_desc_destroy(hint);
    return status;
}

static const plm__argument forward_arguments[] = {
    PLM__ARGUMENT(SRC, src), PLM__ARGUMENT(WEIGHTS, weights), PLM__ARGUMENT(BIAS, bias), PLM__ARGUMENT(DST, dst), { 0 }
};
static const plm__argument data_arguments[] = {
    PLM__ARGUMENT(DIFF_DST, diff_dst), PLM__ARGUMENT(WEIGHTS, weights), PLM__ARGUMENT(DIFF_SRC, diff_src), { 0 }
};
static const plm__argument weights_arguments[] = { PLM__ARGUMENT(DIFF_DST, diff_dst),
                                                   PLM__ARGUMENT(SRC, src),
                                                   PLM__ARGUMENT(DIFF_WEIGHTS, diff_weights),
                                                   PLM__ARGUMENT(DIFF_BIAS, diff_bias),
                                                   { 0 } };

const plm__family plm__family_conv2d = {
    .name      = "conv2d",
    .describe  = describe,
    .arguments = { [PLM__FORWARD]          = forward_arguments,
                   [PLM__BACKWARD_DATA]    = data_arguments,
                   [PLM__BACKWARD_WEIGHTS] = weights_arguments },
};

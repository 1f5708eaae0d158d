/* compat.h (private to src/dnnl): oneDNN 2 in the shape of oneDNN 3, so that every other file is written once.
 * The switch is DNNL_VERSION_MAJOR and nothing else: names that 3.0 removed came back later with other meanings.
 *
 * A memory descriptor is a struct in 2 and an owned handle in 3.  A plm__md is one that we own: zero it, make it
 * (layout.c), lend it with plm__md_lend, drop it.  A zeroed one is "no such tensor". */
#ifndef PLM__DNNL_COMPAT_H
#define PLM__DNNL_COMPAT_H

#include <oneapi/dnnl/dnnl.h>

#include <stdbool.h>
#include <stddef.h>

typedef dnnl_memory_desc_t plm__md;

#if DNNL_VERSION_MAJOR >= 3

static inline const_dnnl_memory_desc_t plm__md_lend(const plm__md *m)
{
    return *m;
}

static inline void plm__md_drop(plm__md *m)
{
    dnnl_memory_desc_destroy(*m);
    *m = NULL;
}

/* y = scale max(y, 0) */
static inline dnnl_status_t plm__append_relu(dnnl_post_ops_t ops, float scale)
{
    dnnl_status_t status = dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0, 0);
    if (status != dnnl_success || scale == 1.0f) return status;
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_linear, scale, 0);
}

#else

typedef const dnnl_memory_desc_t *const_dnnl_memory_desc_t;

static inline const_dnnl_memory_desc_t plm__md_lend(const plm__md *m)
{
    return m->ndims > 0 ? m : NULL;
}

static inline void plm__md_drop(plm__md *m)
{
    m->ndims = 0;
}

static inline dnnl_status_t dnnl_memory_desc_create_with_tag(plm__md *m, int rank, const dnnl_dims_t dims,
                                                             dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(m, rank, dims, type, tag);
}

static inline dnnl_status_t plm__append_relu(dnnl_post_ops_t ops, float scale)
{
    return dnnl_post_ops_append_eltwise(ops, scale, dnnl_eltwise_relu, 0, 0);
}

static inline dnnl_status_t dnnl_convolution_forward_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
    const_dnnl_memory_desc_t src, const_dnnl_memory_desc_t weights, const_dnnl_memory_desc_t bias,
    const_dnnl_memory_desc_t dst, const dnnl_dims_t strides, const dnnl_dims_t dilates, const dnnl_dims_t pad_l,
    const dnnl_dims_t pad_r, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(&op, prop, alg, src, weights, bias, dst, strides,
                                                                      dilates, pad_l, pad_r);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, NULL) : status;
}

static inline dnnl_status_t dnnl_convolution_backward_data_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, const_dnnl_memory_desc_t diff_src,
    const_dnnl_memory_desc_t weights, const_dnnl_memory_desc_t diff_dst, const dnnl_dims_t strides,
    const dnnl_dims_t dilates, const dnnl_dims_t pad_l, const dnnl_dims_t pad_r, const_dnnl_primitive_desc_t hint,
    const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(&op, alg, diff_src, weights, diff_dst,
                                                                            strides, dilates, pad_l, pad_r);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, hint) : status;
}

static inline dnnl_status_t dnnl_convolution_backward_weights_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, const_dnnl_memory_desc_t src,
    const_dnnl_memory_desc_t diff_weights, const_dnnl_memory_desc_t diff_bias, const_dnnl_memory_desc_t diff_dst,
    const dnnl_dims_t strides, const dnnl_dims_t dilates, const dnnl_dims_t pad_l, const dnnl_dims_t pad_r,
    const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t op;
    dnnl_status_t           status = dnnl_dilated_convolution_backward_weights_desc_init(
                  &op, alg, src, diff_weights, diff_bias, diff_dst, strides, dilates, pad_l, pad_r);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, hint) : status;
}

static inline dnnl_status_t
dnnl_inner_product_forward_primitive_desc_create(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t prop,
                                                 const_dnnl_memory_desc_t src, const_dnnl_memory_desc_t weights,
                                                 const_dnnl_memory_desc_t bias, const_dnnl_memory_desc_t dst,
                                                 const_dnnl_primitive_attr_t attr)
{
    dnnl_inner_product_desc_t op;
    dnnl_status_t             status = dnnl_inner_product_forward_desc_init(&op, prop, src, weights, bias, dst);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, NULL) : status;
}

static inline dnnl_status_t dnnl_inner_product_backward_data_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const_dnnl_memory_desc_t diff_src,
    const_dnnl_memory_desc_t weights, const_dnnl_memory_desc_t diff_dst, const_dnnl_primitive_desc_t hint,
    const_dnnl_primitive_attr_t attr)
{
    dnnl_inner_product_desc_t op;
    dnnl_status_t             status = dnnl_inner_product_backward_data_desc_init(&op, diff_src, weights, diff_dst);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, hint) : status;
}

static inline dnnl_status_t dnnl_inner_product_backward_weights_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const_dnnl_memory_desc_t src,
    const_dnnl_memory_desc_t diff_weights, const_dnnl_memory_desc_t diff_bias, const_dnnl_memory_desc_t diff_dst,
    const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_inner_product_desc_t op;
    dnnl_status_t status = dnnl_inner_product_backward_weights_desc_init(&op, src, diff_weights, diff_bias, diff_dst);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, hint) : status;
}

static inline dnnl_status_t
dnnl_matmul_primitive_desc_create(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const_dnnl_memory_desc_t src,
                                  const_dnnl_memory_desc_t weights, const_dnnl_memory_desc_t bias,
                                  const_dnnl_memory_desc_t dst, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t op;
    dnnl_status_t      status = dnnl_matmul_desc_init(&op, src, weights, bias, dst);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, NULL) : status;
}

/* In 2 source and destination share one descriptor, so `dst` must be equal to `src`. */
static inline dnnl_status_t dnnl_batch_normalization_forward_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t prop, const_dnnl_memory_desc_t src,
    const_dnnl_memory_desc_t dst, float epsilon, unsigned flags, const_dnnl_primitive_attr_t attr)
{
    dnnl_batch_normalization_desc_t op;
    if (!dnnl_memory_desc_equal(src, dst)) return dnnl_unimplemented;
    dnnl_status_t status = dnnl_batch_normalization_forward_desc_init(&op, prop, src, epsilon, flags);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, NULL) : status;
}

static inline dnnl_status_t dnnl_batch_normalization_backward_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t prop, const_dnnl_memory_desc_t diff_src,
    const_dnnl_memory_desc_t diff_dst, const_dnnl_memory_desc_t src, float epsilon, unsigned flags,
    const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_batch_normalization_desc_t op;
    if (!dnnl_memory_desc_equal(diff_src, diff_dst)) return dnnl_unimplemented;
    dnnl_status_t status = dnnl_batch_normalization_backward_desc_init(&op, prop, diff_src, src, epsilon, flags);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, hint) : status;
}

static inline dnnl_status_t dnnl_pooling_forward_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
    const_dnnl_memory_desc_t src, const_dnnl_memory_desc_t dst, const dnnl_dims_t strides, const dnnl_dims_t kernel,
    const dnnl_dims_t dilation, const dnnl_dims_t pad_l, const dnnl_dims_t pad_r, const_dnnl_primitive_attr_t attr)
{
    dnnl_pooling_v2_desc_t op;
    dnnl_status_t          status =
        dnnl_pooling_v2_forward_desc_init(&op, prop, alg, src, dst, strides, kernel, dilation, pad_l, pad_r);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, NULL) : status;
}

static inline dnnl_status_t dnnl_pooling_backward_primitive_desc_create(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t alg, const_dnnl_memory_desc_t diff_src,
    const_dnnl_memory_desc_t diff_dst, const dnnl_dims_t strides, const dnnl_dims_t kernel, const dnnl_dims_t dilation,
    const dnnl_dims_t pad_l, const dnnl_dims_t pad_r, const_dnnl_primitive_desc_t hint,
    const_dnnl_primitive_attr_t attr)
{
    dnnl_pooling_v2_desc_t op;
    dnnl_status_t          status =
        dnnl_pooling_v2_backward_desc_init(&op, alg, diff_src, diff_dst, strides, kernel, dilation, pad_l, pad_r);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, engine, hint) : status;
}

#endif
#endif

/* module_pool2d.c: the largest or the mean value of each window. */
#include <math.h>

#include "nn/nn.h"

static bool check_window(const plm_module *m)
{
    const plm_pool2d_desc *d = m->desc;
    if (d->exclude_pad && m->kind == &plm__kind_max_pool2d)
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "exclude_pad is for means: padding never is the maximum");
    if (d->global && (d->kernel != 0 || d->stride != 0 || d->pad != 0))
        return plm_module_fail(m, PLM_ERR_ARGUMENT,
                               "kernel %d, stride %d, pad %d: a global pool's window is the image, all three stay 0",
                               d->kernel, d->stride, d->pad);
    if (!plm__window_fits(d->kernel, d->stride, d->pad))
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "kernel %d, stride %d, pad %d: each is at most %d", d->kernel,
                               d->stride, d->pad, PLM__MAX_WINDOW);
    if (!d->global && (d->kernel < 1 || d->stride < 1 || d->pad < 0 || d->pad > d->kernel / 2))
        return plm_module_fail(m, PLM_ERR_ARGUMENT,
                               "kernel %d, stride %d, pad %d: kernel is required, kernel and stride are positive, pad "
                               "at most half the kernel",
                               d->kernel, d->stride, d->pad);
    return true;
}

static bool resolve(plm_module *m, const plm_shape *x)
{
    plm_pool2d_desc *d = m->desc;
    char             text[PLM__SHAPE_TEXT];
    if (d->stride == 0) d->stride = d->kernel;
    if (x->rank != 3)
        return plm_module_fail(m, PLM_ERR_SHAPE,
                               "its input is %s without the batch axis, expected [channels,height,width]",
                               plm__shape_text(*x, text));
    if (!check_window(m)) return false;
    m->shape = *x;
    for (int i = 1; i < 3; i++) {
        if (d->global && x->dim[i] > PLM__MAX_WINDOW)
            return plm_module_fail(m, PLM_ERR_ARGUMENT, "its input is %s: the side of a window is at most %d",
                                   plm__shape_text(*x, text), PLM__MAX_WINDOW);
        m->shape.dim[i] = d->global ? 1 : plm__window_places(x->dim[i], d->kernel, d->stride, d->pad);
        if (m->shape.dim[i] == 0)
            return plm_module_fail(m, PLM_ERR_SHAPE, "a %dx%d window is larger than its input %s padded by %d",
                                   d->kernel, d->kernel, plm__shape_text(*x, text), d->pad);
    }
    return true;
}

static plm_val apply(const plm_module *m, const plm_val *x)
{
    const plm_pool2d_desc   *d  = m->desc;
    const plm_pool2d_op_desc op = {
        .kernel = d->kernel, .stride = d->stride, .pad = d->pad, .exclude_pad = d->exclude_pad, .global = d->global
    };
    return m->kind == &plm__kind_max_pool2d ? plm_max_pool2d(x[0], &op) : plm_avg_pool2d(x[0], &op);
}

/* Along one axis: in how many windows an element is, at most. */
static double windows_of_one(const plm_pool2d_desc *d, int64_t places)
{
    const int64_t overlap = d->global ? 1 : (d->kernel + d->stride - 1) / d->stride;
    return (double)(overlap < places ? overlap : places);
}

/* How many elements of the axis the emptiest window has: those at the ends hang over. */
static double fewest_elements(const plm_pool2d_desc *d, int64_t extent, int64_t places)
{
    int64_t fewest = d->global ? extent : d->kernel;
    for (int64_t i = 0; i < places && !d->global; i++) {
        const int64_t first = i * d->stride - d->pad, last = first + d->kernel;
        const int64_t count = (last < extent ? last : extent) - (first > 0 ? first : 0);
        if (count < fewest) fewest = count;
    }
    return (double)fewest;
}

/* The squared change of a window's maximum is at most the sum of the squared changes in it, and of a mean over k elements at
 * most 1/k of that; summed over windows each element counts once for each window that it is in. */
static plm_lipschitz lipschitz(const plm_module *m, const plm_shape *x)
{
    const plm_pool2d_desc *d       = m->desc;
    const double           windows = windows_of_one(d, m->shape.dim[1]) * windows_of_one(d, m->shape.dim[2]);
    if (m->kind == &plm__kind_max_pool2d)
        return plm__lipschitz(sqrt(windows), "the root of how many windows an element is in");
    double elements = d->global ? (double)(x->dim[1] * x->dim[2]) : (double)d->kernel * d->kernel;
    if (d->exclude_pad)
        elements = fewest_elements(d, x->dim[1], m->shape.dim[1]) * fewest_elements(d, x->dim[2], m->shape.dim[2]);
    return plm__lipschitz(sqrt(windows / elements), "the root of (windows that an element is in / elements of a mean)");
}

static const plm_field fields[] = { { "kernel", PLM_FIELD_INT, offsetof(plm_pool2d_desc, kernel), 0, PLM_BOUNDS_NONE },
                                    { "stride", PLM_FIELD_INT, offsetof(plm_pool2d_desc, stride), 0, PLM_BOUNDS_NONE },
                                    { "pad", PLM_FIELD_INT, offsetof(plm_pool2d_desc, pad), 0, PLM_BOUNDS_NONE },
                                    { "exclude_pad", PLM_FIELD_BOOL, offsetof(plm_pool2d_desc, exclude_pad), 0,
                                      PLM_BOUNDS_NONE },
                                    { "global", PLM_FIELD_BOOL, offsetof(plm_pool2d_desc, global), 0, PLM_BOUNDS_NONE },
                                    { 0 } };

const plm_module_kind plm__kind_max_pool2d = { .name       = "max_pool2d",
                                               .inputs     = 1,
                                               .desc_bytes = sizeof(plm_pool2d_desc),
                                               .fields     = fields,
                                               .late       = 2,
                                               .resolve    = resolve,
                                               .apply      = apply,
                                               .lipschitz  = lipschitz };
const plm_module_kind plm__kind_avg_pool2d = { .name       = "avg_pool2d",
                                               .inputs     = 1,
                                               .desc_bytes = sizeof(plm_pool2d_desc),
                                               .fields     = fields,
                                               .late       = 2,
                                               .resolve    = resolve,
                                               .apply      = apply,
                                               .lipschitz  = lipschitz };

plm_node plm_nn_max_pool2d(plm_node x, const plm_pool2d_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_max_pool2d, desc);
}

plm_node plm_nn_avg_pool2d(plm_node x, const plm_pool2d_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_avg_pool2d, desc);
}

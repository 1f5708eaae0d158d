/* module_conv2d.c: two-dimensional convolution. */
#include "nn/nn.h"

static bool check_window(const plm_module *m)
{
    const plm_conv2d_desc *d = m->desc;
    if (d->dilation > PLM__MAX_WINDOW ||
        !plm__window_fits(plm__window_extent(d->kernel, d->dilation), d->stride, d->pad))
        return plm_module_fail(
            m, PLM_ERR_ARGUMENT,
            "kernel %d, stride %d, pad %d, dilation %d: stride, pad and what a window covers are at most %d", d->kernel,
            d->stride, d->pad, d->dilation, PLM__MAX_WINDOW);
    return true;
}

static bool resolve(plm_module *m, const plm_shape *x)
{
    const plm_conv2d_desc *d = m->desc;
    char                   text[PLM__SHAPE_TEXT];
    if (x->rank != 3)
        return plm_module_fail(m, PLM_ERR_SHAPE,
                               "its input is %s without the batch axis, expected [channels,height,width]",
                               plm__shape_text(*x, text));
    if (!check_window(m)) return false;
    if (x->dim[0] % d->groups != 0 || d->out % d->groups != 0)
        return plm_module_fail(m, PLM_ERR_SHAPE,
                               "%lld input and %lld output channels do not divide into %d groups (its input is %s)",
                               (long long)x->dim[0], (long long)d->out, d->groups, plm__shape_text(*x, text));
    const int64_t window = plm__window_extent(d->kernel, d->dilation);
    m->shape             = plm_shape_of(d->out, plm__window_places(x->dim[1], window, d->stride, d->pad),
                                        plm__window_places(x->dim[2], window, d->stride, d->pad));
    if (m->shape.dim[1] == 0 || m->shape.dim[2] == 0)
        return plm_module_fail(m, PLM_ERR_SHAPE, "a %lldx%lld window is larger than its input %s padded by %d",
                               (long long)window, (long long)window, plm__shape_text(*x, text), d->pad);
    m->groups         = d->groups;
    const plm_shape w = plm_shape_of(d->out, x->dim[0] / d->groups, d->kernel, d->kernel);
    if (!plm_module_param(m, "weight", w, PLM_ROLE_WEIGHT, 0)) return false;
    return !d->bias || plm_module_param(m, "bias", plm_shape_of(d->out), PLM_ROLE_BIAS, 0);
}

static plm_conv2d_op_desc op_desc(const plm_module *m)
{
    const plm_conv2d_desc *d = m->desc;
    return (plm_conv2d_op_desc){ .stride = d->stride, .pad = d->pad, .dilation = d->dilation, .groups = d->groups };
}

static plm_val apply(const plm_module *m, const plm_val *x)
{
    const plm_conv2d_op_desc d    = op_desc(m);
    const plm_val            bias = m->params > 1 ? plm_tape_param(x[0].tape, m->param[1]) : plm_none;
    return plm_conv2d(x[0], plm_tape_param(x[0].tape, m->param[0]), bias, &d);
}

static bool home(const plm_module *m, const plm_shape *x, bool first)
{
    const plm_conv2d_op_desc d = op_desc(m);
    plm__layout              layout;
    return plm__conv2d_home(m->graph->ctx, *x, m->param[0]->shape, &d, first, &layout) &&
           plm__param_set_home(m->param[0], &layout);
}

/* INT64_MAX: more than can be counted. */
static int64_t macs(const plm_module *m, const plm_shape *x)
{
    (void)x;
    const int64_t fan_in = plm_shape_count(m->param[0]->shape) / m->shape.dim[0];
    int64_t       product;
    return plm__mul(plm_shape_count(m->shape), fan_in, &product) ? product : INT64_MAX;
}

static plm_lipschitz lipschitz(const plm_module *m, const plm_shape *x)
{
    (void)x;
    return plm__lipschitz_of_layer(m, m->shape.dim[1] * m->shape.dim[2]);
}

static const plm_field fields[] = {
    { "out", PLM_FIELD_INT64, offsetof(plm_conv2d_desc, out), 0, PLM_BOUNDS_POSITIVE },
    { "kernel", PLM_FIELD_INT, offsetof(plm_conv2d_desc, kernel), 3, PLM_BOUNDS_POSITIVE },
    { "stride", PLM_FIELD_INT, offsetof(plm_conv2d_desc, stride), 1, PLM_BOUNDS_POSITIVE },
    { "pad", PLM_FIELD_INT, offsetof(plm_conv2d_desc, pad), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "bias", PLM_FIELD_BOOL, offsetof(plm_conv2d_desc, bias), 0, PLM_BOUNDS_NONE },
    { "dilation", PLM_FIELD_INT, offsetof(plm_conv2d_desc, dilation), 1, PLM_BOUNDS_POSITIVE },
    { "groups", PLM_FIELD_INT, offsetof(plm_conv2d_desc, groups), 1, PLM_BOUNDS_POSITIVE },
    { 0 }
};

static const plm__module_engine engine = { .home = home };

const plm_module_kind plm__kind_conv2d = { .name       = "conv2d",
                                           .inputs     = 1,
                                           .desc_bytes = sizeof(plm_conv2d_desc),
                                           .fields     = fields,
                                           .late       = 2,
                                           .resolve    = resolve,
                                           .apply      = apply,
                                           .macs       = macs,
                                           .lipschitz  = lipschitz,
                                           .engine     = &engine };

plm_node plm_nn_conv2d(plm_node x, const plm_conv2d_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_conv2d, desc);
}

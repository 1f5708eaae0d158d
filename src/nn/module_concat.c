/* module_concat.c: values side by side along an axis, and a part of one.  In a desc the batch axis does not count. */
#include "nn/nn.h"

static bool resolve_concat(plm_module *m, const plm_shape *x)
{
    char             a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    plm_concat_desc *d     = m->desc;
    const int        given = d->axis;
    if (!plm__axis(&d->axis, x[0].rank))
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "there is no axis %d in its input 0 %s (without the batch axis)",
                               given, plm__shape_text(x[0], a));
    const int odd = plm__concat_shape(x, m->inputs, d->axis, &m->shape);
    if (odd == 0) return true;
    return plm_module_fail(
        m, PLM_ERR_SHAPE,
        "its input %d is %s and its input 0 %s without the batch axis: they may differ along axis %d only", odd,
        plm__shape_text(x[odd], a), plm__shape_text(x[0], b), d->axis);
}

static plm_val apply_concat(const plm_module *m, const plm_val *x)
{
    const plm_concat_desc *d = m->desc;
    return plm_concat(x, m->inputs, d->axis + 1);
}

static plm_lipschitz lipschitz_concat(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    plm_lipschitz l = plm__lipschitz(1, "||(a, b)||^2 = ||a||^2 + ||b||^2");
    l.squares       = true;
    return l;
}

static const plm_field concat_fields[] = {
    { "axis", PLM_FIELD_INT, offsetof(plm_concat_desc, axis), 0, PLM_BOUNDS_NONE }, { 0 }
};

const plm_module_kind plm__kind_concat = { .name       = "concat",
                                           .inputs     = PLM_SEVERAL,
                                           .desc_bytes = sizeof(plm_concat_desc),
                                           .fields     = concat_fields,
                                           .resolve    = resolve_concat,
                                           .apply      = apply_concat,
                                           .lipschitz  = lipschitz_concat };

plm_node plm_nn_concat(const plm_node *x, int n, const plm_concat_desc *desc)
{
    return plm_nn_module(x, n, &plm__kind_concat, desc);
}

static bool resolve_slice(plm_module *m, const plm_shape *x)
{
    char                 text[PLM__SHAPE_TEXT];
    plm_slice_desc      *d     = m->desc;
    const plm_slice_desc given = *d;
    if (!plm__axis(&d->axis, x->rank))
        return plm_module_fail(m, PLM_ERR_ARGUMENT, "there is no axis %d in its input %s (without the batch axis)",
                               given.axis, plm__shape_text(*x, text));
    if (d->stop == 0) d->stop = x->dim[d->axis];
    if (!plm__slice_range(x->dim[d->axis], &d->start, &d->stop))
        return plm_module_fail(
            m, PLM_ERR_ARGUMENT,
            "elements %lld to %lld along axis %d of its input %s (without the batch axis): start comes "
            "before stop, both within the axis",
            (long long)given.start, (long long)given.stop, given.axis, plm__shape_text(*x, text));
    m->shape              = *x;
    m->shape.dim[d->axis] = d->stop - d->start;
    return true;
}

static plm_val apply_slice(const plm_module *m, const plm_val *x)
{
    const plm_slice_desc *d = m->desc;
    return plm_slice(x[0], d->axis + 1, d->start, d->stop);
}

static plm_lipschitz lipschitz_slice(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return plm__lipschitz(1, "some of the elements");
}

static const plm_field slice_fields[] = {
    { "axis", PLM_FIELD_INT, offsetof(plm_slice_desc, axis), 0, PLM_BOUNDS_NONE },
    { "start", PLM_FIELD_INT64, offsetof(plm_slice_desc, start), 0, PLM_BOUNDS_NONE },
    { "stop", PLM_FIELD_INT64, offsetof(plm_slice_desc, stop), 0, PLM_BOUNDS_NONE },
    { 0 }
};

const plm_module_kind plm__kind_slice = { .name       = "slice",
                                          .inputs     = 1,
                                          .desc_bytes = sizeof(plm_slice_desc),
                                          .fields     = slice_fields,
                                          .resolve    = resolve_slice,
                                          .apply      = apply_slice,
                                          .lipschitz  = lipschitz_slice };

plm_node plm_nn_slice(plm_node x, const plm_slice_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_slice, desc);
}

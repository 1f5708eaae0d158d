/* module_concat.c: values side by side along an axis, and a part of one.  In a desc the batch axis does not count. */
#include "nn/nn.h"

static bool resolve_concat(plm_graph *g, plm__node *n, const plm_shape *x)
{
    char      a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const int given = n->desc.concat.axis;
    if (!plm__axis(&n->desc.concat.axis, x[0].rank))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "there is no axis %d in its input 0 %s (without the batch axis)",
                              given, plm__shape_text(x[0], a));
    const int odd = plm__concat_shape(x, n->inputs, n->desc.concat.axis, &n->shape);
    if (odd == 0) return true;
    return plm__node_fail(
        g, n, PLM_ERR_SHAPE,
        "its input %d is %s and its input 0 %s without the batch axis: they may differ along axis %d only", odd,
        plm__shape_text(x[odd], a), plm__shape_text(x[0], b), n->desc.concat.axis);
}

static plm_val apply_concat(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    return plm_concat(in, n->inputs, n->desc.concat.axis + 1);
}

static plm_lipschitz lipschitz_concat(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    plm_lipschitz l = plm__lipschitz(1, "||(a, b)||^2 = ||a||^2 + ||b||^2");
    l.squares       = true;
    return l;
}

static const plm__field concat_fields[] = { { "axis", PLM__INT, offsetof(plm_concat_desc, axis) }, { 0 } };

const plm__kind plm__kind_concat = { .name       = "concat",
                                     .inputs     = PLM__SEVERAL,
                                     .desc_bytes = sizeof(plm_concat_desc),
                                     .fields     = concat_fields,
                                     .resolve    = resolve_concat,
                                     .apply      = apply_concat,
                                     .lipschitz  = lipschitz_concat };

plm_node plm_nn_concat(const plm_node *x, int n, const plm_concat_desc *desc)
{
    if (!x || n < 1) return (plm_node){ .id = -1 }; /* of no graph: there is no context to tell */
    return plm__graph_add_several(x[0].graph, &plm__kind_concat, x, n, desc ? desc : &(plm_concat_desc){ 0 });
}

static bool resolve_slice(plm_graph *g, plm__node *n, const plm_shape *x)
{
    char                 text[PLM__SHAPE_TEXT];
    plm_slice_desc      *d     = &n->desc.slice;
    const plm_slice_desc given = *d;
    if (!plm__axis(&d->axis, x->rank))
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT, "there is no axis %d in its input %s (without the batch axis)",
                              given.axis, plm__shape_text(*x, text));
    if (d->stop == 0) d->stop = x->dim[d->axis];
    if (!plm__slice_range(x->dim[d->axis], &d->start, &d->stop))
        return plm__node_fail(
            g, n, PLM_ERR_ARGUMENT,
            "elements %lld to %lld along axis %d of its input %s (without the batch axis): start comes "
            "before stop, both within the axis",
            (long long)given.start, (long long)given.stop, given.axis, plm__shape_text(*x, text));
    n->shape              = *x;
    n->shape.dim[d->axis] = d->stop - d->start;
    return true;
}

static plm_val apply_slice(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    return plm_slice(in[0], n->desc.slice.axis + 1, n->desc.slice.start, n->desc.slice.stop);
}

static plm_lipschitz lipschitz_slice(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return plm__lipschitz(1, "some of the elements");
}

static const plm__field slice_fields[] = { { "axis", PLM__INT, offsetof(plm_slice_desc, axis) },
                                           { "start", PLM__INT64, offsetof(plm_slice_desc, start) },
                                           { "stop", PLM__INT64, offsetof(plm_slice_desc, stop) },
                                           { 0 } };

const plm__kind plm__kind_slice = { .name       = "slice",
                                    .inputs     = 1,
                                    .desc_bytes = sizeof(plm_slice_desc),
                                    .fields     = slice_fields,
                                    .resolve    = resolve_slice,
                                    .apply      = apply_slice,
                                    .lipschitz  = lipschitz_slice };

plm_node plm_nn_slice(plm_node x, const plm_slice_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_slice, &x, desc);
}

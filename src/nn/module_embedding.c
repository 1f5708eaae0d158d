/* module_embedding.c: a learnt vector for each of `num` numbers.
 *
 * A linear map of one-hot vectors, and a weight layer like any other: d_in = num, d_out = dim.  Only its weight lies the other
 * way round, [d_in,d_out], so that a vector is a row: it is a `table`. */
#include "nn/nn.h"

static bool resolve(plm_module *m, const plm_shape *x)
{
    const plm_embedding_desc *d = m->desc;
    char                      text[PLM__SHAPE_TEXT];
    if (x->rank + 2 > PLM_MAX_RANK)
        return plm_module_fail(
            m, PLM_ERR_SHAPE,
            "its input is %s without the batch axis: with that and the axis of features there are more "
            "than %d",
            plm__shape_text(*x, text), PLM_MAX_RANK);
    m->shape                      = *x;
    m->shape.dim[m->shape.rank++] = d->dim;
    m->table                      = true;
    return plm_module_param(m, "weight", plm_shape_of(d->num, d->dim), PLM_ROLE_WEIGHT, 0);
}

static plm_val apply(const plm_module *m, const plm_val *x)
{
    return plm__embedding_of(plm_tape_param(x[0].tape, m->param[0]), x[0]);
}

static plm_lipschitz lipschitz(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return (plm_lipschitz){ .why = "unknown: its inputs are numbers of rows, their size says nothing" };
}

static const plm_field fields[] = {
    { "num", PLM_FIELD_INT64, offsetof(plm_embedding_desc, num), 0, PLM_BOUNDS_POSITIVE },
    { "dim", PLM_FIELD_INT64, offsetof(plm_embedding_desc, dim), 0, PLM_BOUNDS_POSITIVE },
    { 0 }
};

const plm_module_kind plm__kind_embedding = { .name       = "embedding",
                                              .inputs     = 1,
                                              .desc_bytes = sizeof(plm_embedding_desc),
                                              .fields     = fields,
                                              .resolve    = resolve,
                                              .apply      = apply,
                                              .lipschitz  = lipschitz };

plm_node plm_nn_embedding(plm_node x, const plm_embedding_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_embedding, desc);
}

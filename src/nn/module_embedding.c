/* module_embedding.c: a learnt vector for each of `num` numbers.
 *
 * A linear map of one-hot vectors, and a weight layer like any other: d_in = num, d_out = dim.  Only its weight lies the other
 * way round, [d_in,d_out], so that a vector is a row: the kind is a `table`. */
#include "nn/nn.h"

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    const plm_embedding_desc *d = &n->desc.embedding;
    char                      text[PLM__SHAPE_TEXT];
    if (d->num < 1 || d->dim < 1)
        return plm__node_fail(g, n, PLM_ERR_ARGUMENT,
                              "desc.num is %lld and desc.dim %lld, they are required and positive", (long long)d->num,
                              (long long)d->dim);
    if (x->rank + 2 > PLM_MAX_RANK)
        return plm__node_fail(
            g, n, PLM_ERR_SHAPE,
            "its input is %s without the batch axis: with that and the axis of features there are more "
            "than %d",
            plm__shape_text(*x, text), PLM_MAX_RANK);
    n->shape                      = *x;
    n->shape.dim[n->shape.rank++] = d->dim;
    return plm__node_param(g, n, "weight", plm_shape_of(d->num, d->dim), PLM_ROLE_WEIGHT, 0);
}

static plm_val apply(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    return plm__embedding_of(plm_tape_param(in[0].tape, n->param[0]), in[0]);
}

static plm_lipschitz lipschitz(const plm__node *n, plm_shape x)
{
    (void)n, (void)x;
    return (plm_lipschitz){ .why = "unknown: its inputs are numbers of rows, their size says nothing" };
}

static const plm__field fields[] = { { "num", PLM__INT64, offsetof(plm_embedding_desc, num) },
                                     { "dim", PLM__INT64, offsetof(plm_embedding_desc, dim) },
                                     { 0 } };

const plm__kind plm__kind_embedding = { .name         = "embedding",
                                        .inputs       = 1,
                                        .desc_bytes   = sizeof(plm_embedding_desc),
                                        .fields       = fields,
                                        .resolve      = resolve,
                                        .apply        = apply,
                                        .lipschitz    = lipschitz,
                                        .weight_layer = true,
                                        .table        = true };

plm_node plm_nn_embedding(plm_node x, const plm_embedding_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_embedding, &x, desc);
}

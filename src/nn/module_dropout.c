/* module_dropout.c: zeroes elements at random while training.  A network draws by its modules' names. */
#include "nn/nn.h"

static bool resolve(plm_graph *g, plm__node *n, const plm_shape *x)
{
    plm_dropout_desc *d = &n->desc.dropout;
    d->p                = plm__or(d->p, 0.5);
    n->shape            = *x;
    return (d->p >= 0 && d->p < 1) ||
           plm__node_fail(g, n, PLM_ERR_ARGUMENT, "desc.p is %g, expected a probability below 1", d->p);
}

static plm_val apply(const plm__node *n, const plm_val *in, double relu)
{
    (void)relu;
    const double p = n->desc.dropout.p;
    return plm_dropout(in[0], &(plm_dropout_op_desc){ .p = p != 0 ? p : PLM_ZERO });
}

static plm_lipschitz lipschitz(const plm__node *n, plm_shape x)
{
    (void)x;
    return plm__lipschitz(1 / (1 - n->desc.dropout.p), "1 / (1 - p): so much larger is what training keeps");
}

static const plm__field fields[] = { { "p", PLM__DOUBLE, offsetof(plm_dropout_desc, p) }, { 0 } };

const plm__kind plm__kind_dropout = { .name       = "dropout",
                                      .inputs     = 1,
                                      .desc_bytes = sizeof(plm_dropout_desc),
                                      .fields     = fields,
                                      .resolve    = resolve,
                                      .apply      = apply,
                                      .lipschitz  = lipschitz };

plm_node plm_nn_dropout(plm_node x, const plm_dropout_desc *desc)
{
    return plm__graph_add(x.graph, &plm__kind_dropout, &x, desc);
}

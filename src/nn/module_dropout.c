/* module_dropout.c: zeroes elements at random while training.  A network draws by its modules' names. */
#include "nn/nn.h"

static bool resolve(plm_module *m, const plm_shape *x)
{
    m->shape = *x;
    return true;
}

static plm_val apply(const plm_module *m, const plm_val *x)
{
    const plm_dropout_desc *d = m->desc;
    return plm_dropout(x[0], &(plm_dropout_op_desc){ .p = d->p != 0 ? d->p : PLM_ZERO });
}

static plm_lipschitz lipschitz(const plm_module *m, const plm_shape *x)
{
    (void)x;
    const plm_dropout_desc *d = m->desc;
    return plm__lipschitz(1 / (1 - d->p), "1 / (1 - p): so much larger is what training keeps");
}

static const plm_field fields[] = { { "p", PLM_FIELD_DOUBLE, offsetof(plm_dropout_desc, p), 0.5, PLM_BOUNDS_FRACTION },
                                    { 0 } };

const plm_module_kind plm__kind_dropout = { .name       = "dropout",
                                            .inputs     = 1,
                                            .desc_bytes = sizeof(plm_dropout_desc),
                                            .fields     = fields,
                                            .resolve    = resolve,
                                            .apply      = apply,
                                            .lipschitz  = lipschitz };

plm_node plm_nn_dropout(plm_node x, const plm_dropout_desc *desc)
{
    return plm_nn_module(&x, 1, &plm__kind_dropout, desc);
}

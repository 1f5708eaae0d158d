/* matmul.c: y = a b over the last two axes.  a [..,m,k], b [..,k,n], y [..,m,n]; leading extents equal, or 1 in a or b. */
#include "dnnl/engine.h"

static dnnl_status_t describe(const plm__request *r, dnnl_primitive_desc_t *pd)
{
    return dnnl_matmul_primitive_desc_create(pd, r->engine, r->src, r->weights, NULL, r->dst, r->attr);
}

static const plm__argument arguments[] = {
    PLM__ARGUMENT(SRC, src), PLM__ARGUMENT(WEIGHTS, weights), PLM__ARGUMENT(DST, dst), { 0 }
};

const plm__family plm__family_matmul = {
    .name      = "matmul",
    .describe  = describe,
    .arguments = { [PLM__FORWARD] = arguments },
};

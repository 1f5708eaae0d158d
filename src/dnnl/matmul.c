/* matmul.c: y = a b over the last two axes.  a [..,m,k], b [..,k,n], y [..,m,n]; leading extents equal, or 1 in a or b. */
#include "dnnl/engine.h"

#include <string.h>

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

plm__kernel *plm__matmul_get(plm_ctx *ctx, plm__layout a, plm__layout b, plm__layout y)
{
    plm__problem p;
    memset(&p, 0, sizeof p); /* its bytes are the key */
    p.primitive = PLM__MATMUL;
    p.pass      = PLM__FORWARD;
    p.src       = a;
    p.weights   = b;
    p.dst       = y;
    return plm__kernel_get(ctx, &p);
}

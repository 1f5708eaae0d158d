/* reorder.c: copies between layouts of one shape. */
#include "dnnl/engine.h"

static dnnl_status_t describe(const plm__request *r, dnnl_primitive_desc_t *pd)
{
    return dnnl_reorder_primitive_desc_create(pd, r->src, r->engine, r->dst, r->engine, r->attr);
}

static const plm__argument arguments[] = { PLM__ARGUMENT(FROM, src), PLM__ARGUMENT(TO, dst), { 0 } };

const plm__family plm__family_reorder = {
    .name      = "reorder",
    .describe  = describe,
    .arguments = { [PLM__FORWARD] = arguments },
};

bool plm__reorder(plm_ctx *ctx, const plm__layout *from, const void *src, const plm__layout *to, void *dst)
{
    plm__kernel *k = plm__kernel_get(ctx, &(plm__problem){ .primitive = PLM__REORDER, .src = *from, .dst = *to });
    if (!k) return false;
    bool ok = plm__kernel_run(ctx, k, &(plm__args){ .src = src, .dst = dst });
    plm__kernel_drop(ctx, k);
    return ok;
}

/* reorder.c: copies between layouts of one shape. */
#include "dnnl/engine.h"

#include <string.h>

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

/* Where each index of each axis lies, axis by axis: an element lies at the sum of its indices' places. */
static void places(const plm__layout *l, int64_t *place)
{
    int64_t index[PLM_MAX_RANK] = { 0 };
    for (int a = 0; a < l->rank; a++) {
        for (index[a] = 0; index[a] < l->dim[a]; index[a]++) *place++ = plm__layout_offset(l, index);
        index[a] = 0;
    }
}

static void copy(const int64_t *dim, int rank, const int64_t *from, const float *src, const int64_t *to, float *dst)
{
    for (int64_t i = 0; i < *dim; i++)
        if (rank > 1) copy(dim + 1, rank - 1, from + *dim, src + from[i], to + *dim, dst + to[i]);
        else dst[to[i]] = src[from[i]];
}

static bool copy_padded(plm_ctx *ctx, const plm__layout *from, const void *src, const plm__layout *to, void *dst)
{
    plm__engine *e     = plm__engine_get(ctx);
    int64_t      total = 0;
    for (int a = 0; a < from->rank; a++) total += from->dim[a];
    if (!e || !plm__engine_scratch(ctx, e, 2 * (size_t)total * sizeof(int64_t))) return false;
    int64_t *place = e->scratch->data;
    places(from, place);
    places(to, place + total);
    if (plm__layout_padded(to)) memset(dst, 0, (size_t)plm__layout_floats(to) * sizeof(float));
    copy(from->dim, from->rank, place, src, place + total, dst);
    return true;
}

/* oneDNN 3.7.2 loses numbers on some processors (seen on AMD's Zen 5) in a blocked layout whose last block is not full: of
 * 10x256 to AB16b64a three in four.  2.6 does not, nor 3.7 where all blocks are full. */
static bool loses_numbers(const plm__layout *from, const plm__layout *to)
{
    return DNNL_VERSION_MAJOR >= 3 && (plm__layout_padded(from) || plm__layout_padded(to)) &&
           plm_shape_equal(plm__layout_shape(from), plm__layout_shape(to));
}

bool plm__reorder(plm_ctx *ctx, const plm__layout *from, const void *src, const plm__layout *to, void *dst)
{
    if (loses_numbers(from, to)) return copy_padded(ctx, from, src, to, dst);
    plm__kernel *k = plm__kernel_get(ctx, &(plm__problem){ .primitive = PLM__REORDER, .src = *from, .dst = *to });
    if (!k) return false;
    bool ok = plm__kernel_run(ctx, k, &(plm__args){ .src = src, .dst = dst });
    plm__kernel_drop(ctx, k);
    return ok;
}

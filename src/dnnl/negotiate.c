/* negotiate.c: one activation layout for all passes of an op.  oneDNN's forward choice alone is a trap: for some channel
 * counts the backward passes have only reference code for it, thousands of times slower.  So candidates are asked for in
 * a fixed order, and what counts is the worst pass. */
#include "dnnl/engine.h"

#include <string.h>

typedef enum { MISSING, REFERENCE, FAST } verdict;

typedef struct {
    plm__layout src, dst;
} candidate;

#define MAX_CANDIDATES 7
#define WINOGRAD_SCRATCH ((size_t)512 << 20) /* bytes: it grows with the batch */

static bool is_any(const plm__layout *l)
{
    return l->blocks == PLM__ANY;
}

/* nChw16c for the source means nChw16c for the destination, nhwc means nhwc. */
static plm__layout same_kind(const plm__layout *l, plm_shape s)
{
    return plm_shape_equal(plm__layout_shape(l), s) ? *l : plm__layout_like(l, s);
}

static int list_candidates(const plm__problem *p, bool keep_src, candidate list[MAX_CANDIDATES])
{
    plm_shape s = plm__layout_shape(&p->src), d = plm__layout_shape(&p->dst);
    bool      images = s.rank == 4 && d.rank == 4;
    int       n      = 0;
    if (keep_src && !is_any(&p->src)) {
        if (images) list[n++] = (candidate){ p->src, plm__layout_any(d) };
        list[n++] = (candidate){ p->src, same_kind(&p->src, d) };
    }
    if (images) {
        list[n++] = (candidate){ plm__layout_any(s), plm__layout_any(d) };
        list[n++] = (candidate){ plm__layout_channels_blocked(s, 16), plm__layout_channels_blocked(d, 16) };
        list[n++] = (candidate){ plm__layout_channels_blocked(s, 8), plm__layout_channels_blocked(d, 8) };
        list[n++] = (candidate){ plm__layout_channels_last(s), plm__layout_channels_last(d) };
    }
    list[n++] = (candidate){ plm__layout_plain(s), plm__layout_plain(d) };
    return n;
}

/* Adds one pass to the verdict; `resolved`, if not NULL, takes the layouts that oneDNN chose. */
static verdict judge_pass(plm_ctx *ctx, const plm__problem *p, verdict so_far, plm__problem *resolved)
{
    if (so_far == MISSING) return MISSING;
    plm__kernel *k = plm__kernel_try(ctx, p);
    if (!k) return MISSING;
    if (resolved) {
        resolved->src     = *plm__kernel_src(k);
        resolved->weights = *plm__kernel_weights(k);
        resolved->dst     = *plm__kernel_dst(k);
    }
    if (plm__kernel_reference(k)) so_far = REFERENCE;
    if (p->winograd && k->scratch > WINOGRAD_SCRATCH) so_far = MISSING;
    plm__kernel_drop(ctx, k);
    return so_far;
}

/* *p becomes the resolved forward problem. */
static verdict judge(plm_ctx *ctx, const candidate *c, plm__needs needs, plm__problem *p)
{
    p->src    = c->src;
    p->dst    = c->dst;
    verdict v = judge_pass(ctx, p, FAST, p);
    v         = judge_pass(ctx, p, v, NULL); /* the kernel that will run is asked for with what ANY became */
    if (v == MISSING) return MISSING;

    plm__problem back = *p;
    if (p->primitive == PLM__CONV2D || p->primitive == PLM__LINEAR) {
        back.weights = plm__layout_any(plm__layout_shape(&p->weights));
        back.pass    = PLM__BACKWARD_DATA;
        if (needs.data) v = judge_pass(ctx, &back, v, NULL);
        back.pass = PLM__BACKWARD_WEIGHTS;
        if (needs.weights) v = judge_pass(ctx, &back, v, NULL);
    } else if (p->primitive == PLM__BATCH_NORM) {
        back.pass = PLM__BACKWARD;
        if (needs.data || needs.weights) v = judge_pass(ctx, &back, v, NULL);
    } else if (p->primitive == PLM__MAX_POOL || p->primitive == PLM__AVG_POOL) {
        back.pass = PLM__BACKWARD_DATA;
        if (needs.data) v = judge_pass(ctx, &back, v, NULL);
    }
    return v;
}

bool plm__winograd_suits(const plm_ctx *ctx, const plm__problem *p)
{
    if (p->primitive != PLM__CONV2D || ctx->conv == PLM_CONV_DIRECT) return false;
    const int64_t *x = p->src.dim, *y = p->dst.dim, *w = p->weights.dim;
    if (p->weights.rank != 4 || p->dilation > 1) return false; /* grouped, or not dense */
    if (w[2] != 3 || w[3] != 3 || p->stride != 1) return false;
    if (ctx->conv == PLM_CONV_WINOGRAD) return true;
    const int64_t tiles = (y[2] + 3) / 4 * ((y[3] + 3) / 4), most = w[0] > w[1] ? w[0] : w[1]; /* of 4x4 outputs */
    return w[0] >= 32 && w[1] >= 32 && 10 * y[2] * y[3] >= 7 * (16 * tiles) && 8 * x[0] * tiles >= most;
}

/* All three passes exist within the bound on scratch memory: *p becomes the resolved forward problem. */
static bool try_winograd(plm_ctx *ctx, plm__problem *p)
{
    const plm_shape x = plm__layout_shape(&p->src), y = plm__layout_shape(&p->dst);
    const candidate c     = { plm__layout_channels_blocked(x, 16), plm__layout_channels_blocked(y, 16) };
    plm__problem    tried = *p;
    tried.winograd        = 1;
    if (judge(ctx, &c, (plm__needs){ .data = true, .weights = true }, &tried) != FAST) return false;
    *p = tried;
    return true;
}

bool plm__negotiate(plm_ctx *ctx, plm__problem *p, plm__needs needs)
{
    if (ctx->status != PLM_OK) return false;
    p->winograd = 0;
    if (plm__winograd_suits(ctx, p) && try_winograd(ctx, p)) return true;
    if (ctx->status != PLM_OK) return false;
    candidate    list[MAX_CANDIDATES];
    int          n    = list_candidates(p, needs.keep_src, list);
    verdict      best = MISSING;
    plm__problem chosen;
    for (int i = 0; i < n && best != FAST; i++) {
        plm__problem tried = *p;
        verdict      v     = judge(ctx, &list[i], needs, &tried);
        if (ctx->status != PLM_OK) return false;
        if (v > best) {
            best   = v;
            chosen = tried;
        }
    }
    if (best == MISSING) return plm__dnnl_fail(ctx, dnnl_unimplemented, "find a layout for", p);
    p->src     = chosen.src;
    p->weights = chosen.weights;
    p->dst     = chosen.dst;
    return true;
}

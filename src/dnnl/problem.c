/* problem.c: the description of a kernel as a key, as a hash and as words. */
#include "dnnl/engine.h"

#include <stdio.h>
#include <string.h>

/* Problems are compared as bytes: there must be none between the fields. */
_Static_assert(sizeof(plm__problem) == 3 * sizeof(plm__layout) + 12 * sizeof(int32_t) + 2 * sizeof(plm__pass),
               "plm__problem has padding");
_Static_assert(sizeof(plm__problem) % sizeof(uint64_t) == 0, "plm__problem is hashed in words");

const plm__family *plm__problem_family(const plm__problem *p)
{
    static const plm__family *const families[] = {
        [PLM__CONV2D] = &plm__family_conv2d,     [PLM__LINEAR] = &plm__family_linear,
        [PLM__MATMUL] = &plm__family_matmul,     [PLM__BATCH_NORM] = &plm__family_batch_norm,
        [PLM__MAX_POOL] = &plm__family_max_pool, [PLM__AVG_POOL] = &plm__family_avg_pool,
        [PLM__REORDER] = &plm__family_reorder,
    };
    return families[p->primitive];
}

plm__problem plm__problem_canonical(const plm__problem *p)
{
    plm__problem c;
    memset(&c, 0, sizeof c);
    c.primitive = p->primitive;
    c.pass      = p->pass;
    c.src       = p->src;
    c.dst       = p->dst;
    switch (p->primitive) {
    case PLM__CONV2D:
        c.stride   = p->stride;
        c.pad      = p->pad;
        c.dilation = p->dilation > 1 ? p->dilation : 1;
        c.winograd = p->winograd != 0;
        /* fall through */
    case PLM__LINEAR:
        if (p->pass == PLM__INFERENCE) c.pass = PLM__FORWARD; /* oneDNN has no other code for it */
        c.weights = p->weights;
        if (c.pass != PLM__BACKWARD_DATA) c.bias = p->bias != 0;
        if (c.pass == PLM__FORWARD) c.relu_scale = p->relu_scale;
        break;
    case PLM__MATMUL:
        c.pass    = PLM__FORWARD;
        c.weights = p->weights;
        break;
    case PLM__BATCH_NORM:
        c.affine       = p->affine != 0;
        c.relu         = p->relu != 0;
        c.eps          = p->eps;
        c.global_stats = p->global_stats != 0 || p->pass == PLM__INFERENCE;
        break;
    case PLM__AVG_POOL:
        if (p->pass == PLM__INFERENCE) c.pass = PLM__FORWARD; /* it never has a workspace */
        c.exclude_pad = p->exclude_pad != 0;
        /* fall through */
    case PLM__MAX_POOL:
        c.kernel = p->kernel;
        c.stride = p->stride;
        c.pad    = p->pad;
        break;
    case PLM__REORDER:
        c.pass = PLM__FORWARD;
        break;
    }
    return c;
}

uint64_t plm__problem_hash(const plm__problem *p)
{
    uint64_t word[sizeof *p / sizeof(uint64_t)], hash = 14695981039346656037u; /* FNV-1a, a word at a time */
    memcpy(word, p, sizeof word);
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++) {
        hash = (hash ^ word[i]) * 1099511628211u;
        hash ^= hash >> 32;
    }
    return hash;
}

char *plm__problem_text(const plm__problem *p, char text[PLM__PROBLEM_TEXT])
{
    static const char *const passes[] = { "forward", "inference", "backward data", "backward weights", "backward" };
    const char              *name     = plm__problem_family(p)->name;
    char                     src[PLM__SHAPE_TEXT], weights[PLM__SHAPE_TEXT], dst[PLM__SHAPE_TEXT], extra[64] = "";
    plm__shape_text(plm__layout_shape(&p->src), src);
    plm__shape_text(plm__layout_shape(&p->weights), weights);
    plm__shape_text(plm__layout_shape(&p->dst), dst);

    switch (p->primitive) {
    case PLM__CONV2D:
    case PLM__LINEAR:
        if (p->primitive == PLM__CONV2D)
            snprintf(extra, sizeof extra, p->dilation > 1 ? ", stride %d, pad %d, dilation %d" : ", stride %d, pad %d",
                     (int)p->stride, (int)p->pad, (int)p->dilation);
        snprintf(text, PLM__PROBLEM_TEXT, "%s %s (x %s, w %s, y %s%s)", name, passes[p->pass], src, weights, dst,
                 extra);
        break;
    case PLM__MATMUL:
        snprintf(text, PLM__PROBLEM_TEXT, "%s (a %s, b %s, y %s)", name, src, weights, dst);
        break;
    case PLM__MAX_POOL:
    case PLM__AVG_POOL:
        snprintf(extra, sizeof extra, ", kernel %d, stride %d, pad %d", (int)p->kernel, (int)p->stride, (int)p->pad);
        /* fall through */
    case PLM__BATCH_NORM:
        snprintf(text, PLM__PROBLEM_TEXT, "%s %s (x %s, y %s%s)", name, passes[p->pass], src, dst, extra);
        break;
    case PLM__REORDER:
        snprintf(text, PLM__PROBLEM_TEXT, "%s (%s to %s)", name, src, dst);
        break;
    }
    return text;
}

/* table.c: the kernels of a context, found by their problem.  A kernel stays while somebody holds it; of those nobody
 * holds the least recently used go first when there are too many. */
#include "dnnl/engine.h"

#include <assert.h>
#include <string.h>

static plm__kernel **bucket_of(plm__engine *e, uint64_t hash)
{
    return &e->bucket[hash % PLM__KERNEL_BUCKETS];
}

static plm__kernel *find(plm__engine *e, const plm__problem *canonical, uint64_t hash)
{
    for (plm__kernel *k = *bucket_of(e, hash); k; k = k->chain)
        /* Canonical problems have zeros as padding.  NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*) */
        if (k->hash == hash && memcmp(&k->problem, canonical, sizeof *canonical) == 0) return k;
    return NULL;
}

static void remove_unused(plm__engine *e, plm__kernel *k)
{
    *(k->older ? &k->older->newer : &e->oldest) = k->newer;
    *(k->newer ? &k->newer->older : &e->newest) = k->older;
    k->older = k->newer = NULL;
    e->unused--;
}

static void append_unused(plm__engine *e, plm__kernel *k)
{
    k->older                                    = e->newest;
    *(k->older ? &k->older->newer : &e->oldest) = k;
    e->newest                                   = k;
    e->unused++;
}

static void evict_oldest(plm_ctx *ctx, plm__engine *e)
{
    plm__kernel  *k    = e->oldest;
    plm__kernel **link = bucket_of(e, k->hash);
    while (*link != k) link = &(*link)->chain;
    *link = k->chain;
    remove_unused(e, k);
    plm__kernel_free(ctx, k);
}

/* As plm__kernel_make. */
static plm__kernel *find_or_make(plm_ctx *ctx, const plm__problem *canonical, dnnl_status_t *why)
{
    *why           = dnnl_success;
    plm__engine *e = plm__engine_get(ctx);
    if (!e) return NULL;
    uint64_t     hash = plm__problem_hash(canonical);
    plm__kernel *k    = find(e, canonical, hash);
    if (k) {
        if (k->refs++ == 0) remove_unused(e, k);
        return k;
    }
    k = plm__kernel_make(ctx, canonical, why);
    if (!k) return NULL;
    k->refs             = 1;
    k->hash             = hash;
    k->chain            = *bucket_of(e, hash);
    *bucket_of(e, hash) = k;
    return k;
}

plm__kernel *plm__kernel_get(plm_ctx *ctx, const plm__problem *p)
{
    dnnl_status_t why;
    plm__problem  canonical = plm__problem_canonical(p);
    plm__kernel  *k         = find_or_make(ctx, &canonical, &why);
    if (!k && why != dnnl_success) plm__dnnl_fail(ctx, why, "make", &canonical);
    return k;
}

plm__kernel *plm__kernel_try(plm_ctx *ctx, const plm__problem *p)
{
    dnnl_status_t why;
    plm__problem  canonical = plm__problem_canonical(p);
    plm__kernel  *k         = find_or_make(ctx, &canonical, &why);
    if (!k && why == dnnl_out_of_memory) plm__dnnl_fail(ctx, why, "make", &canonical);
    return k;
}

void plm__kernel_keep(plm__kernel *k)
{
    assert(k->refs > 0);
    k->refs++;
}

void plm__kernel_drop(plm_ctx *ctx, plm__kernel *k)
{
    if (!k) return;
    assert(k->refs > 0);
    if (--k->refs > 0) return;
    plm__engine *e = ctx->floor[PLM__FLOOR_DNNL].state;
    append_unused(e, k);
    if (e->unused > PLM__UNUSED_KERNELS) evict_oldest(ctx, e);
}

void plm__table_clear(plm_ctx *ctx, plm__engine *e)
{
    for (int i = 0; i < PLM__KERNEL_BUCKETS; i++)
        while (e->bucket[i]) {
            plm__kernel *k = e->bucket[i];
            e->bucket[i]   = k->chain;
            plm__kernel_free(ctx, k);
        }
}

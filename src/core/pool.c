/* pool.c: large blocks of memory that are used again, within a step and across steps.
 *
 * Touching fresh memory costs more than most kernels that run on it (19 ms against 1.1 ms for a 33 MB activation), so
 * blocks go back to the pool and stay there until the context is freed.  Sizes are rounded to four classes per octave: a
 * loop of fixed shapes finds its own blocks again, and a slightly different shape finds them too. */
#include "core/memory.h"

#if defined(__SANITIZE_ADDRESS__) /* gcc says it so */
#define POISONS
#elif defined(__has_feature) /* and clang so */
#if __has_feature(address_sanitizer)
#define POISONS
#endif
#endif

#ifdef POISONS
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

enum { ALIGN = 64, SMALLEST = 256 };

/* The smallest class whose size is at least *bytes, which becomes that size: 256, 320, 384, 448, 512, 640 ... */
static int round_to_class(size_t *bytes)
{
    size_t octave = SMALLEST;
    int    slot   = 0;
    while (octave < *bytes && octave * 2 <= *bytes) {
        octave *= 2;
        slot += 4;
    }
    for (size_t quarter = 0; quarter < 4; quarter++)
        if (octave + quarter * (octave / 4) >= *bytes) {
            *bytes = octave + quarter * (octave / 4);
            return slot + (int)quarter;
        }
    *bytes = octave * 2;
    return slot + 4;
}

plm__block *plm__pool_get(plm_ctx *ctx, size_t bytes)
{
    size_t size = bytes;
    if (bytes > SIZE_MAX / 4) {
        plm__fail(ctx, PLM_ERR_MEMORY, "memory pool: out of memory (%zu bytes)", bytes);
        return NULL;
    }
    const int   slot = round_to_class(&size);
    plm__block *b    = ctx->pool_free[slot];
    if (b) {
        ctx->pool_free[slot] = b->next;
        UNPOISON(b->data, b->bytes);
        b->refs = 1;
        return b;
    }
    b = ctx->pool_spare;
    if (b) ctx->pool_spare = b->next;
    else if (!(b = plm__new(ctx, sizeof *b, "memory pool"))) return NULL;
    b->data = plm__memory_take(ctx, size, ALIGN);
    if (!b->data) { /* perhaps blocks of other sizes stand in the way */
        plm__pool_trim(ctx);
        b->data = plm__memory_take(ctx, size, ALIGN);
    }
    if (!b->data) {
        b->next         = ctx->pool_spare;
        ctx->pool_spare = b;
        plm__fail(ctx, PLM_ERR_MEMORY, "memory pool: out of memory (%zu bytes)", bytes);
        return NULL;
    }
    b->bytes      = size;
    b->size_class = slot;
    b->refs       = 1;
    return b;
}

void plm__pool_keep(plm__block *b)
{
    b->refs++;
}

void plm__pool_drop(plm_ctx *ctx, plm__block *b)
{
    if (!b || --b->refs > 0) return;
    POISON(b->data, b->bytes);
    b->next                       = ctx->pool_free[b->size_class];
    ctx->pool_free[b->size_class] = b;
}

void plm__pool_trim(plm_ctx *ctx)
{
    for (int slot = 0; slot < PLM__POOL_CLASSES; slot++)
        while (ctx->pool_free[slot]) {
            plm__block *b        = ctx->pool_free[slot];
            ctx->pool_free[slot] = b->next;
            UNPOISON(b->data, b->bytes);
            plm__memory_give(ctx, b->data, b->bytes);
            plm__delete(ctx, b);
        }
    while (ctx->pool_spare) {
        plm__block *b   = ctx->pool_spare;
        ctx->pool_spare = b->next;
        plm__delete(ctx, b);
    }
}

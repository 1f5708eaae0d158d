/* memory.c: objects from the context's allocator.
 *
 * Each object is preceded by its size, since the allocator's free wants it back. */
#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER = 16, HUGE_PAGE = 1 << 21 };

static void *system_alloc(void *user, size_t bytes, size_t align)
{
    (void)user;
    const bool large  = bytes >= 2 * (size_t)HUGE_PAGE;
    void      *memory = NULL;
    if (large && align < HUGE_PAGE) align = HUGE_PAGE;
    if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, bytes) != 0) return NULL;
#ifdef MADV_HUGEPAGE
    if (large) madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: a refusal changes nothing */
#endif
    return memory;
}

static void system_free(void *user, void *memory, size_t bytes)
{
    (void)user, (void)bytes;
    free(memory);
}

plm_allocator plm__system_allocator(void)
{
    return (plm_allocator){ .alloc = system_alloc, .free = system_free };
}

void *plm__memory_take(plm_ctx *ctx, size_t bytes, size_t align)
{
    void *memory = ctx->allocator.alloc(ctx->allocator.user, bytes, align);
    if (!memory) return NULL;
    plm_ctx_stats *s = &ctx->stats;
    s->allocations++;
    s->bytes += bytes;
    if (s->bytes > s->peak_bytes) s->peak_bytes = s->bytes;
    return memory;
}

void plm__memory_give(plm_ctx *ctx, void *memory, size_t bytes)
{
    ctx->stats.bytes -= bytes;
    ctx->allocator.free(ctx->allocator.user, memory, bytes);
}

void *plm__new(plm_ctx *ctx, size_t bytes, const char *what)
{
    char *memory = bytes < SIZE_MAX / 2 ? plm__memory_take(ctx, bytes + HEADER, HEADER) : NULL;
    if (!memory) {
        plm__fail(ctx, PLM_ERR_MEMORY, "%s: out of memory (%zu bytes)", what, bytes);
        return NULL;
    }
    memset(memory, 0, bytes + HEADER);
    memcpy(memory, &bytes, sizeof bytes);
    return memory + HEADER;
}

void plm__delete(plm_ctx *ctx, void *object)
{
    if (!object) return;
    char  *memory = (char *)object - HEADER;
    size_t bytes;
    memcpy(&bytes, memory, sizeof bytes);
    plm__memory_give(ctx, memory, bytes + HEADER);
}

char *plm__strdup(plm_ctx *ctx, const char *text)
{
    return plm__strdupf(ctx, "%s", text);
}

char *plm__strdupf(plm_ctx *ctx, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, fmt, args);
    char     *copy   = length >= 0 ? plm__new(ctx, (size_t)length + 1, "a name") : NULL;
    if (copy) vsnprintf(copy, (size_t)length + 1, fmt, again);
    va_end(again);
    va_end(args);
    return copy;
}

bool plm__grow(plm_ctx *ctx, void *array, int *capacity, int need, size_t size, const char *what)
{
    if (need <= *capacity) return true;
    const int larger = need > 2 * *capacity ? need + 8 : 2 * *capacity;
    void    **slot   = array;
    void     *moved  = plm__new(ctx, (size_t)larger * size, what);
    if (!moved) return false;
    if (*slot) memcpy(moved, *slot, (size_t)*capacity * size);
    plm__delete(ctx, *slot);
    *slot     = moved;
    *capacity = larger;
    return true;
}

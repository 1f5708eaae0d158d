/* ctx.c: the context and its one sticky error.
 *
 * The first cause wins; later calls do nothing until plm_ctx_clear.  The message lives in a fixed buffer inside the
 * context, so that "out of memory" can be said without memory. */
#include "core/core.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"

enum { MAX_THREADS = 4096 }; /* beyond, OpenMP ends the program */

static const plm_ctx_desc defaults = { 0 };

plm_ctx *plm_ctx_new(const plm_ctx_desc *desc)
{
    const plm_ctx_desc *d         = desc ? desc : &defaults;
    const bool          countable = d->threads >= 0 && d->threads <= MAX_THREADS && d->threads <= plm__thread_limit();
    const bool          complete  = (d->allocator.alloc != NULL) == (d->allocator.free != NULL);
    const plm_allocator allocator = d->allocator.alloc && complete ? d->allocator : plm__system_allocator();

    plm_ctx *ctx = allocator.alloc(allocator.user, sizeof *ctx, 64);
    if (!ctx) return NULL;
    *ctx = (plm_ctx){ .on_error      = d->on_error,
                      .on_error_user = d->on_error_user,
                      .allocator     = allocator,
                      .seed          = d->seed,
                      .check_finite  = d->check_finite,
                      .conv          = d->conv,
                      .threads       = d->threads > 0 && countable ? d->threads : plm__available_threads(),
                      .stats         = { .allocations = 1, .bytes = sizeof *ctx, .peak_bytes = sizeof *ctx } };
    if (!complete) plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_ctx_new: allocator has only one of alloc and free");
    if (d->threads < 0 || d->threads > MAX_THREADS)
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_ctx_new: threads is %d, expected 0 to %d", d->threads, MAX_THREADS);
    else if (!countable)
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_ctx_new: threads is %d, and OpenMP's environment allows %d", d->threads,
                  plm__thread_limit());
    if (d->conv < PLM_CONV_AUTO || d->conv > PLM_CONV_WINOGRAD)
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_ctx_new: conv is %d, expected PLM_CONV_AUTO, _DIRECT or _WINOGRAD",
                  (int)d->conv);
    return ctx;
}

void plm_ctx_free(plm_ctx *ctx)
{
    if (!ctx) return;
    for (int i = (int)(sizeof ctx->floor / sizeof ctx->floor[0]) - 1; i >= 0; i--)
        if (ctx->floor[i].state) ctx->floor[i].free(ctx, ctx->floor[i].state);
    plm__pool_trim(ctx);
    plm_allocator allocator = ctx->allocator;
    allocator.free(allocator.user, ctx, sizeof *ctx);
}

plm_status plm_ctx_status(const plm_ctx *ctx)
{
    return ctx ? ctx->status : PLM_ERR_ARGUMENT;
}

const char *plm_ctx_error(const plm_ctx *ctx)
{
    return ctx ? ctx->message : "there is no context (NULL)";
}

void plm_ctx_clear(plm_ctx *ctx)
{
    if (!ctx || ctx->gate_depth > 0) return; /* a call that is running still needs its tapes */
    ctx->clears++;
    ctx->status     = PLM_OK;
    ctx->message[0] = '\0';
    for (size_t i = 0; i < sizeof ctx->floor / sizeof ctx->floor[0]; i++)
        if (ctx->floor[i].state && ctx->floor[i].reset) ctx->floor[i].reset(ctx, ctx->floor[i].state);
}

bool plm__vfail(plm_ctx *ctx, plm_status status, const char *fmt, va_list args)
{
    if (!ctx || ctx->status != PLM_OK) return false;
    ctx->status = status;
    vsnprintf(ctx->message, sizeof ctx->message, fmt, args);
    if (ctx->on_error) ctx->on_error(ctx->on_error_user, status, ctx->message);
    return false;
}

bool(plm__fail)(plm_ctx *ctx, plm_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    plm__vfail(ctx, status, fmt, args);
    va_end(args);
    return false;
}

bool plm_ctx_fail(plm_ctx *ctx, plm_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    plm__vfail(ctx, status == PLM_OK ? PLM_ERR_ARGUMENT : status, fmt, args);
    va_end(args);
    return false;
}

int plm_ctx_threads(const plm_ctx *ctx)
{
    if (!ctx) return 0;
    return ctx->threads;
}

uint64_t plm_ctx_seed(const plm_ctx *ctx)
{
    if (!ctx) return 0;
    return ctx->seed;
}

plm_ctx_stats plm_ctx_statistics(const plm_ctx *ctx)
{
    if (!ctx) return (plm_ctx_stats){ 0 };
    return ctx->stats;
}

const char *plm_status_name(plm_status status)
{
    switch (status) {
    case PLM_OK:
        return "ok";
    case PLM_ERR_ARGUMENT:
        return "argument";
    case PLM_ERR_SHAPE:
        return "shape";
    case PLM_ERR_STATE:
        return "state";
    case PLM_ERR_MEMORY:
        return "memory";
    case PLM_ERR_IO:
        return "io";
    case PLM_ERR_FORMAT:
        return "format";
    case PLM_ERR_NONFINITE:
        return "non-finite";
    case PLM_ERR_ENGINE:
        return "engine";
    }
    return "unknown";
}

double plm__seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

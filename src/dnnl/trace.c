/* trace.c: which kernels a step runs, and how long those take with nothing around them. */
#include "dnnl/engine.h"

#include <string.h>
#include <time.h>

/* A noted kernel's own buffers: one block per argument. */
typedef struct {
    plm__kernel *kernel;
    plm__block  *block[PLM__MAX_ARGUMENTS];
    plm__args    args;
} replayed;

void plm__trace_note(plm__engine *e, plm__kernel *k)
{
    plm__trace *t = &e->trace;
    if (t->count == t->capacity) return;
    plm__kernel_keep(k);
    t->kernel[t->count++] = k;
}

void plm__trace_clear(plm_ctx *ctx, plm__engine *e)
{
    plm__trace *t = &e->trace;
    for (int i = 0; i < t->count; i++) plm__kernel_drop(ctx, t->kernel[i]);
    plm__delete(ctx, t->kernel);
    *t = (plm__trace) { 0 };
}

/* The pool's blocks hold old data, which may be nan: zeros keep the arithmetic ordinary. */
static bool give_buffers(plm_ctx *ctx, replayed *r)
{
    const plm__kernel *k = r->kernel;
    for (int i = 0; i < k->args; i++) {
        if (k->arg[i].arg == DNNL_ARG_SCRATCHPAD) continue;
        r->block[i] = plm__pool_get(ctx, k->bytes[i]);
        if (!r->block[i]) return false;
        memset(r->block[i]->data, 0, k->bytes[i]);
        memcpy((char *)&r->args + k->field[i], &r->block[i]->data, sizeof(void *));
    }
    return true;
}

static bool run_all(plm_ctx *ctx, replayed *const *order, int count)
{
    for (int i = 0; i < count; i++)
        if (!plm__kernel_run(ctx, order[i]->kernel, &order[i]->args)) return false;
    return true;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A kernel noted several times gets one set of buffers.  The first pass touches them, the second is timed. */
static double replay(plm_ctx *ctx, const plm__trace *t, replayed *set, replayed **order)
{
    int sets = 0;
    for (int i = 0; i < t->count; i++) {
        int s = 0;
        while (s < sets && set[s].kernel != t->kernel[i]) s++;
        if (s == sets) {
            set[sets++].kernel = t->kernel[i];
            if (!give_buffers(ctx, &set[s])) return -1;
        }
        order[i] = &set[s];
    }
    if (!run_all(ctx, order, t->count)) return -1;
    double start = seconds();
    return run_all(ctx, order, t->count) ? seconds() - start : -1;
}

bool plm__trace_start(plm_ctx *ctx, int capacity)
{
    plm__engine *e = plm__engine_get(ctx);
    if (!e) return false;
    if (capacity < 1) return plm__fail(ctx, PLM_ERR_ARGUMENT, "a trace of %d kernels: it needs room for one", capacity);
    plm__trace_clear(ctx, e);
    e->trace.kernel = plm__new(ctx, (size_t)capacity * sizeof(plm__kernel *), "a trace of kernels");
    if (!e->trace.kernel) return false;
    e->trace.capacity = capacity;
    e->trace.on       = true;
    return true;
}

int plm__trace_stop(plm_ctx *ctx)
{
    plm__engine *e = plm__engine_get(ctx);
    if (!e) return 0;
    e->trace.on = false;
    return e->trace.count;
}

double plm__trace_replay(plm_ctx *ctx)
{
    plm__engine *e = plm__engine_get(ctx);
    if (!e) return -1;
    plm__trace *t = &e->trace;
    if (t->count == 0) {
        plm__fail(ctx, PLM_ERR_STATE, "replay of a trace: no kernel was noted between its start and stop");
        return -1;
    }
    bool       on    = t->on;
    replayed  *set   = plm__new(ctx, (size_t)t->count * sizeof *set, "buffers of a replay");
    replayed **order = set ? plm__new(ctx, (size_t)t->count * sizeof *order, "the order of a replay") : NULL;
    t->on            = false;
    double time      = order ? replay(ctx, t, set, order) : -1;
    t->on            = on;
    for (int i = 0; set && i < t->count; i++)
        for (int a = 0; a < PLM__MAX_ARGUMENTS; a++) plm__pool_drop(ctx, set[i].block[a]);
    plm__delete(ctx, order);
    plm__delete(ctx, set);
    return time;
}

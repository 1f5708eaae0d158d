/* trace.c: which kernels a step runs, and how long those take with nothing around them.
 *
 * A replay has buffers of its own, and two arguments share one exactly where they shared memory when they were noted: the
 * kernels read and write as many bytes, as warm or cold in cache, as in the step itself. */
#include "dnnl/engine.h"

#include <string.h>

/* A buffer of the replay, in the place of memory that noted runs used. */
typedef struct {
    const void *original;
    size_t      bytes;
    bool        workspace;
    plm__block *block;
} stand_in;

void plm__trace_note(plm__engine *e, plm__kernel *k, const plm__args *args)
{
    plm__trace *t = &e->trace;
    if (t->count == t->capacity) return;
    plm__kernel_keep(k);
    t->run[t->count++] = (plm__noted){ k, *args };
}

void plm__trace_clear(plm_ctx *ctx, plm__engine *e)
{
    plm__trace *t = &e->trace;
    for (int i = 0; i < t->count; i++) plm__kernel_drop(ctx, t->run[i].kernel);
    plm__delete(ctx, t->run);
    *t = (plm__trace){ 0 };
}

static void **argument(plm__args *args, const plm__kernel *k, int a)
{
    return (void **)(void *)((char *)args + k->field[a]);
}

/* Lists the memory of run r in `table` (`count` so far); the new count. */
static int list_memory(plm__noted *r, stand_in *table, int count)
{
    for (int a = 0; a < r->kernel->args; a++) {
        if (r->kernel->arg[a].arg == DNNL_ARG_SCRATCHPAD) continue;
        const void *original = *argument(&r->args, r->kernel, a);
        int         i        = 0;
        while (i < count && table[i].original != original) i++;
        if (i == count) table[count++] = (stand_in){ .original = original };
        if (r->kernel->bytes[a] > table[i].bytes) table[i].bytes = r->kernel->bytes[a];
        if (r->kernel->arg[a].arg == DNNL_ARG_WORKSPACE) table[i].workspace = true;
    }
    return count;
}

/* Small random numbers: zeros would let the processor run faster than in the step, and old data may be nan.  A workspace
 * holds indices, of which zero is always good. */
static void fill(const stand_in *s)
{
    float   *x      = s->block->data;
    uint32_t random = 1;
    memset(x, 0, s->bytes);
    for (size_t i = 0; !s->workspace && i < s->bytes / sizeof *x; i++) {
        random = random * 1664525u + 1013904223u; /* Knuth & Lewis */
        x[i]   = ((float)(random >> 8) * 0x1p-24f - 0.5f) / 8;
    }
}

static bool give_buffers(plm_ctx *ctx, stand_in *table, int count)
{
    for (int i = 0; i < count; i++) {
        table[i].block = plm__pool_get(ctx, table[i].bytes);
        if (!table[i].block) return false;
        fill(&table[i]);
    }
    return true;
}

static void put_stand_ins(plm__noted *r, const stand_in *table)
{
    for (int a = 0; a < r->kernel->args; a++) {
        if (r->kernel->arg[a].arg == DNNL_ARG_SCRATCHPAD) continue;
        void **place = argument(&r->args, r->kernel, a);
        int    i     = 0;
        while (table[i].original != *place) i++;
        *place = table[i].block->data;
    }
}

static bool run_all(plm_ctx *ctx, const plm__noted *run, int count)
{
    for (int i = 0; i < count; i++)
        if (!plm__kernel_run(ctx, run[i].kernel, &run[i].args)) return false;
    return true;
}

/* The first pass touches the buffers, the second is timed. */
static double replay(plm_ctx *ctx, plm__noted *run, int runs, stand_in *table)
{
    int count = 0;
    for (int i = 0; i < runs; i++) count = list_memory(&run[i], table, count);
    if (!give_buffers(ctx, table, count)) return -1;
    for (int i = 0; i < runs; i++) put_stand_ins(&run[i], table);
    if (!run_all(ctx, run, runs)) return -1;
    double start = plm__seconds();
    return run_all(ctx, run, runs) ? plm__seconds() - start : -1;
}

bool plm__trace_start(plm_ctx *ctx, int capacity)
{
    plm__engine *e = plm__engine_get(ctx);
    if (!e) return false;
    if (capacity < 1) return plm__fail(ctx, PLM_ERR_ARGUMENT, "a trace of %d kernels: it needs room for one", capacity);
    plm__trace_clear(ctx, e);
    e->trace.run = plm__new(ctx, (size_t)capacity * sizeof *e->trace.run, "a trace of kernels");
    if (!e->trace.run) return false;
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
    bool        on    = t->on;
    int         most  = t->count * PLM__MAX_ARGUMENTS;
    plm__noted *run   = plm__new(ctx, (size_t)t->count * sizeof *run, "a replay");
    stand_in   *table = run ? plm__new(ctx, (size_t)most * sizeof *table, "a replay") : NULL;
    double      time  = -1;
    t->on             = false;
    if (table) {
        memcpy(run, t->run, (size_t)t->count * sizeof *run);
        time = replay(ctx, run, t->count, table);
    }
    t->on = on;
    for (int i = 0; table && i < most; i++) plm__pool_drop(ctx, table[i].block);
    plm__delete(ctx, table);
    plm__delete(ctx, run);
    return time;
}

/* gate.c: the one door of every public call that may run kernels.
 *
 * oneDNN hangs when called from inside an OpenMP parallel region, and its primitives keep the thread count they were made
 * with: so the door refuses the first and sets the second, on a busy machine too (OMP_DYNAMIC would give fewer), and puts the
 * caller's settings back on leaving. */
#include "core/memory.h"

#include <omp.h>
#include <stdio.h>

bool plm__enter(plm_ctx *ctx, const char *call)
{
    if (!ctx) return false;
    if (ctx->gate_depth == 0 && omp_in_parallel()) {
        /* Several threads may arrive here at once; a context belongs to one, so only its error is written. */
#pragma omp critical(plm_gate)
        plm__fail(ctx, PLM_ERR_STATE, "%s: called inside an OpenMP parallel region", call);
        return false;
    }
    if (ctx->status != PLM_OK) return false;
    if (ctx->gate_depth++ == 0) {
        ctx->gate_threads = omp_get_max_threads();
        ctx->gate_dynamic = omp_get_dynamic();
        if (ctx->gate_threads != ctx->threads) omp_set_num_threads(ctx->threads);
        if (ctx->gate_dynamic) omp_set_dynamic(0);
    }
    return true;
}

void plm__leave(plm_ctx *ctx)
{
    if (--ctx->gate_depth > 0) return;
    if (ctx->gate_threads != ctx->threads) omp_set_num_threads(ctx->gate_threads);
    if (ctx->gate_dynamic) omp_set_dynamic(1);
}

/* CPUs that the cgroup's quota amounts to, rounded up; 0: no quota. */
static int cgroup_threads(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!file) return 0;
    long quota = 0, period = 0;
    /* The kernel wrote it, so no number is out of range.  NOLINTNEXTLINE(cert-err34-c) */
    const int found = fscanf(file, "%ld %ld", &quota, &period); /* "max 100000" reads none */
    fclose(file);
    return found == 2 && quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int plm__available_threads(void)
{
    const int processors = omp_get_num_procs(); /* affinity */
    const int quota      = cgroup_threads();
    const int threads    = quota > 0 && quota < processors ? quota : processors;
    return threads < plm__thread_limit() ? threads : plm__thread_limit();
}

int plm__thread_limit(void)
{
    return omp_get_max_active_levels() > 0 ? omp_get_thread_limit() : 1;
}

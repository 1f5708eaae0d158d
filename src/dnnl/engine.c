/* engine.c: a context's connection to oneDNN, made at first use: CPU engine, stream, scratchpad. */
#include "dnnl/engine.h"

#include <stdio.h>

static void engine_free(plm_ctx *ctx, void *state)
{
    plm__engine *e = state;
    plm__trace_clear(ctx, e);
    plm__table_clear(ctx, e);
    plm__pool_drop(ctx, e->scratch);
    if (e->stream) dnnl_stream_destroy(e->stream);
    if (e->engine) dnnl_engine_destroy(e->engine);
    plm__delete(ctx, e);
}

plm__engine *plm__engine_get(plm_ctx *ctx)
{
    plm__engine *e = ctx->floor[PLM__FLOOR_DNNL].state;
    if (e) return e;
    e = plm__new(ctx, sizeof *e, "oneDNN's state");
    if (!e) return NULL;

    dnnl_status_t status = dnnl_engine_create(&e->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = dnnl_stream_create(&e->stream, e->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        engine_free(ctx, e);
        plm__fail(ctx, status == dnnl_out_of_memory ? PLM_ERR_MEMORY : PLM_ERR_ENGINE,
                  "cannot start oneDNN on this CPU: oneDNN says %s", plm__dnnl_word(status));
        return NULL;
    }
    ctx->floor[PLM__FLOOR_DNNL].state = e;
    ctx->floor[PLM__FLOOR_DNNL].free  = engine_free;
    return e;
}

bool plm__engine_scratch(plm_ctx *ctx, plm__engine *e, size_t bytes)
{
    if (bytes == 0 || (e->scratch && e->scratch->bytes >= bytes)) return true;
    plm__block *larger = plm__pool_get(ctx, bytes);
    if (!larger) return false;
    plm__pool_drop(ctx, e->scratch);
    e->scratch = larger;
    return true;
}

const char *plm__dnnl_word(dnnl_status_t status)
{
    switch (status) {
    case dnnl_success:
        return "success";
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "unimplemented";
    case dnnl_not_required:
        return "not required";
    default:
        return "runtime error";
    }
}

bool plm__dnnl_fail(plm_ctx *ctx, dnnl_status_t status, const char *what, const plm__problem *p)
{
    char text[PLM__PROBLEM_TEXT];
    return plm__fail(ctx, status == dnnl_out_of_memory ? PLM_ERR_MEMORY : PLM_ERR_ENGINE,
                     "cannot %s %s: oneDNN says %s", what, plm__problem_text(p, text), plm__dnnl_word(status));
}

const char *plm_engine_version(void)
{
    static _Thread_local char text[48];
    const dnnl_version_t     *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

const char *plm_engine_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "SSE41";
    case dnnl_cpu_isa_avx:
        return "AVX";
    case dnnl_cpu_isa_avx2:
        return "AVX2";
    case dnnl_cpu_isa_avx2_vnni:
        return "AVX2_VNNI";
    case dnnl_cpu_isa_avx512_core:
        return "AVX512_CORE";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "AVX512_CORE_VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "AVX512_CORE_BF16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "AVX512_CORE_AMX";
#if DNNL_VERSION_MAJOR >= 3
    case dnnl_cpu_isa_avx2_vnni_2:
        return "AVX2_VNNI_2";
    case dnnl_cpu_isa_avx512_core_fp16:
        return "AVX512_CORE_FP16";
    case dnnl_cpu_isa_avx512_core_amx_fp16:
        return "AVX512_CORE_AMX_FP16";
#endif
    default:
        return "GENERIC";
    }
}

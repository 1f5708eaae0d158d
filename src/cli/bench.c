/* bench.c: plummet bench: the time of a training step and of its parts, on random images. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

static void add(cJSON *into, const char *key, double x)
{
    cJSON_AddNumberToObject(into, key, round(x * 1e4) / 1e4);
}

static bool print_json(plm_ctx *ctx, const cli_settings *s, const plm_bench_result *r, const cli_profile *p)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "arch", s->arch);
    cJSON_AddStringToObject(o, "optim", s->optim);
    add(o, "batch", (double)s->batch);
    add(o, "threads", plm_ctx_threads(ctx));
    cJSON_AddStringToObject(o, "onednn", plm_engine_version());
    cJSON_AddStringToObject(o, "isa", plm_engine_isa());
    add(o, "step_ms", r->step_ms);
    add(o, "forward_ms", r->forward_ms);
    add(o, "backward_ms", r->backward_ms);
    add(o, "optimizer_ms", r->optimizer_ms);
    add(o, "images_per_s", r->images_per_s);
    add(o, "peak_rss_mb", r->peak_rss_mb);
    add(o, "primitive_ms", r->primitive_ms);
    add(o, "reference_kernels", plm_ctx_statistics(ctx).reference_kernels);
    char *text = !s->profile || cli_profile_json(p, o) ? cJSON_PrintUnformatted(o) : NULL;
    cJSON_Delete(o);
    if (!text) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "bench: out of memory");
    puts(text);
    free(text);
    return true;
}

static bool print_text(plm_ctx *ctx, const cli_settings *s, const plm_bench_result *r, const cli_profile *p)
{
    printf("%s for %s by %s, batch %lld, %d threads, oneDNN %s (%s)\n", s->arch, s->dataset, s->optim,
           (long long)s->batch, plm_ctx_threads(ctx), plm_engine_version(), plm_engine_isa());
    printf("step       %10.3f ms   (median of %lld)\n", r->step_ms, (long long)s->steps);
    printf("forward    %10.3f ms\n", r->forward_ms);
    printf("backward   %10.3f ms\n", r->backward_ms);
    printf("optimizer  %10.3f ms\n", r->optimizer_ms);
    printf("primitives %10.3f ms   (forward and backward, nothing around them)\n", r->primitive_ms);
    printf("%.0f images/s, at most %.0f MB, %d reference kernels\n", r->images_per_s, r->peak_rss_mb,
           plm_ctx_statistics(ctx).reference_kernels);
    return !s->profile || cli_profile_print(p) || plm_ctx_fail(ctx, PLM_ERR_MEMORY, "bench: out of memory");
}

bool cli_bench(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra)
{
    if (!cli_dataset_check(s, false) || !cli_optimizer_check(s)) return false;
    const plm_arch *arch = cli_arch_find(extra, s);
    cli_form        form;
    if (!arch || !cli_dataset_form(ctx, s, &form)) return false;
    cli_profile          profile = { 0 };
    const plm_bench_desc desc    = { .batch = s->batch,
                                     .steps = (int)s->steps,
                                     .loss  = cli_loss(s),
                                     .on_op = s->profile ? cli_profile_add : NULL,
                                     .user  = &profile };
    plm_bench_result     result;
    plm_graph           *net = cli_arch_build(ctx, arch, s, form.shape, form.classes);
    /* Random labels at a default rate make some networks diverge; the time does not depend on the rate. */
    plm_optimizer *opt = net ? cli_optimizer_new(net, s, 1e-9) : NULL;
    bool           ok  = opt && plm_bench(net, opt, &desc, &result);
    if (ok && s->json) ok = print_json(ctx, s, &result, &profile);
    else if (ok) ok = print_text(ctx, s, &result, &profile);
    cli_profile_free(&profile);
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return ok;
}

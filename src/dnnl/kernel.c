/* kernel.c: one oneDNN primitive with its memory objects.  Making a kernel only asks oneDNN what it would do; the code is
 * generated at the first run, since many kernels are made for a look at them.  Later runs set pointers and execute. */
#include "dnnl/engine.h"

#include <assert.h>
#include <string.h>

static dnnl_status_t make_attr(const plm__problem *p, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t ops    = NULL;
    dnnl_status_t   status = dnnl_primitive_attr_create(attr);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status != dnnl_success || p->relu_scale == 0.0f) return status;
    status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) status = plm__append_relu(ops, p->relu_scale);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return status;
}

static dnnl_status_t make_md(plm__engine *e, const plm__family *family, const plm__layout *l, plm__md *m)
{
    plm__layout seen = family->view ? family->view(l) : *l;
    return plm__md_make(e, &seen, m);
}

static dnnl_status_t describe(plm__engine *e, const plm__problem *p, dnnl_primitive_desc_t *pd)
{
    const plm__family    *family  = plm__problem_family(p);
    bool                  weights = p->weights.rank > 0;
    dnnl_primitive_attr_t attr    = NULL;
    plm__md               md[4];
    memset(md, 0, sizeof md);

    dnnl_status_t status = make_attr(p, &attr);
    if (status == dnnl_success) status = make_md(e, family, &p->src, &md[0]);
    if (status == dnnl_success) status = make_md(e, family, &p->dst, &md[1]);
    if (status == dnnl_success && weights) status = plm__md_make(e, &p->weights, &md[2]);
    if (status == dnnl_success && p->bias) {
        plm__layout bias = plm__layout_plain(plm_shape_of(p->dst.dim[1]));
        status           = plm__md_make(e, &bias, &md[3]);
    }
    if (status == dnnl_success)
        status = family->describe(&(plm__request){ .p       = p,
                                                   .engine  = e->engine,
                                                   .attr    = attr,
                                                   .src     = plm__md_lend(&md[0]),
                                                   .dst     = plm__md_lend(&md[1]),
                                                   .weights = plm__md_lend(&md[2]),
                                                   .bias    = plm__md_lend(&md[3]) },
                                  pd);
    for (int i = 0; i < 4; i++) plm__md_drop(&md[i]);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status;
}

static const_dnnl_memory_desc_t argument_md(const plm__kernel *k, int arg)
{
    return dnnl_primitive_desc_query_md(k->pd, dnnl_query_exec_arg_md, arg);
}

/* What oneDNN chose for `asked`, described by the first of these arguments that the primitive has. */
static bool resolve(const plm__kernel *k, const plm__layout *asked, int arg, int diff_arg, plm__layout *l)
{
    *l = *asked;
    if (asked->blocks != PLM__ANY) return true;
    const_dnnl_memory_desc_t m = argument_md(k, arg);
    if (!m || dnnl_memory_desc_get_size(m) == 0) m = argument_md(k, diff_arg);
    return plm__md_layout(m, l);
}

static void add_argument(plm__kernel *k, int arg, size_t field)
{
    const_dnnl_memory_desc_t m     = argument_md(k, arg);
    size_t                   bytes = m ? dnnl_memory_desc_get_size(m) : 0;
    if (bytes == 0) return;
    assert(k->args < PLM__MAX_ARGUMENTS);
    k->arg[k->args].arg = arg;
    k->field[k->args]   = field;
    k->bytes[k->args++] = bytes;
    if (arg == DNNL_ARG_WORKSPACE) k->workspace = bytes;
    if (arg == DNNL_ARG_SCRATCHPAD) k->scratch = bytes;
}

/* Batch norm without scale and shift: oneDNN 2.6 describes the arguments all the same. */
static bool is_affine(int arg)
{
    return arg == DNNL_ARG_SCALE || arg == DNNL_ARG_SHIFT || arg == DNNL_ARG_DIFF_SCALE || arg == DNNL_ARG_DIFF_SHIFT;
}

plm__kernel *plm__kernel_make(plm_ctx *ctx, const plm__problem *canonical, dnnl_status_t *why)
{
    *why           = dnnl_success;
    plm__engine *e = plm__engine_get(ctx);
    plm__kernel *k = e ? plm__new(ctx, sizeof *k, "a kernel") : NULL;
    if (!k) return NULL;
    const plm__argument *arguments = plm__problem_family(canonical)->arguments[canonical->pass];
    assert(arguments); /* else the family has no such pass */
    k->problem = *canonical;
    *why       = describe(e, canonical, &k->pd);
    if (*why == dnnl_success &&
        (!resolve(k, &canonical->src, DNNL_ARG_SRC, DNNL_ARG_DIFF_SRC, &k->src) ||
         !resolve(k, &canonical->dst, DNNL_ARG_DST, DNNL_ARG_DIFF_DST, &k->dst) ||
         !resolve(k, &canonical->weights, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_WEIGHTS, &k->weights)))
        *why = dnnl_unimplemented; /* a layout of its own that nobody else could read */
    if (*why == dnnl_success) *why = dnnl_primitive_desc_query(k->pd, dnnl_query_impl_info_str, 0, &k->name);
    if (*why != dnnl_success) {
        plm__kernel_free(ctx, k);
        return NULL;
    }
    k->reference = strncmp(k->name, "ref", 3) == 0;
    for (const plm__argument *a = arguments; a->arg != 0; a++)
        if (canonical->affine || !is_affine(a->arg)) add_argument(k, a->arg, a->field);
    add_argument(k, DNNL_ARG_WORKSPACE, offsetof(plm__args, workspace));
    add_argument(k, DNNL_ARG_SCRATCHPAD, 0);
    return k;
}

void plm__kernel_free(plm_ctx *ctx, plm__kernel *k)
{
    if (k->primitive && k->reference) ctx->stats.reference_kernels--;
    for (int i = 0; i < k->args; i++)
        if (k->arg[i].memory) dnnl_memory_destroy(k->arg[i].memory);
    if (k->primitive) dnnl_primitive_destroy(k->primitive);
    if (k->pd) dnnl_primitive_desc_destroy(k->pd);
    plm__delete(ctx, k);
}

bool plm__kernel_reference(const plm__kernel *k)
{
    return k->reference;
}

const char *plm__kernel_name(const plm__kernel *k)
{
    return k->name;
}

const plm__layout *plm__kernel_src(const plm__kernel *k)
{
    return &k->src;
}

const plm__layout *plm__kernel_weights(const plm__kernel *k)
{
    return &k->weights;
}

const plm__layout *plm__kernel_dst(const plm__kernel *k)
{
    return &k->dst;
}

size_t plm__kernel_workspace(const plm__kernel *k)
{
    return k->workspace;
}

/* At the first run.  What exists after a failure is used by the next attempt. */
static dnnl_status_t create(plm_ctx *ctx, plm__engine *e, plm__kernel *k)
{
    for (int i = 0; i < k->args; i++) {
        if (k->arg[i].memory) continue;
        dnnl_status_t status =
            dnnl_memory_create(&k->arg[i].memory, argument_md(k, k->arg[i].arg), e->engine, DNNL_MEMORY_NONE);
        if (status != dnnl_success) return status;
    }
    dnnl_status_t status = dnnl_primitive_create(&k->primitive, k->pd);
    if (status != dnnl_success) return status;
    ctx->stats.primitives++;
    if (k->reference) ctx->stats.reference_kernels++;
    return dnnl_success;
}

static dnnl_status_t execute(plm__engine *e, plm__kernel *k, const plm__args *args)
{
    for (int i = 0; i < k->args; i++) {
        void *data;
        if (k->arg[i].arg == DNNL_ARG_SCRATCHPAD) data = e->scratch->data;
        else memcpy(&data, (const char *)args + k->field[i], sizeof data);
        assert(data);
        dnnl_status_t status = dnnl_memory_set_data_handle(k->arg[i].memory, data);
        if (status != dnnl_success) return status;
    }
    dnnl_status_t status = dnnl_primitive_execute(k->primitive, e->stream, k->args, k->arg);
    return status == dnnl_success ? dnnl_stream_wait(e->stream) : status;
}

bool plm__kernel_run(plm_ctx *ctx, plm__kernel *k, const plm__args *args)
{
    plm__engine *e = plm__engine_get(ctx);
    if (!e || !plm__engine_scratch(ctx, e, k->scratch)) return false;
    if (!k->primitive) {
        dnnl_status_t status = create(ctx, e, k);
        if (status != dnnl_success) return plm__dnnl_fail(ctx, status, "make", &k->problem);
    }
    dnnl_status_t status = execute(e, k, args);
    if (status != dnnl_success) return plm__dnnl_fail(ctx, status, "run", &k->problem);
    if (e->trace.on) plm__trace_note(e, k, args);
    return true;
}

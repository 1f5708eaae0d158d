/* weighted.c: convolutions and linear layers.  Activations stay in the layout they are in and oneDNN chooses the next; weights
 * are in the layout that forward chooses, as Plummet's, and the backward passes take it if there is fast code for that. */
#include "list.h"

#include <math.h>

typedef enum { FORWARD, BACK_DATA, BACK_WEIGHTS } pass;

/* y of x and weights. */
typedef struct {
    bool                     conv;
    dnnl_alg_kind_t          algorithm;
    int                      stride, pad;
    dnnl_primitive_attr_t    attr; /* of the forward pass */
    const_dnnl_memory_desc_t x, y;
} weighted;

static dnnl_status_t describe(const step *s, const weighted *w, pass p, const_dnnl_memory_desc_t weights,
                              dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    const dnnl_dims_t      stride = { w->stride, w->stride }, dense = { 0, 0 }, pad = { w->pad, w->pad };
    const dnnl_prop_kind_t training = dnnl_forward_training;
    if (!w->conv) switch (p) {
        case FORWARD:
            return dnnl_inner_product_forward_primitive_desc_create(pd, s->engine, training, w->x, weights, NULL, w->y,
                                                                    w->attr);
        case BACK_DATA:
            return dnnl_inner_product_backward_data_primitive_desc_create(pd, s->engine, w->x, weights, w->y, hint,
                                                                          s->attr);
        case BACK_WEIGHTS:
            return dnnl_inner_product_backward_weights_primitive_desc_create(pd, s->engine, w->x, weights, NULL, w->y,
                                                                             hint, s->attr);
        }
    switch (p) {
    case FORWARD:
        return dnnl_convolution_forward_primitive_desc_create(pd, s->engine, training, w->algorithm, w->x, weights,
                                                              NULL, w->y, stride, dense, pad, pad, w->attr);
    case BACK_DATA:
        return dnnl_convolution_backward_data_primitive_desc_create(pd, s->engine, w->algorithm, w->x, weights, w->y,
                                                                    stride, dense, pad, pad, hint, s->attr);
    case BACK_WEIGHTS:
        return dnnl_convolution_backward_weights_primitive_desc_create(pd, s->engine, w->algorithm, w->x, weights, NULL,
                                                                       w->y, stride, dense, pad, pad, hint, s->attr);
    }
    return dnnl_invalid_arguments;
}

/* A backward pass that takes the weights in the layout forward has them in, or else in the one that it likes. */
static dnnl_status_t prefer_home(step *s, const weighted *w, pass p, const_dnnl_memory_desc_t any,
                                 dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *pd)
{
    dnnl_status_t status = describe(s, w, p, md_in(forward, DNNL_ARG_WEIGHTS), forward, pd);
    if (status == dnnl_success && is_reference(*pd)) {
        dnnl_primitive_desc_destroy(*pd);
        status = dnnl_unimplemented;
    }
    if (status != dnnl_success) status = describe(s, w, p, any, forward, pd);
    if (status == dnnl_success) keep_pd(s, *pd);
    return status;
}

/* All passes of `l`, which keeps them. */
static dnnl_status_t describe_passes(step *s, weighted w, const_dnnl_memory_desc_t any, layer *l)
{
    dnnl_status_t status = describe(s, &w, FORWARD, any, NULL, &l->forward);
    if (status != dnnl_success) return status;
    keep_pd(s, l->forward);
    w.x = md_in(l->forward, DNNL_ARG_SRC); /* the backward passes keep to what forward chose */
    w.y = md_in(l->forward, DNNL_ARG_DST);
    if (!s->value[l->x].is_input) status = prefer_home(s, &w, BACK_DATA, any, l->forward, &l->back_data);
    return status == dnnl_success ? prefer_home(s, &w, BACK_WEIGHTS, any, l->forward, &l->back_weights) : status;
}

static void backward_weighted(step *s, const layer *l)
{
    const memory dy = s->value[l->y].gradient;
    if (l->back_data) {
        const memory w  = reordered(s, l->weights, md_in(l->back_data, DNNL_ARG_WEIGHTS), OWN);
        const memory dx = make_memory(s, md_in(l->back_data, DNNL_ARG_DIFF_SRC), GRADIENT, 0);
        add_run(s, l->back_data, 3,
                (dnnl_exec_arg_t[]){
                    { DNNL_ARG_DIFF_DST, dy.of }, { DNNL_ARG_WEIGHTS, w.of }, { DNNL_ARG_DIFF_SRC, dx.of } });
        set_gradient(s, l->x, dx);
    }
    const memory dw = make_memory(s, md_in(l->back_weights, DNNL_ARG_DIFF_WEIGHTS), OWN, 0);
    add_run(s, l->back_weights, 3,
            (dnnl_exec_arg_t[]){ { DNNL_ARG_DIFF_DST, dy.of },
                                 { DNNL_ARG_SRC, s->value[l->x].data.of },
                                 { DNNL_ARG_DIFF_WEIGHTS, dw.of } });
    reordered(s, dw, md_of(l->weights), OWN); /* where optimisers want the gradient */
    drop_gradient(s, l->y);
}

/* With weights such that y is as large as x, whatever the depth. */
static int add_weighted(step *s, layer *l, int rank, const dnnl_dim_t *dim, double fan_in)
{
    if (s->error[0]) return 0;
    l->x        = relayout(s, l->x, md_in(l->forward, DNNL_ARG_SRC));
    l->weights  = make_memory(s, md_in(l->forward, DNNL_ARG_WEIGHTS), OWN, (float)sqrt(3 / fan_in));
    l->backward = backward_weighted;
    l->y        = add_value(s, rank, dim, make_memory(s, md_in(l->forward, DNNL_ARG_DST), OWN, 0));
    add_run(s, l->forward, 3,
            (dnnl_exec_arg_t[]){ { DNNL_ARG_SRC, s->value[l->x].data.of },
                                 { DNNL_ARG_WEIGHTS, l->weights.of },
                                 { DNNL_ARG_DST, s->value[l->y].data.of } });
    add_layer(s, l);
    return l->y;
}

/* The rule of Plummet (plm__winograd_suits in src/dnnl/dnnl.h): 3x3, stride 1, enough channels, tiles of 4x4 well filled and
 * enough of them. */
static bool winograd_suits(const dnnl_dims_t x, const dnnl_dims_t y, int kernel, int stride)
{
    const int64_t tiles = (y[2] + 3) / 4 * ((y[3] + 3) / 4), most = x[1] > y[1] ? x[1] : y[1];
    return kernel == 3 && stride == 1 && x[1] >= 32 && y[1] >= 32 && 10 * y[2] * y[3] >= 7 * 16 * tiles &&
           8 * x[0] * tiles >= most;
}

static size_t scratch_of(dnnl_primitive_desc_t pd)
{
    const_dnnl_memory_desc_t md = pd ? md_in(pd, DNNL_ARG_SCRATCHPAD) : NULL;
    return md ? dnnl_memory_desc_get_size(md) : 0;
}

/* Do all passes exist, by fast code, and for Winograd's algorithm within a bound on scratch memory?  Then `l` has them. */
static bool attempt(step *s, weighted w, const_dnnl_memory_desc_t any, layer *l)
{
    const size_t most = w.algorithm == dnnl_convolution_winograd ? (size_t)512 << 20 : SIZE_MAX;
    layer        got  = *l;
    if (describe_passes(s, w, any, &got) != dnnl_success) return false;
    const dnnl_primitive_desc_t passes[] = { got.forward, got.back_weights, got.back_data };
    for (int i = 0; i < 3; i++)
        if (passes[i] && (is_reference(passes[i]) || scratch_of(passes[i]) > most)) return false;
    *l = got;
    return true;
}

/* oneDNN has Winograd's algorithm up to 3.1 and on AVX-512; on AVX2 some sizes have fast code for channels last only. */
static bool choose(step *s, weighted w, bool winograd, const dnnl_dims_t x, const dnnl_dims_t y,
                   const_dnnl_memory_desc_t any, layer *l)
{
    w.algorithm = dnnl_convolution_winograd;
    if (winograd && attempt(s, w, any, l)) return true;
    w.algorithm = dnnl_convolution_direct;
    if (attempt(s, w, any, l)) return true;
    plm__md last[] = { make_md(s, 4, x, dnnl_acdb), make_md(s, 4, y, dnnl_acdb) };
    w.x            = plm__md_lend(&last[0]);
    w.y            = plm__md_lend(&last[1]);
    const bool ok  = attempt(s, w, any, l);
    for (int i = 0; i < 2; i++) plm__md_drop(&last[i]);
    return ok;
}

int step_conv(step *s, int x, int64_t out, int kernel, int stride)
{
    if (s->error[0]) return 0;
    const value      *v    = &s->value[x];
    const int         pad  = kernel / 2;
    const dnnl_dims_t wdim = { out, v->dim[1], kernel, kernel };
    const dnnl_dims_t ydim = { v->dim[0], out, (v->dim[2] + 2 * pad - kernel) / stride + 1,
                               (v->dim[3] + 2 * pad - kernel) / stride + 1 };
    plm__md           xmd  = make_md(s, 4, v->dim, dnnl_format_tag_any);
    plm__md           wmd  = make_md(s, 4, wdim, dnnl_format_tag_any);
    plm__md           ymd  = make_md(s, 4, ydim, dnnl_format_tag_any);
    const weighted    w    = { .conv   = true,
                               .stride = stride,
                               .pad    = pad,
                               .attr   = s->attr,
                               .x      = v->is_input ? plm__md_lend(&xmd) : md_of(v->data),
                               .y      = plm__md_lend(&ymd) };
    layer             l    = { .x = x };
    if (!choose(s, w, winograd_suits(v->dim, ydim, kernel, stride), v->dim, ydim, plm__md_lend(&wmd), &l))
        fail(s, dnnl_unimplemented, "describe a convolution");
    plm__md_drop(&xmd);
    plm__md_drop(&wmd);
    plm__md_drop(&ymd);
    return add_weighted(s, &l, 4, ydim, (double)v->dim[1] * kernel * kernel);
}

static dnnl_status_t make_relu(step *s, float scale, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t ops    = NULL;
    dnnl_status_t   status = dnnl_primitive_attr_clone(attr, s->attr);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) status = plm__append_relu(ops, scale);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return status;
}

int step_linear(step *s, int x, int64_t out, float relu)
{
    if (s->error[0]) return 0;
    const int64_t         in   = s->value[x].dim[1];
    const dnnl_dims_t     wdim = { out, in }, ydim = { s->value[x].dim[0], out };
    plm__md               wmd = make_md(s, 2, wdim, dnnl_format_tag_any), ymd = make_md(s, 2, ydim, dnnl_ab);
    dnnl_primitive_attr_t attr = NULL;
    if (relu > 0) fail(s, make_relu(s, relu, &attr), "describe a ReLU");
    const weighted w = { .attr = attr ? attr : s->attr, .x = md_of(s->value[x].data), .y = plm__md_lend(&ymd) };
    layer          l = { .x = x };
    fail(s, describe_passes(s, w, plm__md_lend(&wmd), &l), "describe a linear layer");
    plm__md_drop(&wmd);
    plm__md_drop(&ymd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return add_weighted(s, &l, 2, ydim, (double)in);
}

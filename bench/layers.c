/* layers.c: layers without weights: batch norm with ReLU, pools, and what only moves or adds. */
#include "list.h"

int step_input(step *s, int64_t n, int64_t c, int64_t h, int64_t w)
{
    const dnnl_dims_t dim  = { n, c, h, w };
    const int         rank = h > 0 ? 4 : 2;
    plm__md           md   = make_md(s, rank, dim, rank == 4 ? dnnl_abcd : dnnl_ab);
    const int         x    = add_value(s, rank, dim, make_memory(s, plm__md_lend(&md), OWN, 1));
    plm__md_drop(&md);
    s->value[x].is_input = true;
    return x;
}

static void backward_norm(step *s, const layer *l)
{
    const memory dx = make_memory(s, md_of(s->value[l->x].data), GRADIENT, 0);
    add_run(s, l->back_data, 6,
            (dnnl_exec_arg_t[]){ { DNNL_ARG_SRC, s->value[l->x].data.of },
                                 { DNNL_ARG_MEAN, l->mean.of },
                                 { DNNL_ARG_VARIANCE, l->variance.of },
                                 { DNNL_ARG_WORKSPACE, l->workspace.of },
                                 { DNNL_ARG_DIFF_DST, s->value[l->y].gradient.of },
                                 { DNNL_ARG_DIFF_SRC, dx.of } });
    drop_gradient(s, l->y);
    set_gradient(s, l->x, dx);
}

static dnnl_status_t describe_norm(step *s, layer *l)
{
    const float              eps    = 1e-5f;
    const unsigned           flags  = dnnl_fuse_norm_relu;
    const_dnnl_memory_desc_t md     = md_of(s->value[l->x].data);
    dnnl_status_t            status = dnnl_batch_normalization_forward_primitive_desc_create(
                   &l->forward, s->engine, dnnl_forward_training, md, md, eps, flags, s->attr);
    if (status != dnnl_success) return status;
    keep_pd(s, l->forward);
    status = dnnl_batch_normalization_backward_primitive_desc_create(&l->back_data, s->engine, dnnl_backward_data, md,
                                                                     md, md, eps, flags, l->forward, s->attr);
    if (status == dnnl_success) keep_pd(s, l->back_data);
    return status;
}

int step_norm_relu(step *s, int x)
{
    if (s->error[0]) return 0;
    layer l = { .x = x, .backward = backward_norm };
    if (!fail(s, describe_norm(s, &l), "describe a batch norm")) return 0;
    l.y         = add_value(s, 4, s->value[x].dim, make_memory(s, md_in(l.forward, DNNL_ARG_DST), OWN, 0));
    l.mean      = make_memory(s, md_in(l.forward, DNNL_ARG_MEAN), OWN, 0);
    l.variance  = make_memory(s, md_in(l.forward, DNNL_ARG_VARIANCE), OWN, 0);
    l.workspace = make_memory(s, md_in(l.forward, DNNL_ARG_WORKSPACE), OWN, 0);
    add_run(s, l.forward, 5,
            (dnnl_exec_arg_t[]){ { DNNL_ARG_SRC, s->value[x].data.of },
                                 { DNNL_ARG_MEAN, l.mean.of },
                                 { DNNL_ARG_VARIANCE, l.variance.of },
                                 { DNNL_ARG_WORKSPACE, l.workspace.of },
                                 { DNNL_ARG_DST, s->value[l.y].data.of } });
    add_layer(s, &l);
    return l.y;
}

static void backward_pool(step *s, const layer *l)
{
    const memory dx = make_memory(s, md_of(s->value[l->x].data), GRADIENT, 0);
    add_run(s, l->back_data, l->workspace.of ? 3 : 2,
            (dnnl_exec_arg_t[]){ { DNNL_ARG_DIFF_DST, s->value[l->y].gradient.of },
                                 { DNNL_ARG_DIFF_SRC, dx.of },
                                 { DNNL_ARG_WORKSPACE, l->workspace.of } });
    drop_gradient(s, l->y);
    set_gradient(s, l->x, dx);
}

static dnnl_status_t describe_pool(step *s, dnnl_alg_kind_t algorithm, int size, const_dnnl_memory_desc_t y, layer *l)
{
    const dnnl_dims_t        window = { size, size }, none = { 0, 0 };
    const_dnnl_memory_desc_t x      = md_of(s->value[l->x].data);
    dnnl_status_t            status = dnnl_pooling_forward_primitive_desc_create(
                   &l->forward, s->engine, dnnl_forward_training, algorithm, x, y, window, window, none, none, none, s->attr);
    if (status != dnnl_success) return status;
    keep_pd(s, l->forward);
    status = dnnl_pooling_backward_primitive_desc_create(&l->back_data, s->engine, algorithm, x,
                                                         md_in(l->forward, DNNL_ARG_DST), window, window, none, none,
                                                         none, l->forward, s->attr);
    if (status == dnnl_success) keep_pd(s, l->back_data);
    return status;
}

static int pool(step *s, int x, dnnl_alg_kind_t algorithm, int size)
{
    if (s->error[0]) return 0;
    const value      *v    = &s->value[x];
    const dnnl_dims_t ydim = { v->dim[0], v->dim[1], v->dim[2] / size, v->dim[3] / size };
    plm__md           ymd  = make_md(s, 4, ydim, dnnl_format_tag_any);
    layer             l    = { .x = x, .backward = backward_pool };
    const bool        ok   = fail(s, describe_pool(s, algorithm, size, plm__md_lend(&ymd), &l), "describe a pool");
    plm__md_drop(&ymd);
    if (!ok) return 0;
    const_dnnl_memory_desc_t workspace = md_in(l.forward, DNNL_ARG_WORKSPACE);
    if (workspace) l.workspace = make_memory(s, workspace, OWN, 0);
    l.y = add_value(s, 4, ydim, make_memory(s, md_in(l.forward, DNNL_ARG_DST), OWN, 0));
    add_run(s, l.forward, workspace ? 3 : 2,
            (dnnl_exec_arg_t[]){ { DNNL_ARG_SRC, v->data.of },
                                 { DNNL_ARG_DST, s->value[l.y].data.of },
                                 { DNNL_ARG_WORKSPACE, l.workspace.of } });
    add_layer(s, &l);
    return l.y;
}

int step_max_pool(step *s, int x, int size)
{
    return pool(s, x, dnnl_pooling_max, size);
}

int step_mean_pool(step *s, int x, int size)
{
    return pool(s, x, dnnl_pooling_avg_include_padding, size);
}

static void backward_relayout(step *s, const layer *l)
{
    set_gradient(s, l->x, reordered(s, s->value[l->y].gradient, md_of(s->value[l->x].data), GRADIENT));
    drop_gradient(s, l->y);
}

int relayout(step *s, int x, const_dnnl_memory_desc_t md)
{
    if (s->error[0] || dnnl_memory_desc_equal(md_of(s->value[x].data), md)) return x;
    const value *v       = &s->value[x];
    const int    y       = add_value(s, v->rank, v->dim, reordered(s, v->data, md, OWN));
    s->value[y].is_input = v->is_input;
    if (!v->is_input) add_layer(s, &(layer){ .x = x, .y = y, .backward = backward_relayout });
    return y;
}

static void backward_flatten(step *s, const layer *l)
{
    set_gradient(s, l->x, seen_as(s, s->value[l->y].gradient, md_of(s->value[l->x].data)));
    drop_gradient(s, l->y);
}

int step_flatten(step *s, int x)
{
    if (s->error[0]) return 0;
    const value      *v    = &s->value[x];
    const dnnl_dims_t ydim = { v->dim[0], v->dim[1] * v->dim[2] * v->dim[3] };
    plm__md           rows = make_md(s, 4, v->dim, dnnl_abcd), ymd = make_md(s, 2, ydim, dnnl_ab);
    layer             l = { .x = relayout(s, x, plm__md_lend(&rows)), .backward = backward_flatten };
    l.y                 = add_value(s, 2, ydim, seen_as(s, s->value[l.x].data, plm__md_lend(&ymd)));
    plm__md_drop(&rows);
    plm__md_drop(&ymd);
    add_layer(s, &l);
    return l.y;
}

/* The sum is h's value, and has its gradient when this runs. */
static void backward_add(step *s, const layer *l)
{
    set_gradient(s, l->x, seen_as(s, s->value[l->y].gradient, md_of(s->value[l->x].data)));
}

int step_add(step *s, int h, int side)
{
    add_layer(s, &(layer){ .x = side, .y = h, .backward = backward_add });
    return h;
}

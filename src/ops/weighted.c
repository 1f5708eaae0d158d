/* weighted.c: what conv2d and linear share.
 *
 * The weights of a module have a home layout and every kernel is first asked to read, or to write the gradient in, that one.
 * A pass for which oneDNN has only reference code then gets the layout it likes: a derived copy of the weights, or a gradient
 * that is reordered into the home afterwards.
 *
 * oneDNN wants the weights of a grouped convolution under five extents, [g,k/g,c/g,r,s], where ours are [k,c/g,r,s].  Row-major
 * memory is the same for both: so they stay row-major at home, and plm__layout_view sees them under the kernel's extents.
 * They are 1/g of dense ones, and copying them costs little beside the convolution. */
#include "ops/weighted.h"

#include <string.h>

enum { FORWARD, DATA, WEIGHTS }; /* places in record->kernel */

/* The kernel with weights in `home` if oneDNN has fast code for it, else in the layout oneDNN chooses. */
static plm__kernel *prefer_home(plm_ctx *ctx, plm__problem p, const plm__layout *home)
{
    const plm_shape extents = plm__layout_shape(&p.weights);
    p.weights               = plm__layout_view(home, extents);
    plm__kernel *k          = plm__kernel_try(ctx, &p);
    if (k && !plm__kernel_reference(k)) return k;
    plm__kernel_drop(ctx, k);
    p.weights = plm__layout_any(extents);
    return plm__kernel_get(ctx, &p);
}

/* A value (not a parameter) becomes row-major first where it is to have other extents. */
static bool want_weights(plm_record *r, const plm__layout *wanted)
{
    const plm__layout plain = plm__layout_plain(plm_record_in_shape(r, PLM__W));
    if (!plm__in(r, PLM__W)->param && wanted->rank != plain.rank && !plm__record_want(r, PLM__W, &plain)) return false;
    return plm__record_want(r, PLM__W, wanted);
}

bool plm__weighted_prepare(plm_record *r, plm__problem *p)
{
    plm_ctx           *ctx   = plm_record_ctx(r);
    const plm__layout *x     = &plm__in(r, PLM__X)->layout;
    const plm__needs   needs = { .keep_src = !plm__layout_is_plain(x),
                                 .data     = plm_record_wants(r, PLM__X),
                                 .weights  = plm_record_wants(r, PLM__W) || plm_record_wants(r, PLM__B) };
    if (needs.keep_src) p->src = *x;
    if (!plm__negotiate(ctx, p, needs)) return false;

    /* A row-major home was never negotiated: then forward's own choice is the one to copy to. */
    const plm__value *w    = plm__in(r, PLM__W);
    const bool        home = w->param && !plm__layout_is_plain(&w->layout);
    r->kernel[FORWARD]     = home ? prefer_home(ctx, *p, &w->layout) : plm__kernel_get(ctx, p);
    if (!r->kernel[FORWARD]) return false;
    if (!plm__record_want(r, PLM__X, plm__kernel_src(r->kernel[FORWARD]))) return false;
    if (!want_weights(r, plm__kernel_weights(r->kernel[FORWARD]))) return false;
    plm__record_set_layout(r, plm__kernel_dst(r->kernel[FORWARD]));

    plm__problem       back = *p;
    const plm__layout *kept = &plm__in(r, PLM__W)->layout; /* of the weights' gradient */
    back.src                = *plm__kernel_src(r->kernel[FORWARD]);
    back.dst                = *plm__kernel_dst(r->kernel[FORWARD]);
    back.relu_scale         = 0;
    back.pass               = PLM__BACKWARD_DATA;
    if (needs.data && !(r->kernel[DATA] = prefer_home(ctx, back, kept))) return false;
    back.pass = PLM__BACKWARD_WEIGHTS;
    return !needs.weights || (r->kernel[WEIGHTS] = prefer_home(ctx, back, kept)) != NULL;
}

bool plm__weighted_forward(plm_record *r)
{
    const plm__args args = { .src     = plm_record_in(r, PLM__X),
                             .weights = plm_record_in(r, PLM__W),
                             .bias    = r->n_in > PLM__B ? plm_record_in(r, PLM__B) : NULL,
                             .dst     = plm_record_out(r) };
    return args.weights && plm__kernel_run(plm_record_ctx(r), r->kernel[FORWARD], &args);
}

/* The weights as the data kernel reads them; *scratch is to be dropped afterwards. */
static const float *weights_for_data(plm_record *r, plm__block **scratch)
{
    plm_ctx           *ctx    = plm_record_ctx(r);
    const plm__value  *w      = plm__in(r, PLM__W);
    const plm__layout *wanted = plm__kernel_weights(r->kernel[DATA]);
    if (w->param) return plm__param_weights(w->param, wanted);
    if (plm__layout_same(&w->layout, wanted)) return plm__value_data(w);
    *scratch = plm__pool_get(ctx, (size_t)plm__layout_floats(wanted) * sizeof(float));
    if (!*scratch || !plm__reorder(ctx, &w->layout, plm__value_data(w), wanted, (*scratch)->data)) return NULL;
    return (*scratch)->data;
}

static bool backward_data(plm_record *r, const float *dz)
{
    plm_ctx        *ctx     = plm_record_ctx(r);
    plm__block     *scratch = NULL;
    const plm__args args    = { .weights  = weights_for_data(r, &scratch),
                                .diff_dst = dz,
                                .diff_src = plm_record_grad_in(r, PLM__X) };
    const bool      ok      = args.weights && args.diff_src && plm__kernel_run(ctx, r->kernel[DATA], &args);
    plm__pool_drop(ctx, scratch);
    return ok;
}

/* One kernel makes both gradients; what nobody asked for goes into scratch memory. */
static bool backward_weights(plm_record *r, const float *dz)
{
    plm_ctx           *ctx     = plm_record_ctx(r);
    const plm__layout *made    = plm__kernel_weights(r->kernel[WEIGHTS]);
    const plm__layout *wanted  = &plm__in(r, PLM__W)->layout;
    const bool         weights = plm_record_wants(r, PLM__W), bias = plm_record_wants(r, PLM__B);
    const plm__layout  seen   = weights ? plm__layout_view(wanted, plm__layout_shape(made)) : *wanted;
    const bool         direct = weights && plm__layout_same(made, &seen);
    plm__block        *dw     = direct ? NULL : plm__pool_get(ctx, (size_t)plm__layout_floats(made) * sizeof(float));
    plm__block        *db     = r->n_in > PLM__B && !bias
                                    ? plm__pool_get(ctx, (size_t)plm__layout_floats(&plm__in(r, PLM__B)->layout) * sizeof(float))
                                    : NULL;
    const plm__args    args   = { .src          = plm_record_in(r, PLM__X),
                                  .diff_dst     = dz,
                                  .diff_weights = direct ? plm_record_grad_in(r, PLM__W)
                                                  : dw   ? dw->data
                                                         : NULL,
                                  .diff_bias    = bias ? plm_record_grad_in(r, PLM__B)
                                                  : db ? db->data
                                                       : NULL };
    bool               ok =
        args.diff_weights && (r->n_in <= PLM__B || args.diff_bias) && plm__kernel_run(ctx, r->kernel[WEIGHTS], &args);
    if (ok && weights && !direct) {
        float *home = plm_record_grad_in(r, PLM__W);
        ok          = home && plm__reorder(ctx, made, dw->data, &seen, home);
    }
    plm__pool_drop(ctx, dw);
    plm__pool_drop(ctx, db);
    return ok;
}

/* Weights last: their gradient is then in cache when an optimiser takes its norm. */
bool plm__weighted_backward(plm_record *r, const float *dz)
{
    if (plm_record_wants(r, PLM__X) && !backward_data(r, dz)) return false;
    return (!plm_record_wants(r, PLM__W) && !plm_record_wants(r, PLM__B)) || backward_weights(r, dz);
}

/* param.c: tensors that are learnt.
 *
 * A parameter lives in one home layout, the one its forward kernel reads; gradient and optimiser state have it too.  A
 * kernel that reads another layout gets a derived copy, stamped with the version of the weights it was made from. */
#include "autograd/autograd.h"

#include <string.h>

plm_param *plm_param_new(plm_ctx *ctx, plm_shape shape, const plm_param_desc *desc)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!desc || !desc->name || !desc->name[0]) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_param_new: desc.name is required");
        return NULL;
    }
    if (!plm__shape_check(ctx, shape, desc->name)) return NULL;
    plm_param *p = plm__new(ctx, sizeof *p, desc->name);
    if (!p) return NULL;
    p->ctx     = ctx;
    p->shape   = shape;
    p->role    = desc->role;
    p->frozen  = desc->frozen;
    p->home    = plm__layout_plain(shape);
    p->version = 1;
    p->leaf_id = -1;
    p->name    = plm__strdup(ctx, desc->name);
    p->weights = p->name ? plm__pool_get(ctx, (size_t)plm_shape_count(shape) * sizeof(float)) : NULL;
    if (!p->weights) {
        plm_param_free(p);
        return NULL;
    }
    memset(p->weights->data, 0, (size_t)plm_shape_count(shape) * sizeof(float));
    return p;
}

static void drop_memory(plm_param *p)
{
    plm__pool_drop(p->ctx, p->weights);
    plm__pool_drop(p->ctx, p->grad);
    for (int i = 0; i < PLM__MAX_COPIES; i++) {
        plm__pool_drop(p->ctx, p->copy[i].data);
        p->copy[i].data = NULL;
    }
    p->weights = p->grad = NULL;
}

void plm_param_free(plm_param *p)
{
    if (!p) return;
    plm__tapes_forget(p->ctx, &p, 1);
    drop_memory(p);
    plm__delete(p->ctx, p->name);
    plm__delete(p->ctx, p);
}

const char *plm_param_name(const plm_param *p)
{
    if (!p) return NULL;
    return p->name;
}

plm_shape plm_param_shape(const plm_param *p)
{
    if (!p) return plm_shape_from(0, NULL);
    return p->shape;
}

plm_role plm_param_role(const plm_param *p)
{
    if (!p) return PLM_ROLE_WEIGHT;
    return p->role;
}

bool plm_param_frozen(const plm_param *p)
{
    if (!p) return false;
    return p->frozen;
}

void plm_param_freeze(plm_param *p, bool frozen)
{
    if (!p) return;
    p->frozen = frozen;
}

static bool copy_checked(const plm_param *p, const void *memory, int64_t n, const char *call)
{
    char          text[PLM__SHAPE_TEXT];
    const int64_t count = plm_shape_count(p->shape);
    if (!memory) return plm__fail(p->ctx, PLM_ERR_ARGUMENT, "%s: %s: memory is NULL", call, p->name);
    if (n != count)
        return plm__fail(p->ctx, PLM_ERR_SHAPE, "%s: %s %s has %lld elements, not %lld", call, p->name,
                         plm__shape_text(p->shape, text), (long long)count, (long long)n);
    return true;
}

bool plm_param_read(const plm_param *p, float *dst, int64_t n)
{
    if (!p || !plm__enter(p->ctx, "plm_param_read")) return false;
    const plm__layout plain = plm__layout_plain(p->shape);
    const bool        ok =
        copy_checked(p, dst, n, "plm_param_read") && plm__reorder(p->ctx, &p->home, p->weights->data, &plain, dst);
    plm__leave(p->ctx);
    return ok;
}

bool plm_param_write(plm_param *p, const float *src, int64_t n)
{
    if (!p || !plm__enter(p->ctx, "plm_param_write")) return false;
    const plm__layout plain = plm__layout_plain(p->shape);
    const bool        ok =
        copy_checked(p, src, n, "plm_param_write") && plm__reorder(p->ctx, &plain, src, &p->home, p->weights->data);
    p->version++;
    p->written = p->written || ok;
    plm__leave(p->ctx);
    return ok;
}

bool plm_param_read_grad(const plm_param *p, float *dst, int64_t n)
{
    if (!p || !plm__enter(p->ctx, "plm_param_read_grad")) return false;
    const plm__layout plain = plm__layout_plain(p->shape);
    bool              ok    = copy_checked(p, dst, n, "plm_param_read_grad");
    if (ok && (p->grad_version == p->used_version || !p->grad))
        ok = plm__fail(p->ctx, PLM_ERR_STATE,
                       "plm_param_read_grad: %s has no gradient, no backward pass reached it since the last step",
                       p->name);
    ok = ok && plm__reorder(p->ctx, &p->home, p->grad->data, &plain, dst);
    plm__leave(p->ctx);
    return ok;
}

bool plm__param_set_home(plm_param *p, const plm__layout *home)
{
    if (plm__layout_same(&p->home, home)) return true;
    if (plm__tapes_use(p->ctx, p))
        return plm__fail(p->ctx, PLM_ERR_STATE,
                         "%s is in use on a tape: reset the tape before the graph's first apply or optimiser", p->name);
    plm__block *moved = plm__pool_get(p->ctx, (size_t)plm__layout_floats(home) * sizeof(float));
    if (!moved) return false;
    if (!plm__reorder(p->ctx, &p->home, p->weights->data, home, moved->data)) {
        plm__pool_drop(p->ctx, moved);
        return false;
    }
    drop_memory(p);
    p->weights      = moved;
    p->home         = *home;
    p->grad_version = p->used_version = 0;
    p->version++;
    return true;
}

const float *plm__param_weights(plm_param *p, const plm__layout *layout)
{
    const plm__layout home = plm__layout_view(&p->home, plm__layout_shape(layout));
    if (plm__layout_same(&home, layout)) return p->weights->data;
    int i = 0;
    while (i < PLM__MAX_COPIES && !(p->copy[i].data && plm__layout_same(&p->copy[i].layout, layout))) i++;
    if (i == PLM__MAX_COPIES) { /* a layout not seen yet takes the place of the oldest */
        plm__block *data = plm__pool_get(p->ctx, (size_t)plm__layout_floats(layout) * sizeof(float));
        if (!data) return NULL;
        i            = p->next_copy;
        p->next_copy = (i + 1) % PLM__MAX_COPIES;
        plm__pool_drop(p->ctx, p->copy[i].data);
        p->copy[i].data    = data;
        p->copy[i].layout  = *layout;
        p->copy[i].version = 0;
    }
    if (p->copy[i].version != p->version) {
        if (!plm__reorder(p->ctx, &home, p->weights->data, layout, p->copy[i].data->data)) return NULL;
        p->copy[i].version = p->version;
    }
    return p->copy[i].data->data;
}

bool plm__param_check_finite(plm_param *p)
{
    if (p->finite_version == p->version) return true;
    const float  *w  = p->weights->data;
    const int64_t at = plm__first_nonfinite(w, plm__layout_floats(&p->home));
    if (at >= 0)
        return plm__fail(p->ctx, PLM_ERR_NONFINITE, "the weights of %s are not finite: one is %g", p->name,
                         (double)w[at]);
    p->finite_version = p->version;
    return true;
}

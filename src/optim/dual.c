/* dual.c: a weight and its gradient as matrices, for optimisers: scales, norms, directions. */
#include "optim/dual.h"

#include <math.h>

#include "optim/spectral.h"

double plm__layer_scale(const plm_layer *l)
{
    return sqrt((double)l->d_out / ((double)l->d_in * l->kernel_h * l->kernel_w));
}

bool plm__accepts_weights(plm_optimizer *o, const plm_param_view *v)
{
    const plm_role role = plm_param_role(v->param);
    if (role == PLM_ROLE_WEIGHT && v->layer) return true;
    return plm_ctx_fail(plm_optimizer_ctx(o), PLM_ERR_ARGUMENT,
                        "%s: %s is a %s, for which it has no rule: build the network without it, or freeze it",
                        plm_optimizer_name(o), plm_param_name(v->param),
                        role == PLM_ROLE_WEIGHT ? "weight of no layer"
                        : role == PLM_ROLE_BIAS ? "bias"
                                                : "norm's affine parameter");
}

static plm__matrices matrices_of(const plm_param_view *v, bool flat)
{
    plm__matrices m = plm__matrices_of(v->layer);
    if (flat && m.taps > 1) { /* never a table */
        m.cols *= m.taps;
        m.count /= m.taps;
        m.taps = 1;
        m.col  = 1;
    }
    return m;
}

/* Room for `copies` of the weight's elements. */
static plm__block *room(const plm_param_view *v, int copies)
{
    const size_t n = (size_t)plm_shape_count(plm_param_shape(v->param));
    return plm__pool_get(v->param->ctx, (size_t)copies * n * sizeof(float));
}

bool plm__view_polar(const plm_param_view *v, const float *x, bool flat, bool quick, double *nuclear)
{
    const plm__matrices m     = matrices_of(v, flat);
    const int64_t       n     = m.count * m.rows * m.cols;
    plm__block         *block = room(v, 3);
    if (!block) return false;
    float *plain = block->data, *a = plain + n, *u = a + n;
    bool   ok = plm_view_to_plain(v, x, plain);
    if (ok) plm__matrices_gather(&m, plain, a);
    ok = ok && plm__polar(v->param->ctx, a, m.count, m.rows, m.cols, quick, u, nuclear);
    if (ok) plm__matrices_scatter(&m, u, plain);
    ok = ok && plm_view_from_plain(v, plain, v->direction);
    plm__pool_drop(v->param->ctx, block);
    return ok;
}

bool plm__view_operator_norms(const plm_param_view *v, const float *x, double *norm)
{
    const plm__matrices m     = matrices_of(v, false);
    const int64_t       each  = m.rows * m.cols;
    plm__block         *block = room(v, 2);
    if (!block) return false;
    float *plain = block->data, *a = plain + m.count * each;
    bool   ok = plm_view_to_plain(v, x, plain);
    if (ok) plm__matrices_gather(&m, plain, a);
    for (int i = 0; ok && i < m.count; i++) {
        norm[i] = plm__operator_norm(v->param->ctx, a + i * each, m.rows, m.cols, NULL);
        ok      = isfinite(norm[i]);
    }
    plm__pool_drop(v->param->ctx, block);
    return ok;
}

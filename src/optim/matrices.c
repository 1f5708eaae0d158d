/* matrices.c: the matrices that a layer's tensor consists of, and their norms. */
#include "optim/spectral.h"

#include <math.h>

plm__matrices plm__matrices_of(const plm_layer *l)
{
    const int     taps = l->kernel_h * l->kernel_w;
    plm__matrices m    = {
           .count = l->groups * taps, .taps = taps, .rows = l->d_out / l->groups, .cols = l->d_in / l->groups
    };
    m.row   = m.cols * taps;
    m.col   = taps;
    m.group = m.rows * m.cols * taps;
    if (l->table) { /* [d_in,d_out] */
        m.row = 1;
        m.col = m.rows;
    }
    return m;
}

void plm__matrices_gather(const plm__matrices *m, const float *tensor, float *dst)
{
    for (int i = 0; i < m->count; i++) {
        const float *from = tensor + i / m->taps * m->group + i % m->taps;
        for (int64_t r = 0; r < m->rows; r++)
            for (int64_t c = 0; c < m->cols; c++) *dst++ = from[r * m->row + c * m->col];
    }
}

void plm__matrices_scatter(const plm__matrices *m, const float *src, float *tensor)
{
    for (int i = 0; i < m->count; i++) {
        float *to = tensor + i / m->taps * m->group + i % m->taps;
        for (int64_t r = 0; r < m->rows; r++)
            for (int64_t c = 0; c < m->cols; c++) to[r * m->row + c * m->col] = *src++;
    }
}

/* The layer's tensor as matrices one after the other. */
static bool read_layer(plm_graph *g, const plm__matrices *m, const plm_layer *l, plm_layer_tensor of, float *dst)
{
    const int64_t n      = m->group * (m->count / m->taps);
    float        *tensor = plm__new(g->ctx, (size_t)n * sizeof *tensor, l->name);
    const bool    ok     = tensor && (of == PLM_OF_GRADIENT ? plm_param_read_grad(l->weight, tensor, n)
                                                            : plm_param_read(l->weight, tensor, n));
    if (ok) plm__matrices_gather(m, tensor, dst);
    plm__delete(g->ctx, tensor);
    return ok;
}

static const plm_layer *find(plm_graph *g, int layer, plm_layer_tensor of, const char *call)
{
    if (layer < 0 || layer >= g->layers)
        plm__fail(g->ctx, PLM_ERR_ARGUMENT, "%s: layer %d, the graph has %d", call, layer, g->layers);
    else if (of != PLM_OF_WEIGHT && of != PLM_OF_GRADIENT)
        plm__fail(g->ctx, PLM_ERR_ARGUMENT, "%s: %d is neither PLM_OF_WEIGHT nor PLM_OF_GRADIENT", call, (int)of);
    else return &g->layer[layer];
    return NULL;
}

int plm_layer_matrices(const plm_layer *l)
{
    if (!l) return 0;
    return l->groups * l->kernel_h * l->kernel_w;
}

bool plm_layer_read(plm_graph *g, int layer, plm_layer_tensor of, float *dst, int64_t n)
{
    if (!g || !plm__enter(g->ctx, "plm_layer_read")) return false;
    const plm_layer *l  = find(g, layer, of, "plm_layer_read");
    bool             ok = l != NULL;
    if (ok) {
        const int64_t count = plm_shape_count(plm_param_shape(l->weight));
        if (!dst) ok = plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_layer_read: %s: memory is NULL", l->name);
        else if (n != count)
            ok = plm__fail(g->ctx, PLM_ERR_SHAPE, "plm_layer_read: %s has %lld weights, not %lld", l->name,
                           (long long)count, (long long)n);
        const plm__matrices m = plm__matrices_of(l);
        ok                    = ok && read_layer(g, &m, l, of, dst);
    }
    plm__leave(g->ctx);
    return ok;
}

/* Norms of matrix i, at `a`. */
static bool norms_of(plm_ctx *ctx, const plm__matrices *m, int i, const float *a, const plm_layer_norms_desc *out)
{
    const int64_t n = m->rows * m->cols, shorter = m->rows < m->cols ? m->rows : m->cols;
    const double  frobenius = sqrt(plm__squares(a, n));
    if (out->frobenius) out->frobenius[i] = frobenius;
    if (out->op || out->stable_rank || out->kept) {
        const double op = plm__operator_norm(ctx, a, m->rows, m->cols, out->kept ? out->kept + i * shorter : NULL);
        if (out->op) out->op[i] = op;
        if (out->stable_rank) out->stable_rank[i] = plm__stable_rank(frobenius, op);
    }
    if (out->nuclear) out->nuclear[i] = plm__nuclear_norm(ctx, a, m->rows, m->cols);
    return ctx->status == PLM_OK;
}

bool plm_layer_norms(plm_graph *g, int layer, plm_layer_tensor of, const plm_layer_norms_desc *out)
{
    if (!g || !plm__enter(g->ctx, "plm_layer_norms")) return false;
    const plm_layer *l  = find(g, layer, of, "plm_layer_norms");
    bool             ok = l && (out || plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_layer_norms: out is NULL"));
    if (ok) {
        const plm__matrices m    = plm__matrices_of(l);
        const int64_t       each = m.rows * m.cols;
        float              *a    = plm__new(g->ctx, (size_t)(each * m.count) * sizeof *a, l->name);
        ok                       = a && read_layer(g, &m, l, of, a);
        const int64_t at         = ok ? plm__first_nonfinite(a, each * m.count) : -1;
        if (at >= 0)
            ok = plm__fail(g->ctx, PLM_ERR_NONFINITE, "plm_layer_norms: the %s of %s holds %g",
                           of == PLM_OF_GRADIENT ? "gradient" : "weight", l->name, (double)a[at]);
        for (int i = 0; ok && i < m.count; i++) ok = norms_of(g->ctx, &m, i, a + i * each, out);
        plm__delete(g->ctx, a);
    }
    plm__leave(g->ctx);
    return ok;
}

/* init.c: the first weights.
 *
 * Every number is a function of the context's seed, the parameter's name and the element's place, so that the order of calls,
 * threads and memory layouts do not matter. */
#include "nn/nn.h"

#include <lapacke.h>
#include <math.h>
#include <omp.h>

/* w (rows x cols at w[r * row + c * col]) becomes uniformly semi-orthogonal times scale: Q of the QR factorisation of a
 * Gaussian matrix, its signs fixed by the diagonal of R (Mezzadri 2007), of the taller of the matrix and its transpose. */
static bool draw_orthogonal(plm_ctx *ctx, plm_param *p, float *w, int64_t rows, int64_t cols, int64_t row, int64_t col,
                            int64_t first, float *work, double scale)
{
    const bool     tall = rows >= cols;
    const int64_t  m = tall ? rows : cols, k = tall ? cols : rows;
    const int64_t  down = tall ? row : col, across = tall ? col : row;
    float         *a = work, *tau = work + m * k, *sign = tau + k;
    const plm__key key = plm__random_key(ctx->seed, PLM__RANDOM_INIT, p->name, 0);
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < m; i++)
            a[j * m + i] = (float)plm__random_normal(key, (uint64_t)(first + i * down + j * across));
    if (LAPACKE_sgeqrf(LAPACK_COL_MAJOR, (lapack_int)m, (lapack_int)k, a, (lapack_int)m, tau) != 0)
        return plm__fail(ctx, PLM_ERR_ENGINE, "%s: LAPACK's sgeqrf failed", p->name);
    for (int64_t j = 0; j < k; j++) sign[j] = a[j * m + j] < 0 ? -1.0f : 1.0f;
    if (LAPACKE_sorgqr(LAPACK_COL_MAJOR, (lapack_int)m, (lapack_int)k, (lapack_int)k, a, (lapack_int)m, tau) != 0)
        return plm__fail(ctx, PLM_ERR_ENGINE, "%s: LAPACK's sorgqr failed", p->name);
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < m; i++)
            w[first + i * down + j * across] = (float)(scale * (double)(sign[j] * a[j * m + i]));
    return true;
}

/* One semi-orthogonal matrix per tap and group, times sqrt(d_out / (d_in taps)): arXiv 2304.05187, algorithm 1.  Each is of
 * out x in, a group's share of d_out x d_in.  A weight is [d_out,d_in/groups,taps...]; a table, whose rows are what becomes of
 * one-hot vectors, [d_in,d_out]. */
static bool draw_agd(plm_ctx *ctx, plm_param *p, float *w, int groups, bool table)
{
    const int64_t out = p->shape.dim[table ? 1 : 0] / groups, in = p->shape.dim[table ? 0 : 1];
    const int64_t each = plm_shape_count(p->shape) / groups, taps = each / (out * in);
    const int64_t row = table ? 1 : in * taps, col = table ? out : taps;
    const double  scale   = sqrt((double)out / (double)(in * taps));
    float        *work    = plm__new(ctx, (size_t)(out * in + 2 * (out < in ? out : in)) * sizeof *work, p->name);
    bool          ok      = work != NULL;
    const int     threads = omp_get_max_threads();
    omp_set_num_threads(1); /* the same bits for any thread count: OpenBLAS follows OpenMP's */
    for (int64_t i = 0; ok && i < groups * taps; i++)
        ok = draw_orthogonal(ctx, p, w, out, in, row, col, i / taps * each + i % taps, work, scale);
    omp_set_num_threads(threads);
    plm__delete(ctx, work);
    return ok;
}

/* Normal with variance 1, as torch.nn.Embedding. */
static void draw_normal(plm_ctx *ctx, const plm_param *p, float *w)
{
    const plm__key key = plm__random_key(ctx->seed, PLM__RANDOM_INIT, p->name, 0);
    for (int64_t i = 0; i < plm_shape_count(p->shape); i++) w[i] = (float)plm__random_normal(key, (uint64_t)i);
}

/* Uniform in +-1/sqrt(fan_in). */
static void draw_uniform(plm_ctx *ctx, const plm_param *p, float *w, int64_t fan_in)
{
    const plm__key key   = plm__random_key(ctx->seed, PLM__RANDOM_INIT, p->name, 0);
    const double   bound = 1 / sqrt((double)fan_in);
    for (int64_t i = 0; i < plm_shape_count(p->shape); i++)
        w[i] = (float)(bound * (2 * plm__random_uniform(key, (uint64_t)i) - 1));
}

static void fill(const plm_param *p, float *w, float value)
{
    for (int64_t i = 0; i < plm_shape_count(p->shape); i++) w[i] = value;
}

/* Biases have the bound of their layer's weights. */
static bool draw(plm_graph *g, const plm__node *n, int k, plm_init scheme)
{
    const plm_module *m      = &n->m;
    plm_param        *p      = m->param[k];
    const plm_param  *weight = plm__node_weight(n);
    const int64_t     count  = plm_shape_count(p->shape);
    float            *w      = plm__new(g->ctx, (size_t)count * sizeof *w, p->name);
    bool              ok     = w != NULL;
    if (ok) switch (p->role) {
        case PLM_ROLE_WEIGHT:
            if (scheme == PLM_INIT_AGD) ok = draw_agd(g->ctx, p, w, m->groups, m->table);
            else if (m->table) draw_normal(g->ctx, p, w);
            else draw_uniform(g->ctx, p, w, count / p->shape.dim[0]);
            break;
        case PLM_ROLE_BIAS:
            if (scheme == PLM_INIT_AGD || !weight) fill(p, w, n->value[k]);
            else draw_uniform(g->ctx, p, w, plm_shape_count(weight->shape) / weight->shape.dim[0]);
            break;
        case PLM_ROLE_NORM_SCALE:
        case PLM_ROLE_NORM_SHIFT:
        case PLM_ROLE_STATISTIC:
            fill(p, w, n->value[k]);
            break;
        }
    ok = ok && plm_param_write(p, w, count);
    plm__delete(g->ctx, w);
    return ok;
}

bool plm__graph_draw(plm_graph *g, plm_init scheme, bool all)
{
    if (scheme != PLM_INIT_AGD && scheme != PLM_INIT_PYTORCH)
        return plm__fail(g->ctx, PLM_ERR_ARGUMENT,
                         "plm_graph_init: scheme %d is neither PLM_INIT_AGD nor PLM_INIT_PYTORCH", (int)scheme);
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; k < g->node[i].m.params; k++)
            if ((all || !g->node[i].m.param[k]->written) && !draw(g, &g->node[i], k, scheme)) return false;
    return true;
}

bool plm_graph_init(plm_graph *g, plm_init scheme)
{
    if (!g || !plm__enter(g->ctx, "plm_graph_init")) return false;
    const bool ok = plm__graph_draw(g, scheme, true);
    plm__leave(g->ctx);
    return ok;
}

bool plm_graph_initialized(const plm_graph *g)
{
    if (!g) return false;
    for (int i = 0; i < g->params; i++)
        if (!g->param[i]->written && g->param[i]->role == PLM_ROLE_WEIGHT) return false;
    return true;
}

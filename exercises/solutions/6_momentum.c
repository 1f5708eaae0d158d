/* Solution 6.  prepare writes m into the direction, with its norms; begin is AGD's with these; delta keeps m. */
#include "exercises.h"

#include <math.h>

static const double beta = 0.9;

static double scale(const plm_layer *l)
{
    return sqrt((double)l->d_out / ((double)l->d_in * l->kernel_h * l->kernel_w));
}

/* direction = m; coefficient = ||m_k||_F^2 of each matrix k, until begin makes a coefficient of it. */
static bool prepare(plm_optimizer *o, plm_param_view *v)
{
    (void)o;
    for (int k = 0; k < v->matrices; k++) v->coefficient[k] = 0;
    for (int64_t i = 0; i < v->n;) {
        int64_t   run;
        const int k = plm_view_matrix(v, i, &run);
        for (int64_t end = i + run; i < end; i++) {
            const double m  = beta * (double)v->slot[0][i] + (1 - beta) * (double)v->g[i];
            v->direction[i] = (float)m;
            v->coefficient[k] += m * m;
        }
    }
    return true;
}

static bool begin(plm_optimizer *o)
{
    const int L = plm_optimizer_weights(o);
    double    G = 0;
    for (int i = 0; plm_optimizer_param(o, i); i++) {
        const plm_param_view *v = plm_optimizer_param(o, i);
        for (int k = 0; k < v->matrices; k++) G += scale(v->layer) * sqrt(v->coefficient[k]) / L;
    }
    const double eta = log((1 + sqrt(1 + 4 * G)) / 2);
    for (int i = 0; plm_optimizer_param(o, i); i++) {
        plm_param_view *v = plm_optimizer_param(o, i);
        for (int k = 0; k < v->matrices; k++) {
            const double norm = sqrt(v->coefficient[k]);
            v->coefficient[k] = norm > 0 ? eta / L * scale(v->layer) / norm : 0;
        }
    }
    plm_optimizer_report(o, eta, G);
    return true;
}

static void delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    (void)o;
    for (int64_t i = 0; i < v->n; i++) v->slot[0][i] = v->direction[i];
    plm_view_scale(v, v->direction, d);
}

const plm_optimizer_kind exercise_momentum = { .name       = "agd-momentum",
                                               .init       = PLM_INIT_AGD,
                                               .slots      = 1,
                                               .directions = true,
                                               .prepare    = prepare,
                                               .begin      = begin,
                                               .delta      = delta };

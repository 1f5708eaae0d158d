/* Exercise 6: momentum for Automatic Gradient Descent.
 *
 * AGD has none.  Give it some: average the gradient, m = 0.9 m + 0.1 g (m = 0 at first), and use m where AGD uses g: in the
 * gradient summary G and as direction, each matrix divided by its own norm.  Note that the norms in v->square are those of
 * g: the ones of m have to be taken here.
 *
 * Below stands plain AGD as an optimiser of your own (include/plummet/optim.h explains the functions; for weights with taps,
 * plm_view_matrix says to which matrix an element belongs).  State that is kept from step to step is a slot; it may be
 * written in delta only, since until then a step may still be refused. */
#include "exercises.h"

#include <math.h>

static double scale(const plm_layer *l)
{
    return sqrt((double)l->d_out / ((double)l->d_in * l->kernel_h * l->kernel_w));
}

static bool begin(plm_optimizer *o)
{
    const int L = plm_optimizer_weights(o);
    double    G = 0;
    for (int i = 0; plm_optimizer_param(o, i); i++) {
        const plm_param_view *v = plm_optimizer_param(o, i);
        for (int k = 0; k < v->matrices; k++) G += scale(v->layer) * sqrt(v->square[k]) / L;
    }
    const double eta = log((1 + sqrt(1 + 4 * G)) / 2);
    for (int i = 0; plm_optimizer_param(o, i); i++) {
        plm_param_view *v = plm_optimizer_param(o, i);
        for (int k = 0; k < v->matrices; k++)
            v->coefficient[k] = v->square[k] > 0 ? eta / L * scale(v->layer) / sqrt(v->square[k]) : 0;
    }
    plm_optimizer_report(o, eta, G);
    return true;
}

static void delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    (void)o;
    plm_view_scale(v, v->g, d);
}

const plm_optimizer_kind exercise_momentum = {
    .name = "agd-momentum", .init = PLM_INIT_AGD, .norms = true, .begin = begin, .delta = delta
};

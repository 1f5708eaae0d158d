/* Exercise 1: find the wrong backward.
 *
 * Three activation functions with their derivatives.  The forward functions are right; one backward function is not, and a
 * network that uses it trains all the same, only worse.  Run exercise_1: it compares each backward with differences of its
 * forward.  Mend the one that disagrees. */
#include "exercises.h"

#include <math.h>

static bool same_shape(plm_record *r)
{
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

/* softsign: y = x / (1 + |x|) */
static bool softsign_forward(plm_record *r)
{
    const float *x = plm_record_in(r, 0);
    float       *y = plm_record_out(r);
    for (int64_t i = 0; i < plm_record_size(r); i++) y[i] = x[i] / (1 + fabsf(x[i]));
    return true;
}

static bool softsign_backward(plm_record *r)
{
    const float *x = plm_record_in(r, 0), *dy = plm_record_grad_out(r);
    float       *dx = plm_record_grad_in(r, 0);
    if (!dx) return false;
    for (int64_t i = 0; i < plm_record_size(r); i++) {
        const float below = 1 + fabsf(x[i]);
        dx[i]             = dy[i] / (below * below);
    }
    return true;
}

/* swish: y = x s(x) with s(x) = 1 / (1 + e^-x) */
static bool swish_forward(plm_record *r)
{
    const float *x = plm_record_in(r, 0);
    float       *y = plm_record_out(r);
    for (int64_t i = 0; i < plm_record_size(r); i++) y[i] = x[i] / (1 + expf(-x[i]));
    return true;
}

static bool swish_backward(plm_record *r)
{
    const float *x = plm_record_in(r, 0), *dy = plm_record_grad_out(r);
    float       *dx = plm_record_grad_in(r, 0);
    if (!dx) return false;
    for (int64_t i = 0; i < plm_record_size(r); i++) {
        const float s = 1 / (1 + expf(-x[i]));
        dx[i]         = dy[i] * (s + s * (1 - s));
    }
    return true;
}

/* bump: y = e^(-x^2) */
static bool bump_forward(plm_record *r)
{
    const float *x = plm_record_in(r, 0);
    float       *y = plm_record_out(r);
    for (int64_t i = 0; i < plm_record_size(r); i++) y[i] = expf(-x[i] * x[i]);
    return true;
}

static bool bump_backward(plm_record *r)
{
    const float *x = plm_record_in(r, 0), *dy = plm_record_grad_out(r);
    float       *dx = plm_record_grad_in(r, 0);
    if (!dx) return false;
    for (int64_t i = 0; i < plm_record_size(r); i++) dx[i] = dy[i] * -2 * x[i] * expf(-x[i] * x[i]);
    return true;
}

static const plm_op softsign = { .name     = "softsign",
                                 .shape    = same_shape,
                                 .forward  = softsign_forward,
                                 .backward = softsign_backward,
                                 .saves    = PLM_SAVES_INPUTS };
static const plm_op swish    = { .name     = "swish",
                                 .shape    = same_shape,
                                 .forward  = swish_forward,
                                 .backward = swish_backward,
                                 .saves    = PLM_SAVES_INPUTS };
static const plm_op bump     = {
        .name = "bump", .shape = same_shape, .forward = bump_forward, .backward = bump_backward, .saves = PLM_SAVES_INPUTS
};

const plm_op *const exercise_ops[EXERCISE_OPS] = { &softsign, &swish, &bump };

/* transpose.c: y's axis i is x's axis perm[i]; copies. */
#include "ops/ops.h"

typedef struct {
    int  perm[PLM_MAX_RANK];
    bool given;
} attributes;

static bool shape(plm_record *r)
{
    char              text[PLM__SHAPE_TEXT];
    const attributes *d                   = plm_record_attr(r);
    const plm_shape   x                   = plm_record_in_shape(r, 0);
    bool              taken[PLM_MAX_RANK] = { false };
    plm_shape         y                   = { .rank = x.rank };
    if (!d->given && x.rank > 0) return plm_record_fail(r, PLM_ERR_ARGUMENT, "perm is NULL");
    for (int i = 0; i < x.rank; i++) {
        const int axis = d->perm[i];
        if (axis < 0 || axis >= x.rank || taken[axis])
            return plm_record_fail(r, PLM_ERR_ARGUMENT, "perm[%d] is %d: not each axis of %s once", i, axis,
                                   plm__shape_text(x, text));
        taken[axis] = true;
        y.dim[i]    = x.dim[axis];
    }
    return plm_record_set_out(r, y);
}

/* to[i_0, i_1, ...] = from[sum_a i_a step[a]]: `to` is written in order. */
static void gather(const float *from, const int64_t *step, float *to, plm_shape s)
{
    const int     last = s.rank - 1;
    const int64_t n = s.rank ? s.dim[last] : 1, rows = plm_shape_count(s) / n, stride = s.rank ? step[last] : 1;
#pragma omp parallel for if (rows * n > PLM__SERIAL) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float *at   = from;
        int64_t      rest = row;
        for (int a = last - 1; a >= 0; a--) {
            at += rest % s.dim[a] * step[a];
            rest /= s.dim[a];
        }
        for (int64_t i = 0; i < n; i++) to[row * n + i] = at[i * stride];
    }
}

/* Floats from one element to the next along each axis of a row-major tensor. */
static void steps_of(plm_shape s, int64_t *step)
{
    int64_t floats = 1;
    for (int a = s.rank - 1; a >= 0; a--) {
        step[a] = floats;
        floats *= s.dim[a];
    }
}

static bool forward(plm_record *r)
{
    const attributes *d                  = plm_record_attr(r);
    const plm_shape   y                  = plm_record_out_shape(r);
    int64_t           step[PLM_MAX_RANK] = { 0 }, of_y[PLM_MAX_RANK] = { 0 };
    steps_of(plm_record_in_shape(r, 0), step);
    for (int i = 0; i < y.rank; i++) of_y[i] = step[d->perm[i]];
    gather(plm_record_in(r, 0), of_y, plm_record_out(r), y);
    return true;
}

/* dx's axis perm[i] is dy's axis i. */
static bool backward(plm_record *r)
{
    const attributes *d                  = plm_record_attr(r);
    const plm_shape   x                  = plm_record_in_shape(r, 0);
    int64_t           step[PLM_MAX_RANK] = { 0 }, of_x[PLM_MAX_RANK] = { 0 };
    float            *dx = plm_record_grad_in(r, 0);
    if (!dx) return false;
    steps_of(plm_record_out_shape(r), step);
    for (int i = 0; i < x.rank; i++) of_x[d->perm[i]] = step[i];
    gather(plm_record_grad_out(r), of_x, dx, x);
    return true;
}

static const plm_op transpose = { .name = "transpose", .shape = shape, .forward = forward, .backward = backward };

plm_val plm_transpose(plm_val x, const int *perm)
{
    attributes d    = { .given = perm != NULL };
    const int  rank = perm && plm_val_ok(x) ? plm_val_shape(x).rank : 0;
    for (int i = 0; i < rank; i++) d.perm[i] = perm[i];
    return plm_apply(&transpose, &d, sizeof d, &x, 1);
}

/* concat.c: values side by side along an axis, and a part of a value: each other's transpose.
 *
 * Along an axis the memory of a dense layout falls into rows, in each of which every index of the axis has `unit` floats that
 * lie together; so a part of the axis is one run of floats in every row.  All four passes copy such runs, in row-major
 * memory, nhwc and nChw16c alike.  Only a block of channels is not cut: where a part would begin within one, the values are
 * made row-major first. */
#include <string.h>

#include "ops/ops.h"

typedef struct {
    int     axis;
    int64_t start, stop; /* of a slice */
} attributes;

static int64_t block_along(const plm__layout *l, int axis)
{
    return l->blocks && axis == l->axis[0] ? l->block[0] : 1;
}

typedef struct {
    int64_t rows, row; /* how many, and how many floats in each */
    int64_t unit;      /* floats for an index of the axis, in each row */
} cut;

static cut cut_along(const plm__layout *layout, int axis)
{
    const plm__layout l    = plm__layout_like(layout, plm__layout_shape(layout)); /* strides for extents of 1 too */
    const int64_t     unit = l.stride[axis] / block_along(&l, axis), row = unit * l.padded[axis];
    return (cut){ .rows = plm__layout_floats(&l) / row, .row = row, .unit = unit };
}

/* In every row: `floats` from one tensor to another.  The steps lead from row to row; from NULL: zeros. */
typedef struct {
    const float *from;
    float       *to;
    int64_t      from_step, to_step, floats;
} run;

static void copy_runs(const run *runs, int n, int64_t rows)
{
    int64_t each = 0;
    for (int k = 0; k < n; k++) each += runs[k].floats;
#pragma omp parallel for collapse(2) if (rows * each > PLM__SERIAL) schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int k = 0; k < n; k++) {
            const run   *r     = &runs[k];
            const size_t bytes = (size_t)r->floats * sizeof(float);
            if (r->from) memcpy(r->to + row * r->to_step, r->from + row * r->from_step, bytes);
            else memset(r->to + row * r->to_step, 0, bytes);
        }
}

/* ------------------------------------------------------------------ concat */

int plm__concat_shape(const plm_shape *x, int n, int axis, plm_shape *y)
{
    *y = x[0];
    for (int i = 1; i < n; i++) {
        plm_shape same = x[i];
        if (same.rank != x[0].rank) return i;
        same.dim[axis] = x[0].dim[axis];
        if (!plm_shape_equal(same, x[0])) return i;
        y->dim[axis] += x[i].dim[axis];
    }
    return 0;
}

static bool concat_shape(plm_record *r)
{
    char              a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const attributes *given             = plm_record_attr(r);
    plm_shape         x[PLM_MAX_INPUTS] = { { 0 } }, y;
    int               axis              = given->axis;
    for (int i = 0; i < r->n_in; i++) x[i] = plm_record_in_shape(r, i);
    if (!plm__axis(&axis, x[0].rank))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "there is no axis %d in operand 0 %s", given->axis,
                               plm__shape_text(x[0], a));
    const int odd = plm__concat_shape(x, r->n_in, axis, &y);
    if (odd)
        return plm_record_fail(r, PLM_ERR_SHAPE,
                               "operand %d is %s and operand 0 %s: they may differ along axis %d only", odd,
                               plm__shape_text(x[odd], a), plm__shape_text(x[0], b), axis);
    return plm_record_set_out(r, y);
}

static int concat_axis(const plm_record *r)
{
    int axis = ((const attributes *)plm_record_attr(r))->axis;
    plm__axis(&axis, plm_record_out_shape(r).rank);
    return axis;
}

/* Do all inputs have the kind of layout that `whole` has, and end where a block does?  The last one may end anywhere: its
 * padding becomes the output's. */
static bool fits_together(const plm_record *r, const plm__layout *whole, int axis)
{
    int64_t end = 0;
    for (int i = 0; i < r->n_in; i++) {
        const plm__layout part = plm__layout_like(whole, plm_record_in_shape(r, i));
        if (!plm__layout_same(&plm__in(r, i)->layout, &part) || end % block_along(whole, axis) != 0) return false;
        end += part.dim[axis];
    }
    return true;
}

static bool concat_prepare(plm_record *r)
{
    const plm_shape y     = plm_record_out_shape(r);
    plm__layout     whole = plm__layout_like(&plm__in(r, 0)->layout, y);
    if (!fits_together(r, &whole, concat_axis(r))) whole = plm__layout_plain(y);
    for (int i = 0; i < r->n_in; i++) {
        const plm__layout part = plm__layout_like(&whole, plm_record_in_shape(r, i));
        if (!plm__record_reorder(r, i, &part)) return false;
    }
    plm__record_set_layout(r, &whole);
    return true;
}

static bool concat_forward(plm_record *r)
{
    const int axis  = concat_axis(r);
    const cut whole = cut_along(&plm__out(r)->layout, axis);
    float    *to    = plm_record_out(r);
    run       runs[PLM_MAX_INPUTS];
    for (int i = 0; i < r->n_in; i++) {
        const int64_t floats = whole.unit * plm__in(r, i)->layout.padded[axis];
        runs[i] =
            (run){ .from = plm_record_in(r, i), .to = to, .from_step = floats, .to_step = whole.row, .floats = floats };
        to += floats;
    }
    copy_runs(runs, r->n_in, whole.rows);
    return true;
}

/* dx[i] = the part of dy where x[i] stands. */
static bool concat_backward(plm_record *r)
{
    const int    axis  = concat_axis(r);
    const cut    whole = cut_along(&plm__out(r)->layout, axis);
    const float *from  = plm_record_grad_out(r);
    run          runs[PLM_MAX_INPUTS];
    int          n = 0;
    for (int i = 0; i < r->n_in; i++) {
        const int64_t floats = whole.unit * plm__in(r, i)->layout.padded[axis];
        if (plm_record_wants(r, i)) {
            float *dx = plm_record_grad_in(r, i);
            if (!dx) return false;
            runs[n++] = (run){ .from = from, .to = dx, .from_step = whole.row, .to_step = floats, .floats = floats };
        }
        from += floats;
    }
    copy_runs(runs, n, whole.rows);
    return true;
}

static const plm_op concat = { .name     = "concat",
                               .shape    = concat_shape,
                               .prepare  = concat_prepare,
                               .forward  = concat_forward,
                               .backward = concat_backward,
                               .layout   = PLM_LAYOUT_NEGOTIATED };

plm_val plm_concat(const plm_val *x, int n, int axis)
{
    const attributes d = { .axis = axis };
    return plm_apply(&concat, &d, sizeof d, x, n);
}

/* ------------------------------------------------------------------ slice */

/* The attributes with nothing negative in them; false: there is no such axis or range. */
static bool resolved(const plm_record *r, attributes *d)
{
    const plm_shape x = plm_record_in_shape(r, 0);
    *d                = *(const attributes *)plm_record_attr(r);
    return plm__axis(&d->axis, x.rank) && plm__slice_range(x.dim[d->axis], &d->start, &d->stop);
}

static bool slice_shape(plm_record *r)
{
    char              text[PLM__SHAPE_TEXT];
    const attributes *given = plm_record_attr(r);
    plm_shape         s     = plm_record_in_shape(r, 0);
    attributes        d     = *given;
    if (!plm__axis(&d.axis, s.rank))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "there is no axis %d in %s", given->axis, plm__shape_text(s, text));
    if (!resolved(r, &d))
        return plm_record_fail(
            r, PLM_ERR_ARGUMENT,
            "elements %lld to %lld along axis %d of %s: start comes before stop, both within the axis",
            (long long)given->start, (long long)given->stop, given->axis, plm__shape_text(s, text));
    s.dim[d.axis] = d.stop - d.start;
    return plm_record_set_out(r, s);
}

static bool slice_prepare(plm_record *r)
{
    const plm_shape x     = plm_record_in_shape(r, 0);
    plm__layout     whole = plm__layout_like(&plm__in(r, 0)->layout, x);
    attributes      d;
    resolved(r, &d);
    const int64_t block = block_along(&whole, d.axis);
    if (d.start % block != 0 || (d.stop % block != 0 && d.stop != x.dim[d.axis])) whole = plm__layout_plain(x);
    const plm__layout part = plm__layout_like(&whole, plm_record_out_shape(r));
    plm__record_set_layout(r, &part);
    return plm__record_reorder(r, 0, &whole);
}

static bool slice_forward(plm_record *r)
{
    attributes d;
    resolved(r, &d);
    const cut     whole  = cut_along(&plm__in(r, 0)->layout, d.axis);
    const int64_t floats = whole.unit * plm__out(r)->layout.padded[d.axis];
    const run     part   = { .from      = plm_record_in(r, 0) + whole.unit * d.start,
                             .to        = plm_record_out(r),
                             .from_step = whole.row,
                             .to_step   = floats,
                             .floats    = floats };
    copy_runs(&part, 1, whole.rows);
    return true;
}

/* dx = zeros, dy and zeros side by side. */
static bool slice_backward(plm_record *r)
{
    attributes d;
    float     *dx = plm_record_grad_in(r, 0);
    if (!dx || !resolved(r, &d)) return false;
    const cut     whole  = cut_along(&plm__in(r, 0)->layout, d.axis);
    const int64_t floats = whole.unit * plm__out(r)->layout.padded[d.axis], before = whole.unit * d.start;
    const run     runs[] = { { .to = dx, .to_step = whole.row, .floats = before },
                             { .from      = plm_record_grad_out(r),
                               .to        = dx + before,
                               .from_step = floats,
                               .to_step   = whole.row,
                               .floats    = floats },
                             { .to = dx + before + floats, .to_step = whole.row, .floats = whole.row - before - floats } };
    copy_runs(runs, 3, whole.rows);
    return true;
}

static const plm_op slice = { .name     = "slice",
                              .shape    = slice_shape,
                              .prepare  = slice_prepare,
                              .forward  = slice_forward,
                              .backward = slice_backward,
                              .layout   = PLM_LAYOUT_NEGOTIATED };

plm_val plm_slice(plm_val x, int axis, int64_t start, int64_t stop)
{
    const attributes d = { .axis = axis, .start = start, .stop = stop };
    return plm_apply(&slice, &d, sizeof d, &x, 1);
}

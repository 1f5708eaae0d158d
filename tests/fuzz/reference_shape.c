/* reference_shape.c: sums and means, and ops that move elements: reshape, transpose, concat, slice. */
#include "reference.h"

/* ------------------------------------------------------------------ sum (a[0] = 0) and mean; a[1] bit k: axis k; a[2]: keep */

static void pick_reduce(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    y->a[0] = fuzz_below(b, 2);
    y->a[1] = fuzz_byte(b) % (1 << y->x[0]->shape.rank);
    y->a[2] = fuzz_below(b, 2);
}

static bool reduced(const ref_val *y, int axis)
{
    return y->a[1] == 0 || y->a[1] >> axis & 1; /* none means all */
}

static bool infer_reduce(ref_val *y)
{
    const plm_shape s = y->x[0]->shape;
    y->shape          = (plm_shape){ 0 };
    for (int a = 0; a < s.rank; a++)
        if (!reduced(y, a) || y->a[2]) y->shape.dim[y->shape.rank++] = reduced(y, a) ? 1 : s.dim[a];
    return true;
}

static void walk_reduce(ref_val *y, double *to, double *m)
{
    ref_val     *x    = y->x[0];
    const double each = y->a[0] ? (double)y->count / (double)x->count : 1;
    for (int64_t i = 0; i < x->count; i++) {
        int64_t at[PLM_MAX_RANK], o = 0;
        ref_places(x->shape, i, at);
        for (int a = 0; a < x->shape.rank; a++)
            if (!reduced(y, a)) o = o * x->shape.dim[a] + at[a];
        ref_linear(y, x, o, i, each, to, m);
    }
}

static plm_val run_reduce(const ref_val *y, const plm_val *x)
{
    int axes[PLM_MAX_RANK], count = 0;
    for (int a = 0; a < y->x[0]->shape.rank; a++)
        if (y->a[1] >> a & 1)
            axes[count++] = a % 2 ? a : a - y->x[0]->shape.rank; /* negative ones count from the end */
    const plm_reduce_desc desc = { count ? axes : NULL, count, y->a[2] };
    return y->a[0] ? plm_mean(x[0], &desc) : plm_sum(x[0], &desc);
}

/* ------------------------------------------------------------------ moving: y[o] = x[source[o]], found by `from` */

static void move(ref_val *y, ref_val *x, int64_t o, int64_t i, double *to, double *m)
{
    if (to) to[o] = x->y[i], m[o] = 0; /* exactly */
    else ref_term(y, x, o, i, 1, 1);
}

/* a[0]: two axes become one, the first of them a[1]; or one is cut in two; or everything flat; or too many elements. */
static void pick_reshape(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    y->a[0] = fuzz_below(b, 8);
    y->a[1] = y->x[0]->shape.rank ? fuzz_below(b, y->x[0]->shape.rank) : 0;
}

static bool infer_reshape(ref_val *y)
{
    plm_shape s = y->x[0]->shape;
    const int a = (int)y->a[1];
    y->shape    = plm_shape_of(y->x[0]->count);
    if (y->a[0] < 3 && a + 1 < s.rank) {
        s.dim[a] *= s.dim[a + 1];
        for (int k = a + 1; k + 1 < s.rank; k++) s.dim[k] = s.dim[k + 1];
        s.rank--;
        y->shape = s;
    } else if (y->a[0] < 6 && s.rank > 0 && s.rank < PLM_MAX_RANK && s.dim[a] % 2 == 0) {
        for (int k = s.rank; k > a; k--) s.dim[k] = s.dim[k - 1];
        s.dim[a] = 2;
        s.dim[a + 1] /= 2;
        s.rank++;
        y->shape = s;
    } else if (y->a[0] == 7) y->shape.dim[0]++;
    return y->a[0] != 7;
}

static void walk_reshape(ref_val *y, double *to, double *m)
{
    for (int64_t o = 0; o < y->count; o++) move(y, y->x[0], o, o, to, m);
}

static plm_val run_reshape(const ref_val *y, const plm_val *x)
{
    plm_shape s = y->shape;
    if (y->a[0] == 1 && s.rank > 0) s.dim[0] = -1; /* inferred */
    return plm_reshape(x[0], s);
}

/* a[k]: which axis of x is axis k of y. */
static void pick_transpose(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    const int rank = y->x[0]->shape.rank;
    for (int k = 0; k < rank; k++) y->a[k] = k;
    for (int k = rank - 1; k > 0; k--) {
        const int     other = fuzz_below(b, k + 1);
        const int64_t kept  = y->a[k];
        y->a[k]             = y->a[other];
        y->a[other]         = kept;
    }
}

static bool infer_transpose(ref_val *y)
{
    y->shape.rank = y->x[0]->shape.rank;
    for (int k = 0; k < y->shape.rank; k++) y->shape.dim[k] = y->x[0]->shape.dim[y->a[k]];
    return true;
}

static void walk_transpose(ref_val *y, double *to, double *m)
{
    for (int64_t o = 0; o < y->count; o++) {
        int64_t at[PLM_MAX_RANK], from[PLM_MAX_RANK];
        ref_places(y->shape, o, at);
        for (int k = 0; k < y->shape.rank; k++) from[y->a[k]] = at[k];
        move(y, y->x[0], o, ref_element(y->x[0]->shape, from), to, m);
    }
}

static plm_val run_transpose(const ref_val *y, const plm_val *x)
{
    int perm[PLM_MAX_RANK];
    for (int k = 0; k < y->shape.rank; k++) perm[k] = (int)y->a[k];
    return plm_transpose(x[0], perm);
}

/* ------------------------------------------------------------------ concat along a[0], slice a[1] .. a[2]-1 along it */

static void pick_concat(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    plm_shape s = y->x[0]->shape;
    y->a[0]     = s.rank ? fuzz_below(b, s.rank) : 0;
    y->operands = 1 + fuzz_below(b, 3);
    for (int k = 1; k < y->operands; k++) {
        if (s.rank) s.dim[y->a[0]] = 1 + fuzz_below(b, 17);
        if (fuzz_below(b, 32) == 31 && s.rank) s.dim[(y->a[0] + 1) % s.rank]++;
        if (k == 2 && fuzz_below(b, 2)) y->x[k] = y->x[0]; /* twice the same */
        else y->x[k] = ref_leaf(g, s, b);
        if (!y->x[k]) return;
    }
}

static bool infer_concat(ref_val *y)
{
    y->shape = y->x[0]->shape;
    if (y->shape.rank == 0) return false;
    for (int k = 1; k < y->operands; k++) {
        plm_shape same = y->x[k]->shape;
        y->shape.dim[y->a[0]] += same.dim[y->a[0]];
        same.dim[y->a[0]] = y->x[0]->shape.dim[y->a[0]];
        if (!plm_shape_equal(same, y->x[0]->shape)) return false;
    }
    return true;
}

static void walk_concat(ref_val *y, double *to, double *m)
{
    for (int64_t o = 0; o < y->count; o++) {
        int64_t at[PLM_MAX_RANK];
        int     k = 0;
        ref_places(y->shape, o, at);
        for (; at[y->a[0]] >= y->x[k]->shape.dim[y->a[0]]; k++) at[y->a[0]] -= y->x[k]->shape.dim[y->a[0]];
        move(y, y->x[k], o, ref_element(y->x[k]->shape, at), to, m);
    }
}

static plm_val run_concat(const ref_val *y, const plm_val *x)
{
    return plm_concat(x, y->operands, (int)y->a[0] - (y->count % 2 ? y->x[0]->shape.rank : 0));
}

static void pick_slice(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    const plm_shape s = y->x[0]->shape;
    y->a[0]           = s.rank ? fuzz_below(b, s.rank) : 0;
    const int64_t n   = s.rank ? s.dim[y->a[0]] : 1;
    y->a[1]           = fuzz_below(b, n < 256 ? (int)n : 256);
    y->a[2]           = y->a[1] + fuzz_below(b, 1 + (n - y->a[1] < 255 ? (int)(n - y->a[1]) : 255));
}

static bool infer_slice(ref_val *y)
{
    y->shape = y->x[0]->shape;
    if (y->shape.rank == 0) return false;
    y->shape.dim[y->a[0]] = y->a[2] - y->a[1];
    return y->a[2] > y->a[1];
}

static void walk_slice(ref_val *y, double *to, double *m)
{
    for (int64_t o = 0; o < y->count; o++) {
        int64_t at[PLM_MAX_RANK];
        ref_places(y->shape, o, at);
        at[y->a[0]] += y->a[1];
        move(y, y->x[0], o, ref_element(y->x[0]->shape, at), to, m);
    }
}

static plm_val run_slice(const ref_val *y, const plm_val *x)
{
    return plm_slice(x[0], (int)y->a[0], y->a[1], y->a[2]);
}

static const ref_op reduce    = { "sum or mean", pick_reduce, infer_reduce, walk_reduce, run_reduce };
static const ref_op reshape   = { "reshape", pick_reshape, infer_reshape, walk_reshape, run_reshape };
static const ref_op transpose = { "transpose", pick_transpose, infer_transpose, walk_transpose, run_transpose };
static const ref_op concat    = { "concat", pick_concat, infer_concat, walk_concat, run_concat };
static const ref_op slice     = { "slice", pick_slice, infer_slice, walk_slice, run_slice };

const ref_op *const ref_shape_ops[] = { &reduce, &reshape, &transpose, &concat, &slice, NULL };

/* reference_norms.c: ops that look at a whole row or channel: softmax, norms, losses. */
#include "reference.h"

/* ------------------------------------------------------------------ softmax (a[0] = 0), log_softmax; along axis a[1] */

static void pick_softmax(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    y->a[0] = fuzz_below(b, 2);
    y->a[1] = y->x[0]->shape.rank ? fuzz_below(b, y->x[0]->shape.rank) : 0;
}

static bool infer_softmax(ref_val *y)
{
    y->shape = y->x[0]->shape;
    return y->shape.rank > 0;
}

static void walk_softmax(ref_val *y, double *to, double *m)
{
    ref_val *x     = y->x[0];
    int64_t  inner = 1, n = y->shape.dim[y->a[1]];
    for (int a = (int)y->a[1] + 1; a < y->shape.rank; a++) inner *= y->shape.dim[a];
    for (int64_t o = 0; o < y->count; o++) {
        const int64_t first   = o - o / inner % n * inner; /* of its row */
        double        largest = -INFINITY, size = 0, sum = 0;
        for (int64_t k = 0; k < n; k++) largest = fmax(largest, x->y[first + k * inner]);
        for (int64_t k = 0; k < n; k++) size = fmax(size, fabs(x->y[first + k * inner]));
        for (int64_t k = 0; k < n; k++) sum += exp(x->y[first + k * inner] - largest);
        const double log_p = x->y[o] - largest - log(sum), p = exp(log_p);
        if (to) {
            to[o] = y->a[0] ? log_p : p;
            m[o]  = y->a[0] ? 1 + size : p * (1 + size);
            continue;
        }
        for (int64_t k = 0; k < n; k++) { /* of p: p (delta - q); of log p: delta - q */
            const int64_t i = first + k * inner;
            const double  q = exp(x->y[i] - largest - log(sum)), delta = i == o, scale = y->a[0] ? 1 : p;
            ref_term(y, x, o, i, scale * (delta - q), scale * (delta + q) * (1 + size));
        }
    }
}

static plm_val run_softmax(const ref_val *y, const plm_val *x)
{
    const int axis = (int)y->a[1] - (y->count % 2 ? y->shape.rank : 0);
    return y->a[0] ? plm_log_softmax(x[0], axis) : plm_softmax(x[0], axis);
}

/* ------------------------------------------------------------------ norms: a[0] = 0: of channels; else of the last a[0] axes */

static void pick_norm(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    const plm_shape s     = y->x[0]->shape;
    const bool      layer = fuzz_below(b, 2);
    y->a[0]               = layer ? 1 + fuzz_below(b, s.rank + 1) : 0;
    y->p[0]               = fuzz_below(b, 2) ? .25 : 1e-5;
    if (fuzz_below(b, 2)) return;
    plm_shape w = s.rank > 1 ? plm_shape_of(s.dim[1]) : plm_shape_of(1);
    if (layer)
        w = plm_shape_from(y->a[0] <= s.rank ? (int)y->a[0] : 0, s.dim + (y->a[0] <= s.rank ? s.rank - y->a[0] : 0));
    if (fuzz_below(b, 24) == 23 && w.rank) w.dim[0]++;
    y->operands = 3;
    y->x[1]     = ref_leaf(g, w, b);
    y->x[2]     = y->x[1] ? ref_leaf(g, w, b) : NULL;
}

static bool infer_norm(ref_val *y)
{
    const plm_shape s = y->x[0]->shape;
    y->shape          = s;
    if (y->a[0] == 0 && ((s.rank != 2 && s.rank != 4) || plm_shape_count(s) / s.dim[1] < 2)) return false;
    if (y->a[0] > s.rank || s.rank == 0) return false;
    const plm_shape w = y->a[0] ? plm_shape_from((int)y->a[0], s.dim + s.rank - y->a[0]) : plm_shape_of(s.dim[1]);
    return y->operands < 3 || (plm_shape_equal(y->x[1]->shape, w) && plm_shape_equal(y->x[2]->shape, w));
}

/* Elements are of one group, and have one scale and shift: the numbers of both for element i. */
static int64_t group_of(const ref_val *y, int64_t i, int64_t *weight)
{
    int64_t inner = 1;
    if (y->a[0]) {
        for (int a = 0; a < y->a[0]; a++) inner *= y->shape.dim[y->shape.rank - 1 - a];
        *weight = i % inner;
        return i / inner;
    }
    for (int a = 2; a < y->shape.rank; a++) inner *= y->shape.dim[a];
    return *weight = i / inner % y->shape.dim[1];
}

typedef struct {
    double  mean, rstd, largest, condition; /* by how much 1/std magnifies the rounding of x */
    int64_t n;
} moments;

static moments moments_of(const ref_val *y, int64_t group)
{
    const ref_val *x = y->x[0];
    moments        s = { 0 };
    int64_t        weight;
    double         squares = 0;
    for (int64_t i = 0; i < x->count; i++)
        if (group_of(y, i, &weight) == group) s.mean += x->y[i], s.n++;
    s.mean /= (double)s.n;
    for (int64_t i = 0; i < x->count; i++)
        if (group_of(y, i, &weight) == group) {
            squares += (x->y[i] - s.mean) * (x->y[i] - s.mean);
            s.largest = fmax(s.largest, fabs(x->y[i]));
        }
    s.rstd      = 1 / sqrt(squares / (double)s.n + y->p[0]);
    s.condition = (1 + s.largest * s.rstd) * (1 + s.largest * s.rstd);
    return s;
}

/* Element o, in a group of these moments. */
static void walk_element(ref_val *y, int64_t o, int64_t group, moments s, double *to, double *m)
{
    ref_val *x = y->x[0];
    int64_t  weight, other;
    group_of(y, o, &weight);
    const double hat = (x->y[o] - s.mean) * s.rstd, scale = y->operands == 3 ? y->x[1]->y[weight] : 1;
    const double shift = y->operands == 3 ? y->x[2]->y[weight] : 0, n = (double)s.n;
    if (to) {
        to[o] = scale * hat + shift;
        m[o]  = fabs(scale) * (1 + fabs(hat)) * s.condition + fabs(shift);
        return;
    }
    for (int64_t i = 0; i < x->count; i++) {
        if (group_of(y, i, &other) != group) continue;
        const double there = (x->y[i] - s.mean) * s.rstd, delta = i == o, by = s.rstd * scale;
        ref_term(y, x, o, i, by * (delta - 1 / n - hat * there / n),
                 fabs(by) * (delta + 1 / n + (1 + fabs(hat)) * (1 + fabs(there)) / n) * s.condition);
    }
    if (y->operands < 3) return;
    ref_term(y, y->x[1], o, weight, hat, (1 + fabs(hat)) * s.condition);
    ref_term(y, y->x[2], o, weight, 1, 1);
}

static void walk_norm(ref_val *y, double *to, double *m)
{
    int64_t done = -1, weight;
    for (int64_t first = 0; first < y->count; first++) {
        const int64_t group = group_of(y, first, &weight);
        if (group <= done) continue; /* groups begin in order */
        const moments s = moments_of(y, group);
        done            = group;
        for (int64_t o = first; o < y->count; o++)
            if (group_of(y, o, &weight) == group) walk_element(y, o, group, s, to, m);
    }
}

static plm_val run_norm(const ref_val *y, const plm_val *x)
{
    const plm_val scale = y->operands == 3 ? x[1] : plm_none, shift = y->operands == 3 ? x[2] : plm_none;
    if (y->a[0]) return plm_layer_norm(x[0], scale, shift, &(plm_layer_norm_op_desc){ (int)y->a[0], y->p[0] });
    return plm_batch_norm(x[0], scale, shift, NULL, NULL, &(plm_batch_norm_op_desc){ .eps = y->p[0] });
}

/* ------------------------------------------------------------------ losses of rows x [n,c] and labels, which are scalars */

enum { MSE_ONEHOT, SQUARE_LOSS, CROSS_ENTROPY, LOSSES };

static void pick_loss(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    const plm_shape s = y->x[0]->shape;
    y->a[0]           = fuzz_below(b, LOSSES);
    y->p[0]           = fuzz_below(b, 4);
    y->a[1]           = s.rank > 0 ? s.dim[0] : 1;
    y->labels         = calloc((size_t)y->a[1], sizeof *y->labels);
    fuzz_require(y->labels);
    for (int64_t i = 0; i < y->a[1]; i++)
        y->labels[i] = fuzz_below(b, s.rank > 1 ? (int)s.dim[1] % 250 + (b->left % 8 == 7) : 2);
}

static bool infer_loss(ref_val *y)
{
    const plm_shape s = y->x[0]->shape;
    y->shape          = (plm_shape){ 0 };
    if (s.rank != 2) return false;
    for (int64_t i = 0; i < s.dim[0]; i++)
        if (y->labels[i] >= s.dim[1]) return false;
    return true;
}

static void walk_loss(ref_val *y, double *to, double *m)
{
    ref_val      *x = y->x[0];
    const int64_t n = x->shape.dim[0], c = x->shape.dim[1];
    const double  target = y->p[0] != 0 ? y->p[0] : sqrt((double)c), half = y->a[0] == SQUARE_LOSS ? 2 : 1;
    for (int64_t i = 0; i < n; i++) {
        double largest = -INFINITY, size = 0, sum = 0;
        for (int64_t k = 0; k < c; k++) largest = fmax(largest, x->y[i * c + k]);
        for (int64_t k = 0; k < c; k++) size = fmax(size, fabs(x->y[i * c + k]));
        for (int64_t k = 0; k < c; k++) sum += exp(x->y[i * c + k] - largest);
        for (int64_t k = 0; k < c; k++) {
            const bool   right = y->labels[i] == k;
            const double f     = x->y[i * c + k];
            if (y->a[0] == CROSS_ENTROPY) {
                const double q = exp(f - largest) / sum;
                if (!to) ref_term(y, x, 0, i * c + k, (q - right) / (double)n, (q + right) * (1 + size) / (double)n);
                else if (right) to[0] -= (f - largest - log(sum)) / (double)n, m[0] += (1 + size) / (double)n;
                continue;
            }
            const double apart = f - (right ? target : 0), each = (double)(n * c) * half;
            if (!to) ref_term(y, x, 0, i * c + k, 2 * apart / each, 2 * (fabs(f) + target) / each);
            else to[0] += apart * apart / each, m[0] += (fabs(f) + target) * (fabs(f) + target) / each;
        }
    }
}

static plm_val run_loss(const ref_val *y, const plm_val *x)
{
    const plm_tensor labels = plm_tensor_wrap(PLM_I64, plm_shape_of(y->a[1]), y->labels);
    if (y->a[0] == CROSS_ENTROPY) return plm_cross_entropy(x[0], labels);
    return (y->a[0] == MSE_ONEHOT ? plm_mse_onehot : plm_square_loss)(x[0], labels, &(plm_onehot_desc){ y->p[0] });
}

static const ref_op softmax = { "softmax", pick_softmax, infer_softmax, walk_softmax, run_softmax };
static const ref_op norm    = { "norm", pick_norm, infer_norm, walk_norm, run_norm };
static const ref_op loss    = { "loss", pick_loss, infer_loss, walk_loss, run_loss };

const ref_op *const ref_norm_ops[] = { &softmax, &norm, &loss, NULL };

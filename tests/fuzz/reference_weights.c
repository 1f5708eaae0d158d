/* reference_weights.c: ops that multiply by weights: matmul, linear, conv2d, embedding; and pools, which have windows too. */
#include "reference.h"

static const int64_t widths[] = { 1, 2, 3, 5, 8, 16, 17, 4 }; /* around the blocks of 8 and 16 channels */

static int64_t width(fuzz_bytes *b)
{
    return widths[fuzz_below(b, 8)];
}

/* Sometimes another number: then the library must refuse. */
static int64_t nearly(int64_t n, fuzz_bytes *b)
{
    return fuzz_below(b, 24) == 23 ? n + 1 : n;
}

/* ------------------------------------------------------------------ matmul */

static void pick_matmul(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    const plm_shape s = y->x[0]->shape;
    plm_shape       w = s;
    y->operands       = 2;
    if (s.rank == 3) w.dim[0] = nearly(s.dim[0], b);
    if (s.rank >= 2) w.dim[s.rank - 2] = nearly(s.dim[s.rank - 1], b), w.dim[s.rank - 1] = width(b);
    y->x[1] = ref_leaf(g, w, b);
}

static bool infer_matmul(ref_val *y)
{
    const plm_shape a = y->x[0]->shape, w = y->x[1]->shape;
    if ((a.rank != 2 && a.rank != 3) || w.rank != a.rank || a.dim[a.rank - 1] != w.dim[a.rank - 2]) return false;
    y->shape                 = a;
    y->shape.dim[a.rank - 1] = w.dim[a.rank - 1];
    return a.rank == 2 || a.dim[0] == w.dim[0];
}

static void walk_matmul(ref_val *y, double *to, double *m)
{
    const plm_shape a    = y->x[0]->shape;
    const int64_t   rows = a.dim[a.rank - 2], inner = a.dim[a.rank - 1], columns = y->shape.dim[a.rank - 1];
    for (int64_t o = 0; o < y->count; o++) {
        const int64_t j = o % columns, i = o / columns % rows, p = o / columns / rows;
        for (int64_t k = 0; k < inner; k++)
            ref_product(y, o, (p * rows + i) * inner + k, (p * inner + k) * columns + j, to, m);
    }
}

static plm_val run_matmul(const ref_val *y, const plm_val *x)
{
    (void)y;
    return plm_matmul(x[0], x[1]);
}

/* ------------------------------------------------------------------ linear and conv2d, with a bias or without */

/* An operand of one number for each of `n` outputs. */
static bool pick_bias(ref_graph *g, ref_val *y, int64_t n, fuzz_bytes *b)
{
    if (fuzz_below(b, 2)) return true;
    y->operands = 3;
    return (y->x[2] = ref_leaf(g, plm_shape_of(nearly(n, b)), b)) != NULL;
}

static bool bias_fits(const ref_val *y, int64_t n)
{
    return y->operands < 3 || plm_shape_equal(y->x[2]->shape, plm_shape_of(n));
}

static void pick_linear(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    const plm_shape s   = y->x[0]->shape;
    const int64_t   out = width(b);
    y->operands         = 2;
    y->x[1]             = ref_leaf(g, plm_shape_of(out, nearly(s.rank == 2 ? s.dim[1] : 3, b)), b);
    if (y->x[1]) pick_bias(g, y, out, b);
}

static bool infer_linear(ref_val *y)
{
    const plm_shape x = y->x[0]->shape, w = y->x[1]->shape;
    if (x.rank != 2 || x.dim[1] != w.dim[1]) return false;
    y->shape = plm_shape_of(x.dim[0], w.dim[0]);
    return bias_fits(y, w.dim[0]);
}

static void walk_linear(ref_val *y, double *to, double *m)
{
    const int64_t in = y->x[0]->shape.dim[1], out = y->shape.dim[1];
    for (int64_t o = 0; o < y->count; o++) {
        for (int64_t i = 0; i < in; i++) ref_product(y, o, o / out * in + i, o % out * in + i, to, m);
        if (y->operands == 3) ref_linear(y, y->x[2], o, o % out, 1, to, m);
    }
}

static plm_val run_linear(const ref_val *y, const plm_val *x)
{
    return plm_linear(x[0], x[1], y->operands == 3 ? x[2] : plm_none);
}

enum { STRIDE, PAD, DILATION, GROUPS, EXCLUDE, GLOBAL, KERNEL, LARGEST };

static void pick_conv2d(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    const plm_shape s        = y->x[0]->shape;
    const int64_t   channels = s.rank == 4 ? s.dim[1] : 4;
    const int       choice   = fuzz_below(b, 8);
    const int64_t   groups   = choice == 7 ? channels : choice == 6 && channels % 2 == 0 ? 2 : 1;
    const int64_t   out      = groups > 1 ? groups * (1 + fuzz_below(b, 2)) : width(b);
    y->a[STRIDE]             = 1 + fuzz_below(b, 3) / 2;
    y->a[PAD]                = fuzz_below(b, 4) % 3;
    y->a[DILATION]           = 1 + fuzz_below(b, 4) / 3;
    y->a[GROUPS]             = nearly(groups, b);
    y->operands              = 2;
    y->x[1] =
        ref_leaf(g, plm_shape_of(out, nearly(channels / groups, b), 1 + fuzz_below(b, 3), 1 + fuzz_below(b, 3)), b);
    if (y->x[1]) pick_bias(g, y, out, b);
}

static bool infer_window(ref_val *y, int64_t outputs, int64_t tall, int64_t wide)
{
    const plm_shape x     = y->x[0]->shape;
    const int64_t   spare = 2 * y->a[PAD] - y->a[DILATION] * (tall - 1) - 1;
    const int64_t   h = x.dim[2] + spare, w = x.dim[3] + y->a[DILATION] * (tall - wide) + spare;
    if (h < 0 || w < 0) return false;
    y->shape = plm_shape_of(x.dim[0], outputs, h / y->a[STRIDE] + 1, w / y->a[STRIDE] + 1);
    return true;
}

static bool infer_conv2d(ref_val *y)
{
    const plm_shape x = y->x[0]->shape, w = y->x[1]->shape;
    const int64_t   groups = y->a[GROUPS];
    return x.rank == 4 && x.dim[1] == w.dim[1] * groups && w.dim[0] % groups == 0 && bias_fits(y, w.dim[0]) &&
           infer_window(y, w.dim[0], w.dim[2], w.dim[3]);
}

/* Where tap (p, q) of the window of output o lies in a plane of x; -1: in the padding. */
static int64_t tap(const ref_val *y, int64_t o, int64_t p, int64_t q)
{
    const plm_shape x = y->x[0]->shape;
    const int64_t   j = o % y->shape.dim[3], i = o / y->shape.dim[3] % y->shape.dim[2];
    const int64_t   row    = i * y->a[STRIDE] + p * y->a[DILATION] - y->a[PAD];
    const int64_t   column = j * y->a[STRIDE] + q * y->a[DILATION] - y->a[PAD];
    return row < 0 || row >= x.dim[2] || column < 0 || column >= x.dim[3] ? -1 : row * x.dim[3] + column;
}

static void walk_conv2d(ref_val *y, double *to, double *m)
{
    const plm_shape x = y->x[0]->shape, w = y->x[1]->shape;
    const int64_t   plane = y->shape.dim[2] * y->shape.dim[3], outs = w.dim[0] / y->a[GROUPS];
    for (int64_t o = 0; o < y->count; o++) {
        const int64_t k = o / plane % w.dim[0], n = o / plane / w.dim[0];
        for (int64_t e = 0; e < w.dim[1] * w.dim[2] * w.dim[3]; e++) { /* the kernel's elements */
            const int64_t q = e % w.dim[3], p = e / w.dim[3] % w.dim[2], c = e / w.dim[3] / w.dim[2];
            const int64_t at = tap(y, o, p, q), from = n * x.dim[1] + k / outs * w.dim[1] + c;
            if (at >= 0)
                ref_product(y, o, from * x.dim[2] * x.dim[3] + at, k * w.dim[1] * w.dim[2] * w.dim[3] + e, to, m);
        }
        if (y->operands == 3) ref_linear(y, y->x[2], o, k, 1, to, m);
    }
}

static plm_val run_conv2d(const ref_val *y, const plm_val *x)
{
    return plm_conv2d(x[0], x[1], y->operands == 3 ? x[2] : plm_none,
                      &(plm_conv2d_op_desc){ .stride   = (int)y->a[STRIDE],
                                             .pad      = (int)y->a[PAD],
                                             .dilation = (int)y->a[DILATION],
                                             .groups   = (int)y->a[GROUPS] });
}

/* ------------------------------------------------------------------ pools */

static void pick_pool(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    y->a[LARGEST]  = fuzz_below(b, 2);
    y->a[GLOBAL]   = fuzz_below(b, 8) == 7;
    y->a[KERNEL]   = 1 + fuzz_below(b, 3);
    y->a[STRIDE]   = 1 + fuzz_below(b, 3);
    y->a[PAD]      = fuzz_below(b, 3);
    y->a[EXCLUDE]  = !y->a[LARGEST] && fuzz_below(b, 2);
    y->a[DILATION] = 1;
    if (y->a[GLOBAL]) y->a[PAD] = 0, y->a[STRIDE] = 1, y->a[EXCLUDE] = 0;
}

static bool infer_pool(ref_val *y)
{
    const plm_shape x = y->x[0]->shape;
    if (x.rank != 4 || y->a[PAD] > y->a[KERNEL] / 2) return false;
    return y->a[GLOBAL] ? infer_window(y, x.dim[1], x.dim[2], x.dim[3])
                        : infer_window(y, x.dim[1], y->a[KERNEL], y->a[KERNEL]);
}

static void walk_pool(ref_val *y, double *to, double *m)
{
    ref_val      *x     = y->x[0];
    const int64_t tall  = y->a[GLOBAL] ? x->shape.dim[2] : y->a[KERNEL],
                  wide  = y->a[GLOBAL] ? x->shape.dim[3] : y->a[KERNEL];
    const int64_t plane = y->shape.dim[2] * y->shape.dim[3];
    for (int64_t o = 0; o < y->count; o++) {
        int64_t at[REF_MOST], n = 0, ties = 0;
        double  largest = -INFINITY;
        for (int64_t e = 0; e < tall * wide; e++) {
            const int64_t in = tap(y, o, e / wide, e % wide);
            if (in >= 0) at[n++] = o / plane * x->shape.dim[2] * x->shape.dim[3] + in;
        }
        for (int64_t k = 0; k < n; k++) largest = fmax(largest, x->y[at[k]]);
        for (int64_t k = 0; k < n; k++) ties += x->y[at[k]] == largest;
        for (int64_t k = 0; k < n; k++) {
            const double d = 1 / (double)(y->a[EXCLUDE] ? n : tall * wide);
            if (!y->a[LARGEST]) ref_linear(y, x, o, at[k], d, to, m);
            else if (to) to[o] = largest, m[o] = 0;
            else if (x->y[at[k]] == largest && ties == 1) ref_term(y, x, o, at[k], 1, 1);
            else if (x->y[at[k]] == largest)
                ref_term(y, x, o, at[k], 1 / (double)ties, 1 / REF_ROUNDING); /* any of them */
        }
    }
}

static plm_val run_pool(const ref_val *y, const plm_val *x)
{
    const plm_pool2d_op_desc d = { .kernel      = y->a[GLOBAL] ? 0 : (int)y->a[KERNEL],
                                   .stride      = y->a[GLOBAL] ? 0 : (int)y->a[STRIDE],
                                   .pad         = (int)y->a[PAD],
                                   .exclude_pad = y->a[EXCLUDE],
                                   .global      = y->a[GLOBAL] };
    return y->a[LARGEST] ? plm_max_pool2d(x[0], &d) : plm_avg_pool2d(x[0], &d);
}

/* ------------------------------------------------------------------ embedding: x[0] is the table, a[0] how many indices */

static void pick_embedding(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    y->a[0]           = 1 + fuzz_below(b, 8);
    const plm_shape s = y->x[0]->shape;
    y->labels         = calloc((size_t)y->a[0], sizeof *y->labels);
    fuzz_require(y->labels);
    for (int64_t i = 0; i < y->a[0]; i++)
        y->labels[i] = s.rank ? fuzz_below(b, (int)s.dim[0] % 250 + 1) : 0; /* may be one too many */
}

static bool infer_embedding(ref_val *y)
{
    const plm_shape s = y->x[0]->shape;
    if (s.rank != 2) return false;
    for (int64_t i = 0; i < y->a[0]; i++)
        if (y->labels[i] >= s.dim[0]) return false;
    y->shape = plm_shape_of(y->a[0], s.dim[1]);
    return true;
}

static void walk_embedding(ref_val *y, double *to, double *m)
{
    const int64_t dim = y->shape.dim[1];
    for (int64_t o = 0; o < y->count; o++) ref_linear(y, y->x[0], o, y->labels[o / dim] * dim + o % dim, 1, to, m);
}

static plm_val run_embedding(const ref_val *y, const plm_val *x)
{
    return plm_embedding(x[0], plm_tensor_wrap(PLM_I64, plm_shape_of(y->a[0]), y->labels));
}

static const ref_op matmul    = { "matmul", pick_matmul, infer_matmul, walk_matmul, run_matmul };
static const ref_op linear    = { "linear", pick_linear, infer_linear, walk_linear, run_linear };
static const ref_op conv2d    = { "conv2d", pick_conv2d, infer_conv2d, walk_conv2d, run_conv2d };
static const ref_op pool      = { "pool", pick_pool, infer_pool, walk_pool, run_pool };
static const ref_op embedding = { "embedding", pick_embedding, infer_embedding, walk_embedding, run_embedding };

const ref_op *const ref_weight_ops[] = { &matmul, &linear, &conv2d, &pool, &embedding, NULL };

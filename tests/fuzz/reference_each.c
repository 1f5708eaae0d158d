/* reference_each.c: ops that work element by element, with NumPy's broadcasting. */
#include "reference.h"

enum { SCALE, EXP, LOG, SQRT, SQUARE, ABS, TANH, SIGMOID, RELU, GELU, GELU_TANH, LEAKY_RELU, CLAMP, UNARY };

/* ------------------------------------------------------------------ of one operand: a[0] says which, p are its numbers */

/* The value, its derivative d, and the sizes by which both are computed. */
typedef struct {
    double y, m, d, dm;
} point;

static point gelu(double x)
{
    const double phi = exp(-x * x / 2) / sqrt(2 * M_PI), cdf = erfc(-x / sqrt(2)) / 2;
    return (point){ x * cdf, fabs(x), cdf + x * phi, 1 + fabs(x) };
}

static point gelu_tanh(double x)
{
    const double c = sqrt(2 / M_PI), t = tanh(c * (x + .044715 * x * x * x)), slope = c * (1 + 3 * .044715 * x * x);
    return (point){ x * (1 + t) / 2, fabs(x) + fabs(x * x * x), (1 + t) / 2 + x * (1 - t * t) * slope / 2,
                    1 + fabs(x * x * x) };
}

/* y: the library's, once there is one. */
static point at(const ref_val *v, double x, const double *y)
{
    const double p = v->p[0], q = v->p[1];
    switch (v->a[0]) {
    case SCALE:
        return (point){ p * x, fabs(p * x), p, fabs(p) };
    case EXP:
        return (point){ exp(x), exp(x) * (1 + fabs(x)), exp(x), exp(x) * (1 + fabs(x)) };
    case LOG:
        return (point){ log(x), fabs(log(x)), 1 / x, fabs(1 / x) };
    case SQRT:
        return (point){ sqrt(x), sqrt(x), .5 / sqrt(x), .5 / sqrt(x) };
    case SQUARE:
        return (point){ x * x, x * x, 2 * x, fabs(2 * x) };
    case ABS:
        return (point){ fabs(x), fabs(x), (x > 0) - (x < 0), 1 };
    case TANH: { /* its derivative is a function of y, whose rounding counts where y is near 1 */
        const double t = y ? *y : tanh(x);
        return (point){ tanh(x), fabs(tanh(x)), 1 - t * t, 1 };
    }
    case SIGMOID: {
        const double s = y ? *y : 1 / (1 + exp(-x));
        return (point){ 1 / (1 + exp(-x)), 1 / (1 + exp(-x)) * (1 + fabs(x)), s * (1 - s), s };
    }
    case RELU:
        return (point){ x > 0 ? p * x : 0, fabs(p * x), x > 0 ? p : 0, fabs(p) };
    case GELU:
        return gelu(x);
    case GELU_TANH:
        return gelu_tanh(x);
    case LEAKY_RELU:
        return (point){ x > 0 ? x : p * x, fabs(x), x > 0 ? 1 : p, 1 };
    default: /* CLAMP */
        return (point){ fmin(fmax(x, p), q), fabs(x) + fabs(p) + fabs(q), p <= x && x <= q ? 1 : 0, 1 };
    }
}

static void pick_unary(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    (void)g;
    y->a[0] = fuzz_below(b, UNARY);
    y->p[0] = (fuzz_below(b, 17) - 8) / 4.;
    y->p[1] = y->p[0] + fuzz_below(b, 9) / 4.;
    if (y->a[0] == RELU) y->p[0] = .5 + fuzz_below(b, 4); /* a scale of 0 means 1, and one below 0 is refused */
    if (y->a[0] == LEAKY_RELU && y->p[0] == 0) y->p[0] = .25;
}

static bool infer_same(ref_val *y)
{
    y->shape = y->x[0]->shape;
    return true;
}

static void walk_unary(ref_val *y, double *to, double *m)
{
    ref_val *x = y->x[0];
    for (int64_t i = 0; i < y->count; i++) {
        const point p = at(y, x->y[i], to ? NULL : &y->y[i]);
        if (to) to[i] = p.y, m[i] = p.m;
        else ref_term(y, x, i, i, p.d, p.dm);
    }
}

static plm_val run_unary(const ref_val *y, const plm_val *x)
{
    static plm_val (*const plain[])(plm_val) = { NULL,       plm_exp, plm_log,  plm_sqrt,
                                                 plm_square, plm_abs, plm_tanh, plm_sigmoid };
    switch (y->a[0]) {
    case SCALE:
        return plm_scale(x[0], y->p[0]);
    case RELU:
        return plm_relu(x[0], &(plm_relu_op_desc){ .scale = y->p[0] });
    case GELU:
    case GELU_TANH:
        return plm_gelu(x[0], &(plm_gelu_op_desc){ .tanh = y->a[0] == GELU_TANH });
    case LEAKY_RELU:
        return plm_leaky_relu(x[0], &(plm_leaky_relu_op_desc){ .slope = y->p[0] });
    case CLAMP:
        return plm_clamp(x[0], y->p[0], y->p[1]);
    default:
        return plain[y->a[0]](x[0]);
    }
}

/* ------------------------------------------------------------------ of two or three operands, broadcast */

enum { ADD, SUB, MUL, DIV, WHERE, BROADCAST };

/* A shape like s with some axes of extent 1 and some of the first ones missing; one time in 16 another extent. */
static plm_shape narrowed(plm_shape s, fuzz_bytes *b)
{
    const unsigned ones = fuzz_byte(b), drop = fuzz_byte(b);
    const int      gone = drop % 4 == 0 ? (int)(drop / 4) % (s.rank + 1) : 0;
    plm_shape      n    = plm_shape_from(s.rank - gone, s.dim + gone);
    for (int a = 0; a < n.rank; a++)
        if (ones >> a & 1) n.dim[a] = 1;
    if (fuzz_below(b, 16) == 15 && n.rank > 0) n.dim[n.rank - 1] += 1;
    return n;
}

static void pick_broadcast(ref_graph *g, ref_val *y, fuzz_bytes *b)
{
    y->a[0]     = fuzz_below(b, BROADCAST);
    y->operands = y->a[0] == WHERE ? 3 : 2;
    for (int k = 1; k < y->operands; k++) {
        y->x[k] = ref_leaf(g, narrowed(y->x[0]->shape, b), b);
        if (!y->x[k]) return;
    }
    if (fuzz_byte(b) % 2) { /* the narrow one first */
        ref_val *first = y->x[0];
        y->x[0]        = y->x[1];
        y->x[1]        = first;
    }
}

static bool infer_broadcast(ref_val *y)
{
    y->shape = (plm_shape){ 0 };
    for (int k = 0; k < y->operands; k++)
        if (y->x[k]->shape.rank > y->shape.rank) y->shape.rank = y->x[k]->shape.rank;
    for (int a = 1; a <= y->shape.rank; a++) { /* from the last */
        int64_t *extent = &y->shape.dim[y->shape.rank - a];
        *extent         = 1;
        for (int k = 0; k < y->operands; k++) {
            const plm_shape s    = y->x[k]->shape;
            const int64_t   here = a <= s.rank ? s.dim[s.rank - a] : 1;
            if (here != 1 && *extent != 1 && here != *extent) return false;
            if (here != 1) *extent = here;
        }
    }
    return true;
}

/* Where element o of y is in operand x. */
static int64_t broadcast_from(const ref_val *y, const ref_val *x, int64_t o)
{
    int64_t at[PLM_MAX_RANK], i = 0;
    ref_places(y->shape, o, at);
    for (int a = 0; a < x->shape.rank; a++)
        i = i * x->shape.dim[a] + (x->shape.dim[a] == 1 ? 0 : at[y->shape.rank - x->shape.rank + a]);
    return i;
}

static void walk_broadcast(ref_val *y, double *to, double *m)
{
    for (int64_t o = 0; o < y->count; o++) {
        const int64_t i = broadcast_from(y, y->x[0], o), k = broadcast_from(y, y->x[1], o);
        const double  a = y->x[0]->y[i], b = y->x[1]->y[k];
        switch (y->a[0]) {
        case ADD:
        case SUB:
            ref_linear(y, y->x[0], o, i, 1, to, m);
            ref_linear(y, y->x[1], o, k, y->a[0] == ADD ? 1 : -1, to, m);
            break;
        case MUL:
            ref_product(y, o, i, k, to, m);
            break;
        case DIV:
            if (to) to[o] = a / b, m[o] = fabs(a / b);
            else {
                ref_term(y, y->x[0], o, i, 1 / b, fabs(1 / b));
                ref_term(y, y->x[1], o, k, -a / b / b, fabs(a / b / b));
            }
            break;
        default: /* WHERE a != 0: x[1], else x[2] */
            if (a != 0) ref_linear(y, y->x[1], o, k, 1, to, m);
            else ref_linear(y, y->x[2], o, broadcast_from(y, y->x[2], o), 1, to, m);
        }
    }
}

static plm_val run_broadcast(const ref_val *y, const plm_val *x)
{
    static plm_val (*const two[])(plm_val, plm_val) = { plm_add, plm_sub, plm_mul, plm_div };
    return y->a[0] == WHERE ? plm_where(x[0], x[1], x[2]) : two[y->a[0]](x[0], x[1]);
}

static const ref_op unary     = { "element by element", pick_unary, infer_same, walk_unary, run_unary };
static const ref_op broadcast = { "broadcast", pick_broadcast, infer_broadcast, walk_broadcast, run_broadcast };

const ref_op *const ref_each_ops[] = { &unary, &broadcast, NULL };

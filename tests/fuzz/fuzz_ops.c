/* fuzz_ops.c: random graphs of ops, chosen by the input's bytes: each op's values and, at the end, every leaf's gradient
 * against the loops in double of reference_*.c; what does not fit together must be refused. */
#include "reference.h"

enum { MOST_VALUES = 64, MOST_OPS = 12 };

struct ref_graph {
    plm_ctx  *ctx;
    plm_tape *tape;
    ref_val   val[MOST_VALUES]; /* operands before what is made of them */
    int       count;
};

static const ref_op *const *const groups[] = { ref_each_ops, ref_shape_ops, ref_weight_ops, ref_norm_ops };

static double *doubles(int64_t n)
{
    double *x = calloc((size_t)n + 1, sizeof *x);
    fuzz_require(x);
    return x;
}

static void allocate(ref_val *v)
{
    v->count = plm_shape_count(v->shape);
    v->y     = doubles(v->count);
    v->g     = doubles(v->count);
    v->e     = doubles(v->count);
}

static void release(ref_val *v)
{
    free(v->y);
    free(v->g);
    free(v->e);
    free(v->labels);
    free(v->data);
    plm_param_free(v->param);
}

/* ------------------------------------------------------------------ leaves */

/* A parameter or an input, of numbers in -2 to 2: any, or quarters (ties and zeros), or one and the same, or larger. */
ref_val *ref_leaf(ref_graph *g, plm_shape shape, fuzz_bytes *b)
{
    if (g->count == MOST_VALUES || plm_shape_count(shape) < 1 || plm_shape_count(shape) > REF_MOST) return NULL;
    ref_val   *v     = &g->val[g->count++];
    const int  kind  = fuzz_below(b, 8);
    const bool param = fuzz_below(b, 2);
    uint64_t   state = fuzz_byte(b);
    *v               = (ref_val){ .shape = shape };
    allocate(v);
    v->data = calloc((size_t)v->count, sizeof *v->data);
    fuzz_require(v->data);
    for (int64_t i = 0; i < v->count; i++) {
        if (kind != 7) state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth, TAOCP 3.3.4 */
        const double x = (double)(state >> 11) * 0x1p-51 - 2;
        v->data[i] = (float)(kind == 7 ? (double)state / 64 - 2 : kind >= 5 ? floor(4 * x) / 4 : kind == 4 ? 8 * x : x);
        v->y[i]    = (double)v->data[i];
    }
    if (param) {
        v->param = plm_param_new(g->ctx, shape, &(plm_param_desc){ .name = "leaf" });
        fuzz_require(v->param && plm_param_write(v->param, v->data, v->count));
        v->val = plm_tape_param(g->tape, v->param);
    } else
        v->val =
            plm_tape_input_with(g->tape, plm_tensor_wrap(PLM_F32, shape, v->data), &(plm_input_desc){ .grad = true });
    fuzz_require(plm_val_ok(v->val));
    return v;
}

static const plm_shape first_shapes[] = {
    { 4, { 2, 3, 5, 4 } }, { 4, { 1, 17, 4, 3 } }, { 4, { 3, 8, 3, 3 } },    { 4, { 2, 16, 2, 5 } },
    { 2, { 4, 7 } },       { 2, { 3, 17 } },       { 2, { 1, 16 } },         { 3, { 2, 3, 4 } },
    { 1, { 5 } },          { 0, { 0 } },           { 5, { 2, 1, 3, 2, 2 } }, { 6, { 1, 2, 2, 3, 1, 2 } },
};

/* ------------------------------------------------------------------ ops */

static void say(const ref_graph *g)
{
    for (int i = 0; i < g->count; i++) {
        const ref_val *v = &g->val[i];
        char           text[PLM__SHAPE_TEXT];
        fprintf(stderr, "%d: %s %s", i,
                v->op      ? v->op->name
                : v->param ? "parameter"
                           : "input",
                plm__shape_text(v->shape, text));
        for (int k = 0; k < v->operands; k++) fprintf(stderr, "%s%d", k ? ", " : " of ", (int)(v->x[k] - g->val));
        for (int k = 0; v->op && k < REF_ATTRIBUTES; k++) fprintf(stderr, "%s%lld", k ? "," : " (", (long long)v->a[k]);
        fprintf(stderr, v->op ? "; %g, %g)\n" : "\n", v->p[0], v->p[1]);
    }
}

/* |got - want| <= most, unless single precision cannot hold what is wanted. */
static void compare(const ref_graph *g, const ref_val *v, const char *what, int64_t i, double got, double want,
                    double most)
{
    if (!(fabs(want) < 1e30) || !isfinite(most) || fabs(got - want) <= most + 1e-30) return;
    say(g);
    fprintf(stderr, "%s of %d at %lld: %.9g, expected %.9g +- %.2g\n", what, (int)(v - g->val), (long long)i, got, want,
            most);
    fuzz_broken("as the loops say", __FILE__, __LINE__);
}

/* What the library made of it: close to the formula, and from now on its values. */
static void check_forward(ref_graph *g, ref_val *v)
{
    double *want = doubles(v->count), *m = doubles(v->count);
    float  *got = calloc((size_t)v->count, sizeof *got);
    fuzz_require(got && plm_shape_equal(plm_val_shape(v->val), v->shape) && plm_val_read(v->val, got, v->count));
    v->op->walk(v, want, m);
    for (int64_t i = 0; i < v->count; i++) {
        v->y[i] = (double)got[i];
        compare(g, v, "value", i, v->y[i], want[i], REF_ROUNDING * m[i]);
        v->dead = v->dead || !(fabs(v->y[i]) <= 1e4);
    }
    free(want);
    free(m);
    free(got);
}

static void run(ref_val *v)
{
    plm_val x[REF_OPERANDS] = { plm_none, plm_none, plm_none };
    for (int k = 0; k < v->operands; k++) x[k] = v->x[k]->val;
    v->val = v->op->run(v, x);
}

/* Runs the value's op and compares; false: the graph is over. */
static bool apply(ref_graph *g, ref_val *v, fuzz_bytes *b)
{
    for (int k = 0; k < v->operands; k++)
        if (!v->x[k]) return false;
    if (!v->op->infer(v)) {
        if (fuzz_below(b, 4)) return true; /* no more than looked at */
        run(v);
        if (plm_val_ok(v->val)) say(g);
        fuzz_require(!plm_val_ok(v->val) && plm_ctx_status(g->ctx) != PLM_OK);
        fuzz_check_error(g->ctx, 1 << PLM_ERR_SHAPE | 1 << PLM_ERR_ARGUMENT);
        return false;
    }
    if (plm_shape_count(v->shape) > REF_MOST) return true;
    allocate(v);
    run(v);
    if (!plm_val_ok(v->val)) say(g);
    fuzz_check_error(g->ctx, 0);
    fuzz_require(plm_val_ok(v->val));
    check_forward(g, v);
    return true;
}

/* A live value: every other time the newest. */
static ref_val *choose(ref_graph *g, fuzz_bytes *b)
{
    const int at = fuzz_below(b, 2) ? g->count - 1 : fuzz_below(b, g->count);
    for (int i = 0; i < g->count; i++) {
        ref_val *v = &g->val[(at + g->count - i) % g->count];
        if (v->y && !v->dead) return v;
    }
    return NULL;
}

/* The value gets its place once it has its operands, which stand before it. */
static bool one_op(ref_graph *g, fuzz_bytes *b)
{
    const ref_op *const *group = groups[fuzz_below(b, 4)];
    int                  n     = 0;
    while (group[n]) n++;
    ref_val made = { .op = group[fuzz_below(b, n)], .operands = 1 };
    if (!(made.x[0] = choose(g, b)) || g->count == MOST_VALUES) return false;
    made.op->pick(g, &made, b);
    if (g->count == MOST_VALUES) return free(made.labels), false;
    ref_val *v = &g->val[g->count++];
    *v         = made;
    return apply(g, v, b);
}

/* ------------------------------------------------------------------ gradients */

static ref_val *append(ref_graph *g, const ref_op *op, int64_t which, ref_val *x0, ref_val *x1, fuzz_bytes *b)
{
    if (!x0 || (x1 == NULL && op == ref_each_ops[1]) || g->count == MOST_VALUES) return NULL;
    ref_val *v = &g->val[g->count++];
    *v         = (ref_val){ .op = op, .x = { x0, x1 }, .operands = x1 ? 2 : 1, .a = { which } };
    return apply(g, v, b) && !v->dead ? v : NULL;
}

/* The sum of a value times random numbers, plus the mean of another. */
static ref_val *append_loss(ref_graph *g, fuzz_bytes *b)
{
    enum { ADD = 0, MUL = 2, SUM = 0, MEAN = 1 };
    const ref_op *broadcast = ref_each_ops[1], *reduce = ref_shape_ops[0];
    ref_val      *last = choose(g, &(fuzz_bytes){ (const uint8_t[]){ 1 }, 1 }), *other = choose(g, b);
    ref_val      *v   = last ? ref_leaf(g, last->shape, b) : NULL;
    ref_val      *sum = append(g, reduce, SUM, append(g, broadcast, MUL, last, v, b), NULL, b);
    return append(g, broadcast, ADD, sum, append(g, reduce, MEAN, other, NULL, b), b);
}

/* Where one is infinite (the square root of 0), zero times it is nan, as it may be anywhere before. */
static bool moderate(const ref_val *v)
{
    for (int64_t i = 0; i < v->count; i++)
        if (!(fabs(v->g[i]) < 1e30)) return false;
    return true;
}

static void check_gradients(ref_graph *g, ref_val *loss)
{
    bool reached[MOST_VALUES] = { false };
    fuzz_require(plm_backward(loss->val));
    loss->g[0]             = 1;
    reached[loss - g->val] = true;
    for (int i = g->count - 1; i >= 0; i--) {
        ref_val *v = &g->val[i];
        if (!reached[i]) continue;
        if (!moderate(v)) return;
        for (int k = 0; k < v->operands; k++) reached[v->x[k] - g->val] = true;
        if (v->op) v->op->walk(v, NULL, NULL);
    }
    for (int i = 0; i < g->count; i++) {
        ref_val *v = &g->val[i];
        if (!reached[i] || v->op) continue;
        fuzz_require(v->param ? plm_param_read_grad(v->param, v->data, v->count)
                              : plm_val_grad(v->val, v->data, v->count));
        for (int64_t k = 0; k < v->count; k++) compare(g, v, "gradient", k, (double)v->data[k], v->g[k], v->e[k]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static plm_ctx *ctx; /* kept, for its kernels */
    if (!ctx) ctx = fuzz_ctx_new(1 << 24);
    fuzz_bytes b = { data, size };
    ref_graph  g = { .ctx = ctx, .tape = plm_tape_new(ctx, NULL) };
    fuzz_require(g.tape);
    ref_leaf(&g, first_shapes[fuzz_below(&b, sizeof first_shapes / sizeof *first_shapes)], &b);
    for (int i = 0; i < MOST_OPS && b.left > 0; i++)
        if (!one_op(&g, &b)) break;
    if (plm_ctx_status(ctx) == PLM_OK) {
        ref_val *loss = append_loss(&g, &b);
        if (loss) check_gradients(&g, loss);
    }
    fuzz_check_error(ctx, 1 << PLM_ERR_SHAPE | 1 << PLM_ERR_ARGUMENT);
    plm_tape_free(g.tape);
    for (int i = 0; i < g.count; i++) release(&g.val[i]);
    plm_ctx_clear(ctx);
    return 0;
}

/* check.h: an op against its formula: the forward pass against naive loops in double, the gradient against central
 * differences of those loops, and plm_gradcheck on top.  Each case of a table is a cmocka test of its own. */
#ifndef PLM_TESTS_OPS_CHECK_H
#define PLM_TESTS_OPS_CHECK_H

#include "support.h"

#include <math.h>

#include "core/core.h"

enum { MAX_OPERANDS = 3 };

typedef struct op_case {
    const char  *name;
    plm_function f;    /* the op: of MAX_OPERANDS values or fewer                    */
    const void  *user; /* for f and for naive                                        */
    void (*naive)(const struct op_case *c, const double *const *x, double *y);
    int       n;
    plm_shape in[MAX_OPERANDS], out;
    double    lo, hi; /* range of inputs; both 0: -2 to 2                           */
    double    gap;    /* inputs keep this far away from 0, where there is a kink    */
} op_case;

/* Memory of one check: owned by the fixture, since a failed assertion jumps. */
typedef struct {
    const op_case *c;
    plm_ctx       *ctx;
    float         *x[MAX_OPERANDS], *grad[MAX_OPERANDS], *y, *v;
    double        *xd[MAX_OPERANDS], *want_y, *up, *down, *want_grad;
} checking;

static inline void checking_clear(checking *k)
{
    for (int i = 0; i < MAX_OPERANDS; i++) {
        free(k->x[i]);
        free(k->grad[i]);
        free(k->xd[i]);
    }
    free(k->y);
    free(k->v);
    free(k->want_y);
    free(k->up);
    free(k->down);
    free(k->want_grad);
    plm_ctx *ctx = k->ctx;
    memset(k, 0, sizeof *k);
    k->ctx = ctx;
}

static inline int checking_setup(void **state)
{
    checking *k = calloc(1, sizeof *k);
    k->c        = *state;
    k->ctx      = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    *state      = k;
    return k->ctx ? 0 : -1;
}

static inline int checking_teardown(void **state)
{
    checking *k = *state;
    checking_clear(k);
    plm_ctx_free(k->ctx);
    free(k);
    return 0;
}

static inline void checking_allocate(checking *k, const op_case *c, uint64_t seed)
{
    const int64_t outputs = plm_shape_count(c->out);
    const bool    plain   = c->lo == 0 && c->hi == 0;
    int64_t       most    = 1;
    for (int i = 0; i < c->n; i++) {
        const int64_t n = plm_shape_count(c->in[i]);
        k->x[i]         = calloc((size_t)n, sizeof(float));
        k->grad[i]      = calloc((size_t)n, sizeof(float));
        k->xd[i]        = calloc((size_t)n, sizeof(double));
        most            = n > most ? n : most;
        test_fill(k->x[i], n, seed * 7 + (uint64_t)i, plain ? -2 : c->lo, plain ? 2 : c->hi);
        for (int64_t e = 0; e < n; e++) {
            if (fabs((double)k->x[i][e]) < c->gap) k->x[i][e] = (float)(k->x[i][e] < 0 ? -c->gap : c->gap);
            k->xd[i][e] = (double)k->x[i][e];
        }
    }
    k->y         = calloc((size_t)outputs, sizeof(float));
    k->v         = calloc((size_t)outputs, sizeof(float));
    k->want_y    = calloc((size_t)outputs, sizeof(double));
    k->up        = calloc((size_t)outputs, sizeof(double));
    k->down      = calloc((size_t)outputs, sizeof(double));
    k->want_grad = calloc((size_t)most, sizeof(double));
    test_fill(k->v, outputs, seed + 99, 0.5, 1.5); /* weights of the outputs in the loss */
}

/* d (sum v y) / d x_i by central differences of the naive forward. */
static inline void naive_gradient(checking *k, const op_case *c, int i)
{
    const double h = 1e-5;
    for (int64_t e = 0; e < plm_shape_count(c->in[i]); e++) {
        const double kept = k->xd[i][e];
        k->xd[i][e]       = kept + h;
        c->naive(c, (const double *const *)k->xd, k->up);
        k->xd[i][e] = kept - h;
        c->naive(c, (const double *const *)k->xd, k->down);
        k->xd[i][e]     = kept;
        k->want_grad[e] = 0;
        for (int64_t o = 0; o < plm_shape_count(c->out); o++)
            k->want_grad[e] += (double)k->v[o] * (k->up[o] - k->down[o]) / (2 * h);
        if (fabs(k->want_grad[e]) < 1e-9) k->want_grad[e] = 0; /* rounding of the difference */
    }
}

static inline void check_op(checking *k, const op_case *c, uint64_t seed, bool gradcheck)
{
    checking_clear(k);
    checking_allocate(k, c, seed);
    const int64_t outputs = plm_shape_count(c->out);
    plm_tape     *tape    = plm_tape_new(k->ctx, NULL);
    plm_val       in[MAX_OPERANDS];
    plm_tensor    x[MAX_OPERANDS];
    for (int i = 0; i < c->n; i++) {
        x[i]  = plm_tensor_wrap(PLM_F32, c->in[i], k->x[i]);
        in[i] = plm_tape_input_with(tape, x[i], &(plm_input_desc){ .grad = true });
    }
    void         *user = (void *)(uintptr_t)c->user;
    const plm_val y    = c->f(tape, in, c->n, user);
    assert_ok(k->ctx);
    assert_true(plm_shape_equal(plm_val_shape(y), c->out));
    assert_true(plm_val_read(y, k->y, outputs));
    c->naive(c, (const double *const *)k->xd, k->want_y);
    for (int64_t o = 0; o < outputs; o++)
        if (fabs(k->want_y[o]) < 1e-12) k->want_y[o] = 0; /* rounding of the naive loops */
    assert_all_close(k->y, k->want_y, outputs, 2e-6);

    const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, c->out, k->v));
    const bool    b = plm_backward(plm_sum(plm_mul(y, v), NULL));
    assert_ok(k->ctx);
    assert_true(b);
    for (int i = 0; i < c->n; i++) {
        assert_true(plm_val_grad(in[i], k->grad[i], plm_shape_count(c->in[i])));
        naive_gradient(k, c, i);
        assert_all_close(k->grad[i], k->want_grad, plm_shape_count(c->in[i]), 1e-5);
    }
    plm_tape_free(tape);

    if (!gradcheck) return;
    plm_gradcheck_result r;
    const bool           good = plm_gradcheck(k->ctx, c->f, user, x, c->n, NULL, &r);
    assert_ok(k->ctx);
    if (!good)
        fail_msg("gradient of input %d at %lld: %g, difference quotient %g (worst %g, %lld checked, %lld kinks)",
                 r.input, (long long)r.element, r.backward, r.difference, r.worst, (long long)r.checked,
                 (long long)r.kinks);
}

static inline void check_case(void **state)
{
    checking *k = *state;
    check_op(k, k->c, 1, true);
}

/* A shape of a key and a number: min_rank to max_rank axes of extents 1 to 5, at most 200 elements. */
static inline plm_shape random_shape(uint64_t trial, int min_rank, int max_rank)
{
    const plm__key key = plm__random_key(7, PLM__RANDOM_CHECK, "shape", trial);
    plm_shape      s   = { .rank = min_rank + (int)(plm__random_bits(key, 100) % (uint64_t)(max_rank - min_rank + 1)) };
    int64_t        count = 1;
    for (int i = 0; i < s.rank; i++) {
        const int a = trial % 2 ? i : s.rank - 1 - i; /* either end may be cut short */
        s.dim[a]    = 1 + (int64_t)(plm__random_bits(key, (uint64_t)a) % 5);
        if (count * s.dim[a] > 200) s.dim[a] = 1;
        count *= s.dim[a];
    }
    return s;
}

/* Runs every case of the table, then the other tests. */
#define run_cases(cases, others) \
    run_table((cases), (int)(sizeof(cases) / sizeof *(cases)), (others), (int)(sizeof(others) / sizeof *(others)))
static inline int run_table(op_case *cases, int n, const struct CMUnitTest *others, int n_others)
{
    struct CMUnitTest tests[128] = { 0 };
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){ cases[i].name, check_case, checking_setup, checking_teardown, &cases[i] };
    for (int i = 0; i < n_others; i++) tests[n + i] = others[i];
    return _cmocka_run_group_tests("cases", tests, (size_t)(n + n_others), NULL, NULL);
}

#define checking_test(f) cmocka_unit_test_setup_teardown(f, checking_setup, checking_teardown)

#endif

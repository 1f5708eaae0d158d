/* roles.h: ops with weights against their formula: the forward pass and the gradient of every operand against naive loops in
 * double, with every operand in every role it can have on a tape.  Each case of a table is a cmocka test of its own. */
#ifndef PLM_TESTS_OPS_ROLES_H
#define PLM_TESTS_OPS_ROLES_H

#include "check.h"

#include "naive.h"

typedef enum { LENT, WANTED, TRAINED, FROZEN, ROLES } role; /* an input, one with .grad, a parameter, a frozen one */

typedef struct {
    op_case op; /* f gets the trial as its `user` */
    /* Adds to zeroed dx, one for each operand.  NULL: central differences of op.naive, steps across a kink rejected. */
    void (*gradient)(const op_case *c, const double *const *x, const double *dy, double *const *dx);
    bool   eval;   /* the tape is in evaluation mode                                          */
    bool   spread; /* all elements of an operand differ by 0.01 at least: no kink at ties     */
    int    few;    /* > 0: about so many elements of each operand are tried in differences     */
    double least;  /* gradients are compared relative to their largest element, or to this   */
} formula;

/* Memory of one check: owned by the fixture, since a failed assertion jumps. */
typedef struct {
    const formula *f;
    plm_ctx       *ctx;
    plm_param     *p[MAX_OPERANDS], *mean, *variance; /* the operands as parameters; running statistics */
    float         *x[MAX_OPERANDS], *y, *v, *got;
    double        *xd[MAX_OPERANDS], *want[MAX_OPERANDS], *want_y, *dy, *up, *down;
    bool           known; /* `want` has been computed */
} trial;

static inline void trial_clear(trial *t)
{
    for (int i = 0; i < MAX_OPERANDS; i++) {
        plm_param_free(t->p[i]);
        free(t->x[i]);
        free(t->xd[i]);
        free(t->want[i]);
    }
    plm_param_free(t->mean);
    plm_param_free(t->variance);
    free(t->y);
    free(t->v);
    free(t->got);
    free(t->want_y);
    free(t->dy);
    free(t->up);
    free(t->down);
    *t = (trial){ .ctx = t->ctx };
}

static inline int trial_setup(void **state)
{
    trial *t = calloc(1, sizeof *t);
    t->f     = *state;
    t->ctx   = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    *state   = t;
    return t->ctx ? 0 : -1;
}

static inline int trial_teardown(void **state)
{
    trial *t = *state;
    trial_clear(t);
    plm_ctx_free(t->ctx);
    free(t);
    return 0;
}

static inline const void *desc_of(const void *user)
{
    return ((const trial *)user)->f->op.user;
}

/* Running statistics as the naive loops know them too. */
static inline double running_mean(int64_t c)
{
    return 0.25 * (double)(c % 5) - 0.5;
}

static inline double running_variance(int64_t c)
{
    return 0.25 + 0.5 * (double)(c % 3);
}

static inline plm_param *statistic(plm_ctx *ctx, const char *name, int64_t channels, double (*value)(int64_t))
{
    float     *values = malloc((size_t)channels * sizeof *values);
    plm_param *p =
        plm_param_new(ctx, plm_shape_of(channels), &(plm_param_desc){ .name = name, .role = PLM_ROLE_STATISTIC });
    for (int64_t c = 0; c < channels; c++) values[c] = (float)value(c);
    const bool ok = plm_param_write(p, values, channels);
    free(values);
    assert_true(ok);
    return p;
}

static inline void fill_operand(trial *t, int i, int64_t n, uint64_t seed)
{
    const op_case *c     = &t->f->op;
    const bool     plain = c->lo == 0 && c->hi == 0;
    test_fill(t->x[i], n, seed, plain ? -2 : c->lo, plain ? 2 : c->hi);
    if (t->f->spread) {
        int64_t *order = malloc((size_t)n * sizeof *order);
        plm__random_permutation(plm__random_key(seed, PLM__RANDOM_CHECK, "spread", 0), order, n);
        for (int64_t e = 0; e < n; e++) t->x[i][e] = 0.01f * (float)(order[e] - n / 2);
        free(order);
    }
    for (int64_t e = 0; e < n; e++) t->xd[i][e] = (double)t->x[i][e];
}

/* d (sum dy y) / d x_i.  A second difference that is not small tells of a kink within the step; nan stands there. */
static inline void differences(trial *t, int i)
{
    const op_case *c = &t->f->op;
    const double   h = 1e-5;
    const int64_t  n = plm_shape_count(c->in[i]), outs = plm_shape_count(c->out);
    int64_t        tried = 0, rejected = 0;
    for (int64_t e = 0; e < n; e++) {
        const double kept = t->xd[i][e];
        t->want[i][e]     = NAN;
        if (t->f->few > 0 && e % (n / t->f->few + 1)) continue;
        tried++;
        double up = 0, down = 0;
        t->xd[i][e] = kept + h;
        c->naive(c, (const double *const *)t->xd, t->up);
        t->xd[i][e] = kept - h;
        c->naive(c, (const double *const *)t->xd, t->down);
        t->xd[i][e] = kept;
        for (int64_t o = 0; o < outs; o++) {
            up += t->dy[o] * (t->up[o] - t->want_y[o]);
            down += t->dy[o] * (t->want_y[o] - t->down[o]);
        }
        const bool kink = fabs(up - down) > 1e-3 * h;
        if (!kink) t->want[i][e] = (up + down) / (2 * h);
        rejected += kink;
    }
    assert_true(rejected * 10 <= tried);
}

/* Inputs, what the naive loops make of them, and every operand as a parameter too. */
static inline void trial_prepare(trial *t, const formula *f, uint64_t seed)
{
    trial_clear(t);
    t->f                = f;
    const op_case *c    = &f->op;
    const int64_t  outs = plm_shape_count(c->out);
    int64_t        most = outs;
    for (int i = 0; i < c->n; i++) {
        const int64_t n = plm_shape_count(c->in[i]);
        t->x[i]         = calloc((size_t)n, sizeof(float));
        t->xd[i]        = calloc((size_t)n, sizeof(double));
        t->want[i]      = calloc((size_t)n, sizeof(double));
        most            = n > most ? n : most;
        fill_operand(t, i, n, seed * 7 + (uint64_t)i);
        t->p[i] = plm_param_new(t->ctx, c->in[i], &(plm_param_desc){ .name = "operand" });
        assert_true(plm_param_write(t->p[i], t->x[i], n));
    }
    if (c->in[0].rank > 1) {
        t->mean     = statistic(t->ctx, "running mean", c->in[0].dim[1], running_mean);
        t->variance = statistic(t->ctx, "running variance", c->in[0].dim[1], running_variance);
    }
    t->y      = calloc((size_t)outs, sizeof(float));
    t->v      = calloc((size_t)outs, sizeof(float));
    t->got    = calloc((size_t)most, sizeof(float));
    t->want_y = calloc((size_t)outs, sizeof(double));
    t->dy     = calloc((size_t)outs, sizeof(double));
    t->up     = calloc((size_t)outs, sizeof(double));
    t->down   = calloc((size_t)outs, sizeof(double));
    test_fill(t->v, outs, seed + 99, 0.5, 1.5);
    for (int64_t o = 0; o < outs; o++) t->dy[o] = (double)t->v[o];
    c->naive(c, (const double *const *)t->xd, t->want_y);
}

static inline void want_gradients(trial *t)
{
    const formula *f = t->f;
    if (!t->known && f->gradient) f->gradient(&f->op, (const double *const *)t->xd, t->dy, t->want);
    for (int i = 0; i < f->op.n && !t->known && !f->gradient; i++) differences(t, i);
    t->known = true;
}

/* Relative to the largest element; where the loops know nothing (nan), neither do we. */
static inline void assert_gradient(const trial *t, int i, const role *roles)
{
    const int64_t n       = plm_shape_count(t->f->op.in[i]);
    double        largest = t->f->least > 0 ? t->f->least : 1e-30;
    for (int64_t e = 0; e < n; e++) largest = fmax(largest, fabs(t->want[i][e])); /* fmax passes nan over */
    for (int64_t e = 0; e < n; e++) {
        const double got = (double)t->got[e], want = t->want[i][e];
        if (isnan(want) || fabs(got - want) <= 2e-5 * largest) continue;
        fail_msg("%s, roles %d %d %d: gradient of operand %d at %lld is %.9g, expected %.9g (largest %g)",
                 t->f->op.name, roles[0], roles[1], roles[2], i, (long long)e, got, want, largest);
    }
}

static inline plm_val operand(trial *t, plm_tape *tape, int i, role as)
{
    const plm_tensor x = plm_tensor_wrap(PLM_F32, t->f->op.in[i], t->x[i]);
    if (as == LENT || as == WANTED) return plm_tape_input_with(tape, x, &(plm_input_desc){ .grad = as == WANTED });
    plm_param_freeze(t->p[i], as == FROZEN);
    return plm_tape_param(tape, t->p[i]);
}

/* One forward and, if anybody wants one, one backward pass. */
static inline void check_roles(trial *t, const role roles[MAX_OPERANDS])
{
    const op_case *c    = &t->f->op;
    const int64_t  outs = plm_shape_count(c->out);
    plm_tape      *tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .eval = t->f->eval });
    plm_val        in[MAX_OPERANDS];
    bool           wanted = false;
    for (int i = 0; i < c->n; i++) {
        in[i]  = operand(t, tape, i, roles[i]);
        wanted = wanted || roles[i] == WANTED || roles[i] == TRAINED;
    }
    const plm_val y = c->f(tape, in, c->n, t);
    assert_ok(t->ctx);
    assert_true(plm_shape_equal(plm_val_shape(y), c->out));
    assert_true(plm_val_read(y, t->y, outs));
    assert_all_close(t->y, t->want_y, outs, 5e-6);
    if (wanted) {
        const plm_val v    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, c->out, t->v));
        const bool    done = plm_backward(plm_sum(plm_mul(y, v), NULL));
        assert_ok(t->ctx);
        assert_true(done);
        want_gradients(t);
    }
    for (int i = 0; i < c->n; i++) {
        const int64_t n = plm_shape_count(c->in[i]);
        if (roles[i] == WANTED) assert_true(plm_val_grad(in[i], t->got, n));
        else if (roles[i] == TRAINED) assert_true(plm_param_read_grad(t->p[i], t->got, n));
        else continue;
        assert_gradient(t, i, roles);
        for (int64_t e = 0; e < n; e++) assert_true((double)t->x[i][e] == t->xd[i][e]); /* lent memory is only read */
    }
    plm_tape_free(tape);
}

/* Role number `which` of the 4^n assignments. */
static inline void check_assignment(trial *t, int64_t which)
{
    role roles[MAX_OPERANDS] = { LENT, LENT, LENT };
    for (int i = 0; i < t->f->op.n; i++, which /= ROLES) roles[i] = (role)(which % ROLES);
    check_roles(t, roles);
}

/* Every operand in every role; and plm_gradcheck where there are few elements (its tapes are in training mode). */
static inline void check_formula(void **state)
{
    trial         *t = *state;
    const formula *f = t->f;
    const op_case *c = &f->op;
    trial_prepare(t, f, 1);
    int64_t    assignments = 1, elements = 0;
    plm_tensor x[MAX_OPERANDS];
    for (int i = 0; i < c->n; i++) {
        assignments *= ROLES;
        elements += plm_shape_count(c->in[i]);
        x[i] = plm_tensor_wrap(PLM_F32, c->in[i], t->x[i]);
    }
    for (int64_t k = 0; k < assignments; k++) check_assignment(t, k);

    if (f->eval || elements > 150) return;
    plm_gradcheck_result r;
    const bool           good =
        plm_gradcheck(t->ctx, c->f, t, x, c->n, &(plm_gradcheck_desc){ .step = f->spread ? 4e-3 : 0 }, &r);
    assert_ok(t->ctx);
    if (!good)
        fail_msg("gradient of input %d at %lld: %g, difference quotient %g (worst %g, %lld checked, %lld kinks)",
                 r.input, (long long)r.element, r.backward, r.difference, r.worst, (long long)r.checked,
                 (long long)r.kinks);
}

/* One of `n` numbers, a function of the trial and of what it is for. */
static inline int64_t pick(uint64_t seed, uint64_t what, const int64_t *of, int n)
{
    const plm__key key = plm__random_key(11, PLM__RANDOM_CHECK, "pick", seed);
    return of[plm__random_bits(key, what) % (uint64_t)n];
}
#define PICK(seed, what, ...) \
    pick((seed), (what), (const int64_t[]){ __VA_ARGS__ }, (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))

/* A random case, in an assignment of roles that wants at least one gradient. */
static inline void check_random(trial *t, const formula *f, uint64_t seed)
{
    trial_prepare(t, f, seed);
    int64_t assignments = 1;
    for (int i = 0; i < f->op.n; i++) assignments *= ROLES;
    check_assignment(t, (int64_t)(seed * 29 % (uint64_t)assignments));
    check_roles(t, (const role[MAX_OPERANDS]){ WANTED, TRAINED, TRAINED });
}

/* Runs every formula of the table, then the other tests. */
#define run_formulas(cases, others)                                              \
    run_formula_table((cases), (int)(sizeof(cases) / sizeof *(cases)), (others), \
                      (int)(sizeof(others) / sizeof *(others)))
static inline int run_formula_table(formula *cases, int n, const struct CMUnitTest *others, int n_others)
{
    struct CMUnitTest tests[128] = { 0 };
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){ cases[i].op.name, check_formula, trial_setup, trial_teardown, &cases[i] };
    for (int i = 0; i < n_others; i++) tests[n + i] = others[i];
    return _cmocka_run_group_tests("formulas", tests, (size_t)(n + n_others), NULL, NULL);
}

#define trial_test(f) cmocka_unit_test_setup_teardown(f, trial_setup, trial_teardown)

#endif

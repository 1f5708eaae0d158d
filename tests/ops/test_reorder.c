/* test_reorder.c: values in other memory layouts: read, reordered for an op that wants another one, and their gradients; alone
 * and in chains of ops. */
#include "roles.h"

#include "layouts.h"

/* y = x e^x: e^0 is not 0, so exp wants row-major memory. */

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_mul(in[0], plm_exp(in[0]));
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = x[0][o] * exp(x[0][o]);
}

static void gradient(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) dx[0][o] = dy[o] * (1 + x[0][o]) * exp(x[0][o]);
}

#define S plm_shape_of

static formula exp_of(plm_shape s)
{
    return (formula){ .op       = { .name = "x e^x", .f = apply, .naive = naive, .n = 1, .in = { s }, .out = s },
                      .gradient = gradient };
}

/* Reading gives row-major order, bit for bit, of a leaf and of what an op made of it in its layout. */
static void test_read(void **state)
{
    trial        *t          = *state;
    const int64_t channels[] = { 1, 3, 8, 12, 16, 17 };
    for (int i = 0; i < 6 * LAYOUTS; i++) {
        const formula     f    = exp_of(S(2, channels[i / LAYOUTS], 3, 5));
        const int64_t     n    = plm_shape_count(f.op.out);
        const plm__layout home = layout_of(f.op.out, i % LAYOUTS);
        trial_prepare(t, &f, (uint64_t)i);
        assert_true(plm__param_set_home(t->p[0], &home));
        plm_tape *tape = plm_tape_new(t->ctx, NULL);
        assert_true(plm_val_read(plm_tape_param(tape, t->p[0]), t->y, n));
        assert_memory_equal(t->y, t->x[0], (size_t)n * sizeof(float));
        const plm_val negative = plm_scale(plm_tape_param(tape, t->p[0]), -1);
        assert_true(plm__layout_same(&plm__val_get(negative, "")->layout, &home));
        assert_true(plm_val_read(negative, t->y, n));
        for (int64_t e = 0; e < n; e++) assert_true(t->y[e] == -t->x[0][e]);
        plm_tape_free(tape);
    }
}

/* The gradient goes back through the reorder, into the layout that the value has. */
static void test_gradient(void **state)
{
    trial        *t          = *state;
    const int64_t channels[] = { 1, 3, 8, 12, 16, 17 };
    for (int i = 0; i < 6 * LAYOUTS; i++) {
        const formula     f    = exp_of(S(2, channels[i / LAYOUTS], 3, 5));
        const plm__layout home = layout_of(f.op.out, i % LAYOUTS);
        trial_prepare(t, &f, (uint64_t)i);
        assert_true(plm__param_set_home(t->p[0], &home));
        check_roles(t, (const role[]){ TRAINED, LENT, LENT });
        check_roles(t, (const role[]){ FROZEN, LENT, LENT });
    }
}

static int reorders_of(const plm_tape *tape, plm_val v)
{
    int n = 0;
    for (int i = 0; i < tape->list.records; i++)
        n += tape->list.record[i].op == &plm__op_reorder && tape->list.record[i].in[0] == v.id;
    return n;
}

/* Two consumers that want the same layout share one copy for as long as a backward pass needs it; its gradient is their sum. */
static void test_shared_copy(void **state)
{
    trial            *t    = *state;
    formula           f    = exp_of(S(2, 17, 3, 2));
    const int64_t     n    = plm_shape_count(f.op.out);
    const plm__layout home = layout_of(f.op.out, 0);
    f.op.lo                = 0.5;
    f.op.hi                = 2;
    trial_prepare(t, &f, 3);
    assert_true(plm__param_set_home(t->p[0], &home));
    plm_tape     *tape  = plm_tape_new(t->ctx, NULL);
    const plm_val p     = plm_tape_param(tape, t->p[0]);
    const plm_val first = plm_log(p); /* reads its input again in backward, as exp does not */
    const plm_val y     = plm_add(first, plm_exp(p));
    assert_true(plm_val_ok(y));
    assert_int_equal(reorders_of(tape, p), 1);
    assert_true(plm_backward(plm_sum(y, NULL)));
    assert_true(plm_param_read_grad(t->p[0], t->got, n));
    for (int64_t e = 0; e < n; e++) t->want[0][e] = 1 / t->xd[0][e] + exp(t->xd[0][e]);
    assert_all_close(t->got, t->want[0], n, 1e-6);
}

/* Without recording no copy outlives its reader, and a second reader gets one of its own. */
static void test_without_recording(void **state)
{
    trial            *t    = *state;
    const formula     f    = exp_of(S(2, 12, 3, 2));
    const plm__layout home = layout_of(f.op.out, 1);
    trial_prepare(t, &f, 4);
    assert_true(plm__param_set_home(t->p[0], &home));
    plm_tape     *tape = plm_tape_new(t->ctx, &(plm_tape_desc){ .no_grad = true });
    const plm_val p    = plm_tape_param(tape, t->p[0]);
    for (int i = 0; i < 2; i++) {
        assert_true(plm_val_read(apply(tape, &p, 1, t), t->y, plm_shape_count(f.op.out)));
        assert_all_close(t->y, t->want_y, plm_shape_count(f.op.out), 2e-6);
    }
    assert_int_equal(tape->list.records, 0);
}

/* Convolution, batch norm, ReLU, pool and add; the operands are x, w and a scale that is the shift too. */

static const plm_conv2d_op_desc same   = { .pad = 1 };
static const plm_pool2d_op_desc around = { .kernel = 3, .stride = 1, .pad = 1 }, halves = { .kernel = 2 };

enum { CONV, NORM, RELU, POOL, SUM, HALVED, STAGES };

/* Every value but the first has two consumers or is the last. */
static void stages(const plm_val *in, plm_param *mean, plm_param *variance, plm_val v[STAGES])
{
    v[CONV]   = plm_conv2d(in[0], in[1], plm_none, &same);
    v[NORM]   = plm_batch_norm(v[CONV], in[2], in[2], mean, variance, NULL);
    v[RELU]   = plm_relu(v[NORM], NULL);
    v[POOL]   = plm_max_pool2d(v[RELU], &around);
    v[SUM]    = plm_add(plm_add(v[POOL], v[RELU]), plm_mul(v[CONV], v[POOL]));
    v[HALVED] = plm_avg_pool2d(v[SUM], &halves);
}

static plm_val apply_chain(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    plm_val v[STAGES];
    stages(in, ((trial *)user)->mean, ((trial *)user)->variance, v);
    return v[HALVED];
}

/* user: not NULL in evaluation.  stage[0..SUM] of the shape of the convolution, stage[HALVED] the result. */
static void naive_stages(const op_case *c, const double *const *x, double *const *stage)
{
    const plm_shape full  = S(c->out.dim[0], c->out.dim[1], c->in[0].dim[2], c->in[0].dim[3]);
    const int64_t   count = plm_shape_count(full);
    double          mean[64], variance[64];
    memset(stage[CONV], 0, (size_t)count * sizeof(double));
    naive_conv2d(c->in[0], c->in[1], full, &(plm_conv2d_op_desc){ .pad = 1 },
                 &(bilinear){ .x = x[0], .w = x[1], .y = stage[CONV] });
    naive_moments(full, stage[CONV], mean, variance);
    for (int64_t k = 0; k < full.dim[1] && c->user; k++) {
        mean[k]     = running_mean(k);
        variance[k] = running_variance(k);
    }
    naive_normalise(full, stage[CONV], mean, variance, 1e-5, x[2], x[2], stage[NORM]);
    for (int64_t e = 0; e < count; e++) stage[RELU][e] = stage[NORM][e] > 0 ? stage[NORM][e] : 0;
    naive_pool(true, full, full, &(plm_pool2d_op_desc){ .kernel = 3, .stride = 1, .pad = 1 }, stage[RELU], stage[POOL]);
    for (int64_t e = 0; e < count; e++)
        stage[SUM][e] = stage[POOL][e] + stage[RELU][e] + stage[CONV][e] * stage[POOL][e];
    naive_pool(false, full, c->out, &(plm_pool2d_op_desc){ .kernel = 2 }, stage[SUM], stage[HALVED]);
}

enum { MOST = 2 * 17 * 6 * 5 };

static void naive_chain(const op_case *c, const double *const *x, double *y)
{
    double(*memory)[MOST] = malloc(HALVED * sizeof *memory);
    assert_true(plm_shape_count(c->out) * 4 <= MOST);
    naive_stages(c, x, (double *const[]){ memory[0], memory[1], memory[2], memory[3], memory[4], y });
    free(memory);
}

/* The convolution's own channels must be those of the running statistics: x and y have as many. */
#define CHAIN(label, evaluates, x, w, c, y)                \
    {                                                      \
        .op   = { .name  = label,                          \
                  .f     = apply_chain,                    \
                  .user  = evaluates,                      \
                  .naive = naive_chain,                    \
                  .n     = 3,                              \
                  .in    = { x, w, S(c) },                 \
                  .out   = y,                              \
                  .lo    = -1,                             \
                  .hi    = 1 },                               \
        .eval = (evaluates) != NULL, .few = 12, .least = 1 \
    }

/* The input of the chain is a parameter in every layout. */
static void test_chain_of_layouts(void **state)
{
    trial        *t = *state;
    const formula f = CHAIN("layouts", NULL, S(2, 17, 4, 4), S(17, 17, 3, 3), 17, S(2, 17, 2, 2));
    trial_prepare(t, &f, 1);
    for (int i = 0; i < LAYOUTS; i++) {
        const plm__layout home = layout_of(f.op.in[0], i);
        assert_true(plm__param_set_home(t->p[0], &home));
        check_roles(t, (const role[]){ TRAINED, TRAINED, TRAINED });
        check_roles(t, (const role[]){ TRAINED, FROZEN, WANTED });
        check_roles(t, (const role[]){ FROZEN, WANTED, LENT });
    }
}

/* Every value of the chain can be read, before and after the backward pass. */
static void test_every_value_is_read(void **state)
{
    trial        *t = *state;
    const formula f = CHAIN("values", NULL, S(2, 17, 6, 5), S(17, 17, 3, 3), 17, S(2, 17, 3, 2));
    trial_prepare(t, &f, 2);
    double(*memory)[MOST] = malloc(HALVED * sizeof *memory);
    float *y              = malloc(sizeof(float) * MOST);
    naive_stages(&f.op, (const double *const *)t->xd,
                 (double *const[]){ memory[0], memory[1], memory[2], memory[3], memory[4], t->want_y });
    plm_tape     *tape = plm_tape_new(t->ctx, NULL);
    const plm_val in[] = { operand(t, tape, 0, LENT), operand(t, tape, 1, TRAINED), operand(t, tape, 2, TRAINED) };
    plm_val       v[STAGES];
    stages(in, t->mean, t->variance, v);
    for (int after = 0; after < 2; after++) {
        for (int i = CONV; i <= SUM; i++) {
            assert_true(plm_val_read(v[i], y, MOST));
            assert_all_close(y, memory[i], MOST, 1e-5);
        }
        assert_true(plm_val_read(v[HALVED], y, plm_shape_count(f.op.out)));
        assert_all_close(y, t->want_y, plm_shape_count(f.op.out), 1e-5);
        if (!after) assert_true(plm_backward(plm_sum(v[HALVED], NULL)));
    }
    free(memory);
    free(y);
}

/* Flattening a blocked value and a linear layer on top: features in row-major order. */
static plm_val apply_flat(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    const plm_val h = plm_conv2d(in[0], in[1], plm_none, &same);
    return plm_linear(plm_flatten(h), in[2], plm_none);
}

static void naive_flat(const op_case *c, const double *const *x, double *y)
{
    const plm_shape full = S(c->in[0].dim[0], c->in[1].dim[0], c->in[0].dim[2], c->in[0].dim[3]);
    const plm_shape flat = S(full.dim[0], plm_shape_count(full) / full.dim[0]);
    double         *h    = calloc((size_t)plm_shape_count(full), sizeof *h);
    naive_conv2d(c->in[0], c->in[1], full, &(plm_conv2d_op_desc){ .pad = 1 },
                 &(bilinear){ .x = x[0], .w = x[1], .y = h });
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = 0;
    naive_linear(flat, c->in[2], &(bilinear){ .x = h, .w = x[2], .y = y });
    free(h);
}

int main(void)
{
    static const int evaluates = 1;
    formula          cases[]   = {
                   CHAIN("chain of 1 channel, n = 1", NULL, S(1, 1, 4, 5), S(1, 1, 3, 3), 1, S(1, 1, 2, 2)),
                   CHAIN("chain of 3 channels", NULL, S(2, 3, 5, 4), S(3, 3, 3, 3), 3, S(2, 3, 2, 2)),
                   CHAIN("chain of 12 channels", NULL, S(2, 12, 4, 3), S(12, 12, 3, 3), 12, S(2, 12, 2, 1)),
                   CHAIN("chain of 16 channels", NULL, S(2, 16, 4, 4), S(16, 16, 3, 3), 16, S(2, 16, 2, 2)),
                   CHAIN("chain of 17 channels", NULL, S(2, 17, 3, 5), S(17, 17, 3, 3), 17, S(2, 17, 1, 2)),
                   CHAIN("chain in evaluation, 3 channels", &evaluates, S(2, 3, 5, 4), S(3, 3, 3, 3), 3, S(2, 3, 2, 2)),
                   CHAIN("chain in evaluation, 17 channels", &evaluates, S(1, 17, 3, 5), S(17, 17, 3, 3), 17, S(1, 17, 1, 2)),
                   { .op  = { .name  = "flattened, 17 channels",
                              .f     = apply_flat,
                              .naive = naive_flat,
                              .n     = 3,
                              .in    = { S(2, 3, 3, 2), S(17, 3, 3, 3), S(5, 17 * 6) },
                              .out   = S(2, 5) },
                     .few = 30 },
                   { .op  = { .name  = "flattened, 16 channels",
                              .f     = apply_flat,
                              .naive = naive_flat,
                              .n     = 3,
                              .in    = { S(1, 16, 2, 3), S(16, 16, 3, 3), S(3, 16 * 6) },
                              .out   = S(1, 3) },
                     .few = 30 },
    };
    const struct CMUnitTest others[] = { trial_test(test_read),
                                         trial_test(test_gradient),
                                         trial_test(test_shared_copy),
                                         trial_test(test_without_recording),
                                         trial_test(test_chain_of_layouts),
                                         trial_test(test_every_value_is_read) };
    return run_formulas(cases, others);
}

/* test_binary.c: add, sub, mul, div, with operands of one shape and broadcast. */
#include "check.h"

#include "ops/ops.h"

typedef struct {
    plm_val (*op)(plm_val a, plm_val b);
    double (*value)(double a, double b);
} operation;

static double add_value(double a, double b)
{
    return a + b;
}

static double sub_value(double a, double b)
{
    return a - b;
}

static double mul_value(double a, double b)
{
    return a * b;
}

static double div_value(double a, double b)
{
    return a / b;
}

static const operation add = { plm_add, add_value }, sub = { plm_sub, sub_value }, mul = { plm_mul, mul_value },
                       quo = { plm_div, div_value };

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    return ((const operation *)user)->op(in[0], in[1]);
}

/* NumPy's rule by indices: an axis is counted from the end; an extent of 1 stands still. */
static int64_t place(plm_shape s, plm_shape out, int64_t element)
{
    int64_t offset = 0, step = 1;
    for (int back = 1; back <= out.rank; back++) {
        const int64_t index = element % out.dim[out.rank - back];
        element /= out.dim[out.rank - back];
        if (back > s.rank) continue;
        if (s.dim[s.rank - back] != 1) offset += index * step;
        step *= s.dim[s.rank - back];
    }
    return offset;
}

static void naive(const op_case *c, const double *const *x, double *y)
{
    const operation *o = c->user;
    for (int64_t i = 0; i < plm_shape_count(c->out); i++)
        y[i] = o->value(x[0][place(c->in[0], c->out, i)], x[1][place(c->in[1], c->out, i)]);
}

#define S(...) plm_shape_of(__VA_ARGS__)
#define SCALAR \
    {          \
        0      \
    }
#define BINARY(o, label, a, b, y)                                                                                  \
    {                                                                                                              \
        .name = #o " " label, .f = apply, .user = &o, .naive = naive, .n = 2, .in = { a, b }, .out = y, .gap = 0.5 \
    }
#define TWICE(label, a, b, y) \
    BINARY(add, label, a, b, y), BINARY(sub, label, a, b, y), BINARY(mul, label, a, b, y), BINARY(quo, label, a, b, y)

static void test_random_shapes(void **state)
{
    checking        *k            = *state;
    const operation *operations[] = { &add, &sub, &mul, &quo };
    for (uint64_t trial = 0; trial < 160; trial++) {
        const plm__key key = plm__random_key(3, PLM__RANDOM_CHECK, "broadcast", trial);
        op_case        c   = { .f     = apply,
                               .naive = naive,
                               .n     = 2,
                               .gap   = 0.5,
                               .user  = operations[trial % 4],
                               .out   = random_shape(trial, 0, 5) };
        for (int i = 0; i < 2; i++) { /* some extents become 1, leading axes may be missing */
            c.in[i] = c.out;
            for (int a = 0; a < c.out.rank; a++)
                if (plm__random_bits(key, (uint64_t)(10 * i + a)) % 3 == 0) c.in[i].dim[a] = 1;
            while (c.in[i].rank > 0 && c.in[i].dim[0] == 1 && plm__random_bits(key, (uint64_t)(100 + i)) % 2)
                c.in[i] = plm__shape_sample(c.in[i]);
        }
        assert_true(plm__broadcast_shape(c.in[0], c.in[1], &c.out));
        check_op(k, &c, trial, trial < 24 && plm_shape_count(c.out) < 64);
    }
}

/* Long enough for several threads, several chunks and rows wider than the spread buffer. */
static void test_long(void **state)
{
    plm_ctx      *ctx = *state;
    const int64_t n = 301, c = 517;
    float        *a = malloc((size_t)(n * c) * sizeof *a), *y = malloc((size_t)(n * c) * sizeof *y), b[301], g[301];
    test_fill(a, n * c, 1, -1, 1);
    test_fill(b, n, 2, -1, 1);
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val va   = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(n, c), a));
    const plm_val vb =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(n, 1), b), &(plm_input_desc){ .grad = true });
    const plm_val vy    = plm_mul(va, vb);
    bool          ok    = plm_val_read(vy, y, n * c) && plm_backward(plm_sum(vy, NULL)) && plm_val_grad(vb, g, n);
    int64_t       wrong = 0;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < c; j++) {
            wrong += y[i * c + j] != a[i * c + j] * b[i];
            sum += (double)a[i * c + j];
        }
        wrong += !(fabs((double)g[i] - sum) < 1e-5);
    }
    free(a);
    free(y);
    assert_ok(ctx);
    assert_true(ok);
    assert_int_equal(wrong, 0);
}

static void test_same_value_twice(void **state)
{
    plm_ctx      *ctx = *state;
    const float   x[] = { 1.5f, -2, 3 };
    float         g[3];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3), x), &(plm_input_desc){ .grad = true });
    /* x + x, x * x and x - x in one sum: d = 2 + 2 x + 0 */
    const plm_val y = plm_add(plm_add(plm_add(v, v), plm_mul(v, v)), plm_sub(v, v));
    assert_true(plm_backward(plm_sum(y, NULL)));
    assert_true(plm_val_grad(v, g, 3));
    for (int i = 0; i < 3; i++) assert_close((double)g[i], 2 + 2 * (double)x[i], 1e-6, 0);
}

/* Two consumers of one gradient: the backward of add hands it to both, and neither may write over it. */
static void test_shared_gradient(void **state)
{
    plm_ctx             *ctx = *state;
    const float          x[] = { 1, 2 }, z[] = { 3, -4 };
    float                gx[2], gz[2];
    const plm_input_desc grad = { .grad = true };
    plm_tape            *tape = plm_tape_new(ctx, NULL);
    const plm_val        vx   = plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), &grad);
    const plm_val        vz   = plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), z), &grad);
    const plm_val        s    = plm_add(plm_scale(vx, 3), plm_relu(vz, NULL));
    assert_true(plm_backward(plm_sum(plm_add(s, plm_scale(s, 5)), NULL)));
    assert_true(plm_val_grad(vx, gx, 2) && plm_val_grad(vz, gz, 2));
    assert_close((double)gx[0], 18, 0, 1e-6);
    assert_close((double)gx[1], 18, 0, 1e-6);
    assert_close((double)gz[0], 6, 0, 1e-6);
    assert_close((double)gz[1], 0, 0, 0);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[6] = { 0 };
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val a    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x));
    const plm_val b    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3, 2), x));
    assert_false(plm_val_ok(plm_add(a, b)));
    assert_error(ctx, PLM_ERR_SHAPE, "add: [2,3] and [3,2]");
    const plm_val c = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x));
    assert_false(plm_val_ok(plm_div(c, plm_none)));
    assert_error(ctx, PLM_ERR_ARGUMENT, "div: operand 1 is empty");
    assert_false(plm_val_ok(plm_mul(c, c)));
    assert_error(ctx, PLM_ERR_STATE, "mul: the value is stale");
}

int main(void)
{
    op_case cases[] = {
        TWICE("scalars", SCALAR, SCALAR, SCALAR),
        TWICE("n = 1", S(1), S(1), S(1)),
        TWICE("17 channels", S(2, 17, 3, 5), S(2, 17, 3, 5), S(2, 17, 3, 5)),
        TWICE("row", S(4, 3), S(3), S(4, 3)),
        TWICE("column", S(4, 3), S(4, 1), S(4, 3)),
        TWICE("column first", S(4, 1), S(4, 3), S(4, 3)),
        TWICE("scalar first", SCALAR, S(2, 12), S(2, 12)),
        TWICE("both ways", S(5, 1, 3), S(1, 4, 1), S(5, 4, 3)),
        TWICE("outer", S(7, 1), S(1, 5), S(7, 5)),
        TWICE("channels", S(2, 12, 3, 3), S(12, 1, 1), S(2, 12, 3, 3)),
        TWICE("ones in the middle", S(3, 1, 4), S(3, 2, 4), S(3, 2, 4)),
        TWICE("equal but for a leading 1", S(1, 6), S(6), S(1, 6)),
        TWICE("rank 6", S(1, 2, 1, 2, 1, 3), S(2, 1, 2, 1, 2, 3), S(2, 2, 2, 2, 2, 3)),
    };
    const struct CMUnitTest others[] = {
        checking_test(test_random_shapes), ctx_test(test_long),   ctx_test(test_same_value_twice),
        ctx_test(test_shared_gradient),    ctx_test(test_errors),
    };
    return run_cases(cases, others);
}

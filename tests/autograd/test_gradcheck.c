/* test_gradcheck.c: the checker accepts right gradients and, above all, rejects wrong ones. */
#include "support.h"

#include <math.h>

/* y = x^2 with a backward that can be wrong. */
typedef enum { RIGHT, FACTOR, SIGN, MISSING, ONE_ELEMENT, IS_NAN, IS_INFINITE, ZERO } fault;

static bool shape(plm_record *r)
{
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static bool forward(plm_record *r)
{
    const float *x = plm_record_in(r, 0), *b = plm_record_in(r, 1);
    for (int64_t i = 0; i < plm_record_size(r); i++) plm_record_out(r)[i] = x[i] * x[i] + x[i] * b[i];
    return true;
}

static bool backward(plm_record *r)
{
    const fault  f = *(const fault *)plm_record_attr(r);
    const float *x = plm_record_in(r, 0), *b = plm_record_in(r, 1), *dy = plm_record_grad_out(r);
    for (int k = 0; k < 2; k++) {
        if (!plm_record_wants(r, k)) continue;
        float *dx = plm_record_grad_in(r, k);
        for (int64_t i = 0; dx && i < plm_record_size(r); i++) {
            float slope = k ? x[i] : 2 * x[i] + (f == MISSING ? 0 : b[i]);
            if (f == FACTOR) slope *= k ? 1.05f : 1;
            if (f == SIGN) slope *= k ? 1 : -1;
            if (f == ONE_ELEMENT && i == 7) slope += 0.2f;
            if (f == IS_NAN && i == 3) slope = NAN;
            if (f == IS_INFINITE && i == 3) slope = INFINITY;
            if (f == ZERO) slope = 0;
            dx[i] = dy[i] * slope;
        }
        if (!dx) return false;
    }
    return true;
}

static const plm_op faulty = {
    .name = "faulty", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
};

typedef struct {
    fault  f;
    double scale; /* of the result: gradients of any size must be looked at */
} subject;

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const subject *s = user;
    return plm_scale(plm_apply(&faulty, &s->f, sizeof s->f, in, 2), s->scale);
}

enum { N = 12 };

static bool checked(plm_ctx *ctx, fault f, double scale, plm_gradcheck_result *result)
{
    float x[N], b[N];
    test_fill(x, N, 1, 0.5, 2);
    test_fill(b, N, 2, 0.5, 2);
    const plm_tensor in[] = { plm_tensor_wrap(PLM_F32, plm_shape_of(N), x),
                              plm_tensor_wrap(PLM_F32, plm_shape_of(N), b) };
    subject          s    = { f, scale };
    const bool       ok   = plm_gradcheck(ctx, apply, &s, in, 2, NULL, result);
    assert_ok(ctx);
    return ok;
}

static void test_accepts(void **state)
{
    const double scales[] = { 1, 1e-6, 1e6 };
    for (int i = 0; i < 3; i++) {
        plm_gradcheck_result r;
        assert_true(checked(*state, RIGHT, scales[i], &r));
        assert_int_equal(r.checked, 2 * N);
        assert_int_equal(r.kinks, 0);
        assert_true(r.worst < 1e-3);
    }
}

static void test_rejects(void **state)
{
    const double scales[] = { 1, 1e-6, 1e6 };
    for (fault f = FACTOR; f <= ZERO; f++)
        for (int i = 0; i < 3; i++) {
            if (f == IS_INFINITE && i == 1) continue; /* infinity times 1e-6 is one as well: nothing new */
            plm_gradcheck_result r;
            assert_false(checked(*state, f, scales[i], &r));
            assert_true(!(r.worst <= 1e-2));
            if (f == FACTOR) assert_int_equal(r.input, 1);
            if (f == SIGN || f == MISSING) assert_int_equal(r.input, 0);
            if (f == ONE_ELEMENT) assert_int_equal(r.element, 7);
            if (f == IS_NAN || f == IS_INFINITE) assert_int_equal(r.element, 3);
            if (f == SIGN) assert_true(r.backward * r.difference < 0);
        }
}

static plm_val mean_of(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n;
    const subject *s = user;
    return plm_mean(plm_apply(&faulty, &s->f, sizeof s->f, (plm_val[]){ in[0], in[0] }, 2), NULL);
}

/* A mean over many elements has small gradients; a wrong one must not hide below a fixed tolerance. */
static void test_rejects_in_a_mean(void **state)
{
    enum { MANY = 500 };
    float x[MANY];
    test_fill(x, MANY, 1, 0.5, 2);
    const plm_tensor in = plm_tensor_wrap(PLM_F32, plm_shape_of(MANY), x);
    subject          s  = { RIGHT, 1 };
    assert_true(plm_gradcheck(*state, mean_of, &s, &in, 1, NULL, NULL));
    s.f = MISSING;
    assert_false(plm_gradcheck(*state, mean_of, &s, &in, 1, NULL, NULL));
    s.f = ZERO;
    assert_false(plm_gradcheck(*state, mean_of, &s, &in, 1, NULL, NULL));
    assert_ok(*state);
}

static plm_val relu_of(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_relu(in[0], NULL);
}

/* Elements within a step of the kink are counted and passed over, all others checked. */
static void test_kinks(void **state)
{
    const float          x[] = { -1, 1, 0, 1e-3f, -4e-3f, 7e-3f, 0.5f, -0.02f, 0.03f };
    const plm_tensor     in  = plm_tensor_wrap(PLM_F32, plm_shape_of(9), x);
    plm_gradcheck_result r;
    assert_true(plm_gradcheck(*state, relu_of, NULL, &in, 1, NULL, &r));
    assert_int_equal(r.kinks, 4);
    assert_int_equal(r.checked, 5);
    const plm_tensor zero = plm_tensor_wrap(PLM_F32, plm_shape_of(1), x + 2); /* nothing left to check is no success */
    assert_false(plm_gradcheck(*state, relu_of, NULL, &zero, 1, NULL, &r));
    assert_int_equal(r.checked, 0);
    assert_ok(*state);
}

static plm_val network(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    const plm_val h = plm_relu(plm_mul(plm_sub(in[0], in[1]), in[2]), &(plm_relu_op_desc){ .scale = PLM_SQRT2 });
    return plm_log_softmax(plm_tanh(plm_add(h, in[1])), 1);
}

/* Right compositions pass with many seeds: the rules are not too strict either. */
static void test_accepts_compositions(void **state)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        float x[15], y[5], z[3];
        test_fill(x, 15, seed, -2, 2);
        test_fill(y, 5, seed + 100, -2, 2);
        test_fill(z, 3, seed + 200, -2, 2);
        const plm_tensor     in[] = { plm_tensor_wrap(PLM_F32, plm_shape_of(3, 5), x),
                                      plm_tensor_wrap(PLM_F32, plm_shape_of(5), y),
                                      plm_tensor_wrap(PLM_F32, plm_shape_of(3, 1), z) };
        plm_gradcheck_result r;
        const bool ok = plm_gradcheck(*state, network, NULL, in, 3, &(plm_gradcheck_desc){ .seed = seed }, &r);
        assert_ok(*state);
        assert_true(ok);
        assert_true(r.checked > r.kinks);
    }
}

/* A sum of a softmax is constant: all gradients are rounding, and that is no disagreement. */
static plm_val constant(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_sum(plm_softmax(in[0], 1), NULL);
}

static void test_zero_gradient(void **state)
{
    float x[15];
    test_fill(x, 15, 4, -2, 2);
    const plm_tensor in = plm_tensor_wrap(PLM_F32, plm_shape_of(3, 5), x);
    assert_true(plm_gradcheck(*state, constant, NULL, &in, 1, NULL, NULL));
}

static void test_errors(void **state)
{
    plm_ctx         *ctx = *state;
    const float      x[] = { 1 };
    const plm_tensor in  = plm_tensor_wrap(PLM_F32, plm_shape_of(1), x);
    assert_false(plm_gradcheck(ctx, NULL, NULL, &in, 1, NULL, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_gradcheck: needs a function and 1 to 8 inputs");
    const plm_tensor labels = plm_tensor_wrap(PLM_I64, plm_shape_of(1), x);
    assert_false(plm_gradcheck(ctx, relu_of, NULL, &labels, 1, NULL, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_gradcheck: input 0 is no f32 tensor with memory");
    assert_false(plm_gradcheck(ctx, relu_of, NULL, &in, 1, &(plm_gradcheck_desc){ .step = 1e-7 }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_gradcheck: step 1e-07, tolerance 0.01: expected 1e-6 to 1e6, and 0 to 1");
    assert_false(plm_gradcheck(ctx, relu_of, NULL, &in, 1, &(plm_gradcheck_desc){ .tolerance = 1 }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "tolerance 1: expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_accepts),
        ctx_test(test_rejects),
        ctx_test(test_rejects_in_a_mean),
        ctx_test(test_kinks),
        ctx_test(test_accepts_compositions),
        ctx_test(test_zero_gradient),
        ctx_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

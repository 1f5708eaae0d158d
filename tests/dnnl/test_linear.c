/* test_linear.c: all passes of linear layers against naive double loops, on awkward and on random shapes. */
#include "bench.h"

#define TOLERANCE 1e-5 /* of the largest value: sums of up to a few thousand terms in f32 */

typedef struct {
    const char *name;
    int64_t     n, in, out;
    bool        bias;
    float       relu;
} linear_case;

static const linear_case linear_cases[] = {
    { "linear, one of everything", 1, 1, 1, true, 0 },
    { "linear, batch 1", 1, 64, 10, true, 0 },
    { "linear, 3 to 17", 5, 3, 17, false, 0 },
    { "linear, 12 to 16", 7, 12, 16, true, 0 },
    { "linear, 64 to 64", 16, 64, 64, false, 0 },
    { "linear, 100 x 784 to 33", 100, 784, 33, true, 0 },
    { "linear, relu", 9, 17, 12, true, 1 },
    { "linear, relu by sqrt 2", 33, 48, 100, false, 1.41421356f },
};

static void check_linear(bench *b, const linear_case *t)
{
    const float *x = bench_random(b, t->n * t->in, 1), *w = bench_random(b, t->out * t->in, 2);
    const float *bias = bench_random(b, t->out, 3), *dy = bench_random(b, t->n * t->out, 4);

    plm__problem p = { .primitive  = PLM__LINEAR,
                       .src        = plm__layout_any(plm_shape_of(t->n, t->in)),
                       .weights    = plm__layout_any(plm_shape_of(t->out, t->in)),
                       .dst        = plm__layout_any(plm_shape_of(t->n, t->out)),
                       .bias       = t->bias,
                       .relu_scale = t->relu };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true, .weights = true }));
    assert_true(plm__layout_is_plain(&p.src) && plm__layout_is_plain(&p.dst));
    float *y = bench_floats(b, t->n * t->out), *dx = bench_floats(b, t->n * t->in), *db = bench_floats(b, t->out);

    bench_run(
        b, bench_kernel(b, &p),
        (plm__args){ .src = x, .weights = bench_image(b, &p.weights, w), .bias = t->bias ? bias : NULL, .dst = y });
    plm__problem back = p;
    back.weights      = plm__layout_any(plm__layout_shape(&p.weights));
    back.pass         = PLM__BACKWARD_DATA;
    plm__kernel *data = bench_kernel(b, &back);
    bench_run(b, data,
              (plm__args){ .weights = bench_image(b, plm__kernel_weights(data), w), .diff_src = dx, .diff_dst = dy });
    back.pass            = PLM__BACKWARD_WEIGHTS;
    plm__kernel *weights = bench_kernel(b, &back);
    float       *dwb     = bench_empty(b, plm__kernel_weights(weights));
    bench_run(b, weights,
              (plm__args){ .src = x, .diff_weights = dwb, .diff_bias = t->bias ? db : NULL, .diff_dst = dy });

    double *want_y = bench_doubles(b, t->n * t->out), *want_dx = bench_doubles(b, t->n * t->in);
    double *want_dw = bench_doubles(b, t->out * t->in), *want_db = bench_doubles(b, t->out);
    for (int64_t n = 0; n < t->n; n++)
        for (int64_t o = 0; o < t->out; o++) {
            double sum = t->bias ? (double)bias[o] : 0, g = (double)dy[n * t->out + o];
            for (int64_t i = 0; i < t->in; i++) {
                sum += (double)x[n * t->in + i] * (double)w[o * t->in + i];
                want_dx[n * t->in + i] += g * (double)w[o * t->in + i];
                want_dw[o * t->in + i] += g * (double)x[n * t->in + i];
            }
            want_db[o] += g;
            want_y[n * t->out + o] = t->relu > 0 ? (double)t->relu * (sum > 0 ? sum : 0) : sum;
        }
    assert_all_close(y, want_y, t->n * t->out, TOLERANCE);
    assert_all_close(dx, want_dx, t->n * t->in, TOLERANCE);
    assert_all_close(bench_plain(b, plm__kernel_weights(weights), dwb), want_dw, t->out * t->in, TOLERANCE);
    if (t->bias) assert_all_close(db, want_db, t->out, TOLERANCE);
}

static void test_linear(void **state)
{
    bench *b = *state;
    check_linear(b, b->now);
}

/* oneDNN 2.6.3 has known defects in the tails of batch and reduction of the weight gradient. */
static void test_linear_random_shapes(void **state)
{
    for (uint64_t i = 0; i < 60; i++) {
        plm__key    key = plm__random_key(i, PLM__RANDOM_CHECK, "linear", 0);
        linear_case t   = { .name = "random",
                            .n    = 1 + (int64_t)(130 * plm__random_uniform(key, 0)),
                            .in   = 1 + (int64_t)(150 * plm__random_uniform(key, 1)),
                            .out  = 1 + (int64_t)(150 * plm__random_uniform(key, 2)),
                            .bias = i % 2 == 0 };
        void       *one = NULL;
        assert_int_equal(bench_setup(&one), 0);
        check_linear(one, &t);
        bench_teardown(&one);
    }
    (void)state;
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(linear_cases) + 1];
    for (size_t i = 0; i < COUNT(linear_cases); i++)
        tests[i] = bench_test(linear_cases[i].name, test_linear, &linear_cases[i]);
    tests[COUNT(linear_cases)] = (struct CMUnitTest)cmocka_unit_test(test_linear_random_shapes);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_matmul.c: matrix products against naive double loops. */
#include "bench.h"

#define TOLERANCE 1e-5 /* of the largest value: sums of up to a few thousand terms in f32 */

typedef struct {
    const char *name;
    int64_t     batch, m, k, n;
    bool        one_b, transposed; /* one b for all of the batch; b stored as [n,k] */
} matmul_case;

static const matmul_case matmul_cases[] = {
    { "matmul, 1x1", 1, 1, 1, 1, false, false },           { "matmul, 3x17x5", 1, 3, 17, 5, false, false },
    { "matmul, batched", 3, 12, 7, 16, false, false },     { "matmul, one b for all", 4, 5, 16, 3, true, false },
    { "matmul, transposed b", 2, 9, 12, 33, false, true },
};

static void test_matmul(void **state)
{
    bench             *b  = *state;
    const matmul_case *t  = b->now;
    int64_t            bb = t->one_b ? 1 : t->batch, ys = t->batch * t->m * t->n;
    const float       *a = bench_random(b, t->batch * t->m * t->k, 1), *w = bench_random(b, bb * t->k * t->n, 2);
    plm__problem       p = { .primitive = PLM__MATMUL,
                             .src       = plm__layout_plain(plm_shape_of(t->batch, t->m, t->k)),
                             .weights   = plm__layout_plain(plm_shape_of(bb, t->k, t->n)),
                             .dst       = plm__layout_plain(plm_shape_of(t->batch, t->m, t->n)) };
    if (t->transposed) {
        p.weights.stride[1] = 1;
        p.weights.stride[2] = t->k;
    }
    float *y = bench_floats(b, ys);
    bench_run(b, bench_kernel(b, &p), (plm__args){ .src = a, .weights = bench_image(b, &p.weights, w), .dst = y });

    double *want = bench_doubles(b, ys);
    for (int64_t g = 0; g < t->batch; g++)
        for (int64_t i = 0; i < t->m; i++)
            for (int64_t j = 0; j < t->n; j++)
                for (int64_t k = 0; k < t->k; k++)
                    want[(g * t->m + i) * t->n + j] +=
                        (double)a[(g * t->m + i) * t->k + k] * (double)w[((t->one_b ? 0 : g) * t->k + k) * t->n + j];
    assert_all_close(y, want, ys, TOLERANCE);
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(matmul_cases)];
    for (size_t i = 0; i < COUNT(matmul_cases); i++)
        tests[i] = bench_test(matmul_cases[i].name, test_matmul, &matmul_cases[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_batch_norm.c: batch norm, perhaps with scale and shift, perhaps with relu, with the batch's statistics and with
 * given ones, against naive double loops. */
#include "bench.h"

#include <math.h>

#define TOLERANCE 1e-5 /* of the largest value: sums of up to a few thousand terms in f32 */

typedef struct {
    const char *name;
    int         rank;
    int64_t     n, c, h, w;
    bool        affine, relu;
} norm_case;

static const norm_case norm_cases[] = {
    { "batch norm, 3 channels", 4, 2, 3, 5, 7, true, false },
    { "batch norm, 12 channels, relu", 4, 2, 12, 5, 3, true, true },
    { "batch norm, 16 channels, no affine", 4, 3, 16, 4, 4, false, false },
    { "batch norm, 17 channels, relu", 4, 2, 17, 3, 5, true, true },
    { "batch norm, 17 channels, no affine, relu", 4, 2, 17, 3, 5, false, true },
    { "batch norm, one image", 4, 1, 16, 9, 7, true, true },
    { "batch norm, one pixel", 4, 8, 32, 1, 1, true, false },
    { "batch norm, one channel", 4, 4, 1, 3, 3, true, false },
    { "batch norm, vectors", 2, 9, 17, 1, 1, true, false },
    { "batch norm, vectors, relu", 2, 16, 64, 1, 1, true, true },
    { "batch norm, vectors, no affine", 2, 5, 12, 1, 1, false, false },
};

static plm_shape norm_shape(const norm_case *t)
{
    return t->rank == 2 ? plm_shape_of(t->n, t->c) : plm_shape_of(t->n, t->c, t->h, t->w);
}

/* y from given statistics; h = (x - mean) / sqrt(variance + eps). */
static void naive_norm(const norm_case *t, const float *x, const double *mean, const double *variance, double eps,
                       const float *scale, const float *shift, double *h, double *y)
{
    int64_t size = t->h * t->w;
    for (int64_t i = 0; i < t->n * t->c * size; i++) {
        int64_t c = i / size % t->c;
        h[i]      = ((double)x[i] - mean[c]) / sqrt(variance[c] + eps);
        y[i]      = t->affine ? (double)scale[c] * h[i] + (double)shift[c] : h[i];
        if (t->relu && y[i] < 0) y[i] = 0;
    }
}

static void test_norm(void **state)
{
    bench           *b    = *state;
    const norm_case *t    = b->now;
    const double     eps  = 1e-3;
    int64_t          size = t->h * t->w, count = t->n * t->c * size, per = t->n * size;
    const float     *x = bench_random(b, count, 1), *dy = bench_random(b, count, 2);
    const float     *scale = bench_random(b, t->c, 3), *shift = bench_random(b, t->c, 4);

    plm__problem p = { .primitive = PLM__BATCH_NORM,
                       .src       = plm__layout_any(norm_shape(t)),
                       .dst       = plm__layout_any(norm_shape(t)),
                       .affine    = t->affine,
                       .relu      = t->relu,
                       .eps       = (float)eps };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true, .weights = true }));
    plm__kernel *forward  = bench_kernel(b, &p);
    plm__problem back     = p;
    back.pass             = PLM__BACKWARD;
    plm__kernel *backward = bench_kernel(b, &back);
    assert_int_equal(plm__kernel_workspace(forward) > 0, t->relu);
    assert_int_equal(plm__kernel_workspace(forward), plm__kernel_workspace(backward));

    float    *mean = bench_floats(b, t->c), *variance = bench_floats(b, t->c);
    float    *dscale = bench_floats(b, t->c), *dshift = bench_floats(b, t->c);
    float    *xb = bench_image(b, &p.src, x), *yb = bench_empty(b, &p.dst), *dyb = bench_image(b, &p.dst, dy);
    float    *dxb  = bench_empty(b, &p.src);
    plm__args args = { .src        = xb,
                       .dst        = yb,
                       .scale      = t->affine ? scale : NULL,
                       .shift      = t->affine ? shift : NULL,
                       .mean       = mean,
                       .variance   = variance,
                       .diff_dst   = dyb,
                       .diff_src   = dxb,
                       .diff_scale = t->affine ? dscale : NULL,
                       .diff_shift = t->affine ? dshift : NULL,
                       .workspace  = bench_workspace(b, forward) };
    bench_run(b, forward, args);
    bench_run(b, backward, args);

    double *m = bench_doubles(b, t->c), *v = bench_doubles(b, t->c), *h = bench_doubles(b, count);
    double *y = bench_doubles(b, count), *g = bench_doubles(b, t->c), *gh = bench_doubles(b, t->c);
    double *dx = bench_doubles(b, count);
    for (int64_t i = 0; i < count; i++) m[i / size % t->c] += (double)x[i] / (double)per;
    for (int64_t i = 0; i < count; i++) v[i / size % t->c] += pow((double)x[i] - m[i / size % t->c], 2) / (double)per;
    naive_norm(t, x, m, v, eps, scale, shift, h, y);
    assert_all_close(mean, m, t->c, TOLERANCE);
    assert_all_close(variance, v, t->c, TOLERANCE);
    assert_all_close(bench_plain(b, &p.dst, yb), y, count, 2e-5);

    for (int64_t i = 0; i < count; i++) {
        double d = t->relu && y[i] <= 0 ? 0 : (double)dy[i];
        g[i / size % t->c] += d;
        gh[i / size % t->c] += d * h[i];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i / size % t->c;
        double  d = t->relu && y[i] <= 0 ? 0 : (double)dy[i];
        dx[i]     = (t->affine ? (double)scale[c] : 1) / sqrt(v[c] + eps) * (d - (g[c] + h[i] * gh[c]) / (double)per);
    }
    assert_all_close(bench_plain(b, &p.src, dxb), dx, count, 1e-4);
    if (t->affine) {
        assert_all_close(dscale, gh, t->c, 2e-5);
        assert_all_close(dshift, g, t->c, 2e-5);
    }
}

/* Statistics of their own: inference, and training with frozen statistics, where dx = scale dy / sqrt(variance + eps). */
static void test_norm_given_statistics(void **state)
{
    bench           *b    = *state;
    const norm_case *t    = b->now;
    const double     eps  = 1e-3;
    int64_t          size = t->h * t->w, count = t->n * t->c * size;
    const float     *x = bench_random(b, count, 1), *dy = bench_random(b, count, 2);
    const float     *scale = bench_random(b, t->c, 3), *shift = bench_random(b, t->c, 4);
    float           *mean = bench_floats(b, t->c), *variance = bench_floats(b, t->c);
    float           *dscale = bench_floats(b, t->c), *dshift = bench_floats(b, t->c);
    test_fill(mean, t->c, 5, -0.5, 0.5);
    test_fill(variance, t->c, 6, 0.5, 2);

    plm__problem p = { .primitive    = PLM__BATCH_NORM,
                       .src          = plm__layout_any(norm_shape(t)),
                       .dst          = plm__layout_any(norm_shape(t)),
                       .affine       = t->affine,
                       .relu         = t->relu,
                       .global_stats = 1,
                       .eps          = (float)eps };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true, .weights = true }));
    plm__kernel *forward = bench_kernel(b, &p);
    plm__problem other   = p;
    other.pass           = PLM__BACKWARD;
    plm__kernel *back    = bench_kernel(b, &other);
    other.pass           = PLM__INFERENCE;
    plm__kernel *still   = bench_kernel(b, &other);
    other.global_stats   = 0; /* inference never has any other */
    assert_ptr_equal(bench_kernel(b, &other), still);
    assert_int_equal(plm__kernel_workspace(still), 0);

    double *m = bench_doubles(b, t->c), *v = bench_doubles(b, t->c), *h = bench_doubles(b, count);
    double *y = bench_doubles(b, count), *g = bench_doubles(b, t->c), *gh = bench_doubles(b, t->c);
    double *dx = bench_doubles(b, count);
    for (int64_t c = 0; c < t->c; c++) {
        m[c] = (double)mean[c];
        v[c] = (double)variance[c];
    }
    naive_norm(t, x, m, v, eps, scale, shift, h, y);
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i / size % t->c;
        double  d = t->relu && y[i] <= 0 ? 0 : (double)dy[i];
        g[c] += d;
        gh[c] += d * h[i];
        dx[i] = (t->affine ? (double)scale[c] : 1) / sqrt(v[c] + eps) * d;
    }

    plm__args args = { .src        = bench_image(b, &p.src, x),
                       .dst        = bench_empty(b, &p.dst),
                       .scale      = t->affine ? scale : NULL,
                       .shift      = t->affine ? shift : NULL,
                       .mean       = mean,
                       .variance   = variance,
                       .diff_dst   = bench_image(b, &p.dst, dy),
                       .diff_src   = bench_empty(b, &p.src),
                       .diff_scale = t->affine ? dscale : NULL,
                       .diff_shift = t->affine ? dshift : NULL,
                       .workspace  = bench_workspace(b, forward) };
    bench_run(b, forward, args);
    assert_all_close(bench_plain(b, &p.dst, args.dst), y, count, TOLERANCE);
    bench_run(b, back, args);
    assert_all_close(bench_plain(b, &p.src, args.diff_src), dx, count, TOLERANCE);
    if (t->affine) {
        assert_all_close(dscale, gh, t->c, 2e-5);
        assert_all_close(dshift, g, t->c, 2e-5);
    }
    args.dst = bench_empty(b, &p.dst);
    bench_run(b, still, args);
    assert_all_close(bench_plain(b, &p.dst, args.dst), y, count, TOLERANCE);
    for (int64_t c = 0; c < t->c; c++) assert_true((double)mean[c] == m[c] && (double)variance[c] == v[c]);
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int main(void)
{
    struct CMUnitTest tests[2 * COUNT(norm_cases)];
    char              given[COUNT(norm_cases)][64];
    for (size_t i = 0; i < COUNT(norm_cases); i++) {
        snprintf(given[i], sizeof given[i], "%s, given statistics", norm_cases[i].name);
        tests[2 * i]     = bench_test(norm_cases[i].name, test_norm, &norm_cases[i]);
        tests[2 * i + 1] = bench_test(given[i], test_norm_given_statistics, &norm_cases[i]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

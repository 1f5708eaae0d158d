/* test_conv2d.c: all passes of convolutions against naive double loops, on awkward shapes in negotiated layouts. */
#include "bench.h"

#define TOLERANCE 1e-5 /* of the largest value: sums of up to a few thousand terms in f32 */

typedef struct {
    const char *name;
    int64_t     n, c, h, w, k, r, s; /* x [n,c,h,w], w [k,c,r,s] */
    int         stride, pad;
    bool        bias;
    float       relu;
    int         dilation;
    int64_t     groups; /* 0: one; else w is [groups,k/groups,c/groups,r,s] */
} conv_case;

static const conv_case conv_cases[] = {
    { "conv2d, one channel, no padding", 1, 1, 7, 5, 16, 3, 3, 1, 0, false, 0, 1, 0 },
    { "conv2d, image stem", 2, 3, 9, 11, 16, 3, 3, 1, 1, true, 0, 1, 0 },
    { "conv2d, image stem, stride 2", 2, 3, 15, 13, 32, 7, 7, 2, 3, false, 0, 1, 0 },
    { "conv2d, 12 channels", 2, 12, 9, 7, 16, 3, 3, 1, 1, true, 0, 1, 0 },
    { "conv2d, 16 channels", 2, 16, 8, 8, 16, 3, 3, 1, 1, false, 0, 1, 0 },
    { "conv2d, 17 channels to 5", 2, 17, 6, 9, 5, 3, 3, 1, 1, true, 0, 1, 0 },
    { "conv2d, 17 channels, stride 2", 1, 17, 9, 7, 17, 3, 3, 2, 1, true, 0, 1, 0 },
    { "conv2d, 1x1, stride 2", 3, 16, 9, 7, 32, 1, 1, 2, 0, false, 0, 1, 0 },
    { "conv2d, 1x1, 12 to 3", 1, 12, 5, 3, 3, 1, 1, 1, 0, true, 0, 1, 0 },
    { "conv2d, flat window", 2, 16, 6, 9, 16, 1, 3, 1, 0, false, 0, 1, 0 },
    { "conv2d, window as large as x", 2, 17, 3, 3, 12, 3, 3, 1, 0, true, 0, 1, 0 },
    { "conv2d, 64 to 32, batch 1", 1, 64, 5, 7, 32, 3, 3, 1, 1, false, 0, 1, 0 },
    { "conv2d, relu", 2, 12, 7, 7, 17, 3, 3, 1, 1, true, 1, 1, 0 },
    { "conv2d, relu by sqrt 2", 2, 16, 7, 7, 32, 3, 3, 2, 1, true, 1.41421356f, 1, 0 },
    { "conv2d, dilated", 2, 16, 9, 8, 32, 3, 3, 1, 2, true, 0, 2, 0 },
    { "conv2d, dilated by 3, stride 2, 17 to 12", 1, 17, 9, 11, 12, 3, 3, 2, 3, false, 0, 3, 0 },
    { "conv2d, depthwise, 16 channels", 2, 16, 7, 6, 16, 3, 3, 1, 1, true, 0, 1, 16 },
    { "conv2d, depthwise, 17 channels, stride 2", 2, 17, 7, 6, 17, 3, 3, 2, 1, false, 0, 1, 17 },
    { "conv2d, depthwise, dilated, 12 channels", 1, 12, 7, 6, 12, 3, 3, 1, 2, true, 0, 2, 12 },
    { "conv2d, depthwise, 16 to 32 channels", 1, 16, 5, 6, 32, 3, 3, 1, 1, true, 0, 1, 16 },
    { "conv2d, 2 groups of 16 to 32", 2, 32, 5, 6, 64, 3, 3, 1, 1, true, 1, 1, 2 },
    { "conv2d, 3 groups of 4 to 2, 1x1", 2, 12, 5, 6, 6, 1, 1, 1, 0, true, 0, 1, 3 },
    { "conv2d, 32 groups of 4", 1, 128, 5, 5, 128, 3, 3, 1, 1, false, 0, 1, 32 },
};

/* Adds to y, dx and dw; y comes in holding the bias. */
static void naive_conv(const conv_case *t, int64_t oh, int64_t ow, const float *x, const float *w, const float *dy,
                       double *y, double *dx, double *dw)
{
    int64_t groups = t->groups ? t->groups : 1, share = t->c / groups, outs = t->k / groups, apart = t->dilation;
    for (int64_t yi = 0; yi < t->n * t->k * oh * ow; yi++) {
        int64_t n = yi / (t->k * oh * ow), k = yi / (oh * ow) % t->k, i = yi / ow % oh, j = yi % ow;
        for (int64_t c = 0; c < share; c++)
            for (int64_t p = 0; p < t->r; p++)
                for (int64_t q = 0; q < t->s; q++) {
                    int64_t h = i * t->stride + p * apart - t->pad, v = j * t->stride + q * apart - t->pad;
                    if (h < 0 || h >= t->h || v < 0 || v >= t->w) continue;
                    int64_t xi = ((n * t->c + k / outs * share + c) * t->h + h) * t->w + v;
                    int64_t wi = ((k * share + c) * t->r + p) * t->s + q;
                    y[yi] += (double)x[xi] * (double)w[wi];
                    dx[xi] += (double)dy[yi] * (double)w[wi];
                    dw[wi] += (double)dy[yi] * (double)x[xi];
                }
    }
}

static void test_conv(void **state)
{
    bench           *b     = *state;
    const conv_case *t     = b->now;
    int64_t          apart = t->dilation, g = t->groups;
    int64_t          oh  = (t->h + 2 * t->pad - apart * (t->r - 1) - 1) / t->stride + 1;
    int64_t          ow  = (t->w + 2 * t->pad - apart * (t->s - 1) - 1) / t->stride + 1;
    plm_shape    w_shape = g ? plm_shape_of(g, t->k / g, t->c / g, t->r, t->s) : plm_shape_of(t->k, t->c, t->r, t->s);
    int64_t      xs = t->n * t->c * t->h * t->w, ws = plm_shape_count(w_shape), ys = t->n * t->k * oh * ow;
    const float *x = bench_random(b, xs, 1), *w = bench_random(b, ws, 2), *bias = bench_random(b, t->k, 3);
    const float *dy = bench_random(b, ys, 4);

    plm__problem p = { .primitive  = PLM__CONV2D,
                       .src        = plm__layout_any(plm_shape_of(t->n, t->c, t->h, t->w)),
                       .weights    = plm__layout_any(w_shape),
                       .dst        = plm__layout_any(plm_shape_of(t->n, t->k, oh, ow)),
                       .bias       = t->bias,
                       .stride     = t->stride,
                       .pad        = t->pad,
                       .dilation   = t->dilation,
                       .relu_scale = t->relu };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true, .weights = true }));
    float *xb = bench_image(b, &p.src, x), *dyb = bench_image(b, &p.dst, dy), *yb = bench_empty(b, &p.dst);

    plm__kernel *forward = bench_kernel(b, &p);
    bench_run(
        b, forward,
        (plm__args){ .src = xb, .weights = bench_image(b, &p.weights, w), .bias = t->bias ? bias : NULL, .dst = yb });
    double *y = bench_doubles(b, ys), *dx = bench_doubles(b, xs), *dw = bench_doubles(b, ws);
    for (int64_t i = 0; i < ys; i++) y[i] = t->bias ? (double)bias[i / (oh * ow) % t->k] : 0;
    naive_conv(t, oh, ow, x, w, dy, y, dx, dw);
    for (int64_t i = 0; t->relu > 0 && i < ys; i++) y[i] = (double)t->relu * (y[i] > 0 ? y[i] : 0);
    assert_all_close(bench_plain(b, &p.dst, yb), y, ys, TOLERANCE);

    plm__problem back = p;
    back.weights      = plm__layout_any(plm__layout_shape(&p.weights));
    back.pass         = PLM__BACKWARD_DATA;
    plm__kernel *data = bench_kernel(b, &back);
    float       *dxb  = bench_empty(b, &p.src);
    assert_true(plm__layout_same(plm__kernel_src(data), &p.src));
    bench_run(b, data,
              (plm__args){ .weights = bench_image(b, plm__kernel_weights(data), w), .diff_src = dxb, .diff_dst = dyb });
    assert_all_close(bench_plain(b, &p.src, dxb), dx, xs, TOLERANCE);

    back.pass            = PLM__BACKWARD_WEIGHTS;
    plm__kernel *weights = bench_kernel(b, &back);
    float       *dwb = bench_empty(b, plm__kernel_weights(weights)), *db = bench_floats(b, t->k);
    bench_run(b, weights,
              (plm__args){ .src = xb, .diff_weights = dwb, .diff_bias = t->bias ? db : NULL, .diff_dst = dyb });
    double *dbias = bench_doubles(b, t->k);
    assert_all_close(bench_plain(b, plm__kernel_weights(weights), dwb), dw, ws, TOLERANCE);
    for (int64_t i = 0; i < ys; i++) dbias[i / (oh * ow) % t->k] += (double)dy[i];
    if (t->bias) assert_all_close(db, dbias, t->k, TOLERANCE);
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(conv_cases)];
    for (size_t i = 0; i < COUNT(conv_cases); i++) tests[i] = bench_test(conv_cases[i].name, test_conv, &conv_cases[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_pool.c: max and average pools, forward and backward, against naive double loops. */
#include "bench.h"

typedef struct {
    const char    *name;
    plm__primitive primitive;
    int64_t        n, c, h, w;
    int            kernel, stride, pad; /* kernel 0: the whole image */
    int            exclude_pad;
} pool_case;

static const pool_case pool_cases[] = {
    { "max pool, 2 by 2", PLM__MAX_POOL, 2, 16, 8, 6, 2, 2, 0, 0 },
    { "max pool, 3 by 2, padded, odd", PLM__MAX_POOL, 2, 17, 9, 7, 3, 2, 1, 0 },
    { "max pool, 3 channels", PLM__MAX_POOL, 1, 3, 7, 5, 2, 2, 0, 0 },
    { "max pool, 12 channels, overlapping", PLM__MAX_POOL, 2, 12, 6, 5, 3, 1, 1, 0 },
    { "max pool, one channel", PLM__MAX_POOL, 3, 1, 5, 5, 5, 1, 0, 0 },
    { "average pool, 2 by 2", PLM__AVG_POOL, 2, 16, 8, 6, 2, 2, 0, 0 },
    { "average pool, 3 by 2, padded, odd", PLM__AVG_POOL, 2, 17, 9, 7, 3, 2, 1, 0 },
    { "average pool, whole image", PLM__AVG_POOL, 2, 12, 4, 4, 4, 1, 0, 0 },
    { "average pool, 3 channels", PLM__AVG_POOL, 1, 3, 7, 5, 3, 1, 1, 0 },
    { "average pool without padding, 17 channels", PLM__AVG_POOL, 2, 17, 9, 7, 3, 2, 1, 1 },
    { "average pool without padding, 12 channels, even", PLM__AVG_POOL, 2, 12, 4, 7, 2, 1, 1, 1 },
    { "average pool without padding, 16 channels", PLM__AVG_POOL, 1, 16, 5, 5, 5, 1, 2, 1 },
    { "average pool, global, 12 channels", PLM__AVG_POOL, 2, 12, 5, 7, 0, 1, 0, 0 },
    { "average pool, global, 16 channels", PLM__AVG_POOL, 2, 16, 7, 7, 0, 1, 0, 0 },
    { "max pool, global, 17 channels", PLM__MAX_POOL, 2, 17, 3, 4, 0, 1, 0, 0 },
    { "max pool, global, one channel", PLM__MAX_POOL, 1, 1, 6, 1, 0, 1, 0, 0 },
};

static int64_t tall(const pool_case *t)
{
    return t->kernel ? t->kernel : t->h;
}

static int64_t wide(const pool_case *t)
{
    return t->kernel ? t->kernel : t->w;
}

/* How many elements of the window at (i, j) count in its mean. */
static double counting(const pool_case *t, int64_t i, int64_t j)
{
    int64_t inside = 0;
    for (int64_t p = i; p < i + tall(t); p++)
        for (int64_t q = j; q < j + wide(t); q++) inside += p >= 0 && p < t->h && q >= 0 && q < t->w;
    return t->exclude_pad ? (double)inside : (double)(tall(t) * wide(t));
}

static void naive_pool(const pool_case *t, int64_t oh, int64_t ow, const float *x, const float *dy, double *y,
                       double *dx)
{
    for (int64_t yi = 0; yi < t->n * t->c * oh * ow; yi++) {
        int64_t image = yi / (oh * ow), top = yi / ow % oh * t->stride - t->pad, left = yi % ow * t->stride - t->pad;
        int64_t best = -1;
        double  area = counting(t, top, left);
        for (int64_t i = top; i < top + tall(t); i++)
            for (int64_t j = left; j < left + wide(t); j++) {
                if (i < 0 || i >= t->h || j < 0 || j >= t->w) continue;
                int64_t xi = (image * t->h + i) * t->w + j;
                if (t->primitive == PLM__AVG_POOL) {
                    y[yi] += (double)x[xi] / area;
                    dx[xi] += (double)dy[yi] / area;
                } else if (best < 0 || x[xi] > x[best]) {
                    best = xi;
                }
            }
        if (best < 0) continue;
        y[yi] = (double)x[best];
        dx[best] += (double)dy[yi];
    }
}

static void test_pool(void **state)
{
    bench           *b = *state;
    const pool_case *t = b->now;
    int64_t      oh = (t->h + 2 * t->pad - tall(t)) / t->stride + 1, ow = (t->w + 2 * t->pad - wide(t)) / t->stride + 1;
    int64_t      xs = t->n * t->c * t->h * t->w, ys = t->n * t->c * oh * ow;
    const float *x = bench_random(b, xs, 1), *dy = bench_random(b, ys, 2);

    plm__problem p = { .primitive   = t->primitive,
                       .src         = plm__layout_any(plm_shape_of(t->n, t->c, t->h, t->w)),
                       .dst         = plm__layout_any(plm_shape_of(t->n, t->c, oh, ow)),
                       .kernel      = t->kernel,
                       .stride      = t->stride,
                       .pad         = t->pad,
                       .exclude_pad = t->exclude_pad };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true }));
    plm__kernel *forward  = bench_kernel(b, &p);
    plm__problem other    = p;
    other.pass            = PLM__BACKWARD_DATA;
    plm__kernel *backward = bench_kernel(b, &other);
    other.pass            = PLM__INFERENCE;
    plm__kernel *still    = bench_kernel(b, &other);
    assert_int_equal(plm__kernel_workspace(forward) > 0, t->primitive == PLM__MAX_POOL);
    assert_int_equal(plm__kernel_workspace(forward), plm__kernel_workspace(backward));
    assert_int_equal(plm__kernel_workspace(still), 0);

    double *y = bench_doubles(b, ys), *dx = bench_doubles(b, xs);
    naive_pool(t, oh, ow, x, dy, y, dx);
    plm__args args = { .src       = bench_image(b, &p.src, x),
                       .dst       = bench_empty(b, &p.dst),
                       .diff_dst  = bench_image(b, &p.dst, dy),
                       .diff_src  = bench_empty(b, &p.src),
                       .workspace = bench_workspace(b, forward) };
    bench_run(b, forward, args);
    bench_run(b, backward, args);
    assert_all_close(bench_plain(b, &p.dst, args.dst), y, ys, 1e-6);
    assert_all_close(bench_plain(b, &p.src, args.diff_src), dx, xs, 1e-6);
    args.dst = bench_empty(b, &p.dst);
    bench_run(b, still, args);
    assert_all_close(bench_plain(b, &p.dst, args.dst), y, ys, 1e-6);
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(pool_cases)];
    for (size_t i = 0; i < COUNT(pool_cases); i++) tests[i] = bench_test(pool_cases[i].name, test_pool, &pool_cases[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_negotiate.c: in the layouts that negotiation chooses, no pass is left to oneDNN's reference code. */
#include "bench.h"

#include <math.h>

typedef struct {
    const char *name;
    int64_t     c, k, size; /* x [4,c,size,size] to y [4,k,...] */
    int         kernel, stride, pad;
} chain_case;

static const chain_case chain_cases[] = {
    { "3 channels to 16", 3, 16, 12, 3, 1, 1 },
    { "3 channels to 64, 7x7 stride 2", 3, 64, 21, 7, 2, 3 },
    { "12 channels to 12", 12, 12, 12, 3, 1, 1 },
    { "12 channels to 32, stride 2", 12, 32, 13, 3, 2, 1 },
    { "16 channels to 16", 16, 16, 12, 3, 1, 1 },
    { "16 channels to 3", 16, 3, 12, 3, 1, 1 },
    { "17 channels to 17", 17, 17, 12, 3, 1, 1 },
    { "17 channels to 64, 1x1", 17, 64, 9, 1, 1, 0 },
    { "32 channels to 32", 32, 32, 12, 3, 1, 1 },
    { "32 channels to 64, stride 2", 32, 64, 12, 3, 2, 1 },
    { "32 channels to 64, 1x1 stride 2", 32, 64, 12, 1, 2, 0 },
    { "64 channels to 64", 64, 64, 8, 3, 1, 1 },
    { "64 channels to 12", 64, 12, 8, 3, 1, 1 },
    { "one channel to 32", 1, 32, 12, 5, 1, 2 },
};

static void assert_fast(bench *b, plm__problem p, plm__pass pass)
{
    p.pass = pass;
    if (pass == PLM__BACKWARD_DATA || pass == PLM__BACKWARD_WEIGHTS)
        p.weights = plm__layout_any(plm__layout_shape(&p.weights));
    plm__kernel *k = bench_kernel(b, &p);
    if (plm__kernel_reference(k)) print_error("pass %d is %s\n", (int)pass, plm__kernel_name(k));
    assert_false(plm__kernel_reference(k));
    assert_true(pass == PLM__BACKWARD_DATA || plm__layout_same(plm__kernel_src(k), &p.src));
    assert_true(plm__layout_same(plm__kernel_dst(k), &p.dst));
}

static const plm__needs everything = { .data = true, .weights = true },
                        kept       = { .keep_src = true, .data = true, .weights = true };

static plm__layout conv(bench *b, const plm__layout *x, int64_t k, int kernel, int stride, int pad, plm__needs needs)
{
    int64_t      h = (x->dim[2] + 2 * pad - kernel) / stride + 1, w = (x->dim[3] + 2 * pad - kernel) / stride + 1;
    plm__problem p = { .primitive = PLM__CONV2D,
                       .src       = *x,
                       .weights   = plm__layout_any(plm_shape_of(k, x->dim[1], kernel, kernel)),
                       .dst       = plm__layout_any(plm_shape_of(x->dim[0], k, h, w)),
                       .stride    = stride,
                       .pad       = pad };
    assert_true(plm__negotiate(b->ctx, &p, needs));
    assert_true(p.src.blocks >= 0 && p.weights.blocks >= 0 && p.dst.blocks >= 0);
    assert_fast(b, p, PLM__FORWARD);
    if (needs.data) assert_fast(b, p, PLM__BACKWARD_DATA);
    if (needs.weights) assert_fast(b, p, PLM__BACKWARD_WEIGHTS);
    return p.dst;
}

/* Grouped: weights under five extents. */
static plm__layout grouped(bench *b, const plm__layout *x, int64_t groups, int64_t k, int stride, int dilation,
                           plm__needs needs)
{
    const int64_t c = x->dim[1], h = (x->dim[2] - 1) / stride + 1, w = (x->dim[3] - 1) / stride + 1;
    plm__problem  p = { .primitive = PLM__CONV2D,
                        .src       = *x,
                        .weights   = plm__layout_any(plm_shape_of(groups, k / groups, c / groups, 3, 3)),
                        .dst       = plm__layout_any(plm_shape_of(x->dim[0], k, h, w)),
                        .stride    = stride,
                        .pad       = dilation,
                        .dilation  = dilation };
    assert_true(plm__negotiate(b->ctx, &p, needs));
    assert_fast(b, p, PLM__FORWARD);
    if (needs.data) assert_fast(b, p, PLM__BACKWARD_DATA);
    if (needs.weights) assert_fast(b, p, PLM__BACKWARD_WEIGHTS);
    return p.dst;
}

static plm__layout norm(bench *b, const plm__layout *x, bool keep)
{
    plm__problem p = { .primitive = PLM__BATCH_NORM, .src = *x, .dst = *x, .affine = 1, .relu = 1, .eps = 1e-5f };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .keep_src = keep, .data = true, .weights = true }));
    assert_true(plm__layout_same(&p.src, &p.dst));
    assert_fast(b, p, PLM__FORWARD);
    assert_fast(b, p, PLM__INFERENCE);
    assert_fast(b, p, PLM__BACKWARD);
    return p.dst;
}

static plm__layout pool(bench *b, plm__primitive primitive, const plm__layout *x, bool keep)
{
    plm__problem p = { .primitive = primitive,
                       .src       = *x,
                       .dst       = plm__layout_any(plm_shape_of(x->dim[0], x->dim[1], x->dim[2] / 2, x->dim[3] / 2)),
                       .kernel    = 2,
                       .stride    = 2 };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .keep_src = keep, .data = true }));
    assert_fast(b, p, PLM__FORWARD);
    assert_fast(b, p, PLM__INFERENCE);
    assert_fast(b, p, PLM__BACKWARD_DATA);
    return p.dst;
}

/* Each op takes the layout that the one before it left, as a plan would have it. */
static void test_chain(void **state)
{
    bench            *b = *state;
    const chain_case *t = b->now;
    plm__layout       x = plm__layout_any(plm_shape_of(4, t->c, t->size, t->size));
    plm__layout       y = conv(b, &x, t->k, t->kernel, t->stride, t->pad, everything);
    y                   = norm(b, &y, true);
    y                   = pool(b, PLM__MAX_POOL, &y, true);
    y                   = conv(b, &y, 16, 3, 1, 1, (plm__needs){ .keep_src = true, .data = true, .weights = true });
    pool(b, PLM__AVG_POOL, &y, true);
}

/* Nothing given: every channel count has a fast batch norm and a fast pool of its own. */
static void test_alone(void **state)
{
    bench            *b = *state;
    const chain_case *t = b->now;
    plm__layout       x = plm__layout_any(plm_shape_of(4, t->c, t->size, t->size));
    norm(b, &x, false);
    pool(b, PLM__MAX_POOL, &x, false);
    pool(b, PLM__AVG_POOL, &x, false);
}

/* Every window a pool can have, alone and after a convolution. */
static void test_pools(void **state)
{
    static const int64_t channels[] = { 3, 12, 16, 17, 64 };
    static const struct {
        plm__primitive primitive;
        int            kernel, stride, pad, exclude_pad; /* kernel 0: the whole image */
    } pools[] = { { PLM__MAX_POOL, 3, 2, 1, 0 },
                  { PLM__AVG_POOL, 3, 2, 1, 0 },
                  { PLM__AVG_POOL, 3, 2, 1, 1 },
                  { PLM__MAX_POOL, 0, 1, 0, 0 },
                  { PLM__AVG_POOL, 0, 1, 0, 0 } };
    bench *b  = *state;
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
        for (size_t i = 0; i < 2 * sizeof pools / sizeof *pools; i++) {
            plm__layout   x    = plm__layout_any(plm_shape_of(4, 16, 7, 9));
            const bool    keep = i % 2;
            const int64_t k = pools[i / 2].kernel, s = pools[i / 2].stride, pad = pools[i / 2].pad;
            if (keep) x = conv(b, &x, channels[c], 3, 1, 1, everything);
            else x = plm__layout_any(plm_shape_of(4, channels[c], 7, 9));
            const plm_shape y =
                plm_shape_of(4, channels[c], k ? (7 + 2 * pad - k) / s + 1 : 1, k ? (9 + 2 * pad - k) / s + 1 : 1);
            plm__problem p = { .primitive   = pools[i / 2].primitive,
                               .src         = x,
                               .dst         = plm__layout_any(y),
                               .kernel      = (int)k,
                               .stride      = (int)s,
                               .pad         = (int)pad,
                               .exclude_pad = pools[i / 2].exclude_pad };
            assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .keep_src = keep, .data = true }));
            assert_fast(b, p, PLM__FORWARD);
            assert_fast(b, p, PLM__INFERENCE);
            assert_fast(b, p, PLM__BACKWARD_DATA);
        }
}

/* As in a MobileNet or a ResNeXt: between convolutions, in the layout that those leave, and alone. */
static void test_groups(void **state)
{
    static const struct {
        int64_t c, k, groups;
        int     stride, dilation;
    } cases[] = {
        { 3, 3, 3, 1, 1 },    { 12, 12, 12, 1, 1 }, { 16, 16, 16, 1, 1 },   { 16, 16, 16, 2, 1 },
        { 17, 17, 17, 1, 1 }, { 24, 24, 24, 2, 1 }, { 32, 32, 32, 1, 1 },   { 96, 96, 96, 2, 1 },
        { 32, 32, 32, 1, 2 }, { 16, 32, 16, 1, 1 }, { 128, 128, 32, 1, 1 }, { 128, 128, 32, 2, 1 },
        { 64, 64, 2, 1, 1 },  { 64, 32, 2, 2, 1 },  { 12, 6, 3, 1, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plm__layout x = plm__layout_any(plm_shape_of(4, cases[i].c, 14, 14)), h;
        grouped(*state, &x, cases[i].groups, cases[i].k, cases[i].stride, cases[i].dilation, everything);
        x = plm__layout_any(plm_shape_of(4, 16, 14, 14));
        h = conv(*state, &x, cases[i].c, 1, 1, 0, everything);
        h = norm(*state, &h, true);
        h = grouped(*state, &h, cases[i].groups, cases[i].k, cases[i].stride, cases[i].dilation, kept);
        h = norm(*state, &h, true);
        conv(*state, &h, 16, 1, 1, 0, kept);
    }
}

/* A plain image needs no gradient: the first layer reads it as it is, or says what it wants instead. */
static void test_image_stem(void **state)
{
    plm__layout x = plm__layout_plain(plm_shape_of(4, 3, 32, 32));
    conv(*state, &x, 64, 3, 1, 1, (plm__needs){ .keep_src = true, .weights = true });
}

static void test_layout_is_kept(void **state)
{
    bench       *b = *state;
    plm__layout  x = plm__layout_any(plm_shape_of(4, 32, 8, 8));
    plm__layout  y = conv(b, &x, 32, 3, 1, 1, everything);
    plm__problem p = { .primitive = PLM__CONV2D,
                       .src       = y,
                       .weights   = plm__layout_any(plm_shape_of(32, 32, 3, 3)),
                       .dst       = plm__layout_any(plm_shape_of(4, 32, 8, 8)),
                       .stride    = 1,
                       .pad       = 1 };
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .keep_src = true, .data = true, .weights = true }));
    assert_true(plm__layout_same(&p.src, &y));
}

/* Vectors stay plain, and weights that are given stay as they are. */
static void test_linear(void **state)
{
    bench       *b = *state;
    plm__problem p = { .primitive = PLM__LINEAR,
                       .src       = plm__layout_any(plm_shape_of(32, 100)),
                       .weights   = plm__layout_plain(plm_shape_of(50, 100)),
                       .dst       = plm__layout_any(plm_shape_of(32, 50)),
                       .bias      = 1 };
    assert_true(plm__negotiate(b->ctx, &p, everything));
    assert_true(plm__layout_is_plain(&p.src) && plm__layout_is_plain(&p.weights) && plm__layout_is_plain(&p.dst));
    assert_fast(b, p, PLM__FORWARD);
    assert_fast(b, p, PLM__BACKWARD_DATA);
    assert_fast(b, p, PLM__BACKWARD_WEIGHTS);
}

#define COUNT (sizeof chain_cases / sizeof chain_cases[0])
#define on_bench(f) bench_test(#f, f, NULL)

int main(void)
{
    struct CMUnitTest tests[2 * COUNT + 5] = { on_bench(test_image_stem), on_bench(test_layout_is_kept),
                                               on_bench(test_linear), on_bench(test_groups), on_bench(test_pools) };
    char              alone[COUNT][64];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(alone[i], sizeof alone[i], "norm and pools alone, %s", chain_cases[i].name);
        tests[5 + i]         = bench_test(chain_cases[i].name, test_chain, &chain_cases[i]);
        tests[5 + COUNT + i] = bench_test(alone[i], test_alone, &chain_cases[i]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

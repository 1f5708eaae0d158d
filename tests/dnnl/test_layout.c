/* test_layout.c: layouts become oneDNN's descriptors and come back; an element is where plm__layout_offset says. */
#include "bench.h"

#include "dnnl/engine.h"

#include <math.h>

/* There and back through oneDNN; exactly, so that kernels recognise the format. */
static void check_round_trip(bench *b, const plm__layout *l)
{
    plm__layout back;
    plm__md     m;
    memset(&m, 0, sizeof m);
    assert_int_equal(plm__md_make(plm__engine_get(b->ctx), l, &m), dnnl_success);
    assert_true(plm__md_layout(plm__md_lend(&m), &back));
    assert_int_equal(dnnl_memory_desc_get_size(plm__md_lend(&m)), (size_t)plm__layout_floats(l) * sizeof(float));
    assert_memory_equal(&back, l, sizeof back);
    plm__md_drop(&m);
}

/* oneDNN's own copying agrees about every element, in both directions, and fills the padding with zeros. */
static void check_reorder(bench *b, const plm__layout *l)
{
    plm__layout  plain = plm__layout_plain(plm__layout_shape(l));
    int64_t      count = plm__layout_floats(&plain), physical = plm__layout_floats(l);
    const float *x    = bench_random(b, count, 7);
    float       *want = bench_image(b, l, x), *got = bench_floats(b, physical), *again = bench_floats(b, count);
    assert_true(plm__reorder(b->ctx, &plain, x, l, got));
    assert_memory_equal(got, want, (size_t)physical * sizeof(float));
    assert_true(plm__reorder(b->ctx, l, got, &plain, again));
    assert_memory_equal(again, x, (size_t)count * sizeof(float));

    float *copy = bench_floats(b, physical);
    assert_true(plm__reorder(b->ctx, l, got, l, copy));
    assert_memory_equal(copy, want, (size_t)physical * sizeof(float));
}

static const int64_t channels[] = { 1, 3, 8, 12, 16, 17, 33 };
#define CHANNELS (sizeof channels / sizeof channels[0])

static void test_plain(void **state)
{
    bench    *b = *state;
    plm_shape s = plm_shape_of(2, 3, 1, 5, 4, 3);
    for (s.rank = 1; s.rank <= PLM_MAX_RANK; s.rank++) {
        plm__layout l = plm__layout_plain(s);
        check_round_trip(b, &l);
        check_reorder(b, &l);
    }
}

static void test_scalar(void **state)
{
    bench      *b      = *state;
    plm__layout scalar = plm__layout_plain((plm_shape){ 0 });
    float       from = 3.5f, to = NAN;
    assert_true(plm__reorder(b->ctx, &scalar, &from, &scalar, &to));
    assert_close(to, 3.5, 0, 0);
}

static void test_transposed(void **state)
{
    bench      *b = *state;
    plm__layout l = plm__layout_plain(plm_shape_of(3, 5, 7));
    l.stride[1]   = 1;
    l.stride[2]   = 5;
    check_round_trip(b, &l);
    check_reorder(b, &l);
}

static void test_channels_last(void **state)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        plm__layout l = plm__layout_channels_last(plm_shape_of(2, channels[i], 3, 5));
        check_round_trip(*state, &l);
        check_reorder(*state, &l);
    }
}

static void test_channels_blocked(void **state)
{
    for (size_t i = 0; i < CHANNELS; i++)
        for (int32_t block = 8; block <= 16; block += 8) {
            plm__layout l = plm__layout_channels_blocked(plm_shape_of(2, channels[i], 5, 3), block);
            check_round_trip(*state, &l);
            check_reorder(*state, &l);
        }
}

/* The layouts that oneDNN chooses for weights, in all passes. */
static void check_weights(bench *b, plm__problem p)
{
    static const plm__pass passes[] = { PLM__FORWARD, PLM__BACKWARD_DATA, PLM__BACKWARD_WEIGHTS };
    for (int i = 0; i < 3; i++) {
        p.pass         = passes[i];
        plm__kernel *k = plm__kernel_try(b->ctx, &p);
        if (!k) continue; /* ANY for the activations of a backward pass need not work */
        plm__layout l = *plm__kernel_weights(k);
        assert_true(l.blocks >= 0);
        check_round_trip(b, &l);
        check_reorder(b, &l);
        plm__kernel_drop(b->ctx, k);
    }
    assert_ok(b->ctx);
}

static void test_conv_weights(void **state)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        int64_t c = channels[i];
        check_weights(*state, (plm__problem){ .primitive = PLM__CONV2D,
                                              .src       = plm__layout_any(plm_shape_of(2, c, 6, 7)),
                                              .weights   = plm__layout_any(plm_shape_of(17, c, 3, 3)),
                                              .dst       = plm__layout_any(plm_shape_of(2, 17, 6, 7)),
                                              .stride    = 1,
                                              .pad       = 1 });
    }
}

/* Grouped ones have five extents. */
static void test_grouped_weights(void **state)
{
    static const int64_t cases[][3] = { { 16, 16, 16 }, { 17, 17, 17 }, { 12, 12, 12 }, { 2, 32, 32 }, { 3, 12, 6 } };
    for (int i = 0; i < 5; i++) {
        const int64_t groups = cases[i][0], c = cases[i][1], k = cases[i][2];
        check_weights(*state,
                      (plm__problem){ .primitive = PLM__CONV2D,
                                      .src       = plm__layout_any(plm_shape_of(2, c, 6, 7)),
                                      .weights   = plm__layout_any(plm_shape_of(groups, k / groups, c / groups, 3, 3)),
                                      .dst       = plm__layout_any(plm_shape_of(2, k, 6, 7)),
                                      .stride    = 1,
                                      .pad       = 1 });
    }
}

static void test_linear_weights(void **state)
{
    static const int64_t batches[] = { 1, 16, 100 };
    for (int i = 0; i < 3; i++)
        for (int64_t out = 10; out <= 260; out += 125)
            check_weights(*state, (plm__problem){ .primitive = PLM__LINEAR,
                                                  .src       = plm__layout_plain(plm_shape_of(batches[i], 70)),
                                                  .weights   = plm__layout_any(plm_shape_of(out, 70)),
                                                  .dst       = plm__layout_plain(plm_shape_of(batches[i], out)) });
}

static void test_unreadable(void **state)
{
    bench      *b   = *state;
    plm__layout any = plm__layout_any(plm_shape_of(2, 3)), l;
    plm__md     m;
    memset(&m, 0, sizeof m);
    assert_int_equal(plm__md_make(plm__engine_get(b->ctx), &any, &m), dnnl_success);
    assert_false(plm__md_layout(plm__md_lend(&m), &l));
    assert_false(plm__md_layout(NULL, &l));
    plm__md_drop(&m);
}

static void test_reorder_of_two_shapes(void **state)
{
    bench      *b    = *state;
    plm__layout from = plm__layout_plain(plm_shape_of(2, 3)), to = plm__layout_plain(plm_shape_of(3, 2));
    float       x[6] = { 0 }, y[6];
    assert_false(plm__reorder(b->ctx, &from, x, &to, y));
    assert_error_inside(b, PLM_ERR_ENGINE, "reorder ([2,3] to [3,2]): oneDNN says invalid arguments");
}

#define on_bench(f) bench_test(#f, f, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_bench(test_plain),
        on_bench(test_scalar),
        on_bench(test_transposed),
        on_bench(test_channels_last),
        on_bench(test_channels_blocked),
        on_bench(test_conv_weights),
        on_bench(test_linear_weights),
        on_bench(test_grouped_weights),
        on_bench(test_unreadable),
        on_bench(test_reorder_of_two_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

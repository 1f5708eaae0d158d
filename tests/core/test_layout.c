/* test_layout.c: where elements are: offsets against index arithmetic written out by hand. */
#include "support.h"

#include "core/core.h"

/* nChwBc of [n,c,h,w], as oneDNN describes it. */
static plm__layout blocked(int64_t n, int64_t c, int64_t h, int64_t w, int block)
{
    const int64_t outer = (c + block - 1) / block;
    return (plm__layout){ .rank   = 4,
                          .blocks = 1,
                          .dim    = { n, c, h, w },
                          .padded = { n, outer * block, h, w },
                          .stride = { outer * h * w * block, h * w * block, w * block, block },
                          .block  = { block },
                          .axis   = { 1 } };
}

/* Every element has a place of its own within the physical size. */
static void assert_one_place_each(const plm__layout *l)
{
    const int64_t  floats              = plm__layout_floats(l);
    unsigned char *taken               = calloc((size_t)floats, 1);
    int64_t        index[PLM_MAX_RANK] = { 0 }, clashes = 0, outside = 0;
    for (int64_t left = plm_shape_count(plm__layout_shape(l)); left > 0; left--) {
        const int64_t at = plm__layout_offset(l, index);
        if (at < 0 || at >= floats) outside++;
        else clashes += taken[at]++;
        for (int a = l->rank - 1; a >= 0 && ++index[a] == l->dim[a]; a--) index[a] = 0;
    }
    free(taken);
    assert_int_equal(outside, 0);
    assert_int_equal(clashes, 0);
}

static void test_plain(void **state)
{
    (void)state;
    const plm__layout l = plm__layout_plain(plm_shape_of(2, 3, 4, 5));
    for (int64_t n = 0, at = 0; n < 2; n++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t h = 0; h < 4; h++)
                for (int64_t w = 0; w < 5; w++)
                    assert_int_equal(plm__layout_offset(&l, (const int64_t[]){ n, c, h, w }), at++);
    assert_int_equal(plm__layout_floats(&l), 120);
    assert_true(plm__layout_is_plain(&l));
    assert_false(plm__layout_padded(&l));
    assert_true(plm_shape_equal(plm__layout_shape(&l), plm_shape_of(2, 3, 4, 5)));
    const plm__layout scalar = plm__layout_plain(plm_shape_from(0, NULL));
    assert_int_equal(plm__layout_floats(&scalar), 1);
    assert_int_equal(plm__layout_offset(&scalar, (const int64_t[]){ 0 }), 0);
}

static void test_channels_in_blocks_of_16(void **state)
{
    (void)state;
    const plm__layout l = blocked(2, 32, 3, 5, 16);
    for (int64_t n = 0; n < 2; n++)
        for (int64_t c = 0; c < 32; c++)
            for (int64_t h = 0; h < 3; h++)
                for (int64_t w = 0; w < 5; w++)
                    assert_int_equal(plm__layout_offset(&l, (const int64_t[]){ n, c, h, w }),
                                     (((n * 2 + c / 16) * 3 + h) * 5 + w) * 16 + c % 16);
    assert_false(plm__layout_padded(&l));
    assert_false(plm__layout_is_plain(&l));
    assert_one_place_each(&l);
}

static void test_padded_channels(void **state)
{
    (void)state;
    const plm__layout l = blocked(3, 17, 2, 2, 16);
    assert_true(plm__layout_padded(&l));
    assert_int_equal(plm__layout_floats(&l), 3 * 32 * 2 * 2);
    assert_int_equal(plm_shape_count(plm__layout_shape(&l)), 3 * 17 * 2 * 2);
    assert_int_equal(plm__layout_offset(&l, (const int64_t[]){ 2, 16, 1, 1 }), ((2 * 2 + 1) * 4 + 3) * 16);
    assert_one_place_each(&l);
}

/* OIhw16i16o, and the doubly split OIhw4i16o4i of int8 and bf16 kernels. */
static void test_weights_in_several_blocks(void **state)
{
    (void)state;
    const int64_t     tile = 16 * 16;
    const plm__layout one  = { .rank   = 4,
                               .blocks = 2,
                               .dim    = { 20, 33, 3, 3 },
                               .padded = { 32, 48, 3, 3 },
                               .stride = { 3 * 9 * tile, 9 * tile, 3 * tile, tile },
                               .block  = { 16, 16 },
                               .axis   = { 1, 0 } };
    plm__layout       two  = one;
    two.blocks             = 3;
    memcpy(two.block, (int32_t[PLM__MAX_BLOCKS]){ 4, 16, 4 }, sizeof two.block);
    memcpy(two.axis, (int32_t[PLM__MAX_BLOCKS]){ 1, 0, 1 }, sizeof two.axis);
    for (int64_t o = 0; o < 20; o++)
        for (int64_t i = 0; i < 33; i++)
            for (int64_t h = 0; h < 3; h++)
                for (int64_t w = 0; w < 3; w++) {
                    const int64_t index[] = { o, i, h, w };
                    const int64_t outer   = (((o / 16 * 3 + i / 16) * 3 + h) * 3 + w) * tile;
                    assert_int_equal(plm__layout_offset(&one, index), outer + i % 16 * 16 + o % 16);
                    assert_int_equal(plm__layout_offset(&two, index), outer + i % 16 / 4 * 64 + o % 16 * 4 + i % 4);
                }
    assert_one_place_each(&one);
    assert_one_place_each(&two);
    assert_false(plm__layout_same(&one, &two));
}

static void test_same(void **state)
{
    (void)state;
    const plm__layout a = blocked(2, 32, 3, 5, 16), b = blocked(2, 32, 3, 5, 8), c = blocked(2, 17, 3, 5, 16);
    const plm__layout plain = plm__layout_plain(plm_shape_of(2, 32, 3, 5)),
                      any   = plm__layout_any(plm_shape_of(2, 32, 3, 5));
    assert_true(plm__layout_same(&a, &a));
    assert_false(plm__layout_same(&a, &b));
    assert_false(plm__layout_same(&a, &c));
    assert_false(plm__layout_same(&a, &plain));
    assert_false(plm__layout_same(&any, &plain));
    assert_true(plm__layout_same(&any, &any));
    assert_int_equal(any.blocks, PLM__ANY);

    /* nhwc is another order, unless the extents that differ are 1. */
    plm__layout nhwc = plain;
    memcpy(nhwc.stride, (int64_t[PLM_MAX_RANK]){ 480, 1, 160, 32 }, sizeof nhwc.stride);
    assert_false(plm__layout_same(&nhwc, &plain));
    assert_false(plm__layout_is_plain(&nhwc));
    assert_one_place_each(&nhwc);
    plm__layout one = plm__layout_plain(plm_shape_of(2, 32, 1, 1)), other = one;
    other.stride[2] = 32;
    other.stride[3] = 99;
    assert_true(plm__layout_same(&one, &other));
    assert_true(plm__layout_is_plain(&other));
    other.stride[0] = 64;
    assert_false(plm__layout_same(&one, &other));
}

/* [4,3,2,2] in two groups: the same place under [2,2,3,2,2]. */
static void test_view(void **state)
{
    (void)state;
    const plm__layout four = plm__layout_plain(plm_shape_of(4, 3, 2, 2));
    const plm__layout five = plm__layout_view(&four, plm_shape_of(2, 2, 3, 2, 2));
    assert_true(plm__layout_is_plain(&five));
    assert_true(plm_shape_equal(plm__layout_shape(&five), plm_shape_of(2, 2, 3, 2, 2)));
    for (int64_t k = 0; k < 4; k++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t p = 0; p < 4; p++)
                assert_int_equal(plm__layout_offset(&five, (const int64_t[]){ k / 2, k % 2, c, p / 2, p % 2 }),
                                 plm__layout_offset(&four, (const int64_t[]){ k, c, p / 2, p % 2 }));
    const plm__layout same = blocked(2, 17, 3, 5, 16), seen = plm__layout_view(&same, plm__layout_shape(&same));
    assert_true(plm__layout_same(&seen, &same)); /* nothing to see otherwise */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_channels_in_blocks_of_16),
        cmocka_unit_test(test_padded_channels),
        cmocka_unit_test(test_weights_in_several_blocks),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_shape.c: extents, their checked products, and how they are written. */
#include "support.h"

#include "core/core.h"

static void test_products_that_overflow(void **state)
{
    int64_t p = 0;
    (void)state;
    assert_true(plm__mul(3, 5, &p));
    assert_int_equal(p, 15);
    assert_true(plm__mul(0, INT64_MAX, &p));
    assert_int_equal(p, 0);
    assert_true(plm__mul(INT64_MAX, 1, &p));
    assert_false(plm__mul(INT64_MAX, 2, &p));
    assert_false(plm__mul((int64_t)1 << 32, (int64_t)1 << 31, &p));
    assert_false(plm__mul(-1, 1, &p));
    assert_false(plm__mul(1, -1, &p));
    assert_false(plm__mul(-1, -1, &p));
}

static void test_count(void **state)
{
    (void)state;
    assert_int_equal(plm_shape_count(plm_shape_from(0, NULL)), 1); /* a scalar */
    assert_int_equal(plm_shape_count(plm_shape_of(2, 3, 4)), 24);
    assert_int_equal(plm_shape_count(plm_shape_of(2, 0)), 0);
    assert_int_equal(plm_shape_count(plm_shape_of(2, -3)), -1);
    assert_int_equal(plm_shape_count(plm_shape_of(-2, -3)), -1);
    assert_int_equal(plm_shape_count(plm_shape_of(1000000, 1000000, 1000000, 1000000)), -1);
    assert_int_equal(plm_shape_count(plm_shape_of(INT64_MAX, 2)), -1);
    assert_int_equal(plm_shape_count(plm_shape_of(1, 1, 1, 1, 1, 1, 1)), -1); /* rank 7 */
    assert_int_equal(plm_shape_count((plm_shape){ .rank = -1 }), -1);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(plm_shape_equal(plm_shape_of(2, 3), plm_shape_of(2, 3)));
    assert_false(plm_shape_equal(plm_shape_of(2, 3), plm_shape_of(3, 2)));
    assert_false(plm_shape_equal(plm_shape_of(2), plm_shape_of(2, 1)));
    plm_shape a = plm_shape_of(2), b = plm_shape_of(2);
    a.dim[3] = 7; /* beyond the rank: nobody's business */
    assert_true(plm_shape_equal(a, b));
}

static void test_text(void **state)
{
    char text[PLM__SHAPE_TEXT];
    (void)state;
    assert_string_equal(plm__shape_text(plm_shape_of(128, 3, 32, 32), text), "[128,3,32,32]");
    assert_string_equal(plm__shape_text(plm_shape_from(0, NULL), text), "[]");
    const int64_t low = INT64_MIN; /* the longest there is fits */
    assert_int_equal(strlen(plm__shape_text(plm_shape_of(low, low, low, low, low, low), text)), 6 * 20 + 5 + 2);
}

static void test_check_names_what_is_wrong(void **state)
{
    plm_ctx *ctx = *state;
    assert_true(plm__shape_check(ctx, plm_shape_of(1, 2, 3), "x"));
    assert_true(plm__shape_check(ctx, plm_shape_from(0, NULL), "x"));
    assert_false(plm__shape_check(ctx, plm_shape_of(2, 0, 3), "x"));
    assert_error(ctx, PLM_ERR_SHAPE, "x: extent 1 of [2,0,3] is 0, expected at least 1");
    assert_false(plm__shape_check(ctx, plm_shape_of(-2), "y"));
    assert_error(ctx, PLM_ERR_SHAPE, "y: extent 0 of [-2] is -2");
    assert_false(plm__shape_check(ctx, plm_shape_of(1, 1, 1, 1, 1, 1, 1), "z"));
    assert_error(ctx, PLM_ERR_SHAPE, "z: rank 7, expected 0 to 6");
    assert_false(plm__shape_check(ctx, (plm_shape){ .rank = -1 }, "z"));
    assert_error(ctx, PLM_ERR_SHAPE, "z: rank -1");
    assert_false(plm__shape_check(ctx, plm_shape_of(INT64_MAX / 4), "w")); /* its bytes overflow */
    assert_error(ctx, PLM_ERR_SHAPE, "w: [2305843009213693951] has too many elements to count");
    assert_false(plm__shape_check(ctx, plm_shape_of((int64_t)1 << 40, (int64_t)1 << 40), "w"));
    assert_error(ctx, PLM_ERR_SHAPE, "too many elements");
}

static void test_batch_axis_on_and_off(void **state)
{
    (void)state;
    const plm_shape batch = plm__shape_batched(128, plm_shape_of(3, 32, 32));
    assert_true(plm_shape_equal(batch, plm_shape_of(128, 3, 32, 32)));
    assert_true(plm_shape_equal(plm__shape_sample(batch), plm_shape_of(3, 32, 32)));
    assert_true(plm_shape_equal(plm__shape_batched(5, plm_shape_from(0, NULL)), plm_shape_of(5)));
    assert_int_equal(plm__shape_sample(plm_shape_of(5)).rank, 0);
    assert_int_equal(plm__shape_batched(1, plm_shape_of(1, 2, 3, 4, 5, 6)).rank, 7); /* refused by plm__shape_check */
}

static void test_dtypes(void **state)
{
    const float data[6] = { 0 };
    (void)state;
    assert_int_equal(plm_dtype_size(PLM_F32), 4);
    assert_int_equal(plm_dtype_size(PLM_I64), 8);
    assert_int_equal(plm_dtype_size(PLM_U8), 1);
    assert_int_equal(plm_dtype_size((plm_dtype)77), 0);
    assert_string_equal(plm_dtype_name(PLM_F32), "f32");
    assert_string_equal(plm_dtype_name(PLM_I64), "i64");
    assert_string_equal(plm_dtype_name(PLM_U8), "u8");
    assert_string_equal(plm_dtype_name((plm_dtype)77), "unknown");
    const plm_tensor t = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), data);
    assert_true(t.dtype == PLM_F32 && t.data == data && plm_shape_equal(t.shape, plm_shape_of(2, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_that_overflow),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_text),
        ctx_test(test_check_names_what_is_wrong),
        cmocka_unit_test(test_batch_axis_on_and_off),
        cmocka_unit_test(test_dtypes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_score.c: argmax and accuracy. */
#include "support.h"

#include <math.h>

static const float rows[] = {
    1,   3, 2, /* */
    4,   4, 0, /* the first of equals */
    NAN, 9, 1, -1, -2, NAN, -5, -3, -4,
};

static plm_val outputs(plm_ctx *ctx)
{
    return plm_tape_input(plm_tape_new(ctx, NULL), plm_tensor_wrap(PLM_F32, plm_shape_of(5, 3), rows));
}

static void test_argmax(void **state)
{
    int64_t got[5];
    assert_true(plm_argmax(outputs(*state), got, 5));
    const int64_t want[] = { 1, 0, 0, 2, 1 };
    for (int i = 0; i < 5; i++) assert_int_equal(got[i], want[i]);
}

static void test_accuracy(void **state)
{
    plm_ctx      *ctx     = *state;
    const int64_t right[] = { 1, 0, 1, 0, 1 }, wrong[] = { 0, 1, 0, 2, 0 };
    const plm_val f = outputs(ctx);
    assert_close(plm_accuracy(f, plm_tensor_wrap(PLM_I64, plm_shape_of(5), right)), 0.6, 0, 1e-15);
    assert_close(plm_accuracy(f, plm_tensor_wrap(PLM_I64, plm_shape_of(5), wrong)), 0, 0, 0); /* nan is never right */
}

static void test_allocates_once(void **state)
{
    plm_ctx      *ctx     = *state;
    const int64_t label[] = { 1, 0, 1, 0, 1 };
    const plm_val f       = outputs(ctx);
    plm_accuracy(f, plm_tensor_wrap(PLM_I64, plm_shape_of(5), label));
    const plm_ctx_stats before = plm_ctx_statistics(ctx);
    for (int i = 0; i < 20; i++) plm_accuracy(f, plm_tensor_wrap(PLM_I64, plm_shape_of(5), label));
    assert_int_equal(plm_ctx_statistics(ctx).allocations, before.allocations);
    assert_int_equal(plm_ctx_statistics(ctx).primitives, before.primitives);
}

static void test_errors(void **state)
{
    plm_ctx      *ctx     = *state;
    const int64_t label[] = { 1, 0, 1, 0, 3 };
    int64_t       got[5];
    assert_false(plm_argmax(outputs(ctx), got, 4));
    assert_error(ctx, PLM_ERR_SHAPE, "plm_argmax: the outputs [5,3] have 5 rows, there is room for 4");
    assert_true(isnan(plm_accuracy(outputs(ctx), plm_tensor_wrap(PLM_I64, plm_shape_of(5), label))));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_accuracy: the label of row 4 is 3, expected 0 to 2");
    const plm_val flat = plm_tape_input(plm_tape_new(ctx, NULL), plm_tensor_wrap(PLM_F32, plm_shape_of(15), rows));
    assert_true(isnan(plm_accuracy(flat, plm_tensor_wrap(PLM_I64, plm_shape_of(5), label))));
    assert_error(ctx, PLM_ERR_SHAPE, "plm_accuracy: the outputs are [15], expected [batch,classes]");
    assert_false(plm_argmax(flat, got, 5));
    assert_error(ctx, PLM_ERR_STATE, "plm_argmax: the value is stale");
    assert_false(plm_argmax(plm_none, got, 5));
    assert_ok(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = { ctx_test(test_argmax), ctx_test(test_accuracy), ctx_test(test_allocates_once),
                                        ctx_test(test_errors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_tape.c: tapes, their leaves and handles. */
#include "fixture.h"

#include <omp.h>

static void test_stale_handles(void **state)
{
    fixture      *f = *state;
    float         y[2];
    const plm_val v = plm_square(input(f->tape, start, NULL));
    assert_true(plm_val_ok(v) && plm_val_read(v, y, 2));
    plm_tape_reset(f->tape);
    assert_false(plm_val_ok(v));
    assert_false(plm_val_read(v, y, 2));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_val_read: the value is stale");
    const plm_val again = plm_square(input(f->tape, start, NULL));
    assert_true(v.id == again.id && !plm_val_ok(v)); /* the same place, another pass */
    plm_add(v, again);
    assert_error(f->ctx, PLM_ERR_STATE, "add: the value is stale");
    assert_false(plm_val_ok(again)); /* plm_ctx_clear reset the tape */
    assert_true(isnan(plm_val_item(again)));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_val_item: the value is stale");
}

static void test_freed_tape(void **state)
{
    fixture      *f = *state;
    const plm_val v = input(f->tape, start, NULL);
    plm_tape_free(f->tape);
    assert_false(plm_val_ok(v));
    plm_square(v);
    assert_error(f->ctx, PLM_ERR_STATE, "square: the value is stale, its tape was reset or freed");
    assert_false(plm_val_ok(input(f->tape, start, NULL)));
    assert_error(f->ctx, PLM_ERR_STATE, "input: the tape was freed");
    assert_false(plm_val_ok(plm_tape_param(f->tape, f->p)));
    assert_error(f->ctx, PLM_ERR_STATE, "p: the tape was freed");
    assert_ptr_equal(plm_tape_new(f->ctx, NULL), f->tape); /* headers are used again */
    assert_false(plm_val_ok(v));
    plm_tape_free(NULL);
}

static void test_release(void **state)
{
    fixture      *f = *state;
    const plm_val x = input(f->tape, start, &with_grad), y = plm_square(x), z = plm_square(y);
    plm_release(y);
    plm_release(y); /* once is enough, and the backward pass still has what it needs */
    plm_release(x);
    assert_true(plm_backward(plm_sum(z, NULL)));
    assert_int_equal(plm_ctx_status(f->ctx), PLM_OK);
    plm_exp(y);
    assert_error(f->ctx, PLM_ERR_STATE, "exp: the value was released");
    plm_release(plm_none);
}

/* Memory of a released value returns to the pool at once when nothing needs it. */
static void test_release_gives_memory_back(void **state)
{
    fixture      *f      = *state;
    plm_tape     *tape   = plm_tape_new(f->ctx, &(plm_tape_desc){ .no_grad = true });
    const plm_val a      = plm_square(input(tape, start, NULL));
    const void   *memory = plm__value_data(plm__val_get(a, ""));
    plm_release(a);
    const plm_val b = plm_square(input(tape, start, NULL));
    assert_ptr_equal(plm__value_data(plm__val_get(b, "")), memory);
}

static void test_empty_operands(void **state)
{
    fixture      *f = *state;
    const plm_val x = input(f->tape, start, NULL);
    plm_add(x, plm_none);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "add: operand 1 is empty");
    plm_add(plm_none, input(f->tape, start, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "add: operand 0 is empty");
    assert_false(plm_val_ok(plm_add(plm_none, plm_none)));
    assert_false(plm_backward(plm_none));
    /* After an error calls do nothing, and the first sentence stays. */
    const plm_val bad  = plm_reshape(input(f->tape, start, NULL), plm_shape_of(3));
    const plm_val more = plm_sum(plm_exp(bad), NULL);
    assert_false(plm_val_ok(more) || plm_backward(more));
    assert_error(f->ctx, PLM_ERR_SHAPE, "reshape: [2] to [3]");
}

static void test_two_tapes(void **state)
{
    fixture      *f     = *state;
    plm_tape     *other = plm_tape_new(f->ctx, NULL);
    const plm_val a = input(f->tape, start, NULL), b = input(other, start, NULL);
    plm_mul(a, b);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "mul: operands 0 and 1 live on different tapes");
}

static void test_param_on_two_tapes(void **state)
{
    fixture      *f     = *state;
    plm_tape     *other = plm_tape_new(f->ctx, NULL);
    const plm_val a     = plm_square(plm_tape_param(f->tape, f->p));
    plm_tape_param(other, f->p);
    const plm_val b = plm_tape_param(f->tape, f->p); /* the same leaf as before */
    assert_true(plm_backward(plm_sum(plm_add(a, b), NULL)));
    assert_grad(f->p, 7, -3);
    /* A parameter that goes takes both tapes' values along. */
    plm_param *q = plm_param_new(f->ctx, plm_shape_of(1), &(plm_param_desc){ .name = "q" });
    plm_tape_reset(f->tape);
    const plm_val on_first = plm_tape_param(f->tape, q), on_second = plm_tape_param(other, q);
    plm_param_free(q);
    assert_false(plm_val_ok(on_first) || plm_val_ok(on_second));
}

static void test_check_finite(void **state)
{
    (void)state;
    plm_ctx      *ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .check_finite = true });
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const float   x[] = { 1, 0 }, bad[] = { NAN, 0 };
    const plm_val y = plm_scale(plm_log(input(tape, x, NULL)), 2);
    assert_false(plm_val_ok(y));
    assert_error(ctx, PLM_ERR_NONFINITE, "log: its output [2] is not finite");
    input(tape, bad, NULL);
    assert_error(ctx, PLM_ERR_NONFINITE, "input [2]: element 0 is nan");
    plm_ctx_free(ctx);
}

static void test_parallel_region(void **state)
{
    fixture      *f    = *state;
    const plm_val x    = input(f->tape, start, NULL);
    int           made = 0;
#pragma omp parallel num_threads(2) reduction(+ : made)
    {
        if (omp_get_thread_num() == 0) made += plm_val_ok(plm_square(x));
    }
    assert_int_equal(made, 0);
    assert_error(f->ctx, PLM_ERR_STATE, "square: called inside an OpenMP parallel region");
}

static void test_bad_inputs(void **state)
{
    fixture      *f        = *state;
    const int64_t labels[] = { 1, 2 };
    plm_tape_input(f->tape, plm_tensor_wrap(PLM_I64, plm_shape_of(2), labels));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "input: i64 [2], a tape takes f32");
    plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "input: [2] has no memory (NULL)");
    plm_tape_input_with(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 0), start),
                        &(plm_input_desc){ .name = "images" });
    assert_error(f->ctx, PLM_ERR_SHAPE, "images: extent 1 of [2,0] is 0");
    assert_false(plm_val_ok(plm_tape_input(NULL, plm_tensor_wrap(PLM_F32, plm_shape_of(2), start))));
    const plm_val x = input(f->tape, start, NULL);
    assert_true(isnan(plm_val_item(x)));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_val_item: the value [2] has 2 elements, not 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tape_test(test_stale_handles),
        tape_test(test_freed_tape),
        tape_test(test_release),
        tape_test(test_release_gives_memory_back),
        tape_test(test_empty_operands),
        tape_test(test_two_tapes),
        tape_test(test_param_on_two_tapes),
        cmocka_unit_test(test_check_finite),
        tape_test(test_parallel_region),
        tape_test(test_bad_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_tape.c: tapes, handles and the backward pass. */
#include "support.h"

#include <math.h>
#include <omp.h>

#include "autograd/autograd.h"

/* A context, a parameter of two elements and a tape. */
typedef struct {
    plm_ctx   *ctx;
    plm_param *p;
    plm_tape  *tape;
} fixture;

static const float          start[2] = { 3, -2 }, one[2] = { 1, 1 };
static const plm_input_desc with_grad = { .grad = true };

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->ctx     = plm_ctx_new(&(plm_ctx_desc) { .threads = 2 });
    f->p       = plm_param_new(f->ctx, plm_shape_of(2), &(plm_param_desc) { .name = "p" });
    f->tape    = plm_tape_new(f->ctx, NULL);
    *state     = f;
    return plm_param_write(f->p, start, 2) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_param_free(f->p);
    plm_ctx_free(f->ctx);
    free(f);
    return 0;
}

static plm_val input(plm_tape *tape, const float *x, const plm_input_desc *desc)
{
    return plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), desc);
}

/* sum(p * x): the gradient of p is x. */
static plm_val product(plm_tape *tape, plm_param *p, const float *x)
{
    return plm_sum(plm_mul(plm_tape_param(tape, p), input(tape, x, NULL)), NULL);
}

static void assert_grad(plm_param *p, double first, double second)
{
    float g[2];
    assert_true(plm_param_read_grad(p, g, 2));
    assert_close((double)g[0], first, 1e-6, 1e-6);
    assert_close((double)g[1], second, 1e-6, 1e-6);
}

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

static void test_second_backward(void **state)
{
    fixture      *f    = *state;
    const plm_val loss = product(f->tape, f->p, one);
    assert_true(plm_backward(loss));
    assert_false(plm_backward(loss));
    assert_error(f->ctx, PLM_ERR_STATE, "a second backward pass over one tape");
    const plm_val next = product(f->tape, f->p, one);
    assert_true(plm_backward(next));
    plm_square(next);
    assert_error(f->ctx, PLM_ERR_STATE, "square: this tape has run its backward pass");
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
    plm_tape     *tape   = plm_tape_new(f->ctx, &(plm_tape_desc) { .no_grad = true });
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
    plm_param *q = plm_param_new(f->ctx, plm_shape_of(1), &(plm_param_desc) { .name = "q" });
    plm_tape_reset(f->tape);
    const plm_val on_first = plm_tape_param(f->tape, q), on_second = plm_tape_param(other, q);
    plm_param_free(q);
    assert_false(plm_val_ok(on_first) || plm_val_ok(on_second));
}

/* Once per use: in two records, twice in one record, through a view and as a gradient handed on. */
static void test_param_used_often(void **state)
{
    fixture      *f = *state;
    const plm_val p = plm_tape_param(f->tape, f->p), q = plm_tape_param(f->tape, f->p);
    assert_true(plm_backward(plm_sum(plm_mul(p, q), NULL)));
    assert_grad(f->p, 6, -4);
    plm_tape_reset(f->tape);
    const plm_val r = plm_tape_param(f->tape, f->p);
    /* p + p + p^2 + 5 p + p^3 */
    plm_val sum = plm_add(plm_add(r, r), plm_mul(r, r));
    sum         = plm_add(plm_add(sum, plm_scale(plm_reshape(r, plm_shape_of(2)), 5)), plm_mul(plm_square(r), r));
    assert_true(plm_backward(plm_sum(sum, NULL)));
    assert_grad(f->p, 2 + 6 + 5 + 27, 2 - 4 + 5 + 12);
    plm_tape_reset(f->tape);
    const plm_val d = plm_tape_param(f->tape, f->p); /* p - p = 0, and a quotient of itself is constant */
    assert_true(plm_backward(plm_sum(plm_add(plm_sub(d, d), plm_div(d, d)), NULL)));
    assert_grad(f->p, 0, 0);
}

static void test_micro_batches(void **state)
{
    fixture    *f       = *state;
    const float x[3][2] = { { 1, 2 }, { 30, 40 }, { 500, 600 } };
    for (int round = 0; round < 2; round++) { /* the first backward of a round overwrites */
        for (int i = 0; i < 3; i++) {
            assert_true(plm_backward_with(product(f->tape, f->p, x[i]), &(plm_backward_desc) { .more = i < 2 }));
            plm_tape_reset(f->tape);
        }
        assert_grad(f->p, 531, 642);
    }
    /* Twice in one record, into a gradient that is already there. */
    assert_true(plm_backward_with(product(f->tape, f->p, x[0]), &(plm_backward_desc) { .more = true }));
    plm_tape_reset(f->tape);
    const plm_val p = plm_tape_param(f->tape, f->p);
    assert_true(plm_backward(plm_sum(plm_mul(p, p), NULL)));
    assert_grad(f->p, 1 + 6, 2 - 4);
}

static void count_ready(void *user, plm_param *p)
{
    float *seen = user;
    seen[0]++;
    seen[1] = ((const float *)p->grad->data)[0];
}

/* The hook fires once, after the last contribution, and not while micro-batches follow. */
static void test_ready_hook(void **state)
{
    fixture *f       = *state;
    float    seen[2] = { 0, 0 };
    f->p->ready      = count_ready;
    f->p->ready_user = seen;
    const plm_val p  = plm_tape_param(f->tape, f->p);
    assert_true(plm_backward(plm_sum(plm_add(plm_mul(p, p), plm_scale(p, 4)), NULL)));
    assert_close((double)seen[0], 1, 0, 0);
    assert_close((double)seen[1], 10, 0, 0);
    plm_tape_reset(f->tape);
    assert_true(plm_backward_with(product(f->tape, f->p, one), &(plm_backward_desc) { .more = true }));
    assert_close((double)seen[0], 1, 0, 0);
}

static void test_no_grad(void **state)
{
    fixture      *f    = *state;
    plm_tape     *tape = plm_tape_new(f->ctx, &(plm_tape_desc) { .no_grad = true });
    const plm_val loss = product(tape, f->p, one);
    assert_close((double)plm_val_item(loss), 1, 0, 0);
    assert_int_equal(tape->list.records, 0); /* nothing is recorded */
    assert_false(plm_backward(loss));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_backward: the tape does not record (.no_grad)");
}

/* Evaluation mode and recording are separate. */
static void test_eval_with_grad(void **state)
{
    fixture  *f    = *state;
    plm_tape *tape = plm_tape_new(f->ctx, &(plm_tape_desc) { .eval = true });
    assert_true(plm_backward(product(tape, f->p, one)));
    assert_grad(f->p, 1, 1);
}

static void test_input_gradients(void **state)
{
    fixture      *f = *state;
    float         g[2];
    const plm_val x = input(f->tape, start, &with_grad), unused = input(f->tape, one, &with_grad),
                  plain = input(f->tape, one, NULL);
    const plm_val y     = plm_mul(plm_square(x), plain);
    assert_true(plm_backward(plm_sum(y, NULL)));
    assert_true(plm_val_grad(x, g, 2));
    assert_close((double)g[0], 6, 0, 0);
    assert_close((double)g[1], -4, 0, 0);
    assert_false(plm_val_grad(x, g, 3));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_val_grad: the value [2] has 2 elements, not 3");
    (void)unused;
    const plm_val late = input(f->tape, start, &with_grad);
    assert_false(plm_val_grad(late, g, 2));
    assert_error(f->ctx, PLM_ERR_STATE, "plm_val_grad: no gradient is kept for this value");
}

static void test_bad_losses(void **state)
{
    fixture *f = *state;
    assert_false(plm_backward(plm_square(plm_tape_param(f->tape, f->p))));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_backward: the loss has shape [2], expected one element");
    assert_false(plm_backward(plm_sum(input(f->tape, one, NULL), NULL)));
    assert_error(f->ctx, PLM_ERR_STATE,
                 "plm_backward: the loss depends on no trainable parameter and no input with .grad");
}

static void test_nonfinite_is_named(void **state)
{
    fixture    *f     = *state;
    const float bad[] = { 1, NAN };
    assert_false(plm_backward(product(f->tape, f->p, bad)));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "plm_backward: the loss is nan: input [2] holds nan at element 1");

    const float huge[] = { 1, INFINITY };
    assert_true(plm_param_write(f->p, huge, 2));
    assert_false(plm_backward(product(f->tape, f->p, one)));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "parameter p [2] holds inf");

    assert_true(plm_param_write(f->p, (const float[]) { 0, 1 }, 2));
    const plm_val logs = plm_log(plm_tape_param(f->tape, f->p));
    assert_false(plm_backward(plm_sum(plm_scale(logs, 2), NULL)));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "log: its output [2] is not finite, nor is the loss (-inf)");
}

static void test_check_finite(void **state)
{
    (void)state;
    plm_ctx      *ctx  = plm_ctx_new(&(plm_ctx_desc) { .threads = 1, .check_finite = true });
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
                        &(plm_input_desc) { .name = "images" });
    assert_error(f->ctx, PLM_ERR_SHAPE, "images: extent 1 of [2,0] is 0");
    assert_false(plm_val_ok(plm_tape_input(NULL, plm_tensor_wrap(PLM_F32, plm_shape_of(2), start))));
    const plm_val x = input(f->tape, start, NULL);
    assert_true(isnan(plm_val_item(x)));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_val_item: the value [2] has 2 elements, not 1");
}

#define tape_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        tape_test(test_stale_handles),
        tape_test(test_freed_tape),
        tape_test(test_second_backward),
        tape_test(test_release),
        tape_test(test_release_gives_memory_back),
        tape_test(test_empty_operands),
        tape_test(test_two_tapes),
        tape_test(test_param_on_two_tapes),
        tape_test(test_param_used_often),
        tape_test(test_micro_batches),
        tape_test(test_ready_hook),
        tape_test(test_no_grad),
        tape_test(test_eval_with_grad),
        tape_test(test_input_gradients),
        tape_test(test_bad_losses),
        tape_test(test_nonfinite_is_named),
        cmocka_unit_test(test_check_finite),
        tape_test(test_parallel_region),
        tape_test(test_bad_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

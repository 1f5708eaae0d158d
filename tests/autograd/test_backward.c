/* test_backward.c: reverse accumulation over a tape. */
#include "fixture.h"

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
            assert_true(plm_backward_with(product(f->tape, f->p, x[i]), &(plm_backward_desc){ .more = i < 2 }));
            plm_tape_reset(f->tape);
        }
        assert_grad(f->p, 531, 642);
    }
    /* Twice in one record, into a gradient that is already there. */
    assert_true(plm_backward_with(product(f->tape, f->p, x[0]), &(plm_backward_desc){ .more = true }));
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
    assert_true(plm_backward_with(product(f->tape, f->p, one), &(plm_backward_desc){ .more = true }));
    assert_close((double)seen[0], 1, 0, 0);
}

static void test_no_grad(void **state)
{
    fixture      *f    = *state;
    plm_tape     *tape = plm_tape_new(f->ctx, &(plm_tape_desc){ .no_grad = true });
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
    plm_tape *tape = plm_tape_new(f->ctx, &(plm_tape_desc){ .eval = true });
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

/* A score of a fully convolutional network: one number, in a layout that has room for 8 or 16 channels. */
static void test_loss_in_a_padded_layout(void **state)
{
    enum { N = 16 * 9 };
    fixture     *f = *state;
    static float x[N], w[N], g[N];
    plm_param   *p = plm_param_new(f->ctx, plm_shape_of(1, 16, 3, 3), &(plm_param_desc){ .name = "w" });
    test_fill(x, N, 1, -1, 1);
    test_fill(w, N, 2, -1, 1);
    assert_true(plm_param_write(p, w, N));
    const plm_val in = plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1, 16, 3, 3), x));
    const plm_val y  = plm_conv2d(in, plm_tape_param(f->tape, p), plm_none, NULL);
    assert_true(plm_backward(plm_scale(y, 2)));
    assert_true(plm_param_read_grad(p, g, N));
    for (int i = 0; i < N; i++) assert_close((double)g[i], 2 * (double)x[i], 0, 1e-6);
    plm_tape_reset(f->tape);
    plm_param_free(p);
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

    assert_true(plm_param_write(f->p, (const float[]){ 0, 1 }, 2));
    const plm_val logs = plm_log(plm_tape_param(f->tape, f->p));
    assert_false(plm_backward(plm_sum(plm_scale(logs, 2), NULL)));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "log: its output [2] is not finite, nor is the loss (-inf)");
}

/* Refused, it leaves the first one's gradients alone. */
static void test_refused_backward_changes_nothing(void **state)
{
    fixture      *f    = *state;
    const plm_val loss = product(f->tape, f->p, one);
    assert_true(plm_backward(loss));
    assert_false(plm_backward(loss));
    plm_ctx_clear(f->ctx);
    assert_grad(f->p, one[0], one[1]);
}

/* What backward reads must be what forward read. */
static void test_parameter_changed_between_forward_and_backward(void **state)
{
    fixture      *f    = *state;
    const plm_val loss = product(f->tape, f->p, one);
    assert_true(plm_param_write(f->p, one, 2));
    assert_false(plm_backward(loss));
    assert_error(f->ctx, PLM_ERR_STATE, "p was changed after this tape used it: compute the loss anew");
}

/* A half that an error cut off is not taken up again. */
static void test_micro_batch_before_an_error(void **state)
{
    fixture *f = *state;
    assert_true(plm_backward_with(product(f->tape, f->p, one), &(plm_backward_desc){ .more = true }));
    plm_ctx_fail(f->ctx, PLM_ERR_IO, "the disk is gone");
    plm_ctx_clear(f->ctx);
    assert_true(plm_backward(product(f->tape, f->p, one)));
    assert_grad(f->p, one[0], one[1]);
}

static void test_loss_is_a_parameter(void **state)
{
    fixture   *f = *state;
    plm_param *s = plm_param_new(f->ctx, plm_shape_of(1), &(plm_param_desc){ .name = "s" });
    assert_false(plm_backward(plm_tape_param(f->tape, s)));
    assert_error(f->ctx, PLM_ERR_STATE, "the loss is the parameter s itself");
    plm_param_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tape_test(test_second_backward),
        tape_test(test_param_used_often),
        tape_test(test_micro_batches),
        tape_test(test_ready_hook),
        tape_test(test_no_grad),
        tape_test(test_eval_with_grad),
        tape_test(test_input_gradients),
        tape_test(test_loss_in_a_padded_layout),
        tape_test(test_bad_losses),
        tape_test(test_nonfinite_is_named),
        tape_test(test_refused_backward_changes_nothing),
        tape_test(test_parameter_changed_between_forward_and_backward),
        tape_test(test_micro_batch_before_an_error),
        tape_test(test_loss_is_a_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_user_op.c: an op of the user's own, through the public header only: y = a x^3 + aux, with all that a record offers. */
#include "support.h"

typedef struct {
    double a;
} cube_attr;

static bool cube_shape(plm_record *r)
{
    const plm_shape x = plm_record_in_shape(r, 0);
    if (plm_record_inputs(r) != 1) return plm_record_fail(r, PLM_ERR_ARGUMENT, "takes one value");
    if (x.rank != 1) return plm_record_fail(r, PLM_ERR_SHAPE, "its input has %d axes, expected 1", x.rank);
    return plm_record_set_aux(r, 0, (size_t)x.dim[0] * sizeof(float)) && plm_record_set_out(r, x);
}

/* Keeps 3 a x^2 for backward. */
static bool cube_forward(plm_record *r)
{
    const cube_attr *attr = plm_record_attr(r);
    const float     *x    = plm_record_in(r, 0);
    float           *y = plm_record_out(r), *slope = plm_record_aux(r, 0);
    for (int64_t i = 0; i < plm_record_size(r); i++) {
        y[i]     = (float)attr->a * x[i] * x[i] * x[i];
        slope[i] = 3 * (float)attr->a * x[i] * x[i];
    }
    return true;
}

static bool cube_backward(plm_record *r)
{
    const float *dy = plm_record_grad_out(r), *slope = plm_record_aux(r, 0);
    if (!plm_record_wants(r, 0)) return true;
    float *dx = plm_record_grad_in(r, 0);
    for (int64_t i = 0; dx && i < plm_record_size(r); i++) dx[i] = dy[i] * slope[i];
    return dx != NULL;
}

static const plm_op cube = { .name = "cube", .shape = cube_shape, .forward = cube_forward, .backward = cube_backward };

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_apply(&cube, &(cube_attr){ 0.5 }, sizeof(cube_attr), in, 1);
}

static void test_values_and_gradient(void **state)
{
    plm_ctx      *ctx  = *state;
    const float   x[3] = { 1, -2, 0.5f };
    float         y[3], g[3];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3), x), &(plm_input_desc){ .grad = true });
    const plm_val c = apply(tape, &v, 1, NULL);
    assert_true(plm_val_read(c, y, 3) && plm_backward(plm_sum(plm_add(c, c), NULL)) && plm_val_grad(v, g, 3));
    for (int i = 0; i < 3; i++) {
        const double t = (double)x[i];
        assert_close((double)y[i], 0.5 * t * t * t, 0, 1e-6);
        assert_close((double)g[i], 3 * t * t, 0, 1e-6);
    }
    const plm_tensor at = plm_tensor_wrap(PLM_F32, plm_shape_of(3), x);
    assert_true(plm_gradcheck(ctx, apply, NULL, &at, 1, NULL, NULL));
}

/* Without backward no gradient flows through, and none is computed. */
static void test_no_backward(void **state)
{
    plm_ctx            *ctx   = *state;
    static const plm_op plain = { .name = "plain", .shape = cube_shape, .forward = cube_forward };
    const float         x[2]  = { 1, 2 };
    plm_tape           *tape  = plm_tape_new(ctx, NULL);
    const plm_val       v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), &(plm_input_desc){ .grad = true });
    const plm_val y = plm_apply(&plain, &(cube_attr){ 1 }, sizeof(cube_attr), &v, 1);
    assert_close((double)plm_val_item(plm_sum(y, NULL)), 9, 0, 1e-6);
    assert_false(plm_backward(plm_sum(y, NULL)));
    assert_error(ctx, PLM_ERR_STATE, "the loss depends on no trainable parameter");
}

static bool same_shape(plm_record *r)
{
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

/* dx = y dy. */
static bool view_backward(plm_record *r)
{
    float *dx = plm_record_grad_in(r, 0);
    for (int64_t i = 0; dx && i < plm_record_size(r); i++) dx[i] = plm_record_out(r)[i] * plm_record_grad_out(r)[i];
    return dx != NULL;
}

/* Without forward the output is the input's memory, be it lent, and can be read in backward. */
static void test_view(void **state)
{
    plm_ctx            *ctx  = *state;
    static const plm_op view = {
        .name = "view", .shape = same_shape, .backward = view_backward, .saves = PLM_SAVES_OUTPUT
    };
    const float   x[2] = { 3, -2 };
    float         g[2];
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val v =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), &(plm_input_desc){ .grad = true });
    assert_true(plm_backward(plm_sum(plm_apply(&view, NULL, 0, &v, 1), NULL)) && plm_val_grad(v, g, 2));
    assert_memory_equal(g, x, sizeof g);
}

static bool forgetful_shape(plm_record *r)
{
    (void)r;
    return true;
}

static bool forgetful_backward(plm_record *r)
{
    (void)r;
    return true;
}

static bool aux_shape(plm_record *r)
{
    return plm_record_set_aux(r, 2, 4);
}

static bool other_shape(plm_record *r)
{
    return plm_record_set_out(r, plm_shape_of(5));
}

static void test_broken_ops(void **state)
{
    plm_ctx     *ctx      = *state;
    const float  x[4]     = { 1, 2, 3, 4 };
    plm_tape    *tape     = plm_tape_new(ctx, NULL);
    const plm_op no_shape = { .name = "no_shape", .shape = forgetful_shape, .forward = cube_forward };
    const plm_op no_grad  = {
         .name = "no_grad", .shape = cube_shape, .forward = cube_forward, .backward = forgetful_backward
    };
    const plm_op bad_aux  = { .name = "bad_aux", .shape = aux_shape, .forward = cube_forward };
    const plm_op not_same = {
        .name = "not_same", .shape = other_shape, .forward = cube_forward, .layout = PLM_LAYOUT_SAME
    };
    const cube_attr      a    = { 1 };
    const plm_input_desc grad = { .grad = true };
    const plm_tensor     line = plm_tensor_wrap(PLM_F32, plm_shape_of(4), x),
                     matrix   = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 2), x);

    plm_val v = plm_tape_input_with(tape, line, &grad);
    assert_false(plm_val_ok(plm_apply(&no_shape, &a, sizeof a, &v, 1)));
    assert_error(ctx, PLM_ERR_STATE, "no_shape: its shape rule set no output shape");
    v = plm_tape_input_with(tape, line, &grad);
    assert_false(plm_backward(plm_sum(plm_apply(&no_grad, &a, sizeof a, &v, 1), NULL)));
    assert_error(ctx, PLM_ERR_STATE, "no_grad: its backward wrote no gradient for input 0");
    v = plm_tape_input_with(tape, line, &grad);
    plm_apply(&bad_aux, &a, sizeof a, &v, 1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "bad_aux: auxiliary buffer 2, expected 0 or 1");
    v = plm_tape_input_with(tape, line, &grad);
    plm_apply(&not_same, &a, sizeof a, &v, 1);
    assert_error(ctx, PLM_ERR_STATE, "not_same: PLM_LAYOUT_SAME, but its output has another shape than input 0 [4]");
    v = plm_tape_input_with(tape, matrix, &grad);
    plm_apply(&cube, &a, sizeof a, &v, 1);
    assert_error(ctx, PLM_ERR_SHAPE, "cube: its input has 2 axes, expected 1");
    v = plm_tape_input_with(tape, line, &grad);
    plm_apply(&cube, &a, PLM_MAX_ATTR + 1, &v, 1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "cube: 1 inputs and 129 bytes of attributes");
    plm_val nine[9];
    for (int i = 0; i < 9; i++) nine[i] = plm_tape_input_with(tape, line, &grad);
    plm_apply(&cube, &a, sizeof a, nine, 9);
    assert_error(ctx, PLM_ERR_ARGUMENT, "cube: 9 inputs");
}

static bool refuse(plm_record *r)
{
    (void)r;
    return false;
}

/* Clearing from inside an op would pull the tape from under it: it does nothing there. */
static bool clearing_forward(plm_record *r)
{
    plm_ctx_clear(plm_record_ctx(r));
    return cube_forward(r);
}

static bool larger_shape(plm_record *r)
{
    return plm_record_set_out(r, plm_shape_of(400));
}

static void test_ops_without_sense(void **state)
{
    plm_ctx         *ctx  = *state;
    const float      x[4] = { 1, 2, 3, 4 };
    const plm_tensor line = plm_tensor_wrap(PLM_F32, plm_shape_of(4), x);
    plm_tape        *tape = plm_tape_new(ctx, NULL);
    const cube_attr  a    = { 1 };
    plm_op           op   = cube;
    plm_val          v    = plm_tape_input_with(tape, line, &(plm_input_desc){ .grad = true });
    op.forward            = clearing_forward;
    assert_true(plm_backward(plm_sum(plm_apply(&op, &a, sizeof a, &v, 1), NULL)));
    plm_tape_reset(tape);

    v          = plm_tape_input(tape, line);
    op.forward = refuse;
    plm_apply(&op, &a, sizeof a, &v, 1);
    assert_error(ctx, PLM_ERR_STATE, "cube: its forward returned false");
    v           = plm_tape_input_with(tape, line, &(plm_input_desc){ .grad = true });
    op.forward  = cube_forward;
    op.backward = refuse;
    assert_false(plm_backward(plm_sum(plm_apply(&op, &a, sizeof a, &v, 1), NULL)));
    assert_error(ctx, PLM_ERR_STATE, "cube: its backward returned false");
    v        = plm_tape_input(tape, line);
    op.shape = refuse;
    plm_apply(&op, &a, sizeof a, &v, 1);
    assert_error(ctx, PLM_ERR_STATE, "cube: its shape rule returned false");
    v          = plm_tape_input(tape, line);
    op.shape   = larger_shape;
    op.forward = NULL;
    plm_apply(&op, &a, sizeof a, &v, 1);
    assert_error(ctx, PLM_ERR_STATE, "it has no forward, so it is a view, but changes the number of elements");
    v = plm_tape_input(tape, line);
    plm_apply(&cube, NULL, sizeof a, &v, 1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_apply: attr is NULL");
    v = plm_tape_input(tape, line);
    plm_apply(NULL, NULL, 0, &v, 1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "the op needs a name and a shape rule");
}

int main(void)
{
    const struct CMUnitTest tests[] = { ctx_test(test_values_and_gradient), ctx_test(test_no_backward),
                                        ctx_test(test_view), ctx_test(test_broken_ops),
                                        ctx_test(test_ops_without_sense) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_param.c: parameters: roles, reading and writing, gradients, home layouts and derived copies. */
#include "support.h"

#include "autograd/autograd.h"

static const float values[6] = { 1, 2, 3, 4, 5, 6 };

static plm_param *make(plm_ctx *ctx, plm_role role)
{
    plm_param *p = plm_param_new(ctx, plm_shape_of(2, 3), &(plm_param_desc){ .name = "layer1.weight", .role = role });
    plm_param_write(p, values, 6);
    return p;
}

/* d sum(p^2) / dp = 2 p */
static bool backward(plm_tape *tape, plm_param *p)
{
    const bool ok = plm_backward(plm_sum(plm_square(plm_tape_param(tape, p)), NULL));
    plm_tape_reset(tape);
    return ok;
}

static void test_facts(void **state)
{
    plm_ctx   *ctx    = *state;
    char       name[] = "w";
    plm_param *p      = plm_param_new(ctx, plm_shape_of(2, 3),
                                      &(plm_param_desc){ .name = name, .role = PLM_ROLE_NORM_SCALE, .frozen = true });
    name[0]           = 'x'; /* the name was copied */
    float got[6];
    assert_string_equal(plm_param_name(p), "w");
    assert_true(plm_shape_equal(plm_param_shape(p), plm_shape_of(2, 3)));
    assert_int_equal(plm_param_role(p), PLM_ROLE_NORM_SCALE);
    assert_true(plm_param_frozen(p));
    assert_true(plm_param_read(p, got, 6));
    for (int i = 0; i < 6; i++) assert_close((double)got[i], 0, 0, 0); /* filled with zeros */
    assert_true(plm_param_write(p, values, 6) && plm_param_read(p, got, 6));
    for (int i = 0; i < 6; i++) assert_close((double)got[i], (double)values[i], 0, 0);
    plm_param_free(p);
    plm_param_free(NULL);
}

static void test_gradient(void **state)
{
    plm_ctx   *ctx = *state;
    float      g[6];
    plm_param *p    = make(ctx, PLM_ROLE_WEIGHT);
    plm_tape  *tape = plm_tape_new(ctx, NULL);
    for (int pass = 0; pass < 2; pass++) { /* the second overwrites the first */
        assert_true(backward(tape, p) && plm_param_read_grad(p, g, 6));
        for (int i = 0; i < 6; i++) assert_close((double)g[i], 2 * (double)values[i], 0, 0);
    }
    p->used_version = p->grad_version; /* as an optimiser step does */
    assert_false(plm_param_read_grad(p, g, 6));
    plm_param_free(p);
    assert_error(ctx, PLM_ERR_STATE, "plm_param_read_grad: layer1.weight has no gradient");
}

static void test_who_gets_a_gradient(void **state)
{
    plm_ctx   *ctx = *state;
    float      g[6];
    plm_param *weight = make(ctx, PLM_ROLE_WEIGHT), *statistic = make(ctx, PLM_ROLE_STATISTIC),
              *frozen = make(ctx, PLM_ROLE_BIAS);
    plm_param_freeze(frozen, true);
    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val y =
        plm_mul(plm_mul(plm_tape_param(tape, weight), plm_tape_param(tape, statistic)), plm_tape_param(tape, frozen));
    bool ok = plm_backward(plm_sum(y, NULL)) && plm_param_read_grad(weight, g, 6);
    for (int i = 0; i < 6; i++) ok = ok && g[i] == values[i] * values[i];
    const bool of_statistic = plm_param_read_grad(statistic, g, 6);
    plm_ctx_clear(ctx);
    const bool of_frozen = plm_param_read_grad(frozen, g, 6);
    plm_ctx_clear(ctx);
    plm_param_freeze(frozen, false);
    const bool thawed = backward(tape, frozen) && plm_param_read_grad(frozen, g, 6);
    plm_param_free(weight);
    plm_param_free(statistic);
    plm_param_free(frozen);
    assert_true(ok && !of_statistic && !of_frozen && thawed);
}

static void test_home_and_copies(void **state)
{
    plm_ctx   *ctx = *state;
    float      got[6], g[6];
    plm_param *p = make(ctx, PLM_ROLE_WEIGHT);
    /* column-major */
    plm_shape   s     = plm_shape_of(2, 3);
    plm__layout plain = plm__layout_plain(s), columns = plain;
    columns.stride[0] = 1;
    columns.stride[1] = 2;

    const float *copy = plm__param_weights(p, &columns);
    assert_ok(ctx);
    assert_close((double)copy[1], 4, 0, 0);
    assert_close((double)copy[2], 2, 0, 0);
    assert_ptr_equal(plm__param_weights(p, &plain), p->weights->data); /* the home itself */

    const float other[6] = { 10, 20, 30, 40, 50, 60 };
    assert_true(plm_param_write(p, other, 6));
    assert_ptr_equal(plm__param_weights(p, &columns), copy);
    assert_close((double)copy[1], 40, 0, 0); /* refreshed */

    assert_true(plm__param_set_home(p, &columns));
    assert_true(plm_param_read(p, got, 6));
    for (int i = 0; i < 6; i++) assert_close((double)got[i], (double)other[i], 0, 0);
    assert_close((double)((const float *)p->weights->data)[1], 40, 0, 0);

    /* A gradient has the home layout and is read row-major. */
    plm_tape *tape = plm_tape_new(ctx, NULL);
    assert_true(backward(tape, p) && plm_param_read_grad(p, g, 6));
    for (int i = 0; i < 6; i++) assert_close((double)g[i], 2 * (double)other[i], 0, 0);
    assert_close((double)((const float *)p->grad->data)[1], 80, 0, 0);
    /* An op that wants row-major memory gets it, and the gradient comes back. */
    const plm_val y = plm_exp(plm_scale(plm_reshape(plm_tape_param(tape, p), plm_shape_of(6)), 0));
    assert_true(plm_backward(plm_sum(plm_mul(y, plm_reshape(plm_tape_param(tape, p), plm_shape_of(6))), NULL)));
    assert_true(plm_param_read_grad(p, g, 6));
    for (int i = 0; i < 6; i++) assert_close((double)g[i], 1, 0, 1e-6);
    plm_param_free(p);
    assert_ok(ctx);
}

static void test_more_layouts_than_places(void **state)
{
    plm_ctx   *ctx = *state;
    float      w[24];
    plm_shape  s = plm_shape_of(2, 3, 4);
    plm_param *p = plm_param_new(ctx, s, &(plm_param_desc){ .name = "w" });
    test_fill(w, 24, 1, -1, 1);
    assert_true(plm_param_write(p, w, 24));
    const int order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (int round = 0; round < 2; round++)
        for (int k = 0; k < 6; k++) { /* axis order[k][2] is the innermost */
            plm__layout l      = plm__layout_plain(s);
            int64_t     stride = 1;
            for (int i = 2; i >= 0; i--) {
                l.stride[order[k][i]] = stride;
                stride *= s.dim[order[k][i]];
            }
            const float *copy = plm__param_weights(p, &l);
            assert_non_null(copy);
            for (int64_t e = 0; e < 24; e++) {
                const int64_t index[] = { e / 12, e / 4 % 3, e % 4 };
                assert_close((double)copy[plm__layout_offset(&l, index)], (double)w[e], 0, 0);
            }
        }
    plm_param_free(p);
}

static void test_errors(void **state)
{
    plm_ctx *ctx = *state;
    float    got[6];
    assert_null(plm_param_new(ctx, plm_shape_of(2), NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_param_new: desc.name is required");
    assert_null(plm_param_new(ctx, plm_shape_of(2, 0), &(plm_param_desc){ .name = "w" }));
    assert_error(ctx, PLM_ERR_SHAPE, "w: extent 1 of [2,0] is 0");
    plm_param *p = make(ctx, PLM_ROLE_WEIGHT);
    assert_false(plm_param_read(p, got, 5));
    assert_error(ctx, PLM_ERR_SHAPE, "plm_param_read: layer1.weight [2,3] has 6 elements, not 5");
    assert_false(plm_param_write(p, NULL, 6));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_param_write: layer1.weight: memory is NULL");
    assert_false(plm_param_read_grad(p, got, 6));
    assert_error(ctx, PLM_ERR_STATE, "plm_param_read_grad: layer1.weight has no gradient");
    plm_ctx *other = plm_ctx_new(NULL);
    plm_tape_param(plm_tape_new(other, NULL), p);
    assert_error(other, PLM_ERR_ARGUMENT, "layer1.weight belongs to another context than the tape");
    plm_ctx_free(other);
    plm_param_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { ctx_test(test_facts),
                                        ctx_test(test_gradient),
                                        ctx_test(test_who_gets_a_gradient),
                                        ctx_test(test_home_and_copies),
                                        ctx_test(test_more_layouts_than_places),
                                        ctx_test(test_errors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

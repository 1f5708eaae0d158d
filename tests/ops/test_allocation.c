/* test_allocation.c: one expression of many ops, with the k-th allocation failing, k = 0, 1, 2 ...: an error, no leak; and
 * no allocation at all once the shapes are known. */
#include "support.h"

#include <math.h>

static const float   x[6] = { 1, -2, 3, 0.5f, 1, 2 }, b[3] = { 1, 2, 3 };
static const int64_t label[2] = { 0, 2 };

/* Broadcasting both ways, views, copies, reductions, saved inputs and outputs, and a parameter. */
static bool step(plm_tape *tape, plm_param *p, float *loss)
{
    plm_tape_set_step(tape, 1); /* dropout draws the same each time */
    const plm_val in =
        plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x), &(plm_input_desc){ .grad = true });
    const plm_val w   = plm_tape_param(tape, p);
    const plm_val mix = plm_where(plm_relu(in, NULL), plm_leaky_relu(w, NULL), plm_clamp(in, -1, 1));
    const plm_val n   = plm_layer_norm(plm_dropout(plm_gelu(mix, NULL), NULL), w, w, NULL);
    const plm_val h   = plm_relu(plm_add(plm_mul(in, w), plm_tanh(n)), NULL);
    const plm_val m   = plm_mean(h, &(plm_reduce_desc){ .axes = (int[]){ 0 }, .count = 1, .keep = true });
    const plm_val d   = plm_div(plm_sub(h, m), plm_exp(plm_scale(m, -0.5)));
    const plm_val c   = plm_concat((const plm_val[]){ d, plm_slice(h, 0, 1, 2), in }, 3, 0);
    const plm_val e   = plm_embedding(c, plm_tensor_wrap(PLM_I64, plm_shape_of(2), label));
    const plm_val t   = plm_transpose(plm_reshape(plm_add(d, e), plm_shape_of(3, 2)), (int[]){ 1, 0 });
    const plm_val l =
        plm_add(plm_cross_entropy(t, plm_tensor_wrap(PLM_I64, plm_shape_of(2), label)),
                plm_mse_onehot(plm_softmax(t, 1), plm_tensor_wrap(PLM_I64, plm_shape_of(2), label), NULL));
    *loss                 = plm_val_item(l);
    const double accuracy = plm_accuracy(t, plm_tensor_wrap(PLM_I64, plm_shape_of(2), label));
    return plm_backward(l) && !isnan(accuracy);
}

/* One life of a context whose k-th allocation fails; true if there were as many.  A failure that the pool can make good by
 * returning unused blocks is none. */
static bool live(int64_t k, int *failures)
{
    test_allocator counting = { .fail_at = k };
    bool           reached  = true;
    plm_ctx       *ctx      = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&counting) });
    if (ctx) {
        float      loss = 0;
        plm_param *p    = plm_param_new(ctx, plm_shape_of(3), &(plm_param_desc){ .name = "w" });
        plm_tape  *tape = plm_tape_new(ctx, NULL);
        const bool ok   = plm_param_write(p, b, 3) && step(tape, p, &loss);
        if (!ok) {
            *failures += 1;
            assert_int_equal(plm_ctx_status(ctx), PLM_ERR_MEMORY);
            assert_non_null(strstr(plm_ctx_error(ctx), "out of memory"));
            plm_ctx_clear(ctx); /* the context goes on */
        }
        reached          = counting.calls > k;
        counting.fail_at = -1;
        if (!p) p = plm_param_new(ctx, plm_shape_of(3), &(plm_param_desc){ .name = "w" });
        if (!tape) tape = plm_tape_new(ctx, NULL);
        plm_tape_reset(tape);
        const bool again = plm_param_write(p, b, 3) && step(tape, p, &loss);
        assert_ok(ctx);
        assert_true(again && isfinite(loss));
        plm_tape_free(tape);
        plm_param_free(p);
        plm_ctx_free(ctx);
    }
    assert_int_equal(counting.outstanding, 0);
    return reached;
}

static void test_kth_allocation_fails(void **state)
{
    (void)state;
    int     failures = 0;
    int64_t k        = 0;
    while (live(k, &failures)) k++;
    assert_true(k > 20 && failures > 10);
}

static void test_second_step_allocates_nothing(void **state)
{
    plm_ctx   *ctx   = *state;
    plm_param *p     = plm_param_new(ctx, plm_shape_of(3), &(plm_param_desc){ .name = "w" });
    plm_tape  *tape  = plm_tape_new(ctx, NULL);
    float      first = 0, loss = 0;
    uint64_t   allocations = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(plm_param_write(p, b, 3));
        assert_true(step(tape, p, i ? &loss : &first));
        plm_tape_reset(tape);
        if (i == 1) allocations = plm_ctx_statistics(ctx).allocations;
    }
    const uint64_t after = plm_ctx_statistics(ctx).allocations;
    plm_param_free(p);
    assert_ok(ctx);
    assert_int_equal(after, allocations);
    assert_true(first == loss);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_kth_allocation_fails),
                                        ctx_test(test_second_step_allocates_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

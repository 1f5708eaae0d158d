/* test_bench.c: the benchmark measures what it says; how long anything takes is not tested. */
#include "train/check.h"

static void test_result(void **state)
{
    plm_ctx         *ctx = *state;
    plm_graph       *net = digits_net(ctx, true);
    plm_optimizer   *agd = plm_agd_new(net, NULL);
    plm_bench_result r;
    assert_true(plm_bench(net, agd, &(plm_bench_desc){ .batch = 16, .steps = 4, .loss = PLM_LOSS_XENT }, &r));
    assert_true(r.forward_ms > 0 && r.backward_ms > 0 && r.optimizer_ms > 0);
    assert_true(r.step_ms > 0 && r.primitive_ms > 0);
    assert_close(r.images_per_s, 16 * 1e3 / r.step_ms, 0, 1e-9);
    assert_int_equal(plm_optimizer_info(agd)->step, 5 + 4); /* the traced one takes no step */
    plm_optimizer_free(agd);
    plm_graph_free(net);
}

typedef struct {
    int    ops, losses;
    double forward_ms, backward_ms;
} seen;

static void note(void *user, const plm_op_time *t)
{
    seen *s = user;
    s->ops++;
    s->losses += t->node == NULL;
    s->forward_ms += t->forward_ms;
    s->backward_ms += t->backward_ms;
}

/* Every record of a step once, each with its backward pass. */
static void test_profile(void **state)
{
    plm_ctx         *ctx = *state;
    plm_graph       *net = digits_net(ctx, true);
    plm_optimizer   *agd = plm_agd_new(net, NULL);
    plm_bench_result r;
    seen             s = { 0 };
    assert_true(plm_bench(net, agd, &(plm_bench_desc){ .batch = 16, .steps = 3, .on_op = note, .user = &s }, &r));
    assert_true(s.ops >= 3 && s.losses == 1);
    assert_true(s.forward_ms > 0 && s.backward_ms > 0);
    assert_int_equal(plm_optimizer_info(agd)->step, 5 + 3 + 3);
    assert_true(r.peak_rss_mb > 1);
    plm_optimizer_free(agd);
    plm_graph_free(net);
}

/* The k-th allocation fails, of a benchmark whose network has its memory already. */
static void test_allocations_fail(void **state)
{
    (void)state;
    test_allocator       a   = { .fail_at = -1 };
    plm_ctx             *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&a) });
    plm_graph           *net = digits_net(ctx, true);
    plm_optimizer       *agd = plm_agd_new(net, NULL);
    plm_bench_result     r;
    seen                 s        = { 0 };
    int64_t              failures = 0;
    bool                 reached  = true;
    const plm_bench_desc d        = { .batch = 16, .steps = 1, .on_op = note, .user = &s };
    assert_true(plm_bench(net, agd, &d, &r));
    for (; reached; failures++) {
        a.fail_at     = a.calls + failures;
        const bool ok = plm_bench(net, agd, &d, &r); /* or the pool has found other memory */
        reached       = a.calls > a.fail_at;
        assert_true(ok || reached);
        assert_int_equal(plm_ctx_status(ctx), ok ? PLM_OK : PLM_ERR_MEMORY);
        plm_ctx_clear(ctx);
    }
    assert_true(failures > 3);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_ctx_free(ctx);
    assert_int_equal(a.outstanding, 0);
}

static void test_bad_arguments(void **state)
{
    plm_ctx         *ctx = *state;
    plm_graph       *net = digits_net(ctx, false);
    plm_optimizer   *agd = plm_agd_new(net, NULL);
    plm_bench_result r;
    assert_false(plm_bench(NULL, agd, NULL, &r));
    assert_false(plm_bench(net, NULL, NULL, &r));
    assert_error(ctx, PLM_ERR_ARGUMENT, "opt is NULL");
    assert_false(plm_bench(net, agd, NULL, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "result is NULL");
    assert_false(plm_bench(net, agd, &(plm_bench_desc){ .batch = -1 }, &r));
    assert_error(ctx, PLM_ERR_ARGUMENT, "batch is -1");
    assert_false(plm_bench(net, agd, &(plm_bench_desc){ .batch = INT64_MAX / 2 }, &r));
    assert_error(ctx, PLM_ERR_SHAPE, "plm_bench");
    plm_optimizer_free(agd);
    plm_graph_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_result),
        ctx_test(test_profile),
        cmocka_unit_test(test_allocations_fail),
        ctx_test(test_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_trace.c: the kernels that run between start and stop are noted and can be run again on their own. */
#include "bench.h"

/* Two runs: a linear forward and a copy. */
static void step(bench *b)
{
    plm__problem p = { .primitive = PLM__LINEAR,
                       .src       = plm__layout_plain(plm_shape_of(4, 6)),
                       .weights   = plm__layout_plain(plm_shape_of(5, 6)),
                       .dst       = plm__layout_plain(plm_shape_of(4, 5)) };
    float *x = bench_random(b, 24, 1), *w = bench_random(b, 30, 2), *y = bench_floats(b, 20), *z = bench_floats(b, 20);
    plm__kernel *k = bench_kernel(b, &p);
    bench_run(b, k, (plm__args){ .src = x, .weights = w, .dst = y });
    plm__kernel_drop(b->ctx, k);
    assert_true(plm__reorder(b->ctx, &p.dst, y, &p.dst, z));
    assert_memory_equal(y, z, 20 * sizeof(float));
}

static void test_notes_between_start_and_stop(void **state)
{
    bench *b = *state;
    step(b);
    assert_true(plm__trace_start(b->ctx, 100));
    step(b);
    step(b);
    assert_int_equal(plm__trace_stop(b->ctx), 4);
    step(b);
    assert_int_equal(plm__trace_stop(b->ctx), 4);
    assert_true(plm__trace_start(b->ctx, 100));
    step(b);
    assert_int_equal(plm__trace_stop(b->ctx), 2);
}

static void test_capacity(void **state)
{
    bench *b = *state;
    assert_true(plm__trace_start(b->ctx, 3));
    step(b);
    step(b);
    assert_int_equal(plm__trace_stop(b->ctx), 3);
}

static void test_replay(void **state)
{
    bench *b = *state;
    assert_true(plm__trace_start(b->ctx, 10));
    step(b);
    step(b);
    uint64_t made = plm_ctx_statistics(b->ctx).primitives;
    assert_true(plm__trace_replay(b->ctx) >= 0); /* also before stop: a replay does not note itself */
    assert_int_equal(plm__trace_stop(b->ctx), 4);
    assert_true(plm__trace_replay(b->ctx) >= 0);
    assert_ok(b->ctx);
    assert_int_equal(plm_ctx_statistics(b->ctx).primitives, made);
    step(b);
}

static void test_misuse(void **state)
{
    bench *b = *state;
    assert_true(plm__trace_replay(b->ctx) < 0);
    assert_error_inside(b, PLM_ERR_STATE, "no kernel was noted");
    assert_false(plm__trace_start(b->ctx, 0));
    assert_error_inside(b, PLM_ERR_ARGUMENT, "a trace of 0 kernels");
}

#define on_bench(f) bench_test(#f, f, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_bench(test_notes_between_start_and_stop),
        on_bench(test_capacity),
        on_bench(test_replay),
        on_bench(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

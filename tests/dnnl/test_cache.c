/* test_cache.c: the table of kernels: one per problem, made once, bounded, nothing allocated by a repeated run, nothing
 * leaked by a failure. */
#include "bench.h"

#include "dnnl/engine.h"

/* The i-th of as many cheap problems as one likes. */
static plm__problem copy_problem(int64_t i)
{
    plm__layout l = plm__layout_plain(plm_shape_of(1 + i));
    return (plm__problem){ .primitive = PLM__REORDER, .src = l, .dst = l };
}

/* Runs the i-th copy and lets go of it. */
static void copy(bench *b, int64_t i)
{
    static float from[4096], to[4096];
    plm__problem p = copy_problem(i);
    assert_true(plm__reorder(b->ctx, &p.src, from, &p.dst, to));
}

static uint64_t primitives(const bench *b)
{
    return plm_ctx_statistics(b->ctx).primitives;
}

static void test_found_again(void **state)
{
    bench       *b = *state;
    plm__problem p = copy_problem(3), q = copy_problem(4);
    plm__kernel *k = bench_kernel(b, &p), *other = bench_kernel(b, &q);
    assert_ptr_equal(bench_kernel(b, &p), k);
    assert_ptr_not_equal(other, k);
    plm__kernel_drop(b->ctx, k);
    plm__kernel_drop(b->ctx, k);
    assert_ptr_equal(bench_kernel(b, &p), k);
}

static plm__problem conv_problem(void)
{
    return (plm__problem){ .primitive = PLM__CONV2D,
                           .src       = plm__layout_any(plm_shape_of(2, 12, 9, 7)),
                           .weights   = plm__layout_any(plm_shape_of(16, 12, 3, 3)),
                           .dst       = plm__layout_any(plm_shape_of(2, 16, 9, 7)),
                           .stride    = 1,
                           .pad       = 1,
                           .bias      = 1 };
}

static void test_irrelevant_fields(void **state)
{
    bench       *b = *state;
    plm__problem p = conv_problem();
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true }));
    plm__kernel *forward = bench_kernel(b, &p);
    p.eps                = 1;
    p.pass               = PLM__INFERENCE;
    assert_ptr_equal(bench_kernel(b, &p), forward);
    p.relu_scale = 1;
    assert_ptr_not_equal(bench_kernel(b, &p), forward);
    p.pass            = PLM__BACKWARD_DATA;
    p.weights         = plm__layout_any(plm__layout_shape(&p.weights));
    plm__kernel *data = bench_kernel(b, &p);
    p.relu_scale      = 0;
    p.bias            = 0;
    assert_ptr_equal(bench_kernel(b, &p), data);
}

static void test_created_at_first_run(void **state)
{
    bench       *b = *state;
    plm__problem p = conv_problem();
    assert_true(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true, .weights = true }));
    assert_int_equal(primitives(b), 0);
    plm__kernel *k    = bench_kernel(b, &p);
    plm__args    args = { .src     = bench_bytes(b, (size_t)plm__layout_floats(&p.src) * sizeof(float)),
                          .weights = bench_bytes(b, (size_t)plm__layout_floats(&p.weights) * sizeof(float)),
                          .bias    = bench_random(b, 17, 1),
                          .dst     = bench_empty(b, &p.dst) };
    bench_run(b, k, args);
    assert_int_equal(primitives(b), 1);

    plm_ctx_stats before = plm_ctx_statistics(b->ctx);
    for (int i = 0; i < 100; i++) {
        assert_ptr_equal(bench_kernel(b, &p), k);
        bench_run(b, k, args);
    }
    plm_ctx_stats after = plm_ctx_statistics(b->ctx);
    assert_int_equal(after.primitives, 1);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.bytes, before.bytes);
}

static void test_eviction(void **state)
{
    bench       *b    = *state;
    plm__problem p    = copy_problem(0);
    plm__kernel *held = bench_kernel(b, &p);
    copy(b, 0);
    for (int64_t i = 1; i <= PLM__UNUSED_KERNELS; i++) copy(b, i);
    uint64_t full = primitives(b);
    assert_int_equal(full, PLM__UNUSED_KERNELS + 1);
    for (int64_t i = 1; i <= PLM__UNUSED_KERNELS; i++) copy(b, i);
    assert_int_equal(primitives(b), full); /* all still there */

    copy(b, 1);                       /* now 2 is the least recently used */
    copy(b, PLM__UNUSED_KERNELS + 1); /* takes its place */
    copy(b, 1);
    assert_int_equal(primitives(b), full + 1);
    copy(b, 2);
    assert_int_equal(primitives(b), full + 2);

    for (int64_t i = 0; i < 2 * PLM__UNUSED_KERNELS; i++) copy(b, 1000 + i);
    uint64_t later = primitives(b);
    assert_ptr_equal(bench_kernel(b, &p), held); /* held ones stay */
    copy(b, 0);
    assert_int_equal(primitives(b), later);
}

static void test_keep(void **state)
{
    bench       *b = *state;
    plm__problem p = copy_problem(0);
    plm__kernel *k = bench_kernel(b, &p);
    plm__kernel_keep(k);
    plm__kernel_drop(b->ctx, k);
    copy(b, 0);
    for (int64_t i = 1; i < 2 * PLM__UNUSED_KERNELS; i++) copy(b, i);
    uint64_t before = primitives(b);
    copy(b, 0);
    assert_int_equal(primitives(b), before);
    plm__kernel_drop(b->ctx, k);
    plm__kernel_drop(b->ctx, NULL);
    for (int64_t i = 1; i < 2 * PLM__UNUSED_KERNELS; i++) copy(b, i);
    before = primitives(b);
    copy(b, 0);
    assert_int_equal(primitives(b), before + 1);
}

/* Layouts that no fast kernel takes together. */
static void test_reference_kernels_are_counted(void **state)
{
    bench       *b = *state;
    plm__problem p = { .primitive = PLM__CONV2D,
                       .src       = plm__layout_channels_last(plm_shape_of(2, 12, 5, 5)),
                       .weights   = plm__layout_plain(plm_shape_of(5, 12, 3, 3)),
                       .dst       = plm__layout_channels_blocked(plm_shape_of(2, 5, 5, 5), 8),
                       .stride    = 1,
                       .pad       = 1 };
    plm__kernel *k = bench_kernel(b, &p);
    assert_true(plm__kernel_reference(k));
    assert_int_equal(plm_ctx_statistics(b->ctx).reference_kernels, 0); /* asked for is not run */
    for (int i = 0; i < 2; i++)
        bench_run(b, k,
                  (plm__args){ .src     = bench_bytes(b, (size_t)plm__layout_floats(&p.src) * sizeof(float)),
                               .weights = bench_bytes(b, (size_t)plm__layout_floats(&p.weights) * sizeof(float)),
                               .dst     = bench_empty(b, &p.dst) });
    assert_int_equal(plm_ctx_statistics(b->ctx).reference_kernels, 1);
    plm__kernel_drop(b->ctx, k);
    for (int64_t i = 0; i <= PLM__UNUSED_KERNELS; i++) copy(b, i);
    assert_int_equal(plm_ctx_statistics(b->ctx).reference_kernels, 0);
}

/* A bit of everything; false at the first error. */
static bool work(plm_ctx *ctx)
{
    static float x[4096], w[4096], bias[32], y[4096], plain[4096];
    plm__problem p = conv_problem();
    if (!plm__negotiate(ctx, &p, (plm__needs){ .data = true, .weights = true })) return false;
    plm__layout  logical = plm__layout_plain(plm__layout_shape(&p.dst));
    plm__kernel *k       = plm__kernel_get(ctx, &p);
    bool         ok      = k && plm__trace_start(ctx, 4) &&
              plm__kernel_run(ctx, k, &(plm__args){ .src = x, .weights = w, .bias = bias, .dst = y }) &&
              plm__reorder(ctx, &p.dst, y, &logical, plain) && plm__trace_stop(ctx) == 2 && plm__trace_replay(ctx) >= 0;
    plm__kernel_drop(ctx, k);
    return ok;
}

/* One block for all kernels, the largest needed; a smaller one goes back to the pool. */
static void test_scratch_grows(void **state)
{
    (void)state;
    test_allocator memory = { .fail_at = -1 };
    plm_ctx       *ctx    = plm_ctx_new(&(plm_ctx_desc){ .threads = 2, .allocator = test_allocator_make(&memory) });
    plm__engine   *e      = plm__engine_get(ctx);
    assert_non_null(e);
    assert_true(plm__engine_scratch(ctx, e, 0));
    assert_null(e->scratch);
    assert_true(plm__engine_scratch(ctx, e, 1000));
    plm__block *small = e->scratch;
    assert_true(plm__engine_scratch(ctx, e, 100));
    assert_ptr_equal(e->scratch, small);
    assert_true(plm__engine_scratch(ctx, e, 100000));
    assert_true(e->scratch != small && e->scratch->bytes >= 100000);
    plm_ctx_free(ctx);
    assert_int_equal(memory.outstanding, 0);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    int64_t failures = 0;
    for (int64_t k = 0;; k++) {
        test_allocator memory = { .fail_at = k };
        plm_ctx       *ctx    = plm_ctx_new(&(plm_ctx_desc){ .threads = 2, .allocator = test_allocator_make(&memory) });
        if (!ctx) continue; /* the context itself */
        bool entered = plm__enter(ctx, "a test");
        bool ok      = entered && work(ctx);
        if (entered) plm__leave(ctx);
        if (!ok) {
            failures++;
            assert_error(ctx, PLM_ERR_MEMORY, "");
            assert_true(plm__enter(ctx, "a test"));
            assert_true(work(ctx)); /* what the failure left behind does not disturb */
            plm__leave(ctx);
        }
        plm_ctx_free(ctx);
        assert_int_equal(memory.outstanding, 0);
        if (ok) break;
    }
    assert_true(failures > 5);
}

#define on_bench(f) bench_test(#f, f, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_bench(test_found_again),
        on_bench(test_irrelevant_fields),
        on_bench(test_created_at_first_run),
        on_bench(test_eviction),
        on_bench(test_keep),
        on_bench(test_reference_kernels_are_counted),
        cmocka_unit_test(test_scratch_grows),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

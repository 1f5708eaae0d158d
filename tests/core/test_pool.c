/* test_pool.c: large blocks of memory that are used again. */
#include "support.h"

#include "core/core.h"

static void test_blocks_are_aligned_and_large_enough(void **state)
{
    plm_ctx *ctx = *state;
    for (size_t bytes = 1; bytes < 40000000; bytes = bytes * 5 / 3 + 1) {
        plm__block *b = plm__pool_get(ctx, bytes);
        assert_non_null(b);
        assert_int_equal((uintptr_t)b->data % 64, 0);
        assert_true(b->bytes >= bytes);
        assert_true(b->bytes <= 256 || b->bytes <= bytes + bytes / 4); /* at most a fifth is unused */
        assert_int_equal(b->refs, 1);
        memset(b->data, 1, bytes);
        plm__pool_drop(ctx, b);
    }
    plm__block *none = plm__pool_get(ctx, 0);
    assert_non_null(none->data);
    plm__pool_drop(ctx, none);
    plm__pool_drop(ctx, NULL);
}

static void test_a_dropped_block_is_used_again(void **state)
{
    plm_ctx    *ctx  = *state;
    plm__block *a    = plm__pool_get(ctx, 5000);
    void       *data = a->data;
    plm__pool_drop(ctx, a);
    const uint64_t allocations = plm_ctx_statistics(ctx).allocations;
    plm__block    *b           = plm__pool_get(ctx, 4700); /* of the same class, 4097 to 5120 bytes */
    assert_ptr_equal(b->data, data);
    assert_int_equal(plm_ctx_statistics(ctx).allocations, allocations);
    plm__block *c = plm__pool_get(ctx, 4700); /* that one is taken */
    plm__block *d = plm__pool_get(ctx, 5121); /* and this is another class */
    assert_ptr_not_equal(c->data, data);
    assert_true(d->bytes >= 5121);
    plm__pool_drop(ctx, b);
    plm__pool_drop(ctx, c);
    plm__pool_drop(ctx, d);
}

static void test_references(void **state)
{
    plm_ctx    *ctx = *state;
    plm__block *a   = plm__pool_get(ctx, 100);
    plm__pool_keep(a);
    plm__pool_drop(ctx, a);
    plm__block *b = plm__pool_get(ctx, 100);
    assert_ptr_not_equal(a->data, b->data); /* a is still held */
    ((char *)a->data)[99] = 1;
    plm__pool_drop(ctx, b);
    plm__pool_drop(ctx, a);
}

static void test_flat_after_many_cycles(void **state)
{
    plm_ctx       *ctx     = *state;
    plm_ctx_stats  settled = { 0 };
    const uint64_t rounds  = 200;
    for (uint64_t round = 0; round < rounds; round++) {
        plm__block *held[12];
        for (size_t i = 0; i < 12; i++) held[i] = plm__pool_get(ctx, 100 + 777 * i * i);
        for (size_t i = 0; i < 12; i++) plm__pool_drop(ctx, held[(i * 5 + round) % 12]); /* in changing orders */
        if (round == 0) settled = plm_ctx_statistics(ctx);
    }
    const plm_ctx_stats after = plm_ctx_statistics(ctx);
    assert_int_equal(after.allocations, settled.allocations);
    assert_int_equal(after.bytes, settled.bytes);
    assert_int_equal(after.peak_bytes, settled.peak_bytes);
}

static void test_trim_returns_unused_blocks(void **state)
{
    plm_ctx       *ctx    = *state;
    const uint64_t before = plm_ctx_statistics(ctx).bytes;
    plm__block    *a = plm__pool_get(ctx, 10000), *b = plm__pool_get(ctx, 20000);
    plm__pool_drop(ctx, b);
    plm__pool_trim(ctx);
    memset(a->data, 1, 10000);
    assert_true(plm_ctx_statistics(ctx).bytes < before + 20000);
    plm__pool_drop(ctx, a);
    plm__pool_trim(ctx);
    assert_int_equal(plm_ctx_statistics(ctx).bytes, before);
}

static void test_too_large(void **state)
{
    plm_ctx *ctx = *state;
    assert_null(plm__pool_get(ctx, SIZE_MAX / 2));
    assert_error(ctx, PLM_ERR_MEMORY, "memory pool: out of memory (9223372036854775807 bytes)");
}

/* Two blocks of one class, one of another; the k-th allocation fails. */
static bool live(int64_t k, int *failures)
{
    test_allocator counting = { .fail_at = k };
    plm_ctx       *ctx      = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&counting) });
    if (ctx) {
        plm__block *a = plm__pool_get(ctx, 1000), *b = a ? plm__pool_get(ctx, 1000) : NULL;
        plm__block *c = b ? plm__pool_get(ctx, 30000) : NULL;
        if (!c) {
            *failures += 1;
            assert_int_equal(plm_ctx_status(ctx), PLM_ERR_MEMORY);
            assert_non_null(strstr(plm_ctx_error(ctx), "memory pool: out of memory"));
        }
        plm__pool_drop(ctx, a);
        plm__pool_drop(ctx, b);
        plm__pool_drop(ctx, c);
        plm_ctx_clear(ctx);
        plm__block *again = plm__pool_get(ctx, 30000); /* the pool goes on */
        assert_non_null(again);
        plm__pool_drop(ctx, again);
        plm_ctx_free(ctx);
    }
    assert_int_equal(counting.outstanding, 0);
    return counting.calls > k;
}

static void test_kth_allocation_fails(void **state)
{
    (void)state;
    int     failures = 0;
    int64_t k        = 0;
    while (live(k, &failures)) k++;
    assert_true(k >= 7); /* the context, and a header and memory for each block */
    assert_true(failures >= 3);
}

/* An allocator with a limit: unused blocks of other sizes are returned to make room. */
typedef struct {
    size_t used, limit;
} budget;

static void *budget_alloc(void *user, size_t bytes, size_t align)
{
    budget *b      = user;
    void   *memory = NULL;
    if (b->used + bytes > b->limit || posix_memalign(&memory, align < 16 ? 16 : align, bytes) != 0) return NULL;
    b->used += bytes;
    return memory;
}

static void budget_free(void *user, void *memory, size_t bytes)
{
    ((budget *)user)->used -= bytes;
    free(memory);
}

static void test_unused_blocks_make_room(void **state)
{
    (void)state;
    budget              limited   = { .limit = 100000 };
    const plm_allocator allocator = { .alloc = budget_alloc, .free = budget_free, .user = &limited };
    plm_ctx            *ctx       = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = allocator });
    for (size_t i = 0; i < 20; i++) {
        plm__block *b = plm__pool_get(ctx, 40000 + 2500 * (i % 10));
        assert_non_null(b);
        plm__pool_drop(ctx, b);
    }
    assert_ok(ctx);
    plm__block *half = plm__pool_get(ctx, 50000);
    assert_null(plm__pool_get(ctx, 60000)); /* not both */
    assert_error(ctx, PLM_ERR_MEMORY, "60000 bytes");
    plm__pool_drop(ctx, half);
    plm_ctx_free(ctx);
    assert_int_equal(limited.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_blocks_are_aligned_and_large_enough),
        ctx_test(test_a_dropped_block_is_used_again),
        ctx_test(test_references),
        ctx_test(test_flat_after_many_cycles),
        ctx_test(test_trim_returns_unused_blocks),
        ctx_test(test_too_large),
        cmocka_unit_test(test_kth_allocation_fails),
        cmocka_unit_test(test_unused_blocks_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

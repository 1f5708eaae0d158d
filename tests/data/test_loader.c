/* test_loader.c: batches, orders, epochs, and no allocation on the way. */
#include "data/check.h"

enum { COUNT = 103, PIXELS = 6 };

/* Sample i is i, i+1, ... with label i mod 5. */
static plm_dataset *samples(plm_ctx *ctx)
{
    uint8_t           x[COUNT * PIXELS];
    int64_t           y[COUNT];
    plm_normalization n = { .channels = 1, .mean = { 1 }, .std = { .5 } };
    for (int i = 0; i < COUNT; i++) {
        y[i] = i % 5;
        for (int p = 0; p < PIXELS; p++) x[i * PIXELS + p] = (uint8_t)(i + p);
    }
    return plm_dataset_from_arrays(
        ctx, &(plm_arrays_desc){ .x             = plm_tensor_wrap(PLM_U8, plm_shape_of(COUNT, 1, 2, PIXELS / 2), x),
                                 .y             = plm_tensor_wrap(PLM_I64, plm_shape_of(COUNT), y),
                                 .normalization = &n });
}

/* Reads an epoch: the number of each sample, in order; checks pixels, labels, shapes and batch sizes. */
static void read_epoch(plm_loader *l, int64_t batch, int order[COUNT])
{
    plm_batch b;
    int64_t   n = 0;
    while (plm_loader_next(l, &b)) {
        int64_t expected = COUNT - n < batch ? COUNT - n : batch;
        assert_int_equal(b.count, expected);
        assert_true(plm_shape_equal(b.x.shape, plm_shape_of(expected, 1, 2, PIXELS / 2)));
        assert_true(plm_shape_equal(b.y.shape, plm_shape_of(expected)));
        assert_int_equal((uintptr_t)b.x.data % 64, 0);
        for (int64_t i = 0; i < b.count; i++, n++) {
            const float *x = (float *)b.x.data + i * PIXELS;
            order[n]       = (int)(x[0] / 2 + 1);
            for (int p = 0; p < PIXELS; p++) assert_close(x[p], (order[n] + p - 1) / .5, 0, 0);
            assert_int_equal(((int64_t *)b.y.data)[i], order[n] % 5);
        }
    }
    assert_int_equal(n, COUNT);
    assert_null(b.x.data);
    assert_int_equal(b.count, 0);
}

static void test_plain_order(void **state)
{
    plm_ctx      *ctx     = *state;
    plm_dataset  *d       = samples(ctx);
    const int64_t sizes[] = { 1, 10, 103, 0, INT64_MAX }; /* 0: 128, more than there are */
    int           order[COUNT];
    for (int s = 0; s < 5; s++) {
        plm_loader *l = plm_loader_new(d, &(plm_loader_desc){ .batch = sizes[s] });
        for (int epoch = 0; epoch < 2; epoch++) {
            read_epoch(l, sizes[s] ? sizes[s] : 128, order);
            for (int i = 0; i < COUNT; i++) assert_int_equal(order[i], i);
        }
        plm_loader_free(l);
    }
    assert_ok(ctx);
    plm_dataset_free(d);
}

static void test_shuffled_order(void **state)
{
    plm_dataset *d = samples(*state);
    plm_loader  *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 20, .shuffle = true });
    int          order[3][COUNT], plain[COUNT];
    for (int i = 0; i < COUNT; i++) plain[i] = i;
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[COUNT] = { 0 };
        read_epoch(l, 20, order[epoch]);
        for (int i = 0; i < COUNT; i++) seen[order[epoch][i]]++;
        for (int i = 0; i < COUNT; i++) assert_int_equal(seen[i], 1);
        assert_memory_not_equal(order[epoch], plain, sizeof plain);
    }
    assert_memory_not_equal(order[0], order[1], sizeof plain);
    assert_memory_not_equal(order[1], order[2], sizeof plain);
    plm_loader_free(l);
    plm_dataset_free(d);
}

/* The order of an epoch does not know what was loaded before, nor the size of batches. */
static void test_seek(void **state)
{
    plm_dataset *d = samples(*state);
    plm_loader  *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 20, .shuffle = true });
    plm_loader  *m = plm_loader_new(d, &(plm_loader_desc){ .batch = 33, .shuffle = true });
    plm_batch    b;
    int          order[3][COUNT], again[COUNT];
    for (int epoch = 0; epoch < 3; epoch++) read_epoch(l, 20, order[epoch]);
    assert_true(plm_loader_next(m, &b)); /* in the middle of epoch 0 */
    plm_loader_seek(m, 2);
    read_epoch(m, 33, again);
    assert_memory_equal(again, order[2], sizeof again);
    plm_loader_seek(m, 0);
    read_epoch(m, 33, again);
    assert_memory_equal(again, order[0], sizeof again);
    read_epoch(m, 33, again); /* and on from there */
    assert_memory_equal(again, order[1], sizeof again);
    plm_loader_free(l);
    plm_loader_free(m);
    plm_dataset_free(d);
}

static void first_order(uint64_t seed, int order[COUNT])
{
    plm_ctx     *ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = seed, .threads = 1 });
    plm_dataset *d   = samples(ctx);
    plm_loader  *l   = plm_loader_new(d, &(plm_loader_desc){ .shuffle = true });
    read_epoch(l, 128, order);
    plm_loader_free(l);
    plm_dataset_free(d);
    plm_ctx_free(ctx);
}

static void test_order_by_seed(void **state)
{
    (void)state;
    int a[COUNT], b[COUNT], c[COUNT];
    first_order(3, a);
    first_order(3, b);
    first_order(4, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
}

static void test_no_allocation(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = samples(ctx);
    plm_loader  *l   = plm_loader_new(d, &(plm_loader_desc){ .batch = 10, .shuffle = true });
    int          order[COUNT];
    uint64_t     before = plm_ctx_statistics(ctx).allocations;
    for (int epoch = 0; epoch < 3; epoch++) read_epoch(l, 10, order);
    assert_int_equal(plm_ctx_statistics(ctx).allocations, before);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_refused(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = samples(ctx);
    plm_batch    b   = { .count = 7 };
    assert_null(plm_loader_new(d, &(plm_loader_desc){ .batch = -1 }));
    assert_error(ctx, PLM_ERR_ARGUMENT, "batch is -1, expected 0 or more");
    plm_loader *l = plm_loader_new(d, NULL);
    plm_loader_seek(l, -2);
    assert_error(ctx, PLM_ERR_ARGUMENT, "epoch is -2, expected 0 or more");
    plm_loader_skip(l, -1);
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_loader_skip: batches is -1, expected 0 or more");
    assert_false(plm_loader_next(l, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "batch is NULL");
    plm_ctx_fail(ctx, PLM_ERR_STATE, "the first cause");
    assert_false(plm_loader_next(l, &b));
    assert_int_equal(b.count, 0);
    assert_null(plm_loader_new(d, NULL));
    assert_error(ctx, PLM_ERR_STATE, "the first cause");
    assert_true(plm_loader_next(l, &b)); /* none of it moved the loader */
    assert_int_equal(b.count, COUNT);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_nothing(void **state)
{
    (void)state;
    plm_batch b;
    assert_null(plm_loader_new(NULL, NULL));
    assert_false(plm_loader_next(NULL, &b));
    plm_loader_seek(NULL, 0);
    plm_loader_free(NULL);
}

static bool use(plm_ctx *ctx)
{
    plm_dataset *d = samples(ctx);
    plm_loader  *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 10, .shuffle = true });
    plm_batch    b;
    bool         ok = plm_loader_next(l, &b);
    plm_loader_free(l);
    plm_dataset_free(d);
    return ok;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_allocation_failures(use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_plain_order),           ctx_test(test_shuffled_order),        ctx_test(test_seek),
        cmocka_unit_test(test_order_by_seed), ctx_test(test_no_allocation),         ctx_test(test_refused),
        cmocka_unit_test(test_nothing),       cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_dataset.c: splits, and accessors of nothing. */
#include "data/check.h"

#include <math.h>

enum { COUNT = 101 };

/* Sample i is the number i. */
static plm_dataset *numbers(plm_ctx *ctx)
{
    float   x[COUNT];
    int64_t y[COUNT];
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)i;
        y[i] = i % 7;
    }
    return plm_dataset_from_arrays(ctx, &(plm_arrays_desc){ .x = plm_tensor_wrap(PLM_F32, plm_shape_of(COUNT, 1), x),
                                                            .y = plm_tensor_wrap(PLM_I64, plm_shape_of(COUNT), y) });
}

/* The numbers of a part, in its order; how many. */
static int64_t read_part(plm_dataset *d, int into[COUNT])
{
    plm_loader *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 16 });
    plm_batch   b;
    int64_t     n = 0;
    while (plm_loader_next(l, &b))
        for (int64_t i = 0; i < b.count; i++, n++) {
            into[n] = (int)((float *)b.x.data)[i];
            assert_int_equal(((int64_t *)b.y.data)[i], into[n] % 7);
        }
    plm_loader_free(l);
    assert_int_equal(n, plm_dataset_count(d));
    return n;
}

static void test_random_split(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = numbers(ctx), *first, *second;
    int          a[COUNT], b[COUNT], seen[COUNT] = { 0 };
    assert_true(plm_dataset_split(d, .9, NULL, &first, &second));
    plm_dataset_free(d);
    int64_t n = read_part(first, a), m = read_part(second, b), moved = 0;
    assert_int_equal(n, 90);
    assert_int_equal(m, 11);
    for (int64_t i = 0; i < n; i++) {
        seen[a[i]]++;
        moved += a[i] != i;
        assert_true(i == 0 || a[i] > a[i - 1]); /* in the original order */
    }
    for (int64_t i = 0; i < m; i++) {
        seen[b[i]]++;
        assert_true(i == 0 || b[i] > b[i - 1]);
    }
    for (int i = 0; i < COUNT; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 0); /* not simply the first ones */
    assert_int_equal(plm_dataset_classes(second), 7);
    assert_string_equal(plm_dataset_name(second), "arrays");
    plm_dataset_free(first);
    plm_dataset_free(second);
}

static void second_part(uint64_t seed, int into[COUNT])
{
    plm_ctx     *ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = seed, .threads = 1 });
    plm_dataset *d   = numbers(ctx), *first, *second;
    assert_true(plm_dataset_split(d, .9, NULL, &first, &second));
    read_part(second, into);
    plm_dataset_free(d);
    plm_dataset_free(first);
    plm_dataset_free(second);
    plm_ctx_free(ctx);
}

static void test_split_by_seed(void **state)
{
    (void)state;
    int a[COUNT] = { 0 }, b[COUNT] = { 0 }, c[COUNT] = { 0 };
    second_part(5, a);
    second_part(5, b);
    second_part(6, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
}

static void test_ordered_split_of_a_split(void **state)
{
    plm_dataset   *d       = numbers(*state), *first, *second, *third, *fourth;
    plm_split_desc ordered = { .ordered = true };
    int            a[COUNT];
    assert_true(plm_dataset_split(d, .5, &ordered, &first, &second));
    assert_true(plm_dataset_split(second, .5, &ordered, &third, &fourth));
    plm_dataset_free(d);
    plm_dataset_free(second);
    assert_int_equal(read_part(first, a), 50);
    for (int i = 0; i < 50; i++) assert_int_equal(a[i], i);
    assert_int_equal(read_part(third, a), 25);
    for (int i = 0; i < 25; i++) assert_int_equal(a[i], 50 + i);
    assert_int_equal(read_part(fourth, a), 26);
    for (int i = 0; i < 26; i++) assert_int_equal(a[i], 75 + i);
    plm_dataset_free(first);
    plm_dataset_free(third);
    plm_dataset_free(fourth);
}

static void refused(plm_ctx *ctx, plm_dataset *d, double fraction, const char *part)
{
    plm_dataset *first = d, *second = d;
    assert_false(plm_dataset_split(d, fraction, NULL, &first, &second));
    assert_null(first);
    assert_null(second);
    assert_error(ctx, PLM_ERR_ARGUMENT, part);
}

static void test_refused_splits(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d = numbers(ctx), *first = d;
    refused(ctx, d, 0, "fraction is 0,");
    refused(ctx, d, 1, "fraction is 1,");
    refused(ctx, d, -.5, "fraction is -0.5");
    refused(ctx, d, 1.5, "fraction is 1.5");
    refused(ctx, d, (double)NAN, "fraction is nan");
    refused(ctx, d, .001, "a fraction of 0.001 of the 101 samples of arrays leaves one part empty");
    assert_false(plm_dataset_split(d, .5, NULL, &first, NULL));
    assert_null(first);
    assert_error(ctx, PLM_ERR_ARGUMENT, "second is NULL");
    assert_false(plm_dataset_split(d, .5, NULL, NULL, &first));
    assert_error(ctx, PLM_ERR_ARGUMENT, "first is NULL");
    assert_false(plm_dataset_split(d, .9, NULL, &first, &first));
    assert_null(first);
    assert_error(ctx, PLM_ERR_ARGUMENT, "first and second are the same pointer");
    plm_dataset_free(d);
}

static void test_nothing(void **state)
{
    (void)state;
    plm_dataset *first, *second;
    assert_int_equal(plm_dataset_count(NULL), 0);
    assert_int_equal(plm_dataset_x_shape(NULL).rank, 0);
    assert_int_equal(plm_dataset_classes(NULL), 0);
    assert_null(plm_dataset_class(NULL, 0));
    assert_string_equal(plm_dataset_name(NULL), "");
    assert_null(plm_dataset_normalization(NULL));
    assert_false(plm_dataset_split(NULL, .5, NULL, &first, &second));
    assert_null(first);
    assert_null(second);
    plm_dataset_free(NULL);
}

static bool use(plm_ctx *ctx)
{
    plm_dataset *d  = numbers(ctx), *first, *second;
    bool         ok = plm_dataset_split(d, .3, NULL, &first, &second);
    plm_dataset_free(d);
    plm_dataset_free(first);
    plm_dataset_free(second);
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
        ctx_test(test_random_split),   cmocka_unit_test(test_split_by_seed), ctx_test(test_ordered_split_of_a_split),
        ctx_test(test_refused_splits), cmocka_unit_test(test_nothing),       cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_digits.c: the digits are those of the UCI repository.  Counts and sums were taken from scikit-learn's
 * digits.csv.gz by itself. */
#include "data/check.h"

static const int train_labels[10] = { 151, 151, 150, 153, 148, 152, 151, 149, 146, 149 };
static const int test_labels[10]  = { 27, 31, 27, 30, 33, 30, 30, 30, 28, 31 };

/* Undoes the normalisation: the pixel's whole number. */
static int pixel(float x)
{
    double raw = ((double)x * .3761 + .3053) * 16;
    int    p   = (int)(raw + .5);
    assert_close(raw, p, 1e-4, 0);
    assert_in_range(p, 0, 16);
    return p;
}

static void check_part(plm_ctx *ctx, bool test, int64_t count, const int *histogram, int64_t sum)
{
    plm_dataset *d = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = test });
    plm_loader  *l = plm_loader_new(d, NULL);
    plm_batch    b;
    int          found[10] = { 0 };
    int64_t      total = 0, samples = 0;
    assert_ok(ctx);
    assert_int_equal(plm_dataset_count(d), count);
    while (plm_loader_next(l, &b)) {
        samples += b.count;
        for (int64_t i = 0; i < b.count; i++) found[((int64_t *)b.y.data)[i]]++;
        for (int64_t i = 0; i < b.count * 64; i++) total += pixel(((float *)b.x.data)[i]);
    }
    assert_int_equal(samples, count);
    assert_int_equal(total, sum);
    assert_memory_equal(found, histogram, sizeof found);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_parts(void **state)
{
    check_part(*state, false, 1500, train_labels, 468645);
    check_part(*state, true, 297, test_labels, 93073);
}

static void test_first_image(void **state)
{
    static const int zero[64] = { 0, 0,  5, 13, 9,  1, 0,  0, 0,  0,  13, 15, 10, 15, 5, 0,  0,  3, 15, 2, 0,  11,
                                  8, 0,  0, 4,  12, 0, 0,  8, 8,  0,  0,  5,  8,  0,  0, 9,  8,  0, 0,  4, 11, 0,
                                  1, 12, 7, 0,  0,  2, 14, 5, 10, 12, 0,  0,  0,  0,  6, 13, 10, 0, 0,  0 };
    plm_ctx         *ctx      = *state;
    plm_dataset     *d        = plm_dataset_named(ctx, "digits", NULL);
    plm_loader      *l        = plm_loader_new(d, &(plm_loader_desc){ .batch = 3 });
    plm_batch        b;
    assert_true(plm_loader_next(l, &b));
    assert_true(plm_shape_equal(b.x.shape, plm_shape_of(3, 1, 8, 8)));
    for (int i = 0; i < 64; i++) assert_int_equal(pixel(((float *)b.x.data)[i]), zero[i]);
    for (int64_t i = 0; i < 3; i++) assert_int_equal(((int64_t *)b.y.data)[i], i);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_description(void **state)
{
    plm_dataset *d = plm_dataset_named(*state, "digits", NULL);
    assert_string_equal(plm_dataset_name(d), "digits");
    assert_true(plm_shape_equal(plm_dataset_x_shape(d), plm_shape_of(1, 8, 8)));
    assert_int_equal(plm_dataset_classes(d), 10);
    assert_string_equal(plm_dataset_class(d, 9), "9");
    const plm_normalization *n = plm_dataset_normalization(d);
    assert_int_equal(n->channels, 1);
    assert_close(n->scale, 1.0 / 16, 0, 0);
    plm_dataset_free(d);
}

/* The constants of the normalisation describe the data: over all 1,797 digits the mean is 0 and the deviation 1. */
static void test_normalization(void **state)
{
    double  sum = 0, squares = 0;
    int64_t pixels = 0;
    for (int test = 0; test < 2; test++) {
        plm_dataset *d = plm_dataset_named(*state, "digits", &(plm_named_desc){ .test = test });
        plm_loader  *l = plm_loader_new(d, NULL);
        plm_batch    b;
        while (plm_loader_next(l, &b))
            for (int64_t i = 0; i < b.count * 64; i++, pixels++) {
                double x = (double)((float *)b.x.data)[i];
                sum += x;
                squares += x * x;
            }
        plm_loader_free(l);
        plm_dataset_free(d);
    }
    assert_int_equal(pixels, 1797 * 64);
    assert_close(sum / (double)pixels, 0, 2e-4, 0);
    assert_close(squares / (double)pixels, 1, 5e-4, 0);
}

static bool use(plm_ctx *ctx)
{
    plm_dataset *d = plm_dataset_named(ctx, "digits", NULL);
    plm_dataset_free(d);
    return d;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_allocation_failures(use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_parts),         ctx_test(test_first_image),           ctx_test(test_description),
        ctx_test(test_normalization), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

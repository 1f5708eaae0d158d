/* test_arrays.c: data sets from arrays: what is kept, and every refusal. */
#include "data/check.h"

#include <math.h>

static const float   x_2x3[6]  = { 1, 2, 3, 4, NAN, 6 };
static const int64_t labels[2] = { 0, 4 };

static plm_arrays_desc good(void)
{
    return (plm_arrays_desc){ .x = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x_2x3),
                              .y = plm_tensor_wrap(PLM_I64, plm_shape_of(2), labels) };
}

/* The first batch of a data set. */
static plm_loader *first_batch(plm_dataset *d, plm_batch *batch)
{
    plm_loader *l = plm_loader_new(d, NULL);
    assert_true(plm_loader_next(l, batch));
    return l;
}

static void test_labels(void **state)
{
    plm_ctx        *ctx  = *state;
    plm_arrays_desc desc = good();
    plm_dataset    *d    = plm_dataset_from_arrays(ctx, &desc);
    plm_batch       b;
    assert_ok(ctx);
    assert_int_equal(plm_dataset_count(d), 2);
    assert_true(plm_shape_equal(plm_dataset_x_shape(d), plm_shape_of(3)));
    assert_int_equal(plm_dataset_classes(d), 5);
    assert_string_equal(plm_dataset_class(d, 4), "4");
    assert_null(plm_dataset_class(d, 5));
    assert_null(plm_dataset_class(d, -1));
    assert_string_equal(plm_dataset_name(d), "arrays");
    desc.name          = "mine";
    plm_dataset *named = plm_dataset_from_arrays(ctx, &desc);
    assert_string_equal(plm_dataset_name(named), "mine");
    plm_dataset_free(named);
    assert_null(plm_dataset_normalization(d));
    plm_loader *l = first_batch(d, &b);
    assert_int_equal(b.count, 2);
    assert_true(plm_shape_equal(b.x.shape, plm_shape_of(2, 3)));
    assert_true(plm_shape_equal(b.y.shape, plm_shape_of(2)));
    assert_int_equal(b.x.dtype, PLM_F32);
    assert_int_equal(b.y.dtype, PLM_I64);
    assert_memory_equal(b.x.data, x_2x3, sizeof x_2x3); /* a nan is let through: training finds it */
    assert_memory_equal(b.y.data, labels, sizeof labels);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_class_names(void **state)
{
    plm_ctx          *ctx     = *state;
    const char *const names[] = { "a", "bb", "", "ccc", "d" };
    plm_arrays_desc   desc    = good();
    desc.classes              = 5;
    desc.class_names          = names;
    plm_dataset *d            = plm_dataset_from_arrays(ctx, &desc);
    assert_ok(ctx);
    for (int i = 0; i < 5; i++) assert_string_equal(plm_dataset_class(d, i), names[i]);
    plm_dataset_free(d);
}

static void test_targets(void **state)
{
    plm_ctx        *ctx  = *state;
    const float     y[4] = { 1.5f, -2, 3, 4 };
    plm_arrays_desc desc = good();
    plm_batch       b;
    desc.y         = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 2), y);
    desc.classes   = -7; /* ignored */
    plm_dataset *d = plm_dataset_from_arrays(ctx, &desc);
    plm_loader  *l = first_batch(d, &b);
    assert_int_equal(plm_dataset_classes(d), 0);
    assert_null(plm_dataset_class(d, 0));
    assert_int_equal(b.y.dtype, PLM_F32);
    assert_true(plm_shape_equal(b.y.shape, plm_shape_of(2, 2)));
    assert_memory_equal(b.y.data, y, sizeof y);
    plm_loader_free(l);
    plm_dataset_free(d);

    desc.y = plm_tensor_wrap(PLM_F32, plm_shape_of(2), y);
    d      = plm_dataset_from_arrays(ctx, &desc);
    l      = first_batch(d, &b);
    assert_true(plm_shape_equal(b.y.shape, plm_shape_of(2, 1)));
    assert_memory_equal(b.y.data, y, 2 * sizeof *y);
    plm_loader_free(l);
    plm_dataset_free(d);
    assert_ok(ctx);
}

static void test_copies(void **state)
{
    plm_ctx        *ctx     = *state;
    uint8_t         x[4]    = { 1, 2, 3, 255 };
    int64_t         y[2]    = { 1, 0 };
    char            name[2] = "a";
    const char     *names[] = { name, "b" };
    plm_arrays_desc desc    = { .x           = plm_tensor_wrap(PLM_U8, plm_shape_of(2, 2), x),
                                .y           = plm_tensor_wrap(PLM_I64, plm_shape_of(2), y),
                                .classes     = 2,
                                .class_names = names };
    plm_dataset    *d       = plm_dataset_from_arrays(ctx, &desc);
    assert_ok(ctx);
    memset(x, 7, sizeof x);
    y[0]    = 99;
    name[0] = 'z';
    plm_batch    b;
    plm_loader  *l       = first_batch(d, &b);
    const double want[4] = { 1, 2, 3, 255 };
    assert_all_close(b.x.data, want, 4, 0);
    assert_int_equal(((int64_t *)b.y.data)[0], 1);
    assert_string_equal(plm_dataset_class(d, 0), "a");
    plm_loader_free(l);
    plm_dataset_free(d);
}

/* x' = (x scale - mean[c]) / std[c], c along axis 0 of a sample, for both kinds of storage. */
static void check_normalized(plm_ctx *ctx, plm_dtype dtype, int channels)
{
    uint8_t           bytes[2 * 3 * 2];
    float             floats[2 * 3 * 2];
    double            want[2 * 3 * 2];
    plm_normalization n = { .scale = 1.0 / 255, .channels = channels, .mean = { .5, .25, -1 }, .std = { .1, 2, .3 } };
    for (int i = 0; i < 12; i++) {
        int c     = channels == 1 ? 0 : i / 2 % 3;
        bytes[i]  = (uint8_t)(i * 23);
        floats[i] = (float)bytes[i];
        want[i]   = (bytes[i] / 255.0 - n.mean[c]) / n.std[c];
    }
    plm_arrays_desc desc = good();
    plm_batch       b;
    desc.x = plm_tensor_wrap(dtype, plm_shape_of(2, 3, 2), dtype == PLM_U8 ? (void *)bytes : (void *)floats);
    desc.normalization = &n;
    plm_dataset *d     = plm_dataset_from_arrays(ctx, &desc);
    assert_ok(ctx);
    assert_int_equal(plm_dataset_normalization(d)->channels, channels);
    plm_loader *l = first_batch(d, &b);
    assert_all_close(b.x.data, want, 12, 1e-7);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_normalization(void **state)
{
    check_normalized(*state, PLM_U8, 1);
    check_normalized(*state, PLM_U8, 3);
    check_normalized(*state, PLM_F32, 1);
    check_normalized(*state, PLM_F32, 3);

    plm_normalization scale_0 = { .channels = 1, .mean = { 1 }, .std = { 2 } }, none = { 0 };
    plm_arrays_desc   desc = good();
    desc.normalization     = &scale_0;
    plm_dataset *d         = plm_dataset_from_arrays(*state, &desc);
    assert_close(plm_dataset_normalization(d)->scale, 1, 0, 0);
    plm_dataset_free(d);
    desc.normalization = &none;
    d                  = plm_dataset_from_arrays(*state, &desc);
    assert_ok(*state);
    assert_null(plm_dataset_normalization(d));
    plm_dataset_free(d);
}

static void refused(plm_ctx *ctx, const plm_arrays_desc *desc, plm_status status, const char *part)
{
    assert_null(plm_dataset_from_arrays(ctx, desc));
    assert_error(ctx, status, part);
}

static void test_refused_shapes(void **state)
{
    plm_ctx        *ctx  = *state;
    plm_arrays_desc desc = good();
    desc.x.shape         = (plm_shape){ 0 };
    refused(ctx, &desc, PLM_ERR_SHAPE, "x is [], expected [n, ...]");
    desc.x.shape = plm_shape_of(2);
    refused(ctx, &desc, PLM_ERR_SHAPE, "x is [2], expected [n, ...]");
    desc.x.shape = plm_shape_of(0, 3);
    refused(ctx, &desc, PLM_ERR_SHAPE, "from_arrays: x: extent 0 of [0,3] is 0");
    desc.x.shape = plm_shape_of(2, -3);
    refused(ctx, &desc, PLM_ERR_SHAPE, "from_arrays: x: extent 1 of [2,-3] is -3");
    desc.x.shape = plm_shape_of(2, INT64_MAX / 2);
    refused(ctx, &desc, PLM_ERR_SHAPE, "too many");
    desc.x.shape.rank = 7;
    refused(ctx, &desc, PLM_ERR_SHAPE, "rank 7");
    desc         = good();
    desc.y.shape = plm_shape_of(3);
    refused(ctx, &desc, PLM_ERR_SHAPE, "x [2,3] has 2 samples, y [3] has 3");
    desc.y.shape = plm_shape_of(2, 1);
    refused(ctx, &desc, PLM_ERR_SHAPE, "y is i64 [2,1], expected labels [n] for x [2,3]");
    desc.y.shape = (plm_shape){ 0 };
    refused(ctx, &desc, PLM_ERR_SHAPE, "y is i64 [], expected labels [n]");
    desc.y.shape = plm_shape_of(-2);
    refused(ctx, &desc, PLM_ERR_SHAPE, "from_arrays: y: extent 0 of [-2] is -2");
    desc.y = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 1, 1), x_2x3);
    refused(ctx, &desc, PLM_ERR_SHAPE, "y is f32 [2,1,1], expected targets [n] or [n, d] for x [2,3]");
}

static void test_refused_values(void **state)
{
    plm_ctx        *ctx  = *state;
    plm_arrays_desc desc = good();
    refused(ctx, NULL, PLM_ERR_ARGUMENT, "desc is NULL");
    desc.x.data = NULL;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "the data of x [2,3] is NULL");
    desc         = good();
    desc.x.dtype = PLM_I64;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "x is i64 [2,3], expected f32 or u8");
    desc        = good();
    desc.y.data = NULL;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "the data of y [2] is NULL");
    desc         = good();
    desc.y.dtype = PLM_U8;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "y is u8 [2], expected i64 labels or f32");
    desc         = good();
    desc.classes = 4;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "label 4 of sample 1 is not in 0..3");
    desc.classes = -1;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "classes is -1");
    const int64_t negative[2] = { -1, 0 }, huge[2] = { 0, INT64_C(1) << 40 };
    desc        = good();
    desc.y.data = (void *)(uintptr_t)negative;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "label -1 of sample 0 is not in");
    desc.y.data = (void *)(uintptr_t)huge;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "label 1099511627776 of sample 1 is not in");
    const char *const names[5] = { "a", "b", NULL, "d", "e" };
    desc                       = good();
    desc.class_names           = names;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "class_names without classes");
    desc.classes = 5;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "class_names[2] of 5 is NULL");
}

static void test_refused_normalization(void **state)
{
    plm_ctx          *ctx  = *state;
    plm_normalization n    = { .channels = 2, .std = { 1, 1, 1 } };
    plm_arrays_desc   desc = good();
    desc.normalization     = &n;
    refused(ctx, &desc, PLM_ERR_SHAPE, "normalization has 2 channels, samples are [3]");
    n.channels = -1;
    refused(ctx, &desc, PLM_ERR_SHAPE, "normalization has -1 channels");
    n.channels = PLM_MAX_CHANNELS + 1;
    refused(ctx, &desc, PLM_ERR_SHAPE, "normalization has 17 channels");
    n = (plm_normalization){ .channels = 3, .std = { 1, 0, 1 } };
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "normalization of channel 1 has mean 0 and std 0");
    n.std[1]  = 1;
    n.mean[2] = NAN;
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "normalization of channel 2 has mean nan");
    n = (plm_normalization){ .scale = INFINITY, .channels = 1, .std = { 1 } };
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "normalization has a scale of inf");
    n = (plm_normalization){ .scale = .5 };
    refused(ctx, &desc, PLM_ERR_ARGUMENT, "scale 0.5 but 0 channels");
}

static void test_after_an_error(void **state)
{
    plm_ctx        *ctx  = *state;
    plm_arrays_desc desc = good();
    plm_ctx_fail(ctx, PLM_ERR_STATE, "the first cause");
    assert_null(plm_dataset_from_arrays(ctx, &desc));
    assert_null(plm_dataset_from_arrays(NULL, &desc));
    assert_error(ctx, PLM_ERR_STATE, "the first cause");
}

static bool use_labels(plm_ctx *ctx)
{
    plm_arrays_desc desc = good();
    plm_dataset    *d    = plm_dataset_from_arrays(ctx, &desc);
    plm_dataset_free(d);
    return d;
}

static bool use_targets(plm_ctx *ctx)
{
    plm_arrays_desc desc = good();
    desc.y               = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x_2x3);
    plm_dataset *d       = plm_dataset_from_arrays(ctx, &desc);
    plm_dataset_free(d);
    return d;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_allocation_failures(use_labels);
    check_allocation_failures(use_targets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_labels),         ctx_test(test_class_names),
        ctx_test(test_targets),        ctx_test(test_copies),
        ctx_test(test_normalization),  ctx_test(test_refused_shapes),
        ctx_test(test_refused_values), ctx_test(test_refused_normalization),
        ctx_test(test_after_an_error), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

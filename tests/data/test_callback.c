/* test_callback.c: samples made on demand. */
#include "data/check.h"

/* Sample i is (i, i/2) with label i mod 3; what goes wrong at which sample. */
typedef struct {
    int64_t fail_at, silent_at, label_at, label;
    bool    lies; /* returns true after plm_ctx_fail */
    int64_t calls;
} source;

static bool get(void *user, plm_ctx *ctx, int64_t index, float *x, int64_t *label)
{
    source *s = user;
    s->calls++;
    x[0]   = (float)index;
    x[1]   = (float)index / 2;
    *label = index == s->label_at ? s->label : index % 3;
    if (index == s->fail_at) {
        plm_ctx_fail(ctx, PLM_ERR_IO, "camera %lld is off", (long long)index);
        return s->lies;
    }
    return index != s->silent_at;
}

static plm_callback_desc desc_of(source *s)
{
    return (plm_callback_desc){ .count = 10, .x_shape = plm_shape_of(2), .classes = 3, .get = get, .user = s };
}

static const source fine = { .fail_at = -1, .silent_at = -1, .label_at = -1 };

static void test_samples(void **state)
{
    plm_ctx          *ctx  = *state;
    source            s    = fine;
    plm_callback_desc desc = desc_of(&s);
    plm_dataset      *d    = plm_dataset_from_callback(ctx, &desc);
    plm_batch         b;
    assert_ok(ctx);
    assert_int_equal(plm_dataset_count(d), 10);
    assert_int_equal(plm_dataset_classes(d), 3);
    assert_string_equal(plm_dataset_name(d), "callback");
    assert_string_equal(plm_dataset_class(d, 2), "2");
    assert_int_equal(s.calls, 0);
    plm_loader *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 6 });
    assert_true(plm_loader_next(l, &b));
    assert_true(plm_loader_next(l, &b));
    assert_int_equal(b.count, 4);
    for (int64_t i = 0; i < 4; i++) {
        assert_close(((float *)b.x.data)[2 * i], (double)(6 + i), 0, 0);
        assert_close(((float *)b.x.data)[2 * i + 1], (double)(6 + i) / 2, 0, 0);
        assert_int_equal(((int64_t *)b.y.data)[i], i % 3);
    }
    assert_false(plm_loader_next(l, &b));
    assert_int_equal(s.calls, 10);
    plm_loader_free(l);
    plm_dataset_free(d);
}

/* Loads until something goes wrong; then, cleared and mended, the same batch comes. */
static void fails(plm_ctx *ctx, source s, plm_status status, const char *part)
{
    plm_callback_desc desc = desc_of(&s);
    plm_dataset      *d    = plm_dataset_from_callback(ctx, &desc);
    plm_loader       *l    = plm_loader_new(d, &(plm_loader_desc){ .batch = 4 });
    plm_batch         b;
    assert_true(plm_loader_next(l, &b));
    assert_false(plm_loader_next(l, &b));
    assert_null(b.x.data);
    assert_error(ctx, status, part);
    s = fine;
    assert_true(plm_loader_next(l, &b));
    assert_close(((float *)b.x.data)[0], 4, 0, 0);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_errors_of_get(void **state)
{
    source s;
    s = fine, s.fail_at = 5;
    fails(*state, s, PLM_ERR_IO, "camera 5 is off");
    s.lies = true;
    fails(*state, s, PLM_ERR_IO, "camera 5 is off");
    s = fine, s.silent_at = 6;
    fails(*state, s, PLM_ERR_STATE, "get returned false for sample 6");
    s = fine, s.label_at = 7, s.label = 3;
    fails(*state, s, PLM_ERR_ARGUMENT, "label 3 of sample 7 is not in 0..2");
    s.label = -1;
    fails(*state, s, PLM_ERR_ARGUMENT, "label -1 of sample 7 is not in 0..2");
}

/* A part asks for the samples by their numbers in the whole. */
static void test_split(void **state)
{
    source            s    = fine;
    plm_callback_desc desc = desc_of(&s);
    plm_dataset      *d    = plm_dataset_from_callback(*state, &desc), *first, *second;
    plm_batch         b;
    assert_true(plm_dataset_split(d, .7, &(plm_split_desc){ .ordered = true }, &first, &second));
    plm_dataset_free(d);
    plm_loader *l = plm_loader_new(second, NULL);
    assert_true(plm_loader_next(l, &b));
    assert_int_equal(b.count, 3);
    assert_close(((float *)b.x.data)[0], 7, 0, 0);
    plm_loader_free(l);
    plm_dataset_free(first);
    plm_dataset_free(second);
}

static void refused(plm_ctx *ctx, plm_callback_desc desc, plm_status status, const char *part)
{
    assert_null(plm_dataset_from_callback(ctx, &desc));
    assert_error(ctx, status, part);
}

static void test_refused(void **state)
{
    plm_ctx          *ctx  = *state;
    source            s    = fine;
    plm_callback_desc desc = desc_of(&s);
    assert_null(plm_dataset_from_callback(ctx, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "desc is NULL");
    desc.get = NULL;
    refused(ctx, desc, PLM_ERR_ARGUMENT, "get is NULL");
    desc       = desc_of(&s);
    desc.count = 0;
    refused(ctx, desc, PLM_ERR_ARGUMENT, "count is 0");
    desc         = desc_of(&s);
    desc.classes = 0;
    refused(ctx, desc, PLM_ERR_ARGUMENT, "classes is 0");
    desc         = desc_of(&s);
    desc.x_shape = (plm_shape){ 0 };
    refused(ctx, desc, PLM_ERR_SHAPE, "x_shape is []");
    desc.x_shape = plm_shape_of(1, 1, 1, 1, 1, 1);
    refused(ctx, desc, PLM_ERR_SHAPE, "x_shape is [1,1,1,1,1,1], expected 1 to 5 axes");
    desc.x_shape = plm_shape_of(2, 0);
    refused(ctx, desc, PLM_ERR_SHAPE, "x_shape: extent 1 of [2,0] is 0");
}

/* More samples than can be indexed are fine until somebody wants them in a random order. */
static void test_endless(void **state)
{
    plm_ctx          *ctx  = *state;
    source            s    = fine;
    plm_callback_desc desc = desc_of(&s);
    desc.count             = INT64_MAX;
    plm_dataset *d         = plm_dataset_from_callback(ctx, &desc), *first, *second;
    plm_loader  *l         = plm_loader_new(d, &(plm_loader_desc){ .batch = 2 });
    plm_batch    b;
    assert_true(plm_loader_next(l, &b));
    plm_loader_free(l);
    assert_null(plm_loader_new(d, &(plm_loader_desc){ .batch = 2, .shuffle = true }));
    assert_error(ctx, PLM_ERR_MEMORY, "");
    assert_null(plm_loader_new(d, &(plm_loader_desc){ .batch = INT64_MAX }));
    assert_error(ctx, PLM_ERR_MEMORY, "9223372036854775807 rows of 2 numbers");
    assert_false(plm_dataset_split(d, .5, NULL, &first, &second));
    assert_error(ctx, PLM_ERR_MEMORY, "indices");
    plm_dataset_free(d);
}

static bool use(plm_ctx *ctx)
{
    source            s    = fine;
    plm_callback_desc desc = desc_of(&s);
    plm_dataset      *d    = plm_dataset_from_callback(ctx, &desc);
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
        ctx_test(test_samples), ctx_test(test_errors_of_get), ctx_test(test_split),
        ctx_test(test_refused), ctx_test(test_endless),       cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

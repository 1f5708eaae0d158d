/* test_ctx.c: the context and its one sticky error. */
#include "support.h"

#include <omp.h>

#include "core/core.h"

/* What on_error was told. */
typedef struct {
    plm_ctx   *ctx;
    int        calls;
    plm_status status;
    char       message[256];
    bool       inside; /* the context knew its error already while on_error ran */
} listener;

static void listen(void *user, plm_status status, const char *message)
{
    listener *l = user;
    l->calls++;
    l->status = status;
    snprintf(l->message, sizeof l->message, "%s", message);
    l->inside = l->ctx && plm_ctx_status(l->ctx) == status && strcmp(plm_ctx_error(l->ctx), message) == 0;
}

static void test_first_error_wins(void **state)
{
    plm_ctx *ctx = *state;
    assert_int_equal(plm_ctx_status(ctx), PLM_OK);
    assert_string_equal(plm_ctx_error(ctx), "");
    assert_false(plm_ctx_fail(ctx, PLM_ERR_SHAPE, "first: %d", 1));
    assert_false(plm_ctx_fail(ctx, PLM_ERR_IO, "second"));
    assert_int_equal(plm_ctx_status(ctx), PLM_ERR_SHAPE);
    assert_string_equal(plm_ctx_error(ctx), "first: 1");
}

static void test_clear_forgets(void **state)
{
    plm_ctx *ctx = *state;
    plm_ctx_fail(ctx, PLM_ERR_STATE, "x");
    plm_ctx_clear(ctx);
    assert_int_equal(plm_ctx_status(ctx), PLM_OK);
    assert_string_equal(plm_ctx_error(ctx), "");
    plm_ctx_fail(ctx, PLM_ERR_FORMAT, "y");
    assert_error(ctx, PLM_ERR_FORMAT, "y");
}

static void test_success_is_no_failure(void **state)
{
    plm_ctx *ctx = *state;
    plm_ctx_fail(ctx, PLM_OK, "whoever fails with PLM_OK has failed");
    assert_error(ctx, PLM_ERR_ARGUMENT, "whoever fails");
}

static void test_long_message_is_cut(void **state)
{
    plm_ctx *ctx = *state;
    char     text[4000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    plm_ctx_fail(ctx, PLM_ERR_IO, "%s", text);
    assert_int_equal(strlen(plm_ctx_error(ctx)), sizeof ctx->message - 1);
}

static void test_calls_after_an_error_do_nothing(void **state)
{
    plm_ctx *ctx = *state;
    plm_ctx_fail(ctx, PLM_ERR_IO, "the cause");
    const uint64_t before = plm_ctx_statistics(ctx).allocations;
    assert_null(plm_graph_new(ctx));
    assert_null(plm_tape_new(ctx, NULL));
    assert_null(plm_param_new(ctx, plm_shape_of(2), &(plm_param_desc){ .name = "w" }));
    assert_int_equal(plm_ctx_statistics(ctx).allocations, before);
    assert_error(ctx, PLM_ERR_IO, "the cause");
}

static void test_no_context(void **state)
{
    (void)state;
    plm_ctx_free(NULL);
    plm_ctx_clear(NULL);
    assert_false(plm_ctx_fail(NULL, PLM_ERR_IO, "nobody hears"));
    assert_int_equal(plm_ctx_status(NULL), PLM_ERR_ARGUMENT);
    assert_string_equal(plm_ctx_error(NULL), "there is no context (NULL)");
}

/* In each: make a context that listens, check, free; a failed assertion leaks, and fails anyway. */
static void test_on_error_fires_once_inside_the_failing_call(void **state)
{
    (void)state;
    listener heard = { 0 };
    plm_ctx *ctx   = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .on_error = listen, .on_error_user = &heard });
    heard.ctx      = ctx;
    assert_null(plm_param_new(ctx, plm_shape_of(2, -1), &(plm_param_desc){ .name = "w" }));
    assert_int_equal(heard.calls, 1); /* before any other call */
    assert_true(heard.inside);
    assert_int_equal(heard.status, PLM_ERR_SHAPE);
    assert_string_equal(heard.message, "w: extent 1 of [2,-1] is -1, expected at least 1");
    plm_ctx_fail(ctx, PLM_ERR_IO, "later");
    assert_null(plm_graph_new(ctx));
    assert_int_equal(heard.calls, 1);
    plm_ctx_clear(ctx);
    plm_ctx_fail(ctx, PLM_ERR_IO, "anew");
    assert_int_equal(heard.calls, 2);
    assert_string_equal(heard.message, "anew");
    plm_ctx_free(ctx);
}

static void test_bad_descs_are_errors_of_the_new_context(void **state)
{
    (void)state;
    listener       heard    = { 0 };
    test_allocator counting = { .fail_at = -1 };
    plm_allocator  half     = test_allocator_make(&counting);
    half.free               = NULL;
    const struct {
        plm_ctx_desc desc;
        const char  *part;
    } bad[] = { { { .threads = -3 }, "threads is -3" },
                { { .threads = 5000 }, "threads is 5000, expected 0 to 4096" },
                { { .allocator = half }, "only one of alloc and free" },
                { { .conv = (plm_conv_algorithm)3 }, "conv is 3, expected PLM_CONV_AUTO, _DIRECT or _WINOGRAD" } };
    for (int i = 0; i < 4; i++) {
        plm_ctx_desc d  = bad[i].desc;
        d.on_error      = listen;
        d.on_error_user = &heard;
        plm_ctx *ctx    = plm_ctx_new(&d);
        assert_non_null(ctx);
        assert_int_equal(heard.calls, i + 1);
        assert_null(plm_graph_new(ctx));
        assert_true(plm_ctx_threads(ctx) >= 1 && plm_ctx_threads(ctx) < 5000); /* and it can be used once cleared */
        assert_error(ctx, PLM_ERR_ARGUMENT, bad[i].part);
        plm_ctx_free(ctx);
    }
    assert_int_equal(counting.calls, 0);

    const int levels = omp_get_max_active_levels();
    omp_set_max_active_levels(0); /* as OMP_MAX_ACTIVE_LEVELS=0: every team is one thread */
    plm_ctx *two = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }), *one = plm_ctx_new(NULL);
    omp_set_max_active_levels(levels);
    assert_error(two, PLM_ERR_ARGUMENT, "plm_ctx_new: threads is 2, and OpenMP's environment allows 1");
    assert_int_equal(plm_ctx_threads(one), 1);
    plm_ctx_free(two);
    plm_ctx_free(one);
}

static void test_contexts_do_not_see_each_other(void **state)
{
    (void)state;
    plm_ctx *a = plm_ctx_new(&(plm_ctx_desc){ .seed = 5, .threads = 1 });
    plm_ctx *b = plm_ctx_new(&(plm_ctx_desc){ .seed = 6, .threads = 2 });
    plm_ctx_fail(a, PLM_ERR_IO, "of a");
    assert_int_equal(plm_ctx_status(b), PLM_OK);
    assert_int_equal(plm_ctx_seed(a), 5);
    assert_int_equal(plm_ctx_seed(b), 6);
    assert_int_equal(plm_ctx_threads(a), 1);
    assert_int_equal(plm_ctx_threads(b), 2);
    plm_graph     *g      = plm_graph_new(b);
    const uint64_t before = plm_ctx_statistics(a).bytes;
    assert_non_null(g);
    plm_nn_input(g, plm_shape_of(100));
    assert_ok(b);
    assert_int_equal(plm_ctx_statistics(a).bytes, before);
    plm_graph_free(g);
    plm_ctx_free(a);
    plm_ctx_free(b);
}

static void test_allocator_gets_everything_back(void **state)
{
    (void)state;
    test_allocator counting = { .fail_at = -1 };
    plm_ctx       *ctx      = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&counting) });
    void          *object   = plm__new(ctx, 1000, "object");
    plm__block    *block    = plm__pool_get(ctx, 1000);
    assert_int_equal(plm_ctx_statistics(ctx).allocations, counting.calls);
    const plm_ctx_stats full = plm_ctx_statistics(ctx);
    assert_true(full.bytes >= 2000 && full.peak_bytes == full.bytes);
    plm__delete(ctx, object);
    plm__pool_drop(ctx, block);
    assert_true(plm_ctx_statistics(ctx).bytes <= full.bytes - 1000);
    assert_int_equal(plm_ctx_statistics(ctx).peak_bytes, full.peak_bytes);
    plm_ctx_free(ctx);
    assert_int_equal(counting.outstanding, 0);

    counting = (test_allocator){ .fail_at = 0 }; /* not even the context */
    assert_null(plm_ctx_new(&(plm_ctx_desc){ .allocator = test_allocator_make(&counting) }));
}

static void test_objects_are_zeroed_and_named_when_missing(void **state)
{
    plm_ctx       *ctx  = *state;
    unsigned char *zero = plm__new(ctx, 333, "object");
    for (int i = 0; i < 333; i++) assert_int_equal(zero[i], 0);
    plm__delete(ctx, zero);
    plm__delete(ctx, NULL);
    assert_null(plm__new(ctx, SIZE_MAX - 4, "the sky"));
    assert_error(ctx, PLM_ERR_MEMORY, "the sky: out of memory (18446744073709551611 bytes)");
}

static void test_grow_keeps_and_zeroes(void **state)
{
    plm_ctx *ctx      = *state;
    int     *array    = NULL;
    int      capacity = 0, moves = 0;
    for (int i = 0; i < 1000; i++) {
        const int before = capacity;
        assert_true(plm__grow(ctx, &array, &capacity, i + 1, sizeof *array, "array"));
        assert_true(capacity > i);
        assert_int_equal(array[i], 0);
        array[i] = i + 1;
        moves += capacity != before;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(array[i], i + 1);
    assert_true(moves < 12); /* doubles */
    plm__delete(ctx, array);
}

static void test_names_of_statuses(void **state)
{
    (void)state;
    const char *const names[] = {
        "ok", "argument", "shape", "state", "memory", "io", "format", "non-finite", "engine"
    };
    for (int i = 0; i < 9; i++) assert_string_equal(plm_status_name((plm_status)i), names[i]);
    assert_string_equal(plm_status_name((plm_status)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_first_error_wins),
        ctx_test(test_clear_forgets),
        ctx_test(test_success_is_no_failure),
        ctx_test(test_long_message_is_cut),
        ctx_test(test_calls_after_an_error_do_nothing),
        cmocka_unit_test(test_no_context),
        cmocka_unit_test(test_on_error_fires_once_inside_the_failing_call),
        cmocka_unit_test(test_bad_descs_are_errors_of_the_new_context),
        cmocka_unit_test(test_contexts_do_not_see_each_other),
        cmocka_unit_test(test_allocator_gets_everything_back),
        ctx_test(test_objects_are_zeroed_and_named_when_missing),
        ctx_test(test_grow_keeps_and_zeroes),
        cmocka_unit_test(test_names_of_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

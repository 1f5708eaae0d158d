/* test_engine.c: what oneDNN is, and what it says when it refuses. */
#include "bench.h"

static void test_refusal(void **state)
{
    bench       *b = *state;
    plm__problem p = { .primitive = PLM__CONV2D,
                       .src       = plm__layout_plain(plm_shape_of(2, 3, 8, 8)),
                       .weights   = plm__layout_any(plm_shape_of(4, 5, 3, 3)),
                       .dst       = plm__layout_plain(plm_shape_of(2, 4, 8, 8)),
                       .stride    = 1,
                       .pad       = 1 };
    assert_null(plm__kernel_try(b->ctx, &p));
    assert_ok(b->ctx);
    assert_null(plm__kernel_get(b->ctx, &p));
    assert_error_inside(
        b, PLM_ERR_ENGINE,
        "conv2d forward (x [2,3,8,8], w [4,5,3,3], y [2,4,8,8], stride 1, pad 1): oneDNN says invalid arguments");
    assert_false(plm__negotiate(b->ctx, &p, (plm__needs){ .data = true }));
    assert_error_inside(b, PLM_ERR_ENGINE, "cannot find a layout for conv2d forward (x [2,3,8,8]");
}

static void test_versions(void **state)
{
    (void)state;
    int major = 0, minor = -1, patch = -1;
    assert_int_equal(sscanf(plm_engine_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    assert_true(major >= 2 && minor >= 0 && patch >= 0);
    const char *wanted = getenv("ONEDNN_MAX_CPU_ISA");
    if (wanted && strcmp(wanted, "AVX2") == 0) assert_string_equal(plm_engine_isa(), "AVX2");
    assert_true(strlen(plm_engine_isa()) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = { bench_test("test_refusal", test_refusal, NULL),
                                        cmocka_unit_test(test_versions) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

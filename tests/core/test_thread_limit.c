/* test_thread_limit.c: OMP_THREAD_LIMIT, which OpenMP reads before main, so that this program starts itself again with it. */
#include "support.h"

#include <unistd.h>

static void test_default(void **state)
{
    (void)state;
    plm_ctx *ctx = plm_ctx_new(NULL);
    assert_ok(ctx);
    assert_int_equal(plm_ctx_threads(ctx), 1);
    plm_ctx_free(ctx);
}

static void test_more(void **state)
{
    (void)state;
    plm_ctx *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_ctx_new: threads is 2, and OpenMP's environment allows 1");
    plm_ctx_free(ctx);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!getenv("OMP_THREAD_LIMIT")) {
        if (setenv("OMP_THREAD_LIMIT", "1", 1) == 0) execv("/proc/self/exe", argv);
        return 1;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_default), cmocka_unit_test(test_more) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

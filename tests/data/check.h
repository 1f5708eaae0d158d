/* check.h: what the tests of data sets share. */
#ifndef PLM_TESTS_DATA_CHECK_H
#define PLM_TESTS_DATA_CHECK_H

#include "support.h"

/* Runs `use` with an allocator that fails its k-th call, k = 0, 1, ..., until none fails: each failure is reported as one
 * of memory (or the pool tried again and all went well), and nothing is left allocated.  `use` frees what it makes and
 * returns whether all went well. */
static inline void check_allocation_failures(bool (*use)(plm_ctx *ctx))
{
    bool done     = false;
    int  failures = 0;
    for (int64_t k = 0; !done; k++) {
        assert_true(k < 1000);
        test_allocator a   = { .fail_at = k };
        plm_ctx       *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&a) });
        if (ctx) {
            bool ok = use(ctx);
            done    = a.calls <= k;
            failures += !ok;
            assert_true(ok || !done);
            assert_int_equal(plm_ctx_status(ctx), ok ? PLM_OK : PLM_ERR_MEMORY);
            plm_ctx_free(ctx);
        }
        assert_int_equal(a.outstanding, 0);
    }
    assert_true(failures > 0);
}

/* Writes a file of the build's scratch folder; lent path, as test_path. */
static inline const char *write_file(const char *name, const void *bytes, size_t count)
{
    const char *path = test_path(name);
    FILE       *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
    return path;
}

#endif

/* support.h: what the tests share.  Include first: it brings cmocka and what cmocka needs. */
#ifndef PLM_TESTS_SUPPORT_H
#define PLM_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <plummet/plummet.h>

/* |got - want| <= atol + rtol |want|, both finite (or both the same infinity).  cmocka's own comparison lets nan pass. */
#define assert_close(got, want, atol, rtol) test_close((got), (want), (atol), (rtol), #got, __FILE__, __LINE__)
void test_close(double got, double want, double atol, double rtol, const char *what, const char *file, int line);

/* The same for n floats against n doubles, with atol = rtol * largest |want| (at least 1e-30). */
#define assert_all_close(got, want, n, rtol) test_all_close((got), (want), (n), (rtol), #got, __FILE__, __LINE__)
void test_all_close(const float *got, const double *want, int64_t n, double rtol, const char *what, const char *file,
                    int line);

/* The context is fine; otherwise its sentence is shown. */
#define assert_ok(ctx) test_ok((ctx), __FILE__, __LINE__)
void test_ok(const plm_ctx *ctx, const char *file, int line);

/* The context has an error of this status whose sentence contains `part`; clears it. */
#define assert_error(ctx, status, part) test_error((ctx), (status), (part), __FILE__, __LINE__)
void test_error(plm_ctx *ctx, plm_status status, const char *part, const char *file, int line);

/* A fixture: *state is a fresh context (seed 0, 2 threads), freed by the teardown. */
int test_ctx_setup(void **state);
int test_ctx_teardown(void **state);
#define ctx_test(f) cmocka_unit_test_setup_teardown(f, test_ctx_setup, test_ctx_teardown)

/* An allocator that fails its k-th call (0, 1, ...; -1: never) and counts what is out. */
typedef struct {
    int64_t fail_at, calls, outstanding;
} test_allocator;
plm_allocator test_allocator_make(test_allocator *a);

/* Repeatable numbers for inputs: uniform in [lo, hi). */
void test_fill(float *x, int64_t n, uint64_t seed, double lo, double hi);

/* A file name in a folder of this process, below the build's, that goes when the process ends; lent until the next call. */
const char *test_path(const char *name);

#endif

/* failing.h: makes the k-th call of malloc, calloc or realloc fail, in our code (linked with -Wl,--wrap=...) and in cJSON. */
#ifndef PLM_TESTS_CLI_FAILING_H
#define PLM_TESTS_CLI_FAILING_H

#include "support.h"

#include <cjson/cJSON.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static int fail_in = -1; /* -1: never; 0: the next call fails */

static bool fails_now(void)
{
    return fail_in >= 0 && fail_in-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}

/* Runs `work` with allocation k = 0, 1, 2 ... failing until it succeeds: each time before it must return false with an error
 * in the context.  Leaks show at the end of the program (AddressSanitizer). */
static inline void each_allocation_fails(plm_ctx *ctx, bool (*work)(plm_ctx *ctx, void *user), void *user)
{
    int k = 0;
    cJSON_InitHooks(&(cJSON_Hooks){ .malloc_fn = malloc, .free_fn = free });
    for (bool done = false; !done; k++) {
        assert_true(k < 100000);
        fail_in = k;
        done    = work(ctx, user);
        if (fail_in >= 0) assert_true(done); /* nothing failed */
        fail_in = -1;
        if (!done) assert_int_not_equal(plm_ctx_status(ctx), PLM_OK);
        plm_ctx_clear(ctx);
    }
    assert_true(k > 3);
    cJSON_InitHooks(NULL);
}

#endif

/* support.c: what the tests share. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "support.h"

#include <ftw.h>
#include <math.h>
#include <unistd.h>

void test_close(double got, double want, double atol, double rtol, const char *what, const char *file, int line)
{
    bool same_infinity = isinf(want) && got == want;
    if (same_infinity || (isfinite(got) && isfinite(want) && fabs(got - want) <= atol + rtol * fabs(want))) return;
    print_error("%s = %.9g, expected %.9g (atol %g, rtol %g)\n", what, got, want, atol, rtol);
    _fail(file, line);
}

void test_all_close(const float *got, const double *want, int64_t n, double rtol, const char *what, const char *file,
                    int line)
{
    double largest = 1e-30;
    for (int64_t i = 0; i < n; i++)
        if (fabs(want[i]) > largest) largest = fabs(want[i]);
    for (int64_t i = 0; i < n; i++) {
        if (isfinite((double)got[i]) && fabs((double)got[i] - want[i]) <= rtol * largest) continue;
        print_error("%s[%lld] = %.9g, expected %.9g (largest %g, rtol %g)\n", what, (long long)i, (double)got[i],
                    want[i], largest, rtol);
        _fail(file, line);
    }
}

void test_ok(const plm_ctx *ctx, const char *file, int line)
{
    if (plm_ctx_status(ctx) == PLM_OK) return;
    print_error("%s error: %s\n", plm_status_name(plm_ctx_status(ctx)), plm_ctx_error(ctx));
    _fail(file, line);
}

void test_error(plm_ctx *ctx, plm_status status, const char *part, const char *file, int line)
{
    if (plm_ctx_status(ctx) == status && strstr(plm_ctx_error(ctx), part)) {
        plm_ctx_clear(ctx);
        return;
    }
    print_error("expected a %s error with \"%s\", got %s: \"%s\"\n", plm_status_name(status), part,
                plm_status_name(plm_ctx_status(ctx)), plm_ctx_error(ctx));
    _fail(file, line);
}

int test_ctx_setup(void **state)
{
    *state = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    return *state ? 0 : -1;
}

int test_ctx_teardown(void **state)
{
    plm_ctx_free(*state);
    return 0;
}

static void *failing_alloc(void *user, size_t bytes, size_t align)
{
    test_allocator *a = user;
    if (a->calls++ == a->fail_at) return NULL;
    void *memory = NULL;
    if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, bytes ? bytes : 1) != 0) return NULL;
    a->outstanding++;
    return memory;
}

static void failing_free(void *user, void *memory, size_t bytes)
{
    (void)bytes;
    ((test_allocator *)user)->outstanding--;
    free(memory);
}

plm_allocator test_allocator_make(test_allocator *a)
{
    return (plm_allocator){ .alloc = failing_alloc, .free = failing_free, .user = a };
}

void test_fill(float *x, int64_t n, uint64_t seed, double lo, double hi)
{
    uint64_t state = seed * 2 + 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth, TAOCP 3.3.4 */
        x[i]  = (float)(lo + (hi - lo) * (double)(state >> 11) * 0x1p-53);
    }
}

static char  scratch[512]; /* this process's folder of files */
static pid_t scratch_owner;

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_scratch(void)
{
    if (getpid() == scratch_owner) nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS); /* not in a forked child */
}

const char *test_path(const char *name)
{
    static char path[1024];
    if (!scratch_owner) {
        snprintf(scratch, sizeof scratch, "%s/scratch-XXXXXX", PLUMMET_SCRATCH);
        if (!mkdtemp(scratch)) fail_msg("cannot make a folder %s", scratch);
        scratch_owner = getpid();
        atexit(remove_scratch);
    }
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

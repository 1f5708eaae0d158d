/* bench.c: what the tests of src/dnnl share. */
#include "bench.h"

#include <math.h>

int bench_setup(void **state)
{
    bench *b = calloc(1, sizeof *b);
    if (!b) return -1;
    b->now = *state;
    b->ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    *state = b;
    return b->ctx && plm__enter(b->ctx, "a test") ? 0 : -1;
}

int bench_teardown(void **state)
{
    bench *b = *state;
    plm__leave(b->ctx);
    plm_ctx_free(b->ctx);
    for (int i = 0; i < b->count; i++) free(b->memory[i]);
    free(b);
    return 0;
}

void *bench_bytes(bench *b, size_t n)
{
    void *memory = NULL;
    assert_true(b->count < (int)(sizeof b->memory / sizeof b->memory[0]));
    assert_int_equal(posix_memalign(&memory, 64, n ? n : 1), 0);
    memset(memory, 0, n);
    return b->memory[b->count++] = memory;
}

float *bench_floats(bench *b, int64_t n)
{
    float *x = bench_bytes(b, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) x[i] = NAN;
    return x;
}

float *bench_random(bench *b, int64_t n, uint64_t seed)
{
    float *x = bench_floats(b, n);
    test_fill(x, n, seed, -1, 1);
    return x;
}

double *bench_doubles(bench *b, int64_t n)
{
    return bench_bytes(b, (size_t)n * sizeof(double));
}

bool bench_next(const plm__layout *l, int64_t index[PLM_MAX_RANK])
{
    for (int a = l->rank - 1; a >= 0; a--) {
        if (++index[a] < l->dim[a]) return true;
        index[a] = 0;
    }
    return false;
}

float *bench_empty(bench *b, const plm__layout *l)
{
    float  *x                   = bench_bytes(b, (size_t)plm__layout_floats(l) * sizeof(float));
    int64_t index[PLM_MAX_RANK] = { 0 };
    do x[plm__layout_offset(l, index)] = NAN;
    while (bench_next(l, index));
    return x;
}

float *bench_image(bench *b, const plm__layout *l, const float *plain)
{
    float  *x                   = bench_bytes(b, (size_t)plm__layout_floats(l) * sizeof(float));
    int64_t index[PLM_MAX_RANK] = { 0 };
    do x[plm__layout_offset(l, index)] = *plain++;
    while (bench_next(l, index));
    return x;
}

float *bench_plain(bench *b, const plm__layout *l, const float *image)
{
    int64_t        n = plm__layout_floats(l), i = 0;
    float         *plain               = bench_floats(b, plm_shape_count(plm__layout_shape(l)));
    int64_t        index[PLM_MAX_RANK] = { 0 };
    unsigned char *used                = bench_bytes(b, (size_t)n);
    do {
        int64_t at = plm__layout_offset(l, index);
        assert_true(at >= 0 && at < n && !used[at]);
        used[at]   = 1;
        plain[i++] = image[at];
    } while (bench_next(l, index));
    for (int64_t at = 0; at < n; at++)
        if (!used[at]) assert_true(image[at] == 0.0f);
    return plain;
}

plm__kernel *bench_kernel(bench *b, const plm__problem *p)
{
    plm__kernel *k = plm__kernel_get(b->ctx, p);
    assert_ok(b->ctx);
    assert_non_null(k);
    return k; /* the context frees its kernels, held or not */
}

void bench_run(bench *b, plm__kernel *k, plm__args args)
{
    bool ok = plm__kernel_run(b->ctx, k, &args);
    assert_ok(b->ctx);
    assert_true(ok);
}

void *bench_workspace(bench *b, const plm__kernel *k)
{
    size_t n = plm__kernel_workspace(k);
    return n ? bench_bytes(b, n) : NULL;
}

/* bench.h: a context and the arrays of one test; the fixture owns both, since a failed assertion jumps. */
#ifndef PLM_TESTS_DNNL_BENCH_H
#define PLM_TESTS_DNNL_BENCH_H

#include "support.h"

#include "dnnl/dnnl.h"

typedef struct {
    plm_ctx    *ctx;
    const void *now; /* the case of a table that this test is about */
    void       *memory[512];
    int         count;
} bench;

/* Fixtures: *state comes in as the case (or NULL) and becomes the bench.  The setup enters the gate. */
int bench_setup(void **state);
int bench_teardown(void **state);
#define bench_test(name, f, now)                                           \
    (struct CMUnitTest)                                                    \
    {                                                                      \
        (name), (f), bench_setup, bench_teardown, (void *)(uintptr_t)(now) \
    }

/* Arrays of n elements, 64-byte aligned: full of nan, or random in [-1, 1). */
float  *bench_floats(bench *b, int64_t n);
float  *bench_random(bench *b, int64_t n, uint64_t seed);
double *bench_doubles(bench *b, int64_t n); /* zeros */
void   *bench_bytes(bench *b, size_t n);

/* A physical array of a layout: full of nan (padding zero), or holding a plain array's values. */
float *bench_empty(bench *b, const plm__layout *l);
float *bench_image(bench *b, const plm__layout *l, const float *plain);

/* The values in row-major order, read one by one at plm__layout_offset.  Fails when padding is not zero. */
float *bench_plain(bench *b, const plm__layout *l, const float *image);

/* Steps through the indices of a layout in row-major order; false after the last. */
bool bench_next(const plm__layout *l, int64_t index[PLM_MAX_RANK]);

plm__kernel *bench_kernel(bench *b, const plm__problem *p); /* held until the bench is gone: never NULL */
void         bench_run(bench *b, plm__kernel *k, plm__args args);
void        *bench_workspace(bench *b, const plm__kernel *k); /* NULL: it has none */

/* As assert_error, from inside the gate, where nothing may be cleared. */
#define assert_error_inside(b, status, part)         \
    do {                                             \
        plm__leave((b)->ctx);                        \
        assert_error((b)->ctx, status, part);        \
        assert_true(plm__enter((b)->ctx, "a test")); \
    } while (0)

#endif

/* test_polar.c: polar factors against U V^T of LAPACK's singular value decomposition. */
#include "support.h"

#include <lapacke.h>
#include <math.h>

enum { ROOM = 1 << 18 };

typedef struct {
    const char *name;
    int64_t     count, rows, cols;
    double      least; /* singular values fall geometrically from 1 to this */
    int64_t     rank;  /* the others are 0; 0: full */
    double      scale;
} polar_case;

static const polar_case cases[] = {
    { "1x1", 1, 1, 1, 1, 0, 1 },
    { "1x9", 3, 1, 9, 1, 0, 1 },
    { "9x1", 3, 9, 1, 1, 0, 1e-30 },
    { "2x2", 1, 2, 2, 0.1, 0, 1 },
    { "3x2, nine", 9, 3, 2, 0.5, 0, 1 },
    { "17x33", 1, 17, 33, 0.1, 0, 1 },
    { "33x17, four", 4, 33, 17, 0.1, 0, 1 },
    { "64x64", 2, 64, 64, 0.03, 0, 1 },
    { "100x260", 1, 100, 260, 0.01, 0, 1 },
    { "equal", 1, 40, 40, 1, 0, 7 },
    { "ill-conditioned", 1, 50, 50, 1e-3, 0, 1 },
    { "to the limit", 1, 30, 50, 1e-4, 0, 1 },
    { "rank 1", 1, 20, 30, 1, 1, 1 },
    { "rank 7", 2, 30, 20, 0.1, 7, 1 },
    { "tiny", 1, 20, 30, 0.1, 0, 1e-36 },
    { "huge", 1, 20, 30, 0.1, 0, 1e38 },
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* Owned here, since a failed assertion jumps. */
typedef struct {
    const polar_case *of;
    plm_ctx          *ctx;
    float            *a, *u, *scratch;
    double           *copy, *s, *left, *right, *work;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->of      = *state;
    f->ctx     = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    f->a       = calloc(ROOM, sizeof *f->a);
    f->u       = calloc(ROOM, sizeof *f->u);
    f->scratch = calloc(ROOM, sizeof *f->scratch);
    f->copy    = calloc(ROOM, sizeof *f->copy);
    f->s       = calloc(ROOM, sizeof *f->s);
    f->left    = calloc(ROOM, sizeof *f->left);
    f->right   = calloc(ROOM, sizeof *f->right);
    f->work    = calloc(ROOM, sizeof *f->work);
    *state     = f;
    return f->ctx && f->a && f->u && f->scratch && f->copy && f->s && f->left && f->right && f->work ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_ctx_free(f->ctx);
    free(f->a);
    free(f->u);
    free(f->scratch);
    free(f->copy);
    free(f->s);
    free(f->left);
    free(f->right);
    free(f->work);
    free(f);
    return 0;
}

static void orthonormal(double *q, int64_t rows, int64_t k, uint64_t seed, float *scratch)
{
    double tau[512];
    test_fill(scratch, rows * k, seed, -1, 1);
    for (int64_t i = 0; i < rows * k; i++) q[i] = (double)scratch[i];
    assert_int_equal(LAPACKE_dgeqrf(LAPACK_COL_MAJOR, (int)rows, (int)k, q, (int)rows, tau), 0);
    assert_int_equal(LAPACKE_dorgqr(LAPACK_COL_MAJOR, (int)rows, (int)k, (int)k, q, (int)rows, tau), 0);
}

/* The matrices of a case into f->a. */
static void make(fixture *f, const polar_case *c)
{
    const int64_t k = c->rows < c->cols ? c->rows : c->cols, rank = c->rank ? c->rank : k;
    for (int64_t m = 0; m < c->count; m++) {
        orthonormal(f->left, c->rows, k, (uint64_t)(2 * m + 1), f->scratch);
        orthonormal(f->right, c->cols, k, (uint64_t)(2 * m + 2), f->scratch);
        for (int64_t r = 0; r < c->rows; r++)
            for (int64_t col = 0; col < c->cols; col++) {
                double sum = 0;
                for (int64_t i = 0; i < rank; i++)
                    sum += pow(c->least, rank > 1 ? (double)i / (double)(rank - 1) : 0) * f->left[i * c->rows + r] *
                           f->right[i * c->cols + col];
                f->a[(m * c->rows + r) * c->cols + col] = (float)(c->scale * sum);
            }
    }
}

/* The decomposition of f->a's matrix m: left [rows,k], s [k], right [k,cols]. */
static void decompose(fixture *f, const polar_case *c, int64_t m)
{
    const int64_t n = c->rows * c->cols, k = c->rows < c->cols ? c->rows : c->cols;
    for (int64_t i = 0; i < n; i++) f->copy[i] = (double)f->a[m * n + i];
    assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'S', 'S', (int)c->rows, (int)c->cols, f->copy, (int)c->cols, f->s,
                                    f->left, (int)k, f->right, (int)c->cols, f->work),
                     0);
}

/* || u - U diag(want) V^T ||_F */
static double distance(const fixture *f, const polar_case *c, const float *u, const double *want)
{
    const int64_t k       = c->rows < c->cols ? c->rows : c->cols;
    double        squares = 0;
    for (int64_t r = 0; r < c->rows; r++)
        for (int64_t col = 0; col < c->cols; col++) {
            double sum = 0;
            for (int64_t i = 0; i < k; i++) sum += f->left[r * k + i] * want[i] * f->right[i * c->cols + col];
            const double d = (double)u[r * c->cols + col] - sum;
            squares += d * d;
        }
    return sqrt(squares);
}

static void test_against_lapack(void **state)
{
    fixture          *f = *state;
    const polar_case *c = f->of;
    const int64_t     n = c->rows * c->cols, k = c->rows < c->cols ? c->rows : c->cols, rank = c->rank ? c->rank : k;
    make(f, c);
    assert_true(plm_polar(f->ctx, f->a, c->count, c->rows, c->cols, NULL, f->u));
    for (int64_t m = 0; m < c->count; m++) {
        double want[512] = { 0 };
        decompose(f, c, m);
        for (int64_t i = 0; i < rank; i++) want[i] = 1;
        /* what the header promises; and what is left of zeros */
        const double limit = (c->least < 1e-3 ? 1e-4 : 5e-5) * sqrt((double)k) + (rank < k ? 1e-2 : 0);
        const double far   = distance(f, c, f->u + m * n, want);
        if (far > limit) print_error("matrix %d: %g, allowed %g\n", (int)m, far, limit);
        assert_true(far <= limit);
        double inner = 0, nuclear = 0;
        for (int64_t i = 0; i < n; i++) inner += (double)f->u[m * n + i] * (double)f->a[m * n + i];
        for (int64_t i = 0; i < k; i++) nuclear += f->s[i];
        assert_close(inner, nuclear, 0, 1e-5);
    }
    assert_int_equal(plm_ctx_statistics(f->ctx).reference_kernels, 0);
    /* In place, the same bits. */
    assert_true(plm_polar(f->ctx, f->a, c->count, c->rows, c->cols, NULL, f->a));
    assert_memory_equal(f->a, f->u, (size_t)(c->count * n) * sizeof *f->a);
}

/* The polynomial on each singular value, by hand. */
static void test_quick(void **state)
{
    fixture          *f = *state;
    const polar_case *c = f->of;
    const int64_t     n = c->rows * c->cols, k = c->rows < c->cols ? c->rows : c->cols;
    make(f, c);
    assert_true(plm_polar(f->ctx, f->a, c->count, c->rows, c->cols, &(plm_polar_desc){ .quick = true }, f->u));
    for (int64_t m = 0; m < c->count; m++) {
        double want[512] = { 0 }, squares = 0;
        decompose(f, c, m);
        for (int64_t i = 0; i < k; i++) squares += f->s[i] * f->s[i];
        for (int64_t i = 0; i < k; i++) {
            const double first = f->s[i] / (sqrt(squares) + 1e-7);
            double       s     = k > 1 ? first : 1;
            for (int step = 0; k > 1 && step < 5; step++) s = 3.4445 * s - 4.7750 * pow(s, 3) + 2.0315 * pow(s, 5);
            want[i] = s;
            if (first > 2e-3) assert_true(s > 0.68 && s < 1.21);
        }
        assert_close(distance(f, c, f->u + m * n, want), 0, 2e-4, 0);
    }
}

static void test_zero(void **state)
{
    fixture *f = *state;
    for (int64_t i = 12; i < 24; i++) f->a[i] = (float)i; /* rank 1 and 2 beside zero */
    assert_true(plm_polar(f->ctx, f->a, 3, 3, 4, NULL, f->u));
    for (int i = 0; i < 12; i++) assert_true(f->u[i] == 0 && f->u[24 + i] == 0);
    assert_true(fabsf(f->u[12]) > 0.01f);
    assert_true(plm_polar(f->ctx, f->a, 1, 1, 7, NULL, f->u));
    for (int i = 0; i < 7; i++) assert_true(f->u[i] == 0);
    assert_ok(f->ctx);
}

static void test_sentences(void **state)
{
    fixture *f = *state;
    assert_false(plm_polar(f->ctx, f->a, 0, 2, 3, NULL, f->u));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_polar: extent 0 of [0,2,3] is 0, expected at least 1");
    assert_false(plm_polar(f->ctx, NULL, 1, 2, 3, NULL, f->u));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_polar: the matrix is NULL");
    assert_false(plm_polar(f->ctx, f->a, 1, 2, 3, NULL, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_polar: u is NULL");
    f->a[4] = NAN;
    assert_false(plm_polar(f->ctx, f->a, 1, 2, 3, NULL, f->u));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "plm_polar: element [1,1] of the matrix [2,3] is nan");
    assert_false(plm_polar(NULL, f->a, 1, 2, 3, NULL, f->u));
}

static void test_failing_allocations(void **state)
{
    fixture *f = *state;
    make(f, &cases[6]);
    for (int64_t k = 0, done = 0; !done; k++) {
        test_allocator a   = { .fail_at = k };
        plm_ctx       *ctx = plm_ctx_new(&(plm_ctx_desc){ .allocator = test_allocator_make(&a) });
        const bool     ok  = plm_polar(ctx, f->a, 4, 33, 17, &(plm_polar_desc){ .quick = k % 2 }, f->u);
        done               = ok;
        if (ctx) assert_int_equal(plm_ctx_status(ctx), ok ? PLM_OK : PLM_ERR_MEMORY);
        plm_ctx_free(ctx);
        assert_int_equal(a.outstanding, 0);
    }
}

/* The second call with the same extents takes everything from the pool and the table of kernels. */
static void test_nothing_new(void **state)
{
    fixture *f = *state;
    make(f, &cases[6]);
    plm_ctx_stats before = { 0 };
    for (int i = 0; i < 3; i++) {
        if (i == 1) before = plm_ctx_statistics(f->ctx);
        assert_true(plm_polar(f->ctx, f->a, 4, 33, 17, NULL, f->u));
    }
    const plm_ctx_stats after = plm_ctx_statistics(f->ctx);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.primitives, before.primitives);
}

int main(void)
{
    struct CMUnitTest tests[2 * CASES + 4];
    char              name[CASES][64];
    for (int i = 0; i < CASES; i++) {
        void *of = (void *)(uintptr_t)&cases[i];
        snprintf(name[i], sizeof name[i], "quick %s", cases[i].name);
        tests[2 * i]     = (struct CMUnitTest){ cases[i].name, test_against_lapack, setup, teardown, of };
        tests[2 * i + 1] = (struct CMUnitTest){ name[i], test_quick, setup, teardown, of };
    }
    const struct CMUnitTest others[] = {
        cmocka_unit_test_setup_teardown(test_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sentences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_allocations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_new, setup, teardown),
    };
    memcpy(tests + 2 * CASES, others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

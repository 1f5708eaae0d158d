/* test_spectral.c: operator norms, nuclear norms and singular values against LAPACK's dgesvd. */
#include "support.h"

#include <lapacke.h>
#include <math.h>

typedef enum { RANDOM, RANK_ONE, RANK_THREE, ZERO, EQUAL, PAIR, PLATEAU, GEOMETRIC } spectrum;

typedef struct {
    const char *name;
    int64_t     rows, cols;
    spectrum    kind;
    double      scale;
} matrix_case;

static const matrix_case cases[] = {
    { "1x1", 1, 1, RANDOM, 1 },
    { "1x7", 1, 7, RANDOM, 1 },
    { "7x1", 7, 1, RANDOM, 1 },
    { "2x2", 2, 2, RANDOM, 1 },
    { "5x5", 5, 5, RANDOM, 1 },
    { "33x17", 33, 17, RANDOM, 1 },
    { "17x33", 17, 33, RANDOM, 1 },
    { "64x64 geometric", 64, 64, GEOMETRIC, 1 },
    { "100x300", 100, 300, RANDOM, 1 },
    { "300x260", 300, 260, RANDOM, 1 },
    { "rank 1", 40, 30, RANK_ONE, 1 },
    { "rank 3", 30, 40, RANK_THREE, 1 },
    { "zero", 12, 9, ZERO, 1 },
    { "zero column", 9, 1, ZERO, 1 },
    { "equal, square", 48, 48, EQUAL, 1 },
    { "equal, wide", 20, 50, EQUAL, 3 },
    { "a close pair", 60, 80, PAIR, 1 },
    { "just above a plateau", 120, 120, PLATEAU, 1 },
    { "tiny", 30, 20, RANDOM, 1e-34 },
    { "denormal", 30, 20, GEOMETRIC, 1e-38 },
    { "huge", 20, 30, GEOMETRIC, 3e38 },
};

/* Owned here, since a failed assertion jumps. */
typedef struct {
    const matrix_case *of;
    plm_ctx           *ctx;
    plm_graph         *g;
    plm_tape          *tape;
    float             *a;
    double            *copy, *s, *mine, *u, *v;
} fixture;

enum { ROOM = 1 << 17 };

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->of   = *state;
    f->ctx  = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    f->a    = calloc(ROOM, sizeof *f->a);
    f->copy = calloc(ROOM, sizeof *f->copy);
    f->s    = calloc(ROOM, sizeof *f->s);
    f->mine = calloc(ROOM, sizeof *f->mine);
    f->u    = calloc(ROOM, sizeof *f->u);
    f->v    = calloc(ROOM, sizeof *f->v);
    *state  = f;
    return f->ctx && f->a && f->copy && f->s && f->mine && f->u && f->v ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    plm_graph_free(f->g);
    plm_ctx_free(f->ctx);
    free(f->a);
    free(f->copy);
    free(f->s);
    free(f->mine);
    free(f->u);
    free(f->v);
    free(f);
    return 0;
}

/* [rows,k] with orthonormal columns, column by column. */
static void orthonormal(double *q, int64_t rows, int64_t k, uint64_t seed, float *scratch)
{
    double tau[512];
    test_fill(scratch, rows * k, seed, -1, 1);
    for (int64_t i = 0; i < rows * k; i++) q[i] = (double)scratch[i];
    assert_int_equal(LAPACKE_dgeqrf(LAPACK_COL_MAJOR, (int)rows, (int)k, q, (int)rows, tau), 0);
    assert_int_equal(LAPACKE_dorgqr(LAPACK_COL_MAJOR, (int)rows, (int)k, (int)k, q, (int)rows, tau), 0);
}

static double singular_value(spectrum kind, int64_t i)
{
    switch (kind) {
    case RANK_ONE:
        return i == 0;
    case RANK_THREE:
        return i < 3 ? 1 / (1.0 + (double)i) : 0;
    case ZERO:
        return 0;
    case EQUAL:
        return 1;
    case PAIR:
        return i == 0 ? 1 : i == 1 ? 1 - 1e-4 : 0.5 / (double)i;
    case PLATEAU:
        return i == 0 ? 1.001 : 1;
    case GEOMETRIC:
        return pow(0.8, (double)i);
    case RANDOM:
        break;
    }
    return NAN;
}

/* f->a by the case, and its singular values by dgesvd in f->s. */
static void make(fixture *f, const matrix_case *c)
{
    const int64_t k = c->rows < c->cols ? c->rows : c->cols;
    if (c->kind == RANDOM) {
        test_fill(f->a, c->rows * c->cols, 3, -1, 1);
        for (int64_t i = 0; i < c->rows * c->cols; i++) f->a[i] = (float)(c->scale * (double)f->a[i]);
    } else {
        orthonormal(f->u, c->rows, k, 1, f->a);
        orthonormal(f->v, c->cols, k, 2, f->a);
        for (int64_t r = 0; r < c->rows; r++)
            for (int64_t col = 0; col < c->cols; col++) {
                double sum = 0;
                for (int64_t i = 0; i < k; i++)
                    sum += singular_value(c->kind, i) * f->u[i * c->rows + r] * f->v[i * c->cols + col];
                f->a[r * c->cols + col] = (float)(c->scale * sum);
            }
    }
    for (int64_t i = 0; i < c->rows * c->cols; i++) f->copy[i] = (double)f->a[i];
    assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'N', 'N', (int)c->rows, (int)c->cols, f->copy, (int)c->cols, f->s,
                                    NULL, 1, NULL, 1, f->mine),
                     0);
}

static void test_against_lapack(void **state)
{
    fixture           *f       = *state;
    const matrix_case *c       = f->of;
    const int64_t      k       = c->rows < c->cols ? c->rows : c->cols;
    double             squares = 0, sum = 0;
    make(f, c);
    for (int64_t i = 0; i < k; i++) {
        squares += f->s[i] * f->s[i];
        sum += f->s[i];
    }
    const double op = plm_operator_norm(f->ctx, f->a, c->rows, c->cols, NULL);
    assert_close(op, f->s[0], 0, 1e-6);
    assert_true(op <= f->s[0] * (1 + 1e-12));
    assert_close(plm_nuclear_norm(f->ctx, f->a, c->rows, c->cols), sum, 0, 1e-12);
    assert_close(plm_frobenius_norm(f->ctx, f->a, c->rows, c->cols), sqrt(squares), 0, 1e-12);
    assert_close(plm_stable_rank(f->ctx, f->a, c->rows, c->cols), squares > 0 ? squares / (f->s[0] * f->s[0]) : 0, 0,
                 3e-6);
    assert_true(plm_singular_values(f->ctx, f->a, c->rows, c->cols, f->mine));
    for (int64_t i = 0; i < k; i++) assert_close(f->mine[i], f->s[i], 1e-13 * f->s[0], 0);

    /* The kept vector is the singular vector, and a good start. */
    memset(f->u, 0, (size_t)k * sizeof *f->u);
    assert_true(plm_operator_norm(f->ctx, f->a, c->rows, c->cols, f->u) == op);
    double length = 0;
    for (int64_t i = 0; i < k; i++) length += f->u[i] * f->u[i];
    assert_close(length, 1, 0, 1e-12);
    double image = 0;
    for (int64_t i = 0; i < c->rows + c->cols - k; i++) {
        double y = 0;
        for (int64_t j = 0; j < k; j++)
            y += (double)(c->rows < c->cols ? f->a[j * c->cols + i] : f->a[i * c->cols + j]) * f->u[j];
        image += y * y;
    }
    assert_close(sqrt(image), op, 0, 1e-9);
    assert_close(plm_operator_norm(f->ctx, f->a, c->rows, c->cols, f->u), f->s[0], 0, 1e-6);
    assert_ok(f->ctx);
}

/* What was the singular vector may be one of a smaller singular value now; garbage is no start, and no error. */
static void test_kept_vector_that_misleads(void **state)
{
    fixture    *f     = *state;
    const float one[] = { 1, 0, 0, 0.5f }, two[] = { 1, 0, 0, 2 };
    double      kept[2] = { 0, 0 };
    assert_close(plm_operator_norm(f->ctx, one, 2, 2, kept), 1, 0, 1e-9);
    assert_close(fabs(kept[0]), 1, 0, 1e-9);
    assert_close(plm_operator_norm(f->ctx, two, 2, 2, kept), 2, 0, 1e-9);
    assert_close(fabs(kept[1]), 1, 0, 1e-9);
    for (int64_t i = 0; i < 50; i++) f->v[i] = i == 7; /* the least singular vector */
    memset(f->a, 0, 2500 * sizeof *f->a);
    for (int64_t i = 0; i < 50; i++) f->a[i * 51] = i == 7 ? 0.5f : 1 - 0.001f * (float)i;
    assert_close(plm_operator_norm(f->ctx, f->a, 50, 50, f->v), 1, 0, 1e-6);
    kept[0] = NAN;
    assert_close(plm_operator_norm(f->ctx, two, 2, 2, kept), 2, 0, 1e-9);
}

static void test_same_bits(void **state)
{
    fixture *f = *state;
    make(f, &(matrix_case){ "", 300, 290, GEOMETRIC, 1 });
    const double op      = plm_operator_norm(f->ctx, f->a, 300, 290, NULL),
                 nuclear = plm_nuclear_norm(f->ctx, f->a, 300, 290);
    for (int threads = 1; threads <= 4; threads++) {
        plm_ctx_free(f->ctx);
        f->ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = threads, .seed = (uint64_t)threads });
        assert_true(plm_operator_norm(f->ctx, f->a, 300, 290, NULL) == op);
        assert_true(plm_nuclear_norm(f->ctx, f->a, 300, 290) == nuclear);
    }
}

static void test_sentences(void **state)
{
    fixture *f    = *state;
    float    a[6] = { 1, 2, 3, 4, 5, 6 };
    assert_true(isnan(plm_operator_norm(f->ctx, NULL, 2, 3, NULL)));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_operator_norm: the matrix is NULL");
    assert_true(isnan(plm_nuclear_norm(f->ctx, a, 0, 3)));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_nuclear_norm: extent 0 of [0,3] is 0, expected at least 1");
    assert_true(isnan(plm_frobenius_norm(f->ctx, a, 1 << 30, INT64_C(1) << 40)));
    assert_error(f->ctx, PLM_ERR_SHAPE,
                 "plm_frobenius_norm: [1073741824,1099511627776] has too many elements to count");
    assert_false(plm_singular_values(f->ctx, a, 2, 3, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_singular_values: s is NULL");
    a[5] = INFINITY;
    assert_true(isnan(plm_stable_rank(f->ctx, a, 2, 3)));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "plm_stable_rank: element [1,2] of the matrix [2,3] is inf");
    assert_true(isnan(plm_operator_norm(NULL, a, 2, 3, NULL)));
    assert_true(plm_ctx_fail(f->ctx, PLM_ERR_STATE, "before") || isnan(plm_operator_norm(f->ctx, a, 1, 3, NULL)));
    assert_error(f->ctx, PLM_ERR_STATE, "before");
}

static void test_failing_allocations(void **state)
{
    fixture *f = *state;
    make(f, &(matrix_case){ "", 60, 50, RANDOM, 1 });
    for (int64_t k = 0, done = 0; !done; k++) {
        test_allocator a    = { .fail_at = k };
        plm_ctx       *ctx  = plm_ctx_new(&(plm_ctx_desc){ .allocator = test_allocator_make(&a) });
        const double   norm = plm_operator_norm(ctx, f->a, 60, 50, NULL), sum = plm_nuclear_norm(ctx, f->a, 60, 50);
        done = ctx && plm_ctx_status(ctx) == PLM_OK;
        if (ctx && !done) {
            assert_int_equal(plm_ctx_status(ctx), PLM_ERR_MEMORY);
            assert_true(isnan(sum));
        }
        if (done) assert_close(norm, f->s[0], 0, 1e-6);
        plm_ctx_free(ctx);
        assert_int_equal(a.outstanding, 0);
    }
}

/* ------------------------------------------------------------------ layers */

static void build(fixture *f)
{
    f->g       = plm_graph_new(f->ctx);
    plm_node h = plm_nn_input(f->g, plm_shape_of(4, 5, 5));
    h          = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "dense", .out = 20, .pad = 1 });
    h          = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "two", .out = 12, .kernel = 2, .groups = 2 });
    h          = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "each", .out = 12, .groups = 12, .pad = 1 });
    h          = plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "last", .out = 3, .bias = true });
    plm_graph_output(h, "y");
}

/* Element (r, c) of matrix i of a layer's row-major tensor. */
static float element(const plm_layer *l, const float *tensor, int i, int64_t r, int64_t c)
{
    const int64_t taps = l->kernel_h * l->kernel_w, group = i / taps, tap = i % taps, rows = l->d_out / l->groups;
    if (strcmp(l->kind, "embedding") == 0) return tensor[c * l->d_out + r];
    return tensor[((group * rows + r) * (l->d_in / l->groups) + c) * taps + tap];
}

static void compare_layer(fixture *f, int index, plm_layer_tensor of)
{
    const plm_layer *l    = plm_graph_layer(f->g, index);
    const int64_t    rows = l->d_out / l->groups, cols = l->d_in / l->groups,
                  n  = plm_shape_count(plm_param_shape(l->weight));
    const int count  = plm_layer_matrices(l);
    float    *tensor = f->a + ROOM / 2;
    double   *op = f->u, *nuclear = op + count, *frobenius = nuclear + count, *rank = frobenius + count;
    assert_int_equal(count * rows * cols, n);
    assert_true(n <= ROOM / 2);
    assert_true(of == PLM_OF_GRADIENT ? plm_param_read_grad(l->weight, tensor, n)
                                      : plm_param_read(l->weight, tensor, n));
    assert_true(plm_layer_read(f->g, index, of, f->a, n));
    memset(f->v, 0, (size_t)n * sizeof *f->v);
    for (int again = 0; again < 2; again++) /* the second time with kept vectors */
        assert_true(plm_layer_norms(
            f->g, index, of,
            &(plm_layer_norms_desc){
                .op = op, .nuclear = nuclear, .frobenius = frobenius, .stable_rank = rank, .kept = f->v }));
    for (int i = 0; i < count; i++) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++) {
                const float want = element(l, tensor, i, r, c);
                assert_true(f->a[(i * rows + r) * cols + c] == want);
                f->copy[r * cols + c] = (double)want;
            }
        assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'N', 'N', (int)rows, (int)cols, f->copy, (int)cols, f->s,
                                        NULL, 1, NULL, 1, f->mine),
                         0);
        double sum = 0, squares = 0;
        for (int64_t k = 0; k < (rows < cols ? rows : cols); k++) {
            sum += f->s[k];
            squares += f->s[k] * f->s[k];
        }
        assert_close(op[i], f->s[0], 0, 1e-6);
        assert_close(nuclear[i], sum, 0, 1e-12);
        assert_close(frobenius[i], sqrt(squares), 0, 1e-12);
        assert_close(rank[i], squares / (op[i] * op[i]), 0, 1e-9);
    }
}

static void backward(fixture *f, plm_shape shape)
{
    if (!f->tape) f->tape = plm_tape_new(f->ctx, NULL);
    const plm_val x = plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, shape, f->copy));
    assert_true(plm_backward(plm_mean(plm_square(plm_graph_apply(f->g, x)), NULL)));
    plm_tape_reset(f->tape);
}

static void test_layers(void **state)
{
    fixture *f = *state;
    build(f);
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    for (int i = 0; i < 4; i++) compare_layer(f, i, PLM_OF_WEIGHT); /* before anything has run */
    test_fill((float *)f->copy, 3 * 100, 8, -1, 1);
    backward(f, plm_shape_of(3, 4, 5, 5)); /* weights now lie as kernels like them */
    for (int i = 0; i < 4; i++) {
        compare_layer(f, i, PLM_OF_WEIGHT);
        compare_layer(f, i, PLM_OF_GRADIENT);
    }
}

static void test_table(void **state)
{
    fixture *f = *state;
    f->g       = plm_graph_new(f->ctx);
    plm_node h = plm_nn_input(f->g, plm_shape_of(2));
    h          = plm_nn_embedding(h, &(plm_embedding_desc){ .name = "table", .num = 6, .dim = 4 });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "last", .out = 3 }), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    const float x[4] = { 1, 5, 0, 3 };
    memcpy(f->copy, x, sizeof x);
    backward(f, plm_shape_of(2, 2));
    for (int i = 0; i < 2; i++) {
        compare_layer(f, i, PLM_OF_WEIGHT);
        compare_layer(f, i, PLM_OF_GRADIENT);
    }
}

static void test_layer_sentences(void **state)
{
    fixture *f = *state;
    double   op[9];
    float    w[720];
    build(f);
    const plm_layer_norms_desc out = { .op = op };
    assert_false(plm_layer_norms(f->g, 4, PLM_OF_WEIGHT, &out));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_layer_norms: layer 4, the graph has 4");
    assert_false(plm_layer_norms(f->g, 0, (plm_layer_tensor)2, &out));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_layer_norms: 2 is neither PLM_OF_WEIGHT nor PLM_OF_GRADIENT");
    assert_false(plm_layer_norms(f->g, 0, PLM_OF_WEIGHT, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_layer_norms: out is NULL");
    assert_false(plm_layer_norms(f->g, 0, PLM_OF_GRADIENT, &out));
    assert_error(f->ctx, PLM_ERR_STATE, "dense.weight has no gradient");
    assert_false(plm_layer_read(f->g, 0, PLM_OF_WEIGHT, w, 719));
    assert_error(f->ctx, PLM_ERR_SHAPE, "plm_layer_read: dense has 720 weights, not 719");
    assert_false(plm_layer_read(f->g, 0, PLM_OF_WEIGHT, NULL, 720));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_layer_read: dense: memory is NULL");
    assert_true(plm_layer_norms(f->g, 0, PLM_OF_WEIGHT, &out)); /* not initialised: zeros */
    for (int i = 0; i < 9; i++) assert_close(op[i], 0, 0, 0);
    assert_true(plm_layer_read(f->g, 0, PLM_OF_WEIGHT, w, 720));
    w[3] = NAN;
    assert_true(plm_param_write(plm_graph_layer(f->g, 0)->weight, w, 720));
    assert_false(plm_layer_norms(f->g, 0, PLM_OF_WEIGHT, &out));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "plm_layer_norms: the weight of dense holds nan");
    assert_int_equal(plm_layer_matrices(NULL), 0);
    assert_false(plm_layer_norms(NULL, 0, PLM_OF_WEIGHT, &out));
}

enum { CASES = sizeof cases / sizeof cases[0] };

int main(void)
{
    struct CMUnitTest tests[CASES + 7];
    for (int i = 0; i < CASES; i++)
        tests[i] =
            (struct CMUnitTest){ cases[i].name, test_against_lapack, setup, teardown, (void *)(uintptr_t)&cases[i] };
    const struct CMUnitTest others[] = {
        cmocka_unit_test_setup_teardown(test_kept_vector_that_misleads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sentences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_allocations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layer_sentences, setup, teardown),
    };
    memcpy(tests + CASES, others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_predict.c: inference on plain arrays is apply in evaluation mode, in chunks. */
#include "nets.h"

#include <math.h>

enum { MOST = 300, CLASSES = 7, IN = 3 * 8 * 8 };

/* Owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx   *ctx;
    plm_graph *g;
    plm_tape  *tape, *eval;
    float     *x, *y, *want;
    double    *wide;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }))) return -1;
    f->g    = net_vgg(f->ctx);
    f->tape = plm_tape_new(f->ctx, NULL);
    f->eval = plm_tape_new(f->ctx, &(plm_tape_desc){ .eval = true });
    f->x    = calloc(MOST * IN, sizeof(float));
    f->y    = calloc((MOST + 1) * CLASSES, sizeof(float));
    f->want = calloc(MOST * CLASSES, sizeof(float));
    f->wide = calloc(MOST * CLASSES, sizeof(double));
    *state  = f;
    if (!f->x || !f->y || !f->want || !f->wide) return -1;
    test_fill(f->x, MOST * IN, 1, -1, 1);
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    plm_tape_free(f->eval);
    plm_graph_free(f->g);
    plm_ctx_free(f->ctx);
    free(f->x);
    free(f->y);
    free(f->want);
    free(f->wide);
    free(f);
    return 0;
}

static plm_val apply(fixture *f, plm_tape *tape, int64_t from, int64_t n)
{
    return plm_graph_apply(f->g,
                           plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(n, 3, 8, 8), f->x + from * IN)));
}

static void test_equals_apply_in_evaluation_mode(void **state)
{
    fixture *f = *state;
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    for (int i = 0; i < 3; i++) { /* running statistics that are not those of the start */
        assert_true(plm_val_ok(apply(f, f->tape, 20 * i, 20)));
        plm_tape_reset(f->tape);
    }
    assert_true(plm_val_read(apply(f, f->eval, 0, MOST), f->want, MOST * CLASSES)); /* in one piece */
    for (int i = 0; i < MOST * CLASSES; i++) f->wide[i] = (double)f->want[i];
    static const int64_t sizes[] = { 1, 2, 127, 128, 129, 256, 300 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int64_t k = 0; k <= MOST * CLASSES; k++) f->y[k] = 77;
        assert_true(plm_graph_predict(f->g, f->x, sizes[i], f->y));
        assert_all_close(f->y, f->wide, sizes[i] * CLASSES, 1e-5);
        assert_true(f->y[sizes[i] * CLASSES] == 77); /* not one number more */
    }
    assert_ok(f->ctx);
}

static void test_leaves_training_alone(void **state)
{
    fixture *f = *state;
    float    before[8], after[8];
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    const plm_val out = apply(f, f->tape, 0, 10);
    plm_param    *var = plm_graph_param_named(f->g, "features.1.running_var");
    assert_true(plm_param_read(var, before, 8));
    assert_true(plm_graph_predict(f->g, f->x, 200, f->y)); /* in the middle of a step */
    assert_true(plm_param_read(var, after, 8));
    assert_memory_equal(before, after, sizeof before);
    assert_true(plm_val_ok(out));
    assert_true(plm_backward(plm_mean(plm_square(out), NULL)));
}

static void test_second_time_allocates_nothing(void **state)
{
    fixture *f = *state;
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    assert_true(plm_graph_predict(f->g, f->x, 200, f->y) && plm_graph_predict(f->g, f->x, 200, f->y));
    const plm_ctx_stats settled = plm_ctx_statistics(f->ctx);
    for (int i = 0; i < 5; i++) assert_true(plm_graph_predict(f->g, f->x, 200, f->y));
    assert_int_equal(plm_ctx_statistics(f->ctx).allocations, settled.allocations);
    assert_int_equal(plm_ctx_statistics(f->ctx).primitives, settled.primitives);
}

static void test_what_it_refuses(void **state)
{
    fixture *f = *state;
    assert_false(plm_graph_predict(f->g, f->x, 2, f->y));
    assert_error(f->ctx, PLM_ERR_STATE, "the weights are neither initialised nor loaded");
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    assert_true(plm_graph_predict(f->g, NULL, 0, NULL)); /* nothing to do */
    assert_false(plm_graph_predict(f->g, f->x, -1, f->y));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_predict: -1 samples, x given, y given");
    assert_false(plm_graph_predict(f->g, NULL, 3, f->y));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_graph_predict: 3 samples, x NULL, y given");
    assert_false(plm_graph_predict(f->g, f->x, 3, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "y NULL");
    assert_false(plm_graph_predict(NULL, f->x, 3, f->y));
    assert_true(plm_graph_predict(f->g, f->x, 3, f->y));
    assert_ok(f->ctx);
    const int64_t each   = plm_shape_count(plm_graph_input_shape(f->g));
    f->x[150 * each + 2] = INFINITY; /* beyond the first chunk */
    assert_false(plm_graph_predict(f->g, f->x, 200, f->y));
    assert_error(f->ctx, PLM_ERR_NONFINITE, "plm_graph_predict: sample 150 holds inf at element 2");
}

#define predict_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        predict_test(test_equals_apply_in_evaluation_mode),
        predict_test(test_leaves_training_alone),
        predict_test(test_second_time_allocates_nothing),
        predict_test(test_what_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_gate.c: the door of every public call that may run kernels. */
#include "support.h"

#include <omp.h>

#include "core/core.h"

enum { FOREIGN = 3 }; /* a thread count that is not the context's 2 */

static const float x[12] = { 1, -2, 3, 0.5f, 1, 2, 4, 5, -6, 0, 1, 1 };

/* A graph of one layer on [3], ready to run. */
typedef struct {
    plm_ctx       *ctx;
    plm_graph     *g;
    plm_optimizer *optimizer;
    plm_tape      *tape;
    int            threads; /* the caller's, before */
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }))) return -1;
    f->g = plm_graph_new(f->ctx);
    plm_graph_output(plm_nn_linear(plm_nn_input(f->g, plm_shape_of(3)), &(plm_linear_desc){ .out = 2 }), NULL);
    f->optimizer = plm_sgd_new(f->g, NULL);
    f->tape      = plm_tape_new(f->ctx, NULL);
    f->threads   = omp_get_max_threads();
    *state       = f;
    return f->optimizer && f->tape ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    omp_set_num_threads(f->threads);
    plm_tape_free(f->tape);
    plm_optimizer_free(f->optimizer);
    plm_graph_free(f->g);
    plm_ctx_free(f->ctx);
    free(f);
    return 0;
}

static plm_val input(fixture *f)
{
    return plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(4, 3), x));
}

typedef void (*call)(fixture *f, plm_val v);

static void call_op(fixture *f, plm_val v)
{
    (void)f;
    plm_square(v);
}

static void call_apply(fixture *f, plm_val v)
{
    plm_graph_apply(f->g, v);
}

static void call_predict(fixture *f, plm_val v)
{
    float y[8];
    (void)v;
    if (plm_graph_predict(f->g, x, 4, y)) print_error("it went through\n");
}

static void call_init(fixture *f, plm_val v)
{
    (void)v;
    plm_graph_init(f->g, PLM_INIT_AGD);
}

static void call_read(fixture *f, plm_val v)
{
    float y[12];
    (void)f;
    plm_val_read(v, y, 12);
}

static void call_backward(fixture *f, plm_val v)
{
    (void)f;
    if (plm_backward(v)) print_error("it went through\n");
}

static void call_step(fixture *f, plm_val v)
{
    (void)v;
    if (plm_optimizer_step(f->optimizer)) print_error("it went through\n");
}

static void call_param(fixture *f, plm_val v)
{
    float w[6];
    (void)v;
    plm_param_read(plm_graph_param(f->g, 0), w, 6);
}

static const struct {
    call        make;
    const char *name;
} calls[] = { { call_op, "square" },
              { call_apply, "plm_graph_apply" },
              { call_predict, "plm_graph_predict" },
              { call_init, "plm_graph_init" },
              { call_read, "plm_val_read" },
              { call_backward, "plm_backward" },
              { call_step, "plm_optimizer_step" },
              { call_param, "plm_param_read" } };

static void test_parallel_region_is_an_error(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char          sentence[128];
        const plm_val v = input(f);
        assert_ok(f->ctx);
#pragma omp parallel num_threads(2)
        {
#pragma omp master
            calls[i].make(f, v);
        }
        snprintf(sentence, sizeof sentence, "%s: called inside an OpenMP parallel region", calls[i].name);
        assert_error(f->ctx, PLM_ERR_STATE, sentence);
    }
    const plm_val y = plm_graph_apply(f->g, input(f)); /* and outside all is well */
    assert_ok(f->ctx);
    assert_true(plm_val_ok(y));
}

static void test_every_thread_of_a_region_may_knock(void **state)
{
    fixture      *f      = *state;
    const plm_val v      = input(f);
    int           values = 0;
#pragma omp parallel num_threads(2) reduction(+ : values)
    values += plm_val_ok(plm_square(v));
    assert_int_equal(values, 0);
    assert_error(f->ctx, PLM_ERR_STATE, "square: called inside an OpenMP parallel region");
}

static void test_inside_it_is_the_contexts_thread_count(void **state)
{
    fixture *f = *state;
    omp_set_num_threads(FOREIGN);
    omp_set_dynamic(1);
    assert_true(plm__enter(f->ctx, "outer"));
    assert_int_equal(omp_get_max_threads(), 2);
    assert_false(omp_get_dynamic());
    assert_true(plm__enter(f->ctx, "inner"));
    plm__leave(f->ctx);
    assert_int_equal(omp_get_max_threads(), 2); /* the outermost door restores */
    assert_false(omp_get_dynamic());
    plm__leave(f->ctx);
    assert_int_equal(omp_get_max_threads(), FOREIGN);
    assert_true(omp_get_dynamic());
    omp_set_dynamic(0);
}

static void test_callers_thread_count_is_restored(void **state)
{
    fixture *f = *state;
    float    y[8];
    omp_set_num_threads(FOREIGN);
    const plm_val loss = plm_mean(plm_square(plm_graph_apply(f->g, input(f))), NULL);
    assert_true(plm_backward(loss));
    assert_true(plm_optimizer_step(f->optimizer));
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD)); /* one thread while drawing */
    assert_true(plm_graph_predict(f->g, x, 4, y));
    assert_int_equal(omp_get_max_threads(), FOREIGN);
    plm_graph_apply(f->g, loss); /* also by a call that fails */
    assert_error(f->ctx, PLM_ERR_STATE, "plm_graph_apply: this tape has run its backward pass");
    assert_int_equal(omp_get_max_threads(), FOREIGN);
    assert_false(plm_optimizer_step(f->optimizer));
    assert_error(f->ctx, PLM_ERR_STATE, "no gradient");
    assert_int_equal(omp_get_max_threads(), FOREIGN);
}

static void test_closed_after_an_error(void **state)
{
    fixture *f = *state;
    plm_ctx_fail(f->ctx, PLM_ERR_IO, "before");
    assert_false(plm__enter(f->ctx, "call"));
    assert_false(plm__enter(NULL, "call"));
    assert_error(f->ctx, PLM_ERR_IO, "before");
}

#define gate_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        gate_test(test_parallel_region_is_an_error),
        gate_test(test_every_thread_of_a_region_may_knock),
        gate_test(test_inside_it_is_the_contexts_thread_count),
        gate_test(test_callers_thread_count_is_restored),
        gate_test(test_closed_after_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

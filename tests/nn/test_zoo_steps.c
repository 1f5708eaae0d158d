/* test_zoo_steps.c: networks of the zoo in use: a training step, a file. */
#include "support.h"

#include <math.h>

/* Owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx       *ctx;
    plm_graph     *g, *opened;
    plm_optimizer *optimizer;
    plm_tape      *tape;
    float         *x, *grad;
} fixture;

enum { IMAGE = 3 * 32 * 32, BATCH = 2, LARGEST = 512 * 512 * 9 };

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state     = f;
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = 3, .threads = 2 }))) return -1;
    f->g    = plm_graph_new(f->ctx);
    f->tape = plm_tape_new(f->ctx, NULL);
    f->x    = calloc(BATCH * IMAGE, sizeof(float));
    f->grad = calloc(LARGEST, sizeof(float));
    if (!f->tape || !f->x || !f->grad) return -1;
    test_fill(f->x, BATCH * IMAGE, 5, -2, 2);
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    plm_optimizer_free(f->optimizer);
    plm_graph_free(f->g);
    plm_graph_free(f->opened);
    plm_ctx_free(f->ctx);
    free(f->x);
    free(f->grad);
    free(f);
    return 0;
}

/* One step of AGD on two images. */
static void check_step(fixture *f)
{
    static const int64_t labels[BATCH] = { 7, 2 };
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH)); /* faster than orthogonal weights */
    f->optimizer = plm_agd_new(f->g, NULL);
    assert_ok(f->ctx);
    const plm_tensor x = plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, 3, 32, 32), f->x);
    const plm_tensor y = plm_tensor_wrap(PLM_I64, plm_shape_of(BATCH), labels);
    assert_true(plm_backward(plm_mse_onehot(plm_graph_apply(f->g, plm_tape_input(f->tape, x)), y, NULL)));
    for (int i = 0; i < plm_graph_layer_count(f->g); i++) {
        const plm_layer *l   = plm_graph_layer(f->g, i);
        const int64_t    n   = plm_shape_count(plm_param_shape(l->weight));
        double           sum = 0;
        assert_true(n <= LARGEST);
        assert_true(plm_param_read_grad(l->weight, f->grad, n));
        for (int64_t k = 0; k < n; k++) sum += fabs((double)f->grad[k]);
        if (!(isfinite(sum) && sum > 0)) print_error("%s: the sum of its gradient's sizes is %g\n", l->name, sum);
        assert_true(isfinite(sum) && sum > 0);
    }
    assert_true(plm_optimizer_step(f->optimizer));
    assert_int_equal(plm_ctx_statistics(f->ctx).reference_kernels, 0);
    plm_tape_reset(f->tape);
}

static void test_step_of_vgg11(void **state)
{
    fixture       *f = *state;
    const plm_node x = plm_nn_input(f->g, plm_shape_of(3, 32, 32));
    plm_graph_output(plm_zoo_vgg(x, 10, &(plm_vgg_desc){ .depth = 11 }), "logits");
    check_step(f);
}

/* And what it has learned goes into a file and comes out as the same network. */
static void test_step_and_file_of_resnet18(void **state)
{
    fixture       *f = *state;
    const plm_node x = plm_nn_input(f->g, plm_shape_of(3, 32, 32));
    plm_graph_output(plm_zoo_resnet(x, 10, NULL), "logits");
    check_step(f);
    const char *path = test_path("resnet18.safetensors");
    float       before[10 * BATCH], after[10 * BATCH];
    assert_true(plm_graph_save(f->g, path));
    f->opened = plm_graph_open(f->ctx, path);
    assert_ok(f->ctx);
    const int params = plm_graph_param_count(f->g);
    assert_int_equal(plm_graph_param_count(f->opened), params);
    assert_int_equal(plm_graph_node_count(f->opened), plm_graph_node_count(f->g));
    assert_int_equal(plm_graph_layer_count(f->opened), 21);
    for (int i = 0; i < params; i++) {
        const plm_param *a = plm_graph_param(f->g, i), *b = plm_graph_param(f->opened, i);
        assert_string_equal(plm_param_name(a), plm_param_name(b));
        assert_true(plm_shape_equal(plm_param_shape(a), plm_param_shape(b)));
    }
    assert_true(plm_graph_predict(f->g, f->x, BATCH, before) && plm_graph_predict(f->opened, f->x, BATCH, after));
    assert_memory_equal(before, after, sizeof before);
}

#define zoo_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        zoo_test(test_step_of_vgg11),
        zoo_test(test_step_and_file_of_resnet18),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_zoo_kernels.c: which kernels whole networks run, at the sizes people train with: none of oneDNN's slow reference
 * code, and after the first steps nothing is allocated and no primitive is created. */
#include "support.h"

enum { FULL = 128, SHORT = 80, IMAGE = 3 * 32 * 32, CLASSES = 10 }; /* 50,000 images leave a last batch of 80 */

/* Owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx       *ctx;
    plm_graph     *g;
    plm_optimizer *optimizer;
    plm_tape      *tape, *eval;
    float         *x;
    int64_t        labels[FULL];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state     = f;
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = 3, .threads = 2 }))) return -1;
    f->g    = plm_graph_new(f->ctx);
    f->tape = plm_tape_new(f->ctx, NULL);
    f->eval = plm_tape_new(f->ctx, &(plm_tape_desc){ .eval = true, .no_grad = true });
    f->x    = calloc(FULL * IMAGE, sizeof(float));
    if (!f->eval || !f->x) return -1;
    test_fill(f->x, FULL * IMAGE, 5, -2, 2);
    for (int i = 0; i < FULL; i++) f->labels[i] = i % CLASSES;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    plm_tape_free(f->eval);
    plm_optimizer_free(f->optimizer);
    plm_graph_free(f->g);
    plm_ctx_free(f->ctx);
    free(f->x);
    free(f);
    return 0;
}

static plm_val apply(fixture *f, plm_tape *tape, int64_t n)
{
    return plm_graph_apply(f->g, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(n, 3, 32, 32), f->x)));
}

static void train(fixture *f, int64_t n)
{
    const plm_tensor labels = plm_tensor_wrap(PLM_I64, plm_shape_of(n), f->labels);
    assert_true(plm_backward(plm_mse_onehot(apply(f, f->tape, n), labels, NULL)));
    assert_true(plm_optimizer_step(f->optimizer));
    plm_tape_reset(f->tape);
}

static void evaluate(fixture *f, int64_t n)
{
    assert_true(plm_val_ok(apply(f, f->eval, n)));
    plm_tape_reset(f->eval);
}

static void round_of_all(fixture *f)
{
    train(f, FULL);
    train(f, SHORT);
    evaluate(f, FULL);
    evaluate(f, SHORT);
    assert_ok(f->ctx);
}

/* Two rounds, in which parameters get their gradients' memory and the pool all its sizes; the third finds everything there. */
static void check_kernels(fixture *f, plm_node logits)
{
    plm_graph_output(logits, "logits");
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH)); /* faster than orthogonal weights */
    f->optimizer = plm_agd_new(f->g, NULL);
    assert_ok(f->ctx);
    round_of_all(f);
    round_of_all(f);
    const plm_ctx_stats before = plm_ctx_statistics(f->ctx);
    round_of_all(f);
    const plm_ctx_stats after = plm_ctx_statistics(f->ctx);
    assert_true(after.primitives > 0);
    assert_int_equal(after.reference_kernels, 0);
    assert_int_equal(after.primitives, before.primitives);
    assert_int_equal(after.allocations, before.allocations);
}

static plm_node input(fixture *f)
{
    return plm_nn_input(f->g, plm_shape_of(3, 32, 32));
}

static void test_fcn(void **state)
{
    check_kernels(*state, plm_zoo_fcn(input(*state), CLASSES, &(plm_fcn_desc){ .depth = 4, .width = 256 }));
}

static void test_vgg16(void **state)
{
    check_kernels(*state, plm_zoo_vgg(input(*state), CLASSES, NULL));
}

static void test_resnet18(void **state)
{
    check_kernels(*state, plm_zoo_resnet(input(*state), CLASSES, NULL));
}

static plm_node norm_relu(plm_node x)
{
    return plm_nn_relu(plm_nn_batch_norm(x, NULL), NULL);
}

/* Channels that are no multiple of any block: oneDNN's own choice of layout would fall into reference code here. */
static void test_twelve_channels(void **state)
{
    plm_node a = plm_nn_conv2d(input(*state), &(plm_conv2d_desc){ .out = 12, .kernel = 3, .pad = 1 });
    plm_node b = plm_nn_conv2d(norm_relu(a), &(plm_conv2d_desc){ .out = 12, .kernel = 3, .pad = 1 });
    b          = plm_nn_conv2d(norm_relu(plm_nn_add(a, b)), &(plm_conv2d_desc){ .out = 12, .kernel = 3, .stride = 2 });
    b          = plm_nn_max_pool2d(norm_relu(b), &(plm_pool2d_desc){ .kernel = 2 });
    b          = plm_nn_conv2d(b, &(plm_conv2d_desc){ .out = 24, .kernel = 1 });
    b          = plm_nn_avg_pool2d(norm_relu(b), &(plm_pool2d_desc){ .kernel = 7 });
    check_kernels(*state, plm_nn_linear(plm_nn_flatten(b), &(plm_linear_desc){ .out = CLASSES }));
}

#define kernels_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        kernels_test(test_fcn),
        kernels_test(test_vgg16),
        kernels_test(test_resnet18),
        kernels_test(test_twelve_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

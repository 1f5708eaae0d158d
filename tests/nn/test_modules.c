/* test_modules.c: activations with descs, dropout and layer norm as modules: what they compute is what their ops compute,
 * files keep their descs, and bad descs are refused by name. */
#include "builders.h"

#include <math.h>

enum { BATCH = 5, SIZE = 3 * 8 * 8 };

static float x[BATCH * SIZE], y[4][BATCH * SIZE];

static int fill_x(void **state)
{
    (void)state;
    test_fill(x, BATCH * SIZE, 1, -2, 2);
    return 0;
}

static plm_node chain(plm_node h)
{
    h = plm_nn_gelu(h, &(plm_gelu_desc){ .name = "g", .tanh = true });
    h = plm_nn_layer_norm(h, &(plm_layer_norm_desc){ .name = "n", .axes = 2, .eps = 0.25, .affine = true });
    h = plm_nn_leaky_relu(h, &(plm_leaky_relu_desc){ .name = "l", .slope = PLM_ZERO });
    h = plm_nn_leaky_relu(h, &(plm_leaky_relu_desc){ .slope = 0.3 });
    h = plm_nn_clamp(h, &(plm_clamp_desc){ .name = "c", .high = 1.25 });
    h = plm_nn_gelu(h, NULL);
    return plm_nn_dropout(h, &(plm_dropout_desc){ .name = "d", .p = PLM_ZERO });
}

static plm_val chain_of_ops(plm_tape *tape, plm_val h, plm_graph *g)
{
    const plm_val scale = plm_tape_param(tape, plm_graph_param_named(g, "n.weight"));
    const plm_val shift = plm_tape_param(tape, plm_graph_param_named(g, "n.bias"));
    h                   = plm_gelu(h, &(plm_gelu_op_desc){ .tanh = true });
    h                   = plm_layer_norm(h, scale, shift, &(plm_layer_norm_op_desc){ .axes = 2, .eps = 0.25 });
    h                   = plm_leaky_relu(h, &(plm_leaky_relu_op_desc){ .slope = PLM_ZERO });
    h                   = plm_leaky_relu(h, &(plm_leaky_relu_op_desc){ .slope = 0.3 });
    return plm_gelu(plm_clamp(h, 0, 1.25), NULL);
}

static plm_val input(plm_tape *tape)
{
    return plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, 3, 8, 8), x));
}

/* Also of the network that a file describes. */
static void test_modules_are_their_ops(void **state)
{
    fixture    *f = *state;
    float       drawn[64];
    const char *path = test_path("modules.safetensors");
    plm_graph_output(chain(f->x), "y");
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    test_fill(drawn, 64, 2, 0.5, 1.5);
    assert_true(plm_param_write(plm_graph_param_named(f->g, "n.weight"), drawn, 64));
    assert_true(plm_param_write(plm_graph_param_named(f->g, "n.bias"), drawn, 64));
    assert_true(plm_val_read(plm_graph_apply(f->g, input(f->tape)), y[0], BATCH * SIZE));
    plm_tape_reset(f->tape);
    assert_true(plm_val_read(chain_of_ops(f->tape, input(f->tape), f->g), y[1], BATCH * SIZE));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    plm_tape_reset(f->tape);

    assert_true(plm_graph_save(f->g, path));
    plm_graph_free(f->other);
    f->other = plm_graph_open(f->ctx, path);
    assert_ok(f->ctx);
    assert_true(plm_val_read(plm_graph_apply(f->other, input(f->tape)), y[1], BATCH * SIZE));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
}

static void run_dropout(plm_graph *g, bool eval, uint64_t step, float *out)
{
    plm_tape *tape = plm_tape_new(plm_graph_ctx(g), &(plm_tape_desc){ .eval = eval });
    plm_tape_set_step(tape, step);
    assert_true(plm_val_read(plm_graph_apply(g, input(tape)), out, BATCH * SIZE));
    plm_tape_free(tape);
}

static int64_t zeros(const float *values)
{
    int64_t count = 0;
    for (int i = 0; i < BATCH * SIZE; i++) count += values[i] == 0;
    return count;
}

/* A module draws by its name and the step, whatever else the graph holds. */
static void test_dropout_draws_by_name(void **state)
{
    fixture *f = *state;
    plm_graph_output(plm_nn_dropout(f->x, &(plm_dropout_desc){ .name = "d", .p = 0.25 }), "y");
    const plm_node same = plm_nn_leaky_relu(f->other_x, &(plm_leaky_relu_desc){ .slope = 1 }); /* the identity */
    plm_graph_output(plm_nn_dropout(same, &(plm_dropout_desc){ .name = "d", .p = 0.25 }), "y");
    run_dropout(f->g, false, 7, y[0]);
    run_dropout(f->other, false, 7, y[1]);
    run_dropout(f->g, false, 8, y[2]);
    run_dropout(f->g, true, 7, y[3]);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_not_equal(y[0], y[2], sizeof y[0]);
    assert_memory_equal(y[3], x, sizeof x);
    const double deviation = sqrt(BATCH * SIZE * 0.25 * 0.75);
    assert_true(fabs((double)zeros(y[0]) - BATCH * SIZE * 0.25) < 5 * deviation);
}

static void test_shapes_and_parameters(void **state)
{
    fixture       *f = *state;
    const plm_node n = plm_nn_layer_norm(f->x, &(plm_layer_norm_desc){ .name = "plain" });
    const plm_node m = plm_nn_layer_norm(n, &(plm_layer_norm_desc){ .name = "all", .axes = 3, .affine = true });
    assert_true(plm_shape_equal(plm_node_shape(m), plm_shape_of(3, 8, 8)));
    assert_null(plm_graph_param_named(f->g, "plain.weight"));
    assert_true(plm_shape_equal(plm_param_shape(plm_graph_param_named(f->g, "all.bias")), plm_shape_of(3, 8, 8)));
    assert_int_equal(plm_param_role(plm_graph_param_named(f->g, "all.weight")), PLM_ROLE_NORM_SCALE);
    plm_graph_output(m, "y");
    assert_null(plm_agd_new(f->g, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "agd: all.weight is a norm's affine parameter");
}

static void test_bad_descs(void **state)
{
    fixture *f = *state;
    plm_nn_dropout(f->x, &(plm_dropout_desc){ .name = "d", .p = 1 });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "dropout at d: p is 1, expected at least 0 and below 1");
    plm_nn_leaky_relu(f->x, &(plm_leaky_relu_desc){ .name = "l", .slope = NAN });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "leaky_relu at l: slope is nan");
    plm_nn_clamp(f->x, &(plm_clamp_desc){ .name = "c", .low = 1, .high = 1 });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "clamp at c: low is 1 and high 1, expected numbers, low < high");
    plm_nn_clamp(f->x, NULL);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "low is 0 and high 0");
    plm_nn_layer_norm(f->x, &(plm_layer_norm_desc){ .name = "n", .axes = 4 });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "layer_norm at n: axes is 4, its input is [3,8,8]");
    plm_nn_layer_norm(f->x, &(plm_layer_norm_desc){ .name = "n", .eps = INFINITY });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "layer_norm at n: eps is inf");
}

#define module_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { module_test(test_modules_are_their_ops),
                                        module_test(test_dropout_draws_by_name),
                                        module_test(test_shapes_and_parameters), module_test(test_bad_descs) };
    return cmocka_run_group_tests(tests, fill_x, NULL);
}

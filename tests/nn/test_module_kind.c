/* test_module_kind.c: modules of one's own: what can be asked of them, what they compute, how they train. */
#include "gradients.h"
#include "own_kinds.h"

#include <math.h>

/* ------------------------------------------------------------------ what can be asked */

static void test_facts(void **state)
{
    fixture      *f = *state;
    plm_node_info n;
    f->g = network(f->ctx, true);
    assert_ok(f->ctx);
    const plm_layer *l = plm_graph_layer(f->g, 0);
    assert_int_equal(plm_graph_layer_count(f->g), 2);
    assert_string_equal(l->name, "taps0");
    assert_string_equal(l->kind, "taps");
    assert_true(l->d_in == 4 && l->d_out == 4 && l->groups == 2 && l->kernel_h == 3 && l->kernel_w == 3);
    assert_true(l->depth == 1 && l->index == 0 && !l->bias && !l->table);
    l = plm_graph_layer(f->g, 1);
    assert_true(l->d_in == 36 && l->d_out == 5 && l->groups == 1 && l->kernel_h == 1 && l->depth == 2);
    assert_ptr_equal(l->weight, plm_graph_param_named(f->g, "project0.weight"));
    assert_ptr_equal(l->bias, plm_graph_param_named(f->g, "project0.bias"));
    assert_true(plm_graph_node_info(f->g, 2, &n));
    assert_string_equal(n.name, "act");
    assert_string_equal(n.kind, "swish");
    assert_true(n.lipschitz.known && n.depth == 1 && n.macs == 0);
    assert_close(n.lipschitz.factor, 1.1, 0, 1e-12);
    assert_true(plm_graph_node_info(f->g, 3, &n));
    assert_string_equal(n.name, "mix0");
    assert_true(n.input_count == 2 && n.inputs[0] == 2 && n.inputs[1] == 1 && !n.lipschitz.known);
    assert_true(plm_graph_node_info(f->g, 5, &n));
    assert_true(n.macs == 5 * 36 && n.param_count == 3 && n.depth == 2);
    assert_true(plm_graph_node_info(f->g, 6, &n));
    assert_string_equal(n.name, "swish1"); /* the second of its kind */
    assert_true(plm_shape_equal(plm_graph_output_shape(f->g), plm_shape_of(5)));
    const plm_graph_info all = plm_graph_summary(f->g);
    assert_true(all.layers == 2 && all.depth == 2 && all.macs == 5 * 36 &&
                all.parameters == 4 * 2 * 9 + 36 * 5 + 5 + 1);
}

static float first_of(plm_graph *g, const char *name)
{
    float      all[512];
    plm_param *p = plm_graph_param_named(g, name);
    assert_true(plm_param_read(p, all, count_of(p)));
    return all[0];
}

static void test_first_values(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, true);
    for (int scheme = PLM_INIT_AGD; scheme <= PLM_INIT_PYTORCH; scheme++) {
        const float wrong = 7;
        assert_true(plm_param_write(plm_graph_param_named(f->g, "mix0.share"), &wrong, 1));
        assert_true(plm_graph_init(f->g, (plm_init)scheme));
        assert_close(first_of(f->g, "mix0.share"), 0.75, 0, 0);
        assert_close(first_of(f->g, "project0.gain"), 0.5, 0, 0);
        if (scheme == PLM_INIT_AGD) assert_close(first_of(f->g, "project0.bias"), 0.25, 0, 0);
        else assert_true(fabsf(first_of(f->g, "project0.bias")) <= 1.0f / 6); /* 1/sqrt(fan_in) */
    }
}

/* ------------------------------------------------------------------ what they compute, and how they train */

static void test_gradients(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, true);
    check_gradients(f, plm_shape_of(3, 4, 3, 3));
}

/* linear -> relu -> linear, of the library's kinds or of our own with the same names, so with the same first weights. */
static plm_graph *two_layers(plm_ctx *ctx, bool own, bool grouped)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   x = plm_nn_input(g, plm_shape_of(4, 3, 3));
    if (grouped && own) x = plm_nn_module(&x, 1, &taps, NULL);
    if (grouped && !own) x = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "taps0", .out = 4, .pad = 1, .groups = 2 });
    x = plm_nn_flatten(x);
    x = own ? plm_nn_module(&x, 1, &project, &(project_desc){ .name = "a", .out = 8 })
            : plm_nn_linear(x, &(plm_linear_desc){ .name = "a", .out = 8 });
    x = plm_nn_relu(x, NULL);
    x = own ? plm_nn_module(&x, 1, &project, &(project_desc){ .name = "b", .out = 3 })
            : plm_nn_linear(x, &(plm_linear_desc){ .name = "b", .out = 3 });
    plm_graph_output(x, "y");
    return g;
}

static double train(fixture *f, plm_graph *g, int steps)
{
    double         eta = 0;
    plm_optimizer *o   = plm_agd_new(g, NULL);
    for (int i = 0; i < steps; i++) {
        const plm_val y =
            plm_graph_apply(g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(5, 4, 3, 3), f->x)));
        const bool ok = plm_backward(plm_mean(plm_square(y), NULL)) && plm_optimizer_step(o);
        assert_ok(f->ctx);
        assert_true(ok);
        eta = plm_optimizer_info(o)->eta;
        plm_tape_reset(f->tape);
    }
    plm_optimizer_free(o);
    return eta;
}

/* AGD cannot tell a weight layer of one's own from the library's: same L, same scales, same norms, same step. */
static void test_agd_steps_own_layers(void **state)
{
    fixture *f = *state;
    for (int grouped = 0; grouped <= 1; grouped++) {
        plm_graph_free(f->g);
        plm_graph_free(f->h);
        f->g = two_layers(f->ctx, true, grouped);
        f->h = two_layers(f->ctx, false, grouped);
        assert_close(train(f, f->g, 4), train(f, f->h, 4), 0, 1e-5);
        for (int i = 0; i < plm_graph_param_count(f->h); i++) {
            plm_param    *p = plm_graph_param(f->h, i);
            const int64_t n = count_of(p);
            assert_true(plm_param_read(p, f->b, n));
            assert_true(plm_param_read(plm_graph_param_named(f->g, plm_param_name(p)), f->a, n));
            for (int64_t k = 0; k < n; k++) f->want[k] = (double)f->b[k];
            assert_all_close(f->a, f->want, n, 1e-5);
        }
    }
}

/* An activation of one's own changes nothing of L: AGD steps what is around it. */
static void test_agd_passes_through(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    train(f, f->g, 2);
    assert_int_equal(plm_graph_layer_count(f->g), 2);
    f->h = network(f->ctx, true);
    assert_null(plm_agd_new(f->h, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "agd: project0.bias is a bias");
}

/* Layers of one's own have their place in the derivation of AGD's step. */
static void test_explain(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx, false);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    plm_explain *e = plm_explain_new(f->g, &(plm_explain_desc){ 0 });
    assert_ok(f->ctx);
    assert_non_null(e);
    plm_explain_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = { kind_test(test_facts),
                                        kind_test(test_first_values),
                                        kind_test(test_gradients),
                                        kind_test(test_agd_steps_own_layers),
                                        kind_test(test_agd_passes_through),
                                        kind_test(test_explain) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_modular.c: five steps of SGD and Adam in the modular norm, recomputed in double; sensitivities against graphs whose paths
 * can be counted. */
#include "by_hand.h"

typedef struct {
    bool   adam;
    double lr, b1, b2;
} rates;

static double raw(const double *s, int64_t k, int64_t i) /* the matrix itself */
{
    (void)k;
    return s[i];
}

/* `onward` [layers]: the sensitivity of what follows each. */
static void step_by_hand(small *s, const rates *r, const double *onward)
{
    static double u[SMALL_ROOM], same[SMALL_ROOM];
    double        L = 0;
    for (int i = 0; i < s->params; i++) L += !plm_param_frozen(s->param[i]);
    for (int i = 0; i < s->params; i++) {
        const plm_layer   *l      = hand_layer(s, i);
        const hand_extents e      = hand_extents_of(l, false);
        const double       target = r->lr / L / onward[l->index];
        if (plm_param_frozen(s->param[i])) continue;
        for (int64_t k = s->start[i]; k < s->start[i + 1]; k++) {
            s->m[k] = r->b1 * s->m[k] + (1 - r->b1) * s->grad[k];
            s->v[k] = r->b2 * s->v[k] + (1 - r->b2) * s->grad[k] * s->grad[k];
            u[k]    = !r->adam ? s->m[k] : s->v[k] > 0 ? s->m[k] / sqrt(s->v[k]) : 0;
        }
        double *w = s->w + s->start[i];
        for (int64_t m = 0; strcmp(l->kind, "embedding") != 0 && m < e.matrices; m++) {
            const double norm  = hand_spectral(l, false, m, u + s->start[i], same, raw, NULL);
            const double scale = sqrt((double)l->d_out / (double)l->d_in) / (l->kernel_h * l->kernel_w);
            for (int64_t k = 0; norm > 0 && k < e.rows * e.cols; k++) {
                const int64_t at = hand_at(l, false, m, k / e.cols, k % e.cols);
                w[at] -= target * scale * u[s->start[i] + at] / norm;
            }
        }
        for (int64_t row = 0; strcmp(l->kind, "embedding") == 0 && row < l->d_in; row++) {
            const double rms = small_norm(u + s->start[i] + row * l->d_out, l->d_out) / sqrt((double)l->d_out);
            for (int64_t k = row * l->d_out; rms > 0 && k < (row + 1) * l->d_out; k++)
                w[k] -= target * u[s->start[i] + k] / rms;
        }
    }
}

static void trajectory(small *s, const rates *want, const double *onward, const char *frozen)
{
    const plm_modular_sgd_desc  sgd  = { .lr = want->lr, .momentum = want->b1 };
    const plm_modular_adam_desc adam = { .lr = want->lr, .beta1 = want->b1, .beta2 = want->b2 };
    s->o                             = want->adam ? plm_modular_adam_new(s->g, &adam) : plm_modular_sgd_new(s->g, &sgd);
    assert_ok(s->ctx);
    small_begin(s);
    if (frozen) plm_param_freeze(plm_graph_param_named(s->g, frozen), true);
    for (int step = 1; step <= 5; step++) {
        small_backward(s, step, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        step_by_hand(s, want, onward);
        assert_close(plm_optimizer_info(s->o)->eta, want->lr, 0, 0);
        small_compare(s, 2e-5);
    }
}

static const rates sgd = { false, 0.3, 0.8, 0 }, adam = { true, 0.1, 0.5, 0.9 };

/* first, relu (scale 1), square, tanh, taps1, last. */
static const double dense[] = { 0.70710678118654752, 1, 1, 1 };

static void test_sgd(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, false);
    trajectory(s, &sgd, dense, NULL);
}

static void test_adam(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 17, false);
    trajectory(s, &adam, dense, "square.weight");
}

static void test_groups(void **state)
{
    const double ones[] = { 1, 1, 1, 1, 1 };
    small       *s      = *state;
    s->g                = small_grouped_network(s->ctx, 12);
    trajectory(s, &sgd, ones, NULL);
}

static void test_table(void **state)
{
    const double ones[] = { 1, 1 };
    small       *s      = *state;
    s->g                = small_table(s);
    trajectory(s, &adam, ones, NULL);
}

/* Two blocks y = x + f(x): what stands before one has two ways on; scaled ReLU is 1, sigmoid a quarter. */
static void test_paths(void **state)
{
    const plm_relu_desc scaled   = { .scale = 1.41421356237309505 };
    const double        onward[] = { 1 * 4 * 0.25, 2 * 0.25, 0.25, 1 };
    small              *s        = *state;
    s->g                         = plm_graph_new(s->ctx);
    plm_node h                   = plm_nn_linear(plm_nn_flatten(plm_nn_input(s->g, plm_shape_of(3, 4, 4))),
                                                 &(plm_linear_desc){ .name = "in", .out = 12 });
    h = plm_nn_add(h, plm_nn_relu(plm_nn_linear(h, &(plm_linear_desc){ .name = "a", .out = 12 }), &scaled));
    h = plm_nn_add(h, plm_nn_linear(h, &(plm_linear_desc){ .name = "b", .out = 12 }));
    h = plm_nn_linear(plm_nn_sigmoid(h, NULL), &(plm_linear_desc){ .name = "out", .out = 4 });
    plm_graph_output(h, "y");
    trajectory(s, &sgd, onward, NULL);
}

static void test_defaults(void **state)
{
    small *s = *state;
    for (int kind = 0; kind < 2; kind++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->g = small_network(s->ctx, 12, false);
        s->o = kind ? plm_modular_adam_new(s->g, NULL) : plm_modular_sgd_new(s->g, NULL);
        small_begin(s);
        memset(s->m, 0, SMALL_ROOM * sizeof *s->m);
        memset(s->v, 0, SMALL_ROOM * sizeof *s->v);
        for (int step = 0; step < 2; step++) {
            small_backward(s, step, SMALL_BATCH, 1, false);
            assert_true(plm_optimizer_step(s->o));
            step_by_hand(s, &(rates){ kind, 0.5, 0.9, 0.99 }, dense);
            small_compare(s, 2e-5);
        }
    }
}

static void test_zero_gradient(void **state)
{
    small *s = *state;
    for (int kind = 0; kind < 2; kind++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->g = small_network(s->ctx, 12, false);
        s->o = kind ? plm_modular_adam_new(s->g, NULL) : plm_modular_sgd_new(s->g, NULL);
        small_begin(s);
        small_backward(s, 0, SMALL_BATCH, 0, false);
        assert_true(plm_optimizer_step(s->o));
        small_compare(s, 0);
    }
}

/* A head beside the output, trained by a loss of its own: refused before anything moves; frozen, the rest trains. */
static void test_beside_the_output(void **state)
{
    small *s = *state;
    for (int kind = 0; kind < 2; kind++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->g             = plm_graph_new(s->ctx);
        plm_node h       = plm_nn_flatten(plm_nn_input(s->g, plm_shape_of(3, 4, 4)));
        h                = plm_nn_linear(h, &(plm_linear_desc){ .name = "in", .out = 6 });
        const plm_node b = plm_nn_linear(h, &(plm_linear_desc){ .name = "beside", .out = 2 });
        plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "out", .out = 4 }), "y");
        plm_node_keep(b);
        s->o = kind ? plm_modular_adam_new(s->g, NULL) : plm_modular_sgd_new(s->g, NULL);
        small_begin(s);
        for (int frozen = 0; frozen < 2; frozen++) {
            const plm_tensor x = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 4, 4), s->x);
            plm_param_freeze(plm_graph_param_named(s->g, "beside.weight"), frozen);
            const plm_val y = plm_graph_apply(s->g, plm_tape_input(s->tape, x)), z = plm_node_value(b, s->tape);
            assert_true(plm_backward(plm_add(plm_mean(plm_square(y), NULL), plm_mean(plm_square(z), NULL))));
            plm_tape_reset(s->tape);
            if (frozen) {
                assert_true(plm_optimizer_step(s->o));
                continue;
            }
            assert_false(plm_optimizer_step(s->o));
            assert_error(s->ctx, PLM_ERR_ARGUMENT, ": beside.weight does not change the output");
            small_compare(s, 0);
        }
    }
}

static void test_sentences(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    assert_null(plm_modular_sgd_new(s->g, NULL));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "modular-sgd: first.bias is a bias, for which it has no rule");
    assert_null(plm_modular_adam_new(s->g, &(plm_modular_adam_desc){ .beta2 = 1 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "modular-adam: beta2 is 1");
    assert_null(plm_modular_sgd_new(NULL, NULL));
    assert_null(plm_modular_adam_new(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_sgd),           small_test(test_adam),      small_test(test_groups),
        small_test(test_table),         small_test(test_paths),     small_test(test_defaults),
        small_test(test_zero_gradient), small_test(test_sentences), small_test(test_beside_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

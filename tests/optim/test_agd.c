/* test_agd.c: Automatic Gradient Descent against its algorithm box, written out in double. */
#include "small.h"

/* What one step of arXiv 2304.05187, algorithm 1 does with s->w and s->grad; frozen weights do not count. */
typedef struct {
    double G, eta;
    int    L;
} outcome;

static int64_t groups_of(const small *s, const plm_param *p)
{
    if (strcmp(plm_param_name(p), "depth.weight") == 0) return plm_param_shape(p).dim[0];
    if (strcmp(plm_param_name(p), "two.weight") == 0) return 2;
    return plm_graph_param_named(s->g, "depth.weight") && strcmp(plm_param_name(p), "taps1.weight") == 0 ? 2 : 1;
}

static outcome agd_by_hand(small *s, double gain)
{
    outcome r = { 0 };
    for (int i = 0; i < plm_graph_layer_count(s->g); i++) r.L += !plm_param_frozen(plm_graph_layer(s->g, i)->weight);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < s->params; i++) {
            const plm_shape shape = plm_param_shape(s->param[i]);
            if (plm_param_frozen(s->param[i])) continue;
            const int64_t taps = shape.rank == 4 ? shape.dim[2] * shape.dim[3] : 1, groups = groups_of(s, s->param[i]);
            const bool    table = strcmp(plm_param_name(s->param[i]), "table.weight") == 0; /* [d_in,d_out] */
            const int64_t each  = shape.dim[0] / groups * shape.dim[1];                     /* d_k/g x d_{k-1}/g */
            const double  scale = sqrt((double)shape.dim[table] / (double)(groups * shape.dim[!table] * taps));
            for (int64_t of = 0; of < groups * taps; of++) {
                const int64_t at = s->start[i] + of / taps * each * taps + of % taps; /* group by group, tap by tap */
                double       *w = s->w + at, squares = 0;
                const double *g = s->grad + at;
                for (int64_t k = 0; k < each; k++) squares += g[k * taps] * g[k * taps];
                if (pass == 0) r.G += scale * sqrt(squares) / r.L;
                for (int64_t k = 0; pass == 1 && squares > 0 && k < each; k++)
                    w[k * taps] -= gain * r.eta / r.L * scale * g[k * taps] / sqrt(squares);
            }
        }
        r.eta = log((1 + sqrt(1 + 4 * r.G)) / 2);
    }
    return r;
}

/* Three steps of s->g. */
static void steps_by_hand(small *s, double gain, const char *frozen)
{
    s->o = plm_agd_new(s->g, &(plm_agd_desc){ .gain = gain });
    small_begin(s);
    if (frozen) plm_param_freeze(plm_graph_param_named(s->g, frozen), true);
    for (int step = 1; step <= 3; step++) {
        small_backward(s, step, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        const outcome        want = agd_by_hand(s, gain != 0 ? gain : 1);
        const plm_step_info *info = plm_optimizer_info(s->o);
        assert_int_equal(want.L, plm_graph_layer_count(s->g) - (frozen != NULL));
        assert_int_equal(info->step, step);
        assert_close(info->G, want.G, 0, 1e-12);
        assert_close(info->eta, want.eta, 0, 1e-12);
        assert_close(info->grad_norm, small_norm(s->grad, s->start[s->params]), 0, 1e-12);
        small_compare(s, 1e-6);
    }
}

static void dense_by_hand(small *s, int64_t width, double gain, const char *frozen)
{
    s->g = small_network(s->ctx, width, false);
    steps_by_hand(s, gain, frozen);
}

/* Every tap of every group has a norm of its own; 70 channels: more than one part of a sum. */
static void test_groups(void **state)
{
    static const int64_t widths[] = { 12, 70 };
    small               *s        = *state;
    for (int i = 0; i < 2; i++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->o = NULL;
        s->g = small_grouped_network(s->ctx, widths[i]);
        steps_by_hand(s, 0, i ? "two.weight" : NULL);
    }
}

static void test_12_channels(void **state)
{
    dense_by_hand(*state, 12, 0, NULL);
}

/* Weights larger than the parts in which sums are taken. */
static void test_70_channels(void **state)
{
    dense_by_hand(*state, 70, 0, NULL);
}

static void test_gain(void **state)
{
    dense_by_hand(*state, 17, 2.5, NULL);
}

static void test_frozen_convolution(void **state)
{
    dense_by_hand(*state, 12, 0, "square.weight");
}

static void test_frozen_linear(void **state)
{
    dense_by_hand(*state, 12, 0, "last.weight");
}

static void test_embedding(void **state)
{
    small *s = *state;
    s->g     = small_table(s);
    steps_by_hand(s, 0, NULL);
}

static void test_frozen_embedding(void **state)
{
    small *s = *state;
    s->g     = small_table(s);
    steps_by_hand(s, 0, "table.weight");
}

/* An embedding is a linear map of one-hot vectors: the same steps on the same weights, transposed. */
static void test_embedding_is_linear_on_one_hot(void **state)
{
    enum { NUM = 9, DIM = 6, BATCH = 11 };
    small   *s = *state;
    float    number[BATCH], hot[BATCH * NUM] = { 0 }, w[NUM * DIM], t[NUM * DIM];
    plm_node h = plm_nn_input(s->g = plm_graph_new(s->ctx), plm_shape_of(1));
    h          = plm_nn_flatten(plm_nn_embedding(h, &(plm_embedding_desc){ .name = "a", .num = NUM, .dim = DIM }));
    plm_graph_output(plm_nn_linear(plm_nn_tanh(h, NULL), &(plm_linear_desc){ .name = "b", .out = 3 }), NULL);
    h = plm_nn_input(s->h = plm_graph_new(s->ctx), plm_shape_of(NUM));
    h = plm_nn_linear(h, &(plm_linear_desc){ .name = "a", .out = DIM });
    plm_graph_output(plm_nn_linear(plm_nn_tanh(h, NULL), &(plm_linear_desc){ .name = "b", .out = 3 }), NULL);
    s->o      = plm_agd_new(s->g, NULL);
    s->second = plm_agd_new(s->h, NULL);
    assert_ok(s->ctx);
    assert_true(plm_param_read(plm_graph_param(s->g, 0), w, NUM * DIM));
    for (int i = 0; i < NUM * DIM; i++) t[i % DIM * NUM + i / DIM] = w[i];
    assert_true(plm_param_write(plm_graph_param(s->h, 0), t, NUM * DIM));
    for (int i = 0; i < BATCH; i++) {
        number[i]                            = (float)(i * i % NUM);
        hot[i * NUM + (int)(float)number[i]] = 1;
    }
    const plm_tensor x[] = { plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, 1), number),
                             plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, NUM), hot) };
    for (int step = 0; step < 5; step++) {
        for (int k = 0; k < 2; k++) {
            const plm_val y = plm_graph_apply(k ? s->h : s->g, plm_tape_input(s->tape, x[k]));
            assert_true(plm_backward(plm_mean(plm_square(plm_add(y, plm_exp(y))), NULL)));
            plm_tape_reset(s->tape);
        }
        assert_true(plm_optimizer_step(s->o) && plm_optimizer_step(s->second));
        assert_close(plm_optimizer_info(s->o)->eta, plm_optimizer_info(s->second)->eta, 0, 1e-6);
    }
    assert_true(plm_param_read(plm_graph_param(s->g, 0), w, NUM * DIM));
    assert_true(plm_param_read(plm_graph_param(s->h, 0), t, NUM * DIM));
    for (int i = 0; i < NUM * DIM; i++) s->w[i] = (double)t[i % DIM * NUM + i / DIM];
    assert_all_close(w, s->w, NUM * DIM, 1e-5);
}

static void test_gain_scales_the_step_and_nothing_else(void **state)
{
    small *s = *state;
    double eta[2], update[2];
    for (int i = 0; i < 2; i++) {
        s->g = small_network(s->ctx, 12, false);
        s->o = plm_agd_new(s->g, &(plm_agd_desc){ .gain = i ? 10 : 0 });
        small_begin(s);
        small_backward(s, 0, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        eta[i]    = plm_optimizer_info(s->o)->eta;
        update[i] = plm_optimizer_info(s->o)->update_mean;
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->o = NULL;
        s->g = NULL;
    }
    assert_close(eta[1], eta[0], 0, 0);
    assert_close(update[1], 10 * update[0], 0, 1e-6);
}

/* On a 1x1 image padded by 1 only the middle tap of 3x3 sees anything. */
static void test_tap_without_gradient_is_left_alone(void **state)
{
    small   *s = *state;
    plm_node h = plm_nn_input(s->g = plm_graph_new(s->ctx), plm_shape_of(48, 1, 1));
    plm_graph_output(plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "c", .out = 6, .pad = 1 }), NULL);
    s->o = plm_agd_new(s->g, NULL);
    small_begin(s);
    const plm_tensor x = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 48, 1, 1), s->x);
    assert_true(plm_backward(plm_sum(plm_square(plm_graph_apply(s->g, plm_tape_input(s->tape, x))), NULL)));
    assert_true(plm_param_read_grad(s->param[0], s->buffer, 6 * 48 * 9));
    for (int64_t k = 0; k < 6 * 48 * 9; k++) {
        s->grad[k] = (double)s->buffer[k];
        assert_true((s->grad[k] == 0) == (k % 9 != 4));
    }
    assert_true(plm_optimizer_step(s->o));
    assert_true(plm_param_read(s->param[0], s->buffer, 6 * 48 * 9));
    for (int64_t k = 0; k < 6 * 48 * 9; k++) assert_true(((double)s->buffer[k] == s->w[k]) == (k % 9 != 4));
    agd_by_hand(s, 1);
    small_compare(s, 1e-6);
}

/* Gradients near the end of float: the step has the prescribed length all the same. */
static void test_tiny_gradient_makes_no_giant_step(void **state)
{
    static const double sizes[] = { 1e-20, 1e-30, 1e-36 };
    small              *s       = *state;
    plm_node            h       = plm_nn_input(s->g = plm_graph_new(s->ctx), plm_shape_of(48));
    h                           = plm_nn_linear(h, &(plm_linear_desc){ .name = "a", .out = 20 });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "b", .out = 5 }), NULL);
    s->o = plm_agd_new(s->g, NULL);
    small_begin(s);
    for (int i = 0; i < 3; i++) {
        test_fill(s->buffer, 100, 4, -sizes[i], sizes[i]);
        assert_true(plm_param_write(plm_graph_param_named(s->g, "b.weight"), s->buffer, 100));
        small_begin(s);
        const plm_tensor x = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 48), s->x);
        assert_true(plm_backward(plm_sum(plm_graph_apply(s->g, plm_tape_input(s->tape, x)), NULL)));
        plm_tape_reset(s->tape);
        assert_true(plm_optimizer_step(s->o));
        assert_true(plm_param_read(plm_graph_param_named(s->g, "a.weight"), s->buffer, 48 * 20));
        for (int64_t k = 0; k < 48 * 20; k++) s->grad[k] = (double)s->buffer[k] - s->w[k];
        assert_close(small_norm(s->grad, 48 * 20), plm_optimizer_info(s->o)->eta / 2 * sqrt(20.0 / 48), 0, 1e-4);
    }
}

static void test_refuses_what_it_has_no_rule_for(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, true);
    assert_null(plm_agd_new(s->g, NULL));
    assert_error(s->ctx, PLM_ERR_ARGUMENT,
                 "agd: first.bias is a bias, for which Automatic Gradient Descent has no rule");
    plm_param_freeze(plm_graph_param_named(s->g, "first.bias"), true);
    assert_null(plm_agd_new(s->g, NULL));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: last.bias is a bias");
    plm_param_freeze(plm_graph_param_named(s->g, "last.bias"), true);
    s->o = plm_agd_new(s->g, NULL);
    assert_non_null(s->o);
    small_begin(s);
    small_backward(s, 0, SMALL_BATCH, 1, false);
    plm_param_freeze(plm_graph_param_named(s->g, "last.bias"), false); /* thawed later: refused by the step */
    assert_false(plm_optimizer_step(s->o));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: last.bias is a bias");
    small_compare(s, 0);

    plm_node h = plm_nn_input(s->h = plm_graph_new(s->ctx), plm_shape_of(3));
    plm_graph_output(plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "bn", .affine = true }), NULL);
    assert_null(plm_agd_new(s->h, NULL));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: bn.weight is a norm's affine parameter, for which");
}

static void test_bad_gain(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, false);
    static const struct {
        double      gain;
        const char *sentence;
    } bad[] = { { -1, "agd: gain is -1, expected a positive number" }, { INFINITY, "gain is inf" }, { NAN, "nan" } };
    for (int i = 0; i < 3; i++) {
        assert_null(plm_agd_new(s->g, &(plm_agd_desc){ .gain = bad[i].gain }));
        assert_error(s->ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
    assert_null(plm_agd_new(NULL, NULL));
}

static void test_probe_changes_nothing(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, false);
    s->o     = plm_agd_new(s->g, NULL);
    small_begin(s);
    assert_true(isnan(plm_optimizer_info(s->o)->eta)); /* nothing known yet */
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_probe(s->o));
    small_compare(s, 0);
    const plm_step_info *info = plm_optimizer_info(s->o);
    const double         eta = info->eta, G = info->G;
    assert_int_equal(info->step, 0);
    assert_close(info->update_mean, 0, 0, 0);
    assert_false(plm_optimizer_step(s->o)); /* the gradients count as used */
    assert_error(s->ctx, PLM_ERR_STATE, "agd: first.weight has no gradient since the last step");
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_step(s->o));
    assert_close(info->eta, eta, 0, 0);
    assert_close(info->G, G, 0, 0);
    assert_int_equal(info->step, 1);
    assert_close(info->eta, agd_by_hand(s, 1).eta, 0, 1e-12);
    small_compare(s, 1e-6);
}

/* Biases and affine norms under the heuristic: b -= gain (eta / L) s_k g_b / ||g_k||_F, with the weights as ever. */
static void heuristics_by_hand(small *s, double gain, const double *before)
{
    const plm_step_info *info = plm_optimizer_info(s->o);
    const plm_layer     *l    = NULL;
    for (int p = 0, of = 0; p < s->params; p++) {
        if (plm_param_role(s->param[p]) == PLM_ROLE_STATISTIC) continue;
        for (int i = 0; i < plm_graph_layer_count(s->g); i++)
            if (plm_graph_layer(s->g, i)->weight == s->param[p]) {
                l  = plm_graph_layer(s->g, i);
                of = p;
            }
        assert_non_null(l);
        if (of == p) continue;
        const double norm  = small_norm(s->grad + s->start[of], s->start[of + 1] - s->start[of]);
        const double scale = sqrt((double)l->d_out / (double)(l->d_in * l->kernel_h * l->kernel_w));
        for (int64_t k = s->start[p]; k < s->start[p + 1]; k++)
            s->w[k] = before[k] - gain * info->eta / plm_graph_layer_count(s->g) * scale * s->grad[k] / norm;
    }
}

static void test_heuristics(void **state)
{
    small   *s = *state;
    plm_node h = plm_nn_input(s->g = plm_graph_new(s->ctx), plm_shape_of(3, 4, 4));
    h          = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "conv", .out = 12, .pad = 1, .bias = true });
    h          = plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "norm", .affine = true });
    h          = plm_nn_flatten(plm_nn_relu(h, NULL));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "last", .out = 4, .bias = true }), NULL);
    s->o = plm_agd_new(s->g, &(plm_agd_desc){ .gain = 1.5, .heuristics = true });
    small_begin(s);
    static const double first[] = { 0, 1, 0, 0 };
    const char         *names[] = { "conv.bias", "norm.weight", "norm.bias", "last.bias" };
    for (int i = 0; i < 4; i++) {
        float b[12];
        assert_true(plm_param_read(plm_graph_param_named(s->g, names[i]), b, i < 3 ? 12 : 4));
        for (int k = 0; k < (i < 3 ? 12 : 4); k++) assert_close((double)b[k], first[i], 0, 0);
    }
    for (int step = 0; step < 3; step++) {
        double *before = s->v;
        small_begin(s); /* the statistics have moved */
        const plm_tensor x = plm_tensor_wrap(PLM_F32, plm_shape_of(SMALL_BATCH, 3, 4, 4), s->x + step * 48);
        const plm_val    y = plm_graph_apply(s->g, plm_tape_input(s->tape, x));
        assert_true(plm_backward(plm_mean(plm_square(plm_add(y, plm_exp(y))), NULL)));
        plm_tape_reset(s->tape);
        for (int p = 0; p < s->params; p++) {
            const int64_t n = s->start[p + 1] - s->start[p];
            if (plm_param_role(s->param[p]) == PLM_ROLE_STATISTIC) {
                assert_true(plm_param_read(s->param[p], s->buffer, n));
                for (int64_t k = 0; k < n; k++) s->w[s->start[p] + k] = (double)s->buffer[k];
                continue;
            }
            assert_true(plm_param_read_grad(s->param[p], s->buffer, n));
            for (int64_t k = 0; k < n; k++) s->grad[s->start[p] + k] = (double)s->buffer[k];
        }
        memcpy(before, s->w, (size_t)s->start[s->params] * sizeof *before);
        assert_true(plm_optimizer_step(s->o));
        double G = 0;
        for (int i = 0; i < 2; i++) { /* of the weights alone */
            const plm_layer *l = plm_graph_layer(s->g, i);
            for (int p = 0; p < s->params; p++) {
                if (s->param[p] != l->weight) continue;
                const int     taps  = l->kernel_h * l->kernel_w;
                const double  scale = sqrt((double)l->d_out / (double)(l->d_in * taps));
                const int64_t n     = s->start[p + 1] - s->start[p];
                for (int t = 0; t < taps; t++) {
                    double square = 0;
                    for (int64_t k = t; k < n; k += taps) square += pow(s->grad[s->start[p] + k], 2);
                    G += scale * sqrt(square) / 2;
                    for (int64_t k = t; k < n; k += taps)
                        s->w[s->start[p] + k] -=
                            1.5 * plm_optimizer_info(s->o)->eta / 2 * scale * s->grad[s->start[p] + k] / sqrt(square);
                }
            }
        }
        assert_close(plm_optimizer_info(s->o)->G, G, 0, 1e-12);
        assert_close(plm_optimizer_info(s->o)->eta, log((1 + sqrt(1 + 4 * G)) / 2), 0, 1e-12);
        heuristics_by_hand(s, 1.5, before);
        small_compare(s, 1e-6);
    }
}

static void test_heuristics_without_a_layer(void **state)
{
    small   *s = *state;
    plm_node h = plm_nn_input(s->g = plm_graph_new(s->ctx), plm_shape_of(3, 4, 4));
    h          = plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "norm", .affine = true });
    plm_graph_output(plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "conv", .out = 2, .bias = true }), NULL);
    const plm_agd_desc with = { .heuristics = true };
    assert_null(plm_agd_new(s->g, &with));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: norm.weight has no layer to move with: no weight comes before it");
    plm_param_freeze(plm_graph_param_named(s->g, "norm.weight"), true);
    plm_param_freeze(plm_graph_param_named(s->g, "norm.bias"), true);
    plm_param_freeze(plm_graph_param_named(s->g, "conv.weight"), true);
    assert_null(plm_agd_new(s->g, &with));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: conv.bias has no layer to move with: its weight is frozen");
    plm_param_freeze(plm_graph_param_named(s->g, "conv.weight"), false);
    s->o = plm_agd_new(s->g, &with);
    assert_ok(s->ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_12_channels),
        small_test(test_groups),
        small_test(test_70_channels),
        small_test(test_gain),
        small_test(test_frozen_convolution),
        small_test(test_frozen_linear),
        small_test(test_embedding),
        small_test(test_frozen_embedding),
        small_test(test_embedding_is_linear_on_one_hot),
        small_test(test_gain_scales_the_step_and_nothing_else),
        small_test(test_tap_without_gradient_is_left_alone),
        small_test(test_tiny_gradient_makes_no_giant_step),
        small_test(test_refuses_what_it_has_no_rule_for),
        small_test(test_bad_gain),
        small_test(test_probe_changes_nothing),
        small_test(test_heuristics),
        small_test(test_heuristics_without_a_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

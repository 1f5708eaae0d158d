/* test_spectral_agd.c: spectral AGD against its formulas, written out in double with LAPACK's singular value decomposition. */
#include "by_hand.h"

enum { STEPS = 5 };

/* One step on s->w with s->grad; the numbers that the optimiser should report. */
static void step_by_hand(small *s, double gain, double *G, double *eta)
{
    double L = 0;
    for (int i = 0; i < s->params; i++) L += !plm_param_frozen(s->param[i]);
    *G = 0;
    for (int i = 0; i < s->params; i++) {
        const plm_layer *l     = hand_layer(s, i);
        const double     scale = sqrt((double)l->d_out / (double)(l->d_in * l->kernel_h * l->kernel_w));
        if (plm_param_frozen(s->param[i])) continue;
        for (int m = 0; m < plm_layer_matrices(l); m++) {
            double nuclear = 0;
            hand_spectral(l, false, m, s->grad + s->start[i], s->m + s->start[i], hand_polar,
                          &nuclear); /* U V^T into m */
            *G += scale * nuclear / L;
        }
    }
    *eta = log((1 + sqrt(1 + 4 * *G)) / 2);
    for (int i = 0; i < s->params; i++) {
        const plm_layer *l     = hand_layer(s, i);
        const double     scale = sqrt((double)l->d_out / (double)(l->d_in * l->kernel_h * l->kernel_w));
        if (plm_param_frozen(s->param[i])) continue;
        for (int64_t k = s->start[i]; k < s->start[i + 1]; k++) s->w[k] -= gain * *eta / L * scale * s->m[k];
    }
}

static void trajectory(small *s, double gain, const char *frozen)
{
    s->o = plm_spectral_agd_new(s->g, &(plm_spectral_agd_desc){ .gain = gain });
    small_begin(s);
    if (frozen) plm_param_freeze(plm_graph_param_named(s->g, frozen), true);
    for (int step = 1; step <= STEPS; step++) {
        double G, eta;
        small_backward(s, step, 32, 1, false);
        assert_true(plm_optimizer_step(s->o));
        assert_ok(s->ctx);
        step_by_hand(s, gain == 0 ? 1 : gain, &G, &eta);
        const plm_step_info *info = plm_optimizer_info(s->o);
        assert_int_equal(info->step, step);
        assert_close(info->G, G, 0, 1e-4);
        assert_close(info->eta, eta, 0, 1e-4);
        small_compare(s, 5e-4); /* rounding in the planes of small singular values: 1 % of a step */
    }
}

static void test_dense(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, false);
    trajectory(s, 0, NULL);
}

static void test_gain_and_frozen(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 17, false);
    trajectory(s, 0.5, "square.weight");
}

static void test_groups(void **state)
{
    small *s = *state;
    s->g     = small_grouped_network(s->ctx, 12);
    trajectory(s, 0, NULL);
}

static void test_table(void **state)
{
    small *s = *state;
    s->g     = small_table(s);
    trajectory(s, 0, NULL);
}

/* With one sample a linear layer's gradient has rank 1, and so AGD takes the same step. */
static void test_rank_one_is_agd(void **state)
{
    small *s = *state;
    for (int kind = 0; kind < 2; kind++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->g       = plm_graph_new(s->ctx);
        plm_node h = plm_nn_flatten(plm_nn_input(s->g, plm_shape_of(3, 4, 4)));
        h          = plm_nn_linear(h, &(plm_linear_desc){ .name = "one", .out = 20 });
        plm_graph_output(plm_nn_linear(plm_nn_tanh(h, NULL), &(plm_linear_desc){ .name = "two", .out = 4 }), "y");
        s->o = kind ? plm_agd_new(s->g, NULL) : plm_spectral_agd_new(s->g, NULL);
        small_begin(s);
        for (int step = 0; step < STEPS; step++) {
            small_backward(s, step, 1, 1, false);
            assert_true(plm_optimizer_step(s->o));
        }
        if (!kind) {
            small_begin(s);
            memcpy(s->v, s->w, (size_t)s->start[s->params] * sizeof *s->v);
            continue;
        }
        for (int64_t k = 0; k < s->start[s->params]; k++) s->w[k] = s->v[k];
        small_compare(s, 5e-3); /* what rounding, another one with each oneDNN, makes of zeros */
    }
}

static void test_zero_gradient(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, false);
    s->o     = plm_spectral_agd_new(s->g, NULL);
    small_begin(s);
    memset(s->x, 0, SMALL_ROOM * sizeof *s->x);
    small_backward(s, 0, SMALL_BATCH, 0, false);
    assert_true(plm_optimizer_step(s->o));
    assert_close(plm_optimizer_info(s->o)->eta, 0, 0, 0);
    small_compare(s, 0);
}

static void test_probe(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, false);
    s->o     = plm_spectral_agd_new(s->g, NULL);
    small_begin(s);
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_probe(s->o));
    const double eta = plm_optimizer_info(s->o)->eta;
    small_compare(s, 0);
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_step(s->o));
    assert_true(plm_optimizer_info(s->o)->eta == eta && eta > 0);
}

static void test_sentences(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    assert_null(plm_spectral_agd_new(s->g, NULL));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "spectral-agd: first.bias is a bias, for which it has no rule");
    assert_null(plm_spectral_agd_new(s->g, &(plm_spectral_agd_desc){ .gain = -1 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "spectral-agd: gain is -1");
    assert_null(plm_spectral_agd_new(NULL, NULL));
}

static void test_failing_allocations(void **state)
{
    small *s = *state;
    for (int64_t k = 0, done = 0; !done; k += 1 + k / 16) {
        test_allocator   a    = { .fail_at = k };
        plm_ctx         *ctx  = plm_ctx_new(&(plm_ctx_desc){ .allocator = test_allocator_make(&a) });
        plm_graph       *g    = ctx ? small_network(ctx, 6, false) : NULL;
        plm_optimizer   *o    = plm_spectral_agd_new(g, NULL);
        plm_tape        *tape = plm_tape_new(ctx, NULL);
        const plm_tensor x    = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 4, 4), s->x);
        done = o && tape && plm_backward(plm_mean(plm_square(plm_graph_apply(g, plm_tape_input(tape, x))), NULL)) &&
               plm_optimizer_step(o);
        if (ctx) assert_int_equal(plm_ctx_status(ctx), done ? PLM_OK : PLM_ERR_MEMORY);
        plm_tape_free(tape);
        plm_optimizer_free(o);
        plm_graph_free(g);
        plm_ctx_free(ctx);
        assert_int_equal(a.outstanding, 0);
    }
}

/* After the second step nothing is allocated and no kernel made. */
static void test_nothing_new(void **state)
{
    small        *s      = *state;
    plm_ctx_stats before = { 0 };
    s->g                 = small_grouped_network(s->ctx, 12);
    s->o                 = plm_spectral_agd_new(s->g, NULL);
    small_begin(s);
    for (int step = 0; step < 5; step++) {
        if (step == 2) before = plm_ctx_statistics(s->ctx);
        small_backward(s, 0, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
    }
    const plm_ctx_stats after = plm_ctx_statistics(s->ctx);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.primitives, before.primitives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_dense),       small_test(test_gain_and_frozen), small_test(test_groups),
        small_test(test_table),       small_test(test_rank_one_is_agd), small_test(test_zero_gradient),
        small_test(test_probe),       small_test(test_sentences),       small_test(test_failing_allocations),
        small_test(test_nothing_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

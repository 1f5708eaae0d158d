/* test_adamw.c: AdamW and NAdamW: five steps recomputed in double, and what they have in common with Adam. */
#include "small.h"

typedef struct {
    double lr, beta1, beta2, eps, decay, clip;
    bool   weights_only;
} rates;

static const rates defaults = { 1e-3, 0.9, 0.999, 1e-8, 0.01, 0, false };

static void by_hand(small *s, const rates *r, bool ahead, int t)
{
    const double norm = small_norm(s->grad, s->start[s->params]);
    const double clip = r->clip > 0 ? fmin(1, r->clip / (norm + 1e-6)) : 1;
    for (int p = 0; p < s->params; p++)
        for (int64_t k = s->start[p]; k < s->start[p + 1]; k++) {
            const bool   decays = !r->weights_only || plm_param_role(s->param[p]) == PLM_ROLE_WEIGHT;
            const double g      = clip * s->grad[k];
            s->m[k]             = r->beta1 * s->m[k] + (1 - r->beta1) * g;
            s->v[k]             = r->beta2 * s->v[k] + (1 - r->beta2) * g * g;
            const double m      = (ahead ? r->beta1 * s->m[k] + (1 - r->beta1) * g : s->m[k]) / (1 - pow(r->beta1, t));
            const double v      = s->v[k] / (1 - pow(r->beta2, t));
            if (decays) s->w[k] *= 1 - r->lr * r->decay;
            s->w[k] -= r->lr * m / (sqrt(v) + r->eps);
        }
}

/* Five steps of either. */
static void check(small *s, plm_graph *(*build)(small *s), plm_adamw_desc d, rates want)
{
    for (int ahead = 0; ahead < 2; ahead++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        memset(s->m, 0, SMALL_ROOM * sizeof *s->m);
        memset(s->v, 0, SMALL_ROOM * sizeof *s->v);
        s->g = build(s);
        s->o = ahead ? plm_nadamw_new(s->g, &d) : plm_adamw_new(s->g, &d);
        small_begin(s);
        for (int step = 1; step <= 5; step++) {
            small_backward(s, step, SMALL_BATCH, 1, false);
            assert_true(plm_optimizer_step(s->o));
            by_hand(s, &want, ahead, step);
            small_compare(s, 2e-6);
            assert_close(plm_optimizer_info(s->o)->eta, want.lr, 0, 0);
        }
        assert_string_equal(plm_optimizer_name(s->o), ahead ? "nadamw" : "adamw");
    }
}

static plm_graph *plain(small *s)
{
    return small_network(s->ctx, 17, true);
}

static plm_graph *large(small *s)
{
    return small_network(s->ctx, 70, true);
}

static plm_graph *grouped(small *s)
{
    return small_grouped_network(s->ctx, 12);
}

static plm_graph *table(small *s)
{
    test_fill(s->x, SMALL_ROOM, 9, -1, 1); /* the samples of the network before are numbers already */
    return small_table(s);
}

static void test_defaults(void **state)
{
    check(*state, plain, (plm_adamw_desc){ 0 }, defaults);
}

static void test_large(void **state)
{
    check(*state, large, (plm_adamw_desc){ .lr = 0.01, .weight_decay = 0.5 },
          (rates){ 0.01, 0.9, 0.999, 1e-8, 0.5, 0, false });
}

static void test_groups(void **state)
{
    check(*state, grouped, (plm_adamw_desc){ .lr = 0.01, .beta1 = 0.6, .beta2 = 0.8, .eps = 0.1 },
          (rates){ 0.01, 0.6, 0.8, 0.1, 0.01, 0, false });
}

static void test_embedding(void **state)
{
    check(*state, table, (plm_adamw_desc){ .weight_decay = 0.1 }, (rates){ 1e-3, 0.9, 0.999, 1e-8, 0.1, 0, false });
}

static void test_clip_leaves_the_decay_alone(void **state)
{
    check(*state, plain, (plm_adamw_desc){ .eps = 1e-3, .clip_norm = 0.02, .weight_decay = 0.3 },
          (rates){ 1e-3, 0.9, 0.999, 1e-3, 0.3, 0.02, false });
}

static void test_biases_do_not_decay(void **state)
{
    check(*state, plain, (plm_adamw_desc){ .lr = 0.01, .weight_decay = 5, .decay_weights_only = true },
          (rates){ 0.01, 0.9, 0.999, 1e-8, 5, 0, true });
}

/* Three steps of an optimiser on a fresh network; the weights go to `to`. */
static void run(small *s, plm_optimizer *(*make)(plm_graph *g), double *to)
{
    plm_optimizer_free(s->o);
    plm_graph_free(s->g);
    s->g = plain(s);
    s->o = make(s->g);
    for (int i = 0; i < 3; i++) {
        small_begin(s);
        small_backward(s, i, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
    }
    small_begin(s);
    memcpy(to, s->w, (size_t)s->start[s->params] * sizeof *to);
}

static plm_optimizer *adam(plm_graph *g)
{
    return plm_adam_new(g, &(plm_adam_desc){ .lr = 0.01 });
}

static plm_optimizer *adamw_without_decay(plm_graph *g)
{
    return plm_adamw_new(g, &(plm_adamw_desc){ .lr = 0.01, .weight_decay = PLM_ZERO });
}

static plm_optimizer *adamw_without_momentum(plm_graph *g)
{
    return plm_adamw_new(g, &(plm_adamw_desc){ .beta1 = PLM_ZERO });
}

static plm_optimizer *nadamw_without_momentum(plm_graph *g)
{
    return plm_nadamw_new(g, &(plm_adamw_desc){ .beta1 = PLM_ZERO });
}

static plm_optimizer *sgd_on_weights(plm_graph *g)
{
    return plm_sgd_new(g, &(plm_sgd_desc){ .lr = 0.01, .weight_decay = 0.5, .decay_weights_only = true });
}

static plm_optimizer *sgd_on_all(plm_graph *g)
{
    return plm_sgd_new(g, &(plm_sgd_desc){ .lr = 0.01, .weight_decay = 0.5 });
}

static void test_without_decay_it_is_adam(void **state)
{
    small *s = *state;
    run(s, adam, s->m);
    run(s, adamw_without_decay, s->v);
    assert_memory_equal(s->m, s->v, (size_t)s->start[s->params] * sizeof *s->m);
}

static void test_without_momentum_there_is_nothing_ahead(void **state)
{
    small *s = *state;
    run(s, adamw_without_momentum, s->m);
    run(s, nadamw_without_momentum, s->v);
    assert_memory_equal(s->m, s->v, (size_t)s->start[s->params] * sizeof *s->m);
}

/* The flag is the same for the other kinds: one step, and biases differ by lr decay w, weights not at all. */
static void test_weights_only_elsewhere(void **state)
{
    small *s = *state;
    for (int way = 0; way < 2; way++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->g = plain(s);
        s->o = way ? sgd_on_weights(s->g) : sgd_on_all(s->g);
        small_begin(s);
        small_backward(s, 0, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        for (int p = 0; p < s->params; p++)
            for (int64_t k = s->start[p]; k < s->start[p + 1]; k++) {
                const bool decays = !way || plm_param_role(s->param[p]) == PLM_ROLE_WEIGHT;
                s->w[k] -= 0.01 * (s->grad[k] + (decays ? 0.5 : 0) * s->w[k]);
            }
        small_compare(s, 1e-6);
    }
}

static void test_bad_descs(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, true);
    assert_null(plm_adamw_new(s->g, &(plm_adamw_desc){ .lr = -1 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "adamw: lr is -1, expected a positive number");
    assert_null(plm_nadamw_new(s->g, &(plm_adamw_desc){ .weight_decay = -1 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "nadamw: weight_decay is -1, expected 0 or more");
    assert_null(plm_adamw_new(NULL, NULL));
    assert_null(plm_nadamw_new(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_defaults),
        small_test(test_large),
        small_test(test_groups),
        small_test(test_embedding),
        small_test(test_clip_leaves_the_decay_alone),
        small_test(test_biases_do_not_decay),
        small_test(test_without_decay_it_is_adam),
        small_test(test_without_momentum_there_is_nothing_ahead),
        small_test(test_weights_only_elsewhere),
        small_test(test_bad_descs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_adam.c: five steps of Adam recomputed in double, on weights of two and four axes and biases. */
#include "small.h"

/* What the desc stands for, resolved. */
typedef struct {
    double lr, beta1, beta2, eps, decay, clip;
} rates;

static void adam_by_hand(small *s, const rates *r, int t)
{
    const int64_t n    = s->start[s->params];
    const double  clip = r->clip > 0 ? fmin(1, r->clip / (small_norm(s->grad, n) + 1e-6)) : 1;
    for (int64_t k = 0; k < n; k++) {
        const double g = clip * s->grad[k] + r->decay * s->w[k];
        s->m[k]        = r->beta1 * s->m[k] + (1 - r->beta1) * g;
        s->v[k]        = r->beta2 * s->v[k] + (1 - r->beta2) * g * g;
        s->w[k] -= r->lr * s->m[k] / (1 - pow(r->beta1, t)) / (sqrt(s->v[k] / (1 - pow(r->beta2, t))) + r->eps);
    }
}

/* Five steps of s->g. */
static void steps(small *s, plm_adam_desc d, rates want)
{
    s->o = plm_adam_new(s->g, &d);
    small_begin(s);
    for (int step = 1; step <= 5; step++) {
        small_backward(s, step, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        adam_by_hand(s, &want, step);
        small_compare(s, 2e-6);
        assert_close(plm_optimizer_info(s->o)->eta, want.lr, 0, 0);
        assert_int_equal(plm_optimizer_info(s->o)->step, step);
    }
}

/* width 0: the network with an embedding. */
static void check(small *s, plm_adam_desc d, rates want, int64_t width)
{
    s->g = width ? small_network(s->ctx, width, true) : small_table(s);
    steps(s, d, want);
}

static void test_groups(void **state)
{
    small *s = *state;
    s->g     = small_grouped_network(s->ctx, 12);
    steps(s, (plm_adam_desc){ .lr = 0.01 }, (rates){ 0.01, 0.9, 0.999, 1e-8, 0, 0 });
}

static void test_defaults(void **state)
{
    check(*state, (plm_adam_desc){ 0 }, (rates){ 1e-3, 0.9, 0.999, 1e-8, 0, 0 }, 12);
}

static void test_embedding(void **state)
{
    check(*state, (plm_adam_desc){ .lr = 0.01 }, (rates){ 0.01, 0.9, 0.999, 1e-8, 0, 0 }, 0);
}

static void test_large(void **state)
{
    check(*state, (plm_adam_desc){ .lr = 0.01 }, (rates){ 0.01, 0.9, 0.999, 1e-8, 0, 0 }, 70);
}

static void test_own_betas_and_eps(void **state)
{
    check(*state, (plm_adam_desc){ .lr = 0.01, .beta1 = 0.5, .beta2 = 0.8, .eps = 0.1 },
          (rates){ 0.01, 0.5, 0.8, 0.1, 0, 0 }, 17);
}

/* beta1 = 0: no momentum; both 0 with a large eps: every step is lr g / (|g| + eps). */
static void test_betas_of_exactly_zero(void **state)
{
    check(*state, (plm_adam_desc){ .beta1 = PLM_ZERO }, (rates){ 1e-3, 0, 0.999, 1e-8, 0, 0 }, 12);
}

static void test_both_betas_of_exactly_zero(void **state)
{
    check(*state, (plm_adam_desc){ .beta1 = PLM_ZERO, .beta2 = PLM_ZERO, .eps = 0.01 },
          (rates){ 1e-3, 0, 0, 0.01, 0, 0 }, 12);
}

static void test_decay_is_part_of_the_gradient(void **state)
{
    check(*state, (plm_adam_desc){ .weight_decay = 0.3 }, (rates){ 1e-3, 0.9, 0.999, 1e-8, 0.3, 0 }, 12);
}

static void test_clip(void **state)
{
    check(*state, (plm_adam_desc){ .eps = 1e-3, .clip_norm = 0.02, .weight_decay = 0.01 },
          (rates){ 1e-3, 0.9, 0.999, 1e-3, 0.01, 0.02 }, 12);
}

/* A probe takes no step: the bias correction of the next one is that of step 1. */
static void test_probe_is_no_step(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    s->o     = plm_adam_new(s->g, NULL);
    small_begin(s);
    for (int i = 0; i < 3; i++) {
        small_backward(s, 0, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_probe(s->o));
    }
    small_compare(s, 0);
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_step(s->o));
    adam_by_hand(s, &(rates){ 1e-3, 0.9, 0.999, 1e-8, 0, 0 }, 1);
    small_compare(s, 2e-6);
}

/* A layer that trains later begins with step 1 of its own, whatever the others have done: under each kind with such moments. */
static void test_unfrozen_layer(void **state)
{
    small *s = *state;
    for (int kind = 0; kind < 4; kind++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->g            = small_network(s->ctx, 12, true);
        s->o            = kind == 0   ? plm_adam_new(s->g, NULL)
                          : kind == 1 ? plm_adamw_new(s->g, &(plm_adamw_desc){ .weight_decay = PLM_ZERO })
                          : kind == 2 ? plm_nadamw_new(s->g, &(plm_adamw_desc){ .weight_decay = PLM_ZERO })
                                      : plm_muon_new(s->g, &(plm_muon_desc){ .adam_lr = 1e-3, .beta2 = 0.999 });
        plm_param *bias = plm_graph_param_named(s->g, "last.bias");
        float      before[4], after[4];
        plm_param_freeze(bias, true);
        small_begin(s);
        for (int step = 1; step <= 60; step++) {
            if (step == 60) plm_param_freeze(bias, false);
            small_backward(s, step, SMALL_BATCH, 1, false);
            assert_true(plm_param_read(bias, before, 4));
            assert_true(plm_optimizer_step(s->o));
            assert_true(plm_param_read(bias, after, 4));
        }
        for (int k = 0; k < 4;
             k++) /* m / (1 - b1) is g, and sqrt(v / (1 - b2)) its size; NAdamW's is 1 + b1 times as long */
            assert_close(fabs((double)(after[k] - before[k])), kind == 2 ? 1.9e-3 : 1e-3, 0, 1e-3);
    }
}

static void test_bad_descs(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, true);
    static const struct {
        plm_adam_desc desc;
        const char   *sentence;
    } bad[] = {
        { { .lr = -1 }, "adam: lr is -1, expected a positive number" },
        { { .beta1 = 1 }, "adam: beta1 is 1, expected at least 0 and below 1" },
        { { .beta1 = -0.5 }, "adam: beta1 is -0.5, expected at least 0 and below 1" },
        { { .beta2 = 1.5 }, "adam: beta2 is 1.5, expected at least 0 and below 1" },
        { { .beta2 = NAN }, "expected a number that a float holds" },
        { { .eps = -1 }, "adam: eps is -1, expected a positive number" },
        { { .weight_decay = -1 }, "adam: weight_decay is -1, expected 0 or more" },
        { { .clip_norm = -2 }, "adam: clip_norm is -2, expected 0 or more" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(plm_adam_new(s->g, &bad[i].desc));
        assert_error(s->ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
    assert_null(plm_adam_new(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_defaults),
        small_test(test_groups),
        small_test(test_embedding),
        small_test(test_large),
        small_test(test_own_betas_and_eps),
        small_test(test_betas_of_exactly_zero),
        small_test(test_both_betas_of_exactly_zero),
        small_test(test_decay_is_part_of_the_gradient),
        small_test(test_clip),
        small_test(test_probe_is_no_step),
        small_test(test_unfrozen_layer),
        small_test(test_bad_descs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_sgd.c: five steps of stochastic gradient descent recomputed in double, on weights of two and four axes and biases. */
#include "small.h"

/* g += decay w;  m = momentum m + g;  w -= lr (nesterov ? g + momentum m : m). */
static void sgd_by_hand(small *s, const plm_sgd_desc *d)
{
    const int64_t n    = s->start[s->params];
    const double  clip = d->clip_norm > 0 ? fmin(1, d->clip_norm / (small_norm(s->grad, n) + 1e-6)) : 1;
    for (int64_t k = 0; k < n; k++) {
        const double g = clip * s->grad[k] + d->weight_decay * s->w[k];
        s->m[k]        = d->momentum * s->m[k] + g;
        s->w[k] -= (d->lr != 0 ? d->lr : 0.1) * (d->nesterov ? g + d->momentum * s->m[k] : s->m[k]);
    }
}

/* Five steps of s->g. */
static void steps(small *s, plm_sgd_desc d)
{
    s->o = plm_sgd_new(s->g, &d);
    small_begin(s);
    for (int step = 1; step <= 5; step++) {
        small_backward(s, step, SMALL_BATCH, 1, false);
        const double norm = small_norm(s->grad, s->start[s->params]);
        assert_true(plm_optimizer_step(s->o));
        sgd_by_hand(s, &d);
        small_compare(s, 1e-6);
        const plm_step_info *info = plm_optimizer_info(s->o);
        assert_close(info->grad_norm, norm, 0, 1e-12); /* before clipping */
        assert_close(info->eta, d.lr != 0 ? d.lr : 0.1, 0, 0);
        assert_true(isnan(info->G));
        if (d.clip_norm > 0) assert_true(step > 1 || norm > d.clip_norm); /* else the case tests nothing */
    }
}

/* width 0: the network with an embedding. */
static void check(small *s, plm_sgd_desc d, int64_t width)
{
    s->g = width ? small_network(s->ctx, width, true) : small_table(s);
    steps(s, d);
}

static void test_groups(void **state)
{
    small *s = *state;
    s->g     = small_grouped_network(s->ctx, 12);
    steps(s, (plm_sgd_desc){ .lr = 0.05, .momentum = 0.9, .weight_decay = 0.1 });
}

static void test_plain(void **state)
{
    check(*state, (plm_sgd_desc){ 0 }, 12);
}

static void test_embedding(void **state)
{
    check(*state, (plm_sgd_desc){ .lr = 2e-3, .momentum = 0.9, .weight_decay = 0.01 }, 0);
}

static void test_large(void **state)
{
    check(*state, (plm_sgd_desc){ .momentum = 0.9 }, 70);
}

static void test_momentum(void **state)
{
    check(*state, (plm_sgd_desc){ .lr = 0.02, .momentum = 0.9 }, 12);
}

static void test_nesterov(void **state)
{
    check(*state, (plm_sgd_desc){ .lr = 0.02, .momentum = 0.8, .nesterov = true }, 17);
}

static void test_weight_decay(void **state)
{
    check(*state, (plm_sgd_desc){ .lr = 0.05, .weight_decay = 0.1 }, 12);
}

static void test_everything(void **state)
{
    check(*state,
          (plm_sgd_desc){ .lr = 0.05, .momentum = 0.5, .weight_decay = 0.1, .nesterov = true, .clip_norm = 0.1 }, 12);
}

static void test_clip(void **state)
{
    check(*state, (plm_sgd_desc){ .clip_norm = 0.05 }, 12);
}

static void test_clip_out_of_reach_is_none(void **state)
{
    small *s = *state;
    for (int i = 0; i < 2; i++) {
        s->g = small_network(s->ctx, 12, true);
        s->o = plm_sgd_new(s->g, &(plm_sgd_desc){ .clip_norm = i ? 1e6 : 0 });
        small_begin(s);
        small_backward(s, 0, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        if (i == 0) { /* what it comes to without clipping */
            small_begin(s);
            memcpy(s->m, s->w, (size_t)s->start[s->params] * sizeof *s->m);
            plm_optimizer_free(s->o);
            plm_graph_free(s->g);
            s->o = NULL;
            s->g = NULL;
        }
    }
    memcpy(s->w, s->m, (size_t)s->start[s->params] * sizeof *s->w);
    small_compare(s, 0);
}

static void test_frozen_layer_stays(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    s->o     = plm_sgd_new(s->g, &(plm_sgd_desc){ .weight_decay = 0.5 });
    small_begin(s);
    plm_param_freeze(plm_graph_param_named(s->g, "square.weight"), true);
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_step(s->o));
    for (int i = 0; i < s->params; i++) {
        const int64_t n    = s->start[i + 1] - s->start[i];
        int64_t       same = 0;
        assert_true(plm_param_read(s->param[i], s->buffer, n));
        for (int64_t k = 0; k < n; k++) same += (double)s->buffer[k] == s->w[s->start[i] + k];
        assert_int_equal(same == n, plm_param_frozen(s->param[i])); /* decay does not touch it either */
    }
}

static void test_bad_descs(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, true);
    static const struct {
        plm_sgd_desc desc;
        const char  *sentence;
    } bad[] = {
        { { .lr = -1 }, "sgd: lr is -1, expected a positive number that a float holds" },
        { { .lr = INFINITY }, "sgd: lr is inf, expected a positive number that a float holds" },
        { { .lr = PLM_ZERO }, "sgd: lr is 0, expected a positive number" },
        { { .lr = 1e-60 }, "sgd: lr is 1e-60, expected a positive number that a float holds" },
        { { .momentum = 1 }, "sgd: momentum is 1, expected at least 0 and below 1" },
        { { .momentum = -0.1 }, "sgd: momentum is -0.1, expected at least 0 and below 1" },
        { { .weight_decay = -1 }, "sgd: weight_decay is -1, expected 0 or more" },
        { { .weight_decay = NAN }, "expected a number that a float holds" },
        { { .nesterov = true }, "sgd: nesterov needs a momentum" },
        { { .clip_norm = -2 }, "sgd: clip_norm is -2, expected 0 or more" },
        { { .clip_norm = NAN }, "sgd: clip_norm is" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(plm_sgd_new(s->g, &bad[i].desc));
        assert_error(s->ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
    assert_null(plm_sgd_new(NULL, NULL));
    assert_false(plm_graph_initialized(s->g));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_plain),
        small_test(test_groups),
        small_test(test_embedding),
        small_test(test_large),
        small_test(test_momentum),
        small_test(test_nesterov),
        small_test(test_weight_decay),
        small_test(test_everything),
        small_test(test_clip),
        small_test(test_clip_out_of_reach_is_none),
        small_test(test_frozen_layer_stays),
        small_test(test_bad_descs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

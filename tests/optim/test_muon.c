/* test_muon.c: five steps of Muon recomputed in double with LAPACK's singular value decomposition, on weights of two and four
 * axes, biases and embeddings. */
#include "by_hand.h"

typedef struct {
    double lr, momentum, decay, adam_lr, beta1, beta2, eps, clip;
} rates;

static const rates defaults = { 0.02, 0.95, 0, 3e-4, 0.9, 0.95, 1e-10, 0 };

/* Muon's polynomial, five times, of s_i over the Frobenius norm; a vector is just normalised. */
static double quick(const double *s, int64_t k, int64_t i)
{
    double squares = 0;
    for (int64_t j = 0; j < k; j++) squares += s[j] * s[j];
    if (k == 1) return s[0] > 0;
    double x = s[i] / (sqrt(squares) + 1e-7);
    for (int step = 0; step < 5; step++) x = 3.4445 * x - 4.7750 * pow(x, 3) + 2.0315 * pow(x, 5);
    return x;
}

static void step_by_hand(small *s, const rates *r, int t)
{
    static double x[SMALL_ROOM], o[SMALL_ROOM];
    const double  norm = small_norm(s->grad, s->start[s->params]);
    const double  clip = r->clip > 0 ? fmin(1, r->clip / (norm + 1e-6)) : 1;
    for (int i = 0; i < s->params; i++) {
        const plm_layer *l      = hand_layer(s, i);
        const bool       matrix = l && strcmp(l->kind, "embedding") != 0;
        const int64_t    from = s->start[i], to = s->start[i + 1];
        const double     b = matrix ? r->momentum : r->beta1;
        if (plm_param_frozen(s->param[i])) continue;
        for (int64_t k = from; k < to; k++) {
            const double g = clip * s->grad[k];
            s->m[k]        = b * s->m[k] + (1 - b) * g;
            s->v[k]        = r->beta2 * s->v[k] + (1 - r->beta2) * g * g;
            x[k]           = b * s->m[k] + (1 - b) * g;
        }
        const double lr    = matrix ? r->lr : r->adam_lr;
        double       scale = 1;
        if (matrix) {
            const hand_extents e = hand_extents_of(l, true);
            scale                = e.rows > e.cols ? sqrt((double)e.rows / (double)e.cols) : 1;
            for (int64_t m = 0; m < e.matrices; m++) hand_spectral(l, true, m, x + from, o + from, quick, NULL);
        }
        for (int64_t k = from; k < to; k++) {
            const double adam = s->m[k] / (1 - pow(r->beta1, t)) / (sqrt(s->v[k] / (1 - pow(r->beta2, t))) + r->eps);
            s->w[k] -= lr * ((matrix ? scale * o[k] : adam) + r->decay * s->w[k]);
        }
    }
}

static void trajectory(small *s, const plm_muon_desc *desc, rates want, double factor)
{
    s->o = plm_muon_new(s->g, desc);
    assert_ok(s->ctx);
    small_begin(s);
    if (factor != 1) assert_true(plm_optimizer_set_factor(s->o, factor));
    want.lr *= factor;
    want.adam_lr *= factor;
    for (int step = 1; step <= 5; step++) {
        small_backward(s, step, 32, 1, false);
        assert_true(plm_optimizer_step(s->o));
        step_by_hand(s, &want, step);
        assert_close(plm_optimizer_info(s->o)->eta, want.lr, 0, 1e-12);
        small_compare(s, 2e-4);
    }
}

static void test_defaults(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    trajectory(s, NULL, defaults, 1);
}

static void test_everything_else(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 70, true);
    trajectory(s,
               &(plm_muon_desc){ .lr           = 0.1,
                                 .momentum     = 0.5,
                                 .weight_decay = 0.2,
                                 .adam_lr      = 0.01,
                                 .beta1        = PLM_ZERO,
                                 .beta2        = 0.8,
                                 .eps          = 1e-3,
                                 .clip_norm    = 0.5 },
               (rates){ 0.1, 0.5, 0.2, 0.01, 0, 0.8, 1e-3, 0.5 }, 1);
}

static void test_schedule(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    trajectory(s, NULL, defaults, 0.25);
}

static void test_groups(void **state)
{
    small *s = *state;
    s->g     = small_grouped_network(s->ctx, 12);
    trajectory(s, NULL, defaults, 1);
}

static void test_table(void **state)
{
    small *s = *state;
    s->g     = small_table(s);
    trajectory(s, NULL, defaults, 1);
}

static void test_sentences(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    assert_null(plm_muon_new(s->g, &(plm_muon_desc){ .momentum = 1 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "muon: momentum is 1");
    assert_null(plm_muon_new(s->g, &(plm_muon_desc){ .adam_lr = -1 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "muon: adam_lr is -1");
    assert_null(plm_muon_new(NULL, NULL));
}

/* A probe leaves weights and state alone: the step after it is the one that would have been. */
static void test_probe(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    s->o     = plm_muon_new(s->g, NULL);
    small_begin(s);
    for (int step = 1; step <= 2; step++) {
        small_backward(s, step, 32, 1, false);
        assert_true(plm_optimizer_probe(s->o));
        small_backward(s, step, 32, 1, false);
        assert_true(plm_optimizer_step(s->o));
        step_by_hand(s, &defaults, step);
        small_compare(s, 2e-4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_defaults), small_test(test_everything_else), small_test(test_schedule), small_test(test_groups),
        small_test(test_table),    small_test(test_sentences),       small_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

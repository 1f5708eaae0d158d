/* test_lion.c: five steps of example 08's optimiser recomputed in double, on weights of two and four axes and biases. */
#include "small.h"

#define LION_WITHOUT_MAIN
#include "08_lion.c"

/* The sign of an average whose terms cancel is a matter of rounding; such an element is looked up. */
static double sign_of(const small *s, double c, double scale, int p, int64_t k, double w, double lr, double decay)
{
    if (fabs(c) > 1e-5 * scale || c == 0) return (c > 0) - (c < 0);
    const int64_t n = s->start[p + 1] - s->start[p];
    assert_true(plm_param_read(s->param[p], s->buffer, n));
    return round((w - (double)s->buffer[k]) / lr - decay * w);
}

static void check(small *s, plm_graph *g, lion_desc given, lion_desc d)
{
    s->g = g;
    s->o = plm_optimizer_new(s->g, &lion, &given);
    small_begin(s);
    for (int step = 1; step <= 5; step++) {
        small_backward(s, step, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        int looked_up = 0;
        for (int p = 0; p < s->params; p++)
            for (int64_t k = s->start[p]; k < s->start[p + 1]; k++) {
                const double c     = d.beta1 * s->m[k] + (1 - d.beta1) * s->grad[k];
                const double scale = fabs(s->m[k]) + fabs(s->grad[k]);
                const double sign  = sign_of(s, c, scale, p, k - s->start[p], s->w[k], d.lr, d.weight_decay);
                looked_up += fabs(c) <= 1e-5 * scale && c != 0;
                s->w[k] -= d.lr * (sign + d.weight_decay * s->w[k]);
                s->m[k] = d.beta2 * s->m[k] + (1 - d.beta2) * s->grad[k];
            }
        assert_true(looked_up <= s->start[s->params] / 1000);
        small_compare(s, 1e-6);
        assert_close(plm_optimizer_info(s->o)->eta, d.lr, 0, 0);
    }
}

static void test_defaults(void **state)
{
    small *s = *state;
    check(s, small_network(s->ctx, 12, true), (lion_desc){ 0 }, (lion_desc){ 1e-4, 0.9, 0.99, 0 });
}

static void test_decay(void **state)
{
    small *s = *state;
    check(s, small_network(s->ctx, 17, true), (lion_desc){ .lr = 0.01, .beta1 = 0.5, .weight_decay = 0.3 },
          (lion_desc){ 0.01, 0.5, 0.99, 0.3 });
}

static void test_groups(void **state)
{
    small *s = *state;
    check(s, small_grouped_network(s->ctx, 12), (lion_desc){ .lr = 0.001, .beta2 = 0.8 },
          (lion_desc){ 0.001, 0.9, 0.8, 0 });
}

int main(void)
{
    const struct CMUnitTest tests[] = { small_test(test_defaults), small_test(test_decay), small_test(test_groups) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_theory.c: the theory behind AGD, on random small networks as it wants them: plain ReLUs, loss square, all samples in one
 * step, each of size sqrt(d_0), weights drawn to their prescribed norms.
 *
 * What it proves must hold, but for rounding; what it takes to hold is counted; what it says too much is shown to fail. */
#include "support.h"

#include <math.h>

enum { TRIALS = 200, STEPS = 5, ROOM = 1 << 12 };
#define SLACK (1 + 1e-5)

typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net;
    plm_dataset   *data;
    plm_optimizer *agd;
    plm_explain   *e;
    uint64_t       random;
    float          x[ROOM];
    int64_t        y[ROOM];
    /* Counted over the trials. */
    int    steps, exceeded, above_one, above_sqrt2;
    double objective, gradient, tightness; /* the largest seen */
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state     = f;
    return f ? 0 : -1;
}

static void drop_network(fixture *f)
{
    plm_explain_free(f->e);
    plm_optimizer_free(f->agd);
    plm_graph_free(f->net);
    plm_dataset_free(f->data);
    plm_ctx_free(f->ctx);
    f->e    = NULL;
    f->agd  = NULL;
    f->net  = NULL;
    f->data = NULL;
    f->ctx  = NULL;
}

static int teardown(void **state)
{
    drop_network(*state);
    free(*state);
    return 0;
}

/* A number of lo .. hi, another one each time. */
static int64_t draw(fixture *f, int64_t lo, int64_t hi)
{
    f->random = f->random * 6364136223846793005u + 1442695040888963407u;
    return lo + (int64_t)((f->random >> 33) % (uint64_t)(hi - lo + 1));
}

typedef struct {
    int     depth;
    int64_t d_0, width, classes, samples;
} form;

static void make_network(fixture *f, form n, uint64_t seed)
{
    drop_network(f);
    f->ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = seed, .threads = 1 });
    assert_true(n.samples * n.d_0 <= ROOM);
    test_fill(f->x, n.samples * n.d_0, seed + 1, -1, 1);
    for (int64_t i = 0; i < n.samples; i++) f->y[i] = draw(f, 0, n.classes - 1);
    f->data = plm_dataset_from_arrays(
        f->ctx, &(plm_arrays_desc){ .x       = plm_tensor_wrap(PLM_F32, plm_shape_of(n.samples, n.d_0), f->x),
                                    .y       = plm_tensor_wrap(PLM_I64, plm_shape_of(n.samples), f->y),
                                    .classes = (int)n.classes });
    f->net               = plm_graph_new(f->ctx);
    const plm_node input = plm_nn_input(f->net, plm_shape_of(n.d_0));
    plm_graph_output(plm_zoo_fcn(input, n.classes, &(plm_fcn_desc){ .depth = n.depth, .width = n.width, .scale = 1 }),
                     "y");
    f->agd = plm_agd_new(f->net, NULL);
    f->e   = plm_explain_new(
          f->net, &(plm_explain_desc){ .loss = PLM_LOSS_SQUARE, .data = f->data, .full = true, .rescale = true });
    assert_ok(f->ctx);
}

/* What holds for any weights, with their own norms. */
static void check_step(fixture *f, const plm_step_terms *t, const plm_layer_step *layer, double d_L)
{
    assert_true(t->f_max <= t->f_bound * SLACK);          /* output bound          */
    assert_true(t->df_max <= t->df_bound * SLACK + 1e-6); /* deep relative trust   */
    assert_true(t->bregman <= t->df_within * t->df_within / (2 * d_L) * SLACK + 1e-7);
    assert_close(t->loss_slope, sqrt(2 * t->loss / d_L), 0, 1e-6);
    for (int k = 0; k < plm_explain_layers(f->e); k++) {
        assert_true(layer[k].grad_most <= layer[k].grad_bound * SLACK); /* bounded gradient: the first form */
        f->tightness = fmax(f->tightness, layer[k].grad_most / layer[k].grad_bound);
    }
    assert_close(t->linear, -t->eta * t->G, 1e-6, 1e-4);
    assert_close(t->bregman, t->df_rms * t->df_rms / (2 * d_L), 1e-7, 1e-4);
    assert_close(t->loss_after - t->loss, t->linear + t->remainder + t->bregman, 1e-12, 1e-9);
    f->steps++;
    f->exceeded += t->loss_after - t->loss > -t->eta * t->G + pow(exp(t->eta) - 1, 2) / 2 + 1e-6;
}

/* What holds as long as the weights have their prescribed norms: in the first step. */
static void check_first(fixture *f, const form *n, const plm_step_terms *t, const plm_layer_step *layer)
{
    const double d_L = (double)n->classes, trust = exp(t->eta) - 1;
    double       gradient = 0;
    assert_close(plm_explain_output(f->e)->gain_prescribed, sqrt(d_L / (double)n->d_0), 0, 1e-12);
    assert_close(t->x_max, sqrt((double)n->d_0), 0, 1e-5);
    assert_true(t->f_max <= sqrt(d_L) * SLACK);
    assert_true(t->df_max <= sqrt(d_L) * trust * SLACK + 1e-6);
    assert_true(t->trust <= trust * SLACK + 1e-6);
    assert_close(plm_explain_trust(f->e, t->eta),
                 sqrt(d_L / (double)n->d_0) * (pow(1 + t->eta / n->depth, n->depth) - 1), 1e-9, 1e-9);
    for (int k = 0; k < plm_explain_layers(f->e); k++)
        gradient = fmax(gradient, plm_explain_layer(f->e, k)->scale * layer[k].grad);
    assert_true(t->loss <= 2 * SLACK);  /* the paper says 1       */
    assert_true(gradient <= 2 * SLACK); /* the paper says sqrt(2) */
    assert_true(t->eta <= log(2) * SLACK);
    f->above_one += t->loss > 1 * SLACK;
    f->above_sqrt2 += gradient > sqrt(2) * SLACK;
    f->objective = fmax(f->objective, t->loss);
    f->gradient  = fmax(f->gradient, gradient);
}

/* `width`: no extent is larger; and `samples`. */
static void run_trials(fixture *f, int64_t width, int64_t samples)
{
    plm_step_terms t;
    plm_layer_step layer[8];
    f->random = (uint64_t)width;
    for (int trial = 0; trial < TRIALS; trial++) {
        const form n = { (int)draw(f, 2, 6), draw(f, 1, width), draw(f, 1, width), draw(f, 1, width < 8 ? width : 8),
                         draw(f, 1, samples) };
        make_network(f, n, (uint64_t)trial);
        for (int step = 0; step < STEPS; step++) {
            assert_true(plm_explain_step(f->e, f->agd, true, &t, layer));
            check_step(f, &t, layer, (double)n.classes);
            if (step == 0) check_first(f, &n, &t, layer);
        }
    }
    print_message("%d steps: the loss exceeded the majorisation in %.1f %%\n", f->steps,
                  100.0 * f->exceeded / f->steps);
    print_message(
        "%d networks: objective above 1 in %.1f %%, largest %.4f; s_k ||g_k|| above sqrt(2) in %.1f %%, largest "
        "%.4f; gradient bound reached to %.4f\n",
        TRIALS, 100.0 * f->above_one / TRIALS, f->objective, 100.0 * f->above_sqrt2 / TRIALS, f->gradient,
        f->tightness);
}

static void test_random_networks(void **state)
{
    fixture *f = *state;
    run_trials(f, 24, 32);
    assert_true(f->exceeded < f->steps / 10);
    assert_true(f->tightness > 0.5);
}

/* "Objective <= 1" is no rule with exceptions. */
static void test_small_networks(void **state)
{
    fixture *f = *state;
    run_trials(f, 3, 2);
    assert_true(f->above_one > TRIALS / 20);
    assert_true(f->above_sqrt2 > 0);
    assert_true(f->tightness > 0.9);
}

/* Networks of width 1 reach the constants: f = -1 where y = 1. */
static void test_narrow_networks(void **state)
{
    fixture *f = *state;
    run_trials(f, 1, 2);
    assert_true(f->above_one > TRIALS / 20 && f->above_sqrt2 > TRIALS / 20);
    assert_close(f->objective, 2, 0, 1e-5);
    assert_close(f->gradient, 2, 0, 1e-5);
    assert_close(f->tightness, 1, 0, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_networks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small_networks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_narrow_networks, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

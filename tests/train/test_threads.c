/* test_threads.c: contexts that train at once, each in a thread of its own, give the bits that each gives alone. */
#include "support.h"

#include <pthread.h>

enum { RUNS = 4 };
#ifdef __SANITIZE_THREAD__ /* it does not see how OpenMP's threads wait for each other */
enum { ROUNDS = 1, THREADS = 1 };
#else
enum { ROUNDS = 3, THREADS = 2 };
#endif

/* One training, from its context to its weights.  Nothing in it asserts: cmocka jumps, and only in the main thread. */
typedef struct {
    uint64_t           seed;
    bool               convolutions, adam;
    pthread_barrier_t *begin; /* NULL: alone */
    char               error[512];
    float             *weights; /* for the caller to free */
    int64_t            count;
} training;

static plm_graph *network(plm_ctx *ctx, bool convolutions)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_input(net, plm_shape_of(1, 8, 8));
    if (convolutions) {
        h = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "conv1", .out = 12, .pad = 1 });
        h = plm_nn_relu(plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "norm" }), NULL);
        h = plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 });
        h = plm_nn_relu(plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "conv2", .out = 20, .pad = 1 }), NULL);
    }
    h = plm_nn_flatten(h);
    h = plm_nn_relu(plm_nn_linear(h, &(plm_linear_desc){ .name = "wide", .out = 300 }), NULL);
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "last", .out = 10 }), "logits");
    return net;
}

static bool keep_weights(training *t, const plm_graph *net)
{
    for (int i = 0; i < plm_graph_param_count(net); i++)
        t->count += plm_shape_count(plm_param_shape(plm_graph_param(net, i)));
    t->weights = malloc((size_t)t->count * sizeof *t->weights);
    bool ok    = t->weights != NULL;
    for (int64_t i = 0, at = 0, n; ok && i < plm_graph_param_count(net); i++, at += n) {
        n  = plm_shape_count(plm_param_shape(plm_graph_param(net, (int)i)));
        ok = plm_param_read(plm_graph_param(net, (int)i), t->weights + at, n);
    }
    return ok;
}

static void *train(void *argument)
{
    training *t = argument;
    if (t->begin) pthread_barrier_wait(t->begin);
    plm_ctx             *ctx  = plm_ctx_new(&(plm_ctx_desc){ .seed = t->seed, .threads = THREADS });
    plm_dataset         *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph           *net  = network(ctx, t->convolutions);
    plm_optimizer       *opt  = t->adam ? plm_adam_new(net, NULL) : plm_agd_new(net, NULL);
    const plm_train_desc desc = { .epochs = 2 };
    const bool           ok   = plm_train(net, opt, data, &desc, NULL) && keep_weights(t, net);
    if (!ok) snprintf(t->error, sizeof t->error, "%s", ctx ? plm_ctx_error(ctx) : "no context");
    plm_optimizer_free(opt);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    return NULL;
}

/* Two are the same but for their seed, so that they ask for the same kernels at the same time. */
static const training runs[RUNS] = {
    { .seed = 1 }, { .seed = 2 }, { .seed = 3, .convolutions = true, .adam = true }, { .seed = 4, .convolutions = true }
};

typedef struct {
    training alone[RUNS], together[RUNS];
} fixture;

static int setup(void **state)
{
    return (*state = calloc(1, sizeof(fixture))) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < RUNS; i++) {
        free(f->alone[i].weights);
        free(f->together[i].weights);
    }
    free(f);
    return 0;
}

static void test_same_bits(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < RUNS; i++) {
        f->alone[i] = runs[i];
        train(&f->alone[i]);
        assert_string_equal(f->alone[i].error, "");
    }
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_t begin;
        pthread_t         thread[RUNS];
        int               started = 0;
        assert_int_equal(pthread_barrier_init(&begin, NULL, RUNS), 0);
        for (int i = 0; i < RUNS; i++) {
            free(f->together[i].weights);
            f->together[i]       = runs[i];
            f->together[i].begin = &begin;
            started += pthread_create(&thread[i], NULL, train, &f->together[i]) == 0;
        }
        assert_int_equal(started, RUNS);
        for (int i = 0; i < RUNS; i++) pthread_join(thread[i], NULL);
        pthread_barrier_destroy(&begin);
        for (int i = 0; i < RUNS; i++) {
            const training *a = &f->alone[i], *b = &f->together[i];
            assert_string_equal(b->error, "");
            assert_true(a->count > 1000 && a->count == b->count);
            assert_memory_equal(a->weights, b->weights, (size_t)a->count * sizeof *a->weights);
        }
    }
    assert_memory_not_equal(f->alone[0].weights, f->alone[1].weights, 1000); /* another seed, other weights */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_same_bits, setup, teardown) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

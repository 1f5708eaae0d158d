/* test_embedding.c: an embedding in a graph: a layer like any other, whose weight lies the other way round. */
#include "nets.h"

#include <math.h>

enum { NUM = 30, DIM = 8, LENGTH = 6, BATCH = 16, CLASSES = 3, ROOM = 1 << 15 };

/* Owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx       *ctx;
    plm_graph     *g, *h;
    plm_optimizer *o;
    plm_tape      *tape;
    float         *x, *a, *b;
    int64_t        labels[BATCH];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = 3, .threads = 2 }))) return -1;
    f->tape = plm_tape_new(f->ctx, NULL);
    f->x    = calloc(ROOM, sizeof(float));
    f->a    = calloc(ROOM, sizeof(float));
    f->b    = calloc(ROOM, sizeof(float));
    *state  = f;
    if (!f->x || !f->a || !f->b) return -1;
    test_fill(f->x, BATCH * LENGTH, 1, 0, NUM);
    for (int i = 0; i < BATCH * LENGTH; i++) f->x[i] = floorf(f->x[i]);
    for (int i = 0; i < BATCH; i++) f->labels[i] = i % CLASSES;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    plm_optimizer_free(f->o);
    plm_graph_free(f->g);
    plm_graph_free(f->h);
    plm_ctx_free(f->ctx);
    free(f->x);
    free(f->a);
    free(f->b);
    free(f);
    return 0;
}
#define words_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Words to classes. */
static plm_graph *network(plm_ctx *ctx)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   h = plm_nn_input(g, plm_shape_of(LENGTH));
    h            = plm_nn_embedding(h, &(plm_embedding_desc){ .name = "words", .num = NUM, .dim = DIM });
    h            = plm_nn_relu(plm_nn_flatten(h), NULL);
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "out", .out = CLASSES }), "classes");
    return g;
}

static plm_val output(fixture *f, plm_graph *g)
{
    return plm_graph_apply(g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, LENGTH), f->x)));
}

static plm_val loss_of(fixture *f, plm_val y)
{
    return plm_cross_entropy(y, plm_tensor_wrap(PLM_I64, plm_shape_of(BATCH), f->labels));
}

static void test_is_a_layer(void **state)
{
    fixture *f = *state;
    f->g       = network(f->ctx);
    assert_ok(f->ctx);
    const plm_layer *l = plm_graph_layer(f->g, 0);
    assert_int_equal(plm_graph_layer_count(f->g), 2);
    assert_string_equal(l->name, "words");
    assert_string_equal(l->kind, "embedding");
    assert_int_equal(l->d_in, NUM);
    assert_int_equal(l->d_out, DIM);
    assert_int_equal(l->kernel_h * l->kernel_w * l->groups, 1);
    assert_int_equal(plm_layer_fan_in(l), NUM);
    assert_int_equal(plm_layer_fan_out(l), DIM);
    assert_int_equal(l->depth, 1);
    assert_null(l->bias);
    assert_string_equal(plm_param_name(l->weight), "words.weight");
    assert_true(plm_shape_equal(plm_param_shape(l->weight), plm_shape_of(NUM, DIM)));
    assert_int_equal(plm_param_role(l->weight), PLM_ROLE_WEIGHT);
    plm_node_info info;
    assert_true(plm_graph_node_info(f->g, 1, &info));
    assert_true(plm_shape_equal(info.shape, plm_shape_of(LENGTH, DIM)));
    assert_int_equal(info.macs, 0);
    assert_int_equal(plm_graph_summary(f->g).parameters, NUM * DIM + LENGTH * DIM * CLASSES);
    assert_int_equal(plm_graph_summary(f->g).depth, 2);
}

/* The dim x num matrix W^T is semi-orthogonal times sqrt(dim / num): its rows where there are more numbers than features, its
 * columns where there are fewer. */
static void check_orthogonal(fixture *f, int64_t num, int64_t dim)
{
    const double s2 = (double)dim / (double)num;
    plm_node     x  = plm_nn_input(f->g = plm_graph_new(f->ctx), plm_shape_of(1));
    plm_graph_output(plm_nn_embedding(x, &(plm_embedding_desc){ .name = "e", .num = num, .dim = dim }), NULL);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    assert_true(plm_param_read(plm_graph_param(f->g, 0), f->a, num * dim));
    const bool wide = num >= dim;
    for (int64_t i = 0; i < (wide ? dim : num); i++)
        for (int64_t j = 0; j <= i; j++) {
            double dot = 0;
            for (int64_t t = 0; t < (wide ? num : dim); t++)
                dot += wide ? (double)f->a[t * dim + i] * (double)f->a[t * dim + j]
                            : (double)f->a[i * dim + t] * (double)f->a[j * dim + t];
            assert_close(dot / s2, i == j, 1e-5, 0);
        }
    plm_graph_free(f->g);
    f->g = NULL;
}

static void test_agd_draws_a_semi_orthogonal_matrix(void **state)
{
    check_orthogonal(*state, 40, 7);
    check_orthogonal(*state, 5, 12);
    check_orthogonal(*state, 9, 9);
    check_orthogonal(*state, 1, 3);
}

static void test_pytorch_draws_normal_numbers(void **state)
{
    enum { MANY = 200, WIDE = 100, N = MANY * WIDE };
    fixture *f = *state;
    plm_node x = plm_nn_input(f->g = plm_graph_new(f->ctx), plm_shape_of(1));
    plm_graph_output(plm_nn_embedding(x, &(plm_embedding_desc){ .name = "e", .num = MANY, .dim = WIDE }), NULL);
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    assert_true(plm_param_read(plm_graph_param(f->g, 0), f->a, N));
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        sum += (double)f->a[i];
        squares += pow((double)f->a[i], 2);
        fourth += pow((double)f->a[i], 4);
    }
    assert_close(sum / N, 0, 5 / sqrt(N), 0);
    assert_close(squares / N, 1, 5 * sqrt(2.0 / N), 0);
    assert_close(fourth / N, 3, 5 * sqrt(96.0 / N), 0);
}

/* Value and gradient of the graph are those of the op. */
static void test_same_as_the_op(void **state)
{
    fixture *f = *state;
    int64_t  index[BATCH * LENGTH];
    f->g = network(f->ctx);
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    plm_param *w = plm_graph_param(f->g, 0);
    float      loss[2];
    for (int i = 0; i < BATCH * LENGTH; i++) index[i] = (int64_t)f->x[i];
    for (int eager = 0; eager < 2; eager++) {
        plm_val y = plm_none;
        if (eager) {
            y = plm_embedding(plm_tape_param(f->tape, w), plm_tensor_wrap(PLM_I64, plm_shape_of(BATCH, LENGTH), index));
            y = plm_linear(plm_relu(plm_flatten(y), NULL), plm_tape_param(f->tape, plm_graph_param(f->g, 1)), plm_none);
        } else y = output(f, f->g);
        const plm_val l = loss_of(f, y);
        loss[eager]     = plm_val_item(l);
        assert_true(plm_backward(l) && plm_param_read_grad(w, eager ? f->b : f->a, NUM * DIM));
        plm_tape_reset(f->tape);
    }
    assert_close((double)loss[0], (double)loss[1], 0, 1e-6);
    double want[NUM * DIM];
    for (int i = 0; i < NUM * DIM; i++) want[i] = (double)f->b[i];
    assert_all_close(f->a, want, NUM * DIM, 1e-6);
}

static plm_optimizer *optimizer(plm_graph *g, int which)
{
    return which == 0   ? plm_agd_new(g, NULL)
           : which == 1 ? plm_sgd_new(g, &(plm_sgd_desc){ .lr = 0.5 })
                        : plm_adam_new(g, &(plm_adam_desc){ .lr = 0.02 });
}

/* Every optimiser learns the sixteen sentences by heart; what is saved then predicts the same. */
static void test_learns(void **state)
{
    fixture    *f    = *state;
    const char *path = test_path("words.safetensors");
    for (int which = 0; which < 3; which++) {
        f->g       = network(f->ctx);
        f->o       = optimizer(f->g, which);
        float last = 0;
        for (int step = 0; step < 800; step++) {
            const plm_val loss = loss_of(f, output(f, f->g));
            last               = plm_val_item(loss);
            assert_true(plm_backward(loss) && plm_optimizer_step(f->o));
            plm_tape_reset(f->tape);
        }
        if (!(last < 0.2f))
            fail_msg("optimiser %d: the loss is %g, at chance it is %g", which, (double)last, log(CLASSES));
        assert_true(plm_graph_save(f->g, path));
        f->h = plm_graph_open(f->ctx, path);
        assert_ok(f->ctx);
        assert_int_equal(plm_graph_layer(f->h, 0)->d_in, NUM);
        assert_true(plm_graph_predict(f->g, f->x, BATCH, f->a) && plm_graph_predict(f->h, f->x, BATCH, f->b));
        assert_memory_equal(f->a, f->b, BATCH * CLASSES * sizeof(float));
        plm_optimizer_free(f->o);
        plm_graph_free(f->g);
        plm_graph_free(f->h);
        f->o = NULL;
        f->g = f->h = NULL;
    }
}

static void test_frozen(void **state)
{
    fixture *f   = *state;
    f->g         = network(f->ctx);
    f->o         = plm_sgd_new(f->g, NULL);
    plm_param *w = plm_graph_param(f->g, 0);
    plm_param_freeze(w, true);
    assert_true(plm_param_read(w, f->a, NUM * DIM));
    assert_true(plm_backward(loss_of(f, output(f, f->g))) && plm_optimizer_step(f->o));
    assert_true(plm_param_read(w, f->b, NUM * DIM));
    assert_memory_equal(f->a, f->b, NUM * DIM * sizeof(float));
    assert_false(plm_param_read_grad(w, f->b, NUM * DIM));
    assert_error(f->ctx, PLM_ERR_STATE, "words.weight has no gradient");
}

/* A number that is none is named, by training and by predicting; then the graph goes on. */
static void test_numbers_that_are_none(void **state)
{
    static const struct {
        float       value;
        const char *sentence;
    } bad[] = { { 2.5f, "embedding at words: sample 3 holds 2.5 at element 1, expected a whole number from 0 to 29" },
                { -1, "embedding at words: sample 3 holds -1 at element 1" },
                { NUM, "embedding at words: sample 3 holds 30 at element 1" },
                { 1e30f, "embedding at words: sample 3 holds 1e+30 at element 1" } };
    fixture *f = *state;
    f->g       = network(f->ctx);
    assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
    float *number = f->x + 3 * LENGTH + 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const float good = *number;
        *number          = bad[i].value;
        assert_false(plm_val_ok(output(f, f->g)));
        assert_error(f->ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
        assert_false(plm_graph_predict(f->g, f->x, BATCH, f->a));
        assert_error(f->ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
        *number = good;
        assert_true(plm_backward(loss_of(f, output(f, f->g))));
        plm_tape_reset(f->tape);
    }
}

/* One life whose k-th allocation fails; true if there were as many. */
static bool live(fixture *f, int64_t k, int *failures)
{
    test_allocator counting = { .fail_at = k };
    plm_ctx       *ctx      = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&counting) });
    plm_graph     *g        = ctx ? network(ctx) : NULL;
    plm_optimizer *o        = ctx ? plm_agd_new(g, NULL) : NULL;
    plm_tape      *tape = plm_tape_new(ctx, NULL), *kept = f->tape;
    f->tape       = tape;
    const bool ok = o && tape && plm_backward(loss_of(f, output(f, g))) && plm_optimizer_step(o);
    f->tape       = kept;
    if (!ok && ctx) {
        *failures += 1;
        assert_int_equal(plm_ctx_status(ctx), PLM_ERR_MEMORY);
    }
    plm_tape_free(tape);
    plm_optimizer_free(o);
    plm_graph_free(g);
    plm_ctx_free(ctx);
    assert_int_equal(counting.outstanding, 0);
    return counting.calls > k;
}

static void test_kth_allocation_fails(void **state)
{
    int     failures = 0;
    int64_t k        = 0;
    while (live(*state, k, &failures)) k++;
    assert_true(k > 50 && failures > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = { words_test(test_is_a_layer),
                                        words_test(test_agd_draws_a_semi_orthogonal_matrix),
                                        words_test(test_pytorch_draws_normal_numbers),
                                        words_test(test_same_as_the_op),
                                        words_test(test_learns),
                                        words_test(test_frozen),
                                        words_test(test_numbers_that_are_none),
                                        words_test(test_kth_allocation_fails) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_checkpoint.c: a training between two steps as a file. */
#include "train/check.h"

#include <math.h>
#include <unistd.h>

#include "nets.h"

/* A training in a context of its own, on random images of [3,16,16], by hand. */
typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net;
    plm_optimizer *opt;
    plm_tape      *tape;
} training;

/* A kind that carries two numbers: w -= a sign(g) with a = a (1 - 1/3) + b, a and b changing with each step. */
static bool own_begin(plm_optimizer *o)
{
    double *n = plm_optimizer_numbers(o);
    n[0]      = n[0] * (2.0 / 3) + n[1] + 1e-3;
    n[1]      = n[1] / 7 + 1e-4;
    return true;
}

static void own_delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const float a = (float)plm_optimizer_numbers((plm_optimizer *)(uintptr_t)o)[0];
    for (int64_t i = 0; i < v->n; i++) d[i] = v->g[i] > 0 ? a : v->g[i] < 0 ? -a : 0;
}

static const plm_optimizer_kind own = {
    .name = "own", .init = PLM_INIT_PYTORCH, .numbers = 2, .begin = own_begin, .delta = own_delta
};

/* The same with a slot. */
static const plm_optimizer_kind own_slot = {
    .name = "own", .init = PLM_INIT_PYTORCH, .numbers = 2, .slots = 1, .begin = own_begin, .delta = own_delta
};

enum { AGD, ADAM, SGD, OWN, OWN_SLOT, KINDS, BATCH = 6 };

static plm_optimizer *optimizer(plm_graph *net, int kind)
{
    if (kind == AGD) return plm_agd_new(net, NULL);
    if (kind == ADAM) return plm_adam_new(net, &(plm_adam_desc){ .lr = 1e-2 });
    if (kind >= OWN) return plm_optimizer_new(net, kind == OWN ? &own : &own_slot, NULL);
    return plm_sgd_new(net, &(plm_sgd_desc){ .lr = 0.05, .momentum = 0.9 });
}

static training start(int kind)
{
    training t = { .ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }) };
    t.net      = net_preact(t.ctx, &(net_preact_desc){ .blocks = { 1, 1, 1 } });
    t.opt      = optimizer(t.net, kind);
    t.tape     = plm_tape_new(t.ctx, NULL);
    assert_ok(t.ctx);
    return t;
}

static void end(training *t)
{
    plm_tape_free(t->tape);
    plm_optimizer_free(t->opt);
    plm_graph_free(t->net);
    plm_ctx_free(t->ctx);
}

static void train(training *t, int first, int last)
{
    static float  x[BATCH * 3 * 16 * 16];
    const int64_t y[BATCH] = { 0, 1, 2, 3, 1, 0 };
    for (int step = first; step <= last; step++) {
        test_fill(x, sizeof x / sizeof *x, (uint64_t)step, -1, 1);
        const plm_val in  = plm_tape_input(t->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, 3, 16, 16), x));
        const plm_val out = plm_graph_apply(t->net, in);
        assert_true(plm_backward(plm_mse_onehot(out, plm_tensor_wrap(PLM_I64, plm_shape_of(BATCH), y), NULL)));
        assert_true(plm_optimizer_step(t->opt));
        plm_tape_reset(t->tape);
    }
}

static const plm_checkpoint somewhere = { .step    = 17,
                                          .epoch   = 2,
                                          .batches = 3,
                                          .skipped = 1,
                                          .steps   = 2,
                                          .train   = { 1.0 / 3, NAN, 1234567 },
                                          .eta     = { 0.1, 0x1p-1074, 1e300 },
                                          .update  = { 0.7, -0.0, 2 },
                                          .seconds = 1e-9 };

static void save(const training *t, const char *path, const char *recipe)
{
    const bool ok = plm_checkpoint_save(path, t->net, t->opt, &somewhere, recipe);
    assert_ok(t->ctx);
    assert_true(ok);
}

static void assert_same(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

/* Saved, loaded into a training just built, both go on: the same bits. */
static void go_on(int kind)
{
    training       a = start(kind), b = start(kind);
    plm_checkpoint at;
    int64_t        n, m;
    train(&a, 1, 3);
    save(&a, test_path("on"), "lr 0.1\nbatch 6");
    assert_true(plm_checkpoint_load(test_path("on"), b.net, b.opt, &at, "lr 0.1\nbatch 6"));
    assert_int_equal(plm_optimizer_info(b.opt)->step, 3);
    train(&a, 4, 6);
    train(&b, 4, 6);
    float *first = all_params(a.net, &n), *second = all_params(b.net, &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, (size_t)n * sizeof *first);
    free(first);
    free(second);
    end(&a);
    end(&b);

    assert_int_equal(at.step, 17);
    assert_int_equal(at.epoch, 2);
    assert_int_equal(at.batches, 3);
    assert_int_equal(at.skipped, 1);
    assert_int_equal(at.steps, 2);
    assert_int_equal(at.train.count, 1234567);
    assert_same(at.train.loss, somewhere.train.loss);
    assert_true(isnan(at.train.acc));
    assert_same(at.eta.mean, somewhere.eta.mean);
    assert_same(at.eta.min, somewhere.eta.min);
    assert_same(at.eta.max, somewhere.eta.max);
    assert_same(at.update.mean, somewhere.update.mean);
    assert_same(at.update.min, somewhere.update.min);
    assert_same(at.update.max, somewhere.update.max);
    assert_same(at.seconds, somewhere.seconds);
}

/* A layer that has trained for fewer steps than the others goes on with its own. */
static void test_unfrozen_goes_on(void **state)
{
    (void)state;
    training       a = start(ADAM), b = start(ADAM);
    plm_checkpoint at;
    int64_t        n, m;
    plm_param_freeze(plm_graph_param(a.net, 0), true);
    train(&a, 1, 3);
    plm_param_freeze(plm_graph_param(a.net, 0), false);
    train(&a, 4, 4);
    save(&a, test_path("unfrozen"), NULL);
    assert_true(plm_checkpoint_load(test_path("unfrozen"), b.net, b.opt, &at, NULL));
    train(&a, 5, 6);
    train(&b, 5, 6);
    float *first = all_params(a.net, &n), *second = all_params(b.net, &m);
    assert_memory_equal(first, second, (size_t)n * sizeof *first);
    free(first);
    free(second);
    end(&a);
    end(&b);
}

static void test_goes_on(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) go_on(kind);
}

/* The network in it is a network like any other. */
static void test_opens_as_model(void **state)
{
    (void)state;
    training a = start(ADAM);
    int64_t  n, m;
    train(&a, 1, 2);
    save(&a, test_path("model"), NULL);
    plm_graph *net = plm_graph_open(a.ctx, test_path("model"));
    assert_ok(a.ctx);
    float *first = all_params(a.net, &n), *second = all_params(net, &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, (size_t)n * sizeof *first);
    free(first);
    free(second);
    plm_graph_free(net);
    end(&a);
}

/* `path` is refused with this error, and nothing has changed. */
static void refused(training *t, const char *path, const char *recipe, plm_status status, const char *part)
{
    const plm_checkpoint before = { .step = -5 };
    plm_checkpoint       at     = before;
    int64_t              n, m;
    float               *first = all_params(t->net, &n);
    assert_false(plm_checkpoint_load(path, t->net, t->opt, &at, recipe));
    assert_error(t->ctx, status, part);
    float *second = all_params(t->net, &m);
    assert_memory_equal(first, second, (size_t)n * sizeof *first);
    assert_memory_equal(&at, &before, sizeof at);
    assert_int_equal(plm_optimizer_info(t->opt)->step, 0);
    free(first);
    free(second);
}

static void test_other_trainings(void **state)
{
    (void)state;
    training a = start(ADAM), other = start(SGD), plain = start(OWN), slot = start(OWN_SLOT);
    train(&a, 1, 1);
    save(&a, test_path("adam"), "batch 6\nlr 0.1");
    refused(&other, test_path("adam"), "batch 6\nlr 0.1", PLM_ERR_STATE,
            "is of another training: there the optimiser is adam, here sgd");
    training b = start(ADAM);
    refused(&b, test_path("adam"), "batch 6\nlr 0.2", PLM_ERR_STATE, "there \"lr 0.1\", here \"lr 0.2\"");
    refused(&b, test_path("adam"), "batch 6", PLM_ERR_STATE, "there \"lr 0.1\", here \"\"");
    refused(&b, test_path("adam"), "batch 6\nlr 0.1\nloss mse", PLM_ERR_STATE, "there \"\", here \"loss mse\"");
    refused(&b, test_path("adam"), NULL, PLM_ERR_STATE, "there \"batch 6\", here \"\"");

    /* A path in an old encoding, in which a file's text is not. */
    plm_checkpoint at;
    save(&a, test_path("latin1"), "data gr\xf6.csv\n\"\\");
    refused(&b, test_path("latin1"), "data gr\xfc.csv\n\"\\", PLM_ERR_STATE, "here \"data gr\xc3\xbc.csv\"");
    assert_true(plm_checkpoint_load(test_path("latin1"), a.net, a.opt, &at, "data gr\xf6.csv\n\"\\"));

    save(&plain, test_path("plain"), NULL);
    refused(&slot, test_path("plain"), NULL, PLM_ERR_FORMAT, "state plummet.slot0.conv1.weight is missing");
    save(&slot, test_path("slot"), NULL);
    refused(&plain, test_path("slot"), NULL, PLM_ERR_FORMAT, " tensors of an optimiser's state, expected 0");

    assert_true(plm_graph_save(a.net, test_path("network")));
    refused(&b, test_path("network"), NULL, PLM_ERR_FORMAT, "is no checkpoint of a training");
    refused(&b, test_path("nowhere"), NULL, PLM_ERR_IO, "No such file");

    plm_graph     *fcn = net_fcn(b.ctx, 3, 8);
    plm_optimizer *opt = plm_adam_new(fcn, &(plm_adam_desc){ .lr = 1e-2 });
    assert_false(plm_checkpoint_load(test_path("adam"), fcn, opt, &at, "batch 6\nlr 0.1"));
    assert_error(b.ctx, PLM_ERR_FORMAT, "its tensors do not fit the network; missing: ");
    assert_false(plm_checkpoint_save(test_path("mixed"), fcn, b.opt, &somewhere, NULL));
    assert_error(b.ctx, PLM_ERR_ARGUMENT, "plm_checkpoint_save: the optimiser steps another graph");
    plm_optimizer_free(opt);
    plm_graph_free(fcn);
    end(&a);
    end(&b);
    end(&other);
    end(&plain);
    end(&slot);
}

/* Another setting is named, an optimiser's rate comes back with the factor on it. */
static void test_settings(void **state)
{
    (void)state;
    training       a = start(SGD), b = start(SGD);
    plm_checkpoint at;
    assert_true(plm_optimizer_set_factor(a.opt, 0.25));
    train(&a, 1, 2);
    save(&a, test_path("rate"), NULL);
    plm_optimizer_free(b.opt);
    b.opt = plm_sgd_new(b.net, &(plm_sgd_desc){ .lr = 0.5, .momentum = 0.9 });
    refused(&b, test_path("rate"), NULL, PLM_ERR_STATE,
            "is of another training: there the optimiser's lr is 0.05000000000000000");
    plm_optimizer_free(b.opt);
    b.opt = plm_sgd_new(b.net, &(plm_sgd_desc){ .lr = 0.05, .momentum = 0.9, .nesterov = true });
    refused(&b, test_path("rate"), NULL, PLM_ERR_STATE, "there the optimiser's nesterov is 0, here 1");
    plm_optimizer_free(b.opt);
    b.opt = plm_sgd_new(b.net, &(plm_sgd_desc){ .lr = 0.05, .momentum = 0.9, .reinit = true });
    assert_true(plm_checkpoint_load(test_path("rate"), b.net, b.opt, &at, NULL));
    assert_close(plm_optimizer_rate(b.opt), 0.05 * 0.25, 0, 0);
    assert_true(plm_optimizer_set_factor(b.opt, 0.1)); /* another rate from here on */
    end(&a);
    end(&b);
}

static plm_graph *scaled(plm_ctx *ctx, double scale, bool keep)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   h = plm_nn_linear(plm_nn_input(g, plm_shape_of(3)), &(plm_linear_desc){ .name = "in", .out = 3 });
    h            = plm_nn_relu(h, &(plm_relu_desc){ .name = "act", .scale = scale });
    if (keep) plm_node_keep(h);
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "out", .out = 2 }), "y");
    return g;
}

/* The same tensors under other modules. */
static void test_other_modules(void **state)
{
    plm_ctx       *ctx = *state;
    plm_graph     *net = scaled(ctx, 1, false);
    plm_optimizer *opt = plm_agd_new(net, NULL);
    plm_checkpoint at;
    assert_true(plm_checkpoint_save(test_path("plain-relu"), net, opt, &somewhere, NULL));
    assert_true(plm_checkpoint_load(test_path("plain-relu"), net, opt, &at, NULL));
    static const char *const said[] = {
        "is of another network: there \"{\"kind\":\"relu\",\"name\":\"act\",\"inputs\":[1],\"scale\":1\", "
        "here \"{\"kind\":\"relu\",\"name\":\"act\",\"inputs\":[1],\"scale\":0.5\"",
        "\"kept\":[\", here \"",
    };
    for (int keep = 0; keep < 2; keep++) {
        plm_optimizer_free(opt);
        plm_graph_free(net);
        net = scaled(ctx, keep ? 1 : 0.5, keep);
        opt = plm_agd_new(net, NULL);
        assert_false(plm_checkpoint_load(test_path("plain-relu"), net, opt, &at, NULL));
        assert_error(ctx, PLM_ERR_FORMAT, said[keep]);
    }
    plm_optimizer_free(opt);
    plm_graph_free(net);
}

static char   bytes[1 << 20];
static size_t size;

static void read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_in_range(size, 1000, sizeof bytes - 1);
}

static void write_file(const char *path, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* A bit flipped anywhere, an end that is missing, something behind the end. */
static void test_damaged(void **state)
{
    (void)state;
    training       a = start(SGD), b = start(SGD);
    plm_checkpoint at;
    train(&a, 1, 1);
    save(&a, test_path("good"), NULL);
    read_file(test_path("good"));
    for (size_t i = 0; i < 200; i++) {
        const size_t place = size - 1 - i * (size / 200);
        bytes[place]       = (char)(bytes[place] ^ 1 << i % 8);
        write_file(test_path("bad"), size);
        bytes[place] = (char)(bytes[place] ^ 1 << i % 8);
        assert_false(plm_checkpoint_load(test_path("bad"), b.net, b.opt, &at, NULL));
        assert_error(b.ctx, PLM_ERR_FORMAT, "bad");
        assert_true(i > 100 || !plm_graph_load(b.net, test_path("bad")));
        plm_ctx_clear(b.ctx);
    }
    bytes[size / 2] ^= 4;
    write_file(test_path("bad"), size);
    bytes[size / 2] ^= 4;
    refused(&b, test_path("bad"), NULL, PLM_ERR_FORMAT, "bad is damaged: its checksum is wrong");
    for (size_t n = 0; n < size; n += n < 16 ? 1 : size / 40) {
        write_file(test_path("short"), n);
        refused(&b, test_path("short"), NULL, PLM_ERR_FORMAT, "short");
    }
    bytes[size] = 0;
    write_file(test_path("long"), size + 1);
    refused(&b, test_path("long"), NULL, PLM_ERR_FORMAT, "belong to no tensor");
    write_file(test_path("good"), size);
    assert_true(plm_checkpoint_load(test_path("good"), b.net, b.opt, &at, NULL));
    end(&a);
    end(&b);
}

static void test_bad_arguments(void **state)
{
    plm_ctx       *ctx = *state;
    plm_graph     *net = plm_graph_new(ctx);
    plm_checkpoint at  = somewhere;
    plm_node       x   = plm_nn_input(net, plm_shape_of(3));
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .name = "plummet.mine", .out = 2 }), "y");
    plm_optimizer *opt = plm_agd_new(net, NULL);
    assert_false(plm_checkpoint_save(NULL, net, opt, &at, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_checkpoint_save: path is NULL");
    assert_false(plm_checkpoint_save("x", net, NULL, &at, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "opt is NULL");
    assert_false(plm_checkpoint_load("x", net, opt, NULL, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_checkpoint_load: at is NULL");
    assert_false(plm_checkpoint_save(NULL, NULL, opt, &at, NULL));
    assert_false(plm_checkpoint_save(test_path("x"), net, opt, &at, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "the parameter plummet.mine.weight has a name that begins with \"plummet.\"");
    plm_optimizer_free(opt);
    plm_graph_free(net);

    net        = digits_net(ctx, false);
    opt        = plm_agd_new(net, NULL);
    at.seconds = INFINITY;
    assert_false(plm_checkpoint_save(test_path("x"), net, opt, &at, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "cannot hold a number inf");
    assert_int_not_equal(access(test_path("x"), F_OK), 0);
    plm_optimizer_free(opt);
    plm_graph_free(net);
}

/* The k-th allocation fails in saving, then in loading: an error, no file half written, nothing changed, nothing leaked. */
static void test_allocations_fail(void **state)
{
    (void)state;
    test_allocator a   = { .fail_at = -1 };
    plm_ctx       *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&a) });
    plm_graph     *net = net_preact(ctx, &(net_preact_desc){ .blocks = { 1, 1, 1 } });
    plm_optimizer *opt = plm_adam_new(net, NULL);
    plm_checkpoint at  = somewhere;
    int64_t        n, m, failures[2] = { 0 };
    float         *before = all_params(net, &n);
    for (int load = 0; load < 2; load++)
        for (bool ok = false; !ok; failures[load]++) {
            a.fail_at = a.calls + failures[load];
            ok        = load ? plm_checkpoint_load(test_path("memory"), net, opt, &at, NULL)
                             : plm_checkpoint_save(test_path("memory"), net, opt, &at, NULL);
            a.fail_at = -1;
            assert_int_equal(plm_ctx_status(ctx), ok ? PLM_OK : PLM_ERR_MEMORY);
            plm_ctx_clear(ctx);
            if (!load) assert_int_equal(access(test_path("memory"), F_OK) == 0, ok);
            float *after = all_params(net, &m);
            assert_memory_equal(before, after, (size_t)n * sizeof *before);
            free(after);
        }
    assert_true(failures[0] > 5 && failures[1] > 5);
    free(before);
    plm_optimizer_free(opt);
    plm_graph_free(net);
    plm_ctx_free(ctx);
    assert_int_equal(a.outstanding, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),          cmocka_unit_test(test_unfrozen_goes_on),
        cmocka_unit_test(test_opens_as_model),   cmocka_unit_test(test_other_trainings),
        cmocka_unit_test(test_settings),         ctx_test(test_other_modules),
        cmocka_unit_test(test_damaged),          ctx_test(test_bad_arguments),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

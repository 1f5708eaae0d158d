/* test_augment.c: cropped and mirrored images against naive code; the same for everybody, another every epoch. */
#include "data/check.h"
#include "data/data.h"

enum { COUNT = 37, C = 3, H = 6, W = 7, SIZE = C * H * W, CROP = 2 };

/* COUNT images of other sizes than CIFAR's (not square), without the pixel 0, so that the padding is told from them. */
static plm_dataset *images(plm_ctx *ctx, int channels)
{
    plm_normalization n = {
        .scale = 1.0 / 255, .channels = channels, .mean = { .1, .2, .3 }, .std = { .5, .25, .125 }
    };
    static uint8_t x[COUNT * SIZE];
    int64_t        y[COUNT];
    for (int i = 0; i < COUNT; i++) y[i] = i;
    for (int i = 0; i < COUNT * SIZE; i++) x[i] = (uint8_t)(1 + (i * 37 + i / SIZE * 11) % 255);
    plm_dataset *d =
        plm_dataset_from_arrays(ctx, &(plm_arrays_desc){ .x = plm_tensor_wrap(PLM_U8, plm_shape_of(COUNT, C, H, W), x),
                                                         .y = plm_tensor_wrap(PLM_I64, plm_shape_of(COUNT), y),
                                                         .normalization = &n });
    assert_non_null(d);
    assert_false(plm_dataset_augments(d));
    d->store->crop = CROP;
    d->store->flip = true;
    assert_true(plm_dataset_augments(d));
    return d;
}

/* Is x the image i, padded, cut out at (dy, dx), mirrored if `flip`?  torchvision's steps, one after the other. */
static bool is_variant(const plm_dataset *d, int64_t i, int dy, int dx, bool flip, const float *x)
{
    const plm_normalization *n                                  = &d->store->normalization;
    const uint8_t           *image                              = (const uint8_t *)d->store->x + i * SIZE;
    uint8_t                  padded[H + 2 * CROP][W + 2 * CROP] = { { 0 } };
    for (int c = 0; c < C; c++) {
        const int k = n->channels == 1 ? 0 : c;
        for (int y = 0; y < H; y++)
            for (int z = 0; z < W; z++) padded[y + CROP][z + CROP] = image[(c * H + y) * W + z];
        for (int y = 0; y < H; y++)
            for (int z = 0; z < W; z++) {
                const int    from = flip ? W - 1 - z : z;
                const double want = (padded[y + dy][from + dx] / 255.0 - n->mean[k]) / n->std[k];
                if (x[(c * H + y) * W + z] != (float)want) return false;
            }
    }
    return true;
}

/* Which variant x is: (dy, dx, flip) as one number. */
static int variant_of(const plm_dataset *d, int64_t i, const float *x)
{
    int found = -1;
    for (int v = 0; v < (2 * CROP + 1) * (2 * CROP + 1) * 2; v++)
        if (is_variant(d, i, v / 2 / (2 * CROP + 1), v / 2 % (2 * CROP + 1), v % 2, x)) {
            assert_int_equal(found, -1);
            found = v;
        }
    assert_int_not_equal(found, -1);
    return found;
}

/* The variants of an epoch, by sample. */
static void variants(plm_dataset *d, const plm_loader_desc *desc, int64_t epoch, int variant[COUNT])
{
    plm_loader *l = plm_loader_new(d, desc);
    plm_batch   b;
    int         n = 0;
    plm_loader_seek(l, epoch);
    for (int i = 0; i < COUNT; i++) variant[i] = -1;
    while (plm_loader_next(l, &b))
        for (int64_t k = 0; k < b.count; k++, n++) {
            const int64_t i = ((const int64_t *)b.y.data)[k];
            variant[i]      = variant_of(d, i, (const float *)b.x.data + k * SIZE);
        }
    assert_int_equal(n, COUNT);
    plm_loader_free(l);
}

static void test_against_naive(void **state)
{
    int seen[(2 * CROP + 1) * (2 * CROP + 1) * 2] = { 0 }, variant[COUNT], flips = 0, distinct = 0;
    for (int channels = 1; channels <= C; channels += C - 1) {
        plm_dataset *d = images(*state, channels);
        for (int epoch = 0; epoch < 20; epoch++) {
            variants(d, &(plm_loader_desc){ .batch = 10, .shuffle = true, .augment = true }, epoch, variant);
            for (int i = 0; i < COUNT; i++) {
                seen[variant[i]]++;
                flips += variant[i] % 2;
            }
        }
        plm_dataset_free(d);
    }
    /* 1,480 draws, twice the same: 740 of 50 variants, each about 15 times. */
    for (size_t v = 0; v < sizeof seen / sizeof *seen; v++) distinct += seen[v] >= 4 && seen[v] <= 80;
    assert_int_equal(distinct, sizeof seen / sizeof *seen);
    assert_in_range(flips, 600, 880);
    assert_ok(*state);
}

/* Order, batch size, prefetching and splits change nothing; the epoch and the seed do. */
static void test_keyed(void **state)
{
    int          first[COUNT], again[COUNT];
    plm_dataset *d = images(*state, C), *one, *two;
    variants(d, &(plm_loader_desc){ .batch = 10, .shuffle = true, .augment = true }, 3, first);
    variants(d, &(plm_loader_desc){ .batch = 7, .augment = true }, 3, again);
    assert_memory_equal(first, again, sizeof first);
    variants(d, &(plm_loader_desc){ .batch = 5, .shuffle = true, .augment = true, .prefetch = true }, 3, again);
    assert_memory_equal(first, again, sizeof first);
    variants(d, &(plm_loader_desc){ .batch = 7, .augment = true }, 4, again);
    assert_memory_not_equal(first, again, sizeof first);

    assert_true(plm_dataset_split(d, 0.5, NULL, &one, &two));
    plm_loader *l = plm_loader_new(two, &(plm_loader_desc){ .augment = true });
    plm_batch   b;
    plm_loader_seek(l, 3);
    assert_true(plm_loader_next(l, &b));
    for (int64_t k = 0; k < b.count; k++) {
        const int64_t i = ((const int64_t *)b.y.data)[k];
        assert_int_equal(variant_of(d, i, (const float *)b.x.data + k * SIZE), first[i]);
    }
    plm_loader_free(l);
    plm_dataset_free(one);
    plm_dataset_free(two);
    plm_dataset_free(d);

    plm_ctx *ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = 1, .threads = 1 });
    d            = images(ctx, C);
    variants(d, &(plm_loader_desc){ .batch = 7, .augment = true }, 3, again);
    assert_memory_not_equal(first, again, sizeof first);
    plm_dataset_free(d);
    plm_ctx_free(ctx);
}

static void test_not_asked_for(void **state)
{
    int          variant[COUNT];
    plm_dataset *d = images(*state, C);
    variants(d, &(plm_loader_desc){ .shuffle = true, .prefetch = true }, 2, variant);
    for (int i = 0; i < COUNT; i++) assert_int_equal(variant[i], (CROP * (2 * CROP + 1) + CROP) * 2);
    d->store->flip = false; /* a recipe without mirrors */
    variants(d, &(plm_loader_desc){ .augment = true }, 2, variant);
    for (int i = 0; i < COUNT; i++) assert_int_equal(variant[i] % 2, 0);
    plm_dataset_free(d);
}

/* A data set without a recipe is the same with .augment. */
static void test_no_recipe(void **state)
{
    plm_dataset *d = plm_dataset_named(*state, "digits", NULL);
    plm_loader  *l = plm_loader_new(d, &(plm_loader_desc){ .augment = true }), *m = plm_loader_new(d, NULL);
    plm_batch    a, b;
    assert_false(plm_dataset_augments(d));
    while (plm_loader_next(l, &a)) {
        assert_true(plm_loader_next(m, &b));
        assert_memory_equal(a.x.data, b.x.data, (size_t)a.count * 64 * sizeof(float));
    }
    plm_loader_free(l);
    plm_loader_free(m);
    plm_dataset_free(d);
    assert_ok(*state);
}

/* The loss of an epoch of training on what the loader gives. */
static double loss_by_hand(plm_dataset *d, bool augment)
{
    plm_ctx    *ctx = d->store->ctx;
    plm_graph  *net = plm_graph_new(ctx);
    plm_loader *l   = plm_loader_new(d, &(plm_loader_desc){ .batch = 10, .shuffle = true, .augment = augment });
    plm_batch   b;
    double      sum = 0;
    plm_graph_output(
        plm_nn_linear(plm_nn_flatten(plm_nn_input(net, plm_dataset_x_shape(d))), &(plm_linear_desc){ .out = COUNT }),
        "logits");
    plm_optimizer *opt  = plm_agd_new(net, NULL);
    plm_tape      *tape = plm_tape_new(ctx, NULL);
    while (plm_loader_next(l, &b)) {
        const plm_val loss = plm_mse_onehot(plm_graph_apply(net, plm_tape_input(tape, b.x)), b.y, NULL);
        sum += (double)plm_val_item(loss) * (double)b.count;
        assert_true(plm_backward(loss) && plm_optimizer_step(opt));
        plm_tape_reset(tape);
    }
    plm_tape_free(tape);
    plm_optimizer_free(opt);
    plm_loader_free(l);
    plm_graph_free(net);
    return sum / COUNT;
}

static double loss_of_plm_train(plm_dataset *d, bool augment)
{
    plm_graph *net = plm_graph_new(d->store->ctx);
    plm_epoch  last;
    plm_graph_output(
        plm_nn_linear(plm_nn_flatten(plm_nn_input(net, plm_dataset_x_shape(d))), &(plm_linear_desc){ .out = COUNT }),
        "logits");
    plm_optimizer *opt = plm_agd_new(net, NULL);
    assert_true(plm_train(net, opt, d, &(plm_train_desc){ .epochs = 1, .batch = 10, .augment = augment }, &last));
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return last.train.loss;
}

/* The training columns are about the samples as trained on. */
static void test_in_training(void **state)
{
    plm_dataset *d = images(*state, C);
    double       loss[2];
    for (int augment = 0; augment < 2; augment++) {
        loss[augment] = loss_of_plm_train(d, augment);
        assert_close(loss[augment], loss_by_hand(d, augment), 0, 1e-12);
    }
    assert_true(loss[0] != loss[1]);
    plm_dataset_free(d);
    assert_ok(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_against_naive), ctx_test(test_keyed),       ctx_test(test_not_asked_for),
        ctx_test(test_no_recipe),     ctx_test(test_in_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

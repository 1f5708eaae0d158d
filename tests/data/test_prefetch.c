/* test_prefetch.c: batches filled ahead in a thread: the same bytes, and an end at any moment. */
#include "data/check.h"
#include "data/data.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { COUNT = 103, PIXELS = 48, BATCH = 10 };

static uint8_t byte_of(int64_t i, int64_t p)
{
    return (uint8_t)(1 + i + 3 * p);
}

static plm_dataset *samples(plm_ctx *ctx)
{
    static uint8_t    x[COUNT * PIXELS];
    int64_t           y[COUNT];
    plm_normalization n = { .channels = 1, .mean = { 1 }, .std = { .5 } };
    for (int i = 0; i < COUNT; i++) {
        y[i] = i;
        for (int p = 0; p < PIXELS; p++) x[i * PIXELS + p] = byte_of(i, p);
    }
    plm_dataset *d =
        plm_dataset_from_arrays(ctx, &(plm_arrays_desc){ .x = plm_tensor_wrap(PLM_U8, plm_shape_of(COUNT, 3, 4, 4), x),
                                                         .y = plm_tensor_wrap(PLM_I64, plm_shape_of(COUNT), y),
                                                         .normalization = &n });
    assert_non_null(d);
    d->store->crop = 1;
    d->store->flip = true;
    return d;
}

static plm_loader *loader(plm_dataset *d, bool prefetch)
{
    plm_loader *l =
        plm_loader_new(d, &(plm_loader_desc){ .batch = BATCH, .shuffle = true, .augment = true, .prefetch = prefetch });
    assert_non_null(l);
    return l;
}

/* Both say the same: an end, or the same bytes. */
static bool same_next(plm_loader *l, plm_loader *m)
{
    plm_batch  a, b;
    const bool more = plm_loader_next(l, &a);
    assert_int_equal(plm_loader_next(m, &b), more);
    assert_int_equal(a.count, b.count);
    if (!more) return false;
    assert_true(plm_shape_equal(a.x.shape, b.x.shape));
    assert_memory_equal(a.x.data, b.x.data, (size_t)a.count * PIXELS * sizeof(float));
    assert_memory_equal(a.y.data, b.y.data, (size_t)a.count * sizeof(int64_t));
    return true;
}

static void test_same_bytes(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = samples(ctx);
    plm_loader  *l = loader(d, true), *m = loader(d, false);
    uint64_t     before = plm_ctx_statistics(ctx).allocations;
    for (int epoch = 0; epoch < 4; epoch++) {
        int batches = 0;
        while (same_next(l, m)) batches++;
        assert_int_equal(batches, 11);
    }
    assert_int_equal(plm_ctx_statistics(ctx).allocations, before);
    assert_ok(ctx);
    plm_loader_free(l);
    plm_loader_free(m);
    plm_dataset_free(d);
}

/* What is lent stays as it is while the next one is filled. */
static void test_lent_until_next(void **state)
{
    plm_dataset *d = samples(*state);
    plm_loader  *l = loader(d, true);
    plm_batch    b;
    static float copy[BATCH * PIXELS];
    while (plm_loader_next(l, &b)) {
        const size_t bytes = (size_t)b.count * PIXELS * sizeof(float);
        memcpy(copy, b.x.data, bytes);
        for (int turn = 0; turn < 1000; turn++) assert_memory_equal(copy, b.x.data, bytes);
    }
    plm_loader_free(l);
    plm_dataset_free(d);
}

/* Seek from anywhere to anywhere, also where it was going anyway. */
static void test_seek(void **state)
{
    plm_dataset *d = samples(*state);
    plm_loader  *l = loader(d, true), *m = loader(d, false);
    for (int taken = 0; taken <= 12; taken++)
        for (int epoch = 0; epoch < 4; epoch++) {
            for (int i = 0; i < taken; i++) same_next(l, m);
            plm_loader_seek(l, epoch);
            plm_loader_seek(m, epoch);
        }
    while (same_next(l, m)) continue;
    for (int epoch = 1; epoch < 4; epoch++) { /* as the training loop does */
        plm_loader_seek(l, epoch);
        plm_loader_seek(m, epoch);
        while (same_next(l, m)) continue;
    }
    plm_loader_seek(l, INT64_MAX);
    plm_loader_seek(m, INT64_MAX);
    while (same_next(l, m)) continue;
    assert_true(same_next(l, m));
    plm_loader_free(l);
    plm_loader_free(m);
    plm_dataset_free(d);
}

static void test_free_at_any_moment(void **state)
{
    plm_dataset *d = samples(*state);
    plm_batch    b;
    for (int round = 0; round < 20; round++)
        for (int taken = 0; taken <= 12; taken++) {
            plm_loader *l = loader(d, true);
            for (int i = 0; i < taken; i++) plm_loader_next(l, &b);
            if (round % 2) plm_loader_seek(l, round);
            plm_loader_free(l);
        }
    plm_dataset_free(d);
    assert_ok(*state);
}

static void test_several_at_once(void **state)
{
    plm_dataset *d = samples(*state);
    plm_loader  *l[3], *m = loader(d, false), *restless = loader(d, true);
    plm_batch    b;
    for (int i = 0; i < 3; i++) l[i] = loader(d, true);
    for (int i = 0; i < 3; i++) {
        plm_loader_seek(m, 0);
        while (same_next(l[i], m)) {
            plm_loader_seek(restless, i);
            assert_true(plm_loader_next(restless, &b));
        }
    }
    for (int i = 0; i < 3; i++) plm_loader_free(l[i]);
    plm_loader_free(restless);
    plm_loader_free(m);
    plm_dataset_free(d);
}

/* Samples that are fetched, one of which fails as often as told. */
typedef struct {
    int64_t    bad;
    int        failures;
    pthread_t  caller;
    atomic_int elsewhere; /* calls from another thread than the test's */
} source;

static bool fetch(void *user, int64_t at, const plm__key *augment, uint8_t *x, plm__fault *fault)
{
    (void)augment;
    source *s = user;
    s->elsewhere += !pthread_equal(pthread_self(), s->caller);
    if (at == s->bad && s->failures > 0) {
        s->failures--;
        fault->status = PLM_ERR_IO;
        snprintf(fault->message, sizeof fault->message, "picture %lld cannot be read", (long long)at);
        return false;
    }
    for (int64_t p = 0; p < PIXELS; p++) x[p] = byte_of(at, p);
    return true;
}

/* The next batch; then waits until the thread, if there is one, has begun the one after, so that it is not taken back. */
static bool next_of(plm_loader *l, plm_batch *b, source *s, bool prefetch)
{
    const int  before = s->elsewhere;
    const bool more   = plm_loader_next(l, b);
    while (more && prefetch && s->elsewhere == before) sched_yield();
    return more;
}

static plm_dataset *fetched(plm_ctx *ctx, source *s)
{
    plm_dataset *d = samples(ctx);
    plm__delete(ctx, d->store->x);
    d->store->x      = NULL;
    d->store->fetch  = fetch;
    d->store->source = s;
    return d;
}

static void test_errors_of_the_thread(void **state)
{
    plm_ctx     *ctx = *state;
    plm_batch    b;
    plm_dataset *whole = samples(ctx);
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        int elsewhere = 0;
        for (int64_t bad = 0; bad < COUNT; bad += 9) {
            source       s = { .bad = bad, .failures = 2, .caller = pthread_self() };
            plm_dataset *d = fetched(ctx, &s);
            plm_loader  *l = loader(d, prefetch), *m = loader(whole, false);
            for (int failures = 0; failures < 2; failures++) {
                int batches = 0;
                plm_loader_seek(l, 0);
                while (next_of(l, &b, &s, prefetch)) batches++;
                assert_true(batches <= 10);
                assert_int_equal(b.count, 0);
                assert_false(plm_loader_next(l, &b)); /* until the error is cleared */
                char sentence[64];
                snprintf(sentence, sizeof sentence, "picture %lld cannot be read", (long long)bad);
                assert_string_equal(plm_ctx_error(ctx), sentence);
                assert_error(ctx, PLM_ERR_IO, "picture");
            }
            plm_loader_seek(l, 0);
            while (same_next(l, m)) continue;
            plm_loader_free(l); /* now the source is ours again */
            elsewhere += s.elsewhere;
            plm_loader_free(m);
            plm_dataset_free(d);
        }
        if (!prefetch) assert_int_equal(elsewhere, 0); /* with it, the thread may or may not have had a core in time */
    }
    plm_dataset_free(whole);
}

/* After an error the same batch comes again. */
static void test_error_and_on(void **state)
{
    plm_ctx     *ctx   = *state;
    source       s     = { .bad = 50, .failures = 1, .caller = pthread_self() };
    plm_dataset *whole = samples(ctx), *d = fetched(ctx, &s);
    plm_loader  *l = loader(d, true), *m = loader(whole, false);
    plm_batch    a, b;
    int          batches = 0;
    while (plm_loader_next(m, &b)) {
        if (!next_of(l, &a, &s, true)) {
            assert_error(ctx, PLM_ERR_IO, "picture 50 cannot be read");
            assert_true(next_of(l, &a, &s, true));
        }
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.x.data, b.x.data, (size_t)b.count * PIXELS * sizeof(float));
        batches++;
    }
    assert_int_equal(batches, 11);
    plm_loader_free(l);
    assert_int_equal(s.failures, 0);
    plm_loader_free(m);
    plm_dataset_free(whole);
    plm_dataset_free(d);
}

static bool get(void *user, plm_ctx *ctx, int64_t index, float *x, int64_t *label)
{
    source *s = user;
    s->elsewhere += !pthread_equal(pthread_self(), s->caller);
    (void)ctx;
    *x     = (float)index;
    *label = 0;
    return true;
}

/* The user's function is the user's thread's. */
static void test_callbacks_stay(void **state)
{
    source       s = { .caller = pthread_self() };
    plm_dataset *d = plm_dataset_from_callback(
        *state,
        &(plm_callback_desc){ .count = COUNT, .x_shape = plm_shape_of(1), .classes = 1, .get = get, .user = &s });
    plm_loader *l = plm_loader_new(d, &(plm_loader_desc){ .batch = BATCH, .prefetch = true });
    plm_batch   b;
    int64_t     n = 0;
    for (; plm_loader_next(l, &b); n += b.count) assert_close(((float *)b.x.data)[0], (double)n, 0, 0);
    assert_int_equal(n, COUNT);
    plm_loader_free(l);
    assert_int_equal(s.elsewhere, 0);
    plm_dataset_free(d);
}

static bool use(plm_ctx *ctx)
{
    plm_dataset *d = plm_dataset_named(ctx, "digits", NULL);
    plm_loader  *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 10, .shuffle = true, .prefetch = true });
    plm_batch    b;
    bool         ok = plm_loader_next(l, &b);
    plm_loader_free(l);
    plm_dataset_free(d);
    return ok;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_allocation_failures(use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_same_bytes),         ctx_test(test_lent_until_next), ctx_test(test_seek),
        ctx_test(test_free_at_any_moment), ctx_test(test_several_at_once), ctx_test(test_errors_of_the_thread),
        ctx_test(test_error_and_on),       ctx_test(test_callbacks_stay),  cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_steady.c: a training that goes on needs no more memory.  test_steady STEPS: a longer one (tools/check-memory). */
#include "support.h"

#include <unistd.h>

enum {
    WARM = 64
}; /* steps, more than an epoch's: by then there is every batch size, and the loader's thread has its memory */

typedef struct {
    plm_ctx      *ctx;
    int64_t       steps;
    plm_ctx_stats warm, end;
    int64_t       warm_pages, end_pages;
} seen;

static int64_t steps = 300;

/* Pages in memory; 0 where the system does not say. */
static int64_t resident(void)
{
    FILE     *file = fopen("/proc/self/statm", "r");
    long long all = 0, pages = 0;
    if (!file) return 0;
    if (fscanf(file, "%lld %lld", &all, &pages) != 2) pages = 0;
    fclose(file);
    return pages;
}

static bool on_step(void *user, const plm_step *step)
{
    seen *s  = user;
    s->steps = step->step;
    if (s->steps == WARM) {
        s->warm       = plm_ctx_statistics(s->ctx);
        s->warm_pages = resident();
    }
    if (s->steps == steps) {
        s->end       = plm_ctx_statistics(s->ctx);
        s->end_pages = resident();
    }
    return s->steps < steps;
}

static void test_steady(void **state)
{
    seen         s    = { .ctx = *state };
    plm_dataset *data = plm_dataset_named(s.ctx, "digits", NULL);
    plm_graph   *net  = plm_graph_new(s.ctx);
    plm_node     h    = plm_nn_input(net, plm_shape_of(1, 8, 8));
    h                 = plm_nn_conv2d(h, &(plm_conv2d_desc){ .out = 8, .pad = 1 });
    h                 = plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL);
    h                 = plm_nn_flatten(plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 }));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 10 }), "logits");
    plm_optimizer       *agd  = plm_agd_new(net, NULL);
    const plm_train_desc desc = { .epochs = 1 << 20, .batch = 32, .on_step = on_step, .user = &s };
    const bool           ok   = plm_train(net, agd, data, &desc, NULL);
    const int64_t        more = (s.end_pages - s.warm_pages) * sysconf(_SC_PAGESIZE) / 1024;
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    assert_ok(s.ctx);
    assert_true(ok);
    assert_int_equal(s.steps, steps);
    print_message("%lld steps: %lld allocations after step %d, %lld bytes more, %lld KiB more in memory\n",
                  (long long)steps, (long long)(s.end.allocations - s.warm.allocations), WARM,
                  (long long)(s.end.bytes - s.warm.bytes), (long long)more);
    assert_int_equal(s.end.allocations, s.warm.allocations);
    assert_int_equal(s.end.bytes, s.warm.bytes);
#ifndef __SANITIZE_ADDRESS__ /* it keeps what is freed */
    assert_in_range(more + 1024, 0,
                    3 * 1024); /* oneDNN and the C library may keep a little; a leak of a tensor a step shows */
#endif
}

int main(int argc, char **argv)
{
    if (argc > 1) steps = atoll(argv[1]);
    const struct CMUnitTest tests[] = { ctx_test(test_steady) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

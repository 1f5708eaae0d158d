/* fuzz_checkpoint.c: checkpoints of a training: each is refused with a sentence and changes nothing, or puts network and
 * optimiser where they were, and is saved to the same bytes from then on. */
#include "fuzz.h"

#include <plummet/plummet.h>

#include <math.h>
#include <sys/stat.h>

enum { WEIGHTS = 8 };
static const char recipe[] = "batch 4";

typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net;
    plm_optimizer *opt;
} training;

static training begin(size_t size)
{
    training t = { .ctx = fuzz_ctx_new((1 << 19) + 64 * size) }; /* a chunk to be summed up at a time */
    t.net      = plm_graph_new(t.ctx);
    plm_node x = plm_nn_input(t.net, plm_shape_of(3));
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .name = "fc", .out = 2, .bias = true }), "y");
    t.opt = plm_adam_new(t.net, &(plm_adam_desc){ .lr = 1e-2 });
    fuzz_require(plm_ctx_status(t.ctx) == PLM_OK);
    return t;
}

static void end(training *t)
{
    plm_optimizer_free(t->opt);
    plm_graph_free(t->net);
    fuzz_ctx_free(t->ctx, 1 << PLM_ERR_FORMAT | 1 << PLM_ERR_STATE);
}

static void read_weights(const training *t, float w[WEIGHTS])
{
    fuzz_require(plm_param_read(plm_graph_param(t->net, 0), w, 6) &&
                 plm_param_read(plm_graph_param(t->net, 1), w + 6, 2));
}

static size_t slurp(const char *path, uint8_t *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    fuzz_require(file);
    const size_t size = fread(bytes, 1, room, file);
    fuzz_require(size < room);
    fclose(file);
    return size;
}

/* Saved, loaded elsewhere and saved again: the same file. */
static void save_and_reload(training *t, const plm_checkpoint *at, size_t size)
{
    static uint8_t a[1 << 16], b[1 << 16];
    const char    *first = fuzz_file("first", NULL, 0), *second = fuzz_file("second", NULL, 0);
    training       other = begin(size);
    plm_checkpoint again;
    fuzz_require(plm_checkpoint_save(first, t->net, t->opt, at, recipe));
    fuzz_require(plm_checkpoint_load(first, other.net, other.opt, &again, recipe));
    fuzz_require(plm_checkpoint_save(second, other.net, other.opt, &again, recipe));
    const size_t n = slurp(first, a, sizeof a), m = slurp(second, b, sizeof b);
    fuzz_require(n == m && memcmp(a, b, n) == 0);
    end(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    training       t = begin(size);
    float          before[WEIGHTS], after[WEIGHTS];
    const char    *path = fuzz_file("checkpoint", data, size);
    plm_checkpoint at = { .step = -5 }, untouched = at;
    read_weights(&t, before);
    const bool ok = plm_checkpoint_load(path, t.net, t.opt, &at, recipe);
    fuzz_require(ok == (plm_ctx_status(t.ctx) == PLM_OK));
    fuzz_check_error(t.ctx, 1 << PLM_ERR_FORMAT | 1 << PLM_ERR_STATE);
    plm_ctx_clear(t.ctx);
    read_weights(&t, after);
    if (ok) {
        fuzz_require(at.step >= 0 && at.epoch >= 0 && at.batches >= 0 && plm_optimizer_info(t.opt)->step >= 0);
        save_and_reload(&t, &at, size);
    } else fuzz_require(memcmp(before, after, sizeof before) == 0 && memcmp(&at, &untouched, sizeof at) == 0);
    end(&t);
    return 0;
}

/* bench.c: how long a training step takes, and its parts.
 *
 * The steps are those of training, on one batch of random numbers.  What they could take at best is the time of their bare
 * oneDNN primitives: one more step is traced, and the trace replayed with nothing around it.  A profile is made of steps of
 * its own, so that watching does not slow down what is measured. */
#include "train/train.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "dnnl/dnnl.h"
#include "train/profile.h"

#define DEFAULT_STEPS 20
#define WARM_UP 5
#define REPLAYS 21  /* at most: no more than steps */
#define TRACE 16384 /* primitives in one step, at most */

typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net;
    plm_optimizer *opt;
    plm_loss       loss;
    plm_tape      *tape;
    plm_tensor     x, y;
} bench;

typedef struct {
    double *step, *forward, *backward, *optimizer; /* seconds, [steps] each, one block */
} times;

static int compare(const void *a, const void *b)
{
    const double l = *(const double *)a, r = *(const double *)b;
    return (l > r) - (l < r);
}

static double median_ms(double *seconds, int n)
{
    qsort(seconds, (size_t)n, sizeof *seconds, compare);
    return 1e3 * (n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2);
}

static plm_val forward(bench *b)
{
    plm_tape_reset(b->tape);
    return plm_loss_apply(b->loss, plm_graph_apply(b->net, plm_tape_input(b->tape, b->x)), b->y);
}

static bool step(bench *b, const times *t, int i)
{
    const double  start = plm__seconds();
    const plm_val loss  = forward(b);
    const double  there = plm__seconds();
    if (!plm_backward(loss)) return false;
    const double back = plm__seconds();
    if (!plm_optimizer_step(b->opt)) return false;
    const double end = plm__seconds();
    t->step[i]       = end - start;
    t->forward[i]    = there - start;
    t->backward[i]   = back - there;
    t->optimizer[i]  = end - back;
    return true;
}

static double peak_rss_mb(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0; /* Linux counts in KiB */
}

static bool run_steps(bench *b, int steps, plm_bench_result *result)
{
    double *memory = plm__new(b->ctx, (size_t)steps * 4 * sizeof *memory, "the times of a benchmark");
    if (!memory) return false;
    const times t  = { memory, memory + steps, memory + 2 * (size_t)steps, memory + 3 * (size_t)steps };
    bool        ok = true;
    for (int i = 0; ok && i < WARM_UP; i++) ok = step(b, &t, 0);
    for (int i = 0; ok && i < steps; i++) ok = step(b, &t, i);
    if (ok) {
        result->step_ms      = median_ms(t.step, steps);
        result->forward_ms   = median_ms(t.forward, steps);
        result->backward_ms  = median_ms(t.backward, steps);
        result->optimizer_ms = median_ms(t.optimizer, steps);
        result->images_per_s = 1e3 * (double)b->x.shape.dim[0] / result->step_ms;
        result->peak_rss_mb  = peak_rss_mb(); /* now: the replay takes memory that training does not */
    }
    plm__delete(b->ctx, memory);
    return ok;
}

static bool profile(bench *b, const plm_bench_desc *d)
{
    double       unused[4];
    const times  t = { unused, unused + 1, unused + 2, unused + 3 };
    plm__profile p;
    bool         ok = true;
    plm__profile_begin(&p, b->ctx);
    for (int i = 0; ok && i < d->steps; i++) {
        plm__profile_step(&p);
        ok = step(b, &t, 0);
    }
    const double ms = 1e3 / d->steps;
    for (int i = 0; ok && i < p.entries; i++)
        d->on_op(d->user, &(plm_op_time){ .op          = p.entry[i].op,
                                          .node        = p.entry[i].node,
                                          .forward_ms  = p.entry[i].forward * ms,
                                          .backward_ms = p.entry[i].backward * ms });
    plm__profile_end(&p);
    return ok;
}

static bool replay(bench *b, int steps, plm_bench_result *result)
{
    const int replays = steps < REPLAYS ? steps : REPLAYS;
    double    seconds[REPLAYS];
    if (!plm__enter(b->ctx, "plm_bench")) return false;
    bool ok = plm__trace_start(b->ctx, TRACE);
    ok      = ok && plm_backward(forward(b));
    ok      = plm__trace_stop(b->ctx) > 0 && ok;
    plm_tape_reset(b->tape); /* its memory serves the replay */
    for (int i = 0; ok && i < replays; i++) ok = (seconds[i] = plm__trace_replay(b->ctx)) >= 0;
    if (ok) result->primitive_ms = median_ms(seconds, replays);
    plm__leave(b->ctx);
    return ok;
}

/* Random images and labels, in blocks that the caller drops. */
static bool make_batch(bench *b, int64_t n, plm__block *block[2])
{
    const plm_shape shape   = plm__shape_batched(n, plm_graph_input_shape(b->net));
    const plm_shape out     = plm_graph_output_shape(b->net);
    const int64_t   classes = out.rank == 1 ? out.dim[0] : 0;
    char            text[PLM__SHAPE_TEXT];
    if (!plm__shape_check(b->ctx, shape, "plm_bench")) return false;
    if (classes < 1)
        return plm__fail(b->ctx, PLM_ERR_SHAPE, "plm_bench: the graph's output is %s, expected [classes]",
                         plm__shape_text(out, text));
    const int64_t count = plm_shape_count(shape);
    block[0]            = plm__pool_get(b->ctx, (size_t)count * sizeof(float));
    block[1]            = block[0] ? plm__pool_get(b->ctx, (size_t)n * sizeof(int64_t)) : NULL;
    if (!block[1]) return false;
    const plm__key images = plm__random_key(b->ctx->seed, PLM__RANDOM_DATA, "bench.x", 0);
    const plm__key labels = plm__random_key(b->ctx->seed, PLM__RANDOM_DATA, "bench.y", 0);
    float         *x      = block[0]->data;
    int64_t       *y      = block[1]->data;
    for (int64_t i = 0; i < count; i++) x[i] = (float)plm__random_normal(images, (uint64_t)i);
    for (int64_t i = 0; i < n; i++) y[i] = (int64_t)(plm__random_uniform(labels, (uint64_t)i) * (double)classes);
    b->x = plm_tensor_wrap(PLM_F32, shape, x);
    b->y = plm_tensor_wrap(PLM_I64, plm_shape_of(n), y);
    return true;
}

bool plm_bench(plm_graph *net, plm_optimizer *opt, const plm_bench_desc *desc, plm_bench_result *result)
{
    if (result) *result = (plm_bench_result){ 0 };
    if (!net || plm_ctx_status(plm_graph_ctx(net)) != PLM_OK) return false;
    plm_bench_desc d = desc ? *desc : (plm_bench_desc){ 0 };
    bench          b = { .ctx = plm_graph_ctx(net), .net = net, .opt = opt, .loss = d.loss };
    if (d.batch == 0) d.batch = 128;
    if (d.steps == 0) d.steps = DEFAULT_STEPS;
    if (!opt || !result) return plm__fail(b.ctx, PLM_ERR_ARGUMENT, "plm_bench: %s is NULL", opt ? "result" : "opt");
    if (d.batch < 0 || d.steps < 0)
        return plm__fail(b.ctx, PLM_ERR_ARGUMENT, "plm_bench: batch is %lld, steps %d, expected 0 or more",
                         (long long)d.batch, d.steps);
    plm__block *block[2] = { NULL, NULL };
    bool        ok       = make_batch(&b, d.batch, block);
    b.tape               = ok ? plm_tape_new(b.ctx, NULL) : NULL;
    ok = b.tape && run_steps(&b, d.steps, result) && (!d.on_op || profile(&b, &d)) && replay(&b, d.steps, result);
    plm_tape_free(b.tape);
    plm__pool_drop(b.ctx, block[0]);
    plm__pool_drop(b.ctx, block[1]);
    return ok;
}

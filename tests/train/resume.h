/* resume.h: small trainings in run folders, for the tests of stopping and going on. */
#ifndef PLM_TESTS_TRAIN_RESUME_H
#define PLM_TESTS_TRAIN_RESUME_H

#include "train/check.h"

#include <unistd.h>

enum { OPT_AGD, OPT_ADAM, OPT_SGD, OPTS };

/* How a training is made, and where it ends early. */
typedef struct {
    const char   *dir;  /* of the run */
    int           opt;  /* OPT_... */
    bool          conv; /* a residual network with batch norm and dropout; else a fcn with batch norm */
    int           epochs, save_epochs;
    int64_t       save_steps;
    bool          resume;
    int64_t       stop_at;         /* > 0: on_step says false there                                          */
    int64_t       fail_at;         /* > 0: on_step fails there, as a process that dies                       */
    int           stop_epoch;      /* > 0: on_epoch says false there                                       */
    const char   *recipe, *config; /* config: NULL: {} */
    bool          without_test;
    uint64_t      seed;
    int64_t       monitor; /* > 0: every so many steps are measured, into monitor.csv */
    plm_nonfinite on_nonfinite;
    plm_schedule  schedule;
    bool (*get)(void *user, plm_ctx *ctx, int64_t index, float *x, int64_t *label); /* NULL: digits    */
    plm_allocator allocator;
} recipe;

/* What a training was, while it lasts. */
typedef struct {
    recipe         r;
    plm_ctx       *ctx;
    plm_dataset   *data, *test;
    plm_graph     *net;
    plm_optimizer *opt;
    plm_monitor   *monitor;
    plm_run       *run;
    plm_epoch      last;
    plm_checkpoint from; /* of on_resume */
    bool           from_checkpoint;
    char           passed_over[1024];
} job;

static inline bool job_step(void *user, const plm_step *step)
{
    job *j = user;
    if (!plm_run_step(j->run, step)) return false;
    if (j->monitor && !plm_run_monitored(j->run, j->monitor, step)) return false;
    if (step->step == j->r.fail_at) return plm_ctx_fail(j->ctx, PLM_ERR_STATE, "the power is gone");
    return step->step != j->r.stop_at;
}

static inline bool job_epoch(void *user, const plm_epoch *epoch)
{
    job *j = user;
    return plm_run_epoch(j->run, epoch) && (epoch->epoch == 0 || epoch->epoch != j->r.stop_epoch);
}

static inline void job_resume(void *user, const plm_resumed *from)
{
    job *j             = user;
    j->from            = *from->at;
    j->from_checkpoint = from->path != NULL;
    snprintf(j->passed_over, sizeof j->passed_over, "%s", from->passed_over ? from->passed_over : "");
}

/* [1,8,8]: conv, then two residual blocks with batch norm, dropout, linear. */
static inline plm_graph *residual_net(plm_ctx *ctx)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_input(net, plm_shape_of(1, 8, 8));
    h              = plm_nn_conv2d(h, &(plm_conv2d_desc){ .out = 12, .pad = 1 });
    for (int i = 0; i < 2; i++) {
        plm_node f = plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL);
        f          = plm_nn_conv2d(f, &(plm_conv2d_desc){ .out = 12, .pad = 1 });
        h          = plm_nn_add(f, h);
    }
    h = plm_nn_dropout(plm_nn_flatten(plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .kernel = 4 })),
                       &(plm_dropout_desc){ .p = 0.2 });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 10 }), "logits");
    return net;
}

static inline plm_dataset *job_data(job *j, bool test)
{
    plm_dataset *all, *part = NULL, *rest = NULL;
    if (j->r.get)
        return plm_dataset_from_callback(
            j->ctx,
            &(plm_callback_desc){ .count = 150, .x_shape = plm_shape_of(1, 8, 8), .classes = 10, .get = j->r.get });
    all = plm_dataset_named(j->ctx, "digits", &(plm_named_desc){ .test = test });
    if (!plm_dataset_split(all, 150.5 / (double)plm_dataset_count(all), &(plm_split_desc){ .ordered = true }, &part,
                           &rest))
        part = NULL;
    plm_dataset_free(rest);
    plm_dataset_free(all);
    return part;
}

/* 150 samples in batches of 32: 5 steps an epoch.  False: the context has the error. */
static inline bool job_run(job *j)
{
    const recipe *r = &j->r;
    j->ctx          = plm_ctx_new(&(plm_ctx_desc){ .threads = 2, .seed = r->seed, .allocator = r->allocator });
    j->data         = job_data(j, false);
    j->test         = job_data(j, true);
    j->net          = r->conv ? residual_net(j->ctx) : digits_net(j->ctx, true);
    j->opt          = r->opt == OPT_AGD    ? plm_agd_new(j->net, NULL)
                      : r->opt == OPT_ADAM ? plm_adam_new(j->net, NULL)
                                           : plm_sgd_new(j->net, &(plm_sgd_desc){ .lr = 0.05, .momentum = 0.9 });
    j->run = (r->resume ? plm_run_resume : plm_run_new)(j->ctx, r->dir, r->config ? r->config : "{}", false, true);
    if (r->monitor) j->monitor = plm_monitor_new(j->opt, &(plm_monitor_desc){ .every = r->monitor });
    if (r->monitor && !plm_run_monitor(j->run, j->monitor)) return false;
    const plm_train_desc desc = { .epochs       = r->epochs,
                                  .batch        = 32,
                                  .test         = r->without_test ? NULL : j->test,
                                  .on_step      = job_step,
                                  .on_epoch     = job_epoch,
                                  .on_resume    = job_resume,
                                  .user         = j,
                                  .monitor      = j->monitor,
                                  .run          = j->run,
                                  .save_epochs  = r->save_epochs,
                                  .save_steps   = r->save_steps,
                                  .recipe       = r->recipe,
                                  .schedule     = r->schedule,
                                  .on_nonfinite = r->on_nonfinite };
    return j->run && plm_train(j->net, j->opt, j->data, &desc, &j->last) &&
           (r->stop_at || r->stop_epoch || plm_run_finish(j->run, j->net));
}

static inline void job_end(job *j)
{
    plm_run_free(j->run);
    plm_monitor_free(j->monitor);
    plm_optimizer_free(j->opt);
    plm_graph_free(j->net);
    plm_dataset_free(j->data);
    plm_dataset_free(j->test);
    plm_ctx_free(j->ctx);
}

/* A whole training, which must succeed unless it is to fail. */
static inline job job_done(recipe r)
{
    job        j  = { .r = r };
    const bool ok = job_run(&j);
    if (!r.fail_at) assert_ok(j.ctx);
    assert_int_equal(ok, r.fail_at == 0);
    job_end(&j);
    j.ctx = NULL;
    return j;
}

/* DIR/NAME; lent until the next call but one. */
static inline const char *in(const char *dir, const char *name)
{
    static char path[2][2048];
    static int  turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s%s%s", dir, *name == '.' ? "" : "/", name);
    return path[turn];
}

static inline bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static char   file_text[2][1 << 18];
static size_t file_size[2];

static inline void read_into(int k, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    file_size[k] = fread(file_text[k], 1, sizeof file_text[k] - 1, file);
    fclose(file);
    assert_in_range(file_size[k], 1, sizeof file_text[k] - 2);
    file_text[k][file_size[k]] = '\0';
}

static inline void write_out(int k, const char *path, size_t n)
{
    FILE *file = fopen(path, "wb");
    if (!file) fail_msg("cannot create %s", path);
    assert_int_equal(fwrite(file_text[k], 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* Empties column 12 of every row, the seconds. */
static inline void drop_seconds(char *text)
{
    char *to     = text;
    int   column = 1;
    for (const char *c = text; *c; c++) {
        column = *c == '\n' ? 1 : column + (*c == ',');
        if (column != 12 || *c == ',') *to++ = *c;
    }
    *to = '\0';
}

static inline void assert_same_runs(const char *a, const char *b)
{
    static const char *const names[] = { "model.safetensors", "metrics.csv", "steps.csv", "config.json",
                                         "monitor.csv" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (i == 4 && !exists(in(a, names[i]))) continue;
        read_into(0, in(a, names[i]));
        read_into(1, in(b, names[i]));
        if (i == 1) {
            drop_seconds(file_text[0]);
            drop_seconds(file_text[1]);
            assert_string_equal(file_text[0], file_text[1]);
            continue;
        }
        assert_int_equal(file_size[0], file_size[1]);
        assert_memory_equal(file_text[0], file_text[1], file_size[0]);
    }
}

#endif

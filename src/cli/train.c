/* train.c: plummet train, and the same training as one run of a grid. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    const cli_settings *settings;
    cli_data            data;
    plm_graph          *net;
    plm_optimizer      *opt;
    plm_monitor        *monitor; /* NULL: without --monitor */
    plm_run            *run;     /* NULL: without --out */
    const cli_watch    *watch;   /* NULL: a training that shows itself */
    cli_progress        progress;
    plm_epoch           last;
    int64_t             step; /* seen last, or resumed at */
} job;

static bool on_step(void *user, const plm_step *step)
{
    job *j = user;
    if (j->watch) j->watch->on_step(j->watch->user, step);
    else cli_progress_step(&j->progress, step);
    j->step = step->step;
    if (j->run && j->settings->log_steps && !plm_run_step(j->run, step)) return false;
    if (j->run && j->monitor && !plm_run_monitored(j->run, j->monitor, step)) return false;
    return !cli_signalled();
}

static bool on_epoch(void *user, const plm_epoch *epoch)
{
    job *j = user;
    if (!j->watch) cli_progress_epoch(&j->progress, epoch);
    if (j->run && !plm_run_epoch(j->run, epoch)) return false;
    return !cli_signalled();
}

static void on_resume(void *user, const plm_resumed *from)
{
    job *j  = user;
    j->step = from->at->step;
    if (from->passed_over)
        fprintf(stderr, "plummet: %s; going on from the one before, of step %lld\n", from->passed_over,
                (long long)from->at->step);
    if (j->settings->quiet || j->watch) return;
    if (from->path) printf("going on after step %lld, in epoch %d\n", (long long)j->step, from->at->epoch + 1);
    else printf("going on from the beginning: there was no checkpoint yet\n");
    fflush(stdout);
}

static bool build(job *j, plm_ctx *ctx, const plm_arch *arch)
{
    const plm_dataset *train   = j->data.train;
    const int          classes = plm_dataset_classes(train);
    j->net                     = cli_arch_build(ctx, arch, j->settings, plm_dataset_x_shape(train), classes);
    if (!j->net) return false;
    const char **names = calloc((size_t)classes + 1, sizeof *names);
    if (!names) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "train: out of memory");
    for (int i = 0; i < classes; i++) names[i] = plm_dataset_class(train, i);
    plm_graph_set_classes(j->net, names, classes);
    free(names);
    if (plm_dataset_normalization(train)) plm_graph_set_normalization(j->net, plm_dataset_normalization(train));
    const cli_settings *s = j->settings;
    j->opt                = cli_optimizer_new(j->net, s, 0);
    if (j->opt && s->monitor)
        j->monitor = plm_monitor_new(j->opt, &(plm_monitor_desc){ .loss = cli_loss(s), .every = s->monitor });
    return j->opt && (j->monitor || !s->monitor);
}

static bool open_run(job *j, plm_ctx *ctx)
{
    const cli_settings *s = j->settings;
    if (!s->out) return true;
    const bool goes_on = s->resume || (j->watch && plm_run_has_checkpoint(s->out)); /* a grid takes up what it finds */
    char      *config  = cli_config(ctx, s, &j->data, j->net);
    if (config)
        j->run = (goes_on ? plm_run_resume : plm_run_new)(ctx, s->out, config, j->data.val != NULL, s->log_steps);
    free(config);
    return j->run && (!j->monitor || plm_run_monitor(j->run, j->monitor));
}

static void print_start(const job *j)
{
    const cli_settings  *s       = j->settings;
    const plm_graph_info info    = plm_graph_summary(j->net);
    const int            classes = plm_dataset_classes(j->data.train);
    char                 count[32];
    if (s->quiet || j->watch) return;
    printf("%s on %s: %d layers, %s parameters\n", s->arch, s->dataset, info.layers,
           cli_count_text(info.parameters, count));
    printf("samples: %lld training, %lld test, %lld validation; %d classes, chance %.4f\n",
           (long long)plm_dataset_count(j->data.train), (long long)plm_dataset_count(j->data.test),
           (long long)plm_dataset_count(j->data.val), classes, 1.0 / classes);
    printf("%s with loss %s, batch %lld, epochs %lld, seed %lld\n", s->optim, s->loss, (long long)s->batch,
           (long long)s->epochs, (long long)s->seed);
    fflush(stdout);
}

static void print_result(const job *j)
{
    char count[32];
    if (j->watch) return;
    printf("test accuracy %.4f after epoch %d (chance %.4f; %s parameters)\n", j->last.test.acc, j->last.epoch,
           1.0 / plm_dataset_classes(j->data.train), cli_count_text(plm_graph_summary(j->net).parameters, count));
    if (j->last.skipped > 0)
        printf("%lld steps were left out, as their numbers were not finite\n", (long long)j->last.skipped);
    if (j->last.val.count > 0) printf("validation accuracy %.4f\n", j->last.val.acc);
    if (j->settings->quiet) return;
    if (j->run) printf("the run is in %s\n", j->settings->out);
    else printf("nothing was written: --out DIR keeps the run\n");
}

/* In a grid, a run whose numbers are no longer finite is a result too: it is kept, with the sentence that says where. */
static bool keep_diverged(job *j, plm_ctx *ctx)
{
    char why[1024];
    if (!j->watch || !j->run || plm_ctx_status(ctx) != PLM_ERR_NONFINITE) return false;
    snprintf(why, sizeof why, "%s", plm_ctx_error(ctx));
    plm_ctx_clear(ctx);
    return plm_run_diverged(j->run, why);
}

/* The path as a shell reads it. */
static void print_path(FILE *to, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:,@";
    if (path[strspn(path, plain)] == '\0') {
        fputs(path, to);
        return;
    }
    fputc('\'', to);
    for (const char *c = path; *c; c++) fputs(*c == '\'' ? "'\\''" : (const char[]){ *c, '\0' }, to);
    fputc('\'', to);
}

static bool tell_stopped(const job *j)
{
    fflush(stdout);
    fprintf(stderr, "plummet: stopped by %s after step %lld; ", cli_signal_name(cli_signalled()), (long long)j->step);
    if (j->run) {
        fputs("go on with: plummet train --resume ", stderr);
        print_path(stderr, j->settings->out);
        fputc('\n', stderr);
    } else fputs("nothing is kept, as there is no --out\n", stderr);
    return true;
}

static bool train(job *j, plm_ctx *ctx)
{
    const cli_settings  *s      = j->settings;
    char                *recipe = j->run ? cli_facts(s) : NULL;
    const plm_train_desc given  = { .epochs     = (int)s->epochs,
                                    .batch      = s->batch,
                                    .test_batch = s->test_batch,
                                    .loss       = cli_loss(s),
                                    .schedule   = cli_schedule(s),
                                    .test       = j->data.test,
                                    .val        = j->data.val,
                                    .augment    = !s->no_augment,
                                    .epoch_zero = s->epoch_zero,
                                    .on_step    = on_step,
                                    .on_epoch   = on_epoch,
                                    .on_resume  = on_resume,
                                    .user       = j,
                                    .run        = j->run,
                                    .monitor    = j->monitor,
                                    .recipe     = recipe,
                                    .on_nonfinite =
                                       strcmp(s->on_nonfinite, "skip") == 0 ? PLM_NONFINITE_SKIP : PLM_NONFINITE_STOP };
    plm_train_desc       desc   = given;
    bool                 ok     = !j->run || recipe || plm_ctx_fail(ctx, PLM_ERR_MEMORY, "train: out of memory");
    ok                          = ok && cli_save_every(s, &desc.save_epochs, &desc.save_steps) &&
         plm_train(j->net, j->opt, j->data.train, &desc, &j->last);
    free(recipe);
    return ok;
}

static bool work(job *j, plm_ctx *ctx, const plm_arch *arch)
{
    if (!cli_dataset_open(ctx, j->settings, &j->data) || !build(j, ctx, arch) || !open_run(j, ctx)) return false;
    print_start(j);
    cli_progress_begin(&j->progress, j->settings);
    if (!j->watch) cli_signals_begin();
    const bool ok    = train(j, ctx);
    const bool whole = ok && j->last.epoch == j->settings->epochs;
    const bool kept  = !whole || !j->run || plm_run_finish(j->run, j->net);
    if (!j->watch) cli_signals_end();
    if (!ok) {
        cli_progress_end(&j->progress);
        return keep_diverged(j, ctx);
    }
    if (!whole) {
        cli_progress_end(&j->progress);
        return tell_stopped(j);
    }
    if (!kept) return false;
    cli_signals_forget(); /* one that came after the last step has stopped nothing */
    print_result(j);
    return true;
}

bool cli_train_check(const cli_settings *s, const plm_cli_extra *extra)
{
    if (!cli_dataset_check(s, true) || !cli_optimizer_check(s) || !cli_schedule_check(s)) return false;
    if (s->log_steps && !s->out) return cli_usage_error("--log-steps needs --out, the folder for steps.csv");
    if (s->monitor && !s->out) return cli_usage_error("--monitor needs --out, the folder for monitor.csv");
    int     epochs;
    int64_t steps;
    if (s->save_every && !s->out) return cli_usage_error("--save-every needs --out, the folder for checkpoints");
    return cli_save_every(s, &epochs, &steps) && cli_arch_find(extra, s);
}

bool cli_train_run(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra, const cli_watch *watch)
{
    const plm_arch *arch = cli_arch_find(extra, s);
    if (!arch) return false;
    job        j  = { .settings = s, .watch = watch };
    const bool ok = work(&j, ctx, arch);
    plm_run_free(j.run);
    plm_monitor_free(j.monitor);
    plm_optimizer_free(j.opt);
    plm_graph_free(j.net);
    cli_dataset_close(&j.data);
    return ok;
}

/* A finished run, and no more epochs asked for. */
static bool nothing_to_do(const cli_settings *s)
{
    char        path[4096];
    struct stat info;
    if (!s->resume || snprintf(path, sizeof path, "%s/model.safetensors", s->out) >= (int)sizeof path) return false;
    return stat(path, &info) == 0 && s->epochs <= s->epochs_before;
}

bool cli_train(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra)
{
    if (s->resume && !plm_run_complete(ctx, s->out)) return false;
    if (nothing_to_do(s)) {
        printf("%s is finished, after %lld epochs; a larger --epochs goes on\n", s->out, (long long)s->epochs_before);
        return true;
    }
    return cli_train_check(s, extra) && cli_train_run(ctx, s, extra, NULL);
}

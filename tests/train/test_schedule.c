/* test_schedule.c: the learning rate of each step of a training, against its formula. */
#include "train/resume.h"

#include <math.h>

static void test_formulas(void **state)
{
    (void)state;
    /* 4 epochs of 10 steps */
    static const struct {
        plm_schedule s;
        int64_t      step;
        double       want;
    } cases[] = {
        { { 0 }, 0, 1 },
        { { 0 }, 39, 1 },
        { { .warmup = 1 }, 0, 0.1 },
        { { .warmup = 1 }, 4, 0.5 },
        { { .warmup = 1 }, 9, 1 },
        { { .warmup = 1 }, 10, 1 },
        { { .warmup = 0.25 }, 0, 1 / 3.0 }, /* 2.5 steps are 3 */
        { { .shape = PLM_SCHEDULE_STEP }, 39, 1 },
        { { .shape = PLM_SCHEDULE_STEP, .step_epochs = 2 }, 19, 1 },
        { { .shape = PLM_SCHEDULE_STEP, .step_epochs = 2 }, 20, 0.1 },
        { { .shape = PLM_SCHEDULE_STEP, .step_epochs = 1, .step_factor = 0.5 }, 39, 0.125 },
        { { .shape = PLM_SCHEDULE_STEP, .step_epochs = 0.5, .step_factor = 0.5, .warmup = 1 }, 8, 0.9 },
        { { .shape = PLM_SCHEDULE_STEP, .step_epochs = 0.5, .step_factor = 0.5, .warmup = 1 }, 12, 0.25 },
        { { .shape = PLM_SCHEDULE_STEP }, 300, 0.1 },
        { { .shape = PLM_SCHEDULE_LINEAR }, 0, 1 },
        { { .shape = PLM_SCHEDULE_LINEAR }, 10, 0.75 },
        { { .shape = PLM_SCHEDULE_LINEAR }, 39, 0.025 },
        { { .shape = PLM_SCHEDULE_LINEAR, .warmup = 2 }, 30, 0.5 },
        { { .shape = PLM_SCHEDULE_COSINE }, 0, 1 },
        { { .shape = PLM_SCHEDULE_COSINE }, 20, 0.5 },
        { { .shape = PLM_SCHEDULE_COSINE }, 10, 0.85355339059327373 },
        { { .shape = PLM_SCHEDULE_COSINE, .warmup = 1 }, 9, 1 },
        { { .shape = PLM_SCHEDULE_COSINE, .warmup = 1 }, 20, 0.75 },
        { { .shape = PLM_SCHEDULE_COSINE, .warmup = 4 }, 39, 1 },
        { { .shape = PLM_SCHEDULE_COSINE }, 40, 0 }, /* a step beyond the last */
        { { .shape = PLM_SCHEDULE_LINEAR, .warmup = 4 }, 50, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double got = plm_schedule_factor(&cases[i].s, cases[i].step, 10, 4);
        if (fabs(got - cases[i].want) > 1e-12) print_error("case %zu: %g\n", i, got);
        assert_close(got, cases[i].want, 1e-12, 0);
    }
    assert_close(plm_schedule_factor(NULL, 7, 10, 4), 1, 0, 0);
}

/* The rates and the weights of a training with the schedule are those of a loop that sets each rate by hand. */
typedef struct {
    int    steps, in_epoch;
    double sum; /* of the epoch's rates */
} seen;

static double want_rate(int64_t step)
{
    const double t = (double)(step - 1), warm = 12, all = 36;
    return 0.05 * (t < warm ? (t + 1) / warm : (1 + cos(acos(-1) * (t - warm) / (all - warm))) / 2);
}

static bool see_step(void *user, const plm_step *step)
{
    seen *s = user;
    assert_close(step->info->eta, want_rate(step->step), 0, 1e-12);
    s->sum += step->info->eta;
    s->in_epoch++;
    s->steps++;
    return true;
}

static bool see_epoch(void *user, const plm_epoch *epoch)
{
    seen *s = user;
    if (epoch->epoch == 0) assert_close(epoch->eta.mean, 0.05 / 12, 0, 1e-12); /* what the first step would take */
    else assert_close(epoch->eta.mean, s->sum / s->in_epoch, 0, 1e-12);
    s->sum      = 0;
    s->in_epoch = 0;
    return true;
}

static float *train_by_hand(plm_ctx *ctx, plm_dataset *data, int64_t *count)
{
    plm_graph     *net    = digits_net(ctx, false);
    plm_optimizer *opt    = plm_sgd_new(net, &(plm_sgd_desc){ .lr = 0.05, .momentum = 0.9 });
    plm_loader    *loader = plm_loader_new(data, &(plm_loader_desc){ .batch = 128, .shuffle = true });
    plm_tape      *tape   = plm_tape_new(ctx, NULL);
    plm_batch      batch;
    int64_t        step = 0;
    for (int epoch = 0; epoch < 3; epoch++)
        while (plm_loader_next(loader, &batch)) {
            const plm_val out = plm_graph_apply(net, plm_tape_input(tape, batch.x));
            assert_true(plm_backward(plm_mse_onehot(out, batch.y, NULL)));
            assert_true(plm_optimizer_set_factor(opt, want_rate(++step) / 0.05));
            assert_true(plm_optimizer_step(opt));
            plm_tape_reset(tape);
        }
    assert_int_equal(step, 36);
    float *all = all_params(net, count);
    plm_tape_free(tape);
    plm_loader_free(loader);
    plm_optimizer_free(opt);
    plm_graph_free(net);
    return all;
}

static void test_training(void **state)
{
    plm_ctx             *ctx  = *state;
    plm_dataset         *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph           *net  = digits_net(ctx, false);
    plm_optimizer       *opt  = plm_sgd_new(net, &(plm_sgd_desc){ .lr = 0.05, .momentum = 0.9 });
    seen                 s    = { 0 };
    const plm_train_desc desc = { .epochs     = 3,
                                  .schedule   = { .shape = PLM_SCHEDULE_COSINE, .warmup = 1 },
                                  .epoch_zero = true,
                                  .on_step    = see_step,
                                  .on_epoch   = see_epoch,
                                  .user       = &s };
    assert_int_equal(plm_dataset_count(data), 1500); /* 12 steps an epoch */
    assert_true(plm_train(net, opt, data, &desc, NULL));
    assert_int_equal(s.steps, 36);
    assert_close(plm_optimizer_rate(opt), 0.05, 0, 0); /* the factor is gone */
    int64_t n, m;
    float  *got = all_params(net, &n), *want = train_by_hand(ctx, data, &m);
    double *wide = malloc((size_t)n * sizeof *wide);
    assert_int_equal(n, m);
    assert_non_null(wide);
    for (int64_t i = 0; i < n; i++) wide[i] = (double)want[i];
    assert_all_close(got, wide, n, 1e-6);
    free(wide);
    free(want);
    free(got);
    plm_optimizer_free(opt);
    plm_graph_free(net);
    plm_dataset_free(data);
}

static void test_refusals(void **state)
{
    plm_ctx       *ctx  = *state;
    plm_dataset   *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph     *net  = digits_net(ctx, false);
    plm_optimizer *sgd = plm_sgd_new(net, NULL), *agd = plm_agd_new(net, NULL);
    static const struct {
        plm_schedule s;
        const char  *sentence;
    } bad[] = {
        { { .shape = 9 }, "plm_train: there is no schedule 9" },
        { { .warmup = -1 }, "plm_train: a warm-up of -1 epochs, expected 0 to 10, all there are" },
        { { .warmup = 11 }, "plm_train: a warm-up of 11 epochs, expected 0 to 10, all there are" },
        { { .warmup = (double)NAN }, "epochs, expected 0 to 10" },
        { { .shape = PLM_SCHEDULE_STEP, .step_factor = 2 }, "plm_train: a factor of 2 every 30 epochs, expected one" },
        { { .shape = PLM_SCHEDULE_STEP, .step_epochs = -3 }, "plm_train: a factor of 0.1 every -3 epochs, expected" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(plm_train(net, sgd, data, &(plm_train_desc){ .schedule = bad[i].s }, NULL));
        assert_error(ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
    assert_false(plm_train(net, agd, data, &(plm_train_desc){ .schedule = { .warmup = 1 } }, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_train: agd has no learning rate to schedule");
    plm_optimizer_free(agd);
    plm_optimizer_free(sgd);
    plm_graph_free(net);
    plm_dataset_free(data);
}

/* Resumed, each step has the rate it would have had; and a schedule that ends with the last epoch is bound to it. */
static void test_resumed(void **state)
{
    (void)state;
    char whole[1024], pieces[1024];
    snprintf(whole, sizeof whole, "%s", test_path("whole"));
    snprintf(pieces, sizeof pieces, "%s", test_path("pieces"));
    recipe r = { .dir = whole, .opt = OPT_SGD, .epochs = 4, .schedule = { PLM_SCHEDULE_LINEAR, .warmup = 1.5 } };
    job_done(r);
    r.dir         = pieces;
    r.save_epochs = 1;
    r.stop_at     = 8;
    job_done(r);
    r.resume  = true;
    r.stop_at = 0;
    r.epochs  = 5;
    job j     = { .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_STATE, "\"schedule linear after a warm-up of 1.5 epochs, 4 in all\"");
    job_end(&j);
    r.epochs = 4;
    j        = job_done(r);
    assert_int_equal(j.from.step, 8);
    assert_same_runs(whole, pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_formulas), ctx_test(test_training),
                                        ctx_test(test_refusals), cmocka_unit_test(test_resumed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_monitor_run.c: monitor.csv in a run folder, of trainings that end and that go on. */
#include "train/resume.h"

static void test_file(void **state)
{
    (void)state;
    char whole[1024], pieces[1024], path[1100];
    int  line = 0;
    snprintf(whole, sizeof whole, "%s", test_path("whole"));
    snprintf(pieces, sizeof pieces, "%s", test_path("pieces"));
    recipe r = { .dir = whole, .opt = OPT_AGD, .conv = true, .epochs = 4, .monitor = 3 };
    job_done(r); /* 20 steps: 1, 4 ... 19 */
    read_into(0, in(whole, "monitor.csv"));
    for (char *at = file_text[0]; *at; at = strchr(at, '\n') + 1, line++) {
        const int step = 1 + 3 * ((line - 1) / 5), cells = 19;
        char      begin[64];
        int       commas = 0;
        for (const char *c = at; *c != '\n'; c++) commas += *c == ',';
        assert_int_equal(commas, cells - 1);
        if (line == 0) assert_int_equal(strncmp(at, "step,epoch,layer,grad,grad_op,stable_rank,", 42), 0);
        else if (line % 5 == 0) snprintf(begin, sizeof begin, "%d,%d,\"(network)\",,,,,,0.", step, 1 + (step - 1) / 5);
        else if (line % 5 == 1) snprintf(begin, sizeof begin, "%d,%d,\"conv2d0\",0.", step, 1 + (step - 1) / 5);
        if (line > 0 && line % 5 < 2 && strncmp(at, begin, strlen(begin)) != 0) fail_msg("%s: %.100s", begin, at);
    }
    assert_int_equal(line, 1 + 7 * 5); /* four layers and the network */

    /* Stopped between two measured steps, and broken off two steps after a save: the rows after it are cut. */
    r.dir        = pieces;
    r.save_steps = 4;
    r.stop_at    = 6;
    job_done(r);
    r.resume  = true;
    r.stop_at = 0;
    r.fail_at = 14;
    job_done(r);
    r.fail_at = 0;
    job_done(r);
    assert_same_runs(whole, pieces);

    /* Rows are missing, or the first line is another's. */
    r.epochs = 5;
    snprintf(path, sizeof path, "%s", in(pieces, "monitor.csv"));
    read_into(0, path);
    write_out(0, path, (size_t)(strstr(file_text[0], "\n7,") - file_text[0]) + 1);
    job j = { .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_FORMAT, "monitor.csv has 10 rows up to step 20, where the checkpoint is, expected 35");
    job_end(&j);
    snprintf(path, sizeof path, "%s", in(pieces, ".partial/monitor.csv"));
    file_text[0][0] = 'S';
    write_out(0, path, file_size[0]);
    j = (job){ .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_FORMAT, "does not begin with the line step,epoch,layer,grad");
    job_end(&j);
}

/* Names are only names. */
static void test_names(void **state)
{
    plm_ctx     *ctx  = *state;
    job          j    = { .ctx = ctx };
    plm_dataset *data = job_data(&j, false);
    plm_graph   *net  = plm_graph_new(ctx);
    plm_node     h    = plm_nn_flatten(plm_nn_input(net, plm_shape_of(1, 8, 8)));
    h                 = plm_nn_linear(h, &(plm_linear_desc){ .name = "frozen", .out = 12 });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "a \"b\", c\nd", .out = 10 }), "y");
    plm_optimizer *o = plm_sgd_new(net, NULL);
    j.monitor        = plm_monitor_new(o, NULL);
    j.run            = plm_run_new(ctx, test_path("names"), "{}", false, true);
    assert_true(plm_run_monitor(j.run, j.monitor));
    assert_false(plm_run_monitor(j.run, j.monitor));
    assert_error(ctx, PLM_ERR_STATE, "the run has a monitor already");
    j.r.stop_at = 1;
    plm_param_freeze(plm_graph_layer(net, 0)->weight, true);
    assert_true(
        plm_train(net, o, data, &(plm_train_desc){ .monitor = j.monitor, .on_step = job_step, .user = &j }, NULL));
    assert_true(plm_run_finish(j.run, net));
    read_into(0, in(test_path("names"), "monitor.csv"));
    assert_non_null(strstr(file_text[0], "\n1,1,\"frozen\",,,,,,,,,,,,,,,,\n1,1,\"a \"\"b\"\", c d\",0."));
    assert_false(plm_run_monitored(j.run, j.monitor, &(plm_step){ .step = 1 }));
    assert_error(ctx, PLM_ERR_STATE, "the run has no monitor, or has ended");
    assert_false(plm_run_monitor(j.run, j.monitor));
    assert_error(ctx, PLM_ERR_STATE, "the run has ended");
    plm_run_free(j.run);
    plm_monitor_free(j.monitor);
    plm_optimizer_free(o);
    plm_graph_free(net);
    plm_dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_file), ctx_test(test_names) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

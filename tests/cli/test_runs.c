/* test_runs.c: tables and run folders, read: those that `plummet train` writes, and damaged ones. */
#include "cli/grid_files.h"

#include "cli/failing.h"

#include "runs.h"
#include "table.h"

#include <math.h>
#include <unistd.h>

#define ROWS                                                                                                          \
    "0,,,1.5,0.1,,,,,,,\n1,0.5,0.6,0.7,0.8,0.3,0.2,0.4,0.03,0.02,0.04,2.5\n2,0.4,0.7,0.6,0.75,0.3,0.2,0.4,0.03,0.02," \
    "0.04,2\n"
#define CONFIG "{\"arch\": \"fcn\", \"classes\": 10, \"seed\": 3, \"nesterov\": true}"

static char *copy(const char *text)
{
    char *to = malloc(strlen(text) + 1);
    assert_non_null(to);
    return strcpy(to, text);
}

static void test_table(void **state)
{
    plm_ctx  *ctx = *state;
    cli_table t;
    double    x;
    assert_true(cli_table_parse(ctx, "a.csv", copy("a,b\r\n1,\"x, \"\"y\"\"\"\r\n,\"\"\n-2.5e1,inf\n7,cut"), &t));
    assert_int_equal(t.columns, 2);
    assert_int_equal(t.rows, 3);
    assert_true(t.cut_off);
    assert_string_equal(cli_table_cell(&t, -1, 1), "b");
    assert_string_equal(cli_table_cell(&t, 0, 1), "x, \"y\"");
    assert_string_equal(cli_table_cell(&t, 1, 0), "");
    assert_string_equal(cli_table_cell(&t, 1, 1), "");
    assert_int_equal(cli_table_column(&t, "b"), 1);
    assert_int_equal(cli_table_column(&t, "c"), -1);
    assert_true(cli_table_number(ctx, &t, 2, 0, &x));
    assert_close(x, -25, 0, 0);
    assert_true(cli_table_number(ctx, &t, 2, 1, &x));
    assert_close(x, INFINITY, 0, 0);
    assert_true(cli_table_number(ctx, &t, 1, 0, &x));
    assert_true(isnan(x));
    assert_false(cli_table_number(ctx, &t, 0, 1, &x));
    assert_error(ctx, PLM_ERR_FORMAT, "a.csv, line 2: b is \"x, \"y\"\", expected a number");
    cli_table_free(&t);

    static const struct {
        const char *text, *sentence;
    } bad[] = {
        { "", "t.csv has no header line" },
        { "a,b", "t.csv has no header line" },
        { "a,b\n1\n", "t.csv, line 2: fewer than the header's 2 cells" },
        { "a,b\n1,2\n1,2,3\n", "t.csv, line 3: more than the header's 2 cells" },
        { "a,b\n\"1\n2\",3\n", "t.csv, line 2: a quote that does not enclose its cell" },
        { "a,b\n\"1\"2,3\n", "t.csv, line 2: a quote that does not enclose its cell" },
        { "a,\"b\n", "t.csv, line 1: a quote that does not enclose its cell" },
        { "a,b,a\n", "t.csv: the column \"a\" is there twice" },
        { "a\n0x1p3\n", NULL },
        { "a\n1.5.\n", NULL },
        { "a\ninfinity\n", NULL },
        { "a\n 1\n", NULL },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const bool read = cli_table_parse(ctx, "t.csv", copy(bad[i].text), &t);
        assert_int_equal(read, bad[i].sentence == NULL);
        if (read) assert_false(cli_table_number(ctx, &t, 0, 0, &x));
        assert_error(ctx, PLM_ERR_FORMAT, bad[i].sentence ? bad[i].sentence : "expected a number");
        cli_table_free(&t);
    }
}

static void test_files(void **state)
{
    plm_ctx    *ctx = *state;
    const char *dir = make_run("files", NULL, NULL, NULL);
    assert_null(cli_text_read(ctx, dir, NULL));
    assert_error(ctx, PLM_ERR_IO, "is not a regular file");
    assert_null(cli_text_read(ctx, path_in(dir, "none"), NULL));
    assert_error(ctx, PLM_ERR_IO, "No such file");
    assert_int_equal(mkfifo(path_in(dir, "pipe"), 0600), 0);
    assert_null(cli_text_read(ctx, path_in(dir, "pipe"), NULL));
    assert_error(ctx, PLM_ERR_IO, "is not a regular file");
    write_bytes(path_in(dir, "zero"), "a\0b", 3);
    assert_null(cli_text_read(ctx, path_in(dir, "zero"), NULL));
    assert_error(ctx, PLM_ERR_FORMAT, "it has zero bytes");
}

/* What plummet train writes, in numbers that its own output repeats. */
static void test_trained(void **state)
{
    plm_ctx *ctx = *state;
    cli_run  run;
    char     dir[1024], text[64];
    snprintf(dir, sizeof dir, "%s", test_path("trained"));
    assert_int_equal(run_program(PLUMMET_PROGRAM, ""), 2);
    assert_int_equal(
        run_program(PLUMMET_PROGRAM, strcat(strcpy(out, "train --depth 2 --width 16 --epochs 2 --threads 1 "
                                                        "--log-steps --val 100 --seed 4 --out "),
                                            dir)),
        0);
    assert_true(cli_run_read(ctx, dir, true, &run));
    assert_int_equal(run.state, CLI_RUN_WHOLE);
    assert_string_equal(run.name, "trained");
    assert_string_equal(cli_run_text(&run, "arch"), "fcn");
    assert_close(cli_run_number(&run, "seed"), 4, 0, 0);
    assert_close(cli_run_chance(&run), 0.1, 0, 0);
    assert_true(run.has_val);
    assert_int_equal(run.rows, 3);
    assert_true(isnan(run.row[0][CLI_TRAIN_LOSS]) && isfinite(run.row[0][CLI_TEST_LOSS]));
    snprintf(text, sizeof text, "test accuracy %.4f after epoch 2", run.row[2][CLI_TEST_ACC]);
    assert_non_null(strstr(out, text));
    snprintf(text, sizeof text, "validation accuracy %.4f", run.row[2][CLI_VAL_ACC]);
    assert_non_null(strstr(out, text));
    assert_int_equal(run.steps, 2 * 11);
    double sum = 0; /* of the second epoch's 1400 samples in batches of 128 */
    for (int i = 11; i < 22; i++) sum += run.step[i][CLI_STEP_LOSS] * (i < 21 ? 128 : 120);
    assert_close(sum / 1400, run.row[2][CLI_TRAIN_LOSS], 0, 1e-6);
    cli_run_free(&run);
}

static void test_fields(void **state)
{
    plm_ctx *ctx = *state;
    cli_run  run;
    assert_true(cli_run_read(ctx, make_run("fields", CONFIG, METRICS ROWS, NULL), true, &run));
    assert_int_equal(run.rows, 3);
    assert_int_equal(run.steps, 0);
    assert_false(run.has_val);
    assert_true(isnan(run.row[1][CLI_VAL_ACC]));
    assert_null(cli_run_text(&run, "classes"));
    assert_null(cli_run_text(&run, "none"));
    assert_true(isnan(cli_run_number(&run, "arch")));
    assert_true(isnan(cli_run_number(&run, "nesterov")));
    assert_close(cli_run_lowest_loss(&run)[CLI_TEST_ACC], 0.75, 0, 0);
    assert_close(cli_run_highest(&run, CLI_TEST_ACC), 0.8, 0, 0);
    assert_close(cli_run_seconds(&run), 4.5, 0, 0);
    cli_run_free(&run);

    /* Columns in another order, with others between; a csv without any epoch; a configuration of one's own. */
    assert_true(
        cli_run_read(ctx,
                     make_run("order", "{}",
                              "note,seconds,update_max,update_min,update_mean,eta_max,eta_min,eta_mean,test_acc,"
                              "test_loss,train_acc,train_loss,val_acc,epoch\n"
                              "hello,1,2,3,4,5,6,7,8,9,10,11,12,13\n",
                              NULL),
                     false, &run));
    assert_close(run.row[0][CLI_EPOCH], 13, 0, 0);
    assert_close(run.row[0][CLI_TRAIN_LOSS], 11, 0, 0);
    assert_close(run.row[0][CLI_VAL_ACC], 12, 0, 0);
    assert_true(isnan(run.row[0][CLI_VAL_LOSS]));
    assert_true(isnan(cli_run_chance(&run)));
    cli_run_free(&run);
    assert_true(cli_run_read(ctx, make_run("empty", "{}", METRICS, NULL), false, &run));
    assert_null(cli_run_lowest_loss(&run));
    assert_true(isnan(cli_run_highest(&run, CLI_TEST_ACC)));
    cli_run_free(&run);
}

static void test_states(void **state)
{
    plm_ctx *ctx = *state;
    cli_run  run;
    char     dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path("stopped"));

    /* Stopped in the middle of a line; found by its name without .partial and with it, with slashes behind. */
    make_run("stopped.partial", CONFIG, METRICS ROWS "3,0.35,0.", NULL);
    static const char *const ends[] = { "", "/", ".partial", ".partial//" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char given[1100];
        snprintf(given, sizeof given, "%s%s", dir, ends[i]);
        assert_true(cli_run_read(ctx, given, false, &run));
        assert_int_equal(run.state, CLI_RUN_PARTIAL);
        assert_string_equal(run.name, "stopped");
        assert_int_equal(run.rows, 3);
        cli_run_free(&run);
    }
    assert_false(cli_run_read(ctx, make_run("cut", CONFIG, METRICS ROWS "3,0.35,0.", NULL), false, &run));
    assert_error(ctx, PLM_ERR_FORMAT, "cut/metrics.csv: its last line is cut off");

    write_text(path_in(make_run("said.partial", CONFIG, METRICS ROWS, NULL), "diverged.txt"),
               "the loss is inf\nhere\n");
    assert_true(cli_run_read(ctx, test_path("said"), false, &run));
    assert_int_equal(run.state, CLI_RUN_DIVERGED);
    assert_string_equal(run.diverged, "the loss is inf");
    assert_string_equal(cli_run_state_name(run.state), "diverged");
    cli_run_free(&run);

    assert_true(
        cli_run_read(ctx, make_run("seen", CONFIG, METRICS ROWS "3,inf,0.1,inf,0.1,,,,,,,1\n", NULL), false, &run));
    assert_int_equal(run.state, CLI_RUN_DIVERGED);
    assert_close(cli_run_lowest_loss(&run)[CLI_EPOCH], 2, 0, 0);
    cli_run_free(&run);
}

static void test_damaged(void **state)
{
    plm_ctx *ctx = *state;
    cli_run  run;
    static const struct {
        const char *config, *metrics, *steps, *sentence;
    } bad[] = {
        { NULL, METRICS, NULL, "damaged0/config.json: No such file" },
        { "{\n\"a\": 1,\n", METRICS, NULL, "damaged1/config.json is not JSON (line 3)" },
        { "[1]", METRICS, NULL, "damaged2/config.json is not a JSON object" },
        { "{} {}", METRICS, NULL, "damaged3/config.json is not JSON (line 1)" },
        { CONFIG, NULL, NULL, "damaged4/metrics.csv: No such file" },
        { CONFIG, "epoch,train_loss\n", NULL, "damaged5/metrics.csv has no column train_acc" },
        { CONFIG, METRICS "1,a,,,,,,,,,,\n", NULL,
          "damaged6/metrics.csv, line 2: train_loss is \"a\", expected a number" },
        { CONFIG, METRICS ROWS "2,,,,,,,,,,,\n", NULL,
          "damaged7/metrics.csv, line 5: epoch is 2, expected a whole number above 2" },
        { CONFIG, METRICS "0.5,,,,,,,,,,,\n", NULL, "line 2: epoch is 0.5, expected a whole number above -1" },
        { CONFIG, METRICS ",,,,,,,,,,,\n", NULL, "line 2: epoch is nan, expected a whole number above -1" },
        { CONFIG, METRICS "inf,,,,,,,,,,,\n", NULL, "line 2: epoch is inf, expected a whole number above -1" },
        { CONFIG, METRICS ROWS, "step,epoch\n", "damaged11/steps.csv has no column loss" },
        { CONFIG, METRICS ROWS, "step,epoch,loss,acc,eta,G,update_mean\n0,1,1,1,1,1,1\n",
          "damaged12/steps.csv, line 2: step is 0, expected a whole number above 0" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char name[32];
        snprintf(name, sizeof name, "damaged%zu", i);
        assert_false(cli_run_read(ctx, make_run(name, bad[i].config, bad[i].metrics, bad[i].steps), true, &run));
        assert_null(run.dir);
        assert_error(ctx, plm_ctx_status(ctx), bad[i].sentence);
    }
    assert_false(cli_run_read(ctx, test_path("nowhere"), false, &run));
    assert_error(ctx, PLM_ERR_IO, "nowhere is no run folder: there is no such folder");
    assert_false(cli_run_read(ctx, path_in(make_run("order", NULL, NULL, NULL), "config.json"), false, &run));
    assert_error(ctx, PLM_ERR_IO, "is no run folder: it is a file");
}

static void test_several(void **state)
{
    plm_ctx *ctx = *state;
    cli_runs runs;
    char     grid[1024], inner[1100], alone[1024];
    snprintf(grid, sizeof grid, "%s", make_run("grid", NULL, NULL, NULL));
    make_run("grid/runs", NULL, NULL, NULL);
    snprintf(alone, sizeof alone, "%s", make_run("alone", CONFIG, METRICS ROWS, NULL));
    const char *const given[] = { grid, alone };
    assert_false(cli_runs_read(ctx, given, 2, false, &runs));
    assert_error(ctx, PLM_ERR_IO, "grid holds no run: neither config.json nor folders with one");

    make_run("grid/runs/b", CONFIG, METRICS ROWS, NULL);
    make_run("grid/runs/a.partial", CONFIG, METRICS ROWS, NULL);
    make_run("grid/runs/b.partial", CONFIG, METRICS, NULL); /* b is there */
    write_text(path_in(grid, "runs/summary.csv"), "no run\n");
    assert_true(cli_runs_read(ctx, given, 2, false, &runs));
    assert_int_equal(runs.count, 3);
    assert_string_equal(runs.run[0].name, "a");
    assert_string_equal(runs.run[1].name, "b");
    assert_int_equal(runs.run[1].state, CLI_RUN_WHOLE);
    assert_string_equal(runs.run[2].name, "alone");
    cli_runs_free(&runs);

    snprintf(inner, sizeof inner, "%s/runs", grid);
    assert_true(cli_runs_read(ctx, &(const char *){ inner }, 1, false, &runs));
    assert_int_equal(runs.count, 2);
    cli_runs_free(&runs);
    assert_false(cli_runs_read(ctx, &(const char *){ "nowhere" }, 1, false, &runs));
    assert_error(ctx, PLM_ERR_IO, "nowhere is no run folder");
}

static bool read_grid(plm_ctx *ctx, void *user)
{
    cli_runs   runs;
    const bool ok = cli_runs_read(ctx, &(const char *){ user }, 1, true, &runs);
    cli_runs_free(&runs);
    return ok;
}

static void test_out_of_memory(void **state)
{
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", make_run("memory", NULL, NULL, NULL));
    make_run("memory/a", CONFIG, METRICS ROWS, "step,epoch,loss,acc,eta,G,update_mean\n1,1,1,1,1,1,1\n");
    write_text(path_in(make_run("memory/b.partial", CONFIG, METRICS ROWS, NULL), "diverged.txt"), "inf\n");
    each_allocation_fails(*state, read_grid, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_table),  ctx_test(test_files),   ctx_test(test_trained), ctx_test(test_fields),
        ctx_test(test_states), ctx_test(test_damaged), ctx_test(test_several), ctx_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

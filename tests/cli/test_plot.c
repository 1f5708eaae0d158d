/* test_plot.c: runs as lines with bands, and plummet plot: data, scripts, pictures. */
#include "cli/grid_files.h"

#include "cli/failing.h"

#include "plot.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <unistd.h>

/* A folder with three seeds of sgd at 0.1, one at 1 and two of agd. */
static const char *known_grid(const char *name)
{
    static const struct {
        const char *name, *optim;
        double      lr;
        int         seed;
        double      loss, acc;
    } runs[] = { { "a0", "sgd", 0.1, 0, 1, 0.50 }, { "a1", "sgd", 0.1, 1, 2, 0.60 }, { "a2", "sgd", 0.1, 2, 6, 0.70 },
                 { "b0", "sgd", 1, 0, 4, 0.10 },   { "c0", "agd", 0, 0, 0.5, 0.80 }, { "c1", "agd", 0, 1, 0.7, 0.82 } };
    static char dir[1024];
    snprintf(dir, sizeof dir, "%s", make_run(name, NULL, NULL, NULL));
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", name, runs[i].name);
        make_known_run(path, runs[i].optim, runs[i].lr, runs[i].seed, runs[i].loss, runs[i].acc, 2);
    }
    return dir;
}

static void test_lines(void **state)
{
    plm_ctx  *ctx = *state;
    cli_runs  runs;
    cli_lines lines;
    cli_point p[8];
    assert_true(cli_runs_read(ctx, &(const char *){ known_grid("lines") }, 1, false, &runs));
    assert_true(cli_lines_new(ctx, &runs, &lines));
    assert_int_equal(lines.count, 3);
    assert_string_equal(lines.common, "fcn 2x8 on digits, loss mse, batch 128");
    assert_close(lines.chance, 0.1, 0, 0);
    assert_string_equal(lines.line[0].label, "sgd lr 0.1");
    assert_string_equal(lines.line[1].label, "sgd lr 1");
    assert_string_equal(lines.line[2].label, "agd");
    assert_int_equal(lines.line[0].count, 3);
    assert_int_equal(cli_line_room(&lines.line[0]), 3);

    /* loss/n of 1, 2, 6; no training columns before the first step */
    assert_int_equal(cli_line_points(&lines.line[0], &cli_curves[0], p, 8), 2);
    assert_close(p[0].epoch, 1, 0, 0);
    assert_close(p[0].mean, 3, 0, 1e-9);
    assert_close(p[1].mean, 1.5, 0, 1e-9);
    assert_close(p[1].low, 0.5, 0, 1e-9);
    assert_close(p[1].high, 3, 0, 1e-9);
    assert_int_equal(cli_line_points(&lines.line[0], &cli_curves[0], p, 1), 1);
    /* test accuracy has epoch 0 */
    assert_int_equal(cli_line_points(&lines.line[2], &cli_curves[2], p, 8), 3);
    assert_close(p[0].epoch, 0, 0, 0);
    assert_close(p[2].mean, 0.83, 0, 1e-9);
    /* eta: mean of the means, lowest eta_min, highest eta_max */
    assert_int_equal(cli_line_points(&lines.line[0], &cli_curves[3], p, 8), 2);
    assert_close(p[0].mean, 0.3, 0, 1e-9);
    assert_close(p[0].low, 0.2, 0, 1e-9);
    assert_close(p[0].high, 0.6, 0, 1e-9);
    cli_lines_free(&lines);
    cli_runs_free(&runs);
}

/* The title says what all share, and a width alone by its name. */
static void test_common(void **state)
{
    plm_ctx  *ctx = *state;
    cli_runs  runs;
    cli_lines lines;
    char      dir[1024];
    snprintf(dir, sizeof dir, "%s", make_run("common", NULL, NULL, NULL));
    make_run("common/a", "{\"arch\": \"fcn\", \"depth\": 2, \"width\": 8, \"loss\": \"mse\"}", METRICS, NULL);
    make_run("common/b", "{\"arch\": \"fcn\", \"depth\": 4, \"width\": 8, \"loss\": \"xent\"}", METRICS, NULL);
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    assert_true(cli_lines_new(ctx, &runs, &lines));
    assert_string_equal(lines.common, "fcn width 8");
    assert_string_equal(lines.line[1].label, "depth 4 xent");
    cli_lines_free(&lines);
    cli_runs_free(&runs);
}

/* Whole runs stand for a line; what diverged is said; only epochs that all runs have are points. */
static void test_unfinished(void **state)
{
    plm_ctx  *ctx = *state;
    cli_runs  runs;
    cli_lines lines;
    cli_point p[8];
    char      dir[1024];
    snprintf(dir, sizeof dir, "%s", make_run("unfinished", NULL, NULL, NULL));
    make_known_run("unfinished/a0", "sgd", 0.1, 0, 1, 0.5, 3);
    make_known_run("unfinished/a1.partial", "sgd", 0.1, 1, 1, 0.9, 3);
    write_text(path_in(make_known_run("unfinished/a2", "sgd", 0.1, 2, 1, 0.9, 3), "diverged.txt"), "inf\n");
    make_known_run("unfinished/b0.partial", "agd", 0, 0, 1, 0.5, 4);
    make_run("unfinished/b1.partial", NULL, NULL, NULL);
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    assert_true(cli_lines_new(ctx, &runs, &lines));
    assert_int_equal(lines.count, 2);
    assert_int_equal(lines.line[0].count, 1);
    assert_string_equal(lines.line[0].label, "sgd epochs 3 (1 of 3 diverged)");
    assert_int_equal(cli_line_points(&lines.line[0], &cli_curves[2], p, 8), 4);
    assert_close(p[3].mean, 0.53, 0, 1e-9);
    cli_lines_free(&lines);
    cli_runs_free(&runs);

    /* Both partial, one with fewer epochs. */
    make_known_run("unfinished/b0.partial", "agd", 0, 0, 1, 0.5, 4);
    char path[1100];
    snprintf(path, sizeof path, "%s/b0.partial", dir);
    slurp(path_in(path, "config.json"), out, sizeof out);
    make_run("unfinished/b1.partial", out, METRICS "1,1,1,1,0.7,,,,,,,1\n", NULL);
    const char *const both[] = { path_in(dir, "b0"), test_path("unfinished/b1") };
    assert_true(cli_runs_read(ctx, both, 2, false, &runs));
    assert_true(cli_lines_new(ctx, &runs, &lines));
    assert_int_equal(lines.count, 1);
    assert_int_equal(lines.line[0].count, 2);
    assert_string_equal(lines.line[0].label, "agd");
    assert_int_equal(cli_line_points(&lines.line[0], &cli_curves[2], p, 8), 1);
    assert_close(p[0].mean, (0.51 + 0.7) / 2, 0, 1e-9);
    cli_lines_free(&lines);
    cli_runs_free(&runs);

    /* Plots are beside an unfinished run, neither in its folder nor where that will be. */
    for (int k = 0; k < 2; k++) {
        assert_int_equal(run("plot %s/b1%s --what acc --format svg", dir, k ? ".partial/" : ""), 0);
        assert_non_null(strstr(out, "unfinished/b1.plots/acc.svg\n"));
        assert_int_not_equal(access(path_in(dir, "b1"), F_OK), 0);
        assert_int_not_equal(access(path_in(dir, "b1.partial/plots"), F_OK), 0);
        assert_int_equal(unlink(path_in(dir, "b1.plots/acc.svg")), 0);
    }
}

static void test_values(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        { "0.001", "0.001" }, { "\"a\\nb\"", "a b" }, { "[0.9, 0.999]", "0.9, 0.999" },
        { "true", "yes" },    { "null", "" },         { "{\"train\": 5, \"test\": 6}", "train 5, test 6" },
        { "[[1,2],3]", "3" }, { "1e-05", "1e-05" },   { "{}", "" },
    };
    char text[64], small[8];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cJSON *value = cJSON_Parse(texts[i][0]);
        assert_non_null(value);
        assert_string_equal(cli_value_text(value, text, sizeof text), texts[i][1]);
        cli_value_text(value, small, sizeof small);
        assert_true(strlen(small) < sizeof small);
        cJSON_Delete(value);
    }
    assert_string_equal(cli_value_text(NULL, text, sizeof text), "");
}

static void test_files(void **state)
{
    (void)state;
    char dir[1024], png[16];
    snprintf(dir, sizeof dir, "%s", known_grid("files"));
    assert_int_equal(run("plot %s", dir), 0);
    assert_string_equal(err, "");
    static const char *const names[] = { "loss", "acc", "eta", "update" };
    for (int i = 0; i < 4; i++) {
        char path[64], line[1200];
        for (int k = 0; k < 2; k++) {
            snprintf(path, sizeof path, "plots/%s.%s", names[i], k ? "png" : "svg");
            snprintf(line, sizeof line, "%s/%s\n", dir, path);
            assert_non_null(strstr(out, line));
            FILE *file = fopen(path_in(dir, path), "rb");
            assert_non_null(file);
            assert_int_equal(fread(png, 1, 8, file), 8);
            fclose(file);
            if (k) assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
        }
    }
    static char svg[1 << 18];
    slurp(path_in(dir, "plots/acc.svg"), svg, sizeof svg);
    static const char *const written[] = { "sgd lr 0.1",
                                           "sgd lr 1",
                                           "agd",
                                           "chance 0.1",
                                           "Test accuracy",
                                           "Training accuracy",
                                           "fcn 2x8 on digits, loss mse, batch 128",
                                           "epoch + 1",
                                           "</svg>" };
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        if (!strstr(svg, written[i])) fail_msg("acc.svg does not say \"%s\"", written[i]);

    slurp(path_in(dir, "plots/loss.csv"), svg, sizeof svg);
    assert_string_equal(svg,
                        "epoch + 1,\"sgd lr 0.1\",\"sgd lr 0.1 lowest\",\"sgd lr 0.1 highest\",\"sgd lr 1\",\"sgd lr 1 "
                        "lowest\",\"sgd lr 1 highest\",\"agd\",\"agd lowest\",\"agd highest\"\n"
                        "2,3,1,6,4,4,4,0.6,0.5,0.7\n"
                        "3,1.5,0.5,3,2,2,2,0.3,0.25,0.35\n");
    assert_int_not_equal(access(path_in(dir, "plots/loss.csv.partial"), F_OK), 0);
}

/* Between two round numbers an axis has its ends, and one number where they are the same: a constant rate. */
static void test_short_axes(void **state)
{
    (void)state;
    char        dir[1024];
    static char text[1 << 14];
    snprintf(dir, sizeof dir, "%s", make_run("short", NULL, NULL, NULL));
    make_known_run("short/a0", "sgd", 0.1, 0, 0.34, 0.5, 1);
    make_known_run("short/a1", "sgd", 0.1, 1, 0.36, 0.5, 1);
    assert_int_equal(run("plot %s --format svg", dir), 0);
    slurp(path_in(dir, "plots/loss.gp"), text, sizeof text);
    assert_non_null(strstr(text, "set yrange [0.309:0.396]\n    set ytics (0.34,0.36)\n"));

    assert_int_equal(
        run("train --optim adam --lr 1.5e-3 --depth 2 --width 8 --epochs 1 --out %s/constant --quiet", dir), 0);
    assert_int_equal(run("plot %s/constant --format svg", dir), 0);
    assert_string_equal(err, "");
    slurp(path_in(dir, "constant/plots/eta.gp"), text, sizeof text);
    assert_non_null(strstr(text, "set ytics (0.0015)\n"));
}

#define MONITOR "step,epoch,layer,stable_rank,contribution,update,G,eta,change,majorisation,df_rms,df_theory\n"
#define STEP_1 \
    "1,1,\"a, \"\"b\"\"\",2,0.5,0.01,,,,,,\n1,1,c,4,1.5,0.03,,,,,,\n1,1,(network),,,,2,0.7,-0.3,-0.1,0.5,0.9\n"
#define STEP_11 "11,2,a,,0,0,,,,,,\n11,2,frozen,,,,,,,,,\n11,2,(network),,,,0,0,0.1,,0.2,\n"

/* The layers of a measured step are a mean with a band; the network's change has a band up to its bound. */
static void test_monitor(void **state)
{
    plm_ctx  *ctx = *state;
    cli_runs  runs;
    cli_lines lines;
    cli_point p[8];
    char      dir[1024];
    snprintf(dir, sizeof dir, "%s", make_known_run("monitored", "agd", 0, 0, 1, 0.5, 2));
    write_text(path_in(dir, "monitor.csv"), MONITOR STEP_1 STEP_11);
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    assert_true(cli_runs_read_monitors(ctx, &runs));
    assert_true(cli_lines_new(ctx, &runs, &lines));
    static const double want[CLI_MONITOR_CURVES][4] = { { 1, 3, 2, 4 },          { 1, 0.5, 0.25, 0.75 },
                                                        { 2, 0.02, 0.01, 0.03 }, { 2, 0.7, 0.7, 0.7 },
                                                        { 2, -0.3, -0.3, -0.1 }, { 2, 0.5, 0.5, 0.9 } };
    for (int i = 0; i < CLI_MONITOR_CURVES; i++) {
        const cli_curve *curve = &cli_curves[CLI_CURVES + i];
        assert_int_equal(cli_line_points(&lines.line[0], curve, p, 8), want[i][0]);
        assert_close(cli_point_x(curve, &p[0]), 1, 0, 0);
        assert_close(p[0].mean, want[i][1], 0, 1e-12);
        assert_close(p[0].low, want[i][2], 0, 1e-12);
        assert_close(p[0].high, want[i][3], 0, 1e-12);
    }
    assert_int_equal(cli_line_points(&lines.line[0], &cli_curves[9], p, 8), 2);
    assert_close(p[1].epoch, 11, 0, 0);
    assert_close(p[1].high, 0.1, 0, 0);                                         /* no bound, no band */
    assert_int_equal(cli_line_points(&lines.line[0], &cli_curves[0], p, 8), 2); /* epochs are what they were */
    cli_lines_free(&lines);
    cli_runs_free(&runs);

    static char text[1 << 18];
    assert_int_equal(run("plot %s --format svg", dir), 0);
    assert_string_equal(err, "");
    assert_non_null(strstr(out, "/monitored/plots/bound.svg\n"));
    slurp(path_in(dir, "plots/layers.csv"), text, sizeof text);
    assert_string_equal(text, "step,\"step: agd\",\"step: agd lowest\",\"step: agd highest\",\"automatic: agd\","
                              "\"automatic: agd lowest\",\"automatic: agd highest\"\n"
                              "1,0.02,0.01,0.03,0.7,0.7,0.7\n11,0,0,0,0,0,0\n");
    slurp(path_in(dir, "plots/rank.svg"), text, sizeof text);
    assert_non_null(strstr(text, "Stable rank of the gradient"));
    assert_non_null(strstr(text, ">step<"));
    slurp(path_in(dir, "plots/rank.gp"), text, sizeof text); /* 2 to 4: logarithmic, but not from 1 to 10 */
    assert_non_null(strstr(text, "set logscale y; set yrange [1.82:4.4]\n    set ytics (2,3,4)\n"));
    slurp(path_in(dir, "plots/share.gp"), text, sizeof text);
    assert_non_null(strstr(text, "set xlabel 'step' noenhanced\n"));
    slurp(path_in(dir, "plots/loss.gp"), text, sizeof text);
    assert_non_null(strstr(text, "set xlabel 'epoch + 1 (1 is the untrained network)' noenhanced\n"));
}

static void test_wrong_monitors(void **state)
{
    plm_ctx                 *ctx = *state;
    cli_runs                 runs;
    char                     dir[1024];
    static const char *const texts[][2] = {
        { "step,layer\n", "monitor.csv has no column stable_rank" },
        { MONITOR "0,1,(network),,,,1,1,1,1,1,1\n", "monitor.csv, line 2: step is 0, expected a whole number above 0" },
        { MONITOR "1,1,a,,,,,,,,,\n2,1,(network),,,,1,1,1,1,1,1\n", "monitor.csv, line 3: step is 2" },
        { MONITOR STEP_1 STEP_1, "monitor.csv, line 5: step is 1, expected a whole number above 1" },
        { MONITOR "1,1,a,high,,,,,,,,\n", "monitor.csv, line 2: stable_rank is \"high\", expected a number" },
        { MONITOR STEP_1 "2,1", "monitor.csv: its last line is cut off" },
    };
    snprintf(dir, sizeof dir, "%s", make_known_run("wrong", "agd", 0, 0, 1, 0.5, 2));
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    assert_true(cli_runs_read_monitors(ctx, &runs)); /* there is none */
    assert_int_equal(runs.run[0].monitored, 0);
    cli_runs_free(&runs);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(path_in(dir, "monitor.csv"), texts[i][0]);
        assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
        assert_false(cli_runs_read_monitors(ctx, &runs));
        assert_error(ctx, PLM_ERR_FORMAT, texts[i][1]);
        cli_runs_free(&runs);
    }
    /* Of a run that goes on, a step whose rows are not all there does not count. */
    snprintf(dir, sizeof dir, "%s", make_known_run("wrong2.partial", "agd", 0, 0, 1, 0.5, 2));
    write_text(path_in(dir, "monitor.csv"), MONITOR STEP_1 "11,2,a,1,1,1,,,,,,\n11,2");
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    assert_true(cli_runs_read_monitors(ctx, &runs));
    assert_int_equal(runs.run[0].monitored, 1);
    cli_runs_free(&runs);
}

/* Names that mean something to gnuplot, to csv or to a shell are only names. */
static void test_hostile_names(void **state)
{
    (void)state;
    char dir[1024], config[1024];
    snprintf(dir, sizeof dir, "%s", make_run("it's a \"folder\" $HOME", NULL, NULL, NULL));
    static const char *const names[] = { "a'b'; system('touch hacked')", "`touch hacked`", "100% {_^} \\\" \\n @" };
    for (int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, "it's a \"folder\" $HOME/%d", i);
        snprintf(config, sizeof config, "{\"optim\": \"%s\", \"classes\": 10}", names[i]);
        make_run(path, config, METRICS "0,1,0.1,1,0.1,,,,,,,\n1,1,0.2,1,0.2,0.1,0.1,0.1,0,0,0.1,1\n", NULL);
    }
    cli_runs runs;
    bool     drawn;
    plm_ctx *ctx = plm_ctx_new(NULL);
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    const cli_plot_desc desc = { .dir = dir, .quiet = true, .formats = "svg" };
    if (!cli_plot_runs(ctx, &runs, &desc, &drawn)) fail_msg("%s", plm_ctx_error(ctx));
    assert_true(drawn);
    assert_int_not_equal(access(path_in(dir, "hacked"), F_OK), 0);
    assert_int_not_equal(access("hacked", F_OK), 0);
    static char svg[1 << 18];
    slurp(path_in(dir, "loss.svg"), svg, sizeof svg);
    assert_non_null(strstr(svg, "system("));
    assert_non_null(strstr(svg, "100% {_^}"));
    assert_int_not_equal(access(path_in(dir, "loss.png"), F_OK), 0);
    cli_runs_free(&runs);
    plm_ctx_free(ctx);
}

static void test_without_gnuplot(void **state)
{
    (void)state;
    char dir[1024], path[4096];
    snprintf(dir, sizeof dir, "%s", known_grid("alone"));
    snprintf(path, sizeof path, "%s", getenv("PATH") ? getenv("PATH") : "");
    setenv("PATH", "/nowhere", 1);
    const int status = run("plot %s --what eta --out %s/here", dir, dir);
    setenv("PATH", path, 1);
    assert_int_equal(status, 1);
    assert_sentence("gnuplot is not installed (Debian: gnuplot-nox), so nothing was drawn; data and scripts are in ");
    assert_string_equal(out, "");
    assert_int_equal(access(path_in(dir, "here/eta.csv"), F_OK), 0);
    assert_int_equal(access(path_in(dir, "here/eta.gp"), F_OK), 0);
    assert_int_not_equal(access(path_in(dir, "here/loss.csv"), F_OK), 0);
}

/* One that fails: its words are in the sentence. */
static void test_failing_gnuplot(void **state)
{
    plm_ctx *ctx = *state;
    bool     found;
    char     dir[1024];
    snprintf(dir, sizeof dir, "%s", make_run("failing", NULL, NULL, NULL));
    write_text(path_in(dir, "x.gp"), "set nonsense\n");
    assert_false(cli_gnuplot_run(ctx, dir, "x.gp", &found));
    assert_error(ctx, PLM_ERR_IO, "failing/x.gp: ");
    write_text(path_in(dir, "x.gp"), "exit\n");
    assert_true(cli_gnuplot_run(ctx, dir, "x.gp", &found));
    assert_true(found);
}

static void test_usage(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", known_grid("usage"));
    assert_int_equal(run("plot"), 2);
    assert_sentence("plot needs run folders: plummet plot RUN...");
    assert_int_equal(run("plot %s --what loss,accuracy", dir), 2);
    assert_sentence("--what has \"accuracy\" in it, expected some of loss,acc,eta,update");
    assert_int_equal(run("plot %s --format svg,", dir), 2);
    assert_sentence("--format has \"\" in it, expected some of svg,png");
    assert_int_equal(run("plot %s/nowhere", dir), 1);
    assert_sentence("nowhere is no run folder: there is no such folder");
    write_text(path_in(dir, "a0/metrics.csv"), "epoch\n");
    assert_int_equal(run("plot %s", dir), 1);
    assert_sentence("a0/metrics.csv has no column train_loss");
    write_text(path_in(dir, "a0/metrics.csv"), METRICS);
    assert_int_equal(run("plot %s/a0", dir), 1);
    assert_sentence("plot: no run has a number to draw yet");
    assert_int_equal(run("plot %s/b0 --out %s/b0/config.json", dir, dir), 1);
    assert_sentence("config.json exists and is not a folder");
    assert_int_equal(run("plot --help"), 0);
    assert_non_null(strstr(out, "--what LIST"));
}

static bool plot_grid(plm_ctx *ctx, void *user)
{
    cli_runs   runs;
    bool       drawn = true;
    const bool ok =
        cli_runs_read(ctx, &(const char *){ user }, 1, false, &runs) && cli_runs_read_monitors(ctx, &runs) &&
        cli_plot_runs(ctx, &runs, &(cli_plot_desc){ .dir = user, .quiet = true, .what = "loss,rank" }, &drawn);
    cli_runs_free(&runs);
    return ok;
}

static void test_out_of_memory(void **state)
{
    char dir[1024], path[4096];
    snprintf(dir, sizeof dir, "%s", known_grid("memory"));
    write_text(path_in(dir, "a0/monitor.csv"), MONITOR STEP_1);
    write_text(path_in(dir, "c0/monitor.csv"), MONITOR STEP_1);
    write_text(path_in(dir, "c1/monitor.csv"), MONITOR STEP_1);
    snprintf(path, sizeof path, "%s", getenv("PATH") ? getenv("PATH") : "");
    setenv("PATH", "/nowhere", 1);
    each_allocation_fails(*state, plot_grid, dir);
    setenv("PATH", path, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_lines),
        ctx_test(test_common),
        ctx_test(test_unfinished),
        cmocka_unit_test(test_short_axes),
        ctx_test(test_monitor),
        ctx_test(test_wrong_monitors),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_without_gnuplot),
        ctx_test(test_failing_gnuplot),
        cmocka_unit_test(test_usage),
        ctx_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

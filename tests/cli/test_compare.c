/* test_compare.c: plummet compare: which runs a grid has, what it refuses, how it goes on, what it sums up. */
#include "cli/run.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL "--depth 2 --width 8 --epochs 2 --threads 1 "

static char text[1 << 16];

static const char *dir_of(const char *name)
{
    static char dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path(name));
    return dir;
}

static const char *in(const char *dir, const char *name)
{
    static char path[2048];
    const int   length = snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_true(length > 0 && (size_t)length < sizeof path);
    return path;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ------------------------------------------------------------------ which runs */

/* The names that --dry-run lists, each with a blank before and behind. */
static const struct {
    const char *options;
    int         count;
    const char *runs;
} grids[] = {
    { "--depth 2,4 --width 8", 2, " fcn-2x8-digits-agd-seed0 fcn-4x8-digits-agd-seed0 " },
    { "--depth 2:8 --width 8", 3, " fcn-2x8-digits-agd-seed0 fcn-4x8-digits-agd-seed0 fcn-8x8-digits-agd-seed0 " },
    { "--depth 2 --width 8 --optim agd,adam,sgd --lr 1e-2:1e-1", 5,
      " fcn-2x8-digits-agd-seed0 fcn-2x8-digits-adam-lr1e-2-seed0 fcn-2x8-digits-adam-lr0.1-seed0"
      " fcn-2x8-digits-sgd-lr1e-2-seed0 fcn-2x8-digits-sgd-lr0.1-seed0 " },
    { "--depth 2 --width 8 --optim sgd --lr 1e-3:1e-2:3", 4,
      " fcn-2x8-digits-sgd-lr1e-3-seed0 fcn-2x8-digits-sgd-lr2.15e-3-seed0 fcn-2x8-digits-sgd-lr4.64e-3-seed0"
      " fcn-2x8-digits-sgd-lr1e-2-seed0 " },
    /* The seed is slowest; --momentum is only sgd's, --gain only agd's. */
    { "--depth 2 --width 8 --optim agd,sgd --momentum 0,0.9 --gain 2 --seeds 2", 6,
      " fcn-2x8-digits-agd-gain2-seed0 fcn-2x8-digits-sgd-momentum0-seed0 fcn-2x8-digits-sgd-momentum0.9-seed0"
      " fcn-2x8-digits-agd-gain2-seed1 fcn-2x8-digits-sgd-momentum0-seed1 fcn-2x8-digits-sgd-momentum0.9-seed1 " },
    { "--depth 2 --width 8 --seed 3,5 --loss mse,xent --batch-size 32,128", 8,
      " fcn-2x8-digits-agd-seed3 fcn-2x8-digits-agd-batch-size32-seed3 " },
    { "--depth 2 --width 8 --optim adam --betas 0.9,0.999 --betas 0.8,0.9", 2,
      " fcn-2x8-digits-adam-betas0.9-0.999-seed0 fcn-2x8-digits-adam-betas0.8-0.9-seed0 " },
    { "--depth 2 --width 8 --width 8,8 --lr=0.1,1e-1 --optim=sgd", 1, " fcn-2x8-digits-sgd-lr0.1-seed0 " },
};

static void test_expansion(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", dir_of("expansion"));
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        char names[1 << 12] = " ", wanted[1024];
        int  count          = 0;
        assert_int_equal(run("compare --dry-run --out '%s' --threads 1 %s", dir, grids[i].options), 0);
        for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"), count++)
            if (strstr(line, "fcn-")) strcat(strcat(names, strstr(line, "fcn-")), " ");
        assert_int_equal(count - 1, grids[i].count); /* and the line of the sum */
        snprintf(wanted, sizeof wanted, "%s", grids[i].runs);
        for (char *name = strtok(wanted, " "); name; name = strtok(NULL, " ")) {
            char word[256];
            snprintf(word, sizeof word, " %s ", name);
            if (!strstr(names, word)) print_error("%s: no \"%s\" in \"%s\"\n", grids[i].options, word, names);
            assert_non_null(strstr(names, word));
        }
        if (grids[i].count < 7) assert_string_equal(names, grids[i].runs); /* all of them, in this order */
    }
    assert_false(exists(dir)); /* a dry run makes nothing */
}

static void test_dry_run(void **state)
{
    (void)state;
    assert_int_equal(run("compare --dry-run --out '%s' " SMALL "--seeds 2", dir_of("dry")), 0);
    double seconds, megabytes;
    assert_int_equal(sscanf(out, "%lf s %lf MB", &seconds, &megabytes), 2);
    assert_true(seconds > 0 && megabytes > 0);
    assert_non_null(strstr(out, "2 of 2 runs to do: about "));
}

/* ------------------------------------------------------------------ what is refused */

static const struct {
    const char *options, *sentence;
} refused[] = {
    { "", "compare needs --out" },
    { "--out x --optim agd,adma", "--optim is \"adma\", known are agd, " },
    { "--out x --arch fcn,fnc", "--arch is \"fnc\", known are " },
    { "--out x --dataset digits,digit", "did you mean digits?" },
    { "--out x --optim sgd --lr 1e-1:1e-5",
      "--lr has the range \"1e-1:1e-5\", which is empty: it ends before it begins" },
    { "--out x --optim sgd --lr -1e-5:1e-1", "--lr has the range \"-1e-5:1e-1\", which must begin above 0" },
    { "--out x --optim sgd --lr 0.1,-0.1", "--lr is \"-0.1\", expected a number above 0" },
    { "--out x --optim sgd --lr 1e-3:", "--lr has the range \"1e-3:\", expected a:b, or a:b:n" },
    { "--out x --optim sgd --lr 1e-3:1:0", "expected a:b, or a:b:n with n values in a decade" },
    { "--out x --optim sgd --lr 1e-3:1:2:3", "expected a:b, or a:b:n" },
    { "--out x --optim sgd --lr 1e-3:nan", "expected a:b, or a:b:n" },
    { "--out x --depth 2:8:2", "whole numbers double from a to b" },
    { "--out x --depth 2.5:8", "expected whole numbers" },
    { "--out x --width 8,,16", "--width is \"8,,16\", a list with an empty place" },
    { "--out x --width 8,16,", "a list with an empty place" },
    { "--out x --width 8,sixteen", "--width is \"sixteen\", expected a whole number" },
    { "--out x --depth 2,1", "--depth is \"1\", an fcn has at least 2 layers" },
    { "--out x --lr 0.1", "--lr does not go with --optim agd: agd has no learning rate" },
    { "--out x --optim agd,sgd --betas 0.9,0.99", "--betas does not go with --optim sgd" },
    { "--out x --arch resnet18 --depth 4", "--depth does not go with --arch resnet18" },
    { "--out x --seeds 2 --seed 1", "--seeds counts from seed 0 on and does not go with --seed" },
    { "--out x --seeds 0", "--seeds is \"0\"" },
    { "--out x --select val_acc", "--select val_acc needs --val" },
    { "--out x --select test", "--select is \"test\", expected one of val_acc|train_loss|test_acc" },
    { "--out x --seeds 1000 --width 1:1024", "the grid has more than 10000 runs" },
    { "--out x --steps 3", "compare has no option --steps" },
    { "--out x --epoch 3", "compare has no option --epoch; did you mean --epochs?" },
    { "--out x --val 1500", "--val is 1500, but there are only 1500 training samples" },
};

static void test_refused(void **state)
{
    (void)state;
    char command[4096];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const int status = run("compare %s", refused[i].options);
        if (status != 2) print_error("compare %s: exit %d, %s%s\n", refused[i].options, status, out, err);
        assert_int_equal(status, 2);
        assert_string_equal(out, "");
        assert_sentence(refused[i].sentence);
    }
    assert_false(exists("x"));
    /* What only the data set and the network can tell is told before anything runs, too. */
    snprintf(command, sizeof command, "%s", dir_of("refused"));
    assert_int_equal(run("compare --out '%s' --arch fcn,resnet18 --width 8 --epochs 1", command), 1);
    assert_sentence("resnet18-digits-agd-epochs1: avg_pool2d at avgpool: a 4x4 window is larger than its input");
    assert_int_equal(run("compare --out '%s' --dataset digits,mnist --data /nowhere", command), 1);
    assert_sentence("/nowhere/mnist");
    assert_false(exists(command));
}

/* ------------------------------------------------------------------ going on */

/* A killed grid leaves whole runs and one half of a run: only what is missing is run. */
static void test_resume(void **state)
{
    (void)state;
    char        dir[1024], first[2048], second[2048], left[2100], removed[2200];
    static char before[1 << 14], after[1 << 14];
    snprintf(dir, sizeof dir, "%s", dir_of("resume"));
    snprintf(first, sizeof first, "%s/runs/fcn-2x8-digits-agd-epochs2-seed0", dir);
    snprintf(second, sizeof second, "%s/runs/fcn-2x8-digits-agd-epochs2-seed1", dir);
    snprintf(left, sizeof left, "%s.partial", second);
    assert_int_equal(run("compare " SMALL "--seeds 2 --out '%s'", dir), 0);
    assert_string_equal(err, "");
    assert_non_null(strstr(out, "[2/2] fcn-2x8-digits-agd-epochs2-seed1 "));
    slurp(in(first, "metrics.csv"), before, sizeof before); /* its seconds are no other run's */
    assert_int_equal(rename(second, left), 0);
    snprintf(removed, sizeof removed, "%s/model.safetensors", left);
    assert_int_equal(unlink(removed), 0);

    assert_int_equal(run("compare " SMALL "--seeds 2 --out '%s'", dir), 0);
    assert_non_null(strstr(out, "1 of 2 runs are there already\n[1/1] fcn-2x8-digits-agd-epochs2-seed1 "));
    slurp(in(first, "metrics.csv"), after, sizeof after);
    assert_string_equal(before, after);
    assert_true(exists(in(second, "model.safetensors")));
    assert_false(exists(left));

    slurp(in(second, "metrics.csv"), before, sizeof before);
    assert_int_equal(rename(second, left), 0); /* killed when its model was saved: it only lacks its name */
    assert_int_equal(run("compare " SMALL "--seeds 2 --out '%s'", dir), 0);
    assert_non_null(strstr(out, "1 of 2 runs are there already\n\nfcn 2x8 on digits"));
    slurp(in(second, "metrics.csv"), after, sizeof after);
    assert_string_equal(before, after);
    assert_false(exists(left));

    assert_int_equal(run("compare " SMALL "--seeds 2 --out '%s'", dir), 0);
    assert_non_null(strstr(out, "2 of 2 runs are there already\n\nfcn 2x8 on digits"));
    assert_int_equal(run("compare " SMALL "--seeds 2 --dry-run --out '%s'", dir), 0);
    assert_non_null(strstr(out, "all 2 runs are done"));
    assert_int_equal(run("compare " SMALL "--seeds 2 --quiet --out '%s'", dir), 0);
    assert_null(strstr(out, "there already"));
}

/* A folder of that name with other settings is nobody's business to overwrite, nor to pass over. */
static void test_other_settings(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", dir_of("other"));
    assert_int_equal(run("compare " SMALL "--out '%s'", dir), 0);
    assert_int_equal(run("compare " SMALL "--epoch-zero --out '%s'", dir), 1);
    assert_sentence(
        "fcn-2x8-digits-agd-epochs2-seed0 is a run with other settings (epoch_zero is false, not true): choose "
        "another --out or remove it");
    snprintf(text, sizeof text, "%s/runs/fcn-2x8-digits-agd-epochs2-seed0/config.json", dir);
    write_text(text, "{}");
    assert_int_equal(run("compare " SMALL "--out '%s'", dir), 1);
    assert_sentence("is a run with other settings (");
    write_text(text, "{");
    assert_int_equal(run("compare " SMALL "--out '%s'", dir), 1);
    assert_sentence("config.json");
}

/* A cell is the run that plummet train makes of the same settings, bit for bit. */
static void test_same_as_train(void **state)
{
    (void)state;
    static char grid[1 << 14], train[1 << 14];
    char        dir[1024], alone[1024];
    snprintf(dir, sizeof dir, "%s", dir_of("same"));
    snprintf(alone, sizeof alone, "%s", dir_of("alone"));
    assert_int_equal(run("compare " SMALL "--optim adam,sgd --lr 1e-2,1e-1 --seeds 2 --out '%s'", dir), 0);
    assert_int_equal(run("train " SMALL "--optim sgd --lr 0.1 --seed 1 --quiet --out '%s'", alone), 0);
    FILE *file = fopen(in(dir, "runs/fcn-2x8-digits-sgd-lr0.1-epochs2-seed1/model.safetensors"), "rb");
    assert_non_null(file);
    const size_t n = fread(grid, 1, sizeof grid, file);
    fclose(file);
    file = fopen(in(alone, "model.safetensors"), "rb");
    assert_non_null(file);
    assert_int_equal(fread(train, 1, sizeof train, file), n);
    fclose(file);
    assert_true(n > 2000 && n < sizeof grid);
    assert_memory_equal(grid, train, n);
}

static void test_diverged(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", dir_of("diverged"));
    const char *const grid = "compare " SMALL "--optim sgd --lr 1e30,1e-2,1e-1 --out '%s'";
    assert_int_equal(run(grid, dir), 0);
    assert_non_null(strstr(out, "[1/3] fcn-2x8-digits-sgd-lr1e+30-epochs2-seed0     diverged: linear at "));
    assert_non_null(strstr(out, "[3/3]")); /* the grid went on */
    assert_non_null(strstr(out, "  sgd-lr0.1 "));
    assert_non_null(strstr(out, "tuned by train_loss over 3 rates, 1e-2 to 1e+30\n"));
    slurp(in(dir, "runs/fcn-2x8-digits-sgd-lr1e+30-epochs2-seed0/diverged.txt"), text, sizeof text);
    assert_non_null(strstr(text, "is not finite"));
    slurp(in(dir, "summary.csv"), text, sizeof text);
    const char *row = strstr(text, "\nfcn-2x8-digits-sgd-lr1e+30-epochs2,");
    assert_non_null(row);
    assert_non_null(strstr(row, ",diverged,0,1,no,train_loss,,"));
    assert_int_equal(run(grid, dir), 0);
    assert_non_null(strstr(out, "3 of 3 runs are there already"));

    assert_int_equal(run("compare " SMALL "--optim sgd --lr 1e30,1e29 --out '%s'", dir), 0);
    assert_non_null(strstr(out, "all of them diverged"));
}

/* ------------------------------------------------------------------ the summary */

/* The value in the row that begins with `group` under the column `name`; nan: empty. */
static double summary(const char *group, const char *name, char word[64])
{
    char  line[2][8192], *cell[2], *rest[2];
    char  key[256];
    FILE *file = fopen(text, "r");
    assert_non_null(file);
    assert_non_null(fgets(line[0], sizeof line[0], file));
    snprintf(key, sizeof key, "%s,", group);
    do assert_non_null(fgets(line[1], sizeof line[1], file));
    while (strncmp(line[1], key, strlen(key)) != 0);
    fclose(file);
    rest[0] = line[0];
    rest[1] = line[1];
    while (rest[0]) {
        for (int i = 0; i < 2; i++) {
            assert_non_null(rest[i]);
            cell[i] = strsep(&rest[i], ",\n");
        }
        if (strcmp(cell[0], name) != 0) continue;
        snprintf(word, 64, "%s", cell[1]);
        return *word ? strtod(word, NULL) : (double)NAN;
    }
    print_error("summary.csv has no column %s\n", name);
    fail();
    return 0;
}

typedef struct {
    int    rows;
    double row[16][12];
} metrics;

static metrics read_metrics(const char *dir, const char *name)
{
    metrics m = { 0 };
    char    path[2048], line[1024];
    snprintf(path, sizeof path, "%s/runs/%s/metrics.csv", dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        char *rest = line;
        for (int i = 0; i < 12; i++) {
            const char *cell = strsep(&rest, ",\n");
            m.row[m.rows][i] = *cell ? strtod(cell, NULL) : (double)NAN;
        }
        m.rows++;
    }
    fclose(file);
    return m;
}

static void check_spread(const char *group, const char *measure, const double x[3])
{
    const double      mean   = (x[0] + x[1] + x[2]) / 3;
    const double      sd     = sqrt((pow(x[0] - mean, 2) + pow(x[1] - mean, 2) + pow(x[2] - mean, 2)) / 2);
    const double      want[] = { mean, sd, fmin(x[0], fmin(x[1], x[2])), fmax(x[0], fmax(x[1], x[2])) };
    const char *const ends[] = { "mean", "sd", "min", "max" };
    for (int i = 0; i < 4; i++) {
        char name[64], word[64];
        snprintf(name, sizeof name, "%s_%s", measure, ends[i]);
        assert_close(summary(group, name, word), want[i], 1e-8, 1e-7);
    }
}

static void test_summary(void **state)
{
    (void)state;
    enum { EPOCH, TRAIN_LOSS, TRAIN_ACC, TEST_LOSS, TEST_ACC, SECONDS = 11 };
    static const char *const group[] = { "fcn-2x8-digits-agd-epochs6", "fcn-2x8-digits-sgd-lr1e-2-epochs6",
                                         "fcn-2x8-digits-sgd-lr0.1-epochs6" };
    char                     dir[1024], word[64], other[64];
    metrics                  m[3][3];
    double                   loss[3], total = INFINITY;
    snprintf(dir, sizeof dir, "%s", dir_of("summary"));
    assert_int_equal(run("compare --depth 2 --width 8 --epochs 6 --threads 1 --optim agd,sgd --lr 1e-2,1e-1 --seeds 3 "
                         "--out '%s'",
                         dir),
                     0);
    snprintf(text, sizeof text, "%s/summary.csv", dir);
    for (int g = 0; g < 3; g++) {
        double final[3], train[3], best[3], lowest[3], seconds[3] = { 0 };
        loss[g] = 0;
        for (int k = 0; k < 3; k++) {
            char name[256];
            snprintf(name, sizeof name, "%s-seed%d", group[g], k);
            m[g][k]           = read_metrics(dir, name);
            const metrics *r  = &m[g][k];
            int            at = 1;
            assert_int_equal(r->rows, 7);
            best[k] = 0;
            for (int i = 1; i < 7; i++) {
                best[k] = fmax(best[k], r->row[i][TEST_ACC]);
                if (r->row[i][TRAIN_LOSS] < r->row[at][TRAIN_LOSS]) at = i;
                seconds[k] += r->row[i][SECONDS];
            }
            final[k]  = r->row[6][TEST_ACC];
            train[k]  = r->row[6][TRAIN_ACC];
            lowest[k] = r->row[at][TEST_ACC];
            loss[g] += r->row[6][TRAIN_LOSS] / 3;
        }
        check_spread(group[g], "final_test_acc", final);
        check_spread(group[g], "final_train_acc", train);
        check_spread(group[g], "best_test_acc", best);
        check_spread(group[g], "lowest_loss_test_acc", lowest);
        check_spread(group[g], "equal_epochs_test_acc", final);
        check_spread(group[g], "seconds", seconds);
        assert_close(summary(group[g], "final_train_loss_mean", word), loss[g], 0, 1e-7);
        assert_close(summary(group[g], "n", word), 3, 0, 0);
        assert_close(summary(group[g], "chance", word), 0.1, 0, 1e-8);
        assert_close(summary(group[g], "parameters", word), 64 * 8 + 8 * 10, 0, 0);
        assert_true(isnan(summary(group[g], "final_val_acc_mean", word)));
        summary(group[g], "status", word);
        assert_string_equal(word, "finished");
    }
    /* The lower training loss is the better rate. */
    const int chosen = loss[1] < loss[2] ? 1 : 2;
    summary(group[chosen], "chosen", word);
    summary(group[3 - chosen], "chosen", other);
    assert_string_equal(word, "yes");
    assert_string_equal(other, "no");
    summary(group[chosen], "edge", word);
    assert_string_equal(word, chosen == 1 ? "lowest" : "highest");
    summary(group[chosen], "criterion", word);
    assert_string_equal(word, "train_loss");
    summary(group[0], "chosen", word);
    assert_string_equal(word, "yes"); /* agd has one way */
    assert_true(isnan(summary(group[0], "lr", word)));
    assert_close(summary(group[1], "lr", word), 0.01, 0, 1e-8);

    /* Equal seconds: the shortest of the runs that are compared, and what each had reached by then. */
    for (int g = 0; g < 3; g++)
        for (int k = 0; k < 3; k++) {
            double sum = 0;
            for (int i = 1; i < 7; i++) sum += m[g][k].row[i][SECONDS];
            if (g != 3 - chosen) total = fmin(total, sum);
        }
    assert_close(summary(group[0], "equal_seconds", word), total, 0, 1e-7);
    for (int g = 0; g < 3; g++) {
        double reached[3];
        for (int k = 0; k < 3; k++) {
            double sum = 0;
            reached[k] = m[g][k].row[0][TEST_ACC];
            for (int i = 1; i < 7 && (sum += m[g][k].row[i][SECONDS]) <= total * (1 + 1e-12); i++)
                reached[k] = m[g][k].row[i][TEST_ACC];
        }
        check_spread(group[g], "equal_seconds_test_acc", reached);
    }
}

static void test_select(void **state)
{
    (void)state;
    char dir[1024], word[64];
    snprintf(dir, sizeof dir, "%s", dir_of("select"));
    assert_int_equal(run("compare " SMALL "--val 100 --optim sgd --lr 1e-3,1e-1 --out '%s'", dir), 0);
    assert_non_null(strstr(out, "tuned by val_acc over 2 rates, 1e-3 to 0.1"));
    snprintf(text, sizeof text, "%s/summary.csv", dir);
    assert_true(isfinite(summary("fcn-2x8-digits-sgd-val100-lr0.1-epochs2", "final_val_acc_mean", word)));
    assert_int_equal(run("compare " SMALL "--val 100 --optim sgd --lr 1e-3,1e-1 --select test_acc --out '%s'", dir), 0);
    assert_non_null(strstr(out, "tuned by test_acc over 2 rates"));
}

/* By decades, until the best rate has one on either side; what is there is not run again. */
static void test_extend(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", dir_of("extend"));
    assert_int_equal(run("compare " SMALL "--optim agd,sgd --lr 1e-3,1e-2 --seeds 2 --out '%s'", dir), 0);
    assert_non_null(strstr(out, "the best is the highest that was tried: --extend goes on"));
    assert_int_equal(run("compare " SMALL "--optim agd,sgd --lr 1e-3,1e-2 --seeds 2 --extend --out '%s'", dir), 0);
    assert_null(strstr(out, "--extend goes on"));
    assert_non_null(strstr(out, "6 of 6 runs are there already"));
    for (int seed = 0; seed < 2; seed++) {
        char name[128];
        snprintf(name, sizeof name, "runs/fcn-2x8-digits-sgd-lr0.1-epochs2-seed%d", seed);
        assert_true(exists(in(dir, name)));
    }
    slurp(in(dir, "summary.csv"), text, sizeof text);
    assert_null(strstr(text, ",highest,"));
    assert_null(strstr(text, ",lowest,"));
}

/* The accuracy over the rate, as the plot has it, is that of summary.csv; agd, without a rate, is level. */
static void test_plots(void **state)
{
    (void)state;
    static const char *const rate[] = { "lr1e-3", "lr1e-2", "lr0.1" };
    char                     dir[1024], line[1024], word[64], group[128];
    snprintf(dir, sizeof dir, "%s", dir_of("plots"));
    assert_int_equal(run("compare " SMALL "--optim agd,sgd --lr 1e-3:1e-1 --seeds 2 --out '%s'", dir), 0);
    assert_true(exists(in(dir, "plots/acc.csv")));
    assert_true(exists(in(dir, "plots/loss.gp")));
    assert_true(exists(in(dir, "plots/rates.gp")));
    snprintf(text, sizeof text, "%s/summary.csv", dir);
    FILE *file = fopen(in(dir, "plots/rates.csv"), "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line,
                        "rate,fcn-2x8-digits-agd-epochs2,fcn-2x8-digits-agd-epochs2 low,fcn-2x8-digits-agd-epochs2 "
                        "high,fcn-2x8-digits-sgd-epochs2,fcn-2x8-digits-sgd-epochs2 low,fcn-2x8-digits-sgd-epochs2 "
                        "high\n");
    for (int i = 0; i < 3; i++) {
        double x[7];
        assert_non_null(fgets(line, sizeof line, file));
        assert_int_equal(sscanf(line, "%lf,%lf,%lf,%lf,%lf,%lf,%lf", x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6), 7);
        assert_close(x[0], pow(10, i - 3), 0, 1e-8);
        snprintf(group, sizeof group, "fcn-2x8-digits-sgd-%s-epochs2", rate[i]);
        assert_close(x[4], summary(group, "final_test_acc_mean", word), 0, 1e-8);
        assert_close(x[5], summary(group, "final_test_acc_min", word), 0, 1e-8);
        assert_close(x[6], summary(group, "final_test_acc_max", word), 0, 1e-8);
        assert_close(x[1], summary("fcn-2x8-digits-agd-epochs2", "final_test_acc_mean", word), 0, 1e-8);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    if (strstr(out, "gnuplot is not installed")) skip();
    assert_true(exists(in(dir, "plots/rates.svg")));
    assert_true(exists(in(dir, "plots/acc.png")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expansion), cmocka_unit_test(test_dry_run),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_resume),    cmocka_unit_test(test_other_settings), cmocka_unit_test(test_same_as_train),
        cmocka_unit_test(test_diverged),  cmocka_unit_test(test_summary),        cmocka_unit_test(test_select),
        cmocka_unit_test(test_extend),    cmocka_unit_test(test_plots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

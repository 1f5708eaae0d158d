/* test_reproduce.c: plummet reproduce: the paper's figures on the digits, with small networks, and what it says of the rest. */
#include "cli/run.h"

#include <math.h>
#include <unistd.h>

#define DIGITS "--dataset digits --threads 1 "

static char text[1 << 16];

static bool exists(const char *dir, const char *name)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static int count_of(const char *in, const char *part)
{
    int n = 0;
    for (; (in = strstr(in, part)); in += strlen(part)) n++;
    return n;
}

static const struct {
    const char *options, *sentence;
} refused[] = {
    { "", "reproduce needs a NAME: showcase, benchmark, baselines, width-depth, batch-size, tables" },
    { "baseline", "there is nothing called baseline to reproduce, there are " },
    { "baseline", "; did you mean baselines?" },
    { "baselines twice", "reproduce does not know what to do with \"twice\"" },
    { "showcase --only fcn", "--only is \"fcn\", the parts of showcase are depth32, resnet18" },
    { "tables --only fcn", "tables has no parts for --only" },
    { "tables --depth 3", "--depth does not go with reproduce tables" },
    { "baselines --lr 1e-1:1e-5", "which is empty" },
    { "baselines --optim agd,adma", "did you mean adam?" },
    { "showcase --only resnet18 --dataset digits", "nothing is left to run" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const int status = run("reproduce %s", refused[i].options);
        if (status != 2) print_error("reproduce %s: exit %d, %s%s\n", refused[i].options, status, out, err);
        assert_int_equal(status, 2);
        assert_sentence(refused[i].sentence);
    }
}

/* The grids of the figures, as the paper has them. */
static const struct {
    const char *options;
    int         runs;
    const char *some[4];
} figures[] = {
    { "baselines", 11, { "fcn-8x2-digits-agd-", "fcn-8x2-digits-adam-lr1e-5-", "fcn-8x2-digits-sgd-lr0.1-" } },
    { "showcase", 3, { "fcn-32x2-digits-agd-", "fcn-32x2-digits-adam-epochs", "fcn-32x2-digits-sgd-epochs" } },
    { "benchmark --epochs 3", 6, { "fcn-16x2-digits-agd-epochs3-seed0", "fcn-16x2-digits-adam-lr1e-5-epochs3-seed0" } },
    { "width-depth --width 2:8", 15, { "fcn-2x2-", "fcn-32x8-digits-agd-", "fcn-16x4-digits-agd-" } },
    { "batch-size --batch-size 32,1024 --seeds 2", 4, { "-batch-size32-", "-batch-size1024-", "-seed1" } },
    { "width-depth --depth 2,8 --width 2,4 --quick", 4, { "fcn-8x4-" } },
};

static void test_grids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        assert_int_equal(run("reproduce --dry-run " DIGITS "--width 2 %s", figures[i].options), 0);
        assert_int_equal(count_of(out, " MB  "), figures[i].runs);
        for (int k = 0; k < 4 && figures[i].some[k]; k++) assert_non_null(strstr(out, figures[i].some[k]));
    }
    assert_int_equal(run("reproduce showcase --dry-run " DIGITS "--width 2"), 0);
    assert_non_null(strstr(out, "resnet18: not run: it needs colour images of 32x32, as cifar10 has\n"));
    assert_non_null(strstr(out, "resnet50 on ImageNet: not run"));
}

/* One figure from end to end, twice: the second time nothing is left to run. */
static void test_baselines(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path("baselines"));
    const char *const figure = "reproduce baselines " DIGITS "--width 4 --depth 3 --epochs 1 --lr 1e-2,1e-1 --out '%s'";
    assert_int_equal(run(figure, dir), 0);
    assert_string_equal(err, "");
    assert_non_null(strstr(out, "[5/5] fcn-3x4-digits-sgd-lr0.1-epochs1-seed0"));
    assert_non_null(strstr(out, "baselines: final test accuracy, %\n"));
    assert_int_equal(count_of(out, "fcn 3x4 digits batch 128 "), 3);
    assert_int_equal(count_of(out, "(tuned by train_loss)\n"), 2);
    assert_true(exists(dir, "summary.csv"));
    snprintf(text, sizeof text, "%s/paper.csv", dir);
    static char paper[1 << 12];
    slurp(text, paper, sizeof paper);
    assert_int_equal(count_of(paper, "\n"), 4);
    assert_non_null(strstr(paper, "\nfcn-3x4-digits-agd-epochs1,,")); /* of the digits the paper says nothing */
    /* The page has the command, the paper's table, and what is not run. */
    snprintf(text, sizeof text, "%s/report.html", dir);
    static char page[1 << 18];
    slurp(text, page, sizeof page);
    assert_non_null(strstr(page, "plummet reproduce baselines --dataset digits --threads 1 --width 4 --depth 3 "));
    assert_non_null(strstr(page, "Test accuracy in %: the paper"));
    assert_non_null(strstr(page, "fcn-3x4-digits-sgd-lr0.1-epochs1"));
    /* The row of the untrained network is measured on the training samples too. */
    snprintf(text, sizeof text, "%s/runs/fcn-3x4-digits-agd-epochs1-seed0/metrics.csv", dir);
    slurp(text, paper, sizeof paper);
    assert_int_equal(strncmp(strchr(paper, '\n'), "\n0,,", 4) != 0, 1);
    assert_int_equal(run(figure, dir), 0);
    assert_non_null(strstr(out, "5 of 5 runs are there already"));
}

/* Times the weights: what the paper's table says, and what was allocated: in blocks of up to 64 outputs, so 10 may fill 64,
 * and 256 as many as 288 where blocks have 48. */
static void test_tables(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double      copies; /* of the weights, beside them */
    } rows[] = { { "\nagd ", 0 }, { "\nsgd ", 0 }, { "\nsgd with momentum ", 1 }, { "\nadam ", 2 } };
    assert_int_equal(run("reproduce tables"), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char  weights[32], own[32];
        float ratio;
        char *row = strstr(out, rows[i].name);
        assert_non_null(row);
        assert_int_equal(sscanf(row + strlen(rows[i].name), "%31s %31s %f", weights, own, &ratio), 3);
        assert_string_equal(weights, "4,728,832"); /* 4 (3072*256 + 6*256*256 + 256*10) */
        assert_true(ratio >= 1 + rows[i].copies - 0.005 && ratio <= 1 + 1.15 * rows[i].copies);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_grids),
        cmocka_unit_test(test_baselines),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

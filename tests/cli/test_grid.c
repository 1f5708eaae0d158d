/* test_grid.c: the parts of a grid alone: names, cells, groups, where an allocation fails. */
#include "cli/run.h"

#include "cli/failing.h"

#include "lab.h"

#include <math.h>

static bool parse(cli_settings *s, int count, const char *const *word)
{
    int n;
    return cli_parse(&(cli_words){ "test", count, word }, CLI_TRAIN, s, NULL, &n);
}
#define SETTINGS(s, ...) \
    parse((s), (int)(sizeof(const char *[]){ __VA_ARGS__ } / sizeof(char *)), (const char *const[]){ __VA_ARGS__ })

/* The name without the seed, lent until the next call. */
static const char *name_of(const cli_settings *s)
{
    static char text[512];
    char       *name = cli_settings_name(s, cli_leave_seed);
    assert_non_null(name);
    snprintf(text, sizeof text, "%s", name);
    free(name);
    return text;
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double      x;
        const char *text;
    } numbers[] = {
        { 0, "0" },
        { 0.1, "0.1" },
        { 0.01, "1e-2" },
        { 1e-7, "1e-7" },
        { 1.58e-7, "1.58e-7" },
        { 256, "256" },
        { 0.999, "0.999" },
        { 1e30, "1e+30" },
        { -0.05, "-5e-2" },
        { 0.05, "5e-2" },
        { 1e-300, "1e-300" },
        { 1.5, "1.5" },
        { 1e-2 / 10, "1e-3" },
        { 0.012345, "1.2345e-2" },
    };
    char text[32];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_string_equal(cli_number_text(numbers[i].x, text), numbers[i].text);
}

static void test_names(void **state)
{
    (void)state;
    cli_settings s, t;
    assert_true(SETTINGS(&s, "--arch", "resnet18", "--dataset", "cifar10", "--lr", "1e-3", "--optim", "adam"));
    assert_string_equal(name_of(&s), "resnet18-cifar10-adam-lr1e-3");
    assert_true(SETTINGS(&s, "--epochs", "10", "--batch-size=128", "--epoch-zero", "--test-batch-size", "7"));
    assert_string_equal(name_of(&s), "fcn-10x256-digits-agd"); /* defaults, and what only looks on */
    assert_true(SETTINGS(&s, "--optim", "sgd", "--momentum", "0.9", "--nesterov", "--weight-decay", "5e-4", "--loss",
                         "xent", "--val", "100"));
    assert_string_equal(name_of(&s), "fcn-10x256-digits-sgd-val100-loss-xent-momentum0.9-nesterov-weight-decay5e-4");
    assert_true(SETTINGS(&s, "--optim", "adam", "--betas", "0.8,0.99"));
    assert_string_equal(name_of(&s), "fcn-10x256-digits-adam-betas0.8-0.99");
    assert_true(SETTINGS(&s, "--dataset", "csv:measurements-of-forty-two-letters-a-file.csv", "--label",
                         "the-kind-that-was-measured-a-long-column", "--val", "100", "--loss", "xent", "--optim", "sgd",
                         "--momentum", "0.9", "--nesterov", "--weight-decay", "5e-4", "--batch-size", "64"));
    const char *longest = name_of(&s); /* more than it first has room for */
    assert_true(strlen(longest) > 128);
    assert_non_null(strstr(longest, "-batch-size64"));
    assert_non_null(strstr(longest, "-momentum0.9-nesterov-weight-decay5e-4"));

    /* A path becomes a word, and another path of the same end another word. */
    assert_true(SETTINGS(&s, "--dataset", "csv:/data/my rows.csv", "--label", "y"));
    assert_true(SETTINGS(&t, "--dataset", "csv:/other/my rows.csv", "--label", "y"));
    char first[512];
    snprintf(first, sizeof first, "%s", name_of(&s));
    assert_int_equal(strncmp(first, "fcn-10x256-my_rows.csv-", 23), 0);
    assert_null(strpbrk(first, "/ :"));
    assert_string_not_equal(first, name_of(&t));
    assert_true(SETTINGS(&s, "--dataset", "csv:..", "--label", "../../etc"));
    assert_null(strchr(name_of(&s), '/'));
}

/* For the page: what a shell would read as the same words. */
static void test_command_line(void **state)
{
    (void)state;
    static const char *const word[] = { "--optim=agd,sgd", "--label", "it's", "--lr",
                                        "1e-3:1e-1",       "--data",  "",     "--quiet" };
    cli_request              r;
    int                      count;
    assert_true(cli_request_parse(&(cli_words){ "compare", 8, word }, CLI_COMPARE, &r, NULL, &count) == false);
    assert_true(cli_request_parse(&(cli_words){ "compare", 5, word }, CLI_COMPARE, &r, NULL, &count));
    assert_int_equal(r.count, 3);
    char *text = cli_request_text(&r);
    assert_non_null(text);
    assert_string_equal(text, "plummet compare --optim=agd,sgd --label 'it'\\''s' --lr 1e-3:1e-1");
    free(text);
}

static bool add_words(plm_ctx *ctx, cli_grid *g, const char *const *word)
{
    cli_words   words = { "compare", 0, word };
    cli_request r;
    int         count;
    while (word[words.count]) words.count++;
    return cli_request_parse(&words, CLI_COMPARE, &r, NULL, &count) && cli_grid_add(ctx, g, &r, "out", true, NULL);
}

static void test_cells(void **state)
{
    plm_ctx          *ctx    = *state;
    cli_grid          g      = { 0 };
    const char *const one[]  = { "--optim", "agd,adam", "--lr", "1e-3:1e-2", "--seeds", "2", NULL };
    const char *const more[] = { "--optim", "adam,sgd", "--lr", "1e-2", NULL };
    assert_true(add_words(ctx, &g, one));
    assert_int_equal(g.count, 6);
    assert_string_equal(g.cell[5].dir, "out/runs/fcn-10x256-digits-adam-lr1e-2-seed1");
    assert_close(g.cell[5].settings.lr, 0.01, 0, 0);
    assert_ptr_equal(g.cell[5].settings.out, g.cell[5].dir);
    assert_true(add_words(ctx, &g, more)); /* adam at 1e-2 with seed 0 is there already */
    assert_int_equal(g.count, 7);
    assert_true(cli_grid_add_rate(ctx, &g, 6, 1e-2 / 10, "out"));
    assert_true(cli_grid_add_rate(ctx, &g, 6, 1e-3, "out"));
    assert_int_equal(g.count, 8);
    assert_string_equal(g.cell[7].group, "fcn-10x256-digits-sgd-lr1e-3");
    assert_close(g.cell[7].settings.lr, 1e-3, 0, 0);
    cli_grid_free(&g);
}

/* ------------------------------------------------------------------ groups */

/* A run of two epochs of 1 second that ends with this loss and accuracy. */
static void fill(cli_cell *c, double loss, double acc, cli_run_state state)
{
    c->done         = true;
    c->result.state = state;
    c->result.rows  = 3;
    c->result.row   = calloc(3, sizeof *c->result.row);
    assert_non_null(c->result.row);
    for (int i = 0; i < 3; i++) {
        double *row = c->result.row[i];
        for (int m = 0; m < CLI_METRICS; m++) row[m] = NAN;
        row[CLI_EPOCH]    = i;
        row[CLI_TEST_ACC] = i == 0 ? 0.1 : acc;
        if (i == 0) continue;
        row[CLI_TRAIN_LOSS] = i == 1 ? loss / 2 : loss; /* the lowest is not the last */
        row[CLI_TRAIN_ACC]  = acc / 2;
        row[CLI_TEST_ACC]   = i == 1 ? acc + 0.1 : acc;
        row[CLI_SECONDS]    = 1;
    }
}

static const cli_group *group_of(const cli_groups *groups, const char *name)
{
    for (int i = 0; i < groups->count; i++)
        if (strcmp(groups->group[i].name, name) == 0) return &groups->group[i];
    fail();
    return NULL;
}

static void test_groups(void **state)
{
    plm_ctx          *ctx    = *state;
    cli_grid          g      = { 0 };
    cli_groups        groups = { 0 };
    const char *const word[] = { "--optim", "agd,sgd", "--lr", "1e-3:1", "--seeds", "2", NULL };
    const char *const agd = "fcn-10x256-digits-agd", *const low = "fcn-10x256-digits-sgd-lr1e-3",
                      *const mid = "fcn-10x256-digits-sgd-lr1e-2", *const high = "fcn-10x256-digits-sgd-lr0.1";
    assert_true(add_words(ctx, &g, word)); /* agd, 1e-3, 1e-2, 0.1, 1 of seed 0, then of seed 1 */
    assert_int_equal(g.count, 10);
    for (int i = 0; i < 10; i++) {
        static const double loss[] = { 0.5, 0.9, 0.7, 0.1, 0.8 };
        const int           k      = i % 5;
        fill(&g.cell[i], loss[k] + (i > 4 ? 0.02 : 0), 0.2 + 0.05 * k, i == 8 ? CLI_RUN_DIVERGED : CLI_RUN_WHOLE);
    }
    g.cell[0].result.row[2][CLI_SECONDS] = 0.25; /* the fastest run */

    assert_true(cli_groups_new(ctx, &g, "train_loss", &groups));
    assert_int_equal(groups.count, 5);
    /* 0.1 has the lowest loss but diverged with a seed; 1e-2 is next, and inside. */
    assert_true(group_of(&groups, mid)->chosen);
    assert_false(group_of(&groups, high)->chosen);
    assert_int_equal(cli_group_edges(group_of(&groups, mid)), 0);
    assert_int_equal(group_of(&groups, high)->diverged, 1);
    assert_int_equal(group_of(&groups, high)->measure[CLI_FINAL_TEST_ACC].n, 1);
    assert_true(group_of(&groups, agd)->chosen);
    assert_int_equal(cli_group_edges(group_of(&groups, agd)), 0); /* it has no rate */
    const cli_spread loss = group_of(&groups, mid)->measure[CLI_FINAL_TRAIN_LOSS];
    assert_int_equal(loss.n, 2);
    assert_close(loss.mean, 0.71, 0, 1e-12);
    assert_close(loss.sd, 0.02 / sqrt(2), 1e-12, 0);
    assert_close(group_of(&groups, mid)->measure[CLI_FINAL_TEST_ACC].mean, 0.3, 0, 1e-12);
    assert_close(group_of(&groups, mid)->measure[CLI_BEST_TEST_ACC].mean, 0.4, 0, 1e-12);
    assert_close(group_of(&groups, mid)->measure[CLI_LOWEST_LOSS_TEST_ACC].mean, 0.4, 0, 1e-12);
    assert_true(isnan(group_of(&groups, mid)->measure[CLI_FINAL_VAL_ACC].mean));
    /* In the 1.25 s of agd's first run the others had done one epoch. */
    assert_close(group_of(&groups, mid)->equal_seconds, 1.25, 0, 1e-12);
    assert_close(group_of(&groups, mid)->measure[CLI_EQUAL_SECONDS_TEST_ACC].mean, 0.4, 0, 1e-12);
    assert_close(group_of(&groups, agd)->measure[CLI_EQUAL_SECONDS_TEST_ACC].mean, (0.2 + 0.3) / 2, 0, 1e-12);
    cli_groups_free(&groups);

    assert_true(cli_groups_new(ctx, &g, "test_acc", &groups)); /* the rate 1, the highest tried */
    assert_int_equal(cli_group_edges(group_of(&groups, "fcn-10x256-digits-sgd-lr1")), CLI_EDGE_HIGH);
    assert_false(group_of(&groups, low)->chosen);
    cli_groups_free(&groups);

    for (int i = 0; i < 10; i++) g.cell[i].result.state = CLI_RUN_DIVERGED;
    assert_true(cli_groups_new(ctx, &g, "test_acc", &groups)); /* all too high: below is where to look */
    assert_true(group_of(&groups, low)->chosen);
    assert_int_equal(cli_group_edges(group_of(&groups, low)), CLI_EDGE_LOW);
    cli_groups_free(&groups);
    cli_grid_free(&g);
}

/* ------------------------------------------------------------------ memory */

static bool whole_grid(plm_ctx *ctx, void *user)
{
    const char *const word[]  = { "--depth", "2:8",    "--width", "8", "--optim", "agd,sgd",
                                  "--lr",    "1e-3:1", "--seeds", "2", NULL };
    cli_grid          g       = { 0 };
    cli_groups        groups  = { 0 };
    const char       *out_dir = user;
    bool              ok      = add_words(ctx, &g, word);
    for (int i = 0; ok && i < g.count; i++) ok = cli_grid_add_rate(ctx, &g, i, 1e-9, "out");
    ok = ok && cli_groups_new(ctx, &g, "train_loss", &groups) && cli_summary_write(ctx, &g, &groups, out_dir);
    cli_groups_free(&groups);
    cli_grid_free(&g);
    return ok;
}

static void test_allocations_fail(void **state)
{
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path(""));
    each_allocation_fails(*state, whole_grid, dir);
}

/* Opening data and building networks too. */
static bool checked_grid(plm_ctx *ctx, void *user)
{
    const char *const word[] = { "--depth", "2", "--width", "8", "--optim", "agd,sgd", NULL };
    cli_grid          g      = { 0 };
    (void)user;
    const bool ok = add_words(ctx, &g, word) && cli_grid_check(ctx, &g, NULL);
    if (ok) assert_int_equal(g.cell[1].samples, 1500);
    cli_grid_free(&g);
    return ok;
}

static void test_check_allocations_fail(void **state)
{
    each_allocation_fails(*state, checked_grid, NULL);
}

static void test_summary_cannot_be_written(void **state)
{
    plm_ctx   *ctx    = *state;
    cli_grid   g      = { 0 };
    cli_groups groups = { 0 };
    assert_true(cli_groups_new(ctx, &g, "train_loss", &groups));
    assert_false(cli_summary_write(ctx, &g, &groups, "/proc/plummet"));
    assert_error(ctx, PLM_ERR_IO, "/proc/plummet");
    char *longest = malloc(6001);
    memset(longest, 'x', 6000);
    longest[6000] = '\0';
    assert_false(cli_summary_write(ctx, &g, &groups, longest));
    assert_error(ctx, PLM_ERR_IO, "too long");
    free(longest);
    cli_groups_free(&groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_command_line),
        ctx_test(test_cells),
        ctx_test(test_groups),
        ctx_test(test_allocations_fail),
        ctx_test(test_check_allocations_fail),
        ctx_test(test_summary_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

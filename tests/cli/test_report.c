/* test_report.c: the page of a report: what stands on it, escaped, and what happens when it cannot be written.  How it looks
 * and works in a browser: report_page. */
#include "cli/grid_files.h"

#include "cli/failing.h"

#include "html.h"
#include "report.h"

#include <unistd.h>

static char page[1 << 19];

static void assert_says(const char *text)
{
    if (!strstr(page, text)) fail_msg("the page does not say \"%s\"", text);
}

static void assert_says_not(const char *text)
{
    if (strstr(page, text)) fail_msg("the page says \"%s\"", text);
}

static const char *two_runs(const char *name)
{
    static char dir[1024];
    char        path[256];
    snprintf(dir, sizeof dir, "%s", make_run(name, NULL, NULL, NULL));
    snprintf(path, sizeof path, "%s/a", name);
    make_known_run(path, "sgd", 0.1, 0, 1, 0.5, 2);
    snprintf(path, sizeof path, "%s/b", name);
    write_text(path_in(make_known_run(path, "adam", 0.01, 1, 4, 0.6, 2), "diverged.txt"),
               "step 7: the loss is <inf>\n");
    return dir;
}

static void test_page(void **state)
{
    plm_ctx *ctx = *state;
    cli_runs runs;
    char     dir[1024], summary[1100], paper[1100];
    snprintf(dir, sizeof dir, "%s", two_runs("page"));
    snprintf(summary, sizeof summary, "%s/summary.csv", dir);
    snprintf(paper, sizeof paper, "%s/paper.csv", dir);
    write_text(summary, "group,status,n,chosen,criterion,edge,chance,parameters,final_test_acc_mean,final_test_acc_sd,"
                        "final_test_acc_min,final_test_acc_max,future\n"
                        "\"sgd, 0.1\",finished,2,yes,test_acc,lowest,0.1,592,0.512345678,0.001,0.5,0.52,x<y\n"
                        "adam,diverged,0,no,test_acc,,0.1,592,,,,,\n");
    write_text(paper, "figure,paper,here\n3,52.7,50.1\n");
    const cli_report_table tables[] = { { "Paper & here", paper }, { "none", "/nowhere/none.csv" }, { NULL, NULL } };
    const char *const      notes[]  = { "ImageNet is not run here.", NULL };
    const cli_report_desc  desc     = { .dir     = dir,
                                        .title   = "A <title> & \"more\"",
                                        .command = "plummet compare --out 'x'",
                                        .summary = summary,
                                        .tables  = tables,
                                        .notes   = notes };
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    if (!cli_report(ctx, &runs, &desc)) fail_msg("%s", plm_ctx_error(ctx));
    slurp(path_in(dir, "report.html"), page, sizeof page);

    static const char *const said[] = {
        "<title>A &lt;title&gt; &amp; &quot;more&quot;</title>",
        "<h1>A &lt;title&gt;",
        "2 runs: 1 whole, 0 partial, 1 diverged; chance level 0.1; 592 parameters",
        "<code>plummet compare --out &#39;x&#39;</code>",
        "<p>ImageNet is not run here.</p>",
        "<h2>Paper &amp; here</h2>",
        "<td class=\"n\">52.7</td><td class=\"n\">50.1</td>",
        "best <code>test_acc</code> in the last epoch: chosen on the test samples",
        "The best rate of sgd, 0.1 is the lowest that was tried",
        "data-v=\"0.512345678\">0.5123 ± 0.0010 (0.5000 to 0.5200)</td>",
        "<td>x&lt;y</td>", /* every column, also those that nobody knew */
        "b diverged: step 7: the loss is &lt;inf&gt;",
        "<td>cpu</td><td>some &lt;CPU&gt; &amp; more</td>",
        "<td>isa</td><td>AVX2</td>",
        "onednn</button>", /* differs: a column of the runs */
        "<g data-line=\"1\" class=\"k1 d0\"><title>adam lr 0.01 (1 of 1 diverged)</title>",
        "epoch 2: 0.52</title>",
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) assert_says(said[i]);
    static const char *const not_said[] = { "<!--{",    "x<y",  "<inf>", "<CPU>", "http://",
                                            "https://", "src=", "href=", "nan" };
    for (size_t i = 0; i < sizeof not_said / sizeof *not_said; i++) assert_says_not(not_said[i]);
    cli_runs_free(&runs);
}

/* Whatever a name is, it is text: no element and no attribute comes of it. */
static void test_hostile(void **state)
{
    plm_ctx *ctx = *state;
    cli_runs runs;
    char     dir[1024];
    snprintf(dir, sizeof dir, "%s", make_run("hostile", NULL, NULL, NULL));
    make_run("hostile/a",
             "{\"optim\": \"<script>alert(1)</script>\", \"x\\\" onclick='\": \"\\\" onload=\\\"\", \"arch\": "
             "\"--><b>\", \"<i>\": 1}",
             METRICS "0,,,1,0.1,,,,,,,\n1,1,0.2,1,0.2,0,0,0,0,0,0,1\n2,1,0.2,1,0.2,0,0,0,0,0,0,1\n", NULL);
    make_run("hostile/b", "{\"optim\": \"]]>\"}", METRICS "1,-1,0.2,-1,0.2,-1,-1,-1,1e300,1e-300,1e300,1\n", NULL);
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    assert_true(cli_report(ctx, &runs, &(cli_report_desc){ .dir = dir }));
    slurp(path_in(dir, "report.html"), page, sizeof page);
    assert_says("&lt;script&gt;alert(1)&lt;/script&gt;");
    static const char *const not_said[] = { "<script>alert", "\" onload", "--><b>", "<i>", "=\"-nan", "inf" };
    for (size_t i = 0; i < sizeof not_said / sizeof *not_said; i++) assert_says_not(not_said[i]);
    cli_runs_free(&runs);
}

static void put_name(void *user, const char *name, FILE *file)
{
    (void)user;
    fprintf(file, "[%s]", name);
}

static void test_places(void **state)
{
    (void)state;
    char  text[128] = "";
    FILE *file      = fmemopen(text, sizeof text, "w");
    cli_html_page(file, "a<!--{one}-->b<!--{two}--><!--no-->c<!--{open", put_name, NULL);
    cli_html_text(file, "\x01<&>\"'\n\x7f\xc3\xa9");
    fclose(file);
    assert_string_equal(text, "a[one]b[two]<!--no-->c<!--{open &lt;&amp;&gt;&quot;&#39;  \xc3\xa9");
}

static void test_failures(void **state)
{
    plm_ctx *ctx = *state;
    cli_runs runs;
    char     dir[1024], summary[1100];
    snprintf(dir, sizeof dir, "%s", two_runs("failures"));
    snprintf(summary, sizeof summary, "%s/summary.csv", dir);
    assert_true(cli_runs_read(ctx, &(const char *){ dir }, 1, false, &runs));
    write_text(summary, "a,b\n1\n");
    assert_false(cli_report(ctx, &runs, &(cli_report_desc){ .dir = dir, .summary = summary }));
    assert_error(ctx, PLM_ERR_FORMAT, "summary.csv, line 2: fewer than the header's 2 cells");
    assert_false(cli_report(ctx, &runs, &(cli_report_desc){ .dir = "/proc/nowhere" }));
    assert_error(ctx, PLM_ERR_IO, "cannot create the folder /proc/nowhere");
    if (access("/dev/full", W_OK) == 0) { /* a disk that is full: no page then, and nothing half written */
        assert_int_equal(symlink("/dev/full", path_in(dir, "report.html.partial")), 0);
        assert_false(cli_report(ctx, &runs, &(cli_report_desc){ .dir = dir }));
        assert_error(ctx, PLM_ERR_IO, "No space left");
        assert_int_not_equal(access(path_in(dir, "report.html"), F_OK), 0);
    }
    cli_runs_free(&runs);
}

/* plummet plot --report: beside the plots, with the summary of the grid. */
static void test_command(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", two_runs("command"));
    write_text(path_in(dir, "summary.csv"), "group,final_test_acc_mean\nthis one,0.25\n");
    assert_int_equal(run("plot %s --report --what loss --format svg", dir), 0);
    assert_non_null(strstr(out, "command/plots/report.html\n"));
    slurp(path_in(dir, "plots/report.html"), page, sizeof page);
    assert_says("<td>this one</td>");
    assert_says("fcn 2x8 on digits, loss mse, batch 128");
}

static bool report_grid(plm_ctx *ctx, void *user)
{
    char       summary[1100];
    cli_runs   runs;
    const bool ok = snprintf(summary, sizeof summary, "%s/summary.csv", (char *)user) > 0 &&
                    cli_runs_read(ctx, &(const char *){ user }, 1, false, &runs) &&
                    cli_report(ctx, &runs, &(cli_report_desc){ .dir = user, .summary = summary });
    if (plm_ctx_status(ctx) == PLM_OK || runs.run) cli_runs_free(&runs);
    return ok;
}

static void test_out_of_memory(void **state)
{
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", two_runs("memory"));
    write_text(path_in(dir, "summary.csv"), "group,final_test_acc_mean\na,0.25\n");
    each_allocation_fails(*state, report_grid, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_page),     ctx_test(test_hostile),         cmocka_unit_test(test_places),
        ctx_test(test_failures), cmocka_unit_test(test_command), ctx_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

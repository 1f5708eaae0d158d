/* test_docs.c: the pages' numbers are what their commands print.
 *
 * A block ```sh holds commands; each ```text block after it holds lines of what the last command printed, in order, with
 * "..." where some are left out.  Words are equal, numbers nearly so: another processor rounds differently. */
#include "cli/run.h"

#include <math.h>

enum { ROOM = 1 << 16 };

static char        page[ROOM];
static const char *place; /* in `out`: what is not compared yet */

/* The next line of *at into `line`; false at the end. */
static bool next_line(const char **at, char *line, size_t room)
{
    if (!**at) return false;
    const size_t n = strcspn(*at, "\n");
    assert_true(n < room);
    memcpy(line, *at, n);
    line[n] = '\0';
    *at += n + ((*at)[n] == '\n');
    return true;
}

/* Do two lines agree, word by word? */
static bool agree(char *a, char *b)
{
    char *save_a, *save_b, *end_a, *end_b;
    char *x = strtok_r(a, " ,", &save_a), *y = strtok_r(b, " ,", &save_b);
    for (; x && y; x = strtok_r(NULL, " ,", &save_a), y = strtok_r(NULL, " ,", &save_b)) {
        const double p = strtod(x, &end_a), q = strtod(y, &end_b);
        if (end_a != x && end_b != y && strcmp(end_a, end_b) == 0) {
            if (!(fabs(p - q) <= 1e-9 + 5e-3 * fabs(q))) return false;
        } else if (strcmp(x, y) != 0) return false;
    }
    return !x && !y;
}

static void find_line(const char *want)
{
    char line[1024], a[1024], b[1024];
    while (next_line(&place, line, sizeof line)) {
        snprintf(a, sizeof a, "%s", line);
        snprintf(b, sizeof b, "%s", want);
        if (agree(a, b)) return;
    }
    fail_msg("the page has \"%s\", the program does not print it there", want);
}

/* Runs and compares all blocks of a page; how many lines were compared. */
static int check_page(const char *name)
{
    enum { PROSE, COMMANDS, OUTPUT, OTHER } block = PROSE;
    char        path[1024], line[1024];
    int         lines = 0;
    const char *at    = page;
    snprintf(path, sizeof path, "%s/%s", PLUMMET_DOCS, name);
    slurp(path, page, sizeof page);
    while (next_line(&at, line, sizeof line)) {
        if (strncmp(line, "```", 3) == 0) {
            if (block != PROSE) block = PROSE;
            else block = strcmp(line, "```sh") == 0 ? COMMANDS : strcmp(line, "```text") == 0 ? OUTPUT : OTHER;
            place = out;
        } else if (block == COMMANDS) {
            assert_int_equal(strncmp(line, "plummet ", 8), 0);
            line[strcspn(line, "#")] = '\0';
            print_message("%s\n", line);
            assert_int_equal(run("%s", line + 8), 0);
            place = out;
        } else if (block == OUTPUT && strcmp(line, "...") != 0) {
            find_line(line);
            lines++;
        }
    }
    return lines;
}

static void test_agd(void **state)
{
    (void)state;
    assert_true(check_page("agd.md") > 40);
}

static void test_teach(void **state)
{
    (void)state;
    assert_true(check_page("teach.md") >= 14);
}

/* The comparison can fail. */
static void test_disagreement(void **state)
{
    char a[] = "  eta   0.08423   log", b[] = "  eta   0.08500   log", c[] = "  eta   0.08424   log";
    char d[] = "  eta   0.08423   log", e[] = "  eta   0.08424   exp", f[] = "  eta   0.08424";
    (void)state;
    assert_false(agree(a, b));
    assert_true(agree(d, c));
    char g[] = "  eta   0.08423   log", h[] = "  eta   0.08423   log";
    assert_false(agree(g, e));
    assert_false(agree(h, f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agd),
        cmocka_unit_test(test_teach),
        cmocka_unit_test(test_disagreement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_csv.c: comma-separated files: what is read, and each refusal with file, line and column. */
#include "data/check.h"
#include "data/data.h"

#include <math.h>
#include <sys/stat.h>

static plm_dataset *read_csv(plm_ctx *ctx, const char *text, const plm_csv_desc *desc)
{
    return plm_dataset_from_csv(ctx, write_file("table.csv", text, strlen(text)), desc);
}

static const plm_csv_desc by_kind = { .label = "kind" };

/* The rows of a small data set: x' as loaded, labels. */
static void check_rows(plm_dataset *d, int64_t rows, const double *x, const int64_t *labels)
{
    plm_loader *l = plm_loader_new(d, NULL);
    plm_batch   b;
    assert_int_equal(plm_dataset_count(d), rows);
    assert_true(plm_loader_next(l, &b));
    assert_int_equal(b.count, rows);
    assert_all_close(b.x.data, x, rows * plm_dataset_x_shape(d).dim[0], 1e-6);
    assert_memory_equal(b.y.data, labels, (size_t)rows * sizeof *labels);
    plm_loader_free(l);
}

static void test_plain(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = read_csv(ctx, "width,kind,height\n1,oak,2.5\n-3e2,ash,+4\n.5,oak,6.\n", &by_kind);
    assert_ok(ctx);
    check_rows(d, 3, (double[]){ 1, 2.5, -300, 4, .5, 6 }, (int64_t[]){ 1, 0, 1 });
    assert_true(plm_shape_equal(plm_dataset_x_shape(d), plm_shape_of(2)));
    assert_int_equal(plm_dataset_classes(d), 2);
    assert_string_equal(plm_dataset_class(d, 0), "ash");
    assert_string_equal(plm_dataset_class(d, 1), "oak");
    assert_null(plm_dataset_normalization(d));
    assert_non_null(strstr(plm_dataset_name(d), "table.csv"));
    assert_int_equal(strncmp(plm_dataset_name(d), "csv:", 4), 0);
    plm_dataset_free(d);
}

/* Byte order mark, CRLF, quotes (with comma, quote and line end inside), blanks, empty lines at the end or no line end. */
static void test_spelling(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = read_csv(ctx,
                                "\xef\xbb\xbf\"kind\" , \"a \"\"b\"\"\"\r\n\"x, y\",\" 1\"\r\n \"p\nq\" , \"2\"\t\r\n"
                                  "\"say \"\"hi\"\"\",3\r\n\r\n  \r\n\n",
                                &by_kind);
    assert_null(d);
    assert_error(ctx, PLM_ERR_FORMAT, "line 2, column \"a \"b\"\": \" 1\" is not"); /* blanks within quotes count */
    d = read_csv(ctx,
                 "\xef\xbb\xbf\"kind\" , \"a \"\"b\"\"\"\r\n\"x, y\",\"1\"\r\n \"p\nq\" , \"2\"\t\r\n"
                 "\"say \"\"hi\"\"\",3\r\n\r\n  \r\n\n",
                 &by_kind);
    assert_ok(ctx);
    check_rows(d, 3, (double[]){ 1, 2, 3 }, (int64_t[]){ 2, 0, 1 });
    assert_string_equal(plm_dataset_class(d, 0), "p\nq");
    assert_string_equal(plm_dataset_class(d, 1), "say \"hi\"");
    assert_string_equal(plm_dataset_class(d, 2), "x, y");
    plm_dataset_free(d);
    d = read_csv(ctx, "a,kind\n1,u\n2,v", &by_kind);
    assert_ok(ctx);
    check_rows(d, 2, (double[]){ 1, 2 }, (int64_t[]){ 0, 1 });
    plm_dataset_free(d);
}

static void test_number_labels(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = read_csv(ctx, "a,kind\n0,10\n0,9\n0,-1.5\n0,9.0\n0,10\n", &by_kind);
    assert_ok(ctx);
    check_rows(d, 5, (double[]){ 0, 0, 0, 0, 0 }, (int64_t[]){ 2, 1, 0, 1, 2 });
    assert_int_equal(plm_dataset_classes(d), 3);
    assert_string_equal(plm_dataset_class(d, 0), "-1.5");
    assert_string_equal(plm_dataset_class(d, 1), "9");
    assert_string_equal(plm_dataset_class(d, 2), "10");
    plm_dataset_free(d);
    d = read_csv(ctx, "a,kind\n0,10\n0,9\n0,x\n0,9.0\n", &by_kind); /* one that is none: all are text */
    assert_ok(ctx);
    check_rows(d, 4, (double[]){ 0, 0, 0, 0 }, (int64_t[]){ 0, 1, 3, 2 });
    assert_string_equal(plm_dataset_class(d, 0), "10");
    plm_dataset_free(d);
}

/* Numbers that are the same double, 2^53 and one more, are two labels: as text, with the others. */
static void test_large_labels(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = read_csv(ctx, "a,kind\n0,9007199254740993\n0,9007199254740992\n0,10\n0,9\n", &by_kind);
    assert_ok(ctx);
    check_rows(d, 4, (double[]){ 0, 0, 0, 0 }, (int64_t[]){ 3, 2, 0, 1 });
    plm_dataset_free(d);
    d = read_csv(ctx, "a,kind\n0,9007199254740991\n0,-9007199254740991\n0,9007199254740990\n0,9\n", &by_kind);
    assert_ok(ctx);
    check_rows(d, 4, (double[]){ 0, 0, 0, 0 }, (int64_t[]){ 3, 0, 2, 1 });
    plm_dataset_free(d);
}

/* Few columns: raw numbers and a normalisation of one channel a column.  A constant column becomes 0. */
static void test_normalize_few(void **state)
{
    plm_ctx     *ctx = *state;
    double       s   = sqrt(2.0 / 3);
    plm_dataset *d = read_csv(ctx, "a,kind,b\n1,u,.1\n2,u,.1\n3,v,.1\n", &(plm_csv_desc){ "kind", .normalize = true });
    assert_ok(ctx);
    const plm_normalization *n = plm_dataset_normalization(d);
    assert_int_equal(n->channels, 2);
    assert_close(n->mean[0], 2, 0, 1e-12);
    assert_close(n->std[0], s, 0, 1e-12);
    assert_close(n->std[1], 1, 0, 0);
    check_rows(d, 3, (double[]){ -1 / s, 0, 0, 0, 1 / s, 0 }, (int64_t[]){ 0, 0, 1 });
    plm_dataset_free(d);
}

/* More columns than a normalisation has channels: the numbers themselves are standardised. */
static void test_normalize_many(void **state)
{
    enum { FEATURES = PLM_MAX_CHANNELS + 1 };
    plm_ctx *ctx        = *state;
    char     text[2048] = "kind";
    double   want[3 * FEATURES], s = sqrt(2.0 / 3);
    for (int c = 0; c < FEATURES; c++) sprintf(text + strlen(text), ",c%d", c);
    for (int r = 0; r < 3; r++) {
        sprintf(text + strlen(text), "\n%d", r);
        for (int c = 0; c < FEATURES; c++) {
            sprintf(text + strlen(text), ",%d", c == 4 ? 7 : 100 * c + (c + 1) * r);
            want[r * FEATURES + c] = c == 4 ? 0 : (r - 1) / s;
        }
    }
    plm_dataset *d = read_csv(ctx, text, &(plm_csv_desc){ "kind", .normalize = true });
    assert_ok(ctx);
    assert_null(plm_dataset_normalization(d));
    check_rows(d, 3, want, (int64_t[]){ 0, 1, 2 });
    plm_dataset_free(d);
}

static void test_refused_text(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        { "", "table.csv is empty, expected a header line" },
        { " \r\n\n", "table.csv is empty, expected a header line" },
        { "a,kind\n", "table.csv has a header but no rows" },
        { "a,b\n1,2\n", "table.csv has no column \"kind\"; its columns are a, b" },
        { "kind,b,kind\n1,2,3\n", "table.csv has more than one column \"kind\"" },
        { "kind\n1\n", "table.csv has only the label column \"kind\"" },
        { "a,kind\n1,u\n2\n", "table.csv, line 3 has fewer fields than the header's 2" },
        { "a,kind\n1,u\n\n2,v\n", "table.csv, line 3, column \"a\": empty, expected a number" },
        { "a,kind\n1,u,\n", "table.csv, line 2 has more fields than the header's 2" },
        { "a,kind\n1,u\n,\n", "table.csv, line 3, column \"a\": empty, expected a number" },
        { "a,kind\n1,\n", "table.csv, line 2, column \"kind\": empty, expected a label" },
        { "a,kind\n1,\"\"\n", "table.csv, line 2, column \"kind\": empty, expected a label" },
        { "a,kind\n1,u\n1x,u\n", "table.csv, line 3, column \"a\": \"1x\" is not a finite f32 number" },
        { "a,kind\n1 2,u\n", "column \"a\": \"1 2\" is not" },
        { "a,kind\nnan,u\n", "column \"a\": \"nan\" is not" },
        { "a,kind\n-inf,u\n", "column \"a\": \"-inf\" is not" },
        { "a,kind\n0x10,u\n", "column \"a\": \"0x10\" is not" },
        { "a,kind\n1e39,u\n", "column \"a\": \"1e39\" is not" },
        { "a,kind\n1e999,u\n", "column \"a\": \"1e999\" is not" },
        { "a,kind\ne,u\n", "column \"a\": \"e\" is not" },
        { "a,kind\n--1,u\n", "column \"a\": \"--1\" is not" },
        { "a,kind\n\"1\n\",u\n", "line 2, column \"a\"" },
        { "a,kind\n1,\"u\nv\"\nx,w\n", "line 4, column \"a\": \"x\" is not" },
        { "a,kind\n1,\"u\n", "line 2: a quoted field is not closed" },
        { "a,kind\n1,\"u\"\"\n", "line 2: a quoted field is not closed" },
        { "a,kind\n1,\"u\"v\n", "line 2: text after the closing quote" },
        { "\"a,kind\n1,u\n", "line 1: a quoted field is not closed" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plm_dataset *d = read_csv(*state, cases[i].text, &by_kind);
        assert_null(d);
        plm_status status = strstr(cases[i].part, "has no column") || strstr(cases[i].part, "than one column")
                                ? PLM_ERR_ARGUMENT
                                : PLM_ERR_FORMAT;
        assert_error(*state, status, cases[i].part);
    }
}

/* Cut anywhere, a file is a smaller table or an error, never more. */
static void test_truncated(void **state)
{
    const char text[] = "\"a\",kind,b\r\n1,\"u \"\"v\"\"\",2\r\n-3.5,w,4e1\r\n";
    for (size_t length = 0; length < sizeof text - 1; length++) {
        plm_dataset *d = plm_dataset_from_csv(*state, write_file("cut.csv", text, length), &by_kind);
        assert_int_equal(!d, plm_ctx_status(*state) != PLM_OK);
        if (d) assert_in_range(plm_dataset_count(d), 1, 2);
        else assert_error(*state, plm_ctx_status(*state), "cut.csv");
        plm_dataset_free(d);
    }
}

static void test_refused_files(void **state)
{
    plm_ctx *ctx = *state;
    assert_null(plm_dataset_from_csv(ctx, NULL, &by_kind));
    assert_error(ctx, PLM_ERR_ARGUMENT, "path is NULL");
    assert_null(plm_dataset_from_csv(ctx, test_path("none.csv"), &by_kind));
    assert_error(ctx, PLM_ERR_IO, "none.csv: cannot open: No such file");
    assert_null(plm_dataset_from_csv(ctx, "/", &by_kind));
    assert_error(ctx, PLM_ERR_IO, "/ is not a regular file");
    assert_int_equal(mkfifo(test_path("pipe.csv"), 0600), 0); /* must not wait for a writer */
    assert_null(plm_dataset_from_csv(ctx, test_path("pipe.csv"), &by_kind));
    assert_error(ctx, PLM_ERR_IO, "pipe.csv is not a regular file");
    assert_null(plm_dataset_from_csv(ctx, write_file("zero.csv", "a,kind\n1,u\0\n", 12), &by_kind));
    assert_error(ctx, PLM_ERR_FORMAT, "zero.csv is not text: it has zero bytes");
    assert_null(read_csv(ctx, "a,kind\n1,u\n", NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_csv_desc.label is required; the columns are a, kind");
}

/* A file of line ends with a long header cannot make us allocate rows times columns. */
static void test_no_more_memory_than_the_file(void **state)
{
    plm_ctx *ctx = *state;
    enum { COLUMNS = 2000, LINES = 20000, SIZE = 2 * COLUMNS + LINES };
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, '\n', SIZE);
    for (int i = 0; i < COLUMNS; i++) memcpy(text + 2 * i, "a,", 2);
    text[2 * COLUMNS] = 'k';
    text[SIZE - 1]    = '1';
    const char *path  = write_file("lines.csv", text, SIZE);
    free(text);
    assert_null(plm_dataset_from_csv(ctx, path, &(plm_csv_desc){ .label = "k" }));
    assert_error(ctx, PLM_ERR_FORMAT, "lines.csv, line 2, column \"a\": empty");
    assert_in_range(plm_ctx_statistics(ctx).peak_bytes, 1, 8 * SIZE);
}

/* A column of row numbers taken for labels by mistake. */
static void test_too_many_classes(void **state)
{
    const char *path = test_path("classes.csv");
    FILE       *file = fopen(path, "w");
    assert_non_null(file);
    fputs("a,kind\n", file);
    for (int i = 0; i <= PLM__MAX_CLASSES; i++) fprintf(file, "0,%d\n", i);
    assert_int_equal(fclose(file), 0);
    assert_null(plm_dataset_from_csv(*state, path, &by_kind));
    assert_error(*state, PLM_ERR_FORMAT, "column \"kind\": 1048577 different labels, at most 1048576 are supported");
}

static bool use(plm_ctx *ctx)
{
    plm_dataset *d = read_csv(ctx, "a,kind,b\n1,u,.1\n2,u,.1\n3,v,.1\n", &(plm_csv_desc){ "kind", .normalize = true });
    plm_dataset_free(d);
    return d;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_allocation_failures(use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_plain),
        ctx_test(test_spelling),
        ctx_test(test_number_labels),
        ctx_test(test_large_labels),
        ctx_test(test_normalize_few),
        ctx_test(test_normalize_many),
        ctx_test(test_refused_text),
        ctx_test(test_truncated),
        ctx_test(test_refused_files),
        ctx_test(test_no_more_memory_than_the_file),
        ctx_test(test_too_many_classes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

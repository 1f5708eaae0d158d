/* test_extra.c: a user's own program: options made of the fields of its optimisers, networks with its modules. */
#include "run.h"

#include <cjson/cJSON.h>

static char text[1 << 14];

/* What config.json says. */
static double setting(const char *dir, const char *key)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/config.json", dir);
    slurp(path, text, sizeof text);
    cJSON       *config = cJSON_Parse(text);
    const cJSON *item   = cJSON_GetObjectItem(config, key);
    const double x      = cJSON_IsBool(item) ? cJSON_IsTrue(item) : item ? cJSON_GetNumberValue(item) : -77;
    cJSON_Delete(config);
    return x;
}

static int extra(const char *fmt, ...) PLM_PRINTF(1, 2);
static int extra(const char *fmt, ...)
{
    char    arguments[3000];
    va_list args;
    va_start(args, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, args);
    va_end(args);
    return run_program(PLUMMET_EXTRA, arguments);
}

#define TINY "train --threads 1 --depth 2 --width 8 --epochs 1 --quiet "

static void test_fields_are_options(void **state)
{
    (void)state;
    char dir[1024], other[1024];
    snprintf(dir, sizeof dir, "%s", test_path("sway"));
    assert_int_equal(extra(TINY "--optim sway --out '%s'", dir), 0);
    assert_close(setting(dir, "rho"), 0.5, 0, 0);
    assert_close(setting(dir, "rest"), 2, 0, 0);
    assert_close(setting(dir, "wild"), 0, 0, 0);
    snprintf(other, sizeof other, "%s", test_path("sway-2"));
    assert_int_equal(
        extra(TINY "--optim sway --rho 0.25 --rest=3 --wild --rate-floor -0.01 --lr 0.3 --out '%s'", other), 0);
    assert_close(setting(other, "rho"), 0.25, 0, 0);
    assert_close(setting(other, "rest"), 3, 0, 0);
    assert_close(setting(other, "wild"), 1, 0, 0);
    assert_close(setting(other, "rate_floor"), -0.01, 0, 1e-15);
    assert_close(setting(other, "epochs"), 1, 0, 0); /* of the training */
    assert_int_equal(extra("bench --optim sway --rho 0 --depth 2 --width 8 --steps 1 --json"), 0);
}

static void test_help(void **state)
{
    (void)state;
    assert_int_equal(extra("train --help"), 0);
    assert_non_null(strstr(out, "  --rho X                    of sway (0.5), swing (2)\n"));
    assert_non_null(strstr(out, "  --rest N                   of sway (2), swing (2)\n"));
    assert_non_null(strstr(out, "  --wild                     of sway\n"));
    assert_non_null(strstr(out, "now and then a smaller step: --lr, --rho, --rate-floor, --rest, --wild\n"));
    assert_int_equal(run("train --help"), 0); /* the program itself has none of it */
    assert_null(strstr(out, "--rho"));
    assert_int_equal(run("train --rho 0.5"), 2);
    assert_sentence("train has no option --rho");
}

static void test_ranges(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        { "sway --rho x", "--rho is \"x\"" },
        { "sway --rho -1", "--rho is \"-1\"" },
        { "sway --rho 1.5", "sway: rho is 1.5, expected at least 0 and below 1" }, /* swing takes it */
        { "swing --rho 0", "swing: rho is 0, expected a positive number" },
        { "sway --rest 0", "--rest is \"0\"" },
        { "sway --rest 1.5", "--rest is \"1.5\"" },
        { "sway --wild=1", "--wild takes no value" },
        { "swing --wild", "--wild does not go with --optim swing; its options are --lr, --rho, --rest\n" },
        { "agd --rho 0.5", "--rho does not go with --optim agd" },
        { "sway --rate-flor 0.5", "did you mean --rate-floor?" },
        { "sway --momentum 0.5", "--momentum does not go with --optim sway" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(extra("train --optim %s", bad[i][0]), 2);
        assert_sentence(bad[i][1]);
    }
    assert_int_equal(extra(TINY "--optim swing --rho 1.5"), 0);
}

/* A run's settings are read again by their names. */
static void test_resume_and_grid(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path("sway-on"));
    assert_int_equal(extra(TINY "--optim sway --rho 0.25 --rest 3 --wild --save-every 1 --out '%s'", dir), 0);
    assert_int_equal(extra("train --resume '%s' --epochs 2 --quiet", dir), 0);
    assert_close(setting(dir, "rho"), 0.25, 0, 0);
    assert_close(setting(dir, "rest"), 3, 0, 0);
    assert_close(setting(dir, "wild"), 1, 0, 0);
    snprintf(dir, sizeof dir, "%s", test_path("lab"));
    assert_int_equal(
        extra("compare --out '%s' --optim sway,agd --rho 0.25,0.5 --depth 2 --width 8 --epochs 1 --threads 1 "
              "--quiet --dry-run",
              dir),
        0);
    assert_non_null(strstr(out, "rho0.25"));
    assert_non_null(strstr(out, "rho0.5"));
}

static void test_modules(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path("swish"));
    assert_int_equal(extra("train --threads 1 --arch swish-net --width 16 --epochs 1 --quiet --out '%s'", dir), 0);
    assert_int_equal(extra("evaluate --threads 1 --weights '%s/model.safetensors'", dir), 0);
    assert_int_equal(extra("inspect --weights '%s/model.safetensors'", dir), 0);
    assert_non_null(strstr(out, "swish"));
    assert_int_equal(extra("explain --threads 1 --weights '%s/model.safetensors'", dir), 0);
    write_text(test_path("row.csv"), "0,0");
    assert_int_equal(run("inspect --weights '%s/model.safetensors'", dir), 1);
    assert_sentence("its kind \"swish\" is not known here");
}

/* In a language that writes 0,5 numbers have a point all the same. */
static void test_language(void **state)
{
    (void)state;
    char command[2048];
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1; test \"$(locale decimal_point)\" = ,",
             test_path(""));
    setenv("LOCPATH", test_path(""), 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    const bool there  = system(command) == 0;
    const int  status = extra(TINY "--optim sgd --lr 0.5");
    unsetenv("LC_ALL");
    unsetenv("LOCPATH");
    if (!there) skip(); /* no such language here */
    assert_int_equal(status, 0);
    assert_int_equal(strncmp(out, "test accuracy 0.", 16), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_options), cmocka_unit_test(test_help),    cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_resume_and_grid),    cmocka_unit_test(test_modules), cmocka_unit_test(test_language)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

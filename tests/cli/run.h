/* run.h: runs a program as a shell would and keeps what it prints. */
#ifndef PLM_TESTS_CLI_RUN_H
#define PLM_TESTS_CLI_RUN_H

#include "support.h"

#include <sys/wait.h>

static char out[1 << 18], err[1 << 14]; /* of the last `run` */

static inline void slurp(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t n = fread(text, 1, size - 1, file);
    assert_true(n < size - 1);
    text[n] = '\0';
    fclose(file);
}

/* `command` through the shell; its exit status. */
static inline int run_program(const char *program, const char *arguments)
{
    char command[4096], out_path[1024], err_path[1024];
    snprintf(out_path, sizeof out_path, "%s", test_path("stdout"));
    snprintf(err_path, sizeof err_path, "%s", test_path("stderr"));
    const int n = snprintf(command, sizeof command, "'%s' %s >'%s' 2>'%s'", program, arguments, out_path, err_path);
    assert_true(n > 0 && n < (int)sizeof command);
    const int status = system(command);
    slurp(out_path, out, sizeof out);
    slurp(err_path, err, sizeof err);
    assert_true(WIFEXITED(status)); /* not killed by a signal */
    return WEXITSTATUS(status);
}

static inline int run(const char *fmt, ...) PLM_PRINTF(1, 2);
static inline int run(const char *fmt, ...)
{
    char    arguments[3000];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(arguments, sizeof arguments, fmt, args);
    va_end(args);
    assert_true(n >= 0 && n < (int)sizeof arguments);
    return run_program(PLUMMET_PROGRAM, arguments);
}

/* The last run printed nothing but one sentence on standard error, with this in it. */
static inline void assert_sentence(const char *part)
{
    const bool one = strncmp(err, "plummet: ", 9) == 0 && strchr(err, '\n') == err + strlen(err) - 1;
    if (one && strstr(err, part)) return;
    print_error("expected one sentence with \"%s\", got \"%s\"\n", part, err);
    fail();
}

static inline void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

#endif

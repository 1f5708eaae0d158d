/* gnuplot.c: runs gnuplot on a script, without a shell, and hands over what it complains of. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the C library asks for this name */
#define _GNU_SOURCE /* posix_spawn_file_actions_addchdir_np, environ */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's folder and streams: nothing comes in, both outputs go to `said`. */
static bool set_up(posix_spawn_file_actions_t *actions, const char *dir, int said)
{
    return posix_spawn_file_actions_addchdir_np(actions, dir) == 0 &&
           posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
           posix_spawn_file_actions_adddup2(actions, said, STDOUT_FILENO) == 0 &&
           posix_spawn_file_actions_adddup2(actions, said, STDERR_FILENO) == 0;
}

/* 0 and *status, or an errno. */
static int run(const char *dir, const char *script, int said, int *status)
{
    char *argv[] = { (char[]){ "gnuplot" }, (char[]){ "-d" }, NULL, NULL }; /* -d: nobody's ~/.gnuplot */
    char  name[256];
    pid_t child;
    posix_spawn_file_actions_t actions;
    snprintf(name, sizeof name, "%s", script);
    argv[2]   = name;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = set_up(&actions, dir, said) ? posix_spawnp(&child, argv[0], &actions, NULL, argv, environ) : ENOMEM;
    posix_spawn_file_actions_destroy(&actions);
    if (error) return error;
    while (waitpid(child, status, 0) < 0)
        if (errno != EINTR) return errno;
    return 0;
}

/* The first line that says something. */
static void first_line(FILE *said, char *line, int size)
{
    rewind(said);
    while (fgets(line, size, said)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[strspn(line, " \t^")]) return;
    }
    snprintf(line, (size_t)size, "it said nothing");
}

bool cli_gnuplot_run(plm_ctx *ctx, const char *dir, const char *script, bool *found)
{
    int   status = 0;
    char  line[200];
    FILE *said = tmpfile();
    *found     = true;
    if (!said) return plm_ctx_fail(ctx, PLM_ERR_IO, "cannot create a temporary file: %s", strerror(errno));
    const int error = run(dir, script, fileno(said), &status);
    *found          = error != ENOENT && error != EACCES && error != ENOTDIR;
    bool ok         = true;
    if (*found && error)
        ok =
            plm_ctx_fail(ctx, error == ENOMEM ? PLM_ERR_MEMORY : PLM_ERR_IO, "cannot run gnuplot: %s", strerror(error));
    else if (*found && status != 0) {
        first_line(said, line, sizeof line);
        ok = plm_ctx_fail(ctx, PLM_ERR_IO, "gnuplot failed on %s/%s: %s", dir, script, line);
    }
    fclose(said);
    return ok;
}

/* test_resume.c: plummet train that is killed, interrupted or told to stop, and goes on. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "cli/run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "data/cifar_files.h"

static char out_path[1024], err_path[1024];

static void wait_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* The program in the background, by a shell that it replaces; standard output to `fd`, or -1: to a file. */
static pid_t start(int fd, const char *fmt, ...) PLM_PRINTF(2, 3);
static pid_t start(int fd, const char *fmt, ...)
{
    char    arguments[3000], command[8192];
    va_list args;
    va_start(args, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, args);
    va_end(args);
    snprintf(out_path, sizeof out_path, "%s", test_path("stdout"));
    snprintf(err_path, sizeof err_path, "%s", test_path("stderr"));
    if (fd >= 0)
        snprintf(command, sizeof command, "exec '%s' %s >&%d 2>'%s'", PLUMMET_PROGRAM, arguments, fd, err_path);
    else snprintf(command, sizeof command, "exec '%s' %s >'%s' 2>'%s'", PLUMMET_PROGRAM, arguments, out_path, err_path);
    unlink(out_path); /* what an earlier one said */
    unlink(err_path);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    return child;
}

/* Waits until the process ends; its status as a shell has it. */
static int end_of(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    slurp(err_path, err, sizeof err);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int rows(const char *path)
{
    FILE *file  = fopen(path, "r");
    int   count = 0;
    for (int c; file && (c = fgetc(file)) != EOF;) count += c == '\n';
    if (file) fclose(file);
    return count;
}

/* Waits until a run has so many rows in its metrics.csv, which has one for each epoch, or steps.csv, written at each save. */
static void wait_for_rows(const char *dir, const char *file, int wanted)
{
    char path[2048];
    snprintf(path, sizeof path, "%s.partial/%s", dir, file);
    for (int i = 0; rows(path) < wanted; i++) {
        assert_true(i < 60000);
        wait_ms(2);
    }
}

/* Waits until the process has said something on standard error. */
static void wait_for_sentence(void)
{
    for (int i = 0; rows(err_path) < 1; i++) {
        assert_true(i < 60000);
        wait_ms(2);
    }
}

static void path_in(char path[4096], const char *dir, const char *name)
{
    snprintf(path, 4096, "%s/%s", dir, name);
}

static void assert_same_model(const char *a, const char *b)
{
    static char block[2][1 << 16];
    char        path[2][4096];
    size_t      got[2];
    path_in(path[0], a, "model.safetensors");
    path_in(path[1], b, "model.safetensors");
    FILE *file[2] = { fopen(path[0], "rb"), fopen(path[1], "rb") };
    assert_true(file[0] && file[1]);
    do {
        for (int i = 0; i < 2; i++) got[i] = fread(block[i], 1, sizeof block[i], file[i]);
        assert_int_equal(got[0], got[1]);
        assert_memory_equal(block[0], block[1], got[0]);
    } while (got[0] > 0);
    fclose(file[0]);
    fclose(file[1]);
}

/* metrics.csv but for the seconds, steps.csv and, if there is one, monitor.csv. */
static void assert_same_rows(const char *a, const char *b)
{
    char command[12000]; /* ten names */
    snprintf(
        command, sizeof command,
        "cut -d, -f1-11,13- '%s/metrics.csv' >'%s/rows' && cut -d, -f1-11,13- '%s/metrics.csv' | cmp - '%s/rows' && "
        "rm '%s/rows' && cmp '%s/steps.csv' '%s/steps.csv' && "
        "{ ! test -e '%s/monitor.csv' || cmp '%s/monitor.csv' '%s/monitor.csv'; }",
        a, a, b, a, a, a, b, a, a, b);
    assert_int_equal(system(command), 0);
}

static void name(char dir[1024], const char *text)
{
    snprintf(dir, 1024, "%s", test_path(text));
}

#ifdef __SANITIZE_ADDRESS__
#define EPOCHS "24"
enum { RESNETS = 1 }; /* of the optimisers below: a start alone takes five seconds */
#else
#define EPOCHS "300" /* so fast that it must not be over before it is killed */
enum { RESNETS = 3 };
#endif

/* A training uninterrupted, and one that is killed, told to stop and interrupted, each time when its `file` has so many rows
 * more.  The weights are the same bits at the end, and so are the rows. */
static void stop_three_times(const char *settings, const char *save, const char *file, int first, int further)
{
    static const struct {
        int         signal, status;
        const char *says;
    } stop[] = { { SIGKILL, 137, NULL },
                 { SIGTERM, 143, "stopped by SIGTERM after step " },
                 { SIGINT, 130, "stopped by SIGINT after step " } };
    static int trainings;
    char       whole[1024], pieces[1024], text[32];
    snprintf(text, sizeof text, "whole%d", ++trainings);
    name(whole, text);
    snprintf(text, sizeof text, "pieces%d", trainings);
    name(pieces, text);
    assert_int_equal(run("train %s --log-steps --quiet --out '%s'", settings, whole), 0);
    for (int k = 0; k < 3; k++) {
        const pid_t child =
            k == 0 ? start(-1, "train %s --log-steps --save-every %s --quiet --out '%s'", settings, save, pieces)
                   : start(-1, "train --resume '%s%s' --quiet", pieces, k == 1 ? "" : ".partial/");
        wait_for_rows(pieces, file, first + further * k);
        assert_int_equal(kill(child, stop[k].signal), 0);
        assert_int_equal(end_of(child), stop[k].status);
        if (!stop[k].says) continue;
        assert_sentence(stop[k].says);
        assert_non_null(strstr(err, "; go on with: plummet train --resume "));
    }
    assert_int_equal(run("train --resume '%s'", pieces), 0);
    assert_non_null(strstr(out, "going on after step "));
    assert_same_model(whole, pieces);
    assert_same_rows(whole, pieces);
}

static const char *const optimisers[] = { "--optim agd", "--optim adam", "--optim sgd --momentum 0.9 --lr 0.01" };

static void test_fcn(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        char settings[256];
        snprintf(settings, sizeof settings, "--depth 3 --width 24 --epochs " EPOCHS " --val 100 --monitor 5 %s",
                 optimisers[i]);
        stop_three_times(settings, "7s", "metrics.csv", 5, 6);
        assert_non_null(strstr(out, "epoch " EPOCHS "/" EPOCHS));
    }
}

static archive small;

/* The same with crops and flips, batch norm and blocked layouts: 3 steps in each of 4 epochs. */
static void test_resnet18(void **state)
{
    (void)state;
    cifar10_members(&small, NULL);
    write_archive("images", "cifar-10-binary.tar.gz", &small);
    char data[1024];
    snprintf(data, sizeof data, "%s", make_folder("images"));
    for (int i = 0; i < RESNETS; i++) {
        char settings[2048];
        snprintf(settings, sizeof settings,
                 "--arch resnet18 --dataset cifar10 --data '%s' --epochs 4 --batch-size 5 --threads 2 %s", data,
                 optimisers[i]);
        stop_three_times(settings, "2s", "steps.csv", 3, 2);
    }
}

/* Waits until so many bytes are in the pipe, and then until the process does nothing any more. */
static void wait_for_full_pipe(int reader, size_t bytes, pid_t child)
{
    char command[128];
    int  queued = 0;
    snprintf(command, sizeof command, "grep -q ') [RD] ' /proc/%d/task/*/stat", (int)child);
    while ((size_t)queued < bytes) {
        wait_ms(5);
        assert_int_equal(ioctl(reader, FIONREAD, &queued), 0);
    }
    for (int still = 0; still < 20; still++) {
        wait_ms(10);
        if (system(command) == 0) still = 0;
    }
}

/* A second signal does not wait.  The training hangs in a pipe that nobody reads. */
static void test_second_signal(void **state)
{
    (void)state;
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(fcntl(pipes[1], F_SETPIPE_SZ, 4096), 4096);
    const pid_t child = start(pipes[1], "train --depth 2 --width 8 --epochs 100000");
    wait_for_full_pipe(pipes[0], 4096 - 200, child); /* a line has less */
    assert_int_equal(kill(child, SIGTERM), 0);
    wait_ms(200);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0); /* it waits for the step, which waits for the pipe */
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(end_of(child), 130);
    close(pipes[0]);
    close(pipes[1]);
}

/* A signal after the last step stops nothing.  The training hangs in a pipe that has no room for the last epoch's line. */
static void test_late_signal(void **state)
{
    (void)state;
    static const char how[] = "train --depth 2 --width 8 --epochs 1";
    static char       text[4096];
    char              dir[1024];
    int               pipes[2];
    name(dir, "in-time");
    assert_int_equal(run("%s --out '%s'", how, dir), 0);
    const char *last = strstr(out, "epoch  1/1");
    assert_non_null(last);
    const size_t before = (size_t)(last - out), filled = sizeof text - before - 20;
    name(dir, "late");
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(fcntl(pipes[1], F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(write(pipes[1], text, filled), filled);
    const pid_t child = start(pipes[1], "%s --out '%s'", how, dir);
    wait_for_full_pipe(pipes[0], filled + before, child);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_true(read(pipes[0], text, sizeof text) > 0);
    assert_int_equal(end_of(child), 0);
    assert_string_equal(err, "");
    assert_same_model(dir, test_path("in-time"));
    close(pipes[0]);
    close(pipes[1]);
}

static void test_nothing_kept(void **state)
{
    (void)state;
    const pid_t child = start(-1, "train --depth 2 --width 8 --epochs 100000");
    while (rows(out_path) < 6) wait_ms(2);
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(end_of(child), 130);
    assert_sentence("nothing is kept, as there is no --out");
}

static void test_more_epochs(void **state)
{
    (void)state;
    char whole[1024], more[1024], path[4096];
    name(whole, "epochs-4");
    name(more, "epochs-2");
    const char *const how = "train --depth 3 --width 16 --log-steps --optim adam --quiet";
    assert_int_equal(run("%s --epochs 4 --out '%s'", how, whole), 0);
    assert_int_equal(run("%s --epochs 2 --save-every 1 --out '%s'", how, more), 0);
    assert_int_equal(run("train --resume '%s'", more), 0);
    assert_non_null(strstr(out, "is finished, after 2 epochs; a larger --epochs goes on"));
    assert_int_equal(run("train --resume '%s' --epochs 4 --quiet --threads 0", more), 0);
    assert_string_equal(err, ""); /* as many threads as before */
    assert_same_model(whole, more);
    assert_same_rows(whole, more);
    path_in(path, more, "config.json");
    slurp(path, out, sizeof out);
    assert_non_null(strstr(out, "\"epochs\":\t4"));
    snprintf(path, sizeof path, "%s.partial", whole);
    assert_int_equal(rename(whole, path), 0); /* killed when its model was saved: it only lacks its name */
    assert_int_equal(run("train --resume '%s'", whole), 0);
    assert_non_null(strstr(out, "is finished, after 4 epochs; a larger --epochs goes on"));
    assert_int_equal(run("train --resume '%s' --epochs 9", whole), 1);
    assert_sentence("is finished and has no checkpoint to go on from");
}

static void make_stopped(char dir[1024], const char *text, const char *settings)
{
    name(dir, text);
    const pid_t child =
        start(-1, "train --depth 2 --width 8 --epochs 100000 --save-every 1 %s --out '%s'", settings, dir);
    wait_for_rows(dir, "metrics.csv", 4);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(end_of(child), 143);
}

static void edit(const char *dir, const char *file, const char *from, const char *to)
{
    char command[8192];
    snprintf(command, sizeof command, "sed -i 's/%s/%s/' '%s/%s'", from, to, dir, file);
    assert_int_equal(system(command), 0);
}

/* The double before 0.05, of whose digits 15 would be 0.05's. */
static void test_all_digits(void **state)
{
    (void)state;
    char dir[1024], partial[1100];
    make_stopped(dir, "digits", "--optim sgd --lr 0.049999999999999996");
    snprintf(partial, sizeof partial, "%s.partial", dir);
    edit(partial, "config.json", "\"lr\":\t0.049999999999999996", "\"lr\":\t0.05");
    assert_int_equal(run("train --resume '%s'", dir), 1);
    assert_sentence("is of another training: there \"lr 0.049999999999999996\", here \"lr 0.05\"");
    edit(partial, "config.json", "\"lr\":\t0.05", "\"lr\":\t0.049999999999999996");
    assert_int_equal(run("train --resume '%s' --epochs 1", dir), 1);
    assert_sentence("plm_train: 1 epochs are asked for, the run has "); /* so the settings agree */
}

static void test_refused(void **state)
{
    (void)state;
    char dir[1024], partial[1100];
    make_stopped(dir, "refused", "--optim adam");
    snprintf(partial, sizeof partial, "%s.partial", dir);
    assert_int_equal(run("train --resume '%s' --lr 1", dir), 2);
    assert_sentence("--lr does not go with --resume, whose settings are those of the run; only --epochs, ");
    assert_int_equal(run("train --resume '%s' --out x", dir), 2);
    assert_sentence("--out does not go with --resume");
    assert_int_equal(run("train --resume '%s/nowhere'", dir), 1);
    assert_sentence("there is no run to resume: neither ");
    assert_int_equal(run("train --epochs 2 --depth 2 --width 8 --out '%s'", dir), 1);
    assert_sentence("has checkpoints of an unfinished run: resume it");
    assert_int_equal(run("compare --resume '%s' --out x", dir), 2);
    assert_sentence("has no option --resume");
    assert_int_equal(run("train --save-every 3"), 2);
    assert_sentence("--save-every needs --out");
    static const char *const wrong[] = { "0", "3m", "s", "-1", "1.5", "99999999999s" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(run("train --out '%s-x' --save-every %s", dir, wrong[i]), 2);
        assert_sentence("expected a number of epochs (2) or of steps (500s)");
    }
    assert_int_equal(run("train --resume '%s' --epochs 1", dir), 1);
    assert_sentence("plm_train: 1 epochs are asked for, the run has ");
    edit(partial, "config.json", "\"lr\":\t0.001", "\"lr\":\t0.01");
    assert_int_equal(run("train --resume '%s'", dir), 1);
    assert_sentence("is of another training: there \"lr 0.001\", here \"lr 0.01\"");
    edit(partial, "config.json", "\"lr\":\t0.01", "\"lr\":\t-1");
    assert_int_equal(run("train --resume '%s'", dir), 2);
    assert_sentence("--lr is \"-1\"");
    edit(partial, "config.json", "^{", "");
    assert_int_equal(run("train --resume '%s'", dir), 1);
    assert_sentence("config.json does not hold the settings of a run");
}

/* The newest is damaged: said, even when quiet, and the one before taken. */
static void test_damaged(void **state)
{
    (void)state;
    char dir[1024], command[4096];
    make_stopped(dir, "damaged", "");
    snprintf(command, sizeof command,
             "newest=$(ls -v '%s.partial/'checkpoint-*.safetensors | tail -1) && printf X | dd of=\"$newest\" bs=1 "
             "seek=3000 conv=notrunc 2>/dev/null",
             dir);
    assert_int_equal(system(command), 0);
    const pid_t child = start(-1, "train --resume '%s' --quiet", dir);
    wait_for_sentence();
    kill(child, SIGKILL);
    end_of(child);
    assert_sentence("is damaged: its checksum is wrong; going on from the one before, of step ");
}

/* A file that is not what it was when the training began is named. */
static void test_data_replaced(void **state)
{
    (void)state;
    char  dir[1024], csv[1024], settings[2048];
    FILE *file;
    name(csv, "data.csv");
    file = fopen(csv, "w");
    assert_non_null(file);
    fputs("a,b,kind\n", file);
    for (int i = 0; i < 60; i++) fprintf(file, "%d,%d,%s\n", i, i * i % 17, i % 3 ? "x" : "y");
    assert_int_equal(fclose(file), 0);
    snprintf(settings, sizeof settings, "--dataset 'csv:%s' --label kind", csv);
    make_stopped(dir, "replaced", settings);
    edit(test_path(""), "data.csv", "^7,15,", "7,16,");
    assert_int_equal(run("train --resume '%s'", dir), 1);
    assert_sentence("is of another training: there \"training samples of csv:");
    assert_non_null(strstr(err, "data.csv: "));
}

static void test_another_machine(void **state)
{
    (void)state;
    char dir[1024], partial[1100];
    make_stopped(dir, "machine", "--threads 1");
    snprintf(partial, sizeof partial, "%s.partial", dir);
    edit(partial, "config.json", "\"onednn\":\t\"[^\"]*\"", "\"onednn\":\t\"0.0.7\"");
    const pid_t child = start(-1, "train --resume '%s' --quiet", dir);
    wait_for_sentence();
    kill(child, SIGKILL);
    end_of(child);
    assert_sentence("the run was made with oneDNN 0.0.7, ");
}

static void test_nonfinite(void **state)
{
    (void)state;
    char dir[1024], path[4096];
    name(dir, "skips");
    assert_int_equal(run("train --depth 2 --width 8 --epochs 1 --on-nonfinite skip --quiet --out '%s'", dir), 0);
    path_in(path, dir, "config.json");
    slurp(path, out, sizeof out);
    assert_non_null(strstr(out, "\"on_nonfinite\":\t\"skip\""));
    assert_int_equal(run("train --on-nonfinite ignore"), 2);
    assert_sentence("--on-nonfinite is \"ignore\", expected one of stop|skip");
}

/* Each option of train is in config.json, or need not be: otherwise a resumed run would not be the same. */
static void test_every_option_comes_back(void **state)
{
    (void)state;
    static const char *const not_there[] = { "out", "resume", "quiet", "help", "no-augment" /* augment */,
                                             "size" /* of images */ };
    static const char *const how[]       = { "agd", "sgd", "adamw" };
    static char              config[3][1 << 14];
    char                     dir[1024], path[4096], option[64], key[80];
    for (int i = 0; i < 3; i++) {
        name(dir, how[i]);
        assert_int_equal(run("train --depth 2 --width 8 --epochs 1 --quiet --optim %s %s --out '%s'", how[i],
                             i == 1 ? "--schedule step" : "", dir),
                         0);
        path_in(path, dir, "config.json");
        slurp(path, config[i], sizeof config[i]);
    }
    assert_int_equal(run("train --help"), 0);
    int seen = 0;
    for (const char *line = strstr(out, "\n  --"); line; line = strstr(line + 1, "\n  --")) {
        bool known = false;
        assert_int_equal(sscanf(line, "\n  --%63[a-z0-9-]", option), 1);
        for (size_t i = 0; i < sizeof not_there / sizeof *not_there; i++) known |= strcmp(option, not_there[i]) == 0;
        snprintf(key, sizeof key, "\"%s\":", option);
        for (char *c = key; *c; c++)
            if (*c == '-') *c = '_';
        for (int i = 0; i < 3; i++) known |= strstr(config[i], key) != NULL;
        if (!known) fail_msg("--%s is not in config.json, so that a resumed run would forget it", option);
        seen++;
    }
    assert_true(seen > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fcn),
        cmocka_unit_test(test_resnet18),
        cmocka_unit_test(test_second_signal),
        cmocka_unit_test(test_late_signal),
        cmocka_unit_test(test_nothing_kept),
        cmocka_unit_test(test_more_epochs),
        cmocka_unit_test(test_all_digits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_data_replaced),
        cmocka_unit_test(test_another_machine),
        cmocka_unit_test(test_nonfinite),
        cmocka_unit_test(test_every_option_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_run.c: run folders: their files, and what happens when one cannot be written. */
#define _GNU_SOURCE /* mount */
#include "train/check.h"

#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG "{\"seed\":0}"
#define HEADER \
    "epoch,train_loss,train_acc,test_loss,test_acc,eta_mean,eta_min,eta_max,update_mean,update_min,update_max,seconds"

static char text[1 << 14]; /* what `content` has read */

static const char *content(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* DIR/NAME; lent until the next call. */
static const char *in(const char *dir, const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s%s%s", dir, *name == '.' ? "" : "/", name);
    return path;
}

static void path_of(char path[1024], const char *name)
{
    snprintf(path, 1024, "%s", test_path(name));
}

static plm_graph *small_net(plm_ctx *ctx)
{
    plm_graph *net = digits_net(ctx, false);
    assert_true(plm_graph_init(net, PLM_INIT_AGD));
    return net;
}

static plm_epoch row_of(int epoch)
{
    const double x = epoch;
    return (plm_epoch){ .epoch   = epoch,
                        .train   = { 1.0 / 3 + x, 0.25, 10 },
                        .test    = { 0.5 + x, 0.75, 5 },
                        .val     = { 0.125, 0.0625, 3 },
                        .eta     = { 0.2, 0.1, 0.3 },
                        .update  = { 2e-3, 1e-3, 3e-3 },
                        .seconds = 1.5 };
}

static void test_files(void **state)
{
    plm_ctx            *ctx = *state;
    plm_graph          *net = small_net(ctx);
    char                dir[1024];
    const plm_step_info info = { .step = 1, .eta = 0.25, .G = NAN, .update_mean = 0.5 };
    const plm_step step = { .step = 1, .steps_per_epoch = 2, .epoch = 1, .loss = 1.0 / 3, .acc = 0.5, .info = &info };
    plm_epoch      zero = row_of(0), one = row_of(1);
    zero.train = (plm_score){ NAN, NAN, 0 };
    zero.eta = zero.update = (plm_range){ NAN, NAN, NAN };
    zero.seconds           = NAN;

    path_of(dir, "files/a/run"); /* parents are made */
    plm_run *run = plm_run_new(ctx, dir, CONFIG, true, true);
    assert_ok(ctx);
    assert_false(exists(dir));
    assert_true(exists(in(dir, ".partial")));
    assert_true(plm_run_epoch(run, &zero));
    assert_true(plm_run_step(run, &step));
    assert_true(plm_run_epoch(run, &one));
    assert_true(plm_run_finish(run, net));
    plm_run_free(run);

    assert_false(exists(in(dir, ".partial")));
    assert_string_equal(content(in(dir, "config.json")), CONFIG "\n");
    assert_string_equal(content(in(dir, "metrics.csv")),
                        HEADER ",val_loss,val_acc\n"
                               "0,,,0.5,0.75,,,,,,,,0.125,0.0625\n"
                               "1,1.33333333,0.25,1.5,0.75,0.2,0.1,0.3,0.002,0.001,0.003,1.5,0.125,0.0625\n");
    assert_string_equal(content(in(dir, "steps.csv")), "step,epoch,loss,acc,eta,G,update_mean\n"
                                                       "1,1,0.333333333,0.5,0.25,,0.5\n");
    plm_graph *again = plm_graph_open(ctx, in(dir, "model.safetensors"));
    assert_ok(ctx);
    plm_graph_free(again);
    plm_graph_free(net);
}

static void test_plain_columns(void **state)
{
    plm_ctx        *ctx = *state;
    plm_graph      *net = small_net(ctx);
    char            dir[1024];
    const plm_epoch one = row_of(1);
    path_of(dir, "plain");
    assert_int_equal(mkdir(dir, 0777), 0); /* an empty folder is taken */
    plm_run *run = plm_run_new(ctx, in(dir, "") /* with a slash at its end */, CONFIG, false, false);
    assert_ok(ctx);
    assert_true(plm_run_epoch(run, &one));
    /* A row is in the file at once: who looks during the training sees it. */
    assert_string_equal(content(in(dir, ".partial/metrics.csv")),
                        HEADER "\n1,1.33333333,0.25,1.5,0.75,0.2,0.1,0.3,0.002,0.001,0.003,1.5\n");
    assert_false(plm_run_step(run, &(plm_step){ 0 }));
    assert_error(ctx, PLM_ERR_STATE, "without steps");
    assert_true(plm_run_finish(run, net));
    assert_false(plm_run_epoch(run, &one));
    assert_error(ctx, PLM_ERR_STATE, "finished");
    assert_false(plm_run_finish(run, net));
    assert_error(ctx, PLM_ERR_STATE, "finished");
    plm_run_free(run);
    assert_false(exists(in(dir, "steps.csv")));
    plm_graph_free(net);
}

/* What an interrupted run has left is replaced, a stranger's files and a whole model are not, nor what lies beside them. */
static void test_left_over(void **state)
{
    plm_ctx        *ctx = *state;
    plm_graph      *net = small_net(ctx);
    char            dir[1024];
    const plm_epoch one = row_of(1);
    path_of(dir, "left");
    plm_run *run = plm_run_new(ctx, dir, "{\"first\":1}", false, true);
    assert_true(plm_run_epoch(run, &one));
    plm_run_free(run); /* unfinished */
    assert_true(exists(in(dir, ".partial/metrics.csv")));

    run = plm_run_new(ctx, dir, CONFIG, false, false);
    assert_ok(ctx);
    assert_false(exists(in(dir, ".partial/steps.csv")));
    assert_string_equal(content(in(dir, ".partial/metrics.csv")), HEADER "\n");
    plm_run_free(run);

    FILE *file = fopen(in(dir, ".partial/thesis.txt"), "w");
    assert_non_null(file);
    fclose(file);
    assert_null(plm_run_new(ctx, dir, CONFIG, false, false));
    assert_error(ctx, PLM_ERR_IO, "left.partial has thesis.txt in it");
    assert_true(exists(in(dir, ".partial/thesis.txt")) && exists(in(dir, ".partial/config.json")));
    assert_int_equal(unlink(in(dir, ".partial/thesis.txt")), 0);
    assert_true(plm_graph_save(net, in(dir, ".partial/model.safetensors")));
    assert_null(plm_run_new(ctx, dir, CONFIG, false, false));
    assert_error(ctx, PLM_ERR_STATE, "left.partial has the model of a whole run: resume it");
    assert_true(exists(in(dir, ".partial/model.safetensors")) && exists(in(dir, ".partial/config.json")));
    plm_graph_free(net);
}

/* A process that ends between saving the model and naming the folder leaves a whole run, which gets its name; no other does. */
static void test_complete(void **state)
{
    plm_ctx        *ctx = *state;
    plm_graph      *net = small_net(ctx);
    char            dir[1024];
    const plm_epoch one = row_of(1);
    path_of(dir, "complete");
    assert_true(plm_run_complete(ctx, dir)); /* there is none */
    plm_run *run = plm_run_new(ctx, dir, CONFIG, false, true);
    assert_true(plm_run_epoch(run, &one));
    assert_true(plm_run_complete(ctx, dir)); /* it is in progress, but has no model yet */
    assert_true(plm_graph_save(net, in(dir, ".partial/model.safetensors")));
    assert_false(plm_run_complete(ctx, dir));
    assert_error(ctx, PLM_ERR_STATE, "another run is writing into");
    plm_run_free(run);
    assert_true(plm_run_complete(ctx, in(dir, ".partial/")));
    assert_ok(ctx);
    assert_false(exists(in(dir, ".partial")));
    assert_true(exists(in(dir, "model.safetensors")) && exists(in(dir, "config.json")));
    assert_string_equal(content(in(dir, "metrics.csv")),
                        HEADER "\n1,1.33333333,0.25,1.5,0.75,0.2,0.1,0.3,0.002,0.001,0.003,1.5\n");
    assert_true(plm_run_complete(ctx, dir)); /* it is whole */

    path_of(dir, "unfinished");
    plm_run_free(plm_run_new(ctx, dir, CONFIG, false, false));
    assert_true(plm_run_complete(ctx, dir));
    assert_true(exists(in(dir, ".partial/metrics.csv")) && !exists(dir));
    assert_true(plm_graph_save(net, in(dir, ".partial/model.safetensors")));
    assert_int_equal(mkdir(dir, 0777), 0); /* another of that name has come */
    assert_true(plm_run_complete(ctx, dir));
    assert_true(exists(in(dir, ".partial/model.safetensors")));
    assert_int_equal(rmdir(dir), 0);
    assert_null(plm_run_resume(ctx, dir, NULL, false, false)); /* it has its name now */
    assert_error(ctx, PLM_ERR_STATE, "unfinished is finished and has no checkpoint to go on from");
    assert_true(exists(in(dir, "model.safetensors")));
    assert_false(plm_run_complete(ctx, NULL));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_run_complete: dir is NULL");
    plm_graph_free(net);
}

/* A run that diverged is a folder like that of a whole run, with a sentence in place of a model. */
static void test_diverged(void **state)
{
    plm_ctx        *ctx = *state;
    char            dir[1024];
    const plm_epoch one = row_of(1);
    path_of(dir, "diverged");
    plm_run *run = plm_run_new(ctx, dir, CONFIG, false, false);
    assert_true(plm_run_epoch(run, &one));
    plm_ctx_fail(ctx, PLM_ERR_NONFINITE, "the loss is nan");
    assert_false(plm_run_diverged(run, "the loss is nan")); /* the context has not been cleared */
    plm_ctx_clear(ctx);
    assert_false(plm_run_diverged(run, NULL));
    assert_error(ctx, PLM_ERR_STATE, "why is NULL");
    assert_true(exists(in(dir, ".partial")));
    assert_true(plm_run_diverged(run, "the loss is nan"));
    assert_false(plm_run_diverged(run, "again"));
    assert_error(ctx, PLM_ERR_STATE, "plm_run_diverged: the run is finished");
    plm_run_free(run);
    assert_false(exists(in(dir, ".partial")));
    assert_false(exists(in(dir, "model.safetensors")));
    assert_string_equal(content(in(dir, "diverged.txt")), "the loss is nan\n");
    assert_non_null(strstr(content(in(dir, "metrics.csv")), "\n1,"));
}

static void test_refused(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = small_net(ctx);
    char       dir[1024], other[1100];
    path_of(dir, "whole");
    plm_run *run = plm_run_new(ctx, dir, CONFIG, false, false);
    assert_true(plm_run_finish(run, net));
    plm_run_free(run);

    assert_null(plm_run_new(ctx, dir, CONFIG, false, false));
    assert_error(ctx, PLM_ERR_IO, "exists and is not empty");
    snprintf(other, sizeof other, "%s/config.json", dir);
    assert_null(plm_run_new(ctx, other, CONFIG, false, false));
    assert_error(ctx, PLM_ERR_IO, "is not a folder");
    snprintf(other, sizeof other, "%s/config.json/below", dir); /* a path below a file: nobody can write there */
    assert_null(plm_run_new(ctx, other, CONFIG, false, false));
    assert_error(ctx, PLM_ERR_IO, "Not a directory");
    assert_null(plm_run_new(ctx, "/proc/plummet/run", CONFIG, false, false));
    assert_error(ctx, PLM_ERR_IO, "/proc/plummet");
    const char *const nameless[] = { "", ".", "..", "/", "a/..", "a/.//" };
    for (size_t i = 0; i < sizeof nameless / sizeof *nameless; i++) {
        assert_null(plm_run_new(ctx, nameless[i], CONFIG, false, false));
        assert_error(ctx, PLM_ERR_ARGUMENT, "no name for a run folder");
    }
    char *longest = malloc(6001);
    memset(longest, 'x', 6000);
    longest[6000] = '\0';
    assert_null(plm_run_new(ctx, longest, CONFIG, false, false));
    assert_error(ctx, PLM_ERR_IO, "too long");
    free(longest);
    assert_null(plm_run_new(ctx, NULL, CONFIG, false, false));
    assert_error(ctx, PLM_ERR_ARGUMENT, "dir is NULL");
    assert_null(plm_run_new(ctx, dir, NULL, false, false));
    assert_error(ctx, PLM_ERR_ARGUMENT, "config is NULL");
    plm_graph_free(net);
}

/* Somebody else has made a folder of that name meanwhile: it stays, and so does the .partial. */
static void test_taken_meanwhile(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = small_net(ctx);
    char       dir[1024];
    path_of(dir, "taken");
    plm_run *run = plm_run_new(ctx, dir, CONFIG, false, false);
    assert_ok(ctx);
    assert_int_equal(mkdir(dir, 0777), 0);
    FILE *file = fopen(in(dir, "theirs"), "w");
    assert_non_null(file);
    fclose(file);
    assert_false(plm_run_finish(run, net));
    assert_error(ctx, PLM_ERR_IO, "rename");
    assert_false(plm_run_finish(run, net));
    assert_error(ctx, PLM_ERR_STATE, "plm_run_finish: the run has failed");
    assert_false(plm_run_epoch(run, &(plm_epoch){ 0 }));
    assert_error(ctx, PLM_ERR_STATE, "plm_run_epoch: the run has failed");
    plm_run_free(run);
    assert_true(exists(in(dir, "theirs")));
    assert_true(exists(in(dir, ".partial/model.safetensors")));
    plm_graph_free(net);
}

/* Two processes must not write one folder: the first goes on, the second is refused. */
static void test_in_progress(void **state)
{
    plm_ctx *ctx = *state;
    char     dir[1024], byte = 0;
    int      ready[2], done[2];
    path_of(dir, "progress");
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(done[1]); /* so that the parent's end is noticed */
        plm_run *run = plm_run_new(plm_ctx_new(NULL), dir, CONFIG, false, false);
        byte         = run != NULL;
        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) < 0) _exit(1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    plm_run *run = plm_run_new(ctx, dir, CONFIG, false, false);
    assert_int_equal(write(done[1], &byte, 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_null(run);
    assert_error(ctx, PLM_ERR_STATE, "another run is writing into");
    run = plm_run_new(ctx, dir, CONFIG, false, false); /* it has ended */
    assert_ok(ctx);
    plm_run_free(run);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(done[i]);
    }
}

/* The same within one process: the files of the first stay its own. */
static void test_in_progress_here(void **state)
{
    plm_ctx        *ctx = *state;
    plm_graph      *net = small_net(ctx);
    char            dir[1024];
    const plm_epoch one = row_of(1);
    path_of(dir, "here");
    plm_run *run = plm_run_new(ctx, dir, "{\"first\":1}", false, false);
    assert_ok(ctx);
    for (int i = 0; i < 2; i++) { /* asking does not take the lock away */
        assert_null(plm_run_new(ctx, dir, CONFIG, false, false));
        assert_error(ctx, PLM_ERR_STATE, "another run is writing into");
    }
    assert_true(plm_run_epoch(run, &one));
    assert_true(plm_run_finish(run, net));
    plm_run_free(run);
    assert_string_equal(content(in(dir, "config.json")), "{\"first\":1}\n");
    plm_graph_free(net);
}

/* Each write past the limit fails, as on a full disk.  The model is larger than it, the tables become so. */
static void test_no_room(void **state)
{
    plm_ctx      *ctx = *state;
    plm_graph    *net = small_net(ctx);
    char          dir[1024];
    struct rlimit before, small;
    path_of(dir, "room");
    plm_run *run = plm_run_new(ctx, dir, CONFIG, false, false);
    assert_ok(ctx);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small          = before;
    small.rlim_cur = 1024;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool ok   = true;
    int  rows = 0;
    for (; ok && rows < 100; rows++) ok = plm_run_epoch(run, &(plm_epoch){ .epoch = rows });
    const bool failed_row =
        plm_ctx_status(ctx) == PLM_ERR_IO && strstr(plm_ctx_error(ctx), "metrics.csv: File too large");
    plm_ctx_clear(ctx);
    const bool finished     = plm_run_finish(run, net);
    const bool failed_model = plm_ctx_status(ctx) == PLM_ERR_IO;
    plm_run_free(run);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(failed_row);
    assert_false(finished);
    assert_true(failed_model);
    assert_false(exists(dir));
    plm_ctx_clear(ctx);
    plm_graph_free(net);
}

static char disk[1024]; /* a small file system, mounted; "": none */

static int mount_small(void **state)
{
    if (test_ctx_setup(state) != 0) return -1;
    path_of(disk, "disk");
    if (mkdir(disk, 0777) != 0) return -1;
    if (mount("tmpfs", disk, "tmpfs", 0, "size=64k") != 0) disk[0] = '\0';
    return 0;
}

static int unmount_small(void **state)
{
    if (*disk) umount2(disk, MNT_DETACH);
    return test_ctx_teardown(state);
}

static void fill_disk(void)
{
    char  zeros[4096] = { 0 };
    FILE *file        = fopen(in(disk, "filler"), "w");
    assert_non_null(file);
    while (fwrite(zeros, 1, sizeof zeros, file) == sizeof zeros && fflush(file) == 0) {
    }
    fclose(file);
}

static void test_full_disk(void **state)
{
    plm_ctx *ctx = *state;
    char     dir[1100];
    if (!*disk) {
        print_message("no right to mount a small file system: a really full disk is not tested\n");
        skip();
    }
    snprintf(dir, sizeof dir, "%s/run", disk);
    plm_run *run = plm_run_new(ctx, dir, CONFIG, false, true);
    assert_ok(ctx);
    fill_disk();
    const plm_step_info info = { 0 };
    bool                ok   = true;
    for (int i = 1; ok && i < 4000; i++) ok = plm_run_step(run, &(plm_step){ .step = i, .epoch = 1, .info = &info });
    assert_false(ok);
    assert_error(ctx, PLM_ERR_IO, "steps.csv: No space left on device");
    plm_run_free(run);
    assert_null(plm_run_new(ctx, in(disk, "another"), CONFIG, false, false));
    assert_error(ctx, PLM_ERR_IO, "No space left on device");
    assert_false(exists(dir));
}

static void test_allocations_fail(void **state)
{
    (void)state;
    char dir[1024];
    path_of(dir, "memory");
    bool ok = false;
    for (int64_t k = 1; !ok; k++) { /* the 0-th is the context */
        test_allocator a   = { .fail_at = k };
        plm_ctx       *ctx = plm_ctx_new(&(plm_ctx_desc){ .allocator = test_allocator_make(&a) });
        assert_non_null(ctx);
        plm_run *run = plm_run_new(ctx, dir, CONFIG, false, true);
        ok           = run != NULL;
        assert_int_equal(plm_ctx_status(ctx), ok ? PLM_OK : PLM_ERR_MEMORY);
        plm_run_free(run);
        plm_ctx_free(ctx);
        assert_int_equal(a.outstanding, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_files),
        ctx_test(test_plain_columns),
        ctx_test(test_left_over),
        ctx_test(test_complete),
        ctx_test(test_diverged),
        ctx_test(test_refused),
        ctx_test(test_taken_meanwhile),
        ctx_test(test_in_progress),
        ctx_test(test_in_progress_here),
        ctx_test(test_no_room),
        cmocka_unit_test_setup_teardown(test_full_disk, mount_small, unmount_small),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

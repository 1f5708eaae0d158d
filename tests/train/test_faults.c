/* test_faults.c: the system fails, call by call, while a run is saved, goes on and is finished.
 *
 * The linker puts these functions between the library and the system (--wrap).  Whatever fails, the error is one of reading or
 * writing that names a path, nothing leaks, and afterwards the run goes on to the bits that it would have had. */
#define _GNU_SOURCE /* mount */
#include "train/resume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* The call that fails: the `at`-th of those that are counted, from 0; -1: none. */
static struct {
    int64_t     calls, at;
    const char *name; /* which it was */
} fault = { .at = -1 };

static bool fails(const char *name)
{
    if (fault.calls++ != fault.at) return false;
    fault.name = name;
    errno      = EIO;
    return true;
}

/* Declares the real one and defines what comes before it. */
#define WRAP(type, bad, name, declared, passed)             \
    type __real_##name declared;                            \
    type __wrap_##name declared;                            \
    type __wrap_##name declared                             \
    {                                                       \
        return fails(#name) ? (bad) : __real_##name passed; \
    }

WRAP(ssize_t, -1, write, (int fd, const void *data, size_t n), (fd, data, n))
WRAP(ssize_t, -1, pread, (int fd, void *data, size_t n, off_t at), (fd, data, n, at))
WRAP(int, -1, rename, (const char *from, const char *to), (from, to))
WRAP(int, -1, unlink, (const char *path), (path))
WRAP(int, -1, ftruncate, (int fd, off_t size), (fd, size))
WRAP(int, EOF, fflush, (FILE * file), (file))
WRAP(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
WRAP(FILE *, NULL, fdopen, (int fd, const char *mode), (fd, mode))
WRAP(int, -1, open, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAP(DIR *, NULL, opendir, (const char *path), (path))

/* A folder whose flushes are counted. */
static struct {
    struct stat folder;
    int         flushed;
} watched;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat s;
    watched.flushed += fstat(fd, &s) == 0 && s.st_dev == watched.folder.st_dev && s.st_ino == watched.folder.st_ino;
    return fails("fsync") ? -1 : __real_fsync(fd);
}

/* What was written may first be known to be lost when the file is closed, which it is all the same. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    const bool written = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    const int  done    = __real_close(fd);
    return written && fails("close") ? -1 : done;
}

int __real_fclose(FILE *file);
int __wrap_fclose(FILE *file);
int __wrap_fclose(FILE *file)
{
    const int done = __real_fclose(file);
    return fails("fclose") ? EOF : done;
}

static char dir[2][1024];

static void name_dirs(const char *a, const char *b)
{
    snprintf(dir[0], sizeof dir[0], "%s", test_path(a));
    snprintf(dir[1], sizeof dir[1], "%s", test_path(b));
}

static void restore(const char *from, const char *to)
{
    char command[8192];
    snprintf(command, sizeof command, "rm -rf '%s' '%s.partial' && cp -r '%s' '%s.partial'", to, to, from, to);
    assert_int_equal(system(command), 0);
}

/* Each call of a run that goes on, saves and finishes fails once. */
static void test_every_call_fails(void **state)
{
    (void)state;
    name_dirs("whole", "kept");
    recipe r = { .dir = dir[0], .opt = OPT_SGD, .conv = true, .epochs = 2 };
    job_done(r);
    r.dir        = dir[1];
    r.save_steps = 4;
    r.stop_at    = 6;
    job_done(r);
    char kept[1100], run[1024];
    snprintf(kept, sizeof kept, "%s.partial", dir[1]);
    snprintf(run, sizeof run, "%s", test_path("faulty"));
    r.dir     = run;
    r.stop_at = 0;
    r.resume  = true;
    int64_t k = 0;
    for (bool reached = true; reached; k++) {
        restore(kept, run);
        fault.calls            = 0;
        fault.at               = k;
        job        j           = { .r = r };
        const bool ok          = job_run(&j);
        reached                = fault.calls > k;
        fault.at               = -1;
        const bool passed_over = j.passed_over[0] != '\0'; /* a checkpoint could not be read: the one before will do */
        if (ok ? reached && !passed_over
               : plm_ctx_status(j.ctx) != PLM_ERR_IO || !strstr(plm_ctx_error(j.ctx), "Input/output error"))
            fail_msg("call %lld, of %s: %s \"%s\"", (long long)k, fault.name, ok ? "no error" : "the error",
                     plm_ctx_error(j.ctx));
        job_end(&j);
        if (!exists(run)) { /* else all was done, but perhaps for the last flush of the folder that it is in */
            j = job_done(r);
            assert_true(j.from.step >= (passed_over ? 4 : 6)); /* what was saved is not lost */
        }
        assert_same_runs(dir[0], run);
    }
    assert_true(k > 80);
}

/* A run's name is on the disk as soon as it is made or changed, and so are those of folders made for it. */
static void test_folders_are_flushed(void **state)
{
    (void)state;
    name_dirs("folders", "folders/run");
    assert_int_equal(mkdir(dir[0], 0777), 0);
    assert_int_equal(stat(dir[0], &watched.folder), 0);
    recipe r = { .dir = dir[1], .opt = OPT_SGD, .epochs = 1, .save_epochs = 1 };
    job_done(r);
    assert_int_equal(watched.flushed, 2);
    r.resume = true;
    job_done(r);
    assert_int_equal(watched.flushed, 4);
    name_dirs("folders", "folders/below/run");
    r.resume = false;
    job_done(r);
    assert_int_equal(watched.flushed, 5);
}

static char disk[1024]; /* a small file system, mounted; "": none */

static int mount_small(void **state)
{
    (void)state;
    snprintf(disk, sizeof disk, "%s", test_path("disk"));
    if (mkdir(disk, 0777) != 0) return -1;
    if (mount("tmpfs", disk, "tmpfs", 0, "size=128k") != 0) disk[0] = '\0';
    return 0;
}

static int unmount_small(void **state)
{
    (void)state;
    if (*disk) umount2(disk, MNT_DETACH);
    return 0;
}

static void refused(recipe r, const char *part)
{
    job j = { .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_IO, part);
    job_end(&j);
}

/* The disk fills up while checkpoints are saved, then nothing may be written: said; with room again it goes on. */
static void test_full_and_read_only(void **state)
{
    (void)state;
    if (!*disk) {
        print_message("no right to mount a small file system: a full and a read-only one are not tested\n");
        skip();
    }
    name_dirs("roomy", "disk/run");
    recipe r = { .dir = dir[0], .opt = OPT_ADAM, .epochs = 3 };
    job_done(r);
    r.dir        = dir[1];
    r.save_steps = 2;
    refused(r, "No space left on device");
    assert_true(plm_run_has_checkpoint(dir[1]));

    r.resume = true;
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    refused(r, "Read-only file system");
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT, "size=4m"), 0);
    const job j = job_done(r);
    assert_in_range(j.from.step, 2, 14);
    assert_same_runs(dir[0], dir[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_folders_are_flushed),
        cmocka_unit_test_setup_teardown(test_full_and_read_only, mount_small, unmount_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

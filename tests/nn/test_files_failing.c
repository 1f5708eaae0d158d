/* test_files_failing.c: disks and memory that fail while a network is saved, opened or loaded: the old file and the old
 * weights stay, and nothing is left behind. */
#define _GNU_SOURCE /* unshare */
#include "nn/files.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[1024], other[1024]; /* test_path lends its memory until its next call */

static int setup(void **state)
{
    strcpy(path, test_path("net.safetensors"));
    strcpy(other, test_path("other.safetensors"));
    unlink(path), unlink(other);
    return test_ctx_setup(state);
}
#define file_test(f) cmocka_unit_test_setup_teardown(f, setup, test_ctx_teardown)

static int entries(const char *folder)
{
    int  n   = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir)) n++;
    closedir(dir);
    return n - 2;
}

static void test_no_place(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = filled_network(ctx, 1);
    char       folder[1024], inside[1100];
    strcpy(folder, test_path("folder"));
    mkdir(folder, 0777);
    assert_false(plm_graph_save(net, folder)); /* a folder has the name */
    assert_error(ctx, PLM_ERR_IO, "folder: Is a directory");
    assert_null(plm_graph_open(ctx, folder));
    assert_error(ctx, PLM_ERR_IO, "folder: it is not a file");
    sprintf(inside, "%s/missing/net", folder);
    assert_false(plm_graph_save(net, inside));
    assert_error(ctx, PLM_ERR_IO, "missing/net: No such file");
    write_bytes(path, "x", 1);
    sprintf(inside, "%s/net", path); /* a file in place of a folder */
    assert_false(plm_graph_save(net, inside));
    assert_error(ctx, PLM_ERR_IO, "net.safetensors/net: Not a directory");
    assert_null(plm_graph_open(ctx, inside));
    assert_error(ctx, PLM_ERR_IO, "net.safetensors/net: Not a directory");
    assert_int_equal(entries(folder), 0);
    if (geteuid() != 0) { /* root writes anywhere */
        chmod(folder, 0555);
        sprintf(inside, "%s/net", folder);
        assert_false(plm_graph_save(net, inside));
        assert_error(ctx, PLM_ERR_IO, "folder/net: Permission denied");
        chmod(folder, 0777);
    }
    plm_graph_free(net);
}

/* Saves a network over a file of another; returns whether that worked, else checks that the old one is as before. */
static bool replace(plm_ctx *ctx, const char *folder, plm_graph *net)
{
    char file[1100];
    snprintf(file, sizeof file, "%s/net", folder);
    const bool ok = plm_graph_save(net, file);
    assert_int_equal(entries(folder), 1);
    if (ok) return true;
    assert_error(ctx, PLM_ERR_IO, folder);
    assert_same_file(file, path);
    return false;
}

/* The system stops a file at every size there is: header, data, or nothing at all. */
static void test_stopped(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *old = filled_network(ctx, 1), *net = filled_network(ctx, 2);
    char       folder[1024], file[1100];
    size_t     size;
    strcpy(folder, test_path("stopped"));
    mkdir(folder, 0777);
    sprintf(file, "%s/net", folder);
    assert_true(plm_graph_save(old, path) && plm_graph_save(old, file) && plm_graph_save(net, other));
    file_bytes(path, &size);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    size_t stopped       = 0;
    for (size_t at = 0; at < size; at += 97) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){ .rlim_cur = at, .rlim_max = limit.rlim_max });
        const bool ok = plm_graph_save(net, file);
        setrlimit(RLIMIT_FSIZE, &limit); /* cmocka writes, too */
        assert_false(ok);
        assert_error(ctx, PLM_ERR_IO, "stopped/net: File too large");
        assert_same_file(file, path);
        assert_int_equal(entries(folder), 1);
        stopped++;
    }
    signal(SIGXFSZ, handler);
    assert_true(stopped > 10);
    assert_true(replace(ctx, folder, net));
    assert_same_file(file, other);
    plm_graph_free(old);
    plm_graph_free(net);
}

/* A disk that holds one such file but not two; it is this process's own and goes with it. */
static void test_full_disk(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *old = filled_network(ctx, 1), *net = filled_network(ctx, 2);
    char       folder[1024], file[1100], options[64];
    size_t     size;
    assert_true(plm_graph_save(old, path));
    file_bytes(path, &size);
    strcpy(folder, test_path("disk"));
    mkdir(folder, 0777);
    sprintf(file, "%s/net", folder);
    sprintf(options, "size=%zu", size); /* rounded up to pages */
    const bool mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                         mount("plummet", folder, "tmpfs", 0, options) == 0;
    if (mounted) {
        assert_true(plm_graph_save(old, file));
        assert_false(replace(ctx, folder, net));
        umount(folder);
    }
    plm_graph_free(old);
    plm_graph_free(net);
    if (mounted) return;
    print_message("no right to mount a small disk: skipped\n");
    skip();
}

/* Every allocation fails once: an error, the old file, the old weights, and nothing left behind. */
typedef bool attempt(plm_graph *net);

static bool attempt_save(plm_graph *net)
{
    return plm_graph_save(net, other);
}

static bool attempt_open(plm_graph *net)
{
    plm_graph *opened = plm_graph_open(plm_graph_ctx(net), path);
    plm_graph_free(opened);
    return opened;
}

static bool attempt_load(plm_graph *net)
{
    return plm_graph_load(net, path);
}

static void fail_each(attempt *call, bool in_use, int least)
{
    int  failures = 0;
    bool done     = false;
    for (int64_t k = 0; !done; k++) {
        test_allocator a   = { .fail_at = -1 };
        plm_ctx       *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&a) });
        plm_graph     *net = filled_network(ctx, 1);
        float          y[2 * OUTPUT], z[2 * OUTPUT];
        plm_graph_set_classes(net, some_classes, 5);
        plm_graph_set_normalization(net, &some_normalization);
        if (in_use) predict(net, y);
        const int64_t before = a.calls;
        a.fail_at            = before + k;
        const bool ok        = call(net);
        done                 = a.calls - before <= k;
        a.fail_at            = -1;
        if (!ok) { /* the pool may have tried again, and then all went well */
            assert_error(ctx, PLM_ERR_MEMORY, "out of memory");
            failures++;
        }
        if (!ok && in_use) {
            predict(net, z);
            assert_memory_equal(y, z, sizeof y);
        }
        assert_true(ok || !done);
        plm_graph_free(net);
        plm_ctx_free(ctx);
        assert_int_equal(a.outstanding, 0);
    }
    assert_true(failures >= least);
}

static void test_memory(void **state)
{
    plm_ctx   *ctx = *state;
    plm_graph *net = filled_network(ctx, 2);
    plm_graph_set_classes(net, some_classes, 5);
    plm_graph_set_normalization(net, &some_normalization);
    assert_true(plm_graph_save(net, path));
    write_bytes(other, "old", 3);
    fail_each(attempt_save, false, 25);
    fail_each(attempt_open, false, 55);
    fail_each(attempt_load, true, 10);
    plm_graph_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = { file_test(test_no_place), file_test(test_stopped), file_test(test_memory),
                                        file_test(test_full_disk) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

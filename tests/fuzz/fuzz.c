/* fuzz.c: what the fuzz targets share: contexts that watch what is asked of them, and files. */
#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#include "fuzz.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void fuzz_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* ------------------------------------------------------------------ contexts */

typedef struct {
    size_t most, out; /* bytes */
} watch;

static void *watched_alloc(void *user, size_t bytes, size_t align)
{
    watch *w      = user;
    void  *memory = NULL;
    fuzz_require(bytes <= w->most);
    if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, bytes ? bytes : 1) != 0) return NULL;
    w->out += bytes;
    return memory;
}

static void watched_free(void *user, void *memory, size_t bytes)
{
    ((watch *)user)->out -= bytes;
    free(memory);
}

plm_ctx *fuzz_ctx_new(size_t most)
{
    watch *w = calloc(1, sizeof *w);
    fuzz_require(w);
    w->most      = most + sizeof(plm_ctx) + 4096; /* what every context and path takes */
    plm_ctx *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = { watched_alloc, watched_free, w } });
    fuzz_require(ctx);
    return ctx;
}

static unsigned long refused;      /* files */
static bool          file_refused; /* the newest of them */

void fuzz_check_error(const plm_ctx *ctx, unsigned statuses)
{
    const plm_status status  = plm_ctx_status(ctx);
    const char      *message = plm_ctx_error(ctx);
    if (status == PLM_OK) return;
    refused += !file_refused;
    file_refused = true;
    if (!(statuses >> status & 1)) fprintf(stderr, "%s error: %s\n", plm_status_name(status), message);
    fuzz_require(statuses >> status & 1);
    fuzz_require(*message);
}

void fuzz_ctx_free(plm_ctx *ctx, unsigned statuses)
{
    watch *w = ctx->allocator.user;
    fuzz_check_error(ctx, statuses);
    plm_ctx_free(ctx);
    fuzz_require(w->out == 0);
    free(w);
}

/* ------------------------------------------------------------------ files */

static char  home[64];
static pid_t owner;

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static void remove_home(void)
{
    if (getpid() != owner) return;
    nftw(home, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    fprintf(stderr, "stat::refused_files: %lu\n", refused); /* as libFuzzer says its figures */
}

/* Paths once made stay: few targets have more than two. */
static const char *path_of(const char *name)
{
    static char path[16][256];
    if (!owner) {
        snprintf(home, sizeof home, "%s/plummet-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        fuzz_require(mkdtemp(home));
        owner = getpid();
        atexit(remove_home);
    }
    char wanted[256];
    fuzz_require(snprintf(wanted, sizeof wanted, "%s/%s", home, name) < (int)sizeof wanted);
    for (int i = 0; i < 16; i++) {
        if (!*path[i]) strcpy(path[i], wanted);
        if (strcmp(path[i], wanted) == 0) return path[i];
    }
    fuzz_broken("sixteen names", __FILE__, __LINE__);
}

const char *fuzz_file(const char *name, const void *data, size_t size)
{
    const char *path = path_of(name);
    FILE       *file = fopen(path, "wb");
    fuzz_require(file);
    if (data) file_refused = false;
    fuzz_require(size == 0 || fwrite(data, 1, size, file) == size);
    fuzz_require(fclose(file) == 0);
    return path;
}

const char *fuzz_folder(const char *name)
{
    const char *path = path_of(name);
    mkdir(path, 0700);
    return path;
}

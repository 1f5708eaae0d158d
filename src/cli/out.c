/* out.c: a text file that is there whole or not at all: written beside, flushed to the disk, renamed. */
#include "out.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool io_error(plm_ctx *ctx, const char *what, const char *path)
{
    return plm_ctx_fail(ctx, PLM_ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

static bool too_long(plm_ctx *ctx, const char *dir)
{
    return plm_ctx_fail(ctx, PLM_ERR_IO, "the name of the folder is too long: %.100s...", dir);
}

bool cli_out_open(plm_ctx *ctx, cli_out *o, const char *dir, const char *name)
{
    *o              = (cli_out){ .ctx = ctx };
    const int whole = snprintf(o->path, sizeof o->path, "%s/%s", dir, name);
    const int part  = snprintf(o->partial, sizeof o->partial, "%s/%s.partial", dir, name);
    if (whole < 0 || part < 0 || part >= (int)sizeof o->partial) return too_long(ctx, dir);
    o->c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!o->c) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", o->path);
    o->file = fopen(o->partial, "we");
    if (!o->file) {
        freelocale(o->c);
        return io_error(ctx, "create", o->partial);
    }
    o->before = uselocale(o->c);
    return true;
}

bool cli_out_close(cli_out *o, bool keep)
{
    if (!o->file) return false;
    uselocale(o->before);
    freelocale(o->c);
    bool ok = !keep || (!ferror(o->file) && fflush(o->file) == 0 && fsync(fileno(o->file)) == 0);
    if (!ok) io_error(o->ctx, "write", o->partial);
    if (fclose(o->file) != 0 && ok && keep) ok = io_error(o->ctx, "close", o->partial);
    o->file = NULL;
    if (ok && keep) ok = rename(o->partial, o->path) == 0 || io_error(o->ctx, "rename to", o->path);
    if (!ok || !keep) unlink(o->partial);
    return ok && keep;
}

bool cli_out_folder(plm_ctx *ctx, const char *dir)
{
    char        path[PATH_MAX];
    struct stat info;
    if (strlen(dir) >= sizeof path) return too_long(ctx, dir);
    strcpy(path, dir);
    for (char *slash = path; slash;) {
        slash = strchr(slash + 1, '/');
        if (slash) *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) return io_error(ctx, "create the folder", path);
        if (slash) *slash = '/';
    }
    if (stat(dir, &info) == 0 && S_ISDIR(info.st_mode)) return true;
    return plm_ctx_fail(ctx, PLM_ERR_IO, "%s exists and is not a folder", dir);
}

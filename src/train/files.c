/* files.c: files and folders of a run.
 *
 * Every write, flush, fsync, close and truncation is checked, since a full disk may show at any of them. */
#include "train/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool plm__io_error(plm_ctx *ctx, const char *what, const char *path)
{
    return plm__fail(ctx, PLM_ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

bool plm__join(plm_ctx *ctx, char path[PATH_MAX], const char *folder, const char *name)
{
    const int length = snprintf(path, PATH_MAX, "%s%s%s", folder, *name == '.' ? "" : "/", name);
    if (length > 0 && length < PATH_MAX) return true;
    return plm__fail(ctx, PLM_ERR_IO, "the run folder's name is too long: %.100s...", folder);
}

bool plm__sync_folder(plm_ctx *ctx, const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return plm__io_error(ctx, "open", path);
    const bool ok = fsync(fd) == 0 || errno == EINVAL; /* EINVAL: a file system that knows no such thing */
    if (!ok) plm__io_error(ctx, "write", path);
    close(fd);
    return ok;
}

static void parent_of(const char *path, char parent[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (!slash) strcpy(parent, ".");
    else snprintf(parent, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

bool plm__sync_parent(plm_ctx *ctx, const char *path)
{
    char parent[PATH_MAX];
    parent_of(path, parent);
    return plm__sync_folder(ctx, parent);
}

bool plm__each_entry(plm_ctx *ctx, const char *folder, bool (*each)(void *user, const char *name), void *user)
{
    DIR *dir = opendir(folder);
    if (!dir) return plm__io_error(ctx, "open the folder", folder);
    bool           ok = true;
    struct dirent *entry;
    for (errno = 0; ok && (entry = readdir(dir)); errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) ok = each(user, entry->d_name);
    if (ok && errno != 0) ok = plm__io_error(ctx, "read the folder", folder);
    closedir(dir);
    return ok;
}

bool plm__lines_create(plm_ctx *ctx, plm__lines *l, const char *folder, const char *name)
{
    if (!plm__join(ctx, l->path, folder, name)) return false;
    l->file = fopen(l->path, "we"); /* e: a program started meanwhile does not inherit the lock */
    return l->file || plm__io_error(ctx, "create", l->path);
}

bool plm__lines_open(plm_ctx *ctx, plm__lines *l, const char *folder, const char *name)
{
    if (!plm__join(ctx, l->path, folder, name)) return false;
    const int fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return plm__io_error(ctx, "open", l->path);
    l->file = fdopen(fd, "r+");
    if (l->file && fseeko(l->file, 0, SEEK_END) == 0) return true;
    plm__io_error(ctx, "open", l->path);
    if (!l->file) close(fd);
    return false;
}

bool plm__lines_flush(plm_ctx *ctx, plm__lines *l)
{
    return (!ferror(l->file) && fflush(l->file) == 0) || plm__io_error(ctx, "write", l->path);
}

bool plm__lines_sync(plm_ctx *ctx, plm__lines *l)
{
    if (!l->file) return true;
    return plm__lines_flush(ctx, l) && (fsync(fileno(l->file)) == 0 || plm__io_error(ctx, "write", l->path));
}

bool plm__lines_close(plm_ctx *ctx, plm__lines *l)
{
    if (!l->file) return true;
    bool ok = plm__lines_sync(ctx, l);
    if (fclose(l->file) != 0 && ok) ok = plm__io_error(ctx, "close", l->path);
    l->file = NULL;
    return ok;
}

/* Writes the header into a file that has nothing behind it. */
static bool begin_anew(plm_ctx *ctx, plm__lines *l, const char *header)
{
    rewind(l->file);
    if (ftruncate(fileno(l->file), 0) != 0) return plm__io_error(ctx, "write", l->path);
    fprintf(l->file, "%s\n", header);
    return plm__lines_flush(ctx, l);
}

/* A row is "NUMBER,...", and whole: it ends with a line break. */
static bool keep_row(const char *line, int64_t before, int64_t last, int64_t *number)
{
    char           *end;
    const long long n = strtoll(line, &end, 10);
    if (*end != ',' || !strchr(line, '\n') || n <= before || n > last) return false;
    *number = n;
    return true;
}

bool plm__lines_cut(plm_ctx *ctx, plm__lines *l, const char *header, int64_t last, bool several, int64_t *rows,
                    int64_t *number)
{
    char line[4096];
    *rows   = 0;
    *number = -1;
    rewind(l->file);
    const size_t length = fgets(line, sizeof line, l->file) ? strcspn(line, "\n") : 0;
    const bool   whole  = length > 0 && line[length] == '\n';
    if (ferror(l->file)) return plm__io_error(ctx, "read", l->path);
    if (!whole && strncmp(line, header, length) == 0) return begin_anew(ctx, l, header);
    if (!whole || length != strlen(header) || strncmp(line, header, length) != 0)
        return plm__fail(ctx, PLM_ERR_FORMAT, "%s does not begin with the line %s", l->path, header);
    off_t end = ftello(l->file);
    while (fgets(line, sizeof line, l->file) && keep_row(line, several ? *number - 1 : *number, last, number)) {
        ++*rows;
        end = ftello(l->file);
    }
    if (ferror(l->file)) return plm__io_error(ctx, "read", l->path);
    if (fseeko(l->file, end, SEEK_SET) != 0 || ftruncate(fileno(l->file), end) != 0)
        return plm__io_error(ctx, "write", l->path);
    return true;
}

/* table.c: a comma-separated file with a header line, read whole and cut into cells in place. */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_BYTES (256L << 20)

static char *read_open(plm_ctx *ctx, const char *path, FILE *file, size_t *size)
{
    struct stat info;
    if (fstat(fileno(file), &info) != 0) {
        plm_ctx_fail(ctx, PLM_ERR_IO, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(info.st_mode)) {
        plm_ctx_fail(ctx, PLM_ERR_IO, "%s is not a regular file", path);
        return NULL;
    }
    if (info.st_size > MOST_BYTES) {
        plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has %lld bytes, at most %ld are read", path, (long long)info.st_size,
                     MOST_BYTES);
        return NULL;
    }
    char *text = malloc((size_t)info.st_size + 1);
    if (!text) {
        plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    *size       = fread(text, 1, (size_t)info.st_size, file); /* less: the file has become shorter meanwhile */
    text[*size] = '\0';
    if (!ferror(file) && !memchr(text, '\0', *size)) return text;
    if (ferror(file)) plm_ctx_fail(ctx, PLM_ERR_IO, "cannot read %s: %s", path, strerror(errno));
    else plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s is not text: it has zero bytes", path);
    free(text);
    return NULL;
}

char *cli_text_read(plm_ctx *ctx, const char *path, size_t *size)
{
    size_t    bytes = 0;
    const int fd    = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe without a writer would block */
    FILE     *file  = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!file) {
        plm_ctx_fail(ctx, PLM_ERR_IO, "cannot open %s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    char *text = read_open(ctx, path, file, &bytes);
    fclose(file);
    if (size) *size = bytes;
    return text;
}

/* Cuts the cell at `start` off and takes its quotes out.  Where the next one begins; *last: it was the line's last.
 * NULL: quotes that do not enclose the whole cell within its line. */
static char *cut(char *start, bool *last)
{
    char      *from = start, *to = start;
    const bool quoted = *from == '"';
    bool       open   = quoted;
    for (from += quoted; *from && *from != '\n' && (open || *from != ','); from++) {
        if (quoted && *from == '"' && *++from != '"') {
            open = false;
            break;
        }
        *to++ = *from;
    }
    if (quoted && *from == '\r') from++;
    else if (!quoted && *from == '\n' && to > start && to[-1] == '\r') to--;
    if (open || (*from != ',' && *from != '\n')) return NULL;
    *last = *from == '\n';
    *to   = '\0';
    return from + 1;
}

static int64_t count(const char *text, const char *end, char c)
{
    int64_t n = 0;
    for (; (text = memchr(text, c, (size_t)(end - text))); text++) n++;
    return n;
}

/* The cells of one line into cell[0 ... room-1]; their number, more than room if there are too many, -1 for bad quotes. */
static int cut_line(char **at, char **cell, int room)
{
    bool last = false;
    int  n    = 0;
    while (!last) {
        char *start = *at;
        *at         = cut(start, &last);
        if (!*at) return -1;
        if (n < room) cell[n] = start;
        if (n++ == room) return n;
    }
    return n;
}

static bool check_header(plm_ctx *ctx, const cli_table *t)
{
    for (int i = 0; i < t->columns; i++) {
        assert(t->cell[i]); /* cut_line has written as many as it said */
        if (cli_table_column(t, t->cell[i]) < i)
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s: the column \"%.60s\" is there twice", t->path, t->cell[i]);
    }
    return true;
}

static bool cut_all(plm_ctx *ctx, cli_table *t)
{
    char   *start = t->text, *end = t->text + strlen(t->text);
    int64_t lines = count(start, end, '\n');
    if (end > start && end[-1] != '\n') {
        char *last = strrchr(start, '\n');
        t->cut_off = true;
        end        = last ? last + 1 : start;
        *end       = '\0';
    }
    if (lines == 0) return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has no header line", t->path);
    const int64_t most = 1 + count(start, strchr(start, '\n'), ',');
    if (most > 1000) return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s: its header has more than 1000 columns", t->path);
    /* Every cell ends with a comma or a line, so the file itself bounds this. */
    t->cell = calloc((size_t)(lines + count(start, end, ',') + most), sizeof *t->cell);
    if (!t->cell) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", t->path);
    for (int64_t line = 0; line < lines; line++) {
        const int room = line ? t->columns : (int)most;
        const int n    = cut_line(&start, t->cell + line * t->columns, room);
        if (n < 0)
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s, line %lld: a quote that does not enclose its cell", t->path,
                                (long long)line + 1);
        if (line && n != t->columns)
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s, line %lld: %s than the header's %d cells", t->path,
                                (long long)line + 1, n > t->columns ? "more" : "fewer", t->columns);
        if (line == 0) t->columns = n;
        t->rows = line;
    }
    return check_header(ctx, t);
}

bool cli_table_parse(plm_ctx *ctx, const char *path, char *text, cli_table *t)
{
    *t = (cli_table){ .text = text, .path = malloc(strlen(path) + 1) };
    if (t->path && cut_all(ctx, (strcpy(t->path, path), t))) return true;
    if (!t->path) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", path);
    cli_table_free(t);
    return false;
}

bool cli_table_read(plm_ctx *ctx, const char *path, cli_table *t)
{
    char *text = cli_text_read(ctx, path, NULL);
    *t         = (cli_table){ 0 };
    return text && cli_table_parse(ctx, path, text, t);
}

void cli_table_free(cli_table *t)
{
    free(t->cell);
    free(t->text);
    free(t->path);
    *t = (cli_table){ 0 };
}

const char *cli_table_cell(const cli_table *t, int64_t row, int column)
{
    return t->cell[(row + 1) * t->columns + column];
}

int cli_table_column(const cli_table *t, const char *name)
{
    for (int i = 0; i < t->columns; i++)
        if (strcmp(t->cell[i], name) == 0) return i;
    return -1;
}

/* The locale in which a point is a point, whatever the program's language. */
static double number(const char *text, char **end)
{
    const locale_t c      = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    const locale_t before = c ? uselocale(c) : (locale_t)0;
    const double   x      = strtod(text, end);
    if (c) {
        uselocale(before);
        freelocale(c);
    }
    return x;
}

bool cli_table_number(plm_ctx *ctx, const cli_table *t, int64_t row, int column, double *x)
{
    static const char *const words[] = { "inf", "-inf", "nan", "-nan" };
    const char              *text    = cli_table_cell(t, row, column);
    bool                     ok      = strspn(text, "+-.0123456789eE") == strlen(text); /* strtod takes more: 0x1p3 */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) ok = ok || strcmp(text, words[i]) == 0;
    char *end = NULL;
    *x        = *text ? number(text, &end) : NAN;
    if (ok && (!end || (end != text && !*end))) return true;
    return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s, line %lld: %.60s is \"%.40s\", expected a number", t->path,
                        (long long)row + 2, cli_table_cell(t, -1, column), text);
}

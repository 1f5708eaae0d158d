/* csv_text.c: comma-separated text as RFC 4180 has it: fields may be quoted ("" within stands for "), lines end in LF or
 * CRLF.  Beyond it: blanks around a field are dropped, and so are a byte order mark and blank lines at the end. */
#include "data/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r';
}

static bool read_file(plm__csv *c, FILE *file)
{
    struct stat info;
    if (fstat(fileno(file), &info) != 0)
        return plm__fail(c->ctx, PLM_ERR_IO, "%s: cannot read: %s", c->path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return plm__fail(c->ctx, PLM_ERR_IO, "%s is not a regular file", c->path);
    c->size = info.st_size;
    c->text = plm__new(c->ctx, (size_t)c->size + 1, c->path);
    if (!c->text) return false;
    if (fread(c->text, 1, (size_t)c->size, file) != (size_t)c->size)
        return plm__fail(c->ctx, PLM_ERR_IO, "%s: cannot read its %lld bytes", c->path, (long long)c->size);
    if (memchr(c->text, '\0', (size_t)c->size))
        return plm__fail(c->ctx, PLM_ERR_FORMAT, "%s is not text: it has zero bytes", c->path);
    return true;
}

/* Takes the doubled quotes out.  Where the content ends, with c->at at what follows the field; NULL: an error. */
static char *cut_quoted(plm__csv *c)
{
    char *from = c->at + 1, *to = from;
    for (; *from != '"' || *++from == '"'; from++) {
        if (!*from) {
            plm__fail(c->ctx, PLM_ERR_FORMAT, "%s, line %lld: a quoted field is not closed", c->path,
                      (long long)c->line);
            return NULL;
        }
        if (*from == '\n') c->next_line++;
        *to++ = *from;
    }
    while (is_blank(*from)) from++;
    c->at = from;
    if (!*from || *from == ',' || *from == '\n') return to;
    plm__fail(c->ctx, PLM_ERR_FORMAT, "%s, line %lld: text after the closing quote of a field", c->path,
              (long long)c->line);
    return NULL;
}

static char *cut_plain(plm__csv *c)
{
    char *start = c->at;
    c->at += strcspn(c->at, ",\n");
    char *end = c->at;
    while (end > start && is_blank(end[-1])) end--;
    return end;
}

bool plm__csv_open(plm__csv *c, plm_ctx *ctx, const char *path)
{
    *c             = (plm__csv){ .ctx = ctx, .path = path, .next_line = 1 };
    const int fd   = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe without a writer would block */
    FILE     *file = fd < 0 ? NULL : fdopen(fd, "rb");
    bool      ok   = file || plm__fail(ctx, PLM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    ok             = ok && read_file(c, file);
    if (file) fclose(file);
    else if (fd >= 0) close(fd);
    if (!ok) {
        plm__csv_close(c);
        return false;
    }
    c->at = c->text;
    if (strncmp(c->at, "\xef\xbb\xbf", 3) == 0) c->at += 3;
    return true;
}

void plm__csv_close(plm__csv *c)
{
    plm__delete(c->ctx, c->text);
    c->text = NULL;
}

bool plm__csv_row(plm__csv *c)
{
    c->line      = c->next_line;
    c->row_ended = false;
    return c->at[strspn(c->at, " \t\r\n")] != '\0';
}

char *plm__csv_field(plm__csv *c)
{
    while (is_blank(*c->at)) c->at++;
    bool  quoted = *c->at == '"';
    char *field  = c->at + quoted;
    char *end    = quoted ? cut_quoted(c) : cut_plain(c);
    if (!end) return NULL;
    c->row_ended = *c->at != ',';
    if (*c->at == '\n') c->next_line++;
    if (*c->at) c->at++;
    *end = '\0'; /* perhaps over the comma, which has been read */
    return field;
}

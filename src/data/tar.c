/* tar.c: the files in a tar archive, read once from front to back: nothing is unpacked that nobody asks for.
 *
 * A block of 512 bytes tells of each file, whose content follows, filled up to whole blocks; a block of zeros ends the
 * archive.  Of the extensions only numbers in base 256 matter here: long names and the like are passed over.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format". */
#include "data/tar.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = 512, NAME = 0, NAME_SIZE = 100, SIZE = 124, SIZE_SIZE = 12, SUM = 148, SUM_SIZE = 8, TYPE = 156 };

/* A number in octal, or, with the highest bit set, in base 256; -1: neither, or too large. */
static int64_t number(const uint8_t *field, int length)
{
    int64_t n = 0;
    int     i = 0;
    if (field[0] & 0x80) {
        n = field[0] & 0x7f;
        for (i = 1; i < length; i++) {
            if (n > INT64_MAX >> 8) return -1;
            n = n << 8 | field[i];
        }
        return n;
    }
    while (i < length && field[i] == ' ') i++;
    const int digits = i;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) n = n << 3 | (field[i] - '0');
    return i == digits || (i < length && field[i] != ' ' && field[i] != '\0') ? -1 : n;
}

/* The sum of the block's bytes, those of the sum itself taken as spaces. */
static int64_t checksum(const uint8_t *block)
{
    int64_t sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= SUM && i < SUM + SUM_SIZE ? ' ' : block[i];
    return sum;
}

static bool all_zero(const uint8_t *block)
{
    for (int i = 0; i < BLOCK; i++)
        if (block[i]) return false;
    return true;
}

static bool skip(plm__gzip *f, int64_t bytes)
{
    uint8_t passed[1 << 14];
    for (int64_t part; bytes > 0; bytes -= part) {
        part = bytes < (int64_t)sizeof passed ? bytes : (int64_t)sizeof passed;
        if (!plm__gzip_read(f, passed, part)) return false;
    }
    return true;
}

/* Reads the next header; *more is false at the end of the archive. */
static bool read_header(plm__gzip *f, uint8_t *block, bool *more)
{
    const int64_t at = f->at, got = plm__gzip_some(f, block, BLOCK);
    if (got < 0) return false;
    *more = got == BLOCK && !all_zero(block);
    if (!*more && (got == 0 || got == BLOCK)) return true; /* archives without the zeros are read by everybody */
    if (got < BLOCK)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is truncated: its tar header at byte %lld has %lld of %d bytes",
                         f->path, (long long)at, (long long)got, BLOCK);
    const int64_t says = number(block + SUM, SUM_SIZE), sum = checksum(block);
    return says == sum ||
           plm__fail(f->ctx, PLM_ERR_FORMAT,
                     "%s is not a tar archive or damaged: the header at byte %lld sums to %lld, not %lld", f->path,
                     (long long)at, (long long)sum, (long long)says);
}

/* Takes name and size from a header. */
static bool take(plm__tar *t, const uint8_t *block, int64_t at)
{
    const plm__gzip *f = t->file;
    char             name[NAME_SIZE + 1];
    memcpy(name, block + NAME, NAME_SIZE);
    name[NAME_SIZE]   = '\0';
    const char *slash = strrchr(name, '/');
    strcpy(t->name, slash ? slash + 1 : name);
    const bool link = block[TYPE] >= '1' && block[TYPE] <= '6'; /* links, devices, folders have no content */
    t->size         = link ? 0 : number(block + SIZE, SIZE_SIZE);
    if (t->size < 0)
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is damaged: the tar header at byte %lld has no valid size",
                         f->path, (long long)at);
    if (t->size > plm__gzip_holds(f) - f->at)
        return plm__fail(f->ctx, PLM_ERR_FORMAT,
                         "%s is truncated or damaged: the tar header at byte %lld says %lld bytes, more than it holds",
                         f->path, (long long)at, (long long)t->size);
    t->left    = t->size;
    t->padding = (int)((BLOCK - t->size % BLOCK) % BLOCK);
    return true;
}

bool plm__tar_next(plm__tar *t, bool *found)
{
    uint8_t block[BLOCK];
    for (*found = false; !*found;) {
        bool more;
        if (!skip(t->file, t->left) || !skip(t->file, t->padding)) return false;
        t->left = t->padding = 0;
        const int64_t at     = t->file->at;
        if (!read_header(t->file, block, &more)) return false;
        if (!more) return plm__gzip_end(t->file, true);
        if (!take(t, block, at)) return false;
        *found = block[TYPE] == '0' || block[TYPE] == '\0';
    }
    return true;
}

bool plm__tar_read(plm__tar *t, void *to, int64_t bytes)
{
    assert(bytes <= t->left);
    t->left -= bytes;
    return plm__gzip_read(t->file, to, bytes);
}

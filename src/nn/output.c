/* output.c: writing files of named tensors.
 *
 * A file grows under another name and takes its own when it is on the disk: whoever opens it finds the old one or the new
 * one, never half of it. */
#include "nn/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool io_error(plm_ctx *ctx, const char *what, const char *path)
{
    return plm__fail(ctx, PLM_ERR_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Padded by blanks, so that the data is aligned to its elements. */
static bool write_header(plm__output *o, const char *metadata, const plm__stored *stored, int n, bool checksum)
{
    plm__text     text = { .ctx = o->ctx };
    unsigned char prefix[PLM__HEADER_PREFIX];
    int64_t       begin = 0;
    plm__text_add(&text, "{\"__metadata__\":%s", metadata);
    for (int i = 0; i < n; i++) {
        const plm_shape shape = plm__layout_shape(stored[i].home);
        const int64_t   end   = begin + plm_shape_count(shape) * (int64_t)sizeof(float);
        char            dims[PLM__SHAPE_TEXT];
        plm__text_add(&text, ",");
        plm__text_string(&text, stored[i].name);
        plm__text_add(&text, ":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%" PRId64 ",%" PRId64 "]}",
                      plm__shape_text(shape, dims), begin, end);
        begin = end;
    }
    if (checksum)
        plm__text_add(
            &text, ",\"" PLM__CHECKSUM "\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}",
            begin, begin + 8);
    plm__text_add(&text, "}");
    plm__text_add(&text, "%*s", (PLM__HEADER_PREFIX - text.used % PLM__HEADER_PREFIX) % PLM__HEADER_PREFIX, "");
    bool ok = o->ctx->status == PLM_OK;
    if (ok && text.used > PLM__MAX_HEADER)
        ok = plm__fail(o->ctx, PLM_ERR_ARGUMENT, "cannot write %s: a header of %d bytes, at most %d", o->path,
                       text.used, PLM__MAX_HEADER);
    for (int i = 0; i < PLM__HEADER_PREFIX; i++) prefix[i] = (unsigned char)((uint64_t)text.used >> (8 * i));
    ok = ok && plm__output_write(o, prefix, PLM__HEADER_PREFIX) && plm__output_write(o, text.at, (size_t)text.used);
    plm__delete(o->ctx, text.at);
    return ok;
}

bool plm__output_open(plm__output *o, plm_ctx *ctx, const char *path, const char *metadata, const plm__stored *stored,
                      int n, bool checksum)
{
    *o = (plm__output){ .ctx = ctx, .path = path, .fd = -1 };
    plm__crc64_begin(&o->sum);
    for (int i = 0; o->fd < 0; i++) { /* O_EXCL: another thread, or a process that died, may have had the name */
        plm__delete(ctx, o->partial);
        if (!(o->partial = plm__strdupf(ctx, "%s.partial-%ld-%d", path, (long)getpid(), i))) return false;
        o->fd = open(o->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (o->fd >= 0 || errno == EEXIST) continue;
        io_error(ctx, "create", path);
        plm__delete(ctx, o->partial); /* there is none to remove */
        o->partial = NULL;
        return false;
    }
    return write_header(o, metadata, stored, n, checksum);
}

bool plm__output_write(plm__output *o, const void *data, size_t bytes)
{
    const char *from = data;
    plm__crc64_add(&o->sum, data, bytes);
    while (bytes > 0) {
        const ssize_t put = write(o->fd, from, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return io_error(o->ctx, "write", o->path);
        from += put;
        bytes -= (size_t)put;
    }
    return true;
}

bool plm__output_checksum(plm__output *o)
{
    const uint64_t sum = plm__crc64_value(&o->sum);
    return plm__output_write(o, &sum, sizeof sum);
}

bool plm__output_finish(plm__output *o)
{
    const int fd = o->fd;
    if (fsync(fd) != 0) return io_error(o->ctx, "write", o->path);
    o->fd = -1;
    if (close(fd) != 0) return io_error(o->ctx, "write", o->path);
    if (rename(o->partial, o->path) != 0) return io_error(o->ctx, "replace", o->path);
    plm__delete(o->ctx, o->partial);
    o->partial = NULL;
    return true;
}

void plm__output_close(plm__output *o)
{
    if (o->fd >= 0) close(o->fd);
    if (o->partial) unlink(o->partial);
    plm__delete(o->ctx, o->partial);
    *o = (plm__output){ .ctx = o->ctx, .fd = -1 };
}

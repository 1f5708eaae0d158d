/* image.c: opens image files, finds out which kind they are, and holds their pixels. */
#include "data/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC 8 /* bytes: a PNG's; a JPEG begins with 3 */

bool plm__image_fail(plm__fault *fault, plm_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->message, sizeof fault->message, format, arguments);
    va_end(arguments);
    fault->status = status;
    return false;
}

bool plm__image_allocate(plm__image *image, const plm__image_file *f, int64_t width, int64_t height, int64_t most,
                         plm__fault *fault)
{
    if (width < 1 || height < 1 || width > PLM__MAX_PIXELS / height)
        return plm__image_fail(fault, PLM_ERR_FORMAT, "%s: an image of %lld x %lld pixels, expected 1 to %lld of them",
                               f->path, (long long)width, (long long)height, (long long)PLM__MAX_PIXELS);
    if (width * height > most)
        return plm__image_fail(fault, PLM_ERR_FORMAT,
                               "%s is truncated or damaged: an image of %lld x %lld pixels, more than its %lld bytes "
                               "can hold",
                               f->path, (long long)width, (long long)height, (long long)f->bytes);
    *image = (plm__image){ width, height, malloc((size_t)(width * height * 3)) };
    return image->pixels || plm__image_fail(fault, PLM_ERR_MEMORY, "%s: no memory for its %lld x %lld pixels", f->path,
                                            (long long)width, (long long)height);
}

void plm__image_drop(plm__image *image)
{
    free(image->pixels);
    *image = (plm__image){ 0 };
}

static bool decode(const plm__image_file *f, plm__image *image, plm__fault *fault)
{
    static const uint8_t png[MAGIC] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' }, jpeg[] = { 0xff, 0xd8, 0xff };
    uint8_t              magic[MAGIC] = { 0 };
    const size_t         got          = fread(magic, 1, MAGIC, f->file);
    if (ferror(f->file)) return plm__image_fail(fault, PLM_ERR_IO, "%s: cannot read: %s", f->path, strerror(errno));
    rewind(f->file);
    if (got == MAGIC && memcmp(magic, png, MAGIC) == 0) return plm__png_read(f, image, fault);
    if (memcmp(magic, jpeg, sizeof jpeg) == 0) return plm__jpeg_read(f, image, fault);
    return plm__image_fail(fault, PLM_ERR_FORMAT, "%s is neither a PNG nor a JPEG file", f->path);
}

bool plm__image_read(const char *path, plm__image *image, plm__fault *fault)
{
    struct stat info;
    *image = (plm__image){ 0 };
    if (stat(path, &info) != 0) return plm__image_fail(fault, PLM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return plm__image_fail(fault, PLM_ERR_IO, "%s is not a regular file", path);
    const plm__image_file f = { fopen(path, "rb"), path, (int64_t)info.st_size };
    if (!f.file) return plm__image_fail(fault, PLM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    const bool ok = decode(&f, image, fault);
    fclose(f.file);
    if (!ok) plm__image_drop(image);
    return ok;
}

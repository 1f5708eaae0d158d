/* image_png.c: PNG files, by libpng.
 *
 * libpng reports errors by a function that must not return, hence the longjmp.  Nothing that changes after setjmp is a
 * local variable of the function that calls it: all of it is reached through `reading`. */
#include "data/image.h"

#include <png.h>

#define DEFLATE_RATIO 1032 /* the most that a byte of deflate can become: zlib's technical details */

typedef struct {
    const plm__image_file *f;
    plm__image            *image;
    plm__fault            *fault;
    png_structp            png;
    png_infop              info;
} reading;

static void on_error(png_structp png, png_const_charp message)
{
    const reading *r = png_get_error_ptr(png);
    plm__image_fail(r->fault, PLM_ERR_FORMAT, "%s is a damaged or truncated PNG file: %s", r->f->path, message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message; /* a library prints nothing */
}

/* Whatever the file holds, rows of red, green and blue bytes come out. */
static void ask_for_rgb(reading *r)
{
    png_set_expand(r->png); /* palettes, and gray of less than 8 bits */
    png_set_strip_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_strip_alpha(r->png);
}

static bool read_pixels(reading *r)
{
    png_read_info(r->png, r->info);
    const int     bits = png_get_bit_depth(r->png, r->info) * png_get_channels(r->png, r->info); /* of a pixel */
    const int64_t most = r->f->bytes < PLM__MAX_PIXELS ? r->f->bytes * 8 * DEFLATE_RATIO / bits : PLM__MAX_PIXELS;
    if (!plm__image_allocate(r->image, r->f, png_get_image_width(r->png, r->info),
                             png_get_image_height(r->png, r->info), most, r->fault))
        return false;
    ask_for_rgb(r);
    const int passes = png_set_interlace_handling(r->png); /* each goes over all rows and fills some pixels */
    png_read_update_info(r->png, r->info);
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < r->image->height; y++)
            png_read_row(r->png, r->image->pixels + y * r->image->width * 3, NULL);
    png_read_end(r->png, NULL);
    return true;
}

static bool guarded(reading *r)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    return read_pixels(r);
}

bool plm__png_read(const plm__image_file *f, plm__image *image, plm__fault *fault)
{
    reading r = { .f = f, .image = image, .fault = fault };
    r.png     = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info    = r.png ? png_create_info_struct(r.png) : NULL;
    bool ok   = false;
    if (r.info) {
        png_init_io(r.png, f->file);
        png_set_user_limits(r.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* plm__image_allocate has its own */
        ok = guarded(&r);
    } else plm__image_fail(fault, PLM_ERR_MEMORY, "%s: no memory to read it", f->path);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    return ok;
}

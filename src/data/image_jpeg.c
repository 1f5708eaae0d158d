/* image_jpeg.c: JPEG files, by libjpeg-turbo.
 *
 * As in image_png.c, errors come by longjmp, and all that changes after setjmp is reached through `reading`. */
#include "data/image.h"

#include <setjmp.h>

#include <jpeglib.h>

#include <jerror.h>

typedef struct {
    struct jpeg_error_mgr         errors; /* first: libjpeg hands out a pointer to it */
    struct jpeg_decompress_struct jpeg;
    jmp_buf                       out;
    const char                   *path;
    plm__image                   *image;
    plm__fault                   *fault;
} reading;

static void on_error(j_common_ptr jpeg)
{
    reading *r = (reading *)jpeg->err;
    char     message[JMSG_LENGTH_MAX];
    r->errors.format_message(jpeg, message);
    const bool memory = r->errors.msg_code == JERR_OUT_OF_MEMORY;
    if (memory) plm__image_fail(r->fault, PLM_ERR_MEMORY, "%s: no memory to read it", r->path);
    else plm__image_fail(r->fault, PLM_ERR_FORMAT, "%s is a damaged or truncated JPEG file: %s", r->path, message);
    longjmp(r->out, 1);
}

/* Where data end early libjpeg warns and paints the rest gray; to us that is an error.  Other warnings are not. */
static void on_message(j_common_ptr jpeg, int level)
{
    const int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) on_error(jpeg);
}

static bool read_pixels(reading *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK)
        return plm__image_fail(r->fault, PLM_ERR_FORMAT,
                               "%s is a CMYK JPEG file, expected RGB or gray; convert it first", r->path);
    if (!plm__image_allocate(r->image, r->path, jpeg->image_width, jpeg->image_height, r->fault)) return false;
    jpeg->out_color_space = JCS_RGB;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = r->image->pixels + (int64_t)jpeg->output_scanline * r->image->width * 3;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
    return true;
}

static bool guarded(reading *r, FILE *file)
{
    if (setjmp(r->out)) return false;
    jpeg_create_decompress(&r->jpeg);
    jpeg_stdio_src(&r->jpeg, file);
    return read_pixels(r);
}

bool plm__jpeg_read(FILE *file, const char *path, plm__image *image, plm__fault *fault)
{
    reading r             = { .path = path, .image = image, .fault = fault };
    r.jpeg.err            = jpeg_std_error(&r.errors);
    r.errors.error_exit   = on_error;
    r.errors.emit_message = on_message;
    const bool ok         = guarded(&r, file);
    jpeg_destroy_decompress(&r.jpeg); /* also what was never created: all of it is 0 */
    return ok;
}

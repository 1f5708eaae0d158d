/* image_jpeg.c: JPEG files, by libjpeg-turbo.
 *
 * As in image_png.c, errors come by longjmp, and all that changes after setjmp is reached through `reading`. */
#include "data/image.h"

#include <setjmp.h>

#include <jpeglib.h>

#include <jerror.h>

/* In the finest colour a bit stands for a block of 64 pixels at most: twice that is more than a file can hold.  (Arithmetic
 * coding could do with less; no camera writes it.)  Each scan of a progressive file goes over all of the image again, and a
 * small file could have very many: encoders write about 10. */
enum { PIXELS_OF_A_BYTE = 1024, MOST_SCANS = 500 };

typedef struct {
    struct jpeg_error_mgr         errors; /* first: libjpeg hands out a pointer to it */
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr      progress;
    jmp_buf                       out;
    const plm__image_file        *f;
    plm__image                   *image;
    plm__fault                   *fault;
} reading;

static void on_error(j_common_ptr jpeg)
{
    reading *r = (reading *)jpeg->err;
    char     message[JMSG_LENGTH_MAX];
    r->errors.format_message(jpeg, message);
    const bool memory = r->errors.msg_code == JERR_OUT_OF_MEMORY;
    if (memory) plm__image_fail(r->fault, PLM_ERR_MEMORY, "%s: no memory to read it", r->f->path);
    else plm__image_fail(r->fault, PLM_ERR_FORMAT, "%s is a damaged or truncated JPEG file: %s", r->f->path, message);
    longjmp(r->out, 1);
}

/* Where data end early libjpeg warns and paints the rest gray; to us that is an error.  Other warnings are not. */
static void on_message(j_common_ptr jpeg, int level)
{
    const int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) on_error(jpeg);
}

static void on_progress(j_common_ptr common)
{
    reading *r = (reading *)common->err;
    if (r->jpeg.input_scan_number <= MOST_SCANS) return;
    plm__image_fail(r->fault, PLM_ERR_FORMAT, "%s is a damaged JPEG file: more than %d scans", r->f->path, MOST_SCANS);
    longjmp(r->out, 1);
}

static bool read_pixels(reading *r)
{
    const int64_t most = r->f->bytes < PLM__MAX_PIXELS ? r->f->bytes * PIXELS_OF_A_BYTE : PLM__MAX_PIXELS;
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK)
        return plm__image_fail(r->fault, PLM_ERR_FORMAT,
                               "%s is a CMYK JPEG file, expected RGB or gray; convert it first", r->f->path);
    if (!plm__image_allocate(r->image, r->f, jpeg->image_width, jpeg->image_height, most, r->fault)) return false;
    jpeg->out_color_space = JCS_RGB;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = r->image->pixels + (int64_t)jpeg->output_scanline * r->image->width * 3;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
    return true;
}

static bool guarded(reading *r)
{
    if (setjmp(r->out)) return false;
    jpeg_create_decompress(&r->jpeg);
    jpeg_stdio_src(&r->jpeg, r->f->file);
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress             = &r->progress;
    return read_pixels(r);
}

bool plm__jpeg_read(const plm__image_file *f, plm__image *image, plm__fault *fault)
{
    reading r             = { .f = f, .image = image, .fault = fault };
    r.jpeg.err            = jpeg_std_error(&r.errors);
    r.errors.error_exit   = on_error;
    r.errors.emit_message = on_message;
    const bool ok         = guarded(&r);
    jpeg_destroy_decompress(&r.jpeg); /* also what was never created: all of it is 0 */
    return ok;
}

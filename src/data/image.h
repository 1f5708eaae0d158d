/* image.h (private to data): image files become pixels, and a window of them a sample.
 *
 * Called from any thread, so nothing here touches a context: memory is malloc's, errors go into a plm__fault. */
#ifndef PLM__IMAGE_H
#define PLM__IMAGE_H

#include "data/data.h"

#include <stdio.h>

/* More pixels than this are a lie or a mistake; less cannot overflow anything. */
#define PLM__MAX_PIXELS ((int64_t)1 << 28)

typedef struct {
    int64_t  width, height;
    uint8_t *pixels; /* [height, width, 3]: red, green, blue; malloc's */
} plm__image;

/* Part of an image, in pixels from its upper left corner; its borders may lie within pixels. */
typedef struct {
    double x, y, width, height;
} plm__window;

/* Reads a PNG or JPEG file, whichever its first bytes say.  Gray and palettes become colours, alpha is dropped and 16 bits
 * lose the lower 8, as PIL's convert("RGB") does.  On failure image->pixels is NULL and `fault` names the file. */
bool plm__image_read(const char *path, plm__image *image, plm__fault *fault);
void plm__image_drop(plm__image *image);

/* to u8 [3, height, width] or, gray, [1, height, width]: the window resized by PIL's BILINEAR, a triangle as wide as two
 * pixels of the larger of both grids.  Taps beyond the window count, those beyond the image do not, as with PIL's box=.
 * Gray is .299 red + .587 green + .114 blue.  False: no memory. */
bool plm__image_resize(const plm__image *image, plm__window window, int height, int width, bool gray, uint8_t *to,
                       plm__fault *fault);

/* ------------------------------------------------------------------ for the decoders */

/* Writes why into `fault`; always false. */
bool plm__image_fail(plm__fault *fault, plm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An open file; `bytes` is its size. */
typedef struct {
    FILE       *file;
    const char *path;
    int64_t     bytes;
} plm__image_file;

/* Checks the size and allocates the pixels.  `most`: so many the file can hold; more is a lie. */
bool plm__image_allocate(plm__image *image, const plm__image_file *f, int64_t width, int64_t height, int64_t most,
                         plm__fault *fault);
/* Both read from the start of the file.  What they allocated before failing is image's. */
bool plm__png_read(const plm__image_file *f, plm__image *image, plm__fault *fault);
bool plm__jpeg_read(const plm__image_file *f, plm__image *image, plm__fault *fault);

#endif

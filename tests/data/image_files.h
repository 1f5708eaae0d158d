/* image_files.h: PNG and JPEG files for tests, written by libpng and libjpeg themselves. */
#ifndef PLM_TESTS_DATA_IMAGE_FILES_H
#define PLM_TESTS_DATA_IMAGE_FILES_H

#include "support.h"

#include <jpeglib.h>
#include <png.h>

/* `rows` are as PNG stores them, packed; `palette` for PNG_COLOR_TYPE_PALETTE. */
static inline void write_png(const char *path, int width, int height, int depth, int type, const png_color *palette,
                             int colors, const uint8_t *rows)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    png_structp png  = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop   info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, type, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (palette) png_set_PLTE(png, info, palette, colors);
    png_write_info(png, info);
    for (int y = 0; y < height; y++)
        png_write_row(png, (png_const_bytep)rows + (size_t)y * png_get_rowbytes(png, info));
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    assert_int_equal(fclose(file), 0);
}

static inline void write_jpeg(const char *path, int width, int height, J_COLOR_SPACE space, int channels,
                              const uint8_t *rows)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr       errors;
    FILE                       *file = fopen(path, "wb");
    assert_non_null(file);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width      = (JDIMENSION)width;
    jpeg.image_height     = (JDIMENSION)height;
    jpeg.input_components = channels;
    jpeg.in_color_space   = space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)rows + (size_t)y * (size_t)width * (size_t)channels;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_int_equal(fclose(file), 0);
}

#endif

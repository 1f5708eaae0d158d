/* test_image.c: image files, sound and hostile, and resizing against the definition. */
#include "data/check.h"
#include "data/image.h"
#include "data/image_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void noise(uint8_t *to, size_t n)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) to[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
}

static void check_pixels(const char *path, int width, int height, const uint8_t *expected)
{
    plm__image image;
    plm__fault fault = { PLM_OK, "" };
    assert_true(plm__image_read(path, &image, &fault));
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    assert_memory_equal(image.pixels, expected, (size_t)(width * height * 3));
    plm__image_drop(&image);
}

static void refused(const char *path, plm_status status, const char *part)
{
    plm__image image;
    plm__fault fault = { PLM_OK, "" };
    assert_false(plm__image_read(path, &image, &fault));
    assert_null(image.pixels);
    assert_int_equal(fault.status, status);
    assert_non_null(strstr(fault.message, path));
    if (!strstr(fault.message, part)) fail_msg("\"%s\" does not say \"%s\"", fault.message, part);
}

static void test_png_kinds(void **state)
{
    (void)state;
    enum { W = 5, H = 3, N = W * H };
    uint8_t     rows[N * 8], rgb[N * 3];
    const char *path = test_path("kind.png");
    noise(rows, sizeof rows);

    write_png(path, W, H, 8, PNG_COLOR_TYPE_RGB, NULL, 0, rows);
    check_pixels(path, W, H, rows);

    write_png(path, W, H, 8, PNG_COLOR_TYPE_RGB_ALPHA, NULL, 0, rows);
    for (int i = 0; i < N * 3; i++) rgb[i] = rows[i / 3 * 4 + i % 3];
    check_pixels(path, W, H, rgb);

    write_png(path, W, H, 16, PNG_COLOR_TYPE_RGB, NULL, 0, rows);
    for (int i = 0; i < N * 3; i++) rgb[i] = rows[i * 2];
    check_pixels(path, W, H, rgb);

    write_png(path, W, H, 8, PNG_COLOR_TYPE_GRAY_ALPHA, NULL, 0, rows);
    for (int i = 0; i < N * 3; i++) rgb[i] = rows[i / 3 * 2];
    check_pixels(path, W, H, rgb);

    write_png(path, W, H, 1, PNG_COLOR_TYPE_GRAY, NULL, 0, rows); /* a byte a row */
    for (int i = 0; i < N * 3; i++) rgb[i] = rows[i / 3 / W] >> (7 - i / 3 % W) & 1 ? 255 : 0;
    check_pixels(path, W, H, rgb);

    const png_color palette[4] = { { 1, 2, 3 }, { 40, 50, 60 }, { 7, 8, 9 }, { 255, 0, 128 } };
    for (int i = 0; i < N; i++) rows[i] &= 3;
    for (int i = 0; i < N; i++) memcpy(rgb + (size_t)i * 3, &palette[rows[i]], 3);
    write_png(path, W, H, 8, PNG_COLOR_TYPE_PALETTE, palette, 4, rows);
    check_pixels(path, W, H, rgb);
}

static void test_jpeg_kinds(void **state)
{
    (void)state;
    enum { W = 16, H = 8, N = W * H };
    uint8_t     rows[N * 4];
    plm__image  image;
    plm__fault  fault = { PLM_OK, "" };
    const char *path  = test_path("kind.jpg");
    for (int i = 0; i < N; i++) rows[i] = (uint8_t)(20 + i % W * 10);
    write_jpeg(path, W, H, JCS_GRAYSCALE, 1, rows);
    assert_true(plm__image_read(path, &image, &fault));
    for (int i = 0; i < N * 3; i++) assert_in_range(image.pixels[i], rows[i / 3] - 2, rows[i / 3] + 2);
    plm__image_drop(&image);

    for (int i = 0; i < N * 3; i++) rows[i] = (uint8_t)(60 * (i % 3) + 30);
    write_jpeg(path, W, H, JCS_RGB, 3, rows);
    assert_true(plm__image_read(path, &image, &fault));
    for (int i = 0; i < N * 3; i++) assert_in_range(image.pixels[i], rows[i] - 3, rows[i] + 3);
    plm__image_drop(&image);

    noise(rows, sizeof rows);
    write_jpeg(path, W, H, JCS_CMYK, 4, rows);
    refused(path, PLM_ERR_FORMAT, "CMYK");
}

/* The file cut short at every length, and with each byte changed in turn: an error that names it, or an image. */
static void torture(const char *path, const char *copy_name)
{
    static uint8_t bytes[1 << 14];
    char           copy[1024];
    FILE          *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(size, 100, sizeof bytes - 1);
    for (size_t n = 0; n + 2 < size; n++) {
        strcpy(copy, write_file(copy_name, bytes, n));
        refused(copy, PLM_ERR_FORMAT, n < 3 ? "neither" : "");
    }
    for (size_t i = 0; i < size; i++) {
        plm__image image;
        plm__fault fault = { PLM_OK, "" };
        bytes[i] ^= 0xff;
        strcpy(copy, write_file(copy_name, bytes, size));
        if (!plm__image_read(copy, &image, &fault)) assert_non_null(strstr(fault.message, copy));
        plm__image_drop(&image);
        bytes[i] ^= 0xff;
    }
}

static void test_damaged(void **state)
{
    (void)state;
    uint8_t rows[8 * 8 * 3];
    char    path[1024];
    noise(rows, sizeof rows);
    strcpy(path, test_path("sound.png"));
    write_png(path, 8, 8, 8, PNG_COLOR_TYPE_RGB, NULL, 0, rows);
    torture(path, "damaged.png");
    strcpy(path, test_path("sound.jpg"));
    write_jpeg(path, 8, 8, JCS_RGB, 3, rows);
    torture(path, "damaged.jpg");
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t     ihdr[] = { 0x89, 'P',  'N',  'G',  '\r', '\n', 0x1a, '\n', 0,    0,   0,   13, 'I', 'H', 'D',
                           'R',  0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 8,   2,   0,  0,   0,   0,
                           0,    0,    0,    0,    0,    0,    0,    'I',  'D',  'A', 'T', 0,  0,   0,   0 };
    const uLong crc    = crc32(0, ihdr + 12, 17);
    for (int i = 0; i < 4; i++) ihdr[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    refused(write_file("huge.png", ihdr, sizeof ihdr), PLM_ERR_FORMAT, "2147483647 x 2147483647");
    static const uint8_t square[8] = { 0, 0, 0x40, 0, 0, 0, 0x40, 0 }; /* 2^28 pixels: allowed, but not in 45 bytes */
    memcpy(ihdr + 16, square, 8);
    const uLong other = crc32(0, ihdr + 12, 17);
    for (int i = 0; i < 4; i++) ihdr[29 + i] = (uint8_t)(other >> (24 - 8 * i));
    refused(write_file("lie.png", ihdr, sizeof ihdr), PLM_ERR_FORMAT,
            "an image of 16384 x 16384 pixels, more than its 45 bytes can hold");
    refused(write_file("text.png", "hello, world", 12), PLM_ERR_FORMAT, "neither a PNG nor a JPEG");
    refused(write_file("empty.png", "", 0), PLM_ERR_FORMAT, "neither a PNG nor a JPEG");
    refused("/nonexistent/file.png", PLM_ERR_IO, "cannot open");
    refused("/dev", PLM_ERR_IO, "not a regular file");
}

/* The whole file, lent until the next call. */
static uint8_t *read_back(const char *path, size_t *size)
{
    static uint8_t bytes[1 << 12];
    FILE          *file = fopen(path, "rb");
    assert_non_null(file);
    *size = fread(bytes, 1, sizeof bytes, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(*size, 1, sizeof bytes - 1);
    return bytes;
}

/* Where a marker stands; the size if there is none from there on. */
static size_t marker(const uint8_t *bytes, size_t size, size_t from, uint8_t kind)
{
    while (from + 1 < size && !(bytes[from] == 0xff && (kind ? bytes[from + 1] == kind : bytes[from + 1] != 0))) from++;
    return from + 1 < size ? from : size;
}

/* A size that the file cannot hold, and so many scans that each pixel would be decoded for hours. */
static void test_lying_jpeg(void **state)
{
    (void)state;
    enum { SOF = 0xc0, SOS = 0xda, SCANS = 600 };
    static uint8_t many[1 << 17];
    uint8_t        rows[8 * 8 * 3] = { 0 };
    size_t         size, used;
    const char    *path = test_path("sound.jpg");
    write_jpeg(path, 8, 8, JCS_RGB, 3, rows);
    uint8_t     *bytes = read_back(path, &size);
    const size_t frame = marker(bytes, size, 0, SOF), scan = marker(bytes, size, 0, SOS);
    const size_t end = marker(bytes, size, scan + 2, 0); /* of the only scan's data: EOI */
    assert_in_range(end, scan + 10, size - 2);
    memcpy(many, bytes, scan);
    many[frame + 1] = 0xc2; /* progressive: the DC of all, again and again */
    for (used = scan; used < scan + SCANS * (end - scan); used += end - scan) {
        memcpy(many + used, bytes + scan, end - scan);
        many[used + 12] = 0; /* spectral selection 0 to 0 */
    }
    refused(write_file("scans.jpg", many, used), PLM_ERR_FORMAT, "more than 500 scans");
    memcpy(bytes + frame + 5, (const uint8_t[]){ 0x40, 0, 0x40, 0 }, 4);
    refused(write_file("lie.jpg", bytes, size), PLM_ERR_FORMAT, "an image of 16384 x 16384 pixels, more than its ");
}

/* The definition: a mean of all pixels, weighted by the product of two triangles. */
static double triangle(double pixel, double begin, double length, int i, int n)
{
    const double scale = length / n, half = fmax(1, scale);
    return fmax(0, 1 - fabs(pixel + .5 - (begin + (i + .5) * scale)) / half);
}

static double naive(const plm__image *image, plm__window v, int h, int w, int c, int y, int x)
{
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < image->height; i++)
        for (int64_t j = 0; j < image->width; j++) {
            const double weight = triangle((double)i, v.y, v.height, y, h) * triangle((double)j, v.x, v.width, x, w);
            weights += weight;
            sum += weight * image->pixels[(i * image->width + j) * 3 + c];
        }
    return sum / weights;
}

static void check_resize(const plm__image *image, plm__window v, int h, int w)
{
    uint8_t     *to = malloc((size_t)(4 * h * w)), *gray = to + (size_t)(3 * h * w);
    plm__fault   fault   = { PLM_OK, "" };
    const double luma[3] = { .299, .587, .114 };
    assert_true(plm__image_resize(image, v, h, w, false, to, &fault));
    assert_true(plm__image_resize(image, v, h, w, true, gray, &fault));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double sum = 0;
            for (int c = 0; c < 3; c++) {
                const double expected = naive(image, v, h, w, c, y, x);
                assert_float_equal(to[(c * h + y) * w + x], expected, .501);
                sum += luma[c] * expected;
            }
            assert_float_equal(gray[y * w + x], sum, .501);
        }
    free(to);
}

static void test_resize(void **state)
{
    (void)state;
    enum { W = 23, H = 17 };
    uint8_t          pixels[W * H * 3];
    const plm__image image = { W, H, pixels };
    noise(pixels, sizeof pixels);
    check_resize(&image, (plm__window){ 0, 0, W, H }, 5, 7);   /* smaller                 */
    check_resize(&image, (plm__window){ 0, 0, W, H }, 31, 40); /* larger                  */
    check_resize(&image, (plm__window){ 0, 0, W, H }, 8, 60);  /* both                    */
    check_resize(&image, (plm__window){ 0, 0, W, H }, H, W);   /* the same                */
    check_resize(&image, (plm__window){ 4, 3, 9, 11 }, 4, 4);  /* inside, whole pixels    */
    check_resize(&image, (plm__window){ 2.3, 1.7, 19.9, 15.1 }, 6, 6);
    check_resize(&image, (plm__window){ 22, 16, 1, 1 }, 3, 2); /* one pixel, in a corner  */
    check_resize(&image, (plm__window){ 0, 0, W, H }, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_kinds), cmocka_unit_test(test_jpeg_kinds), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_lying_jpeg), cmocka_unit_test(test_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

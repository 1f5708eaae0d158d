/* image_resize.c: a window of an image becomes a sample, antialiased.
 *
 * Each pixel of the sample is a mean of pixels around its place in the image, weighted by a triangle: two source pixels wide
 * where the image grows, which is bilinear interpolation, and two sample pixels where it shrinks, so that none is passed
 * over.  The triangle is a product of one along y and one along x: first rows are added up into a line, then along that.
 * Source: PIL, Image.resize(size, BILINEAR, box), here in floats, rounded once. */
#include "data/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which source pixels make a pixel of the sample, along one axis. */
typedef struct {
    int64_t first, count;
    float  *weight; /* [count] */
} taps;

/* sample pixel i of n lies at begin + (i + 1/2) length / n; the weights are of sum 1. */
static taps taps_at(int64_t i, int n, double begin, double length, int64_t source, float *weight)
{
    const double  scale = length / n, half = scale > 1 ? scale : 1, centre = begin + ((double)i + .5) * scale;
    const int64_t first = (int64_t)fmax(0, floor(centre - half + .5));
    const int64_t end   = (int64_t)fmin((double)source, floor(centre + half + .5));
    double        sum   = 0;
    for (int64_t k = first; k < end; k++) sum += fmax(0, 1 - fabs((double)k + .5 - centre) / half);
    for (int64_t k = first; k < end; k++)
        weight[k - first] = (float)(fmax(0, 1 - fabs((double)k + .5 - centre) / half) / sum);
    return (taps){ first, end - first, weight };
}

/* At most so many taps has a pixel. */
static int64_t most_taps(int n, double length)
{
    return 2 * (int64_t)ceil(fmax(1, length / n)) + 1;
}

static void add_up_rows(const plm__image *image, taps rows, float *line)
{
    const int64_t n = image->width * 3;
    memset(line, 0, (size_t)n * sizeof *line);
    for (int64_t k = 0; k < rows.count; k++) {
        const uint8_t *row = image->pixels + (rows.first + k) * n;
        for (int64_t i = 0; i < n; i++) line[i] += rows.weight[k] * (float)row[i];
    }
}

static uint8_t rounded(float x)
{
    return (uint8_t)(x < 0 ? 0 : x > 254.5f ? 255 : x + .5f);
}

/* One pixel of the sample, into planes that are `plane` apart. */
static void add_up_columns(const float *line, taps columns, bool gray, uint8_t *to, int64_t plane)
{
    float sum[3] = { 0 };
    for (int64_t k = 0; k < columns.count; k++)
        for (int c = 0; c < 3; c++) sum[c] += columns.weight[k] * line[(columns.first + k) * 3 + c];
    if (gray) *to = rounded(.299f * sum[0] + .587f * sum[1] + .114f * sum[2]);
    else
        for (int c = 0; c < 3; c++) to[c * plane] = rounded(sum[c]);
}

bool plm__image_resize(const plm__image *image, plm__window window, int height, int width, bool gray, uint8_t *to,
                       plm__fault *fault)
{
    const int64_t across = most_taps(width, window.width), down = most_taps(height, window.height);
    taps         *columns = malloc((size_t)width * sizeof *columns);
    float        *numbers = malloc((size_t)(across * width + down + image->width * 3) * sizeof *numbers);
    const bool    ok      = columns && numbers;
    if (ok) {
        float *rows = numbers + across * width, *line = rows + down;
        for (int x = 0; x < width; x++)
            columns[x] = taps_at(x, width, window.x, window.width, image->width, numbers + x * across);
        for (int y = 0; y < height; y++) {
            add_up_rows(image, taps_at(y, height, window.y, window.height, image->height, rows), line);
            for (int x = 0; x < width; x++)
                add_up_columns(line, columns[x], gray, to + (int64_t)y * width + x, (int64_t)height * width);
        }
    } else
        plm__image_fail(fault, PLM_ERR_MEMORY, "no memory to resize an image of %lld x %lld pixels",
                        (long long)image->width, (long long)image->height);
    free(numbers);
    free(columns);
    return ok;
}

/* fill.c: samples become rows of a batch: put in order, augmented, normalised.
 *
 * The order of an epoch is a function of (seed, epoch), an augmentation one of (seed, epoch, number of the sample), so any
 * batch can be made again by itself, anywhere.  Bytes become floats through a table: one load each, whatever the formula. */
#include "data/loader.h"

#include <string.h>

#define BYTE_VALUES 256

static double normalized(const plm__store *s, int channel, double x)
{
    const plm_normalization *n = &s->normalization;
    return s->normalized ? (x * n->scale - n->mean[channel]) / n->std[channel] : x;
}

static void fill_bytes(const plm__filler *f, const uint8_t *from, float *to)
{
    const int64_t plane = f->data->store->x_size / f->channels;
    for (int c = 0; c < f->channels; c++) {
        const float *table = f->table + (size_t)c * BYTE_VALUES;
        for (int64_t i = 0; i < plane; i++) *to++ = table[*from++];
    }
}

static void fill_floats(const plm__filler *f, const float *from, float *to)
{
    const plm__store *s     = f->data->store;
    const int64_t     plane = s->x_size / f->channels;
    if (!s->normalized) {
        memcpy(to, from, (size_t)s->x_size * sizeof *to);
        return;
    }
    for (int c = 0; c < f->channels; c++)
        for (int64_t i = 0; i < plane; i++) *to++ = (float)normalized(s, c, (double)*from++);
}

/* Where the window lies in the padded image, relative to the image itself, and whether it is mirrored. */
typedef struct {
    int64_t dy, dx;
    bool    flip;
} variant;

static variant draw(const plm__filler *f, int64_t epoch, int64_t at)
{
    const plm__store *s     = f->data->store;
    const plm__key    key   = plm__random_key(f->seed, PLM__RANDOM_DATA, "augment", (uint64_t)epoch);
    const uint64_t    bits  = plm__random_bits(key, (uint64_t)at);
    const uint64_t    sides = 2 * (uint64_t)s->crop + 1; /* of 32 and 31 bits: the bias of the product is nil */
    return (variant){ .dy   = (int64_t)((bits >> 32) * sides >> 32) - s->crop,
                      .dx   = (int64_t)((bits >> 1 & 0x7fffffff) * sides >> 31) - s->crop,
                      .flip = s->flip && (bits & 1) };
}

/* to[x] = row[x + dx], the byte 0 beyond its ends, from left to right or (step -1) from right to left. */
static void fill_row(const float *table, const uint8_t *row, int64_t width, int64_t dx, float *to, int64_t step)
{
    const int64_t begin = dx < 0 ? -dx : 0, end = dx > 0 ? width - dx : width;
    for (int64_t x = 0; x < begin; x++) to[x * step] = table[0];
    for (int64_t x = begin; x < end; x++) to[x * step] = table[row[x + dx]];
    for (int64_t x = end; x < width; x++) to[x * step] = table[0];
}

/* As torchvision's RandomCrop(padding), RandomHorizontalFlip and Normalize: the zeros are black pixels, not means. */
static void fill_augmented(const plm__filler *f, const uint8_t *from, variant v, float *to)
{
    const plm_shape shape = f->data->store->x_shape;
    const int64_t   h = shape.dim[1], w = shape.dim[2];
    for (int64_t c = 0; c < shape.dim[0]; c++) {
        const float *table = f->table + (f->channels == 1 ? 0 : c) * BYTE_VALUES;
        for (int64_t y = 0; y < h; y++, to += w) {
            const int64_t row = y + v.dy;
            if (row < 0 || row >= h)
                for (int64_t x = 0; x < w; x++) to[x] = table[0];
            else if (v.flip) fill_row(table, from + (c * h + row) * w, w, v.dx, to + w - 1, -1);
            else fill_row(table, from + (c * h + row) * w, w, v.dx, to, 1);
        }
    }
}

static bool fetch(const plm__filler *f, int64_t epoch, int64_t at, plm__fault *fault)
{
    const plm__store *s   = f->data->store;
    const plm__key    key = plm__random_key(f->seed, PLM__RANDOM_DATA, "fetch", (uint64_t)epoch);
    return s->fetch(s->source, at, f->augment ? &key : NULL, f->raw, fault);
}

static bool fill_x(plm__filler *f, int64_t epoch, int64_t at, float *to, plm__fault *fault)
{
    const plm__store *s = f->data->store;
    if (!f->table) {
        fill_floats(f, (const float *)s->x + at * s->x_size, to);
        return true;
    }
    const uint8_t *from = f->raw;
    if (!f->raw) from = (const uint8_t *)s->x + at * s->x_size;
    else if (!fetch(f, epoch, at, fault)) return false;
    if (f->augment) fill_augmented(f, from, draw(f, epoch, at), to);
    else fill_bytes(f, from, to);
    return true;
}

void plm__fill_table(const plm__filler *f)
{
    for (int c = 0; c < f->channels; c++)
        for (int v = 0; v < BYTE_VALUES; v++) f->table[c * BYTE_VALUES + v] = (float)normalized(f->data->store, c, v);
}

int64_t plm__fill_at(plm__filler *f, int64_t epoch, int64_t position)
{
    if (f->order && f->order_epoch != epoch) {
        plm__random_permutation(plm__random_key(f->seed, PLM__RANDOM_SHUFFLE, NULL, (uint64_t)epoch), f->order,
                                f->data->count);
        f->order_epoch = epoch;
    }
    return plm__dataset_at(f->data, f->order ? f->order[position] : position);
}

bool plm__fill(plm__filler *f, plm__span span, float *x, void *y, plm__fault *fault)
{
    const plm__store *s = f->data->store;
    for (int64_t i = 0; i < span.count; i++) {
        const int64_t at = plm__fill_at(f, span.epoch, span.position + i);
        if (!fill_x(f, span.epoch, at, x + i * s->x_size, fault)) return false;
        if (s->labels) ((int64_t *)y)[i] = s->labels[at];
        else
            memcpy((float *)y + i * s->target_size, s->targets + at * s->target_size,
                   (size_t)s->target_size * sizeof(float));
    }
    return true;
}

/* digits.c: the data set that is always there, 1,797 handwritten digits of 8x8 pixels. */
#include "data/data.h"

#define TRAINING 1500 /* the other 297 test */
#define PIXELS 64

static uint8_t pixel(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool unpack(plm__store *s, int64_t from)
{
    uint8_t *x = plm__new(s->ctx, (size_t)s->count * PIXELS, "the digits");
    s->x       = x;
    s->labels  = x ? plm__new(s->ctx, (size_t)s->count * sizeof *s->labels, "the digits") : NULL;
    if (!s->labels) return false;
    for (int64_t i = 0; i < s->count; i++) {
        const char *digit = plm__digits[from + i];
        s->labels[i]      = digit[0] - '0';
        for (int64_t p = 0; p < PIXELS; p++) x[i * PIXELS + p] = pixel(digit[1 + p]);
    }
    s->x_dtype       = PLM_U8;
    s->normalized    = true;
    s->normalization = (plm_normalization){ .scale = 1.0 / 16, .channels = 1, .mean = { .3053 }, .std = { .3761 } };
    return plm__store_name_classes(s, 10, NULL);
}

plm_dataset *plm__digits_new(plm_ctx *ctx, bool test)
{
    int64_t     count = test ? PLM__DIGITS - TRAINING : TRAINING;
    plm__store *s     = plm__store_new(ctx, "digits", count, plm_shape_of(1, 8, 8));
    if (s && unpack(s, test ? TRAINING : 0)) return plm__dataset_over(s);
    plm__store_drop(s);
    return NULL;
}

/* conv.h: a convolution beside its formula, for tests of the op. */
#ifndef TESTS_OPS_CONV_H
#define TESTS_OPS_CONV_H

#include "roles.h"

#include "ops/ops.h"

static inline plm_val apply(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape;
    return plm_conv2d(in[0], in[1], n > 2 ? in[2] : plm_none, desc_of(user));
}

static inline void naive(const op_case *c, const double *const *x, double *y)
{
    for (int64_t o = 0; o < plm_shape_count(c->out); o++) y[o] = c->n > 2 ? x[2][channel_of(c->out, o)] : 0;
    naive_conv2d(c->in[0], c->in[1], c->out, c->user, &(bilinear){ .x = x[0], .w = x[1], .y = y });
}

static inline void gradient(const op_case *c, const double *const *x, const double *dy, double *const *dx)
{
    for (int64_t o = 0; o < plm_shape_count(c->out) && c->n > 2; o++) dx[2][channel_of(c->out, o)] += dy[o];
    naive_conv2d(c->in[0], c->in[1], c->out, c->user,
                 &(bilinear){ .x = x[0], .w = x[1], .dy = dy, .dx = dx[0], .dw = dx[1] });
}

#define CONV(label, d, x, w, y)                                                                     \
    {                                                                                               \
        { .name = label, .f = apply, .user = d, .naive = naive, .n = 2, .in = { x, w }, .out = y }, \
            .gradient = gradient                                                                    \
    }
#define CONV_BIAS(label, d, x, w, b, y)                                                                              \
    {                                                                                                                \
        { .name = label, .f = apply, .user = d, .naive = naive, .n = 3, .in = { x, w, plm_shape_of(b) }, .out = y }, \
            .gradient = gradient                                                                                     \
    }
#define S plm_shape_of
#define D0(...) ((plm_conv2d_op_desc){ __VA_ARGS__ })
#define D(...) (&(const plm_conv2d_op_desc){ __VA_ARGS__ })

/* A convolution that fits: the window within the padded input.  Channels are of one group; depthwise: one each. */
typedef struct {
    plm_conv2d_op_desc d;
    plm_shape          x, w, y;
} conv;

#endif

/* small.h: a network with weights of two and four axes under an optimiser, and its numbers in double. */
#ifndef PLM_TESTS_OPTIM_SMALL_H
#define PLM_TESTS_OPTIM_SMALL_H

#include "support.h"

#include <math.h>

enum { SMALL_BATCH = 6, SMALL_ROOM = 1 << 17, SMALL_PARAMS = 16 };

/* Owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx       *ctx;
    plm_graph     *g, *h;
    plm_optimizer *o, *second;
    plm_tape      *tape;
    float         *x, *buffer;
    double        *w, *grad, *m, *v; /* all parameters one after the other, row-major */
    int            params;
    plm_param     *param[SMALL_PARAMS];
    int64_t        start[SMALL_PARAMS + 1];
} small;

static inline int small_setup(void **state)
{
    small *s = calloc(1, sizeof *s);
    if (!s || !(s->ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = 5, .threads = 2 }))) return -1;
    s->tape   = plm_tape_new(s->ctx, NULL);
    s->x      = calloc(SMALL_ROOM, sizeof(float));
    s->buffer = calloc(SMALL_ROOM, sizeof(float));
    s->w      = calloc(SMALL_ROOM, sizeof(double));
    s->grad   = calloc(SMALL_ROOM, sizeof(double));
    s->m      = calloc(SMALL_ROOM, sizeof(double));
    s->v      = calloc(SMALL_ROOM, sizeof(double));
    *state    = s;
    if (!s->x || !s->buffer || !s->w || !s->grad || !s->m || !s->v) return -1;
    test_fill(s->x, SMALL_ROOM, 9, -1, 1);
    return 0;
}

static inline int small_teardown(void **state)
{
    small *s = *state;
    plm_tape_free(s->tape);
    plm_optimizer_free(s->o);
    plm_optimizer_free(s->second);
    plm_graph_free(s->g);
    plm_graph_free(s->h);
    plm_ctx_free(s->ctx);
    free(s->x);
    free(s->buffer);
    free(s->w);
    free(s->grad);
    free(s->m);
    free(s->v);
    free(s);
    return 0;
}

#define small_test(f) cmocka_unit_test_setup_teardown(f, small_setup, small_teardown)

/* [3,4,4] to 4: 3x3 to `width`, 3x3 within, 1x1 to 5, linear. */
static inline plm_graph *small_network(plm_ctx *ctx, int64_t width, bool bias)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   h = plm_nn_input(g, plm_shape_of(3, 4, 4));
    h            = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "first", .out = width, .pad = 1, .bias = bias });
    h            = plm_nn_conv2d(plm_nn_relu(h, NULL), &(plm_conv2d_desc){ .name = "square", .out = width, .pad = 1 });
    h            = plm_nn_conv2d(plm_nn_tanh(h, NULL), &(plm_conv2d_desc){ .name = "taps1", .out = 5, .kernel = 1 });
    h            = plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "last", .out = 4, .bias = bias });
    plm_graph_output(h, "y");
    return g;
}

/* [3,4,4] to 4: 3x3 to `width`, depthwise and dilated 3x3, 3x3 and 1x1 in two groups, linear: as many layers as above. */
static inline plm_graph *small_grouped_network(plm_ctx *ctx, int64_t width)
{
    plm_graph            *g     = plm_graph_new(ctx);
    const plm_conv2d_desc first = { .name = "first", .out = width, .pad = 1 };
    const plm_conv2d_desc depth = { .name = "depth", .out = width, .pad = 2, .dilation = 2, .groups = (int)width };
    const plm_conv2d_desc two   = { .name = "two", .out = 2 * width, .pad = 1, .groups = 2 };
    const plm_conv2d_desc taps1 = { .name = "taps1", .out = 6, .kernel = 1, .groups = 2 };
    plm_node              h     = plm_nn_input(g, plm_shape_of(3, 4, 4));
    h                           = plm_nn_conv2d(plm_nn_tanh(plm_nn_conv2d(h, &first), NULL), &depth);
    h                           = plm_nn_conv2d(plm_nn_conv2d(h, &two), &taps1);
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "last", .out = 4 }), "y");
    return g;
}

/* As many whole numbers to 4: an embedding in seven numbers, linear.  The samples become such numbers. */
static inline plm_graph *small_table(small *s)
{
    enum { NUM = 7 };
    plm_graph *g = plm_graph_new(s->ctx);
    plm_node   h = plm_nn_input(g, plm_shape_of(3, 4, 4));
    h            = plm_nn_embedding(h, &(plm_embedding_desc){ .name = "table", .num = NUM, .dim = 5 });
    h            = plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .name = "last", .out = 4 });
    plm_graph_output(h, "y");
    for (int i = 0; i < SMALL_ROOM; i++) s->x[i] = floorf((s->x[i] + 1) / 2 * (NUM - 1)); /* the last one never comes */
    return g;
}

/* Notes the parameters of s->g and reads the weights into s->w. */
static inline void small_begin(small *s)
{
    assert_ok(s->ctx);
    s->params = plm_graph_param_count(s->g);
    for (int i = 0; i < s->params; i++) {
        s->param[i]     = plm_graph_param(s->g, i);
        s->start[i + 1] = s->start[i] + plm_shape_count(plm_param_shape(s->param[i]));
        assert_true(s->start[i + 1] <= SMALL_ROOM);
        assert_true(plm_param_read(s->param[i], s->buffer, s->start[i + 1] - s->start[i]));
        for (int64_t k = s->start[i]; k < s->start[i + 1]; k++) s->w[k] = (double)s->buffer[k - s->start[i]];
    }
}

/* Loss and backward pass on n samples; the gradients go to s->grad, those of frozen parameters are 0. */
static inline void small_backward(small *s, int64_t from, int64_t n, double factor, bool more)
{
    const plm_tensor x    = plm_tensor_wrap(PLM_F32, plm_shape_of(n, 3, 4, 4), s->x + from * 48);
    const plm_val    y    = plm_graph_apply(s->g, plm_tape_input(s->tape, x));
    const plm_val    loss = plm_scale(plm_mean(plm_square(plm_add(y, plm_exp(y))), NULL), factor);
    const bool       ok   = plm_backward_with(loss, &(plm_backward_desc){ .more = more });
    assert_ok(s->ctx);
    assert_true(ok);
    plm_tape_reset(s->tape);
    for (int i = 0; i < s->params; i++) {
        const int64_t count = s->start[i + 1] - s->start[i];
        if (plm_param_frozen(s->param[i])) memset(s->buffer, 0, (size_t)count * sizeof(float));
        else assert_true(plm_param_read_grad(s->param[i], s->buffer, count));
        for (int64_t k = 0; k < count; k++) s->grad[s->start[i] + k] = (double)s->buffer[k];
    }
}

static inline double small_norm(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/* Every parameter is what s->w says. */
static inline void small_compare(const small *s, double rtol)
{
    for (int i = 0; i < s->params; i++) {
        const int64_t n = s->start[i + 1] - s->start[i];
        assert_true(plm_param_read(s->param[i], s->buffer, n));
        assert_all_close(s->buffer, s->w + s->start[i], n, rtol);
    }
}

#endif

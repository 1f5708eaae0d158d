/* test_explain.c: an explanation's numbers against naive loops in double, and against what training does. */
#include "train/check.h"

#include <math.h>

enum { SAMPLES = 24, WIDE = 9, CLASSES = 3, D_0 = 12, ROOM = 4096 };

typedef struct {
    plm_ctx       *ctx;
    plm_graph     *net, *twin;
    plm_optimizer *o, *other;
    plm_dataset   *data;
    plm_explain   *e;
    float          x[SAMPLES * D_0], before[ROOM], after[ROOM];
    int64_t        y[SAMPLES];
} fixture;

static plm_dataset *dataset(fixture *f)
{
    return plm_dataset_from_arrays(
        f->ctx, &(plm_arrays_desc){ .x       = plm_tensor_wrap(PLM_F32, plm_shape_of(SAMPLES, 3, 2, 2), f->x),
                                    .y       = plm_tensor_wrap(PLM_I64, plm_shape_of(SAMPLES), f->y),
                                    .classes = CLASSES });
}

static bool make(fixture *f, const plm_allocator *allocator)
{
    f->ctx = plm_ctx_new(
        &(plm_ctx_desc){ .seed = 3, .threads = 2, .allocator = allocator ? *allocator : (plm_allocator){ 0 } });
    if (!f->ctx) return false;
    test_fill(f->x, SAMPLES * D_0, 1, -2, 2);
    for (int i = 0; i < SAMPLES; i++) f->y[i] = (i * i) % CLASSES;
    f->data = dataset(f);
    return f->data;
}

static void drop(fixture *f)
{
    plm_explain_free(f->e);
    plm_optimizer_free(f->o);
    plm_optimizer_free(f->other);
    plm_graph_free(f->net);
    plm_graph_free(f->twin);
    plm_dataset_free(f->data);
    plm_ctx_free(f->ctx);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state     = f;
    return f && make(f, NULL) ? 0 : -1;
}

static int teardown(void **state)
{
    drop(*state);
    free(*state);
    return 0;
}

static plm_graph *perceptron(plm_ctx *ctx, bool bias)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   h = plm_nn_flatten(plm_nn_input(g, plm_shape_of(3, 2, 2)));
    h            = plm_nn_relu(plm_nn_linear(h, &(plm_linear_desc){ .name = "a", .out = WIDE, .bias = bias }), NULL);
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "b", .out = CLASSES, .bias = bias }), "y");
    return g;
}

/* Everything that has a bound: groups, taps, stride, pools, two branches added and two side by side. */
static plm_graph *branches(plm_ctx *ctx, bool bias)
{
    plm_graph     *g = plm_graph_new(ctx);
    const plm_node x = plm_nn_input(g, plm_shape_of(3, 2, 2));
    plm_node       h = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "stem", .out = 4, .pad = 1, .bias = bias });
    const plm_node r =
        plm_nn_conv2d(plm_nn_tanh(h, NULL), &(plm_conv2d_desc){ .name = "in", .out = 4, .pad = 1, .groups = 2 });
    h                = plm_nn_add(h, plm_nn_sigmoid(r, NULL));
    const plm_node p = plm_nn_max_pool2d(h, &(plm_pool2d_desc){ .kernel = 2 });
    const plm_node q = plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .global = true });
    h                = plm_nn_concat((const plm_node[]){ p, q }, 2, NULL);
    h                = plm_nn_dropout(plm_nn_flatten(h), &(plm_dropout_desc){ .p = 0.25 });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "last", .out = CLASSES, .bias = bias }), "y");
    return g;
}

static void read_all(const plm_graph *g, float *to)
{
    for (int i = 0; i < plm_graph_param_count(g); i++) {
        const int64_t n = plm_shape_count(plm_param_shape(plm_graph_param(g, i)));
        assert_true(plm_param_read(plm_graph_param(g, i), to, n));
        to += n;
    }
}

static void open_explain(fixture *f, const plm_explain_desc *desc)
{
    f->e = plm_explain_new(f->net, desc);
    assert_ok(f->ctx);
    assert_non_null(f->e);
}

/* ------------------------------------------------------------------ facts */

static void test_facts(void **state)
{
    fixture *f = *state;
    double   op[18];
    f->net = branches(f->ctx, false);
    assert_null(plm_explain_new(f->net, NULL));
    assert_error(f->ctx, PLM_ERR_STATE, "no weights yet");
    assert_true(plm_graph_init(f->net, PLM_INIT_AGD));
    plm_param_freeze(plm_graph_layer(f->net, 0)->weight, true);
    open_explain(f, NULL);
    assert_int_equal(plm_explain_layers(f->e), 3);
    assert_int_equal(plm_explain_weights(f->e), 2);
    const plm_layer_facts *stem = plm_explain_layer(f->e, 0), *in = plm_explain_layer(f->e, 1),
                          *last = plm_explain_layer(f->e, 2);
    assert_false(stem->trains);
    assert_close(stem->share, 0, 0, 0);
    assert_close(in->share, 0.5, 0, 0);
    assert_int_equal(in->taps, 9);
    assert_int_equal(in->matrices, 18);
    assert_close(in->scale, sqrt(4.0 / (4 * 9)), 0, 1e-12);
    assert_close(in->op_min, in->scale, 0, 1e-5); /* as drawn */
    assert_close(in->op, in->scale, 0, 1e-5);
    assert_close(in->map_prescribed, 9 * in->scale, 0, 1e-12);
    assert_close(in->map, in->map_prescribed, 0, 1e-5);
    assert_close(in->frobenius, in->scale * sqrt(18 * 2), 0, 1e-5); /* 18 orthogonal 2x2 matrices */
    assert_close(in->per_eta, 0.5 / sqrt(2), 0, 1e-12);
    assert_close(last->scale, sqrt(3.0 / 8), 0, 1e-12);
    assert_null(plm_explain_layer(f->e, 3));
    assert_null(plm_explain_layer(f->e, -1));
    assert_null(plm_explain_node(f->e, plm_graph_node_count(f->net)));

    /* Other weights: the norms are those of spectral.h. */
    plm_explain_free(f->e);
    assert_true(plm_graph_init(f->net, PLM_INIT_PYTORCH));
    open_explain(f, NULL);
    in = plm_explain_layer(f->e, 1);
    assert_true(plm_layer_norms(f->net, 1, PLM_OF_WEIGHT, &(plm_layer_norms_desc){ .op = op }));
    double map = 0, least = op[0], most = op[0];
    for (int tap = 0; tap < 9; tap++) map += fmax(op[tap], op[9 + tap]);
    for (int i = 0; i < 18; i++) {
        least = fmin(least, op[i]);
        most  = fmax(most, op[i]);
    }
    assert_close(in->map, map, 0, 1e-12);
    assert_close(in->op_min, least, 0, 1e-12);
    assert_close(in->op, most, 0, 1e-12);
}

/* The bounds of the nodes, by hand. */
static void test_bounds(void **state)
{
    fixture *f = *state;
    f->net     = branches(f->ctx, false);
    assert_true(plm_graph_init(f->net, PLM_INIT_AGD));
    open_explain(f, NULL);
    const double          stem = 9 * sqrt(4.0 / (3 * 9)), in = 9 * sqrt(1.0 / 9), last = sqrt(3.0 / 8);
    const double          half = 0.5 * sqrt(16); /* ||sigmoid(0)|| of 16 numbers */
    const double          sum = stem + 0.25 * in * stem, drop_factor = 1 / 0.75, both = sqrt(1 + 0.25);
    const plm_node_bound *out = plm_explain_output(f->e);
    assert_close(out->gain, last * drop_factor * both * sum, 0, 1e-5);
    assert_close(out->gain_prescribed, out->gain, 0, 1e-5);
    assert_close(out->offset, last * drop_factor * both * half, 0, 1e-5);
    assert_close(out->onward, 1, 0, 0);
    /* From the stem's output on: through add and tanh, both pools. */
    assert_close(plm_explain_node(f->e, 1)->onward, (1 + 0.25 * in) * (1 + 0.5) * drop_factor * last, 0, 1e-5);
    assert_close(plm_explain_trust(f->e, 0), 0, 0, 0);
}

static void test_unknown_bounds(void **state)
{
    fixture       *f = *state;
    plm_step_terms t;
    plm_layer_step layer[3];
    plm_graph     *g = f->net = plm_graph_new(f->ctx);
    plm_node       h = plm_nn_conv2d(plm_nn_input(g, plm_shape_of(3, 2, 2)), &(plm_conv2d_desc){ .out = 4, .pad = 1 });
    h                = plm_nn_flatten(plm_nn_batch_norm(h, NULL));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = CLASSES }), "y");
    f->o = plm_agd_new(g, NULL);
    open_explain(f, &(plm_explain_desc){ .data = f->data, .batch = 16 });
    assert_close(plm_explain_node(f->e, 1)->gain, 9 * sqrt(4.0 / 27), 0, 1e-5);
    assert_true(isnan(plm_explain_output(f->e)->gain) && isnan(plm_explain_node(f->e, 1)->onward));
    assert_true(isnan(plm_explain_trust(f->e, 0.1)));
    read_all(g, f->before);
    assert_true(plm_explain_step(f->e, f->o, false, &t, layer));
    read_all(g, f->after); /* running statistics too are as before */
    assert_memory_equal(f->before, f->after, sizeof f->before);
    assert_true(isnan(t.f_bound) && isnan(t.df_bound) && isnan(t.majorised));
    assert_true(isnan(layer[0].grad_bound) && isnan(layer[1].grad_bound));
    assert_close(t.linear, -t.eta * t.G, 0, 1e-4);
    assert_close(t.G, layer[0].contribution + layer[1].contribution, 0, 1e-12);
    assert_true(t.df_max >= t.df_rms && t.df_rms > 0);
}

/* ------------------------------------------------------------------ a step */

/* Outputs of the perceptron with these weights, in double. */
static void outputs(const float *w, const float *x, double f[CLASSES])
{
    const float *second = w + WIDE * D_0;
    double       h[WIDE];
    for (int j = 0; j < WIDE; j++) {
        h[j] = 0;
        for (int i = 0; i < D_0; i++) h[j] += (double)w[j * D_0 + i] * (double)x[i];
        h[j] = fmax(h[j], 0);
    }
    for (int c = 0; c < CLASSES; c++) {
        f[c] = 0;
        for (int j = 0; j < WIDE; j++) f[c] += (double)second[c * WIDE + j] * h[j];
    }
}

static double loss_of(plm_loss loss, const double f[CLASSES], int64_t label)
{
    double sum = 0;
    if (loss == PLM_LOSS_XENT) {
        for (int c = 0; c < CLASSES; c++) sum += exp(f[c]);
        return log(sum) - f[label];
    }
    for (int c = 0; c < CLASSES; c++) sum += pow(f[c] - (c == label ? sqrt(CLASSES) : 0), 2);
    return sum / CLASSES / (loss == PLM_LOSS_SQUARE ? 2 : 1);
}

/* Losses and changes from the weights before and after. */
static void check_terms(const fixture *f, plm_loss loss, const plm_step_terms *t)
{
    double before = 0, after = 0, df = 0, df_max = 0, f_squares = 0, first = 0, x_squares = 0;
    for (int s = 0; s < SAMPLES; s++) {
        double a[CLASSES], b[CLASSES], change = 0;
        outputs(f->before, f->x + s * D_0, a);
        outputs(f->after, f->x + s * D_0, b);
        before += loss_of(loss, a, f->y[s]) / SAMPLES;
        after += loss_of(loss, b, f->y[s]) / SAMPLES;
        for (int c = 0; c < CLASSES; c++) {
            double up[CLASSES], down[CLASSES];
            memcpy(up, a, sizeof a);
            memcpy(down, a, sizeof a);
            up[c] += 1e-5;
            down[c] -= 1e-5;
            first += (loss_of(loss, up, f->y[s]) - loss_of(loss, down, f->y[s])) / 2e-5 * (b[c] - a[c]) / SAMPLES;
            change += pow(b[c] - a[c], 2);
            f_squares += a[c] * a[c] / SAMPLES;
        }
        df += change / SAMPLES;
        df_max = fmax(df_max, sqrt(change));
        for (int i = 0; i < D_0; i++) x_squares += pow((double)f->x[s * D_0 + i], 2) / SAMPLES;
    }
    assert_close(t->loss, before, 0, 1e-5);
    assert_close(t->loss_after, after, 0, 1e-5);
    assert_close(t->f_rms, sqrt(f_squares), 0, 1e-5);
    assert_close(t->x_rms, sqrt(x_squares), 0, 1e-6);
    assert_close(t->df_rms, sqrt(df), 0, 1e-5);
    assert_close(t->df_max, df_max, 0, 1e-5);
    assert_close(t->remainder, first - t->linear, 1e-5, 1e-3);
    assert_close(t->bregman, after - before - first, 1e-5, 1e-3);
    assert_true(t->bregman <= t->curvature / CLASSES * t->df_rms * t->df_rms * (1 + 1e-5) + 1e-7);
}

static void test_terms(void **state)
{
    static const plm_loss losses[] = { PLM_LOSS_MSE, PLM_LOSS_XENT, PLM_LOSS_SQUARE };
    fixture              *f        = *state;
    f->net                         = perceptron(f->ctx, false);
    f->o                           = plm_agd_new(f->net, NULL);
    for (int i = 0; i < 3; i++) {
        plm_step_terms t;
        plm_layer_step layer[2];
        plm_explain_free(f->e);
        open_explain(f, &(plm_explain_desc){ .loss = losses[i], .data = f->data, .batch = 1000 });
        read_all(f->net, f->before);
        assert_true(plm_explain_step(f->e, f->o, true, &t, layer));
        read_all(f->net, f->after);
        assert_int_equal(t.samples, SAMPLES);
        check_terms(f, losses[i], &t);
        assert_close(t.rate, t.eta, 0, 1e-6);
        assert_close(t.eta, log((1 + sqrt(1 + 4 * t.G)) / 2), 0, 1e-12);
        assert_close(t.linear, -t.eta * t.G, 0, 1e-4);
        assert_close(t.linear, layer[0].linear + layer[1].linear, 0, 1e-9);
        double squares = 0, weight = 0;
        for (int k = 0; k < WIDE * D_0; k++) {
            squares += pow((double)f->after[k] - (double)f->before[k], 2);
            weight += pow((double)f->before[k], 2);
        }
        assert_close(layer[0].update, sqrt(squares / weight), 0, 1e-6);
        assert_close(plm_explain_layer(f->e, 0)->frobenius, sqrt(weight), 0, 1e-6); /* before the step */
        assert_true(layer[0].update_op <= sqrt(squares) * (1 + 1e-5));
        assert_close(layer[0].update_map, layer[0].update_op, 0, 0);
    }
}

static bool stop(void *user, const plm_step *step)
{
    *(plm_step *)user = *step;
    return false;
}

/* The same samples, the same bits of the weights, the same G and eta as the first step of plm_train. */
static void test_first_step_of_training(void **state)
{
    fixture       *f = *state;
    plm_step       step;
    plm_step_terms t;
    f->net = branches(f->ctx, false);
    f->o   = plm_agd_new(f->net, NULL);
    open_explain(f, &(plm_explain_desc){ .data = f->data, .batch = 10 });
    assert_true(plm_explain_step(f->e, f->o, true, &t, NULL));
    read_all(f->net, f->after);
    f->twin  = branches(f->ctx, false);
    f->other = plm_agd_new(f->twin, NULL);
    assert_true(plm_train(f->twin, f->other, f->data,
                          &(plm_train_desc){ .epochs = 1, .batch = 10, .on_step = stop, .user = &step }, NULL));
    read_all(f->twin, f->before);
    assert_memory_equal(f->after, f->before, sizeof f->after);
    assert_close(t.loss, step.loss, 0, 1e-6);
    assert_close(t.G, plm_optimizer_info(f->other)->G, 0, 1e-6);
    assert_close(t.rate, plm_optimizer_info(f->other)->eta, 0, 0);
}

/* Without keep nothing changes, so that others can be asked the same. */
static void test_put_back(void **state)
{
    fixture       *f = *state;
    plm_step_terms agd, adam, again;
    f->net = perceptron(f->ctx, false);
    f->o   = plm_agd_new(f->net, NULL);
    open_explain(f, &(plm_explain_desc){ .data = f->data });
    read_all(f->net, f->before);
    assert_true(plm_explain_step(f->e, f->o, false, &agd, NULL));
    f->other = plm_adam_new(f->net, &(plm_adam_desc){ .lr = 0.01 });
    assert_true(plm_explain_step(f->e, f->other, false, &adam, NULL));
    read_all(f->net, f->after);
    assert_memory_equal(f->before, f->after, sizeof f->before);
    assert_true(plm_explain_step(f->e, f->o, false, &again, NULL));
    assert_memory_equal(&agd, &again, sizeof agd);
    assert_close(adam.G, agd.G, 0, 0);
    assert_close(adam.loss, agd.loss, 0, 0);
    assert_close(adam.rate, 0.01, 0, 0);
    assert_true(fabs(adam.loss_after - agd.loss_after) > 1e-6);
}

/* All samples in parts are all samples at once. */
static void test_full(void **state)
{
    fixture       *f = *state;
    plm_step_terms whole, parts, one;
    plm_layer_step layer[2][2];
    f->net = perceptron(f->ctx, false);
    f->o   = plm_agd_new(f->net, NULL);
    open_explain(f, &(plm_explain_desc){ .data = f->data, .full = true, .rescale = true });
    assert_true(plm_explain_step(f->e, f->o, false, &whole, layer[0]));
    plm_explain_free(f->e);
    open_explain(f, &(plm_explain_desc){ .data = f->data, .full = true, .rescale = true, .batch = 7 });
    assert_true(plm_explain_step(f->e, f->o, false, &parts, layer[1]));
    assert_close(whole.x_max, sqrt(D_0), 0, 1e-6);
    assert_int_equal(parts.samples, SAMPLES);
    assert_close(parts.loss, whole.loss, 0, 1e-6);
    assert_close(parts.G, whole.G, 0, 1e-5);
    assert_close(parts.loss_after, whole.loss_after, 0, 1e-5);
    assert_close(parts.df_rms, whole.df_rms, 0, 1e-4);
    assert_close(layer[1][0].grad_op, layer[0][0].grad_op, 0, 1e-5);
    for (int full = 0; full < 2; full++) { /* a batch of more than there are */
        plm_explain_free(f->e);
        open_explain(f, &(plm_explain_desc){ .data = f->data, .full = full, .rescale = true, .batch = 1LL << 60 });
        assert_true(plm_explain_step(f->e, f->o, false, &one, NULL));
        assert_int_equal(one.samples, SAMPLES);
        assert_close(one.loss, whole.loss, 0, 1e-6);
    }
}

/* With biases, under SGD with large steps, through every kind of module: the bounds hold. */
static void test_bounds_hold(void **state)
{
    fixture       *f = *state;
    plm_step_terms t;
    plm_layer_step layer[3];
    f->net = branches(f->ctx, true);
    f->o   = plm_sgd_new(f->net, &(plm_sgd_desc){ .lr = 3 });
    open_explain(f, &(plm_explain_desc){ .data = f->data, .loss = PLM_LOSS_XENT });
    for (int step = 0; step < 5; step++) {
        assert_true(plm_explain_step(f->e, f->o, true, &t, layer));
        assert_true(t.f_max <= t.f_bound * (1 + 1e-5));
        assert_true(t.df_max <= t.df_bound * (1 + 1e-5) && t.df_rms <= t.df_within * (1 + 1e-5));
        for (int k = 0; k < 3; k++) assert_true(layer[k].grad_most <= layer[k].grad_bound * (1 + 1e-5));
        assert_true(t.df_rms > 0.01);
        assert_close(t.loss_after - t.loss, t.linear + t.remainder + t.bregman, 1e-12, 1e-9);
    }
}

/* A table's rows are numbered: how large the numbers are says nothing. */
static void test_table_has_no_bound(void **state)
{
    fixture       *f = *state;
    plm_step_terms t;
    plm_layer_step layer[2];
    for (int i = 0; i < SAMPLES * D_0; i++) f->x[i] = (float)(i % 5);
    plm_dataset_free(f->data);
    f->data      = dataset(f);
    plm_graph *g = f->net = plm_graph_new(f->ctx);
    plm_node h = plm_nn_embedding(plm_nn_input(g, plm_shape_of(3, 2, 2)), &(plm_embedding_desc){ .num = 5, .dim = 2 });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(h), &(plm_linear_desc){ .out = CLASSES }), "y");
    f->o = plm_agd_new(g, NULL);
    open_explain(f, &(plm_explain_desc){ .data = f->data });
    assert_true(plm_explain_step(f->e, f->o, false, &t, layer));
    assert_true(layer[0].grad > 0 && isnan(layer[0].grad_bound));
}

/* ------------------------------------------------------------------ what can go wrong */

static void test_errors(void **state)
{
    fixture       *f = *state;
    plm_step_terms t;
    f->net = perceptron(f->ctx, false);
    f->o   = plm_agd_new(f->net, NULL);
    assert_null(plm_explain_new(NULL, NULL));
    assert_null(plm_explain_new(f->net, &(plm_explain_desc){ .batch = -1 }));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_explain_new: batch is -1");
    assert_null(plm_explain_new(f->net, &(plm_explain_desc){ .data = f->data, .loss = (plm_loss)7 }));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "there is no loss 7");
    open_explain(f, NULL);
    assert_false(plm_explain_step(f->e, f->o, false, &t, NULL));
    assert_error(f->ctx, PLM_ERR_STATE, "the explanation has no data");
    plm_explain_free(f->e);
    open_explain(f, &(plm_explain_desc){ .data = f->data });
    assert_false(plm_explain_step(f->e, NULL, false, &t, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "o is NULL");
    assert_false(plm_explain_step(NULL, f->o, false, &t, NULL));
    plm_explain_free(NULL);
    assert_int_equal(plm_explain_layers(NULL) + plm_explain_weights(NULL), 0);
    assert_true(isnan(plm_explain_trust(NULL, 1)));

    float        target[SAMPLES] = { 0 };
    plm_dataset *numbers         = plm_dataset_from_arrays(
                f->ctx, &(plm_arrays_desc){ .x = plm_tensor_wrap(PLM_F32, plm_shape_of(SAMPLES, 3, 2, 2), f->x),
                                            .y = plm_tensor_wrap(PLM_F32, plm_shape_of(SAMPLES), target) });
    assert_null(plm_explain_new(f->net, &(plm_explain_desc){ .data = numbers }));
    plm_dataset_free(numbers);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "has numbers as targets, expected classes");
    plm_explain_free(f->e);
    plm_optimizer_free(f->o);
    plm_graph_free(f->net);
    f->e   = NULL;
    f->o   = NULL;
    f->net = plm_graph_new(f->ctx);
    plm_graph_output(plm_nn_linear(plm_nn_input(f->net, plm_shape_of(50)), &(plm_linear_desc){ .out = CLASSES }), "y");
    assert_true(plm_graph_init(f->net, PLM_INIT_AGD));
    assert_null(plm_explain_new(f->net, &(plm_explain_desc){ .data = f->data }));
    assert_error(f->ctx, PLM_ERR_SHAPE, "has 12 numbers a sample, the network takes 50");
}

static void test_failing_allocations(void **state)
{
    (void)state;
    bool done = false;
    for (int64_t k = 0; !done; k++) {
        test_allocator      memory    = { .fail_at = k };
        const plm_allocator allocator = test_allocator_make(&memory);
        fixture            *f         = calloc(1, sizeof *f);
        plm_step_terms      t;
        assert_non_null(f);
        if (make(f, &allocator)) {
            f->net = perceptron(f->ctx, false);
            f->o   = plm_agd_new(f->net, NULL);
            f->e   = plm_explain_new(f->net,
                                     &(plm_explain_desc){ .data = f->data, .batch = 9, .full = true, .rescale = true });
            done   = plm_explain_step(f->e, f->o, false, &t, NULL);
        }
        if (f->ctx && !done) assert_int_equal(plm_ctx_status(f->ctx), PLM_ERR_MEMORY);
        drop(f);
        free(f);
        assert_int_equal(memory.outstanding, 0);
        assert_true(k < 2000);
    }
}

static void test_formulas(void **state)
{
    (void)state;
    for (double G = 0; G < 5; G += 0.37)
        for (double c = 0.5; c < 3; c += 0.5) {
            const double eta = plm_agd_eta(G, c);
            assert_close(2 * c * exp(eta) * (exp(eta) - 1), G, 1e-12, 1e-12);
        }
    assert_close(plm_agd_eta(2, 0.5), log(2), 0, 1e-12);
    assert_close(plm_loss_curvature(PLM_LOSS_SQUARE, 10), 0.5, 0, 0);
    assert_close(plm_loss_curvature(PLM_LOSS_MSE, 10), 1, 0, 0);
    assert_close(plm_loss_curvature(PLM_LOSS_XENT, 10), 2.5, 0, 0);
}

#define explain_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        explain_test(test_facts),
        explain_test(test_bounds),
        explain_test(test_unknown_bounds),
        explain_test(test_terms),
        explain_test(test_first_step_of_training),
        explain_test(test_put_back),
        explain_test(test_full),
        explain_test(test_bounds_hold),
        explain_test(test_table_has_no_bound),
        explain_test(test_errors),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_write.c: a tape written as text and as a graph; tapes that keep everything. */
#include "fixture.h"

static const char *written(plm_tape *tape, const plm_tape_write_desc *desc)
{
    static char text[1 << 16];
    const char *path = test_path("tape");
    assert_true(plm_tape_write(tape, path, desc));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t n = fread(text, 1, sizeof text - 1, file);
    text[n]        = 0;
    fclose(file);
    return text;
}

static plm_tape *keeping(fixture *f)
{
    plm_tape_free(f->tape);
    return f->tape = plm_tape_new(f->ctx, &(plm_tape_desc){ .keep = true });
}

/* loss = sum(4 (p x)^2 + p) at p = (3, -2), x = (1, 0.5): p has two readers. */
static plm_val quartic(fixture *f)
{
    static const float x[2] = { 1, 0.5f };
    const plm_val      p = plm_tape_param(f->tape, f->p), in = input(f->tape, x, &with_grad);
    return plm_sum(plm_add(plm_scale(plm_square(plm_mul(p, in)), 4), p), NULL);
}

static void test_text(void **state)
{
    fixture *f = *state;
    keeping(f);
    const plm_val loss = quartic(f);
    assert_string_equal(written(f->tape, NULL), "v6 = sum(v5)  []  value 41  no gradient\n"
                                                "v5 = add(v4, v0)  [2]  value 39 2  no gradient\n"
                                                "v4 = scale(v3)  [2]  value 36 4  no gradient\n"
                                                "v3 = square(v2)  [2]  value 9 1  no gradient\n"
                                                "v2 = mul(v0, v1)  [2]  value 3 -1  no gradient\n"
                                                "v1 is input input  [2]  value 1 0.5  no gradient\n"
                                                "v0 is parameter p  [2]  value 3 -2  no gradient\n");
    assert_true(plm_backward(loss));
    assert_string_equal(written(f->tape, NULL), "v6 = sum(v5)  []  value 41  gradient 1\n"
                                                "v5 = add(v4, v0)  [2]  value 39 2  gradient 1 1\n"
                                                "v4 = scale(v3)  [2]  value 36 4  gradient 1 1\n"
                                                "v3 = square(v2)  [2]  value 9 1  gradient 4 4\n"
                                                "v2 = mul(v0, v1)  [2]  value 3 -1  gradient 24 -8\n"
                                                "v1 is input input  [2]  value 1 0.5  gradient 72 16\n"
                                                "v0 is parameter p  [2]  value 3 -2  gradient 25 -3\n");
    plm_tape_reset(f->tape);
    assert_string_equal(written(f->tape, NULL), "");
}

static void test_dot(void **state)
{
    fixture *f = *state;
    keeping(f);
    const plm_input_desc quoted = { .name = "a \"b\" \\", .grad = true };
    const plm_val        x      = input(f->tape, start, &quoted);
    assert_true(plm_backward(plm_sum(plm_mul(plm_tape_param(f->tape, f->p), x), NULL)));
    assert_string_equal(written(f->tape, &(plm_tape_write_desc){ .dot = true }),
                        "digraph tape {\n"
                        "  rankdir=BT;\n"
                        "  node [shape=box, fontname=\"monospace\"];\n"
                        "  v3 [label=\"sum\\n[]\\nvalue 13\\ngradient 1\"];\n"
                        "  v2 -> v3;\n"
                        "  v2 [label=\"mul\\n[2]\\nvalue 9 4\\ngradient 1 1\"];\n"
                        "  v1 -> v2;\n"
                        "  v0 -> v2;\n"
                        "  v1 [shape=box, style=rounded, label=\"p\\n[2]\\nvalue 3 -2\\ngradient 3 -2\"];\n"
                        "  v0 [shape=ellipse, label=\"a \\\"b\\\" \\\\\\n[2]\\nvalue 3 -2\\ngradient 3 -2\"];\n"
                        "}\n");
}

/* Without .keep, what is needed no more is gone, and that is said; after the backward pass so are gradients. */
static void test_what_is_given_back(void **state)
{
    fixture      *f    = *state;
    const plm_val loss = quartic(f);
    assert_true(plm_backward(loss));
    const char *text = written(f->tape, NULL);
    assert_non_null(strstr(text, "v6 = sum(v5)  []  value 41  no gradient\n"));
    assert_non_null(strstr(text, "v0 is parameter p  [2]  value 3 -2  gradient 25 -3\n"));
    plm_tape_reset(f->tape);
    plm_release(plm_square(input(f->tape, start, &with_grad)));
    assert_non_null(strstr(written(f->tape, NULL), "v1 = square(v0)  [2]  value given back  no gradient\n"));
}

static void test_numbers(void **state)
{
    fixture    *f     = *state;
    const float x[12] = { 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 };
    plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3, 4), x));
    assert_string_equal(written(f->tape, NULL),
                        "v0 is input input  [3,4]  value 3 4 0 0 0 0 ... norm 13  no gradient\n");
    assert_string_equal(written(f->tape, &(plm_tape_write_desc){ .numbers = 2 }),
                        "v0 is input input  [3,4]  value 3 4 ... norm 13  no gradient\n");
    assert_string_equal(written(f->tape, &(plm_tape_write_desc){ .numbers = 12 }),
                        "v0 is input input  [3,4]  value 3 4 0 0 0 0 0 0 0 0 0 12  no gradient\n");
}

static void test_gradient_of_any_value(void **state)
{
    fixture *f = *state;
    float    g[2];
    keeping(f);
    const plm_val square = plm_square(plm_tape_param(f->tape, f->p));
    assert_true(plm_backward(plm_sum(plm_scale(plm_square(square), 0.5), NULL)));
    assert_true(plm_val_grad(square, g, 2));
    assert_close((double)g[0], 9, 0, 1e-6);
    assert_close((double)g[1], 4, 0, 1e-6);
    assert_grad(f->p, 54, -16);
}

/* A ReLU inside the matrix product before it makes its gradient of the output's, which is to be seen as well. */
static void test_gradient_of_a_fused_value(void **state)
{
    fixture       *f = *state;
    plm_graph     *g = plm_graph_new(f->ctx);
    const plm_node a = plm_nn_linear(plm_nn_input(g, plm_shape_of(2)), &(plm_linear_desc){ .out = 12 });
    const plm_node b = plm_nn_relu(a, &(plm_relu_desc){ .scale = PLM_SQRT2 });
    float          w[12], grad[12];
    plm_node_keep(b);
    plm_graph_output(plm_nn_linear(b, &(plm_linear_desc){ .out = 1 }), "y");
    assert_true(plm_graph_init(g, PLM_INIT_AGD));
    keeping(f);
    assert_true(
        plm_backward(plm_graph_apply(g, plm_tape_input(f->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1, 2), start)))));
    assert_true(plm_param_read(plm_graph_layer(g, 1)->weight, w, 12));
    assert_true(plm_val_grad(plm_node_value(b, f->tape), grad, 12));
    for (int i = 0; i < 12; i++) assert_close((double)grad[i], (double)w[i], 0, 1e-6);
    plm_graph_free(g);
}

enum { ROOM = 1 << 15, BATCH = 3 };

/* A residual block with batch norm, channels that need padding, a shared input and a pool. */
static plm_graph *block(plm_ctx *ctx)
{
    plm_graph     *g = plm_graph_new(ctx);
    const plm_node x = plm_nn_input(g, plm_shape_of(3, 6, 6));
    const plm_node a = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "a", .out = 20, .pad = 1 });
    const plm_node b = plm_nn_relu(plm_nn_batch_norm(a, &(plm_batch_norm_desc){ .affine = true }), NULL);
    const plm_node c = plm_nn_conv2d(b, &(plm_conv2d_desc){ .name = "c", .out = 20, .pad = 1 });
    const plm_node d = plm_nn_avg_pool2d(plm_nn_relu(plm_nn_add(c, a), NULL), &(plm_pool2d_desc){ .kernel = 2 });
    plm_graph_output(plm_nn_linear(plm_nn_flatten(d), &(plm_linear_desc){ .name = "last", .out = 4 }), "y");
    return g;
}

/* Keeping changes no bit of any gradient, and the text has what can be read, wherever it lies. */
static void test_graph(void **state)
{
    fixture     *f = *state;
    plm_graph   *g = block(f->ctx);
    static float x[ROOM], grad[2][ROOM];
    assert_true(plm_graph_init(g, PLM_INIT_PYTORCH));
    test_fill(x, BATCH * 108, 4, -1, 1);
    for (int keep = 0; keep < 2; keep++) {
        if (keep) keeping(f);
        const plm_tensor in = plm_tensor_wrap(PLM_F32, plm_shape_of(BATCH, 3, 6, 6), x);
        const plm_val    y  = plm_graph_apply(g, plm_tape_input_with(f->tape, in, &with_grad));
        assert_true(plm_backward(plm_mean(plm_square(y), NULL)));
        assert_ok(f->ctx);
        float *at = grad[keep];
        for (int i = 0; i < plm_graph_param_count(g); i++) {
            plm_param *p = plm_graph_param(g, i);
            if (plm_param_role(p) == PLM_ROLE_STATISTIC) continue;
            const int64_t n = plm_shape_count(plm_param_shape(p));
            assert_true(at - grad[keep] + n <= ROOM && plm_param_read_grad(p, at, n));
            at += n;
        }
    }
    assert_memory_equal(grad[0], grad[1], ROOM * sizeof(float));

    const char      *text = written(f->tape, &(plm_tape_write_desc){ .numbers = 3 });
    char             line[256];
    const plm_layer *a = plm_graph_layer(g, 0);
    float            w[540], dw[540];
    assert_true(plm_param_read(a->weight, w, 540) && plm_param_read_grad(a->weight, dw, 540));
    snprintf(line, sizeof line, "is parameter a.weight  [20,3,3,3]  value %.6g %.6g %.6g ... norm ", (double)w[0],
             (double)w[1], (double)w[2]);
    assert_non_null(strstr(text, line));
    snprintf(line, sizeof line, "  gradient %.6g %.6g %.6g ... norm ", (double)dw[0], (double)dw[1], (double)dw[2]);
    assert_non_null(strstr(strstr(text, "is parameter a.weight"), line));
    assert_non_null(strstr(text, " at c  [3,20,6,6]  value "));
    const char *last = strstr(text, " at last"), *first = strstr(text, " at a ");
    assert_true(last && first && last < first); /* backward order */

    plm_graph_free(g);
}

/* A tape that does not record keeps too. */
static void test_no_grad(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    f->tape = plm_tape_new(f->ctx, &(plm_tape_desc){ .keep = true, .no_grad = true });
    quartic(f);
    assert_non_null(strstr(written(f->tape, NULL), "v3 = square(v2)  [2]  value 9 1  no gradient\n"));
    plm_tape_free(f->tape);
    f->tape = plm_tape_new(f->ctx, &(plm_tape_desc){ .no_grad = true });
    quartic(f);
    assert_null(strstr(written(f->tape, NULL), "square")); /* not recorded */
}

static void test_memory_comes_back(void **state)
{
    fixture *f     = *state;
    uint64_t bytes = 0;
    keeping(f);
    for (int step = 0; step < 4; step++) {
        assert_true(plm_backward(quartic(f)));
        plm_tape_reset(f->tape);
        if (step == 1) bytes = plm_ctx_statistics(f->ctx).bytes;
    }
    assert_true(plm_ctx_statistics(f->ctx).bytes == bytes);
}

static void test_sentences(void **state)
{
    fixture *f = *state;
    assert_false(plm_tape_write(NULL, test_path("x"), NULL));
    assert_false(plm_tape_write(f->tape, NULL, NULL));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_tape_write: the path is NULL");
    assert_false(plm_tape_write(f->tape, "/no/such/folder/tape", NULL));
    assert_error(f->ctx, PLM_ERR_IO, "/no/such/folder/tape: cannot be opened: No such file or directory");
    assert_false(plm_tape_write(f->tape, test_path("x"), &(plm_tape_write_desc){ .numbers = -1 }));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "plm_tape_write: -1 numbers of each value");
    quartic(f);
    assert_false(plm_tape_write(f->tape, "/dev/full", NULL));
    assert_error(f->ctx, PLM_ERR_IO, "/dev/full: cannot be written: No space left on device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tape_test(test_text),
        tape_test(test_dot),
        tape_test(test_numbers),
        tape_test(test_what_is_given_back),
        tape_test(test_graph),
        tape_test(test_gradient_of_any_value),
        tape_test(test_gradient_of_a_fused_value),
        tape_test(test_no_grad),
        tape_test(test_memory_comes_back),
        tape_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

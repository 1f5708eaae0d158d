/* test_conv2d_winograd.c: where convolution runs by Winograd's algorithm, and that all passes agree with the formula there. */
#include "conv.h"

static plm__problem suitable(void)
{
    const plm__problem p = { .primitive = PLM__CONV2D,
                             .src       = plm__layout_any(S(2, 32, 8, 8)),
                             .weights   = plm__layout_any(S(32, 32, 3, 3)),
                             .dst       = plm__layout_any(S(2, 32, 8, 8)),
                             .stride    = 1,
                             .pad       = 1 };
    return p;
}

/* Does oneDNN have it here? */
static bool has_winograd(plm_ctx *ctx)
{
    plm__problem p = suitable();
    assert_true(plm__enter(ctx, "a test"));
    const bool ok = plm__negotiate(ctx, &p, (plm__needs){ .data = true, .weights = true });
    plm__leave(ctx);
    assert_true(ok);
    return p.winograd;
}

/* Which of the tape's last convolution's kernels are Winograd's. */
static int winograd_kernels(const plm_tape *tape)
{
    int found = 0;
    for (int i = tape->list.records - 1; i >= 0; i--) {
        const plm_record *r = &tape->list.record[i];
        if (strcmp(r->op->name, "conv2d") != 0) continue;
        for (int k = 0; k < PLM__MAX_KERNELS; k++)
            found += r->kernel[k] && strstr(plm__kernel_name(r->kernel[k]), "wino") != NULL;
        return found;
    }
    return 0;
}

/* ||got - want|| / ||want||. */
static double relative_error(const float *got, const double *want, int64_t n)
{
    double off = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_true(isfinite(got[i]));
        off += pow((double)got[i] - want[i], 2);
        all += want[i] * want[i];
    }
    return sqrt(off / fmax(all, 1e-30));
}

/* All three passes in relative L2 norm: 3e-6 is what oneDNN's Winograd was seen to differ from its direct algorithm. */
static int check_winograd(trial *t, const conv *of, uint64_t seed)
{
    const formula f = CONV("Winograd", &of->d, of->x, of->w, of->y);
    trial_prepare(t, &f, seed);
    plm_tape     *tape = plm_tape_new(t->ctx, NULL);
    const plm_val in[] = { operand(t, tape, 0, WANTED), operand(t, tape, 1, TRAINED) };
    const plm_val y    = apply(tape, in, 2, t);
    assert_ok(t->ctx);
    const int used = winograd_kernels(tape);
    assert_true(plm_val_read(y, t->y, plm_shape_count(of->y)));
    assert_true(relative_error(t->y, t->want_y, plm_shape_count(of->y)) < 3e-6);
    const plm_val v = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, of->y, t->v));
    assert_true(plm_backward(plm_sum(plm_mul(y, v), NULL)));
    want_gradients(t);
    assert_true(plm_val_grad(in[0], t->got, plm_shape_count(of->x)));
    assert_true(relative_error(t->got, t->want[0], plm_shape_count(of->x)) < 3e-6);
    assert_true(plm_param_read_grad(t->p[1], t->got, plm_shape_count(of->w)));
    assert_true(relative_error(t->got, t->want[1], plm_shape_count(of->w)) < 3e-6);
    plm_tape_free(tape);
    return used;
}

/* Dense and ungrouped, even where the context asks for Winograd. */
static void test_winograd_rule(void **state)
{
    static const plm_conv_algorithm wishes[] = { PLM_CONV_AUTO, PLM_CONV_WINOGRAD };
    (void)state;
    for (int i = 0; i < 2; i++) {
        plm_ctx     *ctx   = plm_ctx_new(&(plm_ctx_desc){ .conv = wishes[i] });
        plm__problem apart = suitable(), grouped = suitable(), dense = suitable();
        apart.dilation     = 2;
        grouped.weights    = plm__layout_any(S(2, 16, 16, 3, 3));
        dense.dilation     = 1;
        const bool suits[] = { plm__winograd_suits(ctx, &dense), plm__winograd_suits(ctx, &apart),
                               plm__winograd_suits(ctx, &grouped) };
        plm_ctx_free(ctx);
        assert_true(suits[0] && !suits[1] && !suits[2]);
    }
}

/* Forced: every 3x3 window of stride 1 that oneDNN has Winograd's kernels for, and no dilated or grouped one. */
static void test_winograd(void **state)
{
    trial *t = *state;
    plm_ctx_free(t->ctx);
    t->ctx               = plm_ctx_new(&(plm_ctx_desc){ .threads = 2, .conv = PLM_CONV_WINOGRAD });
    const bool available = has_winograd(t->ctx);
    if (!available) print_message("oneDNN has no Winograd here: the direct algorithm is compared instead\n");
    for (uint64_t seed = 0; seed < 30; seed++) {
        const int64_t c = PICK(seed, 0, 16, 17, 32, 48), k = PICK(seed, 1, 16, 32, 33), n = PICK(seed, 2, 1, 2, 3);
        const int64_t h = PICK(seed, 3, 3, 4, 7, 8), w = PICK(seed, 4, 3, 5, 8);
        const conv    of   = { D0(.pad = 1), S(n, c, h, w), S(k, c, 3, 3), S(n, k, h, w) };
        const int     used = check_winograd(t, &of, seed);
        assert_true(used == 0 || used == 3); /* all passes or none */
        if (available && c % 16 == 0 && k % 16 == 0) assert_int_equal(used, 3);
        if (!available) assert_int_equal(used, 0);
    }
    const conv never[] = { { D0(.pad = 2, .dilation = 2), S(2, 32, 8, 8), S(32, 32, 3, 3), S(2, 32, 8, 8) },
                           { D0(.pad = 1, .groups = 2), S(2, 64, 8, 8), S(64, 32, 3, 3), S(2, 64, 8, 8) },
                           { D0(.pad = 1, .stride = 2), S(2, 32, 8, 8), S(32, 32, 3, 3), S(2, 32, 4, 4) } };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) assert_int_equal(check_winograd(t, &never[i], i), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { trial_test(test_winograd), cmocka_unit_test(test_winograd_rule) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

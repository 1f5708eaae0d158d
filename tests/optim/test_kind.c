/* test_kind.c: an optimiser of one's own, with everything that a kind may have, recomputed in double; what a bad kind says. */
#include "small.h"

/* d = rate m / (1 + ||g_matrix|| t)  with  m = decay m + direction,  direction = g / (1 + sum |g| of its row). */
typedef struct {
    double lr, decay, clip_norm;
    bool   plain, refuse, reinit;
    int    trouble; /* which function fails: see TROUBLE */
} lab_desc;

enum { FINE, TROUBLE_CHECK, TROUBLE_USES, TROUBLE_PREPARE, TROUBLE_BEGIN };

static bool lab_check(plm_ctx *ctx, const void *desc)
{
    return ((const lab_desc *)desc)->trouble != TROUBLE_CHECK || plm_ctx_fail(ctx, PLM_ERR_ARGUMENT, "lab: check");
}

static int lab_uses(const void *desc)
{
    const lab_desc *d = desc;
    return d->trouble == TROUBLE_USES ? 3 : d->decay > 0 ? 1 : 0;
}

static bool lab_accepts(plm_optimizer *o, const plm_param_view *v)
{
    const lab_desc *d = plm_optimizer_desc(o);
    if (!d->refuse || plm_param_role(v->param) == PLM_ROLE_WEIGHT) return true;
    return plm_ctx_fail(plm_optimizer_ctx(o), PLM_ERR_ARGUMENT, "lab: no %s", plm_param_name(v->param));
}

static bool lab_prepare(plm_optimizer *o, plm_param_view *v)
{
    const lab_desc *d     = plm_optimizer_desc(o);
    const plm_shape shape = plm_param_shape(v->param);
    const int64_t   n = plm_shape_count(shape), row = n / shape.dim[0];
    float          *g = plm_optimizer_scratch(o, (size_t)n * sizeof *g);
    if (!g || !plm_view_to_plain(v, v->g, g)) return false;
    for (int64_t r = 0; r < shape.dim[0]; r++) {
        double sum = 0;
        for (int64_t i = r * row; i < (r + 1) * row; i++) {
            g[i] *= (float)plm_optimizer_clip(o);
            sum += fabs((double)g[i]);
        }
        for (int64_t i = r * row; i < (r + 1) * row; i++) g[i] = (float)((double)g[i] / (1 + sum));
    }
    for (int m = 0; m < v->matrices; m++) v->coefficient[m] = sqrt(v->square[m]);
    if (d->trouble == TROUBLE_PREPARE && v->layer && v->layer->index == 3)
        return plm_ctx_fail(plm_optimizer_ctx(o), PLM_ERR_ENGINE, "lab: prepare");
    return plm_view_from_plain(v, g, v->direction);
}

static bool lab_begin(plm_optimizer *o)
{
    const lab_desc *d = plm_optimizer_desc(o);
    double         *t = plm_optimizer_numbers(o);
    plm_param_view *v;
    *t += 1;
    if (d->trouble == TROUBLE_BEGIN) return plm_ctx_fail(plm_optimizer_ctx(o), PLM_ERR_ENGINE, "lab: begin");
    for (int i = 0; (v = plm_optimizer_param(o, i)); i++)
        for (int m = 0; m < v->matrices; m++) v->coefficient[m] = plm_optimizer_rate(o) / (1 + v->coefficient[m] * *t);
    plm_optimizer_report(o, *t, plm_optimizer_weights(o));
    return true;
}

static void lab_delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const float decay = (float)((const lab_desc *)plm_optimizer_desc(o))->decay;
    float      *m     = v->slot[0];
    for (int64_t i = 0; m && i < v->n; i++) m[i] = decay * m[i] + v->direction[i];
    plm_view_scale(v, m ? m : v->direction, d);
}

static const plm_field lab_fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(lab_desc, lr), 0.5, PLM_BOUNDS_POSITIVE },
    { "decay", PLM_FIELD_DOUBLE, offsetof(lab_desc, decay), 0.75, PLM_BOUNDS_FRACTION },
    { "clip_norm", PLM_FIELD_DOUBLE, offsetof(lab_desc, clip_norm), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "reinit", PLM_FIELD_BOOL, offsetof(lab_desc, reinit), 0, PLM_BOUNDS_NONE },
    { 0 },
};

static const plm_optimizer_kind lab = { .name       = "lab",
                                        .init       = PLM_INIT_PYTORCH,
                                        .desc_bytes = sizeof(lab_desc),
                                        .fields     = lab_fields,
                                        .slots      = 2,
                                        .numbers    = 1,
                                        .directions = true,
                                        .check      = lab_check,
                                        .uses       = lab_uses,
                                        .accepts    = lab_accepts,
                                        .prepare    = lab_prepare,
                                        .begin      = lab_begin,
                                        .delta      = lab_delta };

/* Groups and taps of a parameter: 1 and 1 unless it is a layer's weight. */
static const plm_layer *weighs(const small *s, const plm_param *p)
{
    for (int i = 0; i < plm_graph_layer_count(s->g); i++)
        if (plm_graph_layer(s->g, i)->weight == p) return plm_graph_layer(s->g, i);
    return NULL;
}

static void lab_by_hand(small *s, const lab_desc *d, double factor, int t)
{
    const double lr = (d->lr != 0 ? d->lr : 0.5) * factor, decay = d->decay == PLM_ZERO ? 0 : 0.75;
    const double norm = small_norm(s->grad, s->start[s->params]);
    const double clip = d->clip_norm > 0 ? fmin(1, d->clip_norm / (norm + 1e-6)) : 1;
    for (int p = 0; p < s->params; p++) {
        const plm_shape  shape  = plm_param_shape(s->param[p]);
        const plm_layer *l      = weighs(s, s->param[p]);
        const int64_t    groups = l ? l->groups : 1, taps = l ? l->kernel_h * l->kernel_w : 1, first = s->start[p];
        const int64_t    n = s->start[p + 1] - first, row = n / shape.dim[0], each = n / groups;
        for (int64_t i = 0; i < n; i++) {
            double sum = 0, square = 0;
            for (int64_t k = i / row * row; k < (i / row + 1) * row; k++) sum += fabs(clip * s->grad[first + k]);
            for (int64_t k = i / each * each + i % taps; k < (i / each + 1) * each; k += taps)
                square += s->grad[first + k] * s->grad[first + k];
            double *m = &s->m[first + i];
            *m        = decay * *m + clip * s->grad[first + i] / (1 + sum);
            s->w[first + i] -= lr / (1 + sqrt(square) * t) * *m;
        }
    }
}

/* Steps, and probes between them that change nothing. */
static void check(small *s, plm_graph *g, lab_desc d)
{
    s->g = g;
    s->o = plm_optimizer_new(s->g, &lab, &d);
    small_begin(s);
    for (int t = 1; t <= 4; t++) {
        const double factor = t == 3 ? 0.25 : 1;
        assert_true(plm_optimizer_set_factor(s->o, factor));
        small_backward(s, t, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_probe(s->o));
        small_compare(s, t == 1 ? 0 : 2e-6);
        small_backward(s, t, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        lab_by_hand(s, &d, factor, t);
        small_compare(s, 2e-6);
        assert_close(plm_optimizer_info(s->o)->eta, t, 0, 0);
        assert_close(plm_optimizer_info(s->o)->G, plm_graph_layer_count(s->g), 0, 0);
        assert_int_equal(plm_optimizer_info(s->o)->step, t);
    }
}

static void test_blocked_weights(void **state)
{
    small *s = *state;
    check(s, small_network(s->ctx, 17, true), (lab_desc){ 0 });
}

static void test_large(void **state)
{
    small *s = *state;
    check(s, small_network(s->ctx, 70, false), (lab_desc){ .lr = 0.1, .clip_norm = 0.05 });
}

static void test_groups(void **state)
{
    small *s = *state;
    check(s, small_grouped_network(s->ctx, 12), (lab_desc){ .decay = PLM_ZERO });
    assert_int_equal(plm_optimizer_state_bytes(s->o), sizeof(double)); /* no slot is in use */
}

static void test_what_is_lent(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 12, true);
    s->o     = plm_optimizer_new(s->g, &lab, NULL);
    assert_ok(s->ctx);
    const lab_desc *d = plm_optimizer_desc(s->o);
    assert_close(d->lr, 0.5, 0, 0);
    assert_close(d->decay, 0.75, 0, 0);
    assert_ptr_equal(plm_optimizer_kind_of(s->o), &lab);
    assert_ptr_equal(plm_optimizer_graph(s->o), s->g);
    assert_string_equal(plm_optimizer_name(s->o), "lab");
    small_begin(s);
    plm_param_freeze(plm_graph_param_named(s->g, "square.weight"), true);
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_step(s->o));
    static const struct {
        const char *name, *layer;
        int         matrices;
    } want[] = { { "first.weight", "first", 9 },
                 { "first.bias", "first", 1 },
                 { "taps1.weight", "taps1", 1 },
                 { "last.weight", "last", 1 },
                 { "last.bias", "last", 1 } };
    for (int i = 0; i < 5; i++) {
        const plm_param_view *v = plm_optimizer_param(s->o, i);
        assert_string_equal(plm_param_name(v->param), want[i].name);
        assert_string_equal(v->layer->name, want[i].layer);
        assert_int_equal(v->matrices, want[i].matrices);
        int64_t run, seen[9] = { 0 };
        for (int64_t k = 0; k < v->n; k += run) seen[plm_view_matrix(v, k, &run)] += run;
        for (int m = 0; m < v->matrices; m++) assert_int_equal(seen[m], v->n / v->matrices);
    }
    assert_null(plm_optimizer_param(s->o, 5));
    assert_null(plm_optimizer_param(s->o, -1));
    assert_int_equal(plm_optimizer_weights(s->o), 3);
}

/* A norm's parameters come with the last layer before them. */
static void test_layer_of_a_norm(void **state)
{
    small   *s = *state;
    plm_node x = plm_nn_input(s->g = plm_graph_new(s->ctx), plm_shape_of(3, 4, 4)), h;
    x          = plm_nn_batch_norm(x, &(plm_batch_norm_desc){ .name = "start", .affine = true });
    h          = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "conv", .out = 3, .pad = 1 });
    h          = plm_nn_add(plm_nn_relu(h, NULL), x);
    h          = plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "end", .affine = true });
    plm_graph_output(h, NULL);
    s->o = plm_sgd_new(s->g, NULL);
    small_begin(s);
    const plm_tensor t = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 4, 4), s->x);
    assert_true(plm_backward(plm_mean(plm_square(plm_graph_apply(s->g, plm_tape_input(s->tape, t))), NULL)));
    assert_true(plm_optimizer_step(s->o));
    static const char *const layer[] = { NULL, NULL, "conv", "conv", "conv" };
    for (int i = 0; i < 5; i++) {
        const plm_param_view *v = plm_optimizer_param(s->o, i);
        assert_int_equal(v->layer != NULL, layer[i] != NULL);
        if (v->layer) assert_string_equal(v->layer->name, layer[i]);
    }
    assert_int_equal(plm_optimizer_weights(s->o), 1);
}

/* Whatever fails before the pass over memory changes nothing: not the step, not the numbers. */
static void test_troubles_of_a_step(void **state)
{
    small *s = *state;
    for (int trouble = TROUBLE_PREPARE; trouble <= TROUBLE_BEGIN; trouble++) {
        plm_optimizer_free(s->o);
        plm_graph_free(s->g);
        s->g = small_network(s->ctx, 12, true);
        s->o = plm_optimizer_new(s->g, &lab, &(lab_desc){ .trouble = trouble });
        small_begin(s);
        small_backward(s, 0, SMALL_BATCH, 1, false);
        assert_false(plm_optimizer_step(s->o));
        assert_error(s->ctx, PLM_ERR_ENGINE, trouble == TROUBLE_BEGIN ? "lab: begin" : "lab: prepare");
        small_compare(s, 0);
        assert_int_equal(plm_optimizer_info(s->o)->step, 0);
        assert_close(*plm_optimizer_numbers(s->o), 0, 0, 0);
    }
}

static void test_refusals(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, true);
    static const struct {
        lab_desc    desc;
        const char *sentence;
    } bad[] = {
        { { .lr = -1 }, "lab: lr is -1, expected a positive number" },
        { { .decay = 1 }, "lab: decay is 1, expected at least 0 and below 1" },
        { { .clip_norm = -1 }, "lab: clip_norm is -1, expected 0 or more" },
        { { .trouble = TROUBLE_CHECK }, "lab: check" },
        { { .trouble = TROUBLE_USES }, "lab: uses 3 slots of 2" },
        { { .refuse = true }, "lab: no first.bias" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(plm_optimizer_new(s->g, &lab, &bad[i].desc));
        assert_error(s->ctx, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
    const plm_field          outside[]  = { { .name = "lr", .type = PLM_FIELD_DOUBLE, .offset = 1 }, { 0 } };
    const plm_optimizer_kind nameless   = { .delta = lab_delta };
    const plm_optimizer_kind idle       = { .name = "idle" };
    const plm_optimizer_kind greedy     = { .name = "greedy", .delta = lab_delta, .slots = 5 };
    const plm_optimizer_kind many       = { .name = "many", .delta = lab_delta, .numbers = 9 };
    const plm_optimizer_kind misaligned = { .name = "off", .delta = lab_delta, .desc_bytes = 8, .fields = outside };
    const struct {
        const plm_optimizer_kind *kind;
        const char               *sentence;
    } kinds[] = { { NULL, "plm_optimizer_new: the kind has no struct: it is NULL" },
                  { &nameless, "plm_optimizer_new: the kind has no name" },
                  { &idle, "plm_optimizer_new: the kind has no delta" },
                  { &greedy, "greedy: 5 slots, 0 numbers: at most 4 and 8" },
                  { &many, "many: 0 slots, 9 numbers: at most 4 and 8" },
                  { &misaligned, "off: the field lr is not inside a desc of 8 bytes" } };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_null(plm_optimizer_new(s->g, kinds[i].kind, NULL));
        assert_error(s->ctx, PLM_ERR_ARGUMENT, kinds[i].sentence);
    }
    assert_null(plm_optimizer_new(NULL, &lab, NULL));
}

static void test_factor_on_the_rate(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, false);
    s->o     = plm_sgd_new(s->g, &(plm_sgd_desc){ .lr = 0.2 });
    assert_close(plm_optimizer_rate(s->o), 0.2, 0, 0);
    assert_true(plm_optimizer_set_factor(s->o, 0.5));
    assert_close(plm_optimizer_rate(s->o), 0.1, 0, 1e-15);
    small_begin(s);
    small_backward(s, 0, SMALL_BATCH, 1, false);
    assert_true(plm_optimizer_step(s->o));
    for (int64_t k = 0; k < s->start[s->params]; k++) s->w[k] -= 0.1 * s->grad[k];
    small_compare(s, 1e-6);
    assert_close(plm_optimizer_info(s->o)->eta, 0.1, 0, 1e-15);
    static const double bad[] = { -1, NAN, INFINITY };
    for (int i = 0; i < 3; i++) {
        assert_false(plm_optimizer_set_factor(s->o, bad[i]));
        assert_error(s->ctx, PLM_ERR_ARGUMENT, "expected a number of 0 or more");
    }
    assert_close(plm_optimizer_rate(s->o), 0.1, 0, 1e-15);
    s->second = plm_agd_new(s->g, NULL);
    assert_true(isnan(plm_optimizer_rate(s->second)));
    assert_true(plm_optimizer_set_factor(s->second, 1));
    assert_false(plm_optimizer_set_factor(s->second, 0.5));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd has no learning rate to schedule");
    assert_false(plm_optimizer_set_factor(NULL, 1));
}

/* The library's own kinds are what the calls of that name make. */
static void test_own_kinds(void **state)
{
    small                           *s   = *state;
    const plm_optimizer_kind *const *own = plm_optimizer_kinds();
    assert_string_equal(own[0]->name, "agd");
    for (int i = 0; own[i]; i++) {
        assert_non_null(own[i]->summary);
        plm_graph_free(s->g);
        s->g = small_network(s->ctx, 4, false);
        s->o = plm_optimizer_new(s->g, own[i], NULL);
        assert_ok(s->ctx);
        assert_string_equal(plm_optimizer_name(s->o), own[i]->name);
        small_begin(s);
        small_backward(s, 0, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(s->o));
        plm_optimizer_free(s->o);
        s->o = NULL;
    }
}

/* One life whose k-th allocation fails; true if there were as many. */
static bool life(int64_t k)
{
    test_allocator counting = { .fail_at = k };
    plm_ctx       *ctx      = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&counting) });
    float          x[2 * 48];
    test_fill(x, 2 * 48, 3, -1, 1);
    if (ctx) {
        plm_graph     *g    = small_network(ctx, 4, true);
        plm_optimizer *o    = plm_optimizer_new(g, &lab, NULL);
        plm_tape      *tape = plm_tape_new(ctx, NULL);
        const plm_val  y =
            plm_graph_apply(g, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 4, 4), x)));
        const bool ok = plm_backward(plm_mean(plm_square(y), NULL)) && plm_optimizer_step(o);
        assert_int_equal(ok, plm_ctx_status(ctx) == PLM_OK);
        if (!ok) assert_int_equal(plm_ctx_status(ctx), PLM_ERR_MEMORY);
        plm_tape_free(tape);
        plm_optimizer_free(o);
        plm_graph_free(g);
        plm_ctx_free(ctx);
    }
    assert_int_equal(counting.outstanding, 0);
    return counting.calls > k;
}

static void test_kth_allocation_fails(void **state)
{
    (void)state;
    int64_t k = 0;
    while (life(k)) k++;
    assert_true(k > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_blocked_weights), small_test(test_large),
        small_test(test_groups),          small_test(test_what_is_lent),
        small_test(test_layer_of_a_norm), small_test(test_troubles_of_a_step),
        small_test(test_refusals),        small_test(test_factor_on_the_rate),
        small_test(test_own_kinds),       cmocka_unit_test(test_kth_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

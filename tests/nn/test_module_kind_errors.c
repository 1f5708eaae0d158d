/* test_module_kind_errors.c: what a bad kind of module says, and kinds whose functions do not do what they should. */
#include "fixture.h"
#include "own_kinds.h"

/* ------------------------------------------------------------------ what goes wrong */

/* resolve and apply that do what the suffix of the module's name says. */
static bool odd_resolve(plm_module *m, const plm_shape *x)
{
    m->shape = *x;
    if (strcmp(m->name, "second") == 0)
        return plm_module_param(m, "bias", *x, PLM_ROLE_BIAS, 0) &&
               plm_module_param(m, "weight", plm_shape_of(2, 2), PLM_ROLE_WEIGHT, 0);
    if (strcmp(m->name, "cube") == 0) return plm_module_param(m, "weight", plm_shape_of(2, 2, 2), PLM_ROLE_WEIGHT, 0);
    m->table  = strcmp(m->name, "table") == 0;
    m->groups = m->table ? 1 : 2;
    if (m->table) return plm_module_param(m, "weight", plm_shape_of(2, 2, 3, 3), PLM_ROLE_WEIGHT, 0);
    if (strcmp(m->name, "uneven") == 0) return plm_module_param(m, "weight", plm_shape_of(3, 2), PLM_ROLE_WEIGHT, 0);
    if (strcmp(m->name, "nameless") == 0) return plm_module_param(m, NULL, *x, PLM_ROLE_BIAS, 0);
    if (strcmp(m->name, "twin") == 0)
        return plm_module_param(m, "bias", *x, PLM_ROLE_BIAS, 0) && plm_module_param(m, "bias", *x, PLM_ROLE_BIAS, 0) &&
               plm_module_param(m, "c", *x, PLM_ROLE_BIAS, 0) && plm_module_param(m, "d", *x, PLM_ROLE_BIAS, 0) &&
               plm_module_param(m, "e", *x, PLM_ROLE_BIAS, 0);
    if (strcmp(m->name, "shapeless") == 0) m->shape = plm_shape_of(0);
    const plm_node self = { m->graph, 0 };
    if (strcmp(m->name, "builder") == 0) return plm_nn_relu(self, NULL).id >= 0;
    return plm_module_param(m, "p", plm_shape_of(1, 5), PLM_ROLE_STATISTIC, 1);
}

static plm_val odd_apply(const plm_module *m, const plm_val *x)
{
    static const float constant[5] = { 1 };
    float              y[5];
    if (strcmp(m->name, "empty") == 0) return plm_none;
    if (strcmp(m->name, "flat") == 0) return plm_mean(x[0], NULL);
    if (strcmp(m->name, "param") == 0) return plm_tape_param(x[0].tape, m->param[0]);
    if (strcmp(m->name, "reads") == 0) (void)plm_val_read(x[0], y, 5);
    if (strcmp(m->name, "steps") == 0 && plm_backward(plm_mean(x[0], NULL))) return plm_none;
    if (strcmp(m->name, "memory") == 0)
        return plm_add(x[0], plm_tape_input(x[0].tape, plm_tensor_wrap(PLM_F32, plm_shape_of(5), constant)));
    if (strcmp(m->name, "labels") == 0) return plm_embedding(plm_tape_param(x[0].tape, m->param[0]), (plm_tensor){ 0 });
    if (strcmp(m->name, "nested") == 0) return plm_graph_apply(m->graph, x[0]);
    const plm_val y2 = plm_scale(x[0], 2), y4 = plm_scale(y2, 2);
    plm_release(y2); /* needs not, may */
    return y4;
}

static const plm_module_kind odd = {
    .name = "odd", .inputs = 1, .desc_bytes = sizeof(plm_module_desc), .resolve = odd_resolve, .apply = odd_apply
};

static plm_node add_odd(plm_node x, const char *name)
{
    return plm_nn_module(&x, 1, &odd, &(plm_module_desc){ .name = name });
}

static void test_bad_modules(void **state)
{
    fixture *f                          = *state;
    f->g                                = plm_graph_new(f->ctx);
    const plm_node           x[2]       = { plm_nn_input(f->g, plm_shape_of(5)), { f->g, 0 } };
    static const char *const cases[][2] = {
        { "second", "odd at second: a weight is a module's first parameter, and the only weight" },
        { "cube", "odd at cube: its weight is [2,2,2], expected two axes or, with taps, four" },
        { "table", "odd at table: its weight is [2,2,3,3], expected two axes" },
        { "uneven", "odd at uneven: its weight [3,2] does not divide into 2 groups" },
        { "nameless", "odd at nameless: plm_module_param: the suffix is NULL" },
        { "twin", "odd at twin: more than 4 parameters" },
        { "shapeless", "shapeless: extent 1 of [1,0] is 0" },
        { "builder", "relu: a module's resolve cannot add modules" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(add_odd(x[0], cases[i][0]).id, -1);
        assert_int_not_equal(plm_ctx_status(f->ctx), PLM_OK);
        assert_error(f->ctx, plm_ctx_status(f->ctx), cases[i][1]);
        assert_int_equal(plm_graph_node_count(f->g), 1);
        assert_int_equal(plm_graph_param_count(f->g), 0);
    }
    plm_nn_module(x, 2, &swish, NULL);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "swish at swish0: 2 inputs, expected 1");
    plm_nn_module(x, 1, &swish, &(swish_desc){ .name = "s", .beta = -1 });
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "swish at s: beta is -1, expected a positive number that a float holds");
    plm_nn_module(x, 1, &project, NULL);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "project at project0: out is 0, expected a positive number");
    assert_int_equal(plm_nn_module(NULL, 1, &swish, NULL).id, -1); /* of no graph */
    assert_int_equal(plm_nn_module(x, 0, &swish, NULL).id, -1);
    assert_int_equal(plm_nn_module(x, 1, &swish, NULL).id, 1);
    assert_ok(f->ctx);
}

static void test_bad_apply(void **state)
{
    fixture                 *f          = *state;
    static const char *const cases[][2] = {
        { "empty", "odd at empty: its kind's apply returned an empty value, one of another tape or a parameter" },
        { "flat", "odd at flat: its kind's apply returned [], its resolve said [1,5]" },
        { "param", "odd at param: its kind's apply returned an empty value, one of another tape or a parameter" },
        { "reads", "plm_val_read: there are no numbers yet: a module's apply is planned, then run" },
        { "steps", "plm_backward: a module's apply is planned, it has no gradients" },
        { "memory", "input: a module takes numbers from its inputs and parameters, not from memory" },
        { "labels", "embedding at labels: a module takes numbers from its inputs and parameters, not from memory" },
        { "nested", "plm_graph_apply: a module's apply is planned, it runs no other graph" },
        { "good", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plm_graph_free(f->g);
        f->g = plm_graph_new(f->ctx);
        plm_graph_output(add_odd(plm_nn_input(f->g, plm_shape_of(5)), cases[i][0]), "y");
        assert_true(plm_graph_init(f->g, PLM_INIT_AGD));
        const bool ok = plm_graph_predict(f->g, f->x, 1, f->a);
        if (cases[i][1]) {
            assert_false(ok);
            assert_error(f->ctx, plm_ctx_status(f->ctx), cases[i][1]);
        } else {
            assert_ok(f->ctx);
            assert_close(f->a[3], 4 * f->x[3], 0, 0);
        }
    }
}

#define KIND(...)                                               \
    {                                                           \
        __VA_ARGS__, .resolve = odd_resolve, .apply = odd_apply \
    }

static void test_bad_kinds(void **state)
{
    fixture *f                = *state;
    f->g                      = plm_graph_new(f->ctx);
    const plm_node  x         = plm_nn_input(f->g, plm_shape_of(5));
    const plm_field outside[] = { { "beta", PLM_FIELD_DOUBLE, 8, 0, PLM_BOUNDS_NONE }, { 0 } };
    const plm_field name[]    = { { "sign", PLM_FIELD_INT, 4, 0, PLM_BOUNDS_NONE }, { 0 } };
    const plm_field taken[]   = { { "inputs", PLM_FIELD_INT, 8, 0, PLM_BOUNDS_NONE }, { 0 } };
    const plm_field quoted[]  = { { "a\"b", PLM_FIELD_INT, 8, 0, PLM_BOUNDS_NONE }, { 0 } };
    const struct {
        plm_module_kind kind;
        const char     *sentence;
    } cases[] = {
        { { .inputs = 1 }, "the kind has no name" },
        { { .name = "k", .inputs = 1 }, "the kind has no resolve" },
        { { .name = "k", .inputs = 1, .resolve = odd_resolve }, "the kind has no apply" },
        { KIND(.name = "", .inputs = 1), "a kind's name is 1 to 40 letters, digits and _, not \"\"" },
        { KIND(.name = "a b", .inputs = 1), "not \"a b\"" },
        { KIND(.name = "linear", .inputs = 1), "the library has a kind linear already" },
        { KIND(.name = "k"), "k: 0 inputs, expected 1 to 8 or PLM_SEVERAL" },
        { KIND(.name = "k", .inputs = 9), "k: 9 inputs" },
        { KIND(.name = "k", .inputs = 1, .engine = "mine"), "k: .engine is the library's" },
        { KIND(.name = "k", .inputs = 1, .desc_bytes = 4), "k: a desc of 4 bytes" },
        { KIND(.name = "k", .inputs = 1, .desc_bytes = 12, .fields = outside),
          "the field beta is not inside a desc of 12" },
        { KIND(.name = "k", .inputs = 1, .desc_bytes = 16, .fields = name),
          "the field sign is not inside a desc of 16" },
        { KIND(.name = "k", .inputs = 1, .desc_bytes = 16, .fields = taken),
          "a field cannot have the name \"inputs\"" },
        { KIND(.name = "k", .inputs = 1, .desc_bytes = 16, .fields = quoted), "a field cannot have the name \"a\"b\"" },
        { KIND(.name = "k", .inputs = 1, .late = 1), "k: 1 of its 0 fields came later" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(plm_nn_module(&x, 1, &cases[i].kind, NULL).id, -1);
        assert_error(f->ctx, PLM_ERR_ARGUMENT, cases[i].sentence);
    }
    plm_nn_module(&x, 1, NULL, NULL);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "the kind is NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = { kind_test(test_bad_modules), kind_test(test_bad_apply),
                                        kind_test(test_bad_kinds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

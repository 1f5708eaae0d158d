/* test_module_kind_files.c: modules of one's own in files: their kinds are known or not, their descs are kept; memory that fails. */
#include "fixture.h"
#include "own_kinds.h"

#include <math.h>

static void predict(plm_graph *g, const float *x, float *y)
{
    assert_true(plm_graph_predict(g, x, 3, y));
}

/* ------------------------------------------------------------------ files */

static const plm_open_desc with = { .kinds = kinds };

static void test_files(void **state)
{
    fixture *f = *state;
    char     path[256];
    snprintf(path, sizeof path, "%s", test_path("own.safetensors"));
    f->g = network(f->ctx, true);
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    assert_true(plm_graph_save(f->g, path));
    f->h = plm_graph_open_with(f->ctx, path, &with);
    assert_ok(f->ctx);
    predict(f->g, f->x, f->a);
    predict(f->h, f->x, f->b);
    assert_memory_equal(f->a, f->b, 15 * sizeof *f->a);
    assert_true(plm_graph_save(f->h, test_path("again.safetensors")));

    assert_null(plm_graph_open(f->ctx, path));
    assert_error(f->ctx, PLM_ERR_FORMAT, "own.safetensors: node 1 of its network: its kind \"taps\" is not known here");
    static const plm_module_kind *const some[] = { &taps, &mix, NULL };
    assert_null(plm_graph_open_with(f->ctx, path, &(plm_open_desc){ .kinds = some }));
    assert_error(f->ctx, PLM_ERR_FORMAT, "node 2 of its network: its kind \"swish\" is not known here");
    static const plm_module_kind        bad    = { .name = "swish" };
    static const plm_module_kind *const bads[] = { &bad, NULL };
    assert_null(plm_graph_open_with(f->ctx, path, &(plm_open_desc){ .kinds = bads }));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "the kind has no resolve");
}

/* Older files lack fields that came later; only these. */
static void test_late_fields(void **state)
{
    fixture        *f = *state;
    static char     bytes[1 << 14];
    const char     *path  = test_path("late.safetensors");
    plm_module_kind early = swish;
    f->g                  = plm_graph_new(f->ctx);
    plm_node x            = plm_nn_input(f->g, plm_shape_of(5));
    plm_graph_output(plm_nn_module(&x, 1, &swish, &(swish_desc){ .beta = 2 }), "y");
    assert_true(plm_graph_save(f->g, path));
    FILE        *file = fopen(path, "r+b");
    const size_t size = fread(bytes, 1, sizeof bytes - 1, file);
    char        *at   = strstr(bytes + 8, ",\\\"twice\\\":false"); /* behind the length */
    assert_non_null(at);
    memset(at, ' ', 16);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    f->h = plm_graph_open_with(f->ctx, path, &with);
    assert_ok(f->ctx);
    predict(f->g, f->x, f->a);
    predict(f->h, f->x, f->b);
    assert_memory_equal(f->a, f->b, 15 * sizeof *f->a);
    early.late                           = 0;
    const plm_module_kind *const olds[2] = { &early };
    assert_null(plm_graph_open_with(f->ctx, path, &(plm_open_desc){ .kinds = olds }));
    assert_error(f->ctx, PLM_ERR_FORMAT, "its \"twice\" is missing or impossible");
}

/* What resolve leaves in a desc is saved: numbers, then. */
static bool infinite_resolve(plm_module *m, const plm_shape *x)
{
    swish_desc *d = m->desc;
    d->beta       = INFINITY;
    return same_shape(m, x);
}

static void test_unsavable(void **state)
{
    fixture        *f        = *state;
    plm_module_kind infinite = swish;
    infinite.resolve         = infinite_resolve;
    f->g                     = plm_graph_new(f->ctx);
    const plm_node x         = plm_nn_input(f->g, plm_shape_of(5));
    plm_graph_output(plm_nn_module(&x, 1, &infinite, NULL), "y");
    assert_false(plm_graph_save(f->g, test_path("infinite.safetensors")));
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "a number inf");
    plm_graph_free(f->g); /* before its kind ends */
    f->g = NULL;
}

/* Every allocation fails once: of building, of planning, of opening. */
static void test_memory(void **state)
{
    (void)state;
    static float x[3 * 36], y[15];
    char         path[256];
    int          failures = 0;
    bool         done     = false;
    snprintf(path, sizeof path, "%s", test_path("memory.safetensors"));
    for (int64_t k = 0; !done; k++) {
        test_allocator a      = { .fail_at = -1 };
        plm_ctx       *ctx    = plm_ctx_new(&(plm_ctx_desc){ .threads = 1, .allocator = test_allocator_make(&a) });
        const int64_t  before = a.calls;
        a.fail_at             = before + k;
        plm_graph *g = network(ctx, true), *opened = NULL;
        bool       ok = plm_graph_init(g, PLM_INIT_PYTORCH) && plm_graph_predict(g, x, 3, y) && plm_graph_save(g, path);
        ok            = ok && (opened = plm_graph_open_with(ctx, path, &with));
        done          = a.calls - before <= k;
        a.fail_at     = -1;
        if (!ok) {
            assert_error(ctx, PLM_ERR_MEMORY, "out of memory");
            failures++;
        }
        assert_true(ok || !done);
        plm_graph_free(opened);
        plm_graph_free(g);
        plm_ctx_free(ctx);
        assert_int_equal(a.outstanding, 0);
    }
    assert_true(failures > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = { kind_test(test_files), kind_test(test_late_fields), kind_test(test_unsavable),
                                        kind_test(test_memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_safetensors.c: what a header may say, what it may not, and files by another program. */
#include "golden.h"
#include "nn/files.h"
#include "nn/safetensors.h"

static char bad[1024];

static int setup(void **state)
{
    strcpy(bad, test_path("bad.safetensors"));
    return test_ctx_setup(state);
}
#define file_test(f) cmocka_unit_test_setup_teardown(f, setup, test_ctx_teardown)

/* Opening the file fails, and so does loading it. */
static void assert_refused(plm_ctx *ctx, const char *part)
{
    plm_graph *net = plm_graph_new(ctx);
    assert_false(plm_graph_load(net, bad));
    assert_error(ctx, PLM_ERR_FORMAT, part);
    plm_graph_free(net);
    assert_null(plm_graph_open(ctx, bad));
    assert_error(ctx, PLM_ERR_FORMAT, part);
}

#define TENSOR(name, shape, offsets) "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_headers(void **state)
{
    static const struct {
        const char *header, *part; /* of a file with 24 bytes of data */
    } cases[] = {
        { "", "its header is not JSON" },
        { "{", "its header is not JSON" },
        { "{}}", "its header is not JSON" },
        { "[]", "its header is not a JSON object" },
        { "{}", "its last 24 bytes belong to no tensor" },
        { "{\"w\":3}", "tensor w lacks dtype, shape or data_offsets" },
        { "{\"w\":{\"dtype\":\"F32\",\"shape\":[6]}}", "tensor w lacks" },
        { "{\"w\":{\"dtype\":32,\"shape\":[6],\"data_offsets\":[0,24]}}", "tensor w lacks" },
        { "{\"w\":{\"dtype\":\"F32\",\"shape\":[6],\"shape\":[6],\"data_offsets\":[0,24]}}", "tensor w lacks" },
        { "{\"w\":{\"dtype\":\"F33\",\"shape\":[6],\"data_offsets\":[0,24]}}", "tensor w is of the unknown dtype F33" },
        { "{" TENSOR("w", "[-6]", "[0,24]") "}", "tensor w has an impossible shape" },
        { "{" TENSOR("w", "[6.5]", "[0,24]") "}", "tensor w has an impossible shape" },
        { "{" TENSOR("w", "[1e300]", "[0,24]") "}", "tensor w has an impossible shape" },
        { "{" TENSOR("w", "[1e999]", "[0,24]") "}", "tensor w has an impossible shape" },
        { "{" TENSOR("w", "[9007199254740992]", "[0,24]") "}", "tensor w has an impossible shape" },
        { "{" TENSOR("w", "[4294967296,4294967296]", "[0,24]") "}", "tensor w has an impossible shape" },
        { "{" TENSOR("w", "[\"6\"]", "[0,24]") "}", "tensor w has an impossible shape" },
        { "{" TENSOR("w", "[5]", "[0,24]") "}", "tensor w needs 20 bytes and has 24" },
        { "{" TENSOR("w", "[0]", "[0,24]") "}", "tensor w needs 0 bytes and has 24" },
        { "{" TENSOR("w", "[7]", "[0,28]") "}", "tensor w does not lie within the 24 bytes of data" },
        { "{" TENSOR("w", "[6]", "[24,0]") "}", "tensor w does not lie" },
        { "{" TENSOR("w", "[6]", "[-4,20]") "}", "tensor w does not lie" },
        { "{" TENSOR("w", "[6]", "[0,24,0]") "}", "tensor w does not lie" },
        { "{" TENSOR("w", "[6]", "[0]") "}", "tensor w does not lie" },
        { "{" TENSOR("w", "[6]", "[]") "}", "tensor w does not lie" },
        { "{" TENSOR("w", "[6]", "[0,1e300]") "}", "tensor w does not lie" },
        { "{" TENSOR("v", "[4]", "[0,16]") "," TENSOR("w", "[4]", "[8,24]") "}", "tensor w overlaps" },
        { "{" TENSOR("v", "[6]", "[0,24]") "," TENSOR("w", "[6]", "[0,24]") "}", "overlaps" },
        { "{" TENSOR("w", "[4]", "[8,24]") "}", "tensor w follows bytes that belong to none" },
        { "{" TENSOR("w", "[5]", "[0,20]") "}", "its last 4 bytes belong to no tensor" },
        { "{" TENSOR("w", "[3]", "[0,12]") "," TENSOR("w", "[3]", "[12,24]") "}", "tensor w is there twice" },
        { "{\"__metadata__\":[]," TENSOR("w", "[6]", "[0,24]") "}", "its __metadata__ is not one object of strings" },
        { "{\"__metadata__\":{\"a\":1}," TENSOR("w", "[6]", "[0,24]") "}", "its __metadata__ is not one object" },
        { "{\"__metadata__\":{},\"__metadata__\":{}," TENSOR("w", "[6]", "[0,24]") "}", "its __metadata__ is not one" },
    };
    plm_ctx *ctx = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_tensors(bad, cases[i].header, NULL, 24);
        assert_refused(ctx, cases[i].part);
    }
}

/* What a header may have: no metadata, no tensors, axes of zero, many axes, types that only others use. */
static void test_unusual(void **state)
{
    plm_ctx         *ctx = *state;
    plm__safetensors f;
    write_tensors(bad, " {} \n", NULL, 0);
    assert_true(plm__safetensors_open(&f, ctx, bad));
    assert_int_equal(f.entries, 0);
    plm__safetensors_close(&f);
    write_tensors(bad,
                  "{" TENSOR("w", "[2,0,3]", "[0,0]") "," TENSOR(
                      "v", "[1,1,1,1,1,1,1,2]",
                      "[0,8]") ","
                               "\"h\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[8,10],\"more\":null}}",
                  NULL, 10);
    assert_true(plm__safetensors_open(&f, ctx, bad));
    assert_ok(ctx);
    assert_int_equal(f.entries, 3);
    assert_int_equal(plm__safetensors_find(&f, "v")->shape.rank, 8);
    assert_int_equal(plm__safetensors_find(&f, "h")->begin, 8);
    assert_null(plm__safetensors_find(&f, "x"));
    plm__safetensors_close(&f);
}

/* Files by another program; the second reader here was written apart. */
static void test_golden_files(void **state)
{
    static const char *const names[] = { "fcn_mse_agd", "vgg_mse_agd", "preact_bottleneck_mse_agd" };
    plm_ctx                 *ctx     = *state;
    for (int i = 0; i < 3; i++) {
        golden_open(names[i]);
        char file[1024];
        snprintf(file, sizeof file, "%s/%s.safetensors", PLUMMET_GOLDEN, names[i]);
        plm__safetensors f;
        assert_true(plm__safetensors_open(&f, ctx, file));
        assert_ok(ctx);
        int compared = 0;
        for (int k = 0; k < f.entries; k++) {
            const plm__entry *e = &f.entry[k];
            if (strcmp(e->dtype, "F32") != 0) continue;
            plm_shape    shape;
            const float *want = golden_f32(e->name, &shape);
            float       *got  = test_malloc((size_t)(e->end - e->begin));
            assert_true(plm_shape_equal(shape, e->shape));
            assert_true(plm__safetensors_read(&f, e, got));
            assert_memory_equal(got, want, (size_t)(e->end - e->begin));
            test_free(got);
            compared++;
        }
        assert_true(compared > 10);
        plm__safetensors_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { file_test(test_headers), file_test(test_unusual),
                                        file_test(test_golden_files) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

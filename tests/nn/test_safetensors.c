/* test_safetensors.c: what a header may say, what it may not, and files by another program. */
#include "golden.h"
#include "nn/files.h"
#include "nn/safetensors.h"

#include <math.h>

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

#define TENSOR_BODY(shape, offsets) "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define TENSOR(name, shape, offsets) "\"" name "\":" TENSOR_BODY(shape, offsets)

static void test_headers(void **state)
{
    static const struct {
        const char *header, *part; /* of a file with 24 bytes of data */
    } cases[] = {
        { "", "its header is not JSON" },
        { "{", "its header is not JSON" },
        { "{}}", "its header is not JSON" },
        { "{\"a\xff\":" /* no UTF-8 */ TENSOR_BODY("[6]", "[0,24]") "}", "its header is not JSON" },
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

/* The value of a half precision number by the words of the standard, in double. */
static double half_value(unsigned bits, int exponent_bits, int fraction_bits)
{
    const int    most = (1 << exponent_bits) - 1, bias = most / 2;
    const int    exponent = (int)(bits >> fraction_bits) & most, fraction = (int)bits & ((1 << fraction_bits) - 1);
    const double sign = bits & 0x8000 ? -1 : 1, part = (double)fraction / (1 << fraction_bits);
    if (exponent == most) return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? (1 + part) * pow(2, exponent - bias) : part * pow(2, 1 - bias));
}

/* Each of the 65536 numbers of both kinds, subnormals and infinities too: the same number, bit for bit but for a nan's. */
static void test_half_precision(void **state)
{
    enum { COUNT = 1 << 16, BYTES = 2 * COUNT };
    plm_ctx          *ctx      = *state;
    static const char header[] = "{\"a\":{\"dtype\":\"F16\",\"shape\":[65536],\"data_offsets\":[0,131072]},"
                                 "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,32768],\"data_offsets\":[131072,262144]}}   ";
    uint8_t          *bytes = test_malloc(8 + sizeof header - 1 + 2 * BYTES), *at = bytes + 8 + sizeof header - 1;
    float            *got = test_malloc(COUNT * sizeof *got);
    plm__safetensors  f;
    memset(bytes, 0, 8);
    bytes[0] = (uint8_t)(sizeof header - 1);
    memcpy(bytes + 8, header, sizeof header - 1);
    for (int i = 0; i < 2 * COUNT; i++) at[2 * i] = (uint8_t)i, at[2 * i + 1] = (uint8_t)(i >> 8);
    write_bytes(bad, bytes, 8 + sizeof header - 1 + 2 * BYTES);
    assert_true(plm__safetensors_open(&f, ctx, bad));
    for (int kind = 0; kind < 2; kind++) {
        assert_true(plm__safetensors_read_f32(&f, plm__safetensors_find(&f, kind ? "b" : "a"), got));
        for (unsigned i = 0; i < COUNT; i++) {
            const float want = (float)half_value(i, kind ? 8 : 5, kind ? 7 : 10);
            if (isnan(want)) assert_true(isnan(got[i]));
            else assert_memory_equal(&got[i], &want, sizeof want);
        }
    }
    plm__safetensors_close(&f);
    test_free(got);
    test_free(bytes);
}

/* fc.weight [2,3] and fc.bias [2], each 0.5, 1.5, ... in half precision, and one tensor more. */
static void write_halves(const char *dtype, const char *more, size_t bytes)
{
    static const uint16_t bf16[] = { 0x3f00, 0x3fc0, 0x4020, 0x4060, 0x4090, 0x40b0, 0x3f00, 0x3fc0 },
                          f16[]  = { 0x3800, 0x3e00, 0x4100, 0x4300, 0x4480, 0x4580, 0x3800, 0x3e00 };
    char    header[1024];
    uint8_t data[64] = { 0 };
    memcpy(data, strcmp(dtype, "F16") == 0 ? f16 : bf16, sizeof f16);
    snprintf(header, sizeof header,
             "{\"fc.weight\":{\"dtype\":\"%s\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
             "\"fc.bias\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[12,16]}%s}",
             dtype, dtype, more);
    write_tensors(bad, header, data, 16 + bytes);
}

static void assert_halves(plm_graph *net)
{
    float w[6], b[2];
    assert_true(plm_graph_load(net, bad));
    assert_true(plm_param_read(plm_graph_param(net, 0), w, 6) && plm_param_read(plm_graph_param(net, 1), b, 2));
    for (int i = 0; i < 6; i++) assert_close((double)w[i], 0.5 + i, 0, 0);
    for (int i = 0; i < 2; i++) assert_close((double)b[i], 0.5 + i, 0, 0);
}

/* Into row-major weights and, once the network has been used, into whatever layout its kernels chose. */
static void test_load_half_precision(void **state)
{
    plm_ctx    *ctx  = *state;
    plm_graph  *net  = plm_graph_new(ctx);
    const float x[3] = { 1, 1, 1 };
    float       y[2];
    plm_graph_output(
        plm_nn_linear(plm_nn_input(net, plm_shape_of(3)), &(plm_linear_desc){ .name = "fc", .out = 2, .bias = true }),
        "y");
    write_halves("F16", ",\"norm.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[16,24]}", 8);
    assert_halves(net);
    assert_true(plm_graph_predict(net, x, 1, y));
    assert_close((double)y[1], 3.5 + 4.5 + 5.5 + 1.5, 0, 1e-6);
    write_halves("BF16", "", 0);
    assert_halves(net);
    write_halves("F16", ",\"norm.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]}", 8);
    assert_false(plm_graph_load(net, bad));
    assert_error(ctx, PLM_ERR_FORMAT, "; extra: norm.num_batches_tracked");
    write_halves("I16", "", 0);
    assert_false(plm_graph_load(net, bad));
    assert_error(ctx, PLM_ERR_FORMAT, "fc.weight is I16 [2,3], expected F32, BF16 or F16 [2,3]");
    plm_graph_free(net);
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
                                        file_test(test_half_precision), file_test(test_load_half_precision),
                                        file_test(test_golden_files) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

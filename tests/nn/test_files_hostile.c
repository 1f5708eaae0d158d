/* test_files_hostile.c: model files that are broken, cut off, or written by an enemy: each is refused with a sentence,
 * or is a whole network after all.  Memory errors are the sanitizers' to find. */
#include "nn/files.h"

#include <cjson/cJSON.h>

static char path[1024], bad[1024];

static int setup(void **state)
{
    strcpy(path, test_path("net.safetensors"));
    strcpy(bad, test_path("bad.safetensors"));
    if (test_ctx_setup(state) != 0) return -1;
    plm_graph *net = whole_network(*state);
    fill_network(net, 1);
    plm_graph_set_classes(net, (const char *const[]){ "a", "b" }, 2);
    plm_graph_set_normalization(net, &(plm_normalization){ .channels = 1, .mean = { 0.5 }, .std = { 0.25 } });
    const bool saved = plm_graph_save(net, path);
    plm_graph_free(net);
    return saved ? 0 : -1;
}
#define hostile_test(f) cmocka_unit_test_setup_teardown(f, setup, test_ctx_teardown)

#define TENSOR(name, shape, offsets) "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define GRAPH(input, nodes, output, kept) \
    "{\"version\":1,\"input\":" input ",\"output\":" output ",\"nodes\":[" nodes "],\"kept\":" kept "}"
#define IN "{\"kind\":\"input\",\"name\":\"input0\",\"inputs\":[]}"
#define FC "{\"kind\":\"linear\",\"name\":\"fc\",\"inputs\":[0],\"out\":2,\"bias\":false}"
#define NODE(kind, name, inputs, fields) "{\"kind\":\"" kind "\",\"name\":\"" name "\",\"inputs\":" inputs fields "}"
#define LAST "{\"node\":1,\"name\":\"y\"}"
#define NET(nodes) GRAPH("[3]", IN "," nodes, LAST, "[]")
#define IMAGE(nodes) GRAPH("[3,1,1]", IN "," nodes, LAST, "[]")

/* A file with fc.weight [2,3] and this description. */
static void write_described(const char *graph, const char *key, const char *more)
{
    char   header[4096] = "{\"__metadata__\":{\"plummet.graph\":\"";
    size_t used         = strlen(header);
    for (const char *c = graph; *c; c++) {
        if (*c == '"') header[used++] = '\\';
        header[used++] = *c;
    }
    sprintf(header + used, "\"%s%s},%s}", key, more, TENSOR("fc.weight", "[2,3]", "[0,24]"));
    write_tensors(bad, header, NULL, 24);
}

static void test_descriptions(void **state)
{
    static const struct {
        const char *graph, *part;
    } cases[] = {
        { "", "plummet.graph in its metadata is not JSON" },
        { "{", "plummet.graph in its metadata is not JSON" },
        { "{}", "not described in version 1" },
        { "{\"version\":2}", "not described in version 1" },
        { "{\"version\":1}", "its network lacks \"nodes\", \"kept\" or \"output\"" },
        { GRAPH("3", IN "," FC, LAST, "[]"), "its network has no \"input\" shape" },
        { GRAPH("[-3]", IN "," FC, LAST, "[]"), "impossible \"input\" shape" },
        { GRAPH("[1,1,1,1,1,1,1]", IN "," FC, LAST, "[]"), "impossible \"input\" shape" },
        { GRAPH("[]", IN "," FC, LAST, "[]"), "input: rank 0, expected 1 to 5" },
        { GRAPH("[0]", IN "," FC, LAST, "[]"), "input: extent 1 of [1,0] is 0" },
        { GRAPH("[4294967296,4294967296]", IN "," FC, LAST, "[]"), "too many elements" },
        { GRAPH("[4]", IN "," FC, LAST, "[]"), "needs a tensor fc.weight [2,4], which is not in the file" },
        { GRAPH("[3]", "", LAST, "[]"), "its network has no input or no output" },
        { GRAPH("[3]", IN "," IN, LAST, "[]"), "node 1 of its network: its name is not one that its kind can have" },
        { GRAPH("[3]", IN "," NODE("input", "input1", "[]", ""), LAST, "[]"), "the graph has an input already" },
        { GRAPH("[3]", IN "," FC, "{\"node\":2,\"name\":\"y\"}", "[]"), "its network has no input or no output" },
        { GRAPH("[3]", IN "," FC, "{\"node\":-1,\"name\":\"y\"}", "[]"), "its network has no input or no output" },
        { GRAPH("[3]", IN "," FC, "{\"node\":1}", "[]"), "lacks \"nodes\", \"kept\" or \"output\"" },
        { GRAPH("[3]", IN "," FC, LAST, "[2]"), "keeps a node that is not there" },
        { NET("3"), "node 1 of its network: its kind is missing" },
        { NET(NODE("transformer", "fc", "[0]", "")),
          "node 1 of its network: its kind \"transformer\" is not known here" },
        { NET("{\"kind\":\"relu\",\"inputs\":[0]}"), "its name or inputs are missing" },
        { NET(NODE("tanh", "t", "[]", "")), "its inputs are too few" },
        { NET(NODE("tanh", "t", "[0,0]", "")), "its inputs are too many or not earlier nodes" },
        { NET(NODE("tanh", "t", "[1]", "")), "its inputs are too many or not earlier nodes" },
        { NET(NODE("tanh", "t", "[0.5]", "")), "its inputs are too many or not earlier nodes" },
        { NET(NODE("tanh", "t", "[-1]", "")), "its inputs are too many or not earlier nodes" },
        { NET(NODE("add", "add0", "[0]", "")), "its inputs are too few" },
        { NET(NODE("add", "ad0", "[0,0]", "")), "its name is not one that its kind can have" },
        { NET(NODE("add", "a/add0", "[0,0]", "")), "its name is not one that its kind can have" },
        { NET(NODE("linear", "fc", "[0]", "")), "its \"out\" is missing or impossible" },
        { NET(NODE("linear", "fc", "[0]", ",\"out\":2")), "its \"bias\" is missing or impossible" },
        { NET(NODE("linear", "fc", "[0]", ",\"out\":2,\"bias\":0")), "its \"bias\" is missing or impossible" },
        { NET(NODE("linear", "fc", "[0]", ",\"out\":1e300,\"bias\":true")), "its \"out\" is missing or impossible" },
        { NET(NODE("linear", "fc", "[0]", ",\"out\":1e15,\"bias\":true")),
          "fc.weight [1000000000000000,3], which is not" },
        { NET(NODE("linear", "fd", "[0]", ",\"out\":2,\"bias\":true")), "fd.weight [2,3], which is not in the file" },
        { NET(NODE("linear", "fc", "[0]", ",\"out\":2,\"bias\":true")),
          "needs a tensor fc.bias [2], which is not in the file" },
        { NET(NODE("conv2d", "fc", "[0]", ",\"out\":2,\"kernel\":9e9,\"stride\":1,\"pad\":0,\"bias\":true")),
          "its \"kernel\" is missing or impossible" },
        { IMAGE(NODE("conv2d", "fc", "[0]", ",\"out\":2,\"kernel\":1,\"stride\":1,\"pad\":0,\"bias\":true")),
          "fc.weight [2,3,1,1], which is not in the file" },
        { NET(NODE("conv2d", "fc", "[0]",
                   ",\"out\":2,\"kernel\":1,\"stride\":1,\"pad\":0,\"bias\":true,\"groups\":\"2\"")),
          "its \"groups\" is missing or impossible" },
        { NET(NODE("conv2d", "fc", "[0]",
                   ",\"out\":2,\"kernel\":1,\"stride\":1,\"pad\":0,\"bias\":true,\"groups\":1,\"groups\":1")),
          "its \"groups\" is missing or impossible" },
        { NET(NODE("conv2d", "fc", "[0]",
                   ",\"out\":2,\"kernel\":1,\"stride\":1,\"pad\":0,\"bias\":true,\"dilation\":-1")),
          "its \"dilation\" is missing or impossible" },
        { IMAGE(
              NODE("conv2d", "fc", "[0]", ",\"out\":3,\"kernel\":1,\"stride\":1,\"pad\":0,\"bias\":true,\"groups\":3")),
          "fc.weight [3,1,1,1], which is not in the file" },
        { NET(NODE("avg_pool2d", "p", "[0]", ",\"kernel\":0,\"stride\":0,\"pad\":0,\"global\":1")),
          "its \"global\" is missing or impossible" },
        { NET(NODE("batch_norm", "fc", "[0]", ",\"eps\":1,\"momentum\":1,\"affine\":true")),
          "fc.running_mean [3], which is not in the file" },
        { NET(NODE("concat", "c", "[]", ",\"axis\":0")), "its inputs are too few" },
        { NET(NODE("concat", "c", "[0,0,0,0,0,0,0,0,0]", ",\"axis\":0")), "its inputs are too many or not earlier" },
        { NET(NODE("concat", "c", "[0,1]", ",\"axis\":0")), "its inputs are too many or not earlier nodes" },
        { NET(NODE("concat", "c", "[0,0]", "")), "its \"axis\" is missing or impossible" },
        { NET(NODE("concat", "c", "[0,0]", ",\"axis\":-2")), "concat at c: there is no axis -2" },
        { NET(NODE("concat", "c", "[0,0]", ",\"axis\":-1.5")), "its \"axis\" is missing or impossible" },
        { NET(NODE("concat", "c", "[0,0]", ",\"axis\":-1e9")), "its \"axis\" is missing or impossible" },
        { NET(NODE("concat", "c", "[0,0]", ",\"axis\":1")), "concat at c: there is no axis 1 in its input 0 [3]" },
        { NET(NODE("slice", "s", "[0]", ",\"axis\":0,\"start\":0")), "its \"stop\" is missing or impossible" },
        { NET(NODE("slice", "s", "[0]", ",\"axis\":0,\"start\":2,\"stop\":1")), "elements 2 to 1 along axis 0" },
        { NET(NODE("slice", "s", "[0]", ",\"axis\":0,\"start\":0,\"stop\":9e15")), "slice at s: elements 0 to 9" },
        { NET(NODE("slice", "s", "[0]", ",\"axis\":5,\"start\":0,\"stop\":1")), "slice at s: there is no axis 5" },
        { NET(NODE("embedding", "fc", "[0]", ",\"num\":2")), "its \"dim\" is missing or impossible" },
        { NET(NODE("embedding", "fc", "[0]", ",\"num\":3,\"dim\":2")), "fc.weight [3,2], which is not in the file" },
        { NET(NODE("embedding", "fc", "[0]", ",\"num\":9e15,\"dim\":9e15")), "which is not in the file" },
        { NET(NODE("embedding", "e", "[0]", ",\"num\":2,\"dim\":3")), "e.weight [2,3], which is not in the file" },
        { GRAPH("[1,1,1,1,3]", IN "," NODE("embedding", "fc", "[0]", ",\"num\":2,\"dim\":3"), LAST, "[]"),
          "its input is [1,1,1,1,3] without the batch axis" },
        { NET(NODE("layer_norm", "n", "[0]", ",\"axes\":0,\"eps\":1,\"affine\":true")),
          "n.weight [3], which is not in the file" },
        { NET(NODE("layer_norm", "n", "[0]", ",\"axes\":2,\"eps\":1,\"affine\":true")), "layer_norm at n: axes is 2" },
        { NET(NODE("clamp", "k", "[0]", ",\"low\":2,\"high\":1")), "clamp at k: low is 2 and high 1" },
        { NET(NODE("dropout", "d", "[0]", ",\"p\":1")), "dropout at d: p is 1" },
        { NET(NODE("relu", "r", "[0]", ",\"scale\":-1")), "relu at r: scale is -1" },
        { NET(NODE("relu", "r", "[0]", ",\"scale\":1e999")), "its \"scale\" is missing or impossible" },
        { NET(NODE("relu", "r", "[0]", ",\"scale\":\"1\"")), "its \"scale\" is missing or impossible" },
        { NET(NODE("max_pool2d", "p", "[0]", ",\"kernel\":1,\"stride\":1,\"pad\":0")),
          "expected [channels,height,width]" },
        { NET(NODE("tanh", "input0", "[0]", "")), "the name is taken" },
        { NET(NODE("tanh", "t", "[0]", "")), "extra: fc.weight" },
    };
    plm_ctx *ctx = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_described(cases[i].graph, "", "");
        assert_null(plm_graph_open(ctx, bad));
        assert_non_null(strstr(plm_ctx_error(ctx), "bad.safetensors: "));
        assert_error(ctx, PLM_ERR_FORMAT, cases[i].part);
    }
    write_described(NET(FC), "", "");
    plm_graph *net = plm_graph_open(ctx, bad);
    assert_ok(ctx);
    plm_graph_free(net);
}

/* As written before convolutions had dilation and groups, and pools exclude_pad and global. */
static void test_late_fields(void **state)
{
    static const char old[] = GRAPH(
        "[3,4,4]",
        IN "," NODE("conv2d", "c", "[0]", ",\"out\":2,\"kernel\":3,\"stride\":1,\"pad\":0,\"bias\":false") "," NODE(
            "avg_pool2d", "p", "[1]", ",\"kernel\":2,\"stride\":1,\"pad\":1"),
        "{\"node\":2,\"name\":\"y\"}", "[]");
    char   header[4096] = "{\"__metadata__\":{\"plummet.graph\":\"";
    float  x[48], y[18], mean = 0;
    size_t used = strlen(header);
    for (const char *c = old; *c; c++) {
        if (*c == '"') header[used++] = '\\';
        header[used++] = *c;
    }
    sprintf(header + used, "\"},%s}", TENSOR("c.weight", "[2,3,3,3]", "[0,216]"));
    write_tensors(bad, header, NULL, 216);
    plm_graph *net = plm_graph_open(*state, bad);
    assert_ok(*state);
    assert_int_equal(plm_graph_layer(net, 0)->groups, 1);
    test_fill(x, 48, 4, 0, 1);
    assert_true(plm_graph_predict(net, x, 1, y)); /* all weights are one number: y's corner is one window, a quarter */
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 9; i++) mean += x[16 * c + i / 3 * 4 + i % 3] / 4;
    float w[54];
    assert_true(plm_param_read(plm_graph_param(net, 0), w, 54));
    assert_close((double)y[0], (double)(w[0] * mean), 0, 1e-5);
    plm_graph_free(net);
}

static void test_other_parts(void **state)
{
    static const struct {
        const char *key, *text, *part;
    } cases[] = {
        { "classes", "3", "its class names are not an array" },
        { "classes", "[3]", "its class names are not strings" },
        { "classes", "['a','b','c']", "its class names are more than its network has outputs" },
        { "classes", "[", "plummet.classes in its metadata is not JSON" },
        { "normalization", "[]", "its normalisation has an impossible scale" },
        { "normalization", "{'scale':1,'channels':17}", "its normalisation has an impossible scale or number" },
        { "normalization", "{'scale':1,'channels':1,'mean':[0],'std':[]}", "one mean and one std for each channel" },
        { "normalization", "{'scale':1,'channels':1,'mean':[0,0],'std':[1]}", "one mean and one std for each channel" },
        { "normalization", "{'scale':1,'channels':1,'mean':[1e999],'std':[1]}",
          "one mean and one std for each channel" },
        { "normalization", "{'scale':1,'channels':2,'mean':[0,0],'std':[1,1]}", "another number of channels" },
    };
    plm_ctx *ctx = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[64], more[256];
        sprintf(key, ",\"plummet.%s\":\"", cases[i].key);
        char *to = more;
        for (const char *c = cases[i].text; *c; c++) to += sprintf(to, *c == '\'' ? "\\\"" : "%c", *c);
        strcpy(to, "\"");
        write_described(NET(FC), key, more);
        assert_null(plm_graph_open(ctx, bad));
        assert_non_null(strstr(plm_ctx_error(ctx), "bad.safetensors: "));
        assert_error(ctx, PLM_ERR_FORMAT, cases[i].part);
    }
}

/* The user hears of a refusal once, and in the words that the context has. */
typedef struct {
    int  calls;
    char message[1024];
} heard;

static void hear(void *user, plm_status status, const char *message)
{
    heard *h = user;
    h->calls += status == PLM_ERR_FORMAT;
    strcpy(h->message, message);
}

static void test_on_error(void **state)
{
    (void)state;
    heard    h   = { 0 };
    plm_ctx *ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2, .on_error = hear, .on_error_user = &h });
    write_described(NET(NODE("relu", "r", "[0]", ",\"scale\":-1")), "", "");
    assert_null(plm_graph_open(ctx, bad));
    assert_int_equal(h.calls, 1);
    assert_string_equal(h.message, plm_ctx_error(ctx));
    assert_int_equal(strncmp(h.message, bad, strlen(bad)), 0);
    assert_null(plm_graph_open(ctx, path)); /* the error is sticky */
    plm_ctx_clear(ctx);
    plm_ctx_fail(ctx, PLM_ERR_FORMAT, "mine"); /* still heard */
    assert_int_equal(h.calls, 2);
    plm_ctx_free(ctx);
}

/* Opens `bad`: a clean refusal, or a network that can be used and saved. */
static bool try_bad(plm_ctx *ctx)
{
    static float x[4096], y[4096];
    plm_graph   *net = plm_graph_open(ctx, bad);
    if (!net) {
        assert_true(plm_ctx_status(ctx) == PLM_ERR_FORMAT || plm_ctx_status(ctx) == PLM_ERR_IO);
        plm_ctx_clear(ctx);
        return false;
    }
    assert_ok(ctx);
    assert_true(plm_graph_initialized(net));
    const int64_t in = plm_shape_count(plm_graph_input_shape(net)), out = plm_shape_count(plm_graph_output_shape(net));
    if (in <= 4096 && out <= 4096) assert_true(plm_graph_predict(net, x, 1, y));
    assert_true(plm_graph_save(net, bad));
    plm_graph_free(net);
    net = plm_graph_open(ctx, bad);
    assert_ok(ctx);
    plm_graph_free(net);
    return true;
}

static void test_cut_off(void **state)
{
    plm_ctx      *ctx = *state;
    size_t        size;
    unsigned char whole[1 << 16];
    memcpy(whole, file_bytes(path, &size), sizeof whole);
    for (size_t length = 0; length < size; length += length < 32 || size - length < 32 ? 1 : 37) {
        write_bytes(bad, whole, length);
        assert_false(try_bad(ctx));
    }
    write_bytes(bad, whole, size);
    assert_true(try_bad(ctx));
    whole[size] = 0;
    write_bytes(bad, whole, size + 1);
    assert_false(try_bad(ctx));
}

static void test_lying_length(void **state)
{
    plm_ctx       *ctx = *state;
    size_t         size;
    unsigned char *bytes  = file_bytes(path, &size);
    const uint64_t truth  = bytes[0] + 256u * bytes[1];
    const uint64_t lies[] = { 0,
                              1,
                              truth - 8,
                              truth + 1,
                              size - 8,
                              size - 7,
                              size,
                              1 << 24,
                              (1 << 24) + 1,
                              INT64_MAX - 8,
                              INT64_MAX,
                              (uint64_t)INT64_MAX + 1,
                              UINT64_MAX - 7,
                              UINT64_MAX };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        for (int k = 0; k < 8; k++) bytes[k] = (unsigned char)(lies[i] >> (8 * k));
        write_bytes(bad, bytes, size);
        assert_false(try_bad(ctx));
    }
}

/* One byte of the header becomes another: any, or, more cunningly, a digit or a mark of JSON. */
static void test_mutations(void **state)
{
    enum { TRIES = 600 };
    static const char cunning[] = "0123456789-.e[]{},:\"\\ atn";
    plm_ctx          *ctx       = *state;
    size_t            size;
    unsigned char     whole[1 << 16];
    float             random[3 * TRIES];
    int               opened = 0;
    memcpy(whole, file_bytes(path, &size), sizeof whole);
    const size_t header = 8 + whole[0] + 256u * whole[1];
    test_fill(random, 3 * TRIES, 9, 0, 1);
    for (int i = 0; i < TRIES; i++) {
        const size_t        at  = (size_t)((double)random[3 * i] * (double)header);
        const double        any = random[3 * i + 2];
        const unsigned char was = whole[at];
        whole[at] = (unsigned char)(random[3 * i + 1] < 0.3f ? (int)(256 * any) : cunning[(int)(25 * any)]);
        write_bytes(bad, whole, size);
        opened += try_bad(ctx);
        whole[at] = was;
    }
    assert_in_range(opened, 1, TRIES / 2);
}

/* cJSON's own allocations fail. */
static int json_calls, json_fails_at, json_out;

static void *json_malloc(size_t bytes)
{
    if (json_calls++ == json_fails_at) return NULL;
    json_out++;
    return malloc(bytes);
}

static void json_free(void *memory)
{
    json_out -= memory != NULL;
    free(memory);
}

static void test_json_memory(void **state)
{
    plm_ctx *ctx = *state;
    bool     ok  = false;
    cJSON_InitHooks(&(cJSON_Hooks){ json_malloc, json_free });
    for (json_fails_at = 0; !ok; json_fails_at += json_fails_at < 20 ? 1 : 7) {
        json_calls     = 0;
        plm_graph *net = plm_graph_open(ctx, path);
        ok             = net != NULL;
        plm_graph_free(net);
        plm_ctx_clear(ctx);
        if (json_out != 0) break;
    }
    cJSON_InitHooks(NULL);
    assert_true(ok);
    assert_int_equal(json_out, 0);
    assert_true(json_fails_at > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = { hostile_test(test_descriptions), hostile_test(test_late_fields),
                                        hostile_test(test_other_parts),  hostile_test(test_on_error),
                                        hostile_test(test_cut_off),      hostile_test(test_lying_length),
                                        hostile_test(test_mutations),    hostile_test(test_json_memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

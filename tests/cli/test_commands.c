/* test_commands.c: plummet inspect, evaluate, predict and bench. */
#include "cli/run.h"

#include <cjson/cJSON.h>

static char weights[1200]; /* a network for digits, trained once */

static int train_once(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path("trained"));
    snprintf(weights, sizeof weights, "%s/model.safetensors", dir);
    return run("train --depth 3 --width 32 --epochs 4 --quiet --out %s", dir);
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(o, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static cJSON *parsed(void)
{
    cJSON *o = cJSON_Parse(out);
    if (!o) print_error("not JSON: %s\n", out);
    assert_non_null(o);
    return o;
}

static void test_inspect(void **state)
{
    (void)state;
    assert_int_equal(run("inspect --depth 4 --width 64 --dataset cifar10"), 0);
    assert_non_null(strstr(out, "layers 4, depth 4, parameters 205,440"));
    assert_int_equal(run("inspect --depth 4 --width 64 --dataset cifar10 --format json"), 0);
    cJSON *o = parsed();
    assert_close(number(o, "layers"), 4, 0, 0);
    assert_close(number(o, "parameters"), 3072 * 64 + 2 * 64 * 64 + 64 * 10, 0, 0);
    const cJSON *layers = cJSON_GetObjectItem(o, "weight_layers"), *nodes = cJSON_GetObjectItem(o, "nodes");
    assert_int_equal(cJSON_GetArraySize(layers), 4);
    assert_close(number(cJSON_GetArrayItem(layers, 0), "d_in"), 3072, 0, 0);
    assert_close(number(cJSON_GetArrayItem(layers, 3), "d_out"), 10, 0, 0);
    assert_int_equal(cJSON_GetArraySize(nodes), 9); /* input, flatten, 4 linear, 3 relu */
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "input")), 3);
    cJSON_Delete(o);
    assert_int_equal(run("inspect --format dot"), 0);
    assert_int_equal(strncmp(out, "digraph ", 8), 0);
    assert_non_null(strstr(out, "n0 -> n1;"));
    assert_int_equal(run("inspect --arch resnet18 --dataset cifar10"), 0);
    assert_non_null(strstr(out, "layers 21, depth 18, parameters 11,164,352, "));
    assert_int_equal(run("inspect --arch vgg --dataset cifar10"), 0);
    assert_non_null(strstr(out, "layers 14, depth 14, "));
    assert_int_equal(run("inspect --arch resnet50 --dataset imagenet"), 0); /* torchvision's */
    assert_non_null(strstr(out, "layer1.0.downsample.0"));
    assert_non_null(strstr(out, "layers 54, depth 50, parameters 25,502,912, "));
    assert_int_equal(run("inspect --weights %s", weights), 0);
    assert_non_null(strstr(out, "layers 3, depth 3, parameters 3,392"));
}

static void test_inspect_groups(void **state)
{
    (void)state;
    char       file[1024];
    plm_ctx   *ctx = plm_ctx_new(NULL);
    plm_graph *g   = plm_graph_new(ctx);
    plm_node   h   = plm_nn_input(g, plm_shape_of(6, 5, 5));
    h = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "c", .out = 4, .pad = 2, .dilation = 2, .groups = 2 });
    plm_graph_output(plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .name = "all", .global = true }), "y");
    snprintf(file, sizeof file, "%s", test_path("grouped.safetensors"));
    const bool saved = plm_graph_init(g, PLM_INIT_AGD) && plm_graph_save(g, file);
    plm_graph_free(g);
    plm_ctx_free(ctx);
    assert_true(saved);
    assert_int_equal(run("inspect --weights %s --format json", file), 0);
    cJSON       *o = parsed();
    const cJSON *l = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "weight_layers"), 0);
    assert_close(number(l, "groups"), 2, 0, 0);
    assert_close(number(l, "d_in"), 6, 0, 0);
    assert_close(number(l, "d_out"), 4, 0, 0);
    assert_close(number(o, "parameters"), 4 * 3 * 9, 0, 0);
    assert_close(number(o, "multiply_adds"), 4 * 25 * 3 * 9, 0, 0);
    cJSON_Delete(o);
    assert_int_equal(run("inspect --weights %s", file), 0);
    assert_non_null(strstr(out, "[4,1,1]"));
    assert_non_null(strstr(out, "conv2d, 2 groups [4,5,5]"));
}

/* Every input of a node, in each format. */
static void test_inspect_several_inputs(void **state)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", test_path("join.safetensors"));
    plm_ctx       *ctx = *state;
    plm_graph     *g   = plm_graph_new(ctx);
    const plm_node x   = plm_nn_input(g, plm_shape_of(2));
    const plm_node a = plm_nn_tanh(x, NULL), b = plm_nn_linear(x, &(plm_linear_desc){ .name = "b", .out = 3 });
    plm_graph_output(plm_nn_concat((const plm_node[]){ a, b, x, b }, 4, &(plm_concat_desc){ .name = "join" }), NULL);
    const bool saved = plm_graph_init(g, PLM_INIT_AGD) && plm_graph_save(g, path);
    plm_graph_free(g);
    assert_true(saved);
    assert_int_equal(run("inspect --weights %s", path), 0);
    assert_non_null(strstr(out, "depth  inputs\n"));
    assert_non_null(strstr(out, "0  input0\nb "));
    assert_non_null(strstr(out, "1  tanh0, b, input0, b\n"));
    assert_int_equal(run("inspect --weights %s --format dot", path), 0);
    assert_non_null(strstr(out, "    n1 -> n3;\n    n2 -> n3;\n    n0 -> n3;\n    n2 -> n3;\n"));
    assert_int_equal(run("inspect --weights %s --format json", path), 0);
    cJSON           *o      = parsed();
    const cJSON     *node   = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "nodes"), 3);
    const cJSON     *inputs = cJSON_GetObjectItem(node, "inputs");
    static const int from[] = { 1, 2, 0, 2 };
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(node, "kind")), "concat");
    assert_int_equal(cJSON_GetArraySize(inputs), 4);
    for (int i = 0; i < 4; i++) assert_int_equal(cJSON_GetArrayItem(inputs, i)->valueint, from[i]);
    assert_close(number(node, "multiply_adds"), 0, 0, 0);
    cJSON_Delete(o);
}

static void test_evaluate(void **state)
{
    (void)state;
    assert_int_equal(run("evaluate --weights %s --dataset digits --json", weights), 0);
    cJSON *o = parsed();
    assert_true(number(o, "accuracy") > 0.6);
    assert_true(number(o, "loss") > 0 && number(o, "loss") < 1);
    assert_close(number(o, "chance"), 0.1, 0, 1e-8);
    assert_close(number(o, "samples"), 297, 0, 0);
    const double loss = number(o, "loss");
    cJSON_Delete(o);
    assert_int_equal(run("evaluate --weights %s --batch-size 10 --loss square --json", weights), 0);
    o = parsed();
    assert_close(number(o, "loss"), loss / 2, 0, 1e-5);
    cJSON_Delete(o);
    assert_int_equal(run("evaluate --weights %s", weights), 0);
    assert_non_null(strstr(out, "chance 0.1000"));
    assert_int_equal(run("evaluate --weights %s --dataset mnist", weights), 1);
    assert_sentence("takes samples of shape [1,8,8], those of mnist are [1,28,28]");
}

/* A hollow square, as raw values of 0..16. */
static int grey(int i)
{
    const int r = i / 8, c = i % 8;
    return (r == 1 || r == 6 || c == 2 || c == 5) && r > 0 && r < 7 && c > 1 && c < 6 ? 16 : i % 3;
}

static void write_inputs(char paths[4][1024])
{
    static const char *const names[4]  = { "square.csv", "square.f32", "ascii.pgm", "binary.pgm" };
    char                     csv[1024] = "", ascii[1024] = "P2\n# a comment\n8 8\n16\n";
    unsigned char            binary[64];
    float                    raw[64];
    for (int i = 0; i < 64; i++) {
        sprintf(csv + strlen(csv), "%d%s", grey(i), i < 63 ? "," : "\r\n");
        sprintf(ascii + strlen(ascii), "%d\n", grey(i));
        binary[i] = (unsigned char)grey(i);
        raw[i]    = (float)grey(i);
    }
    char pgm[128] = "P5 8 8 16\n";
    memcpy(pgm + 10, binary, 64);
    for (int i = 0; i < 4; i++) snprintf(paths[i], 1024, "%s", test_path(names[i]));
    write_text(paths[0], csv);
    write_bytes(paths[1], raw, sizeof raw);
    write_text(paths[2], ascii);
    write_bytes(paths[3], pgm, 10 + 64);
}

/* One picture in four kinds of files, and through a pipe: one answer. */
static void test_predict(void **state)
{
    (void)state;
    char path[4][1024], first[1024] = "";
    write_inputs(path);
    assert_int_equal(run("predict --weights %s %s %s %s %s", weights, path[0], path[1], path[2], path[3]), 0);
    assert_int_equal(strncmp(out, "input,sample,class,0,1,2,3,4,5,6,7,8,9\n", 39), 0);
    int lines = 0;
    for (char *line = strchr(out, '\n') + 1; *line; lines++) {
        char *end = strchr(line, '\n');
        *end      = '\0';
        assert_int_equal(strncmp(line, path[lines], strlen(path[lines])), 0);
        const char *answer = line + strlen(path[lines]);
        if (lines == 0) snprintf(first, sizeof first, "%s", answer);
        assert_string_equal(answer, first);
        line = end + 1;
    }
    assert_int_equal(lines, 4);
    assert_int_equal(run("predict --weights %s - <%s", weights, path[0]), 0);
    assert_non_null(strstr(out, first));
    /* Standard input named twice is at its end the second time. */
    assert_int_equal(run("predict --weights %s - - <%s", weights, path[0]), 1);
    assert_non_null(strstr(err, "standard input has no rows"));
    assert_int_equal(run("predict --weights %s %s a.txt", weights, path[0]), 2);
    assert_sentence("a.txt: expected a .csv");
    assert_string_equal(out, "");
}

#define SIXTY_FOUR "0123456701234567012345670123456701234567012345670123456701234567"

static void test_predict_bad_input(void **state)
{
    static const struct {
        const char *name, *text, *sentence;
        int         status;
    } files[] = {
        { "a.txt", "1,2", "expected a .csv, .f32 or .pgm file", 2 },
        { "short.csv", "1,2,3\n", "short.csv, line 1 has 3 numbers, the network takes 64", 1 },
        { "empty.csv", "", "has no rows", 1 },
        { "header.csv", "a,b\n", "has no rows", 1 },
        { "word.csv", "a,b\n1,x\n", "line 2 has 2 numbers", 1 },
        { "open.csv", "1,\"2,3\n4\n", "open.csv, line 1: the quotes of field 2 are not closed at its end", 1 },
        { "after.csv", "1,\"2\"3,4\n", "after.csv, line 1: the quotes of field 2 are not closed at its end", 1 },
        { "empty.f32", "", "has 0 bytes", 1 },
        { "odd.f32", "12345", "has 5 bytes, expected a multiple of 256", 1 },
        { "no.pgm", "JFIF", "is no PGM image", 1 },
        { "empty.pgm", "", "is no PGM image", 1 },
        { "header.pgm", "P5 8 8", "its header has no width", 1 },
        { "large.pgm", "P5 9999999999999999999 8 255\n", "pixels, the network takes 8x8", 1 },
        { "cut.pgm", "P5 8 8 255\nabc", "pixel 3 of 64 is missing", 1 },
        { "two.pgm", "P5 8 8 255\n" SIXTY_FOUR "P5", "two.pgm: 2 bytes follow its 8x8 pixels, expected one image", 1 },
        { "above.pgm", "P2 8 8 7\n8 8 8", "pixel 0 of 64 is missing or above 7", 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_text(test_path(files[i].name), files[i].text);
        const int status = run("predict --weights %s %s", weights, test_path(files[i].name));
        if (status != files[i].status) print_error("%s: exit %d, \"%s\"\n", files[i].name, status, err);
        assert_int_equal(status, files[i].status);
        assert_sentence(files[i].sentence);
        assert_string_equal(out, "");
    }
    assert_int_equal(run("predict --weights %s /nowhere/a.csv", weights), 1);
    assert_sentence("cannot open /nowhere/a.csv: No such file or directory");
}

/* Two classes beside each other on the axis x; y has another scale and says nothing.  With `label`, the column "side". */
static void write_sides(const char *path, int rows, int columns, bool label)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "x,y");
    for (int c = 2; c < columns; c++) fprintf(file, ",c%d", c);
    fprintf(file, label ? ",side\n" : "\n");
    for (int i = 0; i < rows; i++) {
        const bool right = i % 2;
        fprintf(file, "%g,%d", 100 + (right ? 3 : -3) + 0.1 * (i % 7), (i * 37) % 11 * 1000);
        for (int c = 2; c < columns; c++) fprintf(file, ",%d", right ? c * 100 : 0);
        fprintf(file, label ? ",%s\n" : "\n", right ? "\"on, the right\"" : "left");
    }
    fclose(file);
}

/* From a csv to answers about raw rows; with more columns than a saved network keeps means of, too. */
static void test_csv(void **state)
{
    (void)state;
    const int widths[] = { 2, 20 };
    for (int w = 0; w < 2; w++) {
        char csv[1024], raw[1024], dir[1024], name[32];
        snprintf(name, sizeof name, "sides%d.csv", w);
        snprintf(csv, sizeof csv, "%s", test_path(name));
        snprintf(name, sizeof name, "raw%d.csv", w);
        snprintf(raw, sizeof raw, "%s", test_path(name));
        snprintf(name, sizeof name, "csv%d", w);
        snprintf(dir, sizeof dir, "%s", test_path(name));
        write_sides(csv, 200, widths[w], true);
        write_sides(raw, 2, widths[w], false);
        assert_int_equal(run("train --dataset csv:%s --label side --depth 2 --width 16 --epochs 20 --batch-size 16 "
                             "--val 10 --out %s",
                             csv, dir),
                         0);
        assert_non_null(strstr(out, "samples: 150 training, 40 test, 10 validation; 2 classes, chance 0.5000"));
        assert_non_null(strstr(out, "test accuracy 1.0000"));
        assert_int_equal(run("evaluate --weights %s/model.safetensors --dataset csv:%s --label side --json", dir, csv),
                         0);
        cJSON *o = parsed();
        assert_close(number(o, "accuracy"), 1, 0, 0);
        assert_close(number(o, "samples"), 200, 0, 0);
        cJSON_Delete(o);
        assert_int_equal(run("predict --weights %s/model.safetensors %s", dir, raw), 0);
        assert_int_equal(strncmp(out, "input,sample,class,left,\"on, the right\"\n", 40), 0);
        assert_non_null(strstr(out, ",0,left,"));
        assert_non_null(strstr(out, ",1,\"on, the right\","));
        assert_int_equal(run("predict --weights %s/model.safetensors --label side %s", dir, csv), 0);
        assert_non_null(strstr(out, ",199,\"on, the right\","));
        assert_int_equal(run("predict --weights %s/model.safetensors --label nobody %s", dir, csv), 1);
        assert_sentence("has no column \"nobody\"");
    }
    char csv[1024];
    snprintf(csv, sizeof csv, "%s", test_path("strange.csv"));
    write_text(csv, "x,y,side\n100,1,left\n103,2,above\n");
    assert_int_equal(
        run("evaluate --weights %s/model.safetensors --dataset csv:%s --label side", test_path("csv0"), csv), 1);
    assert_sentence("has the class \"above\", which the network does not know");
}

/* A network without names of classes: labels are told apart by their order alone, so none may be missing. */
static void test_csv_without_names(void **state)
{
    char net[1024], csv[1024];
    snprintf(net, sizeof net, "%s", test_path("nameless.safetensors"));
    snprintf(csv, sizeof csv, "%s", test_path("some.csv"));
    plm_ctx       *ctx = *state;
    plm_graph     *g   = plm_graph_new(ctx);
    const plm_node x   = plm_nn_input(g, plm_shape_of(2));
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .out = 3 }), NULL);
    const bool saved = plm_graph_init(g, PLM_INIT_AGD) && plm_graph_save(g, net);
    plm_graph_free(g);
    assert_true(saved);
    write_text(csv, "x,y,label\n1,2,0\n3,4,2\n");
    assert_int_equal(run("evaluate --weights %s --dataset csv:%s --label label", net, csv), 1);
    assert_sentence("has an output of shape [3], csv:");
    assert_sentence("some.csv has 2 classes");
    write_text(csv, "x,y,label\n1,2,0\n3,4,2\n5,6,1\n");
    assert_int_equal(run("evaluate --weights %s --dataset csv:%s --label label", net, csv), 0);
}

/* Which first lines of a csv are headers, for a network of the columns x and y. */
static void test_first_line(void **state)
{
    static const struct {
        const char *text;
        int         rows; /* 0: an error */
        const char *sentence, *options;
    } cases[] = {
        { "x,y\n1,2\n", 1, NULL, "" },
        { "\n x , \"y\" \r\n1,2\r\n", 1, NULL, "" },
        { ",\n1,2\n", 1, NULL, "" },
        { "\xef\xbb\xbf"
          "1,2\n3,4\n",
          2, NULL, "" },
        { "\xef\xbb\xbfx,y\n3,4\n", 1, NULL, "" },
        { "1,2\n\" 3\", 4 \n", 2, NULL, "" },
        { "1,n/a\n3,4\n", 0, "first.csv, line 1, field 2: \"n/a\" is not a finite number", "" },
        { ",2\n3,4\n", 0, "line 1, field 1: \"\" is not a finite number", "" },
        { "1,nan\n3,4\n", 0, "line 1, field 2: \"nan\" is not a finite number", "" },
        { "inf,-inf\n3,4\n", 0, "line 1, field 1: \"inf\" is not a finite number", "" },
        { "1e99,x\n3,4\n", 0, "line 1, field 1: \"1e99\" is not a finite number", "" },
        { "x,y\nx,y\n", 0, "line 2, field 1: \"x\" is not a finite number", "" },
        { "1,2\r3,4\r", 0, "line 1 has 3 numbers, the network takes 2", "" },
        { "1,2,3,4,5,6\n", 0, "line 1 has 6 numbers, the network takes 2", "" },
        { "x,y,side\n1,2,left\n", 1, NULL, "--label side" },
        { "0,1,side\n1,2,left\n", 1, NULL, "--label side" }, /* numbers are names there */
        { "x,y,z,v,w,side\n1,2,3,4,5,left\n", 0,
          "its header has 6 columns, expected the 2 that the network takes and \"side\"", "--label side" },
        { "x,y\n1,2\n", 0, "has no column \"side\"", "--label side" },
    };
    (void)state;
    char dir[1024], csv[1024], path[1024];
    snprintf(dir, sizeof dir, "%s", test_path("two"));
    snprintf(csv, sizeof csv, "%s", test_path("two.csv"));
    snprintf(path, sizeof path, "%s", test_path("first.csv"));
    write_sides(csv, 20, 2, true);
    assert_int_equal(
        run("train --dataset csv:%s --label side --depth 2 --width 4 --epochs 1 --quiet --out %s", csv, dir), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(path, cases[i].text);
        const int status = run("predict --weights %s/model.safetensors %s %s", dir, cases[i].options, path);
        if (status != !cases[i].rows) print_error("\"%s\": exit %d, %s\n", cases[i].text, status, err);
        assert_int_equal(status, !cases[i].rows);
        if (cases[i].sentence) assert_sentence(cases[i].sentence);
        int lines = 0;
        for (const char *at = out; (at = strchr(at, '\n')); at++) lines++;
        assert_int_equal(lines, cases[i].rows ? 1 + cases[i].rows : 0);
    }
}

/* Numbers too large for the network: no class is made up. */
static void test_predict_overflow(void **state)
{
    plm_ctx    *ctx  = *state;
    plm_graph  *net  = plm_graph_new(ctx);
    const float w[2] = { 1e30f, -1e30f };
    char        model[1024], csv[1024];
    plm_graph_output(plm_nn_linear(plm_nn_input(net, plm_shape_of(1)), &(plm_linear_desc){ .out = 2 }), "logits");
    assert_true(plm_graph_init(net, PLM_INIT_AGD));
    assert_true(plm_param_write(plm_graph_param(net, 0), w, 2));
    snprintf(model, sizeof model, "%s", test_path("large.safetensors"));
    assert_true(plm_graph_save(net, model));
    plm_graph_free(net);
    snprintf(csv, sizeof csv, "%s", test_path("huge.csv"));
    write_text(csv, "1\n1e10\n");
    assert_int_equal(run("predict --weights %s %s", model, csv), 1);
    assert_sentence("huge.csv: output 0 of the network for sample 1 is not finite");
    assert_string_equal(out, "");
    write_text(csv, "1\n2\n");
    assert_int_equal(run("predict --weights %s %s", model, csv), 0);
    assert_non_null(strstr(out, ",1,0,2e+30,-2e+30\n"));
}

static void test_bench(void **state)
{
    static const char *const keys[] = {
        "arch",       "optim",       "batch",        "threads",      "onednn",      "isa",          "step_ms",
        "forward_ms", "backward_ms", "optimizer_ms", "images_per_s", "peak_rss_mb", "primitive_ms", "reference_kernels"
    };
    (void)state;
    assert_int_equal(run("bench --arch fcn --depth 2 --width 16 --dataset cifar10 --batch-size 8 --optim sgd --lr 1e-6 "
                         "--steps 3 --threads 2 --json"),
                     0);
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1); /* one line */
    cJSON *o = parsed();
    int    i = 0;
    for (const cJSON *item = o->child; item; item = item->next, i++) {
        assert_true(i < 14);
        assert_string_equal(item->string, keys[i]);
    }
    assert_int_equal(i, 14);
    assert_close(number(o, "batch"), 8, 0, 0);
    assert_close(number(o, "threads"), 2, 0, 0);
    assert_close(number(o, "reference_kernels"), 0, 0, 0);
    assert_true(number(o, "step_ms") > 0 && number(o, "primitive_ms") > 0 && number(o, "peak_rss_mb") > 1);
    cJSON_Delete(o);
    assert_int_equal(run("bench --arch vgg11 --dataset cifar10 --batch-size 2 --optim sgd --steps 1 --json"), 0);
    o = parsed();
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(o, "arch")), "vgg11");
    assert_close(number(o, "reference_kernels"), 0, 0, 0);
    cJSON_Delete(o);
    assert_int_equal(run("bench --depth 2 --width 16 --steps 2"), 0);
    assert_non_null(strstr(out, "images/s"));
}

/* One entry per op of the network, in order, and the loss; the table has a line for each kind and for each op. */
static void test_bench_profile(void **state)
{
    static const char *const ops[] = { "flatten", "linear_relu", "linear", "mse_onehot" };
    (void)state;
    assert_int_equal(run("bench --depth 2 --width 16 --steps 2 --json --profile"), 0);
    cJSON *o    = parsed();
    cJSON *list = cJSON_GetObjectItem(o, "profile");
    double sum  = 0;
    assert_int_equal(cJSON_GetArraySize(list), 4);
    for (int i = 0; i < 4; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(item, "op")), ops[i]);
        assert_true(number(item, "forward_ms") >= 0 && number(item, "backward_ms") >= 0);
        sum += number(item, "forward_ms") + number(item, "backward_ms");
    }
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 2), "node")), "final");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 3), "node")));
    assert_true(sum > 0);
    cJSON_Delete(o);
    assert_int_equal(run("bench --depth 3 --width 16 --steps 1 --profile"), 0);
    assert_non_null(strstr(out, "\nkind "));
    assert_non_null(strstr(out, "\nlinear_relu "));
    assert_non_null(strstr(out, "layers.0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_inspect_several_inputs),
        cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_inspect_groups),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_predict_bad_input),
        cmocka_unit_test(test_csv),
        ctx_test(test_csv_without_names),
        cmocka_unit_test(test_first_line),
        ctx_test(test_predict_overflow),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_bench_profile),
    };
    return cmocka_run_group_tests(tests, train_once, NULL);
}

/* test_explain.c: plummet explain. */
#include "cli/run.h"

#include <cjson/cJSON.h>
#include <math.h>

static double number(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(o, key);
    if (!cJSON_IsNumber(item)) fail_msg("%s is no number", key);
    return item->valuedouble;
}

static double line(const cJSON *o, const char *key)
{
    return number(cJSON_GetObjectItem(cJSON_GetObjectItem(o, "lines"), key), "value");
}

static bool is_null(const cJSON *o, const char *key)
{
    return cJSON_IsNull(cJSON_GetObjectItem(o, key));
}

static const cJSON *at(const cJSON *o, const char *key, int i)
{
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(o, key), i);
    assert_non_null(item);
    return item;
}

static cJSON *parsed(void)
{
    cJSON *o = cJSON_Parse(out);
    if (!o) print_error("not JSON: %s\n", out);
    assert_non_null(o);
    return o;
}

/* Does the theory's assumption that begins so hold? */
static bool holds(const cJSON *o, const char *what)
{
    const cJSON *a;
    cJSON_ArrayForEach(a, cJSON_GetObjectItem(o, "assumptions"))
    {
        if (strncmp(cJSON_GetStringValue(cJSON_GetObjectItem(a, "assumption")), what, strlen(what)) == 0)
            return cJSON_IsTrue(cJSON_GetObjectItem(a, "holds"));
    }
    fail_msg("no assumption begins with \"%s\"", what);
    return false;
}

/* From the architecture alone, of a data set whose files nobody has. */
static void test_architecture(void **state)
{
    (void)state;
    assert_int_equal(run("explain --arch resnet18 --dataset cifar10 --format json"), 0);
    assert_string_equal(err, "");
    cJSON *o = parsed();
    assert_true(is_null(o, "G") && is_null(o, "eta") && is_null(o, "samples"));
    assert_close(number(o, "L"), 21, 0, 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "layers")), 21);
    const cJSON *stem = at(o, "layers", 0), *last = at(o, "layers", 20);
    assert_close(number(stem, "s"), sqrt(64.0 / 27), 0, 1e-12);
    assert_close(number(stem, "op"), sqrt(64.0 / 27), 0, 1e-4);
    assert_close(number(stem, "map_prescribed"), sqrt(9 * 64.0 / 3), 0, 1e-12);
    assert_close(number(stem, "matrices"), 9, 0, 0);
    assert_close(number(last, "share"), 1.0 / 21, 0, 1e-12);
    assert_close(number(last, "per_eta"), 1 / (21 * sqrt(10)), 0, 1e-12);
    assert_false(holds(o, "every module has"));
    assert_false(holds(o, "a layer is one matrix"));
    assert_true(holds(o, "every ||W||_op"));
    assert_true(is_null(at(o, "nodes", 30), "gain"));
    assert_non_null(strstr(out, "unknown: it divides by the batch's own deviation"));
    assert_close(line(o, "eta_most"), log(2), 0, 1e-12);
    cJSON_Delete(o);
}

/* The row of the first step of training in monitor.csv says the same; the last of its cells are empty. */
static void check_monitor(const char *dir, const cJSON *o)
{
    static char text[1 << 14];
    char        path[1100];
    snprintf(path, sizeof path, "%s/monitor.csv", dir);
    slurp(path, text, sizeof text);
    const char *row = strchr(text, '\n') + 1;
    double      x[11];
    for (int k = 0; k < 4; k++, row = strchr(row, '\n') + 1) {
        const cJSON *l = at(o, "layers", k);
        assert_int_equal(sscanf(row, "1,1,\"%*[^\"]\",%lf,%lf,%lf,%lf,%lf,,,,,,,,,,,\n", x, x + 1, x + 2, x + 3, x + 4),
                         5);
        assert_close(x[0], number(l, "grad"), 0, 1e-6);
        assert_close(x[1], number(l, "grad_op"), 0, 1e-6);
        assert_close(x[2], number(l, "stable_rank"), 0, 1e-6);
        assert_close(x[3], number(l, "contribution"), 0, 1e-6);
        assert_close(x[4], number(l, "update"), 0, 1e-6);
    }
    assert_int_equal(sscanf(row, "1,1,\"(network)\",,,,,,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf", x, x + 1, x + 2,
                            x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10),
                     11);
    static const char *const lines[] = { "G",      "eta",    "eta",          "loss",
                                         "change", "linear", "majorisation", "majorised",
                                         "df_rms", "df_max", "trust_theory" };
    for (int i = 0; i < 11; i++) assert_close(x[i], line(o, lines[i]), 0, i == 2 ? 1e-5 : 1e-6);
}

/* The same batch, G and eta as the first step of training; and the layers' terms add up. */
static void test_step(void **state)
{
    char dir[1024], text[1 << 12], path[1100];
    (void)state;
    snprintf(dir, sizeof dir, "%s", test_path("first"));
    assert_int_equal(
        run("train --depth 4 --width 24 --seed 3 --epochs 1 --quiet --log-steps --monitor 5 --out %s", dir), 0);
    snprintf(path, sizeof path, "%s/steps.csv", dir);
    slurp(path, text, sizeof text);
    double loss, acc, eta, G, update;
    assert_int_equal(sscanf(strchr(text, '\n'), " 1,1,%lf,%lf,%lf,%lf,%lf", &loss, &acc, &eta, &G, &update), 5);
    assert_int_equal(run("explain --depth 4 --width 24 --seed 3 --step --format json"), 0);
    cJSON *o = parsed();
    assert_close(number(o, "G"), G, 0, 1e-4);
    assert_close(number(o, "eta"), eta, 0, 1e-4);
    assert_close(line(o, "loss"), loss, 0, 1e-4);
    assert_close(number(o, "samples"), 128, 0, 0);
    check_monitor(dir, o);
    double sum = 0, mean = 0, linear = 0;
    for (int k = 0; k < 4; k++) {
        const cJSON *l = at(o, "layers", k);
        assert_close(number(l, "contribution"), number(l, "s") * number(l, "grad") / 4, 0, 1e-9);
        assert_close(number(l, "update"), number(l, "per_eta") * number(o, "eta"), 0, 1e-3);
        assert_true(number(l, "grad_op") <= number(l, "grad") * (1 + 1e-6) && number(l, "stable_rank") >= 1 - 1e-6);
        assert_true(number(l, "grad") <= number(l, "grad_bound"));
        sum += number(l, "contribution");
        mean += number(l, "update") / 4;
        linear += number(l, "linear");
    }
    assert_close(sum, G, 0, 1e-4);
    assert_close(mean, update, 0, 1e-4);
    assert_close(linear, line(o, "linear"), 0, 1e-6);
    assert_close(line(o, "first_order"), -number(o, "eta") * number(o, "G"), 0, 1e-12);
    assert_close(line(o, "change"), line(o, "linear") + line(o, "remainder") + line(o, "bregman"), 1e-12, 1e-9);
    assert_close(line(o, "eta_exact"), log((1 + sqrt(1 + 2 * number(o, "G"))) / 2), 0, 1e-9);
    assert_false(holds(o, "no module but the weights"));
    assert_false(holds(o, "the loss is square"));
    cJSON_Delete(o);
}

static void test_theory(void **state)
{
    (void)state;
    assert_int_equal(run("explain --depth 3 --width 16 --theory --format json"), 0);
    cJSON       *o = parsed();
    const cJSON *a;
    cJSON_ArrayForEach(a, cJSON_GetObjectItem(o, "assumptions"))
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(a, "holds")));
    assert_close(number(o, "samples"), 1500, 0, 0);
    assert_close(line(o, "x_max"), 8, 0, 1e-5);
    assert_close(line(o, "output_bound"), sqrt(10), 0, 1e-9);
    assert_close(line(o, "derivative"), 0, 1e-12, 0);
    assert_close(line(o, "eta_exact"), number(o, "eta"), 0, 1e-9);
    assert_true(line(o, "f_max") <= line(o, "output_bound"));
    assert_true(line(o, "df_max") <= line(o, "trust_bound") && line(o, "trust_bound") <= line(o, "trust_theory"));
    assert_true(line(o, "trust_product") < line(o, "trust_exponential"));
    assert_true(line(o, "bregman") <= line(o, "second_order"));
    cJSON_Delete(o);
}

/* Others see the same gradient. */
static void test_versus(void **state)
{
    (void)state;
    assert_int_equal(run("explain --depth 3 --width 16 --vs adam,sgd:0.01,agd --format json"), 0);
    cJSON       *o    = parsed();
    const cJSON *adam = at(o, "vs", 0), *sgd = at(o, "vs", 1), *agd = at(o, "vs", 2);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(sgd, "optim")), "sgd");
    assert_close(number(adam, "rate"), 1e-3, 0, 1e-9);
    assert_close(number(sgd, "rate"), 0.01, 0, 1e-9);
    double squares = 0; /* sgd: <g, dW> = -lr ||g||^2 */
    for (int k = 0; k < 3; k++) {
        squares += pow(number(at(o, "layers", k), "grad"), 2);
        assert_close(number(at(adam, "layers", k), "grad"), number(at(o, "layers", k), "grad"), 0, 1e-12);
        assert_close(number(at(agd, "layers", k), "update"), number(at(o, "layers", k), "update"), 0, 1e-9);
    }
    assert_close(number(sgd, "linear"), -0.01 * squares, 0, 1e-4);
    assert_close(number(agd, "change"), line(o, "change"), 1e-9, 1e-6);
    cJSON_Delete(o);
    assert_int_equal(run("explain --depth 3 --width 16 --vs adam"), 0);
    assert_non_null(strstr(out, "\nadam "));
}

static void test_what_if(void **state)
{
    (void)state;
    assert_int_equal(run("explain --depth 3 --width 16 --what-if 'width*2,depth=5,width/2+depth*2' --format json"), 0);
    cJSON       *o    = parsed();
    const cJSON *wide = at(o, "what_if", 0), *deep = at(o, "what_if", 1), *both = at(o, "what_if", 2);
    assert_close(number(at(wide, "layers", 0), "s"), sqrt(32.0 / 64), 0, 1e-12);
    assert_close(number(deep, "L"), 5, 0, 0);
    assert_close(number(both, "L"), 6, 0, 0);
    assert_close(number(at(both, "layers", 1), "d_in"), 8, 0, 0);
    assert_close(number(o, "L"), 3, 0, 0);
    cJSON_Delete(o);
    /* Each is what a call for it alone gives. */
    assert_int_equal(run("explain --depth 3 --width 16 --what-if 'width*2' --step --format json"), 0);
    cJSON *together = parsed();
    assert_int_equal(run("explain --depth 3 --width 32 --step --format json"), 0);
    cJSON *alone = parsed();
    assert_close(number(at(together, "what_if", 0), "G"), number(alone, "G"), 0, 1e-12);
    cJSON_Delete(together);
    cJSON_Delete(alone);
}

static void test_weights(void **state)
{
    char dir[1024], path[1100];
    (void)state;
    snprintf(dir, sizeof dir, "%s", test_path("trained"));
    snprintf(path, sizeof path, "%s", test_path("explained.json"));
    assert_int_equal(run("train --depth 3 --width 16 --epochs 2 --quiet --out %s", dir), 0);
    assert_int_equal(run("explain --weights %s/model.safetensors --step --format json --out %s", dir, path), 0);
    assert_string_equal(out, "");
    slurp(path, out, sizeof out);
    cJSON *o = parsed();
    assert_false(holds(o, "every ||W||_op"));
    assert_true(number(at(o, "layers", 1), "op") > number(at(o, "layers", 1), "s"));
    assert_true(line(o, "loss") < 0.8); /* trained */
    cJSON_Delete(o);
}

static void test_text(void **state)
{
    char       path[1024];
    plm_ctx   *ctx = *state;
    plm_graph *g   = plm_graph_new(ctx);
    plm_node   h   = plm_nn_input(g, plm_shape_of(2, 4, 4));
    h              = plm_nn_conv2d(h, &(plm_conv2d_desc){ .name = "first", .out = 4, .pad = 1, .groups = 2 });
    plm_graph_output(plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "norm" }), "y");
    snprintf(path, sizeof path, "%s", test_path("grouped.safetensors"));
    const bool saved = plm_graph_init(g, PLM_INIT_AGD) && plm_graph_save(g, path);
    plm_graph_free(g);
    assert_true(saved);
    assert_int_equal(run("explain --weights %s", path), 0);
    assert_non_null(strstr(out, "L = 1 weight layers"));
    assert_non_null(strstr(out, "3x3 grouped"));
    assert_non_null(strstr(out, "NO   every module has a Lipschitz bound: norm (batch_norm): unknown: "));
    assert_non_null(strstr(out, "NO   a layer is one matrix: first has 9 taps"));
    assert_int_equal(run("explain --depth 3 --width 16 --step --what-if 'depth*2'"), 0);
    assert_non_null(strstr(out, "One step on 128 samples, loss mse"));
    assert_non_null(strstr(out, "Majorise, minimise"));
    assert_non_null(strstr(out, "\ndepth*2 "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architecture),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_theory),
        cmocka_unit_test(test_versus),
        cmocka_unit_test(test_what_if),
        cmocka_unit_test(test_weights),
        ctx_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

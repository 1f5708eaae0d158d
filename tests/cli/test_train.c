/* test_train.c: plummet train and its run folder. */
#include "cli/run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <unistd.h>

#define SMALL "--depth 3 --width 32 --epochs 3 --threads 2 "
#define HEADER \
    "epoch,train_loss,train_acc,test_loss,test_acc,eta_mean,eta_min,eta_max,update_mean,update_min,update_max,seconds"

static char text[1 << 16];

static void dir_of(char path[1024], const char *name)
{
    snprintf(path, 1024, "%s", test_path(name));
}

static const char *in(const char *dir, const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* The cells of the next line of a csv as numbers (empty: nan); their number, 0 at the end. */
static int next_row(char **at, double cell[16])
{
    int n = 0;
    if (!**at) return 0;
    for (;;) {
        char *end;
        cell[n] = strtod(*at, &end);
        if (end == *at) cell[n] = NAN;
        n++;
        *at = end + 1;
        if (*end == ',') continue;
        assert_int_equal(*end, '\n');
        return n;
    }
}

static void test_run_folder(void **state)
{
    (void)state;
    char   dir[1024];
    double row[16];
    dir_of(dir, "folder");
    assert_int_equal(run("train " SMALL "--epoch-zero --log-steps --val 100 --seed 5 --out %s", dir), 0);
    assert_string_equal(err, "");
    assert_non_null(strstr(out, "chance 0.1000"));
    assert_non_null(strstr(out, "3 layers"));
    assert_non_null(strstr(out, "the run is in "));
    assert_int_not_equal(access(strcat(strcpy(text, dir), ".partial"), F_OK), 0);

    slurp(in(dir, "metrics.csv"), text, sizeof text);
    char *at = text;
    assert_int_equal(strncmp(at, HEADER ",val_loss,val_acc\n", strlen(HEADER) + 18), 0);
    at = strchr(at, '\n') + 1;
    for (int epoch = 0; epoch <= 3; epoch++) {
        assert_int_equal(next_row(&at, row), 14);
        assert_close(row[0], epoch, 0, 0);
        for (int i = 1; i < 14; i++)
            if (epoch > 0 || i < 8 || i > 11) assert_true(isfinite(row[i]));
            else assert_true(isnan(row[i])); /* no step, no update, no time */
        for (int i = 2; i <= 4; i += 2) assert_true(row[i] >= 0 && row[i] <= 1);
    }
    assert_int_equal(next_row(&at, row), 0);

    slurp(in(dir, "steps.csv"), text, sizeof text);
    at = text;
    assert_int_equal(strncmp(at, "step,epoch,loss,acc,eta,G,update_mean\n", 38), 0);
    at        = strchr(at, '\n') + 1;
    int steps = 0;
    while (next_row(&at, row) == 7) assert_close(row[0], ++steps, 0, 0);
    assert_int_equal(steps, 3 * 11); /* 1400 samples */
}

static void test_config(void **state)
{
    (void)state;
    char dir[1024];
    dir_of(dir, "config");
    assert_int_equal(
        run("train --depth 2 --width 8 --epochs 1 --optim adam --betas 0,0.5 --lr 0.01 --seed 3 --threads 1 "
            "--loss=xent --batch-size=100 --out %s",
            dir),
        0);
    slurp(in(dir, "config.json"), text, sizeof text);
    cJSON *c = cJSON_Parse(text);
    assert_non_null(c);
    static const char *const words[][2] = {
        { "arch", "fcn" },   { "dataset", "digits" }, { "loss", "xent" }, { "optim", "adam" },
        { "plummet", NULL }, { "onednn", NULL },      { "isa", NULL },    { "cpu", NULL },
    };
    static const struct {
        const char *key;
        double      value;
    } numbers[] = {
        { "depth", 2 },        { "width", 8 },
        { "val", 0 },          { "lr", 0.01 },
        { "eps", 1e-8 },       { "seed", 3 },
        { "weight_decay", 0 }, { "epochs", 1 },
        { "batch_size", 100 }, { "test_batch_size", 100 },
        { "threads", 1 },      { "classes", 10 },
        { "layers", 2 },       { "parameters", 64 * 8 + 8 * 10 },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *got = cJSON_GetStringValue(cJSON_GetObjectItem(c, words[i][0]));
        assert_non_null(got);
        if (words[i][1]) assert_string_equal(got, words[i][1]);
        assert_true(*got);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const cJSON *item = cJSON_GetObjectItem(c, numbers[i].key);
        assert_true(cJSON_IsNumber(item));
        assert_close(item->valuedouble, numbers[i].value, 0, 1e-12);
    }
    const cJSON *betas = cJSON_GetObjectItem(c, "betas");
    assert_int_equal(cJSON_GetArraySize(betas), 2);
    assert_close(cJSON_GetArrayItem(betas, 0)->valuedouble, 0, 0, 0);
    assert_close(cJSON_GetObjectItem(cJSON_GetObjectItem(c, "samples"), "train")->valuedouble, 1500, 0, 0);
    assert_null(cJSON_GetObjectItem(c, "gain")); /* not adam's */
    cJSON_Delete(c);
}

/* Steps 1, 12, 23 and 34 of 36, four rows each. */
static void test_monitor(void **state)
{
    (void)state;
    char dir[1024], begin[64];
    int  line = 0;
    dir_of(dir, "monitor");
    assert_int_equal(run("train " SMALL "--optim adam --monitor 11 --quiet --out %s", dir), 0);
    assert_string_equal(err, "");
    slurp(in(dir, "monitor.csv"), text, sizeof text);
    assert_int_equal(strncmp(text, "step,epoch,layer,grad,grad_op,stable_rank,contribution,update,G,", 64), 0);
    for (char *at = strchr(text, '\n') + 1; *at; at = strchr(at, '\n') + 1, line++) {
        const int   step    = 1 + 11 * (line / 4);
        const char *names[] = { "initial", "layers.0", "final", "(network)" };
        snprintf(begin, sizeof begin, "%d,%d,\"%s\",", step, 1 + (step - 1) / 12, names[line % 4]);
        assert_int_equal(strncmp(at, begin, strlen(begin)), 0);
    }
    assert_int_equal(line, 4 * 4);
    assert_non_null(strstr(text, ",0.001,")); /* Adam's rate; what is AGD's alone is empty */
    slurp(in(dir, "config.json"), text, sizeof text);
    assert_non_null(strstr(text, "\"monitor\":\t11"));
}

/* Two processes with one seed, with and without what only looks on. */
static size_t read_bytes(const char *path, char bytes[1 << 16])
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    return size;
}

static void test_same_bytes(void **state)
{
    (void)state;
    static const char *const how[] = { "--seed 9", "--seed 9 --epoch-zero --log-steps --test-batch-size 7 --monitor 4",
                                       "--seed 10" };
    static char              model[3][1 << 16];
    size_t                   size[3];
    for (int i = 0; i < 3; i++) {
        char dir[1024], name[16];
        snprintf(name, sizeof name, "same%d", i);
        dir_of(dir, name);
        assert_int_equal(run("train " SMALL "%s --quiet --out %s", how[i], dir), 0);
        size[i] = read_bytes(in(dir, "model.safetensors"), model[i]);
        assert_true(size[i] > 13000 && size[i] < sizeof model[i]);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(model[0], model[1], size[0]);
    assert_int_equal(size[0], size[2]);
    assert_memory_not_equal(model[0], model[2], size[0]);
}

/* The same training in this process, with the library and never an evaluation, gives the program's file byte for byte. */
static void test_same_bytes_without_evaluation(void **state)
{
    (void)state;
    char dir[1024], mine[1024];
    dir_of(dir, "evaluates");
    dir_of(mine, "never.safetensors");
    assert_int_equal(run("train " SMALL "--seed 7 --quiet --out %s", dir), 0);

    plm_ctx     *ctx  = plm_ctx_new(&(plm_ctx_desc){ .seed = 7, .threads = 2 });
    plm_dataset *data = plm_dataset_named(ctx, "digits", NULL);
    plm_graph   *net  = plm_graph_new(ctx);
    plm_graph_output(
        plm_zoo_fcn(plm_nn_input(net, plm_dataset_x_shape(data)), 10, &(plm_fcn_desc){ .depth = 3, .width = 32 }),
        "logits");
    const char *names[10];
    for (int i = 0; i < 10; i++) names[i] = plm_dataset_class(data, i);
    plm_graph_set_normalization(net, plm_dataset_normalization(data));
    plm_graph_set_classes(net, names, 10);
    plm_optimizer *agd = plm_agd_new(net, NULL);
    assert_true(plm_train(net, agd, data, &(plm_train_desc){ .epochs = 3 }, NULL));
    assert_true(plm_graph_save(net, mine));
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_ctx_free(ctx);

    static char here[1 << 16];
    assert_true(read_bytes(in(dir, "model.safetensors"), text) > 13000);
    assert_int_equal(read_bytes(mine, here), read_bytes(in(dir, "model.safetensors"), text));
    assert_memory_equal(here, text, read_bytes(mine, here));
}

static void test_quiet(void **state)
{
    (void)state;
    assert_int_equal(run("train " SMALL "--quiet"), 0);
    assert_int_equal(strncmp(out, "test accuracy 0.", 16), 0);
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1); /* one line */
    assert_int_equal(run("train " SMALL), 0);
    assert_non_null(strstr(out, "epoch  3/3"));
    assert_non_null(strstr(out, "nothing was written"));
    assert_null(strchr(out, '\r')); /* not a terminal: plain lines */
}

static void test_folder_exists(void **state)
{
    (void)state;
    char dir[1024];
    dir_of(dir, "exists");
    assert_int_equal(run("train " SMALL "--quiet --out %s", dir), 0);
    assert_int_equal(run("train " SMALL "--quiet --out %s", dir), 1);
    assert_sentence("exists and is not empty");
}

/* A step so long that only the evaluation after it finds the harm: no run is kept. */
static void test_diverges_in_last_step(void **state)
{
    (void)state;
    char dir[1024];
    dir_of(dir, "diverges");
    assert_int_equal(
        run("train --depth 2 --width 4 --epochs 1 --batch-size 1500 --optim sgd --lr 1e30 --quiet --out %s", dir), 1);
    assert_sentence("the loss on digits is ");
    assert_non_null(strstr(err, "(in epoch 1, step 1)"));
    assert_int_not_equal(access(dir, F_OK), 0);
    assert_string_equal(out, "");
}

static void test_every_optimizer(void **state)
{
    (void)state;
    static const char *const how[] = { "--optim agd --gain 2",
                                       "--bias --heuristics",
                                       "--optim sgd --lr 0.05 --momentum 0.9 --nesterov",
                                       "--optim sgd --weight-decay 1e-4 --clip-norm 1",
                                       "--optim adam --betas 0.8,0.99 --eps 1e-6 --clip-norm 5",
                                       "--optim adamw --weight-decay 0.1 --decay-weights-only",
                                       "--optim nadamw --bias",
                                       "--optim sgd --bias --schedule cosine --warmup 0.5 --momentum 0.9",
                                       "--optim adam --lr 1e-2 --schedule step --step-epochs 2 --step-factor 0.3",
                                       "--loss xent",
                                       "--loss square" };
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        assert_int_equal(run("train " SMALL "--quiet %s", how[i]), 0);
        const double acc = strtod(out + strlen("test accuracy "), NULL);
        if (acc < 0.3) print_error("%s: %s", how[i], out);
        assert_true(acc >= 0.3); /* chance is 0.1 */
    }
}

/* The rate in use is in the eta columns; schedule, biases and the like in config.json. */
static void test_recipe(void **state)
{
    (void)state;
    char   dir[1024];
    double row[16];
    dir_of(dir, "recipe");
    assert_int_equal(run("train " SMALL "--quiet --optim sgd --lr 0.2 --schedule linear --warmup 1 --bias "
                         "--weight-decay 1e-3 --decay-weights-only --out %s",
                         dir),
                     0);
    slurp(in(dir, "metrics.csv"), text, sizeof text);
    char *at = strchr(strchr(text, '\n') + 1, '\n') + 1; /* the untrained network has no rates */
    for (int epoch = 1; epoch < 4; epoch++) {            /* 12 steps an epoch */
        assert_int_equal(next_row(&at, row), 12);
        const double first = 0.2 * (epoch == 1 ? 1 / 12.0 : 1 - (epoch - 2) / 2.0);
        const double last  = 0.2 * (epoch == 1 ? 1 : 1 - (12 * (epoch - 2) + 11) / 24.0);
        assert_close(row[5], (first + last) / 2, 0, 1e-6);
        assert_close(row[6], fmin(first, last), 0, 1e-6);
        assert_close(row[7], fmax(first, last), 0, 1e-6);
    }
    slurp(in(dir, "config.json"), text, sizeof text);
    cJSON *config = cJSON_Parse(text);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(config, "schedule")), "linear");
    assert_close(cJSON_GetNumberValue(cJSON_GetObjectItem(config, "warmup")), 1, 0, 0);
    assert_null(cJSON_GetObjectItem(config, "step_epochs"));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(config, "bias")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(config, "decay_weights_only")));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(config, "affine")));
    assert_close(cJSON_GetNumberValue(cJSON_GetObjectItem(config, "parameters")), 3392 + 32 + 32 + 10, 0, 0);
    cJSON_Delete(config);
    assert_int_equal(run("evaluate --weights '%s/model.safetensors'", dir), 0); /* biases are in the file */
    assert_int_equal(run("inspect --arch vgg11 --dataset cifar10 --bias --affine"), 0);
    assert_non_null(strstr(out, " batch_norm   [64,32,32]                  128 "));
    assert_int_equal(
        run("bench --arch resnet18 --dataset cifar10 --batch-size 2 --steps 1 --optim sgd --bias --affine"), 0);
}

/* A user's own architecture is an architecture like any other, for every command. */
static void test_own_architecture(void **state)
{
    (void)state;
    char dir[1024], arguments[2048];
    dir_of(dir, "own");
    snprintf(arguments, sizeof arguments, "train --arch tanh-net --depth 2 --width 32 --quiet --out '%s'", dir);
    assert_int_equal(run_program(PLUMMET_EXTRA, arguments), 0);
    assert_true(strtod(out + strlen("test accuracy "), NULL) > 0.5);
    assert_int_equal(run_program(PLUMMET_EXTRA, "inspect --arch tanh-net --depth 1"), 0); /* only an fcn needs two */
    assert_int_equal(run_program(PLUMMET_EXTRA, "bench --arch tanh-net --steps 1 --batch-size 4 --json"), 0);
    assert_int_equal(run_program(PLUMMET_EXTRA, "train --arch tanhnet"), 2);
    assert_sentence("resnet152, tanh-net, block, swish-net; did you mean tanh-net?");
    assert_int_equal(run_program(PLUMMET_EXTRA, "train --arch tanh-net --bias --optim sgd"), 2);
    assert_sentence("--bias does not go with --arch tanh-net, which has no biases");
    assert_int_equal(run_program(PLUMMET_EXTRA, "train --help"), 0);
    assert_non_null(strstr(out, "linear layers and tanh"));
    assert_int_equal(run("evaluate --weights '%s/model.safetensors'", dir), 0); /* the file is enough */
}

/* A user's own optimiser, of example 08, is one like any other: its fields are its options and in config.json. */
static void test_own_optimizer(void **state)
{
    (void)state;
    char dir[1024], arguments[2048];
    dir_of(dir, "lion");
    snprintf(arguments, sizeof arguments,
             "train " SMALL
             "--optim lion --batch-size 32 --lr 3e-3 --betas 0.8,0.95 --weight-decay 0 --quiet --out '%s'",
             dir);
    assert_int_equal(run_program(PLUMMET_LION, arguments), 0);
    assert_true(strtod(out + strlen("test accuracy "), NULL) > 0.7); /* chance is 0.1 */
    slurp(in(dir, "config.json"), text, sizeof text);
    cJSON       *config = cJSON_Parse(text);
    const cJSON *betas  = cJSON_GetObjectItem(config, "betas");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(config, "optim")), "lion");
    assert_close(cJSON_GetNumberValue(cJSON_GetObjectItem(config, "lr")), 3e-3, 0, 0);
    assert_close(cJSON_GetNumberValue(cJSON_GetArrayItem(betas, 0)), 0.8, 0, 0);
    assert_close(cJSON_GetNumberValue(cJSON_GetArrayItem(betas, 1)), 0.95, 0, 0);
    assert_close(cJSON_GetNumberValue(cJSON_GetObjectItem(config, "weight_decay")), 0, 0, 0);
    assert_null(cJSON_GetObjectItem(config, "momentum"));
    cJSON_Delete(config);
    assert_int_equal(run_program(PLUMMET_LION, "bench --optim lion --depth 2 --width 8 --steps 1 --json"), 0);
    assert_non_null(strstr(out, "\"optim\":\"lion\""));
    assert_int_equal(run_program(PLUMMET_LION, "train --optim lino"), 2);
    assert_non_null(strstr(err, ", lion; did you mean lion?"));
    assert_int_equal(run_program(PLUMMET_LION, "train --optim lion --eps 1e-3"), 2);
    assert_sentence("--eps does not go with --optim lion; its options are --lr, --weight-decay, --betas\n");
    assert_int_equal(run_program(PLUMMET_LION, "train --help"), 0);
    assert_non_null(strstr(out, "the sign of an average: --lr, --weight-decay, --betas\n"));
    assert_int_equal(run("train --optim lion"), 2); /* not in the program itself */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_folder),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_monitor),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_same_bytes_without_evaluation),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_folder_exists),
        cmocka_unit_test(test_diverges_in_last_step),
        cmocka_unit_test(test_every_optimizer),
        cmocka_unit_test(test_recipe),
        cmocka_unit_test(test_own_architecture),
        cmocka_unit_test(test_own_optimizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

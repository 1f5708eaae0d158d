/* test_images.c: a folder of image files from the command line: trained on, evaluated and predicted. */
#include "run.h"

#include "data/image_files.h"

#include <sys/stat.h>

static char dir[1024];

/* Dark and light images, 5 each, in DIR/split. */
static void write_split(const char *split, const char *light)
{
    const char *const classes[2] = { "dark", light };
    uint8_t           rows[40 * 36 * 3];
    char              path[2048];
    snprintf(path, sizeof path, "%s/%s", dir, split);
    mkdir(path, 0777);
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s/%s/%s", dir, split, classes[k]);
        mkdir(path, 0777);
        for (int i = 0; i < 5; i++) {
            for (size_t n = 0; n < sizeof rows; n++) rows[n] = (uint8_t)(k * 150 + (int)(n * 7 + (size_t)i * 13) % 100);
            snprintf(path, sizeof path, "%s/%s/%s/%d.png", dir, split, classes[k], i);
            write_png(path, 40, 36, 8, PNG_COLOR_TYPE_RGB, NULL, 0, rows);
        }
    }
}

static void begin(const char *name)
{
    strcpy(dir, test_path(name));
    char command[4096];
    snprintf(command, sizeof command, "rm -rf '%s' '%s.run'", dir, dir);
    assert_int_equal(system(command), 0);
    mkdir(dir, 0777);
}

static void test_train_and_predict(void **state)
{
    char path[4096];
    (void)state;
    begin("cli_images");
    write_split("train", "light");
    write_split("val", "light");
    assert_int_equal(
        run("train --dataset 'images:%s' --arch vgg11 --size 32 --epochs 1 --batch-size 5 --out '%s.run'", dir, dir),
        0);
    snprintf(path, sizeof path, "%s.run/config.json", dir); /* a run that goes on needs it */
    slurp(path, out, sizeof out);
    assert_non_null(strstr(out, "\"size\":\t32,"));
    assert_int_equal(run("predict --weights '%s.run/model.safetensors' '%s/val/light/0.png'", dir, dir), 0);
    assert_non_null(strstr(out, "input,sample,class,dark,light\n"));
    assert_non_null(strstr(out, "val/light/0.png,0,"));
    assert_int_equal(run("evaluate --weights '%s.run/model.safetensors' --dataset 'images:%s' --json", dir, dir), 0);
    assert_non_null(strstr(out, "\"samples\":10"));
    assert_int_not_equal(run("predict --weights '%s.run/model.safetensors' '%s/no.png'", dir, dir), 0);
    assert_sentence("no.png: cannot open");
    snprintf(path, sizeof path, "mv '%s/val/light' '%s/val/bright'", dir, dir);
    assert_int_equal(system(path), 0);
    assert_int_equal(run("evaluate --weights '%s.run/model.safetensors' --dataset 'images:%s'", dir, dir), 1);
    assert_sentence("class 0 is \"bright\" in images:");
}

static void test_refused(void **state)
{
    (void)state;
    begin("cli_images_bad");
    write_split("train", "light");
    write_split("test", "bright");
    assert_int_equal(run("train --dataset 'images:%s' --arch fcn --size 8 --epochs 1", dir), 1);
    assert_sentence("class 0 is \"dark\"");
    assert_int_equal(run("train --dataset digits --size 8"), 2);
    assert_sentence("--size is for images:DIR");
    assert_int_equal(run("train --dataset images:"), 2);
    assert_sentence("expected images:DIR");
}

/* The answer to `image` without its name. */
static void ask(const char *weights, const char *image, char answer[1024])
{
    assert_int_equal(run("predict --weights '%s' '%s'", weights, image), 0);
    const char *row = strstr(out, image);
    assert_non_null(row);
    snprintf(answer, 1024, "%s", row + strlen(image));
}

static void save_net(const char *path, int side, double scale)
{
    plm_ctx   *ctx = plm_ctx_new(NULL);
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_flatten(plm_nn_input(net, plm_shape_of(1, side, side)));
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 3 }), "logits");
    plm_graph_set_normalization(net,
                                &(plm_normalization){ .scale = scale, .channels = 1, .mean = { .25 }, .std = { .5 } });
    const bool saved = plm_graph_init(net, PLM_INIT_AGD) && plm_graph_save(net, path);
    plm_graph_free(net);
    plm_ctx_free(ctx);
    assert_true(saved);
}

/* White is white in any kind of file, whatever the raw data has for it, and no edge is cut off. */
static void test_same_picture(void **state)
{
    (void)state;
    static const struct {
        int    side;
        double scale;
    } nets[] = { { 8, 1. / 16 }, { 28, 1. / 255 }, { 28, 1 } };
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        const int side = nets[k].side;
        uint8_t   pgm[16 + 28 * 28], *grey = pgm + sprintf((char *)pgm, "P5 %d %d 255\n", side, side);
        char      weights[1024], path[1024], answer[2][1024];
        for (int i = 0; i < side * side; i++) grey[i] = (uint8_t)(i < side ? 255 : i * 37 % 256);
        snprintf(weights, sizeof weights, "%s", test_path("picture.safetensors"));
        save_net(weights, side, nets[k].scale);
        snprintf(path, sizeof path, "%s", test_path("picture.pgm"));
        write_bytes(path, pgm, (size_t)(grey - pgm) + (size_t)(side * side));
        ask(weights, path, answer[0]);
        snprintf(path, sizeof path, "%s", test_path("picture.png"));
        write_png(path, side, side, 8, PNG_COLOR_TYPE_GRAY, NULL, 0, grey);
        ask(weights, path, answer[1]);
        assert_string_equal(answer[0], answer[1]);
    }
}

/* A folder without train and test: a part of it is for the test. */
static void test_one_folder(void **state)
{
    (void)state;
    begin("cli_images_one");
    write_split(".", "light");
    assert_int_equal(
        run("train --dataset 'images:%s' --arch fcn --size 8 --width 8 --epochs 1 --out '%s.run'", dir, dir), 0);
    assert_non_null(strstr(out, "samples: 8 training, 2 test, 0 validation; 2 classes"));
    assert_int_equal(run("evaluate --weights '%s.run/model.safetensors' --dataset 'images:%s' --json", dir, dir), 0);
    assert_non_null(strstr(out, "\"samples\":10"));
}

/* A network of something else. */
static void test_other_network(void **state)
{
    (void)state;
    char weights[1024];
    begin("cli_images_other");
    write_split("train", "light");
    write_split("test", "light");
    snprintf(weights, sizeof weights, "%s", test_path("three.safetensors"));
    save_net(weights, 8, 1);
    assert_int_equal(run("evaluate --weights '%s' --dataset 'images:%s'", weights, dir), 1);
    assert_sentence("three.safetensors has an output of shape [3], images:");
    assert_non_null(strstr(err, " has 2 classes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_train_and_predict), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_same_picture), cmocka_unit_test(test_one_folder),
                                        cmocka_unit_test(test_other_network) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

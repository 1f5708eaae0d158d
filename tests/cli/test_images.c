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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_train_and_predict), cmocka_unit_test(test_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_same_bits.c: a convolutional network trained twice by two processes, with augmentation and the prefetch thread, ends
 * in the same file, byte for byte; and without augmentation in another. */
#include "cli/run.h"

#include "data/cifar_files.h"

static archive small;

static bool recorded(const char *folder, const char *text)
{
    static char config[1 << 14];
    char        path[4096];
    snprintf(path, sizeof path, "%s/config.json", folder);
    slurp(path, config, sizeof config);
    return strstr(config, text) != NULL;
}

/* One byte at a time would take a second: the files have 44 MB. */
static bool same_files(const char *a, const char *b)
{
    static char block[2][1 << 16];
    FILE       *file[2] = { fopen(a, "rb"), fopen(b, "rb") };
    assert_true(file[0] && file[1]);
    size_t got[2];
    bool   same = true;
    do {
        for (int i = 0; i < 2; i++) got[i] = fread(block[i], 1, sizeof block[i], file[i]);
        same = got[0] == got[1] && memcmp(block[0], block[1], got[0]) == 0;
    } while (same && got[0] > 0);
    fclose(file[0]);
    fclose(file[1]);
    return same;
}

static void test_resnet18(void **state)
{
    static const char *const how[] = { "--seed 4", "--seed 4 --test-batch-size 2", "--seed 5" };
    char                     file[3][4096], dir[1100];
    (void)state;
    cifar10_members(&small, NULL);
    write_archive("same_bits", "cifar-10-binary.tar.gz", &small);
    for (int i = 0; i < 3; i++) {
        snprintf(dir, sizeof dir, "%s%d", test_path("same_bits/run"), i);
        snprintf(file[i], sizeof file[i], "%s/model.safetensors", dir);
        assert_int_equal(run("train --arch resnet18 --dataset cifar10 --data '%s' --optim sgd --lr 0.01 --epochs 2 "
                             "--batch-size 4 --threads 2 --quiet --out '%s' %s",
                             make_folder("same_bits"), dir, how[i]),
                         0);
    }
    assert_true(same_files(file[0], file[1]));
    assert_false(same_files(file[0], file[2]));
}

/* The same but for the crops and flips; digits have no recipe for them, with or without the option. */
static void test_no_augment(void **state)
{
    static const char *const how[] = { "", "--no-augment", "--no-augment" };
    char                     dir[3][1100], file[3][4096];
    (void)state;
    cifar10_members(&small, NULL);
    write_archive("augment", "cifar-10-binary.tar.gz", &small);
    for (int i = 0; i < 3; i++) {
        snprintf(dir[i], sizeof dir[i], "%s%d", test_path("augment/run"), i);
        snprintf(file[i], sizeof file[i], "%s/model.safetensors", dir[i]);
        assert_int_equal(run("train --depth 2 --width 8 --dataset cifar10 --data '%s' --epochs 2 --quiet --out '%s' %s",
                             make_folder("augment"), dir[i], how[i]),
                         0);
        assert_true(recorded(dir[i], i ? "\"augment\":\tfalse" : "\"augment\":\ttrue"));
    }
    assert_false(same_files(file[0], file[1]));
    assert_true(same_files(file[1], file[2]));
    snprintf(dir[0], sizeof dir[0], "%s", test_path("augment/digits"));
    assert_int_equal(run("train --depth 2 --width 8 --epochs 1 --no-augment --quiet --out '%s'", dir[0]), 0);
    assert_true(recorded(dir[0], "\"augment\":\tfalse"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_resnet18), cmocka_unit_test(test_no_augment) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

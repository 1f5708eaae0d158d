/* test_same_bits.c: a convolutional network trained twice by two processes, with augmentation and the prefetch thread, ends
 * in the same file, byte for byte. */
#include "cli/run.h"

#include "data/cifar_files.h"

static archive small;

/* One byte at a time would take a second: the files have 44 MB. */
static bool same_files(const char *a, const char *b)
{
    static char block[2][1 << 16];
    FILE       *file[2] = { fopen(a, "rb"), fopen(b, "rb") };
    assert_true(file[0] && file[1]);
    size_t got[2], total = 0;
    bool   same = true;
    do {
        for (int i = 0; i < 2; i++) got[i] = fread(block[i], 1, sizeof block[i], file[i]);
        same = got[0] == got[1] && memcmp(block[0], block[1], got[0]) == 0;
        total += got[0];
    } while (same && got[0] > 0);
    fclose(file[0]);
    fclose(file[1]);
    assert_true(!same || total > 44000000); /* resnet18 has 11.2 million weights of four bytes */
    return same;
}

static void test_resnet18(void **state)
{
    static const char *const how[] = { "--seed 4", "--seed 4 --test-batch-size 2", "--seed 5" };
    char                     file[3][2048], dir[1024];
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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_resnet18) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

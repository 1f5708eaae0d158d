/* test_images.c: folders of images as a data set: order, windows, the same samples whoever makes them, errors. */
#include "data/check.h"
#include "data/image.h"
#include "data/image_files.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 12, PER_CLASS = 4, COUNT = 2 * PER_CLASS };

static char root[1024];

static const char *inside(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void write_noise(const char *name, int width, int height, uint32_t x)
{
    static uint8_t rows[64 * 64 * 3];
    assert_in_range(width * height, 1, 64 * 64);
    for (int i = 0; i < width * height * 3; i++) rows[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    write_png(inside(name), width, height, 8, PNG_COLOR_TYPE_RGB, NULL, 0, rows);
}

/* Two classes of four files, of all kinds of sizes; and what is to be passed over. */
static void write_folder(void)
{
    static const char *const names[COUNT] = { "B/0.png", "B/a.PNG",  "B/b.png", "B/c.png",
                                              "a/1.png", "a/10.png", "a/2.png", "a/wide.png" };
    strcpy(root, test_path("images"));
    mkdir(root, 0777);
    mkdir(inside("a"), 0777);
    mkdir(inside("B"), 0777);
    mkdir(inside(".hidden"), 0777);
    write_file("images/readme.txt", "x", 1);
    write_file("images/a/notes.txt", "x", 1);
    write_file("images/a/._1.png", "x", 1);
    for (int i = 0; i < COUNT; i++)
        write_noise(names[i], i == COUNT - 1 ? 64 : 20 + i, i == COUNT - 1 ? 4 : 30 - i, (uint32_t)i);
}

static plm_dataset *opened(plm_ctx *ctx, bool gray)
{
    write_folder();
    plm_dataset *d = plm_dataset_from_images(ctx, root, &(plm_images_desc){ .size = SIZE, .gray = gray });
    assert_non_null(d);
    return d;
}

/* x [COUNT, 3, SIZE, SIZE] of an epoch, in the order of the folder. */
static void samples(plm_dataset *d, plm_loader_desc desc, int64_t epoch, float *x)
{
    plm_loader *l = plm_loader_new(d, &desc);
    plm_batch   b;
    int64_t     n = 0, size = plm_shape_count(plm_dataset_x_shape(d));
    plm_loader_seek(l, epoch);
    while (plm_loader_next(l, &b)) {
        for (int64_t i = 0; i < b.count; i++) assert_int_equal(((int64_t *)b.y.data)[i], n + i >= PER_CLASS);
        memcpy(x + n * size, b.x.data, (size_t)(b.count * size) * sizeof *x);
        n += b.count;
    }
    assert_int_equal(n, COUNT);
    plm_loader_free(l);
}

static void test_order_and_middle(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *d   = opened(ctx, false);
    static float x[COUNT * 3 * SIZE * SIZE];
    assert_int_equal(plm_dataset_count(d), COUNT);
    assert_int_equal(plm_dataset_classes(d), 2);
    assert_string_equal(plm_dataset_class(d, 0), "B");
    assert_string_equal(plm_dataset_class(d, 1), "a");
    assert_true(plm_shape_equal(plm_dataset_x_shape(d), plm_shape_of(3, SIZE, SIZE)));
    assert_true(plm_dataset_augments(d));
    samples(d, (plm_loader_desc){ .batch = 3 }, 0, x);

    /* The shorter side, 20 of the first file's 20 x 30, becomes round(12 * 256 / 224) = 14. */
    plm__image   image;
    plm__fault   fault = { PLM_OK, "" };
    uint8_t      bytes[3 * SIZE * SIZE];
    const double side = 20. * SIZE / 14, mean[3] = { .485, .456, .406 }, std[3] = { .229, .224, .225 };
    assert_true(plm__image_read(inside("B/0.png"), &image, &fault));
    assert_true(plm__image_resize(&image, (plm__window){ 10 - side / 2, 15 - side / 2, side, side }, SIZE, SIZE, false,
                                  bytes, &fault));
    plm__image_drop(&image);
    for (int i = 0; i < 3 * SIZE * SIZE; i++) {
        const int c = i / (SIZE * SIZE);
        assert_float_equal(x[i], (float)((bytes[i] / 255. - mean[c]) / std[c]), 1e-5f);
    }
    plm_dataset_free(d);
}

static void test_gray(void **state)
{
    plm_dataset *d = opened(*state, true);
    static float x[COUNT * SIZE * SIZE];
    assert_true(plm_shape_equal(plm_dataset_x_shape(d), plm_shape_of(1, SIZE, SIZE)));
    assert_int_equal(plm_dataset_normalization(d)->channels, 1);
    samples(d, (plm_loader_desc){ .batch = 8 }, 0, x);
    plm_dataset_free(d);
}

static void test_augmented(void **state)
{
    plm_dataset *d = opened(*state, false);
    enum { N = COUNT * 3 * SIZE * SIZE };
    static float plain[N], once[N], again[N];
    samples(d, (plm_loader_desc){ .batch = 3 }, 1, plain);
    samples(d, (plm_loader_desc){ .batch = 3, .augment = true }, 1, once);
    samples(d, (plm_loader_desc){ .batch = 3, .augment = true, .prefetch = true }, 1, again);
    assert_memory_equal(once, again, sizeof once);
    samples(d, (plm_loader_desc){ .batch = 1, .augment = true }, 1, again);
    assert_memory_equal(once, again, sizeof once);
    for (int i = 0; i < COUNT; i++) /* each has its own window */
        assert_memory_not_equal(once + i * N / COUNT, plain + i * N / COUNT, sizeof once / COUNT);
    samples(d, (plm_loader_desc){ .batch = 3, .augment = true }, 2, again);
    assert_memory_not_equal(once, again, sizeof once);
    plm_dataset_free(d);
}

static void refused(plm_ctx *ctx, const char *dir, int size, plm_status status, const char *part)
{
    assert_null(plm_dataset_from_images(ctx, dir, &(plm_images_desc){ .size = size }));
    assert_int_equal(plm_ctx_status(ctx), status);
    if (!strstr(plm_ctx_error(ctx), part)) fail_msg("\"%s\" does not say \"%s\"", plm_ctx_error(ctx), part);
    plm_ctx_clear(ctx);
}

static void test_refused(void **state)
{
    plm_ctx *ctx = *state;
    write_folder();
    refused(ctx, NULL, 0, PLM_ERR_ARGUMENT, "dir is NULL");
    refused(ctx, root, -1, PLM_ERR_ARGUMENT, "size is -1");
    refused(ctx, inside("missing"), 0, PLM_ERR_IO, "images/missing: cannot list");
    refused(ctx, inside("a"), 0, PLM_ERR_FORMAT, "images/a has no sub-folders");
    mkdir(inside("c"), 0777);
    refused(ctx, root, 0, PLM_ERR_FORMAT, "images/c has no .png");
    assert_int_equal(rmdir(inside("c")), 0);
}

/* A file that breaks while the data set is in use, and is mended. */
static void test_broken_on_the_way(void **state)
{
    plm_ctx  *ctx = *state;
    plm_batch b;
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        plm_dataset *d = opened(ctx, false);
        plm_loader  *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 4, .prefetch = prefetch });
        write_file("images/B/b.png", "gone", 4);
        assert_false(plm_loader_next(l, &b));
        assert_int_equal(plm_ctx_status(ctx), PLM_ERR_FORMAT);
        assert_non_null(strstr(plm_ctx_error(ctx), "B/b.png is neither"));
        plm_ctx_clear(ctx);
        write_noise("B/b.png", 5, 5, 9);
        assert_true(plm_loader_next(l, &b));
        plm_loader_free(l);
        plm_dataset_free(d);
    }
}

/* A file that is replaced while a training uses it is named, by the caller's thread and by the one that fills ahead; one that
 * nobody has read yet may change. */
static void test_replaced_on_the_way(void **state)
{
    plm_ctx *ctx = *state;
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        static float x[COUNT * 3 * SIZE * SIZE];
        plm_dataset *d = opened(ctx, false);
        plm_batch    b;
        write_noise("B/a.PNG", 25, 25, 77);
        samples(d, (plm_loader_desc){ .batch = 3 }, 0, x);
        samples(d, (plm_loader_desc){ .batch = 3 }, 1, x);
        write_noise("a/10.png", 25, 25, 78);
        plm_loader *l = plm_loader_new(d, &(plm_loader_desc){ .batch = 3, .prefetch = prefetch });
        assert_true(plm_loader_next(l, &b)); /* the sixth of eight: in the second batch */
        assert_false(plm_loader_next(l, &b));
        assert_error(ctx, PLM_ERR_IO, "a/10.png has changed since it was first read");
        plm_loader_free(l);
        plm_dataset_free(d);
    }
}

static bool use(plm_ctx *ctx)
{
    plm_dataset *d  = plm_dataset_from_images(ctx, root, &(plm_images_desc){ .size = SIZE });
    const bool   ok = d;
    plm_dataset_free(d);
    return ok;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    write_folder();
    check_allocation_failures(use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_order_and_middle),
        ctx_test(test_gray),
        ctx_test(test_augmented),
        ctx_test(test_refused),
        ctx_test(test_broken_on_the_way),
        ctx_test(test_replaced_on_the_way),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

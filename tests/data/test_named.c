/* test_named.c: data sets by name: where files are looked for, and which files are refused. */
#include "data/check.h"
#include "data/data.h"

#include <sys/stat.h>
#include <unistd.h>

enum { IMAGES = 5, PIXELS = 28 * 28 };

/* An IDX file of `count` images (with pixels i, i+1, ...) or labels. */
static size_t images_file(uint8_t *to, int count, int side)
{
    const uint8_t header[16] = { 0, 0, 8, 3, 0, 0, 0, (uint8_t)count, 0, 0, 0, (uint8_t)side, 0, 0, 0, (uint8_t)side };
    memcpy(to, header, sizeof header);
    for (int i = 0; i < count; i++)
        for (int p = 0; p < side * side; p++) to[16 + i * side * side + p] = (uint8_t)(i + p);
    return (size_t)(16 + count * side * side);
}

static size_t labels_file(uint8_t *to, int count, int first)
{
    const uint8_t header[8] = { 0, 0, 8, 1, 0, 0, 0, (uint8_t)count };
    memcpy(to, header, sizeof header);
    for (int i = 0; i < count; i++) to[8 + i] = (uint8_t)(first + i);
    return (size_t)(8 + count);
}

/* A folder below the scratch folder; lent until the next call. */
static const char *make_folder(const char *name)
{
    static char folder[1024];
    snprintf(folder, sizeof folder, "%s", test_path(name));
    mkdir(folder, 0700);
    return folder;
}

/* Writes both files of a part ("train", "t10k") into a folder. */
static void write_part(const char *folder, const char *part, int images, int side, int labels, int first)
{
    static uint8_t bytes[16 + IMAGES * 32 * 32];
    char           name[256];
    snprintf(name, sizeof name, "%s/%s-images-idx3-ubyte", folder, part);
    write_file(name, bytes, images_file(bytes, images, side));
    snprintf(name, sizeof name, "%s/%s-labels-idx1-ubyte", folder, part);
    write_file(name, bytes, labels_file(bytes, labels, first));
}

static int64_t first_label(plm_dataset *d)
{
    plm_batch   b;
    plm_loader *l = plm_loader_new(d, NULL);
    assert_true(plm_loader_next(l, &b));
    int64_t label = ((int64_t *)b.y.data)[0];
    plm_loader_free(l);
    return label;
}

static void test_mnist_files(void **state)
{
    plm_ctx    *ctx    = *state;
    const char *folder = make_folder("sound");
    write_part("sound", "train", IMAGES, 28, IMAGES, 5);
    write_part("sound", "t10k", 2, 28, 2, 1);
    plm_dataset *d = plm_dataset_named(ctx, "mnist", &(plm_named_desc){ .dir = folder });
    assert_ok(ctx);
    assert_int_equal(plm_dataset_count(d), IMAGES);
    assert_true(plm_shape_equal(plm_dataset_x_shape(d), plm_shape_of(1, 28, 28)));
    assert_int_equal(plm_dataset_classes(d), 10);
    assert_string_equal(plm_dataset_class(d, 9), "9");
    assert_string_equal(plm_dataset_name(d), "mnist");
    plm_batch   b;
    plm_loader *l = plm_loader_new(d, NULL);
    double      want[IMAGES * PIXELS];
    for (int i = 0; i < IMAGES; i++)
        for (int p = 0; p < PIXELS; p++) want[i * PIXELS + p] = ((uint8_t)(i + p) / 255.0 - .1307) / .3081;
    assert_true(plm_loader_next(l, &b));
    assert_all_close(b.x.data, want, IMAGES * PIXELS, 1e-7);
    for (int i = 0; i < IMAGES; i++) assert_int_equal(((int64_t *)b.y.data)[i], 5 + i);
    plm_loader_free(l);
    plm_dataset_free(d);

    d = plm_dataset_named(ctx, "mnist", &(plm_named_desc){ .dir = folder, .test = true });
    assert_int_equal(plm_dataset_count(d), 2);
    assert_int_equal(first_label(d), 1);
    plm_dataset_free(d);
}

static void check_first_label(plm_ctx *ctx, const plm_named_desc *desc, int64_t label)
{
    plm_dataset *d = plm_dataset_named(ctx, "mnist", desc);
    assert_ok(ctx);
    assert_int_equal(first_label(d), label);
    plm_dataset_free(d);
}

/* dir, $PLUMMET_DATA, ~/.cache/plummet; in each the folder with the data set's name comes first. */
static void test_order_of_places(void **state)
{
    plm_ctx *ctx = *state;
    char     root[1024], data[1100], home[1100];
    snprintf(root, sizeof root, "%s", make_folder("places"));
    snprintf(data, sizeof data, "%s/data", root);
    snprintf(home, sizeof home, "%s/home", root);
    const char *const folders[] = { "places/data", "places/home", "places/home/.cache", "places/home/.cache/plummet",
                                    "places/mnist" };
    for (int i = 0; i < 5; i++) make_folder(folders[i]);
    write_part("places/home/.cache/plummet", "train", 1, 28, 1, 4);
    setenv("HOME", home, 1);
    setenv("PLUMMET_DATA", "", 1);
    check_first_label(ctx, NULL, 4);
    setenv("PLUMMET_DATA", data, 1);
    check_first_label(ctx, NULL, 4);
    write_part("places/data", "train", 1, 28, 1, 3);
    check_first_label(ctx, NULL, 3);
    check_first_label(ctx, &(plm_named_desc){ .dir = root }, 3);
    write_part("places", "train", 1, 28, 1, 2);
    check_first_label(ctx, &(plm_named_desc){ .dir = root }, 2);
    write_part("places/mnist", "train", 1, 28, 1, 1);
    check_first_label(ctx, &(plm_named_desc){ .dir = root }, 1);
    assert_int_equal(unlink(test_path("places/mnist/train-labels-idx1-ubyte")), 0); /* half a data set is none */
    check_first_label(ctx, &(plm_named_desc){ .dir = root }, 2);
    unsetenv("PLUMMET_DATA");
    unsetenv("HOME");
}

static void refused(plm_ctx *ctx, const char *name, const char *folder, plm_status status, const char *part)
{
    assert_null(plm_dataset_named(ctx, name, &(plm_named_desc){ .dir = folder }));
    assert_error(ctx, status, part);
}

static void test_refused_names(void **state)
{
    refused(*state, "emnist", NULL, PLM_ERR_ARGUMENT,
            "\"emnist\" is not one of the known data sets digits, mnist, fashion-mnist, cifar10, cifar100");
    refused(*state, NULL, NULL, PLM_ERR_ARGUMENT, "name is NULL");
}

static void test_missing_files(void **state)
{
    plm_ctx          *ctx      = *state;
    const char *const places[] = { "/none/a", "/none/b" };
    assert_null(plm__named_in(ctx, "mnist", false, places, 2, NULL));
    assert_error(ctx, PLM_ERR_IO,
                 "mnist: no folder with train-images-idx3-ubyte[.gz] and train-labels-idx1-ubyte[.gz]; looked in "
                 "/none/a/mnist, /none/a, /none/b/mnist, /none/b");
    assert_null(plm__named_in(ctx, "fashion-mnist", true, places, 1, NULL));
    assert_error(ctx, PLM_ERR_IO,
                 "fashion-mnist: no folder with t10k-images-idx3-ubyte[.gz] and t10k-labels-idx1-ubyte[.gz]; looked in "
                 "/none/a/fashion-mnist, /none/a; on Debian and Ubuntu the package dataset-fashion-mnist brings them");
    assert_null(plm__named_in(ctx, "fashion-mnist", true, NULL, 0, NULL));
    assert_error(ctx, PLM_ERR_IO, "fashion-mnist");
}

/* The public call names all four places, with the environment as it is. */
static void test_missing_files_everywhere(void **state)
{
    if (access("/usr/share/datasets/mnist", F_OK) == 0 ||
        access("/usr/share/datasets/train-images-idx3-ubyte", F_OK) == 0)
        skip();
    setenv("PLUMMET_DATA", "/none/data", 1);
    setenv("HOME", "/none/home", 1);
    refused(*state, "mnist", "/none/dir", PLM_ERR_IO,
            "looked in /none/dir/mnist, /none/dir, /none/data/mnist, /none/data, /none/home/.cache/plummet/mnist, "
            "/none/home/.cache/plummet, /usr/share/datasets/mnist, /usr/share/datasets");
    setenv("PLUMMET_DATA", "", 1); /* as if not set */
    setenv("HOME", "", 1);
    refused(*state, "mnist", "/none/dir", PLM_ERR_IO,
            "looked in /none/dir/mnist, /none/dir, /usr/share/datasets/mnist, /usr/share/datasets");
    unsetenv("PLUMMET_DATA");
    unsetenv("HOME");
}

static void test_refused_files(void **state)
{
    plm_ctx    *ctx    = *state;
    const char *folder = make_folder("broken");
    write_part("broken", "train", 3, 28, 4, 0);
    refused(ctx, "mnist", folder, PLM_ERR_FORMAT, "train-images-idx3-ubyte has 3 images, but ");
    write_part("broken", "train", 3, 28, 4, 0);
    refused(ctx, "mnist", folder, PLM_ERR_FORMAT, "train-labels-idx1-ubyte has 4 labels");
    write_part("broken", "train", 3, 28, 3, 8);
    refused(ctx, "mnist", folder, PLM_ERR_FORMAT, "train-labels-idx1-ubyte: label 10 of image 2 is not in 0..9");
    write_part("broken", "train", 3, 32, 3, 0);
    refused(ctx, "mnist", folder, PLM_ERR_FORMAT,
            "train-images-idx3-ubyte has images of 32x32, those of mnist are 28x28");
    write_file("broken/train-labels-idx1-ubyte", "", 0);
    refused(ctx, "mnist", folder, PLM_ERR_FORMAT, "train-labels-idx1-ubyte is truncated");
}

/* The real thing, where the distribution's package is installed. */
static void check_fashion(plm_ctx *ctx, bool test, int64_t count, const int64_t *labels)
{
    plm_dataset *d = plm_dataset_named(ctx, "fashion-mnist", &(plm_named_desc){ .test = test });
    assert_ok(ctx);
    assert_int_equal(plm_dataset_count(d), count);
    assert_string_equal(plm_dataset_class(d, 0), "T-shirt/top");
    assert_string_equal(plm_dataset_class(d, 9), "Ankle boot");
    plm_batch   b;
    plm_loader *l       = plm_loader_new(d, &(plm_loader_desc){ .batch = 100 });
    double      squares = 0, sum = 0;
    for (bool first = true; plm_loader_next(l, &b); first = false) {
        if (first) assert_memory_equal(b.y.data, labels, 10 * sizeof *labels);
        const float *x = b.x.data;
        for (int64_t i = 0; i < b.count * PIXELS; i++) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
    }
    assert_close(sum / (double)(count * PIXELS), 0, test ? 1e-2 : 1e-3,
                 0); /* the constants are those of the training images */
    assert_close(squares / (double)(count * PIXELS), 1, test ? 1e-2 : 1e-3, 0);
    plm_loader_free(l);
    plm_dataset_free(d);
}

static void test_fashion(void **state)
{
    if (access("/usr/share/datasets/fashion-mnist", F_OK) != 0) skip();
    check_fashion(*state, false, 60000, (int64_t[]){ 9, 0, 0, 3, 0, 2, 7, 2, 5, 5 });
    check_fashion(*state, true, 10000, (int64_t[]){ 9, 2, 1, 1, 6, 1, 4, 6, 5, 7 });
}

static bool use(plm_ctx *ctx)
{
    const char *folder = make_folder("memory");
    write_part("memory", "train", 2, 28, 2, 0);
    plm_dataset *d = plm_dataset_named(ctx, "fashion-mnist", &(plm_named_desc){ .dir = folder });
    plm_dataset_free(d);
    return d;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_allocation_failures(use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_mnist_files),   ctx_test(test_order_of_places),          ctx_test(test_refused_names),
        ctx_test(test_missing_files), ctx_test(test_missing_files_everywhere), ctx_test(test_refused_files),
        ctx_test(test_fashion),       cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

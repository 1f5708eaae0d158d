/* test_cifar.c: CIFAR-10 and CIFAR-100, from archives and folders, sound and corrupted. */
#include "data/cifar_files.h"
#include "data/data.h"

#include <unistd.h>

#define CIFAR10 "cifar-10-binary.tar.gz"
#define CIFAR100 "cifar-100-binary.tar.gz"

static const double mean10[] = { .4914, .4822, .4465 }, std10[] = { .2023, .1994, .2010 };
static const double mean100[] = { .5071, .4867, .4408 }, std100[] = { .2675, .2565, .2761 };

static archive tar; /* static: large */

/* All samples are image first, first + 1, ... of the test files, normalised. */
static void check_samples(plm_ctx *ctx, plm_dataset *d, int64_t first, int64_t count, int classes, const double *mean,
                          const double *std)
{
    static double want[PIXELS];
    plm_batch     b;
    assert_ok(ctx);
    assert_int_equal(plm_dataset_count(d), count);
    assert_int_equal(plm_dataset_classes(d), classes);
    assert_true(plm_shape_equal(plm_dataset_x_shape(d), plm_shape_of(3, 32, 32)));
    plm_loader *l = plm_loader_new(d, NULL);
    assert_true(plm_loader_next(l, &b));
    for (int64_t i = 0; i < count; i++) {
        for (int p = 0; p < PIXELS; p++) want[p] = (pixel_of(first + i, p) / 255.0 - mean[p / 1024]) / std[p / 1024];
        assert_all_close((const float *)b.x.data + i * PIXELS, want, PIXELS, 1e-7);
        assert_int_equal(((int64_t *)b.y.data)[i], label_of(first + i, classes));
    }
    plm_loader_free(l);
}

static plm_dataset *open_in(plm_ctx *ctx, const char *name, const char *folder, bool test)
{
    return plm_dataset_named(ctx, name, &(plm_named_desc){ .dir = test_path(folder), .test = test });
}

static void test_archive(void **state)
{
    plm_ctx *ctx = *state;
    cifar10_members(&tar, NULL);
    write_archive("archive", CIFAR10, &tar);
    plm_dataset *d = open_in(ctx, "cifar10", "archive", false);
    check_samples(ctx, d, 0, 5 * PER_FILE, 10, mean10, std10); /* in the order of the batches' numbers */
    assert_string_equal(plm_dataset_name(d), "cifar10");
    assert_string_equal(plm_dataset_class(d, 0), "airplane");
    assert_string_equal(plm_dataset_class(d, 9), "truck");
    assert_true(plm_dataset_augments(d));
    plm_dataset_free(d);
    d = open_in(ctx, "cifar10", "archive", true);
    check_samples(ctx, d, 1000, PER_FILE, 10, mean10, std10);
    plm_dataset_free(d);
}

static void test_both_splits(void **state)
{
    plm_ctx     *ctx = *state;
    plm_dataset *train, *test;
    cifar10_members(&tar, NULL);
    write_archive("both", CIFAR10, &tar);
    train = plm_dataset_named(ctx, "cifar10", &(plm_named_desc){ .dir = test_path("both"), .other = &test });
    check_samples(ctx, train, 0, 5 * PER_FILE, 10, mean10, std10);
    check_samples(ctx, test, 1000, PER_FILE, 10, mean10, std10);
    plm_dataset_free(train);
    plm_dataset_free(test);
    test = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = true, .other = &train });
    assert_int_equal(plm_dataset_count(test), 297);
    assert_int_equal(plm_dataset_count(train), 1500);
    plm_dataset_free(train);
    plm_dataset_free(test);
    cifar10_members(&tar, "test_batch");
    write_archive("both", CIFAR10, &tar);
    train = open_in(ctx, "cifar10", "both", false); /* the test batch is not missed by who does not want it */
    assert_non_null(train);
    plm_dataset_free(train);
    assert_null(plm_dataset_named(ctx, "cifar10", &(plm_named_desc){ .dir = test_path("both"), .other = &test }));
    assert_null(test);
    assert_error(ctx, PLM_ERR_FORMAT, "cifar-10-binary.tar.gz has no member test_batch.bin");
}

/* The unpacked files; one of them changed after by the caller. */
static void write_folder(const char *folder)
{
    static uint8_t content[PER_FILE * (PIXELS + 1)];
    char           path[128];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/cifar-10-batches-bin", folder);
    make_folder(path);
    for (int k = 1; k <= 6; k++) {
        snprintf(path, sizeof path, "%s/cifar-10-batches-bin/data_batch_%d.bin", folder, k);
        if (k == 6) snprintf(path, sizeof path, "%s/cifar-10-batches-bin/test_batch.bin", folder);
        write_file(path, content, records(content, k == 6 ? 1000 : (k - 1) * PER_FILE, PER_FILE, 1, 10));
    }
}

/* The folder is taken before the archive beside it, unless a file is missing. */
static void test_folder(void **state)
{
    plm_ctx *ctx = *state;
    write_folder("folder");
    write_file("folder/" CIFAR10, "nonsense", 8);
    plm_dataset *d = open_in(ctx, "cifar10", "folder", false);
    check_samples(ctx, d, 0, 5 * PER_FILE, 10, mean10, std10);
    plm_dataset_free(d);
    d = open_in(ctx, "cifar10", "folder", true);
    check_samples(ctx, d, 1000, PER_FILE, 10, mean10, std10);
    plm_dataset_free(d);
    assert_int_equal(unlink(test_path("folder/cifar-10-batches-bin/data_batch_3.bin")), 0);
    cifar10_members(&tar, NULL);
    write_archive("folder", CIFAR10, &tar);
    d = open_in(ctx, "cifar10", "folder", false);
    check_samples(ctx, d, 0, 5 * PER_FILE, 10, mean10, std10);
    plm_dataset_free(d);
    assert_int_equal(unlink(test_path("folder/" CIFAR10)), 0);
    const char *place = test_path("folder");
    assert_null(plm__named_in(ctx, "cifar10", false, &place, 1, NULL));
    assert_error(ctx, PLM_ERR_IO,
                 "cifar10: no folder with cifar-10-binary.tar.gz or "
                 "cifar-10-batches-bin/data_batch_1.bin ... data_batch_5.bin; looked in ");
    assert_null(plm__named_in(ctx, "cifar100", true, &place, 1, NULL));
    assert_error(ctx, PLM_ERR_IO,
                 "cifar100: no folder with cifar-100-binary.tar.gz or cifar-100-binary/test.bin; looked in ");
}

/* "class_0\n" ... "class_99\n" */
static size_t names_text(char text[2048], int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) size += (size_t)snprintf(text + size, 2048 - size, "class_%d\n", i);
    return size;
}

/* The members of CIFAR-100; `names` NULL: without class names. */
static void cifar100_members(const void *names, size_t size)
{
    static uint8_t content[PER_FILE * (PIXELS + 2)];
    tar.size = 0;
    add_member(&tar, "cifar-100-binary/test.bin", '0', content, records(content, 1000, 2, 2, 100));
    if (names) add_member(&tar, "cifar-100-binary/fine_label_names.txt", '0', names, size);
    add_member(&tar, "cifar-100-binary/train.bin", '\0', content, records(content, 0, 3, 2, 100));
    add_end(&tar);
}

static void test_cifar100(void **state)
{
    plm_ctx       *ctx = *state;
    static uint8_t content[PER_FILE * (PIXELS + 2)];
    char           text[2048];
    cifar100_members(NULL, 0);
    write_archive("hundred", CIFAR100, &tar);
    plm_dataset *d = open_in(ctx, "cifar100", "hundred", false);
    check_samples(ctx, d, 0, 3, 100, mean100, std100);
    assert_string_equal(plm_dataset_class(d, 99), "99");
    plm_dataset_free(d);
    cifar100_members(text, names_text(text, 100));
    write_archive("hundred", CIFAR100, &tar);
    d = open_in(ctx, "cifar100", "hundred", true);
    check_samples(ctx, d, 1000, 2, 100, mean100, std100);
    assert_string_equal(plm_dataset_class(d, 0), "class_0");
    assert_string_equal(plm_dataset_class(d, 99), "class_99");
    plm_dataset_free(d);

    make_folder("hundred/cifar-100-binary");
    write_file("hundred/cifar-100-binary/train.bin", content, records(content, 50, 3, 2, 100));
    d = open_in(ctx, "cifar100", "hundred", false);
    check_samples(ctx, d, 50, 3, 100, mean100, std100);
    assert_string_equal(plm_dataset_class(d, 5), "5");
    plm_dataset_free(d);
    write_file("hundred/cifar-100-binary/fine_label_names.txt", text, names_text(text, 100));
    d = open_in(ctx, "cifar100", "hundred", false);
    assert_string_equal(plm_dataset_class(d, 5), "class_5");
    plm_dataset_free(d);
}

static void refused(plm_ctx *ctx, const char *name, const char *folder, const char *file, const char *part)
{
    const uint64_t before = plm_ctx_statistics(ctx).bytes;
    assert_null(open_in(ctx, name, folder, false));
    assert_int_equal(plm_ctx_statistics(ctx).bytes, before);
    assert_non_null(strstr(plm_ctx_error(ctx), file));
    assert_null(strchr(plm_ctx_error(ctx), '\n'));
    assert_error(ctx, PLM_ERR_FORMAT, part);
}

static void refused_archive(plm_ctx *ctx, const char *part)
{
    write_archive("broken", CIFAR10, &tar);
    refused(ctx, "cifar10", "broken", CIFAR10, part);
}

static void test_class_names(void **state)
{
    plm_ctx *ctx = *state;
    char     text[2048];
    size_t   size = names_text(text, 99);
    cifar100_members(text, size);
    write_archive("names", CIFAR100, &tar);
    refused(ctx, "cifar100", "names", CIFAR100, "fine_label_names.txt has 99 class names, expected 100");
    size    = names_text(text, 100);
    text[8] = 27;
    cifar100_members(text, size);
    write_archive("names", CIFAR100, &tar);
    refused(ctx, "cifar100", "names", CIFAR100, "fine_label_names.txt: line 2 has the byte 0x1b");
    static char large[8192];
    cifar100_members(large, sizeof large);
    write_archive("names", CIFAR100, &tar);
    refused(ctx, "cifar100", "names", CIFAR100, "fine_label_names.txt has 8192 bytes, too many for 100 class names");
    cifar100_members(large, 0); /* an empty file */
    write_archive("names", CIFAR100, &tar);
    refused(ctx, "cifar100", "names", CIFAR100, "has 0 class names, expected 100");
}

static void test_missing_members(void **state)
{
    plm_ctx *ctx = *state;
    char     skip[32], part[64];
    for (int k = 1; k <= 5; k++) {
        snprintf(skip, sizeof skip, "data_batch_%d.bin", k);
        snprintf(part, sizeof part, "has no member %s", skip);
        cifar10_members(&tar, skip);
        refused_archive(*state, part);
    }
    tar.size = 0;
    add_end(&tar);
    refused_archive(ctx, "has no member data_batch_1.bin");
    write_file("broken/" CIFAR10, "", 0);
    refused(ctx, "cifar10", "broken", CIFAR10, "has no member data_batch_1.bin");
}

/* Links, long names and what else may stand between the files is passed over; the zeros at the end may be missing. */
static void test_other_members(void **state)
{
    static archive other;
    plm_ctx       *ctx = *state;
    cifar10_members(&tar, NULL);
    other.size      = 0;
    const size_t at = add_member(&other, "link/data_batch_1.bin", '2', NULL, 0);
    memcpy(other.bytes + at + 124, "00000001000", 12); /* a link has no content, whatever its size says */
    seal(other.bytes + at);
    add_member(&other, "PaxHeaders/data_batch_1.bin", 'x', "20 mtime=1234567.25\n", 20);
    add_member(&other, "././@LongLink", 'L', "data_batch_1.bin", 17);
    memcpy(other.bytes + other.size, tar.bytes, tar.size - 20 * BLOCK);
    other.size += tar.size - 20 * BLOCK;
    write_archive("other", CIFAR10, &other);
    plm_dataset *d = open_in(ctx, "cifar10", "other", false);
    check_samples(ctx, d, 0, 5 * PER_FILE, 10, mean10, std10);
    plm_dataset_free(d);
}

/* Where the header of data_batch_1.bin is. */
#define FIRST (3 * BLOCK)

static void with_size(plm_ctx *ctx, const char *field, const char *part)
{
    cifar10_members(&tar, NULL);
    memcpy(tar.bytes + FIRST + 124, field, 12);
    seal(tar.bytes + FIRST);
    refused_archive(ctx, part);
}

static void test_damaged_headers(void **state)
{
    plm_ctx       *ctx  = *state;
    const uint64_t peak = plm_ctx_statistics(ctx).peak_bytes;
    cifar10_members(&tar, NULL);
    tar.bytes[FIRST + 2] ^= 1;
    refused_archive(ctx, "is not a tar archive or damaged: the header at byte 1536 sums to ");
    cifar10_members(&tar, NULL);
    memcpy(tar.bytes + FIRST + 148, "99999999", 8);
    refused_archive(ctx, "the header at byte 1536 sums to ");
    with_size(ctx, "0000000000x", "the tar header at byte 1536 has no valid size");
    with_size(ctx, "           ", "the tar header at byte 1536 has no valid size");
    with_size(ctx, "77777777777", "the tar header at byte 1536 says 8589934591 bytes, more than it holds");
    with_size(ctx, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "the tar header at byte 1536 has no valid size");
    with_size(ctx, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", "says 9223372036854775807 bytes, more than it holds");
    with_size(ctx, "00000000000", "data_batch_1.bin has 0 bytes, expected a whole number of records of 3073");
    with_size(ctx, "00000022004", "data_batch_1.bin has 9220 bytes, expected a whole number of records of 3073");
    assert_true(plm_ctx_statistics(ctx).peak_bytes <= peak + (1 << 10)); /* none of them made us allocate */
    write_file("broken/" CIFAR10, "this is text, not an archive", 28);
    refused(ctx, "cifar10", "broken", CIFAR10, "is truncated: its tar header at byte 0 has 28 of 512 bytes");
    memset(tar.bytes, 'x', BLOCK);
    refused_archive(ctx, "is not a tar archive or damaged: the header at byte 0 sums to ");
}

static void test_base_256_size(void **state)
{
    plm_ctx *ctx = *state;
    cifar10_members(&tar, NULL);
    memcpy(tar.bytes + FIRST + 124, "\x80\0\0\0\0\0\0\0\0\0\x24\x03", 12); /* 9219: as it is */
    seal(tar.bytes + FIRST);
    write_archive("base", CIFAR10, &tar);
    plm_dataset *d = open_in(ctx, "cifar10", "base", false);
    check_samples(ctx, d, 0, 5 * PER_FILE, 10, mean10, std10);
    plm_dataset_free(d);
}

static void test_damaged_members(void **state)
{
    static uint8_t content[4 * (PIXELS + 1)];
    plm_ctx       *ctx = *state;
    cifar10_members(&tar, NULL);
    tar.bytes[FIRST + BLOCK + 2 * (PIXELS + 1)] = 10;
    refused_archive(ctx, "data_batch_1.bin: label 10 of record 2 is not in 0..9");
    cifar10_members(&tar, NULL);
    tar.size -= 20 * BLOCK;
    add_member(&tar, "data_batch_4.bin", '0', content, PIXELS + 1);
    refused_archive(ctx, "data_batch_4.bin is there twice");
    cifar10_members(&tar, "data_batch_2.bin");
    tar.size -= 20 * BLOCK;
    add_member(&tar, "data_batch_2.bin", '0', content, records(content, 0, 4, 1, 10));
    refused_archive(ctx, "data_batch_2.bin has 4 records, the file read before it has 3");
    static uint8_t coarse[PIXELS + 2] = { 20 };
    tar.size                          = 0;
    add_member(&tar, "train.bin", '0', coarse, sizeof coarse);
    write_archive("broken", CIFAR100, &tar);
    refused(ctx, "cifar100", "broken", CIFAR100, "train.bin: coarse label 20 of record 0 is not in 0..19");
    memcpy(tar.bytes + BLOCK, "\0\144", 2);
    write_archive("broken", CIFAR100, &tar);
    refused(ctx, "cifar100", "broken", CIFAR100, "train.bin: label 100 of record 0 is not in 0..99");
}

/* An archive that is not gzipped is one too; cut anywhere it is refused. */
static void test_truncated(void **state)
{
    plm_ctx *ctx = *state;
    make_folder("cut");
    cifar10_members(&tar, NULL);
    write_file("cut/" CIFAR10, tar.bytes, tar.size);
    plm_dataset *d = open_in(ctx, "cifar10", "cut", false);
    assert_ok(ctx);
    plm_dataset_free(d);
    for (size_t length = 1; length < tar.size - 21 * BLOCK; length += 997) {
        write_file("cut/" CIFAR10, tar.bytes, length);
        refused(ctx, "cifar10", "cut", CIFAR10, "");
    }
    write_file("cut/" CIFAR10, tar.bytes, FIRST + BLOCK + 5000);
    refused(ctx, "cifar10", "cut", CIFAR10, "truncated");
}

static size_t gzipped(uint8_t *to)
{
    FILE *file = fopen(write_gz("copy.gz", tar.bytes, tar.size), "rb");
    assert_non_null(file);
    const size_t size = fread(to, 1, ROOM, file);
    assert_int_equal(fclose(file), 0);
    return size;
}

static void test_damaged_gzip(void **state)
{
    static uint8_t packed[ROOM], b[ROOM];
    plm_ctx       *ctx = *state;
    make_folder("gzip");
    cifar10_members(&tar, NULL);
    const size_t size = gzipped(packed);
    assert_in_range(size, 1000, ROOM - 1);
    for (size_t length = 1; length < size; length += size / 40) {
        write_file("gzip/" CIFAR10, packed, length);
        refused(ctx, "cifar10", "gzip", CIFAR10, "");
    }
    write_file("gzip/" CIFAR10, packed, size - 1);
    refused(ctx, "cifar10", "gzip", CIFAR10, "is truncated: the gzip checksum is missing");
    memcpy(b, packed, size);
    b[size - 8] ^= 1;
    write_file("gzip/" CIFAR10, b, size);
    refused(ctx, "cifar10", "gzip", CIFAR10, "is damaged gzip data: incorrect data check");
    for (size_t at = 10; at < size; at += size / 60) {
        memcpy(b, packed, size);
        b[at] ^= 0x55;
        write_file("gzip/" CIFAR10, b, size);
        refused(ctx, "cifar10", "gzip", CIFAR10, "");
    }
}

static void test_damaged_folder(void **state)
{
    static uint8_t content[PER_FILE * (PIXELS + 1) + 1];
    plm_ctx       *ctx = *state;
    const char *file = "cifar-10-batches-bin/data_batch_3.bin", *path = "loose/cifar-10-batches-bin/data_batch_3.bin";
    write_folder("loose");
    size_t size = records(content, 0, PER_FILE, 1, 10);
    write_file(path, content, size + 1);
    refused(ctx, "cifar10", "loose", file, "has 9220 bytes, expected a whole number of records of 3073");
    write_file(path, content, size - PIXELS - 1);
    refused(ctx, "cifar10", "loose", file, "has 2 records, the file read before it has 3");
    write_file(path, content, 0);
    refused(ctx, "cifar10", "loose", file, "has 0 bytes");
    content[PIXELS + 1] = 255;
    write_file(path, content, size);
    refused(ctx, "cifar10", "loose", file, "label 255 of record 1 is not in 0..9");
    assert_int_equal(unlink(test_path(path)), 0);
    make_folder(path);
    assert_null(open_in(ctx, "cifar10", "loose", false));
    assert_error(ctx, PLM_ERR_IO, "data_batch_3.bin is not a regular file");
}

static bool use(plm_ctx *ctx)
{
    plm_dataset *other,
        *d = plm_dataset_named(ctx, "cifar10", &(plm_named_desc){ .dir = test_path("memory"), .other = &other });
    if (!d) assert_null(other);
    plm_dataset_free(d);
    plm_dataset_free(other);
    return d;
}

static bool use_folder(plm_ctx *ctx)
{
    plm_dataset *d = open_in(ctx, "cifar100", "memory100", false);
    plm_dataset_free(d);
    return d;
}

static void test_out_of_memory(void **state)
{
    char           text[2048];
    static uint8_t content[PIXELS + 2];
    (void)state;
    cifar10_members(&tar, NULL);
    write_archive("memory", CIFAR10, &tar);
    check_allocation_failures(use);
    make_folder("memory100");
    make_folder("memory100/cifar-100-binary");
    write_file("memory100/cifar-100-binary/train.bin", content, records(content, 0, 1, 2, 100));
    write_file("memory100/cifar-100-binary/fine_label_names.txt", text, names_text(text, 100));
    check_allocation_failures(use_folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_archive),        ctx_test(test_both_splits),
        ctx_test(test_folder),         ctx_test(test_cifar100),
        ctx_test(test_class_names),    ctx_test(test_missing_members),
        ctx_test(test_other_members),  ctx_test(test_damaged_headers),
        ctx_test(test_base_256_size),  ctx_test(test_damaged_members),
        ctx_test(test_truncated),      ctx_test(test_damaged_gzip),
        ctx_test(test_damaged_folder), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

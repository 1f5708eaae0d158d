/* test_idx.c: IDX files, plain and gzipped, sound and corrupted. */
#include "data/check.h"
#include "data/data.h"

#include <sys/stat.h>
#include <zlib.h>

/* [3,2,2] unsigned bytes. */
static const uint8_t sound[] = {
    0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255
};
enum { HEADER = 16, SIZE = sizeof sound };

static const char *write_gz(const char *name, const void *bytes, size_t count)
{
    const char *path = test_path(name);
    gzFile      file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)count), count);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

/* What a gzipped copy of these bytes looks like on disk; its size. */
static size_t gzipped(const void *bytes, size_t count, uint8_t *out, size_t room)
{
    FILE *file = fopen(write_gz("copy.gz", bytes, count), "rb");
    assert_non_null(file);
    size_t size = fread(out, 1, room, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(size, 18, room - 1);
    return size;
}

static void check_sound(plm_ctx *ctx, const char *path)
{
    plm_shape shape;
    uint8_t  *data;
    assert_true(plm__idx_read(ctx, path, 3, &shape, &data));
    assert_true(plm_shape_equal(shape, plm_shape_of(3, 2, 2)));
    assert_memory_equal(data, sound + HEADER, SIZE - HEADER);
    plm__delete(ctx, data);
}

static void refused(plm_ctx *ctx, const char *path, int rank, plm_status status, const char *part)
{
    plm_shape shape;
    uint8_t  *data;
    assert_false(plm__idx_read(ctx, path, rank, &shape, &data));
    assert_null(data);
    assert_non_null(strstr(plm_ctx_error(ctx), path));
    assert_error(ctx, status, part);
}

static void test_sound(void **state)
{
    check_sound(*state, write_file("plain", sound, SIZE));
    check_sound(*state, write_gz("packed.gz", sound, SIZE));
    check_sound(*state, write_gz("packed-without-the-ending", sound, SIZE));
    assert_ok(*state);
}

static void test_header(void **state)
{
    plm_ctx *ctx = *state;
    uint8_t  b[SIZE];
    memcpy(b, sound, SIZE);
    b[0] = 0x89, b[1] = 'P';
    refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT,
            "is not an IDX file: it begins with the bytes 89 50 08 03");
    refused(ctx, write_gz("f.gz", b, SIZE), 3, PLM_ERR_FORMAT,
            "is not an IDX file: it begins with the bytes 89 50 08 03");
    b[0] = 0;
    refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT,
            "is not an IDX file: it begins with the bytes 00 50 08 03");
    b[1] = 0, b[2] = 0x0d;
    refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT,
            "has elements of IDX type 0x0d, expected unsigned bytes (0x08)");
    b[2] = 8;
    refused(ctx, write_file("f", b, SIZE), 1, PLM_ERR_FORMAT, "has 3 axes, expected 1");
    b[7] = 0;
    refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT, "is empty: its header says [0,2,2]");
    b[7] = 2;
    refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT, "has more than the 24 bytes its header says");
    refused(ctx, write_gz("f.gz", b, SIZE), 3, PLM_ERR_FORMAT, "has more than the 24 bytes its header says");
    b[7] = 4;
    refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT, "header says [4,2,2], more than its 28 bytes can hold");
    refused(ctx, write_gz("f.gz", b, SIZE), 3, PLM_ERR_FORMAT, "is truncated: it ends after 28 of 32 bytes");
}

/* Sizes that lie neither overflow nor make us allocate. */
static void test_lying_sizes(void **state)
{
    plm_ctx *ctx    = *state;
    uint64_t before = plm_ctx_statistics(ctx).peak_bytes;
    uint8_t  b[SIZE];
    for (int byte = 4; byte < HEADER; byte += 4) {
        memcpy(b, sound, SIZE);
        b[byte] = 0xff;
        refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT, "more than its 28 bytes can hold");
        refused(ctx, write_gz("f.gz", b, SIZE), 3, PLM_ERR_FORMAT, "compressed bytes can hold");
    }
    memset(b + 4, 0xff, 12); /* 2^96 */
    refused(ctx, write_file("f", b, SIZE), 3, PLM_ERR_FORMAT, "[4294967295,4294967295,4294967295], more than its 28");
    refused(ctx, write_gz("f.gz", b, SIZE), 3, PLM_ERR_FORMAT, "compressed bytes can hold");
    assert_int_equal(plm_ctx_statistics(ctx).peak_bytes, before);
}

static void test_truncated(void **state)
{
    for (size_t length = 0; length < SIZE; length++) {
        const char *part = length == 0       ? "is truncated: it ends after 0 of 4 bytes"
                           : length < 4      ? "of 4 bytes"
                           : length < HEADER ? "of 16 bytes"
                                             : "is truncated or damaged: its header says [3,2,2]";
        refused(*state, write_file("f", sound, length), 3, PLM_ERR_FORMAT, part);
        if (length > 0 && length < HEADER)
            refused(*state, write_gz("f.gz", sound, length), 3, PLM_ERR_FORMAT, "is truncated: it ends after");
    }
}

/* A gzip file cut anywhere or with any byte changed is refused, unless the byte means nothing (a time stamp, a flag). */
static void test_damaged_gzip(void **state)
{
    plm_ctx *ctx = *state;
    uint8_t  packed[256], b[256];
    size_t   size = gzipped(sound, SIZE, packed, sizeof packed);
    for (size_t length = 1; length < size; length++)
        refused(ctx, write_file("f.gz", packed, length), 3, PLM_ERR_FORMAT, "");
    refused(ctx, write_file("f.gz", packed, size - 1), 3, PLM_ERR_FORMAT, "the gzip checksum is missing");
    memcpy(b, packed, size);
    b[size - 8] ^= 1;
    refused(ctx, write_file("f.gz", b, size), 3, PLM_ERR_FORMAT, "is damaged gzip data: incorrect data check");
    for (size_t at = 10; at < size; at++) {
        plm_shape shape;
        uint8_t  *data;
        memcpy(b, packed, size);
        b[at] ^= 0x55;
        assert_false(plm__idx_read(ctx, write_file("f.gz", b, size), 3, &shape, &data));
        assert_null(data);
        assert_error(ctx, PLM_ERR_FORMAT, "f.gz");
    }
}

/* A file of a megabyte that is read at once: zlib takes another way there, on which it overlooks what is missing. */
static void test_cut_off_large(void **state)
{
    enum { COUNT = 1 << 20 };
    static uint8_t labels[8 + COUNT] = { 0, 0, 8, 1, 0, COUNT >> 16 }, packed[1 << 14];
    const size_t   size              = gzipped(labels, sizeof labels, packed, sizeof packed);
    plm_shape      shape;
    uint8_t       *data;
    assert_true(plm__idx_read(*state, write_file("large.gz", packed, size), 1, &shape, &data));
    assert_int_equal(shape.dim[0], COUNT);
    plm__delete(*state, data);
    for (size_t cut = 1; cut <= 8; cut++)
        refused(*state, write_file("large.gz", packed, size - cut), 1, PLM_ERR_FORMAT, "is truncated");
}

static void test_no_file(void **state)
{
    refused(*state, test_path("none"), 3, PLM_ERR_IO, "none: cannot open: No such file");
    refused(*state, "/", 3, PLM_ERR_IO, "/ is not a regular file");
    assert_int_equal(mkfifo(test_path("pipe"), 0600), 0); /* must not wait for a writer */
    refused(*state, test_path("pipe"), 3, PLM_ERR_IO, "pipe is not a regular file");
}

static bool use(plm_ctx *ctx)
{
    plm_shape shape;
    uint8_t  *data;
    bool      ok = plm__idx_read(ctx, write_gz("f.gz", sound, SIZE), 3, &shape, &data);
    plm__delete(ctx, data);
    return ok;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    check_allocation_failures(use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ctx_test(test_sound),        ctx_test(test_header),
        ctx_test(test_lying_sizes),  ctx_test(test_truncated),
        ctx_test(test_damaged_gzip), ctx_test(test_cut_off_large),
        ctx_test(test_no_file),      cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cifar_files.h: small CIFAR files, archives and folders of them, for tests to write and to break. */
#ifndef PLM_TESTS_DATA_CIFAR_FILES_H
#define PLM_TESTS_DATA_CIFAR_FILES_H

#include "data/check.h"

#include <sys/stat.h>
#include <zlib.h>

enum { PIXELS = 3072, PER_FILE = 3, BLOCK = 512, ROOM = 1 << 18 };

/* Pixel p of image i of the whole split; its label. */
static inline uint8_t pixel_of(int64_t i, int64_t p)
{
    return (uint8_t)(i * 31 + p * 7 + p / 1024 * 50);
}

static inline uint8_t label_of(int64_t i, int classes)
{
    return (uint8_t)((i * 7 + 3) % classes);
}

/* Records first, first + 1, ... of a split; the bytes written.  `labels` 2: a coarse one before. */
static inline size_t records(uint8_t *to, int64_t first, int count, int labels, int classes)
{
    uint8_t *at = to;
    for (int i = 0; i < count; i++) {
        if (labels == 2) *at++ = (uint8_t)(i % 20);
        *at++ = label_of(first + i, classes);
        for (int p = 0; p < PIXELS; p++) *at++ = pixel_of(first + i, p);
    }
    return (size_t)(at - to);
}

/* A tar archive in memory. */
typedef struct {
    uint8_t bytes[ROOM];
    size_t  size;
} archive;

/* The sum of a header that has been changed. */
static inline void seal(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++) sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

/* Adds a member; where its header is. */
static inline size_t add_member(archive *a, const char *name, char type, const void *content, size_t size)
{
    const size_t at = a->size, padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    uint8_t     *header = a->bytes + at;
    assert_true(at + BLOCK + padded <= ROOM);
    memset(header, 0, BLOCK + padded);
    snprintf((char *)header, 100, "%s", name);
    snprintf((char *)header + 100, 8, "%07o", 0644);
    snprintf((char *)header + 124, 12, "%011o", (unsigned)size);
    header[156] = (uint8_t)type;
    memcpy(header + 257, "ustar\00000", 8);
    seal(header);
    if (size) memcpy(header + BLOCK, content, size);
    a->size = at + BLOCK + padded;
    return at;
}

static inline void add_end(archive *a)
{
    assert_true(a->size + 20 * BLOCK <= ROOM);
    memset(a->bytes + a->size, 0, 20 * BLOCK);
    a->size += 20 * BLOCK;
}

/* The members of CIFAR-10, not in order, among others; `skip` (may be NULL) is left out. */
static inline void cifar10_members(archive *a, const char *skip)
{
    static const int order[6] = { 1, 3, 4, 0, 5, 2 }; /* 0: the test batch */
    static uint8_t   content[PER_FILE * (PIXELS + 1)];
    a->size = 0;
    add_member(a, "cifar-10-batches-bin/", '5', NULL, 0);
    add_member(a, "cifar-10-batches-bin/readme.html", '0', "<p>", 3);
    for (int k = 0; k < 6; k++) {
        char name[64] = "cifar-10-batches-bin/test_batch.bin";
        if (order[k]) snprintf(name, sizeof name, "cifar-10-batches-bin/data_batch_%d.bin", order[k]);
        if (skip && strstr(name, skip)) continue;
        const int64_t first = order[k] ? (order[k] - 1) * PER_FILE : 1000; /* the test split is told by its pixels */
        add_member(a, name, '0', content, records(content, first, PER_FILE, 1, 10));
    }
    add_end(a);
}

static inline const char *make_folder(const char *name)
{
    static char folder[1024];
    snprintf(folder, sizeof folder, "%s", test_path(name));
    mkdir(folder, 0700);
    return folder;
}

static inline const char *write_gz(const char *name, const void *bytes, size_t count)
{
    const char *path = test_path(name);
    gzFile      file = gzopen(path, "wb1");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)count), count);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

/* FOLDER/cifar-10-binary.tar.gz (or another name), gzipped. */
static inline void write_archive(const char *folder, const char *name, const archive *a)
{
    char path[128];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_gz(path, a->bytes, a->size);
}

#endif

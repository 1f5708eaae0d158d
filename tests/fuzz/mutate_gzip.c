/* mutate_gzip.c: mutates what is inside a gzip file, where random changes of its bytes only break its checksum.  Of a tar
 * archive the headers' sums are put right.  Every fourth time, and files that are not gzip, the bytes themselves. */
#include "mutate.h"

#include <stdio.h>
#include <string.h>

#include <zlib.h>

enum { ROOM = 1 << 16, BLOCK = 512, SUM = 148, MAGIC = 257 };

/* The content of a gzip file, ROOM bytes of it at most; 0: none. */
static size_t unpack(const uint8_t *data, size_t size, uint8_t *plain)
{
    z_stream z = {
        .next_in = (uint8_t *)(uintptr_t)data, .avail_in = (unsigned)size, .next_out = plain, .avail_out = ROOM
    };
    if (inflateInit2(&z, 15 + 16) != Z_OK) return 0;
    inflate(&z, Z_FINISH);
    const size_t got = ROOM - z.avail_out;
    inflateEnd(&z);
    return got;
}

static size_t pack(const uint8_t *plain, size_t size, uint8_t *data, size_t room)
{
    z_stream z = { .next_in   = (uint8_t *)(uintptr_t)plain,
                   .avail_in  = (unsigned)size,
                   .next_out  = data,
                   .avail_out = (unsigned)room };
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
    const size_t put = deflate(&z, Z_FINISH) == Z_STREAM_END ? room - z.avail_out : 0;
    deflateEnd(&z);
    return put;
}

static void seal_headers(uint8_t *plain, size_t size)
{
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
        unsigned sum = 8 * ' ';
        if (memcmp(plain + at + MAGIC, "ustar", 5) != 0) continue;
        for (int i = 0; i < BLOCK; i++) sum += i >= SUM && i < SUM + 8 ? 0 : plain[at + (size_t)i];
        snprintf((char *)plain + at + SUM, 8, "%06o", sum);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static uint8_t plain[ROOM];
    size_t         got = seed % 4 && size > 2 && data[0] == 0x1f && data[1] == 0x8b ? unpack(data, size, plain) : 0;
    if (got == 0) return LLVMFuzzerMutate(data, size, most);
    got = LLVMFuzzerMutate(plain, got, ROOM);
    if (seed % 8) seal_headers(plain, got);
    const size_t put = pack(plain, got, data, most);
    return put ? put : LLVMFuzzerMutate(data, size, most);
}

/* mutate_png.c: mutates a PNG file and puts its chunks' checksums right; other files just change. */
#include "mutate.h"

#include <string.h>

#include <zlib.h>

enum { MAGIC = 8, CHUNK = 12 }; /* bytes: length, type, checksum */

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    if (seed % 4 == 0 || size < MAGIC || memcmp(data, "\x89PNG", 4) != 0) return size;
    for (size_t at = MAGIC; at + CHUNK <= size;) {
        const size_t length = big_endian(data + at);
        if (length > size - at - CHUNK) break;
        const uint32_t sum = (uint32_t)crc32(0, data + at + 4, (unsigned)length + 4);
        uint8_t       *to  = data + at + 8 + length;
        for (int i = 0; i < 4; i++) to[i] = (uint8_t)(sum >> (24 - 8 * i));
        at += length + CHUNK;
    }
    return size;
}

/* mutate_safetensors.c: mutates a model file's header or its data, and puts the header's length and a checksum right; every
 * fourth time all of the bytes. */
#include "mutate.h"

#include "core/checksum.h"

#include <stdbool.h>
#include <string.h>

enum { PREFIX = 8, ROOM = 1 << 16 };

static bool has(const uint8_t *data, size_t size, const char *word)
{
    const size_t n = strlen(word);
    for (size_t at = 0; at + n <= size; at++)
        if (memcmp(data + at, word, n) == 0) return true;
    return false;
}

static size_t mutate(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static uint8_t header[ROOM];
    uint64_t       length = 0;
    for (int i = PREFIX - 1; i >= 0 && size >= PREFIX; i--) length = length << 8 | data[i];
    if (seed % 4 == 0 || size < PREFIX || length > size - PREFIX || length > ROOM / 2 || size > ROOM / 2 || most < ROOM)
        return LLVMFuzzerMutate(data, size, most);
    const size_t rest = size - PREFIX - (size_t)length;
    if (seed % 16 == 1 && rest > 0)
        return PREFIX + (size_t)length + LLVMFuzzerMutate(data + PREFIX + length, rest, most - PREFIX - (size_t)length);
    memcpy(header, data + PREFIX, (size_t)length);
    const size_t changed = LLVMFuzzerMutate(header, (size_t)length, ROOM / 2 - PREFIX);
    memmove(data + PREFIX + changed, data + PREFIX + length, rest);
    memcpy(data + PREFIX, header, changed);
    for (int i = 0; i < PREFIX; i++) data[i] = (uint8_t)((uint64_t)changed >> (8 * i));
    return PREFIX + changed + rest;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static plm__crc64 sum;
    size = mutate(data, size, most, seed);
    if (seed % 32 == 0 || size < 2 * PREFIX || !has(data, size, "plummet.checksum")) return size;
    plm__crc64_begin(&sum);
    plm__crc64_add(&sum, data, size - PREFIX);
    const uint64_t value = plm__crc64_value(&sum);
    memcpy(data + size - PREFIX, &value, sizeof value);
    return size;
}

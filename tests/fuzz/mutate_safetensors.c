/* mutate_safetensors.c: mutates a model file's header or its data, and puts the header's length right; every fourth time
 * all of the bytes. */
#include "mutate.h"

#include <string.h>

enum { PREFIX = 8, ROOM = 1 << 16 };

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
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

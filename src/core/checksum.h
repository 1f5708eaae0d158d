/* checksum.h (private): CRC-64 of bytes that come in parts; how they are cut does not matter. */
#ifndef PLM__CHECKSUM_H
#define PLM__CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t table[8][256];
    uint64_t state;
} plm__crc64;

void     plm__crc64_begin(plm__crc64 *c);
void     plm__crc64_add(plm__crc64 *c, const void *data, size_t bytes);
uint64_t plm__crc64_value(const plm__crc64 *c); /* of everything added; more may follow */

#endif

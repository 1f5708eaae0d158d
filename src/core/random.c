/* random.c: random numbers as a function of (key, element).
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011): ten rounds of multiply and exchange turn a 128-bit counter into 128
 * random bits under a 64-bit key.  Since nothing is stepped, the numbers are the same for any order, thread count or
 * memory layout. */
#include "core/core.h"

#include <math.h>

typedef struct {
    uint32_t word[4];
} bits128;

static bits128 philox(plm__key key, uint64_t counter)
{
    uint32_t c[4] = { (uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)key.stream,
                      (uint32_t)(key.stream >> 32) };
    uint32_t k[2] = { (uint32_t)key.seed, (uint32_t)(key.seed >> 32) };
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = { (uint32_t)(p1 >> 32) ^ c[1] ^ k[0], (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k[1],
                                   (uint32_t)p0 };
        for (int i = 0; i < 4; i++) c[i] = next[i];
        k[0] += 0x9E3779B9u; /* golden ratio */
        k[1] += 0xBB67AE85u; /* sqrt(3) - 1  */
    }
    return (bits128){ { c[0], c[1], c[2], c[3] } };
}

static double unit(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

plm__key plm__random_key(uint64_t seed, plm__purpose purpose, const char *name, uint64_t step)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a over purpose, name and step */
    hash          = (hash ^ (uint64_t)purpose) * 0x100000001b3u;
    for (const char *c = name ? name : ""; *c; c++) hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    for (int i = 0; i < 64; i += 8) hash = (hash ^ (step >> i & 0xff)) * 0x100000001b3u;
    return (plm__key){ .seed = seed, .stream = hash };
}

uint64_t plm__random_bits(plm__key key, uint64_t element)
{
    const bits128 r = philox(key, element);
    return (uint64_t)r.word[0] << 32 | r.word[1];
}

double plm__random_uniform(plm__key key, uint64_t element)
{
    const bits128 r = philox(key, element);
    return unit(r.word[0], r.word[1]);
}

double plm__random_normal(plm__key key, uint64_t element)
{
    const bits128 r = philox(key, element);
    const double  u = 1.0 - unit(r.word[0], r.word[1]), v = unit(r.word[2], r.word[3]); /* u in (0, 1] */
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586477 * v);                         /* Box & Muller 1958 */
}

void plm__random_permutation(plm__key key, int64_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) { /* the bias of a remainder is below n / 2^64 */
        const int64_t j = (int64_t)(plm__random_bits(key, (uint64_t)i) % (uint64_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

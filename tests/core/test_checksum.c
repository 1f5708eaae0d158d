/* test_checksum.c: CRC-64. */
#include "support.h"

#include "core/checksum.h"

/* From the definition, a bit at a time. */
static uint64_t naive(const unsigned char *data, size_t n)
{
    uint64_t x = ~UINT64_C(0);
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            const uint64_t out = (x ^ (uint64_t)(data[i] >> bit)) & 1;
            x                  = x >> 1 ^ (out ? UINT64_C(0xC96C5795D7870F42) : 0);
        }
    return ~x;
}

static uint64_t in_parts(const void *data, size_t n, size_t part)
{
    plm__crc64 c;
    plm__crc64_begin(&c);
    for (size_t i = 0; i < n; i += part) plm__crc64_add(&c, (const char *)data + i, n - i < part ? n - i : part);
    return plm__crc64_value(&c);
}

/* The check value of the catalogue of parametrised CRC algorithms, CRC-64/XZ. */
static void test_known(void **state)
{
    (void)state;
    assert_true(in_parts("123456789", 9, 9) == UINT64_C(0x995DC9BBDF1939FA));
    assert_true(in_parts("", 0, 1) == 0);
}

static void test_any_length_and_cut(void **state)
{
    (void)state;
    unsigned char data[300];
    float         x[300];
    test_fill(x, 300, 1, 0, 256);
    for (int i = 0; i < 300; i++) data[i] = (unsigned char)x[i];
    for (size_t n = 0; n < sizeof data; n++) {
        const uint64_t want = naive(data, n);
        for (size_t part = 1; part <= 300; part += part < 20 ? 1 : 93) assert_true(in_parts(data, n, part) == want);
    }
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    unsigned char  data[64] = { 1, 2, 3 };
    const uint64_t whole    = in_parts(data, sizeof data, sizeof data);
    for (size_t i = 0; i < 8 * sizeof data; i++) {
        data[i / 8] ^= (unsigned char)(1 << i % 8);
        assert_true(in_parts(data, sizeof data, sizeof data) != whole);
        data[i / 8] ^= (unsigned char)(1 << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_any_length_and_cut),
        cmocka_unit_test(test_every_bit_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

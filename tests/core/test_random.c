/* test_random.c: random numbers as a function of (key, element). */
#include "support.h"

#include <math.h>

#include "core/core.h"

enum { SAMPLES = 200000 };

/* Counter, key and the first two words, from the known answers of Random123 ("philox4x32 10"); all four words of the first
 * are seen through the normal numbers. */
static void test_known_answers(void **state)
{
    (void)state;
    const struct {
        uint64_t counter;
        plm__key key;
        uint64_t bits;
    } known[] = {
        { 0, { 0, 0 }, 0x6627e8d5e169c58du },
        { UINT64_MAX, { UINT64_MAX, UINT64_MAX }, 0x408f276d41c83b0eu },
        { 0x85a308d3243f6a88u, { 0x299f31d0a4093822u, 0x0370734413198a2eu }, 0xd16cfe0994fdccebu },
    };
    for (int i = 0; i < 3; i++) assert_true(plm__random_bits(known[i].key, known[i].counter) == known[i].bits);
    const double u = 1 - (double)(0x6627e8d5e169c58du >> 11) * 0x1p-53,
                 v = (double)(0xbc57ac4c9b00dbd8u >> 11) * 0x1p-53;
    assert_close(plm__random_normal((plm__key){ 0, 0 }, 0), sqrt(-2 * log(u)) * cos(8 * atan(1) * v), 1e-12, 0);
    assert_close(plm__random_uniform((plm__key){ 0, 0 }, 0), 1 - u, 0, 0);
}

static void test_keys_differ(void **state)
{
    (void)state;
    const plm__key keys[] = {
        plm__random_key(0, PLM__RANDOM_INIT, "a", 0),
        plm__random_key(1, PLM__RANDOM_INIT, "a", 0),
        plm__random_key(0, PLM__RANDOM_SHUFFLE, "a", 0),
        plm__random_key(0, PLM__RANDOM_INIT, "b", 0),
        plm__random_key(0, PLM__RANDOM_INIT, "a", 1),
        plm__random_key(0, PLM__RANDOM_INIT, NULL, 0),
        plm__random_key(0, PLM__RANDOM_INIT, "a", (uint64_t)1 << 56),
    };
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < i; j++) assert_true(plm__random_bits(keys[i], 5) != plm__random_bits(keys[j], 5));
    const plm__key again = plm__random_key(0, PLM__RANDOM_INIT, "a", 0);
    assert_true(plm__random_bits(again, 5) == plm__random_bits(keys[0], 5));
}

/* Moments of a uniform number are 1/2, 1/3, 1/4; the bounds are five standard deviations of their means. */
static void test_uniform(void **state)
{
    (void)state;
    const plm__key key  = plm__random_key(3, PLM__RANDOM_CHECK, "uniform", 0);
    double         m[3] = { 0 }, neighbours = 0, last = 0.5;
    int            bin[16] = { 0 };
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const double u = plm__random_uniform(key, i);
        assert_true(u >= 0 && u < 1);
        for (int k = 0; k < 3; k++) m[k] += pow(u, k + 1) / SAMPLES;
        neighbours += (u - 0.5) * (last - 0.5) / SAMPLES;
        last = u;
        bin[(int)(u * 16)]++;
    }
    for (int k = 0; k < 3; k++) assert_close(m[k], 1.0 / (k + 2), 5 * 0.3 / sqrt(SAMPLES), 0);
    assert_close(neighbours, 0, 5 / 12.0 / sqrt(SAMPLES), 0);
    double chi = 0;
    for (int k = 0; k < 16; k++) chi += pow(bin[k] - SAMPLES / 16.0, 2) / (SAMPLES / 16.0);
    assert_true(chi < 15 + 5 * sqrt(30)); /* 15 degrees of freedom */
}

/* Moments of a normal number are 0, 1, 0, 3. */
static void test_normal(void **state)
{
    (void)state;
    const plm__key key   = plm__random_key(4, PLM__RANDOM_CHECK, "normal", 0);
    double         m[4]  = { 0 };
    int            large = 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const double z = plm__random_normal(key, i);
        assert_true(isfinite(z));
        for (int k = 0; k < 4; k++) m[k] += pow(z, k + 1) / SAMPLES;
        large += fabs(z) > 2;
    }
    const double want[4] = { 0, 1, 0, 3 }, deviation[4] = { 1, 1.42, 3.88, 9.8 };
    for (int k = 0; k < 4; k++) assert_close(m[k], want[k], 5 * deviation[k] / sqrt(SAMPLES), 0);
    assert_close((double)large / SAMPLES, 0.0455, 5 * 0.21 / sqrt(SAMPLES), 0);
}

static void test_order_does_not_matter(void **state)
{
    (void)state;
    const plm__key key = plm__random_key(9, PLM__RANDOM_DATA, "sample", 7);
    double         forward[100], backward[100];
    for (uint64_t i = 0; i < 100; i++) forward[i] = plm__random_normal(key, i * 1000003);
    for (uint64_t i = 100; i-- > 0;) {
        plm__random_uniform(key, i); /* other calls in between are not noticed */
        backward[i] = plm__random_normal(key, i * 1000003);
    }
    assert_memory_equal(forward, backward, sizeof forward);
}

static void test_permutation(void **state)
{
    (void)state;
    enum { N = 1000 };
    int64_t order[N], other[N], fixed = 0, differ = 0;
    bool    seen[N] = { false };
    plm__random_permutation(plm__random_key(1, PLM__RANDOM_SHUFFLE, NULL, 1), order, N);
    plm__random_permutation(plm__random_key(1, PLM__RANDOM_SHUFFLE, NULL, 2), other, N);
    for (int i = 0; i < N; i++) {
        assert_true(order[i] >= 0 && order[i] < N);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
        differ += order[i] != other[i];
    }
    assert_true(fixed < 10 && differ > N - 10); /* one is expected in each case */
    plm__random_permutation(plm__random_key(1, PLM__RANDOM_SHUFFLE, NULL, 2), order, N);
    assert_memory_equal(order, other, sizeof order);
    plm__random_permutation(plm__random_key(1, PLM__RANDOM_SHUFFLE, NULL, 1), order, 0);
    plm__random_permutation(plm__random_key(1, PLM__RANDOM_SHUFFLE, NULL, 1), order, 1);
    assert_int_equal(order[0], 0);
}

/* All 6 orders of 3 come equally often. */
static void test_permutations_are_uniform(void **state)
{
    (void)state;
    enum { TRIALS = 6000 };
    int times[9] = { 0 };
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        int64_t order[3];
        plm__random_permutation(plm__random_key(2, PLM__RANDOM_SHUFFLE, NULL, trial), order, 3);
        times[order[0] * 3 + order[1]]++;
    }
    for (int i = 0; i < 9; i++)
        if (i % 4)
            assert_close(times[i], TRIALS / 6.0, 5 * sqrt(TRIALS * 5 / 36.0), 0); /* 0, 4, 8 would repeat a number */
        else assert_int_equal(times[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_permutations_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

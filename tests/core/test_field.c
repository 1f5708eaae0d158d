/* test_field.c: descs seen as tables of fields. */
#include "support.h"

#include <math.h>

typedef struct {
    char    skew;
    int     whole;
    int64_t wide;
    double  positive, any, share, weight;
    bool    flag;
} sample;

static const plm_field fields[] = {
    { "whole", PLM_FIELD_INT, offsetof(sample, whole), 3, PLM_BOUNDS_POSITIVE },
    { "wide", PLM_FIELD_INT64, offsetof(sample, wide), 0, PLM_BOUNDS_NONE },
    { "positive", PLM_FIELD_DOUBLE, offsetof(sample, positive), 0.5, PLM_BOUNDS_POSITIVE },
    { "any", PLM_FIELD_DOUBLE, offsetof(sample, any), -2, PLM_BOUNDS_NONE },
    { "share", PLM_FIELD_DOUBLE, offsetof(sample, share), 0.9, PLM_BOUNDS_FRACTION },
    { "weight", PLM_FIELD_DOUBLE, offsetof(sample, weight), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { "flag", PLM_FIELD_BOOL, offsetof(sample, flag), 0, PLM_BOUNDS_NONE },
    { 0 },
};

static void test_defaults(void **state)
{
    sample s = { .share = PLM_ZERO, .weight = PLM_ZERO, .flag = true };
    assert_true(plm_fields_resolve(*state, fields, &s, "x"));
    assert_int_equal(s.whole, 3);
    assert_int_equal(s.wide, 0);
    assert_close(s.positive, 0.5, 0, 0);
    assert_close(s.any, -2, 0, 0);
    assert_true(s.share == 0 && !signbit(s.share));
    assert_true(s.weight == 0 && s.flag);
    assert_true(plm_fields_resolve(*state, NULL, NULL, "x")); /* a desc without fields */
}

static void test_get_and_set(void **state)
{
    static const double value[] = { 7, 0x1p40, 0.25, -3, 0.5, 4, 1 };
    sample              s       = { 0 };
    for (int i = 0; fields[i].name; i++) {
        plm_field_set(&fields[i], &s, value[i]);
        assert_close(plm_field_get(&fields[i], &s), value[i], 0, 0);
    }
    assert_true(s.whole == 7 && s.wide == INT64_C(1) << 40 && s.flag);
    plm_field_set(&fields[4], &s, 0); /* a zero that is meant */
    assert_true(plm_fields_resolve(*state, fields, &s, "x"));
    assert_close(s.share, 0, 0, 0);
    plm_field_set(&fields[0], &s, 1e300); /* the nearest that fits */
    assert_int_equal(s.whole, INT32_MAX);
    assert_close(plm_field_get(NULL, &s), 0, 0, 0);
    assert_close(plm_field_get(&fields[0], NULL), 0, 0, 0);
    plm_field_set(NULL, &s, 1);
    plm_field_set(&fields[0], NULL, 1);
}

static void test_bounds(void **state)
{
    static const struct {
        int         field;
        double      value;
        const char *sentence;
    } bad[] = {
        { 0, -1, "me: whole is -1, expected a positive number" },
        { 2, -0.5, "me: positive is -0.5, expected a positive number that a float holds" },
        { 2, 1e-70, "me: positive is 1e-70, expected a positive number that a float holds" },
        { 3, 1e70, "me: any is 1e+70, expected a number that a float holds" },
        { 3, (double)NAN, "expected a number that a float holds" },
        { 4, 1, "me: share is 1, expected at least 0 and below 1" },
        { 4, -0.1, "me: share is -0.1, expected at least 0 and below 1" },
        { 5, -1, "me: weight is -1, expected 0 or more" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sample s = { 0 };
        plm_field_set(&fields[bad[i].field], &s, bad[i].value);
        assert_false(plm_fields_resolve(*state, fields, &s, "me"));
        assert_error(*state, PLM_ERR_ARGUMENT, bad[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { ctx_test(test_defaults), ctx_test(test_get_and_set), ctx_test(test_bounds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* golden.h: the golden files, short training runs of a reference implementation whose numbers ours must meet.
 *
 *     golden_open("fcn_mse_agd");                            skips the test, saying so, where the folder is not
 *     const float *x = golden_f32("x", &shape);              lent until the next golden_open
 *     assert_golden("out", mine, n, 1e-5);
 *
 * One file is open at a time and the next golden_open closes it, so a failed assertion leaks nothing. */
#ifndef PLM_TESTS_GOLDEN_H
#define PLM_TESTS_GOLDEN_H

#include "support.h"

/* Opens NAME.safetensors.  The files lie beside a developer's clone, not inside: without the folder the running test is
 * skipped; with it, a missing or unreadable file fails the test. */
void golden_open(const char *name);

bool golden_has(const char *tensor);

/* The i-th tensor's name; NULL behind the last: for loops over "init." and "final.". */
const char *golden_name(int i);

/* Row-major data; `shape` may be NULL.  A missing tensor or another type fails the test. */
const float   *golden_f32(const char *tensor, plm_shape *shape);
const double  *golden_f64(const char *tensor, plm_shape *shape);
const int64_t *golden_i64(const char *tensor, plm_shape *shape);

/* n floats agree with the f32 tensor: |got - want| <= rtol * largest |want|. */
#define assert_golden(tensor, got, n, rtol) test_golden((tensor), (got), (n), (rtol), __FILE__, __LINE__)
void test_golden(const char *tensor, const float *got, int64_t n, double rtol, const char *file, int line);

#endif

/* lanes.h (private to optim): sums whose bits do not depend on the width of vectors.
 *
 * So many lanes are added up side by side, and the lanes in the end: the compiler may use vectors of any width. */
#ifndef PLM__LANES_H
#define PLM__LANES_H

/* ThreadSanitizer is not ready when the loader asks which variant to take. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define VECTOR __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define VECTOR
#endif

enum { LANES = 32 };

static inline double lane_sum(const double lane[LANES])
{
    double sum = 0;
    for (int k = 0; k < LANES; k++) sum += lane[k];
    return sum;
}

#endif

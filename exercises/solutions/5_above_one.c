/* Solution 5.  The output's norm is at most sqrt(d), so the worst f is -y: then ||f - y||^2 / (2 d) = 4 d / (2 d) = 2, and nothing
 * is worse.  A ReLU lets the positive input pass, the last layer turns it round. */
#include "exercises.h"

#include <math.h>

void exercise_above_one(float w1[4], float w2[4], float x[2], int64_t *label)
{
    const float identity[4] = { 1, 0, 0, 1 };
    for (int i = 0; i < 4; i++) {
        w1[i] = identity[i];
        w2[i] = -identity[i];
    }
    x[0]   = sqrtf(2);
    x[1]   = 0;
    *label = 0;
}

/* Solution 2.  With z = e^eta - 1 the condition is z (z + 1) = G, hence z = (sqrt(1 + 4 G) - 1) / 2 and eta = log(1 + z), the
 * paper's formula.  For small G the root is nearly 1 and the subtraction cancels; multiplied by sqrt(1 + 4 G) + 1 above and
 * below it is z = 2 G / (sqrt(1 + 4 G) + 1), in which nothing cancels. */
#include "exercises.h"

#include <math.h>

double exercise_learning_rate(double G)
{
    return log1p(2 * G / (sqrt(1 + 4 * G) + 1));
}

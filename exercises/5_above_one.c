/* Exercise 5: a network whose objective is above 1.
 *
 * The paper has a lemma: with the square loss ||f - y||^2 / (2 d), targets y = sqrt(d) onehot, inputs with ||x|| = sqrt(d_0) and
 * weights with ||W_k||_op <= sqrt(d_k / d_{k-1}), the objective is at most 1.  Its proof uses <f, y> >= 0, which nothing
 * ensures.  Refute it with the smallest network there is: f = W2 relu(W1 x), all widths 2.  How large can the
 * objective become? */
#include "exercises.h"

void exercise_above_one(float w1[4], float w2[4], float x[2], int64_t *label)
{
    const float identity[4] = { 1, 0, 0, 1 };
    for (int i = 0; i < 4; i++) w1[i] = w2[i] = identity[i];
    x[0] = x[1] = 1;
    *label      = 0;
}

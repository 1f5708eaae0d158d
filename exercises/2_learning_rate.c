/* Exercise 2: the automatic learning rate.
 *
 * Automatic Gradient Descent takes the step that minimises the majorisation
 *     L - eta G + (e^eta - 1)^2 / 2
 * of the loss over eta.  Set its derivative to zero: e^eta (e^eta - 1) = G.  Solve for eta, and write it so that it is right
 * to 12 digits for every G from 1e-12 to 1e12.  (The formula as it is printed in the paper loses all its digits for small G:
 * why?  log1p and a little algebra help.) */
#include "exercises.h"

double exercise_learning_rate(double G)
{
    return G; /* nearly right for small G, and only there */
}

/* Exercise 3: the first relative step from widths alone.
 *
 * Before the first step of Automatic Gradient Descent every weight matrix W [d_out, d_in] is semi-orthogonal (all its
 * min(d_out, d_in) singular values are equal) times s = sqrt(d_out / d_in), one such matrix for each tap of a convolution's
 * window, with s = sqrt(d_out / (d_in taps)).  The step moves each of them by (eta / L) s in Frobenius norm, whatever the data
 * and the gradient.  So ||dW||_F / ||W||_F can be said before any data is seen, but for the factor eta.  Say it. */
#include "exercises.h"

double exercise_first_step(const plm_layer *layer, int L, double eta)
{
    (void)layer;
    return eta / L; /* of the operator norm this is true */
}

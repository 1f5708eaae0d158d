/* Exercise 4: what makes the step transfer.
 *
 * check_4 trains fully connected networks of several depths, widths and input sizes on the digits, by gradient descent with normalised
 * gradients: each weight matrix W [d_out, d_in] is moved by exercise_step() in Frobenius norm, against its gradient.  The
 * constant below was tuned on the first network of the table, and serves that one well.
 *
 * Make every network of the table train, without a constant that depends on the network: what is eta / L s good for,
 * with s = sqrt(d_out / d_in) and L the number of layers?  Then leave out s, then L, and see which networks fail. */
#include "exercises.h"

double exercise_step(double eta, int L, double d_out, double d_in)
{
    (void)eta, (void)L, (void)d_out, (void)d_in;
    return 0.2;
}

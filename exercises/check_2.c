/* check_2.c: does exercise 2's eta solve e^eta (e^eta - 1) = G? */
#include "exercises.h"

#include <math.h>
#include <stdio.h>

int main(void)
{
    bool all = true;
    printf("%8s %22s %10s\n", "G", "eta", "error");
    for (int k = -12; k <= 12; k += 2) {
        const double G     = pow(10, k);
        const double eta   = exercise_learning_rate(G);
        const double error = fabs(exp(eta) * expm1(eta) / G - 1);
        printf("%8.0e %22.16g %10.1e\n", G, eta, error);
        all = all && eta > 0 && error < 1e-12; /* false for nan */
    }
    return exercise_verdict(all);
}

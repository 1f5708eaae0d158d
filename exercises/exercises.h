/* exercises.h: what is to be written, and what each check prints at its end. */
#ifndef EXERCISES_H
#define EXERCISES_H

#include <plummet/plummet.h>

/* 1. Three differentiable ops, one with a wrong backward function. */
enum { EXERCISE_OPS = 3 };
extern const plm_op *const exercise_ops[EXERCISE_OPS];

/* 2. The eta > 0 with e^eta (e^eta - 1) = G, for G > 0. */
double exercise_learning_rate(double G);

/* 3. ||dW||_F / ||W||_F of a layer in AGD's first step, from the layer, the number of layers L and eta alone. */
double exercise_first_step(const plm_layer *layer, int L, double eta);

/* 4. By how much a step moves a weight matrix [d_out, d_in], in Frobenius norm. */
double exercise_step(double eta, int L, double d_out, double d_in);

/* 5. Two 2 x 2 weight matrices (row-major), an input and its class. */
void exercise_above_one(float w1[4], float w2[4], float x[2], int64_t *label);

/* 6. Automatic Gradient Descent with momentum. */
extern const plm_optimizer_kind exercise_momentum;

/* Prints the verdict; returns the program's exit status. */
int exercise_verdict(bool solved);

#endif

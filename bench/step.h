/* step.h: a training step as a list of oneDNN primitives and nothing else: the floor below which no library on oneDNN can go.
 *
 * Layers are called like functions, from value to value; each adds its primitives to the list, and `step_backward` adds
 * those of the backward pass.  Then `step_run` runs the list.  A value is named by its number.  The first error is kept in
 * the step, later calls do nothing. */
#ifndef BENCH_STEP_H
#define BENCH_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct step step;

step *step_new(void); /* NULL: out of memory */
void  step_free(step *s);

/* Images [n,c,h,w], or features [n,c] where h is 0.  Nothing asks for their gradient. */
int step_input(step *s, int64_t n, int64_t c, int64_t h, int64_t w);

/* A convolution of a square window padded by kernel / 2, by Winograd's algorithm where Plummet's rule says so. */
int step_conv(step *s, int x, int64_t out, int kernel, int stride);
int step_norm_relu(step *s, int x);          /* batch norm with ReLU fused, no affine parameters   */
int step_max_pool(step *s, int x, int size); /* square windows side by side                        */
int step_mean_pool(step *s, int x, int size);
int step_flatten(step *s, int x);                         /* [n,c,1,1] to [n,c]: oneDNN's reorder to row-major  */
int step_linear(step *s, int x, int64_t out, float relu); /* then y = relu max(y, 0), 0: no ReLU    */

/* h + side takes no primitive, but side's gradient is h's.  The sum is h. */
int step_add(step *s, int h, int side);

/* The backward pass from `output`, and memory for everything.  False: see step_error. */
bool step_backward(step *s, int output);

double      step_run(step *s); /* seconds, -1: see step_error */
int         step_primitives(const step *s);
int         step_references(const step *s); /* of them, how many are oneDNN's slow reference code */
const char *step_error(const step *s);      /* "" where there is none */

#endif

/* weighted.h (private to ops): what conv2d and linear share: three kernels, forward, data and weights, over one weight. */
#ifndef PLM__WEIGHTED_H
#define PLM__WEIGHTED_H

#include "ops/ops.h"

/* Inputs of such a record: x, weights and perhaps a bias. */
enum { PLM__X, PLM__W, PLM__B };

/* From the forward problem (layouts ANY but for their shapes): chooses layouts, makes the kernels that are needed. */
bool plm__weighted_prepare(plm_record *r, plm__problem *p);
bool plm__weighted_forward(plm_record *r);
/* dz: gradient of what the kernel wrote, before any activation, in the output's layout. */
bool plm__weighted_backward(plm_record *r, const float *dz);

#endif

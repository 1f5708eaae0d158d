/* dual.h (private): what optimisers that think of a layer as matrices share: for each layer a scale, for each of its matrices
 * the norm of what is to be stepped along and the direction of the step. */
#ifndef PLM__DUAL_H
#define PLM__DUAL_H

#include "optim/optim.h"

/* s_k = sqrt(d_k / (d_{k-1} T_k)): the operator norm to which the T_k matrices of layer k were drawn (PLM_INIT_AGD).  d are all
 * channels: groups cancel. */
double plm__layer_scale(const plm_layer *l);

/* Only layers' weights are trained; else the sentence names the parameter and what it is. */
bool plm__accepts_weights(plm_optimizer *o, const plm_param_view *v);

/* v->direction = U V^T of each matrix of x, a whole weight in v's layout, as plm_polar makes it.  nuclear [v->matrices], may be
 * NULL: their nuclear norms.  `flat`: the taps of a window side by side are one matrix per group, of
 * d_out/groups x d_in/groups kernel_h kernel_w. */
bool plm__view_polar(const plm_param_view *v, const float *x, bool flat, bool quick, double *nuclear);

/* norm [v->matrices]: operator norms of the matrices of x. */
bool plm__view_operator_norms(const plm_param_view *v, const float *x, double *norm);

#endif

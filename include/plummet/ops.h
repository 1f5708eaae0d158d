/* ops.h: differentiable functions of values.  Each validates its operands, computes at once and appends itself to the
 * tape its operands live on.  On error: one sentence in the context, an empty value back. */
#ifndef PLUMMET_OPS_H
#define PLUMMET_OPS_H

#include <plummet/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ linear algebra */

/* y[..,i,j] = sum_k a[..,i,k] b[..,k,j].   a [m,k] b [k,n], or a [p,m,k] b [p,k,n], y [m,n] or [p,m,n]. */
PLM_API plm_val plm_matmul(plm_val a, plm_val b);

/* y[n,o] = sum_i x[n,i] w[o,i] + b[o].   x [n,in], w [out,in], b [out] or an empty value (plm_none) for no bias. */
PLM_API plm_val plm_linear(plm_val x, plm_val w, plm_val b);
#define plm_none ((plm_val){ NULL, -1, 0 })

typedef struct {
    int stride;   /* 0 means 1                                                              */
    int pad;      /* zeros added on EACH side; 0 means none                                 */
    int dilation; /* distance between taps; 0 means 1: dense                                */
    int groups;   /* output channels of group i see input channels of group i; 0 means 1    */
} plm_conv2d_op_desc;

/* y[n,k,i,j] = b[k] + sum over c,p,q of x[n, first(k) + c, i*stride + p*dilation - pad, j*stride + q*dilation - pad] *
 * w[k,c,p,q] (no kernel flip), first(k) being the first input channel of output channel k's group: 0 for one group, else
 * floor(k / (K/groups)) * C/groups.  As many groups as channels make a depthwise convolution.
 *   x [n,C,h,w], w [K,C/groups,r,s], b [K] or plm_none, y [n,K,h',w']
 *   with h' = floor((h + 2*pad - dilation*(r-1) - 1) / stride) + 1
 *   PLM_ERR_SHAPE: channels differ or do not divide into groups, or the window is larger than the padded input.
 *   PLM_ERR_ARGUMENT: stride, dilation or groups below 1, pad below 0, or a window wider than 32768.
 *   Source: Dumoulin & Visin 2016, 2.4 and 5.1; groups: Krizhevsky et al. 2012, 3.5, as PyTorch has them. */
PLM_API plm_val plm_conv2d(plm_val x, plm_val w, plm_val b, const plm_conv2d_op_desc *desc);

typedef struct {
    double eps;      /* 0 means 1e-5                                                     */
    double momentum; /* 0 means 0.1: running = (1 - momentum) running + momentum batch   */
} plm_batch_norm_op_desc;

/* y = (x - mean) / sqrt(var + eps) * scale + shift, per channel (axis 1).   x [n,c] or [n,c,h,w]; scale, shift [c], both or
 * neither (plm_none).  Training: mean and population variance of the batch; running_mean and running_var (parameters of
 * role PLM_ROLE_STATISTIC, both or neither NULL) take the batch's mean and n/(n-1) times its variance.  Evaluation: the
 * running statistics.  PLM_ERR_SHAPE: in training, a channel of one value.
 *   Source: Ioffe & Szegedy 2015, algorithm 1; running update as in PyTorch. */
PLM_API plm_val plm_batch_norm(plm_val x, plm_val scale, plm_val shift, plm_param *running_mean, plm_param *running_var,
                               const plm_batch_norm_op_desc *desc);

typedef struct {
    int    axes; /* how many of the last axes are normalised together; 0 means 1 */
    double eps;  /* 0 means 1e-5                                                 */
} plm_layer_norm_op_desc;

/* y = (x - mean) / sqrt(var + eps) * scale + shift, mean and population variance over the last `axes` axes of x; scale and
 * shift have the shape of those axes, both or neither (plm_none).  The same in training and evaluation.
 *   PLM_ERR_SHAPE: scale or shift of another shape.  PLM_ERR_ARGUMENT: axes not in 1 to x's number of axes.
 *   Source: Ba, Kiros & Hinton 2016, equation 4. */
PLM_API plm_val plm_layer_norm(plm_val x, plm_val scale, plm_val shift, const plm_layer_norm_op_desc *desc);

typedef struct {
    int  kernel;      /* side of the square window; required, unless global           */
    int  stride;      /* 0 means kernel                                               */
    int  pad;         /* on EACH side, at most kernel/2; 0 means none                 */
    bool exclude_pad; /* average: padding does not count; PyTorch's count_include_pad=False */
    bool global;      /* the whole image is one window; kernel, stride and pad stay 0 */
} plm_pool2d_op_desc;

/* y[n,c,i,j] = largest, or mean, of x[n, c, i*stride + p - pad, j*stride + q - pad] over 0 <= p, q < kernel.
 *   Padding never wins a maximum, nor does a nan (unlike in PyTorch); a window of nothing else has -FLT_MAX.  Padding counts
 *   as zeros in a mean, which divides by kernel^2; with exclude_pad the mean is over those elements of the window that are in x.
 *   x [n,c,h,w], y [n,c,h',w'] with h' = floor((h + 2*pad - kernel) / stride) + 1; global: y [n,c,1,1], square or not
 *   PLM_ERR_SHAPE: the window is larger than the padded x.
 *   PLM_ERR_ARGUMENT: no kernel, or one beside global; stride below 1, pad below 0 or above kernel/2, a side above 32768;
 *   exclude_pad of a maximum.
 *   Source: Dumoulin & Visin 2016, 3; global: Lin et al. 2014, "Network in network", 3.2. */
PLM_API plm_val plm_max_pool2d(plm_val x, const plm_pool2d_op_desc *desc);
PLM_API plm_val plm_avg_pool2d(plm_val x, const plm_pool2d_op_desc *desc);

/* ------------------------------------------------------------------ element by element */

/* NumPy broadcasting: shapes aligned at their last axis, extents equal or 1.  [2,3] + [3,2] is an error naming both. */
PLM_API plm_val plm_add(plm_val a, plm_val b);
PLM_API plm_val plm_sub(plm_val a, plm_val b);
PLM_API plm_val plm_mul(plm_val a, plm_val b);
PLM_API plm_val plm_div(plm_val a, plm_val b);

PLM_API plm_val plm_scale(plm_val x, double factor); /* y = factor x                                 */
PLM_API plm_val plm_exp(plm_val x);
PLM_API plm_val plm_log(plm_val x);    /* natural; log 0 = -infinity                   */
PLM_API plm_val plm_sqrt(plm_val x);   /* dy/dx = 1 / (2 y), infinite at 0             */
PLM_API plm_val plm_square(plm_val x); /* y = x^2                                      */
PLM_API plm_val plm_abs(plm_val x);    /* derivative 0 at 0                            */
PLM_API plm_val plm_tanh(plm_val x);
PLM_API plm_val plm_sigmoid(plm_val x); /* y = 1 / (1 + e^-x)                           */

#define PLM_SQRT2 1.41421356237309504880
typedef struct {
    double scale; /* 0 means 1 */
} plm_relu_op_desc;
PLM_API plm_val plm_relu(plm_val                 x,
                         const plm_relu_op_desc *desc); /* y = scale max(x, 0); derivative 0 at 0; nan stays nan */

typedef struct {
    bool tanh; /* y = x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 instead, within 5e-4 */
} plm_gelu_op_desc;
/* y = x Phi(x), Phi the distribution function of the normal distribution.   Source: Hendrycks & Gimpel 2016. */
PLM_API plm_val plm_gelu(plm_val x, const plm_gelu_op_desc *desc);

typedef struct {
    double slope; /* 0 means 0.01   (PLM_ZERO: 0) */
} plm_leaky_relu_op_desc;
/* y = x where x > 0, else slope x; derivative `slope` at 0.   Source: Maas et al. 2013. */
PLM_API plm_val plm_leaky_relu(plm_val x, const plm_leaky_relu_op_desc *desc);

/* y = min(max(x, low), high); derivative 1 where low <= x <= high, else 0; nan stays nan.  An infinite bound is none.
 *   PLM_ERR_ARGUMENT: low > high, or one of them is nan. */
PLM_API plm_val plm_clamp(plm_val x, double low, double high);

/* y = a where cond != 0, else b; NumPy broadcasting of all three.  The gradient of cond is 0. */
PLM_API plm_val plm_where(plm_val cond, plm_val a, plm_val b);

typedef struct {
    double p; /* probability of becoming 0, below 1; 0 means 0.5   (PLM_ZERO: 0) */
} plm_dropout_op_desc;
/* Training: y = 0 with probability p, else x / (1 - p), drawn from (context seed, module name, number of the dropout in the module,
 * tape's step, element).  So two applications of a graph in one step draw the same, and so would a new tape for every step:
 * see plm_tape_set_step.  Evaluation: y = x.   Source: Srivastava et al. 2014. */
PLM_API plm_val plm_dropout(plm_val x, const plm_dropout_op_desc *desc);

/* Along one axis; negative axes count from the end.  The maximum is taken out first, so large inputs are safe. */
PLM_API plm_val plm_softmax(plm_val x, int axis);
PLM_API plm_val plm_log_softmax(plm_val x, int axis);

/* ------------------------------------------------------------------ shape */

typedef struct {
    const int *axes; /* NULL: all                                                  */
    int        count;
    bool       keep; /* keep reduced axes with extent 1                            */
} plm_reduce_desc;
PLM_API plm_val plm_sum(plm_val x, const plm_reduce_desc *desc); /* accumulates in double */
PLM_API plm_val plm_mean(plm_val x, const plm_reduce_desc *desc);

/* Same elements, other extents; one extent may be -1 (inferred).  plm_flatten: [n, everything else]. */
PLM_API plm_val plm_reshape(plm_val x, plm_shape shape);
PLM_API plm_val plm_flatten(plm_val x);
/* y's axis i is x's axis perm[i]; `perm` has as many entries as x has axes. */
PLM_API plm_val plm_transpose(plm_val x, const int *perm);

/* x[0], x[1] ... x[n-1] side by side along an axis, n in 1 .. PLM_MAX_INPUTS; a negative axis counts from the end.
 *   Shapes of one rank that differ along this axis only; y's extent along it is the sum of theirs.  dx[i] is the slice of dy
 *   where x[i] stands.  PLM_ERR_SHAPE: another extent differs; PLM_ERR_ARGUMENT: no such axis, or too many operands.
 *   Source: NumPy's concatenate. */
PLM_API plm_val plm_concat(const plm_val *x, int n, int axis);
/* Elements start .. stop-1 along an axis.  Negative numbers count from the end, as in Python's x[start:stop]; unlike there a
 * range that is empty or leaves the axis is an error (PLM_ERR_ARGUMENT).  dx is dy with zeros around it. */
PLM_API plm_val plm_slice(plm_val x, int axis, int64_t start, int64_t stop);

/* y[i..., :] = w[indices[i...], :].   w [num,dim], indices i64 of rank 0 to PLM_MAX_RANK-1 (copied), y [indices..., dim].
 *   dw[k] is the sum of dy over the places with index k, in double and in their order: the same bits for any thread count.
 *   PLM_ERR_ARGUMENT: an index outside 0..num-1; the sentence says where. */
PLM_API plm_val plm_embedding(plm_val w, plm_tensor indices);

/* ------------------------------------------------------------------ losses: scalars */

/* mean over all elements of (f - y)^2; f and y of one shape. */
PLM_API plm_val plm_mse(plm_val f, plm_val y);

typedef struct {
    double target; /* value at the label's place; 0 means sqrt(classes) */
} plm_onehot_desc;
/* mean over batch and classes of (f - target onehot(label))^2.   f [n,c] f32, labels [n] i64 in 0..c-1 (copied). */
PLM_API plm_val plm_mse_onehot(plm_val f, plm_tensor labels, const plm_onehot_desc *desc);
/* mean over the batch of ||f - y||^2 / (2 c) with y = target onehot(label): half of plm_mse_onehot; the paper's theory. */
PLM_API plm_val plm_square_loss(plm_val f, plm_tensor labels, const plm_onehot_desc *desc);
/* mean over the batch of -log softmax(f)[label].   f [n,c], labels [n] i64 (copied). */
PLM_API plm_val plm_cross_entropy(plm_val f, plm_tensor labels);

/* ------------------------------------------------------------------ reading results */

/* Index of the largest element of each row of f [n,c] (the first of equals), into dst[n]. */
PLM_API bool plm_argmax(plm_val f, int64_t *dst, int64_t n);
/* Fraction of rows of f [n,c] whose argmax is the label; nan on error. */
PLM_API double plm_accuracy(plm_val f, plm_tensor labels);

#ifdef __cplusplus
}
#endif
#endif

/* ops.h (private): what the files of this floor share. */
#ifndef PLM__OPS_H
#define PLM__OPS_H

#include <plummet/ops.h>

#include "autograd/autograd.h"

/* Loops shorter than this run on one thread: waking the others costs more. */
enum { PLM__SERIAL = 16384 };

/* ------------------------------------------------------------------ element by element: each.c */

/* dst[i] = f(in[0][i], in[1][i], ...) for n elements of memory; dst may be one of the inputs. */
#define PLM__MAX_OPERANDS 3
typedef void plm__range(const float *const *in, float *dst, int64_t n);

/* The range in chunks, on all threads. */
void plm__each(plm__range *f, const float *const *in, int n_in, float *dst, int64_t n);

/* Sums of n things, accumulated in double: part(arg, start, end) for at most PLM__MAX_PARTS parts whose bounds depend on n
 * alone, added in order.  So the bits do not depend on the number of threads. */
#define PLM__MAX_PARTS 256
typedef double plm__part(const void *arg, int64_t start, int64_t end);
double         plm__sum_parts(plm__part *part, const void *arg, int64_t n);

/* Sum of n floats in double, in an order that depends on n alone. */
double plm__sum_floats(const float *x, int64_t n);

/* ------------------------------------------------------------------ broadcasting: broadcast.c */

/* NumPy's rule; false: the shapes do not fit each other. */
bool plm__broadcast_shape(plm_shape a, plm_shape b, plm_shape *out);

/* The range over row-major memory of shape `out`, every operand broadcast from its own shape. */
typedef struct {
    plm_shape    shape;
    const float *data;
} plm__operand;
void plm__broadcast(plm__range *f, plm_shape out, const plm__operand *in, int n_in, float *dst);

/* The transpose of broadcasting: y, of a shape that broadcasts to x's, is `factor` times the sum of x over the axes along
 * which y was repeated.  Accumulates in double, in an order that does not depend on the number of threads. */
void plm__reduce(const float *x, plm_shape from, float *y, plm_shape to, double factor);

/* Windows of convolutions and pools beyond this are mistakes, and oneDNN's arithmetic on them overflows. */
enum { PLM__MAX_WINDOW = 1 << 15 };
static inline bool plm__window_fits(int64_t kernel, int64_t stride, int64_t pad)
{
    return kernel <= PLM__MAX_WINDOW && stride <= PLM__MAX_WINDOW && pad <= PLM__MAX_WINDOW;
}

/* What a window of `kernel` taps, each `dilation` from the next, covers. */
static inline int64_t plm__window_extent(int64_t kernel, int64_t dilation)
{
    return dilation * (kernel - 1) + 1;
}

/* In how many places a window that covers `window` stands along `extent`; 0: it is larger than that and its padding. */
static inline int64_t plm__window_places(int64_t extent, int64_t window, int64_t stride, int64_t pad)
{
    const int64_t room = extent + 2 * pad - window;
    return room < 0 ? 0 : room / stride + 1;
}

/* ------------------------------------------------------------------ for modules: fused, and home layouts */

/* relu > 0: y = relu max(y, 0) is part of the op; 0: none.  Batch norm knows 0 and 1 only. */
plm_val plm__linear_relu(plm_val x, plm_val w, plm_val b, double relu);
plm_val plm__batch_norm_relu(plm_val x, plm_val scale, plm_val shift, plm_param *running_mean, plm_param *running_var,
                             const plm_batch_norm_op_desc *desc, double relu);
/* plm_embedding with the indices in a value: whole numbers as floats; another one is an error when it runs. */
plm_val plm__embedding_of(plm_val w, plm_val x);
/* The home layout of a weight: what forward training at batch 128 picks.  conv2d: x is the shape of its input; `first`: no
 * gradient of the input will be asked for; grouped weights stay row-major (ops/weighted.c says why). */
bool plm__linear_home(plm_ctx *ctx, plm_shape weight, plm__layout *home);
bool plm__conv2d_home(plm_ctx *ctx, plm_shape x, plm_shape weight, const plm_conv2d_op_desc *desc, bool first,
                      plm__layout *home);

/* ------------------------------------------------------------------ others */

plm__range plm__mul_range; /* dst = in[0] in[1] */

/* dx = scale dy where y > 0, else 0; dx may be dy. */
void plm__relu_backward(const float *y, const float *dy, float *dx, int64_t n, float scale);

/* Do labels belong to f: f [n,c], labels [n] i64 in 0..c-1?  Otherwise fails with "WHO: ...". */
bool plm__labels_check(plm_ctx *ctx, const char *who, plm_shape f, plm_tensor labels);

/* y: the shape of x[0], x[1], ... side by side along an axis, which x[0] has.  The first operand whose other extents are not
 * those of x[0]; 0: all fit. */
int plm__concat_shape(const plm_shape *x, int n, int axis, plm_shape *y);

/* Both counted from the end if negative; false: not 0 <= start < stop <= extent. */
static inline bool plm__slice_range(int64_t extent, int64_t *start, int64_t *stop)
{
    if (*start < 0) *start += extent;
    if (*stop < 0) *stop += extent;
    return *start >= 0 && *start < *stop && *stop <= extent;
}

/* The axis counted from the end if negative; false: there is no such axis. */
static inline bool plm__axis(int *axis, int rank)
{
    if (*axis < 0) *axis += rank;
    return *axis >= 0 && *axis < rank;
}

#endif

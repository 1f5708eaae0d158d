/* dnnl.h (private): the one seam to oneDNN.  Nothing of oneDNN's API crosses it; layouts cross it as plain data. */
#ifndef PLM__DNNL_H
#define PLM__DNNL_H

#include "core/core.h"

typedef enum {
    PLM__CONV2D,
    PLM__LINEAR,
    PLM__MATMUL,
    PLM__BATCH_NORM,
    PLM__MAX_POOL,
    PLM__AVG_POOL,
    PLM__REORDER
} plm__primitive;

typedef enum {
    PLM__FORWARD,          /* training                                         */
    PLM__INFERENCE,        /* batch norm: statistics are given; pool: no workspace */
    PLM__BACKWARD_DATA,    /* conv2d, linear; also the whole backward pass of pools */
    PLM__BACKWARD_WEIGHTS, /* conv2d, linear: weights and bias                 */
    PLM__BACKWARD          /* batch norm: data, scale and shift                */
} plm__pass;

/* The full description of a kernel, and its key in the table.  Zero it before use: it is compared as bytes.
 * A convolution has weights [k,c,r,s], a grouped one [g,k/g,c/g,r,s] as oneDNN sees them.
 * Layouts with blocks == PLM__ANY are for oneDNN to choose.  For backward passes src, weights and dst stand for their
 * gradients (which have the same layouts). */
typedef struct {
    plm__primitive primitive;
    plm__pass      pass;
    plm__layout    src, weights,
        dst;      /* matmul: a [.., m,k], b [.., k,n], y; reorder: src, dst; batch norm, pools: src, dst */
    int32_t bias; /* conv2d, linear: 1 with bias [out] */
    int32_t kernel, stride, pad; /* conv2d, pools; pools: kernel 0 is the whole image */
    int32_t dilation;            /* conv2d: distance between taps; 0 means 1 */
    int32_t exclude_pad;         /* average pool: 1 does not count padding, 0 counts zeros */
    int32_t affine;              /* batch norm: 1 with scale and shift */
    int32_t relu;                /* batch norm: 1 fuses y = max(y, 0), training needs the workspace */
    float   relu_scale;          /* conv2d, linear forward: y = relu_scale max(y, 0) as a post-op; 0: none */
    float   eps;                 /* batch norm */
    int32_t global_stats;        /* batch norm: 1 takes mean and variance as given, in every pass */
    int32_t winograd;            /* conv2d: 1 for that algorithm; plm__negotiate sets it */
} plm__problem;

typedef struct plm__kernel plm__kernel;

/* Finds or makes the kernel.  `plm__kernel_get` fails with PLM_ERR_ENGINE when oneDNN has none; `plm__kernel_try` returns
 * NULL without an error (unless out of memory).  The code itself is generated at the first run.  The caller holds one
 * reference more. */
plm__kernel *plm__kernel_get(plm_ctx *ctx, const plm__problem *p);
/* y = a b for these layouts of two or three axes (batches first): kernel arguments src, weights, dst. */
plm__kernel *plm__matmul_get(plm_ctx *ctx, plm__layout a, plm__layout b, plm__layout y);
plm__kernel *plm__kernel_try(plm_ctx *ctx, const plm__problem *p);
void         plm__kernel_keep(plm__kernel *k);
void         plm__kernel_drop(plm_ctx     *ctx,
                              plm__kernel *k); /* takes NULL; unused kernels stay cached, least recently used go first */

bool               plm__kernel_reference(const plm__kernel *k); /* oneDNN's slow reference code? */
const char        *plm__kernel_name(const plm__kernel *k);      /* oneDNN's implementation name */
const plm__layout *plm__kernel_src(const plm__kernel *k);       /* as resolved by oneDNN */
const plm__layout *plm__kernel_weights(const plm__kernel *k);
const plm__layout *plm__kernel_dst(const plm__kernel *k);
size_t plm__kernel_workspace(const plm__kernel *k); /* bytes, 0: none; forward writes it, backward reads it */

/* Pointers a kernel reads and writes; those it does not use are ignored.  Const is cast away, inputs are only read. */
typedef struct {
    const void *src, *weights, *bias, *dst; /* forward writes dst */
    void       *diff_src, *diff_weights, *diff_bias;
    const void *diff_dst;
    const void *scale, *shift; /* batch norm, [c] each */
    void       *diff_scale, *diff_shift;
    void       *mean, *variance; /* [c]: written by forward training, read by the others */
    void       *workspace;
} plm__args;
bool plm__kernel_run(plm_ctx *ctx, plm__kernel *k, const plm__args *args); /* returns when done */

/* Copies between layouts of one shape; writes zeros into dst's padding. */
bool plm__reorder(plm_ctx *ctx, const plm__layout *from, const void *src, const plm__layout *to, void *dst);

/* The layout of `l`'s kind for another shape: nChw16c (or another block of channels), nhwc; of any other kind: row-major.  All
 * its strides are those of the kind, also where an extent of 1 makes them meaningless. */
plm__layout plm__layout_like(const plm__layout *l, plm_shape s);

/* Chooses the activation layout of an op for all its passes together.  `p` describes the forward pass; its src and dst
 * layouts are taken for their shapes only, except that `p->src` (if not ANY) is tried first when `keep_src`.  Candidates in
 * a fixed order: [Winograd in nChw16c, where plm__winograd_suits,] [p->src as it is,] oneDNN's own forward choice, nChw16c,
 * nChw8c, nhwc, plain; the first is taken for which no needed pass is a reference kernel, else the first for which all
 * passes exist.  On success p->src, p->dst and p->winograd (and p->weights, where ANY: forward's choice) are set. */
typedef struct {
    bool keep_src;
    bool data;    /* gradient of src is needed */
    bool weights; /* gradient of weights is needed */
} plm__needs;
bool plm__negotiate(plm_ctx *ctx, plm__problem *p, plm__needs needs);

/* Is Winograd's algorithm worth trying?  A fixed rule, never a clock, so that the same network computes the same numbers
 * everywhere (Lavin & Gray 2016; the sizes were measured, see docs/architecture.md):
 *   3x3, stride 1, dense, one group;  ic, oc >= 32;  h w / (16 ceil(h/4) ceil(w/4)) >= 0.7;  n ceil(h/4) ceil(w/4) >= max(ic, oc) / 8.
 * ctx->conv overrides it.  Whether oneDNN has the kernels (up to 3.1, AVX-512) shows when they are asked for: all three
 * passes, with at most 512 MiB of scratch, or none. */
bool plm__winograd_suits(const plm_ctx *ctx, const plm__problem *p);

/* The table of kernels that one step runs, for benchmarks: between start and stop every plm__kernel_run is noted (up to
 * `capacity` kept); replay runs the noted kernels in order on buffers of their own and returns the seconds of one pass,
 * -1 on error. */
bool   plm__trace_start(plm_ctx *ctx, int capacity);
int    plm__trace_stop(plm_ctx *ctx); /* how many were noted */
double plm__trace_replay(plm_ctx *ctx);

#endif

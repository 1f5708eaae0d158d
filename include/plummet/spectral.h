/* spectral.h: matrices as maps: operator norms, singular values, polar factors; of any matrix and of a layer's; and the
 * optimisers that are made of these. */
#ifndef PLUMMET_SPECTRAL_H
#define PLUMMET_SPECTRAL_H

#include <plummet/optim.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ of a matrix
 *
 * a [rows,cols] is row-major and finite, with at least one row and column; its singular values are s_1 >= s_2 >= ... >= 0,
 * as many as min(rows, cols).  Everything is a function of the matrix alone: neither the context's seed nor its threads
 * change a bit.  Arithmetic is double throughout, so any finite float is in range.
 * Errors (nan or false): PLM_ERR_ARGUMENT for NULL, PLM_ERR_SHAPE for extents below 1, PLM_ERR_NONFINITE with the element. */

/* ||a||_op = s_1 = max ||a x|| / ||x||; to a relative 1e-6, from below; 0 for the zero matrix.
 *   Power iteration on the smaller of a a^T and a^T a that keeps its iterates and takes the best vector of their span
 *   (Lanczos 1950; Golub & Kahan 1965): it needs no gap between s_1 and s_2, and ends when the residual, which bounds the
 *   distance to a singular value, is below 1e-6 s_1 / sqrt(min(rows, cols)).  Kuczynski & Wozniakowski 1992 bound what a
 *   random start can miss.
 *   Cost: k products with a and a^T and k^2 min(rows, cols) more; k was 8, the least, for gradients of an fcn, 8 to 23 for its
 *   weights, 24 to 60 for Gaussian noise of up to 2048 x 1024.
 *   kept [min(rows, cols)], may be NULL: in, a vector to begin with, or zeros; out, the singular vector of s_1 on the smaller side.
 *   Handed on from step to step of a training it saves iterations; it never changes the accuracy. */
PLM_API double plm_operator_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *kept);

/* s [min(rows, cols)], descending.  LAPACK's dgesdd; cost about 2 rows cols min(rows, cols) multiply-adds. */
PLM_API bool plm_singular_values(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols, double *s);

/* ||a||_nuc = s_1 + s_2 + ..., by plm_singular_values: to rounding. */
PLM_API double plm_nuclear_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols);

/* ||a||_F = sqrt(s_1^2 + s_2^2 + ...): the root of the sum of squares. */
PLM_API double plm_frobenius_norm(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols);

/* ||a||_F^2 / ||a||_op^2, from 1 (rank 1) to min(rows, cols) (all singular values equal); 0 for the zero matrix. */
PLM_API double plm_stable_rank(plm_ctx *ctx, const float *a, int64_t rows, int64_t cols);

/* ------------------------------------------------------------------ polar factor */

typedef struct {
    bool
        quick; /* Muon's five steps: singular values end somewhere in [0.68, 1.21]; zeros of a matrix divided by its Frobenius
                   norm below 1e-3 stay smaller */
} plm_polar_desc;

/* u = U V^T of a = U diag(s) V^T, for `count` matrices a [count,rows,cols] at once; u may be a.  It is the matrix of operator norm 1
 * with the largest <a, u> = ||a||_nuc, and the semi-orthogonal matrix nearest to a where a has full rank.
 *   Newton-Schulz: x <- alpha x (3 - alpha^2 x^T x) / 2 from x = a / (sum of s_i^4)^(1/4), which is at least s_1, with the alpha that is
 *   best for singular values in [l, 1], l = 1e-4 / min(rows, cols)^(1/4) at first (Higham 2008, section 8.3; Chen & Chow
 *   2014): a fixed number of products of matrices by oneDNN, whatever a is.  What becomes of a singular value s_i:
 *     s_i >= 1e-4 s_1: 1; together ||u - U V^T||_F <= 5e-5 sqrt(min(rows, cols)), twice that below 1e-3 s_1;
 *     below: something between 0 and 1, in order of size; 0 stays below 1e-2 (rounding of a itself, enlarged).
 *   So of a matrix without full rank it is the partial isometry of its range, as the pseudo-inverse would have it; of the zero
 *   matrix, 0.  Where rows or cols is 1, u = a / ||a||_F, exact to rounding.
 *   .quick: Jordan et al. 2024, "Muon": x <- 3.4445 x - 4.7750 (x x^T) x + 2.0315 (x x^T)^2 x, five times, from
 *   x = a / (||a||_F + 1e-7).
 *   Cost: 4 m^2 n floating-point operations a step with m <= n the extents, 13 to 15 steps; .quick: 5 steps of 4 m^2 n + 2 m^3. */
PLM_API bool plm_polar(plm_ctx *ctx, const float *a, int64_t count, int64_t rows, int64_t cols,
                       const plm_polar_desc *desc, float *u);

/* ------------------------------------------------------------------ of a layer
 *
 * A layer has `plm_layer_matrices` matrices of d_out/groups x d_in/groups: one for each tap of each group, group by group
 * and within a group in row-major order of the window; so matrix i is of group i / taps, tap i % taps. */

PLM_API int plm_layer_matrices(const plm_layer *l); /* groups kernel_h kernel_w */

typedef enum { PLM_OF_WEIGHT = 0, PLM_OF_GRADIENT } plm_layer_tensor;

/* Copies them out of layer `layer` of g, one after the other, each row-major as d_out/groups x d_in/groups (an embedding's table
 * becomes the matrix that maps one-hot vectors).  n is their number of elements together.  PLM_ERR_ARGUMENT: no such layer.  A gradient
 * that no backward pass has written since the last step is PLM_ERR_STATE. */
PLM_API bool plm_layer_read(plm_graph *g, int layer, plm_layer_tensor of, float *dst, int64_t n);

/* Arrays to be filled, [plm_layer_matrices] each; NULL: not wanted, not computed. */
typedef struct {
    double *frobenius, *op, *nuclear, *stable_rank;
    double *kept; /* [matrices, min(d_out, d_in)/groups]: of plm_operator_norm, for each matrix */
} plm_layer_norms_desc;

/* The norms of each matrix of a layer, as the functions above compute them.  Memory: one copy of the tensor. */
PLM_API bool plm_layer_norms(plm_graph *g, int layer, plm_layer_tensor of, const plm_layer_norms_desc *out);

/* ------------------------------------------------------------------ optimisers (for all of them see optim.h) */

/* Spectral Automatic Gradient Descent: the same majorisation, minimised without the assumption that gradients have rank 1.  For
 * all steps with ||dW_tap||_op = (eta/L) s_k the first-order term is least, -eta G, in the direction -U V^T:
 *   G = (1/L) sum_k s_k sum_taps ||g_tap||_nuc,   eta = log((1 + sqrt(1 + 4 G)) / 2),
 *   w_tap -= gain (eta / L) s_k U V^T,   g_tap = U S V^T.
 * U V^T and the nuclear norm are plm_polar's (spectral.h): of singular values below 1e-4 of the largest it takes less.  All else as
 * AGD.  A step costs about 60 m^2 n operations for a matrix of m <= n extents: at batch 128 and width 256 some thirty times the
 * backward pass.
 * Source: the dual norm of the operator norm in section 3 of arXiv 2304.05187; Bernstein & Newhouse 2024, arXiv 2409.20325. */
typedef struct {
    double gain;   /* 0 means 1 */
    bool   reinit; /* as AGD's */
} plm_spectral_agd_desc;
/* Muon, momentum orthogonalised by Newton-Schulz, for the weights of layers; each group of a convolution is one matrix of
 * d_out/groups x d_in/groups kernel_h kernel_w:
 *   m = momentum m + (1 - momentum) g;  x = momentum m + (1 - momentum) g;
 *   w -= lr (sqrt(max(1, d_out / (d_in kernel_h kernel_w))) NS5(x) + weight_decay w),   NS5: plm_polar's .quick.
 * Biases, norms' scale and shift, and embeddings step by AdamW with adam_lr, beta1, beta2 and eps; a schedule acts on both rates.
 * Its source leaves the last layer to AdamW too, here it counts as the others.
 * Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon. */
typedef struct {
    double lr;       /* 0 means 0.02 */
    double momentum; /* 0 means 0.95   (PLM_ZERO: 0) */
    double weight_decay;
    double adam_lr; /* 0 means 3e-4 */
    double beta1;   /* 0 means 0.9    (PLM_ZERO: 0) */
    double beta2;   /* 0 means 0.95   (PLM_ZERO: 0) */
    double eps;     /* 0 means 1e-10 */
    double clip_norm;
    bool   reinit; /* PLM_INIT_PYTORCH */
} plm_muon_desc;

/* SGD and Adam in the modular norm: u = m, or u = m / sqrt(v), with m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2; then for each
 * matrix (tap of a group) of layer k
 *   w_tap -= lr (1/L) / S_k * sqrt(d_out/d_in) / (kernel_h kernel_w) * u_tap / ||u_tap||_op,
 * and for each row of an embedding w_row -= lr (1/L) / S_k * u_row / rms(u_row).  Every layer has the mass 1, so 1/L is its share; S_k is
 * the sensitivity of what follows layer k: the sum over paths to the output of products of modules' sensitivities (scale/sqrt(2) for
 * ReLU, 1/sqrt(2) for GELU, 1/4 for sigmoid, 1 for all others), found by walking the graph.  A matrix whose u is zero is left
 * alone; biases and affine norms are refused by name.  The source lets lr fall linearly to 0.
 * Source: Large et al. 2024, arXiv 2405.14813, algorithm 1 and appendix; operator norms as plm_operator_norm. */
typedef struct {
    double lr;       /* 0 means 0.5 */
    double momentum; /* b1; 0 means 0.9   (PLM_ZERO: 0) */
    bool   reinit;   /* PLM_INIT_AGD */
} plm_modular_sgd_desc;
typedef struct {
    double lr;     /* 0 means 0.5 */
    double beta1;  /* 0 means 0.9    (PLM_ZERO: 0) */
    double beta2;  /* 0 means 0.99   (PLM_ZERO: 0) */
    bool   reinit; /* PLM_INIT_AGD */
} plm_modular_adam_desc;

PLM_API plm_optimizer *plm_spectral_agd_new(plm_graph *g, const plm_spectral_agd_desc *desc);
PLM_API plm_optimizer *plm_muon_new(plm_graph *g, const plm_muon_desc *desc);
PLM_API plm_optimizer *plm_modular_sgd_new(plm_graph *g, const plm_modular_sgd_desc *desc);
PLM_API plm_optimizer *plm_modular_adam_new(plm_graph *g, const plm_modular_adam_desc *desc);

#ifdef __cplusplus
}
#endif
#endif

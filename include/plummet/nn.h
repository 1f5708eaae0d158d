/* nn.h: the module graph, what can be asked of it without running it, and its files. */
#ifndef PLUMMET_NN_H
#define PLUMMET_NN_H

#include <plummet/autograd.h>
#include <plummet/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ building */

/* A block is a plain C function from node to node.  A graph freezes at its first apply or optimiser: building more after
 * that is an error. */
typedef struct plm_graph plm_graph;

typedef struct {
    plm_graph *graph;
    int32_t    id; /* -1: empty, what a failed call returns */
} plm_node;

PLM_API plm_graph *plm_graph_new(plm_ctx *ctx);
PLM_API void       plm_graph_free(plm_graph *g);
PLM_API plm_ctx   *plm_graph_ctx(const plm_graph *g);

/* Names of modules made between scope and scope_end get the prefix "NAME."; scopes nest. */
PLM_API void plm_graph_scope(plm_graph *g, const char *fmt, ...) PLM_PRINTF(2, 3);
PLM_API void plm_graph_scope_end(plm_graph *g);

/* The graph's one input: shape WITHOUT the batch axis.  The graph's one output, with a name of its own. */
PLM_API plm_node plm_nn_input(plm_graph *g, plm_shape shape);
PLM_API void     plm_graph_output(plm_node node, const char *name);

/* Keeps a node's value readable after apply (plm_node_value) and out of fusion. */
PLM_API void plm_node_keep(plm_node node);

/* Every desc has .name; NULL means kind and number ("relu3").  Parameters are NAME.weight, NAME.bias ... as in PyTorch. */
typedef struct {
    const char *name;
    int64_t     out;  /* output features; required                                    */
    bool        bias; /* false: none, as Automatic Gradient Descent (AGD) expects      */
} plm_linear_desc;

typedef struct {
    const char *name;
    int64_t     out;    /* output channels; required            */
    int         kernel; /* side of the square window; 0 means 3 */
    int         stride; /* 0 means 1                            */
    int         pad;    /* zeros added on EACH side             */
    bool        bias;
    int         dilation; /* distance between taps; 0 means 1: dense                        */
    int         groups;   /* 0 means 1; as many as input channels: a depthwise convolution  */
} plm_conv2d_desc;

typedef struct {
    const char *name;
    double      eps;      /* 0 means 1e-5                                     */
    double      momentum; /* 0 means 0.1                                      */
    bool        affine;   /* learn a scale and a shift (weight, bias)         */
} plm_batch_norm_desc;

typedef struct {
    const char *name;
    int         kernel;      /* required, unless global                                             */
    int         stride;      /* 0 means kernel                                                      */
    int         pad;         /* on EACH side, at most kernel/2                                      */
    bool        exclude_pad; /* average: padding does not count; PyTorch's count_include_pad=False */
    bool        global;      /* the whole image is one window; kernel, stride and pad stay 0       */
} plm_pool2d_desc;

typedef struct {
    const char *name;
    double      scale; /* 0 means 1 */
} plm_relu_desc;

typedef struct {
    const char *name;
} plm_module_desc;

typedef struct {
    const char *name;
    bool        tanh; /* the formula with tanh, as in plm_gelu */
} plm_gelu_desc;

typedef struct {
    const char *name;
    double      slope; /* 0 means 0.01   (PLM_ZERO: 0) */
} plm_leaky_relu_desc;

typedef struct {
    const char *name;
    double      low, high; /* finite, low < high */
} plm_clamp_desc;

typedef struct {
    const char *name;
    double      p; /* probability of becoming 0; 0 means 0.5   (PLM_ZERO: 0) */
} plm_dropout_desc;

typedef struct {
    const char *name;
    int         axes;   /* how many of the last axes; 0 means 1     */
    double      eps;    /* 0 means 1e-5                             */
    bool        affine; /* learn a scale and a shift (weight, bias) */
} plm_layer_norm_desc;

/* Axes are counted WITHOUT the batch axis, so 0 is channels; negative ones from the end. */
typedef struct {
    const char *name;
    int         axis;
} plm_concat_desc;

typedef struct {
    const char *name;
    int         axis;
    int64_t     start; /* elements start .. stop-1; negative numbers count from the end */
    int64_t     stop;  /* 0 means the end                                               */
} plm_slice_desc;

typedef struct {
    const char *name;
    int64_t     num; /* how many numbers there are, 0 .. num-1; required */
    int64_t     dim; /* features for each; required                      */
} plm_embedding_desc;

PLM_API plm_node plm_nn_linear(plm_node x, const plm_linear_desc *desc);         /* x [in]                           */
PLM_API plm_node plm_nn_conv2d(plm_node x, const plm_conv2d_desc *desc);         /* x [c,h,w]                        */
PLM_API plm_node plm_nn_batch_norm(plm_node x, const plm_batch_norm_desc *desc); /* x [c] or [c,h,w]                 */
PLM_API plm_node plm_nn_max_pool2d(plm_node x, const plm_pool2d_desc *desc);
PLM_API plm_node plm_nn_avg_pool2d(plm_node x, const plm_pool2d_desc *desc);
PLM_API plm_node plm_nn_relu(plm_node x, const plm_relu_desc *desc);
PLM_API plm_node plm_nn_tanh(plm_node x, const plm_module_desc *desc);
PLM_API plm_node plm_nn_sigmoid(plm_node x, const plm_module_desc *desc);
PLM_API plm_node plm_nn_gelu(plm_node x, const plm_gelu_desc *desc);
PLM_API plm_node plm_nn_leaky_relu(plm_node x, const plm_leaky_relu_desc *desc);
PLM_API plm_node plm_nn_clamp(plm_node x, const plm_clamp_desc *desc);
PLM_API plm_node plm_nn_dropout(plm_node x, const plm_dropout_desc *desc); /* nothing in evaluation */
PLM_API plm_node plm_nn_layer_norm(plm_node x, const plm_layer_norm_desc *desc);
PLM_API plm_node plm_nn_flatten(plm_node x);         /* [c,h,w] to [c*h*w]               */
PLM_API plm_node plm_nn_add(plm_node a, plm_node b); /* a residual connection: one shape */
/* x[0] ... x[n-1] side by side along an axis, n in 1 .. PLM_MAX_INPUTS; their shapes differ along this axis only. */
PLM_API plm_node plm_nn_concat(const plm_node *x, int n, const plm_concat_desc *desc);
PLM_API plm_node plm_nn_slice(plm_node x, const plm_slice_desc *desc); /* a part of an axis */
/* [l...] to [l...,dim]: row number x of NAME.weight [num,dim], as torch.nn.Embedding, for every element x: a linear map of
 * one-hot vectors, hence a layer with d_in = num and d_out = dim.  x holds whole numbers 0 .. num-1 as floats; another one is
 * an error of apply that names sample and value.  No gradient flows into x. */
PLM_API plm_node plm_nn_embedding(plm_node x, const plm_embedding_desc *desc);

/* ------------------------------------------------------------------ asking */

PLM_API plm_shape plm_node_shape(plm_node node); /* without the batch axis */

/* How far a module can carry its input.  Norms ||.||_2 are over all elements of one sample; f as in training:
 *   ||f(x) - f(x')|| <= factor ||x - x'||   and   ||f(x)|| <= at_zero + factor ||x||   with at_zero = ||f(0)||.
 * Of several inputs ||x|| is the sum of their norms, or with .squares the root of the sum of their squares.  What a weight
 * layer's factor still has to be multiplied with is its weight's norm as a map: sum over taps of the largest ||W||_op
 * among the tap's groups (a tap takes each element of x to at most one place, and ||A + B|| <= ||A|| + ||B||). */
typedef struct {
    bool        known;           /* false: there is no bound that does not depend on x */
    double      factor, at_zero; /* nan: not known                                     */
    bool        squares;
    const char *why; /* where the factor comes from, or why there is none: a phrase, never NULL */
} plm_lipschitz;

typedef struct {
    const char       *name;
    const char       *kind; /* "linear", "conv2d" ... */
    int               inputs[PLM_MAX_INPUTS], input_count;
    int               consumers;
    int               depth; /* weight layers on the longest path from the input up to and with this node */
    plm_shape         shape; /* of its output, without the batch axis */
    plm_param *const *params;
    int               param_count;
    int64_t           macs; /* multiply-adds for one sample */
    plm_lipschitz     lipschitz;
} plm_node_info;

PLM_API int  plm_graph_node_count(const plm_graph *g);
PLM_API bool plm_graph_node_info(const plm_graph *g, int i, plm_node_info *info); /* lent until the graph grows */

/* A weight-bearing layer: what an optimiser derives its step from. */
typedef struct {
    const char *name, *kind;
    int64_t     d_in, d_out;        /* all input and output channels: of all groups */
    int         kernel_h, kernel_w; /* 1 x 1 for linear and embedding          */
    int         groups;             /* so many matrices of d_out/groups x d_in/groups for each tap */
    bool        table;              /* embedding: the weight lies as [d_in,d_out]                  */
    int         index;              /* 0 .. L-1, in order of building          */
    int         depth;              /* 1 .. : place on the longest path        */
    plm_param  *weight, *bias;      /* bias: NULL for none                     */
} plm_layer;

PLM_API int              plm_graph_layer_count(const plm_graph *g);
PLM_API const plm_layer *plm_graph_layer(const plm_graph *g, int i);
PLM_API int64_t          plm_layer_fan_in(const plm_layer *l);  /* d_in kernel_h kernel_w / groups, as in PyTorch */
PLM_API int64_t          plm_layer_fan_out(const plm_layer *l); /* d_out kernel_h kernel_w, as in PyTorch */

PLM_API int        plm_graph_param_count(const plm_graph *g); /* statistics included */
PLM_API plm_param *plm_graph_param(const plm_graph *g, int i);
PLM_API plm_param *plm_graph_param_named(const plm_graph *g, const char *name); /* NULL: no such, not an error */

typedef struct {
    int     layers;            /* weight tensors                                        */
    int     depth;             /* weight layers on the longest path                     */
    int64_t parameters;        /* trainable numbers                                     */
    int64_t macs;              /* multiply-adds, forward, one sample                    */
    int64_t activation_floats; /* sum of node outputs, one sample: what a tape without fusion or reuse would hold */
} plm_graph_info;
PLM_API plm_graph_info plm_graph_summary(const plm_graph *g);
PLM_API plm_shape      plm_graph_input_shape(const plm_graph *g);
PLM_API plm_shape      plm_graph_output_shape(const plm_graph *g);

/* ------------------------------------------------------------------ weights */

typedef enum {
    /* Weights semi-orthogonal per tap and group, times sqrt(d_out / (d_in taps)); arXiv 2304.05187.  Biases 0; norms as below. */
    PLM_INIT_AGD = 1,
    /* Weights and biases uniform in +-1/sqrt(fan_in); embeddings normal; norm scale 1, shift 0. */
    PLM_INIT_PYTORCH
} plm_init;

/* Draws every parameter from (context seed, parameter name, element): the same in any order, for any thread count. */
PLM_API bool plm_graph_init(plm_graph *g, plm_init scheme);
PLM_API bool plm_graph_initialized(const plm_graph *g); /* initialised or loaded */

/* ------------------------------------------------------------------ running */

/* Runs the graph on x [n, input shape...]; the result lives on x's tape.  x's tape decides training or evaluation.
 * PLM_ERR_NONFINITE: x holds nan or infinity; the sentence says in which sample. */
PLM_API plm_val plm_graph_apply(plm_graph *g, plm_val x);
/* The value of a node marked by plm_node_keep, if the graph's last apply was on this tape. */
PLM_API plm_val plm_node_value(plm_node node, plm_tape *tape);

/* Inference on plain arrays: x [n, input...] row-major to y [n, output...]; in chunks, evaluation mode. */
PLM_API bool plm_graph_predict(plm_graph *g, const float *x, int64_t n, float *y) PLM_MUST_CHECK;

/* ------------------------------------------------------------------ files */

/* What a file keeps beside the network, so that raw data can be predicted: x' = (x * scale - mean[c]) / std[c]. */
#define PLM_MAX_CHANNELS 16
typedef struct {
    double scale;    /* 0 means 1; 1/255 for bytes           */
    int    channels; /* 0: no normalisation; 1: one mean and std for everything; else one per channel (axis 0) */
    double mean[PLM_MAX_CHANNELS], std[PLM_MAX_CHANNELS];
} plm_normalization;

PLM_API void                     plm_graph_set_normalization(plm_graph *g, const plm_normalization *n); /* copied */
PLM_API const plm_normalization *plm_graph_normalization(const plm_graph *g);
PLM_API void                     plm_graph_set_classes(plm_graph *g, const char *const *names, int count); /* copied */
PLM_API const char              *plm_graph_class(const plm_graph *g, int i); /* NULL: no such */
PLM_API int                      plm_graph_class_count(const plm_graph *g);

/* safetensors: PyTorch's names and shapes, row-major f32; graph, input shape, normalisation and class names as JSON in
 * __metadata__.  Written beside and renamed: the file is the old one or the new one, never half. */
PLM_API bool plm_graph_save(const plm_graph *g, const char *path) PLM_MUST_CHECK;
/* Rebuilds a network from such a file alone.  NULL on error.  Reading takes F32, BF16 and F16 (all exact in f32; infinities
 * and nan stay, and are refused at the first use), and passes over PyTorch's num_batches_tracked. */
PLM_API plm_graph *plm_graph_open(plm_ctx *ctx, const char *path) PLM_MUST_CHECK;
/* The same for networks with modules of your own: their kinds (module.h) beside the library's.  A file that names another kind is
 * refused: PLM_ERR_FORMAT, "FILE: node 2 of its network: its kind \"swish\" is not known here". */
typedef struct plm_module_kind plm_module_kind;
typedef struct {
    const plm_module_kind *const *kinds; /* ends with NULL; NULL: none */
} plm_open_desc;
PLM_API plm_graph *plm_graph_open_with(plm_ctx *ctx, const char *path, const plm_open_desc *desc) PLM_MUST_CHECK;
/* Fills a graph built in code; missing, extra and misshapen tensors are named, and then nothing is changed. */
PLM_API bool plm_graph_load(plm_graph *g, const char *path) PLM_MUST_CHECK;

/* ------------------------------------------------------------------ zoo */

typedef struct {
    int     depth; /* weight layers, at least 2; 0 means 10 */
    int64_t width; /* 0 means 256                           */
    double  scale; /* of the ReLUs; 0 means sqrt(2)         */
    bool    bias;  /* of every layer                        */
} plm_fcn_desc;
/* flatten, then `depth` linear layers with y = scale max(x, 0) between them; names initial, layers.0 ..., final. */
PLM_API plm_node plm_zoo_fcn(plm_node x, int64_t classes, const plm_fcn_desc *desc);

/* The convolutional networks turn an image x [c,h,w] into logits [classes].  Defaults are as AGD expects: no biases,
 * no scale and shift in the norms.  An empty node after PLM_ERR_ARGUMENT: no such depth, no classes; PLM_ERR_SHAPE:
 * an image too small for the network is refused by the module that it does not fit. */
typedef struct {
    int  depth;  /* 11, 13, 16 or 19; 0 means 16                          */
    bool bias;   /* of the convolutions and of the linear layer           */
    bool affine; /* batch norms learn a scale and a shift (weight, bias)  */
} plm_vgg_desc;
/* Five groups of 3x3 convolutions of 64, 128, 256, 512 and 512 channels, each padded by 1 and followed by batch norm
 * and ReLU; after each group a 2x2 max pool; then one linear layer.  Convolutions in the groups: 1, 1, 2, 2, 2 (11);
 * 2, 2, 2, 2, 2 (13); 2, 2, 3, 3, 3 (16); 2, 2, 4, 4, 4 (19); so there are L = depth - 2 weights.
 *   For images of 32x32, which leave 512 features; larger ones leave 512 floor(h/32) floor(w/32) to the linear layer.
 *   Names as in PyTorch's sequence of modules: features.0 (convolution), .1 (norm), .2 (ReLU) ..., classifier.
 *   Source: Simonyan & Zisserman 2015, table 1; with norms and one linear layer instead of three, as is usual for
 *   CIFAR. */
PLM_API plm_node plm_zoo_vgg(plm_node x, int64_t classes, const plm_vgg_desc *desc);

typedef struct {
    int  depth;    /* 18, 34, 50, 101 or 152; 0 means 18                                      */
    bool imagenet; /* post-activation, for 224x224 images; false: pre-activation, for 32x32   */
    bool bias;     /* of the linear layer: the convolutions have none                         */
    bool affine;   /* as above                                                                */
} plm_resnet_desc;
/* A stem, four stages of residual blocks, an average pool, one linear layer.  The stages are w = 64, 128, 256 and 512
 * wide; all but the first halve the image, with stride 2 on the first 3x3 convolution of their first block.  Blocks
 * in the stages: 2, 2, 2, 2 (18); 3, 4, 6, 3 (34, 50); 3, 4, 23, 3 (101); 3, 8, 36, 3 (152).  The branch F of a block
 * has the convolutions 3x3 to w, 3x3 to w (18, 34), or 1x1 to w, 3x3 to w, 1x1 to 4w (from 50 on).  Where a block
 * changes the shape, the shortcut S is a 1x1 convolution, elsewhere its argument.  L, the number of weights: 21, 37,
 * 54, 105, 156; `depth` on the longest path.
 *   Pre-activation: y = F(a) + S, a = relu(norm(x)); norm and ReLU stand before each convolution of F; S is a
 *     convolution of a, or x itself.  Stem: one 3x3 convolution.  No norm after the last block; the pool is 4x4:
 *     images of 32x32 leave 1x1.
 *     Names: conv1, layerS.B.bn1, .conv1, .bn2, .conv2 ..., .shortcut.0, linear.
 *   Post-activation: y = relu(F(x) + S(x)); norm after each convolution, also that of S, ReLU between those of F.
 *     Stem: 7x7 convolution of stride 2, norm, ReLU, 3x3 max pool of stride 2.  The pool takes what is left of the
 *     image, a square.
 *     Names are torchvision's: conv1, bn1, layerS.B.conv1, .bn1 ..., .downsample.0, .downsample.1, fc.
 *   Sources: He et al. 2016a, "Deep Residual Learning" (post-activation; "v1.5", since the original's bottleneck has
 *   its stride on the first 1x1); He et al. 2016b, "Identity Mappings in Deep Residual Networks" (pre-activation). */
PLM_API plm_node plm_zoo_resnet(plm_node x, int64_t classes, const plm_resnet_desc *desc);

#ifdef __cplusplus
}
#endif
#endif

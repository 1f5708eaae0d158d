/* nets.h: small networks that several tests train: the ones of the golden files, from the zoo's own builders. */
#ifndef PLM_TESTS_NETS_H
#define PLM_TESTS_NETS_H

#include "support.h"

/* [3,8,8] to 7 classes: conv 8, pool, conv 16, conv 12, pool, conv 20, pool, linear.  PyTorch's names: features.I, classifier. */
plm_graph *net_vgg(plm_ctx *ctx);

/* Pre-activation residual network on [3,16,16], 4 classes: stem of 8, stages of 8, 16, 32 with `blocks` blocks each (strides
 * 1, 2, 2), 4x4 average pool, linear. */
typedef struct {
    bool bottleneck; /* 1x1, 3x3, 1x1 with expansion 4 instead of 3x3, 3x3 */
    int  blocks[3];
} net_preact_desc;
plm_graph *net_preact(plm_ctx *ctx, const net_preact_desc *desc);

/* fcn on [1,6,6], 5 classes. */
plm_graph *net_fcn(plm_ctx *ctx, int depth, int64_t width);

#endif

/* zoo.h (private to nn): what builds the networks by name, open to other sizes: the tests train small ones. */
#ifndef PLM__ZOO_H
#define PLM__ZOO_H

#include "nn/nn.h"

/* Channels of the convolutions in their order, `count` entries, 0: a 2x2 max pool. */
plm_node plm__zoo_vgg(plm_node x, int64_t classes, const int *channels, int count, const plm_vgg_desc *d);

typedef struct {
    int             stages, blocks[4]; /* how many, and of how many blocks                                  */
    int64_t         width;             /* of the stem and the first stage; each stage doubles the last one's */
    bool            bottleneck;        /* 1x1, 3x3, 1x1 with four times the width, instead of 3x3, 3x3      */
    plm_resnet_desc desc;              /* all but the depth                                                 */
} plm__resnet;
plm_node plm__zoo_resnet(plm_node x, int64_t classes, const plm__resnet *r);

#endif

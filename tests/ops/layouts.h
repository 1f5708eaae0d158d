/* layouts.h: the layouts that images have between convolutions, written out. */
#ifndef PLM_TESTS_OPS_LAYOUTS_H
#define PLM_TESTS_OPS_LAYOUTS_H

#include "autograd/autograd.h"

enum { LAYOUTS = 3 };

/* nChw16c, nChw8c, nhwc */
static inline plm__layout layout_of(plm_shape s, int which)
{
    plm__layout   l     = plm__layout_plain(s);
    const int64_t block = which == 0 ? 16 : 8;
    if (which < 2) {
        l.blocks    = 1;
        l.block[0]  = (int32_t)block;
        l.axis[0]   = 1;
        l.padded[1] = (s.dim[1] + block - 1) / block * block;
    }
    const int64_t last = which < 2 ? block : s.dim[1];
    l.stride[3]        = last;
    l.stride[2]        = last * s.dim[3];
    l.stride[1]        = which < 2 ? block * s.dim[2] * s.dim[3] : 1;
    l.stride[0]        = l.padded[1] * s.dim[2] * s.dim[3];
    return l;
}

/* Physical floats that are not zero, less those of them that are elements. */
static inline int64_t nonzero_padding(const plm__layout *l, const float *x)
{
    int64_t count = 0;
    for (int64_t i = 0; i < plm__layout_floats(l); i++) count += !(x[i] == 0);
    for (int64_t e = 0; e < plm_shape_count(plm__layout_shape(l)); e++) {
        const int64_t w = l->dim[3], h = l->dim[2], c = l->dim[1];
        const int64_t index[] = { e / w / h / c, e / w / h % c, e / w % h, e % w };
        count -= !(x[plm__layout_offset(l, index)] == 0);
    }
    return count;
}

#endif

/* labels.c: class labels as losses and scores take them. */
#include "ops/ops.h"

bool plm__labels_check(plm_ctx *ctx, const char *who, plm_shape f, plm_tensor labels)
{
    char a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    plm__shape_text(f, a);
    plm__shape_text(labels.shape, b);
    if (f.rank != 2) return plm__fail(ctx, PLM_ERR_SHAPE, "%s: the outputs are %s, expected [batch,classes]", who, a);
    if (labels.dtype != PLM_I64)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the labels are %s %s, expected i64 [%lld]", who,
                         plm_dtype_name(labels.dtype), b, (long long)f.dim[0]);
    if (labels.shape.rank != 1 || labels.shape.dim[0] != f.dim[0])
        return plm__fail(ctx, PLM_ERR_SHAPE, "%s: the labels are %s, expected [%lld] for outputs %s", who, b,
                         (long long)f.dim[0], a);
    if (!labels.data) return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the labels %s have no memory (NULL)", who, b);
    const int64_t *label = labels.data;
    for (int64_t i = 0; i < f.dim[0]; i++)
        if (label[i] < 0 || label[i] >= f.dim[1])
            return plm__fail(ctx, PLM_ERR_ARGUMENT,
                             "%s: the label of row %lld is %lld, expected 0 to %lld (outputs %s)", who, (long long)i,
                             (long long)label[i], (long long)f.dim[1] - 1, a);
    return true;
}

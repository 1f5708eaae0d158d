/* arrays.c: data sets from the user's own arrays, and samples made on demand. */
#include "data/data.h"

#include <string.h>

static bool check_x(plm_ctx *ctx, plm_tensor x)
{
    char text[PLM__SHAPE_TEXT];
    if (!plm__shape_check(ctx, x.shape, "plm_dataset_from_arrays: x")) return false;
    if (x.shape.rank < 2)
        return plm__fail(ctx, PLM_ERR_SHAPE,
                         "plm_dataset_from_arrays: x is %s, expected [n, ...] with an axis or more for each sample",
                         plm__shape_text(x.shape, text));
    if (x.dtype != PLM_F32 && x.dtype != PLM_U8)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_arrays: x is %s %s, expected f32 or u8",
                         plm_dtype_name(x.dtype), plm__shape_text(x.shape, text));
    if (!x.data)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_arrays: the data of x %s is NULL",
                         plm__shape_text(x.shape, text));
    return true;
}

static bool check_y(plm_ctx *ctx, plm_tensor x, plm_tensor y)
{
    char x_text[PLM__SHAPE_TEXT], y_text[PLM__SHAPE_TEXT];
    plm__shape_text(x.shape, x_text);
    if (!plm__shape_check(ctx, y.shape, "plm_dataset_from_arrays: y")) return false;
    plm__shape_text(y.shape, y_text);
    if (y.dtype != PLM_I64 && y.dtype != PLM_F32)
        return plm__fail(ctx, PLM_ERR_ARGUMENT,
                         "plm_dataset_from_arrays: y is %s %s, expected i64 labels or f32 regression targets",
                         plm_dtype_name(y.dtype), y_text);
    int axes = y.dtype == PLM_I64 ? 1 : 2;
    if (y.shape.rank < 1 || y.shape.rank > axes)
        return plm__fail(ctx, PLM_ERR_SHAPE, "plm_dataset_from_arrays: y is %s %s, expected %s for x %s",
                         plm_dtype_name(y.dtype), y_text, axes == 1 ? "labels [n]" : "targets [n] or [n, d]", x_text);
    if (y.shape.dim[0] != x.shape.dim[0])
        return plm__fail(ctx, PLM_ERR_SHAPE, "plm_dataset_from_arrays: x %s has %lld samples, y %s has %lld", x_text,
                         (long long)x.shape.dim[0], y_text, (long long)y.shape.dim[0]);
    if (!y.data) return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_arrays: the data of y %s is NULL", y_text);
    return true;
}

static bool check_classes(plm_ctx *ctx, const plm_arrays_desc *desc)
{
    if (desc->classes < 0 || desc->classes > PLM__MAX_CLASSES)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_arrays: classes is %d, expected 0 to %d",
                         desc->classes, PLM__MAX_CLASSES);
    if (!desc->class_names) return true;
    if (desc->classes == 0)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_arrays: class_names without classes, their number");
    for (int i = 0; i < desc->classes; i++)
        if (!desc->class_names[i])
            return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_arrays: class_names[%d] of %d is NULL", i,
                             desc->classes);
    return true;
}

/* Copies before checking, so that what was checked is what is kept. */
static bool keep_labels(plm__store *s, const plm_arrays_desc *desc)
{
    s->labels = plm__new(s->ctx, (size_t)s->count * sizeof *s->labels, "labels");
    if (!s->labels) return false;
    memcpy(s->labels, desc->y.data, (size_t)s->count * sizeof *s->labels);
    int64_t limit = desc->classes ? desc->classes : PLM__MAX_CLASSES, largest = 0;
    for (int64_t i = 0; i < s->count; i++) {
        if (s->labels[i] < 0 || s->labels[i] >= limit)
            return plm__fail(s->ctx, PLM_ERR_ARGUMENT,
                             "plm_dataset_from_arrays: label %lld of sample %lld is not in 0..%lld",
                             (long long)s->labels[i], (long long)i, (long long)limit - 1);
        if (s->labels[i] > largest) largest = s->labels[i];
    }
    return plm__store_name_classes(s, desc->classes ? desc->classes : (int)largest + 1, desc->class_names);
}

static bool keep_targets(plm__store *s, plm_tensor y)
{
    size_t bytes   = (size_t)plm_shape_count(y.shape) * sizeof(float);
    s->target_size = y.shape.rank == 2 ? y.shape.dim[1] : 1;
    s->targets     = plm__new(s->ctx, bytes, "regression targets");
    if (!s->targets) return false;
    memcpy(s->targets, y.data, bytes);
    return true;
}

static bool keep_arrays(plm__store *s, const plm_arrays_desc *desc)
{
    size_t bytes = (size_t)plm_shape_count(desc->x.shape) * plm_dtype_size(desc->x.dtype);
    s->x_dtype   = desc->x.dtype;
    s->x         = plm__new(s->ctx, bytes, "the samples of a data set");
    if (!s->x) return false;
    memcpy(s->x, desc->x.data, bytes);
    if (!plm__store_normalize(s, desc->normalization, "plm_dataset_from_arrays")) return false;
    return desc->y.dtype == PLM_I64 ? keep_labels(s, desc) : keep_targets(s, desc->y);
}

plm_dataset *plm_dataset_from_arrays(plm_ctx *ctx, const plm_arrays_desc *desc)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!desc) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_arrays: desc is NULL");
        return NULL;
    }
    if (!check_x(ctx, desc->x) || !check_y(ctx, desc->x, desc->y)) return NULL;
    if (desc->y.dtype == PLM_I64 && !check_classes(ctx, desc)) return NULL;
    plm__store *s =
        plm__store_new(ctx, desc->name ? desc->name : "arrays", desc->x.shape.dim[0], plm__shape_sample(desc->x.shape));
    if (s && keep_arrays(s, desc)) return plm__dataset_over(s);
    plm__store_drop(s);
    return NULL;
}

static bool check_callback(plm_ctx *ctx, const plm_callback_desc *desc)
{
    char text[PLM__SHAPE_TEXT];
    if (!desc) return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_callback: desc is NULL");
    if (!desc->get) return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_callback: get is NULL");
    if (desc->count < 1)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_callback: count is %lld, expected 1 or more",
                         (long long)desc->count);
    if (desc->classes < 1 || desc->classes > PLM__MAX_CLASSES)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_callback: classes is %d, expected 1 to %d",
                         desc->classes, PLM__MAX_CLASSES);
    if (!plm__shape_check(ctx, desc->x_shape, "plm_dataset_from_callback: x_shape")) return false;
    if (desc->x_shape.rank < 1 || desc->x_shape.rank >= PLM_MAX_RANK)
        return plm__fail(ctx, PLM_ERR_SHAPE,
                         "plm_dataset_from_callback: x_shape is %s, expected 1 to %d axes (the batch adds one)",
                         plm__shape_text(desc->x_shape, text), PLM_MAX_RANK - 1);
    return true;
}

plm_dataset *plm_dataset_from_callback(plm_ctx *ctx, const plm_callback_desc *desc)
{
    if (!ctx || ctx->status != PLM_OK || !check_callback(ctx, desc)) return NULL;
    plm__store *s = plm__store_new(ctx, "callback", desc->count, desc->x_shape);
    if (!s) return NULL;
    s->callback = *desc;
    if (plm__store_name_classes(s, desc->classes, NULL)) return plm__dataset_over(s);
    plm__store_drop(s);
    return NULL;
}

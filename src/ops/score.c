/* score.c: the class that each row of f names, and how often that is the label.
 *
 * Called in every training step, so the copy of f is a block of the pool: nothing is allocated after the first time.  A nan
 * counts as the largest number of its row, as in NumPy, and never as correct. */
#include "ops/ops.h"

#include <math.h>

/* f [n,c] as row-major memory; NULL after failing. */
static plm__block *read_rows(plm_val f, plm_shape *shape, const char *call)
{
    char              text[PLM__SHAPE_TEXT];
    plm_ctx          *ctx   = f.tape->list.ctx;
    const plm__value *value = plm__val_get(f, call);
    if (!value) return NULL;
    *shape = plm__layout_shape(&value->layout);
    if (shape->rank != 2) {
        plm__fail(ctx, PLM_ERR_SHAPE, "%s: the outputs are %s, expected [batch,classes]", call,
                  plm__shape_text(*shape, text));
        return NULL;
    }
    const int64_t count = plm_shape_count(*shape);
    plm__block   *rows  = plm__pool_get(ctx, (size_t)count * sizeof(float));
    if (rows && plm_val_read(f, rows->data, count)) return rows;
    plm__pool_drop(ctx, rows);
    return NULL;
}

static int64_t largest(const float *row, int64_t c)
{
    int64_t best = 0;
    for (int64_t j = 1; j < c && !isnan(row[best]); j++)
        if (row[j] > row[best] || isnan(row[j])) best = j;
    return best;
}

bool plm_argmax(plm_val f, int64_t *dst, int64_t n)
{
    if (!f.tape || !plm__enter(f.tape->list.ctx, "plm_argmax")) return false;
    char        text[PLM__SHAPE_TEXT];
    plm_ctx    *ctx = f.tape->list.ctx;
    plm_shape   shape;
    plm__block *rows = read_rows(f, &shape, "plm_argmax");
    bool        ok   = rows != NULL;
    if (ok && (!dst || n != shape.dim[0]))
        ok = plm__fail(ctx, PLM_ERR_SHAPE, "plm_argmax: the outputs %s have %lld rows, there is room for %lld",
                       plm__shape_text(shape, text), (long long)shape.dim[0], (long long)(dst ? n : 0));
    for (int64_t i = 0; ok && i < n; i++) dst[i] = largest((const float *)rows->data + i * shape.dim[1], shape.dim[1]);
    plm__pool_drop(ctx, rows);
    plm__leave(ctx);
    return ok;
}

double plm_accuracy(plm_val f, plm_tensor labels)
{
    if (!f.tape || !plm__enter(f.tape->list.ctx, "plm_accuracy")) return NAN;
    plm_ctx    *ctx = f.tape->list.ctx;
    plm_shape   shape;
    plm__block *rows    = read_rows(f, &shape, "plm_accuracy");
    const bool  ok      = rows && plm__labels_check(ctx, "plm_accuracy", shape, labels);
    int64_t     correct = 0;
    for (int64_t i = 0; ok && i < shape.dim[0]; i++) {
        const float  *row  = (const float *)rows->data + i * shape.dim[1];
        const int64_t best = largest(row, shape.dim[1]);
        correct += best == ((const int64_t *)labels.data)[i] && !isnan(row[best]);
    }
    plm__pool_drop(ctx, rows);
    plm__leave(ctx);
    return ok ? (double)correct / (double)shape.dim[0] : NAN;
}

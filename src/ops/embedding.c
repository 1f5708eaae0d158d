/* embedding.c: rows of a table by their numbers: what a linear map makes of one-hot vectors, without their zeros.
 *
 * The numbers are lent labels of an eager call, or the values of a graph, whose inputs are floats.  Either way they are kept
 * as integers in auxiliary buffer 0, and the rest is the same. */
#include <math.h>
#include <string.h>

#include "ops/ops.h"

enum { W, X }; /* inputs; X: the numbers, where they are a value */

static bool set_shapes(plm_record *r, plm_shape indices)
{
    char      text[PLM__SHAPE_TEXT];
    plm_shape w = plm_record_in_shape(r, W), y = indices;
    if (w.rank != 2) return plm_record_fail(r, PLM_ERR_SHAPE, "w is %s, expected [num,dim]", plm__shape_text(w, text));
    if (indices.rank >= PLM_MAX_RANK)
        return plm_record_fail(r, PLM_ERR_SHAPE, "the indices %s have %d axes, at most %d: the output has one more",
                               plm__shape_text(indices, text), indices.rank, PLM_MAX_RANK - 1);
    y.dim[y.rank++] = w.dim[1];
    return plm_record_set_aux(r, 0, (size_t)plm_shape_count(indices) * sizeof(int64_t)) && plm_record_set_out(r, y);
}

/* "[1,2]": where element i of a row-major tensor is. */
static plm_shape place_of(plm_shape s, int64_t i)
{
    plm_shape place = { .rank = s.rank };
    for (int a = s.rank - 1; a >= 0; a--) {
        place.dim[a] = i % s.dim[a];
        i /= s.dim[a];
    }
    return place;
}

static bool labels_shape(plm_record *r)
{
    char              a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const plm_tensor *t     = plm_record_attr(r);
    const int64_t    *index = t->data;
    if (!plm__record_may_read_memory(r)) return false;
    if (!plm__shape_check(plm_record_ctx(r), t->shape, "embedding: the indices")) return false;
    if (t->dtype != PLM_I64 || !index)
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "the indices are %s %s%s, expected i64", plm_dtype_name(t->dtype),
                               plm__shape_text(t->shape, a), index ? "" : " without memory (NULL)");
    if (!set_shapes(r, t->shape)) return false;
    const plm_shape w = plm_record_in_shape(r, W);
    for (int64_t i = 0; i < plm_shape_count(t->shape); i++)
        if (index[i] < 0 || index[i] >= w.dim[0])
            return plm_record_fail(r, PLM_ERR_ARGUMENT, "the index at %s is %lld, expected 0 to %lld (w %s)",
                                   plm__shape_text(place_of(t->shape, i), a), (long long)index[i],
                                   (long long)w.dim[0] - 1, plm__shape_text(w, b));
    return true;
}

static bool values_shape(plm_record *r)
{
    return set_shapes(r, plm_record_in_shape(r, X));
}

static int64_t count_of(const plm_record *r)
{
    return plm_shape_count(plm_record_out_shape(r)) / plm_record_in_shape(r, W).dim[1];
}

static void look_up(plm_record *r)
{
    const float   *w     = plm_record_in(r, W);
    const int64_t *index = plm_record_aux(r, 0);
    const int64_t  count = count_of(r), dim = plm_record_in_shape(r, W).dim[1];
    float         *y = plm_record_out(r);
#pragma omp parallel for if (count * dim > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < count; i++) memcpy(y + i * dim, w + index[i] * dim, (size_t)dim * sizeof *y);
}

static bool labels_forward(plm_record *r)
{
    const plm_tensor *given = plm_record_attr(r);
    memcpy(plm_record_aux(r, 0), given->data, (size_t)count_of(r) * sizeof(int64_t));
    look_up(r);
    return true;
}

static bool values_forward(plm_record *r)
{
    char            text[PLM__SHAPE_TEXT];
    const plm_shape shape = plm_record_in_shape(r, X), w = plm_record_in_shape(r, W);
    const float    *x     = plm_record_in(r, X);
    int64_t        *index = plm_record_aux(r, 0);
    const int64_t   count = count_of(r), each = count / shape.dim[0];
    for (int64_t i = 0; i < count; i++) {
        const double value = (double)x[i];
        if (!(value >= 0 && value < (double)w.dim[0] && floor(value) == value))
            return plm_record_fail(
                r, PLM_ERR_ARGUMENT,
                "sample %lld holds %g at element %lld, expected a whole number from 0 to %lld (w %s)",
                (long long)(i / each), value, (long long)(i % each), (long long)w.dim[0] - 1, plm__shape_text(w, text));
        index[i] = (int64_t)value;
    }
    look_up(r);
    return true;
}

/* The places of each number, in order: those of k are place[end[k-1]] to place[end[k] - 1], of 0 from place[0]. */
static void group(const int64_t *index, int64_t count, int64_t num, int64_t *end, int64_t *place)
{
    memset(end, 0, (size_t)(num + 1) * sizeof *end);
    for (int64_t i = 0; i < count; i++) end[index[i] + 1]++;
    for (int64_t k = 0; k < num; k++) end[k + 1] += end[k]; /* now end[k] is where k's places begin */
    for (int64_t i = 0; i < count; i++) place[end[index[i]]++] = i;
}

/* to = the sum of the rows of dy at n places. */
static void sum_rows(const float *dy, const int64_t *place, int64_t n, float *to, int64_t dim)
{
    enum { COLUMNS = 64 };
    for (int64_t start = 0; start < dim; start += COLUMNS) {
        const int64_t columns      = dim - start < COLUMNS ? dim - start : COLUMNS;
        double        sum[COLUMNS] = { 0 };
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < columns; j++) sum[j] += (double)dy[place[i] * dim + start + j];
        for (int64_t j = 0; j < columns; j++) to[start + j] = (float)sum[j];
    }
}

/* dw[k] = sum of dy over the places with number k.  Each row belongs to one thread, which adds in the order of the places. */
static bool weight_gradient(plm_record *r)
{
    const plm_shape w     = plm_record_in_shape(r, W);
    const float    *dy    = plm_record_grad_out(r);
    const int64_t   count = count_of(r), num = w.dim[0], dim = w.dim[1];
    float          *dw      = plm_record_grad_in(r, W);
    plm__block     *scratch = plm__pool_get(plm_record_ctx(r), (size_t)(num + 1 + count) * sizeof(int64_t));
    if (dw && scratch) {
        int64_t *end = scratch->data, *place = end + num + 1;
        group(plm_record_aux(r, 0), count, num, end, place);
#pragma omp parallel for if ((num + count) * dim > PLM__SERIAL) schedule(dynamic, 64)
        for (int64_t k = 0; k < num; k++) {
            const int64_t begin = k ? end[k - 1] : 0;
            sum_rows(dy, place + begin, end[k] - begin, dw + k * dim, dim);
        }
    }
    plm__pool_drop(plm_record_ctx(r), scratch);
    return dw && scratch;
}

/* Numbers of rows are not moved by a small step: whoever asks for their gradient gets zeros. */
static bool backward(plm_record *r)
{
    if (plm_record_wants(r, X)) {
        float *dx = plm_record_grad_in(r, X);
        if (!dx) return false;
        memset(dx, 0, (size_t)count_of(r) * sizeof *dx);
    }
    return !plm_record_wants(r, W) || weight_gradient(r);
}

static const plm_op of_labels = {
    .name = "embedding", .shape = labels_shape, .forward = labels_forward, .backward = backward
};
static const plm_op of_values = {
    .name = "embedding", .shape = values_shape, .forward = values_forward, .backward = backward
};

plm_val plm_embedding(plm_val w, plm_tensor indices)
{
    return plm_apply(&of_labels, &indices, sizeof indices, &w, 1);
}

plm_val plm__embedding_of(plm_val w, plm_val x)
{
    const plm_val in[] = { w, x };
    return plm_apply(&of_values, NULL, 0, in, 2);
}

/* where.c: element by element one of two values, with NumPy broadcasting of all three operands. */
#include "ops/ops.h"

enum { COND, A, B }; /* inputs */

static bool shape(plm_record *r)
{
    char      text[3][PLM__SHAPE_TEXT];
    plm_shape both, out;
    for (int i = 0; i < 3; i++) plm__shape_text(plm_record_in_shape(r, i), text[i]);
    if (!plm__broadcast_shape(plm_record_in_shape(r, A), plm_record_in_shape(r, B), &both) ||
        !plm__broadcast_shape(plm_record_in_shape(r, COND), both, &out))
        return plm_record_fail(r, PLM_ERR_SHAPE,
                               "cond %s, a %s and b %s: extents must be equal or 1, counted from the last axis",
                               text[COND], text[A], text[B]);
    return plm_record_set_out(r, out);
}

static void choose_range(const float *const *in, float *y, int64_t n)
{
    const float *cond = in[COND], *a = in[A], *b = in[B];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = cond[i] != 0 ? a[i] : b[i];
}

static bool forward(plm_record *r)
{
    plm__operand in[3];
    for (int i = 0; i < 3; i++) in[i] = (plm__operand){ plm_record_in_shape(r, i), plm_record_in(r, i) };
    plm__broadcast(choose_range, plm_record_out_shape(r), in, 3, plm_record_out(r));
    return true;
}

/* The choice between dy and 0 over the whole output, then the sum over the axes along which the operand was repeated. */
static bool gradient(plm_record *r, int i)
{
    static const float zero = 0;
    const plm_shape    out = plm_record_out_shape(r), own = plm_record_in_shape(r, i);
    const bool         whole = plm_shape_equal(own, out);
    const plm__operand dy = { out, plm_record_grad_out(r) }, none = { plm_shape_from(0, NULL), &zero };
    const plm__operand in[3] = { { plm_record_in_shape(r, COND), plm_record_in(r, COND) },
                                 i == A ? dy : none,
                                 i == A ? none : dy };
    float             *dx    = plm_record_grad_in(r, i);
    plm__block *part = whole ? NULL : plm__pool_get(plm_record_ctx(r), (size_t)plm_record_size(r) * sizeof(float));
    if (!dx || (!whole && !part)) {
        plm__pool_drop(plm_record_ctx(r), part);
        return false;
    }
    plm__broadcast(choose_range, out, in, 3, whole ? dx : part->data);
    if (part) plm__reduce(part->data, out, dx, own, 1);
    plm__pool_drop(plm_record_ctx(r), part);
    return true;
}

/* None for the condition, but whoever asks for one gets it: zero. */
static bool backward(plm_record *r)
{
    if (plm_record_wants(r, COND)) {
        float *dx = plm_record_grad_in(r, COND);
        if (!dx) return false;
        const int64_t n = plm_shape_count(plm_record_in_shape(r, COND));
        for (int64_t i = 0; i < n; i++) dx[i] = 0;
    }
    return (!plm_record_wants(r, A) || gradient(r, A)) && (!plm_record_wants(r, B) || gradient(r, B));
}

static const plm_op where = {
    .name = "where", .shape = shape, .forward = forward, .backward = backward, .saves = PLM_SAVES_INPUTS
};

plm_val plm_where(plm_val cond, plm_val a, plm_val b)
{
    return plm_apply(&where, NULL, 0, (plm_val[]){ cond, a, b }, 3);
}

/* binary.c: sum, difference, product and quotient, with NumPy broadcasting.
 *
 * Each operation is three ranges: its value and its two slopes times dy.  Operands of one shape are walked as plain memory
 * in whatever layout they have; others go through broadcast.c, and so do their gradients. */
#include "ops/ops.h"

/* in: a, b for the value; a, b, dy for the slopes.  A slope of NULL: the gradient is dy itself. */
typedef struct {
    plm__range *value, *slope[2];
} rule;

static const rule *rule_of(const plm_record *r)
{
    return *(const rule *const *)plm_record_attr(r);
}

static bool shape(plm_record *r)
{
    char            a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const plm_shape in_a = plm_record_in_shape(r, 0), in_b = plm_record_in_shape(r, 1);
    plm_shape       out;
    if (!plm__broadcast_shape(in_a, in_b, &out))
        return plm_record_fail(r, PLM_ERR_SHAPE, "%s and %s: extents must be equal or 1, counted from the last axis",
                               plm__shape_text(in_a, a), plm__shape_text(in_b, b));
    return plm_record_set_out(r, out);
}

static bool same_forward(plm_record *r)
{
    const float *const in[] = { plm_record_in(r, 0), plm_record_in(r, 1) };
    plm__each(rule_of(r)->value, in, 2, plm_record_out(r), plm_record_size(r));
    return true;
}

static bool same_backward(plm_record *r)
{
    const rule  *f    = rule_of(r);
    const float *in[] = { NULL, NULL, plm_record_grad_out(r) };
    if (r->op->saves & PLM_SAVES_INPUTS)
        for (int i = 0; i < 2; i++) in[i] = plm_record_in(r, i);
    else in[0] = in[1] = in[2]; /* not read */
    for (int i = 0; i < 2; i++) {
        if (!plm_record_wants(r, i)) continue;
        if (!f->slope[i]) {
            plm__record_pass_grad(r, i);
            continue;
        }
        const bool last = i == 1 || !plm_record_wants(r, 1); /* nobody reads dy any more: in place */
        float     *dx   = last ? plm__record_reuse_grad(r, i) : plm_record_grad_in(r, i);
        if (!dx) return false;
        plm__each(f->slope[i], in, 3, dx, plm_record_size(r));
    }
    return true;
}

static bool mixed_forward(plm_record *r)
{
    const plm__operand in[] = { { plm_record_in_shape(r, 0), plm_record_in(r, 0) },
                                { plm_record_in_shape(r, 1), plm_record_in(r, 1) } };
    plm__broadcast(rule_of(r)->value, plm_record_out_shape(r), in, 2, plm_record_out(r));
    return true;
}

/* Gradient of input i: the slope over the whole output, then summed over the axes along which input i was repeated. */
static bool mixed_gradient(plm_record *r, int i)
{
    const rule     *f   = rule_of(r);
    const plm_shape out = plm_record_out_shape(r), own = plm_record_in_shape(r, i);
    const bool      whole = plm_shape_equal(own, out);
    if (whole && !f->slope[i]) return plm__record_pass_grad(r, i);

    float *dx = plm_record_grad_in(r, i);
    if (!dx) return false;
    const float *g     = plm_record_grad_out(r);
    plm__block  *slope = NULL;
    if (f->slope[i]) {
        plm__operand in[] = { { out, g }, { out, g }, { out, g } };
        if (r->op->saves & PLM_SAVES_INPUTS)
            for (int k = 0; k < 2; k++) in[k] = (plm__operand){ plm_record_in_shape(r, k), plm_record_in(r, k) };
        slope = whole ? NULL : plm__pool_get(plm_record_ctx(r), (size_t)plm_record_size(r) * sizeof(float));
        if (!whole && !slope) return false;
        plm__broadcast(f->slope[i], out, in, 3, whole ? dx : slope->data);
        if (slope) g = slope->data;
    }
    if (!whole) plm__reduce(g, out, dx, own, 1);
    plm__pool_drop(plm_record_ctx(r), slope);
    return true;
}

static bool mixed_backward(plm_record *r)
{
    for (int i = 0; i < 2; i++)
        if (plm_record_wants(r, i) && !mixed_gradient(r, i)) return false;
    return true;
}

static void add_range(const float *const *in, float *y, int64_t n)
{
    const float *a = in[0], *b = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void sub_range(const float *const *in, float *y, int64_t n)
{
    const float *a = in[0], *b = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = a[i] - b[i];
}

static void minus_dy_range(const float *const *in, float *db, int64_t n)
{
    const float *dy = in[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) db[i] = -dy[i];
}

void plm__mul_range(const float *const *in, float *y, int64_t n)
{
    const float *a = in[0], *b = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = a[i] * b[i];
}

static void mul_slope_a(const float *const *in, float *da, int64_t n)
{
    const float *b = in[1], *dy = in[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) da[i] = dy[i] * b[i];
}

static void mul_slope_b(const float *const *in, float *db, int64_t n)
{
    const float *a = in[0], *dy = in[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) db[i] = dy[i] * a[i];
}

static void div_range(const float *const *in, float *y, int64_t n)
{
    const float *a = in[0], *b = in[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = a[i] / b[i];
}

static void div_slope_a(const float *const *in, float *da, int64_t n)
{
    const float *b = in[1], *dy = in[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) da[i] = dy[i] / b[i];
}

/* d(a/b)/db = -a / b^2, without squaring b: that could overflow. */
static void div_slope_b(const float *const *in, float *db, int64_t n)
{
    const float *a = in[0], *b = in[1], *dy = in[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) db[i] = -(dy[i] / b[i]) * (a[i] / b[i]);
}

static const rule add_rule = { add_range, { NULL, NULL } };
static const rule sub_rule = { sub_range, { NULL, minus_dy_range } };
static const rule mul_rule = { plm__mul_range, { mul_slope_a, mul_slope_b } };
static const rule div_rule = { div_range, { div_slope_a, div_slope_b } };

#define SAME .shape = shape, .forward = same_forward, .backward = same_backward
#define MIXED .shape = shape, .forward = mixed_forward, .backward = mixed_backward
static const plm_op add_same  = { .name = "add", SAME, .layout = PLM_LAYOUT_SAME };
static const plm_op add_mixed = { .name = "add", MIXED };
static const plm_op sub_same  = { .name = "sub", SAME, .layout = PLM_LAYOUT_SAME };
static const plm_op sub_mixed = { .name = "sub", MIXED };
static const plm_op mul_same  = { .name = "mul", SAME, .saves = PLM_SAVES_INPUTS, .layout = PLM_LAYOUT_SAME };
static const plm_op mul_mixed = { .name = "mul", MIXED, .saves = PLM_SAVES_INPUTS };
static const plm_op div_same  = { .name = "div", SAME, .saves = PLM_SAVES_INPUTS }; /* 0/0: not over padding */
static const plm_op div_mixed = { .name = "div", MIXED, .saves = PLM_SAVES_INPUTS };

static plm_val apply(plm_val a, plm_val b, const rule *f, const plm_op *same, const plm_op *mixed)
{
    const bool one_shape = plm_val_ok(a) && plm_val_ok(b) && plm_shape_equal(plm_val_shape(a), plm_val_shape(b));
    return plm_apply(one_shape ? same : mixed, &f, sizeof f, (plm_val[]){ a, b }, 2);
}

plm_val plm_add(plm_val a, plm_val b)
{
    return apply(a, b, &add_rule, &add_same, &add_mixed);
}

plm_val plm_sub(plm_val a, plm_val b)
{
    return apply(a, b, &sub_rule, &sub_same, &sub_mixed);
}

plm_val plm_mul(plm_val a, plm_val b)
{
    return apply(a, b, &mul_rule, &mul_same, &mul_mixed);
}

plm_val plm_div(plm_val a, plm_val b)
{
    return apply(a, b, &div_rule, &div_same, &div_mixed);
}

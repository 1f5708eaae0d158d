/* matmul.c: y = a b over the last two axes. */
#include "ops/ops.h"

enum { A, B };
enum { FORWARD, TO_A, TO_B };

static bool matmul_shape(plm_record *r)
{
    char            ta[PLM__SHAPE_TEXT], tb[PLM__SHAPE_TEXT];
    const plm_shape a = plm_record_in_shape(r, A), b = plm_record_in_shape(r, B);
    const int       last  = a.rank - 1;
    const bool      ranks = (a.rank == 2 || a.rank == 3) && a.rank == b.rank;
    if (!ranks || a.dim[last] != b.dim[last - 1] || (a.rank == 3 && a.dim[0] != b.dim[0]))
        return plm_record_fail(r, PLM_ERR_SHAPE, "a is %s and b %s, expected [m,k] and [k,n], or [p,m,k] and [p,k,n]",
                               plm__shape_text(a, ta), plm__shape_text(b, tb));
    plm_shape y = a;
    y.dim[last] = b.dim[last];
    return plm_record_set_out(r, y);
}

static bool matmul_prepare(plm_record *r)
{
    plm_ctx          *ctx = plm_record_ctx(r);
    const plm__layout a   = plm__layout_plain(plm_record_in_shape(r, A)),
                      b   = plm__layout_plain(plm_record_in_shape(r, B));
    const plm__layout y   = plm__layout_plain(plm_record_out_shape(r));
    r->kernel[FORWARD]    = plm__matmul_get(ctx, a, b, y);
    if (!r->kernel[FORWARD]) return false;
    if (r->keep && plm_record_wants(r, A) && !(r->kernel[TO_A] = plm__matmul_get(ctx, y, plm__layout_transposed(b), a)))
        return false;
    return !r->keep || !plm_record_wants(r, B) ||
           (r->kernel[TO_B] = plm__matmul_get(ctx, plm__layout_transposed(a), y, b)) != NULL;
}

static bool matmul_forward(plm_record *r)
{
    const plm__args args = { .src = plm_record_in(r, A), .weights = plm_record_in(r, B), .dst = plm_record_out(r) };
    return plm__kernel_run(plm_record_ctx(r), r->kernel[FORWARD], &args);
}

/* da = dy b^T,  db = a^T dy. */
static bool matmul_backward(plm_record *r)
{
    plm_ctx *ctx = plm_record_ctx(r);
    if (plm_record_wants(r, A)) {
        const plm__args args = { .src     = plm_record_grad_out(r),
                                 .weights = plm_record_in(r, B),
                                 .dst     = plm_record_grad_in(r, A) };
        if (!args.dst || !plm__kernel_run(ctx, r->kernel[TO_A], &args)) return false;
    }
    if (plm_record_wants(r, B)) {
        const plm__args args = { .src     = plm_record_in(r, A),
                                 .weights = plm_record_grad_out(r),
                                 .dst     = plm_record_grad_in(r, B) };
        if (!args.dst || !plm__kernel_run(ctx, r->kernel[TO_B], &args)) return false;
    }
    return true;
}

static const plm_op matmul = { .name     = "matmul",
                               .shape    = matmul_shape,
                               .prepare  = matmul_prepare,
                               .forward  = matmul_forward,
                               .backward = matmul_backward,
                               .saves    = PLM_SAVES_INPUTS };

plm_val plm_matmul(plm_val a, plm_val b)
{
    return plm_apply(&matmul, NULL, 0, (const plm_val[]){ a, b }, 2);
}

/* reshape.c: the same elements under other extents: a view, forward and backward. */
#include "ops/ops.h"

/* The extent that -1 stands for; 0: there is none. */
static int64_t inferred(int64_t count, plm_shape to)
{
    int64_t known = 1;
    for (int a = 0; a < to.rank; a++)
        if (to.dim[a] != -1 && (to.dim[a] < 1 || !plm__mul(known, to.dim[a], &known))) return 0;
    return count % known == 0 ? count / known : 0;
}

static bool reshape_shape(plm_record *r)
{
    char            a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    const plm_shape x = plm_record_in_shape(r, 0), asked = *(const plm_shape *)plm_record_attr(r);
    const int64_t   count = plm_shape_count(x);
    plm_shape       y     = asked;
    int             open  = 0;
    if (y.rank < 0 || y.rank > PLM_MAX_RANK) return plm_record_set_out(r, y); /* which refuses it */
    for (int i = 0; i < y.rank; i++)
        if (y.dim[i] == -1) {
            y.dim[i] = inferred(count, asked);
            open++;
        }
    if (open > 1)
        return plm_record_fail(r, PLM_ERR_SHAPE, "%s to %s: only one extent may be -1", plm__shape_text(x, a),
                               plm__shape_text(asked, b));
    for (int i = 0; i < y.rank; i++)
        if (y.dim[i] < 1 || plm_shape_count(y) != count)
            return plm_record_fail(r, PLM_ERR_SHAPE, "%s to %s: the %lld elements do not fit", plm__shape_text(x, a),
                                   plm__shape_text(asked, b), (long long)count);
    if (y.rank == 0 && count != 1)
        return plm_record_fail(r, PLM_ERR_SHAPE, "%s to []: the %lld elements do not fit", plm__shape_text(x, a),
                               (long long)count);
    return plm_record_set_out(r, y);
}

static bool flatten_shape(plm_record *r)
{
    const plm_shape x = plm_record_in_shape(r, 0);
    if (x.rank < 1) return plm_record_fail(r, PLM_ERR_SHAPE, "a scalar [] has no axis 0 to keep");
    return plm_record_set_out(r, plm_shape_of(x.dim[0], plm_shape_count(x) / x.dim[0]));
}

/* The gradient is the same memory too. */
static bool backward(plm_record *r)
{
    return plm__record_pass_grad(r, 0);
}

/* No forward: the output is the input's memory. */
static const plm_op reshape = { .name = "reshape", .shape = reshape_shape, .backward = backward };
static const plm_op flatten = { .name = "flatten", .shape = flatten_shape, .backward = backward };

plm_val plm_reshape(plm_val x, plm_shape shape)
{
    return plm_apply(&reshape, &shape, sizeof shape, &x, 1);
}

plm_val plm_flatten(plm_val x)
{
    return plm_apply(&flatten, NULL, 0, &x, 1);
}

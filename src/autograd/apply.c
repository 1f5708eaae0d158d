/* apply.c: ops on handles: what plm_add, plm_conv2d ... and user-defined ops come down to. */
#include "autograd/autograd.h"

#include <string.h>

/* The tape that the operands share; NULL after failing, or without an error when an operand is what a failed call left. */
static plm_tape *common_tape(const plm_op *op, const plm_val *in, int n)
{
    plm_tape *tape = NULL;
    for (int i = 0; i < n && !tape; i++) tape = in[i].tape;
    if (!tape || tape->list.ctx->status != PLM_OK) return NULL;
    for (int i = 0; i < n; i++) {
        if (!in[i].tape || in[i].id < 0) {
            plm__fail(tape->list.ctx, PLM_ERR_ARGUMENT, "%s: operand %d is empty", op->name, i);
            return NULL;
        }
        if (in[i].tape != tape) {
            plm__fail(tape->list.ctx, PLM_ERR_ARGUMENT, "%s: operands 0 and %d live on different tapes", op->name, i);
            return NULL;
        }
        if (!plm__val_get(in[i], op->name)) return NULL;
    }
    return tape;
}

plm_val plm_apply(const plm_op *op, const void *attr, size_t attr_bytes, const plm_val *in, int n)
{
    if (!op || !op->name || !op->shape || (attr_bytes && !attr) || (n > 0 && !in)) {
        plm_tape *named = n > 0 && in ? in[0].tape : NULL;
        if (named)
            plm__fail(named->list.ctx, PLM_ERR_ARGUMENT, "plm_apply: %s",
                      op && op->name && op->shape ? "attr is NULL" : "the op needs a name and a shape rule");
        return plm__val_none(named);
    }
    plm_tape *tape = n > 0 ? common_tape(op, in, n) : NULL;
    plm_val   none = n > 0 && in[0].tape ? plm__val_none(in[0].tape) : ((plm_val){ .id = -1 });
    if (!tape || !plm__enter(tape->list.ctx, op->name)) return none;

    int32_t ids[PLM_MAX_INPUTS], out = -1;
    if (n > PLM_MAX_INPUTS || attr_bytes > PLM_MAX_ATTR)
        plm__fail(tape->list.ctx, PLM_ERR_ARGUMENT, "%s: %d inputs and %zu bytes of attributes, at most %d and %d",
                  op->name, n, attr_bytes, PLM_MAX_INPUTS, PLM_MAX_ATTR);
    else if (tape->done && !tape->list.no_grad)
        plm__fail(tape->list.ctx, PLM_ERR_STATE,
                  "%s: this tape has run its backward pass, reset it before computing more", op->name);
    else {
        for (int i = 0; i < n; i++) ids[i] = in[i].id;
        out = plm__list_apply(&tape->list, op, attr, attr_bytes, ids, n);
    }
    plm__leave(tape->list.ctx);
    if (out < 0) return none;
    tape->list.value[out].holds++;
    return plm__val_make(tape, out);
}

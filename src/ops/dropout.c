/* dropout.c: in training each element is zeroed with probability p and what stays is divided by 1 - p; in evaluation
 * nothing happens (Srivastava et al. 2014, in the inverted form).
 *
 * Which elements: a function of the context's seed, the module's name and which of its dropouts it is, the tape's step and
 * the element's row-major place, so that threads and layouts do not matter.  An op outside a graph has its number among such ops of the step for a name. */
#include "ops/ops.h"

#include <stdio.h>

typedef struct {
    double   p;
    uint64_t use; /* dropouts before this one in the apply of its module */
} attributes;

static double p_of(const plm_record *r)
{
    return ((const attributes *)plm_record_attr(r))->p;
}

static bool shape(plm_record *r)
{
    const double p = p_of(r);
    if (!(p >= 0 && p < 1))
        return plm_record_fail(r, PLM_ERR_ARGUMENT, "desc.p is %g, expected a probability below 1", p);
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static bool random_shape(plm_record *r)
{
    return shape(r) && plm_record_set_aux(r, 0, (size_t)plm_shape_count(plm_record_out_shape(r)));
}

static plm__key mask_key(const plm_record *r)
{
    plm__list *l = r->list;
    char       number[32];
    snprintf(number, sizeof number, "/%d", r->node ? 0 : l->draws++); /* no module's name begins so */
    return plm__random_key(plm_ctx_seed(l->ctx), PLM__RANDOM_DROPOUT, r->node ? r->node : number, l->step);
}

/* to = from / (1 - p) where the mask is 1, else 0: both passes. */
static void apply_mask(const uint8_t *mask, const float *from, float *to, int64_t n, double p)
{
    const float factor = (float)(1 / (1 - p));
#pragma omp parallel for simd if (parallel : n > PLM__SERIAL) schedule(static)
    for (int64_t i = 0; i < n; i++) to[i] = mask[i] ? factor * from[i] : 0;
}

static bool forward(plm_record *r)
{
    const double   p    = p_of(r);
    const uint32_t zero = (uint32_t)(p * 0x1p32); /* elements whose 32 random bits are below it */
    const int64_t  n    = plm_record_size(r);
    const plm__key key  = mask_key(r);
    const uint64_t use  = ((const attributes *)plm_record_attr(r))->use << 40; /* no value has so many elements */
    uint8_t       *mask = plm_record_aux(r, 0);
#pragma omp parallel for if (n > PLM__SERIAL) schedule(static)
    for (int64_t pair = 0; pair < (n + 1) / 2; pair++) { /* two elements from one draw */
        const uint64_t bits = plm__random_bits(key, use | (uint64_t)pair);
        mask[2 * pair]      = (uint32_t)bits >= zero;
        if (2 * pair + 1 < n) mask[2 * pair + 1] = (uint32_t)(bits >> 32) >= zero;
    }
    apply_mask(mask, plm_record_in(r, 0), plm_record_out(r), n, p);
    return true;
}

static bool backward(plm_record *r)
{
    const float *dy = plm_record_grad_out(r);
    float       *dx = plm__record_reuse_grad(r, 0);
    if (dx) apply_mask(plm_record_aux(r, 0), dy, dx, plm_record_size(r), p_of(r));
    return dx != NULL;
}

static bool pass_on(plm_record *r)
{
    return plm__record_pass_grad(r, 0);
}

static const plm_op dropout  = { .name = "dropout", .shape = random_shape, .forward = forward, .backward = backward };
static const plm_op identity = { .name = "dropout", .shape = shape, .backward = pass_on, .layout = PLM_LAYOUT_SAME };

static uint64_t earlier_in_module(const plm__list *l)
{
    uint64_t n = 0;
    for (int i = 0; l->node && i < l->records; i++) n += l->record[i].op == &dropout && l->record[i].node == l->node;
    return n;
}

plm_val plm_dropout(plm_val x, const plm_dropout_op_desc *desc)
{
    attributes a      = { .p = plm__or(desc ? desc->p : 0, 0.5) };
    const bool random = x.tape && !x.tape->list.eval && a.p != 0;
    if (random) a.use = earlier_in_module(&x.tape->list);
    return plm_apply(random ? &dropout : &identity, &a, sizeof a, &x, 1);
}

/* fixture.h: a context, a parameter and a tape for the tests of tapes and backward passes. */
#ifndef PLM_TESTS_AUTOGRAD_FIXTURE_H
#define PLM_TESTS_AUTOGRAD_FIXTURE_H

#include "support.h"

#include <math.h>

#include "autograd/autograd.h"

/* A context, a parameter of two elements and a tape. */
typedef struct {
    plm_ctx   *ctx;
    plm_param *p;
    plm_tape  *tape;
} fixture;

static const float          start[2] = { 3, -2 }, one[2] = { 1, 1 };
static const plm_input_desc with_grad = { .grad = true };

static inline int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->ctx     = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 });
    f->p       = plm_param_new(f->ctx, plm_shape_of(2), &(plm_param_desc){ .name = "p" });
    f->tape    = plm_tape_new(f->ctx, NULL);
    *state     = f;
    return plm_param_write(f->p, start, 2) ? 0 : -1;
}

static inline int teardown(void **state)
{
    fixture *f = *state;
    plm_param_free(f->p);
    plm_ctx_free(f->ctx);
    free(f);
    return 0;
}

static inline plm_val input(plm_tape *tape, const float *x, const plm_input_desc *desc)
{
    return plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2), x), desc);
}

/* sum(p * x): the gradient of p is x. */
static inline plm_val product(plm_tape *tape, plm_param *p, const float *x)
{
    return plm_sum(plm_mul(plm_tape_param(tape, p), input(tape, x, NULL)), NULL);
}

static inline void assert_grad(plm_param *p, double first, double second)
{
    float g[2];
    assert_true(plm_param_read_grad(p, g, 2));
    assert_close((double)g[0], first, 1e-6, 1e-6);
    assert_close((double)g[1], second, 1e-6, 1e-6);
}

#define tape_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

#endif

/* fixture.h: a context, two graphs, two tapes and room for numbers, for the tests of apply. */
#ifndef PLM_TESTS_NN_FIXTURE_H
#define PLM_TESTS_NN_FIXTURE_H

#include "nets.h"

enum { ROOM = 1 << 16 };

/* Owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx   *ctx;
    plm_graph *g, *h;
    plm_tape  *tape, *other;
    plm_param *param;
    float     *x, *a, *b;
    double    *want;
} fixture;

static inline int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }))) return -1;
    f->tape  = plm_tape_new(f->ctx, NULL);
    f->other = plm_tape_new(f->ctx, NULL);
    f->x     = calloc(ROOM, sizeof(float));
    f->a     = calloc(ROOM, sizeof(float));
    f->b     = calloc(ROOM, sizeof(float));
    f->want  = calloc(ROOM, sizeof(double));
    *state   = f;
    if (!f->x || !f->a || !f->b || !f->want) return -1;
    test_fill(f->x, ROOM, 1, -1, 1);
    return 0;
}

static inline int teardown(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    plm_tape_free(f->other);
    plm_graph_free(f->g);
    plm_graph_free(f->h);
    plm_param_free(f->param);
    plm_ctx_free(f->ctx);
    free(f->x);
    free(f->a);
    free(f->b);
    free(f->want);
    free(f);
    return 0;
}

#endif

/* builders.h: a context and two graphs with an input, for the tests of building. */
#ifndef PLM_TESTS_NN_BUILDERS_H
#define PLM_TESTS_NN_BUILDERS_H

#include "nets.h"

/* The context and two graphs with an input [3,8,8] each: owned here, since a failed assertion jumps. */
typedef struct {
    plm_ctx   *ctx;
    plm_graph *g, *other;
    plm_node   x, other_x;
    plm_tape  *tape;
} fixture;

static inline int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }))) return -1;
    f->g       = plm_graph_new(f->ctx);
    f->other   = plm_graph_new(f->ctx);
    f->x       = plm_nn_input(f->g, plm_shape_of(3, 8, 8));
    f->other_x = plm_nn_input(f->other, plm_shape_of(3, 8, 8));
    f->tape    = plm_tape_new(f->ctx, NULL);
    *state     = f;
    return f->tape ? 0 : -1;
}

static inline int teardown(void **state)
{
    fixture *f = *state;
    plm_tape_free(f->tape);
    plm_graph_free(f->g);
    plm_graph_free(f->other);
    plm_ctx_free(f->ctx);
    free(f);
    return 0;
}

#endif

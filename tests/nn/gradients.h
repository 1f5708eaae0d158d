/* gradients.h: gradients of a graph's input and parameters against central differences, for tests that have the fixture. */
#ifndef PLM_TESTS_NN_GRADIENTS_H
#define PLM_TESTS_NN_GRADIENTS_H

#include "fixture.h"

static inline int64_t count_of(const plm_param *p)
{
    return plm_shape_count(plm_param_shape(p));
}

/* y = x, and on the way: parameter k of the graph becomes input k + 1.  Backward: their gradients are the parameters'.  So
 * plm_gradcheck sees the weights of a graph as inputs. */
static inline bool load_shape(plm_record *r)
{
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static inline plm_param *loaded(const plm_record *r, int i)
{
    const plm_graph *g = *(plm_graph *const *)plm_record_attr(r);
    int              k = 0;
    while (plm_param_role(plm_graph_param(g, k)) == PLM_ROLE_STATISTIC || --i > 0) k++;
    return plm_graph_param(g, k);
}

static inline bool load_forward(plm_record *r)
{
    memcpy(plm_record_out(r), plm_record_in(r, 0), (size_t)plm_record_size(r) * sizeof(float));
    for (int i = 1; i < plm_record_inputs(r); i++) {
        plm_param *p = loaded(r, i);
        if (!plm_param_write(p, plm_record_in(r, i), count_of(p))) return false;
    }
    return true;
}

static inline bool load_backward(plm_record *r)
{
    for (int i = 0; i < plm_record_inputs(r); i++) {
        if (!plm_record_wants(r, i)) continue;
        float *d = plm_record_grad_in(r, i);
        if (!d) return false;
        if (i == 0) memcpy(d, plm_record_grad_out(r), (size_t)plm_record_size(r) * sizeof(float));
        else if (!plm_param_read_grad(loaded(r, i), d, count_of(loaded(r, i)))) return false;
    }
    return true;
}

static const plm_op load = { .name = "load", .shape = load_shape, .forward = load_forward, .backward = load_backward };

static inline plm_val apply_loaded(plm_tape *tape, const plm_val *in, int n, void *user)
{
    fixture *f = user;
    (void)tape;
    return plm_graph_apply(f->g, plm_apply(&load, &f->g, sizeof f->g, in, n));
}

/* Gradients of the input and of every parameter of f->g against central differences. */
static inline void check_gradients(fixture *f, plm_shape x)
{
    plm_tensor in[PLM_MAX_INPUTS];
    int        n = 1;
    assert_ok(f->ctx);
    assert_true(plm_graph_init(f->g, PLM_INIT_PYTORCH));
    in[0]     = plm_tensor_wrap(PLM_F32, x, f->x);
    float *at = f->a;
    for (int i = 0; i < plm_graph_param_count(f->g); i++) {
        plm_param *p = plm_graph_param(f->g, i);
        if (plm_param_role(p) == PLM_ROLE_STATISTIC) continue;
        assert_true(n < PLM_MAX_INPUTS);
        in[n++] = plm_tensor_wrap(PLM_F32, plm_param_shape(p), at);
        assert_true(plm_param_read(p, at, count_of(p)));
        at += count_of(p);
    }
    plm_gradcheck_result r;
    const bool good = plm_gradcheck(f->ctx, apply_loaded, f, in, n, &(plm_gradcheck_desc){ .step = 2e-3 }, &r);
    assert_ok(f->ctx);
    if (!good)
        fail_msg("input %d at %lld: backward %g, difference quotient %g (worst %g of %lld)", r.input,
                 (long long)r.element, r.backward, r.difference, r.worst, (long long)r.checked);
    assert_true(r.checked > 4 * r.kinks);
}

#endif

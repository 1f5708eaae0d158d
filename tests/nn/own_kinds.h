/* own_kinds.h: kinds of module that are not the library's, and a network of all of them. */
#ifndef PLM_TESTS_NN_OWN_KINDS_H
#define PLM_TESTS_NN_OWN_KINDS_H

#include "support.h"

/* ------------------------------------------------------------------ swish: y = sign x sigmoid(beta x), twice that */

typedef struct {
    const char *name;
    double      beta;
    int         sign; /* 0 means 1 */
    bool        twice;
} swish_desc;

static const plm_field swish_fields[] = {
    { "beta", PLM_FIELD_DOUBLE, offsetof(swish_desc, beta), 1, PLM_BOUNDS_POSITIVE },
    { "sign", PLM_FIELD_INT, offsetof(swish_desc, sign), 1, PLM_BOUNDS_NONE },
    { "twice", PLM_FIELD_BOOL, offsetof(swish_desc, twice), 0, PLM_BOUNDS_NONE },
    { 0 },
};

static inline bool same_shape(plm_module *m, const plm_shape *x)
{
    m->shape = x[0];
    return true;
}

static inline plm_val swish_apply(const plm_module *m, const plm_val *x)
{
    const swish_desc *d = m->desc;
    return plm_scale(plm_mul(x[0], plm_sigmoid(plm_scale(x[0], d->beta))), d->twice ? 2 * d->sign : d->sign);
}

static inline plm_lipschitz swish_lipschitz(const plm_module *m, const plm_shape *x)
{
    const swish_desc *d = m->desc;
    (void)x;
    return (plm_lipschitz){ .known = true, .factor = 1.1 * abs(d->sign), .why = "its largest slope" };
}

static const plm_module_kind swish = { .name       = "swish",
                                       .inputs     = 1,
                                       .desc_bytes = sizeof(swish_desc),
                                       .fields     = swish_fields,
                                       .late       = 1,
                                       .resolve    = same_shape,
                                       .apply      = swish_apply,
                                       .lipschitz  = swish_lipschitz };

/* ------------------------------------------------------------------ project: y = gain (x W^T + b) */

typedef struct {
    const char *name;
    int64_t     out;
    bool        bias, gain;
} project_desc;

static const plm_field project_fields[] = {
    { "out", PLM_FIELD_INT64, offsetof(project_desc, out), 0, PLM_BOUNDS_POSITIVE },
    { "bias", PLM_FIELD_BOOL, offsetof(project_desc, bias), 0, PLM_BOUNDS_NONE },
    { "gain", PLM_FIELD_BOOL, offsetof(project_desc, gain), 0, PLM_BOUNDS_NONE },
    { 0 },
};

static inline bool project_resolve(plm_module *m, const plm_shape *x)
{
    const project_desc *d = m->desc;
    if (x->rank != 1) return plm_module_fail(m, PLM_ERR_SHAPE, "its input has %d axes", x->rank);
    m->shape = plm_shape_of(d->out);
    return plm_module_param(m, "weight", plm_shape_of(d->out, x->dim[0]), PLM_ROLE_WEIGHT, 0) &&
           (!d->bias || plm_module_param(m, "bias", plm_shape_of(d->out), PLM_ROLE_BIAS, 0.25f)) &&
           (!d->gain || plm_module_param(m, "gain", plm_shape_of(1), PLM_ROLE_NORM_SCALE, 0.5f));
}

static inline plm_val project_apply(const plm_module *m, const plm_val *x)
{
    const project_desc *d = m->desc;
    plm_tape           *t = x[0].tape;
    const plm_val       b = d->bias ? plm_tape_param(t, m->param[1]) : plm_none;
    const plm_val       y = plm_linear(x[0], plm_tape_param(t, m->param[0]), b);
    return d->gain ? plm_mul(y, plm_tape_param(t, m->param[m->params - 1])) : y;
}

static inline int64_t project_macs(const plm_module *m, const plm_shape *x)
{
    return m->shape.dim[0] * x->dim[0];
}

static const plm_module_kind project = { .name       = "project",
                                         .inputs     = 1,
                                         .desc_bytes = sizeof(project_desc),
                                         .fields     = project_fields,
                                         .resolve    = project_resolve,
                                         .apply      = project_apply,
                                         .macs       = project_macs };

/* ------------------------------------------------------------------ mix: a sum of several, each times its own number */

static inline bool mix_resolve(plm_module *m, const plm_shape *x)
{
    for (int i = 1; i < m->inputs; i++)
        if (!plm_shape_equal(x[i], x[0])) return plm_module_fail(m, PLM_ERR_SHAPE, "its input %d is another", i);
    m->shape = x[0];
    return plm_module_param(m, "share", plm_shape_of(1), PLM_ROLE_STATISTIC, 0.75f);
}

static inline plm_val mix_apply(const plm_module *m, const plm_val *x)
{
    plm_val sum = x[0];
    for (int i = 1; i < m->inputs; i++) sum = plm_add(sum, x[i]);
    return plm_mul(sum, plm_tape_param(sum.tape, m->param[0]));
}

static const plm_module_kind mix = { .name = "mix", .inputs = PLM_SEVERAL, .resolve = mix_resolve, .apply = mix_apply };

/* ------------------------------------------------------------------ taps: a grouped convolution */

static inline bool taps_resolve(plm_module *m, const plm_shape *x)
{
    m->shape  = *x;
    m->groups = 2;
    return plm_module_param(m, "weight", plm_shape_of(x->dim[0], x->dim[0] / 2, 3, 3), PLM_ROLE_WEIGHT, 0);
}

static inline plm_val taps_apply(const plm_module *m, const plm_val *x)
{
    const plm_conv2d_op_desc d = { .pad = 1, .groups = 2 };
    return plm_conv2d(x[0], plm_tape_param(x[0].tape, m->param[0]), plm_none, &d);
}

static const plm_module_kind taps = { .name = "taps", .inputs = 1, .resolve = taps_resolve, .apply = taps_apply };

static const plm_module_kind *const kinds[] = { &swish, &project, &mix, &taps, NULL };

/* All of them on [4,3,3]: 5 outputs. */
static inline plm_graph *network(plm_ctx *ctx, bool bias)
{
    plm_graph *g = plm_graph_new(ctx);
    plm_node   x = plm_nn_input(g, plm_shape_of(4, 3, 3)), two[2];
    x            = plm_nn_module(&x, 1, &taps, NULL);
    two[0]       = plm_nn_module(&x, 1, &swish, &(swish_desc){ .name = "act", .beta = 1.5, .sign = -1, .twice = true });
    two[1]       = x;
    x            = plm_nn_flatten(plm_nn_module(two, 2, &mix, NULL));
    x            = plm_nn_module(&x, 1, &project, &(project_desc){ .out = 5, .bias = bias, .gain = bias });
    plm_graph_output(plm_nn_module(&x, 1, &swish, NULL), "y");
    return g;
}

#define kind_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

#endif

/* check.h: small networks and data sets for the tests of training. */
#ifndef PLM_TESTS_TRAIN_CHECK_H
#define PLM_TESTS_TRAIN_CHECK_H

#include "support.h"

/* An fcn of 3 layers of width 32 for digits; with `norm`, batch norm after the first layer. */
static inline plm_graph *digits_net(plm_ctx *ctx, bool norm)
{
    const plm_relu_desc gain = { .scale = PLM_SQRT2 };
    plm_graph          *net  = plm_graph_new(ctx);
    plm_node            h    = plm_nn_flatten(plm_nn_input(net, plm_shape_of(1, 8, 8)));
    h                        = plm_nn_linear(h, &(plm_linear_desc){ .name = "first", .out = 32 });
    if (norm) h = plm_nn_batch_norm(h, &(plm_batch_norm_desc){ .name = "norm" });
    h = plm_nn_linear(plm_nn_relu(h, &gain), &(plm_linear_desc){ .name = "second", .out = 32 });
    h = plm_nn_linear(plm_nn_relu(h, &gain), &(plm_linear_desc){ .name = "last", .out = 10 });
    plm_graph_output(h, "logits");
    assert_ok(ctx);
    return net;
}

/* All parameters, statistics too, one after the other; the caller frees. */
static inline float *all_params(const plm_graph *net, int64_t *count)
{
    *count = 0;
    for (int i = 0; i < plm_graph_param_count(net); i++)
        *count += plm_shape_count(plm_param_shape(plm_graph_param(net, i)));
    float *all = malloc((size_t)*count * sizeof *all), *at = all;
    assert_non_null(all);
    for (int i = 0; i < plm_graph_param_count(net); i++) {
        plm_param    *p = plm_graph_param(net, i);
        const int64_t n = plm_shape_count(plm_param_shape(p));
        assert_true(plm_param_read(p, at, n));
        at += n;
    }
    return all;
}

#endif

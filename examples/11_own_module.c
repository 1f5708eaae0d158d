/* 11_own_module.c introduces plm_module_kind: a module of your own in a graph, trained by AGD, saved and opened again.
 *
 * gated: y = z sigmoid(beta z) with z = x W^T, a linear layer and its Swish in one.  Its first parameter is a weight, so it counts
 * in L and AGD steps it like the built-in layers. */
#include <plummet/plummet.h>
#include <stdio.h>

typedef struct {
    const char *name; /* every desc begins with it   */
    int64_t     out;  /* output features; required   */
    double      beta; /* 0 means 1                   */
} gated_desc;

/* The table says what zero stands for, what is allowed, and what a file keeps. */
static const plm_field gated_fields[] = {
    { "out", PLM_FIELD_INT64, offsetof(gated_desc, out), 0, PLM_BOUNDS_POSITIVE },
    { "beta", PLM_FIELD_DOUBLE, offsetof(gated_desc, beta), 1, PLM_BOUNDS_POSITIVE },
    { 0 },
};

/* Once, when the module is added: is the input right, what is the output's shape, which parameters are there? */
static bool gated_resolve(plm_module *m, const plm_shape *x)
{
    const gated_desc *d = m->desc;
    if (x->rank != 1) return plm_module_fail(m, PLM_ERR_SHAPE, "its input has %d axes, expected one", x->rank);
    m->shape = plm_shape_of(d->out);
    return plm_module_param(m, "weight", plm_shape_of(d->out, x->dim[0]), PLM_ROLE_WEIGHT, 0);
}

/* Ops of values, with the batch axis; the backward pass follows from theirs. */
static plm_val gated_apply(const plm_module *m, const plm_val *x)
{
    const gated_desc *d = m->desc;
    const plm_val     z = plm_linear(x[0], plm_tape_param(x[0].tape, m->param[0]), plm_none);
    return plm_mul(z, plm_sigmoid(plm_scale(z, d->beta)));
}

/* Facts for plummet inspect and explain. */
static int64_t gated_macs(const plm_module *m, const plm_shape *x)
{
    return m->shape.dim[0] * x->dim[0];
}

static plm_lipschitz gated_lipschitz(const plm_module *m, const plm_shape *x)
{
    (void)m, (void)x;
    return (plm_lipschitz){ .known = true, .factor = 1.1, .why = "Swish's largest slope, 1.0998, times ||W||_op" };
}

static const plm_module_kind gated = { .name       = "gated",
                                       .inputs     = 1,
                                       .desc_bytes = sizeof(gated_desc),
                                       .fields     = gated_fields,
                                       .resolve    = gated_resolve,
                                       .apply      = gated_apply,
                                       .macs       = gated_macs,
                                       .lipschitz  = gated_lipschitz };

static plm_graph *build(plm_ctx *ctx, plm_shape x)
{
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_flatten(plm_nn_input(net, x));
    for (int i = 0; i < 2; i++) h = plm_nn_module(&h, 1, &gated, &(gated_desc){ .out = 64, .beta = 2 });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .out = 10 }), "logits");
    return net;
}

int main(void)
{
    static const plm_module_kind *const kinds[] = { &gated, NULL };

    plm_ctx       *ctx     = plm_ctx_new(NULL);
    plm_dataset   *data    = plm_dataset_named(ctx, "digits", NULL);
    plm_dataset   *test    = plm_dataset_named(ctx, "digits", &(plm_named_desc){ .test = true });
    plm_graph     *net     = build(ctx, plm_shape_of(1, 8, 8));
    plm_optimizer *agd     = plm_agd_new(net, NULL);
    plm_score      trained = { 0 }, opened = { 0 };
    bool           ok = plm_train(net, agd, data, &(plm_train_desc){ .epochs = 10 }, NULL) &&
              plm_graph_save(net, "gated.safetensors") && plm_evaluate(net, test, PLM_LOSS_MSE, 0, &trained);
    plm_graph *again = ok ? plm_graph_open_with(ctx, "gated.safetensors", &(plm_open_desc){ .kinds = kinds }) : NULL;
    ok               = again && plm_evaluate(again, test, PLM_LOSS_MSE, 0, &opened);
    printf("L = %d, test accuracy %.3f, opened again %.3f, chance level 0.100\n", plm_graph_summary(net).layers,
           trained.acc, opened.acc);
    if (!ok) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_graph_free(again);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(test);
    plm_dataset_free(data);
    plm_ctx_free(ctx);
    return ok && trained.acc > 0.85 && opened.acc == trained.acc ? 0 : 1;
}

/* extra.c: a user's own program: `plummet` with architectures, an optimiser and a module of its own. */
#include <locale.h>

#include <plummet/cli.h>

static plm_node build_tanh(plm_node x, const plm_arch_desc *d)
{
    plm_node h = plm_nn_flatten(x);
    for (int i = 1; i < d->depth; i++) h = plm_nn_tanh(plm_nn_linear(h, &(plm_linear_desc){ .out = d->width }), NULL);
    return plm_nn_linear(h, &(plm_linear_desc){ .out = d->classes });
}

/* One residual block with a convolution as its shortcut, norms and a grouped convolution: much of a large network, in little. */
static plm_node build_block(plm_node x, const plm_arch_desc *d)
{
    const int64_t  width = d->width;
    const plm_node stem  = plm_nn_conv2d(x, &(plm_conv2d_desc){ .name = "stem", .out = width, .pad = 1 });
    const plm_node a     = plm_nn_relu(plm_nn_batch_norm(stem, NULL), NULL);
    const plm_node side  = plm_nn_conv2d(a, &(plm_conv2d_desc){ .name = "shortcut", .out = 2 * width, .kernel = 1 });
    plm_node h = plm_nn_conv2d(a, &(plm_conv2d_desc){ .name = "grouped", .out = 2 * width, .pad = 1, .groups = 2 });
    h          = plm_nn_add(plm_nn_relu(plm_nn_batch_norm(h, NULL), NULL), side);
    h          = plm_nn_flatten(plm_nn_avg_pool2d(h, &(plm_pool2d_desc){ .global = true }));
    return plm_nn_linear(h, &(plm_linear_desc){ .name = "last", .out = d->classes });
}

/* ------------------------------------------------------------------ a module: y = x sigmoid(x) */

static bool resolve_swish(plm_module *m, const plm_shape *x)
{
    m->shape = *x;
    return true;
}

static plm_val apply_swish(const plm_module *m, const plm_val *x)
{
    (void)m;
    return plm_mul(x[0], plm_sigmoid(x[0]));
}

static const plm_module_kind swish = { .name = "swish", .inputs = 1, .resolve = resolve_swish, .apply = apply_swish };

static plm_node build_swish(plm_node x, const plm_arch_desc *d)
{
    const plm_node h = plm_nn_linear(plm_nn_flatten(x), &(plm_linear_desc){ .out = d->width });
    return plm_nn_linear(plm_nn_module(&h, 1, &swish, NULL), &(plm_linear_desc){ .out = d->classes });
}

/* ------------------------------------------------------------------ optimisers whose fields no other has */

typedef struct {
    double  lr, rho, epochs, floor;
    int64_t rest;
    bool    wild;
} sway_desc;

/* w -= lr g, every rest-th step rho of it; with .wild twice that.  `epochs` is an option of the training, not of this. */
static const plm_field sway_fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(sway_desc, lr), 0.1, PLM_BOUNDS_POSITIVE },
    { "rho", PLM_FIELD_DOUBLE, offsetof(sway_desc, rho), 0.5, PLM_BOUNDS_FRACTION },
    { "epochs", PLM_FIELD_DOUBLE, offsetof(sway_desc, epochs), 3, PLM_BOUNDS_NONE },
    { "rate_floor", PLM_FIELD_DOUBLE, offsetof(sway_desc, floor), 0, PLM_BOUNDS_NONE },
    { "rest", PLM_FIELD_INT64, offsetof(sway_desc, rest), 2, PLM_BOUNDS_POSITIVE },
    { "wild", PLM_FIELD_BOOL, offsetof(sway_desc, wild), 0, PLM_BOUNDS_NONE },
    { 0 },
};

static void sway_delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const sway_desc *s    = plm_optimizer_desc(o);
    const bool       rest = plm_optimizer_info(o)->step % s->rest == 0;
    const double     rate = (plm_optimizer_rate(o) + s->floor) * (rest ? s->rho : 1) * (s->wild ? 2 : 1);
    for (int64_t i = 0; i < v->n; i++) d[i] = (float)rate * v->g[i];
}

static const plm_optimizer_kind sway = { .name       = "sway",
                                         .summary    = "now and then a smaller step",
                                         .init       = PLM_INIT_PYTORCH,
                                         .desc_bytes = sizeof(sway_desc),
                                         .fields     = sway_fields,
                                         .delta      = sway_delta };

/* The same rule, whose rho may be larger. */
static const plm_field swing_fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(sway_desc, lr), 0.1, PLM_BOUNDS_POSITIVE },
    { "rho", PLM_FIELD_DOUBLE, offsetof(sway_desc, rho), 2, PLM_BOUNDS_POSITIVE },
    { "rest", PLM_FIELD_INT64, offsetof(sway_desc, rest), 2, PLM_BOUNDS_POSITIVE },
    { 0 },
};

static const plm_optimizer_kind swing = { .name       = "swing",
                                          .init       = PLM_INIT_PYTORCH,
                                          .desc_bytes = sizeof(sway_desc),
                                          .fields     = swing_fields,
                                          .delta      = sway_delta };

int main(int argc, char **argv)
{
    static const plm_optimizer_kind *const optimizers[] = { &sway, &swing, NULL };
    static const plm_module_kind *const    modules[]    = { &swish, NULL };

    static const plm_arch archs[] = {
        { .name = "tanh-net", .summary = "linear layers and tanh", .build = build_tanh },
        { .name = "block", .summary = "one residual block: --width channels", .build = build_block },
        { .name = "swish-net", .summary = "a hidden layer of swish", .build = build_swish },
        { 0 }
    };
    setlocale(LC_ALL, "");
    return plm_main(argc, argv, &(plm_cli_extra){ .archs = archs, .optimizers = optimizers, .modules = modules });
}

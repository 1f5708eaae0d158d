/* nn.h (private): nodes and the graph. */
#ifndef PLM__NN_H
#define PLM__NN_H

#include <plummet/module.h>

#include "ops/ops.h"

#define PLM__PLANS 8

/* What a kind's `engine` points to. */
typedef struct {
    /* Is y = relu max(apply, 0) one op?  Then apply_relu makes it.  NULL: never. */
    bool (*fuses)(double relu);
    plm_val (*apply_relu)(const plm_module *m, const plm_val *x, double relu);
    /* Chooses the home layouts of parameters; first: nobody asks for the gradient of x.  NULL: they stay row-major. */
    bool (*home)(const plm_module *m, const plm_shape *x, bool first);
} plm__module_engine;

/* A module in its graph. */
typedef struct {
    plm_module m; /* first: plm_module_param finds its node so */
    int        in[PLM_MAX_INPUTS];
    int        consumers, depth;
    bool       keep;
    float      value[PLM_MAX_MODULE_PARAMS]; /* that its parameters have at first, if they are not drawn */
} plm__node;

/* A file that is being read: safetensors.h. */
typedef struct plm__safetensors plm__safetensors;

/* What apply runs for one input shape and mode. */
typedef struct {
    plm_tape *tape; /* dry: records and layouts without memory */
    plm_shape x;
    bool      eval, no_grad, input_grad;
    uint64_t  frozen; /* which parameters were frozen, as a hash */
    bool     *handle; /* per value: kept nodes and the output */
    int32_t  *value;  /* per node: its value in the plan, -1: fused away or not needed */
    int32_t   out;
    uint64_t  used; /* for least recently used */
} plm__plan;

struct plm_graph {
    plm_ctx          *ctx;
    plm__node        *node;
    int               nodes, node_capacity;
    plm_param       **param;
    int               params, param_capacity;
    plm_layer        *layer;
    int               layers, layer_capacity;
    int               input, output; /* nodes; -1: none yet */
    char             *output_name;
    char              scope[256];
    bool              frozen; /* no more building */
    bool              adding; /* a kind looks at its new module */
    plm__safetensors *file;   /* while the graph is read from it: it must hold each parameter */
    plm_normalization normalization;
    char            **classes;
    int               class_count;

    plm__plan plan[PLM__PLANS];
    uint64_t  plan_clock;
    /* Where plm_node_value finds the last apply. */
    plm_tape        *last_tape;
    uint32_t         last_pass;
    int32_t          last_base, last_input;
    const plm__plan *last_plan;
};

/* Can a graph be built of it?  Of one's own kinds that takes more than of the library's. */
bool plm__module_kind_check(plm_ctx *ctx, const plm_module_kind *kind);
/* Adds a module of a kind that was checked. */
plm_node plm__graph_add(plm_graph *g, const plm_module_kind *kind, const plm_node *in, int inputs, const void *desc);
/* The shapes of its inputs, in `x`, which it returns. */
static inline const plm_shape *plm__node_inputs(const plm_graph *g, const plm__node *n, plm_shape x[PLM_MAX_INPUTS])
{
    for (int i = 0; i < n->m.inputs; i++) x[i] = g->node[n->in[i]].m.shape;
    return x;
}
/* The weight of a weight layer, else NULL. */
static inline plm_param *plm__node_weight(const plm__node *n)
{
    return n->m.params > 0 && n->m.param[0]->role == PLM_ROLE_WEIGHT ? n->m.param[0] : NULL;
}
/* For kinds: ||f(x) - f(x')|| <= factor ||x - x'||, f(0) = 0. */
static inline plm_lipschitz plm__lipschitz(double factor, const char *why)
{
    return (plm_lipschitz){ .known = true, .factor = factor, .why = why };
}
/* Of a weight layer whose bias, if it has one, is added in `places` places. */
plm_lipschitz plm__lipschitz_of_layer(const plm_module *m, int64_t places);
/* Ends building: output set, homes chosen. */
bool plm__graph_freeze(plm_graph *g);
void plm__graph_drop_plans(plm_graph *g);
/* Draws what nothing has written yet (all = false) or everything. */
bool plm__graph_draw(plm_graph *g, plm_init scheme, bool all);

/* The library's own; ends with NULL. */
extern const plm_module_kind *const plm__kinds[];
extern const plm_module_kind        plm__kind_input, plm__kind_linear, plm__kind_conv2d, plm__kind_batch_norm,
    plm__kind_max_pool2d, plm__kind_avg_pool2d, plm__kind_relu, plm__kind_tanh, plm__kind_sigmoid, plm__kind_flatten,
    plm__kind_add, plm__kind_concat, plm__kind_slice, plm__kind_embedding, plm__kind_gelu, plm__kind_leaky_relu,
    plm__kind_clamp, plm__kind_dropout, plm__kind_layer_norm;

#endif

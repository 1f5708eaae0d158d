/* nn.h (private): nodes, module kinds and the graph. */
#ifndef PLM__NN_H
#define PLM__NN_H

#include <plummet/nn.h>

#include "ops/ops.h"

#define PLM__MAX_NODE_PARAMS 4
#define PLM__PLANS 8

typedef struct plm__kind plm__kind;

/* One module of a graph.  `desc` is the resolved copy: no zero stands for a default in it. */
typedef struct {
    const plm__kind *kind;
    char            *name;
    int              in[PLM_MAX_INPUTS], inputs;
    int              consumers, depth;
    int              groups; /* of a weight layer: see plm_layer */
    bool             keep;
    plm_shape        shape; /* of the output, without the batch axis */
    plm_param       *param[PLM__MAX_NODE_PARAMS];
    int              params;
    union {
        plm_linear_desc     linear;
        plm_conv2d_desc     conv2d;
        plm_batch_norm_desc batch_norm;
        plm_pool2d_desc     pool2d;
        plm_relu_desc       relu;
        plm_concat_desc     concat;
        plm_slice_desc      slice;
        plm_embedding_desc  embedding;
        plm_gelu_desc       gelu;
        plm_leaky_relu_desc leaky_relu;
        plm_clamp_desc      clamp;
        plm_dropout_desc    dropout;
        plm_layer_norm_desc layer_norm;
    } desc;
} plm__node;

/* A field of a desc, for files and listings. */
typedef struct {
    const char *name; /* NULL: the end of the table */
    enum { PLM__INT, PLM__INT64, PLM__DOUBLE, PLM__BOOL } type;
    size_t offset; /* in the desc */
} plm__field;

#define PLM__SEVERAL (-1)

/* A kind of module.  A module is a function of values: `apply` calls public ops, and a plan is what those append. */
struct plm__kind {
    const char       *name;
    int               inputs; /* PLM__SEVERAL: 1 to PLM_MAX_INPUTS, as a node says */
    size_t            desc_bytes;
    const plm__field *fields; /* NULL: none */
    const plm__field *late;   /* in fields: from here on, older files lack them and mean their zero; NULL: none */
    /* Fills in defaults, checks, sets node->shape, makes parameters.  x: shapes of the inputs. */
    bool (*resolve)(plm_graph *g, plm__node *n, const plm_shape *x);
    /* in: values of the inputs.  relu > 0: y = relu max(y, 0) is to be fused. */
    plm_val (*apply)(const plm__node *n, const plm_val *in, double relu);
    bool (*fuses)(double relu);                                  /* NULL: never                          */
    bool (*home)(plm_graph *g, const plm__node *n, plm_shape x); /* NULL: parameters stay row-major      */
    int64_t (*macs)(const plm__node *n, plm_shape x);            /* NULL: 0                              */
    plm_lipschitz (*lipschitz)(const plm__node *n, plm_shape x); /* x: shape of input 0; NULL: not known */
    bool weight_layer;                                           /* param[0] is a weight that AGD steps  */
    bool table;                                                  /* and it is [d_in,d_out], see init.c   */
};

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

/* Adds a module; `in` has kind->inputs nodes.  desc->name is its first field in every desc. */
plm_node plm__graph_add(plm_graph *g, const plm__kind *kind, const plm_node *in, const void *desc);
/* The same with n of them, for kinds that take several. */
plm_node plm__graph_add_several(plm_graph *g, const plm__kind *kind, const plm_node *in, int inputs, const void *desc);
/* A parameter NODE.SUFFIX of a node, filled with `value`. */
plm_param *plm__node_param(plm_graph *g, plm__node *n, const char *suffix, plm_shape shape, plm_role role, float value);
/* "KIND at NAME: ..." */
bool plm__node_fail(plm_graph *g, const plm__node *n, plm_status status, const char *fmt, ...) PLM_PRINTF(4, 5);
/* For kinds: ||f(x) - f(x')|| <= factor ||x - x'||, f(0) = 0. */
static inline plm_lipschitz plm__lipschitz(double factor, const char *why)
{
    return (plm_lipschitz){ .known = true, .factor = factor, .why = why };
}
/* Of a weight layer whose bias, if it has one, is added in `places` places. */
plm_lipschitz plm__lipschitz_of_layer(const plm__node *n, int64_t places);
/* Ends building: output set, homes chosen. */
bool plm__graph_freeze(plm_graph *g);
void plm__graph_drop_plans(plm_graph *g);
/* Draws what nothing has written yet (all = false) or everything. */
bool plm__graph_draw(plm_graph *g, plm_init scheme, bool all);

/* Every kind, for opening files; ends with NULL. */
extern const plm__kind *const plm__kinds[];
extern const plm__kind plm__kind_input, plm__kind_linear, plm__kind_conv2d, plm__kind_batch_norm, plm__kind_max_pool2d,
    plm__kind_avg_pool2d, plm__kind_relu, plm__kind_tanh, plm__kind_sigmoid, plm__kind_flatten, plm__kind_add,
    plm__kind_concat, plm__kind_slice, plm__kind_embedding, plm__kind_gelu, plm__kind_leaky_relu, plm__kind_clamp,
    plm__kind_dropout, plm__kind_layer_norm;

#endif

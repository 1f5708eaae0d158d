/* module.h: kinds of module: a module of your own in a graph. */
#ifndef PLUMMET_MODULE_H
#define PLUMMET_MODULE_H

#include <plummet/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLM_MAX_MODULE_PARAMS 4
#define PLM_SEVERAL (-1)

/* A module of a graph, as the functions of its kind see it; lent for the call.  Shapes are without the batch axis. */
typedef struct {
    plm_graph             *graph;
    const plm_module_kind *kind;
    const char            *name; /* "layer1.0.swish"                                                    */
    void                  *desc; /* the graph's copy, where no zero stands for a default; NULL: none    */
    int                    inputs;
    plm_shape              shape;  /* of the output: resolve sets it                                    */
    int                    groups; /* of a weight, see plm_layer: 1, or what resolve sets before        */
    bool                   table;  /* the weight lies as [d_in,d_out]: false, or what resolve sets before */
    plm_param             *param[PLM_MAX_MODULE_PARAMS]; /* in the order in which resolve made them     */
    int                    params;
} plm_module;

/* What a module is: a function of values, made of ops, with parameters.  The built-in kinds are such structs; the struct must
 * outlive the graphs that use it.  x in resolve, macs and lipschitz: the shapes of the inputs, [m->inputs].
 *   A kind is a *weight layer* if the first parameter that it makes has PLM_ROLE_WEIGHT: [d_out, d_in / groups] or
 * [d_out, d_in / groups, kernel_h, kernel_w], or with .table [d_in, d_out], whose rows are what becomes of one-hot vectors.  It then
 * is a plm_layer that counts in L and in depths, is drawn by plm_graph_init, and optimisers step it by its matrices.  A module
 * has at most one weight; one with several is a block of modules. */
struct plm_module_kind {
    const char *name;       /* required: "swish".  Letters, digits and _, at most 40; no built-in kind's  */
    int         inputs;     /* required: 1 to PLM_MAX_INPUTS; PLM_SEVERAL: as many of them as a node says */
    size_t      desc_bytes; /* of the desc, which is copied and begins with its name; 0: there is none    */
    /* Of the desc but its name: what zero stands for, what is allowed, what a file keeps.  Their names are made of what the
     * kind's is, and none is kind, name or inputs.  NULL: none. */
    const plm_field *fields;
    int              late; /* so many fields at the end came later: a file without them means what 0 stands for */
    /* When a module is added, after the fields are in bounds: checks the desc and x, sets m->shape, makes parameters.  False after
     * plm_module_fail.  It adds no modules. */
    bool (*resolve)(plm_module *m, const plm_shape *x);
    /* The output [n, m->shape...] of inputs [n, x...], by ops.  Run once per plan (shape of the input, evaluation or not, what is
     * frozen), on values that have shapes but no numbers yet: plm_val_read fails.  Parameters enter by
     * plm_tape_param(x[0].tape, m->param[i]). */
    plm_val (*apply)(const plm_module *m, const plm_val *x);
    int64_t (*macs)(const plm_module *m, const plm_shape *x);            /* multiply-adds for one sample; NULL: 0 */
    plm_lipschitz (*lipschitz)(const plm_module *m, const plm_shape *x); /* NULL: not known                      */
    const void *engine; /* the library's: layouts and fused ops that only oneDNN's kernels know; NULL in yours */
};

/* Adds a module to the graph of x[0] ... x[n-1].  `desc` (NULL: all defaults) is copied; its name NULL: kind and number.
 *   PLM_ERR_ARGUMENT: a field out of bounds ("swish at s: beta is -1, expected a positive number that a float holds"), another number
 * of inputs than the kind's, a kind that is not as above; and whatever resolve refuses.  Then the node is empty. */
PLM_API plm_node plm_nn_module(const plm_node *x, int n, const plm_module_kind *kind, const void *desc);

/* In resolve: a parameter NAME.SUFFIX, all `value` at first.  plm_graph_init draws one of PLM_ROLE_WEIGHT, which only
 * the first may be, and with PLM_INIT_PYTORCH one of PLM_ROLE_BIAS beside a weight; the others become `value` again.  The graph owns it.  NULL on error. */
PLM_API plm_param *plm_module_param(plm_module *m, const char *suffix, plm_shape shape, plm_role role, float value);
/* Fails with "KIND at NAME: ...".  Always false. */
PLM_API bool plm_module_fail(const plm_module *m, plm_status status, const char *fmt, ...) PLM_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif

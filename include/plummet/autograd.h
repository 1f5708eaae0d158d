/* autograd.h: the tape, values, parameters, the backward pass, the gradient checker and user-defined ops. */
#ifndef PLUMMET_AUTOGRAD_H
#define PLUMMET_AUTOGRAD_H

#include <plummet/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ parameters */

typedef struct plm_param plm_param;

typedef enum {
    PLM_ROLE_WEIGHT = 0,
    PLM_ROLE_BIAS,
    PLM_ROLE_NORM_SCALE,
    PLM_ROLE_NORM_SHIFT,
    PLM_ROLE_STATISTIC /* running mean or variance: saved, never trained */
} plm_role;

typedef struct {
    const char *name; /* required                                  */
    plm_role    role;
    bool        frozen; /* gets no gradient, optimisers pass it over */
} plm_param_desc;

/* A tensor that is learnt, filled with zeros.  A graph's parameters belong to the graph; those made here to the caller. */
PLM_API plm_param *plm_param_new(plm_ctx *ctx, plm_shape shape, const plm_param_desc *desc);
PLM_API void       plm_param_free(plm_param *p);

PLM_API const char *plm_param_name(const plm_param *p);
PLM_API plm_shape   plm_param_shape(const plm_param *p);
PLM_API plm_role    plm_param_role(const plm_param *p);
PLM_API bool        plm_param_frozen(const plm_param *p);
PLM_API void        plm_param_freeze(plm_param *p, bool frozen);

/* Row-major copies in and out; `n` must be the number of elements.  Reading a gradient that no backward pass has written
 * since the last step is an error. */
PLM_API bool plm_param_read(const plm_param *p, float *dst, int64_t n);
PLM_API bool plm_param_write(plm_param *p, const float *src, int64_t n);
PLM_API bool plm_param_read_grad(const plm_param *p, float *dst, int64_t n);

/* ------------------------------------------------------------------ tape and values */

typedef struct plm_tape plm_tape;

/* A handle, passed by value.  It is good until its tape is reset; using it later is an error, never a dangling pointer. */
typedef struct {
    plm_tape *tape;
    int32_t   id; /* -1: empty, what a failed call returns */
    uint32_t  pass;
} plm_val;

typedef struct {
    bool eval;    /* evaluation mode: batch norm uses its running statistics  */
    bool no_grad; /* do not record: values are freed early, no plm_backward   */
    bool
        keep; /* keep all values and gradients until reset, for plm_val_grad of any value and plm_tape_write: takes memory */
} plm_tape_desc;

PLM_API plm_tape *plm_tape_new(plm_ctx *ctx, const plm_tape_desc *desc);
PLM_API void      plm_tape_reset(plm_tape *tape); /* forgets all values, keeps the memory for the next step */
PLM_API void      plm_tape_free(plm_tape *tape);
/* The step that random ops (plm_dropout) draw for: 0 on a new tape, one more after each reset.  A loop that takes up an
 * earlier training sets it, and gets the draws of that training. */
PLM_API void     plm_tape_set_step(plm_tape *tape, uint64_t step);
PLM_API plm_ctx *plm_tape_ctx(const plm_tape *tape);

typedef struct {
    bool        grad; /* compute the gradient of this input too */
    const char *name; /* NULL: "input"; must outlive the tape   */
} plm_input_desc;

/* An f32 tensor enters the tape; its memory is lent until reset.  plm_tape_input(t, x) is plm_tape_input_with(t, x, NULL). */
PLM_API plm_val plm_tape_input(plm_tape *tape, plm_tensor x);
PLM_API plm_val plm_tape_input_with(plm_tape *tape, plm_tensor x, const plm_input_desc *desc);
PLM_API plm_val plm_tape_param(plm_tape *tape, plm_param *p);

PLM_API bool      plm_val_ok(plm_val v); /* false: empty or stale */
PLM_API plm_shape plm_val_shape(plm_val v);
PLM_API float     plm_val_item(plm_val v);                        /* of a value with one element; nan on error       */
PLM_API bool      plm_val_read(plm_val v, float *dst, int64_t n); /* row-major                                       */
PLM_API bool
             plm_val_grad(plm_val v, float *dst,
                          int64_t n); /* after plm_backward: of an input with .grad, or of any value on a tape with .keep */
PLM_API void plm_release(plm_val v); /* the handle is not used again: memory goes early */

/* ------------------------------------------------------------------ backward */

typedef struct {
    bool more; /* another micro-batch follows before the optimiser step: accumulate */
} plm_backward_desc;

/* d loss / d parameter for every trainable parameter and every input with .grad, by reverse accumulation.  `loss` has one
 * element.  A second backward over the same values is an error; so is a loss that is not finite (PLM_ERR_NONFINITE names
 * the first culprit that can still be seen).  It overwrites the gradient of each parameter that the loss
 * depends on (the others keep theirs, which the next step takes unless one has taken it before), or adds to it if the last backward pass that reached that parameter had .more (and no step or plm_ctx_clear came between). */
PLM_API bool plm_backward(plm_val loss) PLM_MUST_CHECK;
PLM_API bool plm_backward_with(plm_val loss, const plm_backward_desc *desc) PLM_MUST_CHECK;

/* ------------------------------------------------------------------ the tape made visible */

typedef struct {
    bool dot;     /* a graph for Graphviz, edges from a value to what is made of it; false: lines of text */
    int  numbers; /* so many of each value and gradient, row-major, then the Frobenius norm of all; 0 means 6 */
} plm_tape_write_desc;

/* Writes what the tape holds, in backward order: the last record first, inputs and parameters at the end; of each op, module,
 * shape, value and gradient.
 *     v6 = mean(v5)  []  value 5  gradient 1
 *     v2 is parameter w  [2,3]  value 0.5 0 0.5 -1 0 1  gradient 1 2 3 3 6 9
 * Gradients are there after plm_backward.  On a tape without .keep, records and values that are needed no more are gone.  A
 * graph's records show what its plan made of it: fused ops as one, changes of layout as `reorder`.  PLM_ERR_IO: the path
 * cannot be written. */
PLM_API bool plm_tape_write(plm_tape *tape, const char *path, const plm_tape_write_desc *desc);

/* ------------------------------------------------------------------ gradient checker */

/* A function of n values on a tape; any output shape. */
typedef plm_val (*plm_function)(plm_tape *tape, const plm_val *in, int n, void *user);

typedef struct {
    double   step;      /* of the central difference; 0 means 1e-2       */
    double   tolerance; /* relative to the largest gradient of the input; 0 means 1e-2 */
    uint64_t seed;      /* of the random projection                      */
} plm_gradcheck_desc;

typedef struct {
    double  worst; /* largest |backward - difference| / largest |gradient| of that input */
    int     input; /* where it was                                                */
    int64_t element;
    double  backward; /* the two numbers there                                       */
    double  difference;
    int64_t checked;
    int64_t kinks; /* elements passed over: the two one-sided differences disagree */
} plm_gradcheck_result;

/* Compares the backward pass of f with central differences of its forward, element by element, on the scalar
 * sum_i v_i f(x)_i with fixed random v.  True iff they agree everywhere; a disagreement is not an error of the context
 * but `false` with its place in `result` (may be NULL).  Source: Griewank & Walther 2008, section 3; HIPS autograd. */
PLM_API bool plm_gradcheck(plm_ctx *ctx, plm_function f, void *user, const plm_tensor *x, int n,
                           const plm_gradcheck_desc *desc, plm_gradcheck_result *result);

/* ------------------------------------------------------------------ ops */

#define PLM_MAX_INPUTS 8

/* One application of an op: what its functions see. */
typedef struct plm_record plm_record;

/* What the backward function reads; everything else is given back to the pool after the forward pass. */
enum { PLM_SAVES_INPUTS = 1, PLM_SAVES_OUTPUT = 2 };

/* Memory layouts in which an op wants its inputs and writes its output. */
typedef enum {
    PLM_LAYOUT_PLAIN = 0, /* row-major                                                                            */
    PLM_LAYOUT_SAME,      /* whatever input 0 has, also for the other inputs of its shape and the output: the op runs
                             element by element over physical memory, padding included, so f(0, ...) must be 0   */
    PLM_LAYOUT_NEGOTIATED /* the op's `prepare` chooses                                                           */
} plm_layout_wish;

/* A differentiable op.  The built-in ones are structs like this.  Ops write, the tape adds: `backward` overwrites the
 * buffers that plm_record_grad_in hands out.  Functions return false after plm_record_fail.  They work on memory alone: no
 * op may be applied from inside one.  The struct must outlive the tapes it is used on. */
typedef struct plm_op {
    const char *name;
    bool (*shape)(plm_record *r);    /* checks inputs; calls plm_record_set_out, plm_record_set_aux          */
    bool (*prepare)(plm_record *r);  /* may be NULL: chooses layouts and kernels; once per plan              */
    bool (*forward)(plm_record *r);  /* NULL: a view, the input's memory under another shape of as many elements */
    bool (*backward)(plm_record *r); /* NULL: no gradient flows through                                      */
    unsigned        saves;           /* PLM_SAVES_*; auxiliary buffers are always kept for backward          */
    plm_layout_wish layout;
} plm_op;

/* Applies an op to values of one tape.  `attr` (at most PLM_MAX_ATTR bytes, may be NULL) is copied. */
#define PLM_MAX_ATTR 128
PLM_API plm_val plm_apply(const plm_op *op, const void *attr, size_t attr_bytes, const plm_val *in, int n);

PLM_API const void *plm_record_attr(const plm_record *r);
PLM_API int         plm_record_inputs(const plm_record *r);
PLM_API plm_shape   plm_record_in_shape(const plm_record *r, int i);
PLM_API plm_shape   plm_record_out_shape(const plm_record *r);
PLM_API plm_ctx    *plm_record_ctx(const plm_record *r);
PLM_API bool        plm_record_eval(const plm_record *r); /* evaluation mode? */

/* In `shape`. */
PLM_API bool plm_record_set_out(plm_record *r, plm_shape shape);
PLM_API bool plm_record_set_aux(plm_record *r, int k,
                                size_t bytes); /* k = 0 or 1: written by forward, read by backward */

/* In `forward` and `backward`. */
PLM_API const float *plm_record_in(const plm_record *r, int i); /* backward: only with PLM_SAVES_INPUTS  */
PLM_API float       *plm_record_out(const plm_record *r);       /* backward: only with PLM_SAVES_OUTPUT  */
PLM_API void        *plm_record_aux(const plm_record *r, int k);
PLM_API int64_t plm_record_size(const plm_record *r); /* floats in the output's physical memory, padding included */

/* In `backward`. */
PLM_API const float *plm_record_grad_out(const plm_record *r);
PLM_API bool         plm_record_wants(const plm_record *r, int i); /* does anybody ask for the gradient of input i? */
PLM_API float       *plm_record_grad_in(plm_record *r, int i);     /* to be overwritten; NULL only on error         */

/* Fails with "OP at NODE: ..." */
PLM_API bool plm_record_fail(plm_record *r, plm_status status, const char *fmt, ...) PLM_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif

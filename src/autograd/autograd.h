/* autograd.h (private): parameters, values, records and the list that a tape and a plan share. */
#ifndef PLM__AUTOGRAD_H
#define PLM__AUTOGRAD_H

#include <plummet/autograd.h>

#include "dnnl/dnnl.h"

/* ------------------------------------------------------------------ parameters */

#define PLM__MAX_COPIES 4

struct plm_param {
    plm_ctx    *ctx;
    char       *name;
    plm_shape   shape;
    plm_role    role;
    bool        frozen;
    plm__layout home;           /* of weights, gradient and optimiser state               */
    plm__block *weights;        /* padding is zero and stays so                           */
    plm__block *grad;           /* NULL before the first backward pass                    */
    bool        written;        /* by initialisation, a file or plm_param_write: an optimiser does not draw it anew */
    uint64_t    version;        /* of the weights: whoever writes them adds one           */
    uint64_t    finite_version; /* the version whose weights were seen to be finite */
    uint64_t    grad_version;   /* of the gradient; 0: none yet                           */
    uint64_t    used_version;   /* of the gradient that the last optimiser step took      */
    uint64_t    accumulate;     /* ctx->clears + 1: the last backward pass had .more */

    struct {
        plm__layout layout;
        plm__block *data;
        uint64_t    version; /* of the weights it was copied from */
    } copy[PLM__MAX_COPIES]; /* for kernels that cannot read the home layout */
    int next_copy;

    plm_tape *leaf_tape; /* where it is a leaf already */
    uint32_t  leaf_pass;
    int32_t   leaf_id;

    /* Called in the backward pass right after the last contribution to the gradient, while it is in cache. */
    void (*ready)(void *user, plm_param *p);
    void *ready_user;
};

/* Moves weights to another home layout; the gradient is forgotten.  Fails if a tape uses the parameter: its values there have
 * the old layout. */
bool plm__param_set_home(plm_param *p, const plm__layout *home);
/* The weights in a layout: the home itself or a derived copy, refreshed when stale.  A row-major home is seen under the layout's
 * extents, whatever they are (plm__layout_view).  NULL on error. */
const float *plm__param_weights(plm_param *p, const plm__layout *layout);

static inline bool plm__param_trains(const plm_param *p)
{
    return !p->frozen && p->role != PLM_ROLE_STATISTIC;
}

/* ------------------------------------------------------------------ values and records */

typedef struct {
    plm__layout  layout;
    plm__block  *data; /* NULL: lent, or given back */
    const float *lent; /* an input's memory         */
    plm_param   *param;
    const char  *name;    /* of an input */
    uint64_t     version; /* of a parameter's weights when it became a leaf */
    int          holds;   /* handle + forward readers to come + backward passes to come that read it */
    bool         wants_grad;
    bool         released; /* by the user: the handle is not to be used again */
    int          readers;  /* in a plan: how many records read it; in a backward pass: contributions still to come */
    plm__block  *grad;
} plm__value;

#define PLM__MAX_KERNELS 3

typedef struct plm__list plm__list;

struct plm_record {
    plm__list    *list;
    const plm_op *op;
    const char   *node; /* the module's name; NULL for an eager op */
    int           n_in;
    int32_t       in[PLM_MAX_INPUTS];
    int32_t       out;
    bool          keep;                     /* needed by the backward pass                       */
    plm__layout   weights;                  /* layout in which parameter input copied-1 is read, see plm__record_want */
    int           copied;                   /* 0: none */
    plm__kernel  *kernel[PLM__MAX_KERNELS]; /* of `prepare`: by convention forward, data, weights */
    size_t        aux_bytes[2];
    plm__block   *aux[2];
    plm__block   *grad_in[PLM_MAX_INPUTS]; /* handed out during backward */
    _Alignas(16) unsigned char attr[PLM_MAX_ATTR];
};

/* Values and the records that make them, in order.  On a tape they have memory; in a plan they only have layouts. */
struct plm__list {
    plm_ctx    *ctx;
    bool        eval, no_grad;
    bool        keep;  /* all values and gradients stay until reset */
    bool        dry;   /* a plan */
    const char *node;  /* name for the records being appended; NULL: eager */
    uint64_t    step;  /* of a tape: what random ops draw for                      */
    int         draws; /* random ops outside of graphs in this step */
    plm__value *value;
    int         values, value_capacity;
    plm_record *record;
    int         records, record_capacity;
};

void    plm__list_clear(plm__list *l); /* drops memory and kernels, keeps the arrays */
void    plm__list_free(plm__list *l);
int32_t plm__list_value(plm__list *l, const plm__layout *layout, bool wants_grad); /* -1 on error */
/* The value `id` in another layout: itself, what an earlier reorder record made of it, or a new one. */
int32_t plm__list_reordered(plm__list *l, int32_t id, const plm__layout *layout);
/* Appends op(in): shape rule, layouts (reorder records are inserted where needed), kernels.  The id of its output value,
 * or -1 on error.  On a tape every record appended, reorders included, is run at once. */
int32_t plm__list_apply(plm__list *l, const plm_op *op, const void *attr, size_t attr_bytes, const int32_t *in, int n);

/* ------------------------------------------------------------------ tape */

struct plm_tape {
    plm__list list;
    uint32_t  pass;
    bool      done;   /* plm_backward has run in this pass */
    bool      in_use; /* false: on the context's list of headers to use again */
    plm_tape *next;   /* all tapes of the context */
};

/* The value behind a handle; NULL after failing with "CALL: ...". */
plm__value *plm__val_get(plm_val v, const char *call);
plm_val     plm__val_make(plm_tape *tape, int32_t id);
plm_val     plm__val_none(plm_tape *tape);
/* Resets every tape of the context on which one of these is a leaf: they are about to be freed. */
void plm__tapes_forget(plm_ctx *ctx, plm_param *const *params, int n);
/* The same for records that carry this very name. */
void plm__tapes_forget_node(plm_ctx *ctx, const char *node);
/* Is it a leaf of any tape of the context? */
bool plm__tapes_use(const plm_ctx *ctx, const plm_param *p);
/* Appends the records of a plan, with its value 0 bound to `input`, and runs them.  `handle[i]` is true for plan values
 * that get a handle; *base is where the plan's value 0 would be: value i of the plan is id *base + i of the tape. */
bool plm__tape_run_plan(plm_tape *tape, const plm__list *plan, int32_t input, const bool *handle, int32_t *base);

/* ------------------------------------------------------------------ for ops: beside the public plm_record_... */

static inline plm__value *plm__in(const plm_record *r, int i)
{
    return &r->list->value[r->in[i]];
}

static inline plm__value *plm__out(const plm_record *r)
{
    return &r->list->value[r->out];
}

/* In `prepare`.  Input i must come in this layout: a reorder record is inserted before this one; or, for a parameter as a
 * weight (i > 0 of a negotiating op), it is read through its derived copy (one such input per record, and its gradient is
 * written in the home layout). */
bool plm__record_want(plm_record *r, int i, const plm__layout *layout);
/* The same by a reorder record, whatever the input is: for ops that have no weights, so any number of their inputs may be
 * parameters. */
bool plm__record_reorder(plm_record *r, int i, const plm__layout *layout);
void plm__record_set_layout(plm_record *r, const plm__layout *out);

/* In `backward`, instead of plm_record_grad_in. */
/* For an op that reads memory its caller lends: false after failing in a module's apply, which runs when that may be gone. */
bool   plm__record_may_read_memory(plm_record *r);
bool   plm__record_pass_grad(plm_record *r, int i);  /* input i's gradient IS the output's: no copy       */
float *plm__record_reuse_grad(plm_record *r, int i); /* may be the output gradient's own memory: in place */

/* Data of a value as a kernel reads it; NULL: given back already. */
const float *plm__value_data(const plm__value *v);

/* Are the weights finite?  Looks once per version; fails with PLM_ERR_NONFINITE naming the parameter. */
bool plm__param_check_finite(plm_param *p);

extern const plm_op plm__op_reorder;

/* First element that is not finite, -1: none.  Physical floats. */
int64_t plm__first_nonfinite(const float *x, int64_t n);

#endif

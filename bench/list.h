/* list.h: the step from inside: what layers.c adds to, and list.c keeps and runs. */
#ifndef BENCH_LIST_H
#define BENCH_LIST_H

#include "dnnl/compat.h"
#include "step.h"

enum { MAX_LAYERS = 1024, MAX_RUNS = 4 * MAX_LAYERS, MAX_MEMORIES = 8 * MAX_RUNS, MAX_ARGUMENTS = 8 };

/* Numbers of buffers.  All scratchpads are one, since one primitive runs at a time.  A gradient takes the first of its buffers
 * that is free: like a training step's it comes into memory that has just been used.  Buffers from SHARED on serve one tensor. */
enum { SCRATCH, FIRST_GRADIENT, SHARED = FIRST_GRADIENT + 8 };
/* In the place of such a number (`where`): a new one for this tensor alone, or a gradient's. */
enum { OWN = -1, GRADIENT = -2 };

typedef struct {
    dnnl_memory_t of; /* NULL: none */
    int           buffer;
} memory;

typedef struct {
    void  *data;
    size_t bytes;
    float  amplitude; /* filled with random numbers up to this; 0: zeros */
    int    readers;   /* of the gradient in it; 0: free */
} buffer;

typedef struct {
    int         rank;
    dnnl_dims_t dim;
    memory      data, gradient;
    bool        is_input;
} value;

typedef struct {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t  arg[MAX_ARGUMENTS];
    int              args;
} run;

typedef struct layer {
    void (*backward)(step *s, const struct layer *l);
    int                   x, y; /* values; of an addition: the side, the sum */
    dnnl_primitive_desc_t forward, back_data, back_weights;
    memory                weights, mean, variance, workspace;
} layer;

struct step {
    dnnl_engine_t         engine;
    dnnl_stream_t         stream;
    dnnl_primitive_attr_t attr; /* the scratchpad is the user's */
    char                  error[256];
    int                   values, layers, runs, memories, pds, buffers, references;
    value                 value[MAX_LAYERS];
    layer                 layer[MAX_LAYERS];
    run                   run[MAX_RUNS];
    memory                memory[MAX_MEMORIES];
    dnnl_primitive_desc_t pd[MAX_RUNS];
    buffer                buffer[MAX_MEMORIES];
};

/* All of these do nothing once there is an error. */
bool fail(step *s, dnnl_status_t status, const char *what); /* false, unless `status` is a success */
void keep_pd(step *s, dnnl_primitive_desc_t pd);            /* from now on it is the step's */

const_dnnl_memory_desc_t md_of(memory m);
const_dnnl_memory_desc_t md_in(dnnl_primitive_desc_t pd, int arg); /* NULL: it has no such argument */

plm__md make_md(step *s, int rank, const dnnl_dims_t dim, dnnl_format_tag_t tag); /* to be dropped */

/* A buffer of its own is filled with random numbers up to `amplitude`. */
memory make_memory(step *s, const_dnnl_memory_desc_t md, int where, float amplitude);
/* The same buffer, described otherwise; a gradient's gets one reader more. */
memory seen_as(step *s, memory m, const_dnnl_memory_desc_t md);
/* What `m` is after a reorder to `md`, `where`; if it is like that already: m itself, and no reorder. */
memory reordered(step *s, memory m, const_dnnl_memory_desc_t md, int where);

/* The value in layout `md`: x itself, or another that a reorder makes; its gradient is reordered back. */
int relayout(step *s, int x, const_dnnl_memory_desc_t md);

int  add_value(step *s, int rank, const dnnl_dim_t *dim, memory data);
void add_layer(step *s, const layer *l);
void set_gradient(step *s, int v, memory gradient); /* of a second reader: the sum would be in its memory */
void drop_gradient(step *s, int v);

/* One primitive more in the list; the scratchpad is added. */
void add_run(step *s, dnnl_primitive_desc_t pd, int args, const dnnl_exec_arg_t *arg);
bool is_reference(dnnl_primitive_desc_t pd);

#endif

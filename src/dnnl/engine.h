/* engine.h (private to src/dnnl): the floor's state, kernels from inside, and what a primitive family provides. */
#ifndef PLM__DNNL_ENGINE_H
#define PLM__DNNL_ENGINE_H

#include "dnnl/compat.h"
#include "dnnl/dnnl.h"

/* ------------------------------------------------------------------ families: one file each */

/* What a family is asked for.  Descriptors are lent; bias is NULL where there is none. */
typedef struct {
    const plm__problem         *p;
    dnnl_engine_t               engine;
    const_dnnl_primitive_attr_t attr;
    const_dnnl_memory_desc_t    src, weights, bias, dst;
} plm__request;

/* oneDNN's number of an argument, and which pointer of plm__args it is. */
typedef struct {
    int    arg;
    size_t field;
} plm__argument;
#define PLM__ARGUMENT(name, member)                  \
    {                                                \
        DNNL_ARG_##name, offsetof(plm__args, member) \
    }
#define PLM__MAX_ARGUMENTS 14

typedef struct {
    const char *name;
    dnnl_status_t (*describe)(const plm__request *r, dnnl_primitive_desc_t *pd);
    /* By pass; ends at arg 0.  Arguments that the primitive at hand does not have are left out by kernel.c. */
    const plm__argument *arguments[PLM__BACKWARD + 1];
    /* How oneDNN shall see src and dst; NULL: as they are. */
    plm__layout (*view)(const plm__layout *l);
} plm__family;

extern const plm__family plm__family_conv2d, plm__family_linear, plm__family_matmul, plm__family_batch_norm,
    plm__family_max_pool, plm__family_avg_pool, plm__family_reorder;

/* ------------------------------------------------------------------ problems (problem.c) */

#define PLM__PROBLEM_TEXT 768
const plm__family *plm__problem_family(const plm__problem *p);
/* Clears what does not matter for the pass, so that equal work has an equal key. */
plm__problem plm__problem_canonical(const plm__problem *p);
uint64_t     plm__problem_hash(const plm__problem *p);
/* "conv2d backward data (x [2,3,8,8], w [4,3,3,3], y [2,4,8,8], stride 1, pad 1)" */
char *plm__problem_text(const plm__problem *p, char text[PLM__PROBLEM_TEXT]);

/* ------------------------------------------------------------------ kernels */

struct plm__kernel {
    plm__problem          problem; /* the key: as asked, canonical */
    uint64_t              hash;
    plm__kernel          *chain;         /* the next in its bucket of the table */
    plm__kernel          *older, *newer; /* among the unused ones */
    int                   refs;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t      primitive; /* NULL before the first run */
    plm__layout           src, weights, dst;
    const char           *name; /* lent by pd */
    bool                  reference;
    size_t                workspace, scratch; /* bytes */
    int                   args;
    dnnl_exec_arg_t       arg[PLM__MAX_ARGUMENTS];
    size_t                field[PLM__MAX_ARGUMENTS];
    size_t                bytes[PLM__MAX_ARGUMENTS];
};

/* NULL: *why tells oneDNN's reason; dnnl_success there means an error of ours, already in ctx. */
plm__kernel *plm__kernel_make(plm_ctx *ctx, const plm__problem *canonical, dnnl_status_t *why);
void         plm__kernel_free(plm_ctx *ctx, plm__kernel *k);

/* ------------------------------------------------------------------ the state */

#define PLM__KERNEL_BUCKETS 1024
#define PLM__UNUSED_KERNELS 512 /* how many kernels nobody holds stay in the table */
#define PLM__RECENT_TAGS 16

/* One run as it was: the pointers tell which runs shared memory, and are never followed. */
typedef struct {
    plm__kernel *kernel; /* holds a reference */
    plm__args    args;
} plm__noted;

typedef struct {
    int         capacity, count; /* capacity 0: not tracing */
    bool        on;
    plm__noted *run;
} plm__trace;

typedef struct {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    plm__block   *scratch; /* of all kernels: only one runs at a time */
    plm__kernel  *bucket[PLM__KERNEL_BUCKETS];
    plm__kernel  *oldest, *newest; /* unused kernels, least recently used first */
    int           unused;
    int           tags; /* version 3: format tags that lately turned out to be somebody's layout */
    int           tag[PLM__RECENT_TAGS];
    plm__trace    trace;
} plm__engine;

plm__engine *plm__engine_get(plm_ctx *ctx); /* made at first use; NULL on error */
bool         plm__engine_scratch(plm_ctx *ctx, plm__engine *e, size_t bytes);
const char  *plm__dnnl_word(dnnl_status_t status);
/* Fails with PLM_ERR_MEMORY or PLM_ERR_ENGINE: "cannot WHAT conv2d forward (...): oneDNN says unimplemented". */
bool plm__dnnl_fail(plm_ctx *ctx, dnnl_status_t status, const char *what, const plm__problem *p);

void plm__table_clear(plm_ctx *ctx, plm__engine *e);
void plm__trace_note(plm__engine *e, plm__kernel *k, const plm__args *args);
void plm__trace_clear(plm_ctx *ctx, plm__engine *e);

/* ------------------------------------------------------------------ layouts */

dnnl_status_t plm__md_make(plm__engine *e, const plm__layout *l, plm__md *m);
/* False: a format that plm__layout cannot say (Winograd's, packed, with compensation). */
bool        plm__md_layout(const_dnnl_memory_desc_t m, plm__layout *l);
plm__layout plm__layout_channels_last(plm_shape s);               /* nhwc; rank 4 */
plm__layout plm__layout_channels_blocked(plm_shape s, int32_t b); /* nChw16c ...; rank 4 */

#endif

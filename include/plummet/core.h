/* core.h: contexts, errors, shapes and tensors. */
#ifndef PLUMMET_CORE_H
#define PLUMMET_CORE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLM_API __attribute__((visibility("default")))
#if defined(__GNUC__)
#define PLM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PLM_MUST_CHECK __attribute__((warn_unused_result))
#else
#define PLM_PRINTF(fmt, args)
#define PLM_MUST_CHECK
#endif

/* Where zero is a legal choice that differs from a desc's default: `.beta1 = PLM_ZERO` means a beta1 of exactly 0. */
#define PLM_ZERO (-0x1p-100)

/* ------------------------------------------------------------------ context and error */

typedef struct plm_ctx plm_ctx;

typedef enum {
    PLM_OK = 0,
    PLM_ERR_ARGUMENT,  /* a value that makes no sense there                       */
    PLM_ERR_SHAPE,     /* shapes that do not fit each other                       */
    PLM_ERR_STATE,     /* the right call at the wrong time                        */
    PLM_ERR_MEMORY,    /* the allocator returned NULL                             */
    PLM_ERR_IO,        /* the system could not open, read, write or rename        */
    PLM_ERR_FORMAT,    /* a file that is not what it says                         */
    PLM_ERR_NONFINITE, /* nan or infinity where training cannot go on             */
    PLM_ERR_ENGINE     /* oneDNN or LAPACK refused                                */
} plm_status;

/* Called once, inside the call that failed first: set a breakpoint there.  `message` is lent until plm_ctx_clear.
 * It must not call the library. */
typedef void (*plm_on_error)(void *user, plm_status status, const char *message);

/* Where memory comes from.  `alloc` returns `bytes` bytes aligned to `align` (a power of two) or NULL; `free` gets the
 * same `bytes`.  Both are called from the context's thread. */
typedef struct {
    void *(*alloc)(void *user, size_t bytes, size_t align);
    void (*free)(void *user, void *memory, size_t bytes);
    void *user;
} plm_allocator;

/* How 3x3 convolutions are computed: by a fixed rule on their size; always directly; by Winograd's algorithm wherever oneDNN
 * has it (up to 3.1, AVX-512).  They differ in rounding. */
typedef enum { PLM_CONV_AUTO = 0, PLM_CONV_DIRECT, PLM_CONV_WINOGRAD } plm_conv_algorithm;

typedef struct {
    uint64_t           seed;         /* of everything random; 0 is a seed like any other                   */
    int                threads;      /* 0: what affinity, a container's cgroup and OpenMP's environment allow */
    bool               check_finite; /* name the first op that makes a nan or an infinity (slower)         */
    plm_conv_algorithm conv;
    plm_on_error       on_error; /* NULL: none                                                         */
    void              *on_error_user;
    plm_allocator      allocator; /* all NULL: the C library's                                          */
} plm_ctx_desc;

/* A context: one error, one memory pool, one kernel cache, one seed.  It belongs to one thread at a time; several contexts
 * may work at once.  NULL: not even the context itself could be allocated.  A bad desc gives a context with that error. */
PLM_API plm_ctx *plm_ctx_new(const plm_ctx_desc *desc);

/* Frees the context, its tapes and its memory.  Graphs, data sets, optimisers and parameters must be freed before. */
PLM_API void plm_ctx_free(plm_ctx *ctx);

PLM_API plm_status  plm_ctx_status(const plm_ctx *ctx); /* PLM_OK, or the first cause of failure             */
PLM_API const char *plm_ctx_error(const plm_ctx *ctx);  /* "" or one sentence naming what, where, the shapes */

/* Forgets the error and resets the context's tapes.  Weights stay as after the last completed optimiser step.
 * Does nothing inside a running call (from an op's function or on_error). */
PLM_API void plm_ctx_clear(plm_ctx *ctx);

/* Records an error the way the library does; the first one wins.  For user-defined ops and callbacks.  Always false, so
 * that `return plm_ctx_fail(...)` reads well. */
PLM_API bool plm_ctx_fail(plm_ctx *ctx, plm_status status, const char *fmt, ...) PLM_PRINTF(3, 4);

PLM_API int      plm_ctx_threads(const plm_ctx *ctx);
PLM_API uint64_t plm_ctx_seed(const plm_ctx *ctx);

/* What the context has done so far: for tests and benchmarks. */
typedef struct {
    uint64_t allocations;       /* calls of the allocator                                 */
    uint64_t primitives;        /* oneDNN primitives created                              */
    uint64_t bytes;             /* allocated now                                          */
    uint64_t peak_bytes;        /* the most allocated at any time                         */
    int      reference_kernels; /* cached kernels that are oneDNN's slow reference code   */
} plm_ctx_stats;
PLM_API plm_ctx_stats plm_ctx_statistics(const plm_ctx *ctx);

PLM_API const char *plm_status_name(plm_status status); /* "shape", "memory" ... */
PLM_API const char *plm_engine_version(void);           /* oneDNN's, at run time: "2.6.3" */
PLM_API const char *plm_engine_isa(void);               /* "AVX512_CORE", "AVX2" ...: what oneDNN uses now */

/* ------------------------------------------------------------------ fields of descs */

/* A field of a desc, so that descs can be filled in, checked, listed and written to files without knowing them. */
typedef enum { PLM_FIELD_INT = 0, PLM_FIELD_INT64, PLM_FIELD_DOUBLE, PLM_FIELD_BOOL } plm_field_type;
typedef enum {
    PLM_BOUNDS_NONE = 0,     /* any number                  */
    PLM_BOUNDS_POSITIVE,     /* above 0                     */
    PLM_BOUNDS_NOT_NEGATIVE, /* 0 or more                   */
    PLM_BOUNDS_FRACTION      /* in [0, 1)                   */
} plm_bounds;
typedef struct {
    const char    *name; /* "weight_decay"; NULL ends a table  */
    plm_field_type type;
    size_t         offset;    /* in the desc                        */
    double         otherwise; /* what 0 stands for                  */
    plm_bounds     bounds;
} plm_field;
PLM_API double plm_field_get(const plm_field *f, const void *desc);
PLM_API void   plm_field_set(const plm_field *f, void *desc, double value); /* a double of 0 is written as PLM_ZERO */
/* Fills in what zero stands for in a table's fields and checks that doubles are in bounds and fit into a float: "WHO: lr is
 * -1, expected a positive number". */
PLM_API bool plm_fields_resolve(plm_ctx *ctx, const plm_field *fields, void *desc, const char *who);

/* ------------------------------------------------------------------ shapes and tensors */

#define PLM_MAX_RANK 6

typedef struct {
    int     rank; /* 0: a scalar */
    int64_t dim[PLM_MAX_RANK];
} plm_shape;

/* plm_shape_of(2, 3): extents in row-major order. */
#define plm_shape_of(...) \
    plm_shape_from((int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[]){ __VA_ARGS__ })
PLM_API plm_shape plm_shape_from(int            rank,
                                 const int64_t *dim); /* rank above PLM_MAX_RANK: kept, refused by every user  */
PLM_API int64_t   plm_shape_count(plm_shape s);       /* product of extents; -1: overflow or a negative extent */
PLM_API bool      plm_shape_equal(plm_shape a, plm_shape b);

typedef enum { PLM_F32 = 0, PLM_I64, PLM_U8 } plm_dtype;
PLM_API size_t      plm_dtype_size(plm_dtype t);
PLM_API const char *plm_dtype_name(plm_dtype t); /* "f32", "i64", "u8" */

/* A view of row-major memory; whoever made the memory owns it. */
typedef struct {
    plm_dtype dtype;
    plm_shape shape;
    void     *data;
} plm_tensor;
PLM_API plm_tensor plm_tensor_wrap(plm_dtype dtype, plm_shape shape, const void *data);

#ifdef __cplusplus
}
#endif
#endif

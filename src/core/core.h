/* core.h (private): what every floor of the house stands on. */
#ifndef PLM__CORE_H
#define PLM__CORE_H

#include <plummet/core.h>

/* ------------------------------------------------------------------ context */

typedef struct plm__block plm__block; /* pool.c */

/* Sizes of pooled blocks come in four steps per octave, so at most a fifth of a block is unused. */
#define PLM__POOL_CLASSES 256

struct plm_ctx {
    plm_status         status;
    char               message[1024]; /* fixed, so that errors work out of memory */
    plm_on_error       on_error;
    void              *on_error_user;
    plm_allocator      allocator;
    uint64_t           seed;
    int                threads;
    bool               check_finite;
    plm_conv_algorithm conv;
    plm_ctx_stats      stats;
    uint64_t           clears; /* calls of plm_ctx_clear: what an error left unfinished is not taken up after it */

    plm__block *pool_free[PLM__POOL_CLASSES];
    plm__block *pool_spare; /* headers without memory */

    /* Told of every record that has run, forward or backward, if set: how plm_bench makes its profile. */
    void (*watch)(void *user, const char *op, const char *node, bool backward, double seconds);
    void *watch_user;

    int gate_depth;                 /* public calls may nest; the outermost one restores the caller's thread count */
    int gate_threads, gate_dynamic; /* the caller's */

    /* State of the floors above, each freed by the function it came with, last floor first.  `reset` may be NULL. */
    struct {
        void *state;
        void (*free)(plm_ctx *ctx, void *state);
        void (*reset)(plm_ctx *ctx, void *state);
    } floor[4];
};

enum { PLM__FLOOR_DNNL, PLM__FLOOR_AUTOGRAD, PLM__FLOOR_NN, PLM__FLOOR_TRAIN };

/* Every public call that may run kernels goes through this gate:
 *     if (!plm__enter(ctx)) return ...;  ...;  plm__leave(ctx);
 * False, without a need to leave: the context has an error already, or we are inside an OpenMP parallel region (where
 * oneDNN hangs), which becomes the error.  `ctx` may be NULL: false. */
bool plm__enter(plm_ctx *ctx, const char *call);
void plm__leave(plm_ctx *ctx);

bool plm__fail(plm_ctx *ctx, plm_status status, const char *fmt, ...) PLM_PRINTF(3, 4); /* always false */
bool plm__vfail(plm_ctx *ctx, plm_status status, const char *fmt, va_list args) PLM_PRINTF(3, 0);
#ifdef __clang_analyzer__ /* it sees one file at a time, and must know "always false" */
#define plm__fail(ctx, error, ...) (plm__fail(ctx, error, __VA_ARGS__), (ctx)->status = (error), false)
#endif

/* A field of a desc: what zero means there unless it was given, and PLM_ZERO as zero itself. */
static inline double plm__or(double given, double standard)
{
    return given == 0 ? standard : given == PLM_ZERO ? 0 : given;
}

double plm__seconds(void); /* of a clock that only goes forward */

/* ------------------------------------------------------------------ memory */

/* Zeroed objects from the context's allocator; NULL after failing with PLM_ERR_MEMORY, naming `what`. */
void *plm__new(plm_ctx *ctx, size_t bytes, const char *what);
void  plm__delete(plm_ctx *ctx, void *object); /* takes NULL */
char *plm__strdup(plm_ctx *ctx, const char *text);
char *plm__strdupf(plm_ctx *ctx, const char *fmt, ...) PLM_PRINTF(2, 3);
/* Makes *array (elements of `size` bytes, *capacity of them) hold at least `need`; new elements are zero. */
bool plm__grow(plm_ctx *ctx, void *array, int *capacity, int need, size_t size, const char *what);

/* A pooled block: 64-byte aligned memory, reference-counted, contents undefined.  Given back to the pool, not the system. */
struct plm__block {
    void       *data;
    size_t      bytes; /* of the memory: at least what was asked for */
    int         refs;
    int         size_class;
    plm__block *next;
};
plm__block *plm__pool_get(plm_ctx *ctx, size_t bytes); /* refs = 1; NULL on error */
void        plm__pool_keep(plm__block *b);
void        plm__pool_drop(plm_ctx *ctx, plm__block *b); /* takes NULL */
void        plm__pool_trim(plm_ctx *ctx);                /* returns unused blocks to the system */

/* ------------------------------------------------------------------ shapes and layouts */

/* a*b of non-negative numbers; false: overflow. */
bool plm__mul(int64_t a, int64_t b, int64_t *product);
/* "[2,3]" into a ring of static-size buffers inside the caller: char t[PLM__SHAPE_TEXT]; plm__shape_text(s, t) returns t. */
#define PLM__SHAPE_TEXT 160
char *plm__shape_text(plm_shape s, char text[PLM__SHAPE_TEXT]);
/* Rank 0..PLM_MAX_RANK, extents >= 1, product of bytes fits: else PLM_ERR_SHAPE "WHERE: ...". */
bool      plm__shape_check(plm_ctx *ctx, plm_shape s, const char *where);
plm_shape plm__shape_batched(int64_t n, plm_shape sample); /* [n, sample...] */
plm_shape plm__shape_sample(plm_shape batch);              /* without axis 0 */

/* Where the elements of a tensor of f32 are: plain data, compared, never assumed.  Element (i_0, i_1, ...) is at
 *   sum_a (i_a / B_a) stride[a]  +  its place in the inner block,
 * B_a the product of the block[]s with axis[] == a; the inner block is row-major over block[0], block[1], ...
 * nChw16c: blocks = 1, block = {16}, axis = {1}, padded[1] = c rounded up to 16.  Same meaning as oneDNN's. */
#define PLM__MAX_BLOCKS 4
#define PLM__ANY (-1) /* as `blocks`: oneDNN shall choose */
typedef struct {
    int32_t rank;
    int32_t blocks; /* inner blocks; 0: strided; PLM__ANY */
    int64_t dim[PLM_MAX_RANK];
    int64_t padded[PLM_MAX_RANK];
    int64_t stride[PLM_MAX_RANK];
    int32_t block[PLM__MAX_BLOCKS];
    int32_t axis[PLM__MAX_BLOCKS];
} plm__layout;

plm__layout plm__layout_plain(plm_shape s); /* row-major */
plm__layout plm__layout_any(plm_shape s);
plm__layout plm__layout_transposed(plm__layout l); /* unblocked: the same memory, the last two axes exchanged */
bool        plm__layout_is_plain(const plm__layout *l);
bool        plm__layout_same(const plm__layout *a, const plm__layout *b); /* strides of extents of 1 do not count */
plm_shape   plm__layout_shape(const plm__layout *l);
int64_t     plm__layout_floats(const plm__layout *l); /* physical, padding included */
bool        plm__layout_padded(const plm__layout *l); /* is there padding? */
int64_t     plm__layout_offset(const plm__layout *l, const int64_t *index);
/* Row-major memory is row-major under any extents of as many elements: `l` under those of `s`.  A layout that has these
 * extents already may be any. */
plm__layout plm__layout_view(const plm__layout *l, plm_shape s);

/* ------------------------------------------------------------------ random numbers */

/* Numbers are a function of (key, element), never of a call counter.  A key is made from a seed, a purpose and whatever
 * else distinguishes the use.  Philox4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". */
typedef struct {
    uint64_t seed, stream;
} plm__key;
typedef enum {
    PLM__RANDOM_INIT = 1,
    PLM__RANDOM_SHUFFLE,
    PLM__RANDOM_SPLIT,
    PLM__RANDOM_CHECK,
    PLM__RANDOM_DATA,
    PLM__RANDOM_DROPOUT,
    PLM__RANDOM_SPECTRAL
} plm__purpose;
plm__key plm__random_key(uint64_t seed, plm__purpose purpose, const char *name, uint64_t step); /* name may be NULL */
uint64_t plm__random_bits(plm__key key, uint64_t element);
double   plm__random_uniform(plm__key key, uint64_t element); /* in [0, 1), 53 bits */
double   plm__random_normal(plm__key key, uint64_t element);
void     plm__random_permutation(plm__key key, int64_t *order, int64_t n); /* Fisher-Yates */

#endif

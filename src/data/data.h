/* data.h (private): what a data set is.
 *
 * Samples live once in a reference-counted store; a data set is a list of indices into it, so that splits share memory.
 * Pixels and columns are stored raw (u8 or f32) and become normalised f32 only in a loader's batch.  Labels are in
 * 0..classes-1 from the moment the data set exists; only a callback's are checked as they come. */
#ifndef PLM__DATA_H
#define PLM__DATA_H

#include "core/checksum.h"
#include "core/core.h"

#include <plummet/data.h>

/* Names are kept for every class, so a stray label must not make billions of them. */
#define PLM__MAX_CLASSES (1 << 20)

/* An error where no context may be touched: a thread's own, until the context's thread hands it on. */
typedef struct {
    plm_status status; /* PLM_OK: none */
    char       message[512];
} plm__fault;

typedef struct {
    plm_ctx          *ctx;
    int               refs;
    char             *name;
    int64_t           count;
    plm_shape         x_shape;     /* of one sample                                     */
    int64_t           x_size;      /* its elements                                      */
    plm_dtype         x_dtype;     /* f32 or u8                                         */
    void             *x;           /* [count, x_size]; NULL: samples come from callback */
    int64_t          *labels;      /* [count]; NULL: regression, or from callback       */
    float            *targets;     /* [count, target_size] for regression, else NULL    */
    int64_t           target_size; /* 0: classification                                 */
    int               classes;     /* 0: regression                                     */
    char            **class_names; /* [classes], one block with their text              */
    bool              normalized;
    plm_normalization normalization; /* resolved: scale is not 0, channels is 1 or x_shape.dim[0] */
    plm_callback_desc callback;

    /* Augmentation, for images [c, h, w] of bytes: `crop` zeros around, a random h x w window of that, perhaps mirrored. */
    int  crop;
    bool flip;

    /* Where the bytes of a sample come from when x and callback are not set: called from any thread, so it touches no
     * context; false after writing why into `fault`.  `augment`: the key of the epoch when the sample shall vary, for a
     * recipe that needs more than the sample to draw from; else NULL. */
    bool (*fetch)(void *source, int64_t at, const plm__key *augment, uint8_t *x, plm__fault *fault);
    void *source;
    void (*source_sum)(const void *source, plm__crc64 *sum); /* adds what tells its samples from others */
    void (*source_free)(plm_ctx *ctx, void *source);         /* NULL: it is not the store's */
} plm__store;

struct plm_dataset {
    plm__store *store;
    int64_t    *index; /* [count] into the store, ascending; NULL: all of it, in order */
    int64_t     count;
};

static inline int64_t plm__dataset_at(const plm_dataset *d, int64_t i)
{
    return d->index ? d->index[i] : i;
}

/* An empty store of `count` samples of that shape, which the caller has checked.  refs = 1; copies the name. */
plm__store *plm__store_new(plm_ctx *ctx, const char *name, int64_t count, plm_shape x_shape);
void        plm__store_drop(plm__store *s); /* takes NULL */

/* Copies `classes` names; NULL: "0", "1", ... */
bool plm__store_name_classes(plm__store *s, int classes, const char *const *names);
/* Checks, resolves and copies; NULL or 0 channels: none.  `where` begins the error. */
bool plm__store_normalize(plm__store *s, const plm_normalization *given, const char *where);

/* A data set of all samples; takes over the caller's reference, which is dropped on failure.  `s` may be NULL: NULL. */
plm_dataset *plm__dataset_over(plm__store *s);

/* The unsigned bytes of an IDX file of `rank` axes, plain or gzipped: *data is the caller's (plm__delete). */
bool plm__idx_read(plm_ctx *ctx, const char *path, int rank, plm_shape *shape, uint8_t **data);

/* A number for all that a training sees of a data set: its form and its samples.  Of image files only names and sizes, of a
 * callback's samples nothing. */
uint64_t plm__dataset_checksum(const plm_dataset *d);

plm_dataset *plm__digits_new(plm_ctx *ctx, bool test);
#define PLM__DIGITS 1797
/* One string a digit: the label, then 64 pixels of 0..16 as 0-9 and a-g. */
extern const char plm__digits[PLM__DIGITS][66];

/* ------------------------------------------------------------------ data sets by name */

/* A data set that is looked for in several folders. */
typedef struct {
    const char *name;
    const char *advice;                                                 /* where its files come from: "; ..." */
    const void *recipe;                                                 /* what the functions below know of it */
    bool (*present)(const void *recipe, const char *folder, bool test); /* are all files of that split there?  */
    void (*wanted)(const void *recipe, bool test, char text[256]);      /* which ones those are                */
    /* `other` may be NULL; else it may get the other split too, where that comes at no cost. */
    plm_dataset *(*open)(plm_ctx *ctx, const void *recipe, const char *folder, bool test, plm_dataset **other);
} plm__named;
extern const plm__named plm__mnist, plm__fashion_mnist, plm__cifar10, plm__cifar100;

/* The path of a file or folder in a folder, if it is there.  One too long to write down cannot be opened. */
#define PLM__PATH 4096
bool plm__locate(const char *folder, const char *file, char path[PLM__PATH]);

/* plm_dataset_named, looking only in these folders and those of the data set's name below them. */
plm_dataset *plm__named_in(plm_ctx *ctx, const char *name, bool test, const char *const *places, int count,
                           plm_dataset **other);

#endif

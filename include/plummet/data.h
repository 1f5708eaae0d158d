/* data.h: data sets and loaders. */
#ifndef PLUMMET_DATA_H
#define PLUMMET_DATA_H

#include <plummet/core.h>
#include <plummet/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct plm_dataset plm_dataset;

/* ------------------------------------------------------------------ your own arrays */

typedef struct {
    plm_tensor         x;       /* [n, ...] f32 or u8, row-major; copied                                             */
    plm_tensor         y;       /* labels [n] i64 in 0..classes-1, or regression targets [n, d] (or [n]) f32; copied */
    int                classes; /* 0: the largest label + 1; ignored for regression                                  */
    const char *const *class_names; /* NULL: "0", "1", ... ; else `classes` names                              */
    const plm_normalization *normalization; /* NULL: none                                                           */
    const char              *name;          /* NULL: "arrays"; for plm_dataset_name                                 */
} plm_arrays_desc;
PLM_API plm_dataset *plm_dataset_from_arrays(plm_ctx *ctx, const plm_arrays_desc *desc);

/* A comma-separated file with a header line; `label` names the column of labels (text or numbers: classes are the distinct
 * values, in sorted order: as numbers if all are and are below 2^53).  All other columns are numbers.  Errors name file, line
 * and column.
 *
 * With .normalize each column has its mean subtracted and is divided by its standard deviation, both over all rows (a
 * constant column becomes 0).  Up to PLM_MAX_CHANNELS columns, that is the data set's normalisation, one channel a column,
 * which a saved network keeps, so that it can be given raw rows.  With more columns there is no room for it there: the
 * numbers are standardised as they are loaded and plm_dataset_normalization is NULL. */
typedef struct {
    const char *label;     /* required                                                          */
    bool        normalize; /* see above                                                         */
} plm_csv_desc;
PLM_API plm_dataset *plm_dataset_from_csv(plm_ctx *ctx, const char *path, const plm_csv_desc *desc);

/* Image files, DIR/CLASS/FILE.png (or .jpg, .jpeg, in any case): classes are the sub-folders, in the order of their bytes, as
 * are the files in each; names that begin with a dot are passed over.  Samples are [3, size, size] (gray: [1, size, size]),
 * decoded whenever a loader needs them, so the folder must stay as it is: a file that has changed since it was first read is an
 * error that names it.
 *
 * The shorter side becomes round(size 256/224) pixels, of which the middle square is the sample; an image that has the
 * sample's size already is taken whole.  The recipe for plm_loader_desc.augment is torchvision's RandomResizedCrop (.08 to 1
 * of the area, sides 3/4 to 4/3) and every other time the mirror image.  Errors: no classes, a class without files, no such
 * folder; and from plm_loader_next, a file that is no image. */
typedef struct {
    int                      size;          /* side of the square samples; 0 means 224                              */
    bool                     gray;          /* .299 red + .587 green + .114 blue; false: colours                    */
    const plm_normalization *normalization; /* NULL: ImageNet's mean and deviation; gray: the averages of those */
} plm_images_desc;
PLM_API plm_dataset *plm_dataset_from_images(plm_ctx *ctx, const char *dir, const plm_images_desc *desc);

/* One image file as a sample of such a data set in testing, of shape [3, n, n] or [1, n, n]: x gets bytes, 0..255, which are
 * not normalised.  False after an error that names the file. */
PLM_API bool plm_image_read(plm_ctx *ctx, const char *path, plm_shape shape, float *x) PLM_MUST_CHECK;

/* Samples made on demand.  `get` fills x (the product of x_shape floats) and *label; false after plm_ctx_fail. */
typedef struct {
    int64_t   count;
    plm_shape x_shape; /* without the batch axis */
    int       classes;
    bool (*get)(void *user, plm_ctx *ctx, int64_t index, float *x, int64_t *label);
    void *user;
} plm_callback_desc;
PLM_API plm_dataset *plm_dataset_from_callback(plm_ctx *ctx, const plm_callback_desc *desc);

/* ------------------------------------------------------------------ named data sets */

typedef struct {
    bool        test; /* the test split; false: training                                                            */
    const char *dir;  /* looked in first; then $PLUMMET_DATA, ~/.cache/plummet, /usr/share/datasets; in each, the folder
                         with the data set's name before the place itself.  NULL: none                              */
    plm_dataset **other; /* not NULL: gets the other split, which is the caller's too; an archive that holds both is
                            read once.  NULL on error                                                               */
} plm_named_desc;
/* "digits" (compiled in: 1,500 training and 297 test images of 8x8), "mnist", "fashion-mnist" (IDX files, gzipped or not),
 * "cifar10", "cifar100" (images of 3x32x32; cifar-10-binary.tar.gz as it is, or unpacked into cifar-10-batches-bin/;
 * cifar-100-binary.tar.gz or cifar-100-binary/, fine labels).  Each file of CIFAR may hold any number of whole records, all
 * files of a split the same.  `tools/fetch-data` downloads mnist, cifar10 and cifar100.
 * Normalised by the training images' mean and deviation, per channel, as in the AGD paper.  A name that is not known, or
 * files that are not there, is an error that says where it looked. */
PLM_API plm_dataset *plm_dataset_named(plm_ctx *ctx, const char *name, const plm_named_desc *desc);

PLM_API void plm_dataset_free(plm_dataset *d); /* loaders of it must be freed before */

/* Splits into two that share the memory of `d`: `first` gets floor(fraction count) samples drawn by the context's seed,
 * `second` the rest, both in the original order.  `d` itself may be freed after.  With .ordered: the first ones, as they are. */
typedef struct {
    bool ordered;
} plm_split_desc;
PLM_API bool plm_dataset_split(plm_dataset *d, double fraction, const plm_split_desc *desc, plm_dataset **first,
                               plm_dataset **second) PLM_MUST_CHECK;

PLM_API int64_t                  plm_dataset_count(const plm_dataset *d);
PLM_API plm_shape                plm_dataset_x_shape(const plm_dataset *d); /* of one sample */
PLM_API int                      plm_dataset_classes(const plm_dataset *d); /* 0: regression */
PLM_API const char              *plm_dataset_class(const plm_dataset *d, int i);
PLM_API const char              *plm_dataset_name(const plm_dataset *d); /* "digits", "csv:FILE", "arrays" ... */
PLM_API const plm_normalization *plm_dataset_normalization(const plm_dataset *d);
/* Has it a recipe for plm_loader_desc.augment? */
PLM_API bool plm_dataset_augments(const plm_dataset *d);

/* ------------------------------------------------------------------ loader */

typedef struct plm_loader plm_loader;

typedef struct {
    int64_t batch; /* samples at a time; 0 means 128; the last batch of an epoch may be shorter                       */
    bool shuffle;  /* a new order every epoch, a function of (context seed, epoch)                                    */
    bool augment;  /* by the data set's recipe, a function of (context seed, epoch, sample).  cifar10, cifar100: 4 black
                      pixels on each side, a random 32x32 window of that, mirrored every other time.  Images in folders:
                      see there.  Others have none: then nothing is changed                                                                         */
    bool prefetch; /* a thread fills the next batch while this one is in use: the same bytes, sooner.  Samples of a
                      callback are made in the caller's thread all the same                                           */
} plm_loader_desc;

/* x [n, ...] f32, normalised; y [n] i64 labels or [n, d] f32 targets; lent until the next call of next or free. */
typedef struct {
    plm_tensor x, y;
    int64_t    count;
} plm_batch;

PLM_API plm_loader *plm_loader_new(plm_dataset *d, const plm_loader_desc *desc);
PLM_API void        plm_loader_free(plm_loader *l);
/* False at the end of an epoch (the next call begins the next one) and on error. */
PLM_API bool plm_loader_next(plm_loader *l, plm_batch *batch);
/* Puts the loader at the beginning of an epoch (0, 1, ...). */
PLM_API void plm_loader_seek(plm_loader *l, int64_t epoch);
/* Passes over so many batches of the epoch without making them; at most to its end. */
PLM_API void plm_loader_skip(plm_loader *l, int64_t batches);

#ifdef __cplusplus
}
#endif
#endif

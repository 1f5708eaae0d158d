/* mnist.c: MNIST and the data sets that come in the same four files. */
#include "data/data.h"

#include <stdio.h>

#define SIDE 28
#define CLASSES 10

typedef struct {
    const char *name;
    double      mean, std;            /* of the training pixels divided by 255 */
    const char *class_names[CLASSES]; /* NULL: "0", "1", ...                   */
} idx_set;

typedef struct {
    char images[PLM__PATH], labels[PLM__PATH];
} idx_paths;

/* The path of a file in `folder`, plain or gzipped, if there is one. */
static bool locate(const char *folder, bool test, const char *what, char path[PLM__PATH])
{
    char file[64];
    snprintf(file, sizeof file, "%s-%s-ubyte", test ? "t10k" : "train", what);
    if (plm__locate(folder, file, path)) return true;
    snprintf(file, sizeof file, "%s-%s-ubyte.gz", test ? "t10k" : "train", what);
    return plm__locate(folder, file, path);
}

static bool find_files(const char *folder, bool test, idx_paths *paths)
{
    return locate(folder, test, "images-idx3", paths->images) && locate(folder, test, "labels-idx1", paths->labels);
}

static bool present(const void *recipe, const char *folder, bool test)
{
    idx_paths paths;
    (void)recipe;
    return find_files(folder, test, &paths);
}

static void wanted(const void *recipe, bool test, char text[256])
{
    const char *part = test ? "t10k" : "train";
    (void)recipe;
    snprintf(text, 256, "%s-images-idx3-ubyte[.gz] and %s-labels-idx1-ubyte[.gz]", part, part);
}

static bool check_images(plm_ctx *ctx, const idx_set *set, const idx_paths *paths, plm_shape images, plm_shape labels)
{
    if (images.dim[1] != SIDE || images.dim[2] != SIDE)
        return plm__fail(ctx, PLM_ERR_FORMAT, "%s has images of %lldx%lld, those of %s are %dx%d", paths->images,
                         (long long)images.dim[1], (long long)images.dim[2], set->name, SIDE, SIDE);
    if (images.dim[0] != labels.dim[0])
        return plm__fail(ctx, PLM_ERR_FORMAT, "%s has %lld images, but %s has %lld labels", paths->images,
                         (long long)images.dim[0], paths->labels, (long long)labels.dim[0]);
    return true;
}

static bool keep_labels(plm__store *s, const uint8_t *bytes, const char *path)
{
    s->labels = plm__new(s->ctx, (size_t)s->count * sizeof *s->labels, "labels");
    if (!s->labels) return false;
    for (int64_t i = 0; i < s->count; i++) {
        if (bytes[i] >= CLASSES)
            return plm__fail(s->ctx, PLM_ERR_FORMAT, "%s: label %d of image %lld is not in 0..%d", path, bytes[i],
                             (long long)i, CLASSES - 1);
        s->labels[i] = bytes[i];
    }
    return true;
}

/* `pixels` become the store's; `labels` stay the caller's. */
static plm_dataset *keep(plm_ctx *ctx, const idx_set *set, int64_t count, uint8_t *pixels, const uint8_t *labels,
                         const char *labels_path)
{
    plm__store *s = plm__store_new(ctx, set->name, count, plm_shape_of(1, SIDE, SIDE));
    if (!s) {
        plm__delete(ctx, pixels);
        return NULL;
    }
    s->x          = pixels;
    s->x_dtype    = PLM_U8;
    s->normalized = true;
    s->normalization =
        (plm_normalization){ .scale = 1.0 / 255, .channels = 1, .mean = { set->mean }, .std = { set->std } };
    if (keep_labels(s, labels, labels_path) &&
        plm__store_name_classes(s, CLASSES, set->class_names[0] ? set->class_names : NULL))
        return plm__dataset_over(s);
    plm__store_drop(s);
    return NULL;
}

static plm_dataset *load(plm_ctx *ctx, const idx_set *set, const idx_paths *paths)
{
    plm_shape    images_shape, labels_shape;
    uint8_t     *images = NULL, *labels = NULL;
    plm_dataset *d = NULL;
    if (plm__idx_read(ctx, paths->images, 3, &images_shape, &images) &&
        plm__idx_read(ctx, paths->labels, 1, &labels_shape, &labels) &&
        check_images(ctx, set, paths, images_shape, labels_shape)) {
        d      = keep(ctx, set, images_shape.dim[0], images, labels, paths->labels);
        images = NULL;
    }
    plm__delete(ctx, images);
    plm__delete(ctx, labels);
    return d;
}

static plm_dataset *open_set(plm_ctx *ctx, const void *recipe, const char *folder, bool test, plm_dataset **other)
{
    idx_paths paths;
    (void)other; /* files of its own */
    if (find_files(folder, test, &paths)) return load(ctx, recipe, &paths);
    plm__fail(ctx, PLM_ERR_IO, "%s: its files have gone while we looked", folder);
    return NULL;
}

static const idx_set mnist   = { .name = "mnist", .mean = .1307, .std = .3081 };
static const idx_set fashion = { .name        = "fashion-mnist",
                                 .mean        = .2860,
                                 .std         = .3530,
                                 .class_names = { "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal",
                                                  "Shirt", "Sneaker", "Bag", "Ankle boot" } };

const plm__named plm__mnist         = { .name    = "mnist",
                                        .advice  = "; tools/fetch-data mnist gets them",
                                        .recipe  = &mnist,
                                        .present = present,
                                        .wanted  = wanted,
                                        .open    = open_set };
const plm__named plm__fashion_mnist = { .name = "fashion-mnist",
                                        .advice =
                                            "; on Debian and Ubuntu the package dataset-fashion-mnist brings them",
                                        .recipe  = &fashion,
                                        .present = present,
                                        .wanted  = wanted,
                                        .open    = open_set };

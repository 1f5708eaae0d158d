/* named.c: data sets by name, and where their files are looked for. */
#include "data/data.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SIDE 28
#define CLASSES 10
#define MAX_PLACES 4

typedef struct {
    const char *name;
    double      mean, std;            /* of the training pixels divided by 255 */
    const char *class_names[CLASSES]; /* NULL: "0", "1", ...                   */
    const char *advice;               /* where the files come from, or ""      */
} idx_set;

static const idx_set idx_sets[] = {
    { .name = "mnist", .mean = .1307, .std = .3081, .advice = "" },
    { .name        = "fashion-mnist",
      .mean        = .2860,
      .std         = .3530,
      .class_names = { "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                       "Ankle boot" },
      .advice      = "; on Debian and Ubuntu the package dataset-fashion-mnist brings them" },
};

static const idx_set *find_set(const char *name)
{
    for (size_t i = 0; i < sizeof idx_sets / sizeof *idx_sets; i++)
        if (strcmp(idx_sets[i].name, name) == 0) return &idx_sets[i];
    return NULL;
}

/* Adds to a list for a message, which may be cut short. */
static void append(char *list, size_t room, const char *item)
{
    size_t used = strlen(list);
    if (snprintf(list + used, room - used, "%s%s", used ? ", " : "", item) < 0) list[used] = '\0';
}

/* The path of `file` in `folder`, plain or gzipped, if there is one.  A path too long to write down cannot be opened. */
static bool locate(const char *folder, const char *file, char path[PATH_MAX])
{
    static const char *const ending[] = { "", ".gz" };
    for (int i = 0; i < 2; i++) {
        struct stat info;
        int         length = snprintf(path, PATH_MAX, "%s/%s%s", folder, file, ending[i]);
        if (length > 0 && length < PATH_MAX && stat(path, &info) == 0) return true;
    }
    return false;
}

typedef struct {
    char images[PATH_MAX], labels[PATH_MAX];
} idx_paths;

/* The folder named like the data set comes before the one above it: all these data sets use the same file names. */
static bool find_files(plm_ctx *ctx, const idx_set *set, bool test, const char *const *places, int count,
                       idx_paths *found)
{
    const char *part = test ? "t10k" : "train";
    char        images[64], labels[64], looked[768] = "";
    snprintf(images, sizeof images, "%s-images-idx3-ubyte", part);
    snprintf(labels, sizeof labels, "%s-labels-idx1-ubyte", part);
    for (int i = 0; i < 2 * count; i++) {
        char folder[PATH_MAX];
        int  length = i % 2 ? snprintf(folder, sizeof folder, "%s", places[i / 2])
                            : snprintf(folder, sizeof folder, "%s/%s", places[i / 2], set->name);
        if (length < 0 || (size_t)length >= sizeof folder) continue;
        if (locate(folder, images, found->images) && locate(folder, labels, found->labels)) return true;
        append(looked, sizeof looked, folder);
    }
    return plm__fail(ctx, PLM_ERR_IO, "%s: no folder with %s[.gz] and %s[.gz]; looked in %s%s", set->name, images,
                     labels, looked, set->advice);
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

plm_dataset *plm__named_in(plm_ctx *ctx, const char *name, bool test, const char *const *places, int count)
{
    const idx_set *set = find_set(name);
    idx_paths      paths;
    if (set) return find_files(ctx, set, test, places, count, &paths) ? load(ctx, set, &paths) : NULL;
    char known[256] = "digits";
    for (size_t i = 0; i < sizeof idx_sets / sizeof *idx_sets; i++) append(known, sizeof known, idx_sets[i].name);
    plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_named: \"%s\" is not one of the known data sets %s", name, known);
    return NULL;
}

plm_dataset *plm_dataset_named(plm_ctx *ctx, const char *name, const plm_named_desc *desc)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!name) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_named: name is NULL");
        return NULL;
    }
    plm_named_desc d = desc ? *desc : (plm_named_desc){ 0 };
    if (strcmp(name, "digits") == 0) return plm__digits_new(ctx, d.test);
    const char *places[MAX_PLACES], *data = getenv("PLUMMET_DATA"), *home = getenv("HOME");
    char        cache[PATH_MAX];
    int         count = 0;
    if (d.dir) places[count++] = d.dir;
    if (data && *data) places[count++] = data;
    if (home && *home && snprintf(cache, sizeof cache, "%s/.cache/plummet", home) < (int)sizeof cache)
        places[count++] = cache;
    places[count++] = "/usr/share/datasets";
    return plm__named_in(ctx, name, d.test, places, count);
}

/* images.c: a folder of image files, one sub-folder a class.
 *
 * Only names are kept.  A file is decoded when its sample is needed, in whichever thread fills the batch, and a window of it
 * is resized straight to the sample: the middle, or one drawn for (seed, epoch, sample).  Mirroring is left to fill.c, as
 * that needs no more than the sample.  Source: torchvision's Resize(256), CenterCrop(224) and RandomResizedCrop(224). */
#include "data/image.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DEFAULT_SIZE 224
#define MAX_SIZE (1 << 14) /* PLM__MAX_PIXELS in a square */
#define TRIES 10
#define DRAWS 64 /* random numbers set aside for a sample: 4 a try */

typedef struct {
    const plm__store *store; /* of which this is the source   */
    const char       *dir;
    const char      **file; /* [count]: names in their class */
    _Atomic uint64_t *mark; /* [count]: of a file when it was first read; 0: not yet.  From any thread. */
    int               size;
    bool              gray;
} images;

/* ------------------------------------------------------------------ samples */

/* The middle square of what resizing to 256/224 of the size would give, in pixels of the image; all of an image that has the
 * size already. */
static plm__window middle(const plm__image *image, int size)
{
    const double w = (double)image->width, h = (double)image->height;
    const bool   fits = image->width == size && image->height == size;
    const double side = fits ? size : fmin(w, h) * size / fmax(size, round(size * 256. / 224));
    return (plm__window){ (w - side) / 2, (h - side) / 2, side, side };
}

/* The largest window in the middle whose sides are 3/4 to 4/3: for images so long that all tries fail. */
static plm__window fallback(double w, double h)
{
    const double width = fmin(w, round(h * 4 / 3)), height = fmin(h, round(w * 4 / 3));
    return (plm__window){ floor((w - width) / 2), floor((h - height) / 2), width, height };
}

static plm__window draw(const plm__image *image, plm__key key, int64_t at)
{
    const double w = (double)image->width, h = (double)image->height;
    for (uint64_t try = 0; try < TRIES; try++) {
        double u[4];
        for (uint64_t i = 0; i < 4; i++) u[i] = plm__random_uniform(key, (uint64_t)at * DRAWS + 4 * try + i);
        const double area = w * h * (.08 + .92 * u[0]), aspect = pow(4. / 3, 2 * u[1] - 1);
        const double width = round(sqrt(area * aspect)), height = round(sqrt(area / aspect));
        if (width < 1 || width > w || height < 1 || height > h) continue;
        return (plm__window){ floor(u[2] * (w - width + 1)), floor(u[3] * (h - height + 1)), width, height };
    }
    return fallback(w, h);
}

static bool path_of(const images *m, int64_t at, char path[PLM__PATH])
{
    const plm__store *s = m->store;
    return snprintf(path, PLM__PATH, "%s/%s/%s", m->dir, s->class_names[s->labels[at]], m->file[at]) < PLM__PATH;
}

/* A file's size and time of change as one number; 0: it cannot be asked, which reading it will say better. */
static uint64_t mark_of(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) return 0;
    const uint64_t time = (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
    return ((uint64_t)info.st_size * UINT64_C(0x9E3779B97F4A7C15) ^ time) | 1;
}

static bool fetch(void *source, int64_t at, const plm__key *augment, uint8_t *x, plm__fault *fault)
{
    const images *m = source;
    char          path[PLM__PATH];
    plm__image    image;
    if (!path_of(m, at, path))
        return plm__image_fail(fault, PLM_ERR_IO, "%.256s...: a path of more than %d bytes", path, PLM__PATH - 1);
    const uint64_t before = atomic_load(&m->mark[at]), mark = mark_of(path);
    if (before && mark && mark != before)
        return plm__image_fail(fault, PLM_ERR_IO, "%s has changed since it was first read", path);
    if (!plm__image_read(path, &image, fault)) return false;
    atomic_store(&m->mark[at], mark);
    const plm__window window = augment ? draw(&image, *augment, at) : middle(&image, m->size);
    const bool        ok     = plm__image_resize(&image, window, m->size, m->size, m->gray, x, fault);
    plm__image_drop(&image);
    return ok;
}

/* ------------------------------------------------------------------ the folder */

/* What scandir found; its entries are malloc's. */
typedef struct {
    struct dirent **entry;
    int             count;
} listing;

static void listing_drop(listing *l)
{
    for (int i = 0; i < l->count; i++) free(l->entry[i]);
    free(l->entry);
    *l = (listing){ 0 };
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int is_image(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return visible(entry) && end &&
           (strcasecmp(end, ".png") == 0 || strcasecmp(end, ".jpg") == 0 || strcasecmp(end, ".jpeg") == 0);
}

static bool list(plm_ctx *ctx, const char *path, int (*wanted)(const struct dirent *), listing *l)
{
    l->count = scandir(path, &l->entry, wanted, by_bytes);
    if (l->count >= 0) return true;
    *l = (listing){ 0 };
    return plm__fail(ctx, errno == ENOMEM ? PLM_ERR_MEMORY : PLM_ERR_IO, "%s: cannot list the folder: %s", path,
                     strerror(errno));
}

/* Leaves the folders only. */
static bool list_classes(plm_ctx *ctx, const char *dir, listing *l)
{
    if (!list(ctx, dir, visible, l)) return false;
    int kept = 0;
    for (int i = 0; i < l->count; i++) {
        struct stat info;
        char        path[PLM__PATH];
        const bool  folder =
            plm__locate(dir, l->entry[i]->d_name, path) && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
        if (folder) l->entry[kept++] = l->entry[i];
        else free(l->entry[i]);
    }
    l->count = kept;
    if (kept == 0) return plm__fail(ctx, PLM_ERR_FORMAT, "%s has no sub-folders, expected one for each class", dir);
    return kept <= PLM__MAX_CLASSES ||
           plm__fail(ctx, PLM_ERR_FORMAT, "%s has %d sub-folders, expected at most %d classes", dir, kept,
                     PLM__MAX_CLASSES);
}

static bool list_files(plm_ctx *ctx, const char *dir, const char *name, listing *l)
{
    char path[PLM__PATH];
    if (!plm__locate(dir, name, path)) return plm__fail(ctx, PLM_ERR_IO, "%s/%s is not there any more", dir, name);
    if (!list(ctx, path, is_image, l)) return false;
    return l->count > 0 || plm__fail(ctx, PLM_ERR_FORMAT, "%s has no .png, .jpg or .jpeg file", path);
}

/* ------------------------------------------------------------------ the data set */

static void images_sum(const void *source, plm__crc64 *sum)
{
    const images *m = source;
    char          path[PLM__PATH];
    for (int64_t i = 0; i < m->store->count; i++) {
        struct stat   info;
        const int64_t bytes = path_of(m, i, path) && stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
        plm__crc64_add(sum, m->file[i], strlen(m->file[i]) + 1);
        plm__crc64_add(sum, &bytes, sizeof bytes);
    }
}

static void images_free(plm_ctx *ctx, void *source)
{
    plm__delete(ctx, source);
}

/* The source: names of all files and of the folder, in one block. */
static bool keep_names(plm__store *s, const char *dir, const listing *files, int classes, images m)
{
    size_t text = strlen(dir) + 1;
    for (int k = 0; k < classes; k++)
        for (int i = 0; i < files[k].count; i++) text += strlen(files[k].entry[i]->d_name) + 1;
    images *kept =
        plm__new(s->ctx, sizeof m + (size_t)s->count * (sizeof *m.file + sizeof *m.mark) + text, "the names of images");
    s->labels      = kept ? plm__new(s->ctx, (size_t)s->count * sizeof *s->labels, "labels") : NULL;
    s->source      = kept;
    s->source_sum  = images_sum;
    s->source_free = images_free;
    if (!s->labels) return false;
    *kept       = m;
    kept->store = s;
    kept->file  = (const char **)(kept + 1);
    kept->mark  = (_Atomic uint64_t *)(kept->file + s->count);
    char *at    = (char *)(kept->mark + s->count);
    kept->dir   = strcpy(at, dir);
    at += strlen(dir) + 1;
    for (int64_t k = 0, n = 0; k < classes; k++)
        for (int i = 0; i < files[k].count; i++, n++) {
            s->labels[n]  = k;
            kept->file[n] = strcpy(at, files[k].entry[i]->d_name);
            at += strlen(at) + 1;
        }
    return true;
}

static bool name_classes(plm__store *s, const listing *classes)
{
    const char **names = plm__new(s->ctx, (size_t)classes->count * sizeof *names, "class names");
    if (!names) return false;
    for (int k = 0; k < classes->count; k++) names[k] = classes->entry[k]->d_name;
    const bool ok = plm__store_name_classes(s, classes->count, names);
    plm__delete(s->ctx, names);
    return ok;
}

static plm__store *store_over(plm_ctx *ctx, const char *dir, const listing *classes, const listing *files,
                              const plm_images_desc *d)
{
    static const plm_normalization imagenet = { 1 / 255., 3, { .485, .456, .406 }, { .229, .224, .225 } },
                                   gray     = { 1 / 255., 1, { .449 }, { .226 } };
    int64_t count                           = 0;
    char    name[PLM__PATH];
    for (int k = 0; k < classes->count; k++) count += files[k].count;
    snprintf(name, sizeof name, "images:%s", dir);
    plm__store *s = plm__store_new(ctx, name, count, plm_shape_of(d->gray ? 1 : 3, d->size, d->size));
    if (!s) return NULL;
    s->x_dtype = PLM_U8;
    s->flip    = true;
    s->fetch   = fetch;
    if (plm__store_normalize(s,
                             d->normalization ? d->normalization
                             : d->gray        ? &gray
                                              : &imagenet,
                             "plm_dataset_from_images") &&
        name_classes(s, classes) &&
        keep_names(s, dir, files, classes->count, (images){ .size = d->size, .gray = d->gray }))
        return s;
    plm__store_drop(s);
    return NULL;
}

plm_dataset *plm_dataset_from_images(plm_ctx *ctx, const char *dir, const plm_images_desc *desc)
{
    plm_images_desc d       = desc ? *desc : (plm_images_desc){ 0 };
    listing         classes = { 0 };
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (d.size == 0) d.size = DEFAULT_SIZE;
    if (!dir) plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_images: dir is NULL");
    else if (d.size < 1 || d.size > MAX_SIZE)
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_images: size is %d, expected 0 to %d", d.size, MAX_SIZE);
    else list_classes(ctx, dir, &classes);
    listing *files = ctx->status == PLM_OK ? plm__new(ctx, (size_t)classes.count * sizeof *files, "a folder") : NULL;
    int      read  = 0;
    if (files) memset(files, 0, (size_t)classes.count * sizeof *files);
    while (files && read < classes.count && list_files(ctx, dir, classes.entry[read]->d_name, &files[read])) read++;
    plm__store *s = files && ctx->status == PLM_OK ? store_over(ctx, dir, &classes, files, &d) : NULL;
    for (int k = 0; files && k < classes.count; k++) listing_drop(&files[k]);
    plm__delete(ctx, files);
    listing_drop(&classes);
    return plm__dataset_over(s);
}

bool plm_image_read(plm_ctx *ctx, const char *path, plm_shape shape, float *x)
{
    plm__fault fault = { PLM_OK, "" };
    plm__image image = { 0 };
    char       text[PLM__SHAPE_TEXT];
    if (!ctx || ctx->status != PLM_OK) return false;
    if (!path || !x) return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_image_read: %s is NULL", path ? "x" : "path");
    if (shape.rank != 3 || (shape.dim[0] != 1 && shape.dim[0] != 3) || shape.dim[1] != shape.dim[2] ||
        shape.dim[1] < 1 || shape.dim[1] > MAX_SIZE)
        return plm__fail(ctx, PLM_ERR_SHAPE, "%s: an image cannot become %s, expected [1,n,n] or [3,n,n]", path,
                         plm__shape_text(shape, text));
    const int     size  = (int)shape.dim[1];
    const int64_t count = plm_shape_count(shape);
    uint8_t      *bytes = plm__new(ctx, (size_t)count, "an image");
    bool          ok    = bytes;
    if (ok && (!plm__image_read(path, &image, &fault) ||
               !plm__image_resize(&image, middle(&image, size), size, size, shape.dim[0] == 1, bytes, &fault)))
        ok = plm__fail(ctx, fault.status, "%s", fault.message);
    for (int64_t i = 0; ok && i < count; i++) x[i] = bytes[i];
    plm__image_drop(&image);
    plm__delete(ctx, bytes);
    return ok;
}

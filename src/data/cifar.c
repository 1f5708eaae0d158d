/* cifar.c: CIFAR-10 and CIFAR-100, from the official archives or unpacked.
 *
 * A file is a row of records: the label (CIFAR-100: a coarse one, passed over, and a fine one), then 32x32 pixels as planes
 * of red, green and blue.  Archives are read in one pass, records going where they stay; for the other split they are passed
 * over, or kept as well.  The order of samples is that of the files' numbers, wherever they are in the archive.
 * Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html. */
#include "data/data.h"
#include "data/tar.h"

#include <stdio.h>
#include <string.h>

#define SIDE 32
#define PIXELS ((int64_t)3 * SIDE * SIDE)
#define MAX_FILES 5
#define MAX_CLASSES 100
#define MAX_LABELS 2
#define NAMES_BYTES 8192

typedef struct {
    const char *name, *archive, *folder;
    const char *files[2][MAX_FILES + 1]; /* of the training and of the test split, up to a NULL                   */
    int         labels;                  /* label bytes of a record, the last one being the sample's class        */
    int         classes[MAX_LABELS];     /* what each of those is below                                           */
    const char *class_names[MAX_CLASSES];
    const char *names_file; /* class names, a line each, where class_names has none */
    double      mean[3], std[3];
} cifar_set;

typedef struct {
    plm_ctx         *ctx;
    const cifar_set *set;
    bool             wanted[2];
    plm__store      *store[2];
    int64_t          per_file[2]; /* records                    */
    bool             seen[2][MAX_FILES];
    char             names[NAMES_BYTES]; /* the text of names_file     */
    bool             named;              /* ... which has been read    */
    int64_t          holds;              /* no more bytes can there be */
} reading;

/* A file of records or names, in the archive or by itself. */
typedef struct {
    plm__gzip *file;
    plm__tar  *tar; /* NULL: by itself */
    int64_t    bytes;
    char       where[PLM__PATH + 128]; /* for errors */
} member;

static bool member_read(member *m, void *to, int64_t bytes)
{
    return m->tar ? plm__tar_read(m->tar, to, bytes) : plm__gzip_read(m->file, to, bytes);
}

static int file_count(const cifar_set *set, int split)
{
    int n = 0;
    while (set->files[split][n]) n++;
    return n;
}

/* The store of a split whose files have `per_file` records each. */
static bool new_store(reading *r, const member *m, int split, int64_t per_file)
{
    const cifar_set *set = r->set;
    int64_t          count, bytes;
    if (!plm__mul(per_file, file_count(set, split), &count) || !plm__mul(count, PIXELS + set->labels, &bytes) ||
        bytes > r->holds)
        return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s: %d files of its %lld records are more than there is", m->where,
                         file_count(set, split), (long long)per_file);
    plm__store *s = plm__store_new(r->ctx, set->name, count, plm_shape_of(3, SIDE, SIDE));
    if (!s) return false;
    r->store[split]    = s;
    r->per_file[split] = per_file;
    s->x_dtype         = PLM_U8;
    s->x               = plm__new(r->ctx, (size_t)(count * PIXELS), set->name);
    s->labels          = s->x ? plm__new(r->ctx, (size_t)count * sizeof *s->labels, set->name) : NULL;
    s->crop            = 4;
    s->flip            = true;
    s->normalized      = true;
    s->normalization   = (plm_normalization){ .scale = 1.0 / 255, .channels = 3 };
    memcpy(s->normalization.mean, set->mean, sizeof set->mean);
    memcpy(s->normalization.std, set->std, sizeof set->std);
    return s->labels;
}

static bool read_records(reading *r, member *m, int split, int64_t first, int64_t count)
{
    const cifar_set *set = r->set;
    plm__store      *s   = r->store[split];
    for (int64_t i = 0; i < count; i++) {
        uint8_t label[MAX_LABELS];
        if (!member_read(m, label, set->labels) || !member_read(m, (uint8_t *)s->x + (first + i) * PIXELS, PIXELS))
            return false;
        for (int k = 0; k < set->labels; k++)
            if (label[k] >= set->classes[k])
                return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s: %slabel %d of record %lld is not in 0..%d", m->where,
                                 k + 1 < set->labels ? "coarse " : "", label[k], (long long)i, set->classes[k] - 1);
        s->labels[first + i] = label[set->labels - 1];
    }
    return true;
}

static bool take_records(reading *r, member *m, int split, int number)
{
    const int     record = PIXELS + r->set->labels;
    const int64_t count  = m->bytes / record;
    if (r->seen[split][number]) return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s is there twice", m->where);
    r->seen[split][number] = true;
    if (count == 0 || m->bytes % record != 0)
        return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s has %lld bytes, expected a whole number of records of %d",
                         m->where, (long long)m->bytes, record);
    if (!r->store[split] && !new_store(r, m, split, count)) return false;
    if (count != r->per_file[split])
        return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s has %lld records, the file read before it has %lld", m->where,
                         (long long)count, (long long)r->per_file[split]);
    return read_records(r, m, split, number * count, count);
}

static bool take_names(reading *r, member *m)
{
    if (m->bytes >= NAMES_BYTES)
        return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s has %lld bytes, too many for %d class names", m->where,
                         (long long)m->bytes, r->set->classes[r->set->labels - 1]);
    r->named           = true;
    r->names[m->bytes] = '\0';
    return member_read(m, r->names, m->bytes);
}

static bool take(reading *r, member *m, const char *name)
{
    for (int split = 0; split < 2; split++)
        for (int i = 0; r->wanted[split] && r->set->files[split][i]; i++)
            if (strcmp(name, r->set->files[split][i]) == 0) return take_records(r, m, split, i);
    return !r->set->names_file || strcmp(name, r->set->names_file) != 0 || take_names(r, m);
}

static bool read_archive(reading *r, plm__gzip *file)
{
    plm__tar tar = { .file = file };
    bool     found;
    r->holds = plm__gzip_holds(file);
    while (plm__tar_next(&tar, &found)) {
        member m = { .file = file, .tar = &tar, .bytes = tar.size };
        snprintf(m.where, sizeof m.where, "%s: %s", file->path, tar.name);
        if (found && !take(r, &m, tar.name)) return false;
        if (found) continue;
        for (int split = 0; split < 2; split++)
            for (int i = 0; r->wanted[split] && r->set->files[split][i]; i++)
                if (!r->seen[split][i])
                    return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s has no member %s", file->path,
                                     r->set->files[split][i]);
        return true;
    }
    return false;
}

static bool read_file(reading *r, const char *folder, const char *name, int files)
{
    plm__gzip file;
    member    m = { .file = &file };
    plm__locate(folder, name, m.where);
    bool ok = plm__gzip_open(&file, r->ctx, m.where);
    if (ok) {
        m.bytes = file.size;
        if (!plm__mul(file.size, files, &r->holds)) r->holds = INT64_MAX; /* all files are of one size */
        ok = take(r, &m, name) && plm__gzip_end(&file, false);
    }
    plm__gzip_close(&file);
    return ok;
}

static bool read_folder(reading *r, const char *folder, int split)
{
    const char *const *files = r->set->files[split];
    char               path[PLM__PATH];
    for (int i = 0; files[i]; i++)
        if (!read_file(r, folder, files[i], file_count(r->set, split))) return false;
    return !r->set->names_file || !plm__locate(folder, r->set->names_file, path) ||
           read_file(r, folder, r->set->names_file, 1);
}

/* Cuts the text of the names into lines: as many as there are classes. */
static bool cut_names(reading *r, const char *path, const char *names[MAX_CLASSES])
{
    const int classes = r->set->classes[r->set->labels - 1];
    int       count   = 0;
    for (char *line = r->names, *next; *line; line = next) {
        const size_t length = strcspn(line, "\r\n");
        next                = line + length + strspn(line + length, "\r\n");
        line[length]        = '\0';
        if (length > 0 && count < classes) names[count] = line;
        count += length > 0;
        for (const char *c = line; *c; c++)
            if ((uint8_t)*c < ' ')
                return plm__fail(r->ctx, PLM_ERR_FORMAT, "%s: %s: line %d has the byte 0x%02x", path,
                                 r->set->names_file, count, *c);
    }
    return count == classes || plm__fail(r->ctx, PLM_ERR_FORMAT, "%s: %s has %d class names, expected %d", path,
                                         r->set->names_file, count, classes);
}

static bool name_classes(reading *r, const char *path)
{
    const char *names[MAX_CLASSES];
    if (r->named && !cut_names(r, path, names)) return false;
    for (int split = 0; split < 2; split++)
        if (r->store[split] && !plm__store_name_classes(r->store[split], r->set->classes[r->set->labels - 1],
                                                        r->named                 ? names
                                                        : r->set->class_names[0] ? r->set->class_names
                                                                                 : NULL))
            return false;
    return true;
}

/* Has the folder all files of the split, unpacked?  Then they are taken: that is faster. */
static bool unpacked(const cifar_set *set, const char *folder, bool test, char inner[PLM__PATH])
{
    char path[PLM__PATH];
    if (!plm__locate(folder, set->folder, inner)) return false;
    for (int i = 0; set->files[test][i]; i++)
        if (!plm__locate(inner, set->files[test][i], path)) return false;
    return true;
}

static bool present(const void *recipe, const char *folder, bool test)
{
    const cifar_set *set = recipe;
    char             path[PLM__PATH];
    return unpacked(set, folder, test, path) || plm__locate(folder, set->archive, path);
}

static void wanted(const void *recipe, bool test, char text[256])
{
    const cifar_set *set  = recipe;
    const int        last = file_count(set, test) - 1;
    snprintf(text, 256, "%s or %s/%s%s%s", set->archive, set->folder, set->files[test][0], last ? " ... " : "",
             last ? set->files[test][last] : "");
}

static bool read_either(reading *r, const char *folder, bool test, char path[PLM__PATH])
{
    plm__gzip file;
    r->wanted[test] = true;
    if (unpacked(r->set, folder, test, path)) {
        r->wanted[!test] = false;
        return read_folder(r, path, test) && name_classes(r, path);
    }
    plm__locate(folder, r->set->archive, path);
    bool ok = plm__gzip_open(&file, r->ctx, path) && read_archive(r, &file) && name_classes(r, path);
    plm__gzip_close(&file);
    return ok;
}

static plm_dataset *open_set(plm_ctx *ctx, const void *recipe, const char *folder, bool test, plm_dataset **other)
{
    reading r = { .ctx = ctx, .set = recipe, .wanted = { other != NULL, other != NULL } };
    char    path[PLM__PATH];
    bool    ok = read_either(&r, folder, test, path);
    if (!ok)
        for (int split = 0; split < 2; split++) plm__store_drop(r.store[split]);
    if (!ok) return NULL;
    plm_dataset *d = plm__dataset_over(r.store[test]);
    if (other) *other = plm__dataset_over(r.store[!test]);
    if (ctx->status == PLM_OK) return d;
    plm_dataset_free(d);
    if (other) plm_dataset_free(*other);
    if (other) *other = NULL;
    return NULL;
}

static const cifar_set cifar10 = {
    .name    = "cifar10",
    .archive = "cifar-10-binary.tar.gz",
    .folder  = "cifar-10-batches-bin",
    .files   = { { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin" },
                 { "test_batch.bin" } },
    .labels  = 1,
    .classes = { 10 },
    .class_names = { "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck" },
    .mean        = { .4914, .4822, .4465 },
    .std         = { .2023, .1994, .2010 },
};
static const cifar_set cifar100 = {
    .name       = "cifar100",
    .archive    = "cifar-100-binary.tar.gz",
    .folder     = "cifar-100-binary",
    .files      = { { "train.bin" }, { "test.bin" } },
    .labels     = 2,
    .classes    = { 20, 100 },
    .names_file = "fine_label_names.txt",
    .mean       = { .5071, .4867, .4408 },
    .std        = { .2675, .2565, .2761 },
};

const plm__named plm__cifar10  = { .name    = "cifar10",
                                   .advice  = "; tools/fetch-data cifar10 gets it",
                                   .recipe  = &cifar10,
                                   .present = present,
                                   .wanted  = wanted,
                                   .open    = open_set };
const plm__named plm__cifar100 = { .name    = "cifar100",
                                   .advice  = "; tools/fetch-data cifar100 gets it",
                                   .recipe  = &cifar100,
                                   .present = present,
                                   .wanted  = wanted,
                                   .open    = open_set };

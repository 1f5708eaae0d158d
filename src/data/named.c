/* named.c: data sets by name, and where their files are looked for. */
#include "data/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PLACES 4

static const plm__named *const sets[] = { &plm__mnist, &plm__fashion_mnist, &plm__cifar10, &plm__cifar100 };

static const plm__named *find_set(const char *name)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcmp(sets[i]->name, name) == 0) return sets[i];
    return NULL;
}

/* Adds to a list for a message, which may be cut short. */
static void append(char *list, size_t room, const char *item)
{
    size_t used = strlen(list);
    if (snprintf(list + used, room - used, "%s%s", used ? ", " : "", item) < 0) list[used] = '\0';
}

/* The folder named like the data set comes before the one above it: several data sets use the same file names. */
static bool find_folder(plm_ctx *ctx, const plm__named *set, bool test, const char *const *places, int count,
                        char folder[PLM__PATH])
{
    char wanted[256], looked[640] = "";
    for (int i = 0; i < 2 * count; i++) {
        int length = i % 2 ? snprintf(folder, PLM__PATH, "%s", places[i / 2])
                           : snprintf(folder, PLM__PATH, "%s/%s", places[i / 2], set->name);
        if (length < 0 || length >= PLM__PATH) continue;
        if (set->present(set->recipe, folder, test)) return true;
        append(looked, sizeof looked, folder);
    }
    set->wanted(set->recipe, test, wanted);
    return plm__fail(ctx, PLM_ERR_IO, "%s: no folder with %s; looked in %s%s", set->name, wanted, looked, set->advice);
}

static const plm__named *known_set(plm_ctx *ctx, const char *name)
{
    const plm__named *set        = find_set(name);
    char              known[256] = "digits";
    if (set) return set;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) append(known, sizeof known, sets[i]->name);
    plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_named: \"%s\" is not one of the known data sets %s", name, known);
    return NULL;
}

/* The other split, unless it has come along with the first. */
static bool open_other(plm_ctx *ctx, const plm__named *set, bool test, const char *const *places, int count,
                       plm_dataset **other)
{
    char folder[PLM__PATH];
    if (*other) return true;
    if (!find_folder(ctx, set, test, places, count, folder)) return false;
    *other = set->open(ctx, set->recipe, folder, test, NULL);
    return *other;
}

static plm_dataset *digits(plm_ctx *ctx, bool test, plm_dataset **other)
{
    plm_dataset *d = plm__digits_new(ctx, test);
    if (!d || !other || (*other = plm__digits_new(ctx, !test))) return d;
    plm_dataset_free(d);
    return NULL;
}

bool plm__locate(const char *folder, const char *file, char path[PLM__PATH])
{
    struct stat info;
    int         length = snprintf(path, PLM__PATH, "%s/%s", folder, file);
    return length > 0 && length < PLM__PATH && stat(path, &info) == 0;
}

plm_dataset *plm__named_in(plm_ctx *ctx, const char *name, bool test, const char *const *places, int count,
                           plm_dataset **other)
{
    char              folder[PLM__PATH];
    const plm__named *set = known_set(ctx, name);
    if (!set || !find_folder(ctx, set, test, places, count, folder)) return NULL;
    plm_dataset *d = set->open(ctx, set->recipe, folder, test, other);
    if (!d || !other || open_other(ctx, set, !test, places, count, other)) return d;
    plm_dataset_free(d);
    return NULL;
}

plm_dataset *plm_dataset_named(plm_ctx *ctx, const char *name, const plm_named_desc *desc)
{
    if (desc && desc->other) *desc->other = NULL;
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!name) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_named: name is NULL");
        return NULL;
    }
    plm_named_desc d = desc ? *desc : (plm_named_desc){ 0 };
    if (strcmp(name, "digits") == 0) return digits(ctx, d.test, d.other);
    const char *places[MAX_PLACES], *data = getenv("PLUMMET_DATA"), *home = getenv("HOME");
    char        cache[PLM__PATH];
    int         count = 0;
    if (d.dir) places[count++] = d.dir;
    if (data && *data) places[count++] = data;
    if (home && *home && snprintf(cache, sizeof cache, "%s/.cache/plummet", home) < (int)sizeof cache)
        places[count++] = cache;
    places[count++] = "/usr/share/datasets";
    return plm__named_in(ctx, name, d.test, places, count, d.other);
}

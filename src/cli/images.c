/* images.c: data sets that are folders of image files, "images:DIR". */
#include "cli.h"

#include <string.h>
#include <sys/stat.h>

#define IMAGES "images:"
#define TRAINING 0.8
#define ROOM 4096

const char *cli_images_dir(const cli_settings *s)
{
    return strncmp(s->dataset, IMAGES, strlen(IMAGES)) == 0 ? s->dataset + strlen(IMAGES) : NULL;
}

static bool is_folder(const char *dir, const char *name, char path[ROOM])
{
    struct stat info;
    const int   length = snprintf(path, ROOM, "%s/%s", dir, name);
    return length < ROOM && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Are there splits? */
static bool find_splits(const char *dir, char train[ROOM], char test[ROOM])
{
    return is_folder(dir, "train", train) && (is_folder(dir, "test", test) || is_folder(dir, "val", test));
}

static plm_dataset *open_dir(plm_ctx *ctx, const cli_settings *s, const char *dir)
{
    return plm_dataset_from_images(ctx, dir, &(plm_images_desc){ .size = (int)s->size });
}

static bool same_classes(plm_ctx *ctx, const plm_dataset *a, const plm_dataset *b)
{
    const int n = plm_dataset_classes(a), m = plm_dataset_classes(b);
    for (int i = 0; i < n && i < m; i++)
        if (strcmp(plm_dataset_class(a, i), plm_dataset_class(b, i)) != 0)
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "class %d is \"%s\" in %s and \"%s\" in %s", i,
                                plm_dataset_class(a, i), plm_dataset_name(a), plm_dataset_class(b, i),
                                plm_dataset_name(b));
    return n == m || plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has %d classes, %s has %d", plm_dataset_name(a), n,
                                  plm_dataset_name(b), m);
}

bool cli_images_open(plm_ctx *ctx, const cli_settings *s, cli_data *data)
{
    char train[ROOM], test[ROOM];
    if (find_splits(cli_images_dir(s), train, test)) {
        data->train = open_dir(ctx, s, train);
        data->test  = data->train ? open_dir(ctx, s, test) : NULL;
        return data->test && same_classes(ctx, data->train, data->test);
    }
    plm_dataset *all = open_dir(ctx, s, cli_images_dir(s));
    const bool   ok  = all && plm_dataset_split(all, TRAINING, NULL, &data->train, &data->test);
    plm_dataset_free(all);
    return ok;
}

plm_dataset *cli_images_test(plm_ctx *ctx, const cli_settings *s)
{
    char train[ROOM], test[ROOM];
    return open_dir(ctx, s, find_splits(cli_images_dir(s), train, test) ? test : cli_images_dir(s));
}

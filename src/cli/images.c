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

/* What to evaluate on: DIR/test (or val) if DIR has splits, else all of it. */
static const char *test_dir(const cli_settings *s, char train[ROOM], char test[ROOM])
{
    return find_splits(cli_images_dir(s), train, test) ? test : cli_images_dir(s);
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
    return open_dir(ctx, s, test_dir(s, train, test));
}

/* As many classes as outputs, and the folders are called as the network's classes: labels are only numbers. */
static bool knows_classes(plm_ctx *ctx, const cli_settings *s, const plm_graph *net, const plm_dataset *data)
{
    const plm_shape out = plm_graph_output_shape(net);
    char            text[160];
    if (out.rank != 1 || out.dim[0] != plm_dataset_classes(data))
        return plm_ctx_fail(ctx, PLM_ERR_SHAPE, "%s has an output of shape %s, %s has %d classes", s->weights,
                            cli_shape_text(out, text), s->dataset, plm_dataset_classes(data));
    for (int i = 0; i < plm_graph_class_count(net); i++)
        if (strcmp(plm_graph_class(net, i), plm_dataset_class(data, i)) != 0)
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "class %d is \"%s\" in %s and \"%s\" in %s", i,
                                plm_dataset_class(data, i), s->dataset, plm_graph_class(net, i), s->weights);
    return true;
}

plm_dataset *cli_images_for(plm_ctx *ctx, const cli_settings *s, const plm_graph *net)
{
    char            train[ROOM], test[ROOM], text[160];
    const plm_shape x = plm_graph_input_shape(net);
    if (x.rank != 3 || (x.dim[0] != 1 && x.dim[0] != 3) || x.dim[1] != x.dim[2]) {
        plm_ctx_fail(ctx, PLM_ERR_SHAPE, "%s takes samples of shape %s, images are [1,n,n] or [3,n,n]", s->weights,
                     cli_shape_text(x, text));
        return NULL;
    }
    const plm_images_desc d    = { .size          = (int)x.dim[1],
                                   .gray          = x.dim[0] == 1,
                                   .normalization = plm_graph_normalization(net) };
    plm_dataset          *data = plm_dataset_from_images(ctx, test_dir(s, train, test), &d);
    if (!data || knows_classes(ctx, s, net, data)) return data;
    plm_dataset_free(data);
    return NULL;
}

/* dataset.c: data sets by name.
 *
 * The rows of a csv are split here into training and testing samples, and normalised by the training ones, in a form that
 * a saved network can keep: so that it can be given raw rows later. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CSV "csv:"
#define CSV_TRAINING 0.8

typedef struct {
    const char *name;
    int64_t     c, h, w, classes;
    bool        samples; /* can be read, not only spoken of */
} known_set;

static const known_set known_sets[] = {
    { "digits", 1, 8, 8, 10, true },    { "mnist", 1, 28, 28, 10, true },     { "fashion-mnist", 1, 28, 28, 10, true },
    { "cifar10", 3, 32, 32, 10, true }, { "cifar100", 3, 32, 32, 100, true }, { "imagenet", 3, 224, 224, 1000, false },
};
enum { KNOWN = sizeof known_sets / sizeof *known_sets };

static const char *csv_path(const cli_settings *s)
{
    return strncmp(s->dataset, CSV, strlen(CSV)) == 0 ? s->dataset + strlen(CSV) : NULL;
}

static const known_set *find(const char *name)
{
    for (int i = 0; i < KNOWN; i++)
        if (strcmp(known_sets[i].name, name) == 0) return &known_sets[i];
    return NULL;
}

bool cli_dataset_check(const cli_settings *s, bool samples)
{
    const known_set *set = find(s->dataset);
    if (csv_path(s)) {
        if (!*csv_path(s)) return cli_usage_error("--dataset is \"csv:\", expected csv:FILE");
        return s->label ||
               cli_usage_error("--dataset %s needs --label, the name of the column with the labels", s->dataset);
    }
    if (!cli_images_dir(s) && cli_given(s, "size"))
        return cli_usage_error("--size is for images:DIR, %s has its own", s->dataset);
    if (cli_images_dir(s)) {
        if (!*cli_images_dir(s)) return cli_usage_error("--dataset is \"images:\", expected images:DIR");
        return !s->label || cli_usage_error("--label is for csv files, the classes of images are their folders");
    }
    const char *names[KNOWN];
    char        list[256] = "";
    int         count     = 0;
    for (int i = 0; i < KNOWN; i++) {
        if (samples && !known_sets[i].samples) continue;
        const size_t used = strlen(list);
        names[count++]    = known_sets[i].name;
        snprintf(list + used, sizeof list - used, "%s, ", known_sets[i].name);
    }
    if (set && samples && !set->samples)
        return cli_usage_error(
            "--dataset %s is known by its shape only, for inspect and bench; samples have %scsv:FILE", s->dataset,
            list);
    if (!set) {
        const char *nearest = cli_nearest(s->dataset, names, count);
        return cli_usage_error("--dataset is \"%s\", expected one of %scsv:FILE, images:DIR%s%s%s", s->dataset, list,
                               nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    }
    return !s->label || cli_usage_error("--label is for csv files, %s has its own labels", s->dataset);
}

void cli_dataset_print(void)
{
    printf("Data sets:\n");
    for (int i = 0; i < KNOWN; i++) {
        const known_set *k = &known_sets[i];
        printf("  %-26s %lldx%lldx%lld, %lld classes%s\n", k->name, (long long)k->c, (long long)k->h, (long long)k->w,
               (long long)k->classes, k->samples ? "" : " (its shape, for inspect and bench)");
    }
    printf("  %-26s %s\n", "csv:FILE", "a column --label, all others numbers; --seed splits the rows of train 0.8/0.2");
    printf("  %-26s %s\n", "images:DIR",
           "CLASS/*.png or .jpg in DIR/train and DIR/test (or val), or in DIR, split 0.8/0.2");
}

/* All samples of `d` as one batch, lent until the loader is freed. */
static plm_loader *read_all(plm_dataset *d, plm_batch *all)
{
    plm_loader *loader = plm_loader_new(d, &(plm_loader_desc){ .batch = plm_dataset_count(d) });
    if (loader && plm_loader_next(loader, all)) return loader;
    plm_loader_free(loader);
    return NULL;
}

/* Mean and standard deviation of each column, or, of more columns than a saved network can keep, of all numbers together;
 * a constant column has 1, so that it becomes 0. */
static plm_normalization measure(const plm_batch *rows)
{
    const int64_t     n = rows->count, d = rows->x.shape.dim[1];
    const float      *x    = rows->x.data;
    const bool        each = d <= PLM_MAX_CHANNELS;
    plm_normalization norm = { .scale = 1, .channels = each ? (int)d : 1 };
    for (int c = 0; c < norm.channels; c++) {
        const int64_t step = each ? d : 1, count = each ? n : n * d;
        double        sum = 0, squares = 0;
        for (int64_t i = 0; i < count; i++) sum += (double)x[c + i * step];
        norm.mean[c] = sum / (double)count;
        for (int64_t i = 0; i < count; i++) squares += pow((double)x[c + i * step] - norm.mean[c], 2);
        norm.std[c] = sqrt(squares / (double)count);
        if (norm.std[c] <= 1e-12 * fabs(norm.mean[c])) norm.std[c] = 1; /* rounding leaves a constant a tiny one */
        if (norm.std[c] == 0) norm.std[c] = 1;
    }
    return norm;
}

/* A data set of these rows.  `names` are those of the classes, as `ask` gives them. */
static plm_dataset *normalized(plm_ctx *ctx, const plm_batch *rows, const char **names, int classes,
                               const plm_normalization *norm, const char *name)
{
    return plm_dataset_from_arrays(ctx, &(plm_arrays_desc){ .x             = rows->x,
                                                            .y             = rows->y,
                                                            .classes       = classes,
                                                            .class_names   = names,
                                                            .normalization = norm,
                                                            .name          = name });
}

/* The class names of a data set, for the caller to free; they are lent by it. */
static const char **names_of(plm_ctx *ctx, const plm_dataset *d)
{
    const int    classes = plm_dataset_classes(d);
    const char **names   = calloc((size_t)classes + 1, sizeof *names);
    if (!names) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", plm_dataset_name(d));
    for (int i = 0; names && i < classes; i++) names[i] = plm_dataset_class(d, i);
    return names;
}

static bool open_csv(plm_ctx *ctx, const cli_settings *s, cli_data *data)
{
    plm_dataset *raw     = plm_dataset_from_csv(ctx, csv_path(s), &(plm_csv_desc){ .label = s->label });
    plm_dataset *part[2] = { NULL, NULL };
    plm_batch    rows[2];
    plm_loader  *loader[2] = { NULL, NULL };
    const char **names     = raw ? names_of(ctx, raw) : NULL;
    if (names && plm_dataset_split(raw, CSV_TRAINING, NULL, &part[0], &part[1])) {
        loader[0] = read_all(part[0], &rows[0]);
        loader[1] = loader[0] ? read_all(part[1], &rows[1]) : NULL;
    }
    if (loader[1]) {
        const plm_normalization norm = measure(&rows[0]);
        data->train = normalized(ctx, &rows[0], names, plm_dataset_classes(raw), &norm, plm_dataset_name(raw));
        data->test  = normalized(ctx, &rows[1], names, plm_dataset_classes(raw), &norm, plm_dataset_name(raw));
    }
    free(names);
    for (int i = 0; i < 2; i++) {
        plm_loader_free(loader[i]);
        plm_dataset_free(part[i]);
    }
    plm_dataset_free(raw);
    return data->test;
}

static bool open_named(plm_ctx *ctx, const cli_settings *s, cli_data *data)
{
    data->train = plm_dataset_named(ctx, s->dataset, &(plm_named_desc){ .dir = s->data, .other = &data->test });
    return data->train;
}

static bool hold_out(const cli_settings *s, cli_data *data)
{
    const int64_t count = plm_dataset_count(data->train);
    plm_dataset  *all   = data->train;
    if (s->val == 0) return true;
    if (s->val >= count)
        return cli_usage_error("--val is %lld, but there are only %lld training samples", (long long)s->val,
                               (long long)count);
    /* Half a sample more, so that rounding down gives exactly what is left. */
    const bool ok =
        plm_dataset_split(all, ((double)(count - s->val) + 0.5) / (double)count, NULL, &data->train, &data->val);
    plm_dataset_free(all);
    return ok;
}

bool cli_dataset_open(plm_ctx *ctx, const cli_settings *s, cli_data *data)
{
    *data         = (cli_data){ NULL, NULL, NULL };
    const bool ok = csv_path(s)         ? open_csv(ctx, s, data)
                    : cli_images_dir(s) ? cli_images_open(ctx, s, data)
                                        : open_named(ctx, s, data);
    if (ok && hold_out(s, data)) return true;
    cli_dataset_close(data);
    return false;
}

void cli_dataset_close(cli_data *data)
{
    plm_dataset_free(data->train);
    plm_dataset_free(data->test);
    plm_dataset_free(data->val);
    *data = (cli_data){ NULL, NULL, NULL };
}

bool cli_dataset_form(plm_ctx *ctx, const cli_settings *s, cli_form *form)
{
    const known_set *set = find(s->dataset);
    if (set) {
        *form = (cli_form){ plm_shape_of(set->c, set->h, set->w), set->classes };
        return true;
    }
    plm_dataset *d = csv_path(s) ? plm_dataset_from_csv(ctx, csv_path(s), &(plm_csv_desc){ .label = s->label })
                                 : cli_images_test(ctx, s);
    if (d) *form = (cli_form){ plm_dataset_x_shape(d), plm_dataset_classes(d) };
    plm_dataset_free(d);
    return plm_ctx_status(ctx) == PLM_OK;
}

/* The csv numbers the classes that it has; the network those that it was trained on: `number` leads from one to the other,
 * by name; without names they are the same. */
static bool match_classes(plm_ctx *ctx, const plm_dataset *d, const plm_graph *net, int64_t *number)
{
    const int known = plm_graph_class_count(net);
    for (int i = 0; i < plm_dataset_classes(d); i++) {
        const char *name = plm_dataset_class(d, i);
        int         k    = 0;
        while (k < known && strcmp(plm_graph_class(net, k), name) != 0) k++;
        if (known > 0 && k == known)
            return plm_ctx_fail(ctx, PLM_ERR_FORMAT, "%s has the class \"%s\", which the network does not know",
                                plm_dataset_name(d), name);
        number[i] = known > 0 ? k : i;
    }
    return true;
}

static bool rename_classes(plm_ctx *ctx, const plm_dataset *d, const plm_graph *net, plm_tensor labels)
{
    int64_t *number = calloc((size_t)plm_dataset_classes(d), sizeof *number);
    if (!number) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", plm_dataset_name(d));
    const bool ok = match_classes(ctx, d, net, number);
    int64_t   *y  = labels.data;
    for (int64_t i = 0; ok && i < labels.shape.dim[0]; i++) y[i] = number[y[i]];
    free(number);
    return ok;
}

static plm_dataset *csv_for(plm_ctx *ctx, const cli_settings *s, const plm_graph *net)
{
    plm_dataset *raw = plm_dataset_from_csv(ctx, csv_path(s), &(plm_csv_desc){ .label = s->label }), *d = NULL;
    plm_batch    rows;
    plm_loader  *loader = raw ? read_all(raw, &rows) : NULL;
    if (loader && rename_classes(ctx, raw, net, rows.y)) {
        const plm_normalization *norm = plm_graph_normalization(net);
        d = normalized(ctx, &rows, NULL, (int)plm_graph_output_shape(net).dim[0], norm, plm_dataset_name(raw));
    }
    plm_loader_free(loader);
    plm_dataset_free(raw);
    return d;
}

plm_dataset *cli_dataset_for(plm_ctx *ctx, const cli_settings *s, const plm_graph *net)
{
    const plm_shape in = plm_graph_input_shape(net), out = plm_graph_output_shape(net);
    char            have[160], want[160];
    cli_form        form = { 0 };
    if (cli_images_dir(s)) return cli_images_for(ctx, s, net);
    if (!cli_dataset_form(ctx, s, &form)) return NULL;
    if (!plm_shape_equal(form.shape, in)) {
        plm_ctx_fail(ctx, PLM_ERR_SHAPE, "%s takes samples of shape %s, those of %s are %s", s->weights,
                     cli_shape_text(in, want), s->dataset, cli_shape_text(form.shape, have));
        return NULL;
    }
    const bool by_name = csv_path(s) && plm_graph_class_count(net) > 0;
    if (out.rank != 1 || (!by_name && out.dim[0] != form.classes)) {
        plm_ctx_fail(ctx, PLM_ERR_SHAPE, "%s has an output of shape %s, %s has %lld classes", s->weights,
                     cli_shape_text(out, want), s->dataset, (long long)form.classes);
        return NULL;
    }
    if (csv_path(s)) return csv_for(ctx, s, net);
    return plm_dataset_named(ctx, s->dataset, &(plm_named_desc){ .dir = s->data, .test = true });
}

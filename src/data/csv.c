/* csv.c: a data set from a comma-separated file: one column of labels, all others numbers.
 *
 * A row has a byte and a separator for each field at least, so the file's size bounds the rows, and the memory for their
 * numbers is at most twice the file whatever it says. */
#include "data/csv.h"
#include "data/data.h"

#include <assert.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 0x1p53 /* below it different whole numbers are different doubles */

typedef struct {
    const char *text;
    double      number; /* 0 unless all labels are numbers */
    int64_t     row;
} csv_label;

typedef struct {
    plm__csv     text;
    plm_ctx     *ctx;
    const char  *path;
    const char **header; /* [columns] */
    int          capacity, columns, label;
    int64_t      rows, room;
    float       *x;      /* [room, columns - 1] */
    csv_label   *labels; /* [room]              */
    plm__store  *store;
} csv_table;

static bool number(const char *text, double *value)
{
    size_t length = strlen(text);
    if (length == 0 || strspn(text, "+-.0123456789eE") != length) return false; /* strtod also takes nan and 0x1p3 */
    char *end;
    *value = strtod(text, &end);
    return *end == '\0' && fabs(*value) <= FLT_MAX;
}

/* Where `label` stands; a name that is not there or twice is an error that lists the columns. */
static bool find_label(csv_table *t, const char *label)
{
    char names[512] = "";
    int  found      = 0;
    for (int i = 0; i < t->columns; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", t->header[i]);
        if (!label || strcmp(t->header[i], label) != 0) continue;
        t->label = i;
        found++;
    }
    if (!label)
        return plm__fail(t->ctx, PLM_ERR_ARGUMENT, "%s: plm_csv_desc.label is required; the columns are %s", t->path,
                         names);
    if (found != 1)
        return plm__fail(t->ctx, PLM_ERR_ARGUMENT, "%s has %s column \"%s\"; its columns are %s", t->path,
                         found ? "more than one" : "no", label, names);
    return true;
}

static bool read_header(csv_table *t, const char *label)
{
    if (!plm__csv_row(&t->text))
        return plm__fail(t->ctx, PLM_ERR_FORMAT, "%s is empty, expected a header line", t->path);
    while (!t->text.row_ended) {
        if (!plm__grow(t->ctx, &t->header, &t->capacity, t->columns + 1, sizeof *t->header,
                       "the columns of a csv file"))
            return false;
        const char *field = plm__csv_field(&t->text);
        if (!field) return false;
        t->header[t->columns++] = field;
    }
    if (!find_label(t, label)) return false;
    if (t->columns == 1)
        return plm__fail(t->ctx, PLM_ERR_FORMAT, "%s has only the label column \"%s\", nothing to learn from", t->path,
                         label);
    return true;
}

/* Room for as many rows as there are lines or as fit into the bytes left, and for one that turns out not to be whole. */
static bool allocate(csv_table *t)
{
    int64_t left = t->text.size - (t->text.at - t->text.text), rows = 1, numbers, bytes;
    for (const char *c = t->text.at; *c; c++) rows += *c == '\n';
    if (rows > (left + 1) / (2 * (int64_t)t->columns)) rows = (left + 1) / (2 * (int64_t)t->columns);
    t->room = rows + 1;
    if (!plm__mul(t->room, t->columns - 1, &numbers) || !plm__mul(numbers, sizeof(float), &bytes))
        return plm__fail(t->ctx, PLM_ERR_MEMORY, "%s: out of memory", t->path);
    t->x      = plm__new(t->ctx, (size_t)bytes, t->path);
    t->labels = t->x ? plm__new(t->ctx, (size_t)t->room * sizeof *t->labels, t->path) : NULL;
    return t->labels;
}

static bool read_field(csv_table *t, int column, float **x)
{
    const char *field = plm__csv_field(&t->text);
    double      value;
    if (!field) return false;
    if (*field == '\0')
        return plm__fail(t->ctx, PLM_ERR_FORMAT, "%s, line %lld, column \"%s\": empty, expected a %s", t->path,
                         (long long)t->text.line, t->header[column], column == t->label ? "label" : "number");
    if (column == t->label) {
        t->labels[t->rows] = (csv_label){ .text = field, .row = t->rows };
        return true;
    }
    if (!number(field, &value))
        return plm__fail(t->ctx, PLM_ERR_FORMAT, "%s, line %lld, column \"%s\": \"%.40s\" is not a finite f32 number",
                         t->path, (long long)t->text.line, t->header[column], field);
    *(*x)++ = (float)value;
    return true;
}

static bool read_rows(csv_table *t)
{
    float *x = t->x;
    for (; plm__csv_row(&t->text); t->rows++) {
        int column = 0;
        assert(t->rows < t->room);
        for (; !t->text.row_ended && column < t->columns; column++)
            if (!read_field(t, column, &x)) return false;
        if (column < t->columns || !t->text.row_ended)
            return plm__fail(t->ctx, PLM_ERR_FORMAT, "%s, line %lld has %s fields than the header's %d", t->path,
                             (long long)t->text.line, column < t->columns ? "fewer" : "more", t->columns);
    }
    return t->rows > 0 || plm__fail(t->ctx, PLM_ERR_FORMAT, "%s has a header but no rows", t->path);
}

static int compare(const void *a, const void *b)
{
    const csv_label *l = a, *r = b;
    if (l->number != r->number) return l->number < r->number ? -1 : 1;
    return strcmp(l->text, r->text);
}

/* Sorts the labels and numbers their distinct values.  As numbers, 1 and 1.0 are one class, named by the shorter. */
static bool make_classes(csv_table *t)
{
    bool    numbers = true;
    double  value;
    int64_t classes = 0;
    for (int64_t i = 0; i < t->rows && numbers; i++) numbers = number(t->labels[i].text, &value) && fabs(value) < EXACT;
    for (int64_t i = 0; i < t->rows && numbers; i++) number(t->labels[i].text, &t->labels[i].number);
    qsort(t->labels, (size_t)t->rows, sizeof *t->labels, compare);

    const char **names = plm__new(t->ctx, (size_t)t->rows * sizeof *names, "class names");
    t->store->labels   = names ? plm__new(t->ctx, (size_t)t->rows * sizeof *t->store->labels, "labels") : NULL;
    for (int64_t i = 0; t->store->labels && i < t->rows; i++) {
        const csv_label *l = &t->labels[i];
        bool new           = i == 0 || (numbers ? l->number != l[-1].number : strcmp(l->text, l[-1].text) != 0);
        if (new) names[classes++] = l->text;
        t->store->labels[l->row] = classes - 1;
    }
    bool ok = t->store->labels;
    if (ok && classes > PLM__MAX_CLASSES)
        ok = plm__fail(t->ctx, PLM_ERR_FORMAT, "%s, column \"%s\": %lld different labels, at most %d are supported",
                       t->path, t->header[t->label], (long long)classes, PLM__MAX_CLASSES);
    ok = ok && plm__store_name_classes(t->store, (int)classes, names);
    plm__delete(t->ctx, names);
    return ok;
}

/* Mean and standard deviation of a column; 1 for a constant one, which becomes 0: the sum of less than 2^29 equal floats is
 * exact in double, so rounding leaves no tiny deviation to divide by. */
static void moments(const csv_table *t, int column, double *mean, double *std)
{
    int64_t      stride = t->columns - 1;
    const float *x      = t->x + column;
    double       sum = 0, squares = 0;
    for (int64_t i = 0; i < t->rows; i++) sum += (double)x[i * stride];
    *mean = sum / (double)t->rows;
    for (int64_t i = 0; i < t->rows; i++) squares += ((double)x[i * stride] - *mean) * ((double)x[i * stride] - *mean);
    *std = squares > 0 ? sqrt(squares / (double)t->rows) : 1;
}

/* See plm_csv_desc: few columns are left raw and their normalisation is reported, more are standardised here. */
static void standardise(csv_table *t)
{
    int                features = t->columns - 1;
    bool               report   = features <= PLM_MAX_CHANNELS;
    plm_normalization *n        = &t->store->normalization;
    t->store->normalized        = report;
    if (report) *n = (plm_normalization){ .scale = 1, .channels = features };
    for (int c = 0; c < features; c++) {
        double mean, std;
        moments(t, c, &mean, &std);
        if (report) {
            n->mean[c] = mean;
            n->std[c]  = std;
            continue;
        }
        for (float *x = t->x + c, *end = x + t->rows * features; x < end; x += features)
            *x = (float)(((double)*x - mean) / std);
    }
}

static bool make_store(csv_table *t, bool normalize)
{
    char *name = plm__strdupf(t->ctx, "csv:%s", t->path);
    if (!name) return false;
    t->store = plm__store_new(t->ctx, name, t->rows, plm_shape_of(t->columns - 1));
    plm__delete(t->ctx, name);
    if (!t->store || !make_classes(t)) return false;
    if (normalize) standardise(t);
    t->store->x_dtype = PLM_F32;
    t->store->x       = t->x;
    t->x              = NULL;
    return true;
}

static plm_dataset *read_table(csv_table *t, const plm_csv_desc *desc)
{
    bool ok = read_header(t, desc->label) && allocate(t) && read_rows(t) && make_store(t, desc->normalize);
    plm__delete(t->ctx, t->header);
    plm__delete(t->ctx, t->x);
    plm__delete(t->ctx, t->labels);
    if (ok) return plm__dataset_over(t->store);
    plm__store_drop(t->store);
    return NULL;
}

plm_dataset *plm_dataset_from_csv(plm_ctx *ctx, const char *path, const plm_csv_desc *desc)
{
    if (!ctx || ctx->status != PLM_OK) return NULL;
    if (!path) {
        plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_from_csv: path is NULL");
        return NULL;
    }
    csv_table t = { .ctx = ctx, .path = path };
    if (!plm__csv_open(&t.text, ctx, path)) return NULL;
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0); /* a point is a point, whatever the program's language */
    locale_t before = c ? uselocale(c) : (locale_t)0;
    plm_dataset *d  = NULL;
    if (c) d = read_table(&t, desc ? desc : &(plm_csv_desc){ 0 });
    else plm__fail(ctx, PLM_ERR_MEMORY, "%s: out of memory", path);
    if (c) {
        uselocale(before);
        freelocale(c);
    }
    plm__csv_close(&t.text);
    return d;
}

/* dataset.c: the store of samples, data sets over it, splits, and what can be asked of a data set. */
#include "data/data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

plm__store *plm__store_new(plm_ctx *ctx, const char *name, int64_t count, plm_shape x_shape)
{
    plm__store *s = plm__new(ctx, sizeof *s, "a data set");
    if (!s) return NULL;
    *s = (plm__store){ .ctx = ctx, .refs = 1, .count = count, .x_shape = x_shape, .x_size = plm_shape_count(x_shape) };
    s->name = plm__strdup(ctx, name);
    if (s->name) return s;
    plm__store_drop(s);
    return NULL;
}

void plm__store_drop(plm__store *s)
{
    if (!s || --s->refs > 0) return;
    if (s->source_free) s->source_free(s->ctx, s->source);
    plm__delete(s->ctx, s->name);
    plm__delete(s->ctx, s->x);
    plm__delete(s->ctx, s->labels);
    plm__delete(s->ctx, s->targets);
    plm__delete(s->ctx, s->class_names);
    plm__delete(s->ctx, s);
}

bool plm__store_name_classes(plm__store *s, int classes, const char *const *names)
{
    enum { DIGITS = 12 }; /* room for any int */
    size_t text = 0;
    for (int i = 0; i < classes; i++) text += names ? strlen(names[i]) + 1 : DIGITS;
    s->class_names = plm__new(s->ctx, (size_t)classes * sizeof(char *) + text, "class names");
    if (!s->class_names) return false;
    char *at = (char *)(s->class_names + classes);
    for (int i = 0; i < classes; i++) {
        s->class_names[i] = at;
        if (names) strcpy(at, names[i]);
        else snprintf(at, DIGITS, "%d", i);
        at += strlen(at) + 1;
    }
    s->classes = classes;
    return true;
}

bool plm__store_normalize(plm__store *s, const plm_normalization *given, const char *where)
{
    if (!given) return true;
    plm_normalization n = *given;
    if (n.scale == 0) n.scale = 1;
    if (n.channels == 0 && n.scale == 1) return true;
    if (n.channels == 0)
        return plm__fail(
            s->ctx, PLM_ERR_ARGUMENT,
            "%s: normalization has scale %g but 0 channels; to scale alone, give 1 channel of mean 0 and std 1", where,
            n.scale);
    char text[PLM__SHAPE_TEXT];
    if (n.channels < 0 || n.channels > PLM_MAX_CHANNELS || (n.channels != 1 && n.channels != s->x_shape.dim[0]))
        return plm__fail(
            s->ctx, PLM_ERR_SHAPE,
            "%s: normalization has %d channels, samples are %s (1 channel, or as many as axis 0, at most %d)", where,
            n.channels, plm__shape_text(s->x_shape, text), PLM_MAX_CHANNELS);
    if (!isfinite(n.scale))
        return plm__fail(s->ctx, PLM_ERR_ARGUMENT, "%s: normalization has a scale of %g", where, n.scale);
    for (int c = 0; c < n.channels; c++)
        if (!isfinite(n.mean[c]) || !isfinite(n.std[c]) || n.std[c] <= 0)
            return plm__fail(s->ctx, PLM_ERR_ARGUMENT,
                             "%s: normalization of channel %d has mean %g and std %g, expected finite and std above 0",
                             where, c, n.mean[c], n.std[c]);
    s->normalization = n;
    s->normalized    = true;
    return true;
}

plm_dataset *plm__dataset_over(plm__store *s)
{
    if (!s) return NULL;
    plm_dataset *d = plm__new(s->ctx, sizeof *d, "a data set");
    if (d) *d = (plm_dataset){ .store = s, .count = s->count };
    else plm__store_drop(s);
    return d;
}

/* A part of `d`: `count` of its samples, whose places the caller fills in. */
static plm_dataset *part_new(const plm_dataset *d, int64_t count)
{
    plm_ctx     *ctx   = d->store->ctx;
    int64_t     *index = plm__new(ctx, (size_t)count * sizeof *index, "the indices of a split");
    plm_dataset *part  = index ? plm__new(ctx, sizeof *part, "a data set") : NULL;
    if (!part) {
        plm__delete(ctx, index);
        return NULL;
    }
    *part = (plm_dataset){ .store = d->store, .index = index, .count = count };
    d->store->refs++;
    return part;
}

/* chosen[i] = 1 for the k samples that a random permutation puts first. */
static bool choose(plm_ctx *ctx, int64_t count, int64_t k, uint8_t *chosen)
{
    int64_t *order = plm__new(ctx, (size_t)count * sizeof *order, "the order of a split");
    if (!order) return false;
    plm__random_permutation(plm__random_key(ctx->seed, PLM__RANDOM_SPLIT, NULL, 0), order, count);
    for (int64_t i = 0; i < k; i++) chosen[order[i]] = 1;
    plm__delete(ctx, order);
    return true;
}

static bool split(const plm_dataset *d, int64_t k, bool ordered, plm_dataset **first, plm_dataset **second)
{
    plm_ctx *ctx    = d->store->ctx;
    uint8_t *chosen = plm__new(ctx, (size_t)d->count, "the order of a split");
    if (!chosen) return false;
    bool ok = ordered || choose(ctx, d->count, k, chosen);
    if (ordered) memset(chosen, 1, (size_t)k);
    if (ok) *first = part_new(d, k);
    if (ok) *second = part_new(d, d->count - k);
    ok = ok && *first && *second;
    if (ok) {
        int64_t *to[2] = { (*second)->index, (*first)->index };
        for (int64_t i = 0; i < d->count; i++) *to[chosen[i]]++ = plm__dataset_at(d, i);
    }
    plm__delete(ctx, chosen);
    return ok;
}

void plm_dataset_free(plm_dataset *d)
{
    if (!d) return;
    plm__store *s = d->store;
    plm__delete(s->ctx, d->index);
    plm__delete(s->ctx, d);
    plm__store_drop(s);
}

bool plm_dataset_split(plm_dataset *d, double fraction, const plm_split_desc *desc, plm_dataset **first,
                       plm_dataset **second)
{
    if (first) *first = NULL;
    if (second) *second = NULL;
    if (!d || d->store->ctx->status != PLM_OK) return false;
    plm_ctx *ctx = d->store->ctx;
    if (!first || !second)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_split: %s is NULL", first ? "second" : "first");
    if (first == second)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_split: first and second are the same pointer");
    if (!(fraction > 0 && fraction < 1))
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_dataset_split: fraction is %g, expected between 0 and 1",
                         fraction);
    int64_t k = (int64_t)floor(fraction * (double)d->count);
    if (k < 1 || k >= d->count)
        return plm__fail(ctx, PLM_ERR_ARGUMENT,
                         "plm_dataset_split: a fraction of %g of the %lld samples of %s leaves one part empty",
                         fraction, (long long)d->count, d->store->name);
    if ((uint64_t)d->count > SIZE_MAX / sizeof(int64_t))
        return plm__fail(ctx, PLM_ERR_MEMORY, "plm_dataset_split: no memory for the indices of %lld samples",
                         (long long)d->count);
    if (split(d, k, desc && desc->ordered, first, second)) return true;
    plm_dataset_free(*first);
    plm_dataset_free(*second);
    *first = *second = NULL;
    return false;
}

int64_t plm_dataset_count(const plm_dataset *d)
{
    return d ? d->count : 0;
}

plm_shape plm_dataset_x_shape(const plm_dataset *d)
{
    return d ? d->store->x_shape : (plm_shape){ 0 };
}

int plm_dataset_classes(const plm_dataset *d)
{
    return d ? d->store->classes : 0;
}

const char *plm_dataset_class(const plm_dataset *d, int i)
{
    return d && i >= 0 && i < d->store->classes ? d->store->class_names[i] : NULL;
}

const char *plm_dataset_name(const plm_dataset *d)
{
    return d ? d->store->name : "";
}

const plm_normalization *plm_dataset_normalization(const plm_dataset *d)
{
    return d && d->store->normalized ? &d->store->normalization : NULL;
}

bool plm_dataset_augments(const plm_dataset *d)
{
    return d && (d->store->crop > 0 || d->store->flip);
}

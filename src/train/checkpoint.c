/* checkpoint.c: a training between two steps as one file.
 *
 * The file is the network's own, with the optimiser's slots as further tensors and the rest as JSON text in the metadata.
 * Loading compares everything with what there is before it changes anything. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/safetensors.h"
#include "optim/state.h"
#include "train/train.h"

#define TRAINING PLM__OURS "training"

/* The slots of an optimiser as tensors of a file, in one block; .stored is NULL on failure. */
typedef struct {
    plm__stored *stored;
    int          count;
} slots;

static slots slots_of(plm_ctx *ctx, const plm_optimizer *opt)
{
    const char *const form = PLM__OURS "slot%d.%s";
    slots             all  = { .count = plm__optimizer_slots(opt) };
    size_t            text = 0;
    for (int i = 0; i < all.count; i++) {
        const plm__slot s = plm__optimizer_slot(opt, i);
        text += (size_t)snprintf(NULL, 0, form, s.slot, s.param->name) + 1;
    }
    const size_t bytes = (size_t)all.count * sizeof *all.stored;
    all.stored         = plm__new(ctx, bytes + text + 1, "the optimiser's state on its way to a file");
    if (!all.stored) return all;
    char *name = (char *)all.stored + bytes, *const end = name + text;
    for (int i = 0; i < all.count; i++) {
        const plm__slot s = plm__optimizer_slot(opt, i);
        all.stored[i]     = (plm__stored){ name, &s.param->home, s.data->data };
        name += snprintf(name, (size_t)(end - name), form, s.slot, s.param->name) + 1;
    }
    return all;
}

/* ------------------------------------------------------------------ saving */

/* JSON has no nan: null. */
static void add_bare(plm__text *t, double x)
{
    if (isnan(x)) plm__text_add(t, "null");
    else plm__text_number(t, x);
}

static void add_number(plm__text *t, const char *key, double x)
{
    plm__text_add(t, ",\"%s\":", key);
    add_bare(t, x);
}

static void add_integer(plm__text *t, const char *key, int64_t x)
{
    plm__text_add(t, ",\"%s\":%" PRId64, key, x);
}

static void add_string(plm__text *t, const char *key, const char *string)
{
    plm__text_add(t, ",\"%s\":", key);
    plm__text_string(t, string);
}

/* Reinit is over when an optimiser has been made. */
static bool is_setting(const plm_field *f)
{
    return strcmp(f->name, "reinit") != 0;
}

static void add_settings(plm__text *t, const plm_optimizer *opt)
{
    const char *comma = "";
    plm__text_add(t, ",\"optimizer_settings\":{");
    for (const plm_field *f = plm_optimizer_kind_of(opt)->fields; f && f->name; f++) {
        if (!is_setting(f)) continue;
        plm__text_add(t, "%s\"%s\":", comma, f->name);
        add_bare(t, plm_field_get(f, plm_optimizer_desc(opt)));
        comma = ",";
    }
    plm__text_add(t, "}");
}

static void describe(plm__text *t, const plm_optimizer *opt, const plm_checkpoint *at, const char *recipe)
{
    plm__text_add(t, "{\"version\":1");
    add_string(t, "optimizer", plm_optimizer_name(opt));
    add_settings(t, opt);
    add_number(t, "optimizer_factor", plm__optimizer_factor(opt));
    add_integer(t, "optimizer_step", plm_optimizer_info(opt)->step);
    plm__text_add(t, ",\"optimizer_numbers\":[");
    for (int i = 0; i < plm__optimizer_numbers(opt); i++) {
        if (i > 0) plm__text_add(t, ",");
        add_bare(t, plm__optimizer_number(opt)[i]);
    }
    plm__text_add(t, "],\"optimizer_steps\":[");
    for (int i = 0; i < plm__optimizer_params(opt); i++)
        plm__text_add(t, "%s%" PRId64, i > 0 ? "," : "", plm__optimizer_param_step(opt, i));
    plm__text_add(t, "]");
    add_integer(t, "step", at->step);
    add_integer(t, "epoch", at->epoch);
    add_integer(t, "batches", at->batches);
    add_integer(t, "skipped", at->skipped);
    add_integer(t, "steps", at->steps);
    add_integer(t, "samples", at->train.count);
    add_number(t, "loss", at->train.loss);
    add_number(t, "acc", at->train.acc);
    add_number(t, "eta", at->eta.mean);
    add_number(t, "eta_min", at->eta.min);
    add_number(t, "eta_max", at->eta.max);
    add_number(t, "update", at->update.mean);
    add_number(t, "update_min", at->update.min);
    add_number(t, "update_max", at->update.max);
    add_number(t, "seconds", at->seconds);
    add_string(t, "recipe", recipe ? recipe : "");
    plm__text_add(t, "}");
}

static bool check(plm_ctx *ctx, const void *path, const plm_graph *net, const plm_optimizer *opt, const void *at,
                  const char *call)
{
    if (!path || !opt || !at)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: %s is NULL", call, !path ? "path" : !opt ? "opt" : "at");
    if (plm_optimizer_graph(opt) != net)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: the optimiser steps another graph", call);
    for (int i = 0; i < net->params; i++)
        if (strncmp(net->param[i]->name, PLM__OURS, strlen(PLM__OURS)) == 0)
            return plm__fail(ctx, PLM_ERR_ARGUMENT,
                             "%s: the parameter %s has a name that begins with \"" PLM__OURS
                             "\", which a checkpoint needs for itself",
                             call, net->param[i]->name);
    return true;
}

bool plm_checkpoint_save(const char *path, const plm_graph *net, const plm_optimizer *opt, const plm_checkpoint *at,
                         const char *recipe)
{
    static const char call[] = "plm_checkpoint_save";
    if (!net || !plm__enter(net->ctx, call)) return false;
    plm_ctx  *ctx   = net->ctx;
    plm__text text  = { .ctx = ctx };
    slots     state = { 0 };
    bool      ok    = check(ctx, path, net, opt, at, call);
    if (ok) describe(&text, opt, at, recipe);
    if (ok && ctx->status == PLM_OK) state = slots_of(ctx, opt);
    ok = state.stored &&
         plm__graph_save(net, path, &(plm__beside){ TRAINING, text.at, state.stored, state.count }, call);
    plm__delete(ctx, state.stored);
    plm__delete(ctx, text.at);
    plm__leave(ctx);
    return ok;
}

/* ------------------------------------------------------------------ loading */

static bool read_bare(const cJSON *item, double *x)
{
    if (!cJSON_IsNull(item)) return plm__json_number(item, x);
    *x = (double)NAN;
    return true;
}

static bool read_number(const cJSON *json, const char *key, double *x)
{
    return read_bare(plm__json_member(json, key), x);
}

static bool read_integer(const cJSON *json, const char *key, int64_t *x)
{
    return plm__json_integer(plm__json_member(json, key), x);
}

/* What the optimiser is to go on with. */
typedef struct {
    int64_t  step;
    double   factor;
    double   number[PLM_MAX_NUMBERS];
    int64_t *param_step; /* of each parameter */
} moments;

/* An older file has one step for all. */
static bool read_steps(const cJSON *json, int params, moments *m)
{
    const cJSON *array = plm__json_member(json, "optimizer_steps"), *item;
    int          i     = 0;
    for (int k = 0; !array && k < params; k++) m->param_step[k] = m->step;
    if (!array) return true;
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != params) return false;
    cJSON_ArrayForEach(item, array) if (!plm__json_integer(item, &m->param_step[i++])) return false;
    return true;
}

static bool read_moments(const cJSON *json, const plm_optimizer *opt, moments *m)
{
    const cJSON *array = plm__json_member(json, "optimizer_numbers"), *item;
    int          i     = 0;
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != plm__optimizer_numbers(opt)) return false;
    cJSON_ArrayForEach(item, array) if (!read_bare(item, &m->number[i++])) return false;
    if (!read_number(json, "optimizer_factor", &m->factor)) m->factor = plm__optimizer_factor(opt); /* an older file */
    return plm__optimizer_takes_factor(opt, m->factor) && read_integer(json, "optimizer_step", &m->step) &&
           read_steps(json, plm__optimizer_params(opt), m);
}

static bool read_training(const cJSON *json, plm_checkpoint *at)
{
    int64_t    version, epoch = 0;
    const bool whole =
        read_integer(json, "version", &version) && version == 1 && read_integer(json, "step", &at->step) &&
        read_integer(json, "epoch", &epoch) && epoch < INT32_MAX && read_integer(json, "batches", &at->batches) &&
        read_integer(json, "skipped", &at->skipped) && read_integer(json, "steps", &at->steps) &&
        read_integer(json, "samples", &at->train.count) && read_number(json, "loss", &at->train.loss) &&
        read_number(json, "acc", &at->train.acc) && read_number(json, "eta", &at->eta.mean) &&
        read_number(json, "eta_min", &at->eta.min) && read_number(json, "eta_max", &at->eta.max) &&
        read_number(json, "update", &at->update.mean) && read_number(json, "update_min", &at->update.min) &&
        read_number(json, "update_max", &at->update.max) && read_number(json, "seconds", &at->seconds);
    at->epoch = (int)epoch;
    return whole;
}

/* The same recipe, or the first line of each that differs. */
static bool compare_recipes(plm_ctx *ctx, const char *path, const char *saved, const char *given)
{
    while (*saved || *given) {
        const size_t n = strcspn(saved, "\n"), m = strcspn(given, "\n");
        if (n != m || memcmp(saved, given, n) != 0)
            return plm__fail(ctx, PLM_ERR_STATE, "%s is of another training: there \"%.*s\", here \"%.*s\"", path,
                             n < 200 ? (int)n : 200, saved, m < 200 ? (int)m : 200, given);
        saved += n + (saved[n] == '\n');
        given += m + (given[m] == '\n');
    }
    return true;
}

/* What was given is compared as a file gives it back. */
static bool check_recipe(plm_ctx *ctx, const char *path, const char *saved, const char *recipe)
{
    plm__text text = { .ctx = ctx };
    plm__text_string(&text, recipe);
    cJSON      *json  = text.at ? plm__json_parse(text.at, (size_t)text.used) : NULL;
    const char *given = cJSON_GetStringValue(json);
    bool        ok    = given || plm__fail(ctx, PLM_ERR_MEMORY, "a checkpoint: out of memory");
    ok                = ok && compare_recipes(ctx, path, saved, given);
    cJSON_Delete(json);
    plm__delete(ctx, text.at);
    return ok;
}

/* The optimiser's own settings, but for those that came later than the file. */
static bool check_settings(plm_ctx *ctx, const char *path, const cJSON *json, const plm_optimizer *opt)
{
    const cJSON *saved = plm__json_member(json, "optimizer_settings");
    for (const plm_field *f = plm_optimizer_kind_of(opt)->fields; f && f->name; f++) {
        double       there;
        const double here = plm_field_get(f, plm_optimizer_desc(opt));
        if (is_setting(f) && read_number(saved, f->name, &there) && there != here)
            return plm__fail(ctx, PLM_ERR_STATE,
                             "%s is of another training: there the optimiser's %s is %.17g, here %.17g", path, f->name,
                             there, here);
    }
    return true;
}

static bool check_training(plm_ctx *ctx, const char *path, const cJSON *json, const plm_optimizer *opt,
                           const char *recipe)
{
    const char *kind  = cJSON_GetStringValue(plm__json_member(json, "optimizer"));
    const char *saved = cJSON_GetStringValue(plm__json_member(json, "recipe"));
    if (!kind || !saved) return plm__fail(ctx, PLM_ERR_FORMAT, "%s is no checkpoint of a training", path);
    if (strcmp(kind, plm_optimizer_name(opt)) != 0)
        return plm__fail(ctx, PLM_ERR_STATE, "%s is of another training: there the optimiser is %.40s, here %s", path,
                         kind, plm_optimizer_name(opt));
    return check_recipe(ctx, path, saved, recipe ? recipe : "") && check_settings(ctx, path, json, opt);
}

/* The tensors fit; so must what stands between them: otherwise the first module that differs. */
static bool check_network(plm__safetensors *f, const plm_graph *net)
{
    const char *metadata = plm__safetensors_metadata(f, PLM__OURS "graph"), *there = metadata ? metadata : "";
    plm__text   text = { .ctx = f->ctx };
    size_t      at = 0, from = 0;
    plm__graph_describe(&text, net);
    bool ok = f->ctx->status == PLM_OK;
    if (ok && strcmp(there, text.at) != 0) {
        for (; there[at] == text.at[at]; at++)
            if (there[at] == '{') from = at;
        const char *const here = text.at;
        const size_t      n = at - from + strcspn(there + at, "}]"), m = at - from + strcspn(here + at, "}]");
        ok = plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is of another network: there \"%.*s\", here \"%.*s\"", f->path,
                       n < 200 ? (int)n : 200, there + from, m < 200 ? (int)m : 200, here + from);
    }
    plm__delete(f->ctx, text.at);
    return ok;
}

/* Every slot is in the file, and the file has no others. */
static bool check_slots(plm__safetensors *f, const slots *state)
{
    int theirs = 0;
    for (int i = 0; i < f->entries; i++) theirs += strncmp(f->entry[i].name, PLM__OURS, strlen(PLM__OURS)) == 0;
    for (int i = 0; i < state->count; i++) {
        const plm__stored *s = &state->stored[i];
        const plm__entry  *e = plm__safetensors_find(f, s->name);
        if (!e || strcmp(e->dtype, "F32") != 0 || !plm_shape_equal(e->shape, plm__layout_shape(s->home)))
            return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: the optimiser's state %s is %s", f->path, s->name,
                             e ? "misshapen" : "missing");
    }
    if (!plm__safetensors_find(f, PLM__CHECKSUM))
        return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: the checksum of a checkpoint is missing", f->path);
    return theirs == state->count + 1 ||
           plm__fail(f->ctx, PLM_ERR_FORMAT, "%s has %d tensors of an optimiser's state, expected %d", f->path,
                     theirs - 1, state->count);
}

/* Weights and slots, all or none. */
static bool fill(plm__safetensors *f, const plm_graph *net, const slots *state)
{
    const int    count  = net->params + state->count;
    plm__stored *stored = plm__new(f->ctx, (size_t)(count + 1) * sizeof *stored, "a checkpoint");
    if (!stored) return false;
    plm__graph_stored(net, stored);
    memcpy(stored + net->params, state->stored, (size_t)state->count * sizeof *stored);
    const bool ok = plm__safetensors_fill(f, stored, count);
    plm__delete(f->ctx, stored);
    return ok;
}

static bool load(plm__safetensors *f, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at, const char *recipe,
                 int64_t step)
{
    const char *text   = plm__safetensors_metadata(f, TRAINING);
    cJSON      *json   = text ? plm__json_parse(text, strlen(text)) : NULL;
    moments     m      = { 0 };
    slots       state  = { 0 };
    bool        ok     = json || plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is no checkpoint of a training", f->path);
    ok                 = ok && check_training(f->ctx, f->path, json, opt, recipe) && plm__safetensors_match(f, net);
    const size_t steps = (size_t)plm__optimizer_params(opt) + 1;
    ok                 = ok && (m.param_step = plm__new(f->ctx, steps * sizeof *m.param_step, "a checkpoint"));
    if (ok && !(read_moments(json, opt, &m) && read_training(json, at)))
        ok = plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: where the training stood is not to be read from it", f->path);
    if (ok && step >= 0 && at->step != step)
        ok = plm__fail(f->ctx, PLM_ERR_FORMAT, "%s is the checkpoint of step %" PRId64, f->path, at->step);
    cJSON_Delete(json);
    if (ok) state = slots_of(f->ctx, opt);
    ok = state.stored && check_network(f, net) && check_slots(f, &state) && fill(f, net, &state);
    plm__delete(f->ctx, state.stored);
    if (ok) {
        plm__graph_written(net);
        plm__optimizer_go_on(opt, m.step, m.factor, m.number, m.param_step);
    }
    plm__delete(f->ctx, m.param_step);
    return ok;
}

bool plm__checkpoint_load(const char *path, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at, const char *recipe,
                          int64_t step)
{
    static const char call[] = "plm_checkpoint_load";
    if (!net || !plm__enter(net->ctx, call)) return false;
    plm__safetensors file  = { .ctx = net->ctx, .fd = -1 };
    plm_checkpoint   found = { 0 };
    const bool       ok = check(net->ctx, path, net, opt, at, call) && plm__safetensors_open(&file, net->ctx, path) &&
                    load(&file, net, opt, &found, recipe, step);
    plm__safetensors_close(&file);
    if (ok) *at = found;
    plm__leave(net->ctx);
    return ok;
}

bool plm_checkpoint_load(const char *path, plm_graph *net, plm_optimizer *opt, plm_checkpoint *at, const char *recipe)
{
    return plm__checkpoint_load(path, net, opt, at, recipe, -1);
}

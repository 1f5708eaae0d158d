/* load.c: weights from a file into a network built in code.
 *
 * All or nothing: names and shapes are compared first, then every tensor is read into memory of its own, in its
 * parameter's home layout; these blocks take the place of the old ones only when nothing can fail any more. */
#include "nn/safetensors.h"

#include <stdio.h>
#include <string.h>

enum { NAMED = 3 }; /* of each kind of fault */

/* Part of a sentence: "; missing: a, b, c and 7 more". */
typedef struct {
    char text[400];
    int  count;
} faults;

static void note(faults *f, const char *what, const char *each)
{
    const size_t used = strlen(f->text);
    if (f->count++ < NAMED)
        snprintf(f->text + used, sizeof f->text - used, "%s%.112s", f->count > 1 ? ", " : what, each);
}

static void end_faults(faults *f)
{
    const size_t used = strlen(f->text);
    if (f->count > NAMED) snprintf(f->text + used, sizeof f->text - used, " and %d more", f->count - NAMED);
}

/* PyTorch's batch norms count their batches, in a number without axes; nothing here depends on it. */
static bool is_counter(const plm__entry *e)
{
    static const char suffix[] = ".num_batches_tracked";
    const size_t      length = strlen(e->name), end = sizeof suffix - 1;
    return length >= end && strcmp(e->name + length - end, suffix) == 0 && strcmp(e->dtype, "I64") == 0 &&
           e->shape.rank == 0;
}

/* What a checkpoint keeps beside the network. */
static bool is_ours(const char *name)
{
    return strncmp(name, PLM__OURS, strlen(PLM__OURS)) == 0;
}

bool plm__safetensors_match(plm__safetensors *f, const plm_graph *g)
{
    faults missing = { 0 }, misshapen = { 0 }, extra = { 0 };
    char   each[512], is[PLM__SHAPE_TEXT], wanted[PLM__SHAPE_TEXT];
    for (int i = 0; i < g->params; i++) {
        const plm_param *p = g->param[i];
        plm__entry      *e = plm__safetensors_find(f, p->name);
        if (!e) {
            note(&missing, "; missing: ", p->name);
            continue;
        }
        e->used = true;
        if (plm_shape_equal(e->shape, p->shape) && plm__safetensors_is_float(e)) continue;
        snprintf(each, sizeof each, "%.48s is %s %s, expected %s %s", p->name, e->dtype, plm__shape_text(e->shape, is),
                 plm__safetensors_is_float(e) ? e->dtype : "F32, BF16 or F16", plm__shape_text(p->shape, wanted));
        note(&misshapen, "; misshapen: ", each);
    }
    for (int i = 0; i < f->entries; i++)
        if (!f->entry[i].used && !is_counter(&f->entry[i]) && !is_ours(f->entry[i].name))
            note(&extra, "; extra: ", f->entry[i].name);
    if (missing.count + misshapen.count + extra.count == 0) return true;
    end_faults(&missing), end_faults(&misshapen), end_faults(&extra);
    return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: its tensors do not fit the network%s%s%s", f->path, missing.text,
                     misshapen.text, extra.text);
}

/* A tensor of the file in its home layout. */
static plm__block *read_home(const plm__safetensors *f, const plm__stored *to)
{
    const plm_shape   shape = plm__layout_shape(to->home);
    const plm__layout plain = plm__layout_plain(shape);
    const plm__entry *e     = plm__safetensors_find(f, to->name);
    plm__block       *home  = plm__pool_get(f->ctx, (size_t)plm__layout_floats(to->home) * sizeof(float));
    bool              ok    = home != NULL;
    if (ok && plm__layout_same(to->home, &plain)) ok = plm__safetensors_read_f32(f, e, home->data);
    else if (ok) {
        plm__block *rows = plm__pool_get(f->ctx, (size_t)plm_shape_count(shape) * sizeof(float));
        ok               = rows && plm__safetensors_read_f32(f, e, rows->data) &&
             plm__reorder(f->ctx, &plain, rows->data, to->home, home->data);
        plm__pool_drop(f->ctx, rows);
    }
    if (ok) return home;
    plm__pool_drop(f->ctx, home);
    return NULL;
}

bool plm__safetensors_fill(const plm__safetensors *f, const plm__stored *stored, int n)
{
    plm__block **read = plm__new(f->ctx, (size_t)(n + 1) * sizeof(plm__block *), "weights from a file");
    bool         ok   = read != NULL;
    for (int i = 0; i < n && ok; i++) ok = (read[i] = read_home(f, &stored[i])) != NULL;
    for (int i = 0; read && i < n; i++) {
        /* into the memory there is: values of tapes may be views of it */
        if (ok) memcpy(stored[i].data, read[i]->data, (size_t)plm__layout_floats(stored[i].home) * sizeof(float));
        plm__pool_drop(f->ctx, read[i]);
    }
    plm__delete(f->ctx, read);
    return ok;
}

void plm__graph_written(plm_graph *g)
{
    for (int i = 0; i < g->params; i++) {
        g->param[i]->written = true;
        g->param[i]->version++;
    }
}

static bool load(plm_graph *g, const char *path)
{
    plm__safetensors file   = { .ctx = g->ctx, .fd = -1 };
    plm__stored     *stored = plm__new(g->ctx, (size_t)(g->params + 1) * sizeof *stored, "weights from a file");
    if (stored) plm__graph_stored(g, stored);
    const bool ok = stored && plm__safetensors_open(&file, g->ctx, path) && plm__safetensors_match(&file, g) &&
                    plm__safetensors_fill(&file, stored, g->params);
    if (ok) plm__graph_written(g);
    plm__safetensors_close(&file);
    plm__delete(g->ctx, stored);
    return ok;
}

bool plm_graph_load(plm_graph *g, const char *path)
{
    if (!g || !plm__enter(g->ctx, "plm_graph_load")) return false;
    const bool ok = path ? load(g, path) : plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_load: the path is NULL");
    plm__leave(g->ctx);
    return ok;
}

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
        if (!f->entry[i].used && !is_counter(&f->entry[i])) note(&extra, "; extra: ", f->entry[i].name);
    if (missing.count + misshapen.count + extra.count == 0) return true;
    end_faults(&missing), end_faults(&misshapen), end_faults(&extra);
    return plm__fail(f->ctx, PLM_ERR_FORMAT, "%s: its tensors do not fit the network%s%s%s", f->path, missing.text,
                     misshapen.text, extra.text);
}

/* A tensor of the file as the parameter keeps it. */
static plm__block *read_home(const plm__safetensors *f, const plm_param *p)
{
    const plm__layout plain = plm__layout_plain(p->shape);
    const plm__entry *e     = plm__safetensors_find(f, p->name);
    plm__block       *home  = plm__pool_get(f->ctx, (size_t)plm__layout_floats(&p->home) * sizeof(float));
    bool              ok    = home != NULL;
    if (ok && plm__layout_same(&p->home, &plain)) ok = plm__safetensors_read_f32(f, e, home->data);
    else if (ok) {
        plm__block *rows = plm__pool_get(f->ctx, (size_t)plm_shape_count(p->shape) * sizeof(float));
        ok               = rows && plm__safetensors_read_f32(f, e, rows->data) &&
             plm__reorder(f->ctx, &plain, rows->data, &p->home, home->data);
        plm__pool_drop(f->ctx, rows);
    }
    if (ok) return home;
    plm__pool_drop(f->ctx, home);
    return NULL;
}

static bool fill(const plm__safetensors *f, plm_graph *g)
{
    plm__block **read = plm__new(g->ctx, (size_t)g->params * sizeof(plm__block *), "weights from a file");
    bool         ok   = read != NULL;
    for (int i = 0; i < g->params && ok; i++) ok = (read[i] = read_home(f, g->param[i])) != NULL;
    for (int i = 0; read && i < g->params; i++) {
        plm_param *p = g->param[i];
        if (ok) { /* into the memory there is: values of tapes may be views of it */
            memcpy(p->weights->data, read[i]->data, (size_t)plm__layout_floats(&p->home) * sizeof(float));
            p->written = true;
            p->version++;
        }
        plm__pool_drop(g->ctx, read[i]);
    }
    plm__delete(g->ctx, read);
    return ok;
}

bool plm_graph_load(plm_graph *g, const char *path)
{
    if (!g || !plm__enter(g->ctx, "plm_graph_load")) return false;
    plm__safetensors file = { .ctx = g->ctx, .fd = -1 };
    bool             ok   = path || plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_load: the path is NULL");
    ok                    = ok && plm__safetensors_open(&file, g->ctx, path);
    ok                    = ok && plm__safetensors_match(&file, g) && fill(&file, g);
    plm__safetensors_close(&file);
    plm__leave(g->ctx);
    return ok;
}

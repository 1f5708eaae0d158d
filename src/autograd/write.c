/* write.c: a tape for the eye: its records in backward order, each with op, shape, value and gradient, as text or as a graph
 * for Graphviz. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "autograd/list.h"

/* What is being written, and how much of each value. */
typedef struct {
    const plm__list *list;
    FILE            *file;
    bool             dot;
    int              numbers;
} writer;

/* Text inside the quotes of a label. */
static void put_name(const writer *w, const char *text)
{
    for (; *text; text++) {
        if (w->dot && (*text == '"' || *text == '\\')) fputc('\\', w->file);
        fputc(*text, w->file);
    }
}

static void put_shape(const writer *w, const plm__layout *l)
{
    char text[PLM__SHAPE_TEXT];
    fputs(plm__shape_text(plm__layout_shape(l), text), w->file);
}

/* The first numbers in row-major order, wherever they lie; for more of them the norm of all. */
static void put_numbers(const writer *w, const plm__layout *l, const float *x)
{
    const int64_t count               = plm_shape_count(plm__layout_shape(l));
    int64_t       index[PLM_MAX_RANK] = { 0 };
    for (int64_t i = 0; i < count && i < w->numbers; i++) {
        fprintf(w->file, i ? " %.6g" : "%.6g", (double)x[plm__layout_offset(l, index)]);
        for (int axis = l->rank - 1; axis >= 0 && ++index[axis] == l->dim[axis]; axis--) index[axis] = 0;
    }
    if (count <= w->numbers) return;
    double squares = 0;
    for (int64_t i = 0; i < plm__layout_floats(l); i++) squares += (double)x[i] * (double)x[i]; /* padding is zero */
    fprintf(w->file, " ... norm %.6g", sqrt(squares));
}

static const float *gradient_of(const plm__value *v)
{
    return v->grad ? v->grad->data : NULL;
}

/* "[2,3]  value 1 2  gradient 0.5 0.5": one line of text, or the lines of a label. */
static void put_value(const writer *w, const plm__value *v)
{
    const char  *between = w->dot ? "\\n" : "  ";
    const float *value = plm__value_data(v), *gradient = gradient_of(v);
    put_shape(w, &v->layout);
    fprintf(w->file, "%svalue ", between);
    if (value) put_numbers(w, &v->layout, value);
    else fputs("given back", w->file);
    fputs(between, w->file);
    if (gradient) {
        fputs("gradient ", w->file);
        put_numbers(w, &v->layout, gradient);
    } else fputs("no gradient", w->file);
}

static void put_record(const writer *w, const plm_record *r)
{
    const plm__value *out = &w->list->value[r->out];
    fprintf(w->file, w->dot ? "  v%d [label=\"%s" : "v%d = %s", (int)r->out, r->op->name);
    if (!w->dot) fputc('(', w->file);
    for (int i = 0; !w->dot && i < r->n_in; i++) fprintf(w->file, i ? ", v%d" : "v%d", (int)r->in[i]);
    if (!w->dot) fputc(')', w->file);
    if (r->node) {
        fputs(" at ", w->file);
        put_name(w, r->node);
    }
    fputs(w->dot ? "\\n" : "  ", w->file);
    put_value(w, out);
    fputs(w->dot ? "\"];\n" : "\n", w->file);
    for (int i = 0; w->dot && i < r->n_in; i++) fprintf(w->file, "  v%d -> v%d;\n", (int)r->in[i], (int)r->out);
}

static void put_leaf(const writer *w, int32_t id)
{
    const plm__value *v = &w->list->value[id];
    fprintf(w->file, w->dot ? "  v%d [shape=%s, label=\"" : "v%d is %s ", (int)id,
            w->dot     ? (v->param ? "box, style=rounded" : "ellipse")
            : v->param ? "parameter"
                       : "input");
    put_name(w, v->param ? v->param->name : v->name ? v->name : "input");
    fputs(w->dot ? "\\n" : "  ", w->file);
    put_value(w, v);
    fputs(w->dot ? "\"];\n" : "\n", w->file);
}

/* Values that no record makes, and that are not just numbers kept free for a plan's: inputs and parameters. */
static bool is_leaf(const plm__value *v)
{
    return v->param || v->lent;
}

static void put_tape(const writer *w)
{
    const plm__list *l = w->list;
    if (w->dot) fputs("digraph tape {\n  rankdir=BT;\n  node [shape=box, fontname=\"monospace\"];\n", w->file);
    for (int i = l->records - 1; i >= 0; i--) put_record(w, &l->record[i]);
    for (int32_t i = l->values - 1; i >= 0; i--) {
        bool made = false; /* a view of an input is lent its memory too */
        for (int k = 0; k < l->records && !made; k++) made = l->record[k].out == i;
        if (!made && is_leaf(&l->value[i])) put_leaf(w, i);
    }
    if (w->dot) fputs("}\n", w->file);
}

bool plm_tape_write(plm_tape *tape, const char *path, const plm_tape_write_desc *desc)
{
    if (!tape || !plm__enter(tape->list.ctx, "plm_tape_write")) return false;
    plm_ctx *ctx = tape->list.ctx;
    writer   w   = { .list = &tape->list, .dot = desc && desc->dot, .numbers = desc ? desc->numbers : 0 };
    if (w.numbers == 0) w.numbers = 6;
    bool ok = true;
    if (!path) ok = plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_tape_write: the path is NULL");
    else if (w.numbers < 0)
        ok = plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_tape_write: %d numbers of each value", w.numbers);
    else if (!tape->in_use) ok = plm__fail(ctx, PLM_ERR_STATE, "plm_tape_write: the tape was freed");
    else if (!(w.file = fopen(path, "w")))
        ok = plm__fail(ctx, PLM_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    if (ok) {
        put_tape(&w);
        const bool bad = ferror(w.file) != 0;
        if (fclose(w.file) != 0 || bad)
            ok = plm__fail(ctx, PLM_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    }
    plm__leave(ctx);
    return ok;
}

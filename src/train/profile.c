/* profile.c: where the time of a training step goes, op by op.
 *
 * Records run in the same order in every step of one plan, forward, and backward in the reverse of it.  So the k-th record
 * of a step is the k-th entry of the table, and a backward one is the last entry of its op and node that has none yet. */
#include "train/profile.h"

#include <string.h>

static bool same(const plm__profile_entry *e, const char *op, const char *node)
{
    return e->op == op && e->node == node; /* names of structs and nodes: the pointers are as good as the text */
}

static void note_forward(plm__profile *p, const char *op, const char *node, double seconds)
{
    const int i = p->at;
    if (i == p->entries && !plm__grow(p->ctx, &p->entry, &p->capacity, i + 1, sizeof *p->entry, "a profile")) return;
    p->at++;
    if (i == p->entries) p->entry[p->entries++] = (plm__profile_entry){ .op = op, .node = node };
    p->entry[i].forward += seconds;
    p->entry[i].done = false;
}

static void note_backward(plm__profile *p, const char *op, const char *node, double seconds)
{
    for (int i = p->entries - 1; i >= 0; i--) {
        plm__profile_entry *e = &p->entry[i];
        if (e->done || !same(e, op, node)) continue;
        e->backward += seconds;
        e->done = true;
        return;
    }
}

static void note(void *user, const char *op, const char *node, bool backward, double seconds)
{
    plm__profile *p = user;
    (backward ? note_backward : note_forward)(p, op, node, seconds);
}

void plm__profile_begin(plm__profile *p, plm_ctx *ctx)
{
    *p              = (plm__profile){ .ctx = ctx };
    ctx->watch      = note;
    ctx->watch_user = p;
}

void plm__profile_step(plm__profile *p)
{
    p->at = 0;
    p->steps++;
}

void plm__profile_end(plm__profile *p)
{
    p->ctx->watch = NULL;
    plm__delete(p->ctx, p->entry);
    p->entry = NULL;
}

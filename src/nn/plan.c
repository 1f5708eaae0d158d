/* plan.c: what apply runs, compiled once per input shape and mode.
 *
 * A plan is a dry tape: the modules' apply functions run on it as they would on a real one, but its values have layouts and
 * no memory, and its records keep their kernels.  Applying copies the records onto the caller's tape. */
#include "nn/nn.h"

#include <string.h>

static void drop_plan(plm_graph *g, plm__plan *plan)
{
    if (plan->tape) plm__list_free(&plan->tape->list);
    plm__delete(g->ctx, plan->tape);
    plm__delete(g->ctx, plan->handle);
    plm__delete(g->ctx, plan->value);
    memset(plan, 0, sizeof *plan);
}

void plm__graph_drop_plans(plm_graph *g)
{
    for (int i = 0; i < PLM__PLANS; i++) drop_plan(g, &g->plan[i]);
    g->last_plan = NULL;
}

/* Nodes that the output or a kept node depends on. */
static void mark_needed(const plm_graph *g, int32_t *value)
{
    enum { NEEDED = 0, NOT_NEEDED = -1 };
    for (int i = g->nodes - 1; i >= 0; i--)
        value[i] = i == g->output || g->node[i].keep || i == g->input ? NEEDED : NOT_NEEDED;
    for (int i = g->nodes - 1; i >= 0; i--)
        for (int k = 0; value[i] == NEEDED && k < g->node[i].m.inputs; k++) value[g->node[i].in[k]] = NEEDED;
}

static double relu_scale(const plm_graph *g, int i)
{
    const plm_relu_desc *d = g->node[i].m.desc;
    return d->scale;
}

/* The ReLU that can be fused into node i: its only consumer; -1: none. */
static int fused_relu(const plm_graph *g, int i)
{
    const plm__node          *n      = &g->node[i];
    const plm__module_engine *engine = n->m.kind->engine;
    if (!engine || !engine->fuses || n->keep || i == g->output || n->consumers != 1) return -1;
    for (int j = i + 1; j < g->nodes; j++)
        if (g->node[j].m.kind == &plm__kind_relu && g->node[j].in[0] == i)
            return engine->fuses(relu_scale(g, j)) ? j : -1;
    return -1;
}

/* A module's output, which must be what its kind has promised: kinds are anybody's. */
static plm_val apply_module(const plm_graph *g, const plm_module *m, const plm_val *x, int relu)
{
    const plm__module_engine *engine = m->kind->engine;
    const plm_val             y      = relu >= 0 ? engine->apply_relu(m, x, relu_scale(g, relu)) : m->kind->apply(m, x);
    char                      is[PLM__SHAPE_TEXT], want[PLM__SHAPE_TEXT];
    if (g->ctx->status != PLM_OK) return plm__val_none(x[0].tape);
    if (y.tape != x[0].tape || !plm_val_ok(y) || y.tape->list.value[y.id].param) {
        plm_module_fail(m, PLM_ERR_ARGUMENT,
                        "its kind's apply returned an empty value, one of another tape or a parameter");
        return plm__val_none(x[0].tape);
    }
    const plm_shape shape = plm_val_shape(y), promised = plm__shape_batched(plm_val_shape(x[0]).dim[0], m->shape);
    if (plm_shape_equal(shape, promised)) return y;
    plm_module_fail(m, PLM_ERR_SHAPE, "its kind's apply returned %s, its resolve said %s", plm__shape_text(shape, is),
                    plm__shape_text(promised, want));
    return plm__val_none(x[0].tape);
}

/* Runs the modules on the dry tape; value[i] becomes node i's value. */
static bool trace_modules(plm_graph *g, plm__plan *plan)
{
    plm__list *l     = &plan->tape->list;
    int32_t   *value = plan->value;
    mark_needed(g, value);
    value[g->input] = 0;
    for (int i = 0; i < g->nodes; i++) {
        const plm__node *n = &g->node[i];
        if (value[i] != 0 || i == g->input) continue; /* not needed, or made by the node it is fused into */
        const int relu = fused_relu(g, i);
        plm_val   in[PLM_MAX_INPUTS];
        for (int k = 0; k < n->m.inputs; k++) in[k] = plm__val_make(plan->tape, value[n->in[k]]);
        l->node           = n->m.name;
        const plm_val out = apply_module(g, &n->m, in, relu);
        if (out.id < 0) return false;
        value[i] = out.id;
        if (relu >= 0) {
            value[relu] = out.id;
            value[i]    = -1;
        }
    }
    plan->out = value[g->output];
    return true;
}

/* Who reads what, and which values get a handle. */
static bool count_readers(plm_graph *g, plm__plan *plan)
{
    plm__list *l = &plan->tape->list;
    plan->handle = plm__new(g->ctx, (size_t)l->values * sizeof *plan->handle, "plan");
    if (!plan->handle) return false;
    for (int i = 0; i < l->records; i++)
        for (int k = 0; k < l->record[i].n_in; k++) l->value[l->record[i].in[k]].readers++;
    plan->handle[plan->out] = true;
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].keep && plan->value[i] >= 0) plan->handle[plan->value[i]] = true;
    return true;
}

static bool compile(plm_graph *g, plm__plan *plan)
{
    plan->value = plm__new(g->ctx, (size_t)g->nodes * sizeof *plan->value, "plan");
    plan->tape  = plm__new(g->ctx, sizeof *plan->tape, "plan");
    if (!plan->value || !plan->tape) return false;
    plan->tape->in_use  = true;
    plm__list *l        = &plan->tape->list;
    l->ctx              = g->ctx;
    l->dry              = true;
    l->eval             = plan->eval;
    l->no_grad          = plan->no_grad;
    const plm__layout x = plm__layout_plain(plan->x);
    if (plm__list_value(l, &x, plan->input_grad) < 0) return false;
    return trace_modules(g, plan) && count_readers(g, plan);
}

static uint64_t frozen_hash(const plm_graph *g)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < g->params; i++) hash = (hash ^ g->param[i]->frozen) * 0x100000001b3u;
    return hash;
}

static plm__plan *find_plan(plm_graph *g, const plm__list *l, const plm__value *input)
{
    const plm_shape x      = plm__layout_shape(&input->layout);
    const uint64_t  frozen = frozen_hash(g);
    plm__plan      *oldest = &g->plan[0];
    for (int i = 0; i < PLM__PLANS; i++) {
        plm__plan *p = &g->plan[i];
        if (p->tape && plm_shape_equal(p->x, x) && p->eval == l->eval && p->no_grad == l->no_grad &&
            p->frozen == frozen && p->input_grad == input->wants_grad) {
            p->used = ++g->plan_clock;
            return p;
        }
        if (p->used < oldest->used) oldest = p;
    }
    drop_plan(g, oldest);
    if (g->last_plan == oldest) g->last_plan = NULL;
    oldest->x          = x;
    oldest->eval       = l->eval;
    oldest->no_grad    = l->no_grad;
    oldest->frozen     = frozen;
    oldest->input_grad = input->wants_grad;
    oldest->used       = ++g->plan_clock;
    if (compile(g, oldest)) return oldest;
    drop_plan(g, oldest);
    return NULL;
}

/* A nan in a batch would spread to every weight, or vanish in a ReLU: it is refused at the door. */
static bool check_finite(plm_graph *g, const plm__value *input)
{
    char            text[PLM__SHAPE_TEXT];
    const plm_shape shape = plm__layout_shape(&input->layout);
    const float    *x     = plm__value_data(input);
    const int64_t   at    = plm__first_nonfinite(x, plm__layout_floats(&input->layout));
    if (at < 0) return true;
    if (!plm__layout_is_plain(&input->layout))
        return plm__fail(g->ctx, PLM_ERR_NONFINITE, "plm_graph_apply: the input %s holds %g",
                         plm__shape_text(shape, text), (double)x[at]);
    const int64_t each = plm_shape_count(plm__shape_sample(shape));
    return plm__fail(g->ctx, PLM_ERR_NONFINITE, "plm_graph_apply: the input %s holds %g: sample %lld, element %lld",
                     plm__shape_text(shape, text), (double)x[at], (long long)(at / each), (long long)(at % each));
}

static bool check_apply(plm_graph *g, plm_val x, const plm__value *input)
{
    char a[PLM__SHAPE_TEXT], b[PLM__SHAPE_TEXT];
    if (x.tape->list.dry)
        return plm__fail(g->ctx, PLM_ERR_STATE, "plm_graph_apply: a module's apply is planned, it runs no other graph");
    if (x.tape->list.ctx != g->ctx)
        return plm__fail(g->ctx, PLM_ERR_ARGUMENT,
                         "plm_graph_apply: the input lives on a tape of another context than the graph");
    if (x.tape->done && !x.tape->list.no_grad)
        return plm__fail(g->ctx, PLM_ERR_STATE,
                         "plm_graph_apply: this tape has run its backward pass, reset it before computing more");
    const plm_shape shape = plm__layout_shape(&input->layout), want = plm_graph_input_shape(g);
    if (!plm_shape_equal(plm__shape_sample(shape), want) || shape.rank < 1)
        return plm__fail(g->ctx, PLM_ERR_SHAPE, "plm_graph_apply: the input is %s, the graph expects %s",
                         plm__shape_text(shape, a),
                         plm__shape_text(plm__shape_batched(shape.rank ? shape.dim[0] : 1, want), b));
    for (int i = 0; i < g->params; i++)
        if (!plm__param_check_finite(g->param[i])) return false;
    if (!check_finite(g, input) || !plm__graph_freeze(g)) return false;
    if (!plm_graph_initialized(g))
        return plm__fail(g->ctx, PLM_ERR_STATE,
                         "plm_graph_apply: the weights are neither initialised nor loaded: call plm_graph_init or make "
                         "an optimiser");
    return true;
}

plm_val plm_graph_apply(plm_graph *g, plm_val x)
{
    if (!g || !plm__enter(g->ctx, "plm_graph_apply")) return plm__val_none(x.tape);
    plm_val           out   = plm__val_none(x.tape);
    const plm__value *input = plm__val_get(x, "plm_graph_apply");
    if (!input && g->ctx->status == PLM_OK) plm__fail(g->ctx, PLM_ERR_ARGUMENT, "plm_graph_apply: the input is empty");
    if (input && check_apply(g, x, input)) {
        const plm__plan  *plan  = find_plan(g, &x.tape->list, input);
        const plm__layout plain = plm__layout_plain(plm__layout_shape(&input->layout));
        int32_t           id    = plan ? plm__list_reordered(&x.tape->list, x.id, &plain) : -1, base;
        if (id >= 0 && plm__tape_run_plan(x.tape, &plan->tape->list, id, plan->handle, &base)) {
            out           = plm__val_make(x.tape, plan->out == 0 ? x.id : base + plan->out);
            g->last_tape  = x.tape;
            g->last_pass  = x.tape->pass;
            g->last_base  = base;
            g->last_input = x.id;
            g->last_plan  = plan;
        }
    }
    plm__leave(g->ctx);
    return out;
}

plm_val plm_node_value(plm_node node, plm_tape *tape)
{
    plm_graph *g = node.graph;
    if (!g || node.id < 0 || node.id >= g->nodes || !tape || g->ctx->status != PLM_OK) return plm__val_none(tape);
    if (!g->node[node.id].keep && node.id != g->output)
        plm__fail(g->ctx, PLM_ERR_STATE, "plm_node_value: %s is not kept: call plm_node_keep while building",
                  g->node[node.id].m.name);
    else if (!g->last_plan || g->last_tape != tape || g->last_pass != tape->pass)
        plm__fail(g->ctx, PLM_ERR_STATE, "plm_node_value: %s: the graph was not applied last on this tape",
                  g->node[node.id].m.name);
    else {
        const int32_t value = g->last_plan->value[node.id];
        return plm__val_make(tape, value == 0 ? g->last_input : g->last_base + value);
    }
    return plm__val_none(tape);
}

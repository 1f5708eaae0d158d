/* explain_bound.c: bounds that follow by walking the graph: of values, of their change, and of what a change does onward.
 *
 * A walk composes the modules' own facts (plm_lipschitz) in the order of the nodes, which is topological.  Unknown is nan, and nan
 * goes on to everything behind it.  Bounds are affine in ||x||, so that one walk serves the largest sample and the mean. */
#include "train/explain.h"

#include <math.h>

/* What several inputs have together: the sum, or the root of the sum of squares (Minkowski: also of affine bounds). */
static plm__walked gather(const plm__walked *at, const plm_node_info *n)
{
    plm__walked sum = { 0 };
    for (int k = 0; k < n->input_count; k++) {
        const plm__walked *in = &at[n->inputs[k]];
        const bool         sq = n->lipschitz.squares;
        sum.offset += sq ? in->offset * in->offset : in->offset;
        sum.gain += sq ? in->gain * in->gain : in->gain;
        sum.d_offset += sq ? in->d_offset * in->d_offset : in->d_offset;
        sum.d_gain += sq ? in->d_gain * in->d_gain : in->d_gain;
    }
    if (!n->lipschitz.squares) return sum;
    return (plm__walked){ sqrt(sum.offset), sqrt(sum.gain), sqrt(sum.d_offset), sqrt(sum.d_gain) };
}

/* (W + dW)(h + dh) - W h = W dh + dW (h + dh), in norms. */
static plm__walked through_layer(plm__walked in, double norm, double change)
{
    return (plm__walked){ .offset   = norm * in.offset,
                          .gain     = norm * in.gain,
                          .d_offset = norm * in.d_offset + change * (in.offset + in.d_offset),
                          .d_gain   = norm * in.d_gain + change * (in.gain + in.d_gain) };
}

plm__walked plm__explain_walk(const plm_explain *e, const double *norm, const double *change, const double *shift)
{
    plm__walked  *at = e->walk;
    plm_node_info n;
    for (int i = 0; i < e->net->nodes && plm_graph_node_info(e->net, i, &n); i++) {
        if (i == e->net->input) {
            at[i] = (plm__walked){ .gain = 1 };
            continue;
        }
        const int k = e->layer_of[i];
        at[i]       = gather(at, &n);
        if (k >= 0) at[i] = through_layer(at[i], norm[k], change ? change[k] : 0);
        at[i].offset = n.lipschitz.at_zero + n.lipschitz.factor * at[i].offset;
        at[i].gain *= n.lipschitz.factor;
        at[i].d_offset *= n.lipschitz.factor;
        at[i].d_gain *= n.lipschitz.factor;
        if (k >= 0 && shift) at[i].d_offset += shift[k];
    }
    return at[e->net->output];
}

/* Backwards: how much a change of a node's value can change the output, over all ways there. */
static void walk_back(plm_explain *e)
{
    plm_node_info n;
    for (int i = 0; i < e->net->nodes; i++) e->node[i].onward = i == e->net->output;
    for (int i = e->net->nodes - 1; i >= 0 && plm_graph_node_info(e->net, i, &n); i--) {
        const double weight = e->layer_of[i] >= 0 ? e->norm[e->layer_of[i]] : 1;
        if (e->node[i].onward == 0) continue; /* not on the way: nan * 0 would not be 0 */
        for (int k = 0; k < n.input_count; k++)
            e->node[n.inputs[k]].onward += n.lipschitz.factor * weight * e->node[i].onward;
    }
}

void plm__explain_bounds(plm_explain *e)
{
    const plm__walked *at = e->walk;
    for (int k = 0; k < e->net->layers; k++) e->norm[k] = e->layer[k].map_prescribed;
    plm__explain_walk(e, e->norm, NULL, NULL);
    for (int i = 0; i < e->net->nodes; i++) e->node[i].gain_prescribed = at[i].gain;
    for (int k = 0; k < e->net->layers; k++) e->norm[k] = e->layer[k].map;
    plm__explain_walk(e, e->norm, NULL, NULL);
    for (int i = 0; i < e->net->nodes; i++) {
        e->node[i].offset = at[i].offset;
        e->node[i].gain   = at[i].gain;
    }
    walk_back(e);
}

double plm_explain_trust(const plm_explain *e, double eta)
{
    if (!e) return (double)NAN;
    for (int k = 0; k < e->net->layers; k++) {
        e->norm[k]   = e->layer[k].map_prescribed;
        e->change[k] = e->layer[k].share * eta * e->layer[k].map_prescribed;
    }
    const double trust = plm__explain_walk(e, e->norm, e->change, NULL).d_gain;
    for (int k = 0; k < e->net->layers; k++) e->norm[k] = e->layer[k].map;
    return trust;
}

/* explain_batch.c: samples run through the network, and what a step changed in their outputs and losses.
 *
 * The samples come as training would get them; all of a data set run in parts, whose gradients add up.  Outputs are kept, so
 * that the loss, its slope and its bend are computed from them in double: a step changes them in the fifth digit. */
#include "train/explain.h"

#include <math.h>
#include <string.h>

static double norm_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* The part's samples, or copies of them with ||x|| = sqrt(d_0). */
static plm_tensor samples_of(const plm_explain *e, const plm_batch *part, plm__sizes *sizes)
{
    const float *x = part->x.data;
    for (int64_t s = 0; s < part->count; s++) {
        double norm = norm_of(x + s * e->d_0, e->d_0);
        if (e->desc.rescale) {
            const double factor = norm > 0 ? sqrt((double)e->d_0) / norm : 0;
            for (int64_t i = s * e->d_0; i < (s + 1) * e->d_0; i++) e->x[i] = (float)(factor * (double)x[i]);
            norm *= factor;
        }
        sizes->x_rms += norm * norm;
        sizes->x_max = fmax(sizes->x_max, norm);
    }
    return e->desc.rescale ? plm_tensor_wrap(PLM_F32, part->x.shape, e->x) : part->x;
}

/* The outputs of a part, before which `done` samples ran. */
static bool read_outputs(plm_explain *e, bool after, const plm_batch *part, int64_t done, plm_val out,
                         plm__sizes *sizes)
{
    float *f = e->f[after] + done * e->d_L;
    if (!plm_val_read(out, f, part->count * e->d_L)) return false;
    for (int64_t s = 0; s < part->count; s++) {
        const double norm = norm_of(f + s * e->d_L, e->d_L);
        sizes->f_rms += norm * norm;
        sizes->f_max = fmax(sizes->f_max, norm);
    }
    if (!after) memcpy(e->label + done, part->y.data, (size_t)part->count * sizeof *e->label);
    return true;
}

static bool run_part(plm_explain *e, bool after, const plm_batch *part, int64_t done, plm__sizes *sizes)
{
    const bool last = done + part->count == e->samples;
    plm_tape_set_step(e->tape, e->step); /* random ops draw the same before and after */
    const plm_val out = plm_graph_apply(e->net, plm_tape_input(e->tape, samples_of(e, part, sizes)));
    if (!read_outputs(e, after, part, done, out, sizes)) return false;
    if (after) return true;
    plm_val loss = plm_loss_apply(e->desc.loss, out, part->y);
    if (part->count < e->samples) loss = plm_scale(loss, (double)part->count / (double)e->samples);
    return plm_backward_with(loss, &(plm_backward_desc){ .more = !last });
}

/* From sums of squares to roots of their means. */
static void finish_sizes(const plm_explain *e, plm__sizes *sizes)
{
    sizes->x_rms = sqrt(sizes->x_rms / (double)e->samples);
    sizes->f_rms = sqrt(sizes->f_rms / (double)e->samples);
}

bool plm__explain_run(plm_explain *e, bool after, plm__sizes *sizes)
{
    plm_batch part;
    int64_t   done = 0;
    *sizes         = (plm__sizes){ 0 };
    plm_loader_seek(e->loader, 0);
    while (done < e->samples && plm_loader_next(e->loader, &part)) {
        const bool ok = run_part(e, after, &part, done, sizes);
        plm_tape_reset(e->tape);
        if (!ok) return false;
        done += part.count;
    }
    finish_sizes(e, sizes);
    return e->ctx->status == PLM_OK;
}

bool plm__explain_take(plm_explain *e, const plm_batch *batch, plm_val out, plm__sizes *sizes)
{
    *sizes     = (plm__sizes){ 0 };
    e->samples = batch->count;
    samples_of(e, batch, sizes);
    if (!read_outputs(e, false, batch, 0, out, sizes)) return false;
    finish_sizes(e, sizes);
    return true;
}

bool plm__explain_again(plm_explain *e, const plm_batch *batch)
{
    plm__sizes sizes = { 0 };
    const bool ok    = run_part(e, true, batch, 0, &sizes);
    plm_tape_reset(e->tape);
    return ok;
}

/* The loss of one sample from its outputs, and d loss / d f into `slope` (NULL: not wanted). */
static double sample_loss(plm_loss loss, const float *f, int64_t n, int64_t label, double *slope)
{
    const double target = sqrt((double)n), weight = (loss == PLM_LOSS_SQUARE ? 0.5 : 1) / (double)n;
    double       sum = 0, largest = (double)f[0];
    if (loss != PLM_LOSS_XENT) {
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)f[i] - (i == label ? target : 0);
            sum += weight * d * d;
            if (slope) slope[i] = 2 * weight * d;
        }
        return sum;
    }
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, (double)f[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)f[i] - largest);
    for (int64_t i = 0; slope && i < n; i++) slope[i] = exp((double)f[i] - largest) / sum - (i == label);
    return log(sum) + largest - (double)f[label];
}

plm__changes plm__explain_changes(const plm_explain *e)
{
    const double N   = (double)e->samples;
    plm__changes sum = { .loss = { 0 } };
    double      *at  = e->slope;
    for (int64_t s = 0; s < e->samples; s++) {
        const float *f = e->f[0] + s * e->d_L, *after = e->f[1] + s * e->d_L;
        double       slope = 0, first_order = 0, df = 0;
        sum.loss[0] += sample_loss(e->desc.loss, f, e->d_L, e->label[s], at) / N;
        sum.loss[1] += sample_loss(e->desc.loss, after, e->d_L, e->label[s], NULL) / N;
        for (int64_t i = 0; i < e->d_L; i++) {
            const double change = (double)after[i] - (double)f[i];
            slope += at[i] * at[i];
            first_order += at[i] * change;
            df += change * change;
        }
        sum.slope += slope / N;
        sum.first_order += first_order / N;
        sum.df_rms += df / N;
        sum.df_max = fmax(sum.df_max, sqrt(df));
    }
    sum.slope  = sqrt(sum.slope);
    sum.df_rms = sqrt(sum.df_rms);
    return sum;
}

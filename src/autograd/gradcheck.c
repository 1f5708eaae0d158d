/* gradcheck.c: is the backward pass the derivative of the forward pass? */
#include "autograd/autograd.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* What one check works with: f's inputs as copies it may disturb, and the projection v. */
typedef struct {
    plm_ctx          *ctx;
    plm_function      f;
    void             *user;
    const plm_tensor *x;
    int               n;
    float           **input;
    double           *weight; /* v, one per output element */
    float            *output;
    int64_t           outputs;
    plm_tape         *tape;
} checker;

static plm_val run(checker *c, bool grad)
{
    plm_val in[PLM_MAX_INPUTS];
    for (int i = 0; i < c->n; i++) {
        const plm_tensor t = plm_tensor_wrap(PLM_F32, c->x[i].shape, c->input[i]);
        in[i]              = plm_tape_input_with(c->tape, t, &(plm_input_desc){ .grad = grad });
    }
    return c->f(c->tape, in, c->n, c->user);
}

/* sum_i v_i f(x)_i, summed in double: f32 only inside f. */
static bool projected(checker *c, double *sum)
{
    const plm_val y  = run(c, false);
    const bool    ok = plm_val_read(y, c->output, c->outputs);
    *sum             = 0;
    for (int64_t i = 0; ok && i < c->outputs; i++) *sum += c->weight[i] * (double)c->output[i];
    plm_tape_reset(c->tape);
    return ok;
}

/* The gradient of sum_i v_i f(x)_i by the backward pass, through ops of the tape's own. */
static bool project_shape(plm_record *r)
{
    return plm_record_set_out(r, plm_shape_from(0, NULL));
}

static bool project_forward(plm_record *r)
{
    const checker *c = *(checker *const *)plm_record_attr(r);
    double         s = 0;
    for (int64_t i = 0; i < c->outputs; i++) s += c->weight[i] * (double)plm_record_in(r, 0)[i];
    *plm_record_out(r) = (float)s;
    return true;
}

static bool project_backward(plm_record *r)
{
    const checker *c  = *(checker *const *)plm_record_attr(r);
    float         *dx = plm_record_grad_in(r, 0);
    for (int64_t i = 0; dx && i < c->outputs; i++) dx[i] = (float)(c->weight[i] * (double)*plm_record_grad_out(r));
    return dx != NULL;
}

static const plm_op project = {
    .name = "projection", .shape = project_shape, .forward = project_forward, .backward = project_backward
};

static bool setup(checker *c, uint64_t seed)
{
    c->input = plm__new(c->ctx, (size_t)c->n * sizeof *c->input, "gradient check");
    for (int i = 0; c->input && i < c->n; i++) {
        if (c->x[i].dtype != PLM_F32 || !c->x[i].data || !plm__shape_check(c->ctx, c->x[i].shape, "plm_gradcheck"))
            return plm__fail(c->ctx, PLM_ERR_ARGUMENT, "plm_gradcheck: input %d is no f32 tensor with memory", i);
        const size_t bytes = (size_t)plm_shape_count(c->x[i].shape) * sizeof(float);
        if (!(c->input[i] = plm__new(c->ctx, bytes, "gradient check"))) return false;
        memcpy(c->input[i], c->x[i].data, bytes);
    }
    c->tape = plm_tape_new(c->ctx, NULL);
    if (!c->input || !c->tape) return false;
    const plm_val y = run(c, true);
    if (!plm_val_ok(y) || c->ctx->status != PLM_OK)
        return plm__fail(c->ctx, PLM_ERR_ARGUMENT, "plm_gradcheck: f made no value");
    c->outputs = plm_shape_count(plm_val_shape(y));
    c->weight  = plm__new(c->ctx, (size_t)c->outputs * sizeof *c->weight, "gradient check");
    c->output  = plm__new(c->ctx, (size_t)c->outputs * sizeof *c->output, "gradient check");
    if (!c->weight || !c->output) return false;
    const plm__key key = plm__random_key(seed, PLM__RANDOM_CHECK, NULL, 0);
    for (int64_t i = 0; i < c->outputs; i++) c->weight[i] = 2 * plm__random_uniform(key, (uint64_t)i) - 1;
    return true;
}

/* The backward pass's gradients, all inputs one after the other. */
static bool analytic(checker *c, float *grad)
{
    plm_val in[PLM_MAX_INPUTS];
    plm_tape_reset(c->tape);
    for (int i = 0; i < c->n; i++)
        in[i] = plm_tape_input_with(c->tape, plm_tensor_wrap(PLM_F32, c->x[i].shape, c->input[i]),
                                    &(plm_input_desc){ .grad = true });
    const plm_val y    = c->f(c->tape, in, c->n, c->user);
    checker      *self = c;
    bool          ok   = plm_backward(plm_apply(&project, &self, sizeof self, &y, 1));
    for (int i = 0; ok && i < c->n; i++) {
        const int64_t count = plm_shape_count(c->x[i].shape);
        ok                  = plm_val_grad(in[i], grad, count);
        grad += count;
    }
    plm_tape_reset(c->tape);
    return ok;
}

/* sum_i v_i f(x)_i at five points around one element, half a step apart; the middle one is x itself. */
typedef struct {
    double at[5];
} sample;

static bool take_sample(checker *c, float *x, double h, sample *s)
{
    const float kept = *x;
    bool        ok   = true;
    for (int k = 0; k < 5 && ok; k++) {
        *x = (float)((double)kept + (k - 2) * h / 2);
        ok = projected(c, &s->at[k]);
    }
    *x = kept;
    return ok;
}

/* Richardson's combination of two central differences: the error of order h^2 is gone. */
static double slope_of(const sample *s, double h)
{
    const double narrow = (s->at[3] - s->at[1]) / h, wide = (s->at[4] - s->at[0]) / (2 * h);
    return (4 * narrow - wide) / 3;
}

/* Is there a kink within the step?  Then the two central differences disagree, or the one-sided ones do and half a step does
 * not bring them twice as near to each other, as it does for a smooth function.  `matters`: differences below do not. */
static bool has_kink(const sample *s, double h, double matters)
{
    const double narrow = (s->at[3] - s->at[1]) / h, wide = (s->at[4] - s->at[0]) / (2 * h);
    const double jump      = fabs((s->at[4] - s->at[2]) - (s->at[2] - s->at[0])) / h;
    const double jump_half = fabs((s->at[3] - s->at[2]) - (s->at[2] - s->at[1])) / (h / 2);
    return fabs(narrow - wide) > matters || (jump > matters && jump_half > 0.75 * jump);
}

/* The size of gradients below which rounding in f32 hides them: an error of a few last digits of f(x), divided by the step,
 * must stay within the tolerance.  It does for f(x) up to the largest of its projected terms. */
static bool noise_floor(checker *c, const plm_gradcheck_desc *d, double *noise)
{
    double squares = 0, sum;
    if (!projected(c, &sum)) return false;
    for (int64_t i = 0; i < c->outputs; i++) squares += pow(c->weight[i] * (double)c->output[i], 2);
    *noise = 8 * FLT_EPSILON * sqrt(squares) / (d->step * d->tolerance);
    return true;
}

/* One input.  Errors count relative to the largest number in its own gradient, so that the gradient of one input does not
 * hide behind that of another. */
static bool compare_input(checker *c, int input, const plm_gradcheck_desc *d, double noise, const float *grad,
                          sample *samples, plm_gradcheck_result *result)
{
    const int64_t n       = plm_shape_count(c->x[input].shape);
    double        largest = noise;
    for (int64_t k = 0; k < n; k++) {
        if (!take_sample(c, &c->input[input][k], d->step, &samples[k])) return false;
        largest = fmax(largest, fmax(fabs((double)grad[k]), fabs(slope_of(&samples[k], d->step))));
    }
    if (largest == 0) largest = 1; /* f is zero everywhere */
    for (int64_t k = 0; k < n; k++) {
        if (has_kink(&samples[k], d->step, d->tolerance * largest)) {
            result->kinks++;
            continue;
        }
        const double slope = slope_of(&samples[k], d->step), error = fabs((double)grad[k] - slope) / largest;
        result->checked++;
        if (error <= result->worst) continue;
        result->worst      = error;
        result->input      = input;
        result->element    = k;
        result->backward   = (double)grad[k];
        result->difference = slope;
        if (!isfinite(error)) return false;
    }
    return true;
}

static bool compare(checker *c, const plm_gradcheck_desc *d, const float *grad, sample *samples,
                    plm_gradcheck_result *result)
{
    double noise;
    if (!noise_floor(c, d, &noise)) return false;
    for (int i = 0; i < c->n; i++) {
        if (!compare_input(c, i, d, noise, grad, samples, result)) return false;
        grad += plm_shape_count(c->x[i].shape);
    }
    return true;
}

bool plm_gradcheck(plm_ctx *ctx, plm_function f, void *user, const plm_tensor *x, int n, const plm_gradcheck_desc *desc,
                   plm_gradcheck_result *result)
{
    plm_gradcheck_result r = { 0 };
    plm_gradcheck_desc   d = desc ? *desc : (plm_gradcheck_desc){ 0 };
    if (d.step == 0) d.step = 1e-2;
    if (d.tolerance == 0) d.tolerance = 1e-2;
    if (result) *result = r;
    if (!ctx || ctx->status != PLM_OK) return false;
    if (!(d.step > 1e-6 && d.step < 1e6) || !(d.tolerance > 0 && d.tolerance < 1))
        return plm__fail(ctx, PLM_ERR_ARGUMENT,
                         "plm_gradcheck: step %g, tolerance %g: expected 1e-6 to 1e6, and 0 to 1", d.step, d.tolerance);
    if (!f || !x || n < 1 || n > PLM_MAX_INPUTS)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_gradcheck: needs a function and 1 to %d inputs", PLM_MAX_INPUTS);

    checker c     = { .ctx = ctx, .f = f, .user = user, .x = x, .n = n };
    int64_t total = 0;
    bool    ok    = setup(&c, d.seed);
    for (int i = 0; ok && i < n; i++) total += plm_shape_count(x[i].shape);
    float  *grad    = ok ? plm__new(ctx, (size_t)total * sizeof *grad, "gradient check") : NULL;
    sample *samples = grad ? plm__new(ctx, (size_t)total * sizeof *samples, "gradient check") : NULL;
    ok              = samples && analytic(&c, grad) && compare(&c, &d, grad, samples, &r);
    ok              = ok && r.checked > 0 && r.worst <= d.tolerance;

    plm_tape_free(c.tape);
    for (int i = 0; c.input && i < n; i++) plm__delete(ctx, c.input[i]);
    plm__delete(ctx, c.input);
    plm__delete(ctx, c.weight);
    plm__delete(ctx, c.output);
    plm__delete(ctx, grad);
    plm__delete(ctx, samples);
    if (result) *result = r;
    return ok;
}

/* 05_own_op.c introduces plm_op: your own differentiable function beside the built-in ones, and how to trust it.
 *
 * softplus: y = log(1 + e^x), a ReLU with a smooth corner; dy/dx = 1 / (1 + e^-x). */
#include <math.h>
#include <plummet/plummet.h>
#include <stdio.h>

static bool softplus_shape(plm_record *r)
{
    return plm_record_set_out(r, plm_record_in_shape(r, 0));
}

static bool softplus_forward(plm_record *r)
{
    const float *x = plm_record_in(r, 0);
    float       *y = plm_record_out(r);
    for (int64_t i = 0; i < plm_record_size(r); i++)
        y[i] = fmaxf(x[i], 0) + log1pf(expf(-fabsf(x[i]))); /* no overflow */
    return true;
}

/* dx = dy / (1 + e^-x).  It overwrites what it is handed; the tape adds where a value has several consumers. */
static bool softplus_backward(plm_record *r)
{
    const float *x = plm_record_in(r, 0), *dy = plm_record_grad_out(r);
    float       *dx = plm_record_grad_in(r, 0);
    if (!dx) return false;
    for (int64_t i = 0; i < plm_record_size(r); i++) dx[i] = dy[i] / (1 + expf(-x[i]));
    return true;
}

static const plm_op softplus_op = { .name     = "softplus",
                                    .shape    = softplus_shape,
                                    .forward  = softplus_forward,
                                    .backward = softplus_backward,
                                    .saves    = PLM_SAVES_INPUTS };

static plm_val softplus(plm_val x)
{
    return plm_apply(&softplus_op, NULL, 0, &x, 1);
}

static plm_val f(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return softplus(in[0]);
}

int main(void)
{
    float                x[] = { -30, -2, -0.5f, 0, 0.5f, 2, 30 };
    const plm_tensor     t   = plm_tensor_wrap(PLM_F32, plm_shape_of(7), x);
    plm_ctx             *ctx = plm_ctx_new(NULL);
    plm_gradcheck_result r;
    const bool           ok = plm_gradcheck(ctx, f, NULL, &t, 1, NULL, &r); /* backward against finite differences */
    printf("softplus: %lld elements checked, worst relative difference %.1e: %s\n", (long long)r.checked, r.worst,
           ok ? "agree" : "DIFFER");

    plm_tape     *tape = plm_tape_new(ctx, NULL);
    const plm_val in   = plm_tape_input_with(tape, t, &(plm_input_desc){ .grad = true });
    float         dx[7];
    const bool    done =
        plm_backward(plm_sum(softplus(in), NULL)) && plm_val_grad(in, dx, 7); /* mixes with built-in ops */
    for (int i = 0; done && i < 7; i++) printf("x = %5.1f   d/dx = %.6f\n", (double)x[i], (double)dx[i]);
    if (!done) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_tape_free(tape);
    plm_ctx_free(ctx);
    return ok && done && fabsf(dx[3] - 0.5f) < 1e-6f ? 0 : 1;
}

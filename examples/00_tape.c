/* 00_tape.c introduces reverse-mode differentiation: a tape in one file, from nothing, and the library's beside it.
 *
 * A tape is a list of numbers, each with the one or two numbers it was made from and the derivative with respect to each.
 * Walking the list backwards, every number hands its gradient on to those: the chain rule, once per entry. */
#include <math.h>
#include <plummet/plummet.h>
#include <stdio.h>

typedef struct {
    double value, grad;
    int    from[2];  /* entries it was made from; -1: none */
    double slope[2]; /* d value / d from                   */
} entry;

static entry tape[64];
static int   length;

static int push(double value, int a, double da, int b, double db)
{
    tape[length] = (entry){ .value = value, .from = { a, b }, .slope = { da, db } };
    return length++;
}

static int leaf(double x)
{
    return push(x, -1, 0, -1, 0);
}

static int add(int a, int b)
{
    return push(tape[a].value + tape[b].value, a, 1, b, 1);
}

static int mul(int a, int b)
{
    return push(tape[a].value * tape[b].value, a, tape[b].value, b, tape[a].value);
}

static int tanh_(int a)
{
    const double y = tanh(tape[a].value);
    return push(y, a, 1 - y * y, -1, 0);
}

static void backward(int out)
{
    tape[out].grad = 1;
    for (int i = out; i >= 0; i--)
        for (int k = 0; k < 2; k++)
            if (tape[i].from[k] >= 0) tape[tape[i].from[k]].grad += tape[i].slope[k] * tape[i].grad;
}

/* The same with the library: scalars are tensors of rank 0. */
static bool with_library(plm_ctx *ctx, float x, float w, float grad[2])
{
    const plm_shape      scalar = plm_shape_from(0, NULL);
    const plm_input_desc wanted = { .grad = true };
    plm_tape            *t      = plm_tape_new(ctx, NULL);
    const plm_val        vx     = plm_tape_input_with(t, plm_tensor_wrap(PLM_F32, scalar, &x), &wanted);
    const plm_val        vw     = plm_tape_input_with(t, plm_tensor_wrap(PLM_F32, scalar, &w), &wanted);
    const plm_val        h      = plm_tanh(plm_mul(vx, vw));
    const bool           ok =
        plm_backward(plm_add(plm_mul(h, h), vw)) && plm_val_grad(vx, &grad[0], 1) && plm_val_grad(vw, &grad[1], 1);
    plm_tape_free(t);
    return ok;
}

int main(void)
{
    const int x = leaf(0.5), w = leaf(-1.5);
    const int h = tanh_(mul(x, w)), y = add(mul(h, h), w); /* y = tanh(x w)^2 + w */
    backward(y);
    printf("by hand:  dy/dx = %.6f   dy/dw = %.6f\n", tape[x].grad, tape[w].grad);

    plm_ctx *ctx     = plm_ctx_new(NULL);
    float    grad[2] = { 0 };
    bool     ok      = with_library(ctx, 0.5f, -1.5f, grad);
    printf("library:  dy/dx = %.6f   dy/dw = %.6f\n", (double)grad[0], (double)grad[1]);
    if (!ok) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_ctx_free(ctx);
    ok = ok && fabs((double)grad[0] - tape[x].grad) < 1e-6 && fabs((double)grad[1] - tape[w].grad) < 1e-6;
    return ok ? 0 : 1;
}

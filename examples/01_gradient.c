/* 01_gradient.c introduces the gradient checker: a gradient beside its finite difference. */
#include <plummet/plummet.h>
#include <stdio.h>
#include <string.h>

/* Any function of values; its output may have any shape. */
static plm_val layer(plm_tape *tape, const plm_val *in, int n, void *user)
{
    (void)tape, (void)n, (void)user;
    return plm_tanh(plm_linear(in[0], in[1], in[2])); /* tanh(x W^T + b) */
}

/* loss = mean(layer(x, w, b)^2), as a number. */
static float loss_at(plm_tape *tape, const plm_tensor *t, float *grad_w, int64_t n)
{
    plm_val in[3];
    for (int i = 0; i < 3; i++) in[i] = plm_tape_input_with(tape, t[i], &(plm_input_desc){ .grad = true });
    const plm_val loss  = plm_mean(plm_square(layer(tape, in, 3, NULL)), NULL);
    const float   value = plm_val_item(loss);
    if (grad_w && (!plm_backward(loss) || !plm_val_grad(in[1], grad_w, n))) return -1;
    plm_tape_reset(tape);
    return value;
}

int main(void)
{
    float x[] = { 0.5f, -1, 2, 1, 0.25f, -0.5f }, w[] = { 0.1f, -0.2f, 0.3f, 0.7f, 0.5f, -0.4f },
          b[]             = { 0.05f, -0.1f };
    const plm_tensor t[]  = { plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), x),
                              plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3), w),
                              plm_tensor_wrap(PLM_F32, plm_shape_of(2), b) };
    plm_ctx         *ctx  = plm_ctx_new(NULL);
    plm_tape        *tape = plm_tape_new(ctx, NULL);
    float            grad[6];
    loss_at(tape, t, grad, 6);
    puts("   w      backward   (loss(w+h) - loss(w-h)) / 2h");
    for (int i = 0; i < 6; i++) {
        const float h = 1e-2f, kept = w[i];
        w[i]             = kept + h;
        const float up   = loss_at(tape, t, NULL, 0);
        w[i]             = kept - h;
        const float down = loss_at(tape, t, NULL, 0);
        w[i]             = kept;
        printf("%5.2f   %9.6f   %9.6f\n", (double)kept, (double)grad[i], (double)((up - down) / (2 * h)));
    }
    plm_tape_free(tape);

    plm_gradcheck_result r;
    const bool           ok = plm_gradcheck(ctx, layer, NULL, t, 3, NULL, &r);
    printf("plm_gradcheck: %lld elements, worst relative difference %.1e: %s\n", (long long)r.checked, r.worst,
           ok ? "agree" : "DIFFER");
    if (plm_ctx_status(ctx) != PLM_OK) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_ctx_free(ctx);
    return ok ? 0 : 1;
}

/* [1 2; 3 4] times [5 6; 7 8] on a tape. */
#include <plummet/plummet.h>
#include <stdio.h>

int main(void)
{
    const float a[] = { 1, 2, 3, 4 }, b[] = { 5, 6, 7, 8 };
    float       y[4] = { 0 };
    plm_ctx    *ctx  = plm_ctx_new(NULL);
    plm_tape   *tape = plm_tape_new(ctx, NULL);
    plm_val     x    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 2), a));
    plm_val     w    = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 2), b));
    if (!plm_val_read(plm_matmul(x, w), y, 4)) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    printf("%g %g %g %g\n", (double)y[0], (double)y[1], (double)y[2], (double)y[3]);
    plm_ctx_free(ctx);
}

// [1 2; 3 4] times [5 6; 7 8] on a tape, from C++.
#include <cstdio>
#include <plummet/plummet.h>

int main()
{
    const float   a[] = { 1, 2, 3, 4 }, b[] = { 5, 6, 7, 8 };
    const int64_t two[] = { 2, 2 };
    float         y[4]  = {};
    plm_ctx      *ctx   = plm_ctx_new(nullptr);
    plm_tape     *tape  = plm_tape_new(ctx, nullptr);
    plm_val       x     = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_from(2, two), a));
    plm_val       w     = plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_from(2, two), b));
    if (!plm_val_read(plm_matmul(x, w), y, 4)) std::fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    std::printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);
    plm_ctx_free(ctx);
}

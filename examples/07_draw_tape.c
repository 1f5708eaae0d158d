/* 07_draw_tape.c introduces the tape as a picture: what a loss was made of, every value and every gradient.
 *
 *     ./example_07_draw_tape && dot -Tsvg tape.dot -o tape.svg
 *
 * The tape is told to keep what it would give back as soon as nobody needs it, so that there is something to show. */
#include <plummet/plummet.h>
#include <stdio.h>

/* loss = mean((w x - y)^2) */
static plm_val squared_error(plm_tape *tape, plm_param *w, const float *x, const float *y)
{
    const plm_input_desc named_x = { .name = "x", .grad = true }, named_y = { .name = "y" };
    const plm_val        in   = plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(3, 1), x), &named_x);
    const plm_val        out  = plm_tape_input_with(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 1), y), &named_y);
    const plm_val        miss = plm_sub(plm_matmul(plm_tape_param(tape, w), in), out);
    return plm_mean(plm_square(miss), NULL);
}

static bool show(const char *path)
{
    char  line[512];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) fputs(line, stdout);
    return file && fclose(file) == 0;
}

int main(void)
{
    const float x[] = { 1, 2, 3 }, y[] = { 1, -1 }, start[] = { 0.5f, 0, 0.5f, -1, 0, 1 };
    plm_ctx    *ctx  = plm_ctx_new(NULL);
    plm_param  *w    = plm_param_new(ctx, plm_shape_of(2, 3), &(plm_param_desc){ .name = "w" });
    plm_tape   *tape = plm_tape_new(ctx, &(plm_tape_desc){ .keep = true });

    bool ok = plm_param_write(w, start, 6) && plm_backward(squared_error(tape, w, x, y));
    ok      = ok && plm_tape_write(tape, "tape.txt", NULL) && show("tape.txt");
    /* v6 = mean(v5)  []  value 5  gradient 1
     * v5 = square(v4)  [2,1]  value 1 9  gradient 0.5 0.5
     * v4 = sub(v3, v1)  [2,1]  value 1 3  gradient 1 3
     * v3 = matmul(v2, v0)  [2,1]  value 2 2  gradient 1 3
     * v2 is parameter w  [2,3]  value 0.5 0 0.5 -1 0 1  gradient 1 2 3 3 6 9
     * v1 is input y  [2,1]  value 1 -1  no gradient
     * v0 is input x  [3,1]  value 1 2 3  gradient -2.5 0 3.5 */
    ok = ok && plm_tape_write(tape, "tape.dot", &(plm_tape_write_desc){ .dot = true });

    if (!ok) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_param_free(w);
    plm_ctx_free(ctx);
    return ok ? 0 : 1;
}

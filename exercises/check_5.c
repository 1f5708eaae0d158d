/* check_5.c: are exercise 5's weights and input within the lemma's assumptions, and is the objective above 1? */
#include "exercises.h"

#include <math.h>
#include <stdio.h>

/* The largest singular value of a 2 x 2 matrix: the root of the larger eigenvalue of W^T W. */
static double operator_norm(const float w[4])
{
    const double a = w[0], b = w[1], c = w[2], d = w[3];
    const double half_trace = (a * a + b * b + c * c + d * d) / 2, determinant = a * d - b * c;
    return sqrt(half_trace + sqrt(fmax(half_trace * half_trace - determinant * determinant, 0)));
}

static double objective(const float w1[4], const float w2[4], float x[2], int64_t label)
{
    plm_ctx   *ctx = plm_ctx_new(NULL);
    plm_graph *net = plm_graph_new(ctx);
    plm_node   h   = plm_nn_input(net, plm_shape_of(2));
    h              = plm_nn_linear(h, &(plm_linear_desc){ .name = "first", .out = 2 });
    h              = plm_nn_linear(plm_nn_relu(h, NULL), &(plm_linear_desc){ .name = "second", .out = 2 });
    plm_graph_output(h, "f");
    double value = (double)NAN;
    if (plm_graph_init(net, PLM_INIT_AGD) && plm_param_write(plm_graph_layer(net, 0)->weight, w1, 4) &&
        plm_param_write(plm_graph_layer(net, 1)->weight, w2, 4)) {
        plm_tape     *tape = plm_tape_new(ctx, NULL);
        const plm_val f = plm_graph_apply(net, plm_tape_input(tape, plm_tensor_wrap(PLM_F32, plm_shape_of(1, 2), x)));
        value = (double)plm_val_item(plm_square_loss(f, plm_tensor_wrap(PLM_I64, plm_shape_of(1), &label), NULL));
        plm_tape_free(tape);
    }
    if (plm_ctx_status(ctx) != PLM_OK) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_graph_free(net);
    plm_ctx_free(ctx);
    return value;
}

int main(void)
{
    float   w1[4] = { 0 }, w2[4] = { 0 }, x[2] = { 0 };
    int64_t label = 0;
    exercise_above_one(w1, w2, x, &label);
    const double n1 = operator_norm(w1), n2 = operator_norm(w2), nx = hypot((double)x[0], (double)x[1]);
    const double value = objective(w1, w2, x, label);
    printf("||W1||_op = %.6f, ||W2||_op = %.6f (at most 1), ||x|| = %.6f (sqrt(2)), objective = %.6f\n", n1, n2, nx,
           value);
    return exercise_verdict(n1 <= 1 + 1e-6 && n2 <= 1 + 1e-6 && fabs(nx - sqrt(2)) < 1e-6 && value > 1);
}

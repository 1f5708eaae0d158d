/* check_1.c: the backward functions of exercise 1 against central differences of their forward functions. */
#include "exercises.h"

#include <stdio.h>

static plm_val apply(plm_tape *tape, const plm_val *in, int n, void *op)
{
    (void)tape;
    return plm_apply(op, NULL, 0, in, n);
}

int main(void)
{
    float            x[] = { -3, -1.2f, -0.4f, 0.3f, 0.9f, 2, 4 };
    const plm_tensor t   = plm_tensor_wrap(PLM_F32, plm_shape_of(7), x);
    plm_ctx         *ctx = plm_ctx_new(NULL);
    bool             all = ctx != NULL;
    for (int i = 0; i < EXERCISE_OPS; i++) {
        plm_gradcheck_result r;
        const bool           ok = plm_gradcheck(ctx, apply, (void *)(uintptr_t)exercise_ops[i], &t, 1, NULL, &r);
        printf("%-9s ", exercise_ops[i]->name);
        if (ok) printf("agrees: worst relative difference %.1e\n", r.worst);
        else
            printf("DIFFERS at x = %g: backward %.5f, difference quotient %.5f\n", (double)x[r.element], r.backward,
                   r.difference);
        all = all && ok;
    }
    plm_ctx_free(ctx);
    return exercise_verdict(all);
}

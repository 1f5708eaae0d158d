/* 08_lion.c introduces plm_optimizer_kind: your own optimiser, in every command of the program by its name:
 *
 *     lion train --optim lion --epochs 3
 *     lion bench --optim lion --arch resnet18 --dataset cifar10
 *
 * Lion: the sign of an average, so every weight moves by the same amount; one float of state per weight.
 *   c = b1 m + (1 - b1) g;   w -= lr (sign(c) + weight_decay w);   m = b2 m + (1 - b2) g
 * Source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675, algorithm 2. */
#include <plummet/cli.h>

typedef struct {
    double lr, beta1, beta2, weight_decay;
} lion_desc;

/* The table says what zero stands for, what is allowed, and how the options are called. */
static const plm_field lion_fields[] = {
    { "lr", PLM_FIELD_DOUBLE, offsetof(lion_desc, lr), 1e-4, PLM_BOUNDS_POSITIVE },
    { "beta1", PLM_FIELD_DOUBLE, offsetof(lion_desc, beta1), 0.9, PLM_BOUNDS_FRACTION },
    { "beta2", PLM_FIELD_DOUBLE, offsetof(lion_desc, beta2), 0.99, PLM_BOUNDS_FRACTION },
    { "weight_decay", PLM_FIELD_DOUBLE, offsetof(lion_desc, weight_decay), 0, PLM_BOUNDS_NOT_NEGATIVE },
    { 0 },
};

/* d is what is taken from a block of weights.  What it makes of zeros is zero, as padding must stay. */
static void lion_delta(const plm_optimizer *o, const plm_param_view *v, float *d)
{
    const lion_desc *l  = plm_optimizer_desc(o);
    const float      lr = (float)plm_optimizer_rate(o), decay = (float)l->weight_decay;
    const float      b1 = (float)l->beta1, b2 = (float)l->beta2;
    float           *m = v->slot[0];
    for (int64_t i = 0; i < v->n; i++) {
        const float c = b1 * m[i] + (1 - b1) * v->g[i];
        d[i]          = lr * ((float)((c > 0) - (c < 0)) + decay * v->w[i]);
        m[i]          = b2 * m[i] + (1 - b2) * v->g[i];
    }
}

static const plm_optimizer_kind lion = { .name       = "lion",
                                         .summary    = "the sign of an average",
                                         .init       = PLM_INIT_PYTORCH,
                                         .desc_bytes = sizeof(lion_desc),
                                         .fields     = lion_fields,
                                         .slots      = 1,
                                         .delta      = lion_delta };

#ifndef LION_WITHOUT_MAIN /* the tests recompute its steps */
int main(int argc, char **argv)
{
    static const plm_optimizer_kind *const kinds[] = { &lion, NULL };
    return plm_main(argc, argv, &(plm_cli_extra){ .optimizers = kinds });
}
#endif

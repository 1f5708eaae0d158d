/* 03_own_data.c introduces your own data: arrays in memory, and a CSV file.  plm_train is the loop of example 02, ready made. */
#include <plummet/plummet.h>
#include <stdio.h>

enum { SAMPLES = 600 };

/* Two interleaved arcs, one class each: no straight line separates them.  AGD's networks have no biases, so a feature that is
 * always 1 stands in for the first layer's. */
static void moons(float x[SAMPLES][3], int64_t y[SAMPLES])
{
    uint32_t random = 1;
    for (int i = 0; i < SAMPLES; i++) {
        random          = random * 1664525u + 1013904223u;
        const float t   = (float)(random >> 8) / (float)(1 << 24) * 2 - 1; /* -1 .. 1 along the arc */
        const float arc = 1 - t * t;
        y[i]            = i % 2;
        x[i][0]         = t + (y[i] ? 0.5f : -0.5f);
        x[i][1]         = y[i] ? 0.4f - arc : arc - 0.4f;
        x[i][2]         = 1;
    }
}

static bool write_csv(const char *path, float x[SAMPLES][3], const int64_t y[SAMPLES])
{
    FILE *file = fopen(path, "w");
    if (!file) return false;
    fputs("east,north,one,arc\n", file);
    for (int i = 0; i < SAMPLES; i++)
        fprintf(file, "%.6f,%.6f,1,%s\n", (double)x[i][0], (double)x[i][1], y[i] ? "lower" : "upper");
    return fclose(file) == 0;
}

static bool fit(plm_ctx *ctx, plm_dataset *all)
{
    plm_dataset *data = NULL, *test = NULL;
    if (!all || !plm_dataset_split(all, 0.8, NULL, &data, &test)) return false;
    plm_graph     *net = plm_graph_new(ctx);
    const plm_node out = plm_zoo_fcn(plm_nn_input(net, plm_dataset_x_shape(all)), plm_dataset_classes(all),
                                     &(plm_fcn_desc){ .depth = 3, .width = 32 });
    plm_graph_output(out, "logits");
    plm_optimizer       *agd  = plm_agd_new(net, NULL);
    plm_epoch            last = { 0 };
    const plm_train_desc desc = { .epochs = 30, .batch = 32, .test = test };
    const bool           ok   = plm_train(net, agd, data, &desc, &last);
    if (ok)
        printf("%-8s %lld samples, classes %s and %s: test accuracy %.3f (chance 0.500)\n", plm_dataset_name(all),
               (long long)plm_dataset_count(all), plm_dataset_class(all, 0), plm_dataset_class(all, 1), last.test.acc);
    plm_optimizer_free(agd);
    plm_graph_free(net);
    plm_dataset_free(data);
    plm_dataset_free(test);
    return ok && last.test.acc > 0.9;
}

int main(void)
{
    static float   x[SAMPLES][3];
    static int64_t y[SAMPLES];
    moons(x, y);
    plm_ctx     *ctx = plm_ctx_new(NULL);
    plm_dataset *arrays =
        plm_dataset_from_arrays(ctx, &(plm_arrays_desc){ .x = plm_tensor_wrap(PLM_F32, plm_shape_of(SAMPLES, 3), x),
                                                         .y = plm_tensor_wrap(PLM_I64, plm_shape_of(SAMPLES), y) });
    bool         ok  = fit(ctx, arrays) && write_csv("moons.csv", x, y);
    plm_dataset *csv = plm_dataset_from_csv(ctx, "moons.csv", &(plm_csv_desc){ .label = "arc" });
    ok               = ok && fit(ctx, csv);
    if (!ok) fprintf(stderr, "%s\n", plm_ctx_error(ctx));
    plm_dataset_free(arrays);
    plm_dataset_free(csv);
    plm_ctx_free(ctx);
    return ok ? 0 : 1;
}

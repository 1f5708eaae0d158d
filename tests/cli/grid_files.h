/* grid_files.h: run folders with known numbers, for the tests of what reads them. */
#ifndef PLM_TESTS_CLI_GRID_FILES_H
#define PLM_TESTS_CLI_GRID_FILES_H

#include "cli/run.h"

#include <sys/stat.h>

#define METRICS                                                                                                 \
    "epoch,train_loss,train_acc,test_loss,test_acc,eta_mean,eta_min,eta_max,update_mean,update_min,update_max," \
    "seconds\n"

static inline const char *path_in(const char *dir, const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* `name` below the scratch folder with these files; NULL: none. */
static inline const char *make_run(const char *name, const char *config, const char *metrics, const char *steps)
{
    static char dir[1024];
    snprintf(dir, sizeof dir, "%s", test_path(name));
    mkdir(dir, 0777);
    if (config) write_text(path_in(dir, "config.json"), config);
    if (metrics) write_text(path_in(dir, "metrics.csv"), metrics);
    if (steps) write_text(path_in(dir, "steps.csv"), steps);
    return dir;
}

/* A run of `optim` ("sgd" has a rate) whose test accuracy in epoch n is acc + n/100 and whose loss is loss/n. */
static inline const char *make_known_run(const char *name, const char *optim, double lr, int seed, double loss,
                                         double acc, int epochs)
{
    char config[1024], metrics[4096], rate[64] = "";
    int  n = snprintf(metrics, sizeof metrics, METRICS "0,,,2,%.3f,,,,,,,\n", acc);
    if (lr > 0) snprintf(rate, sizeof rate, "\"lr\": %g, \"momentum\": 0,", lr);
    snprintf(
        config, sizeof config,
        "{\"arch\": \"fcn\", \"depth\": 2, \"width\": 8, \"dataset\": \"digits\", \"data\": null, \"loss\": \"mse\", "
        "\"optim\": \"%s\", %s \"batch_size\": 128, \"epochs\": %d, \"seed\": %d, \"samples\": {\"train\": 1500, "
        "\"test\": 297, \"val\": 0}, \"classes\": 10, \"layers\": 2, \"parameters\": 592, \"threads\": 1, "
        "\"plummet\": \"0.1.0\", \"onednn\": \"%d.0\", \"isa\": \"AVX2\", \"cpu\": \"some <CPU> & more\"}",
        optim, rate, epochs, seed, seed + 1);
    for (int e = 1; e <= epochs; e++)
        n += snprintf(metrics + n, sizeof metrics - (size_t)n,
                      "%d,%.6f,%.3f,%.6f,%.3f,0.3,0.2,%.3f,0.03,0.02,0.04,1.5\n", e, loss / e, acc, loss / e,
                      acc + 0.01 * e, 0.4 + 0.1 * seed);
    return make_run(name, config, metrics, NULL);
}

#endif

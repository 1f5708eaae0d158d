/* fuzz_runs.c: run folders.  The input's parts between bytes of 0x1e are config.json, metrics.csv, steps.csv, the sentence
 * of a run that diverged and monitor.csv; an empty part is a file that is not there, the first byte says whether the folder is whole. */
#include "fuzz.h"
#include "runs.h"

#include <math.h>
#include <unistd.h>

static const char *const names[] = { CLI_RUN_CONFIG, CLI_RUN_METRICS, CLI_RUN_STEPS, CLI_RUN_DIVERGED_FILE,
                                     CLI_RUN_MONITOR };
enum { FILES = sizeof names / sizeof *names };

static void check_run(const cli_run *r)
{
    for (int i = 0; i < r->rows; i++) {
        fuzz_require(i == 0 || r->row[i][CLI_EPOCH] > r->row[i - 1][CLI_EPOCH]);
        fuzz_require(r->row[i][CLI_EPOCH] >= 0);
    }
    fuzz_require(r->config && r->name && r->dir && cli_run_state_name(r->state));
    const double *lowest = cli_run_lowest_loss(r);
    fuzz_require(!lowest || lowest[CLI_EPOCH] >= 1);
    for (int k = 0; k < CLI_METRICS; k++) cli_run_highest(r, (cli_metric)k);
    const double chance = cli_run_chance(r);
    fuzz_require(isnan(chance) || (chance >= 0 && chance <= 1));
    cli_run_seconds(r);
    if (cli_run_text(r, "arch")) fuzz_require(strlen(cli_run_text(r, "arch")) < 1 << 20);
    fuzz_require(isnan(cli_run_number(r, "no such key")));
}

static void read_run(const char *dir, bool steps, size_t size)
{
    plm_ctx   *ctx = fuzz_ctx_new(64 * size);
    cli_run    run;
    const bool ok = cli_run_read(ctx, dir, steps, &run);
    fuzz_require(ok == (plm_ctx_status(ctx) == PLM_OK));
    if (ok) check_run(&run);
    if (ok && cli_runs_read_monitors(ctx, &(cli_runs){ &run, 1 }))
        for (int i = 0; i < run.monitored; i++)
            fuzz_require(run.monitor[i][CLI_MONITOR_STEP] > (i ? run.monitor[i - 1][CLI_MONITOR_STEP] : 0));
    cli_run_free(&run);
    fuzz_ctx_free(ctx, 1 << PLM_ERR_FORMAT | 1 << PLM_ERR_IO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool     whole = size == 0 || data[0] % 2 == 0;
    const char    *dir   = fuzz_folder("run");
    const char    *other = fuzz_folder("run.partial");
    const uint8_t *at = data + (size > 0), *end = data + size;
    for (int i = 0; i < FILES; i++) {
        char           path[64];
        const uint8_t *mark = at < end ? memchr(at, 0x1e, (size_t)(end - at)) : NULL, *stop = mark ? mark : end;
        snprintf(path, sizeof path, "%s/%s", whole ? "run" : "run.partial", names[i]);
        const char *file = fuzz_file(path, at, (size_t)(stop - at));
        if (stop == at) unlink(file);
        at = mark ? mark + 1 : end;
    }
    if (whole) rmdir(other); /* else cli_run_read would not look there */
    else rmdir(dir);
    read_run(dir, size % 4 < 2, size);
    for (int i = 0; i < FILES; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", whole ? "run" : "run.partial", names[i]);
        unlink(fuzz_file(path, NULL, 0));
    }
    return 0;
}

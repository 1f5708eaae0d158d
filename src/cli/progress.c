/* progress.c: what a training shows while it runs.
 *
 * A line per epoch; on a terminal, under it, a line that is overwritten a few times a second: epoch, step, loss, time left. */
#include "cli.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

#define BETWEEN_UPDATES 0.2 /* seconds */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void clear_line(cli_progress *p)
{
    if (p->shown) fputs("\r\033[K", stdout);
    p->shown = false;
}

void cli_progress_begin(cli_progress *p, const cli_settings *s)
{
    *p = (cli_progress){ .quiet = s->quiet, .terminal = isatty(STDOUT_FILENO), .epochs = (int)s->epochs };
}

void cli_progress_step(cli_progress *p, const plm_step *step)
{
    if (p->quiet || !p->terminal) return;
    const double time = now();
    if (p->first == 0) {
        p->began = time;
        p->first = step->step;
    }
    if (time - p->updated < BETWEEN_UPDATES) return;
    p->updated             = time;
    const int64_t all      = step->steps_per_epoch * p->epochs;
    const double  done     = (double)(step->step - p->first); /* since then */
    const double  left     = done > 0 ? (time - p->began) / done * (double)(all - step->step) : 0;
    const int64_t of_epoch = (step->step - 1) % step->steps_per_epoch + 1;
    clear_line(p);
    printf("epoch %d/%d, step %lld/%lld, loss %.4f", step->epoch, p->epochs, (long long)of_epoch,
           (long long)step->steps_per_epoch, step->loss);
    if (done > 0) printf(", %d:%02d left", (int)(left / 60), (int)left % 60);
    fflush(stdout);
    p->shown = true;
}

static void print_score(const char *what, plm_score score)
{
    if (score.count > 0) printf("  %s loss %.4f acc %.4f", what, score.loss, score.acc);
}

void cli_progress_epoch(cli_progress *p, const plm_epoch *epoch)
{
    if (p->quiet) return;
    clear_line(p);
    printf("epoch %2d/%d", epoch->epoch, p->epochs);
    print_score("train", epoch->train);
    print_score("test", epoch->test);
    print_score("val", epoch->val);
    if (!isnan(epoch->eta.mean)) printf("  eta %.4g", epoch->eta.mean);
    if (!isnan(epoch->seconds)) printf("  %.2f s", epoch->seconds);
    putchar('\n');
    fflush(stdout);
}

void cli_progress_end(cli_progress *p)
{
    clear_line(p);
    fflush(stdout);
}

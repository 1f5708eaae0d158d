/* curve.c: what is drawn of a line, epoch by epoch or step by step: the mean over its runs, and a band from the lowest to the highest. */
#include "lines.h"

#include <math.h>

const cli_curve cli_curves[CLI_CURVES + CLI_MONITOR_CURVES] = {
    { "loss", "Objective", "training loss", CLI_TRAIN_LOSS, CLI_TRAIN_LOSS, CLI_TRAIN_LOSS, true, false, false },
    { "train_acc", "Training accuracy", "accuracy", CLI_TRAIN_ACC, CLI_TRAIN_ACC, CLI_TRAIN_ACC, false, true, false },
    { "test_acc", "Test accuracy", "accuracy", CLI_TEST_ACC, CLI_TEST_ACC, CLI_TEST_ACC, false, true, false },
    { "eta", "Learning rate (automatic for AGD)", "eta, mean and range over the steps", CLI_ETA_MEAN, CLI_ETA_MIN,
      CLI_ETA_MAX, true, false, false },
    { "update", "Relative size of the update", "||dW|| / ||W||, mean over the layers", CLI_UPDATE_MEAN, CLI_UPDATE_MIN,
      CLI_UPDATE_MAX, true, false, false },
    { "rank", "Stable rank of the gradient", "||g||_F^2 / ||g||_op^2 of the layers", CLI_MONITOR_RANK,
      CLI_MONITOR_RANK_MIN, CLI_MONITOR_RANK_MAX, true, false, true },
    { "share", "Shares of G", "a layer's part of G; mean: 1/L", CLI_MONITOR_SHARE, CLI_MONITOR_SHARE_MIN,
      CLI_MONITOR_SHARE_MAX, true, false, true },
    { "step", "Relative size of the update", "||dW|| / ||W|| of the layers", CLI_MONITOR_UPDATE, CLI_MONITOR_UPDATE_MIN,
      CLI_MONITOR_UPDATE_MAX, true, false, true },
    { "automatic", "Automatic learning rate", "log((1 + sqrt(1 + 4 G)) / 2)", CLI_MONITOR_ETA, CLI_MONITOR_ETA,
      CLI_MONITOR_ETA, true, false, true },
    { "change", "Change of the loss on the batch", "measured; band: up to the majorisation", CLI_MONITOR_CHANGE,
      CLI_MONITOR_CHANGE_MIN, CLI_MONITOR_CHANGE_MAX, false, false, true },
    { "df", "Change of the outputs", "rms ||df||; band: up to sqrt(d_L) (e^eta - 1)", CLI_MONITOR_DF,
      CLI_MONITOR_DF_MIN, CLI_MONITOR_DF_MAX, true, false, true },
};

/* Blue, vermilion, bluish green, reddish purple, black. */
const char *const cli_colours[CLI_COLOURS] = { "#0072B2", "#D55E00", "#008F68", "#B8578F", "#222222" };

/* What a curve is drawn from: rows that begin with an epoch or a step. */
typedef struct {
    const double *cell;
    int           rows, columns;
} source;

static source source_of(const cli_run *run, const cli_curve *curve)
{
    if (curve->monitor) return (source){ (const double *)run->monitor, run->monitored, CLI_MONITOR_COLUMNS };
    return (source){ (const double *)run->row, run->rows, CLI_METRICS };
}

static const double *row_of(const cli_run *run, const cli_curve *curve, double epoch)
{
    const source s   = source_of(run, curve);
    int          low = 0, high = s.rows;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (s.cell[(int64_t)middle * s.columns] < epoch) low = middle + 1;
        else high = middle;
    }
    return low < s.rows && s.cell[(int64_t)low * s.columns] == epoch ? s.cell + (int64_t)low * s.columns : NULL;
}

/* The epoch's point; false: a run has none. */
static bool point_at(const cli_line *line, const cli_curve *curve, double epoch, cli_point *p)
{
    *p = (cli_point){ .epoch = epoch, .low = INFINITY, .high = -INFINITY };
    for (int i = 0; i < line->count; i++) {
        const double *row = row_of(line->run[i], curve, epoch);
        if (!row || !isfinite(row[curve->mean])) return false;
        const double low  = isfinite(row[curve->low]) ? row[curve->low] : row[curve->mean];
        const double high = isfinite(row[curve->high]) ? row[curve->high] : row[curve->mean];
        p->mean += row[curve->mean] / line->count;
        if (low < p->low) p->low = low;
        if (high > p->high) p->high = high;
    }
    return true;
}

int cli_line_room(const cli_line *line)
{
    if (line->count == 0) return 0;
    const cli_run *run = line->run[0];
    return run->rows > run->monitored ? run->rows : run->monitored;
}

int cli_line_points(const cli_line *line, const cli_curve *curve, cli_point *point, int room)
{
    const source s = line->count > 0 ? source_of(line->run[0], curve) : (source){ 0 };
    int          n = 0;
    for (int r = 0; r < s.rows && n < room; r++) n += point_at(line, curve, s.cell[(int64_t)r * s.columns], &point[n]);
    return n;
}

double cli_point_x(const cli_curve *curve, const cli_point *p)
{
    return curve->monitor ? p->epoch : p->epoch + 1;
}

/* curve.c: what is drawn of a line, epoch by epoch: the mean over its runs, and a band from the lowest to the highest. */
#include "lines.h"

#include <math.h>

const cli_curve cli_curves[CLI_CURVES] = {
    { "loss", "Objective", "training loss", CLI_TRAIN_LOSS, CLI_TRAIN_LOSS, CLI_TRAIN_LOSS, true, false },
    { "train_acc", "Training accuracy", "accuracy", CLI_TRAIN_ACC, CLI_TRAIN_ACC, CLI_TRAIN_ACC, false, true },
    { "test_acc", "Test accuracy", "accuracy", CLI_TEST_ACC, CLI_TEST_ACC, CLI_TEST_ACC, false, true },
    { "eta", "Learning rate (automatic for AGD)", "eta, mean and range over the steps", CLI_ETA_MEAN, CLI_ETA_MIN,
      CLI_ETA_MAX, true, false },
    { "update", "Relative size of the update", "||dW|| / ||W||, mean over the layers", CLI_UPDATE_MEAN, CLI_UPDATE_MIN,
      CLI_UPDATE_MAX, true, false },
};

/* Blue, vermilion, bluish green, reddish purple, black. */
const char *const cli_colours[CLI_COLOURS] = { "#0072B2", "#D55E00", "#008F68", "#B8578F", "#222222" };

static const double *row_of(const cli_run *run, double epoch)
{
    int low = 0, high = run->rows;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (run->row[middle][CLI_EPOCH] < epoch) low = middle + 1;
        else high = middle;
    }
    return low < run->rows && run->row[low][CLI_EPOCH] == epoch ? run->row[low] : NULL;
}

/* The epoch's point; false: a run has none. */
static bool point_at(const cli_line *line, const cli_curve *curve, double epoch, cli_point *p)
{
    *p = (cli_point){ .epoch = epoch, .low = INFINITY, .high = -INFINITY };
    for (int i = 0; i < line->count; i++) {
        const double *row = row_of(line->run[i], epoch);
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
    return line->count > 0 ? line->run[0]->rows : 0;
}

int cli_line_points(const cli_line *line, const cli_curve *curve, cli_point *point, int room)
{
    int n = 0;
    for (int r = 0; r < cli_line_room(line) && n < room; r++)
        n += point_at(line, curve, line->run[0]->row[r][CLI_EPOCH], &point[n]);
    return n;
}

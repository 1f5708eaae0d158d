/* broadcast.c: NumPy broadcasting, forward and transposed, for every op that needs it.
 *
 * Shapes are aligned at their last axis; an operand of extent 1 is repeated along that axis, which is a stride of 0.  Axes
 * that no operand tells apart are folded into one, so that [n,c,h,w] + [c,1,1] is a walk over [n,c] rows of h*w floats. */
#include "ops/ops.h"

#include <string.h>

/* Extents of the walk and, for each operand, its stride in floats along them. */
typedef struct {
    int     rank;
    int64_t dim[PLM_MAX_RANK];
    int64_t stride[PLM__MAX_OPERANDS][PLM_MAX_RANK];
} walk;

/* Extent of axis a of a shape of `rank` axes, when the shape is aligned at the last axis. */
static int64_t aligned_dim(plm_shape s, int a, int rank)
{
    const int own = a - (rank - s.rank);
    return own < 0 ? 1 : s.dim[own];
}

static walk walk_over(plm_shape out, const plm_shape *in, int n_in)
{
    walk    w = { 0 };
    int64_t step[PLM__MAX_OPERANDS]; /* floats of the operand below the axis */
    int64_t reversed[PLM__MAX_OPERANDS][PLM_MAX_RANK], dim[PLM_MAX_RANK];
    int     rank = 0; /* folded axes so far, innermost first */
    for (int k = 0; k < n_in; k++) step[k] = 1;
    for (int a = out.rank - 1; a >= 0; a--) {
        if (out.dim[a] == 1) continue;
        bool fold = rank > 0;
        for (int k = 0; k < n_in; k++) {
            const int64_t extent = aligned_dim(in[k], a, out.rank), stride = extent == 1 ? 0 : step[k];
            reversed[k][rank] = stride;
            step[k] *= extent;
            fold = fold && stride == reversed[k][rank - 1] * dim[rank - 1];
        }
        if (fold) dim[rank - 1] *= out.dim[a];
        else dim[rank++] = out.dim[a];
    }
    for (int a = 0; a < rank; a++) {
        w.dim[a] = dim[rank - 1 - a];
        for (int k = 0; k < n_in; k++) w.stride[k][a] = reversed[k][rank - 1 - a];
    }
    w.rank = rank;
    if (rank == 0) w.dim[w.rank++] = 1; /* one element */
    return w;
}

/* The walk without its last axis: rows, numbered in order. */
static int64_t row_count(const walk *w)
{
    int64_t rows = 1;
    for (int a = 0; a < w->rank - 1; a++) rows *= w->dim[a];
    return rows;
}

static int64_t row_offset(const walk *w, int operand, int64_t row)
{
    int64_t offset = 0;
    for (int a = w->rank - 2; a >= 0; a--) {
        offset += row % w->dim[a] * w->stride[operand][a];
        row /= w->dim[a];
    }
    return offset;
}

bool plm__broadcast_shape(plm_shape a, plm_shape b, plm_shape *out)
{
    *out = (plm_shape){ .rank = a.rank > b.rank ? a.rank : b.rank };
    for (int i = 0; i < out->rank; i++) {
        const int64_t in_a = aligned_dim(a, i, out->rank), in_b = aligned_dim(b, i, out->rank);
        if (in_a != in_b && in_a != 1 && in_b != 1) return false;
        out->dim[i] = in_a == 1 ? in_b : in_a;
    }
    return true;
}

/* One row: an operand that stands still is spread over a buffer, so that the range sees memory only. */
static void run_row(plm__range *f, const float *const *in, const int64_t *step, int n_in, float *dst, int64_t n)
{
    enum { SPREAD = 256 };
    float         spread[PLM__MAX_OPERANDS][SPREAD];
    const float  *at[PLM__MAX_OPERANDS] = { NULL };
    bool          still                 = false;
    const int64_t width                 = n < SPREAD ? n : SPREAD;
    for (int k = 0; k < n_in; k++) {
        at[k] = in[k];
        if (step[k] != 0) continue;
        still = true;
        for (int64_t i = 0; i < width; i++) spread[k][i] = *in[k];
        at[k] = spread[k];
    }
    const int64_t chunk = still ? width : n;
    for (int64_t start = 0; start < n; start += chunk) {
        f(at, dst + start, n - start < chunk ? n - start : chunk);
        for (int k = 0; k < n_in; k++)
            if (step[k] != 0) at[k] += chunk;
    }
}

void plm__broadcast(plm__range *f, plm_shape out, const plm__operand *in, int n_in, float *dst)
{
    plm_shape shape[PLM__MAX_OPERANDS];
    for (int k = 0; k < n_in; k++) shape[k] = in[k].shape;
    const walk    w    = walk_over(out, shape, n_in);
    const int64_t rows = row_count(&w), n = w.dim[w.rank - 1];
#pragma omp parallel for if (rows > 1 && rows * n > PLM__SERIAL) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float *at[PLM__MAX_OPERANDS]   = { NULL };
        int64_t      step[PLM__MAX_OPERANDS] = { 0 };
        for (int k = 0; k < n_in; k++) {
            at[k]   = in[k].data + row_offset(&w, k, row);
            step[k] = w.stride[k][w.rank - 1];
        }
        run_row(f, at, step, n_in, dst + row * n, n);
    }
}

/* A walk's rows, those along which y stands still (summed) apart from the others (kept); operand 0 is x, operand 1 is y. */
static void split_rows(const walk *w, walk *kept, walk *summed)
{
    *kept = *summed = (walk){ 0 };
    for (int a = 0; a < w->rank; a++) {
        const bool last = a == w->rank - 1;
        for (int side = 0; side < 2; side++) {
            walk *to = side == 0 ? kept : summed;
            if (!last && (w->stride[1][a] == 0) != (side == 1)) continue;
            to->dim[to->rank] = w->dim[a];
            for (int k = 0; k < 2; k++) to->stride[k][to->rank] = w->stride[k][a];
            to->rank++;
        }
    }
}

static double part_of_floats(const void *x, int64_t start, int64_t end)
{
    return plm__sum_floats((const float *)x + start, end - start);
}

void plm__reduce(const float *x, plm_shape from, float *y, plm_shape to, double factor)
{
    enum { COLUMNS = 64 };
    walk          kept, summed;
    const walk    w = walk_over(from, (plm_shape[]){ from, to }, 2);
    const int64_t n = w.dim[w.rank - 1];
    split_rows(&w, &kept, &summed);
    const int64_t rows = row_count(&kept), terms = row_count(&summed);
    if (w.rank == 1 && w.stride[1][0] == 0) {
        *y = (float)(factor * plm__sum_parts(part_of_floats, x, n));
    } else if (w.stride[1][w.rank - 1] == 0) { /* rows of x become single numbers */
#pragma omp parallel for if (rows * terms * n > PLM__SERIAL) schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const float *at  = x + row_offset(&kept, 0, row);
            double       sum = 0;
            for (int64_t t = 0; t < terms; t++) sum += plm__sum_floats(at + row_offset(&summed, 0, t), n);
            y[row_offset(&kept, 1, row)] = (float)(factor * sum);
        }
    } else { /* rows of x are added up, a few columns at a time */
        const int64_t blocks = (n + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for if (rows * terms * n > PLM__SERIAL) schedule(static)
        for (int64_t job = 0; job < rows * blocks; job++) {
            const int64_t row = job / blocks, start = job % blocks * COLUMNS;
            const int64_t width        = n - start < COLUMNS ? n - start : COLUMNS;
            const float  *at           = x + row_offset(&kept, 0, row) + start;
            double        sum[COLUMNS] = { 0 };
            for (int64_t t = 0; t < terms; t++) {
                const float *term = at + row_offset(&summed, 0, t);
                for (int64_t i = 0; i < width; i++) sum[i] += (double)term[i];
            }
            float *to_row = y + row_offset(&kept, 1, row) + start;
            for (int64_t i = 0; i < width; i++) to_row[i] = (float)(factor * sum[i]);
        }
    }
}

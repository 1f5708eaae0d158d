/* loader.h (private to data): what fills a batch, in the caller's thread or in one of its own. */
#ifndef PLM__LOADER_H
#define PLM__LOADER_H

#include "data/data.h"

/* Samples position, position + 1, ... of an epoch. */
typedef struct {
    int64_t epoch, position, count;
} plm__span;

/* All it takes to fill batches, and no context: whoever fills may not touch that.  One thread at a time. */
typedef struct {
    const plm_dataset *data;
    uint64_t           seed;
    bool               augment;
    int                channels;
    float             *table;       /* [channels, 256]: what each byte becomes; NULL: samples are not bytes */
    uint8_t           *raw;         /* [x_size]: a fetched sample; NULL: samples are in memory               */
    int64_t           *order;       /* [count]: a permutation of the data set; NULL: not shuffled           */
    int64_t            order_epoch; /* whose order that is; -1: nobody's                                    */
} plm__filler;

void plm__fill_table(const plm__filler *f);
/* The number in the store of a sample of an epoch. */
int64_t plm__fill_at(plm__filler *f, int64_t epoch, int64_t position);
/* x [count, x_size]; y int64_t [count] or float [count, target_size].  Not for callback data sets. */
bool plm__fill(plm__filler *f, plm__span span, float *x, void *y, plm__fault *fault);

/* A thread that fills one batch at a time when told to.  Between start and the end of wait the filler is the thread's. */
typedef struct plm__prefetch plm__prefetch;
plm__prefetch               *plm__prefetch_new(plm_ctx *ctx, plm__filler *filler);
void                         plm__prefetch_free(plm_ctx *ctx, plm__prefetch *p); /* takes NULL; waits */
void                         plm__prefetch_start(plm__prefetch *p, plm__span span, float *x, void *y);
/* Ends what was started last, if anything: takes it back or waits for it.  Has it filled this span?  *fault tells how. */
bool plm__prefetch_wait(plm__prefetch *p, plm__span span, plm__fault *fault);

#endif

/* prefetch.c: a thread that fills the next batch while the current one is trained on.
 *
 * It does one job at a time and only what it is told: which batch comes next, and what to do when the caller wanted another
 * one, is the loader's business.  The filler and the buffers of a job belong to the thread from start to wait; the mutex
 * hands them over.  A job that the thread has not begun is taken back: on a busy machine the caller is faster than waiting
 * for the scheduler.  The context is never touched here: what goes wrong travels as a plm__fault. */
#include "data/loader.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

typedef enum { IDLE, QUEUED, RUNNING, DONE, QUIT } job_state;

struct plm__prefetch {
    pthread_t       thread;
    pthread_mutex_t mutex;
    pthread_cond_t  changed; /* the state, that is */
    job_state       state;
    plm__filler    *filler;
    plm__span       span;
    float          *x;
    void           *y;
    plm__fault      fault;
};

static void *work(void *argument)
{
    plm__prefetch *p = argument;
    pthread_mutex_lock(&p->mutex);
    while (p->state != QUIT) {
        if (p->state != QUEUED) {
            pthread_cond_wait(&p->changed, &p->mutex);
            continue;
        }
        p->state = RUNNING; /* which nobody else changes */
        pthread_mutex_unlock(&p->mutex);
        p->fault.status = PLM_OK;
        plm__fill(p->filler, p->span, p->x, p->y, &p->fault);
        pthread_mutex_lock(&p->mutex);
        p->state = DONE;
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* The program's signals are for its own threads. */
static int start_thread(plm__prefetch *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&p->thread, NULL, work, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

plm__prefetch *plm__prefetch_new(plm_ctx *ctx, plm__filler *filler)
{
    plm__prefetch *p = plm__new(ctx, sizeof *p, "a loader's thread");
    if (!p) return NULL;
    p->filler = filler;
    pthread_mutex_init(&p->mutex, NULL); /* with default attributes neither of them can fail on Linux */
    pthread_cond_init(&p->changed, NULL);
    const int error = start_thread(p);
    if (error == 0) return p;
    plm__fail(ctx, PLM_ERR_MEMORY, "plm_loader_new: cannot start the prefetch thread: %s", strerror(error));
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    plm__delete(ctx, p);
    return NULL;
}

void plm__prefetch_free(plm_ctx *ctx, plm__prefetch *p)
{
    plm__fault fault;
    if (!p) return;
    plm__prefetch_wait(p, (plm__span){ 0 }, &fault);
    pthread_mutex_lock(&p->mutex);
    p->state = QUIT;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    plm__delete(ctx, p);
}

void plm__prefetch_start(plm__prefetch *p, plm__span span, float *x, void *y)
{
    pthread_mutex_lock(&p->mutex);
    p->span  = span;
    p->x     = x;
    p->y     = y;
    p->state = QUEUED;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

bool plm__prefetch_wait(plm__prefetch *p, plm__span span, plm__fault *fault)
{
    pthread_mutex_lock(&p->mutex);
    while (p->state == RUNNING) pthread_cond_wait(&p->changed, &p->mutex);
    const bool same = p->state == DONE && p->span.epoch == span.epoch && p->span.position == span.position &&
                      p->span.count == span.count;
    p->state = IDLE;
    *fault   = p->fault;
    pthread_mutex_unlock(&p->mutex);
    return same;
}

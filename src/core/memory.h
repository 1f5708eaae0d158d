/* memory.h (private to core): the allocator behind objects and pool, counted. */
#ifndef PLM__MEMORY_H
#define PLM__MEMORY_H

#include "core/core.h"

plm_allocator plm__system_allocator(void);
int           plm__available_threads(void); /* what affinity, a container's cgroup and OpenMP allow, at least 1 */
int           plm__thread_limit(void);      /* oneDNN waits for ever if it gets fewer threads than it was promised */

void *plm__memory_take(plm_ctx *ctx, size_t bytes, size_t align); /* NULL without an error: the caller names what for */
void  plm__memory_give(plm_ctx *ctx, void *memory, size_t bytes);

#endif

/* profile.h (private to train): where the time of a training step goes, op by op. */
#ifndef PLM__PROFILE_H
#define PLM__PROFILE_H

#include "core/core.h"

typedef struct {
    const char *op, *node;
    double      forward, backward; /* seconds, summed over the steps */
    bool        done;              /* in this step its backward pass was seen */
} plm__profile_entry;

/* The records of one step in order.  While it is open every record that the context runs is noted in it. */
typedef struct {
    plm_ctx            *ctx;
    plm__profile_entry *entry;
    int                 entries, capacity;
    int                 at; /* forward records seen in this step */
    int                 steps;
} plm__profile;

void plm__profile_begin(plm__profile *p, plm_ctx *ctx);
void plm__profile_step(plm__profile *p); /* before each step */
void plm__profile_end(plm__profile *p);

#endif

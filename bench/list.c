/* list.c: keeps the primitives of a step and their memory, and runs them. */
#include "list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { HUGE_PAGE = 1 << 21 };

step *step_new(void)
{
    step *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->buffers           = SHARED;
    dnnl_status_t status = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = dnnl_stream_create(&s->stream, s->engine, dnnl_stream_default_flags);
    if (status == dnnl_success) status = dnnl_primitive_attr_create(&s->attr);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(s->attr, dnnl_scratchpad_mode_user);
    fail(s, status, "start oneDNN");
    return s;
}

void step_free(step *s)
{
    if (!s) return;
    for (int i = 0; i < s->runs; i++) dnnl_primitive_destroy(s->run[i].primitive);
    for (int i = 0; i < s->pds; i++) dnnl_primitive_desc_destroy(s->pd[i]);
    for (int i = 0; i < s->memories; i++) dnnl_memory_destroy(s->memory[i].of);
    for (int i = 0; i < s->buffers; i++) free(s->buffer[i].data);
    if (s->attr) dnnl_primitive_attr_destroy(s->attr);
    if (s->stream) dnnl_stream_destroy(s->stream);
    if (s->engine) dnnl_engine_destroy(s->engine);
    free(s);
}

bool fail(step *s, dnnl_status_t status, const char *what)
{
    if (s->error[0]) return false;
    if (status == dnnl_success) return true;
    snprintf(s->error, sizeof s->error, "cannot %s: %s", what,
             status == dnnl_out_of_memory ? "out of memory" : "oneDNN has no code for it");
    return false;
}

void keep_pd(step *s, dnnl_primitive_desc_t pd)
{
    if (s->pds < MAX_RUNS) {
        s->pd[s->pds++] = pd;
        return;
    }
    dnnl_primitive_desc_destroy(pd);
    fail(s, dnnl_out_of_memory, "keep a network of so many layers");
}

const_dnnl_memory_desc_t md_of(memory m)
{
    const_dnnl_memory_desc_t md = NULL;
    return m.of && dnnl_memory_get_memory_desc(m.of, &md) == dnnl_success ? md : NULL;
}

const_dnnl_memory_desc_t md_in(dnnl_primitive_desc_t pd, int arg)
{
    const_dnnl_memory_desc_t md = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
    return md && dnnl_memory_desc_get_size(md) > 0 ? md : NULL;
}

plm__md make_md(step *s, int rank, const dnnl_dims_t dim, dnnl_format_tag_t tag)
{
    plm__md md = { 0 };
    fail(s, dnnl_memory_desc_create_with_tag(&md, rank, dim, dnnl_f32, tag), "describe a tensor");
    return md;
}

/* The number of the buffer, -1: no more. */
static int take_buffer(step *s, int where, float amplitude)
{
    if (where == GRADIENT) {
        int i = FIRST_GRADIENT;
        while (i < SHARED && s->buffer[i].readers > 0) i++;
        if (i == SHARED) return -1;
        s->buffer[i].readers = 1;
        return i;
    }
    if (where != OWN) return where;
    if (s->buffers == MAX_MEMORIES) return -1;
    s->buffer[s->buffers].amplitude = amplitude;
    return s->buffers++;
}

memory make_memory(step *s, const_dnnl_memory_desc_t md, int where, float amplitude)
{
    memory m = { NULL, 0 };
    if (s->error[0]) return m;
    m.buffer = take_buffer(s, where, amplitude);
    if (m.buffer < 0 || s->memories == MAX_MEMORIES) {
        fail(s, dnnl_out_of_memory, "keep a network of so many tensors");
        return m;
    }
    if (!fail(s, dnnl_memory_create(&m.of, md, s->engine, DNNL_MEMORY_NONE), "describe a tensor")) return m;
    s->memory[s->memories++] = m;
    const size_t bytes       = dnnl_memory_desc_get_size(md);
    if (bytes > s->buffer[m.buffer].bytes) s->buffer[m.buffer].bytes = bytes;
    return m;
}

memory seen_as(step *s, memory m, const_dnnl_memory_desc_t md)
{
    if (!s->error[0] && m.buffer < SHARED) s->buffer[m.buffer].readers++;
    return make_memory(s, md, m.buffer, 0);
}

void add_run(step *s, dnnl_primitive_desc_t pd, int args, const dnnl_exec_arg_t *arg)
{
    if (s->error[0]) return;
    if (s->runs == MAX_RUNS) {
        fail(s, dnnl_out_of_memory, "keep a network of so many layers");
        return;
    }
    run r = { .args = args };
    memcpy(r.arg, arg, (size_t)args * sizeof *arg);
    const_dnnl_memory_desc_t scratch = md_in(pd, DNNL_ARG_SCRATCHPAD);
    if (scratch) r.arg[r.args++] = (dnnl_exec_arg_t){ DNNL_ARG_SCRATCHPAD, make_memory(s, scratch, SCRATCH, 0).of };
    if (!fail(s, dnnl_primitive_create(&r.primitive, pd), "make a primitive")) return;
    s->run[s->runs++] = r;
    if (is_reference(pd)) s->references++;
}

bool is_reference(dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success &&
           strncmp(name, "ref", 3) == 0;
}

memory reordered(step *s, memory m, const_dnnl_memory_desc_t md, int where)
{
    if (s->error[0] || dnnl_memory_desc_equal(md_of(m), md)) return m;
    dnnl_primitive_desc_t pd = NULL;
    if (!fail(s, dnnl_reorder_primitive_desc_create(&pd, md_of(m), s->engine, md, s->engine, s->attr), "reorder"))
        return m;
    keep_pd(s, pd);
    const memory to = make_memory(s, md, where, 0);
    add_run(s, pd, 2, (dnnl_exec_arg_t[]){ { DNNL_ARG_FROM, m.of }, { DNNL_ARG_TO, to.of } });
    return to;
}

int add_value(step *s, int rank, const dnnl_dim_t *dim, memory data)
{
    if (s->values == MAX_LAYERS) fail(s, dnnl_out_of_memory, "keep a network of so many layers");
    if (s->error[0]) return 0;
    value *v = &s->value[s->values];
    *v       = (value){ .rank = rank, .data = data };
    memcpy(v->dim, dim, (size_t)rank * sizeof *dim);
    return s->values++;
}

void add_layer(step *s, const layer *l)
{
    if (s->layers == MAX_LAYERS) fail(s, dnnl_out_of_memory, "keep a network of so many layers");
    if (!s->error[0]) s->layer[s->layers++] = *l;
}

void drop_gradient(step *s, int v)
{
    memory *g = &s->value[v].gradient;
    if (g->of && g->buffer < SHARED) s->buffer[g->buffer].readers--;
    *g = (memory){ 0 };
}

void set_gradient(step *s, int v, memory gradient)
{
    drop_gradient(s, v);
    s->value[v].gradient = gradient;
}

/* Numbers like those of a step: zeros would let the processor run faster.  Large blocks ask for huge pages, as Plummet's. */
static bool fill(buffer *b)
{
    const size_t bytes = (b->bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (posix_memalign(&b->data, bytes > HUGE_PAGE ? HUGE_PAGE : 64, bytes > HUGE_PAGE ? bytes : b->bytes) != 0)
        return false;
#ifdef MADV_HUGEPAGE
    if (bytes > HUGE_PAGE) madvise(b->data, bytes, MADV_HUGEPAGE);
#endif
    memset(b->data, 0, b->bytes);
    uint32_t random = 1;
    float   *x      = b->data;
    for (size_t i = 0; b->amplitude > 0 && i < b->bytes / sizeof *x; i++) {
        random = random * 1664525u + 1013904223u; /* Knuth & Lewis */
        x[i]   = b->amplitude * ((float)(random >> 8) * 0x1p-23f - 1);
    }
    return true;
}

static void give_memory(step *s)
{
    for (int i = 0; i < s->buffers && !s->error[0]; i++)
        if (s->buffer[i].bytes > 0 && !fill(&s->buffer[i])) fail(s, dnnl_out_of_memory, "run the step");
    for (int i = 0; i < s->memories && !s->error[0]; i++)
        fail(s, dnnl_memory_set_data_handle(s->memory[i].of, s->buffer[s->memory[i].buffer].data), "run the step");
}

/* The loss's gradient is not computed: it is there, in memory of its own. */
bool step_backward(step *s, int output)
{
    if (s->error[0]) return false;
    s->value[output].gradient = make_memory(s, md_of(s->value[output].data), OWN, 0.1f);
    for (int i = s->layers - 1; i >= 0 && !s->error[0]; i--) s->layer[i].backward(s, &s->layer[i]);
    give_memory(s);
    return !s->error[0];
}

double step_run(step *s)
{
    struct timespec from, to;
    if (s->error[0]) return -1;
    clock_gettime(CLOCK_MONOTONIC, &from);
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < s->runs && status == dnnl_success; i++)
        status = dnnl_primitive_execute(s->run[i].primitive, s->stream, s->run[i].args, s->run[i].arg);
    if (status == dnnl_success) status = dnnl_stream_wait(s->stream);
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (!fail(s, status, "run the step")) return -1;
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

int step_primitives(const step *s)
{
    return s->runs;
}

int step_references(const step *s)
{
    return s->references;
}

const char *step_error(const step *s)
{
    return s->error;
}

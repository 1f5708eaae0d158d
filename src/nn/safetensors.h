/* safetensors.h (private to nn): a file of named tensors: the eight bytes of a little-endian length, that much JSON,
 * and then the data to whose start the JSON's offsets refer.  Source: huggingface.co/docs/safetensors, "Format". */
#ifndef PLM__SAFETENSORS_H
#define PLM__SAFETENSORS_H

#include "core/checksum.h"
#include "nn/json.h"
#include "nn/nn.h"

/* What is not the network's own in a file has names that begin so; networks leave it alone.  One such tensor holds a
 * checksum: eight bytes, little-endian, the CRC-64 of the file before them.  It stands last. */
#define PLM__OURS "plummet."
#define PLM__CHECKSUM PLM__OURS "checksum"

/* The length of the header, and the most that it may be: the reference takes 100 MB, but parsed JSON can be 30 times its
 * text, and no network needs a tenth of this. */
enum { PLM__HEADER_PREFIX = 8, PLM__MAX_HEADER = 16 << 20 };

/* Numbers in memory under the name that they have in a file, where they are row-major. */
typedef struct {
    const char        *name;
    const plm__layout *home;
    float             *data;
} plm__stored;

/* ------------------------------------------------------------------ reading */

typedef struct {
    const char *name, *dtype; /* "F32" ...; lent by the header                                */
    plm_shape   shape;        /* may have more axes than PLM_MAX_RANK: then it equals no other */
    int64_t     begin, end;   /* bytes, from the start of the data                            */
    bool        used;         /* free for the caller                                          */
} plm__entry;

struct plm__safetensors {
    plm_ctx     *ctx;
    const char  *path; /* lent by the caller */
    int          fd;
    cJSON       *header;
    const cJSON *metadata; /* strings by name; NULL: none   */
    plm__entry  *entry;    /* sorted by name                */
    int          entries;
    int64_t      start, bytes; /* where the data starts, and how much there is */
};

/* Everything the header says is checked against the file: afterwards each entry lies in the data, as large as its
 * shape; and the checksum, where there is one.  Close also after a failure. */
bool        plm__safetensors_open(plm__safetensors *f, plm_ctx *ctx, const char *path);
void        plm__safetensors_close(plm__safetensors *f);
plm__entry *plm__safetensors_find(const plm__safetensors *f, const char *name); /* NULL: no such */
const char *plm__safetensors_metadata(const plm__safetensors *f, const char *key);
bool plm__safetensors_read(const plm__safetensors *f, const plm__entry *e, void *data); /* e->end - e->begin bytes */
/* Is the tensor one of numbers that f32 holds exactly: F32, BF16 or F16?  Then this reads it, converted. */
bool plm__safetensors_is_float(const plm__entry *e);
bool plm__safetensors_read_f32(const plm__safetensors *f, const plm__entry *e, float *data);

/* Every parameter of the graph is in the file, as F32, BF16 or F16, and the file has nothing else but PyTorch's counters
 * of batches and ours; otherwise one sentence names what is missing, extra and misshapen.  load.c */
bool plm__safetensors_match(plm__safetensors *f, const plm_graph *g);
/* Reads n tensors, which are there and fit: all of them or, after a failure, none.  load.c */
bool plm__safetensors_fill(const plm__safetensors *f, const plm__stored *stored, int n);
void plm__graph_written(plm_graph *g); /* after its weights were filled */

/* ------------------------------------------------------------------ writing */

/* The file grows beside PATH, whose place it takes at the end. */
typedef struct {
    plm_ctx    *ctx;
    const char *path; /* lent by the caller */
    char       *partial;
    int         fd;  /* -1: closed */
    plm__crc64  sum; /* of what has been written */
} plm__output;

/* Creates the file and writes its header: `metadata` is a JSON object of strings.  With `checksum` that of the file follows
 * the tensors: plm__output_checksum. */
bool plm__output_open(plm__output *o, plm_ctx *ctx, const char *path, const char *metadata, const plm__stored *stored,
                      int n, bool checksum);
bool plm__output_write(plm__output *o, const void *data, size_t bytes); /* row-major f32, in the same order */
bool plm__output_checksum(plm__output *o);
bool plm__output_finish(plm__output *o); /* on the disk, renamed             */
void plm__output_close(plm__output *o);  /* removes what is not finished     */

/* ------------------------------------------------------------------ networks and what is kept beside them: save.c */

/* The weights of a graph, [g->params]. */
void plm__graph_stored(const plm_graph *g, plm__stored *stored);

/* Its modules as JSON, of which a file of the network has the same text. */
void plm__graph_describe(plm__text *t, const plm_graph *g);

/* What a file can hold beside a network.  Such a file has a checksum. */
typedef struct {
    const char        *key, *text; /* a string of the metadata */
    const plm__stored *stored;
    int                count;
} plm__beside;
/* beside: NULL for a plain network.  Errors begin with `call`. */
bool plm__graph_save(const plm_graph *g, const char *path, const plm__beside *beside, const char *call);

#endif

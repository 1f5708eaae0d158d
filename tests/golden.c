/* golden.c: a reader of safetensors for the golden files, written apart from the library's own: the eight bytes of a
 * little-endian length, that much JSON, and then the data to whose start the JSON's offsets refer. */
#include "golden.h"

#include <math.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

static struct {
    char   path[512];
    cJSON *header;
    char  *data; /* aligned as malloc does; the writer aligns every tensor to its element */
    size_t bytes;
} open_file;

static void close_file(void)
{
    cJSON_Delete(open_file.header);
    free(open_file.data);
    open_file.header = NULL;
    open_file.data   = NULL;
}

/* The next n bytes and a zero; NULL: the file is shorter. */
static char *read_bytes(FILE *f, size_t n)
{
    char *bytes = malloc(n + 1);
    if (!bytes || fread(bytes, 1, n, f) != n) {
        free(bytes);
        return NULL;
    }
    bytes[n] = '\0';
    return bytes;
}

static bool read_file(FILE *f, size_t size)
{
    unsigned char head[8];
    uint64_t      length = 0;
    if (fread(head, 1, sizeof head, f) != sizeof head) return false;
    for (int i = 7; i >= 0; i--) length = length << 8 | head[i];
    if (length > size - sizeof head) return false;

    char *json = read_bytes(f, (size_t)length);
    if (!json) return false;
    open_file.header = cJSON_Parse(json);
    free(json);
    open_file.bytes = size - sizeof head - (size_t)length;
    open_file.data  = read_bytes(f, open_file.bytes);
    return open_file.header && open_file.data;
}

void golden_open(const char *name)
{
    struct stat info;
    close_file();
    if (stat(PLUMMET_GOLDEN, &info) != 0) {
        print_message("golden files are not here (%s): skipped\n", PLUMMET_GOLDEN);
        skip();
    }
    snprintf(open_file.path, sizeof open_file.path, "%s/%s.safetensors", PLUMMET_GOLDEN, name);
    FILE *f    = fopen(open_file.path, "rb");
    bool  good = f && fstat(fileno(f), &info) == 0 && info.st_size >= 8 && read_file(f, (size_t)info.st_size);
    if (f) fclose(f);
    if (!good) fail_msg("cannot read %s", open_file.path);
}

bool golden_has(const char *tensor)
{
    return cJSON_GetObjectItemCaseSensitive(open_file.header, tensor) != NULL;
}

const char *golden_name(int i)
{
    const cJSON *entry = cJSON_GetArrayItem(open_file.header, i);
    return entry ? entry->string : NULL;
}

static const void *find(const char *tensor, const char *dtype, size_t size, plm_shape *shape)
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(open_file.header, tensor);
    if (!entry) fail_msg("%s has no tensor %s", open_file.path, tensor);
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "dtype"));
    if (!type || strcmp(type, dtype) != 0) fail_msg("%s: %s is %s, not %s", open_file.path, tensor, type, dtype);

    plm_shape    s    = { 0 };
    const cJSON *dims = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *dim;
    assert_in_range(cJSON_GetArraySize(dims), 0, PLM_MAX_RANK);
    cJSON_ArrayForEach(dim, dims) s.dim[s.rank++] = (int64_t)cJSON_GetNumberValue(dim);

    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    size_t       begin   = (size_t)cJSON_GetNumberValue(cJSON_GetArrayItem(offsets, 0));
    size_t       end     = (size_t)cJSON_GetNumberValue(cJSON_GetArrayItem(offsets, 1));
    if (begin % size != 0 || end > open_file.bytes || end != begin + (size_t)plm_shape_count(s) * size)
        fail_msg("%s: %s lies at bytes %zu to %zu of %zu", open_file.path, tensor, begin, end, open_file.bytes);
    if (shape) *shape = s;
    return open_file.data + begin;
}

const float *golden_f32(const char *tensor, plm_shape *shape)
{
    return find(tensor, "F32", sizeof(float), shape);
}

const double *golden_f64(const char *tensor, plm_shape *shape)
{
    return find(tensor, "F64", sizeof(double), shape);
}

const int64_t *golden_i64(const char *tensor, plm_shape *shape)
{
    return find(tensor, "I64", sizeof(int64_t), shape);
}

void test_golden(const char *tensor, const float *got, int64_t n, double rtol, const char *file, int line)
{
    plm_shape    shape;
    const float *want = golden_f32(tensor, &shape);
    if (plm_shape_count(shape) != n) {
        print_error("%s has %lld elements, not %lld\n", tensor, (long long)plm_shape_count(shape), (long long)n);
        _fail(file, line);
    }
    double largest = 1e-30;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)want[i]));
    for (int64_t i = 0; i < n; i++) test_close(got[i], want[i], rtol * largest, 0, tensor, file, line);
}

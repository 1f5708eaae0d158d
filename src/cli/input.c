/* input.c: rows of raw numbers for `predict`: .csv, .f32 (raw little-endian), .pgm (grey images, ASCII or binary)
 * and image files, which the library reads.
 *
 * Each file is read whole and then taken apart in memory; a row always has as many numbers as the network has inputs. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct {
    plm_ctx    *ctx;
    const char *path; /* "-": standard input */
    char       *text; /* with a zero behind it */
    size_t      size;
    cli_input  *out;
    int64_t     room; /* rows that out->x has memory for */
} source;

static const char *shown(const source *f)
{
    return strcmp(f->path, "-") == 0 ? "standard input" : f->path;
}

static bool out_of_memory(const source *f)
{
    return plm_ctx_fail(f->ctx, PLM_ERR_MEMORY, "%s: out of memory", shown(f));
}

static bool read_stream(source *f, FILE *file)
{
    size_t room = 0;
    do { /* at least once: standard input may be named twice, and is at its end then */
        if (f->size + 1 >= room) {
            room         = room ? 2 * room : 1 << 16;
            char *larger = realloc(f->text, room);
            if (!larger) return out_of_memory(f);
            f->text = larger;
        }
        f->size += fread(f->text + f->size, 1, room - f->size - 1, file);
        if (ferror(file)) return plm_ctx_fail(f->ctx, PLM_ERR_IO, "cannot read %s: %s", shown(f), strerror(errno));
    } while (!feof(file));
    f->text[f->size] = '\0';
    return true;
}

static bool read_whole(source *f)
{
    const bool standard = strcmp(f->path, "-") == 0;
    FILE      *file     = standard ? stdin : fopen(f->path, "rb");
    if (!file) return plm_ctx_fail(f->ctx, PLM_ERR_IO, "cannot open %s: %s", f->path, strerror(errno));
    const bool ok = read_stream(f, file);
    if (!standard) fclose(file);
    return ok;
}

/* Room for one more row; where it begins. */
static float *next_row(source *f)
{
    cli_input *in = f->out;
    if (in->count == f->room) {
        const int64_t room   = f->room ? 2 * f->room : 16;
        float        *larger = realloc(in->x, (size_t)room * (size_t)in->size * sizeof *larger);
        if (!larger) {
            out_of_memory(f);
            return NULL;
        }
        in->x   = larger;
        f->room = room;
    }
    return in->x + in->count++ * in->size;
}

/* ".f32": rows one after the other. */
static bool read_f32(source *f)
{
    const size_t row = (size_t)f->out->size * sizeof(float);
    if (f->size == 0 || f->size % row != 0)
        return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s has %zu bytes, expected a multiple of %zu (%lld f32 a sample)",
                            shown(f), f->size, row, (long long)f->out->size);
    const unsigned char *bytes = (const unsigned char *)f->text;
    for (size_t i = 0; i < f->size / row; i++) {
        float *x = next_row(f);
        for (int64_t k = 0; x && k < f->out->size; k++, bytes += 4) {
            const uint32_t bits =
                bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
            memcpy(&x[k], &bits, sizeof bits);
            if (!isfinite(x[k]))
                return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s: number %lld of sample %zu is not finite", shown(f),
                                    (long long)k, i);
        }
        if (!x) return false;
    }
    return true;
}

/* Cuts the field at *at off its line (quotes removed) and moves *at behind it, NULL at the line's end.  NULL: quotes that
 * do not enclose the whole field. */
static char *next_field(char **at)
{
    char *field = *at, *from = field, *to = field;
    from += strspn(from, " \t");
    const bool quoted = *from == '"';
    bool       open   = quoted;
    for (from += quoted; *from && (open || *from != ','); from++) {
        if (quoted && *from == '"' && *++from != '"') {
            open = false;
            from += strspn(from, " \t");
            break;
        }
        *to++ = *from;
    }
    if (open || (*from && *from != ',')) return NULL;
    *at = *from ? from + 1 : NULL;
    while (!quoted && to > field && (to[-1] == ' ' || to[-1] == '\t')) to--;
    *to = '\0';
    return field;
}

/* What strtod reads, also what is not finite. */
static bool is_number(const char *text, double *x)
{
    char *end;
    *x = strtod(text, &end);
    return end != text && end[strspn(end, " \t")] == '\0';
}

/* A line's fields, the first `room` of them into `field`; their number, -1 after an error. */
static int64_t split(source *f, int64_t number, char *line, char **field, int64_t room)
{
    int64_t count = 0;
    for (char *at = line; at; count++) {
        char *cut = next_field(&at);
        if (!cut) {
            plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s, line %lld: the quotes of field %lld are not closed at its end",
                         shown(f), (long long)number, (long long)count + 1);
            return -1;
        }
        if (count < room) field[count] = cut;
    }
    return count;
}

static bool take_row(source *f, int64_t line, char **field, int64_t count, int64_t label)
{
    const int64_t have = count - (label >= 0);
    if (have != f->out->size)
        return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s, line %lld has %lld numbers, the network takes %lld", shown(f),
                            (long long)line, (long long)have, (long long)f->out->size);
    float *x = next_row(f);
    for (int64_t i = 0; x && i < count; i++) {
        double value;
        if (i == label) continue;
        if (!is_number(field[i], &value) || !(fabs(value) < 3e38))
            return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s, line %lld, field %lld: \"%.40s\" is not a finite number",
                                shown(f), (long long)line, (long long)i + 1, field[i]);
        *x++ = (float)value;
    }
    return x != NULL;
}

static bool is_header(char **field, int64_t count)
{
    double value;
    for (int64_t i = 0; i < count; i++)
        if (is_number(field[i], &value)) return false;
    return true;
}

/* The place of the column `label` in the header; -1: an error. */
static int64_t find_label(source *f, const char *label, char **field, int64_t count)
{
    if (count > f->out->size + 1) {
        plm_ctx_fail(f->ctx, PLM_ERR_FORMAT,
                     "%s: its header has %lld columns, expected the %lld that the network takes and \"%s\"", shown(f),
                     (long long)count, (long long)f->out->size, label);
        return -1;
    }
    for (int64_t i = 0; i < count; i++)
        if (strcmp(field[i], label) == 0) return i;
    plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s has no column \"%s\" in its first line", shown(f), label);
    return -1;
}

/* The first line is a header if nothing in it is a number, or if `label` asks for one: the column of it to pass over. */
static bool read_csv_lines(source *f, const char *label, char **field, int64_t room)
{
    int64_t skip = -1, number = 0;
    bool    first = true;
    char   *start = strncmp(f->text, "\xef\xbb\xbf", 3) == 0 ? f->text + 3 : f->text; /* a byte order mark */
    for (char *line = start, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        const size_t length = strlen(line);
        if (length > 0 && line[length - 1] == '\r') line[length - 1] = '\0';
        number++;
        if (line[strspn(line, " \t")] == '\0') continue;
        const int64_t count = split(f, number, line, field, room);
        if (count < 0) return false;
        const bool header = first && (label || is_header(field, count < room ? count : room));
        if (first && label && (skip = find_label(f, label, field, count)) < 0) return false;
        first = false;
        if (!header && !take_row(f, number, field, count, skip)) return false;
    }
    if (f->out->count > 0) return true;
    return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s has no rows", shown(f));
}

static bool read_csv(source *f, const char *label)
{
    if (strlen(f->text) != f->size)
        return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s holds a zero byte, it is no csv file", shown(f));
    const int64_t room  = f->out->size + 1; /* with a label */
    char        **field = malloc((size_t)room * sizeof *field);
    const bool    ok    = field ? read_csv_lines(f, label, field, room) : out_of_memory(f);
    free(field);
    return ok;
}

/* A number of a PGM's text, comments passed over; -1: none there. */
static int64_t pgm_number(const char **at)
{
    *at += strspn(*at, " \t\r\n");
    while (**at == '#') {
        *at += strcspn(*at, "\n");
        *at += strspn(*at, " \t\r\n");
    }
    if (**at < '0' || **at > '9') return -1;
    int64_t n = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        if (n < 1 << 24) n = 10 * n + (**at - '0');
    return n;
}

/* Grey is relative in an image file: what white becomes in the raw data, one over the normalisation's scale; without one
 * what it is in the file. */
static double white_of(const plm_graph *net, double in_file)
{
    const plm_normalization *norm = plm_graph_normalization(net);
    return norm && norm->scale > 0 && norm->scale != 1 ? 1 / norm->scale : in_file;
}

static bool read_pgm(source *f, const plm_graph *net)
{
    const plm_shape in = plm_graph_input_shape(net);
    const char     *at = f->text + 2;
    char            text[160];
    if (in.rank != 3 || in.dim[0] != 1)
        return plm_ctx_fail(f->ctx, PLM_ERR_SHAPE, "%s is a grey image, the network takes %s", shown(f),
                            cli_shape_text(in, text));
    if (f->size < 2 || f->text[0] != 'P' || (f->text[1] != '2' && f->text[1] != '5'))
        return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s is no PGM image: it does not begin with P2 or P5", shown(f));
    const bool    binary = f->text[1] == '5';
    const int64_t w = pgm_number(&at), h = pgm_number(&at), most = pgm_number(&at);
    if (w < 1 || h < 1 || most < 1 || most > 65535)
        return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s: its header has no width, height and largest grey value",
                            shown(f));
    if (h != in.dim[1] || w != in.dim[2])
        return plm_ctx_fail(f->ctx, PLM_ERR_SHAPE, "%s is %lldx%lld pixels, the network takes %lldx%lld", shown(f),
                            (long long)w, (long long)h, (long long)in.dim[2], (long long)in.dim[1]);
    const double white = white_of(net, (double)most);
    const int    bytes = most > 255 ? 2 : 1;
    const char  *end   = f->text + f->size;
    float       *x     = next_row(f);
    if (binary) at++; /* one white space */
    for (int64_t i = 0; x && i < h * w; i++) {
        int64_t grey = -1;
        if (!binary) grey = pgm_number(&at);
        else if (end - at >= bytes) {
            grey = (unsigned char)at[0];
            if (bytes == 2) grey = 256 * grey + (unsigned char)at[1];
            at += bytes;
        }
        if (grey < 0 || grey > most)
            return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s: pixel %lld of %lld is missing or above %lld", shown(f),
                                (long long)i, (long long)h * w, (long long)most);
        x[i] = (float)((double)grey / (double)most * white);
    }
    if (x && binary && at != end)
        return plm_ctx_fail(f->ctx, PLM_ERR_FORMAT, "%s: %lld bytes follow its %lldx%lld pixels, expected one image",
                            shown(f), (long long)(end - at), (long long)w, (long long)h);
    return x != NULL;
}

static bool ends(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcmp(path + n - m, ending) == 0;
}

/* Into raw numbers as training saw them before normalising. */
static bool read_image(source *f, const plm_graph *net)
{
    const double white = white_of(net, 255);
    float       *x     = next_row(f);
    if (!x || !plm_image_read(f->ctx, f->path, plm_graph_input_shape(net), x)) return false;
    for (int64_t i = 0; i < f->out->size; i++) x[i] = (float)((double)x[i] / 255 * white);
    return true;
}

static bool is_image(const char *path)
{
    const char *end = strrchr(path, '.');
    return end && (strcasecmp(end, ".png") == 0 || strcasecmp(end, ".jpg") == 0 || strcasecmp(end, ".jpeg") == 0);
}

bool cli_input_known(const char *path)
{
    return is_image(path) || strcmp(path, "-") == 0 || ends(path, ".csv") || ends(path, ".f32") || ends(path, ".pgm") ||
           cli_usage_error(
               "%s: expected a .csv, .f32 or .pgm file, a .png or .jpg image, or - for csv from standard input", path);
}

bool cli_input_read(plm_ctx *ctx, const char *path, const char *label, const plm_graph *net, cli_input *input)
{
    const bool csv = ends(path, ".csv") || strcmp(path, "-") == 0;
    source     f   = { .ctx = ctx, .path = path, .out = input };
    *input         = (cli_input){ .size = plm_shape_count(plm_graph_input_shape(net)) };
    if (is_image(path)) {
        const bool read = read_image(&f, net);
        if (!read) cli_input_free(input);
        return read;
    }
    bool ok = read_whole(&f);
    if (ok && csv) ok = read_csv(&f, label);
    else if (ok) ok = ends(path, ".f32") ? read_f32(&f) : read_pgm(&f, net);
    free(f.text);
    if (!ok) cli_input_free(input);
    return ok;
}

void cli_input_free(cli_input *input)
{
    free(input->x);
    *input = (cli_input){ NULL, 0, 0 };
}

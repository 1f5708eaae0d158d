/* json.h (private to nn): JSON as model files need it: text written with full precision, values checked when read. */
#ifndef PLM__JSON_H
#define PLM__JSON_H

#include <cjson/cJSON.h>

#include "core/core.h"

/* Text that grows.  Failures are the context's error, after which the functions do nothing. */
typedef struct {
    plm_ctx *ctx;
    char    *at; /* ends with a zero; NULL: nothing yet; given back with plm__delete */
    int      used, room;
} plm__text;

void plm__text_add(plm__text *t, const char *fmt, ...) PLM_PRINTF(2, 3);
void plm__text_string(plm__text *t, const char *string); /* quoted; bytes that are no UTF-8 are taken for Latin-1 */
bool plm__text_is_utf8(const char *string);
void plm__text_number(plm__text *t, double x); /* an infinity or a nan, which JSON lacks, is an error   */

/* The whole of text[length], which a zero must follow, as one value; NULL: it is not JSON in UTF-8.  cJSON_Delete frees it. */
cJSON *plm__json_parse(const char *text, size_t length);
/* The member of an object; NULL: not an object, no such member, or several. */
const cJSON *plm__json_member(const cJSON *object, const char *key);
/* An integer that a double holds exactly, 0 to 2^53 - 1; false: something else, or NULL. */
bool plm__json_integer(const cJSON *item, int64_t *value);
bool plm__json_number(const cJSON *item, double *value); /* finite */

#endif

/* json.c: JSON as model files need it.
 *
 * cJSON reads.  Writing is ours: cJSON rounds numbers to what it takes for equal, and a network read back must have the
 * same bits. */
#include "nn/json.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void plm__text_add(plm__text *t, const char *fmt, ...)
{
    if (t->ctx->status != PLM_OK) return;
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, fmt, args);
    if (length < 0 || length >= INT_MAX / 2 - t->used)
        plm__fail(t->ctx, PLM_ERR_ARGUMENT, "the description of a network is longer than a file may have it");
    else if (plm__grow(t->ctx, &t->at, &t->room, t->used + length + 1, 1, "the header of a model file")) {
        vsnprintf(t->at + t->used, (size_t)length + 1, fmt, again);
        t->used += length;
    }
    va_end(again);
    va_end(args);
}

/* Bytes of the UTF-8 character at s: 1 to 4; 0: it is none (RFC 3629). */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    const int      length = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    const unsigned least  = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80; /* shorter spellings exist         */
    const unsigned most   = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf; /* surrogates; beyond U+10FFFF     */
    if (length && (s[1] < least || s[1] > most)) return 0;
    for (int i = 2; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return length;
}

bool plm__text_is_utf8(const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    for (int length; *s; s += length)
        if ((length = utf8_length(s)) == 0) return false;
    return true;
}

void plm__text_string(plm__text *t, const char *string)
{
    plm__text_add(t, "\"");
    for (const unsigned char *s = (const unsigned char *)string; *s;) {
        const unsigned char *plain = s;
        int                  length;
        while (*s >= 0x20 && *s != '"' && *s != '\\' && (length = utf8_length(s)) > 0) s += length;
        plm__text_add(t, "%.*s", (int)(s - plain), (const char *)plain);
        if (*s == '"' || *s == '\\') plm__text_add(t, "\\%c", *s++);
        else if (*s) plm__text_add(t, "\\u%04x", *s++);
    }
    plm__text_add(t, "\"");
}

void plm__text_number(plm__text *t, double x)
{
    char text[40], *end = text;
    if (!isfinite(x)) {
        plm__fail(t->ctx, PLM_ERR_ARGUMENT, "a model file cannot hold a number %g", x);
        return;
    }
    snprintf(text, sizeof text, "%.17g", x);
    for (const char *c = text; *c; c++) { /* the decimal point is the program's language's, and several bytes in some */
        const bool point = !strchr("+-0123456789e", *c);
        if (!point || end[-1] != '.') *end++ = (char)(point ? '.' : *c);
    }
    *end = '\0';
    plm__text_add(t, "%s", text);
}

cJSON *plm__json_parse(const char *text, size_t length)
{
    const char *end;
    for (size_t at = 0, step; at < length; at += step) /* cJSON takes any bytes for text; a zero follows the last */
        if ((step = (size_t)utf8_length((const unsigned char *)text + at)) == 0 || step > length - at) return NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(text, length + 1, &end, true);
    if (json && end == text + length) return json;
    cJSON_Delete(json);
    return NULL;
}

const cJSON *plm__json_member(const cJSON *object, const char *key)
{
    const cJSON *member, *found = NULL;
    if (!cJSON_IsObject(object)) return NULL;
    cJSON_ArrayForEach(member, object)
    {
        if (strcmp(member->string, key) != 0) continue;
        if (found) return NULL;
        found = member;
    }
    return found;
}

bool plm__json_integer(const cJSON *item, int64_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 0x1p53)) return false;
    *value = (int64_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

bool plm__json_number(const cJSON *item, double *value)
{
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) return false;
    *value = item->valuedouble;
    return true;
}

/* field.c: descs as tables of fields: filled in, checked, read and written without knowing them. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "core/core.h"

double plm_field_get(const plm_field *f, const void *desc)
{
    const char *at = desc ? (const char *)desc + (f ? f->offset : 0) : NULL;
    int         i;
    int64_t     wide;
    double      x;
    bool        flag;
    if (!f || !at) return 0;
    switch (f->type) {
    case PLM_FIELD_INT:
        memcpy(&i, at, sizeof i);
        return i;
    case PLM_FIELD_INT64:
        memcpy(&wide, at, sizeof wide);
        return (double)wide;
    case PLM_FIELD_DOUBLE:
        memcpy(&x, at, sizeof x);
        return x;
    case PLM_FIELD_BOOL:
        memcpy(&flag, at, sizeof flag);
        return flag;
    }
    return 0;
}

static void put(const plm_field *f, void *desc, double value)
{
    char         *at   = (char *)desc + f->offset;
    const int     i    = f->type == PLM_FIELD_INT ? (int)fmax(fmin(value, INT32_MAX), INT32_MIN) : 0;
    const int64_t wide = f->type == PLM_FIELD_INT64 ? (int64_t)fmax(fmin(value, 0x1p62), -0x1p62) : 0;
    const bool    flag = value != 0;
    switch (f->type) {
    case PLM_FIELD_INT:
        memcpy(at, &i, sizeof i);
        return;
    case PLM_FIELD_INT64:
        memcpy(at, &wide, sizeof wide);
        return;
    case PLM_FIELD_DOUBLE:
        memcpy(at, &value, sizeof value);
        return;
    case PLM_FIELD_BOOL:
        memcpy(at, &flag, sizeof flag);
        return;
    }
}

void plm_field_set(const plm_field *f, void *desc, double value)
{
    if (f && desc) put(f, desc, f->type == PLM_FIELD_DOUBLE && value == 0 ? PLM_ZERO : value);
}

/* Kernels compute in float: a number that is 0 or infinite there is another number. */
static const char *wrong(const plm_field *field, double x)
{
    const float f = (float)x;
    const char *positive =
        field->type == PLM_FIELD_DOUBLE ? "a positive number that a float holds" : "a positive number";
    if (!isfinite(f)) return field->bounds == PLM_BOUNDS_POSITIVE ? positive : "a number that a float holds";
    switch (field->bounds) {
    case PLM_BOUNDS_NONE:
        return NULL;
    case PLM_BOUNDS_POSITIVE:
        return f > 0 ? NULL : positive;
    case PLM_BOUNDS_NOT_NEGATIVE:
        return x >= 0 ? NULL : "0 or more";
    case PLM_BOUNDS_FRACTION:
        return x >= 0 && x < 1 ? NULL : "at least 0 and below 1";
    }
    return NULL;
}

bool plm_fields_resolve(plm_ctx *ctx, const plm_field *fields, void *desc, const char *who)
{
    for (const plm_field *f = fields; f && f->name; f++) {
        const double given = plm_field_get(f, desc), x = plm__or(given, f->otherwise);
        if (f->type == PLM_FIELD_BOOL) continue;
        if (x != given) put(f, desc, x); /* else a large integer would be rounded */
        const char *want = wrong(f, x);
        if (want) return plm__fail(ctx, PLM_ERR_ARGUMENT, "%s: %s is %g, expected %s", who, f->name, x, want);
    }
    return true;
}

/* profile.c: what bench --profile prints: time per kind of op, then per node. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

void cli_profile_add(void *user, const plm_op_time *time)
{
    cli_profile *p = user;
    if (p->failed) return;
    plm_op_time *grown = realloc(p->op, (size_t)(p->count + 1) * sizeof *grown);
    p->failed          = !grown;
    if (!grown) return;
    p->op             = grown;
    p->op[p->count++] = *time;
}

static double whole(const plm_op_time *t)
{
    return t->forward_ms + t->backward_ms;
}

static int slower_first(const void *a, const void *b)
{
    const double l = whole(a), r = whole(b);
    return (l < r) - (l > r);
}

/* Sums over ops of one name, the slowest first; the rows are the caller's to free. */
static plm_op_time *by_kind(const cli_profile *p, int *kinds)
{
    plm_op_time *row = calloc((size_t)p->count + 1, sizeof *row);
    *kinds           = 0;
    for (int i = 0; row && i < p->count; i++) {
        int k = 0;
        while (k < *kinds && strcmp(row[k].op, p->op[i].op) != 0) k++;
        if (k == *kinds) row[(*kinds)++].op = p->op[i].op;
        row[k].forward_ms += p->op[i].forward_ms;
        row[k].backward_ms += p->op[i].backward_ms;
    }
    if (row) qsort(row, (size_t)*kinds, sizeof *row, slower_first);
    return row;
}

static void print_row(const plm_op_time *t, double total)
{
    printf("%-14s %10.3f %10.3f %10.3f %5.1f%%%s%s\n", t->op, t->forward_ms, t->backward_ms, whole(t),
           100 * whole(t) / total, t->node ? "  " : "", t->node ? t->node : "");
}

bool cli_profile_print(const cli_profile *p)
{
    int          kinds;
    plm_op_time *row   = by_kind(p, &kinds);
    double       total = 0;
    if (!row || p->failed) {
        free(row);
        return false;
    }
    for (int k = 0; k < kinds; k++) total += whole(&row[k]);
    printf("\n%-14s %10s %10s %10s %6s\n", "kind", "forward ms", "backward", "both", "share");
    for (int k = 0; k < kinds; k++) print_row(&row[k], total);
    printf("\n%-14s %10s %10s %10s %6s  %s\n", "op", "forward ms", "backward", "both", "share", "node");
    for (int i = 0; i < p->count; i++) print_row(&p->op[i], total);
    free(row);
    return true;
}

bool cli_profile_json(const cli_profile *p, struct cJSON *into)
{
    cJSON *array = cJSON_AddArrayToObject(into, "profile");
    for (int i = 0; array && i < p->count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "op", p->op[i].op);
        if (p->op[i].node) cJSON_AddStringToObject(o, "node", p->op[i].node);
        else cJSON_AddNullToObject(o, "node");
        cJSON_AddNumberToObject(o, "forward_ms", round(p->op[i].forward_ms * 1e4) / 1e4);
        cJSON_AddNumberToObject(o, "backward_ms", round(p->op[i].backward_ms * 1e4) / 1e4);
        cJSON_AddItemToArray(array, o);
    }
    return array && !p->failed;
}

void cli_profile_free(cli_profile *p)
{
    free(p->op);
    *p = (cli_profile){ 0 };
}

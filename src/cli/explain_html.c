/* explain_html.c: what plummet explain found out, as one page that needs nothing else: explain.html with the JSON in it. */
#include "explain.h"
#include "html.h"

#include <stdlib.h>

extern const char cli_explain_page[]; /* explain.html */

/* No name can end the script that the JSON is in. */
static void fill(void *user, const char *name, FILE *file)
{
    (void)name; /* the page has one place, <!--{data}--> */
    for (const char *c = user; *c; c++) {
        if (*c == '<') fputs("\\u003c", file);
        else fputc(*c, file);
    }
}

bool cli_explain_html(plm_ctx *ctx, const cli_explained *x, FILE *to)
{
    char *text = cli_explain_json_text(ctx, x);
    if (!text) return false;
    cli_html_page(to, cli_explain_page, fill, text);
    free(text);
    return true;
}

/* html.c: escaping, and pages with places that are filled in. */
#include "html.h"

#include <string.h>

#define OPEN "<!--{"
#define CLOSE "}-->"

void cli_html_text(FILE *file, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '<') fputs("&lt;", file);
        else if (c == '>') fputs("&gt;", file);
        else if (c == '&') fputs("&amp;", file);
        else if (c == '"') fputs("&quot;", file);
        else if (c == '\'') fputs("&#39;", file);
        else fputc(c < ' ' || c == 127 ? ' ' : c, file);
    }
}

void cli_html_page(FILE *file, const char *page, void (*fill)(void *user, const char *name, FILE *file), void *user)
{
    for (const char *at = page;;) {
        const char *open  = strstr(at, OPEN);
        const char *close = open ? strstr(open, CLOSE) : NULL;
        char        name[64];
        if (!close) {
            fputs(at, file);
            return;
        }
        fwrite(at, 1, (size_t)(open - at), file);
        open += strlen(OPEN);
        snprintf(name, sizeof name, "%.*s", (int)(close - open), open);
        fill(user, name, file);
        at = close + strlen(CLOSE);
    }
}

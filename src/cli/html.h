/* html.h (private): what pages that the program writes share. */
#ifndef CLI_HTML_H
#define CLI_HTML_H

#include <stdio.h>

/* Text of any origin, in an element or in a quoted attribute: < > & " ' are escaped, control characters are blanks. */
void cli_html_text(FILE *file, const char *text);
/* A page compiled in, in which fill(user, name, file) writes the place of each <!--{name}-->. */
void cli_html_page(FILE *file, const char *page, void (*fill)(void *user, const char *name, FILE *file), void *user);

#endif

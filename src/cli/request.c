/* request.c: the command line of a grid, as it is read and as text again. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    cli_request *request;
    unsigned     bit; /* of the command */
} reader;

static bool take(void *user, const cli_option *o, const char *value)
{
    reader      *t = user;
    cli_request *r = t->request;
    if (o->commands & t->bit) return cli_set(&r->own, o, value);
    if (r->count == CLI_MOST_OPTIONS) return cli_usage_error("a grid has at most %d options", CLI_MOST_OPTIONS);
    r->given[r->count].option  = o;
    r->given[r->count++].value = value;
    return true;
}

bool cli_request_parse(const cli_words *words, unsigned bit, cli_request *r, const char **inputs, int *count)
{
    reader t = { r, bit };
    r->words = *words;
    r->own   = cli_defaults;
    r->count = 0;
    return cli_walk(words, bit | CLI_TRAIN, take, &t, inputs, count);
}

/* Quoted as a shell wants it, where it does. */
static char *put_word(char *to, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=.,:/+@%";
    const bool        quoted  = !*word || word[strspn(word, plain)];
    *to++                     = ' ';
    if (quoted) *to++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') to = strcpy(to, "'\\'") + 3; /* 'it'\''s' */
        *to++ = *word;
    }
    if (quoted) *to++ = '\'';
    *to = '\0';
    return to;
}

char *cli_request_text(const cli_request *r)
{
    size_t size = strlen("plummet ") + strlen(r->words.command) + 1;
    for (int i = 0; i < r->words.count; i++) size += 4 * strlen(r->words.word[i]) + 3;
    char *text = malloc(size);
    if (!text) return NULL;
    char *to = text + snprintf(text, size, "plummet %s", r->words.command);
    for (int i = 0; i < r->words.count; i++) to = put_word(to, r->words.word[i]);
    return text;
}

/* recipes.h (private): the paper's figures as grids, and what the paper says of them. */
#ifndef CLI_RECIPES_H
#define CLI_RECIPES_H

#include <stdbool.h>

/* One part of a figure: the options of its grid, without --epochs. */
typedef struct {
    const char *figure, *part, *what;
    const char *words[20]; /* end with NULL */
    const char *quick[6];  /* what --quick says instead; end with NULL */
    const char *digits[6]; /* what --dataset digits says instead       */
    int         epochs, quick_epochs, digits_epochs;
    bool        images; /* needs colour images of 32x32 */
    bool        slow;   /* left out by --quick, unless --only asks for it */
} cli_recipe;

/* A number of the paper's: test accuracy in percent, or words where it gives none. */
typedef struct {
    const char *figure, *part, *optim;
    int         depth, width, batch; /* 0: any */
    const char *accuracy, *rate;     /* NULL: none given */
    const char *place;               /* in arXiv 2304.05187 */
} cli_quote;

extern const cli_recipe cli_recipes[]; /* ends with a figure of NULL */
extern const cli_quote  cli_quotes[];  /* ends with a figure of NULL */

#endif

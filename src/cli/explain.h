/* explain.h (private): what plummet explain found out, for its three ways of showing it. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "cli.h"

#include <plummet/explain.h>

/* A network and, with --step, one step of AGD on it. */
typedef struct {
    cli_settings    settings; /* what-if: of the changed network */
    const char     *change;   /* "width*2"; NULL: as asked for    */
    plm_graph      *net;
    plm_explain    *explain;
    plm_step_terms  step;
    plm_layer_step *layer; /* [plm_explain_layers]; NULL: without --step */
} cli_case;

/* What another optimiser would do in its first step on the same samples. */
typedef struct {
    char            name[64]; /* "adam" */
    double          lr;       /* 0: its default */
    plm_step_terms  step;
    plm_layer_step *layer;
} cli_rival;

typedef struct {
    const cli_settings *settings;
    cli_case            base;
    cli_case           *what_if;
    cli_rival          *rival;
    int                 what_ifs, rivals;
    cli_data            data;  /* with --step */
    char               *words; /* copies of --vs and --what-if */
} cli_explained;

/* One line of the derivation: a number and where it comes from. */
typedef struct {
    const char *section; /* "output", "step", "trust", "majorisation" */
    const char *key;     /* its name in the JSON */
    const char *formula, *meaning;
    double      value; /* nan: unknown */
} cli_line;
enum { CLI_MAX_LINES = 48 };
int cli_explain_lines(const cli_case *c, cli_line lines[CLI_MAX_LINES]);

/* An assumption of the theory, and whether it holds here. */
typedef struct {
    const char *what;
    bool        holds;
    char        note[256]; /* by how much, or where not */
} cli_assumption;
enum { CLI_MAX_ASSUMPTIONS = 10 };
int cli_explain_assumptions(const cli_case *c, cli_assumption list[CLI_MAX_ASSUMPTIONS]);

/* True; false after failing. */
bool cli_explain_text(plm_ctx *ctx, const cli_explained *x, FILE *to);
bool cli_explain_json(plm_ctx *ctx, const cli_explained *x, FILE *to);
bool cli_explain_html(plm_ctx *ctx, const cli_explained *x, FILE *to);
/* To be given to free; NULL after failing. */
char *cli_explain_json_text(plm_ctx *ctx, const cli_explained *x);

#endif

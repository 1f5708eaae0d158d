/* cli.h (private): what the commands share.
 *
 * Functions that can fail return false (or NULL) after exactly one sentence: a wrong use of the command line is printed at
 * once and remembered by cli_usage_error, everything else is in the context's error, which `plm_main` prints. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <plummet/cli.h>

struct cJSON;

/* ------------------------------------------------------------------ options */

/* Commands, as bits: which options belong to which. */
enum {
    CLI_TRAIN     = 1,
    CLI_INSPECT   = 2,
    CLI_EVALUATE  = 4,
    CLI_PREDICT   = 8,
    CLI_BENCH     = 16,
    CLI_COMPARE   = 32,
    CLI_REPRODUCE = 64,
    CLI_PLOT      = 128,
    CLI_EXPLAIN   = 256,
    CLI_ALONE     = 512 /* of train, but not of a training in a grid */
};

#define CLI_MOST_OPTIONS 128
#define CLI_MOST_OWN 24

/* The value of an option that a user's optimiser brings. */
typedef union {
    bool    flag;
    int64_t integer;
    double  real;
} cli_own_value;

/* The resolved values of all options of all commands. */
typedef struct {
    const char *arch, *dataset, *label, *data, *out, *weights, *loss, *optim, *format, *select, *only, *vs, *what_if,
        *save_every, *resume, *on_nonfinite;
    const char *formats, *what, *schedule;
    bool        report;
    int64_t     depth, width, size, val, batch, test_batch, epochs, steps, seed, seeds, threads, monitor;
    double      warmup, step_epochs, step_factor, lr, momentum, weight_decay, betas[2], eps, gain, clip_norm;
    bool        bias, affine, heuristics, nesterov, decay_weights_only, quiet, epoch_zero, log_steps, no_augment, json,
        profile, dry_run, extend, quick, step, theory, help;
    cli_own_value own[CLI_MOST_OWN];
    int64_t       epochs_before;           /* with --resume: that the run was to have */
    bool          given[CLI_MOST_OPTIONS]; /* [i]: option i of the table was on the command line */
} cli_settings;

typedef enum { CLI_FLAG, CLI_INTEGER, CLI_REAL, CLI_PAIR, CLI_TEXT } cli_kind;

typedef struct {
    const char *name; /* without the dashes */
    cli_kind    kind;
    size_t      target;   /* offset in cli_settings */
    unsigned    commands; /* bits */
    const char *value;    /* how the value is called in the help, or the words it may be: "mse|xent|square" */
    const char *help;
    double      min, max;           /* of numbers */
    bool        open_min, open_max; /* the bound itself is out of range */
} cli_option;

/* Ends with a name of NULL.  Rows of the user's own stand behind the others: own.c. */
extern _Thread_local cli_option cli_options[CLI_MOST_OPTIONS + 1];
extern const cli_settings       cli_defaults;

bool cli_given(const cli_settings *s, const char *option);
/* The words behind a command. */
typedef struct {
    const char        *command; /* as errors call it */
    int                count;
    const char *const *word;
} cli_words;
/* Calls `each` for every option among the words, which must belong to one of the commands `bits`; value: NULL for a flag.
 * What is no option goes to `inputs` (room for all words), their number to *count; where it is NULL such words are
 * refused. */
bool cli_walk(const cli_words *words, unsigned bits, bool (*each)(void *user, const cli_option *o, const char *value),
              void *user, const char **inputs, int *count);
bool cli_set(cli_settings *s, const cli_option *o,
             const char *value); /* one option, as if it was on the command line */
/* The defaults and what the words say, into *s. */
bool cli_parse(const cli_words *words, unsigned bit, cli_settings *s, const char **inputs, int *count);
void cli_print_options(unsigned bit);

/* "plummet: ..." on standard error; always false. */
bool cli_usage_error(const char *fmt, ...) PLM_PRINTF(1, 2);
#ifdef __clang_analyzer__ /* it sees one file at a time, and must know "always false" */
#define plm_ctx_fail(...) (plm_ctx_fail(__VA_ARGS__), false)
#endif
bool cli_usage_failed(void); /* has cli_usage_error been called since the command began? */
void cli_usage_begin(void);
/* The nearest of `names` (`count`) to a misspelt word, NULL if none is near. */
const char *cli_nearest(const char *word, const char *const *names, int count);

/* ------------------------------------------------------------------ architectures, data sets, optimisers, losses */

const plm_arch *cli_arch_find(const plm_cli_extra *extra, const cli_settings *s);
bool            cli_arch_has_size(const cli_settings *s); /* do --depth and --width belong to it? */
void            cli_arch_print(const plm_cli_extra *extra);
/* A graph of this architecture for samples of that shape, its output called "logits". */
plm_graph *cli_arch_build(plm_ctx *ctx, const plm_arch *arch, const cli_settings *s, plm_shape x, int64_t classes);

/* What a data set looks like, for commands that do not need its samples. */
typedef struct {
    plm_shape shape;
    int64_t   classes;
} cli_form;
typedef struct {
    plm_dataset *train, *test, *val; /* val: NULL without --val */
} cli_data;

/* "images:DIR": DIR, else NULL. */
const char *cli_images_dir(const cli_settings *s);
/* DIR/train and DIR/test (or DIR/val), whose classes agree; without those, DIR split 0.8/0.2 by the seed. */
bool cli_images_open(plm_ctx *ctx, const cli_settings *s, cli_data *data);
/* What a network is evaluated on: DIR/test, or DIR/val, or all of DIR, in the form of the settings. */
plm_dataset *cli_images_test(plm_ctx *ctx, const cli_settings *s);
/* The same for a saved network: of its input's size, with its normalisation; its classes must agree. */
plm_dataset *cli_images_for(plm_ctx *ctx, const cli_settings *s, const plm_graph *net);
bool         cli_dataset_check(const cli_settings *s, bool samples); /* is the name known, are its options right? */
bool         cli_dataset_form(plm_ctx *ctx, const cli_settings *s, cli_form *form);
bool         cli_dataset_open(plm_ctx *ctx, const cli_settings *s, cli_data *data);
void         cli_dataset_close(cli_data *data);
/* The samples on which a saved network is evaluated: a named set's test split as it is, or all rows of a csv with
 * the network's normalisation and classes. */
plm_dataset *cli_dataset_for(plm_ctx *ctx, const cli_settings *s, const plm_graph *net);
void         cli_dataset_print(void);

void cli_own_use(const plm_cli_extra *extra); /* options of its optimisers, its kinds of module: own.c */
bool cli_option_is_own(const cli_option *o);
/* The saved network of --weights, which may have modules of the user's own. */
plm_graph *cli_open(plm_ctx *ctx, const cli_settings *s);

void cli_optimizers_use(const plm_cli_extra *extra); /* from here on, in this thread, these are known by name too */
/* Is there an optimiser of this name?  If not, a wrong use of `option`, "--optim". */
bool cli_optimizer_known(const char *option, const char *name);
bool cli_optimizer_shares(const char *field); /* is it a field of one of the library's optimisers? */
/* Is it an option of the optimiser `optim` (NULL: of any)? */
bool   cli_optimizer_owns(const char *optim, const char *option);
double cli_optimizer_rate(const cli_settings *s); /* --lr or the default; 0: it has none */
bool   cli_optimizer_check(const cli_settings *s);
/* lr: the learning rate, if it has one, unless --lr was given; 0: its default. */
plm_optimizer *cli_optimizer_new(plm_graph *net, const cli_settings *s, double lr);
void           cli_optimizer_describe(const cli_settings *s, struct cJSON *into); /* its settings */
void           cli_optimizer_print(void);

bool         cli_schedule_owns(const char *option); /* is it one of the schedule's? */
bool         cli_schedule_check(const cli_settings *s);
plm_schedule cli_schedule(const cli_settings *s);
void         cli_schedule_describe(const cli_settings *s, struct cJSON *into);

plm_loss cli_loss(const cli_settings *s);

/* ------------------------------------------------------------------ what is printed and written */

char       *cli_shape_text(plm_shape s, char text[160]);                      /* "[1,8,8]"; returns text */
void        cli_shape_json(struct cJSON *into, const char *key, plm_shape s); /* a list of its extents */
char       *cli_count_text(int64_t n, char text[32]);                         /* "541,184" */
const char *cli_version(void);                                                /* "0.1.0" */

/* config.json's text, to be given to free; NULL: out of memory. */
char *cli_config(plm_ctx *ctx, const cli_settings *s, const cli_data *data, const plm_graph *net);

/* Does a config.json hold these settings?  If not, `differs` says which is the first: "lr is 0.1, not 0.01".  Where the data
 * lies does not count, nor does a setting that the file does not know and that was not given. */
bool cli_config_agrees(const cli_settings *s, const struct cJSON *config, char *differs, size_t size);

/* A line per epoch; on a terminal, under it, one that is always overwritten: how far, how long still. */
typedef struct {
    bool    quiet, terminal, shown;
    int     epochs;
    double  began, updated;
    int64_t first; /* step seen; 0: none yet */
} cli_progress;
void cli_progress_begin(cli_progress *p, const cli_settings *s);
void cli_progress_step(cli_progress *p, const plm_step *step);
void cli_progress_epoch(cli_progress *p, const plm_epoch *epoch);
void cli_progress_end(cli_progress *p); /* before anything else is printed */

/* ------------------------------------------------------------------ stopping and going on */

#define CLI_SENTENCE 1024

/* From here to the end SIGINT, SIGTERM and SIGHUP are noted once; the second one ends the process. */
void        cli_signals_begin(void);
void        cli_signals_end(void);
void        cli_signals_forget(void);
int         cli_signalled(void); /* which one came since the command began; 0: none */
const char *cli_signal_name(int signal);

/* RUN without slashes and ".partial" at its end; false: too long for a path. */
bool cli_run_name(const char *run, char name[PATH_MAX]);
/* Replaces what the command line said of `train --resume RUN` by the settings in RUN's config.json and what may be given
 * anew.  *config: what the texts belong to, for cJSON_Delete afterwards, in any case.  False after a wrong use or, with `why`,
 * when the run cannot be read. */
bool cli_resume(const cli_words *words, cli_settings *s, struct cJSON **config, char why[CLI_SENTENCE]);
/* Epochs and steps of --save-every, one of them 0. */
bool cli_save_every(const cli_settings *s, int *epochs, int64_t *steps);
/* The settings of which a checkpoint is no use to another training, one a line; to be given to free; NULL: no memory. */
char *cli_facts(const cli_settings *s);

/* ------------------------------------------------------------------ one training */

/* Who looks on when a training is one run of a grid. */
typedef struct {
    void (*on_step)(void *user, const plm_step *step);
    void *user;
} cli_watch;
bool cli_train_check(const cli_settings *s, const plm_cli_extra *extra); /* the settings of one training fit together */
/* Trains by settings that have been checked.  With `watch` nothing is printed, and a run that diverges is kept in its
 * folder, which is a success. */
bool cli_train_run(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra, const cli_watch *watch);

/* ------------------------------------------------------------------ inputs of predict */

/* Rows of raw numbers read from a file; freed by cli_input_free. */
typedef struct {
    float  *x; /* [count, size] */
    int64_t count, size;
} cli_input;
/* Is it "-" (standard input, a csv) or a name that ends with .csv, .f32, .pgm, .png or .jpg?  Else a wrong use. */
bool cli_input_known(const char *path);
/* Such a file for a network with this input; `label`: a csv column to pass over. */
bool cli_input_read(plm_ctx *ctx, const char *path, const char *label, const plm_graph *net, cli_input *input);
void cli_input_free(cli_input *input);

/* ------------------------------------------------------------------ bench --profile */

/* The ops of a training step in order; zeroed: none. */
typedef struct {
    plm_op_time *op;
    int          count;
    bool         failed; /* out of memory */
} cli_profile;
void cli_profile_add(void *user, const plm_op_time *time);       /* user: the cli_profile */
bool cli_profile_print(const cli_profile *p);                    /* false: out of memory */
bool cli_profile_json(const cli_profile *p, struct cJSON *into); /* as member "profile"; false: out of memory */
void cli_profile_free(cli_profile *p);

/* ------------------------------------------------------------------ commands: true is success */

bool cli_train(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra);
bool cli_inspect(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra);
bool cli_evaluate(plm_ctx *ctx, const cli_settings *s);
bool cli_predict(plm_ctx *ctx, const cli_settings *s, const char *const *inputs, int count);
bool cli_bench(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra);
bool cli_explain(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra);
bool cli_plot(plm_ctx *ctx, const cli_settings *s, const char *const *inputs, int count);

#endif

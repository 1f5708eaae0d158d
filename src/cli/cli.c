/* cli.c: `plummet COMMAND [options]`: which command, its help, its exit status. */
#include "lab.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define GRIDS (CLI_COMPARE | CLI_REPRODUCE)

typedef struct {
    const char *name;
    unsigned    bit;
    const char *usage, *summary;
} command;

static const command commands[] = {
    { "train", CLI_TRAIN, "[options]", "train a network" },
    { "inspect", CLI_INSPECT, "[options]", "show an architecture: nodes, shapes, parameters, multiply-adds" },
    { "evaluate", CLI_EVALUATE, "--weights FILE --dataset NAME [options]", "loss and accuracy of a saved network" },
    { "predict", CLI_PREDICT, "--weights FILE INPUT... [options]", "classes and scores for samples in files" },
    { "compare", CLI_COMPARE, "--out DIR [options, each with a list of values]",
      "train a grid: optimisers, rates, architectures, seeds, and put the results beside each other" },
    { "plot", CLI_PLOT, "RUN... [options]", "draw what runs did, epoch by epoch, with gnuplot" },
    { "bench", CLI_BENCH, "[options]", "time a training step and its parts, on random images" },
    { "explain", CLI_EXPLAIN, "[options]", "show how AGD's step follows from the architecture, in numbers" },
    { "reproduce", CLI_REPRODUCE, "showcase|benchmark|baselines|width-depth|batch-size|tables [options]",
      "run an experiment of the AGD paper and put its numbers beside the paper's" },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(void)
{
    printf("Plummet: deep learning with Automatic Gradient Descent (AGD), which has no learning rate.\n\n"
           "Usage: plummet COMMAND [options]\n\nCommands:\n");
    for (int i = 0; i < COMMANDS; i++) printf("  %-26s %s\n", commands[i].name, commands[i].summary);
    printf("\nplummet COMMAND --help lists a command's options; plummet --version prints the version.\n"
           "First: plummet train\n");
}

static void print_command_help(const command *c, const plm_cli_extra *extra)
{
    const bool grid = c->bit & GRIDS;
    printf("plummet %s %s\n\n%s.", c->name, c->usage, c->summary);
    if (c->bit == CLI_PREDICT)
        printf("\n\nINPUT is a .csv file of raw feature rows (a header line is passed over), a .f32 file of raw\n"
               "little-endian numbers, a .pgm image for networks of grey images, a .png or .jpg image (of\n"
               "another size: its middle square, resized), or - for csv from standard input.\n"
               "Prints a csv: input, sample, class and the network's outputs.");
    if (c->bit == CLI_EVALUATE)
        printf("\n\nA named data set is evaluated on its test samples, with its own normalisation; a csv file on all\n"
               "rows, with the network's.");
    if (c->bit == CLI_EXPLAIN)
        printf("\n\nWithout --step from the architecture and its first weights alone.  --vs takes optimisers, each "
               "with a\n"
               "rate if need be: adam:1e-4,sgd.  --what-if takes changes: width*2,depth/2,width=512,depth*2+width*2.");
    if (c->bit == CLI_TRAIN)
        printf(
            "\n\nWith --out the run folder is made as DIR.partial and renamed when the run is whole.  SIGINT and "
            "SIGTERM\n"
            "finish the step and save a checkpoint there (a second one ends at once); --resume DIR goes on, to the\n"
            "same bits.  With --resume only --epochs, --save-every, --on-nonfinite, --data, --threads and --quiet may\n"
            "be given anew.");
    if (grid)
        printf(
            "\n\nAn option of a training may have several values: a list 1,2,3, a range 2:32 of whole numbers, which\n"
            "doubles, or a range 1e-5:1e-1 of others, by decades (1e-5:1e-1:3 has three values in each).  What does "
            "not\n"
            "go with an optimiser or an architecture is left out there.  Runs that are there already, in the folder\n"
            "runs of --out, are not run again: the same command goes on where it was interrupted.");
    if (c->bit == CLI_PLOT)
        printf("\n\nRUN is a run folder, or a folder of such.  Runs that differ only in the seed are one line, the "
               "mean, with\n"
               "a band from the lowest to the highest.  Beside each picture are its data (.csv) and its script (.gp).");
    if (c->bit == CLI_REPRODUCE)
        printf(
            "\n\nNetworks, losses, batches and rates are the paper's (arXiv 2304.05187), the epochs are fewer: "
            "--epochs\n"
            "says how many.  Without --out the folder is reproduce/NAME.  An option of a training takes the place of\n"
            "the paper's: --dataset digits, --width 64,256, --seeds 3.");
    printf("\n\n");
    cli_print_options(grid ? c->bit | CLI_TRAIN : c->bit == CLI_TRAIN ? CLI_TRAIN | CLI_ALONE : c->bit);
    if (grid || c->bit & (CLI_TRAIN | CLI_INSPECT | CLI_BENCH | CLI_EXPLAIN)) {
        putchar('\n');
        cli_arch_print(extra);
    }
    if (grid || c->bit & (CLI_TRAIN | CLI_BENCH)) {
        putchar('\n');
        cli_optimizer_print();
    }
    if (c->bit & (CLI_PREDICT | CLI_PLOT)) return;
    putchar('\n');
    cli_dataset_print();
}

static const command *find_command(const char *name)
{
    const char *names[COMMANDS];
    char        list[256] = "";
    for (int i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(name, names[i]) == 0) return &commands[i];
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = cli_nearest(name, names, COMMANDS);
    if (nearest) cli_usage_error("there is no command %s; did you mean %s?", name, nearest);
    else cli_usage_error("there is no command %s; there are %s", name, list);
    return NULL;
}

static bool run(const command *c, plm_ctx *ctx, const cli_request *r, const plm_cli_extra *extra,
                const char *const *inputs, int count)
{
    const cli_settings *s = &r->own;
    switch (c->bit) {
    case CLI_TRAIN:
        return cli_train(ctx, s, extra);
    case CLI_INSPECT:
        return cli_inspect(ctx, s, extra);
    case CLI_EVALUATE:
        return cli_evaluate(ctx, s);
    case CLI_PREDICT:
        return cli_predict(ctx, s, inputs, count);
    case CLI_PLOT:
        return cli_plot(ctx, s, inputs, count);
    case CLI_COMPARE:
        return cli_compare(ctx, r, extra);
    case CLI_EXPLAIN:
        return cli_explain(ctx, s, extra);
    case CLI_REPRODUCE:
        return cli_reproduce(ctx, r, inputs, count, extra);
    default:
        return cli_bench(ctx, s, extra);
    }
}

static int fail(const char *sentence)
{
    fflush(stdout);
    fprintf(stderr, "plummet: %s\n", sentence);
    return 1;
}

/* What was printed must have arrived: a full disk behind > shows here. */
static int flushed(int status)
{
    char text[256];
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    snprintf(text, sizeof text, "cannot write standard output: %s", strerror(errno));
    return fail(text);
}

/* How the shell knows of a command that a signal has stopped. */
static int status_of_signal(void)
{
    return cli_signalled() ? 128 + cli_signalled() : 0;
}

static int run_parsed(const command *c, const cli_request *r, const plm_cli_extra *extra, const char **inputs,
                      int count)
{
    plm_ctx *ctx = plm_ctx_new(&(plm_ctx_desc){ .seed = (uint64_t)r->own.seed, .threads = (int)r->own.threads });
    if (!ctx) return fail("out of memory");
    const bool ok     = run(c, ctx, r, extra, inputs, count);
    int        status = status_of_signal();
    if (!ok) status = cli_usage_failed() ? 2 : fail(plm_ctx_error(ctx));
    plm_ctx_free(ctx);
    return status ? status : flushed(0);
}

static int run_command(const command *c, int argc, char **argv, const plm_cli_extra *extra, const char **inputs)
{
    const cli_words words = { c->name, argc - 2, (const char *const *)argv + 2 };
    const char    **taken = c->bit & (CLI_PREDICT | CLI_PLOT) ? inputs : NULL;
    cli_request     r;
    int             count;
    if (c->bit == CLI_REPRODUCE) taken = inputs;
    const unsigned bits = c->bit | (c->bit == CLI_TRAIN ? CLI_ALONE : 0);
    if (!(c->bit & GRIDS ? cli_request_parse(&words, c->bit, &r, taken, &count)
                         : cli_parse(&words, bits, &r.own, taken, &count)))
        return 2;
    if (r.own.help) {
        print_command_help(c, extra);
        return flushed(0);
    }
    if (c->bit != CLI_TRAIN || !r.own.resume) return run_parsed(c, &r, extra, inputs, count);
    struct cJSON *config;
    char          why[CLI_SENTENCE];
    int           status = 2;
    if (cli_resume(&words, &r.own, &config, why)) status = run_parsed(c, &r, extra, inputs, count);
    else if (!cli_usage_failed()) status = fail(why);
    cJSON_Delete(config);
    return status;
}

/* A standard stream that is closed would be the number of the next file opened, and what is printed would end in it.
 * /dev/null takes the place, opened the wrong way round: reading and printing still fail, and that is said. */
static bool keep_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            return false;
    return true;
}

static int run_words(int argc, char **argv, const plm_cli_extra *extra)
{
    const char *word = argc > 1 ? argv[1] : "";
    cli_usage_begin();
    cli_signals_forget();
    cli_optimizers_use(extra);
    cli_own_use(extra);
    if (strcmp(word, "--version") == 0) {
        printf("plummet %s (oneDNN %s, %s)\n", cli_version(), plm_engine_version(), plm_engine_isa());
        return flushed(0);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help();
        return flushed(0);
    }
    if (!*word) {
        cli_usage_error("there is no command; plummet --help lists them");
        return 2;
    }
    const command *c = find_command(word);
    if (!c) return 2;
    const char **inputs = calloc((size_t)argc, sizeof *inputs);
    if (!inputs) return fail("out of memory");
    const int status = run_command(c, argc, argv, extra, inputs);
    free(inputs);
    return status;
}

/* Numbers have a point, whatever the program's language. */
int plm_main(int argc, char **argv, const plm_cli_extra *extra)
{
    if (!keep_standard_streams()) return fail("a standard stream is closed and /dev/null cannot be opened");
    const locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!c) return fail("out of memory");
    const locale_t before = uselocale(c);
    const int      status = run_words(argc, argv, extra);
    uselocale(before);
    freelocale(c);
    return status;
}

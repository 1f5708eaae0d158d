/* options.c: the options of all commands, in the order in which --help shows them; behind them stand the user's (own.c). */
#include "cli.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(cli_settings, field)
#define ALL (CLI_TRAIN | CLI_INSPECT | CLI_EVALUATE | CLI_PREDICT | CLI_BENCH | CLI_EXPLAIN)
#define BUILDS (CLI_TRAIN | CLI_INSPECT | CLI_BENCH | CLI_EXPLAIN)
#define STEPS (CLI_TRAIN | CLI_BENCH)
#define GRIDS (CLI_COMPARE | CLI_REPRODUCE)
#define MOST ((double)(1LL << 40)) /* of an extent: every product of two is still an int64_t, and is checked */

/* The last four fields: the range of a number. */
#define NONE 0, 0, false, false
#define FROM(low) (low), MOST, false, false
#define BETWEEN(low, high) (low), (high), false, false
#define ABOVE_ZERO 0, 1e30, true, false
#define BELOW_ONE 0, 1, false, true

const cli_settings cli_defaults = {
    .arch        = "fcn",
    .dataset     = "digits",
    .loss        = "mse",
    .optim       = "agd",
    .format      = "table",
    .schedule    = "constant",
    .step_epochs = 30,
    .step_factor = 0.1,

    .on_nonfinite = "stop",
    .depth        = 10,
    .width        = 256,
    .batch        = 128,
    .epochs       = 10,
    .steps        = 20,
    .betas        = { 0.9, 0.999 },
    .eps          = 1e-8,
    .gain         = 1,
};

_Thread_local cli_option cli_options[CLI_MOST_OPTIONS + 1] = {
    { "arch", CLI_TEXT, AT(arch), BUILDS, "NAME", "architecture, see below (fcn)", NONE },
    { "depth", CLI_INTEGER, AT(depth), BUILDS, "N", "weight layers of an fcn, at least 2 (10)", BETWEEN(1, 1e4) },
    { "width", CLI_INTEGER, AT(width), BUILDS, "N", "features between the layers of an fcn (256)", FROM(1) },
    { "bias", CLI_FLAG, AT(bias), CLI_TRAIN | CLI_INSPECT | CLI_BENCH, NULL,
      "layers with biases (of a resnet: the last one); agd trains them with --heuristics only", NONE },
    { "affine", CLI_FLAG, AT(affine), CLI_TRAIN | CLI_INSPECT | CLI_BENCH, NULL,
      "norms with a scale and a shift; agd trains them with --heuristics only", NONE },
    { "weights", CLI_TEXT, AT(weights), CLI_INSPECT | CLI_EVALUATE | CLI_PREDICT | CLI_EXPLAIN, "FILE",
      "a saved network (.safetensors)", NONE },
    { "dataset", CLI_TEXT, AT(dataset), BUILDS | CLI_EVALUATE, "NAME", "data set, see below (digits)", NONE },
    { "label", CLI_TEXT, AT(label), ALL, "NAME", "column of a csv file that holds the labels", NONE },
    { "data", CLI_TEXT, AT(data), CLI_TRAIN | CLI_EVALUATE | CLI_EXPLAIN | GRIDS, "DIR",
      "folder to look for data in, before $PLUMMET_DATA and the usual ones", NONE },
    { "size", CLI_INTEGER, AT(size), BUILDS, "N", "side of the square samples of images:DIR (224)", BETWEEN(0, 16384) },
    { "val", CLI_INTEGER, AT(val), CLI_TRAIN, "N", "training samples held out for validation (0)", FROM(0) },
    { "no-augment", CLI_FLAG, AT(no_augment), CLI_TRAIN | CLI_EXPLAIN, NULL,
      "train on cifar10, cifar100 and images:DIR as they are, not cropped and mirrored at random", NONE },
    { "loss", CLI_TEXT, AT(loss), STEPS | CLI_EVALUATE | CLI_EXPLAIN, "mse|xent|square", "loss function (mse)", NONE },
    { "optim", CLI_TEXT, AT(optim), STEPS, "NAME", "optimiser, see below (agd, which has no learning rate)", NONE },
    { "lr", CLI_REAL, AT(lr), STEPS, "X", "learning rate (sgd 0.1, muon 0.02, modular-* 0.5, others 0.001)",
      ABOVE_ZERO },
    { "momentum", CLI_REAL, AT(momentum), STEPS, "X", "momentum of sgd (0), muon (0.95), modular-sgd (0.9)",
      BELOW_ONE },
    { "nesterov", CLI_FLAG, AT(nesterov), STEPS, NULL, "Nesterov's form of the momentum of sgd", NONE },
    { "weight-decay", CLI_REAL, AT(weight_decay), STEPS, "X", "weight decay (0; of adamw and nadamw 0.01)",
      BETWEEN(0, 1e30) },
    { "decay-weights-only", CLI_FLAG, AT(decay_weights_only), STEPS, NULL, "no weight decay on biases and norms",
      NONE },
    { "betas", CLI_PAIR, AT(betas), STEPS, "A,B", "averaging of adam, adamw, nadamw (0.9,0.999)", BELOW_ONE },
    { "eps", CLI_REAL, AT(eps), STEPS, "X", "what they add to their denominator (1e-8)", ABOVE_ZERO },
    { "clip-norm", CLI_REAL, AT(clip_norm), STEPS, "X", "largest norm of the gradient (none)", ABOVE_ZERO },
    { "schedule", CLI_TEXT, AT(schedule), CLI_TRAIN, "constant|step|linear|cosine",
      "of the learning rate after the warm-up: linear and cosine end at 0 (constant)", NONE },
    { "warmup", CLI_REAL, AT(warmup), CLI_TRAIN, "EPOCHS", "epochs in which the learning rate rises (0)",
      BETWEEN(0, 1e9) },
    { "step-epochs", CLI_REAL, AT(step_epochs), CLI_TRAIN, "EPOCHS", "epochs between the drops of --schedule step (30)",
      ABOVE_ZERO },
    { "step-factor", CLI_REAL, AT(step_factor), CLI_TRAIN, "X", "factor of such a drop (0.1)", 0, 1, true, false },
    { "gain", CLI_REAL, AT(gain), STEPS, "X", "factor on the step of agd (1)", ABOVE_ZERO },
    { "heuristics", CLI_FLAG, AT(heuristics), STEPS, NULL,
      "agd trains biases and affine norms, by a rule without theory", NONE },
    { "batch-size", CLI_INTEGER, AT(batch), STEPS | CLI_EVALUATE | CLI_EXPLAIN, "N", "samples in a step (128)",
      FROM(1) },
    { "test-batch-size", CLI_INTEGER, AT(test_batch), CLI_TRAIN, "N", "samples at a time in testing (as --batch-size)",
      FROM(1) },
    { "epochs", CLI_INTEGER, AT(epochs), CLI_TRAIN, "N", "passes over the training samples (10)", BETWEEN(1, INT_MAX) },
    { "steps", CLI_INTEGER, AT(steps), CLI_BENCH, "N", "steps that are measured (20)", BETWEEN(1, 1e6) },
    { "seed", CLI_INTEGER, AT(seed), STEPS | CLI_INSPECT | CLI_EXPLAIN, "N", "of everything random (0)",
      BETWEEN(0, 0x1p53) },
    { "seeds", CLI_INTEGER, AT(seeds), GRIDS, "N", "seeds of each setting: 0 to N-1 (1)", BETWEEN(1, 1000) },
    { "select", CLI_TEXT, AT(select), GRIDS, "val_acc|train_loss|test_acc",
      "what the best learning rate has the best of, in the last epoch (val_acc with --val, else train_loss)", NONE },
    { "extend", CLI_FLAG, AT(extend), GRIDS, NULL, "go on by decades until the best learning rate is inside its grid",
      NONE },
    { "only", CLI_TEXT, AT(only), CLI_REPRODUCE, "PART", "one part of it, such as resnet18", NONE },
    { "quick", CLI_FLAG, AT(quick), CLI_REPRODUCE, NULL, "a few minutes: fewer epochs and smaller networks", NONE },
    { "dry-run", CLI_FLAG, AT(dry_run), GRIDS, NULL, "list the runs, their seconds and memory, and run none", NONE },
    { "threads", CLI_INTEGER, AT(threads), (ALL & ~CLI_INSPECT) | GRIDS, "N",
      "threads (0: as many as there are processors)", BETWEEN(0, 4096) },
    { "out", CLI_TEXT, AT(out), CLI_TRAIN | GRIDS, "DIR",
      "folder to make, of a run: config.json, metrics.csv, model.safetensors; of a grid: runs, summary.csv", NONE },
    { "out", CLI_TEXT, AT(out), CLI_PLOT, "DIR",
      "folder for the plots (RUN/plots or, unfinished, RUN.plots; plots for several runs)", NONE },
    { "save-every", CLI_TEXT, AT(save_every), CLI_TRAIN, "N",
      "save a checkpoint into --out every N epochs; Ns: N steps", NONE },
    { "resume", CLI_TEXT, AT(resume), CLI_ALONE, "RUN", "go on with the run in this folder, by the settings in it",
      NONE },
    { "on-nonfinite", CLI_TEXT, AT(on_nonfinite), CLI_TRAIN, "stop|skip",
      "what to do with a step that is not finite: stop, or leave it out (stop)", NONE },
    { "epoch-zero", CLI_FLAG, AT(epoch_zero), CLI_TRAIN, NULL,
      "measure the untrained network on the training samples too", NONE },
    { "log-steps", CLI_FLAG, AT(log_steps), CLI_TRAIN, NULL, "also write steps.csv, a row per step, into --out", NONE },
    { "monitor", CLI_INTEGER, AT(monitor), CLI_TRAIN, "N",
      "measure every Nth step as explain --step does: monitor.csv in --out (0: none)", FROM(0) },
    { "quiet", CLI_FLAG, AT(quiet), CLI_TRAIN | GRIDS, NULL, "print nothing but the result", NONE },
    { "profile", CLI_FLAG, AT(profile), CLI_BENCH, NULL, "also print the time per op kind and node", NONE },
    { "step", CLI_FLAG, AT(step), CLI_EXPLAIN, NULL, "take one step on the first batch, and measure it", NONE },
    { "theory", CLI_FLAG, AT(theory), CLI_EXPLAIN, NULL,
      "as the theory has it: plain ReLUs, loss square, all samples in one step, each of size sqrt(d_0)", NONE },
    { "vs", CLI_TEXT, AT(vs), CLI_EXPLAIN, "LIST", "what other optimisers would do: adam,sgd", NONE },
    { "what-if", CLI_TEXT, AT(what_if), CLI_EXPLAIN, "LIST", "the same for another depth or width: width*2,depth*2",
      NONE },
    { "format", CLI_TEXT, AT(format), CLI_EXPLAIN, "text|json|html", "what to make (text)", NONE },
    { "out", CLI_TEXT, AT(out), CLI_EXPLAIN, "FILE", "where to write it (standard output)", NONE },
    { "format", CLI_TEXT, AT(format), CLI_INSPECT, "table|json|dot", "what to print (table)", NONE },
    { "format", CLI_TEXT, AT(formats), CLI_PLOT, "LIST", "what to draw: svg, png (svg,png)", NONE },
    { "what", CLI_TEXT, AT(what), CLI_PLOT, "LIST",
      "loss, acc(uracy), eta (learning rate), update (relative size); of --monitor: rank, share, layers, bound (all)",
      NONE },
    { "report", CLI_FLAG, AT(report), CLI_PLOT, NULL,
      "also write report.html: charts, tables, every setting and version", NONE },
    { "json", CLI_FLAG, AT(json), CLI_EVALUATE | CLI_BENCH, NULL, "print one line of JSON", NONE },
    { "help", CLI_FLAG, AT(help), ALL | GRIDS | CLI_PLOT, NULL, "this text", NONE },
    { NULL, CLI_FLAG, 0, 0, NULL, NULL, NONE },
};

bool cli_given(const cli_settings *s, const char *option)
{
    for (int i = 0; cli_options[i].name; i++)
        if (strcmp(cli_options[i].name, option) == 0) return s->given[i];
    return false;
}

void cli_print_options(unsigned bit)
{
    printf("Options:\n");
    for (const cli_option *o = cli_options; o->name; o++) {
        if (!(o->commands & bit)) continue;
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-26s %s\n", left, o->help);
    }
}

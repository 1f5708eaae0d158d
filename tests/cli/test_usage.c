/* test_usage.c: help, and one sentence for each wrong use. */
#include "cli/run.h"

#include <unistd.h>

typedef struct {
    const char *arguments, *sentence;
} misuse;

static const misuse wrong_usage[] = {
    { "", "there is no command" },
    { "''", "there is no command" },
    { "trian", "did you mean train?" },
    { "--versoin", "there is no command --versoin" },
    { "fly", "there is no command fly; there are train, inspect, evaluate, predict, compare, plot, bench, explain, "
             "reproduce" },
    { "train --epoch 3", "train has no option --epoch; did you mean --epochs?" },
    { "train --xyzzy", "train has no option --xyzzy; plummet train --help" },
    { "train --xyzzy=1", "train has no option --xyzzy;" },
    { "train -q", "does not know what to do with \"-q\"" },
    { "train digits", "does not know what to do with \"digits\"" },
    { "train -- --quiet", "does not know what to do with \"--quiet\"" },
    { "train --epochs", "--epochs needs a value" },
    { "train --out --quiet", "--out needs a value" },
    { "train --out ''", "--out is empty" },
    { "train --quiet=yes", "--quiet takes no value" },
    { "train --epochs 0", "--epochs is \"0\", expected a whole number from 1 to 2147483647\n" },
    { "train --epochs 99999999999", "--epochs is \"99999999999\", expected a whole number from 1 to 2147483647\n" },
    { "train --epochs -3", "--epochs is \"-3\"" },
    { "train --epochs 2.5", "--epochs is \"2.5\"" },
    { "train --epochs ten", "--epochs is \"ten\"" },
    { "train --epochs ''", "--epochs is \"\"" },
    { "train --epochs 99999999999999999999", "--epochs is \"99999999999999999999\"" },
    { "train --batch-size 0", "--batch-size is \"0\", expected a whole number from 1 to 1099511627776\n" },
    { "train --batch-size=-128", "--batch-size is \"-128\"" },
    { "train --test-batch-size 0", "--test-batch-size is \"0\"" },
    { "train --depth 0", "--depth is \"0\"" },
    { "train --depth 10001", "--depth is \"10001\", expected a whole number from 1 to 10000\n" },
    { "train --depth 1", "an fcn has at least 2 layers" },
    { "train --width 0", "--width is \"0\"" },
    { "train --width -1", "--width is \"-1\"" },
    { "train --seed -1", "--seed is \"-1\"" },
    { "train --threads -1", "--threads is \"-1\"" },
    { "train --threads 100000", "--threads is \"100000\"" },
    { "train --val -1", "--val is \"-1\"" },
    { "train --val 1500", "--val is 1500, but there are only 1500 training samples" },
    { "train --arch fnc", "--arch is \"fnc\", known are fcn, vgg11, vgg13, vgg16, vgg19, vgg, resnet18, resnet34, " },
    { "train --arch fnc", "; did you mean fcn?" },
    { "train --arch resnet19", "resnet50, resnet101, resnet152; did you mean resnet18?" },
    { "train --arch mlp", "resnet152\n" },
    { "train --arch resnet18 --depth 18", "--depth does not go with --arch resnet18, whose size is fixed" },
    { "bench --arch vgg --width 64", "--width does not go with --arch vgg, whose size is fixed; it is for --arch fcn" },
    { "train --dataset digit", "did you mean digits?" },
    { "train --dataset nonsense", "expected one of digits, mnist, fashion-mnist, cifar10, cifar100, csv:FILE" },
    { "train --dataset imagenet", "known by its shape only" },
    { "train --dataset csv:", "expected csv:FILE" },
    { "train --dataset csv:a.csv", "needs --label" },
    { "train --label y", "--label is for csv files" },
    { "train --loss mes", "--loss is \"mes\", expected one of mse|xent|square; did you mean mse?" },
    { "train --optim sdg", "--optim is \"sdg\", known are agd, sgd, adam" },
    { "train --optim sdg", "; did you mean sgd?" },
    { "train --lr 0.1",
      "--lr does not go with --optim agd: agd has no learning rate; its options are --gain, --heuristics\n" },
    { "train --momentum 0.9", "--momentum does not go with --optim agd" },
    { "train --optim sgd --betas 0.9,0.99",
      "--betas does not go with --optim sgd; its options are --lr, --momentum, --nesterov, --weight-decay, --decay-" },
    { "train --optim sgd --gain 2", "--gain does not go with --optim sgd" },
    { "train --optim adam --nesterov", "--nesterov does not go with --optim adam" },
    { "train --optim sgd --nesterov", "sgd: nesterov needs a momentum" },
    { "train --optim sgd --lr 0", "--lr is \"0\", expected a number above 0, at most 1e+30\n" },
    { "train --optim sgd --lr nan", "--lr is \"nan\"" },
    { "train --optim sgd --lr inf", "--lr is \"inf\"" },
    { "train --optim sgd --lr -0.1", "--lr is \"-0.1\"" },
    { "train --optim sgd --lr 0.1x", "--lr is \"0.1x\"" },
    { "train --optim sgd --momentum 1", "--momentum is \"1\", expected a number of at least 0 and below 1" },
    { "train --optim sgd --weight-decay -1", "--weight-decay is \"-1\"" },
    { "train --optim sgd --clip-norm 0", "--clip-norm is \"0\"" },
    { "train --optim adam --betas 0.9", "--betas is \"0.9\", expected two numbers A,B" },
    { "train --optim adam --betas 0.9,1", "--betas is \"0.9,1\"" },
    { "train --optim adam --betas 0.9,0.99,0", "--betas is \"0.9,0.99,0\"" },
    { "train --optim adam --eps 0", "--eps is \"0\"" },
    { "train --schedule cosine", "--schedule does not go with --optim agd: agd has no learning rate" },
    { "train --warmup 1", "--warmup does not go with --optim agd: agd has no learning rate" },
    { "train --optim sgd --schedule cos",
      "--schedule is \"cos\", expected one of constant|step|linear|cosine; did you " },
    { "train --optim sgd --warmup 11", "--warmup is 11 epochs, and there are only 10" },
    { "train --optim sgd --warmup -1", "--warmup is \"-1\"" },
    { "train --optim sgd --step-epochs 3", "--step-epochs is for --schedule step" },
    { "train --optim sgd --schedule linear --step-factor 0.3", "--step-factor is for --schedule step" },
    { "train --optim sgd --schedule step --step-factor 1.5", "--step-factor is \"1.5\"" },
    { "train --affine", "--affine does not go with --arch fcn, which has no affine norms" },
    { "bench --bias=1", "--bias takes no value" },
    { "inspect --weights x.safetensors --bias", "--bias does not go with --weights" },
    { "train --gain 0", "--gain is \"0\"" },
    { "train --log-steps", "--log-steps needs --out" },
    { "train --monitor 5", "--monitor needs --out, the folder for monitor.csv" },
    { "train --monitor -1", "--monitor" },
    { "train --steps 3", "train has no option --steps" },
    { "inspect --format xml", "--format is \"xml\", expected one of table|json|dot" },
    { "inspect --weights x.safetensors --depth 3", "--depth does not go with --weights" },
    { "inspect --lr 3", "inspect has no option --lr" },
    { "evaluate", "evaluate needs --weights" },
    { "evaluate --weights x --dataset imagenet", "known by its shape only" },
    { "predict a.csv", "predict needs --weights" },
    { "predict --weights x.safetensors", "predict needs an INPUT" },
    { "bench --steps 0", "--steps is \"0\"" },
    { "train --profile", "train has no option --profile" },
    { "bench --optim agd --lr 1", "--lr does not go with --optim agd" },
    { "explain --vs adm", "--vs is \"adm\", known are agd, sgd, adam" },
    { "explain --vs adam,", "--vs is \"\", known are agd, sgd, adam" },
    { "explain --vs adam:fast", "--vs is \"adam:fast\", expected optimisers, each with a rate" },
    { "explain --vs adam:-1", "--vs is \"adam:-1\"" },
    { "explain --vs sgd:0.5,agd:0.5", "--vs is \"agd:0.5\": agd has no learning rate" },
    { "explain --vs adam:nan", "--vs is \"adam:nan\"" },
    { "explain --what-if hieght*2", "--what-if is \"hieght*2\", expected changes of depth or width like width*2" },
    { "explain --what-if width", "--what-if is \"width\"" },
    { "explain --what-if width*", "--what-if is \"width*\"" },
    { "explain --what-if width*0", "--what-if is \"width*0\"" },
    { "explain --what-if width*2x", "--what-if is \"width*2x\"" },
    { "explain --what-if width*2+", "--what-if is \"width*2+\"" },
    { "explain --what-if depth/9", "--what-if depth/9 makes a depth of 1" },
    { "explain --what-if width*99999999999", "--what-if width*99999999999: more than 1099511627776" },
    { "explain --arch vgg11 --dataset cifar10 --what-if depth*2", "the size of vgg11 is fixed" },
    { "explain --theory --loss mse", "--loss mse does not go with --theory" },
    { "explain --theory --weights x", "--theory does not go with --weights" },
    { "explain --weights x --depth 3", "--depth does not go with --weights" },
    { "explain --step --dataset imagenet", "known by its shape only" },
    { "explain --format dot", "--format is \"dot\", expected one of text|json|html" },
    { "explain --out /tmp/", "--out /tmp/ is a folder, expected a file" },
    { "explain --optim adam", "explain has no option --optim" },
};

static void test_wrong_usage(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_usage / sizeof *wrong_usage; i++) {
        const int status = run("%s", wrong_usage[i].arguments);
        if (status != 2 || *out)
            print_error("plummet %s: exit %d, printed \"%s\"\n", wrong_usage[i].arguments, status, out);
        assert_int_equal(status, 2);
        assert_string_equal(out, "");
        assert_sentence(wrong_usage[i].sentence);
    }
}

static const misuse failures[] = {
    { "train --bias", "agd: initial.bias is a bias, for which Automatic Gradient Descent has no rule" },
    { "train --dataset csv:/nowhere/a.csv --label y", "/nowhere/a.csv" },
    { "train --dataset mnist --data /nowhere", "/nowhere/mnist" },
    { "train --out /proc/plummet/run", "/proc/plummet" },
    { "train --quiet --width 1000000000000", "[1000000000000,64] has too many elements to count" },
#ifndef __SANITIZE_ADDRESS__ /* which ends a program that asks for so much */
    { "train --quiet --width 1000000000", "out of memory" },
#endif
    { "train --arch resnet18", "avg_pool2d at avgpool: a 4x4 window is larger than its input [512,1,1]" },
    { "train --arch vgg", "max_pool2d at features.33: a 2x2 window is larger than its input [512,1,1]" },
    { "inspect --weights /nowhere/a.safetensors", "/nowhere/a.safetensors" },
    { "inspect --weights /dev/null", "/dev/null" },
    { "evaluate --weights /nowhere/a.safetensors", "/nowhere/a.safetensors" },
    { "predict --weights /nowhere/a.safetensors a.csv", "/nowhere/a.safetensors" },
    { "explain --out /nowhere/a.json", "cannot create /nowhere/a.json.partial: No such file or directory" },
    { "explain --step --dataset mnist --data /nowhere", "/nowhere/mnist" },
    { "train --quiet --optim sgd --lr 1e9", "(in epoch 1, step " },
};

static void test_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        const int status = run("%s", failures[i].arguments);
        if (status != 1) print_error("plummet %s: exit %d, %s\n", failures[i].arguments, status, err);
        assert_int_equal(status, 1);
        assert_sentence(failures[i].sentence);
    }
}

static void test_help(void **state)
{
    static const char *const commands[] = { "train", "inspect", "evaluate", "predict", "bench", "explain" };
    (void)state;
    assert_int_equal(run("--help"), 0);
    assert_string_equal(err, "");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) assert_non_null(strstr(out, commands[i]));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        assert_int_equal(run("%s --help", commands[i]), 0);
        assert_non_null(strstr(out, "Options:\n"));
        assert_non_null(strstr(out, "  --help "));
        assert_string_equal(err, "");
    }
    /* The contract's options of train. */
    static const char *const options[] = { "arch",  "depth",    "width", "dataset",    "label",    "val",
                                           "loss",  "optim",    "lr",    "momentum",   "nesterov", "weight-decay",
                                           "betas", "eps",      "gain",  "batch-size", "epochs",   "test-batch-size",
                                           "seed",  "threads",  "data",  "out",        "quiet",    "epoch-zero",
                                           "help",  "log-steps" };
    assert_int_equal(run("train -h"), 0);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char shown[64];
        snprintf(shown, sizeof shown, "\n  --%s ", options[i]);
        assert_non_null(strstr(out, shown));
    }
    assert_int_equal(run("--version"), 0);
    assert_int_equal(strncmp(out, "plummet 0.", 10), 0);
}

/* What cannot be printed is a failure, not a silence. */
static void test_standard_output_full(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    char command[2048], path[1024];
    snprintf(path, sizeof path, "%s", test_path("stderr"));
    snprintf(command, sizeof command, "'%s' inspect >/dev/full 2>'%s'", PLUMMET_PROGRAM, path);
    const int status = system(command);
    slurp(path, err, sizeof err);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_sentence("cannot write standard output: No space left on device");
}

/* No file of ours becomes a standard stream that is closed, and the loss of the output is said. */
static void test_standard_streams_closed(void **state)
{
    (void)state;
    char dir[1024], command[4096], path[1100], text[1 << 12];
    for (int fd = 0; fd <= 2; fd++) {
        char name[16];
        snprintf(name, sizeof name, "closed%d", fd);
        snprintf(dir, sizeof dir, "%s", test_path(name));
        snprintf(path, sizeof path, "%s", test_path("other"));
        snprintf(command, sizeof command,
                 "{ '%s' train --epochs 2 --depth 2 --width 4 --log-steps --out '%s' %d>&-; } %s>'%s'", PLUMMET_PROGRAM,
                 dir, fd, fd == 1 ? "2" : "", path);
        const int status = system(command);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), fd == 1);
        slurp(path, err, sizeof err);
        if (fd == 1) assert_sentence("cannot write standard output: Bad file descriptor");
        snprintf(path, sizeof path, "%s/metrics.csv", dir);
        slurp(path, text, sizeof text);
        int lines = 0;
        assert_int_equal(strncmp(text, "epoch,", 6), 0);
        for (char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
            assert_int_equal(*line, '0' + lines);
            assert_int_equal(line[1], ',');
            lines++;
        }
        assert_int_equal(lines, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_standard_output_full),
        cmocka_unit_test(test_standard_streams_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_resume.c: trainings that stop or break off, and go on. */
#include "train/resume.h"

#include <dirent.h>
#include <math.h>
#include <sys/stat.h>

static char dir[2][1024];

static void name_dirs(const char *a, const char *b)
{
    snprintf(dir[0], sizeof dir[0], "%s", test_path(a));
    snprintf(dir[1], sizeof dir[1], "%s", test_path(b));
}

/* ------------------------------------------------------------------ the same bits */

/* Uninterrupted; and stopped within an epoch, broken off two steps after a save, stopped after an epoch. */
static void same_bits(int opt, bool conv)
{
    char names[2][64];
    snprintf(names[0], 64, "whole-%d-%d", opt, conv);
    snprintf(names[1], 64, "pieces-%d-%d", opt, conv);
    name_dirs(names[0], names[1]);
    recipe r = { .dir = dir[0], .opt = opt, .conv = conv, .epochs = 5 };
    job_done(r);

    r.dir        = dir[1];
    r.save_steps = 3;
    r.stop_at    = 7;
    job_done(r);
    assert_true(exists(in(dir[1], ".partial/checkpoint-7.safetensors")));
    assert_true(plm_run_has_checkpoint(dir[1]) && !plm_run_has_checkpoint(dir[0]));
    assert_true(plm_run_has_checkpoint(in(dir[1], "")) && plm_run_has_checkpoint(in(dir[1], ".partial//")));
    assert_false(plm_run_has_checkpoint("") || plm_run_has_checkpoint(NULL));
    r.resume  = true;
    r.stop_at = 0;
    r.fail_at = 14;
    job j     = job_done(r);
    assert_int_equal(j.from.step, 7);
    assert_int_equal(j.from.epoch, 1);
    assert_int_equal(j.from.batches, 2);
    assert_string_equal(j.passed_over, "");
    r.fail_at    = 0;
    r.stop_epoch = 4;
    j            = job_done(r);
    assert_int_equal(j.from.step, 12);
    r.stop_epoch = 0;
    j            = job_done(r);
    assert_int_equal(j.from.step, 20);
    assert_int_equal(j.from.epoch, 4);
    assert_int_equal(j.from.batches, 0);
    assert_int_equal(j.last.epoch, 5);
    assert_same_runs(dir[0], dir[1]);
}

static void test_same_bits(void **state)
{
    (void)state;
    for (int opt = 0; opt < OPTS; opt++)
        for (int conv = 0; conv < 2; conv++) same_bits(opt, conv);
}

/* Stopped at each step in turn, and broken off at each. */
static void test_every_step(void **state)
{
    (void)state;
    char name[64];
    name_dirs("each", "each");
    const recipe whole = { .dir = dir[0], .opt = OPT_SGD, .epochs = 2 };
    job_done(whole);
    for (int step = 1; step <= 10; step++)
        for (int breaks = 0; breaks < 2; breaks++) {
            recipe r = whole;
            snprintf(name, sizeof name, "each-%d-%d", step, breaks);
            name_dirs("each", name);
            r.dir                               = dir[1];
            *(breaks ? &r.fail_at : &r.stop_at) = step;
            r.save_epochs                       = 1;
            job_done(r);
            r.stop_at = r.fail_at = 0;
            r.resume              = true;
            const job j           = job_done(r);
            assert_int_equal(j.from.step, breaks ? (step > 5 ? 5 : 0) : step);
            assert_int_equal(j.from_checkpoint, !breaks || step > 5);
            assert_same_runs(dir[0], dir[1]);
        }
}

/* A finished run is given more epochs. */
static void test_more_epochs(void **state)
{
    (void)state;
    name_dirs("four", "two");
    recipe r = { .dir = dir[0], .opt = OPT_ADAM, .conv = true, .epochs = 4 };
    job_done(r);
    r.dir         = dir[1];
    r.epochs      = 2;
    r.save_epochs = 1;
    job_done(r);
    assert_true(exists(in(dir[1], "checkpoint-10.safetensors")));
    r.resume = true;
    job j    = job_done(r); /* nothing to do */
    assert_int_equal(j.last.epoch, 2);
    assert_true(j.last.test.count == 150 && isfinite(j.last.test.loss) && isnan(j.last.train.loss));
    r.epochs = 4;
    job_done(r);
    assert_same_runs(dir[0], dir[1]);
    r.epochs = 3;
    j        = (job){ .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_ARGUMENT, "plm_train: 3 epochs are asked for, the run has 4 and 0 steps of the next");
    job_end(&j);
}

/* A finished run that goes on is unfinished again: the model that it still has is not that of a whole run. */
static void test_older_model(void **state)
{
    (void)state;
    name_dirs("six", "older");
    recipe r = { .dir = dir[0], .opt = OPT_AGD, .epochs = 6 };
    job_done(r);
    r.dir         = dir[1];
    r.epochs      = 2;
    r.save_epochs = 1;
    job_done(r);
    r.resume  = true;
    r.epochs  = 6;
    r.fail_at = 12;
    job_done(r);
    assert_true(exists(in(dir[1], ".partial/model.safetensors")));
    plm_ctx *ctx = plm_ctx_new(NULL);
    assert_true(plm_run_complete(ctx, dir[1]));
    plm_ctx_free(ctx);
    assert_false(exists(dir[1]));
    r.fail_at = 0;
    job_done(r);
    assert_same_runs(dir[0], dir[1]);
}

/* ------------------------------------------------------------------ checkpoints in the folder */

static int count_names(const char *path, const char *begins)
{
    int  count  = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) count += strncmp(entry->d_name, begins, strlen(begins)) == 0;
    closedir(folder);
    return count;
}

static void test_last_two_kept(void **state)
{
    (void)state;
    name_dirs("kept", "kept.partial");
    recipe r = { .dir = dir[0], .opt = OPT_AGD, .epochs = 4, .save_steps = 2, .fail_at = 9 };
    job_done(r);
    assert_int_equal(count_names(dir[1], "checkpoint-"), 2);
    assert_true(exists(in(dir[1], "checkpoint-6.safetensors")) && exists(in(dir[1], "checkpoint-8.safetensors")));

    job j = { .r = r }; /* not resumed: what is there is worth more */
    assert_false(job_run(&j));
    assert_error(j.ctx, PLM_ERR_STATE, "kept.partial has checkpoints of an unfinished run: resume it, or choose");
    job_end(&j);
    assert_true(exists(in(dir[1], "checkpoint-8.safetensors")));

    /* What a process that died was writing goes away. */
    read_into(0, in(dir[1], "checkpoint-8.safetensors"));
    write_out(0, in(dir[1], "checkpoint-10.safetensors.partial-77-0"), 500);
    write_out(0, in(dir[1], "model.safetensors.partial-77-0"), 500);
    write_out(0, in(dir[1], "config.json.new"), 5);
    write_out(0, in(dir[1], "thesis.partial-1"), 5);
    r.fail_at = 0;
    r.resume  = true;
    r.dir     = dir[1]; /* either name will do */
    j         = job_done(r);
    assert_int_equal(j.from.step, 8);
    assert_false(exists(dir[1]));
    assert_int_equal(count_names(dir[0], "checkpoint-"), 2);
    assert_int_equal(count_names(dir[0], "model.safetensors"), 1);
    assert_int_equal(count_names(dir[0], "config.json"), 1);
    assert_true(exists(in(dir[0], "thesis.partial-1")));
}

static void flip(const char *path)
{
    read_into(0, path);
    file_text[0][file_size[0] / 2] ^= 1;
    write_out(0, path, file_size[0]);
}

/* The newest is damaged (a bit, cut off, empty, another's): the one before is taken, that is said, the end is the same. */
static void test_falls_back(void **state)
{
    (void)state;
    static const char *const said[] = {
        "is damaged: its checksum is wrong", "not a safetensors file", "has only 0 bytes",
        "is the checkpoint of step 6",       "is another training",    "is no checkpoint"
    };
    char name[64], other[1100];
    name_dirs("good", "another");
    const recipe whole = { .dir = dir[0], .opt = OPT_ADAM, .epochs = 3 };
    job_done(whole);
    recipe r = { .dir = dir[1], .opt = OPT_ADAM, .epochs = 3, .save_steps = 2, .fail_at = 9, .seed = 1 };
    job_done(r);
    snprintf(other, sizeof other, "%s.partial/checkpoint-8.safetensors", dir[1]);
    for (int how = 0; how < 6; how++) {
        snprintf(name, sizeof name, "bad-%d", how);
        name_dirs("good", name);
        r = (recipe){ .dir = dir[1], .opt = OPT_ADAM, .epochs = 3, .save_steps = 2, .fail_at = 9 };
        job_done(r);
        char newest[1100];
        snprintf(newest, sizeof newest, "%s", in(dir[1], ".partial/checkpoint-8.safetensors"));
        if (how == 0) flip(newest);
        read_into(0, how == 3   ? in(dir[1], ".partial/checkpoint-6.safetensors")
                     : how == 4 ? other
                     : how == 5 ? in(dir[0], "model.safetensors")
                                : newest);
        if (how > 0) write_out(0, newest, how == 1 ? 100 : how == 2 ? 0 : file_size[0]);
        r.fail_at   = 0;
        r.resume    = true;
        const job j = job_done(r);
        assert_int_equal(j.from.step, 6);
        assert_non_null(strstr(j.passed_over, "checkpoint-8.safetensors"));
        if (how == 4)
            assert_non_null(strstr(j.passed_over, "is of another training: there \"seed 1\", here \"seed 0\""));
        else assert_non_null(strstr(j.passed_over, said[how]));
        assert_same_runs(dir[0], dir[1]);
        assert_true(exists(in(dir[1], "checkpoint-8.safetensors.damaged")));
    }
}

static void test_none_usable(void **state)
{
    (void)state;
    name_dirs("none", "none.partial");
    recipe r = { .dir = dir[0], .opt = OPT_AGD, .epochs = 3, .save_steps = 2, .fail_at = 9 };
    job_done(r);
    flip(in(dir[1], "checkpoint-6.safetensors"));
    flip(in(dir[1], "checkpoint-8.safetensors"));
    r.fail_at = 0;
    r.resume  = true;
    job j     = { .r = r };
    assert_false(job_run(&j));
    assert_non_null(strstr(plm_ctx_error(j.ctx), "checkpoint-8.safetensors is damaged"));
    assert_error(j.ctx, PLM_ERR_FORMAT, "wrong; the one before cannot be used either");
    job_end(&j);
    assert_true(exists(in(dir[1], "checkpoint-8.safetensors"))); /* nothing is touched */

    assert_int_equal(unlink(in(dir[1], "checkpoint-6.safetensors")), 0);
    assert_int_equal(unlink(in(dir[1], "checkpoint-8.safetensors")), 0);
    j = job_done(r); /* without any, from the beginning */
    assert_false(j.from_checkpoint);
}

static void refused(recipe r, plm_status status, const char *part)
{
    job j = { .r = r };
    assert_false(job_run(&j));
    assert_error(j.ctx, status, part);
    job_end(&j);
}

/* Another recipe, another seed, other samples: named, and the folder stays as it is. */
static bool get_other(void *user, plm_ctx *ctx, int64_t index, float *x, int64_t *label)
{
    (void)user, (void)ctx;
    for (int i = 0; i < 64; i++) x[i] = (float)((index * 7 + i) % 13) / 13;
    *label = index % 10;
    return true;
}

static void test_another_training(void **state)
{
    (void)state;
    name_dirs("mine", "mine.partial");
    recipe r = {
        .dir = dir[0], .opt = OPT_SGD, .epochs = 3, .save_epochs = 1, .stop_at = 7, .recipe = "lr 0.05\nnet a"
    };
    job_done(r);
    r.stop_at    = 0;
    r.resume     = true;
    recipe other = r;
    other.recipe = "lr 0.05\nnet b";
    refused(other, PLM_ERR_STATE, "is of another training: there \"net a\", here \"net b\"");
    other      = r;
    other.seed = 3;
    refused(other, PLM_ERR_STATE, "there \"seed 0\", here \"seed 3\"");
    other     = r;
    other.get = get_other;
    refused(other, PLM_ERR_STATE, "there \"training samples of digits: 150, checksum ");
    other     = r;
    other.opt = OPT_ADAM;
    refused(other, PLM_ERR_STATE, "there the optimiser is sgd, here adam");
    other      = r;
    other.conv = true;
    refused(other, PLM_ERR_FORMAT, "its tensors do not fit the network");
    assert_int_equal(count_names(dir[1], "checkpoint-7.safetensors"), 1);
    assert_int_equal(count_names(dir[1], "checkpoint-7.safetensors.damaged"), 0);
    job_done(r);
}

/* Says no, and the folder is file by file what it was. */
static void refused_untouched(recipe r, const char *path, plm_status status, const char *part)
{
    char copy[1024], command[8192];
    snprintf(copy, sizeof copy, "%s", test_path("copy"));
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", copy, path, copy);
    assert_int_equal(system(command), 0);
    refused(r, status, part);
    snprintf(command, sizeof command, "diff -r '%s' '%s'", copy, path);
    assert_int_equal(system(command), 0);
}

static void test_refused_changes_nothing(void **state)
{
    (void)state;
    name_dirs("same", "same.partial");
    const recipe first = { .dir = dir[0], .opt = OPT_SGD, .epochs = 3, .save_epochs = 1, .recipe = "net a" };
    recipe       r     = first;
    job_done(r);
    r.resume = true;
    r.config = "{\"epochs\":2}";
    r.epochs = 2;
    refused_untouched(r, dir[0], PLM_ERR_ARGUMENT, "plm_train: 2 epochs are asked for, the run has 3 and 0 steps");
    r.recipe = "net b";
    refused_untouched(r, dir[0], PLM_ERR_STATE, "is of another training: there \"net a\", here \"net b\"");
    assert_false(exists(dir[1]));

    name_dirs("half", "half.partial");
    r            = first;
    r.dir        = dir[0];
    r.save_steps = 3;
    r.fail_at    = 14;
    job_done(r); /* with rows after its last checkpoint, the newest of which is damaged */
    flip(in(dir[1], "checkpoint-12.safetensors"));
    r.resume  = true;
    r.fail_at = 0;
    r.config  = "{\"epochs\":1}";
    r.epochs  = 1;
    refused_untouched(r, dir[1], PLM_ERR_ARGUMENT, "plm_train: 1 epochs are asked for, the run has 2 and 0 steps");
    r.epochs = 3;
    job_done(r);
    read_into(0, in(dir[0], "config.json"));
    assert_string_equal(file_text[0], "{\"epochs\":1}\n");
}

/* ------------------------------------------------------------------ rows */

static void append(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void test_rows(void **state)
{
    (void)state;
    name_dirs("rows", "rows.partial");
    recipe r = { .dir = dir[0], .opt = OPT_SGD, .epochs = 3, .save_epochs = 1, .fail_at = 13 };
    job_done(r);
    r.fail_at = 0;
    r.resume  = true;
    /* Half a row, one that is doubled, rows of the future: all gone afterwards. */
    append(in(dir[1], "metrics.csv"), "2,0.1,0.2\n3,");
    append(in(dir[1], "steps.csv"), "999,1,1,1\nnonsense");
    char metrics[1100], kept[1 << 14];
    snprintf(metrics, sizeof metrics, "%s", in(dir[1], "metrics.csv"));
    read_into(0, metrics);
    assert_true(file_size[0] < sizeof kept);
    memcpy(kept, file_text[0], file_size[0] + 1);

    char *row = strstr(file_text[0], "\n1,"); /* one that is missing is said */
    assert_non_null(row);
    memmove(row, strchr(row + 1, '\n'), strlen(strchr(row + 1, '\n')) + 1);
    write_out(0, metrics, strlen(file_text[0]));
    refused(r, PLM_ERR_FORMAT, "metrics.csv has 2 rows up to epoch 2, where the checkpoint is, expected 3");
    snprintf(file_text[0], sizeof file_text[0], "epoch,loss\n0,1\n");
    write_out(0, metrics, strlen(file_text[0]));
    refused(r, PLM_ERR_FORMAT, "metrics.csv does not begin with the line epoch,train_loss,");

    snprintf(file_text[0], sizeof file_text[0], "%s", kept);
    write_out(0, metrics, strlen(kept));
    job_done(r);
    name_dirs("rows", "rows-whole");
    job_done((recipe){ .dir = dir[1], .opt = OPT_SGD, .epochs = 3 });
    assert_same_runs(dir[0], dir[1]);
}

/* Killed before there was a checkpoint, or a header. */
static void test_from_the_beginning(void **state)
{
    (void)state;
    name_dirs("begin-whole", "begin");
    recipe r = { .dir = dir[0], .opt = OPT_AGD, .epochs = 2 };
    job_done(r);
    r.dir     = dir[1];
    r.fail_at = 7;
    job_done(r);
    r.fail_at = 0;
    r.resume  = true;
    for (int cut = 0; cut < 3; cut++) {
        if (cut) {
            refused(r, PLM_ERR_STATE, "is finished and has no checkpoint to go on from");
            assert_int_equal(rename(dir[1], in(dir[1], ".partial")), 0);
            assert_int_equal(truncate(in(dir[1], ".partial/metrics.csv"), cut == 1 ? 20 : 0), 0);
            assert_int_equal(unlink(in(dir[1], ".partial/steps.csv")), 0);
            assert_int_equal(unlink(in(dir[1], ".partial/model.safetensors")), 0);
        }
        const job j = job_done(r);
        assert_false(j.from_checkpoint);
        assert_same_runs(dir[0], dir[1]);
    }
}

static void test_no_run(void **state)
{
    plm_ctx *ctx = *state;
    name_dirs("nowhere", "both");
    assert_null(plm_run_resume(ctx, dir[0], NULL, false, false));
    assert_error(ctx, PLM_ERR_IO, "there is no run to resume: neither ");
    assert_null(plm_run_resume(ctx, NULL, NULL, false, false));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_run_resume: dir is NULL");
    assert_null(plm_run_resume(ctx, "..", NULL, false, false));
    assert_error(ctx, PLM_ERR_ARGUMENT, "plm_run_resume: \"..\" is no name");
    assert_int_equal(mkdir(dir[1], 0777), 0);
    assert_int_equal(mkdir(in(dir[1], ".partial"), 0777), 0);
    assert_null(plm_run_resume(ctx, dir[1], NULL, false, false));
    assert_error(ctx, PLM_ERR_STATE, "there are both ");
    plm_run *run = plm_run_new(ctx, test_path("used"), "{}", false, false);
    assert_null(plm_run_resume(ctx, test_path("used"), NULL, false, false));
    assert_error(ctx, PLM_ERR_STATE, "another run is writing into");
    plm_run_free(run);
}

/* ------------------------------------------------------------------ failing allocations */

/* Resuming a run that is complete, and finishing it: every allocation of it fails once. */
static void test_allocations_fail(void **state)
{
    (void)state;
    name_dirs("memory", "memory.partial");
    recipe r = { .dir = dir[0], .opt = OPT_ADAM, .conv = true, .epochs = 1, .save_epochs = 1 };
    job_done(r);
    read_into(1, in(dir[0], "model.safetensors"));
    r.resume        = true;
    bool    reached = true;
    int64_t k       = 1; /* the 0-th is the context */
    for (; reached; k++) {
        test_allocator a = { .fail_at = k };
        r.allocator      = test_allocator_make(&a);
        job        j     = { .r = r };
        const bool ok    = job_run(&j); /* or the pool has found other memory */
        reached          = a.calls > k;
        assert_true(ok || reached);
        assert_int_equal(plm_ctx_status(j.ctx), ok ? PLM_OK : PLM_ERR_MEMORY);
        job_end(&j);
        assert_int_equal(a.outstanding, 0);
        assert_int_equal(count_names(exists(dir[0]) ? dir[0] : dir[1], "checkpoint-5.safetensors"), 1);
    }
    assert_true(k > 200);
    read_into(0, in(dir[0], "model.safetensors"));
    assert_int_equal(file_size[0], file_size[1]);
    assert_memory_equal(file_text[0], file_text[1], file_size[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_every_step),
        cmocka_unit_test(test_more_epochs),
        cmocka_unit_test(test_older_model),
        cmocka_unit_test(test_last_two_kept),
        cmocka_unit_test(test_falls_back),
        cmocka_unit_test(test_none_usable),
        cmocka_unit_test(test_another_training),
        cmocka_unit_test(test_refused_changes_nothing),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_from_the_beginning),
        ctx_test(test_no_run),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

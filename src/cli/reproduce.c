/* reproduce.c: plummet reproduce: a figure of the paper, as a fixed grid, and its numbers beside the paper's. */
#include "lab.h"

#include <stdarg.h>
#include <string.h>

#include "out.h"
#include "recipes.h"

#define PARTS 8 /* of one figure, at most */

/* A figure's parts that run, and what each of them put into the grid. */
typedef struct {
    const char       *figure;
    const cli_recipe *part[PARTS];
    int               first[PARTS + 1]; /* part i has the cells from first[i] to before first[i + 1] */
    int               parts;
    char              note[PARTS + 1][256]; /* what is not run, and why */
    int               notes;
} figure;

/* ------------------------------------------------------------------ which figure, which parts */

static const char *figure_name(int i)
{
    static const char *const names[] = { "showcase", "benchmark", "baselines", "width-depth", "batch-size", "tables" };
    return i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

static bool check_figure(const char *name)
{
    const char *names[PARTS];
    char        list[128] = "";
    int         count     = 0;
    for (; figure_name(count); count++) {
        names[count] = figure_name(count);
        if (strcmp(name, names[count]) == 0) return true;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", count ? ", " : "", names[count]);
    }
    if (!*name) return cli_usage_error("reproduce needs a NAME: %s", list);
    const char *nearest = cli_nearest(name, names, count);
    return cli_usage_error("there is nothing called %s to reproduce, there are %s%s%s%s", name, list,
                           nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static bool check_only(const char *name, const cli_settings *own)
{
    char list[128] = "";
    if (!own->only) return true;
    for (const cli_recipe *p = cli_recipes; p->figure; p++) {
        if (strcmp(p->figure, name) != 0) continue;
        if (strcmp(p->part, own->only) == 0) return true;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", *list ? ", " : "", p->part);
    }
    if (!*list) return cli_usage_error("%s has no parts for --only", name);
    return cli_usage_error("--only is \"%s\", the parts of %s are %s", own->only, name, list);
}

/* The last value of a train option, or NULL. */
static const char *value_of(const cli_request *r, const char *option)
{
    const char *value = NULL;
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->given[i].option->name, option) == 0) value = r->given[i].value;
    return value;
}

static bool has_images(const char *dataset)
{
    return strcmp(dataset, "cifar10") == 0 || strcmp(dataset, "cifar100") == 0 || strncmp(dataset, "images:", 7) == 0;
}

/* Why a part does not run; NULL: it does. */
static const char *left_out(const cli_recipe *p, const cli_request *user)
{
    const char *dataset = value_of(user, "dataset");
    if (p->images && dataset && !has_images(dataset)) return "it needs colour images of 32x32, as cifar10 has";
    if (p->slow && user->own.quick && !user->own.only)
        return "--quick leaves it out, an epoch of each of its runs takes minutes; --only runs it";
    return NULL;
}

/* ------------------------------------------------------------------ the grid */

/* What `over` says of an option takes the place of what `r` said. */
static bool merge(cli_request *r, const cli_request *over)
{
    int kept = 0;
    for (int i = 0; i < r->count; i++) {
        bool said = false;
        for (int k = 0; k < over->count; k++) said |= over->given[k].option == r->given[i].option;
        if (!said) r->given[kept++] = r->given[i];
    }
    r->count = kept;
    for (int k = 0; k < over->count; k++) {
        if (r->count == CLI_MOST_OPTIONS) return cli_usage_error("a grid has at most %d options", CLI_MOST_OPTIONS);
        r->given[r->count++] = over->given[k];
    }
    return true;
}

static bool merge_words(cli_request *r, const char *const *word)
{
    cli_request more;
    cli_words   words = { "reproduce", 0, word };
    int         count;
    while (word[words.count]) words.count++;
    return cli_request_parse(&words, CLI_REPRODUCE, &more, NULL, &count) && merge(r, &more);
}

static bool on_digits(const cli_request *user)
{
    const char *dataset = value_of(user, "dataset");
    return dataset && strcmp(dataset, "digits") == 0;
}

static int epochs_of(const cli_recipe *p, const cli_request *user)
{
    if (on_digits(user) && p->digits_epochs) return p->digits_epochs;
    return user->own.quick ? p->quick_epochs : p->epochs;
}

static bool add_part(plm_ctx *ctx, cli_grid *g, const cli_recipe *p, const cli_request *user, const char *out,
                     const plm_cli_extra *extra)
{
    char              epochs[16];
    const char *const always[] = { "--epochs", epochs, "--epoch-zero", NULL };
    cli_request       r        = { .count = 0 };
    snprintf(epochs, sizeof epochs, "%d", epochs_of(p, user));
    if (!merge_words(&r, p->words) || !merge_words(&r, always)) return false;
    if (user->own.quick && !merge_words(&r, p->quick)) return false;
    if (on_digits(user) && !merge_words(&r, p->digits)) return false;
    if (!merge(&r, user)) return false;
    r.own = user->own;
    return cli_grid_add(ctx, g, &r, out, false, extra);
}

/* Says what is not run, here and on the page. */
static void say(figure *f, const char *fmt, ...) PLM_PRINTF(2, 3);
static void say(figure *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->note[f->notes], sizeof f->note[0], fmt, args);
    va_end(args);
    puts(f->note[f->notes++]);
    fflush(stdout);
}

static bool plan(plm_ctx *ctx, figure *f, cli_grid *g, const cli_request *user, const char *out,
                 const plm_cli_extra *extra)
{
    for (const cli_recipe *p = cli_recipes; p->figure; p++) {
        if (strcmp(p->figure, f->figure) != 0 || (user->own.only && strcmp(p->part, user->own.only) != 0)) continue;
        const char *why = left_out(p, user);
        if (why) {
            say(f, "%s: not run: %s", p->part, why);
            continue;
        }
        f->first[f->parts]  = g->count;
        f->part[f->parts++] = p;
        if (!add_part(ctx, g, p, user, out, extra)) return false;
        f->first[f->parts] = g->count;
        if (!user->own.quiet) printf("%s: %s\n", p->part, p->what);
    }
    if (strcmp(f->figure, "benchmark") == 0 || strcmp(f->figure, "showcase") == 0)
        say(f, "resnet50 on ImageNet: not run, the data set is not read here (the paper: AGD 65.5 %% test accuracy "
               "after 350 "
               "epochs, cross-entropy, batch 1024; SGD at 0.1 without decay lower)");
    return f->parts > 0 || cli_usage_error("nothing is left to run");
}

/* ------------------------------------------------------------------ paper | here */

/* The recipe that a cell belongs to; rates that --extend has added lie behind all parts, and are of the part with their
 * architecture. */
static const cli_recipe *part_of(const figure *f, const cli_grid *g, int cell)
{
    for (int i = 0; i < f->parts; i++)
        if (cell >= f->first[i] && cell < f->first[i + 1]) return f->part[i];
    for (int i = 0; i < f->parts; i++)
        if (strcmp(g->cell[f->first[i]].settings.arch, g->cell[cell].settings.arch) == 0) return f->part[i];
    return f->part[0];
}

static const char *recipe_dataset(const cli_recipe *p)
{
    int i = 0;
    while (strcmp(p->words[i], "--dataset") != 0) i++;
    return p->words[i + 1];
}

/* What the paper says of these settings; NULL: nothing. */
static const cli_quote *quote_of(const cli_recipe *p, const cli_settings *s)
{
    if (strcmp(recipe_dataset(p), s->dataset) != 0 || strcmp(s->loss, "mse") != 0) return NULL;
    for (const cli_quote *q = cli_quotes; q->figure; q++) {
        if (strcmp(q->figure, p->figure) != 0 || strcmp(q->part, p->part) != 0 || strcmp(q->optim, s->optim) != 0)
            continue;
        if ((q->depth && q->depth != s->depth) || (q->width && q->width != s->width)) continue;
        if (q->batch && q->batch != s->batch) continue;
        return q;
    }
    return NULL;
}

typedef struct {
    char             label[256], here[48], rate[32];
    const cli_quote *quote;
    int              epochs;
} row;

static row row_of(const figure *f, const cli_grid *g, const cli_group *group)
{
    const cli_cell     *c    = &g->cell[group->cell];
    const cli_settings *s    = &c->settings;
    const cli_spread    test = group->measure[CLI_FINAL_TEST_ACC];
    const bool          has  = cli_optimizer_owns(s->optim, "lr");
    char                label[128];
    row                 r = { .quote = quote_of(part_of(f, g, group->cell), s), .epochs = (int)s->epochs };
    if (cli_arch_has_size(s))
        snprintf(r.label, sizeof r.label, "%.40s %lldx%lld %.40s batch %lld %.40s", s->arch, (long long)s->depth,
                 (long long)s->width, s->dataset, (long long)s->batch, cli_settings_label(s, label));
    else
        snprintf(r.label, sizeof r.label, "%.40s %.40s batch %lld %.40s", s->arch, s->dataset, (long long)s->batch,
                 cli_settings_label(s, label));
    if (test.n == 0) snprintf(r.here, sizeof r.here, "diverged");
    else if (test.n == 1) snprintf(r.here, sizeof r.here, "%.2f", 100 * test.mean);
    else snprintf(r.here, sizeof r.here, "%.2f +- %.2f", 100 * test.mean, 100 * test.sd);
    if (has) cli_number_text(cli_optimizer_rate(s), r.rate);
    else snprintf(r.rate, sizeof r.rate, "-");
    return r;
}

static const char *or_dash(const char *text)
{
    return text ? text : "-";
}

static bool write_paper(plm_ctx *ctx, const figure *f, const cli_grid *g, const cli_groups *groups, const char *out)
{
    cli_out o;
    if (!cli_out_open(ctx, &o, out, "paper.csv")) return false;
    fprintf(o.file, "group,paper_accuracy,here_accuracy,paper_rate,here_rate,epochs,place\n");
    for (int i = 0; i < groups->count; i++) {
        if (!groups->group[i].chosen) continue;
        const row        r = row_of(f, g, &groups->group[i]);
        const cli_quote *q = r.quote;
        fprintf(o.file, "%s,%s,%s,%s,%s,%d,\"%s\"\n", groups->group[i].name, q && q->accuracy ? q->accuracy : "",
                r.here, q && q->rate ? q->rate : "", r.rate[0] == '-' ? "" : r.rate, r.epochs, q ? q->place : "");
    }
    return cli_out_close(&o, true);
}

/* Every line stands for the best rate of its optimiser. */
static void print_paper(const figure *f, const cli_grid *g, const cli_groups *groups)
{
    printf("\n%s: final test accuracy, %%\n", f->figure);
    printf("  %-40s | %10s | %-16s | %6s | paper's rate | rate here\n", "", "paper", "here", "epochs");
    for (int i = 0; i < groups->count; i++) {
        const cli_group *group = &groups->group[i];
        if (!group->chosen) continue;
        const row r = row_of(f, g, group);
        printf("  %-40s | %10s | %-16s | %6d | %12s | %s", r.label, or_dash(r.quote ? r.quote->accuracy : NULL), r.here,
               r.epochs, or_dash(r.quote ? r.quote->rate : NULL), r.rate);
        if (group->rates > 1) printf(" (tuned by %s)", groups->criterion);
        if (r.quote) printf("   [%s]", r.quote->place);
        putchar('\n');
    }
}

static bool report(plm_ctx *ctx, const figure *f, const cli_grid *g, const cli_groups *groups, const cli_request *r,
                   const char *out)
{
    char        title[128];
    const char *notes[PARTS + 2] = { NULL };
    for (int i = 0; i < f->notes; i++) notes[i] = f->note[i];
    snprintf(title, sizeof title, "%s: a figure of the paper (arXiv 2304.05187), reproduced", f->figure);
    return cli_grid_report(ctx, g, groups, r, out, title, notes);
}

/* ------------------------------------------------------------------ the command */

bool cli_reproduce(plm_ctx *ctx, const cli_request *r, const char *const *inputs, int count, const plm_cli_extra *extra)
{
    const char *name = count > 0 ? inputs[0] : "";
    char        standard[64];
    if (!check_figure(name)) return false;
    if (count > 1) return cli_usage_error("reproduce does not know what to do with \"%s\"", inputs[1]);
    if (!check_only(name, &r->own)) return false;
    if (strcmp(name, "tables") == 0) return cli_tables(ctx, r, extra);
    snprintf(standard, sizeof standard, "reproduce/%s", name);
    cli_request user   = *r;
    cli_grid    g      = { 0 };
    cli_groups  groups = { 0 };
    figure      f      = { .figure = name };
    if (!user.own.out) user.own.out = standard;
    bool        ok        = plan(ctx, &f, &g, &user, user.own.out, extra);
    const char *criterion = ok ? cli_lab_criterion(&g, &user.own) : NULL;
    ok                    = criterion && cli_grid_check(ctx, &g, extra);
    if (ok && user.own.dry_run) ok = cli_grid_estimate(ctx, &g, extra);
    else if (ok) {
        ok = cli_lab_run(ctx, &g, &user.own, criterion, extra, &groups) &&
             cli_summary_write(ctx, &g, &groups, user.own.out) && write_paper(ctx, &f, &g, &groups, user.own.out);
        if (ok) {
            cli_summary_print(&g, &groups);
            print_paper(&f, &g, &groups);
            printf("\nevery number is in %s/summary.csv, the runs are in %s/runs\n", user.own.out, user.own.out);
        }
        ok = ok && cli_grid_plot(ctx, &g, &groups, user.own.out) && report(ctx, &f, &g, &groups, r, user.own.out);
    }
    cli_groups_free(&groups);
    cli_grid_free(&g);
    return ok;
}

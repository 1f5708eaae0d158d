/* summary.c: the results of a grid: summary.csv, and the same as a table for the terminal. */
#include "lab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

/* ------------------------------------------------------------------ summary.csv */

/* Quoted where it needs to be. */
static void put_text(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\n\r")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (const char *c = text; *c; c++) {
        if (*c == '"') fputc('"', file);
        fputc(*c, file);
    }
    fputc('"', file);
}

/* What does not exist is empty. */
static void put_number(FILE *file, double x)
{
    if (isnan(x) || isinf(x)) fputc(',', file);
    else fprintf(file, ",%.9g", x);
}

static const char *status_of(const cli_group *g)
{
    if (g->done < g->runs) return "unfinished";
    if (g->diverged == 0) return "finished";
    return g->diverged == g->runs ? "diverged" : "partly diverged";
}

static void put_group(FILE *file, const cli_grid *grid, const cli_groups *groups, const cli_group *g)
{
    const cli_cell     *c       = &grid->cell[g->cell];
    const cli_settings *s       = &c->settings;
    const bool          size    = cli_arch_has_size(s);
    const double        nothing = (double)NAN;
    const unsigned      edges   = cli_group_edges(g);
    const char         *texts[] = { g->name, s->arch };
    for (int i = 0; i < 2; i++) {
        put_text(file, texts[i]);
        if (i == 0) fputc(',', file);
    }
    put_number(file, size ? (double)s->depth : nothing);
    put_number(file, size ? (double)s->width : nothing);
    fputc(',', file);
    put_text(file, s->dataset);
    fprintf(file, ",%s,", s->loss);
    put_text(file, s->optim);
    put_number(file, cli_optimizer_owns(s->optim, "lr") ? cli_optimizer_rate(s) : nothing);
    put_number(file, (double)s->batch);
    put_number(file, (double)s->epochs);
    put_number(file, (double)c->info.parameters);
    put_number(file, c->classes > 0 ? 1 / (double)c->classes : nothing);
    fprintf(file, ",%s,%d,%d,%s,%s,%s", status_of(g), g->measure[CLI_RUN_SECONDS].n, g->diverged,
            g->chosen ? "yes" : "no", g->rates > 1 ? groups->criterion : "",
            g->rates < 2 || !edges ? ""
            : edges & CLI_EDGE_LOW ? "lowest"
                                   : "highest");
    put_number(file, g->equal_epochs);
    put_number(file, g->equal_seconds);
    for (int m = 0; m < CLI_MEASURES; m++) {
        const cli_spread *x = &g->measure[m];
        put_number(file, x->mean);
        put_number(file, x->sd);
        put_number(file, x->min);
        put_number(file, x->max);
    }
    fputc('\n', file);
}

bool cli_summary_write(plm_ctx *ctx, const cli_grid *grid, const cli_groups *groups, const char *out)
{
    cli_out o;
    if (!cli_out_folder(ctx, out) || !cli_out_open(ctx, &o, out, "summary.csv")) return false;
    fputs("group,arch,depth,width,dataset,loss,optim,lr,batch_size,epochs,parameters,chance,status,n,diverged,"
          "chosen,criterion,edge,equal_epochs,equal_seconds",
          o.file);
    for (int m = 0; m < CLI_MEASURES; m++) {
        const char *name = cli_measure_names[m];
        fprintf(o.file, ",%s_mean,%s_sd,%s_min,%s_max", name, name, name, name);
    }
    fputc('\n', o.file);
    for (int i = 0; i < groups->count; i++) put_group(o.file, grid, groups, &groups->group[i]);
    return cli_out_close(&o, true);
}

/* ------------------------------------------------------------------ the table */

static const char *spread_text(cli_spread s, char text[32])
{
    if (s.n == 0) return "-";
    if (s.n == 1) snprintf(text, 32, "%.4f", s.mean);
    else snprintf(text, 32, "%.4f +- %.4f", s.mean, s.sd);
    return text;
}

static void print_problem(const cli_grid *grid, const cli_group *g)
{
    const cli_cell     *c = &grid->cell[g->cell];
    const cli_settings *s = &c->settings;
    char                count[32];
    printf("\n%s", s->arch);
    if (cli_arch_has_size(s)) printf(" %lldx%lld", (long long)s->depth, (long long)s->width);
    printf(" on %s, loss %s, batch %lld (chance %.4f; %s parameters)\n", s->dataset, s->loss, (long long)s->batch,
           1 / (double)c->classes, cli_count_text(c->info.parameters, count));
    printf("  %-24s %-17s %-17s %-17s %-17s %9s\n", "", "final test", "best test", "at lowest loss", "final train",
           "seconds");
}

/* What is said of the rate behind the numbers. */
static void print_rate(const cli_groups *groups, const cli_group *g)
{
    char           least[32], most[32];
    const unsigned edges = cli_group_edges(g);
    if (g->rates < 2) return;
    printf("    tuned by %s over %d rates, %s to %s", groups->criterion, g->rates, cli_number_text(g->least, least),
           cli_number_text(g->most, most));
    if (g->diverged) printf(": all of them diverged");
    else if (edges)
        printf("; the best is the %s that was tried: --extend goes on", edges & CLI_EDGE_LOW ? "lowest" : "highest");
    putchar('\n');
}

static bool leave_all(const char *option)
{
    (void)option;
    return true;
}

static bool leave_problem(const char *option)
{
    return !cli_leave_optimizer(option) || cli_leave_seed(option) || strcmp(option, "epochs") == 0;
}

/* "sgd-lr0.1-momentum0.9": the name of the settings without that of the problem. */
const char *cli_settings_label(const cli_settings *s, char label[128])
{
    char *name = cli_settings_name(s, leave_problem), *front = cli_settings_name(s, leave_all);
    snprintf(label, 128, "%s", name && front ? name + strlen(front) + 1 : s->optim);
    free(name);
    free(front);
    return label;
}

static void print_group(const cli_grid *grid, const cli_groups *groups, const cli_group *g)
{
    static const cli_measure shown[] = { CLI_FINAL_TEST_ACC, CLI_BEST_TEST_ACC, CLI_LOWEST_LOSS_TEST_ACC,
                                         CLI_FINAL_TRAIN_ACC };
    const cli_settings      *s       = &grid->cell[g->cell].settings;
    const double             seconds = g->measure[CLI_RUN_SECONDS].mean;
    char                     text[32], label[128];
    printf("  %-24s", cli_settings_label(s, label));
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) printf(" %-17s", spread_text(g->measure[shown[i]], text));
    if (g->measure[CLI_RUN_SECONDS].n) printf(" %9.*f", seconds < 10 ? 2 : 0, seconds);
    if (g->diverged) printf("  %d of %d diverged", g->diverged, g->runs);
    putchar('\n');
    print_rate(groups, g);
}

static void print_equals(const cli_grid *grid, const cli_groups *groups, const cli_group *first)
{
    char label[128];
    char text[32];
    int  compared = 0;
    for (int i = 0; i < groups->count; i++)
        compared += groups->group[i].chosen && strcmp(groups->group[i].problem, first->problem) == 0;
    if (compared < 2 || isinf(first->equal_epochs)) return;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 0) printf("  test accuracy at epoch %.0f:", first->equal_epochs);
        else printf("  test accuracy at %.*f s of training:", first->equal_seconds < 10 ? 2 : 0, first->equal_seconds);
        for (int i = 0; i < groups->count; i++) {
            const cli_group *g = &groups->group[i];
            if (!g->chosen || strcmp(g->problem, first->problem) != 0) continue;
            printf("  %s %s", cli_settings_label(&grid->cell[g->cell].settings, label),
                   spread_text(g->measure[pass ? CLI_EQUAL_SECONDS_TEST_ACC : CLI_EQUAL_EPOCHS_TEST_ACC], text));
        }
        putchar('\n');
    }
}

/* Is it the first of its problem? */
static bool opens(const cli_groups *groups, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(groups->group[k].problem, groups->group[i].problem) == 0) return false;
    return true;
}

void cli_summary_print(const cli_grid *grid, const cli_groups *groups)
{
    for (int i = 0; i < groups->count; i++) {
        const cli_group *first = &groups->group[i];
        if (!opens(groups, i)) continue;
        print_problem(grid, first);
        for (int k = i; k < groups->count; k++)
            if (groups->group[k].chosen && strcmp(groups->group[k].problem, first->problem) == 0)
                print_group(grid, groups, &groups->group[k]);
        print_equals(grid, groups, first);
    }
}

/* explain.c: plummet explain: how AGD's step follows from an architecture: builds the networks and takes the steps. */
#include "explain.h"
#include "out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool steps(const cli_settings *s)
{
    return s->step || s->theory || s->vs;
}

/* ------------------------------------------------------------------ what is asked for */

/* Cuts a list at its commas; their number. */
static int cut(char *list, char **word, int room)
{
    int count = 0;
    for (char *at = list; at && count < room; count++) {
        word[count] = at;
        at          = strchr(at, ',');
        if (at) *at++ = '\0';
    }
    return count;
}

static int words_in(const char *list)
{
    int count = list != NULL;
    for (; list && *list; list++) count += *list == ',';
    return count;
}

/* "adam" or "adam:1e-4". */
static bool parse_rival(const char *word, cli_rival *r)
{
    const char *colon  = strchr(word, ':');
    const int   length = colon ? (int)(colon - word) : (int)strlen(word);
    char       *end    = NULL;
    snprintf(r->name, sizeof r->name, "%.*s", length, word);
    if (!cli_optimizer_known("--vs", r->name)) return false;
    if (!colon) return true;
    if (!cli_optimizer_owns(r->name, "lr"))
        return cli_usage_error("--vs is \"%s\": %s has no learning rate", word, r->name);
    r->lr = strtod(colon + 1, &end);
    return (end != colon + 1 && !*end && r->lr > 0 && r->lr <= 1e30) ||
           cli_usage_error("--vs is \"%s\", expected optimisers, each with a rate above 0 if need be: adam:1e-4,sgd",
                           word);
}

static bool bad_change(const char *word)
{
    return cli_usage_error("--what-if is \"%s\", expected changes of depth or width like width*2,depth/2,width=512",
                           word);
}

/* "width*2" in the settings; several changes at once are joined by +. */
static bool parse_change(const char *word, cli_settings *s)
{
    const char *at = word;
    do {
        const bool depth = strncmp(at, "depth", 5) == 0;
        if (!depth && strncmp(at, "width", 5) != 0) return bad_change(word);
        int64_t   *value     = depth ? &s->depth : &s->width;
        const char op        = at[5];
        char      *end       = NULL;
        errno                = 0;
        const long long n    = op ? strtoll(at + 6, &end, 10) : 0;
        const int64_t   most = depth ? 10000 : 1LL << 40;
        if (!op || !strchr("*/=", op) || end == at + 6 || errno || n < 1 || n > most) return bad_change(word);
        if (op == '*' && *value > most / n)
            return cli_usage_error("--what-if %s: more than %lld", word, (long long)most);
        *value = op == '*' ? *value * n : op == '/' ? *value / n : n;
        if (*value < (depth ? 2 : 1))
            return cli_usage_error("--what-if %s makes a %s of %lld", word, depth ? "depth" : "width",
                                   (long long)*value);
        if (*end && *end != '+') return bad_change(word);
        at = *end ? end + 1 : NULL;
    } while (at);
    return true;
}

/* Makes the lists of rivals and what-ifs from their options. */
static bool parse_lists(plm_ctx *ctx, cli_explained *x)
{
    const cli_settings *s      = x->settings;
    const int           rivals = words_in(s->vs), what_ifs = words_in(s->what_if);
    const size_t        vs_bytes = s->vs ? strlen(s->vs) + 1 : 0, if_bytes = s->what_if ? strlen(s->what_if) + 1 : 0;
    x->rival    = calloc((size_t)rivals + 1, sizeof *x->rival);
    x->what_if  = calloc((size_t)what_ifs + 1, sizeof *x->what_if);
    x->words    = calloc(vs_bytes + if_bytes + 1, 1);
    char **word = calloc((size_t)(rivals + what_ifs) + 1, sizeof *word);
    bool   ok   = x->rival && x->what_if && x->words && word;
    if (!ok) plm_ctx_fail(ctx, PLM_ERR_MEMORY, "explain: out of memory");
    if (ok && s->vs) cut(strcpy(x->words, s->vs), word, rivals);
    if (ok && s->what_if) cut(strcpy(x->words + vs_bytes, s->what_if), word + rivals, what_ifs);
    for (; ok && x->rivals < rivals; x->rivals++) ok = parse_rival(word[x->rivals], &x->rival[x->rivals]);
    for (; ok && x->what_ifs < what_ifs; x->what_ifs++) {
        cli_case *c = &x->what_if[x->what_ifs];
        c->settings = *s;
        c->change   = word[rivals + x->what_ifs];
        ok          = parse_change(c->change, &c->settings);
    }
    free(word);
    return ok;
}

static bool check(const cli_settings *s)
{
    static const char *const of_arch[] = { "arch", "depth", "width", "what-if" };
    for (size_t i = 0; s->weights && i < sizeof of_arch / sizeof *of_arch; i++)
        if (cli_given(s, of_arch[i]))
            return cli_usage_error("--%s does not go with --weights: the file says what the network is", of_arch[i]);
    if (s->theory && cli_given(s, "loss") && strcmp(s->loss, "square") != 0)
        return cli_usage_error("--loss %s does not go with --theory, which is about the loss square", s->loss);
    if (s->theory && s->weights)
        return cli_usage_error("--theory does not go with --weights: it builds the network with plain ReLUs");
    if (s->what_if && !cli_arch_has_size(s))
        return cli_usage_error("--what-if changes --depth and --width, and the size of %s is fixed", s->arch);
    return cli_dataset_check(s, steps(s));
}

/* ------------------------------------------------------------------ doing it */

static bool take_step(plm_ctx *ctx, const cli_case *c, const cli_settings *s, const char *name, double lr,
                      plm_step_terms *step, plm_layer_step **layer)
{
    cli_settings with = *s;
    with.optim        = name;
    memset(with.given, 0, sizeof with.given); /* options of training are not options here: defaults */
    *layer = calloc((size_t)plm_explain_layers(c->explain) + 1, sizeof **layer);
    if (!*layer) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "explain: out of memory");
    plm_optimizer *o  = cli_optimizer_new(c->net, &with, lr);
    const bool     ok = o && plm_explain_step(c->explain, o, false, step, *layer);
    plm_optimizer_free(o);
    return ok;
}

static bool build(plm_ctx *ctx, cli_case *c, const plm_arch *arch, const cli_form *form)
{
    const cli_settings *s = &c->settings;
    c->net                = s->weights ? cli_open(ctx, s) : cli_arch_build(ctx, arch, s, form->shape, form->classes);
    return c->net && (s->weights || plm_graph_init(c->net, PLM_INIT_AGD));
}

static bool explain(plm_ctx *ctx, cli_explained *x, cli_case *c, const plm_arch *arch, const cli_form *form)
{
    const cli_settings    *s    = &c->settings;
    const plm_explain_desc desc = { .loss    = s->theory ? PLM_LOSS_SQUARE : cli_loss(s),
                                    .data    = x->data.train,
                                    .batch   = s->batch,
                                    .full    = s->theory,
                                    .augment = !s->theory && !s->no_augment,
                                    .rescale = s->theory };
    if (!build(ctx, c, arch, form) || !(c->explain = plm_explain_new(c->net, &desc))) return false;
    return !steps(s) || take_step(ctx, c, s, "agd", 0, &c->step, &c->layer);
}

static bool work(plm_ctx *ctx, cli_explained *x, const plm_arch *arch)
{
    const cli_settings *s    = x->settings;
    cli_form            form = { .classes = 0 };
    if (!parse_lists(ctx, x)) return false;
    if (steps(s)) {
        if (!cli_dataset_open(ctx, s, &x->data)) return false;
        form = (cli_form){ plm_dataset_x_shape(x->data.train), plm_dataset_classes(x->data.train) };
    } else if (!s->weights && !cli_dataset_form(ctx, s, &form)) return false;
    x->base.settings = *s;
    if (!explain(ctx, x, &x->base, arch, &form)) return false;
    for (int i = 0; i < x->rivals; i++) {
        cli_rival *r = &x->rival[i];
        if (!take_step(ctx, &x->base, s, r->name, r->lr, &r->step, &r->layer)) return false;
    }
    for (int i = 0; i < x->what_ifs; i++)
        if (!explain(ctx, x, &x->what_if[i], arch, &form)) return false;
    return true;
}

static void free_case(cli_case *c)
{
    free(c->layer);
    plm_explain_free(c->explain);
    plm_graph_free(c->net);
}

static bool show(plm_ctx *ctx, const cli_explained *x, FILE *to)
{
    if (strcmp(x->settings->format, "json") == 0) return cli_explain_json(ctx, x, to);
    if (strcmp(x->settings->format, "html") == 0) return cli_explain_html(ctx, x, to);
    return cli_explain_text(ctx, x, to);
}

/* --out: opened before the work, so that a bad name is said at once; whole or not at all. */
static bool work_into_file(plm_ctx *ctx, cli_explained *x, const plm_arch *arch)
{
    const char *path = x->settings->out, *slash = strrchr(path, '/');
    char        dir[PATH_MAX];
    cli_out     out;
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (slash && !slash[1]) return cli_usage_error("--out %s is a folder, expected a file", path);
    if (!cli_out_open(ctx, &out, dir, slash ? slash + 1 : path)) return false;
    const bool ok = work(ctx, x, arch) && show(ctx, x, out.file);
    return cli_out_close(&out, ok);
}

bool cli_explain(plm_ctx *ctx, const cli_settings *s, const plm_cli_extra *extra)
{
    const plm_arch *arch = NULL;
    if (!check(s) || (!s->weights && !(arch = cli_arch_find(extra, s)))) return false;
    cli_explained x  = { .settings = s };
    const bool    ok = s->out ? work_into_file(ctx, &x, arch) : work(ctx, &x, arch) && show(ctx, &x, stdout);
    for (int i = 0; x.rival && i < x.rivals; i++) free(x.rival[i].layer);
    for (int i = 0; x.what_if && i < x.what_ifs; i++) free_case(&x.what_if[i]);
    free_case(&x.base);
    cli_dataset_close(&x.data);
    free(x.rival);
    free(x.what_if);
    free(x.words);
    return ok;
}

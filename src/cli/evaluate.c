/* evaluate.c: plummet evaluate: loss and accuracy of a saved network. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static bool print_json(plm_ctx *ctx, const plm_score *score, double chance)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "loss", score->loss); /* null if it is not finite */
    cJSON_AddNumberToObject(o, "accuracy", score->acc);
    cJSON_AddNumberToObject(o, "chance", chance);
    cJSON_AddNumberToObject(o, "samples", (double)score->count);
    char *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (!text) return plm_ctx_fail(ctx, PLM_ERR_MEMORY, "evaluate: out of memory");
    puts(text);
    free(text);
    return true;
}

static bool report(plm_ctx *ctx, const cli_settings *s, plm_graph *net, plm_dataset *data)
{
    const double chance = 1.0 / (double)plm_graph_output_shape(net).dim[0];
    plm_score    score;
    char         count[32];
    if (!plm_evaluate(net, data, cli_loss(s), s->batch, &score)) return false;
    if (s->json) return print_json(ctx, &score, chance);
    printf("loss %.6f (%s), accuracy %.4f on %lld samples of %s (chance %.4f; %s parameters)\n", score.loss, s->loss,
           score.acc, (long long)score.count, s->dataset, chance,
           cli_count_text(plm_graph_summary(net).parameters, count));
    return true;
}

bool cli_evaluate(plm_ctx *ctx, const cli_settings *s)
{
    if (!s->weights) return cli_usage_error("evaluate needs --weights FILE, a saved network");
    if (!cli_dataset_check(s, true)) return false;
    plm_graph   *net  = cli_open(ctx, s);
    plm_dataset *data = net ? cli_dataset_for(ctx, s, net) : NULL;
    const bool   ok   = data && report(ctx, s, net, data);
    plm_dataset_free(data);
    plm_graph_free(net);
    return ok;
}

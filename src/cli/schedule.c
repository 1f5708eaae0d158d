/* schedule.c: the schedule of a learning rate, by its options. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <string.h>

static plm_schedule_shape shape(const cli_settings *s)
{
    if (strcmp(s->schedule, "step") == 0) return PLM_SCHEDULE_STEP;
    if (strcmp(s->schedule, "linear") == 0) return PLM_SCHEDULE_LINEAR;
    return strcmp(s->schedule, "cosine") == 0 ? PLM_SCHEDULE_COSINE : PLM_SCHEDULE_CONSTANT;
}

bool cli_schedule_owns(const char *option)
{
    static const char *const names[] = { "schedule", "warmup", "step-epochs", "step-factor" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(option, names[i]) == 0) return true;
    return false;
}

bool cli_schedule_check(const cli_settings *s)
{
    static const char *const of_step[] = { "step-epochs", "step-factor" };
    for (int i = 0; i < 2; i++)
        if (cli_given(s, of_step[i]) && shape(s) != PLM_SCHEDULE_STEP)
            return cli_usage_error("--%s is for --schedule step", of_step[i]);
    return s->warmup <= (double)s->epochs ||
           cli_usage_error("--warmup is %g epochs, and there are only %lld", s->warmup, (long long)s->epochs);
}

plm_schedule cli_schedule(const cli_settings *s)
{
    return (plm_schedule){
        .shape = shape(s), .warmup = s->warmup, .step_epochs = s->step_epochs, .step_factor = s->step_factor
    };
}

void cli_schedule_describe(const cli_settings *s, cJSON *into)
{
    cJSON_AddStringToObject(into, "schedule", s->schedule);
    cJSON_AddNumberToObject(into, "warmup", s->warmup);
    if (shape(s) != PLM_SCHEDULE_STEP) return;
    cJSON_AddNumberToObject(into, "step_epochs", s->step_epochs);
    cJSON_AddNumberToObject(into, "step_factor", s->step_factor);
}

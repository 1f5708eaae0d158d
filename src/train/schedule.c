/* schedule.c: the factor on a learning rate as a function of the step alone, so that a resumed training needs nothing of it. */
#include <inttypes.h>
#include <math.h>

#include "train/loop.h"

static plm_schedule resolved(const plm_schedule *given)
{
    plm_schedule s = given ? *given : (plm_schedule){ 0 };
    if (s.step_epochs == 0) s.step_epochs = 30;
    if (s.step_factor == 0) s.step_factor = 0.1;
    return s;
}

double plm_schedule_factor(const plm_schedule *schedule, int64_t step, int64_t steps_per_epoch, int epochs)
{
    const plm_schedule s = resolved(schedule);
    const double       t = (double)step, each = (double)steps_per_epoch;
    const double       warm = round(s.warmup * each), all = each * epochs;
    if (t < warm) return (t + 1) / warm;
    const double gone = all > warm ? fmin((t - warm) / (all - warm), 1) : 1; /* of what comes after the warm-up */
    switch (s.shape) {
    case PLM_SCHEDULE_CONSTANT:
        break;
    case PLM_SCHEDULE_STEP:
        return pow(s.step_factor, floor(t / (s.step_epochs * each)));
    case PLM_SCHEDULE_LINEAR:
        return 1 - gone;
    case PLM_SCHEDULE_COSINE:
        return (1 + cos(acos(-1) * gone)) / 2;
    }
    return 1;
}

static bool is_none(const plm_schedule *s)
{
    return s->shape == PLM_SCHEDULE_CONSTANT && s->warmup == 0;
}

bool plm__schedule_check(plm_ctx *ctx, const plm_optimizer *opt, const plm_train_desc *d)
{
    const plm_schedule s = resolved(&d->schedule);
    if (is_none(&s)) return true;
    if (isnan(plm_optimizer_rate(opt)))
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: %s has no learning rate to schedule",
                         plm_optimizer_name(opt));
    if ((unsigned)s.shape > PLM_SCHEDULE_COSINE)
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: there is no schedule %d", (int)s.shape);
    if (!(s.warmup >= 0 && s.warmup <= d->epochs))
        return plm__fail(ctx, PLM_ERR_ARGUMENT, "plm_train: a warm-up of %g epochs, expected 0 to %d, all there are",
                         s.warmup, d->epochs);
    if (!(s.step_epochs > 0 && isfinite(s.step_epochs)) || !(s.step_factor > 0 && s.step_factor <= 1))
        return plm__fail(
            ctx, PLM_ERR_ARGUMENT,
            "plm_train: a factor of %g every %g epochs, expected one above 0 and at most 1, and a positive "
            "number of epochs",
            s.step_factor, s.step_epochs);
    return true;
}

bool plm__schedule_apply(const plm__training *t)
{
    const plm_train_desc *d = &t->desc;
    return is_none(&d->schedule) ||
           plm_optimizer_set_factor(t->opt,
                                    plm_schedule_factor(&d->schedule, t->at.step, t->steps_per_epoch, d->epochs));
}

void plm__schedule_end(const plm__training *t)
{
    if (!is_none(&t->desc.schedule)) plm_optimizer_set_factor(t->opt, 1);
}

/* What a checkpoint depends on; those that end with the last epoch depend on how many there are. */
void plm__schedule_recipe(const plm_train_desc *d, plm__text *text)
{
    static const char *const shape[] = { "constant", "step", "linear", "cosine" };
    const plm_schedule       s       = resolved(&d->schedule);
    if (is_none(&s)) return;
    plm__text_add(text, "schedule %s after a warm-up of %.17g epochs", shape[s.shape], s.warmup);
    if (s.shape == PLM_SCHEDULE_STEP) plm__text_add(text, ", %.17g every %.17g", s.step_factor, s.step_epochs);
    if (s.shape == PLM_SCHEDULE_LINEAR || s.shape == PLM_SCHEDULE_COSINE) plm__text_add(text, ", %d in all", d->epochs);
    plm__text_add(text, "\n");
}

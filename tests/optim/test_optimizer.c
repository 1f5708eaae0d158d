/* test_optimizer.c: what optimisers have in common: micro-batches, norms and their versions, reports, refusals. */
#include "small.h"

static plm_optimizer *agd(plm_graph *g)
{
    return plm_agd_new(g, NULL);
}

static plm_optimizer *sgd(plm_graph *g)
{
    return plm_sgd_new(g, &(plm_sgd_desc){ .momentum = 0.9, .clip_norm = 0.1 });
}

static plm_optimizer *adam(plm_graph *g)
{
    return plm_adam_new(g, NULL);
}

static plm_optimizer *(*const kinds[])(plm_graph *g) = { agd, sgd, adam };

/* A fresh network in s->g; without biases, so that every kind takes it. */
static void renew(small *s)
{
    plm_optimizer_free(s->o);
    plm_optimizer_free(s->second);
    plm_graph_free(s->g);
    s->o = s->second = NULL;
    s->g             = small_network(s->ctx, 12, false);
}

static void test_micro_batches_add_up(void **state)
{
    small *s = *state;
    renew(s);
    s->o = agd(s->g);
    small_begin(s);
    const int64_t n = s->start[s->params];
    for (int round = 0; round < 2; round++) { /* the second one begins anew: the step has used the gradients */
        small_backward(s, 0, 12, 1, false);
        memcpy(s->m, s->grad, (size_t)n * sizeof *s->m);
        small_backward(s, 7, 5, 1, false); /* without .more: overwritten by what comes */
        small_backward(s, 0, 3, 3 / 12.0, true);
        small_backward(s, 3, 4, 4 / 12.0, true);
        small_backward(s, 7, 5, 5 / 12.0, false);
        for (int64_t k = 0; k < n; k++) s->buffer[k] = (float)s->grad[k];
        assert_all_close(s->buffer, s->m, n, 1e-5);
        assert_true(plm_optimizer_step(s->o));
    }
    /* A step after a last .more ends the sum too. */
    small_backward(s, 0, 3, 1, true);
    assert_true(plm_optimizer_step(s->o));
    small_backward(s, 0, 12, 1, false);
    memcpy(s->m, s->grad, (size_t)n * sizeof *s->m);
    small_backward(s, 0, 12, 1, false);
    assert_memory_equal(s->m, s->grad, (size_t)n * sizeof *s->m);
}

/* The norms of the hook, and those taken in the step because the hook is another's or has not fired: the same bits. */
static void test_norms_have_the_same_bits_with_and_without_hook(void **state)
{
    small *s = *state;
    for (int kind = 0; kind < 3; kind++) {
        double        norm = 0, eta = 0;
        const int64_t room = SMALL_ROOM / 2;
        for (int way = 0; way < 4; way++) {
            renew(s);
            assert_true(plm_graph_init(s->g, PLM_INIT_AGD));
            s->o = kinds[kind](s->g);
            if (way == 1 || way == 2) s->second = kinds[(kind + 1) % 3](s->g); /* takes the hook */
            if (way == 2) {                                                    /* and is freed again */
                plm_optimizer_free(s->second);
                s->second = NULL;
            }
            small_begin(s);
            small_backward(s, 0, SMALL_BATCH, 1, way == 3); /* .more: the hook waits for the last one */
            assert_true(plm_optimizer_step(s->o));
            const plm_step_info *info = plm_optimizer_info(s->o);
            if (way == 0) {
                norm = info->grad_norm;
                eta  = info->eta;
                small_begin(s);
                memcpy(s->w + room, s->w, (size_t)s->start[s->params] * sizeof *s->w);
                continue;
            }
            assert_true(info->grad_norm == norm && info->eta == eta);
            small_begin(s);
            assert_memory_equal(s->w + room, s->w, (size_t)s->start[s->params] * sizeof *s->w);
        }
    }
}

static void test_two_optimisers_take_turns(void **state)
{
    small *s = *state;
    renew(s);
    s->o      = agd(s->g);
    s->second = sgd(s->g);
    small_begin(s);
    for (int i = 0; i < 4; i++) {
        plm_optimizer *mine = i % 2 ? s->second : s->o, *other = i % 2 ? s->o : s->second;
        small_backward(s, i, SMALL_BATCH, 1, false);
        assert_true(plm_optimizer_step(mine));
        assert_int_equal(plm_optimizer_info(mine)->step, i / 2 + 1);
        assert_false(plm_optimizer_step(other)); /* one gradient is one step */
        assert_error(s->ctx, PLM_ERR_STATE,
                     "first.weight has no gradient since the last step: freeze it, or run plm_backward");
    }
}

static void test_unreached_parameter(void **state)
{
    small         *s = *state;
    const plm_node x = plm_nn_input(s->g = plm_graph_new(s->ctx), plm_shape_of(3, 4, 4));
    const plm_node h = plm_nn_flatten(x);
    plm_nn_linear(h, &(plm_linear_desc){ .name = "aside", .out = 2 });
    plm_graph_output(plm_nn_linear(h, &(plm_linear_desc){ .name = "main", .out = 2 }), NULL);
    s->o               = agd(s->g);
    const plm_tensor t = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 4, 4), s->x);
    for (int i = 0; i < 2; i++) {
        assert_true(plm_backward(plm_mean(plm_square(plm_graph_apply(s->g, plm_tape_input(s->tape, t))), NULL)));
        plm_tape_reset(s->tape);
        if (i == 0) {
            assert_false(plm_optimizer_step(s->o));
            assert_error(s->ctx, PLM_ERR_STATE, "agd: aside.weight has no gradient since the last step: freeze it");
            plm_param_freeze(plm_graph_param_named(s->g, "aside.weight"), true);
        } else assert_true(plm_optimizer_step(s->o));
    }
}

/* d sqrt(y)/dy at 0 is infinite while the loss is 0. */
static void test_nonfinite_gradient_changes_nothing(void **state)
{
    static const char *const names[] = { "agd", "sgd", "adam" };
    small                   *s       = *state;
    for (int kind = 0; kind < 3; kind++) {
        char sentence[128];
        renew(s);
        s->o = kinds[kind](s->g);
        small_begin(s);
        const plm_tensor x = plm_tensor_wrap(PLM_F32, plm_shape_of(2, 3, 4, 4), s->x);
        const plm_val    y = plm_graph_apply(s->g, plm_tape_input(s->tape, x));
        assert_true(plm_backward(plm_sum(plm_sqrt(plm_scale(y, 0)), NULL)));
        plm_tape_reset(s->tape);
        assert_false(plm_optimizer_step(s->o));
        snprintf(sentence, sizeof sentence, "%s: the gradient of first.weight is not finite, no weight was changed",
                 names[kind]);
        assert_error(s->ctx, PLM_ERR_NONFINITE, sentence);
        small_compare(s, 0);
        assert_int_equal(plm_optimizer_info(s->o)->step, 0);
        small_backward(s, 0, SMALL_BATCH, 1, false); /* and training goes on */
        assert_true(plm_optimizer_step(s->o));
        assert_string_equal(plm_optimizer_name(s->o), names[kind]);
    }
}

static void test_report_of_updates(void **state)
{
    small *s = *state;
    for (int kind = 0; kind < 3; kind++)
        for (int frozen = 0; frozen < 2; frozen++) {
            renew(s);
            s->o = kinds[kind](s->g);
            small_begin(s);
            plm_param_freeze(s->param[1], frozen);
            small_backward(s, 0, SMALL_BATCH, 1, false);
            assert_true(plm_optimizer_step(s->o));
            const plm_step_info *info = plm_optimizer_info(s->o);
            assert_int_equal(info->layers, 4);
            double mean = 0;
            for (int i = 0; i < 4; i++) {
                const int64_t n = s->start[i + 1] - s->start[i];
                assert_true(plm_param_read(s->param[i], s->buffer, n));
                for (int64_t k = 0; k < n; k++) s->m[k] = (double)s->buffer[k] - s->w[s->start[i] + k];
                const double update = small_norm(s->m, n) / small_norm(s->w + s->start[i], n);
                assert_close(info->update[i], update, 0, 1e-4); /* dW is seen through the rounding of W */
                assert_true((update > 0) == !plm_param_frozen(s->param[i]));
                mean += update / (frozen ? 3 : 4);
            }
            assert_close(info->update_mean, mean, 0, 1e-4);
        }
}

static void test_bytes_of_state(void **state)
{
    small *s = *state;
    renew(s);
    small_begin(s);
    const size_t floats = (size_t)s->start[s->params];
    s->o                = agd(s->g);
    assert_int_equal(plm_optimizer_state_bytes(s->o), 0); /* nothing but the weights */
    s->second             = sgd(s->g);
    const size_t momentum = plm_optimizer_state_bytes(s->second);
    assert_true(momentum >= floats * 4 && momentum < floats * 4 * 3); /* padding */
    plm_optimizer_free(s->second);
    s->second = adam(s->g);
    assert_int_equal(plm_optimizer_state_bytes(s->second), 2 * momentum);
    plm_optimizer_free(s->second);
    s->second = plm_sgd_new(s->g, NULL);
    assert_int_equal(plm_optimizer_state_bytes(s->second), 0);
}

static void test_nothing_to_train(void **state)
{
    small *s = *state;
    renew(s);
    small_begin(s);
    for (int i = 0; i < s->params; i++) plm_param_freeze(s->param[i], true);
    s->o = agd(s->g);
    small_begin(s);
    assert_true(plm_optimizer_step(s->o));
    assert_close(plm_optimizer_info(s->o)->eta, 0, 0, 0);
    assert_close(plm_optimizer_info(s->o)->update_mean, 0, 0, 0);
    small_compare(s, 0);
}

/* One that is refused draws nothing: the next draws its own scheme, and weights that were there stay. */
static void test_refused_draws_nothing(void **state)
{
    small *s = *state;
    s->g     = small_network(s->ctx, 4, true);
    s->h     = small_network(s->ctx, 4, true);
    assert_null(plm_agd_new(s->g, NULL));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: first.bias is a bias");
    assert_false(plm_graph_initialized(s->g));
    s->o = sgd(s->g);
    assert_true(plm_graph_init(s->h, PLM_INIT_PYTORCH));
    small_begin(s);
    for (int i = 0; i < s->params; i++) {
        const int64_t n = s->start[i + 1] - s->start[i];
        assert_true(plm_param_read(plm_graph_param(s->h, i), s->buffer, n));
        assert_all_close(s->buffer, s->w + s->start[i], n, 0);
    }
    assert_null(plm_agd_new(s->g, &(plm_agd_desc){ .reinit = true }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: first.bias is a bias");
    small_compare(s, 0);
}

/* Numbers that a float cannot hold, and a step that leaves what a float can hold. */
static void test_steps_that_would_spoil_weights(void **state)
{
    small *s   = *state;
    s->g       = plm_graph_new(s->ctx);
    plm_node x = plm_nn_input(s->g, plm_shape_of(4));
    plm_graph_output(plm_nn_linear(x, &(plm_linear_desc){ .name = "l", .out = 3 }), "y");
    assert_null(plm_sgd_new(s->g, &(plm_sgd_desc){ .lr = 1e300 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "sgd: lr is 1e+300");
    assert_null(plm_sgd_new(s->g, &(plm_sgd_desc){ .weight_decay = 1e300 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "sgd: weight_decay is 1e+300");
    assert_null(plm_adam_new(s->g, &(plm_adam_desc){ .eps = 1e-300 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "adam: eps is 1e-300");
    assert_null(plm_agd_new(s->g, &(plm_agd_desc){ .gain = 1e300 }));
    assert_error(s->ctx, PLM_ERR_ARGUMENT, "agd: gain is 1e+300");
    s->o = plm_sgd_new(s->g, &(plm_sgd_desc){ .lr = 3e38 });
    for (int i = 0; i < 3 && plm_ctx_status(s->ctx) == PLM_OK; i++) {
        const plm_val in = plm_tape_input(s->tape, plm_tensor_wrap(PLM_F32, plm_shape_of(2, 4), s->x));
        if (plm_backward(plm_scale(plm_sum(plm_graph_apply(s->g, in), NULL), 1e20)) && !plm_optimizer_step(s->o)) break;
        plm_tape_reset(s->tape);
    }
    assert_error(s->ctx, PLM_ERR_NONFINITE, "sgd: step 1 made l.weight infinite or nan");
}

static void test_no_optimiser(void **state)
{
    (void)state;
    plm_optimizer_free(NULL);
    assert_false(plm_optimizer_step(NULL));
    assert_false(plm_optimizer_probe(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(test_micro_batches_add_up),
        small_test(test_norms_have_the_same_bits_with_and_without_hook),
        small_test(test_two_optimisers_take_turns),
        small_test(test_unreached_parameter),
        small_test(test_nonfinite_gradient_changes_nothing),
        small_test(test_report_of_updates),
        small_test(test_bytes_of_state),
        small_test(test_nothing_to_train),
        small_test(test_refused_draws_nothing),
        small_test(test_steps_that_would_spoil_weights),
        cmocka_unit_test(test_no_optimiser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

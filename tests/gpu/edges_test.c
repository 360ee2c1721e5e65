/* The engine at its edges: failed calls, growth, odd windows, models without time-wise layers, more streams than heads.
 * What everyday use shows stands in engine_test.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/rng.h"
#include "ref/ref.h"
#include "tests/gpu/suites.h"

enum { STEPS = 64, ROWS = 4 };

static od_config config;
static od_model *model;
static od_engine *engine;
static od_error err;
static float value[ROWS * STEPS];
static uint8_t mask[ROWS * STEPS];
static int32_t id[ROWS * STEPS];

static const od_engine_api *api(void) {
    return test_engine();
}

static void setup(void) {
    ck_assert(!od_config_preset(&config, "seed-tiny", &err));
    od_rng_fill_normal(value, ROWS * STEPS, 0, 1, 11, 0);
    memset(mask, 1, sizeof mask);
    memset(id, 0, sizeof id);
    model = NULL;
    engine = NULL;
}

static void teardown(void) {
    api()->destroy(engine);
    od_model_destroy(model);
}

/* The engine of `config`, with which a test may do as it likes before. */
static void create(const od_options *options) {
    api()->destroy(engine);
    od_model_destroy(model);
    ck_assert_msg(!od_model_create(&model, &config, &err), "%s", err.text);
    od_model_generate(model, 7, 1, 1);
    ck_assert_msg(!api()->create(&engine, model, options, &err), "%s", err.text);
}

static od_session *session(size_t batch, size_t variates, size_t limit) {
    od_session *s;
    ck_assert_msg(!api()->session_open(&s, engine, batch, variates, limit, &err), "%s", err.text);
    return s;
}

static enum od_status prefill(od_session *s, size_t n) {
    const od_window w = {.n_step = n, .stride = STEPS, .value = value, .mask = mask, .id = id};
    return api()->prefill(s, &w, &err);
}

static enum od_status decode(od_session *s, size_t first) {
    const od_window w = {
        .n_step = config.patch, .stride = STEPS, .value = value + first, .mask = mask + first, .id = id + first};
    return api()->decode(s, &w, &err);
}

/* The last call's tensor of that name, copied; the caller frees. */
static float *copy_of(const od_engine_api *from, od_session *s, const char *name, size_t *n) {
    od_outputs out;
    ck_assert_msg(!from->outputs(s, &out, &err), "%s", err.text);
    for (size_t i = 0; i < out.n_tensor; i++)
        if (strcmp(out.tensor[i].name, name) == 0) {
            *n = od_tensor_size(&out.tensor[i]);
            float *copy = malloc(*n * sizeof *copy);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, out.tensor[i].data, *n * sizeof *copy);
            return copy;
        }
    ck_abort_msg("no such output");
}

static void same_bits(float *a, size_t n, float *b, size_t m) {
    ck_assert_uint_eq(n, m);
    for (size_t i = 0; i < n; i++) ck_assert(isfinite(a[i]));
    ck_assert_mem_eq(a, b, n * sizeof *a);
    free(a);
    free(b);
}

static uint64_t captures(void) {
    od_stats stats;
    api()->stats(engine, &stats);
    return stats.captures;
}

/* The capture of a decode runs out of memory: its session answers nothing until reset, others go on. */
START_TEST(a_session_whose_call_failed_must_be_reset) {
    const od_options options = od_options_default();
    od_outputs out;
    if (!test_device()->emulated) return; /* a capture there takes no host memory but at its end */
    create(&options);
    od_session *s = session(1, 2, STEPS), *other = session(1, 2, STEPS);
    ck_assert(!prefill(s, 16) && !prefill(other, 16));
    api()->fail_alloc(engine, 1);
    ck_assert_int_eq(decode(s, 16), OD_NO_MEMORY);
    api()->fail_alloc(engine, 0);
    ck_assert_int_eq(decode(s, 16), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "reset"));
    ck_assert_int_eq(prefill(s, 16), OD_BAD_INPUT);
    ck_assert_int_eq(api()->outputs(s, &out, &err), OD_BAD_INPUT);
    ck_assert(!decode(other, 16));
    ck_assert(!api()->reset(s, &err));
    ck_assert_int_eq(api()->outputs(s, &out, &err), OD_BAD_INPUT);
    ck_assert(!prefill(s, 16) && !decode(s, 16));
    size_t n, m;
    float *a = copy_of(api(), s, "loc", &n), *b = copy_of(api(), other, "loc", &m);
    same_bits(a, n, b, m);
}
END_TEST

/* Scratch grows with tokens, tables with positions: a graph holds the addresses of both, and goes with either. */
START_TEST(growth_of_scratch_or_of_tables_alone_drops_graphs) {
    const od_options options = od_options_default();
    const size_t first[][2] = {{1, STEPS}, {4, STEPS / 4}}, second[][2] = {{2, STEPS}, {1, STEPS}}; /* rows, limit */
    for (int i = 0; i < 2; i++) {
        create(&options);
        od_session *small = session(first[i][0], 1, first[i][1]);
        size_t n, m;
        ck_assert(!prefill(small, 12));
        float *before = copy_of(api(), small, "loc", &n);
        ck_assert_uint_eq(captures(), 1);
        session(second[i][0], 1, second[i][1]);
        ck_assert(!api()->reset(small, &err) && !prefill(small, 12));
        ck_assert_uint_eq(captures(), 2);
        float *after = copy_of(api(), small, "loc", &m);
        same_bits(before, n, after, m);
    }
}
END_TEST

/* Sessions no larger than those before leave graphs alone. */
START_TEST(an_equal_session_keeps_graphs) {
    const od_options options = od_options_default();
    create(&options);
    od_session *a = session(1, 2, STEPS);
    ck_assert(!prefill(a, 12));
    od_session *b = session(1, 2, STEPS);
    session(1, 1, 8);
    ck_assert(!prefill(b, 12));
    ck_assert_uint_eq(captures(), 1);
}
END_TEST

/* In any order of closing, what is left is what destroy closes. */
START_TEST(sessions_close_in_any_order) {
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const od_options options = od_options_default();
    od_stats before, after;
    create(&options);
    od_session *s[3];
    for (int i = 0; i < 3; i++) s[i] = session(1, 1, STEPS);
    for (int i = 0; i < 3; i++) api()->session_close(s[i]);
    api()->stats(engine, &before);
    for (int i = 0; i < 3; i++) s[i] = session(1, 1, STEPS);
    for (int i = 0; i < 3; i++) api()->session_close(s[orders[_i][i]]);
    api()->stats(engine, &after);
    ck_assert_uint_eq(before.device_live, after.device_live);
    ck_assert_uint_eq(before.host_live, after.host_live);
}
END_TEST

START_TEST(a_session_has_room_for_whole_patches_within_its_limit) {
    const od_options options = od_options_default();
    od_session *s;
    create(&options);
    ck_assert_int_eq(api()->session_open(&s, engine, 1, 1, config.patch - 1, &err), OD_BAD_INPUT);
    ck_assert_int_eq(api()->session_open(&s, engine, 0, 1, STEPS, &err), OD_BAD_INPUT);
    ck_assert_int_eq(api()->session_open(&s, engine, 1, 0, STEPS, &err), OD_BAD_INPUT);
    ck_assert_int_eq(api()->session_open(&s, engine, 1 << 20, 1 << 10, 8, &err), OD_BAD_INPUT);
    ck_assert_int_eq(api()->session_open(&s, engine, SIZE_MAX / 2, 3, 4, &err), OD_BAD_INPUT);
    s = session(1, 1, 3 * config.patch + 3);
    ck_assert_int_eq(prefill(s, 3 * config.patch + 1), OD_BAD_INPUT);
    ck_assert(!prefill(s, 3 * config.patch));
    ck_assert_int_eq(decode(s, 12), OD_BAD_INPUT);
}
END_TEST

START_TEST(rows_that_overlap_are_refused) {
    const od_options options = od_options_default();
    const od_window w = {.n_step = 8, .stride = 7, .value = value, .mask = mask, .id = id};
    create(&options);
    ck_assert_int_eq(api()->prefill(session(1, 2, STEPS), &w, &err), OD_BAD_INPUT);
}
END_TEST

/* Any mask but 0 is real, and what a missing step holds is nobody's to judge. */
START_TEST(masks_are_truth_values) {
    const od_options options = od_options_default();
    size_t n, m;
    create(&options);
    od_session *a = session(1, 2, STEPS), *b = session(1, 2, STEPS), *c = session(1, 2, STEPS);
    ck_assert(!prefill(a, 16));
    memset(mask, 255, sizeof mask);
    ck_assert(!prefill(b, 16));
    float *one = copy_of(api(), a, "loc", &n), *full = copy_of(api(), b, "loc", &m);
    same_bits(one, n, full, m);
    mask[3] = 0;
    value[3] = NAN;
    ck_assert_msg(!prefill(c, 16), "%s", err.text);
}
END_TEST

/* A mean near 3e38 is beyond half of float32's maximum: every forecast of it is a 0 that is counted. */
START_TEST(replaced_forecasts_are_zero_and_counted) {
    const od_options options = od_options_default();
    od_stats stats;
    size_t n;
    create(&options);
    for (size_t i = 0; i < ROWS * STEPS; i++) value[i] = 3e38f;
    od_session *s = session(2, 2, STEPS);
    api()->stats(engine, &stats);
    ck_assert_uint_eq(stats.replaced, 0);
    ck_assert(!prefill(s, 16));
    api()->stats(engine, &stats);
    ck_assert_uint_eq(stats.replaced, 4 * config.patch);
    float *mean = copy_of(api(), s, "mean", &n);
    ck_assert_uint_eq(n, 4 * config.patch);
    for (size_t i = 0; i < n; i++) ck_assert_float_eq(mean[i], 0);
    free(mean);
}
END_TEST

/* Nothing is cached there, so nothing may count as a hit. */
START_TEST(a_model_without_time_wise_layers_recomputes) {
    const od_options options = od_options_default();
    od_stats stats;
    config.space_every = 1;
    create(&options);
    od_session *s = session(1, 2, STEPS);
    ck_assert(!prefill(s, 16) && !decode(s, 16) && !api()->decode(s, NULL, &err));
    api()->stats(engine, &stats);
    ck_assert_uint_eq(stats.cache_hits, 0);
}
END_TEST

/* A mixture's four heads over 1 … 4 streams; thread and replay orders differ as well. */
START_TEST(streams_graphs_and_orders_do_not_change_a_bit) {
    float *want[3] = {NULL, NULL, NULL};
    const char *const names[] = {"loc", "probs", "mean"};
    config.mixture = true;
    config.n_component = 5;
    for (unsigned streams = 1; streams <= 4; streams++)
        for (uint64_t order = 0; order < 6; order++) {
            od_options options = od_options_default();
            options.streams = streams;
            options.order = order;
            options.graph = order > 0;
            create(&options);
            od_session *s = session(1, 3, STEPS);
            ck_assert_msg(!prefill(s, 18) && !decode(s, 18) && !api()->decode(s, NULL, &err), "%s", err.text);
            for (int i = 0; i < 3; i++) {
                size_t n;
                float *got = copy_of(api(), s, names[i], &n);
                if (!want[i]) {
                    want[i] = got;
                    continue;
                }
                ck_assert_mem_eq(got, want[i], n * sizeof *got);
                free(got);
            }
        }
    for (int i = 0; i < 3; i++) free(want[i]);
}
END_TEST

/* An exponent of 0 would hold every scale at the context's; only a stabilised scaler may obey it. */
START_TEST(only_a_stabilised_scaler_is_clamped) {
    const od_options options = od_options_default();
    size_t n, m;
    config.scaler = OD_SCALER_CAUSAL_PATCH_STD_MEAN;
    config.scale_exponent = 0;
    value[9] = 50;
    for (int stabilize = 0; stabilize < 2; stabilize++) {
        od_engine *ref;
        od_session *theirs;
        config.stabilize = stabilize;
        create(&options);
        od_session *s = session(1, 1, STEPS);
        ck_assert(!prefill(s, 16) && !decode(s, 16));
        ck_assert(!od_ref_engine()->create(&ref, model, &options, &err));
        ck_assert(!od_ref_engine()->session_open(&theirs, ref, 1, 1, STEPS, &err));
        const od_window context = {.n_step = 16, .stride = STEPS, .value = value, .mask = mask, .id = id};
        const od_window next = {.n_step = 4, .stride = STEPS, .value = value + 16, .mask = mask + 16, .id = id + 16};
        ck_assert(!od_ref_engine()->prefill(theirs, &context, &err) && !od_ref_engine()->decode(theirs, &next, &err));
        float *scale = copy_of(api(), s, "scaler_scale", &n);
        float *expected = copy_of(od_ref_engine(), theirs, "scaler_scale", &m);
        same_bits(scale, n, expected, m);
        od_ref_engine()->destroy(ref);
    }
}
END_TEST

/* A decode that recomputed everything shows its newest patch: hidden states as well, for every row. The scaler is one
 * that the prefix does not enter. */
START_TEST(hidden_states_are_of_the_newest_patch) {
    od_options options = od_options_default();
    options.cache = OD_CACHE_OFF;
    options.hidden = true;
    config.scaler = OD_SCALER_CAUSAL_STD_MEAN;
    config.stabilize = false;
    create(&options);
    od_session *s = session(2, 2, STEPS), *whole = session(2, 2, STEPS);
    ck_assert(!prefill(s, 16) && !decode(s, 16) && !prefill(whole, 20));
    for (size_t layer = 0; layer < config.n_layer; layer++) {
        char name[32];
        size_t n, m;
        snprintf(name, sizeof name, "hidden.%zu", layer);
        float *newest = copy_of(api(), s, name, &n), *all = copy_of(api(), whole, name, &m);
        ck_assert_uint_eq(n, 4 * config.d_model);
        ck_assert_uint_eq(m, 5 * n);
        for (size_t row = 0; row < 4; row++)
            ck_assert_mem_eq(newest + row * config.d_model, all + (row * 5 + 4) * config.d_model,
                             config.d_model * sizeof *all);
        free(newest);
        free(all);
    }
}
END_TEST

START_TEST(there_is_no_answer_before_a_question) {
    const od_options options = od_options_default();
    od_outputs out;
    create(&options);
    ck_assert_int_eq(api()->outputs(session(1, 1, STEPS), &out, &err), OD_BAD_INPUT);
}
END_TEST

/* What the upload stages is bounded: 11 MB of weights, QKV of 768 KB, an MLP that fits exactly into one copy. */
START_TEST(an_engine_is_made_in_little_host_memory) {
    config.d_model = config.d_mlp = 256;
    config.n_head = 8;
    for (int fused = 0; fused < 2; fused++) {
        od_options options = od_options_default();
        options.fused = fused;
        create(&options);
        od_stats stats;
        api()->stats(engine, &stats);
        ck_assert_uint_ge(model->n_data * sizeof(float), 10 << 20);
        ck_assert_uint_gt(stats.host_peak, 0);
        ck_assert_uint_le(stats.host_peak, 1 << 20);
        ck_assert_uint_le(stats.host_live, 64 << 10);
    }
}
END_TEST

Suite *suite_edges(void) {
    Suite *suite = suite_create("edges");
    TCase *tc = tcase_create("edges");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_session_whose_call_failed_must_be_reset);
    tcase_add_test(tc, growth_of_scratch_or_of_tables_alone_drops_graphs);
    tcase_add_test(tc, an_equal_session_keeps_graphs);
    tcase_add_loop_test(tc, sessions_close_in_any_order, 0, 6);
    tcase_add_test(tc, a_session_has_room_for_whole_patches_within_its_limit);
    tcase_add_test(tc, hidden_states_are_of_the_newest_patch);
    tcase_add_test(tc, there_is_no_answer_before_a_question);
    tcase_add_test(tc, rows_that_overlap_are_refused);
    tcase_add_test(tc, masks_are_truth_values);
    tcase_add_test(tc, replaced_forecasts_are_zero_and_counted);
    tcase_add_test(tc, a_model_without_time_wise_layers_recomputes);
    tcase_add_test(tc, streams_graphs_and_orders_do_not_change_a_bit);
    tcase_add_test(tc, only_a_stabilised_scaler_is_clamped);
    tcase_add_test(tc, an_engine_is_made_in_little_host_memory);
    suite_add_tcase(suite, tc);
    return suite;
}

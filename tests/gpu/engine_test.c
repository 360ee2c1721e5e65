/* The engine behind the interface: sessions, graphs, errors, memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/rng.h"
#include "tests/gpu/suites.h"

enum { STEPS = 64 };

static od_model *model;
static od_error err;
static float value[8 * STEPS];
static uint8_t mask[8 * STEPS];
static int32_t id[8 * STEPS];

static void setup(void) {
    od_config config;
    ck_assert(!od_config_preset(&config, "seed-tiny", &err));
    ck_assert(!od_model_create(&model, &config, &err));
    od_model_generate(model, 7, 1, 1);
    od_rng_fill_normal(value, 8 * STEPS, 0, 1, 11, 0);
    memset(mask, 1, sizeof mask);
    memset(id, 0, sizeof id);
}

static void teardown(void) {
    od_model_destroy(model);
}

static od_window window(size_t first, size_t n) {
    return (od_window){.n_step = n, .stride = STEPS, .value = value + first, .mask = mask + first, .id = id + first};
}

static od_engine *engine(const od_options *options) {
    od_engine *en;
    ck_assert_msg(!test_engine()->create(&en, model, options, &err), "%s", err.text);
    return en;
}

static od_session *session(od_engine *en, size_t batch, size_t variates, size_t limit) {
    od_session *s;
    ck_assert_msg(!test_engine()->session_open(&s, en, batch, variates, limit, &err), "%s", err.text);
    return s;
}

static void prefill(od_session *s, size_t n) {
    const od_window w = window(0, n);
    ck_assert_msg(!test_engine()->prefill(s, &w, &err), "%s", err.text);
}

static void decode(od_session *s, size_t first) {
    const od_window w = window(first, 4);
    ck_assert_msg(!test_engine()->decode(s, &w, &err), "%s", err.text);
}

/* The last call's loc, copied; the caller frees. */
static float *loc_of(od_session *s, size_t *n) {
    od_outputs out;
    ck_assert_msg(!test_engine()->outputs(s, &out, &err), "%s", err.text);
    for (size_t i = 0; i < out.n_tensor; i++)
        if (strcmp(out.tensor[i].name, "loc") == 0) {
            *n = od_tensor_size(&out.tensor[i]);
            float *copy = malloc(*n * sizeof *copy);
            memcpy(copy, out.tensor[i].data, *n * sizeof *copy);
            return copy;
        }
    ck_abort_msg("no loc among the outputs");
}

static void same_bits(float *a, size_t n, float *b, size_t m) {
    ck_assert_uint_eq(n, m);
    for (size_t i = 0; i < n; i++) ck_assert(isfinite(a[i]));
    ck_assert_mem_eq(a, b, n * sizeof *a);
    free(a);
    free(b);
}

START_TEST(interleaved_sessions_equal_separate_ones) {
    const od_options options = od_options_default();
    size_t n[4];
    float *loc[4];
    for (int together = 0; together < 2; together++) {
        od_engine *en = engine(&options);
        od_session *a = session(en, 1, 3, STEPS), *b = together ? session(en, 2, 2, STEPS) : NULL;
        prefill(a, 17);
        if (together) prefill(b, 30);
        decode(a, 17);
        if (together) decode(b, 30);
        decode(a, 21);
        loc[2 * together] = loc_of(a, &n[2 * together]);
        if (!together) {
            test_engine()->session_close(a);
            b = session(en, 2, 2, STEPS);
            prefill(b, 30);
            decode(b, 30);
        }
        loc[2 * together + 1] = loc_of(b, &n[2 * together + 1]);
        test_engine()->destroy(en);
    }
    same_bits(loc[0], n[0], loc[2], n[2]);
    same_bits(loc[1], n[1], loc[3], n[3]);
}
END_TEST

START_TEST(a_reset_session_answers_like_a_new_one) {
    const od_options options = od_options_default();
    size_t n, m;
    od_engine *en = engine(&options);
    od_session *s = session(en, 1, 2, STEPS);
    prefill(s, 32);
    decode(s, 32);
    float *first = loc_of(s, &n);
    ck_assert(!test_engine()->reset(s, &err));
    prefill(s, 48);
    decode(s, 48);
    ck_assert(!test_engine()->reset(s, &err));
    prefill(s, 32);
    decode(s, 32);
    float *again = loc_of(s, &m);
    same_bits(first, n, again, m);
    test_engine()->destroy(en);
}
END_TEST

START_TEST(one_graph_serves_every_decode_step) {
    const od_options options = od_options_default();
    od_stats stats;
    od_engine *en = engine(&options);
    od_session *s = session(en, 1, 2, STEPS);
    prefill(s, 16);
    for (size_t i = 0; i < 6; i++) decode(s, 16 + 4 * i);
    test_engine()->stats(en, &stats);
    ck_assert_uint_eq(stats.captures, 2);
    ck_assert_uint_eq(stats.replays, 7);
    ck_assert_uint_eq(stats.cache_hits, 6);
    ck_assert_uint_eq(stats.fallbacks, 0);
    ck_assert_str_eq(stats.math_mode, "float32");
    ck_assert(!test_engine()->recapture(en, &err));
    decode(s, 40);
    test_engine()->stats(en, &stats);
    ck_assert_uint_eq(stats.captures, 3);
    test_engine()->destroy(en);
}
END_TEST

START_TEST(what_statistics_name_outlives_the_engine) {
    const od_options options = od_options_default();
    od_stats stats;
    char before[128];
    od_engine *en = engine(&options);
    test_engine()->stats(en, &stats);
    snprintf(before, sizeof before, "%s", stats.device);
    test_engine()->destroy(en);
    en = engine(&options); /* whatever was freed is taken again */
    ck_assert_str_eq(stats.device, before);
    test_engine()->destroy(en);
}
END_TEST

START_TEST(past_the_limit_of_captures_launches_are_plain_and_counted) {
    od_options options = od_options_default();
    od_stats stats;
    options.captures = 1;
    od_engine *en = engine(&options);
    od_session *s = session(en, 1, 2, STEPS);
    prefill(s, 16);
    decode(s, 16);
    test_engine()->stats(en, &stats);
    ck_assert_uint_eq(stats.captures, 1);
    ck_assert_uint_eq(stats.replays, 1);
    ck_assert_uint_eq(stats.fallbacks, 1);
    test_engine()->destroy(en);
}
END_TEST

START_TEST(a_larger_session_drops_graphs_that_hold_old_addresses) {
    const od_options options = od_options_default();
    size_t n, m;
    od_engine *en = engine(&options);
    od_session *small = session(en, 1, 1, 16);
    prefill(small, 8);
    float *before = loc_of(small, &n);
    od_session *large = session(en, 2, 4, STEPS);
    prefill(large, 40);
    ck_assert(!test_engine()->reset(small, &err));
    prefill(small, 8);
    float *after = loc_of(small, &m);
    same_bits(before, n, after, m);
    test_engine()->destroy(en);
}
END_TEST

START_TEST(poisoned_scratch_changes_nothing) {
    const od_options options = od_options_default();
    size_t n, m;
    od_engine *en = engine(&options);
    od_session *s = session(en, 1, 2, STEPS);
    prefill(s, 20);
    decode(s, 20);
    float *first = loc_of(s, &n);
    ck_assert(!test_engine()->reset(s, &err));
    prefill(s, 20);
    ck_assert(!test_engine()->poison(en, &err));
    decode(s, 20);
    float *again = loc_of(s, &m);
    same_bits(first, n, again, m);
    test_engine()->destroy(en);
}
END_TEST

/* Two sessions in turn, the second batch 1 of other length; each call's loc goes behind the last one's. */
static size_t play_pair(float *to, od_engine *en, bool scrambled) {
    od_session *s[2] = {session(en, 1, 2, STEPS), session(en, 1, 3, STEPS)};
    size_t at = 0;
    for (int call = 0; call < 8; call++) {
        od_session *now = s[call % 2];
        const size_t first = call % 2 ? 9 : 20;
        if (scrambled) ck_assert(!test_engine()->scramble_undeclared(en, &err));
        if (call < 2)
            prefill(now, first);
        else if (call < 6)
            decode(now, first + (size_t)(call / 2 - 1) * 4);
        else
            ck_assert_msg(!test_engine()->decode(now, NULL, &err), "%s", err.text);
        size_t n;
        float *loc = loc_of(now, &n);
        memcpy(to + at, loc, n * sizeof *loc);
        at += n;
        free(loc);
    }
    for (int i = 0; i < 2; i++) test_engine()->session_close(s[i]);
    return at;
}

/* Every combination of graph, cache and fused. */
START_TEST(what_a_call_must_not_depend_on_may_be_overwritten_before_it) {
    static float plain[8 * 3 * STEPS], scrambled[8 * 3 * STEPS];
    od_options options = od_options_default();
    options.graph = _i % 2;
    options.fused = _i / 2 % 2;
    options.cache = (enum od_cache)(_i / 4);
    od_engine *en = engine(&options);
    const size_t n = play_pair(plain, en, false), m = play_pair(scrambled, en, true);
    ck_assert_uint_eq(n, m);
    for (size_t i = 0; i < n; i++) ck_assert(isfinite(plain[i]));
    ck_assert_mem_eq(plain, scrambled, n * sizeof *plain);
    test_engine()->destroy(en);
}
END_TEST

START_TEST(answers_end_where_memory_is_overwritten) {
    const od_options options = od_options_default();
    od_outputs out;
    od_engine *en = engine(&options);
    od_session *s = session(en, 1, 2, STEPS);
    prefill(s, 20);
    ck_assert(!test_engine()->outputs(s, &out, &err));
    const float *df = out.tensor[0].data;
    ck_assert(isfinite(df[0]));
    ck_assert(!test_engine()->scramble_undeclared(en, &err));
    ck_assert(isnan(df[0])); /* borrowed until the next call: the memory is still the session's */
    ck_assert_int_eq(test_engine()->outputs(s, &out, &err), OD_BAD_INPUT);
    decode(s, 20);
    ck_assert(!test_engine()->outputs(s, &out, &err));
    test_engine()->destroy(en);
}
END_TEST

/* Each refused call leaves the session as it was. */
START_TEST(bad_input_is_refused_and_named) {
    const od_options options = od_options_default();
    od_engine *en = engine(&options);
    od_session *s = session(en, 1, 2, 16);
    od_window w = window(0, 0);
    ck_assert_int_eq(test_engine()->prefill(s, &w, &err), OD_BAD_INPUT);
    w = window(0, 17);
    ck_assert_int_eq(test_engine()->prefill(s, &w, &err), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "16"));
    w = window(0, 4);
    ck_assert_int_eq(test_engine()->decode(s, &w, &err), OD_BAD_INPUT);
    id[1] = 5;
    w = window(0, 8);
    ck_assert_int_eq(test_engine()->prefill(s, &w, &err), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "id"));
    id[1] = 0;
    value[STEPS + 2] = NAN;
    ck_assert_int_eq(test_engine()->prefill(s, &w, &err), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "finite"));
    value[STEPS + 2] = 0;
    prefill(s, 12);
    ck_assert_int_eq(test_engine()->prefill(s, &w, &err), OD_BAD_INPUT);
    w = window(0, 3);
    ck_assert_int_eq(test_engine()->decode(s, &w, &err), OD_BAD_INPUT);
    decode(s, 12);
    w = window(16, 4);
    ck_assert_int_eq(test_engine()->decode(s, &w, &err), OD_BAD_INPUT);
    test_engine()->destroy(en);
}
END_TEST

/* The n-th allocation fails, of the host or of the device: an error value, nothing lost, and the engine goes on when
 * memory is back, with the same bits. */
START_TEST(every_failing_allocation_is_an_error_and_leaves_the_engine_usable) {
    const od_options options = od_options_default();
    int failures = 0, of_device = 0;
    size_t n_loc, m_loc;
    od_engine *calm = engine(&options);
    od_session *undisturbed = session(calm, 1, 2, STEPS);
    prefill(undisturbed, 16);
    decode(undisturbed, 16);
    float *loc = loc_of(undisturbed, &n_loc);
    test_engine()->destroy(calm);
    for (uint64_t n = 1; n < 1000; n++) {
        od_engine *en = engine(&options);
        od_session *s = NULL;
        od_window w = window(0, 16);
        test_engine()->fail_alloc(en, n);
        enum od_status status = test_engine()->session_open(&s, en, 1, 2, STEPS, &err);
        if (!status) status = test_engine()->prefill(s, &w, &err);
        test_engine()->fail_alloc(en, 0);
        if (!status) {
            test_engine()->destroy(en);
            break;
        }
        ck_assert_int_eq(status, OD_NO_MEMORY);
        ck_assert_ptr_nonnull(strstr(err.text, "bytes"));
        failures++;
        of_device += strstr(err.text, "device memory") != NULL;
        if (!s) s = session(en, 1, 2, STEPS);
        ck_assert(!test_engine()->reset(s, &err));
        prefill(s, 16);
        decode(s, 16);
        float *again = loc_of(s, &m_loc);
        ck_assert_uint_eq(n_loc, m_loc);
        ck_assert_msg(memcmp(loc, again, n_loc * sizeof *loc) == 0, "other bits after allocation %llu failed",
                      (unsigned long long)n);
        free(again);
        test_engine()->destroy(en);
    }
    free(loc);
    ck_assert_int_gt(failures, 10);
    ck_assert_int_eq(of_device, 3); /* the session's, the rotary tables', the scratch's */
    ck_assert_int_lt(failures, 999);
}
END_TEST

START_TEST(closing_a_session_gives_its_memory_back) {
    const od_options options = od_options_default();
    od_stats before, after;
    od_engine *en = engine(&options);
    od_session *first = session(en, 2, 2, STEPS); /* the engine's own scratch stays, and how its products run */
    prefill(first, 16);
    test_engine()->recapture(en, &err);
    test_engine()->session_close(first);
    test_engine()->stats(en, &before);
    od_session *s = session(en, 2, 2, STEPS);
    prefill(s, 16);
    test_engine()->recapture(en, &err);
    test_engine()->session_close(s);
    test_engine()->stats(en, &after);
    ck_assert_uint_eq(before.device_live, after.device_live);
    ck_assert_uint_eq(before.host_live, after.host_live);
    test_engine()->destroy(en);
}
END_TEST

Suite *suite_engine(void) {
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("engine");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, interleaved_sessions_equal_separate_ones);
    tcase_add_test(tc, a_reset_session_answers_like_a_new_one);
    tcase_add_test(tc, one_graph_serves_every_decode_step);
    tcase_add_test(tc, what_statistics_name_outlives_the_engine);
    tcase_add_test(tc, past_the_limit_of_captures_launches_are_plain_and_counted);
    tcase_add_test(tc, a_larger_session_drops_graphs_that_hold_old_addresses);
    tcase_add_test(tc, poisoned_scratch_changes_nothing);
    tcase_add_loop_test(tc, what_a_call_must_not_depend_on_may_be_overwritten_before_it, 0, 12);
    tcase_add_test(tc, answers_end_where_memory_is_overwritten);
    tcase_add_test(tc, bad_input_is_refused_and_named);
    tcase_add_test(tc, every_failing_allocation_is_an_error_and_leaves_the_engine_usable);
    tcase_add_test(tc, closing_a_session_gives_its_memory_back);
    suite_add_tcase(suite, tc);
    return suite;
}

/* A session's life: reset, several at once, poisoned scratch, what outputs and stats say. */
#include <cblas.h>
#include <stdio.h>
#include <string.h>

#include "tests/ref/fixture.h"
#include "tests/ref/suites.h"

enum { P = 4, B = 2, V = 3, N = 8 * P };

static fixture f;

static void open(int api, enum od_cache cache) {
    const od_config config = fixture_config();
    fixture_open(&f, fixture_api(api), &config, cache, B, V, N);
}

/* Case A: 5 patches of context, a given and an own one. */
static const answer *run_a(od_session *s, int slot) {
    fixture_prefill(&f, s, 5 * P);
    fixture_decode(&f, s, 5 * P, 1);
    fixture_own(&f, s, 1);
    return fixture_answer(&f, s, slot);
}

START_TEST(a_b_a_gives_the_same_bits) {
    open(_i % 2, _i / 2 ? OD_CACHE_FIXED : OD_CACHE_OFF);
    od_session *s = fixture_session(&f, N);
    const answer *first = run_a(s, 0);
    ck_assert(!f.api->reset(s, NULL));
    fixture_prefill(&f, s, 8 * P); /* B: fills the session */
    ck_assert(!f.api->reset(s, NULL));
    ck_assert(!f.api->poison(f.engine, NULL));
    answer_same_bits(first, run_a(s, 1));
    fixture_close(&f);
}
END_TEST

START_TEST(poisoned_scratch_changes_no_bit) {
    open(_i % 2, _i / 2 ? OD_CACHE_FIXED : OD_CACHE_OFF);
    od_session *clean = fixture_session(&f, N), *poisoned = fixture_session(&f, N);
    fixture_prefill(&f, clean, 3 * P - 1);
    fixture_own(&f, clean, 2);
    ck_assert(!f.api->poison(f.engine, NULL));
    fixture_prefill(&f, poisoned, 3 * P - 1);
    for (int i = 0; i < 2; i++) {
        ck_assert(!f.api->poison(f.engine, NULL));
        fixture_own(&f, poisoned, 1);
    }
    ck_assert(!f.api->poison(f.engine, NULL)); /* answers are no scratch */
    answer_same_bits(fixture_answer(&f, clean, 0), fixture_answer(&f, poisoned, 1));
    fixture_close(&f);
}
END_TEST

/* Sessions share an engine, one takes turns with another of another length. */
START_TEST(interleaved_sessions_do_not_see_each_other) {
    open(_i % 2, _i / 2 ? OD_CACHE_DYNAMIC : OD_CACHE_OFF);
    od_session *alone = fixture_session(&f, N);
    const answer *want = run_a(alone, 0);
    od_session *a = fixture_session(&f, 7 * P), *b = fixture_session(&f, N);
    fixture_prefill(&f, a, 5 * P);
    fixture_prefill(&f, b, 2 * P - 1);
    fixture_decode(&f, a, 5 * P, 1);
    fixture_own(&f, b, 3);
    f.api->session_close(alone);
    fixture_own(&f, a, 1);
    answer_same_bits(want, fixture_answer(&f, a, 1));
    fixture_close(&f); /* closes what is open */
}
END_TEST

/* Two engines at once, each with threads of its own: OpenBLAS has one number for both. */
START_TEST(each_call_runs_on_its_engine_s_threads) {
    od_options options = od_options_default();
    open(0, OD_CACHE_FIXED);
    od_engine *one = f.engine;
    od_session *a = fixture_session(&f, N);
    options.threads = 3;
    f.engine = NULL; /* lives on beside the next one */
    fixture_engine(&f, &options);
    od_session *b = fixture_session(&f, N);
    for (int i = 0; i < 2; i++) {
        fixture_prefill(&f, b, 5 * P);
        ck_assert_int_eq(openblas_get_num_threads(), 3);
        fixture_prefill(&f, a, 5 * P);
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        fixture_own(&f, b, 1);
        ck_assert_int_eq(openblas_get_num_threads(), 3);
        fixture_own(&f, a, 1);
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        ck_assert(!f.api->reset(a, NULL) && !f.api->reset(b, NULL));
    }
    f.api->destroy(one);
    fixture_close(&f);
}
END_TEST

START_TEST(dynamic_and_fixed_caches_are_one) {
    const answer *answers[2];
    for (int i = 0; i < 2; i++) {
        open(_i, i ? OD_CACHE_FIXED : OD_CACHE_DYNAMIC);
        answers[i] = run_a(fixture_session(&f, N), i);
        fixture_close(&f);
    }
    answer_same_bits(answers[0], answers[1]);
}
END_TEST

static void has_shape(const answer *a, const char *name, size_t rank, size_t n, size_t last) {
    const od_tensor *t;
    answer_find(a, name, &t);
    ck_assert_uint_eq(t->rank, rank);
    ck_assert_uint_eq(t->shape[0], B);
    ck_assert_uint_eq(t->shape[1], V);
    ck_assert_uint_eq(t->shape[2], n);
    if (rank > 3) ck_assert_uint_eq(t->shape[3], last);
    ck_assert_int_eq(t->dtype, strcmp(f.api->name, "ref") == 0 ? OD_F32 : OD_F64);
}

START_TEST(outputs_have_the_interface_s_shapes) {
    open(_i, OD_CACHE_FIXED);
    od_session *s = fixture_session(&f, N);
    fixture_prefill(&f, s, 3 * P - 1); /* padded to 3 patches */
    const answer *a = fixture_answer(&f, s, 0);
    ck_assert_uint_eq(a->n_tensor, 7);
    has_shape(a, "df", 4, 3 * P, 3);
    has_shape(a, "probs", 4, 3 * P, 3);
    has_shape(a, "scaler_loc", 3, 3 * P, 0);
    has_shape(a, "mean", 3, P, 0);
    fixture_own(&f, s, 1);
    a = fixture_answer(&f, s, 0);
    has_shape(a, "scale", 4, P, 3);
    has_shape(a, "scaler_scale", 3, P, 0);
    has_shape(a, "mean", 3, P, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(one_student_t_and_one_scale_a_series) {
    od_config config;
    ck_assert(!od_config_preset(&config, "seed-tiny", NULL));
    fixture_open(&f, fixture_api(_i), &config, OD_CACHE_FIXED, B, V, N);
    od_session *s = fixture_session(&f, N);
    fixture_prefill(&f, s, 2 * P);
    const answer *a = fixture_answer(&f, s, 0);
    ck_assert_uint_eq(a->n_tensor, 6); /* no probs */
    has_shape(a, "df", 3, 2 * P, 0);
    has_shape(a, "scaler_loc", 3, 1, 0);
    has_shape(a, "scaler_scale", 3, 1, 0);
    fixture_close(&f);
}
END_TEST

/* hidden.<i> only when asked for; the last patch's alone after decode, and asking changes nothing else. */
START_TEST(hidden_states_on_request) {
    od_options options = od_options_default();
    open(_i % 2, OD_CACHE_FIXED);
    options.cache = _i / 2 ? OD_CACHE_FIXED : OD_CACHE_OFF;
    fixture_engine(&f, &options);
    const answer *plain = run_a(fixture_session(&f, N), 0);
    options.hidden = true;
    fixture_engine(&f, &options);
    od_session *s = fixture_session(&f, N);
    fixture_prefill(&f, s, 5 * P);
    has_shape(fixture_answer(&f, s, 1), "hidden.5", 4, 5, 32);
    fixture_decode(&f, s, 5 * P, 1);
    fixture_own(&f, s, 1);
    const answer *a = fixture_answer(&f, s, 1);
    ck_assert_uint_eq(a->n_tensor, plain->n_tensor + 6);
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "hidden.%d", i);
        has_shape(a, name, 4, 1, 32);
    }
    ck_assert_mem_eq(a->value, plain->value, plain->n * sizeof *plain->value);
    fixture_close(&f);
}
END_TEST

START_TEST(stats_count_bytes_and_name_the_arithmetic) {
    od_stats before, open_stats, after;
    open(_i, OD_CACHE_FIXED);
    f.api->stats(f.engine, &before);
    od_session *s = fixture_session(&f, N);
    f.api->stats(f.engine, &open_stats);
    ck_assert_uint_gt(open_stats.host_live, before.host_live);
    run_a(s, 0);
    f.api->stats(f.engine, &after);
    ck_assert_uint_eq(after.host_live, open_stats.host_live); /* nothing is allocated inside forward */
    ck_assert_uint_eq(after.host_peak, open_stats.host_peak);
    f.api->session_close(s);
    f.api->stats(f.engine, &after);
    ck_assert_uint_eq(after.host_live, before.host_live);
    ck_assert_str_eq(after.math_mode, _i ? "float64" : "float32");
    ck_assert_ptr_nonnull(strstr(after.device, "OpenBLAS"));
    ck_assert_uint_eq(after.device_peak + after.captures + after.replays + after.fallbacks, 0);
    fixture_close(&f);
}
END_TEST

Suite *suite_session(void) {
    Suite *suite = suite_create("sessions");
    TCase *tc = tcase_create("sessions");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_b_a_gives_the_same_bits, 0, 4);
    tcase_add_loop_test(tc, poisoned_scratch_changes_no_bit, 0, 4);
    tcase_add_loop_test(tc, interleaved_sessions_do_not_see_each_other, 0, 4);
    tcase_add_loop_test(tc, dynamic_and_fixed_caches_are_one, 0, 2);
    tcase_add_test(tc, each_call_runs_on_its_engine_s_threads);
    tcase_add_loop_test(tc, outputs_have_the_interface_s_shapes, 0, 2);
    tcase_add_loop_test(tc, one_student_t_and_one_scale_a_series, 0, 2);
    tcase_add_loop_test(tc, hidden_states_on_request, 0, 4);
    tcase_add_loop_test(tc, stats_count_bytes_and_name_the_arithmetic, 0, 2);
    suite_add_tcase(suite, tc);
    return suite;
}

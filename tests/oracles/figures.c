/* What oracles say of memory, time and modes: numbers and text of rulings on evidence made by hand.
 * reasons.c has those of tensors, figures_consistency.c those of relations. */
#include <stdio.h>

#include "oracles/tolerance.h"
#include "tests/oracles/by_hand.h"

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Bytes live after each of n requests, on the host (or the device); on the other side nothing grows. */
static void live(bool device, const size_t *bytes, size_t n) {
    ev.n_live = n;
    for (size_t i = 0; i < OD_MAX_REPEAT; i++) {
        ev.host_live[i] = ev.device_live[i] = 50;
        (device ? ev.device_live : ev.host_live)[i] = bytes[i < n ? i : n - 1];
    }
}

START_TEST(memory_names_the_request_whose_bytes_grew) {
    for (int device = 0; device <= 1; device++) {
        char reason[200];
        const char *what = device ? "device" : "host";
        live(device, (size_t[]){900, 100, 150, 151}, 4); /* 150 is 1.5 times */
        snprintf(reason, sizeof reason, "%s bytes live after request 4: 151, after the second 100: more than 1.5 times",
                 what);
        finds("memory", "growth", "-", 1.51, 1.5, reason);
        live(device, (size_t[]){0, 0, 1}, 3); /* from nothing: no ratio */
        snprintf(reason, sizeof reason, "%s bytes live after request 3: 1, after the second 0: more than 1.5 times",
                 what);
        finds("memory", "growth", "-", 0, 1.5, reason);
        live(device, (size_t[]){100, 100, 101, 101}, 4); /* between three points: 1, 1/2 and 0 */
        snprintf(reason, sizeof reason, "%s bytes live grow by 0.5 with each identical request", what);
        finds("memory", "slope", "-", 0.5, 0, reason);
        live(device, (size_t[]){0, 0, 0}, 3);
        ck_assert_int_eq(ask("memory")->outcome, OD_PASS);
        live(device, (size_t[]){9, 1, 1}, 3);
        ck_assert_int_eq(ask("memory")->outcome, OD_PASS);
        live(device, (size_t[]){9, 2, 1, 1}, 4); /* it may shrink */
        ck_assert_int_eq(ask("memory")->outcome, OD_PASS);
    }
}
END_TEST

START_TEST(memory_says_what_a_witness_saw) {
    for (int w = 0; w < OD_WITNESSES; w++) {
        char reason[400];
        setup();
        ev.witnessed.n = OD_WITNESS_REPEAT;
        for (size_t i = 0; i < OD_WITNESS_REPEAT; i++) ev.witnessed.bytes[w][i] = 7 + 10000 * i;
        snprintf(reason, sizeof reason,
                 "%s: 10000 bytes more with each identical request, at least 10000 (99.9 %% confidence, 16 requests, 7 "
                 "to 150007), which the engine's own counters do not show%s",
                 od_witness_name((enum od_witness)w),
                 w == OD_WITNESS_DEVICE ? "; it counts what others take, too: OD_SHARED_DEVICE=1 where there are any"
                                        : "");
        finds("memory", "slope", "-", 10000, 256, reason);
    }
}
END_TEST

/* Timings stand behind the witnesses' bytes in the evidence, and grow here. */
START_TEST(memory_takes_no_timings_for_bytes) {
    ev.witnessed.n = OD_WITNESS_REPEAT;
    ev.n_pair = OD_MAX_PAIR;
    ev.per_pair = 1000000;
    for (int i = 0; i < OD_MAX_PAIR; i++) ev.fast_seconds[i] = i + 1;
    ck_assert_int_ne(ask("memory")->outcome, OD_FINDING);
}
END_TEST

static void peaks(size_t host, size_t device, size_t plain_host, size_t plain_device) {
    live(false, (size_t[]){50, 50, 50}, 3);
    ev.plain_run.ran = true;
    ev.fast_stats = (od_stats){.host_peak = host, .device_peak = device};
    ev.plain_stats = (od_stats){.host_peak = plain_host, .device_peak = plain_device};
}

START_TEST(memory_says_whose_peak_exceeds_and_by_how_much) {
    peaks(0, 151, 500, 100);
    finds("memory", "peak", "-", 1.51, 1.5, "device peak of 151 bytes, plain path 100: more than 1.5 times");
    peaks(1000, 100, 500, 100); /* 1100 over 600 */
    finds("memory", "peak", "-", 1100.0 / 600, 1.5,
          "host and device peak of 1100 bytes, plain path 600: more than 1.5 times");
    peaks(0, 2, 0, 1);
    finds("memory", "peak", "-", 2, 1.5, "device peak of 2 bytes, plain path 1: more than 1.5 times");
    peaks(0, 1, 10, 0); /* over nothing: no ratio */
    finds("memory", "peak", "-", 0, 1.5, "device peak of 1 bytes, plain path 0: more than 1.5 times");
}
END_TEST

START_TEST(memory_passes_with_the_larger_of_both_ratios) {
    peaks(100, 120, 100, 100); /* 1.2; 220 over 200 */
    is("memory", OD_PASS, "");
    ck_assert_double_eq(r.value, 1.2);
    ck_assert_double_eq(r.bound, 1.5);
    peaks(130, 100, 100, 100); /* 1; 230 over 200 */
    is("memory", OD_PASS, "");
    ck_assert_double_eq(r.value, 1.15);
    peaks(0, 1, 0, 1); /* one byte is something */
    is("memory", OD_PASS, "");
    ck_assert_double_eq(r.value, 1);
}
END_TEST

START_TEST(memory_that_nobody_counts_is_no_pass) {
    static const struct {
        size_t fast, plain;
        bool counts;
    } table[] = {{0, 0, false}, {0, 100, false}, {1, 100, true}, {1, 1, true}, {2, 2, true}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (int device = 0; device <= 1; device++) {
            peaks(device ? 0 : table[i].fast, device ? table[i].fast : 0, device ? 0 : table[i].plain,
                  device ? table[i].plain : 0);
            is("memory", table[i].counts ? OD_PASS : OD_INCONCLUSIVE,
               table[i].counts ? "" : "the engine counts no memory");
        }
    ev.plain_run.ran = false;
    is("memory", OD_PASS, "memory growth only: the case asks for the plain path itself");
    ev.n_live = 2;
    is("memory", OD_INCONCLUSIVE, "fewer than three requests on one engine");
}
END_TEST

/* ---- speed ------------------------------------------------------------------------------------------------------- */

static void pairs(const double *ratio, size_t n) {
    ev.n_pair = n;
    for (size_t i = 0; i < n; i++) {
        ev.plain_seconds[i] = (double)(i + 1); /* of pairs that took unequally long */
        ev.fast_seconds[i] = ratio[i] * ev.plain_seconds[i];
    }
}

/* Dyadic ratios, so that a median of two is exact. */
START_TEST(speed_says_median_best_and_worst) {
    pairs((double[]){1.5, 0.5, 1, 1.75}, 4);
    is("speed", OD_PASS, "fast/plain 1.25 (median of 4 pairs, 0.5 to 1.75)");
    ck_assert_double_eq(r.value, 1.25);
    ck_assert_double_eq(r.bound, 2);
    pairs((double[]){8, 0.5, 1.5, 1.75, 1}, 5);
    is("speed", OD_PASS, "fast/plain 1.5 (median of 5 pairs, 0.5 to 8)");
    pairs((double[]){8, 4, 2.5, 3}, 4);
    finds("speed", "slow", "-", 3.5, 2,
          "3.5 times slower than the plain path (median of 4 pairs; the best of them 2.5)");
    pairs((double[]){8, 1, 3}, 3);
    is("speed", OD_INCONCLUSIVE, "fast/plain 3, but from 1 to 8 over 3 pairs: too noisy");
    ck_assert_double_eq(r.value, 3);
    ck_assert_double_eq(r.bound, 2);
    pairs((double[]){1.5}, 1);
    is("speed", OD_PASS, "fast/plain 1.5 (median of 1 pairs, 1.5 to 1.5)");
}
END_TEST

/* Three quarters of the pairs must be within the bound: of 4 pairs 3, of 7 pairs 6, of 8 pairs 6. */
START_TEST(speed_passes_where_three_quarters_are_within_the_bound) {
    static const size_t table[][2] = {{4, 1}, {5, 1}, {7, 1}, {8, 2}, {12, 3}, {15, 3}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const size_t n = table[i][0], may = table[i][1];
        double ratio[OD_MAX_PAIR];
        for (size_t k = 0; k < n; k++) ratio[k] = k < may ? 3 : 1;
        pairs(ratio, n);
        ck_assert_int_eq(ask("speed")->outcome, OD_PASS);
        ratio[may] = 3;
        pairs(ratio, n);
        ck_assert_int_eq(ask("speed")->outcome, OD_INCONCLUSIVE);
    }
}
END_TEST

START_TEST(speed_says_why_nothing_was_timed) {
    is("speed", OD_INCONCLUSIVE, "nothing was timed");
    ev.fast_stats.emulated = c.options.fused = true;
    is("speed", OD_SKIPPED, "fused kernels on an emulated device: how long they take there says nothing");
    ev.fast_stats.rolled_back = true;
    is("speed", OD_SKIPPED, "OD_DISABLE_FAST rolled the engine back: both are the plain path");
    ev.plain_is_fast = true;
    is("speed", OD_SKIPPED, "the case asks for the plain path itself");
}
END_TEST

/* ---- vacuity ----------------------------------------------------------------------------------------------------- */

START_TEST(vacuity_says_what_was_not_done) {
    ev.fast_end = (od_stats){.captures = 2};
    finds("vacuity", "graph", "-", 0, 1, "graphs were asked for, none was replayed (2 captured)");
    ev.fast_end.replays = 1;
    finds("vacuity", "cache", "-", 0, 1, "a fixed cache was asked for, no decode call used it");
    ev.fast_end.cache_hits = 1;
    ev.probe = (od_probe){.n = 46, .n_dead = 2, .dead = "layers.0.norm", .share = 1.5};
    finds(
        "vacuity", "weights", "-", 0, 1,
        "layers.0.norm is not read: changed, it moves the reference's answers by 1.5 contracts, the fast path's by no "
        "bit (2 of 46 tensors are like that)");
    ev.probe.n_dead = 1;
    ck_assert_int_eq(ask("vacuity")->outcome, OD_FINDING);
    ev.probe = (od_probe){.status = OD_NO_MEMORY, .error = {.text = "no room"}};
    is("vacuity", OD_INCONCLUSIVE, "weights were not all probed: no room");
    ev.probe = (od_probe){0};
    is("vacuity", OD_PASS, "");
    ev.fast_end.fallbacks = 1;
    is("vacuity", OD_PASS, "1 calls fell back: they left the fast path that the options ask for");
}
END_TEST

/* Each call replays a graph or says that it fell back. */
START_TEST(vacuity_misses_calls_that_did_neither) {
    ev.fast_end = (od_stats){.replays = 9, .cache_hits = 1};
    ev.fast.n_call = 5;
    ev.fast_stats = (od_stats){.replays = 3, .fallbacks = 1};
    finds("vacuity", "graph", "-", 4, 5,
          "of 5 calls 3 replayed a graph and 1 are said to have fallen back: the others left the fast path in silence");
    ev.fast_stats.fallbacks = 2;
    is("vacuity", OD_PASS, "");
    ev.fast_stats.fallbacks = 0;
    c.options.graph = false;
    is("vacuity", OD_PASS, "");
    c.options.graph = true;
    given.fast = fake_ref(); /* cannot recapture */
    is("vacuity", OD_PASS, "");
    ev.fast_end.math_mode = "float32";
    is("vacuity", OD_PASS, "");
    ev.fast_end.math_mode = "?";
    is("vacuity", OD_INCONCLUSIVE, "what the fast path counted could not be asked");
}
END_TEST

/* One layer that looks back in time has keys to keep. */
START_TEST(vacuity_asks_for_the_cache_of_a_single_layer) {
    ev.fast_end.replays = 1;
    model.config.n_layer = 2;
    model.config.space_every = 2;
    ck_assert_uint_eq(od_config_time_layers(&model.config), 1);
    finds("vacuity", "cache", "-", 0, 1, "a fixed cache was asked for, no decode call used it");
    model.config.space_every = 1;
    is("vacuity", OD_PASS, "");
}
END_TEST

START_TEST(vacuity_says_what_was_not_compared) {
    ev.fast_end = (od_stats){.replays = 1, .cache_hits = 1};
    c.only_scaler = true;
    finds("vacuity", "scaler", "-", 0, 46,
          "only the scaler's loc and scale are compared, which are statistics of the series: none of the model's 46 "
          "weight tensors has a say in them");
    ev.all_zero = true;
    finds("vacuity", "zero", "-", 0, 0, "every value compared is zero on both sides");
    ev.n_compared = 0;
    is("vacuity", OD_INCONCLUSIVE, "nothing was compared");
    setup();
    ev.fast_end = (od_stats){.replays = 1, .cache_hits = 1};
    ev.n_compared = 1;
    is("vacuity", OD_PASS, "");
}
END_TEST

START_TEST(vacuity_is_open_where_the_engine_was_rolled_back_from_what_was_asked) {
    for (int asked = 0; asked < 4; asked++) {
        setup();
        ev.fast_end = (od_stats){.rolled_back = true, .replays = 1, .cache_hits = 1};
        c.options.graph = asked == 1;
        c.options.fused = asked == 2;
        c.options.autotune = asked == 3;
        is("vacuity", asked ? OD_INCONCLUSIVE : OD_PASS,
           asked ? "OD_DISABLE_FAST rolled the engine back: what the case asks for was not run" : "");
        ev.fast_end.rolled_back = false;
        is("vacuity", OD_PASS, "");
    }
}
END_TEST

/* ---- captures ---------------------------------------------------------------------------------------------------- */

/* The case's limit is 8; a schedule with a re-capture may have 8 more each time that it is played. */
START_TEST(captures_say_how_many_and_how_many_may_be) {
    ev.n_live = 2;
    ev.n_played = 3;
    ev.fast_stats.captures = ev.fast_end.captures = 9;
    finds("captures", "limit", "-", 9, 8, "9 graphs were captured, 8 may be: a limit of 8, 0 re-captures asked for");
    ev.fast_stats.captures = 2;
    ev.fast_end.captures = 5;
    finds("captures", "again", "-", 3, 0, "3 graphs were captured for a schedule that was played before");
    c.op[c.n_op++] = (od_op){.kind = OD_OP_RECAPTURE};
    ev.fast_end.captures = 6; /* twice as many again in two further plays */
    is("captures", OD_PASS, "");
    ev.fast_end.captures = 7;
    finds("captures", "again", "-", 5, 4, "5 graphs were captured for a schedule that was played before");
    ev.fast_stats.captures = 32; /* 8 and 3 times 8 */
    ev.fast_end.captures = 32;
    is("captures", OD_PASS, "");
    ev.fast_end.captures = 33;
    finds("captures", "limit", "-", 33, 32,
          "33 graphs were captured, 32 may be: a limit of 8, 3 re-captures asked for");
    ev.n_played = 0; /* what was played once is one play */
    finds("captures", "limit", "-", 33, 16,
          "33 graphs were captured, 16 may be: a limit of 8, 1 re-captures asked for");
    ev.fast_stats.captures = ev.fast_end.captures = 16;
    is("captures", OD_PASS, "");
}
END_TEST

/* Wherever it stands in the schedule; what stands behind its end is none of it. */
START_TEST(captures_count_the_recaptures_of_the_schedule) {
    const unsigned n = c.n_op;
    ev.n_live = 2;
    ev.n_played = 1;
    ev.fast_stats.captures = ev.fast_end.captures = 99;
    c.op[n].kind = OD_OP_RECAPTURE;
    ask("captures");
    ck_assert_double_eq(r.bound, 8);
    for (unsigned at = 0; at <= n; at++) {
        setup();
        ev.n_live = 2;
        ev.n_played = 1;
        ev.fast_stats.captures = ev.fast_end.captures = 99;
        c.n_op = n + 1;
        c.op[n] = c.op[at];
        c.op[at] = (od_op){.kind = OD_OP_RECAPTURE};
        ask("captures");
        ck_assert_double_eq(r.bound, 16);
    }
}
END_TEST

/* Three waits a call and one for the reading; a KiB a call and twice the windows: the case's two rows of a context of
 * 8 steps and two fed patches of 4, 9 bytes each, are 288 bytes. What the patch of its own answer takes is nobody's. */
START_TEST(captures_hold_waits_and_copies_to_what_calls_need) {
    ev.n_live = 2;
    ev.fast.n_call = 4;
    ev.waits[0] = 100;
    ev.copied[0] = 1000;
    ev.waits[1] = 100 + 13;
    c.op[c.n_op] = (od_op){.kind = OD_OP_PREFILL, .steps = 100}; /* behind the schedule's end */
    for (unsigned steps = 5; steps <= 8; steps++) {              /* in whole patches */
        c.op[0].steps = steps;
        ev.copied[1] = 1000 + 4 * 1024 + 2 * 288;
        is("captures", OD_PASS, "");
        ev.copied[1]++;
        finds("captures", "copies", "-", 4673, 4672,
              "4 calls copied 4673 bytes to the device, what they are given needs at most 4672: is it the weights?");
    }
    c.op[0].steps = 9; /* 12 */
    ev.copied[1] = 1000 + 4 * 1024 + 2 * 360;
    is("captures", OD_PASS, "");
    ev.copied[1]++;
    ck_assert_int_eq(ask("captures")->outcome, OD_FINDING);
    ev.waits[1]++;
    finds("captures", "waits", "-", 14, 13,
          "4 calls waited 14 times for the device, at most 13 may be: is it waited for once a layer?");
    ev.n_live = 1; /* there was no second play */
    is("captures", OD_INCONCLUSIVE, "the schedule was not played again");
}
END_TEST

START_TEST(captures_say_why_there_is_nothing_to_judge) {
    is("captures", OD_INCONCLUSIVE, "the schedule was not played again");
    ev.n_live = 1;
    is("captures", OD_INCONCLUSIVE, "the schedule was not played again");
    ev.n_live = 2;
    is("captures", OD_PASS, "");
    given.fast = fake_ref(); /* cannot recapture */
    is("captures", OD_SKIPPED, "the engine has no graphs");
    c.options.graph = false;
    is("captures", OD_SKIPPED, "the case asks for plain launches");
    given.fast = fake_fast();
    is("captures", OD_SKIPPED, "the case asks for plain launches");
}
END_TEST

Suite *suite_figures(void) {
    Suite *s = suite_create("figures");
    TCase *t = tcase_create("figures");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, memory_names_the_request_whose_bytes_grew);
    tcase_add_test(t, memory_says_what_a_witness_saw);
    tcase_add_test(t, memory_takes_no_timings_for_bytes);
    tcase_add_test(t, memory_says_whose_peak_exceeds_and_by_how_much);
    tcase_add_test(t, memory_passes_with_the_larger_of_both_ratios);
    tcase_add_test(t, memory_that_nobody_counts_is_no_pass);
    tcase_add_test(t, speed_says_median_best_and_worst);
    tcase_add_test(t, speed_passes_where_three_quarters_are_within_the_bound);
    tcase_add_test(t, speed_says_why_nothing_was_timed);
    tcase_add_test(t, vacuity_says_what_was_not_done);
    tcase_add_test(t, vacuity_misses_calls_that_did_neither);
    tcase_add_test(t, vacuity_asks_for_the_cache_of_a_single_layer);
    tcase_add_test(t, vacuity_says_what_was_not_compared);
    tcase_add_test(t, vacuity_is_open_where_the_engine_was_rolled_back_from_what_was_asked);
    tcase_add_test(t, captures_say_how_many_and_how_many_may_be);
    tcase_add_test(t, captures_count_the_recaptures_of_the_schedule);
    tcase_add_test(t, captures_hold_waits_and_copies_to_what_calls_need);
    tcase_add_test(t, captures_say_why_there_is_nothing_to_judge);
    suite_add_tcase(s, t);
    return s;
}

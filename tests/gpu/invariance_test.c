/* What must not change a bit: the batch around a row, the room in a session, sessions before, beside and larger than
 * it, graph or plain launches, how a cache is kept, and other groups' values. For every model and for every mode that
 * the engine takes; how a bit comes about is for other tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/request.h"
#include "tests/gpu/suites.h"

enum { MODELS = 4, MODES = 6 }; /* toto-open-base is left to requests_test.c */

static od_config config;
static od_options options;
static od_model *model;
static od_engine *engine, *other;
static char about[96];

/* The sanitizers look for what the bits do not show: they get of each model but the largest every other mode, by turns;
 * of the largest, so does the twin. */
static bool is_left_out(int i) {
    const bool largest = i / MODES == 3, odd = (i + i / MODES) % 2;
    return TEST_SANITIZED ? largest || odd : test_device()->emulated && largest && odd;
}

/* Model _i / MODES in mode _i % MODES; false where the engine does not take it. */
static bool prepare(int i) {
    char mode[64];
    const char *name = test_config(&config, (unsigned)i / MODES);
    ck_assert(name && test_options(&options, mode, sizeof mode, (unsigned)i % MODES));
    snprintf(about, sizeof about, "%s %s", name, mode);
    model = NULL;
    engine = other = NULL;
    if (!test_can(&config, &options) || is_left_out(i)) return false;
    model = test_model(&config, 7);
    engine = test_engine_of(model, &options);
    return true;
}

static void finish(void) {
    test_engine()->destroy(engine);
    test_engine()->destroy(other);
    od_model_destroy(model);
    engine = other = NULL;
    model = NULL;
}

static request small(uint64_t seed) {
    return (request){.batch = 2,
                     .variates = 3,
                     .steps = 5 * config.patch + 1,
                     .patches = 4,
                     .own = 0xc,
                     .missing = true,
                     .groups = 2,
                     .seed = seed};
}

/* Batch 1 against 2 … 64: the first row, the last one and one between. */
START_TEST(a_row_does_not_depend_on_the_batch_around_it) {
    static const size_t batches[] = {2, 3, 5, 8, 16, 17, 33, 64};
    if (!prepare(_i)) return;
    for (size_t k = 0; k < sizeof batches / sizeof batches[0]; k++) {
        if (TEST_SANITIZED && k % 4 != 1) continue;
        if (test_device()->emulated && _i / MODES == 3 && k % 3 != 1) continue; /* the largest model, on a CPU */
        request r = small(100 + k);
        r.batch = batches[k];
        if (k > 2) { /* many rows: few patches of each */
            r.steps = 2 * config.patch;
            r.patches = 2;
            r.own = 2;
        }
        const long rows[] = {0, (long)r.batch / 2, (long)r.batch - 1};
        series s;
        player whole, alone[3];
        series_make(&s, &r, config.patch);
        player_open(&whole, engine, &r, &s, -1);
        for (int i = 0; i < 3; i++) player_open(&alone[i], engine, &r, &s, rows[i]);
        while (!player_done(&whole)) {
            player_call(&whole);
            for (int i = 0; i < 3; i++) {
                player_call(&alone[i]);
                same_outputs(&alone[i], &whole, about);
            }
        }
        for (int i = 0; i < 3; i++) player_close(&alone[i]);
        player_close(&whole);
        series_free(&s);
    }
    finish();
}
END_TEST

/* Several tiles of keys, in buckets that differ: a tile must not follow from the bucket. Batch 1 against 5 and 9. */
START_TEST(a_long_row_does_not_depend_on_the_batch_around_it) {
    if (!prepare(_i)) return;
    for (size_t batch = 5; batch <= 9; batch += 4) {
        request r = {
            .batch = batch, .variates = 1, .steps = 67 * config.patch, .patches = 2, .groups = 1, .seed = batch};
        series s;
        player whole, alone;
        if (batch == 9) r.steps = 131 * config.patch;
        if (options.cache == OD_CACHE_OFF || (TEST_SANITIZED && batch == 9)) r.patches = 1;
        series_make(&s, &r, config.patch);
        player_open(&whole, engine, &r, &s, -1);
        player_open(&alone, engine, &r, &s, (long)batch - 2);
        while (!player_done(&whole)) {
            player_call(&whole);
            player_call(&alone);
            same_outputs(&alone, &whole, about);
        }
        player_close(&alone);
        player_close(&whole);
        series_free(&s);
    }
    finish();
}
END_TEST

/* More room, more bucket: 1 … 70 patches beside what is needed. */
START_TEST(room_in_a_session_changes_nothing) {
    static const size_t spare[] = {1, 3, 10, 26, 70};
    if (!prepare(_i)) return;
    request r = small(1);
    const uint64_t want = request_hash(engine, &r, config.patch);
    for (size_t k = 0; k < sizeof spare / sizeof spare[0]; k++) {
        r.spare = spare[k] * config.patch;
        ck_assert_msg(request_hash(engine, &r, config.patch) == want, "%s: %zu patches to spare", about, spare[k]);
    }
    finish();
}
END_TEST

/* An open session goes on after a larger one made the engine's scratch grow; a new one of the same size answers alike.
 */
START_TEST(a_larger_session_changes_nothing) {
    if (!prepare(_i)) return;
    const request r = small(2);
    request large = small(3);
    series s;
    player before;
    large.batch = 5;
    large.steps = 30 * config.patch;
    const uint64_t want = request_hash(engine, &r, config.patch);
    uint64_t hash = 0;
    series_make(&s, &r, config.patch);
    player_open(&before, engine, &r, &s, -1);
    for (int i = 0; !player_done(&before); i++) {
        player_call(&before);
        hash = outputs_hash(&before, hash);
        if (i == 1) request_hash(engine, &large, config.patch);
    }
    player_close(&before);
    series_free(&s);
    ck_assert_msg(hash == want, "%s: a session that was open", about);
    ck_assert_msg(request_hash(engine, &r, config.patch) == want, "%s: a session behind it", about);
    finish();
}
END_TEST

/* A, B, A on one engine, where B differs in every size; and A on a new engine. */
START_TEST(what_was_computed_before_changes_nothing) {
    if (!prepare(_i)) return;
    const request a = small(4);
    request b = small(5);
    b.batch = 1;
    b.variates = 2;
    b.steps = 9 * config.patch + 2;
    b.patches = 1;
    const uint64_t want = request_hash(engine, &a, config.patch), between = request_hash(engine, &b, config.patch);
    ck_assert_msg(request_hash(engine, &a, config.patch) == want, "%s: A-B-A", about);
    other = test_engine_of(model, &options);
    ck_assert_msg(request_hash(other, &b, config.patch) == between, "%s: B first", about);
    ck_assert_msg(request_hash(other, &a, config.patch) == want, "%s: A behind it", about);
    finish();
}
END_TEST

/* Three sessions call by call, two of them of one shape, against each alone. */
START_TEST(interleaved_sessions_answer_as_separate_ones) {
    if (!prepare(_i)) return;
    request r[3] = {small(6), small(7), small(8)};
    series s[3];
    player p[3];
    uint64_t hash[3] = {0};
    r[2].batch = 1;
    r[2].variates = 5;
    r[2].steps = 2;
    r[2].patches = 6;
    for (int i = 0; i < 3; i++) {
        series_make(&s[i], &r[i], config.patch);
        player_open(&p[i], engine, &r[i], &s[i], -1);
    }
    for (bool busy = true; busy;) {
        busy = false;
        for (int i = 0; i < 3; i++) {
            if (player_done(&p[i])) continue;
            player_call(&p[i]);
            hash[i] = outputs_hash(&p[i], hash[i]);
            busy = true;
        }
    }
    for (int i = 0; i < 3; i++) {
        player_close(&p[i]);
        series_free(&s[i]);
        ck_assert_msg(request_hash(engine, &r[i], config.patch) == hash[i], "%s: session %d", about, i);
    }
    finish();
}
END_TEST

/* Graph against plain launches; with a cache also a growing against a fixed one. Each case differs in its sizes. */
START_TEST(how_it_is_launched_and_cached_changes_nothing) {
    static const size_t sizes[][3] = {{1, 1, 1}, {2, 4, 8}, {3, 1, 33}, {1, 7, 12}}; /* batch, variates, patches */
    if (!prepare(_i)) return;
    od_options variant = options;
    variant.graph = false;
    for (int way = 0; way < 2; way++) {
        other = test_engine_of(model, &variant);
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            request r = small(20 + k);
            r.batch = sizes[k][0];
            r.variates = sizes[k][1];
            r.steps = sizes[k][2] * config.patch;
            ck_assert_msg(request_hash(engine, &r, config.patch) == request_hash(other, &r, config.patch),
                          "%s: %s, %zu", about, way ? "dynamic cache" : "plain launches", k);
        }
        if (options.graph) ck_assert_uint_gt(test_stats(engine).replays, 0);
        ck_assert_uint_eq(test_stats(other).replays > 0, variant.graph);
        test_engine()->destroy(other);
        other = NULL;
        variant = options;
        variant.cache = OD_CACHE_DYNAMIC;
        if (options.cache != OD_CACHE_FIXED || !test_can(&config, &variant)) break;
    }
    finish();
}
END_TEST

/* Variates of group 0 do not see what those of group 1 hold. */
START_TEST(other_groups_change_nothing) {
    if (!prepare(_i)) return;
    request r = small(9);
    series s, changed;
    player a, b;
    r.batch = 1;
    r.variates = 4;
    r.missing = false;
    series_make(&s, &r, config.patch);
    series_make(&changed, &r, config.patch);
    for (size_t i = 0; i < r.variates * s.stride; i++)
        if (s.id[i] == 1) changed.value[i] = 3 - 2 * s.value[i];
    player_open(&a, engine, &r, &s, -1);
    player_open(&b, engine, &r, &changed, -1);
    while (!player_done(&a)) {
        od_outputs x, y;
        bool moved = false;
        player_call(&a);
        player_call(&b);
        ck_assert(!test_engine()->outputs(a.session, &x, NULL) && !test_engine()->outputs(b.session, &y, NULL));
        for (size_t i = 0; i < x.n_tensor; i++) {
            const size_t bytes = od_tensor_size(&x.tensor[i]) / r.variates * sizeof(float);
            for (size_t v = 0; v < r.variates; v++) {
                const bool same = memcmp((const char *)x.tensor[i].data + v * bytes,
                                         (const char *)y.tensor[i].data + v * bytes, bytes) == 0;
                if (v % 2 == 0) ck_assert_msg(same, "%s: %s of variate %zu", about, x.tensor[i].name, v);
                moved = moved || !same;
            }
        }
        ck_assert(moved);
    }
    player_close(&a);
    player_close(&b);
    series_free(&s);
    series_free(&changed);
    finish();
}
END_TEST

Suite *suite_invariance(void) {
    Suite *suite = suite_create("invariance");
    TCase *tc = tcase_create("invariance");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, a_row_does_not_depend_on_the_batch_around_it, 0, MODELS * MODES);
    tcase_add_loop_test(tc, a_long_row_does_not_depend_on_the_batch_around_it, 0, MODELS * MODES);
    tcase_add_loop_test(tc, room_in_a_session_changes_nothing, 0, MODELS * MODES);
    tcase_add_loop_test(tc, a_larger_session_changes_nothing, 0, MODELS * MODES);
    tcase_add_loop_test(tc, what_was_computed_before_changes_nothing, 0, MODELS * MODES);
    tcase_add_loop_test(tc, interleaved_sessions_answer_as_separate_ones, 0, MODELS * MODES);
    tcase_add_loop_test(tc, how_it_is_launched_and_cached_changes_nothing, 0, MODELS * MODES);
    tcase_add_loop_test(tc, other_groups_change_nothing, 0, MODELS * MODES);
    suite_add_tcase(suite, tc);
    return suite;
}

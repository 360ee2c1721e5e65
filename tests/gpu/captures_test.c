/* Graphs and how many of them there may be: buckets of shapes, the limit of captures, and re-captures. */
#include "tests/gpu/request.h"
#include "tests/gpu/suites.h"

static od_error err;

/* Tokens 1 to 64 fall into two buckets, whatever they are made of; a decode step is a bucket of its own. */
START_TEST(a_bucket_has_one_graph) {
    static const struct {
        size_t batch, variates, steps, captures;
    } calls[] = {{1, 1, 4, 2}, {1, 8, 4, 2}, {2, 4, 4, 2},  {1, 2, 16, 2}, {1, 3, 12, 3}, {4, 2, 32, 3},
                 {2, 1, 4, 3}, {1, 9, 4, 4}, {2, 32, 4, 4}, {1, 64, 4, 4}, {1, 1, 4, 4}};
    od_model *model = test_tiny();
    od_options options = od_options_default();
    options.fused = true;
    od_engine *en = test_engine_of(model, &options);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const request r = {.batch = calls[i].batch,
                           .variates = calls[i].variates,
                           .steps = calls[i].steps,
                           .patches = 1,
                           .groups = 1,
                           .seed = i};
        player p;
        series s;
        player_play(&p, &s, en, &r, model->config.patch);
        ck_assert_msg(test_stats(en).captures == calls[i].captures, "call %zu: %llu captures, not %zu", i,
                      (unsigned long long)test_stats(en).captures, calls[i].captures);
        player_close(&p);
        series_free(&s);
    }
    ck_assert_uint_eq(test_stats(en).fallbacks, 0);
    test_engine()->destroy(en);
    od_model_destroy(model);
}
END_TEST

/* Prefills leave three captures of eight to decode steps (one of three), whichever come first. */
START_TEST(prefills_leave_captures_to_decode_steps) {
    static const size_t variates[] = {1, 9, 65}; /* three buckets */
    od_model *model = test_tiny();
    od_options options = od_options_default();
    options.fused = true;
    options.captures = 3;
    od_engine *en = test_engine_of(model, &options);
    for (size_t i = 0; i < 3; i++) {
        const request r = {.batch = 1, .variates = variates[i], .steps = 4, .patches = 0, .groups = 1, .seed = i};
        player p;
        series s;
        player_play(&p, &s, en, &r, model->config.patch);
        player_close(&p);
        series_free(&s);
    }
    ck_assert_uint_eq(test_stats(en).captures, 2);
    ck_assert_uint_eq(test_stats(en).fallbacks, 1);
    const request r = {.batch = 1, .variates = 1, .steps = 4, .patches = 2, .groups = 1, .seed = 9};
    request_hash(en, &r, model->config.patch);
    ck_assert_uint_eq(test_stats(en).captures, 3);
    ck_assert_uint_eq(test_stats(en).fallbacks, 1);
    ck_assert_uint_eq(test_stats(en).replays, 2 + 3);
    test_engine()->destroy(en);
    od_model_destroy(model);
}
END_TEST

/* One graph was asked for: what comes second runs as plain launches and counts as such. _i: fused off, on. */
START_TEST(no_more_graphs_than_asked_for) {
    const request r = {.batch = 1, .variates = 2, .steps = 9, .patches = 3, .groups = 1, .seed = 5};
    od_model *model = test_tiny();
    od_options options = od_options_default();
    options.fused = _i;
    options.captures = 1;
    od_engine *en = test_engine_of(model, &options);
    request_hash(en, &r, model->config.patch);
    ck_assert_uint_eq(test_stats(en).captures, 1);
    ck_assert_uint_eq(test_stats(en).replays, 1);
    ck_assert_uint_eq(test_stats(en).fallbacks, 3);
    test_engine()->destroy(en);
    od_model_destroy(model);
}
END_TEST

/* Graphs that were dropped on request count no more, those of prefills neither. */
START_TEST(a_recapture_gives_all_captures_back) {
    const request r = {.batch = 1, .variates = 2, .steps = 9, .patches = 2, .groups = 1, .seed = 5};
    od_model *model = test_tiny();
    od_options options = od_options_default();
    options.fused = true;
    options.captures = 3;
    od_engine *en = test_engine_of(model, &options);
    const uint64_t want = request_hash(en, &r, model->config.patch);
    for (size_t round = 1; round <= 7; round++) {
        ck_assert_uint_eq(test_stats(en).captures, 2 * round);
        ck_assert_uint_eq(test_stats(en).replays, 3 * round);
        ck_assert(!test_engine()->recapture(en, &err));
        ck_assert(request_hash(en, &r, model->config.patch) == want);
    }
    ck_assert_uint_eq(test_stats(en).fallbacks, 0);
    test_engine()->destroy(en);
    od_model_destroy(model);
}
END_TEST

Suite *suite_captures(void) {
    Suite *suite = suite_create("captures");
    TCase *tc = tcase_create("captures");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_bucket_has_one_graph);
    tcase_add_test(tc, prefills_leave_captures_to_decode_steps);
    tcase_add_loop_test(tc, no_more_graphs_than_asked_for, 0, 2);
    tcase_add_test(tc, a_recapture_gives_all_captures_back);
    suite_add_tcase(suite, tc);
    return suite;
}

/* Many requests on one engine, as a server makes them: random ones against plain launches, ten thousand equal ones
 * against the memory after the second, one that is far too large. OD_TEST_REQUESTS sets how many random ones there are,
 * and OD_TEST_SEED which; a line a model says what came of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/request.h"
#include "tests/gpu/suites.h"

static od_config config;
static od_options options;
static od_model *model;
static od_engine *engine, *plain;
static char about[96];
static od_error err;

/* Model and mode by number (request.h), and an engine of it; false where the engine does not take it. */
static bool prepare(unsigned number, unsigned mode) {
    char text[64];
    const char *name = test_config(&config, number);
    ck_assert(name && test_options(&options, text, sizeof text, mode));
    snprintf(about, sizeof about, "%s %s", name, text);
    if (!test_can(&config, &options)) return false;
    model = test_model(&config, 7);
    engine = test_engine_of(model, &options);
    return true;
}

static void setup(void) {
    model = NULL;
    engine = plain = NULL;
}

static void finish(void) {
    test_engine()->destroy(engine);
    test_engine()->destroy(plain);
    od_model_destroy(model);
    setup();
}

static bool on_device(void) {
    return !test_device()->emulated;
}

static uint64_t from_environment(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- random requests --------------------------------------------------------------------------------------------- */

typedef struct account {
    size_t requests, pairs, calls, decodes, replayed, rows;
    size_t live_first, live, peak;
    double seconds;
} account;

/* One request on both engines, and perhaps one element of its batch alone on the first. */
typedef struct lane {
    request r;
    series s;
    player fast, plain, row;
    bool has_row;
} lane;

static void lane_open(lane *l, od_rng *rng, const request *r) {
    l->r = *r;
    l->has_row = od_rng_range(rng, 0, 1) == 0;
    series_make(&l->s, &l->r, config.patch);
    player_open(&l->fast, engine, &l->r, &l->s, -1);
    player_open(&l->plain, plain, &l->r, &l->s, -1);
    if (l->has_row) player_open(&l->row, engine, &l->r, &l->s, (long)od_rng_range(rng, 0, r->batch - 1));
}

static void lane_call(lane *l, account *a) {
    const bool decodes = l->fast.next > 0;
    const uint64_t before = decodes ? test_stats(engine).replays : 0;
    player_call(&l->fast);
    a->calls++;
    a->decodes += decodes;
    if (decodes) a->replayed += test_stats(engine).replays > before;
    player_call(&l->plain);
    same_outputs(&l->fast, &l->plain, about);
    if (!l->has_row) return;
    player_call(&l->row);
    same_outputs(&l->row, &l->fast, about);
    a->rows++;
}

static void lane_close(lane *l) {
    player_close(&l->fast);
    player_close(&l->plain);
    if (l->has_row) player_close(&l->row);
    series_free(&l->s);
}

/* The first two requests, together, are as large as any: what follows has no reason to take more memory. */
static account serve(const request_range *range, size_t n, uint64_t seed) {
    static lane lanes[2];
    od_rng rng = od_rng_make(seed, 1);
    account a = {0};
    const double start = test_seconds();
    while (a.requests < n) {
        const size_t together = a.requests == 0 || od_rng_range(&rng, 0, 2) == 0 ? 2 : 1;
        for (size_t i = 0; i < together; i++) {
            request r = request_draw(&rng, range);
            if (a.requests == 0) {
                r.batch = range->batch;
                r.variates = range->variates;
                r.steps = range->steps;
                r.patches = range->patches;
                r.spare = range->steps;
            }
            lane_open(&lanes[i], &rng, &r);
        }
        for (bool busy = true; busy;) {
            busy = false;
            for (size_t i = 0; i < together; i++) {
                if (player_done(&lanes[i].fast)) continue;
                lane_call(&lanes[i], &a);
                busy = true;
            }
        }
        for (size_t i = 0; i < together; i++) lane_close(&lanes[i]);
        const bool first_tenth = a.requests * 10 < n;
        a.requests += together;
        a.pairs += together == 2;
        if (first_tenth) a.live_first = test_stats(engine).device_live;
    }
    const od_stats stats = test_stats(engine);
    a.live = stats.device_live;
    a.peak = stats.device_peak;
    a.seconds = test_seconds() - start;
    return a;
}

/* At most 8 captures, and with fused kernels, whose graphs are good for a bucket of shapes, nine of ten decode steps
 * replayed; without them a graph is good for one shape. */
static void random_requests(unsigned number, unsigned mode, const request_range *range, size_t n) {
    if (!prepare(number, mode)) return;
    od_options variant = options;
    variant.graph = false;
    plain = test_engine_of(model, &variant);
    const uint64_t seed = from_environment("OD_TEST_SEED", 1);
    const account a = serve(range, n, seed);
    const od_stats stats = test_stats(engine);
    printf("%s: %zu requests of seed %llu (%zu pairs), %zu calls equal to plain launches, %zu of them also alone; "
           "%llu captures, %zu of %zu decodes replayed, %llu fallbacks; %zu bytes live, %zu after a tenth, peak %zu; "
           "%.1f s\n",
           about, a.requests, (unsigned long long)seed, a.pairs, a.calls, a.rows, (unsigned long long)stats.captures,
           a.replayed, a.decodes, (unsigned long long)stats.fallbacks, a.live, a.live_first, a.peak, a.seconds);
    fflush(stdout);
    ck_assert_uint_gt(a.calls, a.requests);
    ck_assert_uint_le(a.live, a.live_first);
    ck_assert_uint_eq(test_stats(plain).replays, 0);
    if (options.fused) {
        ck_assert_uint_le(stats.captures, 8);
        ck_assert_uint_ge(10 * a.replayed, 9 * a.decodes);
    }
    if (n > 10) ck_assert_uint_gt(a.rows, 0);
    finish();
}

/* Sizes on the device are a server's; the twin's are small, as it computes on one core. Mode 2: cache fixed, 5: the
 * same with fused kernels. */
START_TEST(random_requests_equal_plain_launches) {
    const request_range real = {16, 32, 4096, 16}, small = {5, 6, 128, 8};
    static const unsigned modes[] = {2, 5};
    const size_t n = from_environment("OD_TEST_REQUESTS", on_device() ? 500 : TEST_SANITIZED ? 10 : 40);
    random_requests((unsigned)_i / 2, modes[_i % 2], on_device() ? &real : &small, _i < 2 ? n : (n + 4) / 5);
}
END_TEST

/* The real size, on a device: a few requests of seven variates. */
START_TEST(requests_of_the_base_model_equal_plain_launches) {
    const request_range range = {2, 7, 4096, 16};
    static const unsigned modes[] = {2, 5};
    if (on_device()) random_requests(4, modes[_i], &range, from_environment("OD_TEST_REQUESTS", 500) / 50);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Ten thousand equal requests leave the bytes that the second left. Fused kernels, shaped for a GPU's threads, take the
 * twin a millisecond a request: two thousand there. */
START_TEST(equal_requests_take_no_more_memory) {
    static const unsigned modes[] = {2, 5};
    if (!prepare(0, modes[_i])) return;
    request r = {.batch = 1, .variates = 2, .steps = 9, .patches = 1, .groups = 1, .seed = 3};
    od_stats second = {0};
    uint64_t hash = 0;
    const int n = TEST_SANITIZED ? 500 : on_device() || !options.fused ? 10000 : 2000;
    for (int i = 0; i < n; i++) {
        const uint64_t now = request_hash(engine, &r, config.patch);
        if (i == 0) hash = now;
        ck_assert_msg(now == hash, "request %d answers otherwise", i);
        if (i == 1) second = test_stats(engine);
    }
    const od_stats last = test_stats(engine);
    ck_assert_uint_eq(last.host_live, second.host_live);
    ck_assert_uint_eq(last.device_live, second.device_live);
    ck_assert_uint_eq(last.device_peak, second.device_peak);
    ck_assert_uint_eq(last.captures, second.captures);
    finish();
}
END_TEST

/* Device bytes at most 1.15 times those of plain launches, at the size of a real context. */
static void compare_peaks(const od_config *c, unsigned mode, const request *r) {
    char text[64];
    size_t peak[2];
    config = *c;
    ck_assert(test_options(&options, text, sizeof text, mode));
    if (!test_can(&config, &options)) return;
    model = test_model(&config, 7);
    for (int graph = 0; graph < 2; graph++) {
        options.graph = graph;
        engine = test_engine_of(model, &options);
        request_hash(engine, r, config.patch);
        peak[graph] = test_stats(engine).device_peak;
        test_engine()->destroy(engine);
        engine = NULL;
    }
    printf("D %zu, %zu x %zu x %zu, %s: peak of %zu device bytes in graph mode, %zu with plain launches\n",
           config.d_model, r->batch, r->variates, r->steps, text, peak[1], peak[0]);
    fflush(stdout);
    ck_assert_uint_gt(peak[0], 0);
    ck_assert_uint_le(100 * peak[1], 115 * peak[0]);
    finish();
}

START_TEST(graphs_take_little_memory) {
    static const unsigned modes[] = {2, 5};
    const request tiny = {.batch = 2, .variates = 4, .steps = 32, .patches = 4, .groups = 1, .seed = 1};
    const request base = {.batch = 1, .variates = 7, .steps = 4096, .patches = 4, .groups = 1, .seed = 1};
    od_config c;
    test_config(&c, 0);
    compare_peaks(&c, modes[_i], &tiny);
    test_config(&c, 3);
    compare_peaks(&c, modes[_i], &tiny);
    if (!on_device()) return;
    ck_assert(!od_config_preset(&c, "toto-open-base", &err));
    compare_peaks(&c, modes[_i], &base);
}
END_TEST

/* On a device: keys, values and scratch of a model this wide take over 300 GB for as many patches as a session may
 * have. The engine says how much was asked and free, and goes on. */
START_TEST(out_of_device_memory_is_an_error_and_no_more) {
    static const unsigned modes[] = {2, 5};
    char text[64];
    if (!on_device()) return;
    ck_assert(test_config(&config, 0) && test_options(&options, text, sizeof text, modes[_i]));
    config.d_model = 1024;
    config.d_mlp = 16;
    config.n_layer = 24;
    ck_assert_msg(!od_config_check(&config, &err), "%s", err.text);
    model = test_model(&config, 7);
    engine = test_engine_of(model, &options);
    const request r = {.batch = 2, .variates = 3, .steps = 40, .patches = 2, .groups = 2, .seed = 5};
    od_session *s = NULL;
    const uint64_t want = request_hash(engine, &r, config.patch);
    const size_t live = test_stats(engine).device_live;
    for (int i = 0; i < 3; i++) {
        err = (od_error){0};
        ck_assert_int_eq(test_engine()->session_open(&s, engine, 64, 128, 256 * config.patch, &err), OD_NO_MEMORY);
        ck_assert_msg(strstr(err.text, "bytes") && strstr(err.text, "free"), "%s", err.text);
        ck_assert_msg(strpbrk(err.text, "123456789"), "%s", err.text);
        ck_assert_uint_eq(test_stats(engine).device_live, live);
        ck_assert(request_hash(engine, &r, config.patch) == want);
    }
    finish();
}
END_TEST

/* On the twin each allocation of a larger session fails once, in its turn: the smaller one goes on, bit by bit. */
START_TEST(a_session_that_finds_no_memory_leaves_others_alone) {
    static const unsigned modes[] = {2, 5};
    if (on_device() || !prepare(1, modes[_i])) return;
    const request r = {.batch = 2, .variates = 3, .steps = 40, .patches = 2, .groups = 2, .seed = 5};
    const uint64_t want = request_hash(engine, &r, config.patch);
    const size_t live = test_stats(engine).device_live;
    int failures = 0;
    for (uint64_t n = 1; n < 1000; n++) {
        od_session *s = NULL;
        test_engine()->fail_alloc(engine, n);
        enum od_status status = test_engine()->session_open(&s, engine, 4, 8, (200 + n) * config.patch, &err);
        test_engine()->fail_alloc(engine, 0);
        if (!status) {
            test_engine()->session_close(s);
            break;
        }
        ck_assert_int_eq(status, OD_NO_MEMORY);
        ck_assert_msg(strstr(err.text, "bytes") != NULL, "%s", err.text);
        ck_assert_uint_eq(test_stats(engine).device_live, live);
        ck_assert_msg(request_hash(engine, &r, config.patch) == want, "after allocation %llu failed",
                      (unsigned long long)n);
        failures++;
    }
    ck_assert_int_gt(failures, 10);
    ck_assert_int_lt(failures, 999);
    finish();
}
END_TEST

Suite *suite_requests(void) {
    Suite *suite = suite_create("requests");
    TCase *tc = tcase_create("requests");
    tcase_set_timeout(tc, 240);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, random_requests_equal_plain_launches, 0, 8);
    tcase_add_loop_test(tc, requests_of_the_base_model_equal_plain_launches, 0, 2);
    tcase_add_loop_test(tc, equal_requests_take_no_more_memory, 0, 2);
    tcase_add_loop_test(tc, graphs_take_little_memory, 0, 2);
    tcase_add_loop_test(tc, out_of_device_memory_is_an_error_and_no_more, 0, 2);
    tcase_add_loop_test(tc, a_session_that_finds_no_memory_leaves_others_alone, 0, 2);
    suite_add_tcase(suite, tc);
    return suite;
}

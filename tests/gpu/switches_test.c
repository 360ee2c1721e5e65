/* The switches of the fast path, seen from outside: the way back (OD_DISABLE_FAST), buckets of shapes, heads of the
 * last patch alone, a cache that grows; and what stands behind them: buffers in one piece, the table of timed choices.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/device/tuned.h"
#include "gpu/kernels/kernels.h"
#include "tests/gpu/request.h"
#include "tests/gpu/suites.h"

static od_error err;

START_TEST(the_way_back_is_plain_launches) {
    od_model *model = test_tiny();
    od_options options = od_options_default();
    const request r = {.batch = 1, .variates = 2, .steps = 9, .patches = 2, .groups = 1, .seed = 5};
    options.fused = true;
    static const struct {
        const char *value;
        bool back;
    } cases[] = {{NULL, false}, {"", false}, {"0", false}, {"1", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        player p;
        series s;
        if (cases[i].value) setenv("OD_DISABLE_FAST", cases[i].value, 1);
        od_engine *en = test_engine_of(model, &options);
        unsetenv("OD_DISABLE_FAST");
        player_play(&p, &s, en, &r, model->config.patch);
        const od_stats stats = test_stats(en);
        ck_assert_int_eq(stats.rolled_back, cases[i].back);
        ck_assert_uint_eq(stats.captures, cases[i].back ? 0 : 2);
        ck_assert_uint_eq(stats.replays, cases[i].back ? 0 : 3);
        player_close(&p);
        series_free(&s);
        test_engine()->destroy(en);
    }
    od_model_destroy(model);
}
END_TEST

/* Fused kernels, buckets filled to the last token: every layer of every token is there. Fresh memory is NaN. */
START_TEST(hidden_states_of_a_full_bucket_are_all_there) {
    const request r = {.batch = 2, .variates = 4, .steps = 32, .patches = 1, .groups = 1, .seed = 5}; /* 64, then 8 */
    od_model *model = test_tiny();
    od_options options = od_options_default();
    options.fused = options.hidden = true;
    od_engine *en = test_engine_of(model, &options);
    series s;
    player p;
    series_make(&s, &r, model->config.patch);
    player_open(&p, en, &r, &s, -1);
    while (!player_done(&p)) {
        player_call(&p);
        same_outputs(&p, &p, "hidden"); /* looks for what is not finite */
    }
    player_close(&p);
    series_free(&s);
    test_engine()->destroy(en);
    od_model_destroy(model);
}
END_TEST

/* Each allocation of a request's calls (captures, a cache that grows) fails once, in its turn. The session answers
 * again after a reset, as before, and nothing is left behind. _i: cache, without and with fused kernels. */
START_TEST(a_call_that_finds_no_memory_leaves_no_trace) {
    static const enum od_cache caches[] = {OD_CACHE_DYNAMIC, OD_CACHE_FIXED};
    enum { LIMIT = 64, P = 4, CONTEXT = 12, STEPS = CONTEXT + 5 * P };
    if (!test_device()->emulated) return; /* elsewhere a capture takes no memory of ours but at its end */
    od_model *model = test_tiny();
    od_options options = od_options_default();
    options.fused = _i % 2;
    options.cache = caches[_i / 2];
    od_engine *en = test_engine_of(model, &options);
    const request r = {.batch = 1, .variates = 2, .steps = CONTEXT, .patches = 5, .groups = 1, .seed = 8};
    series s;
    player p, again;
    int failures = 0;
    bool failed = true;
    series_make(&s, &r, P);
    const uint64_t want = request_hash(en, &r, P);
    ck_assert(!test_engine()->recapture(en, &err));
    const od_stats before = test_stats(en);
    for (uint64_t n = 1; failed && n < 200; n++) {
        enum od_status status = OD_OK;
        uint64_t hash = 0;
        player_open(&p, en, &r, &s, -1);
        test_engine()->fail_alloc(en, n);
        for (size_t at = 0; at < STEPS && !status; at += at ? P : CONTEXT) {
            const od_window w = {.n_step = at ? P : CONTEXT,
                                 .stride = s.stride,
                                 .value = s.value + at,
                                 .mask = s.mask + at,
                                 .id = s.id + at};
            status = at ? test_engine()->decode(p.session, &w, &err) : test_engine()->prefill(p.session, &w, &err);
        }
        test_engine()->fail_alloc(en, 0);
        failed = status != OD_OK;
        if (failed) ck_assert_int_eq(status, OD_NO_MEMORY);
        failures += failed;
        ck_assert_msg(!test_engine()->reset(p.session, &err), "%s", err.text);
        for (again = p; !player_done(&again);) {
            player_call(&again);
            hash = outputs_hash(&again, hash);
        }
        ck_assert_msg(hash == want, "after allocation %llu failed", (unsigned long long)n);
        player_close(&p);
        ck_assert(!test_engine()->recapture(en, &err));
        ck_assert_uint_eq(test_stats(en).device_live, before.device_live);
        ck_assert_uint_eq(test_stats(en).host_live, before.host_live);
    }
    ck_assert(!failed);
    ck_assert_int_gt(failures, options.cache == OD_CACHE_DYNAMIC ? 10 : 4);
    series_free(&s);
    test_engine()->destroy(en);
    od_model_destroy(model);
}
END_TEST

static const od_tensor *tensor_of(od_session *s, const char *name) {
    od_outputs out;
    ck_assert(!test_engine()->outputs(s, &out, &err));
    for (size_t i = 0; i < out.n_tensor; i++)
        if (strcmp(out.tensor[i].name, name) == 0) return &out.tensor[i];
    ck_abort_msg("no tensor %s", name);
}

/* _i: fused off, fused on. */
START_TEST(the_last_patch_alone_has_the_bits_of_all) {
    enum { ROWS = 3, PATCHES = 5, P = 4, N = PATCHES * P };
    od_model *model = test_tiny();
    float value[ROWS * N], loc[2][ROWS * P];
    uint8_t mask[ROWS * N];
    int32_t id[ROWS * N] = {0};
    for (int i = 0; i < ROWS * N; i++) value[i] = (float)(i * 7 % 11) - 5;
    memset(mask, 1, sizeof mask);
    const od_window w = {.n_step = N, .stride = N, .value = value, .mask = mask, .id = id};
    for (int last = 0; last < 2; last++) {
        od_options options = od_options_default();
        od_session *s;
        options.fused = _i;
        options.last_head = last;
        od_engine *en = test_engine_of(model, &options);
        ck_assert(!test_engine()->session_open(&s, en, 1, ROWS, N + P, &err));
        ck_assert(!test_engine()->prefill(s, &w, &err));
        const od_tensor *t = tensor_of(s, "loc");
        const size_t shown = last ? P : N;
        ck_assert_uint_eq(t->shape[2], shown);
        for (size_t r = 0; r < ROWS; r++)
            memcpy(loc[last] + r * P, (const float *)t->data + r * shown + shown - P, P * sizeof(float));
        ck_assert_uint_eq(tensor_of(s, "scaler_loc")->shape[2], 1);
        ck_assert_uint_eq(tensor_of(s, "mean")->shape[2], P);
        ck_assert(!test_engine()->decode(s, NULL, &err));
        ck_assert_uint_eq(tensor_of(s, "loc")->shape[2], P);
        test_engine()->destroy(en);
    }
    ck_assert_mem_eq(loc[0], loc[1], sizeof loc[0]);
    od_model_destroy(model);
}
END_TEST

/* What is timed before a shape's first call leaves no trace in any answer, whatever was decoded before it; nor do
 * shapes past the number that are timed. _i: fused off, fused on. */
START_TEST(timing_changes_no_bit) {
    od_model *model = test_tiny();
    for (int k = 0; k < 2; k++) {
        od_options options = od_options_default();
        options.fused = _i;
        options.graph = k;
        od_engine *plain = test_engine_of(model, &options);
        options.autotune = true;
        od_engine *timed_first = test_engine_of(model, &options);
        for (size_t i = 0; i < 40; i++) {
            const request r = {.batch = 1 + (i == 2),
                               .variates = 1 + i,
                               .steps = i == 5 ? 600 : 4 + i % 3 * 5, /* one window is too large for the call block */
                               .patches = 1 + (i < 4),
                               .own = 2,
                               .groups = 1,
                               .seed = i};
            ck_assert_msg(request_hash(plain, &r, 4) == request_hash(timed_first, &r, 4), "request %zu", i);
        }
        test_engine()->destroy(plain);
        test_engine()->destroy(timed_first);
    }
    od_model_destroy(model);
}
END_TEST

/* Windows of just as many bytes as stand behind the call block, of a patch fewer and of a patch more, by turns on one
 * engine and in one bucket: each element of a batch has the bits that it has alone, with a window of its own size. */
START_TEST(windows_of_any_size_have_the_same_bits) {
    enum { ROWS = 16, P = 4, FULL = OD_CALL_WINDOW / (ROWS * (4 * P + 4 + P)) * P };
    static const size_t steps[] = {FULL, FULL + P, FULL - P, FULL};
    _Static_assert(ROWS * FULL * 6 == OD_CALL_WINDOW, "a window fills it");
    od_model *model = test_tiny();
    od_options options = od_options_default();
    options.fused = true;
    options.graph = _i;
    od_engine *engine = test_engine_of(model, &options);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const request r = {
            .batch = 4, .variates = 4, .steps = steps[i], .patches = 3, .own = 2, .groups = 1, .seed = i};
        series s;
        series_make(&s, &r, P);
        for (long row = 0; row < 4; row += 3) {
            player all, one;
            player_open(&all, engine, &r, &s, -1);
            player_open(&one, engine, &r, &s, row);
            while (!player_done(&all)) {
                player_call(&all);
                player_call(&one);
                same_outputs(&one, &all, "an element alone");
            }
            player_close(&one);
            player_close(&all);
        }
        series_free(&s);
    }
    test_engine()->destroy(engine);
    od_model_destroy(model);
}
END_TEST

/* A dynamic cache takes no memory before it is needed, and at most twice what it holds. */
START_TEST(a_dynamic_cache_grows_with_what_it_holds) {
    enum { ROWS = 2, LIMIT = 50, P = 4 }; /* no power of two: the last growth ends at the limit */
    od_model *model = test_tiny();
    const od_config *c = &model->config;
    const size_t patch = od_config_time_layers(c) * ROWS * c->d_model * 2 * sizeof(float); /* keys and values */
    od_options options = od_options_default();
    size_t live[2];
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        float value[ROWS * P] = {1, 2, 3, 4, 5, 6, 7, 8};
        uint8_t mask[ROWS * P];
        int32_t id[ROWS * P] = {0};
        od_session *s;
        memset(mask, 1, sizeof mask);
        const od_window w = {.n_step = P, .stride = P, .value = value, .mask = mask, .id = id};
        options.cache = dynamic ? OD_CACHE_DYNAMIC : OD_CACHE_FIXED;
        od_engine *en = test_engine_of(model, &options);
        ck_assert(!test_engine()->session_open(&s, en, 1, ROWS, LIMIT * P, &err));
        live[dynamic] = test_stats(en).device_live;
        size_t before = live[dynamic];
        ck_assert(!test_engine()->prefill(s, &w, &err));
        for (size_t held = 1; held <= LIMIT; held++) {
            if (held > 1) ck_assert(!test_engine()->decode(s, NULL, &err));
            const size_t room = (test_stats(en).device_live - before) / patch;
            if (dynamic)
                ck_assert_msg(room >= held && room <= 2 * held && room <= LIMIT, "%zu patches: room for %zu", held,
                              room);
            else
                ck_assert_uint_eq(room, 0);
        }
        test_engine()->destroy(en);
    }
    ck_assert_uint_eq(live[0] - live[1], LIMIT * patch);
    od_model_destroy(model);
}
END_TEST

/* Buffers of one piece have guard bands of their own, and go one by one. */
START_TEST(buffers_in_one_piece_are_buffers) {
    const od_device_ops *ops = test_device();
    const od_options options = od_options_default();
    od_heap heap = {0};
    od_device *dev;
    od_device_stats stats;
    void *at[3];
    const od_slice slices[] = {{&at[0], 100, "first"}, {&at[1], 1, "second"}, {&at[2], 5000, "third"}};
    ck_assert(!ops->open(&dev, &options, &heap, &err));
    ops->stats(dev, &stats);
    const size_t before = stats.live;
    ck_assert(!ops->alloc_many(dev, slices, 3, &err));
    ops->stats(dev, &stats);
    ck_assert_uint_eq(stats.live - before, 5101);
    for (size_t i = 0; i < 3; i++) {
        unsigned char got[5000];
        ck_assert_uint_eq((uintptr_t)at[i] % 256, 0);
        ck_assert(!ops->download(dev, got, at[i], slices[i].bytes, &err));
        for (size_t k = 0; k < slices[i].bytes; k++) ck_assert_uint_eq(got[k], OD_POISON_BYTE);
        const od_fill zero = {at[i], slices[i].bytes, 0};
        ck_assert(!ops->fill(dev, &zero, 1, &err));
    }
    ck_assert_msg(!ops->check(dev, &err), "%s", err.text);
    ck_assert(!ops->free(dev, at[0], &err) && !ops->free(dev, at[2], &err));
    ops->stats(dev, &stats);
    ck_assert_uint_eq(stats.live - before, 1);
    ck_assert(!ops->free(dev, at[1], &err));
    const od_slice huge[] = {{&at[0], 8, "small"}, {&at[1], SIZE_MAX - 600, "huge"}};
    ck_assert_int_eq(ops->alloc_many(dev, huge, 2, &err), OD_NO_MEMORY);
    ck_assert(strstr(err.text, "huge"));
    ops->stats(dev, &stats);
    ck_assert_uint_eq(stats.live, before);
    ops->close(dev);
    ck_assert_uint_eq(heap.live, 0);
}
END_TEST

static void timed(const char *key, const char *expected) {
    char value[OD_TUNED_VALUE];
    bool found;
    ck_assert_msg(!od_tuned_get(key, value, &found, &err), "%s", err.text);
    ck_assert_int_eq(found, expected != NULL);
    if (expected) ck_assert_str_eq(value, expected);
}

START_TEST(timed_choices_are_kept_in_a_file) {
    char name[] = "/tmp/od-tuned-XXXXXX";
    const int fd = mkstemp(name);
    ck_assert(fd >= 0 && !close(fd));
    setenv("OD_AUTOTUNE_FILE", name, 1);
    od_tuned_clear();
    timed("a", NULL);
    ck_assert(!od_tuned_put("a", "1", &err) && !od_tuned_put("b", "2", &err) && !od_tuned_put("a", "3", &err));
    od_tuned_clear();
    timed("a", "3");
    timed("b", "2");
    FILE *f = fopen(name, "a");
    fputs("no-value\n", f);
    fclose(f);
    od_tuned_clear();
    char value[OD_TUNED_VALUE];
    bool found;
    ck_assert_int_eq(od_tuned_get("a", value, &found, &err), OD_BAD_INPUT);
    ck_assert(strstr(err.text, ":3:"));
    static const char *const torn[] = {"a 1\nb 2", " 1\n", "a \n", "\n"}; /* cut short, no key, no value, neither */
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        f = fopen(name, "w");
        fputs(torn[i], f);
        fclose(f);
        od_tuned_clear();
        ck_assert_int_eq(od_tuned_get("c", value, &found, &err), OD_BAD_INPUT);
    }
    unlink(name);
    od_tuned_clear();
    timed("a", NULL); /* a file that is not there is an empty table */
    setenv("OD_AUTOTUNE_FILE", "/tmp/od-tuned-no-such-folder/x", 1);
    od_tuned_clear();
    ck_assert_int_eq(od_tuned_put("a", "1", &err), OD_IO);
    unsetenv("OD_AUTOTUNE_FILE");
    od_tuned_clear();
}
END_TEST

/* Bytes on the device of an engine without sessions. */
static size_t bytes_of(const od_config *config, bool fused) {
    od_model *model;
    ck_assert_msg(!od_model_create(&model, config, &err), "%s", err.text);
    od_model_generate(model, 3, 1, 1);
    od_options options = od_options_default();
    options.fused = fused;
    od_engine *en = test_engine_of(model, &options);
    const od_stats stats = test_stats(en);
    test_engine()->destroy(en);
    od_model_destroy(model);
    return stats.device_live;
}

/* With `outs` outputs a step, unembedding and heads are P·D + outs rows of D weights and a bias, folded they are
 * P·outs: the fused path keeps the fewer, beside its room for a window. */
START_TEST(the_head_is_folded_where_that_is_fewer_weights) {
    static const struct {
        size_t patch, d_model, n_component; /* of a mixture; 1: one Student-T */
    } heads[] = {{4, 32, 1}, {1, 32, 24}, {2, 32, 1}, {4, 48, 16}, {4, 44, 16}, {8, 40, 24}, {16, 64, 1}, {64, 96, 5}};
    od_config config;
    ck_assert(!od_config_preset(&config, "seed-tiny", &err));
    config.patch = heads[_i].patch;
    config.d_model = heads[_i].d_model;
    config.n_head = 2;
    config.n_component = heads[_i].n_component;
    config.mixture = config.n_component > 1;
    const size_t outs = (config.mixture ? 4 : 3) * config.n_component, d = config.d_model;
    const size_t apart = config.patch * d + outs, folded = config.patch * outs;
    const size_t saved = folded < apart ? (apart - folded) * (d + 1) * sizeof(float) : 0;
    ck_assert_uint_le(bytes_of(&config, true) + saved, bytes_of(&config, false) + OD_CALL_WINDOW + 16);
}
END_TEST

Suite *suite_switches(void) {
    Suite *suite = suite_create("switches");
    TCase *tc = tcase_create("switches");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_way_back_is_plain_launches);
    tcase_add_test(tc, hidden_states_of_a_full_bucket_are_all_there);
    tcase_add_loop_test(tc, a_call_that_finds_no_memory_leaves_no_trace, 0, 4);
    tcase_add_loop_test(tc, the_last_patch_alone_has_the_bits_of_all, 0, 2);
    tcase_add_loop_test(tc, timing_changes_no_bit, 0, 2);
    tcase_add_loop_test(tc, windows_of_any_size_have_the_same_bits, 0, 2);
    tcase_add_loop_test(tc, the_head_is_folded_where_that_is_fewer_weights, 0, 8);
    tcase_add_test(tc, a_dynamic_cache_grows_with_what_it_holds);
    tcase_add_test(tc, buffers_in_one_piece_are_buffers);
    tcase_add_test(tc, timed_choices_are_kept_in_a_file);
    suite_add_tcase(suite, tc);
    return suite;
}
